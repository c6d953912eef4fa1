package main

import (
	"context"
	"testing"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

func TestServesAVictim(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	addr := make(chan string, 1)
	done := make(chan error, 1)
	c := &config{addr: "127.0.0.1:0", scores: "probabilities", token: "t", remember: 4, degrade: zoo.Degrade{Digits: 3}}
	go func() { done <- run(ctx, c, func(a, name string) { addr <- "http://" + a + "/v2/models/" + name }) }()
	v, err := oip.Dial(ctx, <-addr, oip.Options{Scores: zoo.Probabilities, Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, 20)
	if err := v.Scores(ctx, tensor.New(2, 1, 28, 28), out); err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, p := range out {
		sum += p
	}
	if sum < 1.98 || sum > 2.02 {
		t.Errorf("two rows of probabilities add up to %v", sum)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []*config{{scores: "odds"}, {scores: "logits", victim: "/nowhere"}, {scores: "logits", addr: "nowhere:x"}} {
		if err := run(context.Background(), c, func(string, string) {}); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}
