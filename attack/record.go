package attack

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
)

// A Record is the outcome of one sample. Its JSON follows from the campaign's plan alone:
// only Seconds is left out of it.
type Record struct {
	Index    int     `json:"index"` // in the campaign's list
	Name     string  `json:"name,omitempty"`
	Label    int     `json:"label"`
	Target   int     `json:"target"` // -1 if untargeted
	Stop     Stop    `json:"stop"`
	Success  bool    `json:"success"`
	By       string  `json:"by,omitempty"`  // the attack of an ensemble that found the best success
	Answer   int     `json:"answer"`        // the victim's class for the best success; without a success, for the clean sample
	First    Point   `json:"first"`         // the first success
	Best     Point   `json:"best"`          // the nearest success in the attack's norm
	Trace    []Point `json:"trace"`         // every success nearer than those before
	Queries  int     `json:"queries"`       // charged to the attack
	Clean    int     `json:"clean"`         // queries of the clean check
	Verify   int     `json:"verify"`        // queries of the verification
	Verified bool    `json:"verified"`      // the best success achieves the goal in a separate pass
	Rounded  bool    `json:"verified_8bit"` // and so does the best success rounded to 8 bits
	// Adversarial is the best success, shaped like the sample; nil without one.
	Adversarial *Pixels `json:"adversarial,omitempty"`

	Seconds float64 `json:"-"` // of work
}

// Skipped reports whether the sample was not attacked.
func (r *Record) Skipped() bool { return r.Stop == StopSkipped }

// At returns the nearest success in norm n within the first q queries; false means there is
// none.
func (r *Record) At(q int, n Norm) (Point, bool) {
	var best Point
	ok := false
	for _, p := range r.Trace {
		if p.Queries <= q && (!ok || p.Distance(n) < best.Distance(n)) {
			best, ok = p, true
		}
	}
	return best, ok
}

// An Interval is a 95 % confidence interval.
type Interval struct {
	Lo float64 `json:"lo"`
	Hi float64 `json:"hi"`
}

// A Summary is a row of a table: one attack over many samples. Skipped samples are only
// counted; samples that the campaign did not reach are left out. Queries are compared at
// the first success and distances at the best one; for an attack that stops at its first
// success these are the same. Means and medians are over successes. Only QueriesMeanAll and
// QueriesMedianAll are over all attacked samples; they count a failure as the whole budget.
//
// A mean without a success, or a rate without a sample, is 0 here and null in JSON.
type Summary struct {
	Attack           string   `json:"attack"`
	Norm             Norm     `json:"norm"`
	Goal             string   `json:"goal"`
	Budget           int      `json:"budget"`
	Samples          int      `json:"samples"` // attacked
	Skipped          int      `json:"skipped"`
	SuccessRate      float64  `json:"success_rate"`
	SuccessCI        Interval `json:"success_rate_ci95"` // Wilson's
	QueriesMean      float64  `json:"queries_mean"`      // at the first success
	QueriesCI        Interval `json:"queries_mean_ci95"` // mean times and over exp(1.96 standard errors / mean), which is never below 0
	QueriesMedian    float64  `json:"queries_median"`
	QueriesMeanAll   float64  `json:"queries_mean_all"`
	QueriesMedianAll float64  `json:"queries_median_all"`
	FirstL2Mean      float64  `json:"first_l2_mean"`
	BestQueries      float64  `json:"best_queries_mean"` // at the best success
	L0Mean           float64  `json:"l0_mean"`           // of the best success, like all distances below
	L2Mean           float64  `json:"l2_mean"`
	L2CI             Interval `json:"l2_mean_ci95"` // mean ± 1.96 standard errors
	LinfMean         float64  `json:"linf_mean"`
	VerifiedRate     float64  `json:"verified_rate"` // of all samples
	Verified8Rate    float64  `json:"verified8_rate"`
	Seconds          float64  `json:"seconds"` // of work, summed over samples
}

