package mm

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"gonum.org/v1/gonum/mat"
)

// Quadratic is the variable-metric surrogate family
//
//	g_i(θ;κ) = f_i(κ) + ⟨∇f_i(κ), θ−κ⟩ + (θ−κ)ᵀB(θ−κ)/2
//
// with one matrix B, diagonal or full, that bounds the Hessian of every f_i. The
// statistic is Bκ − ∇f_i(κ), p numbers. Proposition 1 holds in the norm of B, and so
// do theorems A to D, with L measured in that norm.
//
// The minimiser is a linear solve if h is zero or Ridge, a coordinate-wise proximal
// step if B is diagonal and h Separable, and an inner accelerated proximal gradient
// method for any other convex h. Make one by NewDiagonal, NewQuadratic, NewBohning
// or NewJensen. Several runs may share a family.
type Quadratic struct {
	sum     FiniteSum
	diag    []float64     // nil for a full metric
	full    *mat.SymDense // nil for a diagonal metric
	modulus float64
	top     float64

	mu    sync.Mutex // guards what follows: runs may share a family
	ridge float64    // of the factorised matrix
	chol  *mat.Cholesky
}

// NewDiagonal returns the family with B = diag(b). It returns an error unless all
// entries of b are positive and finite. It panics unless b has one entry per
// parameter.
func NewDiagonal(sum FiniteSum, b []float64) (*Quadratic, error) {
	if sum == nil {
		panic(Error("NewDiagonal: nil sum"))
	}
	checkLen("NewDiagonal", len(b), sum.Dim())
	q := &Quadratic{sum: sum, diag: b, modulus: math.Inf(1)}
	for j, v := range b {
		if !(v > 0) || !finite(v) {
			return nil, fmt.Errorf("mm: entry %d of the diagonal metric is %g, want a finite number > 0", j, v)
		}
		q.modulus = min(q.modulus, v)
		q.top = max(q.top, v)
	}
	return q, nil
}

// NewQuadratic returns the family with the full matrix B = b. It returns an error
// unless b is finite and positive definite. It panics unless b has one row per
// parameter.
func NewQuadratic(sum FiniteSum, b *mat.SymDense) (*Quadratic, error) {
	if sum == nil || b == nil {
		panic(Error("NewQuadratic: nil sum or nil matrix"))
	}
	p := b.SymmetricDim()
	checkLen("NewQuadratic", p, sum.Dim())
	for j := range p {
		for k := j; k < p; k++ {
			if v := b.At(j, k); !finite(v) {
				return nil, fmt.Errorf("mm: entry (%d, %d) of the metric is %g", j, k, v)
			}
		}
	}
	var eig mat.EigenSym
	if !eig.Factorize(b, false) {
		return nil, errors.New("mm: the eigenvalues of the metric cannot be found")
	}
	v := eig.Values(nil)
	if !(v[0] > 0) {
		return nil, fmt.Errorf("mm: the metric is not positive definite: its smallest eigenvalue is %g", v[0])
	}
	return &Quadratic{sum: sum, full: b, modulus: v[0], top: v[p-1]}, nil
}

// NewBohning returns Böhning's surrogate of a linear model (Böhning and Lindsay 1988,
// Böhning 1992): B = c·XᵀX/n plus the curvature of the smooth regularisers, where c is
// the curvature of the loss (1/4 for logistic regression). The number floor ≥ 0 is
// added to the diagonal; a rank-deficient X needs floor > 0.
//
// The mean surrogate majorises f, but a g_i need not majorise its f_i. So the family
// serves MM and SPIMM, and not MISO or SMM. NewBohning returns an error for an
// invalid l, for floor < 0, for a B that is not positive definite, and for more
// than 46,000 parameters.
func NewBohning(l *Linear, floor float64) (*Quadratic, error) {
	if err := checkMetric(l, "NewBohning", floor); err != nil {
		return nil, err
	}
	n, p := l.X.Dims()
	if err := fits("the matrix of NewBohning", float64(p)*float64(p), maxStatistic); err != nil {
		return nil, err
	}
	b := mat.NewSymDense(p, nil)
	data := b.RawSymmetric().Data
	c := l.Loss.Curvature() / float64(n)
	for i := range n {
		l.X.Do(i, func(j int, v float64) {
			l.X.Do(i, func(k int, w float64) {
				if k >= j {
					data[j*p+k] += c * v * w
				}
			})
		})
	}
	for j := range p {
		data[j*p+j] += 2*l.Alpha + l.Ridge + floor
	}
	return NewQuadratic(l, b)
}

