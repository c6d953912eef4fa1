// Longtail trains a classifier on data of which a few classes have most samples, by
// several methods, and compares them by groups of classes.
//
//	go run ./examples/longtail
//	go run ./examples/longtail -data cifar100 -imbalance 100 -epochs 200 -method ce,balanced-softmax -seeds 2
//	go run ./examples/longtail -data DIR -model resnet10 -size 224 -json results.json
//
// Without flags it takes 2,479 images of MNIST, 1,000 of the first class and 10 of the
// last, and trains LeNet-5 by cross-entropy, by balanced softmax, by a classifier that is
// trained again (cRT), and by Divide and Retain. It prints a table and writes
// longtail.html. Every method has the same image-steps but for cRT, which has ten more
// epochs for its classifier.
//
// DIR has list files, lines of "path label" as Places-LT, ImageNet-LT and iNaturalist 2018
// are published, called something like train.txt and test.txt (val.txt if there is no
// test), or train/CLASS and test/CLASS with pictures.
//
// Ctrl-C stops it. The same command goes on from there and ends with the same bits; what is
// done already is not done again, also by another command that needs it.
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
	g.StringVar(&c.source.Root, "root", "", "directory that the paths of list files begin in; default: that of -data")
	g.IntVar(&c.source.Size, "size", 32, "pixels of a side that pictures in files get")
	g.Float64Var(&c.source.Imbalance, "imbalance", 0, "the largest class by the smallest, with an exponential profile between; 0: 100, and a directory as it is")
	g.IntVar(&c.source.Largest, "largest", 0, "samples of the largest class; 0: all, but 1000 of mnist and fashion")
	g.StringVar(&c.source.Draw, "draw", "first", "which samples of a class: first in the order of the file, or cao (those of LDAM-DRW's program)")
	g.BoolVar(&c.source.HeldOut, "validate", false, "test on a part of the training set that is held back, to choose settings by")

	g = f.Group("The methods")
	g.StringVar(&c.methods, "method", "ce,balanced-softmax,crt,divide-and-retain", "methods, separated by commas: "+strings.Join(recipes.Comparison, ", "))
	g.StringVar(&c.model, "model", "", "network, by its name in package models; default: lenet5 for gray pictures of 28x28, resnet32 for pictures of 32, resnet10 for larger ones")
	g.IntVar(&c.seeds, "seeds", 3, "runs of each method, with seeds from 1")

	g = f.Group("The recipe, one for all methods")
	g.IntVar(&c.epochs, "epochs", 0, "passes over the training set; 0: 200, but 40 of mnist and fashion. Divide and Retain takes as many image-steps")
	g.IntVar(&c.batch, "batch", 0, "samples per step; 0: 128, but 50 of mnist and fashion")
	g.Float64Var(&c.lr, "lr", 0, "highest learning rate; 0: 0.1, but 0.05 of mnist and fashion")
	g.Float64Var(&c.decay, "decay", suits, "weight decay; -1: 0.0005")
	g.StringVar(&c.schedule, "schedule", "", "of the learning rate: multistep (a hundredth after 0.8 and 0.9 of the steps) or cosine; default multistep")
	g.StringVar(&c.augment, "augment", "", "of training pictures: "+strings.Join(recipes.Augmentations, ", ")+"; default crop-flip, but crop of mnist")
	g.StringVar(&c.mix, "mix", "", "mixup or cutmix; default neither")

	g = f.Group("Divide and Retain")
	g.IntVar(&c.dual.Point, "point", 0, "head classes, the largest ones; 0: those with more than 100 samples")
	g.Float64Var(&c.dual.Share, "share", recipes.Literal.Share, "part of the image-steps that phase I takes")
	g.IntVar(&c.dual.Two.PerClass, "bank", 20, "exemplars of each head class; 0: as many as the largest tail class has")
	g.StringVar(&c.dual.Two.Rule, "rule", "herd", "how exemplars are chosen: herd, remaining, selected, nearest, random, k-center or k-medoids")
	g.StringVar(&c.dual.Two.Sampler, "sampler", "balanced", "of phase II: balanced, square-root or instance")
	g.StringVar(&c.dual.Two.Loss, "loss", "ce", "of phase II: ce or balanced-softmax")
	g.StringVar(&c.variant, "variant", "graph", "of the memory-retentive loss: graph, attended, relation, distances or features")
	g.Float64Var(&c.dual.Two.Lambda, "lambda", 1, "factor of the memory-retentive loss; 0: none")
	g.Float64Var(&c.dual.Two.Distill, "distill", 0, "factor of a loss that holds the head's logits (learning without forgetting, T = 2)")
	g.Float64Var(&c.dual.LR, "lr2", 0, "highest learning rate of phase II; 0: that of phase I")

	g = f.Group("What is written")
	g.StringVar(&c.out, "out", "longtail", "directory for results, networks and checkpoints")
	g.StringVar(&c.report, "report", "longtail.html", "page to write; \"\": none")
	g.StringVar(&c.json, "json", "", "file for the results: an array with an object for each run")
	g.IntVar(&c.probe, "probe", 1, "measure gradient distortion of ce and divide-and-retain every so many epochs, or 40 times if that is less; 0: not")
	g.IntVar(&c.threads, "threads", 0, "workers; 0: all processors. Results do not depend on it")
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
