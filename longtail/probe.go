package longtail

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// A Distortion says how head and tail contribute to the gradient of a batch or a set
// (thesis, sections 4.1 and 4.2, figures 4.1 and 4.2). With n samples, n_h of the head and
// n_t of the tail,
//
//	g_h = 1/n Σ over the head of ∇l_i,   g_t = 1/n Σ over the tail of ∇l_i,   g = g_h + g_t
//
// are the contributions. The means n/n_h·g_h and n/n_t·g_t have the same directions, but
// other lengths. It is not known which of the two the thesis prints. They can disagree: at
// imbalance 100 the head has the longer contribution, and the tail the longer mean.
type Distortion struct {
	HeadSamples int `json:"head_samples"`
	TailSamples int `json:"tail_samples"`

	CosHead float64 `json:"cos_head"` // of the angle between g_h and g
	CosTail float64 `json:"cos_tail"` // of the angle between g_t and g

	Head     float64 `json:"head"`      // ‖g_h‖
	Tail     float64 `json:"tail"`      // ‖g_t‖
	Overall  float64 `json:"overall"`   // ‖g‖
	HeadMean float64 `json:"head_mean"` // ‖n/n_h·g_h‖
	TailMean float64 `json:"tail_mean"` // ‖n/n_t·g_t‖
}

// AngleHead returns θ1, the angle between g_h and g in radians.
func (d Distortion) AngleHead() float64 { return math.Acos(min(max(d.CosHead, -1), 1)) }

// AngleTail returns θ2, the angle between g_t and g in radians.
func (d Distortion) AngleTail() float64 { return math.Acos(min(max(d.CosTail, -1), 1)) }

// A Probe measures distortion with respect to chosen parameters, in any training loop. It
// takes one loss per sample of a batch, and computes the gradients of head and tail in two
// backward passes after one forward pass. They do not include weight decay and momentum.
//
//	probe := longtail.NewProbe(nn.Params(net), split.IsHead)
//	...
//	ce := autograd.CrossEntropy(logits, batch.Y, autograd.CrossEntropyOptions{Reduction: autograd.ReduceNone})
//	probe.Add(ce, batch.Y)
//	history.Add(probe.Take())
//	err := opt.Step(tape.Gradients(autograd.Mean(ce)))
type Probe struct {
	params     []*autograd.Param
	sources    []autograd.Source
	isHead     func(label int) bool
	head, tail part
}

// part is the sum of the gradients of one part of the samples.
type part struct {
	samples int
	sums    [][]float32 // for each parameter
}

// NewProbe returns a probe of the gradients to the given parameters: all of a network, or
// those of its backbone, of its last stage or of its head. isHead says whether a label of
// Add belongs to the head; use [Split.IsHead] for ranks. It panics if there are no
// parameters.
func NewProbe(params []*autograd.Param, isHead func(label int) bool) *Probe {
	if len(params) == 0 {
		tensor.Panic("longtail.NewProbe", "no parameters")
	}
	p := &Probe{params: slices.Clone(params), isHead: isHead}
	for _, q := range params {
		p.sources = append(p.sources, q)
		p.head.sums = append(p.head.sums, make([]float32, q.Len()))
		p.tail.sums = append(p.tail.sums, make([]float32, q.Len()))
	}
	return p
}

// Add adds the gradients of a batch: losses [N] of its samples, on a tape that records, and
// their N labels. Several calls before Take count as one batch. A batch may have samples of
// head or tail only. It panics if the shapes do not fit.
func (p *Probe) Add(losses autograd.Var, labels []int) {
	if losses.Rank() != 1 || losses.Dim(0) != len(labels) {
		tensor.Panic("longtail.Probe.Add", fmt.Sprintf("want losses [N] for %d labels", len(labels)), losses.Shape())
	}
	var head, tail []int
	for k, y := range labels {
		if p.isHead(y) {
			head = append(head, k)
		} else {
			tail = append(tail, k)
		}
	}
	p.head.add(p, losses, head)
	p.tail.add(p, losses, tail)
}

