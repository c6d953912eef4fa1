package mm

import (
	"context"
	"fmt"
	"math"
	"time"

	"gonum.org/v1/gonum/optimize"
)

// A Method is one of the algorithms of this package: MM, MISO, SMM, SPIMM, and
// their rivals. The zero value of each has the parameters of its theory.
type Method interface {
	// String returns the usual name.
	String() string
	start(r *run) (stepper, error)
}

// A stepper is a method at work. The loop of Minimize is the same for all:
// minimise the current surrogate, move, measure, record.
// It is a proposer or a jumper.
type stepper interface {
	// modulus returns ρ = 1/η of the last proposal.
	modulus() float64
}

type proposer interface {
	stepper
	// propose writes the minimiser of the surrogate built at r.x to dst.
	propose(dst []float64) error
	// rule shortens the proposals; nil leaves them as they are.
	rule() StepRule
}

// A jumper makes several iterations at a time, in r.x itself, where the loop's
// work of order p an iteration would be most of the cost.
type jumper interface {
	stepper
	jump(iterations int)
}

// run is the state that the loop and a stepper share.
type run struct {
	ctx     context.Context
	problem Problem
	f       FiniteSum
	h       Regularizer
	n, p    int
	set     Settings
	lip     Lipschitz
	haveLip bool

	k         int // iteration
	x         []float64
	refreshed bool // the stepper held an exact gradient at this iteration
	grad      *oracle
	counted   []*oracle // all oracles that count, grad among them
	diag      *oracle   // gradients for diagnostics
	stats     Stats
	started   time.Time
	spent     time.Duration // up to started
	extra     int64         // charged checks
}

// Minimize runs a method on a problem from x0 (the origin if nil) until a limit
// of the settings is reached or the context ends. The result is valid whatever
// the error: it holds what was reached. A limit is not an error; it is the
// result's Status.
//
// It panics when the problem has no components or no parameters, or when the
// length of x0 is not their number.
func Minimize(ctx context.Context, p Problem, x0 []float64, settings *Settings, m Method) (*Result, error) {
	r := newRun(ctx, p, x0, settings)
	fail := func(err error) (*Result, error) {
		return &Result{Location: Location{X: r.x, F: math.NaN(), Stationarity: math.NaN()}, Status: optimize.Failure}, err
	}
	if !allFinite(r.x) {
		return fail(&NonFiniteError{})
	}
	if err := r.set.check(); err != nil {
		return fail(err)
	}
	r.resume()
	st, err := m.start(r)
	if err != nil {
		return fail(err)
	}
	return r.loop(st)
}

func newRun(ctx context.Context, p Problem, x0 []float64, settings *Settings) *run {
	r := &run{ctx: ctx, problem: p, f: p.Sum, h: p.Reg}
	if settings != nil {
		r.set = *settings
	}
	r.n, r.p = r.f.Len(), r.f.Dim()
	if r.n <= 0 || r.p <= 0 {
		panic(Error(fmt.Sprintf("Minimize: %d components of %d parameters", r.n, r.p)))
	}
	if r.h == nil {
		r.h = Zero{}
	}
	r.x = make([]float64, r.p)
	if x0 != nil {
		checkLen("Minimize", len(x0), r.p)
		copy(r.x, x0)
	}
	r.grad = newGradOracle(r.f, r.set.Concurrent)
	r.counted = []*oracle{r.grad}
	r.diag = newGradOracle(r.f, r.set.Concurrent)
	s := &r.set
	if s.IFO == 0 && s.MajorIterations == 0 && s.Runtime == 0 && s.GradientThreshold == 0 {
		s.IFO = 100 * int64(r.n)
	}
	if s.RecordEvery == 0 {
		s.RecordEvery = int64(r.n)
	}
	if s.Evaluate == 0 || s.Evaluate > r.n {
		s.Evaluate = r.n
	}
	r.lip = s.Lipschitz
	return r
}

