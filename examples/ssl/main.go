// Ssl learns features without labels, and compares a classifier of long-tailed data with one
// that has self-supervision beside it (heterotopic ensembling, chapter 5 of the thesis).
//
//	go run ./examples/ssl
//	go run ./examples/ssl -arrangement base,initial,shared,generic,generic-specific -method byol
//	go run ./examples/ssl -data cifar10 -model resnet32 -epochs 200 -json results.json
//	go run ./examples/ssl -stage pretrain -data cifar10 -model resnet20 -method simclr -epochs 100 -file simclr.safetensors
//	go run ./examples/ssl -stage probe -data cifar10 -file simclr.safetensors
//	go run ./examples/ssl -stage finetune -data cifar10 -from simclr.safetensors -file tuned.safetensors
//	go run ./examples/ssl -stage strip -from ssl/nets/mnist-generic-specific-simclr-1-HASH.safetensors -file net.safetensors
//
// Without flags it takes 2,478 images of MNIST, 1,000 of the first class and 10 of the last,
// trains a small network alone and with SimCLR beside it, prints a table and writes ssl.html.
//
// The text of the chapter is not known: arrangement and filter, weights and the default
// method are a reconstruction, see package ssl.
//
// Ctrl-C stops it. The same command goes on from there and ends with the same bits.
package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/mettleml/mettle/examples/internal/cli"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/ssl"
	"github.com/mettleml/mettle/tensor"
)

// config is what the flags say.
type config struct {
	source                        recipes.Source
	stage, model, method          string
	arrangements, mi, attach      string
	filter                        string
	minimize, share, dagger       bool
	random                        bool
	lambda, beta, temperature, lr float64
	decay                         float64
	epochs, batch, queue, seeds   int
	from, file, out, report, json string
	threads                       int
}

func parse(c *config) {
	var f cli.Flags
	g := f.Group("What")
	g.StringVar(&c.stage, "stage", "compare", "compare (arrangements), pretrain, probe, finetune or strip")
	g.StringVar(&c.method, "method", "simclr", "self-supervised method: "+strings.Join(ssl.Names(), ", "))
	g.StringVar(&c.model, "model", "", "network, by its name in package models, or small (for gray pictures of 28x28, their default); default: resnet20 for pictures of 32, resnet10 for larger ones")
	g.StringVar(&c.arrangements, "arrangement", recipes.Base+",generic-specific", "arrangements for stage compare, separated by commas: base, initial, shared, generic, generic-specific (figure 5.3)")
	g.BoolVar(&c.dagger, "dagger", true, "compare: train the classifier again at the end, balanced over classes (cRT), and show both")

	g = f.Group("The data")
	g.StringVar(&c.source.Data, "data", "mnist", "mnist, fashion, cifar10, cifar100 (in METTLE_DATA), or a directory with list files or with train/CLASS and test/CLASS")
	g.StringVar(&c.source.Root, "root", "", "root directory of the paths in list files; default: that of -data")
	g.IntVar(&c.source.Size, "size", 32, "height and width in pixels to which pictures in files are resized")
	g.Float64Var(&c.source.Imbalance, "imbalance", 0, "largest class divided by the smallest; 0 means 100, or for a directory its own profile")
	g.IntVar(&c.source.Largest, "largest", 0, "samples of the largest class; 0 means all, or 1000 for mnist and fashion")
	g.BoolVar(&c.source.HeldOut, "validate", false, "test on a held-back part of the training set, to choose settings")

	g = f.Group("How")
	g.IntVar(&c.epochs, "epochs", 0, "passes over the training set; 0 means 200, or 30 for gray pictures. The arrangement initial has as many again before")
	g.IntVar(&c.batch, "batch", 0, "samples per step; 0 means 128, or 64 for gray pictures")
	g.Float64Var(&c.lr, "lr", 0, "largest learning rate, which falls to 0 along a cosine; 0 means 0.1, or 0.05 for gray pictures, and the method's default for self-supervision alone")
	g.Float64Var(&c.decay, "decay", suits, "weight decay; -1 means 5e-4, and the method's default for self-supervision alone")
	g.IntVar(&c.seeds, "seeds", 1, "runs of each arrangement, with seeds from 1")
	g.Float64Var(&c.temperature, "temperature", own, "temperature of contrastive methods; -1 means the method's default")
	g.BoolVar(&c.random, "random-turns", false, "method rotation: rotate each sample once, instead of by all four multiples")
	g.IntVar(&c.queue, "queue", 0, "keys that MoCo keeps, a multiple of -batch; 0 means at most half of the training set and at most 4096")

	g = f.Group("Heterotopic ensembling")
	g.Float64Var(&c.lambda, "lambda", 0.5, "weight of the self-supervised loss")
	g.Float64Var(&c.beta, "beta", 0.1, "weight of the term of mutual information")
	g.StringVar(&c.mi, "mi", "infonce", "bound of mutual information: "+strings.Join(ssl.Bounds, ", "))
	g.BoolVar(&c.minimize, "minimize", false, "minimise mutual information, which needs -mi vclub; by default it is maximised")
	g.StringVar(&c.attach, "attach", "last", "stage whose map the filter takes: last, penultimate or a name")
	g.StringVar(&c.filter, "filter", "auto", "auto, plain, bottleneck or identity")
	g.BoolVar(&c.share, "share-view", false, "give the classifier the first strong view instead of a weak view")

	g = f.Group("Files")
	g.StringVar(&c.from, "from", "", "network to begin with: stages finetune, which takes its backbone, and strip")
	g.StringVar(&c.file, "file", "", "network to write, or for stage probe to read; default NAME.safetensors in -out")
	g.StringVar(&c.out, "out", "ssl", "directory for networks, results and checkpoints")
	g.StringVar(&c.report, "report", "ssl.html", "page to write; \"\" means none")
	g.StringVar(&c.json, "json", "", "file for the results: a JSON array with one object per run, with the fields of the program longtail and arrangement, knn and others")
	g.IntVar(&c.threads, "threads", 0, "workers; 0 means all processors. Results do not depend on it")
	f.Parse()
}

