package attack

import (
	"cmp"
	"context"

	"github.com/mettleml/mettle/zoo"
)

// Bandits is the attack of Ilyas, Engstrom and Madry (2019, "Prior Convictions"):
// steps within a ball along a gradient prior that two probes improve at each
// step. With Tile 0 it is Bandits-T (a prior in time), with a tile smaller than
// the image Bandits-TD (in time and data). An iteration costs 3 queries: two
// probes, and the check of the iterate, which the paper does not count.
type Bandits struct {
	Norm    Norm
	Eps     float64  // radius of the ball; 0: 2 for L2, 0.05 for Linf
	Tile    int      // side of the prior; 0: the image's
	LR      float64  // step of the image (h); 0: 0.1 for L2, 0.01 for Linf
	PriorLR float64  // 0: 0.1 for L2, 100 for Linf
	Probe   float64  // η; 0: 0.01 for L2, 0.1 for Linf
	Explore float64  // δ; 0: 0.01 for L2, 1 for Linf
	Loss    zoo.Loss // 0: cross-entropy, the paper's, unlike the zero Loss
}

// About describes the attack.
func (a Bandits) About() About {
	if a.Tile > 0 {
		return About{"bandits-td", a.Norm}
	}
	return About{"bandits-t", a.Norm}
}

// AttackScores implements ScoreAttack.
func (a Bandits) AttackScores(ctx context.Context, v zoo.Scorer, t *Try) error {
	def := Bandits{Eps: 2, LR: 0.1, PriorLR: 0.1, Probe: 0.01, Explore: 0.01}
	if a.Norm == Linf {
		def = Bandits{Eps: 0.05, LR: 0.01, PriorLR: 100, Probe: 0.1, Explore: 1}
	}
	lr := cmp.Or(a.LR, def.LR)
	d := descent{
		obj: zoo.NewObjective(v, t.Goal, cmp.Or(a.Loss, unitCE)), try: t,
		est: &zoo.Prior{Tile: a.Tile, Probe: cmp.Or(a.Probe, def.Probe), Explore: cmp.Or(a.Explore, def.Explore),
			LR: cmp.Or(a.PriorLR, def.PriorLR), Exponential: a.Norm == Linf, Rand: t.Rand(0)},
		step: ballStep(a.Norm, cmp.Or(a.Eps, def.Eps), &lr, t.Clean.Data()),
	}
	return d.run(ctx)
}
