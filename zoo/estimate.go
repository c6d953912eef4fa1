package zoo

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// A Point is a parameter vector whose loss is known. In an Objective without a Space its
// values are pixels.
type Point struct {
	X    []float32
	Loss float64
}

// An Estimator estimates the gradient of an objective at a point from queries. Estimate
// writes len(p.X) values to g. Only the direction of g is defined; its scale depends on the
// estimator. g is float64 because the losses of a confident victim differ by less than
// float32 can resolve. An estimator may keep state between calls; one attack at a time may
// use it.
type Estimator interface {
	Estimate(ctx context.Context, o *Objective, p Point, g []float64) error
}

// exponent is the power of two to divide by, exactly, so that no value is lost in
// float32; 0 if none would be.
func exponent(v []float64) int {
	var top float64
	for _, x := range v {
		top = max(top, math.Abs(x))
	}
	if top == 0 || top > 0x1p-60 && top < 0x1p60 {
		return 0
	}
	_, e := math.Frexp(top)
	return e
}

// chunk is the most probes sent in one call.
const chunk = 256

// Differences estimates partial derivatives by finite differences, one coordinate at a
// time. A probe of pixels never leaves [0,1]: at a bound both probes lie on the inner side.
// Every difference is divided by the step as rounded to float32; a step that rounds to 0 is
// an error.
//
// A forward difference costs one query per coordinate, a central one two.
type Differences struct {
	Step    float64 // h; 0 means 1e-4
	Central bool
}

func (d Differences) step() float64 {
	if d.Step == 0 {
		return 1e-4
	}
	return d.Step
}

// Along writes to g the derivative at p along each of the coordinates, and the second
// derivative to curvature unless that is nil. It panics if curvature is given and Central
// is not set.
func (d Differences) Along(ctx context.Context, o *Objective, p Point, coords []int, g, curvature []float64) error {
	if curvature != nil && !d.Central {
		tensor.Panic("zoo.Differences.Along", "curvature needs central differences")
	}
	per := 1
	if d.Central {
		per = 2
	}
	var loss [chunk]float64
	var steps [chunk]float64
	for lo := 0; lo < len(coords); lo += chunk / per {
		part := coords[lo:min(lo+chunk/per, len(coords))]
		batch := o.Batch(per * len(part))
		for j, c := range part {
			h := d.moves(p.X[c], o.Space == nil)
			for s := range per {
				x := batch[(per*j+s)*len(p.X):][:len(p.X)]
				copy(x, p.X)
				x[c] = float32(float64(x[c]) + h[s])
				steps[per*j+s] = float64(x[c]) - float64(p.X[c])
				if steps[per*j+s] == 0 {
					return fmt.Errorf("zoo: a step of %g from %g is 0 in float32: take a larger one", h[s], p.X[c])
				}
			}
		}
		if _, err := o.Losses(ctx, per*len(part), loss[:]); err != nil {
			return err
		}
		for j := range part {
			if per == 1 {
				g[lo+j] = (loss[j] - p.Loss) / steps[j]
				continue
			}
			// The parabola through the three points; h1 and h2 may have one sign.
			h1, h2 := steps[2*j], steps[2*j+1]
			s1, s2 := (loss[2*j]-p.Loss)/h1, (loss[2*j+1]-p.Loss)/h2
			second := 2 * (s1 - s2) / (h1 - h2)
			g[lo+j] = s1 - second*h1/2
			if curvature != nil {
				curvature[lo+j] = second
			}
		}
	}
	return nil
}

// moves returns the displacements of the two probes of a parameter of value x:
// the step either way, or, where a pixel would leave [0,1], the step and twice
// the step on the inner side.
func (d Differences) moves(x float32, pixel bool) [2]float64 {
	h := d.step()
	if pixel && float64(x)+h > 1 {
		h = -h
	}
	other := -h
	if v := float64(x) - h; pixel && (v < 0 || v > 1) {
		other = 2 * h
	}
	return [2]float64{h, other}
}

// Estimate implements Estimator. It takes the differences along every coordinate.
func (d Differences) Estimate(ctx context.Context, o *Objective, p Point, g []float64) error {
	coords := make([]int, len(g))
	for i := range coords {
		coords[i] = i
	}
	return d.Along(ctx, o, p, coords, g, nil)
}

// RandomDirections is the random gradient-free estimator: the mean over Directions unit
// vectors u of (f(x+βu) - f(x))/β·u, times the dimension. It is unbiased for a linear loss.
// Probes of pixels are clipped to [0,1], and u is then the clipped displacement over β. It
// costs Directions queries.
type RandomDirections struct {
	Directions int     // q; 0 means 50
	Smoothing  float64 // β, in L2; 0 means 1e-3·sqrt(d)
	Rand       *rand.Rand

	probe []float64
	sum   []float32
}

