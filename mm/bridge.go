package mm

import (
	"gonum.org/v1/gonum/optimize"
)

// Batch hands f, the smooth part, to the full-batch methods of gonum's optimize
// package, such as L-BFGS. A regulariser is only possible where it is smooth: it
// is added when it is Ridge, and Batch returns false for any other that is not
// nil or Zero.
func Batch(p Problem) (optimize.Problem, bool) {
	ridge := 0.0
	if p.Reg != nil {
		var ok bool
		if ridge, ok = ridgeOf(p.Reg); !ok {
			return optimize.Problem{}, false
		}
	}
	return optimize.Problem{
		Func: p.Value,
		Grad: func(grad, x []float64) {
			FullGrad(grad, p.Sum, x)
			axpy(grad, ridge, x)
		},
	}, true
}
