package mm

import (
	"errors"
	"fmt"
	"time"

	"gonum.org/v1/gonum/optimize"
)

// Statuses of Result.Status beyond those of gonum's optimize package.
var (
	// IFOLimit means that the budget of component gradients is spent.
	IFOLimit = optimize.NewStatus("IFOLimit", true, errors.New("mm: budget of component gradients reached"))
	// Cancelled means that the context ended.
	Cancelled = optimize.NewStatus("Cancelled", true, errors.New("mm: cancelled"))
)

// Settings are the settings of a run, the same for all methods. The zero value runs
// 100 passes over the data from seed 0 on one goroutine.
type Settings struct {
	// Seed determines every random draw of the run. Equal seeds give equal bits for
	// any value of Concurrent.
	Seed uint64

	// IFO is the budget of component gradients. The run stops at the first iteration
	// that would start at or beyond it. 0 means no budget, but 100·n if
	// MajorIterations, Runtime and GradientThreshold are 0 as well.
	IFO int64
	// MajorIterations limits the number of iterations. 0 means no limit.
	MajorIterations int
	// Runtime limits the time spent, diagnostics excluded. 0 means no limit.
	Runtime time.Duration
	// GradientThreshold stops the run when the stationarity, evaluated exactly, is at
	// most this number. The exact evaluation takes place when the method's own
	// stochastic residual is that small, at most once per pass. 0 means never. A run
	// with no other limit may go on for ever: SGD and SMM stall at a noise floor.
	GradientThreshold float64
	// ChargeChecks adds the component gradients of those exact evaluations to
	// Stats.IFO. Without it they are diagnostics.
	ChargeChecks bool

	// Measure selects what Location.Stationarity holds. 0 means MeasureMapping.
	Measure Measure
	// MappingStep is the step length η of the gradient mapping and of
	// MeasureSubgradient. 0 means 1/(2L) if h is convex and 1/(4L) if not, or the
	// method's own step if no L is known.
	MappingStep float64
	// Lipschitz replaces the constants that the sum knows, field by field where
	// positive. A sum that knows none needs it, unless the method's Step is set.
	Lipschitz Lipschitz

	// Output selects the iterate that is returned. 0 means OutputLast.
	Output Output

	// Recorder, if not nil, sees the initial point, then a point every RecordEvery
	// component gradients, and the final point. See Trace.
	Recorder Recorder
	// RecordEvery is the number of component gradients per record. 0 means n: once
	// per pass.
	RecordEvery int64
	// Evaluate is the number of components on which diagnostics (F, Stationarity)
	// are evaluated, the first ones. 0 means all, and so does a number above n. Set
	// it for a stream, whose n is as good as infinite.
	Evaluate int

	// Concurrent is the number of goroutines that share the sums over components. 0
	// means 1.
	Concurrent int

	// Certify checks at every iteration a descent inequality that holds surely,
	// whatever was drawn (see "Certificate" in the package documentation). The run
	// stops with a *CertificateError if it fails, which shows a wrong gradient, a
	// wrong proximal operator, a wrong surrogate or a smoothness constant that is too
	// small. The check costs 2n component evaluations per iteration or more, which
	// Stats.IFO does not count.
	Certify bool
}

// Output selects the iterate that Minimize returns.
type Output int

const (
	// OutputLast returns the last iterate, as is usual in practice. It is the
	// default.
	OutputLast Output = iota
	// OutputBest returns the iterate with the smallest residual among those at which
	// the method held a full gradient (the refreshes). If there was none, it returns
	// the last.
	OutputBest
	// OutputRandom returns θ_R with R uniform on the iterations made, the iterate of
	// which theorems A to D speak.
	OutputRandom
)

// Location is a point with its objective and stationarity.
type Location struct {
	// X is the point θ.
	X []float64
	// F is the objective there, +Inf outside the domain of h.
	F float64
	// Stationarity is the measure that Settings.Measure selects, NaN if it cannot be
	// evaluated.
	Stationarity float64
}

