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

// Prior is the bandit estimator of Ilyas, Engstrom and Madry (2019): it keeps a guess v of
// the gradient, [C, Tile, Tile] or [Frames, C, Tile, Tile] for clips. Every call improves v
// by one antithetic pair of probes and returns v enlarged to the image. Its prior in time
// is that the gradient changes little between steps; its prior in data is that neighbouring
// pixels have similar gradients. A call costs two queries and does not use f(x).
//
// To send the probes together with other queries, call Probes, Learn and Gradient instead
// of Estimate.
type Prior struct {
	Tile        int     // side of the prior; 0 means the image's, without a prior in data
	Frames      int     // frames of the prior of a clip, each for an equal part of the clip; 0 means the clip's number
	Probe       float64 // η: L2 length of a probe's displacement; 0 means 0.01
	Explore     float64 // δ: factor on the noise that is explored; 0 means 0.01
	LR          float64 // of the prior; 0 means 0.1
	Exponential bool    // exponentiated-gradient update, which keeps v in (-1,1): for Linf
	PerFrame    bool    // give each frame of a clip a displacement of length Probe, instead of the whole clip
	Decay       float64 // share of v that each call forgets; 0 means none
	// Limit is the largest length of v, as a multiple of the length of the last noise; 0
	// means no limit. If v is much longer than the noise, both probes are nearly the same
	// and v learns nothing more.
	Limit float64
	// Noise draws the explored noise; nil means independent Gaussian noise of unit expected
	// length.
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
	// Name returns the source's name. A campaign's options hold the name and the fields.
	Name() string
	// Draw fills dst with new noise for a prior of the given shape, [C, H, W] or [T, C, H,
	// W].
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

// Probes draws the noise and writes the two probes at x to dst, 2·len(x) values. Pass their
// losses to Learn.
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
	if n := b.f * b.frame(); b.f < b.frames && len(t.shared[0]) != n {
		t.shared = [2][]float32{make([]float32, n), make([]float32, n)}
	}
	t.stage = (*priorProbe).displace
	parallel.Run(b.f, t)
	if b.f < b.frames {
		t.stage = (*priorProbe).add
		parallel.Run(b.frames, t)
	}
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
	shared [2][]float32 // displacements of frames that serve several of the sample
	stage  func(t *priorProbe, k int)
}

// Part implements parallel.Task.
func (t *priorProbe) Part(k int) { t.stage(t, k) }

// measure sums the squares of each row in its order, and the rows in theirs; of four rows
// at once where each value serves one of the sample.
func (t *priorProbe) measure(k int) {
	b := t.b
	v, e, delta := b.v[k*b.cell():][:b.cell()], b.e[k*b.cell():][:b.cell()], b.delta()
	var plus, minus float64
	row := func(lo int, rowPlus, rowMinus float64) {
		first, end := served(lo/b.sw%b.sh, b.sh, b.h)
		plus += float64(end-first) * rowPlus
		minus += float64(end-first) * rowMinus
	}
	lo := 0
	for ; b.sw == b.w && lo+4*b.sw <= len(v); lo += 4 * b.sw {
		var p, m [4]float64
		fourRows(&p, &m, v[lo:], e[lo:], b.sw, delta)
		for r := range p {
			row(lo+r*b.sw, p[r], m[r])
		}
	}
	for ; lo < len(v); lo += b.sw {
		rowPlus, rowMinus := 0.0, 0.0
		times := 1.0
		for i, vi := range v[lo : lo+b.sw] {
			if b.sw != b.w {
				first, end := served(i, b.sw, b.w)
				times = float64(end - first)
			}
			ei := float64(delta * e[lo+i])
			p, m := vi+ei, vi-ei
			rowPlus += float64(float64(times*p) * p)
			rowMinus += float64(float64(times*m) * m)
		}
		row(lo, rowPlus, rowMinus)
	}
	t.length[k] = [2]float64{plus, minus}
}

