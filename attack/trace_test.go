package attack

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/mettleml/mettle/zoo"
)

var record = flag.Bool("record", false, "write testdata/traces.json anew")

// apart is the Kolmogorov-Smirnov distance of two sorted samples: the largest difference
// of their shares at or below a value.
func apart(a, b []int) float64 {
	var far float64
	for _, v := range append(slices.Clone(a), b...) {
		share := func(s []int) float64 {
			n, _ := slices.BinarySearch(s, v+1)
			return float64(n) / float64(len(s))
		}
		far = max(far, share(a)-share(b), share(b)-share(a))
	}
	return far
}

// TestTraces: on a linear victim, over 200 seeds, the queries that an attack needs are
// distributed as they were recorded when it was compared with its authors' code: to the
// first success for those in a ball, to within some factor of the exact distance for
// those on labels. An attack that was changed a little is told apart.
func TestTraces(t *testing.T) {
	if !*slow {
		t.Skip("1,600 attacks: needs -slow")
	}
	const (
		seeds  = 200
		budget = 1500
		same   = 0.1  // other processors round otherwise; two samples of 200 differ by 0.136 in one of twenty
		other  = 0.15 // what a change must come to
	)
	v := newLinear(1, 4, 1, 10, 10)
	for _, w := range v.w { // alike in blocks of 2x2, as neighbours in pictures are
		for i := range w {
			w[i] = 0.3*w[i] + w[i/20*20+i%10/2*2]
		}
	}
	v.b[0] = 12
	samples := v.samples(5, 20)
	sample := samples[slices.IndexFunc(samples, func(s Sample) bool { return s.Label == 0 })]
	edge, edgeLinf := v.edge(sample.X.Data(), 0), v.edgeLinf(sample.X.Data(), 0)
	const path = "testdata/traces.json"
	recorded := map[string][]int{}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &recorded)
	}
	if err != nil && !*record {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		a, changed  Attack
		within      float64 // times the exact distance; 0: the first success
		description string
	}{
		{"square", Square{Norm: Linf, Eps: 1.4 * edgeLinf}, Square{Norm: Linf, Eps: 1.4 * edgeLinf, P: 0.2}, 0, "squares of four times the pixels"},
		{"bandits", Bandits{Norm: Linf, Eps: 1.6 * edgeLinf, Tile: 5, LR: 0.02, PriorLR: 10}, Bandits{Norm: Linf, Eps: 1.6 * edgeLinf, Tile: 5, LR: 0.008, PriorLR: 10}, 0, "shorter steps"},
		{"hopskipjump", HopSkipJump{}, HopSkipJump{Probes: 140}, 1.15, "more probes"},
		{"sign-opt", SignOpt{}, SignOpt{Directions: 80}, 1.1, "half the signs"},
	} {
		run := func(a Attack) []int {
			var all []int
			for seed := range seeds {
				job, err := Bind(a, v)
				if err != nil {
					t.Fatal(err)
				}
				rec, err := job.Attack(context.Background(), sample, zoo.Untargeted(0), budget, uint64(seed))
				if err != nil {
					t.Fatal(err)
				}
				q := budget
				if c.within == 0 && rec.Success {
					q = rec.First.Queries
				}
				if c.within > 0 {
					if i := slices.IndexFunc(rec.Trace, func(p Point) bool { return p.L2 <= c.within*edge }); i >= 0 {
						q = rec.Trace[i].Queries
					}
				}
				all = append(all, q)
			}
			slices.Sort(all)
			return all
		}
		got := run(c.a)
		if *record {
			recorded[c.name] = got
		}
		want := recorded[c.name]
		if len(want) != seeds {
			t.Fatalf("%s: %d recorded runs", c.name, len(want))
		}
		d, e := apart(got, want), apart(run(c.changed), want)
		t.Logf("%s: median %d, of nine tenths %d; %.3f from the record, %.3f with %s", c.name, got[seeds/2], got[seeds*9/10], d, e, c.description)
		if d > same {
			t.Errorf("%s: the distribution is %.3f from the recorded one; medians %d and %d", c.name, d, got[seeds/2], want[seeds/2])
		}
		if e < other {
			t.Errorf("%s: %s are not told apart (%.3f)", c.name, c.description, e)
		}
	}
	if *record {
		b, err := json.Marshal(recorded)
		if err == nil {
			err = os.WriteFile(path, append(b, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
