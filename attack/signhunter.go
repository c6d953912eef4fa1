package attack

import (
	"cmp"
	"context"
	"math"
	"math/bits"

	"github.com/mettleml/mettle/zoo"
)

// SignHunter is the attack of Al-Dujaili and O'Reilly (2020): it starts at a corner of the
// ball and flips the signs of ever smaller blocks. It keeps a flip unless the loss rises,
// as the authors' code does. A flip takes one query. After log2 d halvings it starts again
// from the image it has reached. It is the right choice for a first look at a victim with
// scores under an Linf ball, because it has nothing to tune and is not random.
type SignHunter struct {
	Norm Norm
	Eps  float64  // radius of the ball; 0 means 2 for L2, 0.05 for Linf
	Loss zoo.Loss // nil means cross-entropy, the paper's
}

// About describes the attack.
func (a SignHunter) About() About { return About{"signhunter", a.Norm, a.defaults()} }

func (a SignHunter) defaults() SignHunter {
	if a.Norm == Linf {
		a.Eps = cmp.Or(a.Eps, 0.05)
	}
	a.Eps, a.Loss = cmp.Or(a.Eps, 2), orLoss[zoo.Loss](a.Loss, zoo.CrossEntropy{})
	return a
}

// AttackScores implements ScoreAttack.
func (a SignHunter) AttackScores(ctx context.Context, v zoo.Scorer, t *Try) error {
	a = a.defaults()
	obj := zoo.NewObjective(v, t.Goal, a.Loss)
	clean := t.Clean.Data()
	d := len(clean)
	eps := a.Eps
	step := eps
	if a.Norm == L2 {
		step /= math.Sqrt(float64(d))
	}
	from := t.start()
	x := make([]float32, d)
	signs := make([]float32, d)
	for i := range signs {
		signs[i] = 1
	}
	ask := func() (float64, bool, error) {
		for i, s := range signs {
			x[i] = from[i] + s*float32(step)
		}
		a.Norm.Project(x, clean, eps)
		return t.Ask(ctx, obj, x)
	}
	best, done, err := ask()
	if err != nil || done {
		return err
	}
	levels := bits.Len(uint(d - 1))
	for {
		for h := 0; h <= levels; h++ {
			size := max((d+(1<<h)-1)>>h, 1)
			for lo := 0; lo < d; lo += size {
				hi := min(lo+size, d)
				flip(signs[lo:hi])
				loss, done, err := ask()
				if err != nil || done {
					return err
				}
				if loss <= best {
					best = loss
				} else {
					flip(signs[lo:hi])
				}
			}
		}
		for i, s := range signs {
			from[i] += s * float32(step)
		}
		a.Norm.Project(from, clean, eps)
	}
}

func flip(s []float32) {
	for i := range s {
		s[i] = -s[i]
	}
}
