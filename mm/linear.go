package mm

import (
	"errors"
	"fmt"
	"math"
	"sync"
)

// Linear is a linear model over n samples x_i with targets y_i,
//
//	f_i(θ) = Loss(x_iᵀθ, y_i) + Alpha Σ_j θ_j²/(1+θ_j²) + (Ridge/2) ‖θ‖².
//
// The Alpha term is the bounded non-convex regulariser that is usual in the
// literature on non-convex finite sums. We take it for that of chapter 6, whose
// text does not survive. Its second derivative lies in [−Alpha/2, 2·Alpha]. Both
// terms belong to f, and the smoothness constants include them; a non-smooth
// regulariser goes into Problem.Reg.
//
// NewLogistic, NewClassifier, NewLeastSquares and NewPCA check the data. A Linear
// may also be made as a literal; Minimize then checks everything except the
// entries of X. The fields must not change after the first use.
//
// Sparse rows are never made dense: one component costs its non-zeros, plus p per
// batch if Alpha or Ridge is set.
type Linear struct {
	// X has one sample per row: n×p.
	X Rows
	// Y has one target per row: ±1 for the losses of a classifier.
	Y []float64
	// Loss compares a prediction with its target.
	Loss Loss
	// Alpha ≥ 0 is the weight of the non-convex regulariser (α).
	Alpha float64
	// Ridge ≥ 0 is the weight of half the squared norm of θ.
	Ridge float64

	once sync.Once
	lip  Lipschitz
}

// NewLogistic returns logistic regression with the non-convex regulariser
// alpha Σ θ_j²/(1+θ_j²). The labels y are ±1; alpha = 0 gives the convex model.
//
// It returns an error for data without rows, columns or a non-zero entry, for
// entries and labels that are not finite, for labels other than ±1 (see
// Samples.Signs) and for their number, and for alpha < 0.
func NewLogistic(x Rows, y []float64, alpha float64) (*Linear, error) {
	return NewClassifier(x, y, Logistic{}, alpha)
}

// NewClassifier is NewLogistic with any other loss of a margin: Tanh,
// SquaredSigmoid, LogDifference, Sigmoid, or one of your own.
func NewClassifier(x Rows, y []float64, loss Loss, alpha float64) (*Linear, error) {
	l, err := newLinear(x, y, loss, alpha)
	if err != nil {
		return nil, err
	}
	for i, v := range y {
		if v != 1 && v != -1 {
			return nil, fmt.Errorf("mm: label %g of sample %d is not ±1 (Samples.Signs maps two labels to ±1)", v, i)
		}
	}
	return l, nil
}

// NewLeastSquares returns least-squares regression: the loss (x_iᵀθ − y_i)²/2 for
// any real targets y. It checks the data as NewLogistic does.
func NewLeastSquares(x Rows, y []float64) (*Linear, error) {
	return newLinear(x, y, Squared{}, 0)
}

// NewPCA returns the objective of the leading principal component,
// f_i(θ) = −(z_iᵀθ)²/2 over the rows z_i. The rows are used as they are: centre them
// first if the mean is not to count. The problem needs a constraint on θ, since f
// is unbounded below: Ball or Sphere, or for sparse components L1Ball, L1Sphere or
// NonNegBall. NewPCA checks the data as NewLogistic does.
func NewPCA(z Rows) (*Linear, error) {
	if z == nil {
		panic(Error("NewPCA: nil rows"))
	}
	n, _ := z.Dims()
	return newLinear(z, make([]float64, max(n, 0)), NegSquare{}, 0)
}

func newLinear(x Rows, y []float64, loss Loss, alpha float64) (*Linear, error) {
	if x == nil || loss == nil {
		panic(Error("linear model: nil rows or nil loss"))
	}
	l := &Linear{X: x, Y: y, Loss: loss, Alpha: alpha}
	if err := checkRows(x); err != nil {
		return nil, err
	}
	if err := l.Validate(l.Len(), l.Dim()); err != nil {
		return nil, err
	}
	return l, nil
}

// Validate checks the fields, except for the entries of X.
func (l *Linear) Validate(_, _ int) error {
	if l.X == nil || l.Loss == nil {
		return errors.New("mm: Linear without X or Loss")
	}
	if n, _ := l.X.Dims(); len(l.Y) != n {
		return fmt.Errorf("mm: %d targets for %d rows", len(l.Y), n)
	}
	for i, v := range l.Y {
		if !finite(v) {
			return fmt.Errorf("mm: target %g of sample %d is not a finite number", v, i)
		}
	}
	return firstError(nonNegative("Linear.Alpha", l.Alpha), nonNegative("Linear.Ridge", l.Ridge), validate(l.Loss, len(l.Y), 0))
}

