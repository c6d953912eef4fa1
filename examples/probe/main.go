// Probe attacks an image classifier by queries alone, with several attacks under
// one protocol, and reports what each of them needed.
//
//	go run ./examples/probe
//	go run ./examples/probe -goal targeted -attack meta,square -budget 10000
//	go run ./examples/probe -victim my.safetensors -data ./pictures
//	go run ./examples/probe -victim http://localhost:8000/v2/models/net4 -journal run.journal
//
// Without flags it probes the MNIST classifier that comes with the library, on
// test images that do too. It prints a table and writes report.html. Ctrl-C stops
// it, and what is finished is reported; with -journal the same command goes on where
// it was, and pays for no query twice.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/mettleml/mettle/tensor"
)

// config is what the flags say.
type config struct {
	attacks, goal, data, victim string
	scores, token               string
	budget, n, workers, gather  int
	within, noise               float64
	preset                      string
	journal, out, json, report  string
	fsync, dry                  bool
	seed                        uint64
}

func flags(c *config) {
	flag.StringVar(&c.attacks, "attack", "", "attacks, separated by commas; all for every one, list to see them (default "+usual+"); of all and of the default those that do not fit are left out")
	flag.StringVar(&c.goal, "goal", "untargeted", "untargeted, or targeted (the class after the true one)")
	flag.IntVar(&c.budget, "budget", 5000, "queries an attack may spend on an image")
	flag.IntVar(&c.n, "n", 25, "images to attack, of those the victim gets right")
	flag.StringVar(&c.data, "data", "embedded", "embedded (MNIST test images that come with the library), mnist (all of them), or a directory of CLASS/*.png, classes in the victim's order when sorted")
	flag.StringVar(&c.victim, "victim", "", "a safetensors file whose metadata names model, classes and preprocess, or the address of a model that speaks the Open Inference Protocol; default: the embedded Net4")
	flag.StringVar(&c.scores, "scores", "logits", "with an address: what the model answers, logits, probabilities or log-probabilities")
	flag.StringVar(&c.token, "token", "", "with an address: bearer token")
	flag.StringVar(&c.preset, "preset", "paper", "of the meta attack: paper or frugal")
	flag.Float64Var(&c.within, "within", 3, "L2 distance within which the curves count a success")
	flag.IntVar(&c.workers, "workers", 0, "images attacked at a time; 0: one a processor")
	flag.IntVar(&c.gather, "gather", 0, "join the queries of images attacked at a time into calls of up to so many, which a server cannot recognise when they come again after a kill; 0: do not")
	flag.Float64Var(&c.noise, "noise", 0, "how far two answers of the victim to one image may differ, if it is noisy by design")
	flag.StringVar(&c.journal, "journal", "", "file that records every query, so that a run can be resumed; -ATTACK is put before its extension")
	flag.BoolVar(&c.fsync, "fsync", false, "flush the journal to the disk at every query")
	flag.StringVar(&c.out, "out", "", "directory for adversarial images, as PNG and npy, and their records")
	flag.StringVar(&c.json, "json", "", "file for the table's rows as JSON")
	flag.StringVar(&c.report, "report", "report.html", "page to write")
	flag.BoolVar(&c.dry, "dry-run", false, "look at the victim, say what the run may cost, and stop")
	flag.Uint64Var(&c.seed, "seed", 1, "of everything random")
	flag.Parse()
}

func main() {
	var c config
	flags(&c)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go func() { // a second Ctrl-C ends the program at once
		<-ctx.Done()
		stop()
	}()
	err := tensor.Try(func() error { return run(ctx, &c) })
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "\nprobe: stopped")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}