func (s *Settings) check() error {
	switch {
	case s.IFO < 0 || s.MajorIterations < 0 || s.Runtime < 0 || s.RecordEvery < 0 || s.Evaluate < 0 || s.Concurrent < 0:
		return fmt.Errorf("mm: a limit in the settings is negative: %+v", *s)
	case !(s.GradientThreshold >= 0) || !(s.MappingStep >= 0):
		return fmt.Errorf("mm: threshold %g, mapping step %g", s.GradientThreshold, s.MappingStep)
	case !(s.Lipschitz.MeanSquare >= 0) || !(s.Lipschitz.Max >= 0):
		return fmt.Errorf("mm: Lipschitz constants %+v", s.Lipschitz)
	}
	return nil
}

// lipschitz returns the constants, from the settings first.
func (r *run) lipschitz() (Lipschitz, error) {
	if r.haveLip {
		return r.lip, nil
	}
	if r.lip.MeanSquare == 0 || r.lip.Max == 0 {
		if s, ok := r.f.(Smooth); ok {
			l := s.Lipschitz()
			if r.lip.MeanSquare == 0 {
				r.lip.MeanSquare = l.MeanSquare
			}
			if r.lip.Max == 0 {
				r.lip.Max = l.Max
			}
		}
	}
	// One constant serves for the other where it is the safe choice.
	if r.lip.MeanSquare == 0 {
		r.lip.MeanSquare = r.lip.Max
	}
	if r.lip.Max == 0 || !finite(r.lip.Max) || !finite(r.lip.MeanSquare) {
		return Lipschitz{}, ErrNoLipschitz
	}
	r.haveLip = true
	return r.lip, nil
}

func (r *run) resume() { r.started = time.Now() }

func (r *run) pause() { r.spent += time.Since(r.started) }

func (r *run) ifo() int64 {
	s := r.extra
	for _, o := range r.counted {
		s += o.ifo
	}
	return s
}

func (r *run) snapshot() *Stats {
	r.stats.MajorIterations = r.k
	r.stats.IFO = r.ifo()
	r.stats.DiagnosticIFO = r.diag.ifo
	r.stats.Runtime = r.spent
	return &r.stats
}

// loop iterates until a limit is reached. The clock stands still during
// diagnostics.
func (r *run) loop(st stepper) (*Result, error) {
	next := make([]float64, r.p)
	out := newOutput(r)
	cert, err := newCertifier(r, st)
	if err != nil {
		return r.finish(st, out, optimize.Failure, err)
	}
	var rec recorder
	if err := rec.init(r, st); err != nil {
		return r.finish(st, out, optimize.Failure, err)
	}
	var check checker
	for {
		if status := r.limit(); status != optimize.NotTerminated {
			return r.finish(st, out, status, rec.last(r, st))
		}
		if r.ctx.Err() != nil {
			return r.finish(st, out, Cancelled, context.Cause(r.ctx))
		}
		residual := 0.0
		switch st := st.(type) {
		case jumper:
			m := r.room(rec.next)
			copy(next, r.x)
			st.jump(m)
			r.k += m
			if !allFinite(r.x) {
				copy(r.x, next)
				return r.finish(st, out, optimize.Failure, &NonFiniteError{r.k, r.ifo()})
			}
		case proposer:
			r.refreshed = false
			if err := st.propose(next); err != nil {
				return r.finish(st, out, optimize.Failure, fmt.Errorf("mm: iteration %d: %w", r.k, err))
			}
			d := distance(next, r.x)
			if !finite(d) {
				return r.finish(st, out, optimize.Failure, &NonFiniteError{r.k, r.ifo()})
			}
			residual = st.modulus() * d
			out.see(r, residual)
			tau := shorten(st.rule(), next, r.x, d, r.lip.MeanSquare)
			if err := cert.check(r, next, tau); err != nil {
				return r.finish(st, out, optimize.Failure, err)
			}
			r.x, next = next, r.x
			r.k++
		}
		if err := rec.due(r, st); err != nil {
			return r.finish(st, out, optimize.Failure, err)
		}
		if done, err := check.stationary(r, st, residual); err != nil {
			return r.finish(st, out, optimize.Failure, err)
		} else if done {
			return r.finish(st, out, optimize.GradientThreshold, rec.last(r, st))
		}
	}
}

