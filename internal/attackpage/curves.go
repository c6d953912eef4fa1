package attackpage

import (
	"fmt"
	"math"
	"slices"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/report"
)

// within is the L2 distance up to which the curves count a success: what was asked for,
// or else what 95 % of all the successes lie within, with two digits. So it fits any size
// of images and any radius.
func (f *Findings) within() float64 {
	if f.Within > 0 {
		return f.Within
	}
	var all []float64
	for _, r := range f.Results {
		for _, rec := range r.Records {
			if rec.Success && !math.IsInf(rec.Best.L2, 0) {
				all = append(all, rec.Best.L2)
			}
		}
	}
	if len(all) == 0 {
		return 1
	}
	slices.Sort(all)
	v := all[(len(all)-1)*95/100]
	unit := math.Pow(10, math.Floor(math.Log10(max(v, 1e-9)))-1)
	return math.Ceil(v/unit-1e-9) * unit
}

// successCurves are the shares of images with a success within the limit.
func (f *Findings) successCurves(within float64) *report.Chart {
	c := &report.Chart{Title: fmt.Sprintf("success within L2 %.3g", within), X: "queries", Y: "share of images", LogX: true, YMax: 1}
	for _, r := range f.Results {
		var at []int
		records := attacked(r)
		for _, rec := range records {
			for _, q := range rec.Trace {
				if q.L2 <= within {
					at = append(at, q.Queries)
					break
				}
			}
		}
		c.Series = append(c.Series, report.Successes(r.Attack, at, len(records), f.Budget))
	}
	return c
}

// maxDistance is where the distance curves begin, in multiples of the limit: what lies
// farther is not worth the space.
const maxDistance = 2

// distanceCurves are the medians of the distance reached.
func (f *Findings) distanceCurves(within float64) *report.Chart {
	c := &report.Chart{Title: "median distance of the nearest success", X: "queries", Y: "L2", LogX: true}
	for _, r := range f.Results {
		s := report.Series{Name: r.Attack, Step: true}
		for q := 1.0; q < float64(f.Budget)*1.08; q *= 1.08 {
			if m := medianAt(r, attack.L2, int(q)); m <= maxDistance*within {
				s.X = append(s.X, min(q, float64(f.Budget)))
				s.Y = append(s.Y, m)
			}
		}
		c.Series = append(c.Series, s)
	}
	return c
}
