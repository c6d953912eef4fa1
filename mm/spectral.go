package mm

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Nuclear is the nuclear norm: Lambda times the sum of the singular values of x,
// which is read as an R×C matrix, row-major.
type Nuclear struct {
	// Lambda ≥ 0 is the weight (λ).
	Lambda float64
	// R and C are the numbers of rows and of columns.
	R, C int
}

// Validate checks Lambda and that R·C = p.
func (h Nuclear) Validate(_, p int) error {
	return firstError(nonNegative("Nuclear.Lambda", h.Lambda), checkMatrix("Nuclear", h.R, h.C, p))
}

func checkMatrix(what string, r, c, p int) error {
	if r < 1 || c < 1 || r > p || c > p || r*c != p {
		return fmt.Errorf("mm: %s is for %d×%d matrices, the problem has %d parameters", what, r, c, p)
	}
	return nil
}

// Value returns Lambda times the sum of the singular values.
func (h Nuclear) Value(x []float64) float64 {
	s := 0.0
	for _, v := range singular(x, h.R, h.C) {
		s += v
	}
	return h.Lambda * s
}

// Prox soft-thresholds the singular values at t·Lambda (Cai, Candès and Shen 2010).
func (h Nuclear) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, h.Validate(0, len(u)))
	spectral(dst, u, h.R, h.C, func(_ int, s float64) float64 { return max(s-t*h.Lambda, 0) })
}

// Convex returns true.
func (Nuclear) Convex() bool { return true }

// MaxRank is the set of R×C matrices of rank at most K. It is not convex.
type MaxRank struct {
	// K ≥ 1 is the largest rank allowed.
	K int
	// R and C are the numbers of rows and of columns.
	R, C int
}

// Validate checks K and that R·C = p.
func (h MaxRank) Validate(_, p int) error {
	return firstError(atLeast("MaxRank.K", h.K, 1), checkMatrix("MaxRank", h.R, h.C, p))
}

// Feasible reports whether at most K singular values exceed tol.
func (h MaxRank) Feasible(x []float64, tol float64) bool {
	s := singular(x, h.R, h.C)
	return h.K >= len(s) || s[h.K] <= tol
}

// Value returns 0 in the set and +Inf outside.
func (h MaxRank) Value(x []float64) float64 { return indicator(h, x) }

// Prox keeps the K largest singular values and sets the others to 0.
func (h MaxRank) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, h.Validate(0, len(u)))
	spectral(dst, u, h.R, h.C, func(k int, s float64) float64 {
		if k < h.K {
			return s
		}
		return 0
	})
}

// Convex returns false.
func (MaxRank) Convex() bool { return false }

// Stiefel is the set of R×C matrices with orthonormal columns. It is not convex.
type Stiefel struct {
	// R and C are the numbers of rows and of columns, R ≥ C.
	R, C int
}

// Validate checks that R ≥ C and that R·C = p.
func (h Stiefel) Validate(_, p int) error {
	if h.R < h.C {
		return fmt.Errorf("mm: Stiefel{R: %d, C: %d} has more columns than rows", h.R, h.C)
	}
	return checkMatrix("Stiefel", h.R, h.C, p)
}

// Feasible reports whether every entry of XᵀX is within tol of the identity's.
func (h Stiefel) Feasible(x []float64, tol float64) bool {
	mustBe(h.Validate(0, len(x)))
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

// Value returns 0 in the set and +Inf outside.
func (h Stiefel) Value(x []float64) float64 { return indicator(h, x) }

// Prox writes the polar factor of u. A rank-deficient matrix has several; Prox then
// writes the one that the singular value decomposition yields.
func (h Stiefel) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, h.Validate(0, len(u)))
	spectral(dst, u, h.R, h.C, func(int, float64) float64 { return 1 })
}

// Convex returns false.
func (Stiefel) Convex() bool { return false }

// MaximizeLinear writes the polar factor of s.
func (h Stiefel) MaximizeLinear(dst, s []float64) { h.Prox(dst, s, 1) }

func decompose(x []float64, r, c int, kind mat.SVDKind) *mat.SVD {
	checkLen("singular values", len(x), r*c)
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
