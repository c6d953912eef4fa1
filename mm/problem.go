package mm

import (
	"fmt"
	"math"
	"strconv"
)

// Error is the type of the panics of this package: a caller's bug, such as
// vectors of different lengths. What depends on data, budgets or convergence is
// returned as an error instead.
type Error string

func (e Error) Error() string { return "mm: " + string(e) }

// A FiniteSum is the smooth part of an objective,
//
//	f(θ) = (1/n) Σ_i f_i(θ),   θ ∈ R^p.
//
// Its methods may be called from several goroutines at once and must not keep
// or change x.
type FiniteSum interface {
	// Len returns n, the number of components.
	Len() int
	// Dim returns p, the number of parameters.
	Dim() int
	// Component returns f_i(x).
	Component(i int, x []float64) float64
	// AddGrad adds scale·∇f_i(x) to dst.
	AddGrad(dst []float64, i int, x []float64, scale float64)
}

// A BatchGrader is a FiniteSum with a fast path for many components at one point.
type BatchGrader interface {
	// AddBatchGrad adds scale·Σ_{i∈idx} ∇f_i(x) to dst. An index that occurs
	// twice counts twice.
	AddBatchGrad(dst []float64, idx []int, x []float64, scale float64)
}

// A PairGrader is a FiniteSum with a fast path for the difference that the
// path-integrated methods need: one visit of the data of component i serves both
// points. It costs two component gradients in the count all the same.
type PairGrader interface {
	// AddGradDiff adds scale·Σ_{i∈idx} (∇f_i(a) − ∇f_i(b)) to dst.
	AddGradDiff(dst []float64, idx []int, a, b []float64, scale float64)
}

// A RangeValuer is a FiniteSum with a fast path for sums of values, such as one
// whose components share a term.
type RangeValuer interface {
	// SumRange returns Σ_{lo≤i<hi} f_i(x).
	SumRange(lo, hi int, x []float64) float64
}

// Lipschitz holds the smoothness constants of a finite sum.
type Lipschitz struct {
	// MeanSquare is the L of assumption A1,
	// (1/n) Σ ‖∇f_i(x)−∇f_i(y)‖² ≤ L²‖x−y‖². It is at most the root of the mean
	// of the squared L_i, hence at most Max.
	MeanSquare float64
	// Max is the largest Lipschitz constant L_i of a component gradient.
	Max float64
}

// Smooth is a FiniteSum that knows its smoothness constants.
type Smooth interface {
	Lipschitz() Lipschitz
}

// Problem is the objective F = f + h. A nil Reg stands for h = 0.
type Problem struct {
	Sum FiniteSum
	Reg Regularizer
}

// Value returns F(x), summed in the order of the components.
func (p Problem) Value(x []float64) float64 {
	v := sumValue(p.Sum, x, 1) / float64(p.Sum.Len())
	if p.Reg != nil {
		v += p.Reg.Value(x)
	}
	return v
}

// FullGrad writes ∇f(x), the gradient of the smooth part, to dst.
func FullGrad(dst []float64, f FiniteSum, x []float64) {
	checkLen("FullGrad", len(dst), f.Dim())
	newGradOracle(f, 1).mean(dst, x)
}

func checkLen(op string, got, want int) {
	if got != want {
		panic(Error(op + ": vector of length " + strconv.Itoa(got) + ", want " + strconv.Itoa(want)))
	}
}

// EstimateLipschitz samples difference quotients of component gradients between
// random points of a ball of the given radius round x and returns what it saw,
// times 1.5. What it sees is a lower bound, so the result is an estimate and
// voids every theorem of this package; it costs 4·pairs·min(n, 64) component
// gradients, counted nowhere. It panics unless radius and pairs are positive.
func EstimateLipschitz(f FiniteSum, x []float64, radius float64, pairs int, seed uint64) Lipschitz {
	checkLen("EstimateLipschitz", len(x), f.Dim())
	if !(radius > 0) || pairs < 1 {
		panic(Error(fmt.Sprintf("EstimateLipschitz: radius %g and %d pairs", radius, pairs)))
	}
	r := newCounter(seed, streamEstimate)
	n, p := f.Len(), f.Dim()
	m := min(n, 64)
	a, b, g := make([]float64, p), make([]float64, p), make([]float64, p)
	var lip Lipschitz
	for range pairs {
		da, db := 0.0, 0.0
		for j := range a {
			a[j], b[j] = r.normal(), r.normal()
			da += a[j] * a[j]
			db += b[j] * b[j]
		}
		// a is spread over the ball, b lies near it: curvature is local.
		sa := radius * r.float() / math.Sqrt(da)
		sb := 1e-3 * radius / math.Sqrt(db)
		for j := range a {
			a[j] = x[j] + sa*a[j]
			b[j] = a[j] + sb*b[j]
		}
		dist := distance(a, b)
		mean := 0.0
		for k := range m {
			i := k
			if m < n {
				i = r.intn(n)
			}
			clear(g)
			f.AddGrad(g, i, a, 1)
			f.AddGrad(g, i, b, -1)
			q := norm(g) / dist
			lip.Max = max(lip.Max, q)
			mean += q * q
		}
		lip.MeanSquare = max(lip.MeanSquare, math.Sqrt(mean/float64(m)))
	}
	lip.MeanSquare *= 1.5
	lip.Max *= 1.5
	return lip
}
