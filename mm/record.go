package mm

import (
	"math"

	"gonum.org/v1/gonum/optimize"
)

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
