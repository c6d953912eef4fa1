package autograd

import (
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// TestLayoutsDoNotAllocate: operations that copy to another layout, sum over axes and
// average, forward and back, take nothing from the heap once a loop runs.
func TestLayoutsDoNotAllocate(t *testing.T) {
	p := NewParam(tensor.New(6, 8))
	tape := NewTape(Training, 1)
	run := func(f func(x Var) Var) float64 {
		step := func() {
			tape.Reset()
			tape.Gradients(Sum(f(tape.Param(p))))
		}
		step()
		step()
		return testing.AllocsPerRun(200, step)
	}
	base := run(func(x Var) Var { return x }) // what Gradients itself takes
	for name, f := range map[string]func(x Var) Var{
		"TransposeCopy": TransposeCopy,
		"PermuteCopy":   func(x Var) Var { return PermuteCopy(Reshape(x, 2, 3, 8), 2, 0, 1) },
		"SumAxes":       func(x Var) Var { return SumAxes(x, 0) },
		"MeanAxes":      func(x Var) Var { return MeanAxes(Reshape(x, 2, 3, 8), 1) },
	} {
		if n := run(f) - base; n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
