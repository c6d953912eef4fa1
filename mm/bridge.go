package mm

import "gonum.org/v1/gonum/optimize"

// Batch turns a smooth problem into one for the full-batch methods of gonum's optimize
// package, such as L-BFGS. It returns false unless the regulariser is nil, Zero or
// Ridge: the others are not smooth. The functions panic for a point of the wrong
// length.
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
