// Tables runs the experiments of the thesis's chapter 2 and writes its tables 2.1 to
// 2.8 and its figures 2.1 to 2.3 as Markdown and SVG.
//
//	go run ./examples/train -stage sources -data mnist
//	go run ./examples/train -stage meta -data mnist
//	go run ./examples/tables -chapter 2 -only 2.4,2.5
//	go run ./examples/tables -chapter 2 -data DIR -weights DIR -out DIR -n 100
//
// Every piece of a run, an attack on up to a hundred images of one victim, is kept
// in OUT/cells under a name that follows from all that determines it. The same
// command after Ctrl-C goes on from there, and one that asks for other tables, or
// for more images, repeats nothing. What does not determine a name is the code:
// empty OUT/cells after a change of an attack.
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
	chapter                   int
	data, weights, out        string
	only, rows                string
	sources, victim, transfer string
	n, slow, sweep, victims   int
	budget, estimated         int
	workers                   int
	seed                      uint64
	cached                    bool
}

func flags(c *config) {
	flag.IntVar(&c.chapter, "chapter", 2, "of the thesis; there is 2")
	flag.StringVar(&c.data, "data", "mnist", "mnist, fashion, cifar10, tiny (in METTLE_DATA), or a directory of train/CLASS and test/CLASS with RGB pictures of 32x32")
	flag.StringVar(&c.weights, "weights", "", "directory of the weights that examples/train makes; default meta-DATA")
	flag.StringVar(&c.out, "out", "tables", "directory for chapter2-DATA.md, the figures and the cells")
	flag.StringVar(&c.only, "only", "all", "tables and figures, such as 2.4,2.6,f2.1; frugal shows the neighbourhood of that preset")
	flag.StringVar(&c.rows, "rows", "all", "attacks of tables 2.4 and 2.5, separated by commas; NAME:N attacks N images only, such as all,autozoom:100")
	flag.IntVar(&c.n, "n", 1000, "test images to attack: the first that the victim gets right")
	flag.IntVar(&c.slow, "slow", 100, "test images for the attacks whose budget is 50,000 queries")
	flag.IntVar(&c.sweep, "sweep", 100, "test images of each victim for tables 2.7 and 2.8, and for each setting of figure 2.3")
	flag.IntVar(&c.victims, "victims", 3, "victims to attack: the held-out network trained from so many seeds")
	flag.IntVar(&c.budget, "budget", 0, "most queries of any attack on an image; 0: what the attack's row says")
	flag.IntVar(&c.estimated, "estimated", 200, "tables 2.7 and 2.8: images a source of the attacker learned from estimated gradients")
	flag.StringVar(&c.sources, "sources", "", "table 2.3: models that taught the meta attacker; default: those for the pictures")
	flag.StringVar(&c.victim, "victim", "", "model to attack; default: that for the pictures")
	flag.StringVar(&c.transfer, "transfer", "", "file of a meta attacker trained on another data set, for another row")
	flag.IntVar(&c.workers, "workers", 32, "images attacked at a time; their queries go to the victim together")
	flag.Uint64Var(&c.seed, "seed", 1, "of everything random")
	flag.BoolVar(&c.cached, "cached", false, "attack nothing: show what OUT/cells holds")
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
		fmt.Fprintln(os.Stderr, "\ntables: stopped; the same command goes on from the cells that are done")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "tables:", err)
		os.Exit(1)
	}
}
