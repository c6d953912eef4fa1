package mm

import (
	"fmt"
	"math"
	"strconv"
)

// Error is the type of the panics of this package. A panic means a bug of the
// caller: vectors of different lengths, a nil sum, a proximal step t ≤ 0. What
// depends on data, options, budgets or convergence comes back as an error instead.
type Error string

// Error returns the text with the prefix "mm: ".
func (e Error) Error() string { return "mm: " + string(e) }

// A FiniteSum is the smooth part of an objective,
//
//	f(θ) = (1/n) Σ_i f_i(θ),   θ ∈ R^p.
//
// Several goroutines may call its methods at once. The methods must not keep or
// change x. They are called in inner loops, so those of this package do not check
// the length of x or the range of i; Minimize and the functions of this package
// check once for all.
type FiniteSum interface {
	// Len returns n, the number of components.
	Len() int
	// Dim returns p, the number of parameters.
	Dim() int
	// Component returns f_i(x).
	Component(i int, x []float64) float64
	// AddGrad adds scale·∇f_i(x) to dst, which has p entries.
	AddGrad(dst []float64, i int, x []float64, scale float64)
}

// A BatchGrader is a FiniteSum with a fast path for many components at one point.
type BatchGrader interface {
	// AddBatchGrad adds scale·Σ_{i∈idx} ∇f_i(x) to dst. An index that occurs
	// twice counts twice.
	AddBatchGrad(dst []float64, idx []int, x []float64, scale float64)
}

// A PairGrader is a FiniteSum with a fast path for the differences that the
// path-integrated methods (SPIMM, SARAH and their kin) need: one visit of the data
// of component i serves both points. It still counts as two component gradients.
type PairGrader interface {
	// AddGradDiff adds scale·Σ_{i∈idx} (∇f_i(a) − ∇f_i(b)) to dst.
	AddGradDiff(dst []float64, idx []int, a, b []float64, scale float64)
}

// A RangeValuer is a FiniteSum with a fast path for sums of values. It pays where
// the components share a term.
type RangeValuer interface {
	// SumRange returns Σ_{lo≤i<hi} f_i(x).
	SumRange(lo, hi int, x []float64) float64
}

// Lipschitz holds the smoothness constants of a finite sum.
type Lipschitz struct {
	// MeanSquare is the L of assumption A1,
	// (1/n) Σ ‖∇f_i(x)−∇f_i(y)‖² ≤ L²‖x−y‖². It is at most the root of the mean
	// of the squared L_i, hence at most Max. 0 means unknown.
	MeanSquare float64
	// Max is the largest Lipschitz constant L_i of a component gradient. 0 means
	// unknown.
	Max float64
}

// Smooth is a FiniteSum that knows its smoothness constants. The default steps of
// all methods are made from them.
type Smooth interface {
	// Lipschitz returns constants that hold for every x.
	Lipschitz() Lipschitz
}

// Problem is the objective F = f + h.
type Problem struct {
	// Sum is f.
	Sum FiniteSum
	// Reg is h. Nil means h = 0.
	Reg Regularizer
}

// Value returns F(x), summed in the order of the components. It panics unless x has
// one entry per parameter.
func (p Problem) Value(x []float64) float64 {
	checkLen("Value", len(x), p.Sum.Dim())
	v := sumValue(p.Sum, x, 1) / float64(p.Sum.Len())
	if p.Reg != nil {
		v += p.Reg.Value(x)
	}
	return v
}

// FullGrad writes ∇f(x), the gradient of the smooth part, to dst. It panics unless
// dst and x have one entry per parameter.
func FullGrad(dst []float64, f FiniteSum, x []float64) {
	checkLen("FullGrad", len(x), f.Dim())
	checkLen("FullGrad", len(dst), f.Dim())
	newGradOracle(f, 1).mean(dst, x)
}

func checkLen(op string, got, want int) {
	if got != want {
		panic(Error(op + ": vector of length " + strconv.Itoa(got) + ", want " + strconv.Itoa(want)))
	}
}

// EstimateLipschitz estimates the smoothness constants of a sum that does not know
// them, for Settings.Lipschitz. It samples difference quotients of component
// gradients: the given number of pairs of near points, spread over the ball of the
// given radius round x, and at most 64 components per pair. It returns the largest
// quotients times 1.5.
//
// Samples can only show a lower bound, so the theorems of this package do not hold
// for an estimate. The cost is 2·pairs·min(n, 64) component gradients, which no run
// counts. EstimateLipschitz panics unless the radius and the number of pairs are
// positive and x has one entry per parameter.
func EstimateLipschitz(f FiniteSum, x []float64, radius float64, pairs int, seed uint64) Lipschitz {
	checkLen("EstimateLipschitz", len(x), f.Dim())
	if !(radius > 0) || math.IsInf(radius, 1) || pairs < 1 {
		panic(Error(fmt.Sprintf("EstimateLipschitz: radius %g and %d pairs, want both positive and finite", radius, pairs)))
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
