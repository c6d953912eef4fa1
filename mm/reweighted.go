package mm

import (
	"errors"
	"fmt"
	"math"
	"reflect"

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

// StatDim returns p(p+1)/2 + p.
func (s *weightedLS) StatDim() int {
	p := s.l.Dim()
	return p*(p+1)/2 + p
}

// Modulus returns the model's Ridge: the weights of the data can be arbitrarily
// small.
func (s *weightedLS) Modulus() float64 { return s.l.Ridge }

// Validate checks that the family fits the problem and that a statistic has at most
// 2³¹ numbers (about 65,000 parameters).
func (s *weightedLS) Validate(n, p int) error {
	if s.l == nil {
		return errors.New("mm: a surrogate that was not made by NewJaakkolaJordan or NewIRLS")
	}
	return firstError(sameSum("the surrogate", s.l, n, p), s.l.Validate(n, p),
		fits("a statistic of the surrogate", float64(p)*(float64(p)+3)/2, maxStatistic))
}

// AddStat adds scale·s_i(anchor) to dst.
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

// Eval returns xᵀAx/2 − ⟨b,x⟩ for the statistic (A, b).
func (s *weightedLS) Eval(stat, x []float64) float64 {
	a, b := s.unpack(stat)
	ax := make([]float64, len(x))
	symMul(ax, a, x, 0.5)
	return dot(ax, x) - dot(b, x)
}

// Minimize solves a linear system if h is zero or Ridge, and runs an inner solver for
// any other convex h. Path-integrated differences of curvature can leave a mean
// matrix A that is not positive definite. Minimize then adds the smallest multiple
// of the identity that makes it so, out of a sequence of powers of ten.
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

// JaakkolaJordan is the variational surrogate family of logistic regression (Jaakkola
// and Jordan 2000),
//
//	log(1+e^{−m}) ≤ log(1+e^{−μ}) + (w/2)(m²−μ²) − (m−μ)/2,  w = tanh(μ/2)/(2μ),
//
// for m = y·xᵀθ anchored at μ. It is tighter than any fixed curvature. The statistic
// has p(p+1)/2 + p numbers and each iteration solves a system of order p, so it is
// for p up to some thousands.
//
// The curvature moves with the anchor. So Proposition 1 does not hold, theorem D
// holds only where the iterates stay bounded, and with SPIMM the family is a
// heuristic. Make one by NewJaakkolaJordan.
type JaakkolaJordan struct{ weightedLS }

// NewJaakkolaJordan returns the family of l. It returns an error if the loss is not
// Logistic or l is invalid.
func NewJaakkolaJordan(l *Linear) (*JaakkolaJordan, error) {
	if l == nil {
		panic(Error("NewJaakkolaJordan: nil model"))
	}
	if err := l.Validate(0, 0); err != nil {
		return nil, err
	}
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

// IRLS is the surrogate family of iteratively reweighted least squares for absolute
// residuals,
//
//	|r| ≤ r²/(2η) + η/2,  η = max(|r(κ)|, Delta).
//
// It majorises the loss Huber with the same Delta. The curvature moves with the
// anchor, with the consequences that JaakkolaJordan lists; statistic and cost are
// the same. Make one by NewIRLS.
type IRLS struct{ weightedLS }

// NewIRLS returns the family of l. It returns an error if the loss is not Huber or l
// is invalid.
func NewIRLS(l *Linear) (*IRLS, error) {
	if l == nil {
		panic(Error("NewIRLS: nil model"))
	}
	if err := l.Validate(0, 0); err != nil {
		return nil, err
	}
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

// Reweighted is the surrogate family of reweighted l1 minimisation (Candès, Wakin and
// Boyd 2008). It linearises a concave penalty h = Σ φ(|θ_j|) at the anchor,
//
//	φ(|θ_j|) ≤ φ(|κ_j|) + φ'(|κ_j|)(|θ_j| − |κ_j|),
//
// and majorises f_i as ProxGrad does. The statistic is κ − Step·∇f_i(κ) (p numbers),
// then the p slopes φ'(|κ_j|); the minimiser is a soft threshold with these weights.
// The stationary points are those of F. The slopes are bounded but not continuous in
// the anchor, so theorem D does not apply.
type Reweighted struct {
	// Sum is the problem's sum.
	Sum FiniteSum
	// Step > 0 is the step length η of the quadratic part. It majorises for
	// Step ≤ 1/L.
	Step float64
	// Penalty is φ. It must equal the problem's regulariser.
	Penalty ConcavePenalty
}

// Validate checks the fields and that the family fits the problem.
func (s *Reweighted) Validate(n, p int) error {
	if s.Penalty == nil {
		return errors.New("mm: Reweighted has no Penalty")
	}
	return firstError(sameSum("Reweighted", s.Sum, n, p), positive("Reweighted.Step", s.Step), validate(s.Penalty, n, p))
}

// StatDim returns 2p.
func (s *Reweighted) StatDim() int { return 2 * s.Sum.Dim() }

// Modulus returns 1/Step.
func (s *Reweighted) Modulus() float64 { return 1 / s.Step }

// AddStat adds scale·s_i(anchor) to dst.
func (s *Reweighted) AddStat(dst []float64, i int, anchor []float64, scale float64) {
	p := len(anchor)
	(&ProxGrad{s.Sum, s.Step}).AddStat(dst[:p], i, anchor, scale)
	for j, v := range anchor {
		dst[p+j] += scale * s.Penalty.Slope(math.Abs(v))
	}
}

// Minimize writes the weighted soft threshold to dst. It does not evaluate h: the
// statistic holds the majoriser of h.
func (s *Reweighted) Minimize(dst, stat, _ []float64, _ Regularizer) error {
	p := len(dst)
	for j := range dst {
		dst[j] = soft(stat[j], s.Step*max(0, stat[p+j]))
	}
	return nil
}

// Eval returns the quadratic part plus Σ_j slope_j |x_j|.
func (s *Reweighted) Eval(stat, x []float64) float64 {
	p := len(x)
	v := (&ProxGrad{s.Sum, s.Step}).Eval(stat[:p], x)
	for j, t := range x {
		v += stat[p+j] * math.Abs(t)
	}
	return v
}

func (s *Reweighted) accepts(h Regularizer) error {
	if !reflect.DeepEqual(h, Regularizer(s.Penalty)) {
		return fmt.Errorf("mm: Reweighted majorises %v, the problem's regulariser is %v", s.Penalty, h)
	}
	return nil
}

// absorbs tells the certificate that the surrogate includes h.
func (s *Reweighted) absorbs() bool { return true }
