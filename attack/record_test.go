package attack

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"
)

// TestSummaryAsJSON: what is of nothing is null, all else the number that Go users
// see, under the same names; and a row is read back as it was.
func TestSummaryAsJSON(t *testing.T) {
	success := []string{"queries_mean", "queries_mean_ci95", "queries_median", "first_l2_mean", "best_queries_mean", "l0_mean", "l2_mean", "l2_mean_ci95", "linf_mean"}
	sample := append([]string{"success_rate", "success_rate_ci95", "queries_mean_all", "queries_median_all", "verified_rate", "verified8_rate"}, success...)
	won := Record{Stop: StopSuccess, Success: true, Verified: true, First: Point{Queries: 7, L2: 2}, Best: Point{Queries: 8, L2: 1, Linf: 0.5, L0: 3}}
	lost, skipped := Record{Stop: StopBudget}, Record{Stop: StopSkipped}
	names := func(m map[string]any) (all, null []string) {
		for k, v := range m {
			all = append(all, k)
			if v == nil {
				null = append(null, k)
			}
		}
		slices.Sort(all)
		slices.Sort(null)
		return all, null
	}
	var first []string
	for _, c := range []struct {
		records []Record
		null    []string
	}{{[]Record{won, lost}, nil}, {[]Record{lost, lost, skipped}, success}, {[]Record{skipped}, sample}} {
		s := Summarize(About{Name: "a", Norm: L2}, "untargeted", 100, c.records)
		b, err := json.Marshal([]Summary{s})
		if err != nil {
			t.Fatal(err)
		}
		var m []map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		slices.Sort(c.null)
		all, null := names(m[0])
		if first == nil {
			first = all
		}
		if !slices.Equal(null, c.null) || !slices.Equal(all, first) {
			t.Errorf("%d of %d samples attacked, rate %v: null in JSON are %q, want %q; the names are %q, want %q", s.Samples, len(c.records), s.SuccessRate, null, c.null, all, first)
		}
		var back []Summary
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back[0], s) {
			t.Errorf("read back %+v (%v), want %+v", back, err, s)
		}
	}
	for _, name := range []string{"attack", "goal", "budget", "samples", "success_rate", "queries_mean", "queries_median", "queries_mean_all", "l2_mean", "linf_mean", "verified_rate", "verified8_rate", "seconds"} {
		if !slices.Contains(first, name) {
			t.Errorf("a row has no %q", name)
		}
	}
}

// TestQueriesIntervalIsPositive: of counts of which one is large the interval does not
// reach below 0, and of many alike ones it is the normal one.
func TestQueriesIntervalIsPositive(t *testing.T) {
	records := func(queries ...int) (r []Record) {
		for _, q := range queries {
			r = append(r, Record{Stop: StopSuccess, Success: true, First: Point{Queries: q}})
		}
		return r
	}
	s := Summarize(About{}, "", 10000, records(1, 1, 1, 2, 900))
	if m := s.QueriesMean; !(s.QueriesCI.Lo > 0 && s.QueriesCI.Lo < m && s.QueriesCI.Hi > m) || m != 181 {
		t.Errorf("mean %v, interval %v", m, s.QueriesCI)
	}
	var many []int
	for i := range 400 {
		many = append(many, 90+i%21)
	}
	s = Summarize(About{}, "", 10000, records(many...))
	var all []float64
	for _, q := range many {
		all = append(all, float64(q))
	}
	if _, normal := meanCI(all); !(math.Abs(s.QueriesCI.Lo-normal.Lo) < 0.01 && math.Abs(s.QueriesCI.Hi-normal.Hi) < 0.01) {
		t.Errorf("interval %v, the normal one is %v", s.QueriesCI, normal)
	}
}
