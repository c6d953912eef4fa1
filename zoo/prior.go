package zoo

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/internal/parallel"
)

// Prior is the bandit estimator of Ilyas, Engstrom and Madry (2019): it keeps a
// guess v of the gradient, of shape [C, Tile, Tile] ([Frames, C, Tile, Tile] for clips),
// improves it at every call by one antithetic pair of probes, and answers with v enlarged
// to the image. That the gradient changes little between steps is its prior in time, that
// neighbouring pixels agree its prior in data. A call costs two queries and does
// not use f(x).
//
// Who sends the probes among other queries calls Probes, Learn and Gradient in
// the place of Estimate.
type Prior struct {
	Tile        int     // side s of the prior; 0: the image's own, which is no prior in data
	Frames      int     // of the prior of a clip, each of which serves as many frames of the clip; 0: the clip's own number
	Probe       float64 // η: L2 length of a probe's displacement; 0 means 0.01
	Explore     float64 // δ: factor on the noise that is explored; 0 means 0.01
	LR          float64 // of the prior; 0 means 0.1
	Exponential bool    // exponentiated-gradient update, which keeps v in (-1,1): for Linf
	PerFrame    bool    // give each frame of a clip a displacement of length Probe, instead of the whole
	Decay       float64 // the share of v that each call forgets; 0: nothing
	// Limit is how long v may become, as a multiple of the length of what was explored
	// last. Where v is much longer both probes are nearly the same, and it learns nothing
	// more. 0: any length.
	Limit float64
	// Noise draws what is explored; nil means Gaussian noise that is independent for
	// each value and of unit expected length.
	Noise Noise
	Rand  *rand.Rand

	priorShape
	shape []int // of v
	v, e  []float64
	probe priorProbe
	learn priorLearn
}

// A Noise is a source of exploration noise for a [Prior].
type Noise interface {
	// Name names the source. In a campaign's options the source is its name and its
	// fields.
	Name() string
	// Draw fills dst, the values of a prior of the given shape, [C, H, W] or
	// [T, C, H, W], with new noise.
	Draw(dst []float64, shape []int, r *rand.Rand) error
}

// certain is as sure of a sign as the exponentiated update may become.
const certain = 1 - 1e-6

// A priorShape is how the values of a prior serve those of a sample: the nearest ones,
// in time and in each plane.
type priorShape struct {
	frames, planes, h, w int // of a sample; planes are a frame's
	f, sh, sw            int // of the prior
}

func (s *priorShape) frame() int { return s.planes * s.h * s.w } // values of a sample's frame
func (s *priorShape) cell() int  { return s.planes * s.sh * s.sw }

// served are the indices, of n, that index i of s serves.
func served(i, s, n int) (lo, hi int) { return (i*n + s - 1) / s, ((i+1)*n + s - 1) / s }

// fit makes b ready for samples of a shape.
func (b *Prior) fit(shape []int, size int) error {
	if len(shape) < 2 {
		return fmt.Errorf("zoo: a prior needs images, not samples of shape %v", shape)
	}
	s := priorShape{frames: 1, h: shape[len(shape)-2], w: shape[len(shape)-1]}
	b.shape = append(b.shape[:0], shape...)
	if len(shape) == 4 {
		s.frames = shape[0]
	}
	s.planes = size / (s.frames * s.h * s.w)
	s.f, s.sh, s.sw = s.frames, s.h, s.w
	if b.Frames > 0 {
		s.f = min(b.Frames, s.frames)
	}
	if b.Tile > 0 {
		s.sh, s.sw = min(b.Tile, s.h), min(b.Tile, s.w)
	}
	if len(shape) == 4 {
		b.shape[0] = s.f
	}
	b.shape[len(shape)-2], b.shape[len(shape)-1] = s.sh, s.sw
	if n := s.f * s.cell(); len(b.v) != n || s != b.priorShape {
		b.v, b.e = make([]float64, n), make([]float64, n)
	}
	b.priorShape = s
	return nil
}

