package mm

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// Nuclear is Lambda times the sum of the singular values of x, read as an R×C
// matrix, row-major. The prox soft-thresholds them.
type Nuclear struct {
	Lambda float64
	R, C   int
}

func (h Nuclear) Value(x []float64) float64 {
	s := 0.0
	for _, v := range singular(x, h.R, h.C) {
		s += v
	}
	return h.Lambda * s
}

func (h Nuclear) Prox(dst, u []float64, t float64) {
	spectral(dst, u, h.R, h.C, func(_ int, s float64) float64 { return max(s-t*h.Lambda, 0) })
}
func (Nuclear) Convex() bool { return true }

// MaxRank is the set of R×C matrices of rank at most K, not convex. The prox
// truncates the singular value decomposition.
type MaxRank struct {
	K, R, C int
}

func (h MaxRank) Feasible(x []float64, tol float64) bool {
	s := singular(x, h.R, h.C)
	return h.K >= len(s) || s[h.K] <= tol
}
func (h MaxRank) Value(x []float64) float64 { return indicator(h, x) }
func (h MaxRank) Prox(dst, u []float64, _ float64) {
	spectral(dst, u, h.R, h.C, func(k int, s float64) float64 {
		if k < h.K {
			return s
		}
		return 0
	})
}
func (MaxRank) Convex() bool { return false }

// Stiefel is the set of R×C matrices, R ≥ C, with orthonormal columns, not
// convex. The prox is the polar factor; for a rank-deficient matrix it is one of
// several, the completion that the decomposition yields, always the same.
type Stiefel struct {
	R, C int
}

func (h Stiefel) Feasible(x []float64, tol float64) bool {
	m := mat.NewDense(h.R, h.C, x)
	var g mat.Dense
	g.Mul(m.T(), m)
	for i := range h.C {
		for j := range h.C {
			want := 0.0
			if i == j {
				want = 1
			}
			if !(math.Abs(g.At(i, j)-want) <= tol) {
				return false
			}
		}
	}
	return true
}
func (h Stiefel) Value(x []float64) float64 { return indicator(h, x) }
func (h Stiefel) Prox(dst, u []float64, _ float64) {
	if h.R < h.C {
		panic(Error("Stiefel: fewer rows than columns"))
	}
	spectral(dst, u, h.R, h.C, func(int, float64) float64 { return 1 })
}
func (Stiefel) Convex() bool                      { return false }
func (h Stiefel) MaximizeLinear(dst, s []float64) { h.Prox(dst, s, 1) }

func decompose(x []float64, r, c int, kind mat.SVDKind) *mat.SVD {
	checkLen("Prox", len(x), r*c)
	var svd mat.SVD
	if !svd.Factorize(mat.NewDense(r, c, x), kind) {
		panic(Error("singular value decomposition failed"))
	}
	return &svd
}

func singular(x []float64, r, c int) []float64 {
	return decompose(x, r, c, mat.SVDNone).Values(nil)
}

// spectral rebuilds u with its singular values replaced by f. A vector that is
// not finite has no decomposition and is passed on, for the caller to report.
func spectral(dst, u []float64, r, c int, f func(k int, s float64) float64) {
	checkLen("Prox", len(dst), len(u))
	if !allFinite(u) {
		copy(dst, u)
		return
	}
	svd := decompose(u, r, c, mat.SVDThin)
	var left, right mat.Dense
	svd.UTo(&left)
	svd.VTo(&right)
	s := svd.Values(nil)
	for k, v := range s {
		v = f(k, v)
		for i := range r {
			left.Set(i, k, left.At(i, k)*v)
		}
	}
	mat.NewDense(r, c, dst).Mul(&left, right.T())
}