// NewJensen returns the separable surrogate of a linear model that Jensen's
// inequality gives. With the weights w_ij = |x_ij|/‖x_i‖₁,
//
//	φ(x_iᵀθ) ≤ Σ_j w_ij φ((x_ij/w_ij)(θ_j−κ_j) + x_iᵀκ).
//
// Bounding the curvature of the loss by c, which is exact for least squares, gives
// the diagonal metric B_j = c·mean_i |x_ij|·‖x_i‖₁. The curvature of the smooth
// regularisers and the number floor ≥ 0 are added; a column without data needs
// floor > 0. The mean surrogate majorises f. NewJensen returns an error for an
// invalid l, for floor < 0, and for a B_j that is not positive.
func NewJensen(l *Linear, floor float64) (*Quadratic, error) {
	if err := checkMetric(l, "NewJensen", floor); err != nil {
		return nil, err
	}
	n, p := l.X.Dims()
	b := make([]float64, p)
	c := l.Loss.Curvature() / float64(n)
	for i := range n {
		s := 0.0
		l.X.Do(i, func(_ int, v float64) { s += math.Abs(v) })
		l.X.Do(i, func(j int, v float64) { b[j] += c * s * math.Abs(v) })
	}
	for j := range b {
		b[j] += 2*l.Alpha + l.Ridge + floor
	}
	return NewDiagonal(l, b)
}

func checkMetric(l *Linear, what string, floor float64) error {
	if l == nil {
		panic(Error(what + ": nil model"))
	}
	return firstError(l.Validate(0, 0), nonNegative(what+": floor", floor))
}

// Validate checks that the family fits the problem.
func (q *Quadratic) Validate(n, p int) error { return sameSum("Quadratic", q.sum, n, p) }

// StatDim returns p.
func (q *Quadratic) StatDim() int { return q.sum.Dim() }

// Modulus returns the smallest eigenvalue of B.
func (q *Quadratic) Modulus() float64 { return q.modulus }

// mul adds scale·Bx to dst.
func (q *Quadratic) mul(dst, x []float64, scale float64) {
	if q.diag != nil {
		for j, v := range x {
			dst[j] += scale * q.diag[j] * v
		}
		return
	}
	symMul(dst, q.full, x, scale)
}

// symMul adds scale·Ax to dst.
func symMul(dst []float64, a *mat.SymDense, x []float64, scale float64) {
	d := mat.NewVecDense(len(x), nil)
	d.MulVec(a, mat.NewVecDense(len(x), x))
	axpy(dst, scale, d.RawVector().Data)
}

// AddStat adds scale·s_i(anchor) to dst.
func (q *Quadratic) AddStat(dst []float64, i int, anchor []float64, scale float64) {
	q.sum.AddGrad(dst, i, anchor, -scale)
	q.mul(dst, anchor, scale)
}

// AddBatchStat adds scale·Σ_{i∈idx} s_i(anchor) to dst.
func (q *Quadratic) AddBatchStat(dst []float64, idx []int, anchor []float64, scale float64) {
	g := gradients(q.sum)
	g.batch(dst, idx, anchor, -scale)
	q.mul(dst, anchor, scale*float64(len(idx)))
}

// AddStatDiff adds scale·Σ_{i∈idx} (s_i(a) − s_i(b)) to dst.
func (q *Quadratic) AddStatDiff(dst []float64, idx []int, a, b []float64, scale float64) {
	g := gradients(q.sum)
	g.diff(dst, idx, a, b, -scale)
	q.mul(dst, a, scale*float64(len(idx)))
	q.mul(dst, b, -scale*float64(len(idx)))
}

// Eval returns xᵀBx/2 − ⟨stat,x⟩.
func (q *Quadratic) Eval(stat, x []float64) float64 {
	bx := make([]float64, len(x))
	q.mul(bx, x, 0.5)
	return dot(bx, x) - dot(stat, x)
}

