package mm

// SAGA (Defazio, Bach and Lacoste-Julien 2014) corrects the gradient of a batch by the
// gradients y_i last seen of its components and their mean ȳ,
//
//	v = (1/b) Σ_{i∈S} (∇f_i(θ) − y_i) + ȳ.
//
// It costs n component gradients at the start and Batch per iteration. The table of
// the y_i holds one number per component for a Linear sum, and p numbers for any
// other. The zero value is the convex method. The non-convex theory (Reddi, Sra,
// Póczos and Smola 2016) has Batch = ⌈n^⅔⌉.
//
// On a Linear sum with Batch 1, Alpha 0 and an h that is zero, L1 without weights,
// Ridge or ElasticNet, an iteration on sparse rows costs their non-zeros only: a
// coordinate catches up on the steps it missed when it is next needed, in closed
// form. The iterates agree with the dense computation up to rounding.
type SAGA struct {
	// Batch is b, drawn with replacement, at most n. 0 means 1.
	Batch int
	// Step is the step length (η). 0 means 1/(3·max L_i) for Batch 1 and 1/(3L) for
	// any other, half of it if h is not convex.
	Step float64
	// Eager turns the closed forms off, for comparison.
	Eager bool
}

// String returns "SAGA".
func (SAGA) String() string { return "SAGA" }

func (m SAGA) start(r *run) (stepper, error) {
	b, err := batchSize("Batch", m.Batch, 1, r.n)
	if err != nil {
		return nil, err
	}
	s, err := newGradStepper(r, m.Step, func(l Lipschitz) float64 {
		c := l.MeanSquare
		if b == 1 {
			c = l.Max
		}
		return halved(1/(3*c), r.h)
	})
	if err != nil {
		return nil, err
	}
	l, linear := r.f.(*Linear)
	if !linear {
		if err := fits("SAGA's table", float64(r.n)*float64(r.p), maxNumbers); err != nil {
			return nil, err
		}
		s.est = &table{r: r, batch: newSampler(r), idx: make([]int, b),
			old: make([]float64, r.n*r.p), fresh: make([]float64, b*r.p)}
		return s, nil
	}
	if l1, l2, ok := shrinkage(r.h); ok && b == 1 && l.Alpha == 0 && r.jumps() && !m.Eager {
		switch x := l.X.(type) {
		case *Dense:
			return newDenseSAGA(r, l, x, s.step, l1, l2), nil
		case *CSR:
			if l.Ridge == 0 {
				return newLazySAGA(r, l, x, s.step, l1, l2), nil
			}
		}
	}
	s.est = &scalars{r: r, l: l, batch: newSampler(r), idx: make([]int, b)}
	return s, nil
}

// shrinkage returns the weights of a regulariser l1‖x‖₁ + (l2/2)‖x‖².
func shrinkage(h Regularizer) (l1, l2 float64, ok bool) {
	switch h := h.(type) {
	case Zero:
		return 0, 0, true
	case L1:
		return h.Lambda, 0, h.Weights == nil
	case Ridge:
		return 0, h.Lambda, true
	case ElasticNet:
		return h.L1, h.L2, true
	}
	return 0, 0, false
}

// table is SAGA's estimator for any sum.
type table struct {
	r          *run
	batch      sampler
	idx        []int
	old, fresh []float64 // n×p, b×p
	mean       []float64
}

func (e *table) estimate(v []float64) {
	r, p := e.r, e.r.p
	if e.mean == nil {
		e.mean = make([]float64, p)
		inv := 1 / float64(r.n)
		for i := range r.n {
			row := e.old[i*p : (i+1)*p]
			r.grad.one(row, i, r.x, 1)
			axpy(e.mean, inv, row)
		}
		r.stats.Refresh++
		r.refreshed = true
		copy(v, e.mean)
		return
	}
	// All of the batch is compared with the old table before the table changes: an
	// index drawn twice counts twice in v and once in the mean.
	copy(v, e.mean)
	e.batch.draw(e.idx, true)
	inv := 1 / float64(len(e.idx))
	for k, i := range e.idx {
		g := e.fresh[k*p : (k+1)*p]
		clear(g)
		r.grad.one(g, i, r.x, 1)
		axpy(v, inv, g)
		axpy(v, -inv, e.old[i*p:(i+1)*p])
	}
	inv = 1 / float64(r.n)
	for k, i := range e.idx {
		g, old := e.fresh[k*p:(k+1)*p], e.old[i*p:(i+1)*p]
		axpy(e.mean, inv, g)
		axpy(e.mean, -inv, old)
		copy(old, g)
	}
}

// scalars is SAGA's estimator for a linear model: the gradient of a component's
// loss is a number times its row. The regularisers inside f are exact.
type scalars struct {
	r     *run
	l     *Linear
	batch sampler
	idx   []int
	slope []float64
	mean  []float64
	fresh []float64
}

// slopes fills slope with the derivatives of all losses at x and mean with the
// mean of their gradients: a full gradient, n IFO.
func slopes(r *run, l *Linear) (slope, mean []float64) {
	slope, mean = make([]float64, r.n), make([]float64, r.p)
	inv := 1 / float64(r.n)
	for i := range slope {
		slope[i] = l.Loss.Deriv(l.X.Dot(i, r.x), l.Y[i])
		l.X.AddRow(mean, i, inv*slope[i])
	}
	r.grad.ifo += int64(r.n)
	r.stats.Refresh++
	return slope, mean
}

func (e *scalars) estimate(v []float64) {
	r, l := e.r, e.l
	if e.slope == nil {
		e.slope, e.mean = slopes(r, l)
		e.fresh = make([]float64, len(e.idx))
		r.refreshed = true
		copy(v, e.mean)
		l.addReg(v, r.x, 1)
		return
	}
	copy(v, e.mean)
	e.batch.draw(e.idx, true)
	inv := 1 / float64(len(e.idx))
	for k, i := range e.idx {
		e.fresh[k] = l.Loss.Deriv(l.X.Dot(i, r.x), l.Y[i])
		l.X.AddRow(v, i, inv*(e.fresh[k]-e.slope[i]))
	}
	r.grad.ifo += int64(len(e.idx))
	inv = 1 / float64(r.n)
	for k, i := range e.idx {
		if d := e.fresh[k] - e.slope[i]; d != 0 {
			l.X.AddRow(e.mean, i, inv*d)
			e.slope[i] = e.fresh[k]
		}
	}
	l.addReg(v, r.x, 1)
}
