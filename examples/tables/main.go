// Tables runs the experiments of the thesis and writes its tables and figures as Markdown
// and SVG: 2.1 to 2.8 and figures 2.1 to 2.3 of chapter 2, of chapter 4 tables 4.1, 4.5, 4.7 to
// 4.9 and figures 4.2 and 4.6 to 4.8, and of chapter 5 tables 5.1 to 5.3, 5.5, 5.8 and 5.9 and
// figures 5.1 and 5.4 to 5.7.
//
//	go run ./examples/train -stage sources -data mnist
//	go run ./examples/train -stage meta -data mnist
//	go run ./examples/tables -chapter 2 -only 2.4,2.5
//	go run ./examples/tables -chapter 2 -data DIR -weights DIR -out DIR -n 100
//	go run ./examples/tables -chapter 3 -data CLIPS -victim FILE,FILE -n 100
//	go run ./examples/tables -chapter 4 -data cifar100
//	go run ./examples/tables -chapter 4 -data DIR -root PICTURES -size 224 -victim resnet10 -epochs 90
//	go run ./examples/tables -chapter 5 -data cifar100
//	go run ./examples/tables -chapter 5 -data DIR -root PICTURES -size 224 -victim resnet50 -epochs 90
//
// Chapter 4 trains networks: about 75 million image-steps on CIFAR100-LT, a day on two
// cores. The run chooses weight decay and all settings of Divide and Retain on held-out
// data. It does the parts of the plan in the order of their importance and writes the page
// after each. A run that is killed loses at most one epoch. DIR has list files, such as
// those of Places-LT.
//
// Chapter 5 works in the same way, and first prints the cost of its parts. On CIFAR100-LT
// they take about 30 million image-steps with 40 epochs of the classifier, the default. The
// first 3 million are two seeds of the base and of the whole method. The pictures of figure
// 5.1 are from the data set: the program writes them beside the page for the user; do not
// publish them.
//
// Every piece of a run of chapter 2, an attack on up to a hundred images of one victim, is
// kept in OUT/cells under a name that depends on all its settings. After Ctrl-C the same
// command resumes from there, and a command for other tables or more images repeats
// nothing. The name does not depend on the code: empty OUT/cells after a change of an
// attack.
package main

import (
	"context"

	"github.com/mettleml/mettle/examples/internal/cli"
)

// config is what the flags say.
type config struct {
	chapter                   int
	data, root, weights, out  string
	only, rows                string
	sources, victim, transfer string
	n, slow, sweep, victims   int
	budget, estimated         int
	workers                   int
	seed                      uint64
	cached                    bool
	epochs, size              int
	test, network, method     string
	stride                    int
	eps                       float64
}

func flags(c *config) {
	var f cli.Flags
	g := f.Group("Tables and data")
	g.IntVar(&c.chapter, "chapter", 2, "chapter of the thesis: 2 to 5")
	g.StringVar(&c.data, "data", "mnist", "mnist, fashion, cifar10, cifar100, tiny (in METTLE_DATA), or a directory of train/CLASS and test/CLASS with RGB pictures of 32x32; chapters 4 and 5: also one with list files")
	g.StringVar(&c.root, "root", "", "chapters 4 and 5: root directory of the paths in list files; default: that of -data")
	g.IntVar(&c.size, "size", 32, "chapters 4 and 5: height and width in pixels to which pictures in files are resized")
	g.StringVar(&c.test, "test", "", "chapter 3: groups of the videos of -data that clips are taken from, such as 1,2,3; default: all")
	g.IntVar(&c.stride, "stride", 1, "chapter 3: distance between two frames of a clip, in frames of the video")
	g.Float64Var(&c.eps, "eps", 0.03, "chapter 3: Linf radius")
	g.StringVar(&c.only, "only", "all", "tables and figures, such as 2.4,2.6,f2.1; frugal varies the settings of the presets frugal and lean. Chapters 4 and 5: parts of the plan, such as search 1")
	g.StringVar(&c.rows, "rows", "all", "attacks of tables 2.4 and 2.5, separated by commas; NAME:N attacks N images only, such as all,autozoom:100")
	g.StringVar(&c.out, "out", "tables", "directory for the page (such as chapter2-DATA.md), the figures and the cells")
	g.BoolVar(&c.cached, "cached", false, "attack and train nothing: show the results in OUT/cells")

	g = f.Group("The networks")
	g.StringVar(&c.weights, "weights", "", "directory of weights from examples/train; default meta-DATA")
	g.StringVar(&c.sources, "sources", "", "table 2.3: source models of the meta attacker; default: those for the data")
	g.StringVar(&c.victim, "victim", "", "model to attack, or in chapters 4 and 5 to train; default: the one for the data. Chapter 3: files of networks for clips, separated by commas")
	g.StringVar(&c.transfer, "transfer", "", "file of a meta attacker trained on another data set, for an additional row")
	g.IntVar(&c.estimated, "estimated", 200, "tables 2.7 and 2.8: images per source of the attacker trained on estimated gradients")

	g.StringVar(&c.method, "method", "", "chapter 5: self-supervised method of the rows; default: rotation, or moco2 for pictures of more than 64 pixels")
	g.StringVar(&c.network, "network", "", "chapter 3: file of a network for images, for v-bad")

	g = f.Group("How much")
	g.IntVar(&c.n, "n", 1000, "number of test images to attack: the first that the victim classifies correctly")
	g.IntVar(&c.epochs, "epochs", 0, "chapters 4 and 5: epochs of a joint training; 0 means 200 and 40. What only ranks settings has a part of them")
	g.IntVar(&c.slow, "slow", 100, "number of test images for the attacks with a budget of 50,000 queries")
	g.IntVar(&c.sweep, "sweep", 100, "number of test images per victim for tables 2.7 and 2.8, and per setting of figure 2.3")
	g.IntVar(&c.victims, "victims", 3, "number of victims to attack: the held-out network trained from this many seeds")
	g.IntVar(&c.budget, "budget", 0, "query budget of all attacks per image; 0 means that of the attack's row")
	g.IntVar(&c.workers, "workers", 32, "number of images attacked at the same time; their queries are joined")
	g.Uint64Var(&c.seed, "seed", 1, "seed of all randomness")
	f.Parse()
}

func main() {
	var c config
	flags(&c)
	cli.Main("tables", "stopped; the same command goes on from the cells that are done", func(ctx context.Context) error {
		switch c.chapter {
		case 3:
			return chapter3(ctx, &c)
		case 4:
			return chapter4(ctx, &c)
		case 5:
			return chapter5(ctx, &c)
		}
		return run(ctx, &c)
	})
}
