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
// one query; every Interval-th step costs as many more as option Coordinates says, or
// Groups, and twice that with Central.
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

	// The following are ours and 0 in the paper's attack. They save queries and distance
	// together; preset lean uses them all.

	// Groups is the number of queries of a measurement, if not as many as Coordinates:
	// neighbouring coordinates are measured along the prediction. Not with Central.
	Groups int `json:",omitempty"`
	// Nearest makes an untargeted attack go to the class that is nearest by the last
	// measurement, instead of the one with the next score. Not with Central.
	Nearest bool `json:",omitempty"`
	// Turn is the share, at most 1, of the modifier's part across the estimate that the
	// attack gives up after its first measurement: the way so far was towards where the
	// gradient pointed then. After each further measurement the share is 0.8 of the one
	// before.
	Turn float64 `json:",omitempty"`
	// Approach shortens steps near the goal: to so many times what is left to loss 0 at the
	// rate of the last step, and an eighth at least. About 1. The loss must be 0 where the
	// goal is achieved, as Hinge is.
	Approach float64 `json:",omitempty"`

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
	if a.Groups > 0 {
		measurement = min(measurement, a.Groups)
	}
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
	est.Groups, est.Nearest = a.Groups, a.Nearest
	w := make([]float32, t.Clean.Len())
	adam := newAdam(len(w), a.LR)
	length := a.LR * math.Sqrt(float64(min(a.Coordinates, len(w))))
	near := approach{factor: a.Approach}
	turn := a.Turn
	d := Descent{
		Objective: zoo.NewObjective(v, t.Goal, a.Loss), Estimator: est, Steps: a.Steps, Seen: near.see,
		// With both decay rates at 0, coordinate Adam is a sign step. The pixel's
		// gradient and the modifier's have one sign in either box.
		Step: func(x []float32, g []float64) {
			if turn > 0 && est.Measured() {
				turnTo(w, g, turn)
				turn *= 0.8
			}
			share := near.step()
			f := share * length / max(norm2(g), 1e-30)
			for i, u := range g {
				switch {
				case a.Proportional:
					w[i] -= float32(f * u)
				case u != 0 && a.Adam:
					w[i] -= float32(share * adam.step(i, u))
				case u != 0:
					u := float32(u)
					w[i] -= float32(share*a.LR) * u / (abs(u) + 1e-8)
				}
			}
			a.Box.Image(x, w, t.Clean.Data())
		},
	}
	d.Objective.Keep = a.Nearest && !t.Goal.Targeted
	return d.Run(ctx, t)
}

// turnTo takes away the given share of the part of w that is across -g; if w leads along g,
// of all of w.
func turnTo(w []float32, g []float64, share float64) {
	var along, length float64
	for i, u := range g {
		along -= float64(w[i]) * u
		length += u * u
	}
	along = max(along, 0) / max(length, 1e-300)
	for i, u := range g {
		kept := -along * u
		w[i] = float32(kept + (1-share)*(float64(w[i])-kept))
	}
}

// An approach shortens the steps of a descent whose loss is 0 at its goal.
type approach struct {
	factor     float64 // 0 means that all steps are whole
	loss, last float64 // here, and before the last step
	share      float64 // of a whole step that the last one was; 0 before the first
}

func (a *approach) see(loss float64) { a.last, a.loss = a.loss, loss }

// step returns how long the next step is to be, as a share of a whole one.
func (a *approach) step() float64 {
	share := 1.0
	if fell := a.last - a.loss; a.factor > 0 && a.share > 0 && fell > 0 {
		share = min(1, max(a.factor*a.loss/fell*a.share, 0.125))
	}
	a.share = share
	return share
}

func abs(v float32) float32 { return max(v, -v) }
