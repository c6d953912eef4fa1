// Video attacks a classifier of clips by queries alone, with the Motion-Excited Sampler and
// its rivals, and reports the queries of each attack.
//
//	go run ./examples/video
//	go run ./examples/video -attack motion-excited,geo-trap -goal targeted -budget 20000
//	go run ./examples/video -victim tsn.safetensors -data ./clips -test 1,2,3
//	go run ./examples/video -victim http://localhost:8000/v2/models/c3d -shape 16,3,112,112 -data ./clips
//
// Without flags it attacks the network for moving digits that comes with the library: a
// digit moves over a still background, and the class is the kind of motion, which a single
// frame does not show. It prints a table and writes video.html, a page with small
// animations of the clips, their motion maps and their perturbations. Ctrl-C stops it; it
// then reports the finished clips. With -journal the same command resumes a stopped run.
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
	g.StringVar(&c.victim, "victim", "", "a safetensors file from examples/train, or the address of a model that speaks the Open Inference Protocol; default: the embedded network for moving digits")
	g.StringVar(&c.shape, "shape", "", "shape of a clip as T,C,H,W, such as 16,3,112,112, for a victim that does not state it")
	g.StringVar(&c.scores, "scores", "logits", "kind of scores of a model at an address: logits, probabilities or log-probabilities")
	g.StringVar(&c.preprocess, "preprocess", "", `mapping from clips [T, C, H, W] in [0,1] to the input of a model at an address, as JSON: {"CTHW": true, "Mean": [0.5, 0.5, 0.5]}`)
	g.StringVar(&c.data, "data", "moving", "moving (generated digits), or a directory of CLASS/*.avi (or other videos, or directories of pictures)")
	g.StringVar(&c.test, "test", "", "groups of the videos of -data that clips are taken from, such as 1,2,3 (NAME_g01_c02.avi is of group 1); default: all")
	g.IntVar(&c.stride, "stride", 1, "distance between two frames of a clip, in frames of the video")
	g.IntVar(&c.n, "n", 8, "number of clips to attack, of those that the victim classifies correctly")

	g = flags.Group("The attacks")
	g.StringVar(&c.attacks, "attack", usual, "attacks, separated by commas; list to see them; NAME:PRESET takes a preset")
	g.StringVar(&c.options, "options", "", `options of attacks as JSON, which override all other flags: {"motion-excited": {"Noise": {"sparked": {"Mix": 1}}}}; the names are the fields of the attack's struct`)
	g.StringVar(&c.network, "network", "", "safetensors file of a network for images, for v-bad")
	g.StringVar(&c.goal, "goal", "untargeted", "untargeted, or targeted (the class after the true one)")
	g.Float64Var(&c.eps, "eps", 0, "Linf radius of the attacks in a ball; 0 means 0.03, as in the thesis, or 0.06 for moving digits")
	g.IntVar(&c.budget, "budget", 1500, "query budget per clip")
	g.IntVar(&c.block, "block", 0, "side in pixels of the blocks for motion estimation; 0 means 16, or 4 for frames below 64 pixels")
	g.Uint64Var(&c.seed, "seed", 1, "seed of all randomness")

	g = flags.Group("What is written")
	g.StringVar(&c.report, "report", "video.html", "page to write")
	g.StringVar(&c.json, "json", "", "file for the table's rows as JSON; a mean without a success is null")
	g.StringVar(&c.out, "out", "", "directory for adversarial clips, as PNG and npy, and their records")
	g.StringVar(&c.journal, "journal", "", "file that records every query, so that a run can be resumed; -ATTACK is inserted before its extension")
	flags.Parse()
}

func main() {
	var c config
	parse(&c)
	cli.Main("video", "stopped", func(ctx context.Context) error { return run(ctx, &c) })
}
