// Probe attacks an image classifier by queries alone, with several attacks under
// one protocol, and reports what each of them needed.
//
//	go run ./examples/probe
//	go run ./examples/probe -goal targeted -attack meta,square -budget 10000
//	go run ./examples/probe -victim my.safetensors -data ./pictures
//	go run ./examples/probe -victim my.safetensors -data mnist -attack autoattack -eps 0.3 -n 1000 -robust robust.json
//	go run ./examples/probe -victim http://localhost:8000/v2/models/net4 -journal run.journal
//
// Without flags it probes the MNIST classifier that comes with the library, on
// test images that do too. It prints a table and writes report.html. Ctrl-C stops
// it, and what is finished is reported. With -journal the same command goes on where
// it was, and pays for no query twice: neither for those of the attacks, nor, once it is
// done, for the look at the victim before them, whose outcome is kept in a file beside
// the journals.
package main

import (
	"context"
	"flag"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/cli"
)

// config is what the flags say.
type config struct {
	victim, shape, data        string
	classMap                   string
	resize                     int
	orient                     bool
	n                          int
	goal, attacks, norm        string
	budget                     int
	preset, attacker, decoder  string
	options                    string
	eps, step, within, noise   float64
	remote                     remote
	report, json, out, journal string
	robust                     string
	budgetGiven                bool
	fsync, dry                 bool
	workers, gather            int
	seed                       uint64
}

// parse reads the flags, which -help shows in groups.
func parse(c *config) {
	var flags cli.Flags
	g := flags.Group("The victim and the images")
	g.StringVar(&c.victim, "victim", "", "a safetensors file whose metadata names model, classes and preprocess, or the address of a model that speaks the Open Inference Protocol; default: the embedded Net4")
	g.StringVar(&c.shape, "shape", "", "of an image, such as 3,224,224; for a victim that resizes or does not say")
	g.StringVar(&c.data, "data", "embedded", "embedded (MNIST test images that come with the library), mnist (all of them), or a directory of CLASS/*.png (or .jpg), where CLASS is the name of one of the victim's classes if its file tells them (class_names), or else its number from 0; other names must be as many as the classes, and are taken in sorted order")
	g.StringVar(&c.classMap, "class-map", "", "file that says which classes the directories of -data hold: lines of DIRECTORY CLASS (n01440764 tench, or n01440764 0), the names of all classes in order, or JSON")
	g.IntVar(&c.resize, "resize", 0, "pixels that the shorter side of a picture of -data becomes before its middle is cut out, such as 256 for a victim of 224; 0: take the largest part in the middle and resize that")
	g.BoolVar(&c.orient, "orient", false, "turn pictures of -data as their Exif data say; without it they are taken as they are stored, as most networks were trained")
	g.IntVar(&c.n, "n", 25, "images to attack, of those the victim gets right")
	g.Float64Var(&c.noise, "noise", 0, "how far two answers of the victim to one image may differ, if it is noisy by design")

	g = flags.Group("The attacks")
	g.StringVar(&c.attacks, "attack", "", "attacks, separated by commas; all for every one that needs no gradients, list to see them (default "+usual+"); of all and of the default those that do not fit are left out")
	g.StringVar(&c.goal, "goal", "untargeted", "untargeted, or targeted (the class after the true one)")
	g.IntVar(&c.budget, "budget", 5000, "queries an attack may spend on an image; autoattack has what it needs unless this is given")
	g.StringVar(&c.norm, "norm", "", "of the attacks that stay in a ball: L2, Linf, or L1 for those that have it; default L2, and Linf for attacks with gradients such as autoattack")
	g.Float64Var(&c.eps, "eps", 0, "radius for the attacks that stay in a ball; 0 if given means exactly 0, else 2 in L2, 0.3 in Linf and 10 in L1 for gray images, and 1, 8/255 and 12 for colour")
	g.StringVar(&c.options, "options", "", `options of attacks that go before all others, as JSON: {"square": {"P": 0.2}, "meta": {"Loss": "margin"}}; the names are the fields of the attack's struct`)
	g.Float64Var(&c.step, "step", 0, "of the finite differences of meta and zoo; take a larger one for a victim that rounds its scores or its pixels (UINT8: 0.004 or more); 0: 1e-4")
	g.StringVar(&c.attacker, "attacker", "", "meta attacker, as examples/train -stage meta writes it; default: the one that comes with the library, for 28x28 gray images")
	g.StringVar(&c.preset, "preset", "", "of the meta attack: paper, paper-cifar10, paper-tiny or frugal; default: paper for gray images, for colour the one for images of about that size")
	g.StringVar(&c.decoder, "decoder", "", "auto-encoder for autozoom-ae, as examples/train -stage autoencoder writes it; default: the one that comes with the library, for 28x28 gray images")
	g.Uint64Var(&c.seed, "seed", 1, "of everything random")
	g.IntVar(&c.workers, "workers", 0, "images attacked at a time; 0: one a processor")
	g.IntVar(&c.gather, "gather", 0, "join the queries of images attacked at a time into calls of up to so many, which a server cannot recognise when they come again after a kill; 0: do not")

	g = flags.Group("A victim at an address")
	c.remote.flags(g)

	g = flags.Group("What is written")
	g.StringVar(&c.report, "report", "report.html", "page to write")
	g.Float64Var(&c.within, "within", 0, "L2 distance within which the page's curves count a success; 0: one that 95 % of the successes lie within")
	g.StringVar(&c.json, "json", "", "file for the table's rows as JSON; what there is no success to average over is null")
	g.StringVar(&c.robust, "robust", "", "file for what autoattack left standing, as JSON: clean and robust accuracy, and that after each of its attacks")
	g.StringVar(&c.out, "out", "", "directory for adversarial images, as PNG and npy, and their records")
	g.StringVar(&c.journal, "journal", "", "file that records every query, so that a run can be resumed: -ATTACK is put before its extension, and what was found before the attacks is kept beside it in NAME-look.json")
	g.BoolVar(&c.fsync, "fsync", false, "flush the journal to the disk at every query")
	g.BoolVar(&c.dry, "dry-run", false, "look at the victim, say what the run may cost, and stop")

	flags.Parse()
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "eps" && c.eps == 0 {
			c.eps = attack.Zero
		}
		c.budgetGiven = c.budgetGiven || f.Name == "budget"
	})
}

func main() {
	var c config
	parse(&c)
	cli.Main("probe", "stopped", func(ctx context.Context) error { return run(ctx, &c) })
}