// own is the temperature that stands for the method's, and suits the decay that does.
const own, suits = -1, -1

// check says which number cannot be meant.
func (c *config) check() error {
	if c.temperature != own && !(c.temperature > 0) {
		return fmt.Errorf("-temperature %v: a number above 0", c.temperature)
	}
	return cmp.Or(cli.AtLeast("size", c.source.Size, 8), cli.AtLeast("imbalance", c.source.Imbalance, 0), cli.AtLeast("largest", c.source.Largest, 0),
		cli.AtLeast("epochs", c.epochs, 0), cli.AtLeast("batch", c.batch, 0), cli.AtLeast("lr", c.lr, 0), cli.AtLeast("decay", c.decay, suits),
		cli.AtLeast("seeds", c.seeds, 1), cli.AtLeast("queue", c.queue, 0), cli.AtLeast("lambda", c.lambda, 0), cli.AtLeast("beta", c.beta, 0),
		cli.AtLeast("threads", c.threads, 0))
}

func main() {
	var c config
	parse(&c)
	tensor.SetWorkers(c.threads)
	cli.Main("ssl", "stopped; the same command goes on from here", func(ctx context.Context) error { return run(ctx, &c) })
}

func run(ctx context.Context, c *config) error {
	if err := c.check(); err != nil {
		return err
	}
	if ssl.ViewsOf(c.method) == 0 {
		return fmt.Errorf("-method %s: there are %s", c.method, strings.Join(ssl.Names(), ", "))
	}
	switch c.stage {
	case "compare":
		return compare(ctx, c)
	case "pretrain":
		return pretrain(ctx, c)
	case "probe":
		return probe(ctx, c)
	case "finetune":
		return finetune(ctx, c)
	case "strip":
		return strip(c)
	}
	return fmt.Errorf("-stage %s: there are compare, pretrain, probe, finetune and strip", c.stage)
}