// Estimate implements Estimator.
func (r *RandomDirections) Estimate(ctx context.Context, o *Objective, p Point, g []float64) error {
	q, d := r.Directions, len(p.X)
	if q == 0 {
		q = 50
	}
	beta := r.Smoothing
	if beta == 0 {
		beta = 1e-3 * math.Sqrt(float64(d))
	}
	r.probe = grow(r.probe, d)
	loss := make([]float64, q)
	batch := o.Batch(q)
	for i := range q {
		unit(r.probe, r.Rand)
		for j, u := range r.probe {
			batch[i*d+j] = o.inside(float64(p.X[j]) + beta*u)
		}
	}
	if _, err := o.Losses(ctx, q, loss); err != nil {
		return err
	}
	weights := loss
	for i, l := range loss {
		weights[i] = (l - p.Loss) / (beta * beta) * float64(d) / float64(q)
	}
	r.sum = combine(g, r.sum, weights, func(i, j int) float64 { return float64(batch[i*d+j]) - float64(p.X[j]) })
	return nil
}

// combine writes to g the sum of rows, each times its weight. It adds in float32, from
// which no weight is too small or too large, and returns the memory for that.
func combine(g []float64, sum []float32, weights []float64, row func(i, j int) float64) []float32 {
	if len(sum) != len(g) {
		sum = make([]float32, len(g))
	}
	clear(sum)
	e := exponent(weights)
	for i, w := range weights {
		w = math.Ldexp(w, -e)
		for j := range sum {
			sum[j] += float32(w * row(i, j))
		}
	}
	for j, v := range sum {
		g[j] = math.Ldexp(float64(v), e)
	}
	return sum
}

// NES is the antithetic Gaussian estimator of natural evolution strategies
// (Ilyas et al. 2018): (1/nσ)·Σ u (f(x+σu) - f(x-σu)) over n/2 draws u. It costs
// n queries and does not use f(x).
type NES struct {
	Queries int     // n, even; 0 means 50
	Sigma   float64 // σ, per pixel; 0 means 1e-3
	Rand    *rand.Rand

	draws []float32 // of all pairs
	sum   []float32
}

// Estimate implements Estimator.
func (e *NES) Estimate(ctx context.Context, o *Objective, p Point, g []float64) error {
	n, d, sigma := e.Queries, len(p.X), e.Sigma
	if n == 0 {
		n = 50
	}
	if n < 2 || n%2 != 0 {
		return fmt.Errorf("zoo: NES.Queries is %d; it is a positive even number", n)
	}
	if sigma == 0 {
		sigma = 1e-3
	}
	if len(e.draws) != n/2*d {
		e.draws = make([]float32, n/2*d)
	}
	kernel.Normal(e.draws, 0, float32(sigma), e.Rand.Uint64(), 0)
	batch := o.Batch(n)
	for i := 0; i < n; i += 2 {
		plus, minus := batch[i*d:(i+1)*d], batch[(i+1)*d:(i+2)*d]
		for j, u := range e.draws[i/2*d:][:d] {
			plus[j] = o.inside(float64(p.X[j]) + float64(u))
			minus[j] = o.inside(float64(p.X[j]) - float64(u))
		}
	}
	loss := make([]float64, n)
	if _, err := o.Losses(ctx, n, loss); err != nil {
		return err
	}
	weights := make([]float64, n/2)
	for i := range weights {
		// With σ known, half the distance between the probes is the draw that clipping left.
		weights[i] = (loss[2*i] - loss[2*i+1]) / (float64(n) * sigma * sigma) / 2
	}
	e.sum = combine(g, e.sum, weights, func(i, j int) float64 {
		return float64(batch[2*i*d+j]) - float64(batch[(2*i+1)*d+j])
	})
	return nil
}

// unit fills u with a direction drawn uniformly from the unit sphere.
func unit(u []float64, r *rand.Rand) {
	var sum float64
	for sum == 0 {
		for i := range u {
			u[i] = r.NormFloat64()
			sum += u[i] * u[i]
		}
	}
	f := 1 / math.Sqrt(sum)
	for i := range u {
		u[i] *= f
	}
}

// inside keeps a pixel in [0,1], and a parameter of another space as it is.
func (o *Objective) inside(v float64) float32 {
	if o.Space != nil {
		return float32(v)
	}
	return float32(min(max(v, 0), 1))
}

func grow(s []float64, n int) []float64 {
	if cap(s) < n {
		return make([]float64, n)
	}
	return s[:n]
}
