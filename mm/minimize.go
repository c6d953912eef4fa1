package mm

import (
	"context"
	"fmt"
	"math"
	"time"

	"gonum.org/v1/gonum/optimize"
)

// A Method is one of the algorithms of this package: MM, MISO, SMM and SPIMM on
// surrogates, and on gradients SGD, SVRG, LSVRG, SCSG, SAGA, SARAH, SPIDER,
// SpiderBoost, ProxSARAH and PAGE. The zero value of each has the parameters of its
// theory. A method is a value: several runs may share it. Other packages extend the
// methods by surrogates, sums, regularisers and step rules, not by new methods.
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
	lipErr  error
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

// Minimize runs a method on a problem until a limit of the settings is reached or the
// context ends. The run starts from x0; nil means the origin. Nil settings mean
// Settings{}.
//
// The result is valid whatever the error: it holds what was reached. A limit is not
// an error; it is the result's Status. If the context ends, the error is its cause.
// Other errors are:
//
//   - invalid fields of the problem, the method or the settings, found before the
//     first iteration (see Validator);
//   - ErrNoLipschitz, if a default step needs constants that are unknown;
//   - a *NonFiniteError for bad data or a step that is too large;
//   - a *CertificateError, if Settings.Certify is set;
//   - that of an inner solver, or of the Recorder.
//
// Minimize panics with an Error if the context, the sum or the method is nil, if the
// sum has no components or no parameters, and if x0 has not one entry per parameter.
func Minimize(ctx context.Context, p Problem, x0 []float64, settings *Settings, m Method) (*Result, error) {
	if ctx == nil || p.Sum == nil || m == nil {
		panic(Error("Minimize: nil context, sum or method"))
	}
	r := newRun(ctx, p, x0, settings)
	fail := func(err error) (*Result, error) {
		return &Result{Location: Location{X: r.x, F: math.NaN(), Stationarity: math.NaN()}, Status: optimize.Failure}, err
	}
	for j, v := range r.x {
		if !finite(v) {
			return fail(fmt.Errorf("mm: entry %d of x0 is %g", j, v))
		}
	}
	if err := firstError(r.set.check(), validate(r.f, r.n, r.p), validate(r.h, r.n, r.p)); err != nil {
		return fail(err)
	}
	r.resume()
	st, err := m.start(r)
	if err != nil {
		return fail(err)
	}
	if r.set.Measure == MeasureResidual && family(st) == nil {
		return fail(fmt.Errorf("mm: MeasureResidual is for MM, MISO, SMM and SPIMM; %v has no surrogate", m))
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
		mustBe(validate(r.f, r.n, r.p)) // says more, if it has something to say
		panic(Error(fmt.Sprintf("Minimize: %d components of %d parameters", r.n, r.p)))
	}
	if r.h == nil {
		r.h = Zero{}
	}
	r.x = make([]float64, r.p)
	if x0 != nil {
		checkLen("Minimize: x0", len(x0), r.p)
		copy(r.x, x0)
	}
	r.grad = newGradOracle(r.f, r.set.Concurrent)
	r.counted = []*oracle{r.grad}
	r.diag = newGradOracle(r.f, r.set.Concurrent)
	s := &r.set
	if s.IFO == 0 && s.MajorIterations == 0 && s.Runtime == 0 && s.GradientThreshold == 0 {
		s.IFO = 100 * min(int64(r.n), math.MaxInt64/100)
	}
	if s.RecordEvery == 0 {
		s.RecordEvery = int64(r.n)
	}
	if s.Evaluate == 0 || s.Evaluate > r.n {
		s.Evaluate = r.n
	}
	return r
}

// check names the first setting that is out of range.
func (s *Settings) check() error {
	for _, c := range []struct {
		name  string
		value int64
	}{
		{"IFO", s.IFO}, {"MajorIterations", int64(s.MajorIterations)}, {"Runtime", int64(s.Runtime)},
		{"RecordEvery", s.RecordEvery}, {"Evaluate", int64(s.Evaluate)}, {"Concurrent", int64(s.Concurrent)},
	} {
		if c.value < 0 {
			return fmt.Errorf("mm: Settings.%s is %d, want at least 0", c.name, c.value)
		}
	}
	if s.Measure < MeasureMapping || s.Measure > MeasureSubgradient {
		return fmt.Errorf("mm: Settings.Measure is %d, which is no measure", s.Measure)
	}
	if s.Output < OutputLast || s.Output > OutputRandom {
		return fmt.Errorf("mm: Settings.Output is %d, which is no output rule", s.Output)
	}
	return firstError(
		nonNegative("Settings.GradientThreshold", s.GradientThreshold),
		nonNegative("Settings.MappingStep", s.MappingStep),
		nonNegative("Settings.Lipschitz.MeanSquare", s.Lipschitz.MeanSquare),
		nonNegative("Settings.Lipschitz.Max", s.Lipschitz.Max))
}

// lipschitz returns the constants, from the settings first. Max may be 0: unknown.
func (r *run) lipschitz() (Lipschitz, error) {
	if !r.haveLip {
		r.haveLip = true
		r.lip, r.lipErr = r.findLipschitz()
	}
	return r.lip, r.lipErr
}

func (r *run) findLipschitz() (Lipschitz, error) {
	l := r.set.Lipschitz
	smooth, ok := r.f.(Smooth)
	if ok && (l.MeanSquare == 0 || l.Max == 0) {
		own := smooth.Lipschitz()
		if err := firstError(nonNegative("MeanSquare", own.MeanSquare), nonNegative("Max", own.Max)); err != nil {
			return Lipschitz{}, fmt.Errorf("mm: the Lipschitz constants of %T are %+v: are the data finite?", r.f, own)
		}
		if l.MeanSquare == 0 {
			l.MeanSquare = own.MeanSquare
		}
		if l.Max == 0 {
			l.Max = own.Max
		}
	}
	if l.MeanSquare == 0 {
		l.MeanSquare = l.Max // never smaller
	}
	switch {
	case l.MeanSquare != 0:
		return l, nil
	case ok:
		return l, fmt.Errorf("mm: the Lipschitz constants of %T are 0, so its gradient does not depend on the parameters (data of zeros?) and no step follows from them: set the method's Step", r.f)
	}
	return l, ErrNoLipschitz
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
			tau, err := r.shorten(st.rule(), next, d)
			if err != nil {
				return r.finish(st, out, optimize.Failure, err)
			}
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
