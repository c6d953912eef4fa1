package attack

import (
	"cmp"
	"context"
	"math"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/zoo"
)

// Meta is the Meta Attack (Du, Zhang, Zhou, Yang and Feng, ICLR 2020; thesis section 2.3):
// sign steps on the coordinates where a meta-learned estimator predicts the largest
// gradient, from the clean image until the first success. It is the right choice for a
// small L2 from a victim with scores, if there are networks for similar pictures to train
// the estimator on. Under a fixed ball Square and Bandits need fewer queries. A step costs
// one query; every Interval-th step costs as many more as option Coordinates says, and
// twice that with Central.
//
// The zero value, with a Network, is the paper's setting for MNIST.
type Meta struct {
	Network     nn.Module // the meta attacker
	Coordinates int       // q; 0 means 128
	Interval    int       // m: steps between measurements; 0 means 5
	First       int       // step of the first measurement, from 1; 0 means Interval
	LR          float64   // β; 0 means 0.01
	Steps       int       // at most; 0 means 300
	H           float64   // step of the finite differences; 0 means 1e-4
	Central     bool      // central differences, at twice the queries
	Tune        int       // fine-tuning steps; 0 means 20
	TuneLR      float64   // 0 means 0.01
	Mask        bool      // leave out coordinates that cannot move within [0,1]
	// Proportional makes steps follow the estimate itself instead of its signs. They have
	// the L2 length of a sign step, β·sqrt(q), in the modifier.
	Proportional bool
	// Adam steps by Adam with decay rates 0.9 and 0.999 and a counter for every coordinate,
	// as ZOO does, instead of by signs. Setting both Adam and Proportional is an error.
	Adam bool `json:",omitempty"`
	Box  Box
	Loss zoo.Loss // nil means the paper's, Hinge with Scale 0.5
}

// About describes the attack.
func (a Meta) About() About { return About{"meta", L2, a.defaults()} }

func (a Meta) defaults() Meta {
	a.Coordinates, a.Interval = cmp.Or(a.Coordinates, 128), cmp.Or(a.Interval, 5)
	a.First = cmp.Or(a.First, a.Interval)
	a.LR, a.Steps, a.H = cmp.Or(a.LR, 0.01), cmp.Or(a.Steps, 300), cmp.Or(a.H, 1e-4)
	a.Tune, a.TuneLR = cmp.Or(a.Tune, 20), cmp.Or(a.TuneLR, 0.01)
	a.Loss = orLoss[zoo.Loss](a.Loss, zoo.Hinge{Scale: 0.5})
	return a
}

// AuthorsCount converts the queries of a first success (Record.First.Queries) to the number
// that the authors' code would print, for comparison with their figures. Samples must have
// at least Coordinates values. A success at step s, from 0, costs (s+1) + floor(s/m)·q·r
// queries, where q is Coordinates, m is Interval, and r is 1, or 2 with Central. Their code
// prints floor((s-1)/m)·q·r + s, the cost up to the step before.
func (a Meta) AuthorsCount(queries int) int {
	a = a.defaults()
	measurement := a.Coordinates
	if a.Central {
		measurement *= 2
	}
	before := 0
	for cost, step := 1, 1; cost < queries; step++ {
		before = cost
		cost++
		if since := step - a.First; since >= 0 && since%a.Interval == 0 {
			cost += measurement
		}
	}
	return before
}

// AttackScores implements ScoreAttack.
func (a Meta) AttackScores(ctx context.Context, v zoo.Scorer, t *Try) error {
	a = a.defaults()
	est := zoo.NewMeta(a.Network)
	est.Coordinates, est.Interval, est.First = a.Coordinates, a.Interval, a.First
	est.Step, est.Central = a.H, a.Central
	est.Tune, est.LR, est.Mask = a.Tune, a.TuneLR, a.Mask
	w := make([]float32, t.Clean.Len())
	adam := newAdam(len(w), a.LR)
	length := a.LR * math.Sqrt(float64(min(a.Coordinates, len(w))))
	d := Descent{
		Objective: zoo.NewObjective(v, t.Goal, a.Loss), Estimator: est, Steps: a.Steps,
		// With both decay rates at 0, coordinate Adam is a sign step. The pixel's
		// gradient and the modifier's have one sign in either box.
		Step: func(x []float32, g []float64) {
			f := length / max(norm2(g), 1e-30)
			for i, u := range g {
				switch {
				case a.Proportional:
					w[i] -= float32(f * u)
				case u != 0 && a.Adam:
					w[i] -= float32(adam.step(i, u))
				case u != 0:
					u := float32(u)
					w[i] -= float32(a.LR) * u / (abs(u) + 1e-8)
				}
			}
			a.Box.Image(x, w, t.Clean.Data())
		},
	}
	return d.Run(ctx, t)
}

func abs(v float32) float32 { return max(v, -v) }
