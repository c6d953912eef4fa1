package attack

import (
	"cmp"
	"context"

	"github.com/mettleml/mettle/zoo"
)

// NES is the query-limited attack of Ilyas et al. (2018, "Black-box Adversarial Attacks
// with Limited Queries and Information"): antithetic Gaussian estimates, momentum, and
// steps within a ball. An iteration costs Queries + 1 queries. It is the right choice under
// a ball where calls are expensive and queries are cheap; Square usually needs fewer
// queries.
type NES struct {
	Norm     Norm     // 0 means L2; the paper's is Linf
	Eps      float64  // radius of the ball; 0 means 0.05 for Linf, 2 for L2
	Queries  int      // queries per estimate, even; 0 means 50
	Sigma    float64  // standard deviation standard deviation standard deviation of the draws; 0 means 1e-3
	LR       float64  // step; 0 means 0.01 for Linf, 0.1 for L2
	MinLR    float64  // floor of the step as it is halved; 0 means LR/200
	Momentum float64  // weight of the last gradient; 0 means 0.9, Zero none
	Loss     zoo.Loss // nil means cross-entropy, the paper's
}

// About describes the attack.
func (a NES) About() About { return About{"nes", a.Norm, a.defaults()} }

func (a NES) defaults() NES {
	eps, lr := 2.0, 0.1
	if a.Norm == Linf {
		eps, lr = 0.05, 0.01
	}
	a.Eps, a.LR = cmp.Or(a.Eps, eps), cmp.Or(a.LR, lr)
	a.Queries, a.Sigma = cmp.Or(a.Queries, 50), cmp.Or(a.Sigma, 1e-3)
	a.MinLR, a.Momentum = cmp.Or(a.MinLR, a.LR/200), cmp.Or(a.Momentum, 0.9)
	a.Loss = orLoss[zoo.Loss](a.Loss, zoo.CrossEntropy{})
	return a
}

// plateau is how many losses the step rule of NES compares.
const plateau = 5

// AttackScores implements ScoreAttack.
func (a NES) AttackScores(ctx context.Context, v zoo.Scorer, t *Try) error {
	a = a.defaults()
	var losses []float64
	est := &zoo.NES{Queries: a.Queries, Sigma: a.Sigma, Rand: t.Rand(0)}
	d := Descent{
		Objective: zoo.NewObjective(v, t.Goal, a.Loss),
		Estimator: &momentum{est: est, keep: a.Momentum},
		Step:      BallStep(a.Norm, a.Eps, &a.LR, t.Clean.Data()),
		Seen: func(loss float64) {
			losses = append(losses, loss)
			if n := len(losses); n >= plateau && losses[n-1] > losses[n-plateau] {
				a.LR = max(a.LR/2, a.MinLR)
				losses = losses[:0]
			}
		},
	}
	return d.Run(ctx, t)
}

// momentum smooths the gradients of another estimator.
type momentum struct {
	est  zoo.Estimator
	keep float64
	last []float64
}

func (m *momentum) Estimate(ctx context.Context, o *zoo.Objective, p zoo.Point, g []float64) error {
	if err := m.est.Estimate(ctx, o, p, g); err != nil {
		return err
	}
	if m.last == nil {
		m.last = append(m.last, g...)
		return nil
	}
	for i, v := range g {
		m.last[i] = m.keep*m.last[i] + (1-m.keep)*v
	}
	copy(g, m.last)
	return nil
}
