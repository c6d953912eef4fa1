package attack

import (
	"cmp"
	"context"
	"iter"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/zoo"
)

// SimBA is the Simple Black-box Attack of Guo et al. (2019): it tries the vectors of an
// orthonormal basis in random order and keeps a step along a vector, in either direction,
// if the loss falls. A vector takes one or two queries. After T kept steps the L2 norm is
// at most Eps·sqrt(T). With DCT the lowest frequencies come first in random order, then
// shell after shell of higher ones. It is the right choice for a victim with scores when a
// simple method matters more than the least L2.
//
// The authors' code compares probabilities in float32. Those of a confident victim often do
// not change, and the code then rejects the step. This one compares logarithms in float64,
// sees every change, keeps more steps, and ends 4 to 7 % farther away on MNIST. It also
// counts the first query, about the clean sample; the authors' code does not.
type SimBA struct {
	Eps      float64  // length of a step; 0 means 0.2
	DCT      bool     // basis of the discrete cosine transform per channel, not of pixels
	Fraction float64  // with DCT: share of the frequencies along each axis that are tried first; 0 means 1/8
	Stride   int      `json:",omitempty"` // with DCT: number of frequencies along each axis by which the block then grows; 0 means 7
	Loss     zoo.Loss // nil means cross-entropy, the paper's
}

// About describes the attack.
func (a SimBA) About() About {
	if a.DCT {
		return About{"simba-dct", L2, a.defaults()}
	}
	return About{"simba", L2, a.defaults()}
}

func (a SimBA) defaults() SimBA {
	if a.DCT {
		a.Fraction, a.Stride = cmp.Or(a.Fraction, 0.125), cmp.Or(a.Stride, 7)
	}
	a.Eps, a.Loss = cmp.Or(a.Eps, 0.2), orLoss[zoo.Loss](a.Loss, zoo.CrossEntropy{})
	return a
}

// AttackScores implements ScoreAttack.
func (a SimBA) AttackScores(ctx context.Context, v zoo.Scorer, t *Try) error {
	a = a.defaults()
	obj := zoo.NewObjective(v, t.Goal, a.Loss)
	x := t.start()
	best, won, err := t.Ask(ctx, obj, x)
	if err != nil || won {
		return err
	}
	basis := a.basis(t.Clean.Shape())
	probe := make([]float32, len(x))
	for k := range basis.order(t.Rand(0)) {
		for _, step := range []float64{-a.Eps, a.Eps} {
			copy(probe, x)
			basis.add(probe, k, step)
			for i, p := range probe {
				probe[i] = min(max(p, 0), 1)
			}
			loss, won, err := t.Ask(ctx, obj, probe)
			if err != nil || won {
				return err
			}
			if loss < best {
				best = loss
				copy(x, probe)
				break
			}
		}
	}
	return nil
}

// A basis is an orthonormal set of images, as many as an image has values. Shells part
// its vectors: those of the first are tried before those of the second.
type basis struct {
	shells [][]int
	add    func(x []float32, k int, step float64) // x += step · vector k
}

// order permutes the vectors of each shell.
func (b basis) order(r *rand.Rand) iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, shell := range b.shells {
			for _, i := range r.Perm(len(shell)) {
				if !yield(shell[i]) {
					return
				}
			}
		}
	}
}

func (a SimBA) basis(shape []int) basis {
	n := 1
	for _, d := range shape {
		n *= d
	}
	if !a.DCT {
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		return basis{[][]int{all}, func(x []float32, k int, step float64) { x[k] += float32(step) }}
	}
	h, w := shape[len(shape)-2], shape[len(shape)-1]
	fh, fw := low(h, a.Fraction), low(w, a.Fraction)
	var shells [][]int
	for k := range n { // vector k is frequency u by v of a plane
		u, v := k/w%h, k%w
		s := max(growths(u, fh, a.Stride), growths(v, fw, a.Stride))
		for len(shells) <= s {
			shells = append(shells, nil)
		}
		shells[s] = append(shells[s], k)
	}
	return basis{shells, func(x []float32, k int, step float64) {
		plane, u, v := k/(h*w), k/w%h, k%w
		for i := range h {
			s := step * cosine(u, i, h)
			for j := range w {
				x[(plane*h+i)*w+j] += float32(s * cosine(v, j, w))
			}
		}
	}}
}

func low(n int, part float64) int { return min(max(int(math.Ceil(part*float64(n))), 1), n) }

// growths is how often a block of size frequencies must grow by stride to hold f.
func growths(f, size, stride int) int { return max(f-size+stride, 0) / stride }

// cosine is value i of the orthonormal DCT-II vector of frequency f.
func cosine(f, i, n int) float64 {
	c := math.Sqrt(2 / float64(n))
	if f == 0 {
		c = math.Sqrt(1 / float64(n))
	}
	return c * math.Cos(math.Pi*(float64(i)+0.5)*float64(f)/float64(n))
}
