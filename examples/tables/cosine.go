package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// estimates are the rows of table 2.6.
var estimates = []string{
	"random attacker", "trained, one image", "trained, statistics of a batch",
	"trained, after one fine-tuning", "finite differences",
}

// statistics is the batch of the third row.
const statistics = 100

// A likeness is the cosine of an estimate and the true gradient, over all entries and
// over the coordinates asked about.
type likeness struct{ All, Asked float64 }

// table26 compares estimates with the white-box gradients of the victims.
func (b *book) table26(ctx context.Context) error {
	b.heading("Table 2.6: cosine similarity with white-box gradients")
	trained, err := b.attacker(b.cast.Attacker)
	if err != nil {
		return err
	}
	random := b.random()
	preset, err := attack.PresetOf[attack.Meta](b.cast.Preset)
	if err != nil {
		return err
	}
	var all [][]likeness // of an image, a likeness a row
	for _, v := range b.victims {
		for lo := 0; lo < len(v.samples); lo += b.piece {
			hi := min(lo+b.piece, len(v.samples))
			key := struct {
				What             string
				Options          any
				Net, Random      string
				Victim, Data     string
				From, To, Format int
			}{"cosine", preset, trained.hash, random.hash, v.hash, b.data, lo, hi, 1}
			part, err := cells.Get(b.cells, v.name+"-cosine", key, func() ([][]likeness, error) {
				return likenesses(ctx, v, v.samples[lo:hi], trained.net, random.net, preset)
			})
			if err != nil {
				return err
			}
			all = append(all, part...)
		}
	}
	t := &report.Table{Head: []string{" estimate", "all entries", "[95 %]", "coordinates asked about", "[95 %]", "n", " thesis"}}
	for i, name := range estimates {
		every, asked := make([]float64, len(all)), make([]float64, len(all))
		for k, image := range all {
			every[k], asked[k] = image[i].All, image[i].Asked
		}
		a, aCI := meanInterval(every, len(b.victims))
		s, sCI := meanInterval(asked, len(b.victims))
		t.Rows = append(t.Rows, []string{name, three(a), between(aCI, three), three(s), between(sCI, three), fmt.Sprint(len(all)), ""})
	}
	b.text(fmt.Sprintf("Untargeted, at the clean images. The coordinates asked about are the %d where the attacker's own map is largest; "+
		"for the last two rows those of the trained attacker on one image, at which differences are taken and to which it is fine-tuned. "+
		"The differences are 0 elsewhere. As in the attack, the attacker normalises by the statistics of one image; in the third row, of up to %d. "+
		"The differences are those of the attack, whose small step is not far above the rounding of float32 scores.",
		coordinates(preset), statistics))
	b.table(t)
	return nil
}

// coordinates is q.
func coordinates(a attack.Meta) int {
	if a.Coordinates == 0 {
		return 128
	}
	return a.Coordinates
}

// meanInterval is a mean and its normal interval, as wide as if the victims had seen
// the same images.
func meanInterval(v []float64, victims int) (float64, attack.Interval) {
	var sum, sq float64
	for _, x := range v {
		sum += x
	}
	n := float64(len(v))
	m := sum / n
	for _, x := range v {
		sq += (x - m) * (x - m)
	}
	half := 1.96 * math.Sqrt(sq/max(n-1, 1)/n*float64(victims))
	return m, attack.Interval{Lo: m - half, Hi: m + half}
}

// likenesses compares the estimates for each of the samples.
func likenesses(ctx context.Context, v *victim, samples []attack.Sample, trained, random nn.Module, preset attack.Meta) ([][]likeness, error) {
	shape := v.model.Info().Shape
	x := tensor.New(append([]int{len(samples)}, shape...)...)
	goals := make([]zoo.Goal, len(samples))
	for i, s := range samples {
		copy(x.Index(i).Data(), s.X.Data())
		goals[i] = zoo.Untargeted(s.Label)
	}
	truth, one, batch, blind := tensor.New(x.Shape()...), tensor.New(x.Shape()...), tensor.New(x.Shape()...), tensor.New(x.Shape()...)
	if err := v.model.Gradients(ctx, x, zoo.Hinge{}, goals, make([]float64, len(samples)*v.model.Info().Classes), truth); err != nil {
		return nil, err
	}
	zoo.Predict(random, blind, x, 1)
	zoo.Predict(trained, one, x, 1)
	zoo.Predict(trained, batch, x, statistics)
	all := make([][]likeness, len(samples))
	errs := make([]error, len(samples))
	var wg sync.WaitGroup
	places := make(chan bool, runtime.GOMAXPROCS(0))
	for i := range samples {
		places <- true
		wg.Go(func() {
			defer func() { <-places }()
			all[i], errs[i] = compareMaps(ctx, v, x.Index(i), goals[i], preset, trained,
				truth.Index(i).Data(), blind.Index(i).Data(), one.Index(i).Data(), batch.Index(i).Data())
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// compareMaps is the part of one image. The attacker measures and tunes itself once,
// at its first step.
func compareMaps(ctx context.Context, v *victim, x *tensor.Tensor, goal zoo.Goal, preset attack.Meta, trained nn.Module, truth, blind, one, batch []float32) ([]likeness, error) {
	est := zoo.NewMeta(trained)
	est.Coordinates, est.Interval, est.Central, est.Step = preset.Coordinates, 1, preset.Central, preset.H
	est.Tune, est.LR, est.Mask = preset.Tune, preset.TuneLR, preset.Mask
	o := zoo.NewObjective(v.model, goal, zoo.Hinge{Scale: 0.5})
	p := zoo.Point{X: x.Data()}
	var err error
	if p.Loss, _, err = o.At(ctx, p.X); err != nil {
		return nil, err
	}
	tuned := make([]float32, len(truth))
	if err := est.Estimate(ctx, o, p, make([]float64, len(truth))); err != nil {
		return nil, err
	}
	if err := est.Predict(x.Shape(), p.X, tuned); err != nil {
		return nil, err
	}
	q := min(coordinates(preset), len(truth))
	asked := largest(one, q)
	measured, wide := make([]float32, len(truth)), make([]float64, q)
	if err := (zoo.Differences{Step: preset.H, Central: preset.Central}).Along(ctx, o, p, asked, wide, nil); err != nil {
		return nil, err
	}
	for i, c := range asked {
		measured[c] = float32(wide[i])
	}
	at := func(m []float32, where []int) likeness {
		return likeness{cosine(m, truth, nil), cosine(m, truth, where)}
	}
	return []likeness{at(blind, largest(blind, q)), at(one, asked), at(batch, largest(batch, q)), at(tuned, asked), at(measured, asked)}, nil
}

// largest are the q coordinates of the largest |g|.
func largest(g []float32, q int) []int {
	c := make([]int, q)
	kernel.TopKAbs(c, g, q)
	return c
}

// cosine compares a and b at the given places, or everywhere. It is 0 if one of them
// is.
func cosine(a, b []float32, where []int) float64 {
	var ab, aa, bb float64
	add := func(i int) {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if where == nil {
		for i := range a {
			add(i)
		}
	}
	for _, i := range where {
		add(i)
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}
