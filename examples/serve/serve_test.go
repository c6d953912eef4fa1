package main

import (
	"cmp"
	"context"
	"errors"
	"strings"
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
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for say, c := range map[string]*config{
		"odds":         {scores: "odds"},
		"/nowhere":     {victim: "/nowhere"},
		"unknown port": {addr: "nowhere:x"},
		"-noise -1":    {degrade: zoo.Degrade{Noise: -1}},
		"-digits 16":   {degrade: zoo.Degrade{Digits: 16}},
		"-top 11":      {degrade: zoo.Degrade{Top: 11}},
		"-top -1":      {degrade: zoo.Degrade{Top: -1}},
		"-remember -":  {remember: -1},
	} {
		c.scores, c.addr = cmp.Or(c.scores, "logits"), cmp.Or(c.addr, "127.0.0.1:0")
		if err := run(ended, c, func(string, string) {}); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v; want an error that says %q", err, say)
		}
	}
}

// TestNoiseIsFresh: the same image asked twice gets two answers, and the pre-flight
// sees it.
func TestNoiseIsFresh(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	addr := make(chan string, 1)
	done := make(chan error, 1)
	c := &config{addr: "127.0.0.1:0", scores: "logits", degrade: zoo.Degrade{Noise: 0.1, Seed: 1}}
	go func() { done <- run(ctx, c, func(a, name string) { addr <- "http://" + a + "/v2/models/" + name }) }()
	v, err := oip.Dial(ctx, <-addr, oip.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (zoo.Preflight{}).Run(ctx, v, tensor.New(2, 1, 28, 28), []int{0, 0}); !errors.Is(err, zoo.ErrBadVictim) {
		t.Errorf("the pre-flight says %v of a noisy victim", err)
	}
	if _, err := (zoo.Preflight{Noise: 2}).Run(ctx, v, tensor.New(2, 1, 28, 28), []int{0, 0}); err != nil {
		t.Errorf("with noise allowed: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