// Estimate implements Estimator. Samples that are not images or clips are an error.
func (b *Prior) Estimate(ctx context.Context, o *Objective, p Point, g []float64) error {
	if err := b.Probes(o, p.X, o.Batch(2)); err != nil {
		return err
	}
	var loss [2]float64
	if _, err := o.Losses(ctx, 2, loss[:]); err != nil {
		return err
	}
	b.Learn(loss[0], loss[1])
	b.Gradient(g)
	return nil
}

// Probes draws what is explored and writes the two probes at x to dst, 2·len(x) values.
// Their losses are for Learn.
func (b *Prior) Probes(o *Objective, x, dst []float32) error {
	if err := b.fit(o.Info().Shape, len(x)); err != nil {
		return err
	}
	if err := b.explore(); err != nil {
		return err
	}
	t := &b.probe
	t.b, t.x, t.dst, t.pixels = b, x, dst, o.Space == nil
	if len(t.length) != b.f {
		t.length, t.factor = make([][2]float64, b.f), make([][2]float64, b.f)
	}
	t.stage = (*priorProbe).measure
	parallel.Run(b.f, t)
	eta := cmp.Or(b.Probe, 0.01)
	var all [2]float64
	for k, l := range t.length {
		lo, hi := served(k, b.f, b.frames)
		for s := range all {
			all[s] += float64(hi-lo) * l[s]
			t.factor[k][s] = eta / max(math.Sqrt(l[s]), 1e-30)
		}
	}
	if !b.PerFrame {
		for k := range t.factor {
			for s := range all {
				t.factor[k][s] = eta / max(math.Sqrt(all[s]), 1e-30)
			}
		}
	}
	t.stage = (*priorProbe).displace
	parallel.Run(b.f, t)
	t.x, t.dst = nil, nil
	return nil
}

// A priorProbe works on the frames of a prior.
type priorProbe struct {
	b      *Prior
	x, dst []float32
	pixels bool
	length [][2]float64 // squared length of v+e and v-e on one frame of the sample
	factor [][2]float64
	stage  func(t *priorProbe, k int)
}

// Part implements parallel.Task.
func (t *priorProbe) Part(k int) { t.stage(t, k) }

func (t *priorProbe) measure(k int) {
	b := t.b
	v, e, delta := b.v[k*b.cell():][:b.cell()], b.e[k*b.cell():][:b.cell()], b.delta()
	var plus, minus float64
	for lo := 0; lo < len(v); lo += b.sw {
		rowPlus, rowMinus := 0.0, 0.0
		times := 1.0
		for i, vi := range v[lo : lo+b.sw] {
			if b.sw != b.w {
				first, end := served(i, b.sw, b.w)
				times = float64(end - first)
			}
			ei := float64(delta * e[lo+i])
			p, m := vi+ei, vi-ei
			rowPlus += times * p * p
			rowMinus += times * m * m
		}
		first, end := served(lo/b.sw%b.sh, b.sh, b.h)
		plus += float64(end-first) * rowPlus
		minus += float64(end-first) * rowMinus
	}
	t.length[k] = [2]float64{plus, minus}
}

func (t *priorProbe) displace(k int) {
	b := t.b
	v, e := b.v[k*b.cell():][:b.cell()], b.e[k*b.cell():][:b.cell()]
	first, end := served(k, b.f, b.frames)
	n := b.frame()
	// The displacements lie where the probes of the first frame will.
	probes := [2][]float32{t.dst[:len(t.x)], t.dst[len(t.x):][:len(t.x)]}
	up, down := probes[0][first*n:][:n], probes[1][first*n:][:n]
	fu, fd := t.factor[k][0], t.factor[k][1]
	eu, ed := fu*b.delta(), fd*b.delta()
	if b.sh == b.h && b.sw == b.w {
		for i, vi := range v {
			up[i] = float32(float64(fu*vi) + float64(eu*e[i]))
			down[i] = float32(float64(fd*vi) - float64(ed*e[i]))
		}
	} else {
		b.spread(up, func(i int) float32 { return float32(float64(fu*v[i]) + float64(eu*e[i])) })
		b.spread(down, func(i int) float32 { return float32(float64(fd*v[i]) - float64(ed*e[i])) })
	}
	for i := end - 1; i >= first; i-- {
		x := t.x[i*n:][:n] // for both probes while it is in the cache
		for s, d := range [2][]float32{up, down} {
			to := probes[s][i*n:][:n]
			kernel.Add(to, x, d)
			if t.pixels {
				kernel.Clamp(to, to, 0, 1)
			}
		}
	}
}

