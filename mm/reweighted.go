package mm

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// weightedLS is the machinery of the families whose surrogate is a least-squares
// problem with weights that depend on the anchor:
//
//	g_i(θ;κ) = θᵀA_iθ/2 − b_iᵀθ + const.
//
// The statistic is the upper triangle of A_i, row by row, then b_i:
// p(p+1)/2 + p numbers.
type weightedLS struct {
	l *Linear
	// weigh returns the weight w and the linear coefficient c of component i at
	// margin m: A = w·xxᵀ, b = c·x.
	weigh func(i int, m float64) (w, c float64)
}

func (s *weightedLS) StatDim() int {
	p := s.l.Dim()
	return p*(p+1)/2 + p
}

// Modulus: the weights can be as small as the data let them.
func (s *weightedLS) Modulus() float64 { return s.l.Ridge }

func (s *weightedLS) AddStat(dst []float64, i int, anchor []float64, scale float64) {
	p := len(anchor)
	w, c := s.weigh(i, s.l.X.Dot(i, anchor))
	a, b := dst[:p*(p+1)/2], dst[p*(p+1)/2:]
	s.l.X.Do(i, func(j int, v float64) {
		row := a[offset(p, j)-j:] // entry (j,k) at row[k]
		s.l.X.Do(i, func(k int, u float64) {
			if k >= j {
				row[k] += scale * w * v * u
			}
		})
		b[j] += scale * c * v
	})
	// α t²/(1+t²) is concave in t²: its tangent there is a ridge.
	for j, t := range anchor {
		d := 1 + t*t
		a[offset(p, j)] += scale * (s.l.Ridge + 2*s.l.Alpha/(d*d))
	}
}

// offset is the place of the diagonal entry j in a packed upper triangle.
func offset(p, j int) int { return j*p - j*(j-1)/2 }

func (s *weightedLS) unpack(stat []float64) (*mat.SymDense, []float64) {
	p := s.l.Dim()
	a := mat.NewSymDense(p, nil)
	for j := range p {
		copy(a.RawSymmetric().Data[j*p+j:(j+1)*p], stat[offset(p, j):])
	}
	return a, stat[p*(p+1)/2:]
}

func (s *weightedLS) Eval(stat, x []float64) float64 {
	a, b := s.unpack(stat)
	ax := make([]float64, len(x))
	symMul(ax, a, x, 0.5)
	return dot(ax, x) - dot(b, x)
}

// Minimize solves a linear system for h zero or Ridge and runs an inner solver
// for any other convex h. A mean matrix that lost its positive definiteness, which
// path-integrated differences of curvature can do, is lifted to the smallest
// multiple of the identity, by powers of ten, that restores it.
func (s *weightedLS) Minimize(dst, stat, start []float64, h Regularizer) error {
	a, b := s.unpack(stat)
	p := len(dst)
	top := 0.0
	for j := range p {
		row := 0.0
		for k := range p {
			row += math.Abs(a.At(j, k))
		}
		top = max(top, row)
	}
	ridge, quadratic := ridgeOf(h)
	var c *mat.Cholesky
	var err error
	for lift := 0.0; ; lift = max(1e-12*top, 10*lift) {
		if c, err = factorize(a, ridge+lift); err == nil || lift > top {
			if lift > 0 {
				for j := range p {
					a.SetSym(j, j, a.At(j, j)+lift)
				}
				top += lift
				// The lift pulls towards the iterate, not towards zero.
				b = append([]float64(nil), b...)
				axpy(b, lift, start)
				if quadratic {
					c, err = factorize(a, ridge)
				}
			}
			break
		}
	}
	if err != nil {
		return err
	}
	if quadratic {
		err := c.SolveVecTo(mat.NewVecDense(p, dst), mat.NewVecDense(p, b))
		var cond mat.Condition
		if errors.As(err, &cond) {
			return nil // solved, at the accuracy that the conditioning allows
		}
		return err
	}
	return solveComposite(dst, b, start, h, top, 0, func(y, x []float64) { clear(y); symMul(y, a, x, 1) })
}

func (s *weightedLS) accepts(h Regularizer) error { return acceptsConvex(h) }