// MarshalJSON implements json.Marshaler. It writes null for means without a success and
// rates without a sample.
func (s Summary) MarshalJSON() ([]byte, error) {
	type plain Summary // without this method
	type null *struct{}
	// A field nearer the top takes the place of one of its name further down.
	type noSuccess struct {
		plain
		QueriesMean   null `json:"queries_mean"`
		QueriesCI     null `json:"queries_mean_ci95"`
		QueriesMedian null `json:"queries_median"`
		FirstL2Mean   null `json:"first_l2_mean"`
		BestQueries   null `json:"best_queries_mean"`
		L0Mean        null `json:"l0_mean"`
		L2Mean        null `json:"l2_mean"`
		L2CI          null `json:"l2_mean_ci95"`
		LinfMean      null `json:"linf_mean"`
	}
	type noSample struct {
		noSuccess
		SuccessRate      null `json:"success_rate"`
		SuccessCI        null `json:"success_rate_ci95"`
		QueriesMeanAll   null `json:"queries_mean_all"`
		QueriesMedianAll null `json:"queries_median_all"`
		VerifiedRate     null `json:"verified_rate"`
		Verified8Rate    null `json:"verified8_rate"`
	}
	switch {
	case s.Samples == 0:
		return json.Marshal(noSample{noSuccess: noSuccess{plain: plain(s)}})
	case s.SuccessRate == 0:
		return json.Marshal(noSuccess{plain: plain(s)})
	}
	return json.Marshal(plain(s))
}

// Summarize makes a row of a table from the records of a campaign.
func Summarize(about About, goal string, budget int, records []Record) Summary {
	s := Summary{Attack: about.Name, Norm: about.Norm, Goal: goal, Budget: budget}
	var first, all, firstL2, best, l0, l2, linf []float64
	var verified, verified8 float64
	for i := range records {
		r := &records[i]
		if r.Skipped() {
			s.Skipped++
		}
		if r.Skipped() || r.Stop == "" {
			continue
		}
		s.Samples++
		s.Seconds += r.Seconds
		if !r.Success {
			all = append(all, float64(budget))
			continue
		}
		all = append(all, float64(r.First.Queries))
		first = append(first, float64(r.First.Queries))
		firstL2 = append(firstL2, r.First.L2)
		best = append(best, float64(r.Best.Queries))
		l0 = append(l0, float64(r.Best.L0))
		l2 = append(l2, r.Best.L2)
		linf = append(linf, r.Best.Linf)
		if r.Verified {
			verified++
		}
		if r.Rounded {
			verified8++
		}
	}
	if s.Samples == 0 {
		return s
	}
	n, won := float64(s.Samples), float64(len(first))
	s.SuccessRate, s.VerifiedRate, s.Verified8Rate = won/n, verified/n, verified8/n
	s.SuccessCI = wilson(won, n)
	s.QueriesMeanAll, _ = meanCI(all)
	s.QueriesMedianAll = median(all)
	s.QueriesMean, s.QueriesCI = positiveCI(first)
	s.QueriesMedian = median(first)
	s.FirstL2Mean, _ = meanCI(firstL2)
	s.BestQueries, _ = meanCI(best)
	s.L0Mean, _ = meanCI(l0)
	s.L2Mean, s.L2CI = meanCI(l2)
	s.LinfMean, _ = meanCI(linf)
	return s
}

const z95 = 1.959963984540054

// wilson is the score interval of k successes in n trials.
func wilson(k, n float64) Interval {
	p, z := k/n, z95*z95/n
	mid := (p + z/2) / (1 + z)
	half := z95 / (1 + z) * math.Sqrt(p*(1-p)/n+z/(4*n))
	return Interval{max(mid-half, 0), min(mid+half, 1)}
}

// meanCI is the mean and its normal interval, from the sample's own deviation.
func meanCI(v []float64) (float64, Interval) {
	if len(v) == 0 {
		return 0, Interval{}
	}
	var sum, sq float64
	for _, x := range v {
		sum += x
	}
	n := float64(len(v))
	mean := sum / n
	for _, x := range v {
		sq += (x - mean) * (x - mean)
	}
	var half float64
	if n > 1 {
		half = z95 * math.Sqrt(sq/(n-1)/n)
	}
	return mean, Interval{mean - half, mean + half}
}

// positiveCI is the mean of what is positive and its interval on the logarithmic scale:
// a few counts of which one is large do not reach below 0, as a normal interval does.
func positiveCI(v []float64) (float64, Interval) {
	mean, ci := meanCI(v)
	if mean <= 0 {
		return mean, ci
	}
	f := math.Exp((ci.Hi - mean) / mean)
	return mean, Interval{mean / f, mean * f}
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.SortedFunc(slices.Values(v), cmp.Compare)
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