// add adds the gradients of the samples in some rows.
func (q *part) add(p *Probe, losses autograd.Var, rows []int) {
	q.samples += len(rows)
	if len(rows) == 0 {
		return
	}
	g := losses.Tape().Gradients(autograd.Sum(autograd.GatherCopy(losses, rows)), p.sources...)
	for i, param := range p.params {
		if d := g.Of(param); d != nil { // a parameter may not be on the way
			kernel.Add(q.sums[i], q.sums[i], d.Data())
		}
	}
}

// Take returns the distortion of all batches added since the last call. ok is false if head
// or tail had no sample; [Distortions] counts such steps as skipped.
func (p *Probe) Take() (d Distortion, ok bool) {
	n := float64(p.head.samples + p.tail.samples)
	d.HeadSamples, d.TailSamples = p.head.samples, p.tail.samples
	ok = d.HeadSamples > 0 && d.TailSamples > 0
	hh, ht, tt := 0.0, 0.0, 0.0
	for i := range p.params {
		h, t := p.head.sums[i], p.tail.sums[i]
		hh += kernel.Dot(h, h)
		ht += kernel.Dot(h, t)
		tt += kernel.Dot(t, t)
		clear(h)
		clear(t)
	}
	p.head.samples, p.tail.samples = 0, 0
	if !ok {
		return d, false
	}
	head, tail, overall := math.Sqrt(hh), math.Sqrt(tt), math.Sqrt(max(hh+2*ht+tt, 0))
	d.Head, d.Tail, d.Overall = head/n, tail/n, overall/n
	d.HeadMean, d.TailMean = head/float64(d.HeadSamples), tail/float64(d.TailSamples)
	if head*overall > 0 {
		d.CosHead = (hh + ht) / (head * overall)
	}
	if tail*overall > 0 {
		d.CosTail = (tt + ht) / (tail * overall)
	}
	return d, true
}

// IsHead reports whether a rank belongs to the head, for [NewProbe].
func (s *Split) IsHead(rank int) bool { return rank >= 0 && rank < s.Point }

// ProbeOptions are the settings of [Probe.Measure].
type ProbeOptions struct {
	BatchSize int            // samples with common batch statistics; 0 means 128
	Transform data.Transform // applied to every sample; nil means none

	// Losses returns the losses of the samples, [N], for logits and labels; nil means
	// cross-entropy.
	Losses func(logits autograd.Var, labels []int) autograd.Var
}

// Measure returns the distortion of a fixed set of samples, such as one of [ProbeSamples];
// call it once per epoch for a curve. Normalisation uses batch statistics and dropout is
// active, as in training; the running statistics are restored. Earlier calls of Add are
// forgotten. An error is the data set's or the context's. It panics if the losses do not
// fit.
func (p *Probe) Measure(ctx context.Context, net nn.Module, d data.Dataset, o ProbeOptions) (Distortion, bool, error) {
	l, err := data.NewLoader(d, data.LoaderOptions{BatchSize: cmp.Or(o.BatchSize, 128), Transform: o.Transform, Fixed: true})
	if err != nil {
		return Distortion{}, false, err
	}
	losses := o.Losses
	if losses == nil {
		losses = func(z autograd.Var, y []int) autograd.Var {
			return autograd.CrossEntropy(z, y, autograd.CrossEntropyOptions{Reduction: autograd.ReduceNone})
		}
	}
	buffers, counters := make(map[*tensor.Tensor]*tensor.Tensor), make(map[*int64]int64)
	for e := range nn.State(net) {
		switch {
		case e.Buffer != nil:
			buffers[e.Buffer] = e.Buffer.Clone()
		case e.Counter != nil:
			counters[e.Counter] = *e.Counter
		}
	}
	defer func() {
		for b, was := range buffers {
			b.CopyFrom(was)
		}
		for c, was := range counters {
			*c = was
		}
	}()
	p.Take()
	tape := autograd.NewTape(autograd.Training, 0)
	for batch, err := range l.Batches(ctx) {
		if err != nil {
			p.Take()
			return Distortion{}, false, err
		}
		tape.Reset()
		p.Add(losses(net.Forward(tape.Input(batch.X)), batch.Y), batch.Y)
	}
	r, ok := p.Take()
	return r, ok, nil
}

