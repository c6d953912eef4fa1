package attack

import (
	"cmp"
	"context"

	"github.com/mettleml/mettle/zoo"
)

// Bandits is the attack of Ilyas, Engstrom and Madry (2019, "Prior Convictions"): steps
// within a ball along a gradient prior. Two probes improve the prior at each step. With
// Tile 0 it is Bandits-T (a prior in time), with a tile smaller than the image Bandits-TD
// (in time and data). It is the right choice as the baseline of methods with a gradient
// prior, and where a step that follows a gradient may cost few queries only; Square usually
// needs fewer in all. An iteration costs three queries: two probes and the check of the
// iterate. The paper does not count the check.
//
// The defaults for Linf are those of the paper's code for ImageNet. Those for L2 are
// smaller, to suit smaller pictures: the radius is 2 and the step 0.1 where the paper has 5
// and 0.5. PresetOf[Bandits] has the paper's.
//
// The authors' code also probes outside [0,1]; this one clips its probes. Two other ways to
// stay within [0,1] do no better. On 200 MNIST images and five seeds (Net4, Linf 0.1, Tile
// 14) clipping broke 22.3 % of the images within 500 queries. Moving both probes inside as
// a pair broke 21.6 %, and keeping the prior 0.01 off its bounds 21.8 % (standard deviation
// between seeds 1 %).
type Bandits struct {
	Norm    Norm
	Eps     float64  // radius of the ball; 0 means 2 for L2, 0.05 for Linf
	Tile    int      // side of the prior; 0 means the image's
	Frames  int      `json:",omitempty"` // frames of the prior of a clip; 0 means the clip's number, 1 one prior for all frames
	LR      float64  // step of the image (h); 0 means 0.1 for L2, 0.01 for Linf
	PriorLR float64  // 0 means 0.1 for L2, 100 for Linf
	Probe   float64  // η; 0 means 0.01 for L2, 0.1 for Linf
	Explore float64  // δ; 0 means 0.01 for L2, 1 for Linf
	Loss    zoo.Loss // nil means cross-entropy, the paper's
}

// About describes the attack.
func (a Bandits) About() About {
	if a.Tile > 0 {
		return About{"bandits-td", a.Norm, a.defaults()}
	}
	return About{"bandits-t", a.Norm, a.defaults()}
}

func (a Bandits) defaults() Bandits {
	def := Bandits{Eps: 2, LR: 0.1, PriorLR: 0.1, Probe: 0.01, Explore: 0.01}
	if a.Norm == Linf {
		def = Bandits{Eps: 0.05, LR: 0.01, PriorLR: 100, Probe: 0.1, Explore: 1}
	}
	a.Eps, a.LR, a.PriorLR = cmp.Or(a.Eps, def.Eps), cmp.Or(a.LR, def.LR), cmp.Or(a.PriorLR, def.PriorLR)
	a.Probe, a.Explore = cmp.Or(a.Probe, def.Probe), cmp.Or(a.Explore, def.Explore)
	a.Loss = orLoss[zoo.Loss](a.Loss, zoo.CrossEntropy{})
	return a
}

// AttackScores implements ScoreAttack.
func (a Bandits) AttackScores(ctx context.Context, v zoo.Scorer, t *Try) error {
	a = a.defaults()
	d := Descent{
		Objective: zoo.NewObjective(v, t.Goal, a.Loss),
		Estimator: &zoo.Prior{Tile: a.Tile, Frames: a.Frames, Probe: a.Probe, Explore: a.Explore, LR: a.PriorLR,
			Exponential: a.Norm == Linf, Rand: t.Rand(0)},
		Step: BallStep(a.Norm, a.Eps, &a.LR, t.Clean.Data()),
	}
	return d.Run(ctx, t)
}
