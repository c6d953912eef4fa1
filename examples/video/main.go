// Video attacks a classifier of clips by queries alone, with the Motion-Excited Sampler and
// what it is compared with, and reports what each attack needed.
//
//	go run ./examples/video
//	go run ./examples/video -attack motion-excited,geo-trap -goal targeted -budget 20000
//	go run ./examples/video -victim tsn.safetensors -data ./clips -test 1,2,3
//	go run ./examples/video -victim http://localhost:8000/v2/models/c3d -shape 16,3,112,112 -data ./clips
//
// Without flags it attacks the network for moving digits that comes with the library: a
// digit moves over a still background, the class is how it moves, and one frame tells
// nothing. It prints a table and writes video.html, a page with the clips, their motion
// maps and what was added to them as small animations. Ctrl-C stops it, and what is
// finished is reported. With -journal the same command goes on where it was.
package main

import (
	"context"

	"github.com/mettleml/mettle/examples/internal/cli"
)

// config is what the flags say.
type config struct {
	victim, shape, scores, preprocess string
	data, test                        string
	n, stride                         int

	attacks, options, network string
	goal                      string
	eps                       float64
	budget, block             int

	report, json, out, journal string
	seed                       uint64
}

// usual are the attacks without -attack.
const usual = "motion-excited,motion-excited:per-frame,motion-excited:frugal,one-noise,multi-noise,geo-trap,e-square"

func parse(c *config) {
	var flags cli.Flags
	g := flags.Group("The victim and the clips")
	g.StringVar(&c.victim, "victim", "", "a safetensors file as examples/train writes it, or the address of a model that speaks the Open Inference Protocol; default: the network for moving digits that comes with the library")
	g.StringVar(&c.shape, "shape", "", "of a clip as T,C,H,W, such as 16,3,112,112; for a victim that does not say")
	g.StringVar(&c.scores, "scores", "logits", "what a model at an address answers: logits, probabilities or log-probabilities")
	g.StringVar(&c.preprocess, "preprocess", "", `from clips [T, C, H, W] in [0,1] to what a model at an address takes, as JSON: {"CTHW": true, "Mean": [0.5, 0.5, 0.5]}`)
	g.StringVar(&c.data, "data", "moving", "moving (digits, made by the program), or a directory of CLASS/*.avi (or other videos, or directories of pictures)")
	g.StringVar(&c.test, "test", "", "groups of the videos of -data to take clips from, such as 1,2,3 (NAME_g01_c02.avi is of group 1); default: all")
	g.IntVar(&c.stride, "stride", 1, "take every so many-th frame of a video")
	g.IntVar(&c.n, "n", 8, "clips to attack, of those the victim gets right")

	g = flags.Group("The attacks")
	g.StringVar(&c.attacks, "attack", usual, "attacks, separated by commas; list to see them; NAME:PRESET takes a preset")
	g.StringVar(&c.options, "options", "", `options of attacks that go before all others, as JSON: {"motion-excited": {"Noise": {"sparked": {"Mix": 1}}}}; the names are the fields of the attack's struct`)
	g.StringVar(&c.network, "network", "", "safetensors file of a network for images, for v-bad")
	g.StringVar(&c.goal, "goal", "untargeted", "untargeted, or targeted (the class after the true one)")
	g.Float64Var(&c.eps, "eps", 0, "Linf radius of the attacks that stay in a ball; 0: 0.03, as in the thesis, and 0.06 for moving digits")
	g.IntVar(&c.budget, "budget", 1500, "queries an attack may spend on a clip")
	g.IntVar(&c.block, "block", 0, "side of the blocks whose motion is sought, in pixels; 0: 16, and 4 on frames below 64 pixels")
	g.Uint64Var(&c.seed, "seed", 1, "of everything random")

	g = flags.Group("What is written")
	g.StringVar(&c.report, "report", "video.html", "page to write")
	g.StringVar(&c.json, "json", "", "file for the table's rows as JSON; what there is no success to average over is null")
	g.StringVar(&c.out, "out", "", "directory for adversarial clips, as PNG and npy, and their records")
	g.StringVar(&c.journal, "journal", "", "file that records every query, so that a run can be resumed: -ATTACK is put before its extension")
	flags.Parse()
}

func main() {
	var c config
	parse(&c)
	cli.Main("video", "stopped", func(ctx context.Context) error { return run(ctx, &c) })
}
