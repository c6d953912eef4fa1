package ssl

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// unit writes src divided by its length to dst.
func unit(dst, src []float32) {
	kernel.Scale(dst, src, float32(1/max(kernel.Norm2(src), tiny)))
}

// unitRows returns n rows of length 1 in directions that are drawn by the seed.
func unitRows(seed uint64, n, d int) *tensor.Tensor {
	x := tensor.New(n, d)
	kernel.Normal(x.Data(), 0, 1, seed, 1<<50)
	for i := range n {
		row := x.Data()[i*d:][:d]
		unit(row, row)
	}
	return x
}

// permutation returns an order of n that follows from a seed and a step.
func permutation(n int, seed, step uint64) []int {
	return rand.New(rand.NewPCG(seed, step)).Perm(n)
}

// divides returns an error unless the batch of n divides size.
func divides(name, what string, size, n int) error {
	if n == 0 || size%n != 0 {
		return fmt.Errorf("ssl: %s: %s has %d rows, which is no multiple of the batch of %d: take another size, and drop a last batch that is not full (LoaderOptions.DropLast)", name, what, size, n)
	}
	return nil
}

func groupError(n, groups int) error {
	return fmt.Errorf("ssl: MoCo: a batch of %d cannot be cut into %d groups of two or more for its statistics: change Groups or the batch", n, groups)
}

// grouped passes a batch through a tower in groups, each with batch statistics of its own.
// The running estimates then move once, towards the mean of the groups, and not once for
// every group.
type grouped struct {
	groups   int
	buffers  []*tensor.Tensor
	counters []*int64
	before   [][]float32
	sum      [][]float64
}

func newGrouped(m nn.Tree, groups int) grouped {
	g := grouped{groups: groups}
	if groups == 1 {
		return g
	}
	for e := range nn.State(m) {
		switch {
		case e.Buffer != nil:
			g.buffers = append(g.buffers, e.Buffer)
			g.before = append(g.before, make([]float32, e.Buffer.Len()))
			g.sum = append(g.sum, make([]float64, e.Buffer.Len()))
		case e.Counter != nil:
			g.counters = append(g.counters, e.Counter)
		}
	}
	return g
}

// forward returns f of x, group by group, with the rows in their order.
func (g *grouped) forward(t *autograd.Tape, x *tensor.Tensor, f func(autograd.Var) autograd.Var) autograd.Var {
	if g.groups == 1 {
		return f(t.Input(x))
	}
	counts := make([]int64, len(g.counters))
	for i, c := range g.counters {
		counts[i] = *c
	}
	for i, b := range g.buffers {
		copy(g.before[i], b.Data())
		clear(g.sum[i])
	}
	n := x.Dim(0) / g.groups
	parts := make([]autograd.Var, g.groups)
	for k := range parts {
		for i, b := range g.buffers {
			copy(b.Data(), g.before[i])
		}
		parts[k] = f(t.Input(x.Slice(k*n, (k+1)*n)))
		for i, b := range g.buffers {
			for j, v := range b.Data() {
				g.sum[i][j] += float64(v)
			}
		}
	}
	for i, b := range g.buffers {
		for j, v := range g.sum[i] {
			b.Data()[j] = float32(v / float64(g.groups))
		}
	}
	for i, c := range g.counters {
		*c = counts[i] + 1
	}
	return autograd.ConcatCopy(0, parts...)
}

// bounded returns e to the power x, limited so that it stays finite.
func bounded(x float64) float64 { return math.Exp(min(x, 700)) }

// logOf is the logarithm of what may be 0.
func logOf(x float64) float64 { return math.Log(max(x, math.SmallestNonzeroFloat64)) }