// ProbeSamples returns the indices of about n samples of d with its class frequencies,
// drawn by the seed, in ascending order: n·n_c/N of class c, rounded by largest remainders
// to add up to n. 0 means 1,024. If d has no more than n samples, it returns all. It is an
// error if d is empty or a label is out of range.
func ProbeSamples(d data.Dataset, n int, seed uint64) ([]int, error) {
	n = cmp.Or(n, 1024)
	if n < 0 {
		tensor.Panic("longtail.ProbeSamples", fmt.Sprintf("%d samples", n))
	}
	members, err := byClass(d)
	if err != nil {
		return nil, err
	}
	if d.Len() == 0 {
		return nil, data.ErrEmpty
	}
	n = min(n, d.Len())
	share := make([]int, len(members))
	byRemainder := make([]int, len(members))
	left := n
	for c, m := range members {
		share[c] = n * len(m) / d.Len()
		byRemainder[c] = c
		left -= share[c]
	}
	slices.SortStableFunc(byRemainder, func(a, b int) int {
		return cmp.Compare(n*len(members[b])%d.Len(), n*len(members[a])%d.Len())
	})
	for _, c := range byRemainder[:left] {
		share[c]++
	}
	var list []int
	for c, m := range members {
		for _, i := range stream(seed, drawProbe, c).Perm(len(m))[:share[c]] {
			list = append(list, m[i])
		}
	}
	slices.Sort(list)
	return list, nil
}

// Distortions are measurements over a number of steps.
type Distortions struct {
	List    []Distortion `json:"list"`
	Skipped int          `json:"skipped"` // steps without a sample of the head or of the tail
}

// Add adds the result of [Probe.Take].
func (s *Distortions) Add(d Distortion, ok bool) {
	if ok {
		s.List = append(s.List, d)
	} else {
		s.Skipped++
	}
}

// Moments are the mean and the standard deviation (with divisor N) of a number over N
// steps.
type Moments struct {
	Mean float64 `json:"mean"`
	Std  float64 `json:"std"`
}

// DistortionStats are the moments of Distortions; figure 4.1 of the thesis compares angles,
// figure 4.2 shows cosines and contributions.
type DistortionStats struct {
	Steps     int     `json:"steps"`
	Skipped   int     `json:"skipped"`
	CosHead   Moments `json:"cos_head"`
	CosTail   Moments `json:"cos_tail"`
	AngleHead Moments `json:"angle_head"` // radians
	AngleTail Moments `json:"angle_tail"`
	Head      Moments `json:"head"`
	Tail      Moments `json:"tail"`
	Overall   Moments `json:"overall"`
	HeadMean  Moments `json:"head_mean"`
	TailMean  Moments `json:"tail_mean"`
}

// Stats returns the moments over all steps with samples of both head and tail.
func (s *Distortions) Stats() DistortionStats {
	moments := func(of func(Distortion) float64) (m Moments) {
		n := float64(max(len(s.List), 1))
		for _, d := range s.List {
			m.Mean += of(d) / n
		}
		for _, d := range s.List {
			m.Std += (of(d) - m.Mean) * (of(d) - m.Mean) / n
		}
		m.Std = math.Sqrt(m.Std)
		return m
	}
	return DistortionStats{
		Steps: len(s.List), Skipped: s.Skipped,
		CosHead:   moments(func(d Distortion) float64 { return d.CosHead }),
		CosTail:   moments(func(d Distortion) float64 { return d.CosTail }),
		AngleHead: moments(Distortion.AngleHead),
		AngleTail: moments(Distortion.AngleTail),
		Head:      moments(func(d Distortion) float64 { return d.Head }),
		Tail:      moments(func(d Distortion) float64 { return d.Tail }),
		Overall:   moments(func(d Distortion) float64 { return d.Overall }),
		HeadMean:  moments(func(d Distortion) float64 { return d.HeadMean }),
		TailMean:  moments(func(d Distortion) float64 { return d.TailMean }),
	}
}
