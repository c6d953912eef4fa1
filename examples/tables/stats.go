package main

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/attack"
)

// summaries are the rows of the victims.
func (r *result) summaries() []attack.Summary {
	var s []attack.Summary
	for _, records := range r.records {
		s = append(s, attack.Summarize(r.arm.attack.About(), goalName(r.targeted), r.budget, records))
	}
	return s
}

// mean is the mean over victims of a number of their rows.
func mean(s []attack.Summary, f func(s *attack.Summary) float64) float64 {
	var sum float64
	for i := range s {
		sum += f(&s[i])
	}
	return sum / float64(len(s))
}

// won are the rows with a success: the others have no queries nor distances to
// average.
func won(s []attack.Summary) []attack.Summary {
	return slices.DeleteFunc(slices.Clone(s), func(s attack.Summary) bool { return s.SuccessRate == 0 })
}

// interval is the mean over victims of an interval's ends. Victims are attacked on
// nearly the same images, so that more victims do not make it narrower.
func interval(s []attack.Summary, f func(s *attack.Summary) attack.Interval) attack.Interval {
	return attack.Interval{
		Lo: mean(s, func(s *attack.Summary) float64 { return f(s).Lo }),
		Hi: mean(s, func(s *attack.Summary) float64 { return f(s).Hi }),
	}
}

// of is the result on victim v alone.
func (r *result) of(v int) *result {
	one := *r
	one.victims, one.records = r.victims[v:v+1], r.records[v:v+1]
	return &one
}

// images are how many were attacked, over the victims.
func (r *result) images() int {
	n := 0
	for _, records := range r.records {
		n += len(records)
	}
	return n
}

// reached are the L2 distances of the nearest success within q queries on the first n
// images of victim v; +Inf without one.
func (r *result) reached(v, q, n int) []float64 {
	var d []float64
	for i := range n {
		if p, ok := r.records[v][i].At(q, attack.L2); ok {
			d = append(d, p.L2)
		} else {
			d = append(d, math.Inf(1))
		}
	}
	return d
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// finite is the sum of the finite values and how many there are.
func finite(v []float64) (sum float64, n int) {
	for _, x := range v {
		if !math.IsInf(x, 0) {
			sum += x
			n++
		}
	}
	return sum, n
}

// A pair is what two attacks needed on one image, the mean over victims.
type pair struct{ a, b float64 }

// pairs puts together what two results say about the same images of the same
// victims; value is not ok for a record without one.
func pairs(x, y *result, value func(r *attack.Record, budget int) (float64, bool)) []pair {
	sum := map[string]pair{}
	count := map[string]float64{}
	var order []string
	for v := range x.records {
		for i := range min(len(x.records[v]), len(y.records[v])) {
			r, s := &x.records[v][i], &y.records[v][i]
			a, okA := value(r, x.budget)
			b, okB := value(s, y.budget)
			if !okA || !okB {
				continue
			}
			if count[r.Name] == 0 {
				order = append(order, r.Name)
			}
			p := sum[r.Name]
			sum[r.Name] = pair{p.a + a, p.b + b}
			count[r.Name]++
		}
	}
	var list []pair
	for _, name := range order {
		n := count[name]
		list = append(list, pair{sum[name].a / n, sum[name].b / n})
	}
	return list
}

// queriesOf counts a failure as the budget.
func queriesOf(r *attack.Record, budget int) (float64, bool) {
	if !r.Success {
		return float64(budget), true
	}
	return float64(r.First.Queries), true
}

func distanceOf(r *attack.Record, _ int) (float64, bool) { return r.Best.L2, r.Success }

// resamples of the bootstrap.
const resamples = 4000

// A contrast compares the means of pairs, with percentile intervals of a bootstrap
// over images.
type contrast struct {
	a, b           float64
	diff, ratio    float64 // a - b, a / b
	diffCI, ratiCI attack.Interval
	n              int
}

func compare(list []pair, seed uint64) contrast {
	means := func(pick func(i int) pair) (a, b float64) {
		for i := range list {
			p := pick(i)
			a += p.a
			b += p.b
		}
		n := float64(len(list))
		return a / n, b / n
	}
	c := contrast{n: len(list)}
	if c.n == 0 {
		none := attack.Interval{Lo: math.NaN(), Hi: math.NaN()}
		return contrast{math.NaN(), math.NaN(), math.NaN(), math.NaN(), none, none, 0}
	}
	c.a, c.b = means(func(i int) pair { return list[i] })
	c.diff, c.ratio = c.a-c.b, c.a/c.b
	rnd := rand.New(rand.NewPCG(seed, 0))
	diffs, ratios := make([]float64, resamples), make([]float64, resamples)
	for k := range resamples {
		a, b := means(func(int) pair { return list[rnd.IntN(len(list))] })
		diffs[k], ratios[k] = a-b, a/b
	}
	c.diffCI, c.ratiCI = middle(diffs), middle(ratios)
	return c
}

// middle is where the middle 95 % of the values lie.
func middle(v []float64) attack.Interval {
	slices.Sort(v)
	return attack.Interval{Lo: v[len(v)*25/1000], Hi: v[len(v)*975/1000-1]}
}
