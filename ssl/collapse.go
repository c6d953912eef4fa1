package ssl

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// A Collapse measures how similar features have become. All fields are for rows z_i of [n,
// d] divided by their lengths.
type Collapse struct {
	// Std is the mean over columns of the standard deviation over rows. Healthy is
	// 1/sqrt(d), its value for evenly spread directions (Chen and He, 2021).
	Std     float64 `json:"std"`
	Healthy float64 `json:"healthy"`

	// Rank is the effective rank of the rows about their mean: e to the entropy of the
	// singular values divided by their sum (Roy and Vetterli, 2007), between 1 and MaxRank,
	// the smaller of d and n-1. Only this shows a collapse to few dimensions.
	Rank    float64 `json:"rank"`
	MaxRank int     `json:"max_rank"`

	// Cosine is the mean over pairs of different rows of z_i·z_j: 1 if all are alike.
	Cosine float64 `json:"cosine"`
}

// MeasureCollapse measures features [n, d], with n and d at least 2; some hundred rows
// suffice. Its time is proportional to n·d·min(n, d). It panics if a number is NaN or
// infinite.
func MeasureCollapse(z *tensor.Tensor) Collapse {
	const op = "ssl.MeasureCollapse"
	if z.Rank() != 2 || z.Dim(0) < 2 || z.Dim(1) < 2 {
		tensor.Panic(op, "want [n, d] with both at least 2", z.Shape())
	}
	n, d := z.Dim(0), z.Dim(1)
	x := make([]float64, n*d)
	mean := make([]float64, d)
	for i := range n {
		row := z.Data()[i*d:][:d]
		length := max(kernel.Norm2(row), tiny)
		if math.IsNaN(length) || math.IsInf(length, 0) {
			tensor.Panic(op, fmt.Sprintf("row %d is not finite", i), z.Shape())
		}
		for j, v := range row {
			x[i*d+j] = float64(v) / length
			mean[j] += x[i*d+j] / float64(n)
		}
	}
	c := Collapse{Healthy: 1 / math.Sqrt(float64(d)), MaxRank: min(d, n-1)}
	// Σ over pairs i≠j of z_i·z_j is |Σ z_i|² - Σ |z_i|².
	square, own := 0.0, 0.0
	variance := make([]float64, d)
	for i := range n {
		for j := range d {
			own += x[i*d+j] * x[i*d+j]
			x[i*d+j] -= mean[j]
			variance[j] += x[i*d+j] * x[i*d+j] / float64(n)
		}
	}
	for j, m := range mean {
		square += m * m * float64(n) * float64(n)
		c.Std += math.Sqrt(variance[j]) / float64(d)
	}
	c.Cosine = (square - own) / (float64(n) * float64(n-1))
	c.Rank = effectiveRank(mat.NewDense(n, d, x))
	return c
}

// effectiveRank returns e to the entropy of the singular values of x, by the eigenvalues of
// the smaller of xᵀx and xxᵀ.
func effectiveRank(x *mat.Dense) float64 {
	n, d := x.Dims()
	gram := mat.NewSymDense(min(n, d), nil)
	if n < d {
		gram.SymOuterK(1, x)
	} else {
		gram.SymOuterK(1, x.T())
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(gram, false) {
		return math.NaN() // finite symmetric matrices factorise
	}
	sum := 0.0
	values := eigen.Values(nil)
	top := values[len(values)-1]
	for i, v := range values {
		// Below this an eigenvalue is rounding.
		if v < top*1e-13*float64(len(values)) {
			v = 0
		}
		values[i] = math.Sqrt(v)
		sum += values[i]
	}
	if sum == 0 {
		return 1
	}
	entropy := 0.0
	for _, v := range values {
		if p := v / sum; p > 0 {
			entropy -= p * math.Log(p)
		}
	}
	return math.Exp(entropy)
}

// Warning returns "" or a warning: of a spread below a fifth of Healthy, a mean cosine
// above 0.9, or a rank below a twentieth of MaxRank (and below 2). Use it for
// Output.Specific. Features after a ReLU are positive, and have a high mean cosine without
// any collapse.
func (c Collapse) Warning() string {
	switch {
	case c.Std < c.Healthy/5:
		return fmt.Sprintf("the features collapse: their spread is %.2g, of evenly spread ones %.2g", c.Std, c.Healthy)
	case c.Cosine > 0.9:
		return fmt.Sprintf("the features collapse: the mean cosine of two samples is %.3f", c.Cosine)
	case c.Rank < max(float64(c.MaxRank)/20, min(2, float64(c.MaxRank)-0.5)):
		return fmt.Sprintf("the features collapse to few dimensions: their effective rank is %.1f of %d", c.Rank, c.MaxRank)
	}
	return ""
}
