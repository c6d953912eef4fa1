package mm

import (
	"errors"
	"fmt"
	"time"

	"gonum.org/v1/gonum/optimize"
)

// Statuses beyond those of gonum's optimize package, which Result.Status uses.
var (
	// IFOLimit: the budget of component gradients is spent.
	IFOLimit = optimize.NewStatus("IFOLimit", true, errors.New("mm: budget of component gradients reached"))
	// Cancelled: the context ended.
	Cancelled = optimize.NewStatus("Cancelled", true, errors.New("mm: cancelled"))
)

// Settings are the same for all methods. The zero value, and a nil pointer, run
// 100 passes over the data from seed 0 on one goroutine.
type Settings struct {
	// Seed determines every random draw of the run. Equal seeds give equal bits
	// for any value of Concurrent.
	Seed uint64

	// IFO is the budget of component gradients. The run stops at the first
	// iteration that starts at or beyond it. When IFO, MajorIterations, Runtime
	// and GradientThreshold are all zero it is 100·n.
	IFO int64
	// MajorIterations limits the number of iterations; zero is no limit.
	MajorIterations int
	// Runtime limits the time spent, diagnostics excluded; zero is no limit.
	Runtime time.Duration
	// GradientThreshold stops the run when Stationarity, evaluated exactly, is at
	// most this. The evaluation is made when the method's own stochastic residual
	// is that small, at most once a pass. Zero disables it.
	GradientThreshold float64
	// ChargeChecks adds the component gradients of those exact evaluations to
	// Stats.IFO. They are diagnostics otherwise.
	ChargeChecks bool

	// Measure is what Location.Stationarity holds.
	Measure Measure
	// MappingStep is the η of the gradient mapping. Zero is 1/(2L) for a convex
	// regulariser and 1/(4L) for any other.
	MappingStep float64
	// Lipschitz replaces the constants that the sum knows, field by field where
	// positive. A sum that knows none needs it, unless the method's Step is set.
	Lipschitz Lipschitz

	// Output is the iterate returned.
	Output Output

	// Recorder, if not nil, sees the initial point, a point every RecordEvery
	// component gradients (n if zero), and the final point.
	Recorder    Recorder
	RecordEvery int64
	// Evaluate is the number of components, the first ones, that diagnostics
	// (F, Stationarity) are evaluated on; zero is all. For streams, where n is
	// as good as infinite.
	Evaluate int

	// Concurrent is the number of goroutines that share sums over components;
	// zero is one.
	Concurrent int

	// Certify checks at every iteration a descent inequality that holds surely,
	// whatever was drawn, and stops with a *CertificateError when it fails: a
	// wrong gradient, a wrong prox or a smoothness constant that is too small.
	// See the package documentation, "Certificate". It costs 2n uncounted component
	// evaluations an iteration, sometimes more.
	Certify bool
}

// Output selects the iterate that Minimize returns.
type Output int

const (
	// OutputLast returns the last iterate, the habit of practice.
	OutputLast Output = iota
	// OutputBest returns the iterate with the smallest residual among those where
	// the method held a full gradient (refresh points), or the last if there was
	// none.
	OutputBest
	// OutputRandom returns θ_R with R uniform on the iterations made: the iterate
	// that theorems A to D speak of.
	OutputRandom
)

// Location is a point with its objective and stationarity.
type Location struct {
	X            []float64
	F            float64
	Stationarity float64
}

// Stats counts what a run did. Diagnostics are not in IFO, Prox or Runtime.
type Stats struct {
	MajorIterations int
	// IFO counts component gradients (or statistics): n for a full gradient, 2b
	// for a batch difference.
	IFO int64
	// Prox counts proximal operators, or minimisations of a surrogate.
	Prox int64
	// Refresh counts full gradients, or the large batches that stand for them.
	Refresh int64
	// Values counts component values computed by a line search.
	Values int64
	// DiagnosticIFO counts component gradients computed for records, checks and
	// certificates.
	DiagnosticIFO int64
	Runtime       time.Duration
}

// Result is the outcome of a run.
type Result struct {
	Location
	Stats
	Status optimize.Status
}

// Recorder observes a run, as in gonum's optimize package. The location must be
// copied to be kept. An error stops the run.
type Recorder interface {
	Init() error
	Record(*Location, optimize.Operation, *Stats) error
}

// A Point is one record of a Trace.
type Point struct {
	IFO, Prox    int64
	Iteration    int
	Time         time.Duration
	F            float64
	Stationarity float64
}

// Trace is a Recorder that keeps all points, without the iterates.
type Trace struct {
	Points []Point
}

func (t *Trace) Init() error {
	t.Points = t.Points[:0]
	return nil
}

func (t *Trace) Record(l *Location, _ optimize.Operation, s *Stats) error {
	t.Points = append(t.Points, Point{s.IFO, s.Prox, s.MajorIterations, s.Runtime, l.F, l.Stationarity})
	return nil
}

// A NonFiniteError reports that an iterate would have become infinite or not a
// number; the result that comes with it holds the last finite one.
type NonFiniteError struct {
	Iteration int
	IFO       int64
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("mm: not a finite number at iteration %d (%d component gradients): step too large, or bad data", e.Iteration, e.IFO)
}

// A CertificateError reports the iteration at which F(θ_{k+1}) exceeded the bound
// that must hold surely.
type CertificateError struct {
	Iteration int
	F, Bound  float64
}

func (e *CertificateError) Error() string {
	return fmt.Sprintf("mm: certificate fails at iteration %d: objective %.17g exceeds its bound %.17g", e.Iteration, e.F, e.Bound)
}

// ErrNoLipschitz is returned when a default step needs smoothness constants that
// neither the sum nor the settings provide.
var ErrNoLipschitz = errors.New("mm: the sum does not know its Lipschitz constants: set the method's Step, or Settings.Lipschitz (see EstimateLipschitz)")
