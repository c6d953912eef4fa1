// Longtail trains a classifier on long-tailed data by several methods, and compares them by
// groups of classes.
//
//	go run ./examples/longtail
//	go run ./examples/longtail -data cifar100 -imbalance 100 -epochs 200 -method ce,balanced-softmax -seeds 2
//	go run ./examples/longtail -data DIR -model resnet10 -size 224 -json results.json
//
// Without flags it takes 2,478 images of MNIST, 1,000 of the first class and 10 of the
// last, and trains LeNet-5 by cross-entropy, by balanced softmax, by a classifier that is
// trained again (cRT), and by Divide and Retain. It prints a table and writes
// longtail.html. Every method takes the same number of image-steps, except cRT, which takes
// ten more epochs for its classifier.
//
// DIR has list files, lines of "path label" as Places-LT, ImageNet-LT and iNaturalist 2018
// are published, called something like train.txt and test.txt (val.txt if there is no
// test), or train/CLASS and test/CLASS with pictures.
//
// Ctrl-C stops it. The same command resumes and ends with the same bits. Finished runs are
// reused, by other commands too.
package main

import (
	"context"
	"errors"
	"strings"

	"github.com/mettleml/mettle/examples/internal/cli"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/tensor"
)

// config is what the flags say.
type config struct {
	source            recipes.Source
	model, methods    string
	seeds             int
	epochs, batch     int
	lr, decay         float64
	schedule          string
	augment, mix      string
	dual              recipes.Dual
	variant           string
	probe             int
	out, report, json string
	threads           int

	onStep func() // for tests; may be nil
}

// suits is the weight decay that stands for what suits the data.
const suits = -1

// parse reads the flags, which -help shows in groups.
func parse(c *config) {
	var f cli.Flags
	g := f.Group("The data")
	g.StringVar(&c.source.Data, "data", "mnist", "mnist, fashion, cifar10, cifar100 (in METTLE_DATA), or a directory with list files or with train/CLASS and test/CLASS")
	g.StringVar(&c.source.Root, "root", "", "root directory of the paths in list files; default: that of -data")
	g.IntVar(&c.source.Size, "size", 32, "height and width in pixels to which pictures in files are resized")
	g.Float64Var(&c.source.Imbalance, "imbalance", 0, "largest class divided by the smallest, with an exponential profile; 0 means 100, or for a directory its own profile")
	g.IntVar(&c.source.Largest, "largest", 0, "samples of the largest class; 0 means all, or 1000 for mnist and fashion")
	g.StringVar(&c.source.Draw, "draw", "first", "which samples of a class: first in the order of the file, or cao (those of LDAM-DRW's program)")
	g.BoolVar(&c.source.HeldOut, "validate", false, "test on a held-back part of the training set, to choose settings")

	g = f.Group("The methods")
	g.StringVar(&c.methods, "method", "ce,balanced-softmax,crt,divide-and-retain", "methods, separated by commas: "+strings.Join(recipes.Comparison, ", "))
	g.StringVar(&c.model, "model", "", "network, by its name in package models; default: lenet5 for gray pictures of 28x28, resnet32 for pictures of 32, resnet10 for larger ones")
	g.IntVar(&c.seeds, "seeds", 3, "runs of each method, with seeds from 1")

	g = f.Group("The recipe, one for all methods")
	g.IntVar(&c.epochs, "epochs", 0, "passes over the training set; 0 means 200, or 40 for mnist and fashion. Divide and Retain takes the same number of image-steps")
	g.IntVar(&c.batch, "batch", 0, "samples per step; 0 means 128, or 50 for mnist and fashion")
	g.Float64Var(&c.lr, "lr", 0, "largest learning rate; 0 means 0.1, or 0.05 for mnist and fashion")
	g.Float64Var(&c.decay, "decay", suits, "weight decay; -1 means 0.0005")
	g.StringVar(&c.schedule, "schedule", "", "schedule of the learning rate: multistep (multiplied by 0.01 after 0.8 and 0.9 of the steps) or cosine; default multistep")
	g.StringVar(&c.augment, "augment", "", "augmentation of training pictures: "+strings.Join(recipes.Augmentations, ", ")+"; default crop-flip, or crop for mnist")
	g.StringVar(&c.mix, "mix", "", "mixup or cutmix; default neither")

	g = f.Group("Divide and Retain")
	g.IntVar(&c.dual.Point, "point", 0, "number of head classes, the largest ones; 0 means those with more than 100 samples")
	g.Float64Var(&c.dual.Share, "share", recipes.Literal.Share, "share of the image-steps for phase I")
	g.IntVar(&c.dual.Two.PerClass, "bank", 20, "exemplars per head class; 0 means as many as the largest tail class has")
	g.StringVar(&c.dual.Two.Rule, "rule", "herd", "selection of exemplars: herd, remaining, selected, nearest, random, k-center or k-medoids")
	g.StringVar(&c.dual.Two.Sampler, "sampler", "balanced", "sampler of phase II: balanced, square-root or instance")
	g.StringVar(&c.dual.Two.Loss, "loss", "ce", "classification loss of phase II: ce or balanced-softmax")
	g.StringVar(&c.variant, "variant", "graph", "variant of the memory-retentive loss: graph, attended, relation, distances or features")
	g.Float64Var(&c.dual.Two.Lambda, "lambda", 1, "factor of the memory-retentive loss; 0 means none")
	g.Float64Var(&c.dual.Two.Distill, "distill", 0, "factor of a loss that retains the head's logits (learning without forgetting, T = 2)")
	g.Float64Var(&c.dual.LR, "lr2", 0, "largest learning rate of phase II; 0 means that of phase I")

	g = f.Group("What is written")
	g.StringVar(&c.out, "out", "longtail", "directory for results, networks and checkpoints")
	g.StringVar(&c.report, "report", "longtail.html", "page to write; \"\" means none")
	g.StringVar(&c.json, "json", "", "file for the results: a JSON array with one object per run")
	g.IntVar(&c.probe, "probe", 1, "epochs between measurements of gradient distortion in ce and divide-and-retain, at most 40 measurements; 0 means none")
	g.IntVar(&c.threads, "threads", 0, "number of workers; 0 means all processors. Results do not depend on it")
	f.Parse()
}

func main() {
	var c config
	parse(&c)
	tensor.SetWorkers(c.threads)
	cli.Main("longtail", "stopped; the same command goes on from here", func(ctx context.Context) error {
		err := run(ctx, &c)
		if err != nil && ctx.Err() == nil { // the package has the program's name
			return errors.New(strings.TrimPrefix(err.Error(), "longtail: "))
		}
		return err
	})
}