// Len returns the number of samples.
func (l *Linear) Len() int { return len(l.Y) }

// Dim returns the number of columns of X.
func (l *Linear) Dim() int {
	if l.X == nil {
		return 0
	}
	_, p := l.X.Dims()
	return p
}

// Component returns f_i(x).
func (l *Linear) Component(i int, x []float64) float64 {
	v := l.Loss.Value(l.X.Dot(i, x), l.Y[i])
	if l.Alpha != 0 || l.Ridge != 0 {
		v += l.regValue(x)
	}
	return v
}

// SumRange returns the sum of f_i(x) over lo ≤ i < hi. It evaluates the regularisers
// once.
func (l *Linear) SumRange(lo, hi int, x []float64) float64 {
	s := 0.0
	for i := lo; i < hi; i++ {
		s += l.Loss.Value(l.X.Dot(i, x), l.Y[i])
	}
	if l.Alpha != 0 || l.Ridge != 0 {
		s += float64(hi-lo) * l.regValue(x)
	}
	return s
}

func (l *Linear) regValue(x []float64) float64 {
	s, q := 0.0, 0.0
	for _, t := range x {
		t *= t
		q += t
		if l.Alpha != 0 {
			if math.IsInf(t, 1) {
				s++
			} else {
				s += t / (1 + t)
			}
		}
	}
	return l.Alpha*s + l.Ridge/2*q
}

func (l *Linear) addReg(dst, x []float64, scale float64) {
	if l.Alpha == 0 && l.Ridge == 0 {
		return
	}
	dst = dst[:len(x)]
	a, r := 2*l.Alpha*scale, l.Ridge*scale
	for j, t := range x {
		d := 1 + t*t
		dst[j] += t * (a/(d*d) + r)
	}
}

// AddGrad adds scale·∇f_i(x) to dst.
func (l *Linear) AddGrad(dst []float64, i int, x []float64, scale float64) {
	l.X.AddRow(dst, i, scale*l.Loss.Deriv(l.X.Dot(i, x), l.Y[i]))
	l.addReg(dst, x, scale)
}

// AddBatchGrad adds scale·Σ_{i∈idx} ∇f_i(x) to dst. It evaluates the regularisers
// once.
func (l *Linear) AddBatchGrad(dst []float64, idx []int, x []float64, scale float64) {
	for _, i := range idx {
		l.X.AddRow(dst, i, scale*l.Loss.Deriv(l.X.Dot(i, x), l.Y[i]))
	}
	l.addReg(dst, x, scale*float64(len(idx)))
}

// AddGradDiff adds scale·Σ_{i∈idx} (∇f_i(a) − ∇f_i(b)) to dst. It visits each row
// once for both points.
func (l *Linear) AddGradDiff(dst []float64, idx []int, a, b []float64, scale float64) {
	for _, i := range idx {
		ma, mb := l.X.Dot2(i, a, b)
		y := l.Y[i]
		l.X.AddRow(dst, i, scale*(l.Loss.Deriv(ma, y)-l.Loss.Deriv(mb, y)))
	}
	l.addReg(dst, a, scale*float64(len(idx)))
	l.addReg(dst, b, -scale*float64(len(idx)))
}

// Lipschitz returns constants that hold for every θ. Let c be the curvature of the
// loss, r = 2·Alpha + Ridge, and λ the largest eigenvalue of (1/n) Σ ‖x_i‖² x_i x_iᵀ.
// Then Max is c·max_i ‖x_i‖² + r, and MeanSquare is c·√λ + r by Minkowski's
// inequality (derived here). Power iteration and Lanczos steps bound λ from above,
// within 1 % as a rule. The first call computes the constants, at the cost of about
// 30 to 80 passes over the data, and later calls return the same.
func (l *Linear) Lipschitz() Lipschitz {
	l.once.Do(func() {
		c, r := l.Loss.Curvature(), 2*l.Alpha+l.Ridge
		top := 0.0
		for i := range l.Y {
			top = max(top, sqRow(l.X, i))
		}
		l.lip.Max = c*top + r
		l.lip.MeanSquare = min(l.lip.Max, c*math.Sqrt(weightedGramNorm(l.X))+r)
	})
	return l.lip
}

// grain cuts dense work finer, since a chunk costs as many flops as entries.
func (l *Linear) grain() int {
	if d, ok := l.X.(*Dense); ok {
		return max(64, min(2048, 1<<18/d.P))
	}
	return 2048
}
