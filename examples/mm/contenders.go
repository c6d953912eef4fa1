package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/mettleml/mettle/mm"
)

// A contender makes its method for a step; zero is the step of its theory.
type contender struct {
	name string
	make func(n int, step float64) mm.Method
	// single marks methods whose every component gradient costs a step of order p.
	single bool
}

var contenders = []contender{
	{"MM", func(_ int, s float64) mm.Method { return mm.MM{Step: s} }, false},
	{"MISO", func(_ int, s float64) mm.Method { return mm.MISO{Step: s} }, true},
	{"SMM", func(_ int, s float64) mm.Method { return mm.SMM{Step: s} }, true},
	{"SGD", func(_ int, s float64) mm.Method { return mm.SGD{Step: s} }, true},
	{"SVRG", func(_ int, s float64) mm.Method { return mm.SVRG{Step: s} }, false},
	{"L-SVRG", func(_ int, s float64) mm.Method { return mm.LSVRG{Step: s} }, false},
	{"SCSG", func(_ int, s float64) mm.Method { return mm.SCSG{Step: s} }, false},
	{"SAGA", func(n int, s float64) mm.Method {
		return mm.SAGA{Step: s, Batch: int(math.Ceil(math.Pow(float64(n), 2.0/3) - 1e-9))}
	}, false},
	{"SAGA b=1", func(_ int, s float64) mm.Method { return mm.SAGA{Step: s} }, true},
	{"SARAH b=1", func(_ int, s float64) mm.Method { return mm.SARAH{Step: s} }, true},
	{"SPIDER", func(_ int, s float64) mm.Method { return mm.SPIDER{Step: s} }, false},
	{"SpiderBoost", func(_ int, s float64) mm.Method { return mm.SpiderBoost{Step: s} }, false},
	{"ProxSARAH", func(_ int, s float64) mm.Method { return mm.ProxSARAH{Step: s} }, false},
	{"PAGE", func(_ int, s float64) mm.Method { return mm.PAGE{Step: s} }, false},
	{"SPI-MM", func(_ int, s float64) mm.Method { return mm.SPIMM{Step: s} }, false},
	{"SPI-MM b=1", spimmSingle, true},
}

// spimmSingle is the practical form, outside the theorems at its default step.
func spimmSingle(n int, s float64) mm.Method { return mm.SPIMM{Step: s, Batch: 1, Period: n} }

// outcome is the end of a run; a run that diverged has an infinite objective.
type outcome struct {
	f, square float64 // F and the squared norm of the gradient mapping
	trace     []mm.Point
}

func play(in instance, m mm.Method, seed uint64, passes int, trace bool) (outcome, error) {
	n := int64(in.f.Len())
	set := &mm.Settings{Seed: seed, IFO: int64(passes) * n}
	var points mm.Trace
	if trace {
		set.Recorder = &points
		set.RecordEvery = max(1, n/2)
	}
	res, err := mm.Minimize(context.Background(), in.problem(), in.x0, set, m)
	var diverged *mm.NonFiniteError
	switch {
	case errors.As(err, &diverged):
		return outcome{f: math.Inf(1), square: math.Inf(1)}, nil
	case err != nil:
		return outcome{}, fmt.Errorf("%v: %w", m, err)
	case math.IsNaN(res.F) || math.IsNaN(res.Stationarity):
		return outcome{f: math.Inf(1), square: math.Inf(1)}, nil
	}
	return outcome{res.F, res.Stationarity * res.Stationarity, points.Points}, nil
}

// grid is the steps tried, times 1/L.
func grid() []float64 {
	var g []float64
	for k := -10; k <= 3; k++ {
		g = append(g, math.Pow(2, float64(k)))
	}
	return g
}

// tune returns the step, times L, with the least objective after the last pass;
// objectives that agree to 1e-13 are ranked by their stationarity.
func tune(in instance, c contender, seed uint64, passes int) (float64, error) {
	best, at := outcome{f: math.Inf(1), square: math.Inf(1)}, math.NaN()
	for _, g := range grid() {
		o, err := play(in, c.make(in.f.Len(), g/in.lip), seed, passes, false)
		if err != nil {
			return 0, err
		}
		tie := math.Abs(o.f-best.f) <= 1e-13*math.Abs(best.f)
		if math.IsNaN(at) || !tie && o.f < best.f || tie && o.square < best.square {
			best, at = o, g
		}
	}
	return at, nil
}

// slowSingles reports whether steps of order p for every sample take too long.
func slowSingles(in instance) bool {
	n, p := in.f.X.Dims()
	return n > 5e7/p
}

// reference returns the least objective that long runs of SPI-MM reach, in the
// practical form as well unless that takes too long.
func reference(in instance, passes int) (float64, error) {
	o, err := play(in, mm.SPIMM{}, 99, 10*passes, false)
	if err != nil || slowSingles(in) {
		return o.f, err
	}
	p, err := play(in, spimmSingle(in.f.Len(), 0.5/in.lip), 99, 10*passes, false)
	return min(o.f, p.f), err
}

// curve is the course of one contender.
type curve struct {
	contender
	step  float64 // times L
	trace []mm.Point
}

func tunedCurves(in instance, o options) ([]curve, error) {
	var curves []curve
	for _, c := range contenders {
		if c.single && slowSingles(in) {
			n, p := in.f.X.Dims()
			fmt.Printf("%s is left out: a step for each of %d samples in %d dimensions takes too long\n", c.name, n, p)
			continue
		}
		g, err := tune(in, c, o.seed, o.passes)
		if err != nil {
			return nil, err
		}
		// The same run thrice: the iterates agree, the quickest tells the time.
		var fastest []mm.Point
		for range 3 {
			out, err := play(in, c.make(in.f.Len(), g/in.lip), o.seed, o.passes, true)
			if err != nil {
				return nil, err
			}
			if fastest == nil || last(out.trace).Time < last(fastest).Time {
				fastest = out.trace
			}
		}
		curves = append(curves, curve{c, g, fastest})
	}
	return curves, nil
}

// lowest is the least objective met by any curve, by the best of them continued for
// ten times the passes, or by another long run.
func lowest(in instance, curves []curve, o options) (float64, error) {
	best, err := reference(in, o.passes)
	if err != nil {
		return 0, err
	}
	winner := 0
	for k, c := range curves {
		if last(c.trace).F < last(curves[winner].trace).F {
			winner = k
		}
		for _, p := range c.trace {
			best = min(best, p.F)
		}
	}
	m := curves[winner].make(in.f.Len(), curves[winner].step/in.lip)
	long, err := play(in, m, o.seed, 10*o.passes, false)
	return min(best, long.f), err
}

func printCurves(in instance, curves []curve, best float64, passes int) {
	fmt.Printf("%s, L = %.4g, after %d passes at the best step of the grid\n", in.title, in.lip, passes)
	fmt.Printf("  %-12s %8s %14s %11s %11s %9s\n", "method", "step·L", "F", "gap", "‖G‖²", "ms")
	for _, c := range curves {
		p := last(c.trace)
		fmt.Printf("  %-12s %8.4g %14.9f %11.2e %11.2e %9.1f\n", c.name, c.step, p.F, p.F-best, p.Stationarity*p.Stationarity, p.Time.Seconds()*1e3)
	}
	fmt.Println()
}

func last(trace []mm.Point) mm.Point { return trace[len(trace)-1] }