// fourRows are the sums of the squares of v+δe and v-δe in four rows of n. Each sum waits
// for itself only.
func fourRows(plus, minus *[4]float64, v, e []float64, n int, delta float64) {
	v0, v1, v2, v3 := v[:n], v[n:][:n], v[2*n:][:n], v[3*n:][:n]
	e0, e1, e2, e3 := e[:n], e[n:][:n], e[2*n:][:n], e[3*n:][:n]
	var p0, p1, p2, p3, m0, m1, m2, m3 float64
	for i := range v0 {
		d0, d1, d2, d3 := float64(delta*e0[i]), float64(delta*e1[i]), float64(delta*e2[i]), float64(delta*e3[i])
		u0, u1, u2, u3 := v0[i]+d0, v1[i]+d1, v2[i]+d2, v3[i]+d3
		w0, w1, w2, w3 := v0[i]-d0, v1[i]-d1, v2[i]-d2, v3[i]-d3
		p0 += float64(u0 * u0)
		p1 += float64(u1 * u1)
		p2 += float64(u2 * u2)
		p3 += float64(u3 * u3)
		m0 += float64(w0 * w0)
		m1 += float64(w1 * w1)
		m2 += float64(w2 * w2)
		m3 += float64(w3 * w3)
	}
	*plus, *minus = [4]float64{p0, p1, p2, p3}, [4]float64{m0, m1, m2, m3}
}

// displace works out the displacements on frame k of the prior. A frame that serves only
// one of the sample is displaced at once, in pieces that the cache holds.
func (t *priorProbe) displace(k int) {
	b, n := t.b, t.b.frame()
	v, e := b.v[k*b.cell():][:b.cell()], b.e[k*b.cell():][:b.cell()]
	fu, fd := t.factor[k][0], t.factor[k][1]
	eu, ed := fu*b.delta(), fd*b.delta()
	full := b.sh == b.h && b.sw == b.w
	if full && b.f == b.frames {
		var up, down [probePiece]float32
		for lo := 0; lo < n; lo += probePiece {
			hi := min(lo+probePiece, n)
			kernel.DisplacePair(up[:hi-lo], down[:hi-lo], v[lo:hi], e[lo:hi], fu, eu, fd, ed)
			t.move(k*n+lo, up[:hi-lo], down[:hi-lo])
		}
		return
	}
	var up, down []float32
	if b.f < b.frames {
		up, down = t.shared[0][k*n:][:n], t.shared[1][k*n:][:n]
	} else { // where the probes will be
		up, down = t.dst[k*n:][:n], t.dst[len(t.x)+k*n:][:n]
	}
	if full {
		kernel.DisplacePair(up, down, v, e, fu, eu, fd, ed)
	} else {
		enlarge(&b.priorShape, up, func(i int) float32 { return float32(float64(fu*v[i]) + float64(eu*e[i])) })
		enlarge(&b.priorShape, down, func(i int) float32 { return float32(float64(fd*v[i]) - float64(ed*e[i])) })
	}
	if b.f == b.frames {
		t.move(k*n, up, down)
	}
}

// probePiece is how many values are displaced at once.
const probePiece = 2048

// add displaces frame i of the sample by what serves it.
func (t *priorProbe) add(i int) {
	n := t.b.frame()
	k := i * t.b.f / t.b.frames
	t.move(i*n, t.shared[0][k*n:][:n], t.shared[1][k*n:][:n])
}

// move writes the probes from value at of the sample on.
func (t *priorProbe) move(at int, up, down []float32) {
	lo, hi := float32(math.Inf(-1)), float32(math.Inf(1))
	if t.pixels {
		lo, hi = 0, 1
	}
	n := len(up)
	kernel.ProbePair(t.dst[at:][:n], t.dst[len(t.x)+at:][:n], t.x[at:][:n], up, down, lo, hi)
}

// enlarge writes to the planes of a frame the nearest values of the prior's.
func enlarge[T float32 | float64](s *priorShape, dst []T, small func(i int) T) {
	for y := range s.planes * s.h {
		row := dst[y*s.w:][:s.w]
		from := (y/s.h*s.sh + y%s.h*s.sh/s.h) * s.sw
		if y%s.h > 0 && y%s.h*s.sh/s.h == (y%s.h-1)*s.sh/s.h { // the same as above
			copy(row, dst[(y-1)*s.w:])
			continue
		}
		for i := range s.sw {
			lo, hi := served(i, s.sw, s.w)
			v := small(from + i)
			for x := lo; x < hi; x++ {
				row[x] = v
			}
		}
	}
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
		kernel.Climb(v, e, t.step)
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

// Gradient writes the guess to g, enlarged to the size of a sample.
func (b *Prior) Gradient(g []float64) {
	n := b.frame()
	for t := range b.frames {
		v, to := b.Guess(t), g[t*n:][:n]
		if b.sh == b.h && b.sw == b.w {
			copy(to, v)
			continue
		}
		enlarge(&b.priorShape, to, func(i int) float64 { return v[i] })
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