// limit returns the status of the first limit that is reached.
func (r *run) limit() optimize.Status {
	s := &r.set
	switch {
	case s.IFO > 0 && r.ifo() >= s.IFO:
		return IFOLimit
	case s.MajorIterations > 0 && r.k >= s.MajorIterations:
		return optimize.IterationLimit
	case s.Runtime > 0 && r.spent+time.Since(r.started) >= s.Runtime:
		return optimize.RuntimeLimit
	}
	return optimize.NotTerminated
}

// jumps reports whether no one needs to see every iterate.
func (r *run) jumps() bool { return !r.set.Certify && r.set.Output == OutputLast }

// room returns how many iterations of one component gradient fit before the next
// event, at most a pass. The first iteration costs a pass by itself.
func (r *run) room(nextRecord int64) int {
	if r.k == 0 {
		return 1
	}
	m := int64(r.n)
	if r.set.Runtime > 0 || r.ctx.Done() != nil {
		m = min(m, 1<<14)
	}
	used := r.ifo()
	if r.set.Recorder != nil {
		m = min(m, nextRecord-used)
	}
	if r.set.IFO > 0 {
		m = min(m, r.set.IFO-used)
	}
	if r.set.MajorIterations > 0 {
		m = min(m, int64(r.set.MajorIterations-r.k))
	}
	return int(max(1, m))
}

// finish evaluates the output iterate. It runs after errors as well.
func (r *run) finish(st stepper, out *output, status optimize.Status, err error) (*Result, error) {
	r.pause()
	x := out.choose(r)
	loc := r.locate(st, x)
	return &Result{Location: loc, Stats: *r.snapshot(), Status: status}, err
}

// output keeps the iterate that the output rule asks for.
type output struct {
	kept     []float64
	residual float64
	coins    counter
}

func newOutput(r *run) *output {
	return &output{residual: math.Inf(1), coins: newCounter(r.set.Seed, streamOutput)}
}

// see is shown each iterate before the step from it.
func (o *output) see(r *run, residual float64) {
	keep := false
	switch r.set.Output {
	case OutputBest:
		keep = r.refreshed && residual < o.residual
	case OutputRandom:
		keep = o.coins.intn(r.k+1) == 0
	}
	if keep {
		o.residual = residual
		o.kept = append(o.kept[:0], r.x...)
	}
}

func (o *output) choose(r *run) []float64 {
	if o.kept != nil {
		return o.kept
	}
	return r.x
}

// recorder decides when the user's Recorder is called.
type recorder struct {
	next, at int64 // at is the count of the last record
}

func (c *recorder) init(r *run, st stepper) error {
	if r.set.Recorder == nil {
		return nil
	}
	if err := r.set.Recorder.Init(); err != nil {
		return err
	}
	return c.record(r, st, optimize.InitIteration)
}

func (c *recorder) due(r *run, st stepper) error {
	if r.set.Recorder == nil || r.ifo() < c.next {
		return nil
	}
	return c.record(r, st, optimize.MajorIteration)
}

func (c *recorder) last(r *run, st stepper) error {
	if r.set.Recorder == nil || c.at == r.ifo() {
		return nil
	}
	return c.record(r, st, optimize.PostIteration)
}

func (c *recorder) record(r *run, st stepper, op optimize.Operation) error {
	r.pause()
	defer r.resume()
	c.at = r.ifo()
	c.next = (c.at/r.set.RecordEvery + 1) * r.set.RecordEvery
	loc := r.locate(st, r.x)
	return r.set.Recorder.Record(&loc, op, r.snapshot())
}

// checker confirms small residuals by an exact evaluation, at most once a pass.
type checker struct {
	next int64
}

func (c *checker) stationary(r *run, st stepper, residual float64) (bool, error) {
	tol := r.set.GradientThreshold
	if tol == 0 || residual > tol || r.ifo() < c.next {
		return false, nil
	}
	r.pause()
	defer r.resume()
	before := r.diag.ifo
	v, err := r.measure(st, r.x)
	if r.set.ChargeChecks {
		r.extra += r.diag.ifo - before
		r.diag.ifo = before
	}
	c.next = r.ifo() + int64(r.set.Evaluate)
	return v <= tol, err
}