// Minimize writes argmin_x xᵀBx/2 − ⟨stat,x⟩ + h(x) to dst. It returns an error if
// the inner solver does not converge.
func (q *Quadratic) Minimize(dst, stat, start []float64, h Regularizer) error {
	if q.diag != nil {
		if s, ok := h.(Separable); ok {
			for j, v := range stat {
				dst[j] = s.ProxCoord(j, v/q.diag[j], 1/q.diag[j])
			}
			return nil
		}
	} else if ridge, ok := ridgeOf(h); ok {
		c, err := q.factor(ridge)
		if err != nil {
			return err
		}
		return c.SolveVecTo(mat.NewVecDense(len(dst), dst), mat.NewVecDense(len(stat), stat))
	}
	return solveComposite(dst, stat, start, h, q.top, q.modulus, func(y, x []float64) { clear(y); q.mul(y, x, 1) })
}

// factor returns the factor of B + ridge·I, which it keeps for the next call.
func (q *Quadratic) factor(ridge float64) (*mat.Cholesky, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.chol == nil || q.ridge != ridge {
		c, err := factorize(q.full, ridge)
		if err != nil {
			return nil, err
		}
		q.chol, q.ridge = c, ridge
	}
	return q.chol, nil
}

// accepts refuses what the inner solver cannot do.
func (q *Quadratic) accepts(h Regularizer) error {
	if _, ok := h.(Separable); ok && q.diag != nil {
		if l, ok := h.(StepLimiter); ok && !(1/q.modulus < l.MaxStep()) {
			return fmt.Errorf("mm: metric entry %g: the prox of %T needs 1/B below %g", q.modulus, h, l.MaxStep())
		}
		return nil
	}
	return acceptsConvex(h)
}

func acceptsConvex(h Regularizer) error {
	if !h.Convex() {
		return fmt.Errorf("mm: %T is not convex: this surrogate cannot be minimised exactly with it", h)
	}
	return nil
}

// ridgeOf returns λ when h is (λ/2)‖x‖², including zero.
func ridgeOf(h Regularizer) (float64, bool) {
	switch h := h.(type) {
	case Zero:
		return 0, true
	case Ridge:
		return h.Lambda, true
	}
	return 0, false
}

// factorize returns the Cholesky factor of a + ridge·I.
func factorize(a *mat.SymDense, ridge float64) (*mat.Cholesky, error) {
	p := a.SymmetricDim()
	b := mat.NewSymDense(p, nil)
	b.CopySym(a)
	for j := range p {
		b.SetSym(j, j, b.At(j, j)+ridge)
	}
	var c mat.Cholesky
	if !c.Factorize(b) {
		return nil, errors.New("the mean surrogate is not convex: its matrix is not positive definite")
	}
	return &c, nil
}

// errInner is returned when an inner solver does not converge.
var errInner = errors.New("the inner solver did not converge")

// solveComposite minimises xᵀAx/2 − sᵀx + h(x), h convex, by an accelerated
// proximal gradient method with restarts, from start. top bounds the eigenvalues
// of A from above.
func solveComposite(dst, s, start []float64, h Regularizer, top, bottom float64, mul func(y, x []float64)) error {
	if !(top > 0) {
		return errors.New("the mean surrogate has no curvature")
	}
	p := len(s)
	x, y, ax, next := make([]float64, p), make([]float64, p), make([]float64, p), make([]float64, p)
	h.Prox(x, start, 1/top)
	copy(y, x)
	t := 1.0
	tol := 1e-13
	// Linear convergence at rate 1 − √(bottom/top) sets the number of iterations
	// that must suffice.
	limit := 100000
	if bottom > 0 {
		limit = min(limit, 2000+int(200*math.Sqrt(top/bottom)))
	}
	for range limit {
		mul(ax, y)
		for j := range next {
			next[j] = y[j] - (ax[j]-s[j])/top
		}
		h.Prox(next, next, 1/top)
		d := distance(next, y)
		if !finite(d) {
			return errInner
		}
		if d <= tol*(1+norm(next)) {
			copy(dst, next)
			return nil
		}
		// Restart the momentum where it points uphill (O'Donoghue and Candès).
		up := 0.0
		for j := range next {
			up += (y[j] - next[j]) * (next[j] - x[j])
		}
		if up > 0 {
			t = 1
		}
		tn := (1 + math.Sqrt(1+4*t*t)) / 2
		beta := (t - 1) / tn
		t = tn
		for j := range y {
			y[j] = next[j] + beta*(next[j]-x[j])
		}
		x, next = next, x
	}
	return errInner
}
