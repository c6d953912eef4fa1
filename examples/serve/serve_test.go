package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

func TestServesAVictim(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	addr := make(chan string, 1)
	done := make(chan error, 1)
	c := &config{addr: "127.0.0.1:0", scores: "probabilities", token: "t", remember: 4, degrade: zoo.Degrade{Digits: 3}}
	go func() { done <- run(ctx, c, func(a string, info zoo.Info) { addr <- at(a, info.Name) }) }()
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
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for say, c := range map[string]*config{
		"-scores: ":                     {scores: "odds"},
		"/nowhere":                      {victim: "/nowhere"},
		"HOST:PORT":                     {addr: "nowhere:x"},
		"another program listens there": {addr: taken.Addr().String()},
		"-noise -1":                     {degrade: zoo.Degrade{Noise: -1}},
		"-digits 16":                    {degrade: zoo.Degrade{Digits: 16}},
		"-top 11":                       {degrade: zoo.Degrade{Top: 11}},
		"-top -1":                       {degrade: zoo.Degrade{Top: -1}},
		"-remember -":                   {remember: -1},
	} {
		c.scores, c.addr = cmp.Or(c.scores, "logits"), cmp.Or(c.addr, "127.0.0.1:0")
		if err := run(ended, c, func(string, zoo.Info) {}); err == nil || !strings.Contains(err.Error(), say) {
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
	go func() { done <- run(ctx, c, func(a string, info zoo.Info) { addr <- at(a, info.Name) }) }()
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

// TestAt: the address that is printed is one that a client can take.
func TestAt(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:80": "http://127.0.0.1:80/v2/models/a", "[::]:81": "http://localhost:81/v2/models/a", "0.0.0.0:82": "http://localhost:82/v2/models/a",
		"[::1]:83": "http://[::1]:83/v2/models/a",
	} {
		if got := at(addr, "a"); got != want {
			t.Errorf("%s is printed as %s, want %s", addr, got, want)
		}
	}
}

// TestRequestsUnderWay: one that is being sent when the server is to end gets its answer.
func TestRequestsUnderWay(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	addr := make(chan string, 1)
	done := make(chan error, 1)
	c := &config{addr: "127.0.0.1:0", scores: "logits"}
	go func() { done <- run(ctx, c, func(a string, info zoo.Info) { addr <- at(a, info.Name) }) }()
	model := <-addr
	body := `{"inputs":[{"name":"image","datatype":"FP32","shape":[1,1,28,28],"data":[0` + strings.Repeat(",0", 783) + `]}]}`
	begun, rest := make(chan bool), make(chan bool)
	answered := make(chan error, 1)
	go func() {
		in, out := io.Pipe()
		go func() {
			io.WriteString(out, body[:100])
			close(begun)
			<-rest
			io.WriteString(out, body[100:])
			out.Close()
		}()
		res, err := http.Post(model+"/infer", "application/json", in)
		if err == nil {
			err = res.Body.Close()
			if res.StatusCode != 200 {
				err = errors.New(res.Status)
			}
		}
		answered <- err
	}()
	<-begun
	time.Sleep(50 * time.Millisecond) // what was sent arrives
	cancel()
	time.Sleep(50 * time.Millisecond) // the server is told to end
	close(rest)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