// JaakkolaJordan is the variational surrogate of logistic regression,
//
//	log(1+e^{−m}) ≤ log(1+e^{−μ}) + (w/2)(m²−μ²) − (m−μ)/2,  w = tanh(μ/2)/(2μ),
//
// for m = y·xᵀθ anchored at μ: tighter than any fixed curvature. Its curvature
// moves with the anchor, so Proposition 1 does not hold and theorem D only where
// the iterates stay bounded; with SPIMM it is a heuristic.
type JaakkolaJordan struct{ weightedLS }

// NewJaakkolaJordan errs when the loss is not Logistic.
func NewJaakkolaJordan(l *Linear) (*JaakkolaJordan, error) {
	if _, ok := l.Loss.(Logistic); !ok {
		return nil, fmt.Errorf("mm: the Jaakkola–Jordan bound is for the logistic loss, not %T", l.Loss)
	}
	s := &JaakkolaJordan{}
	s.weightedLS = weightedLS{l, func(i int, m float64) (w, c float64) {
		m = math.Abs(m)
		w = 0.25
		if m > 1e-4 {
			w = math.Tanh(m/2) / (2 * m)
		} else {
			w -= m * m / 48
		}
		return w, l.Y[i] / 2
	}}
	return s, nil
}

// IRLS is iteratively reweighted least squares for least deviations,
//
//	|r| ≤ r²/(2η) + η/2,  η = max(|r(κ)|, Delta),
//
// the variational surrogate that majorises the Huber loss with that Delta. Its
// curvature moves with the anchor: outside theorem D, see JaakkolaJordan.
type IRLS struct{ weightedLS }

// NewIRLS errs when the loss is not Huber.
func NewIRLS(l *Linear) (*IRLS, error) {
	h, ok := l.Loss.(Huber)
	if !ok {
		return nil, fmt.Errorf("mm: IRLS is for the Huber loss, not %T", l.Loss)
	}
	s := &IRLS{}
	s.weightedLS = weightedLS{l, func(i int, m float64) (w, c float64) {
		w = 1 / max(math.Abs(m-l.Y[i]), h.delta())
		return w, w * l.Y[i]
	}}
	return s, nil
}

// Reweighted linearises a concave penalty at the anchor (reweighted l1): with
// Problem.Reg = Penalty = Σ φ(|θ_j|),
//
//	φ(|θ_j|) ≤ φ(|κ_j|) + φ'(|κ_j|)(|θ_j| − |κ_j|),
//
// and f_i is majorised as by ProxGrad. The statistic is κ − Step·∇f_i(κ), then the
// p slopes; the minimiser a soft threshold with these weights. The weights are
// bounded but not smooth in the anchor: outside theorem D. The stationary points
// are those of F.
type Reweighted struct {
	Sum     FiniteSum
	Step    float64
	Penalty ConcavePenalty
}

func (s *Reweighted) StatDim() int     { return 2 * s.Sum.Dim() }
func (s *Reweighted) Modulus() float64 { return 1 / s.Step }

func (s *Reweighted) AddStat(dst []float64, i int, anchor []float64, scale float64) {
	p := len(anchor)
	(&ProxGrad{s.Sum, s.Step}).AddStat(dst[:p], i, anchor, scale)
	for j, v := range anchor {
		dst[p+j] += scale * s.Penalty.Slope(math.Abs(v))
	}
}

// Minimize does not evaluate h: the statistic holds its majoriser.
func (s *Reweighted) Minimize(dst, stat, _ []float64, _ Regularizer) error {
	p := len(dst)
	for j := range dst {
		dst[j] = soft(stat[j], s.Step*max(0, stat[p+j]))
	}
	return nil
}

func (s *Reweighted) Eval(stat, x []float64) float64 {
	p := len(x)
	v := (&ProxGrad{s.Sum, s.Step}).Eval(stat[:p], x)
	for j, t := range x {
		v += stat[p+j] * math.Abs(t)
	}
	return v
}

func (s *Reweighted) accepts(h Regularizer) error {
	if h != Regularizer(s.Penalty) {
		return fmt.Errorf("mm: Reweighted majorises %v, the problem's regulariser is %v", s.Penalty, h)
	}
	return nil
}

// absorbs tells the certificate that the surrogate includes h.
func (s *Reweighted) absorbs() bool { return true }
