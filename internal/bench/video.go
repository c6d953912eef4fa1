package main

import (
	"fmt"
	"math"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video/motion"
)

// videoCases are the estimation of motion between two frames, and networks for clips.
// peers/video.py has them in FFmpeg, OpenCV and PyTorch.
var videoCases = func() (cases []benchCase) {
	for _, size := range [][2]int{{352, 288}, {1280, 720}} {
		for _, search := range []motion.Search{motion.Full, motion.Diamond, motion.EPZS} {
			name := fmt.Sprintf("video/block/%s16r7_%dx%d", search, size[0], size[1])
			cases = append(cases, motionCase(name, size[0], size[1], motion.BlockMatch{Search: search, Range: 7, Bias: -1}))
		}
	}
	return append(cases,
		motionCase("video/flow/farneback_640x480", 640, 480, motion.Farneback{}),
		motionCase("video/flow/tvl1_640x480", 640, 480, motion.TVL1{}),
		infer("video/infer/r3d18_16x112x112", func() nn.Module { return models.R3D18(1, 400) }, 1, 3, 16, 112, 112),
		infer("video/infer/c3d_16x112x112", func() nn.Module { return models.C3D(1, 487) }, 1, 3, 16, 112, 112),
		infer("video/infer/tiny3d_16x112x112", func() nn.Module { return models.Tiny3D(1, 10) }, 1, 3, 16, 112, 112),
		classify("video/train/tiny3d_b8_16x32x32", func() nn.Module { return models.Tiny3D(1, 10) }, 8, 3, 16, 32, 32))
}()

func motionCase(name string, w, h int, e motion.Estimator) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		clip := movingClip(2, h, w)
		f, err := motion.NewFrames(clip)
		if err != nil {
			panic(err)
		}
		arrays := map[string]*tensor.Tensor{"clip": clip, "field": e.Estimate(f, 0, 1).Tensor()}
		if m, ok := e.(motion.BlockMatch); ok {
			var b motion.Blocks // used again, as vectors are all that FFmpeg makes
			return func() { m.Match(&b, f, 0, 1, nil) }, arrays
		}
		return func() { e.Estimate(f, 0, 1) }, arrays
	}}
}

// movingClip is a texture of plane waves that moves by 2.6 pixels to the right and 1.7
// down with every frame and turns a little, in whole gray levels.
func movingClip(frames, h, w int) *tensor.Tensor {
	clip := tensor.New(frames, 1, h, w)
	for i := range clip.Data() {
		t, x, y := float64(i/(h*w)), float64(i%w), float64(i/w%h)
		x, y = x-2.6*t-0.004*t*y, y-1.7*t+0.004*t*x
		sum := 127.5
		for k := range 12 {
			a, length := 2.4*float64(k), 5*math.Pow(1.35, float64(k))
			sum += (4 + float64(k)) * math.Sin(2*math.Pi*(x*math.Cos(a)+y*math.Sin(a))/length+float64(k*k))
		}
		clip.Data()[i] = float32(math.Round(min(max(sum, 0), 255)) / 255)
	}
	return clip
}