// spread writes to the planes of a frame the nearest values of the prior's.
func (s *priorShape) spread(dst []float32, small func(i int) float32) {
	for i := range dst {
		dst[i] = small(s.server(i))
	}
}

// server is which value of a frame of the prior serves value i of one of the sample.
func (s *priorShape) server(i int) int {
	plane, y, x := i/(s.h*s.w), i/s.w%s.h, i%s.w
	return (plane*s.sh+y*s.sh/s.h)*s.sw + x*s.sw/s.w
}

// Learn improves the guess by the losses of the two probes that were written last.
func (b *Prior) Learn(plus, minus float64) {
	t := &b.learn
	t.b = b
	t.step = cmp.Or(b.LR, 0.1) * (plus - minus) / cmp.Or(b.Probe, 0.01) // times δ, over δ
	parallel.Run(b.f, t)
	if b.Limit > 0 {
		var v2, e2 float64
		for i, v := range b.v {
			v2 += v * v
			e2 += b.e[i] * b.e[i]
		}
		if f := b.Limit * b.delta() * math.Sqrt(e2/v2); f < 1 {
			for i := range b.v {
				b.v[i] *= f
			}
		}
	}
}

// A priorLearn moves the frames of a prior.
type priorLearn struct {
	b    *Prior
	step float64
}

// Part implements parallel.Task.
func (t *priorLearn) Part(k int) {
	b := t.b
	v, e := b.v[k*b.cell():][:b.cell()], b.e[k*b.cell():][:b.cell()]
	if b.Decay > 0 {
		for i := range v {
			v[i] *= 1 - b.Decay
		}
	}
	if !b.Exponential {
		for i, ei := range e {
			v[i] += float64(t.step * ei)
		}
		return
	}
	for i, vi := range v {
		// r·e^a over r·e^a + (1-r)·e^-a, with r = (v+1)/2, in a form that a step too
		// long for its exponentials cannot make NaN. A component that reached a bound
		// in float64 could never leave it.
		odds := (1 - vi) / (1 + vi) * math.Exp(-2*t.step*e[i])
		v[i] = min(max(2/(1+odds)-1, -certain), certain)
	}
}

// Guess is the guess for frame i of a clip (0 of an image), [C, Tile, Tile]: the memory of
// the prior, to be read until the next call. Frames that share a guess share the memory.
func (b *Prior) Guess(i int) []float64 {
	k := i * b.f / b.frames
	return b.v[k*b.cell():][:b.cell()]
}

// Gradient writes the guess to g, enlarged to as many values as a sample has.
func (b *Prior) Gradient(g []float64) {
	n := b.frame()
	for t := range b.frames {
		v, to := b.Guess(t), g[t*n:][:n]
		if b.sh == b.h && b.sw == b.w {
			copy(to, v)
			continue
		}
		for i := range to {
			to[i] = v[b.server(i)]
		}
	}
}

func (b *Prior) delta() float64 { return cmp.Or(b.Explore, 0.01) }

// explore draws b.e, which is yet to be multiplied by δ.
func (b *Prior) explore() error {
	if b.Noise == nil {
		sd := 1 / math.Sqrt(float64(len(b.v)))
		for i := range b.e {
			b.e[i] = sd * b.Rand.NormFloat64()
		}
		return nil
	}
	if err := b.Noise.Draw(b.e, slices.Clone(b.shape), b.Rand); err != nil {
		return fmt.Errorf("zoo: noise %s: %w", b.Noise.Name(), err)
	}
	return nil
}
