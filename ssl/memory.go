package ssl

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/internal/kernel"
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

// bounded returns e to the power x, limited so that it stays finite.
func bounded(x float64) float64 { return math.Exp(min(x, 700)) }

// logOf is the logarithm of what may be 0.
func logOf(x float64) float64 { return math.Log(max(x, math.SmallestNonzeroFloat64)) }
