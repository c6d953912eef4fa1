// Serve answers image queries over HTTP under the Open Inference Protocol, so that
// a model can be probed as a black box in another process.
//
//	go run ./examples/serve
//	go run ./examples/probe -victim http://localhost:8080/v2/models/net4
//
// It can answer as public services do: with probabilities rounded to a few digits, for the
// leading classes only, and with noise that is drawn again at every call. Ctrl-C or SIGTERM
// ends it after the requests under way, and it prints the number of samples served; a
// second signal ends it at once. With -remember it answers a repeated request with the same
// id from memory. The joined calls of probe -gather have a new id each time, so it serves
// them again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

// config is what the flags say.
type config struct {
	addr, victim, scores, token string
	remember                    int
	degrade                     zoo.Degrade // whose Seed is the first call's
}

func main() {
	var c config
	flag.StringVar(&c.addr, "addr", "localhost:8080", "address to listen on")
	flag.StringVar(&c.victim, "victim", "", "safetensors file, as examples/train writes it; default: the embedded Net4")
	flag.StringVar(&c.scores, "scores", "logits", "logits, probabilities or log-probabilities")
	flag.StringVar(&c.token, "token", "", "bearer token that requests must carry; empty means none")
	flag.IntVar(&c.remember, "remember", 0, "number of answered requests to remember by id; no use with probe -gather; 0 means none")
	flag.Float64Var(&c.degrade.Noise, "noise", 0, "standard deviation of the noise on every score, drawn again at every call")
	flag.Uint64Var(&c.degrade.Seed, "seed", 1, "seed of the noise, which also depends on the order of the calls")
	flag.IntVar(&c.degrade.Digits, "digits", 0, "decimals per score, at most 15; 0 means all")
	flag.IntVar(&c.degrade.Top, "top", 0, "number of leading classes that get a score; 0 means all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { // a second Ctrl-C ends the program at once
		<-ctx.Done()
		stop()
	}()
	if err := run(ctx, &c, func(addr string, info zoo.Info) {
		fmt.Printf("serving %s: %d classes, %v, samples of shape %v; Ctrl-C ends it\n", at(addr, info.Name), info.Classes, info.Scores, info.Shape)
	}); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

// degraded answers as zoo.DegradeScores does, with other noise at every call.
type degraded struct {
	zoo.Scorer
	d     zoo.Degrade
	calls atomic.Uint64
}

func (s *degraded) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	d := s.d
	d.Seed += s.calls.Add(1) - 1
	return zoo.DegradeScores(s.Scorer, d).Scores(ctx, x, out)
}

// at is the model's address for a client on this machine.
func at(addr, model string) string {
	if host, port, err := net.SplitHostPort(addr); err == nil && net.ParseIP(host).IsUnspecified() {
		addr = net.JoinHostPort("localhost", port)
	}
	return "http://" + addr + "/v2/models/" + url.PathEscape(model)
}

// lastAnswers is how long requests under way may take once the server is to end.
const lastAnswers = 5 * time.Second

// run serves until ctx ends. ready is told the address and the model.
func run(ctx context.Context, c *config, ready func(addr string, info zoo.Info)) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; every setting is a flag (-help lists them)", flag.Arg(0))
	}
	kind, err := zoo.ParseScoreKind(c.scores)
	if err != nil {
		return fmt.Errorf("-scores: %w", err)
	}
	var network nn.Module = pretrained.Net4()
	info := models.Info{Model: "net4", Classes: 10}
	shape := []int{1, 28, 28}
	if c.victim != "" {
		net, in, err := models.Open(c.victim)
		if err != nil {
			return err
		}
		network, info = net, in
		if shape, err = in.Preprocess.InputShape(in.Spec().Input); err != nil {
			return err
		}
	}
	if c.remember < 0 {
		return fmt.Errorf("-remember %d: not negative", c.remember)
	}
	var v zoo.Scorer
	err = tensor.Try(func() error {
		v, err = zoo.NewModel(network, zoo.Info{Name: info.Model, Shape: shape, Classes: info.Classes, Scores: kind}, info.Preprocess)
		return err
	})
	if err != nil {
		return err
	}
	switch d := c.degrade; {
	case !(d.Noise >= 0) || math.IsInf(d.Noise, 0):
		return fmt.Errorf("-noise %g: a standard deviation, not negative", d.Noise)
	case d.Digits < 0 || d.Digits > 15:
		return fmt.Errorf("-digits %d: 0 to 15", d.Digits)
	case d.Top < 0 || d.Top > info.Classes:
		return fmt.Errorf("-top %d: 0 to %d, the classes of %s", d.Top, info.Classes, info.Model)
	}
	v = &degraded{Scorer: v, d: c.degrade}
	h := oip.NewHandler(v, oip.HandlerOptions{Remember: c.remember, Token: c.token})
	l, err := net.Listen("tcp", c.addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("-addr %s: another program listens there; choose another port, or 0 for any that is free", c.addr)
	case err != nil:
		return fmt.Errorf("-addr %s: %w; write HOST:PORT, or :PORT for all of this machine's addresses", c.addr, err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	ready(l.Addr().String(), v.Info())
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	bye, cancel := context.WithTimeout(context.Background(), lastAnswers)
	defer cancel()
	if err := s.Shutdown(bye); err != nil {
		s.Close()
		fmt.Println("some requests were left unanswered")
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	fmt.Printf("served %d samples\n", h.Served())
	return nil
}