// Stats counts what a run did. Diagnostics (records, exact checks, certificates) are
// not in IFO, Prox or Runtime.
type Stats struct {
	// MajorIterations counts iterations.
	MajorIterations int
	// IFO counts component gradients, or statistics of components: n for a full
	// gradient, 2b for the difference of a batch at two points.
	IFO int64
	// Prox counts proximal operators, or minimisations of a surrogate.
	Prox int64
	// Refresh counts full gradients, or the large batches that stand for them.
	Refresh int64
	// Values counts component values that a line search computed.
	Values int64
	// DiagnosticIFO counts component gradients computed for records, exact checks
	// and certificates.
	DiagnosticIFO int64
	// Runtime is the time spent, diagnostics excluded.
	Runtime time.Duration
}

// Result is the outcome of a run.
type Result struct {
	// Location is the iterate that Settings.Output selects.
	Location
	// Stats counts the work of the run.
	Stats
	// Status says why the run ended: IFOLimit, Cancelled, or a status of gonum's
	// optimize package (IterationLimit, RuntimeLimit, GradientThreshold, Failure).
	Status optimize.Status
}

// A Recorder observes a run, as in gonum's optimize package.
type Recorder interface {
	// Init is called before the first record. An error stops the run.
	Init() error
	// Record is called with the current point. The Location is valid during the call
	// only: copy X to keep it. An error stops the run, and Minimize returns it.
	Record(*Location, optimize.Operation, *Stats) error
}

// A Point is one record of a Trace.
type Point struct {
	// IFO and Prox count the component gradients and the proximal operators so far.
	IFO, Prox int64
	// Iteration counts the iterations so far.
	Iteration int
	// Time is the time spent so far, diagnostics excluded.
	Time time.Duration
	// F is the objective.
	F float64
	// Stationarity is the measure that Settings.Measure selects.
	Stationarity float64
}

// Trace is a Recorder that keeps all points, without the iterates.
type Trace struct {
	// Points holds the records, the initial point first.
	Points []Point
}

// Init empties the trace.
func (t *Trace) Init() error {
	t.Points = t.Points[:0]
	return nil
}

// Record appends a point.
func (t *Trace) Record(l *Location, _ optimize.Operation, s *Stats) error {
	t.Points = append(t.Points, Point{s.IFO, s.Prox, s.MajorIterations, s.Runtime, l.F, l.Stationarity})
	return nil
}

// A NonFiniteError reports that an iterate would have become infinite or not a
// number. The result that comes with it holds the last finite iterate.
type NonFiniteError struct {
	// Iteration is the iteration at which this happened, from 0.
	Iteration int
	// IFO counts the component gradients up to there.
	IFO int64
}

// Error names the iteration and the likely causes.
func (e *NonFiniteError) Error() string {
	cause := "the step is too large, or the sum returned a bad gradient"
	if e.Iteration == 0 {
		cause = "NaN in the data, a start where f is not finite, or a step that is far too large"
	}
	return fmt.Sprintf("mm: not a finite number at iteration %d (%d component gradients): %s", e.Iteration, e.IFO, cause)
}

// A CertificateError reports an iteration at which F(θ_{k+1}) exceeded the bound that
// must hold surely.
type CertificateError struct {
	// Iteration is k, from 0.
	Iteration int
	// F is the objective that was reached.
	F float64
	// Bound is what it had to stay below.
	Bound float64
}

// Error names the iteration and both numbers.
func (e *CertificateError) Error() string {
	return fmt.Sprintf("mm: the certificate fails at iteration %d: objective %.17g exceeds its bound %.17g", e.Iteration, e.F, e.Bound)
}

// ErrNoLipschitz is returned if a default step needs smoothness constants that
// neither the sum nor the settings provide.
var ErrNoLipschitz = errors.New("mm: the sum does not know its Lipschitz constants: set the method's Step, or Settings.Lipschitz (see EstimateLipschitz)")
