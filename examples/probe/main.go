// Probe attacks an image classifier by queries alone, with several attacks under one
// protocol, and reports the queries and the distance of each attack.
//
//	go run ./examples/probe
//	go run ./examples/probe -goal targeted -attack meta,square -budget 10000
//	go run ./examples/probe -victim my.safetensors -data ./pictures
//	go run ./examples/probe -victim my.safetensors -data mnist -attack autoattack -eps 0.3 -n 1000 -robust robust.json
//	go run ./examples/probe -victim http://localhost:8000/v2/models/net4 -journal run.journal
//
// Without flags it probes the embedded MNIST classifier on embedded test images. It prints
// a table and writes report.html. Ctrl-C stops it; it then reports the finished samples.
// With -journal the same command resumes a stopped run and sends no answered query again.
// This includes the check of the victim before the attacks, which is kept in a file beside
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
	g.StringVar(&c.shape, "shape", "", "shape of an image, such as 3,224,224, for a victim that resizes or does not state it")
	g.StringVar(&c.data, "data", "embedded", "embedded (some MNIST test images), mnist (all of them, from METTLE_DATA), or a directory of CLASS/*.png (or .jpg). CLASS is the name of a class if the victim's file has class_names, or a class number from 0. Other names are sorted, and there must be one per class")
	g.StringVar(&c.classMap, "class-map", "", "file that gives the classes of the directories of -data: lines of DIRECTORY CLASS (n01440764 tench, or n01440764 0), the names of all classes in order, or JSON")
	g.IntVar(&c.resize, "resize", 0, "new length in pixels of the shorter side of a picture of -data, before its middle is cropped, such as 256 for a victim of 224x224; 0 means to crop the largest part in the middle and resize it")
	g.BoolVar(&c.orient, "orient", false, "rotate pictures of -data as their Exif data say; most networks were trained without")
	g.IntVar(&c.n, "n", 25, "number of images to attack, of those that the victim classifies correctly")
	g.Float64Var(&c.noise, "noise", 0, "allowed difference between two answers to one image, for a victim that is noisy by design")

	g = flags.Group("The attacks")
	g.StringVar(&c.attacks, "attack", "", "attacks, separated by commas; all means every one without gradients, list prints them (default "+usual+"); all and the default leave out attacks that do not fit")
	g.StringVar(&c.goal, "goal", "untargeted", "untargeted, or targeted (the class after the true one)")
	g.IntVar(&c.budget, "budget", 5000, "query budget per image; without this flag autoattack gets what it needs")
	g.StringVar(&c.norm, "norm", "", "norm of the attacks in a ball: L2, Linf, or L1 for those that have it; default: Linf for attacks with gradients such as autoattack, else L2")
	g.Float64Var(&c.eps, "eps", 0, "radius of the attacks in a ball; an explicit 0 means exactly 0; default: 2 in L2, 0.3 in Linf and 10 in L1 for gray images, and 1, 8/255 and 12 for colour")
	g.StringVar(&c.options, "options", "", `options of attacks as JSON, which override all other flags: {"square": {"P": 0.2}, "meta": {"Loss": "margin"}}; the names are the fields of the attack's struct`)
	g.Float64Var(&c.step, "step", 0, "step of the finite differences of meta and zoo; take a larger one for a victim that rounds its scores or its pixels (UINT8: 0.004 or more); 0 means 1e-4")
	g.StringVar(&c.attacker, "attacker", "", "file of a meta attacker from examples/train -stage meta; default: the embedded one, for 28x28 gray images")
	g.StringVar(&c.preset, "preset", "", "preset of the meta attack: paper, paper-cifar10, paper-tiny, frugal or lean; default: paper for gray images, and for colour the one for about that size")
	g.StringVar(&c.decoder, "decoder", "", "file of an auto-encoder for autozoom-ae from examples/train -stage autoencoder; default: the embedded one, for 28x28 gray images")
	g.Uint64Var(&c.seed, "seed", 1, "seed of all randomness")
	g.IntVar(&c.workers, "workers", 0, "number of images attacked at the same time; 0 means one per processor")
	g.IntVar(&c.gather, "gather", 0, "join the queries of several images into calls of up to this many; a server cannot recognise such a call when it is repeated after a kill; 0 means separate calls")

	g = flags.Group("A victim at an address")
	c.remote.flags(g)

	g = flags.Group("What is written")
	g.StringVar(&c.report, "report", "report.html", "page to write")
	g.Float64Var(&c.within, "within", 0, "L2 distance within which the page's curves count a success; 0 means the distance of 95 % of the successes")
	g.StringVar(&c.json, "json", "", "file for the table's rows as JSON; a mean without a success is null")
	g.StringVar(&c.robust, "robust", "", "file for robust accuracy under autoattack as JSON: clean accuracy, robust accuracy, and that after each of its attacks")
	g.StringVar(&c.out, "out", "", "directory for adversarial images, as PNG and npy, and their records")
	g.StringVar(&c.journal, "journal", "", "file that records every query, so that a run can be resumed; -ATTACK is inserted before its extension, and the check of the victim is kept beside it in NAME-look.json")
	g.BoolVar(&c.fsync, "fsync", false, "flush the journal to the disk at every query")
	g.BoolVar(&c.dry, "dry-run", false, "check the victim, print what the run may cost, and stop")

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
