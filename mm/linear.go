package mm

import (
	"fmt"
	"math"
	"sync"
)

// Linear is a linear model over n samples,
//
//	f_i(θ) = Loss(x_iᵀθ, y_i) + Alpha Σ_j θ_j²/(1+θ_j²) + (Ridge/2) ‖θ‖².
//
// The Alpha term is the bounded non-convex regulariser of chapter 6 (its
// experiments' most likely form; the text does not survive): second derivative
// in [−Alpha/2, 2·Alpha]. Both regularisers belong to f and are counted in its
// smoothness constants; a non-smooth one is Problem.Reg.
//
// Sparse rows are never made dense: one component costs its non-zeros, plus p
// once a batch when Alpha or Ridge is set.
type Linear struct {
	X     Rows
	Y     []float64
	Loss  Loss
	Alpha float64
	Ridge float64

	once sync.Once
	lip  Lipschitz
}

// NewLogistic returns logistic regression with labels ±1 and the non-convex
// regulariser alpha Σ θ²/(1+θ²); alpha = 0 is the convex model. It errs when
// the labels are others or their number is not that of the rows.
func NewLogistic(x Rows, y []float64, alpha float64) (*Linear, error) {
	return NewClassifier(x, y, Logistic{}, alpha)
}

// NewClassifier is NewLogistic with any loss of a margin.
func NewClassifier(x Rows, y []float64, loss Loss, alpha float64) (*Linear, error) {
	l, err := newLinear(x, y, loss, alpha)
	if err != nil {
		return nil, err
	}
	for i, v := range y {
		if v != 1 && v != -1 {
			return nil, fmt.Errorf("mm: label %g of sample %d is not ±1", v, i)
		}
	}
	return l, nil
}

// NewLeastSquares returns the squared loss with any real targets.
func NewLeastSquares(x Rows, y []float64) (*Linear, error) {
	return newLinear(x, y, Squared{}, 0)
}

func newLinear(x Rows, y []float64, loss Loss, alpha float64) (*Linear, error) {
	n, p := x.Dims()
	switch {
	case n == 0 || p == 0:
		return nil, fmt.Errorf("mm: no data: %d rows of %d features", n, p)
	case len(y) != n:
		return nil, fmt.Errorf("mm: %d targets for %d rows", len(y), n)
	case !(alpha >= 0) || math.IsInf(alpha, 0):
		return nil, fmt.Errorf("mm: regulariser weight %g", alpha)
	}
	for i, v := range y {
		if !finite(v) {
			return nil, fmt.Errorf("mm: target %g of sample %d", v, i)
		}
	}
	return &Linear{X: x, Y: y, Loss: loss, Alpha: alpha}, nil
}

// NewPCA returns the leading-component objective f_i(θ) = −(z_iᵀθ)²/2 over the
// rows z_i, to be minimised under a constraint on θ: see L1Ball, L1Sphere and
// NonNegBall for the sparse forms.
func NewPCA(z Rows) *Linear {
	n, _ := z.Dims()
	return &Linear{X: z, Y: make([]float64, n), Loss: NegSquare{}}
}

func (l *Linear) Len() int { return len(l.Y) }

func (l *Linear) Dim() int {
	_, p := l.X.Dims()
	return p
}

func (l *Linear) Component(i int, x []float64) float64 {
	v := l.Loss.Value(l.X.Dot(i, x), l.Y[i])
	if l.Alpha != 0 || l.Ridge != 0 {
		v += l.regValue(x)
	}
	return v
}

// SumRange evaluates the regularisers once.
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

func (l *Linear) AddGrad(dst []float64, i int, x []float64, scale float64) {
	l.X.AddRow(dst, i, scale*l.Loss.Deriv(l.X.Dot(i, x), l.Y[i]))
	l.addReg(dst, x, scale)
}

func (l *Linear) AddBatchGrad(dst []float64, idx []int, x []float64, scale float64) {
	for _, i := range idx {
		l.X.AddRow(dst, i, scale*l.Loss.Deriv(l.X.Dot(i, x), l.Y[i]))
	}
	l.addReg(dst, x, scale*float64(len(idx)))
}

func (l *Linear) AddGradDiff(dst []float64, idx []int, a, b []float64, scale float64) {
	for _, i := range idx {
		ma, mb := l.X.Dot2(i, a, b)
		y := l.Y[i]
		l.X.AddRow(dst, i, scale*(l.Loss.Deriv(ma, y)-l.Loss.Deriv(mb, y)))
	}
	l.addReg(dst, a, scale*float64(len(idx)))
	l.addReg(dst, b, -scale*float64(len(idx)))
}

// Lipschitz returns constants that hold for every θ. With c the curvature of the
// loss and r = 2·Alpha+Ridge, Max is c·max‖x_i‖² + r and MeanSquare is
// c·λ^½ + r, where λ is the largest eigenvalue of (1/n) Σ ‖x_i‖² x_i x_iᵀ (by
// Minkowski's inequality; found by power iteration, within 1 % from above). It is
// computed once.
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
