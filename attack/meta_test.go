package attack

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// TestMetaStepLength: away from the bounds a step moves q pixels by β each, or
// along the estimate by the same L2 length.
func TestMetaStepLength(t *testing.T) {
	const q, beta = 50, 0.004
	v := newLinear(3, 2, 1, 28, 28)
	v.b[0] = 1e6 // never beaten
	x := v.samples(1, 1)[0].X
	for i := range x.Data() {
		x.Data()[i] = 0.5
	}
	for _, proportional := range []bool{false, true} {
		var seen [][]float32
		ledger := &zoo.Ledger{Budget: 10}
		try := &Try{Clean: x, Goal: zoo.Untargeted(0), norm: L2, ledger: ledger}
		rec := recorder{Scorer: zoo.ScorerFunc(v.info, v.Scores), see: func(x []float32, _ []float64) { seen = append(seen, slices.Clone(x)) }}
		a := Meta{Network: models.MetaAttackerMNIST(2), Coordinates: q, LR: beta, Interval: 100, Proportional: proportional}
		if err := a.AttackScores(context.Background(), zoo.MeterScores(ledger, zoo.AttackAccount, rec), try); err == nil {
			t.Fatal("the attack ended before the budget")
		}
		if len(seen) != 10 {
			t.Fatalf("%d queries", len(seen))
		}
		for k := 1; k < len(seen); k++ {
			moved, even := 0, 0
			for i, v := range seen[k] {
				d := math.Abs(float64(v - seen[k-1][i]))
				if d > 0 {
					moved++
				}
				if math.Abs(d-beta) < 1e-6 {
					even++
				}
			}
			if d := L2.Distance(seen[k], seen[k-1]); moved != q || !(math.Abs(d-beta*math.Sqrt(q)) <= 1e-5) {
				t.Errorf("proportional %v, step %d: %d pixels and L2 %v, want %d and %v", proportional, k, moved, d, q, beta*math.Sqrt(q))
			}
			if !proportional && even != q || proportional && even == q {
				t.Errorf("proportional %v, step %d: %d pixels moved by β", proportional, k, even)
			}
		}
	}
}

// TestMetaAdam: with Adam the modifier moves as coordinate Adam does on the largest
// predictions, each coordinate with a counter of its own.
func TestMetaAdam(t *testing.T) {
	const q, beta, steps = 300, 0.004, 8
	v := newLinear(3, 2, 1, 28, 28)
	v.b[0] = 1e6 // never beaten
	x := v.samples(1, 1)[0].X
	net := models.MetaAttackerMNIST(2)
	var seen [][]float32
	ledger := &zoo.Ledger{Budget: steps}
	try := &Try{Clean: x, Goal: zoo.Untargeted(0), norm: L2, ledger: ledger}
	rec := recorder{Scorer: v, see: func(x []float32, _ []float64) { seen = append(seen, slices.Clone(x)) }}
	meter := zoo.MeterScores(ledger, zoo.AttackAccount, rec)
	a := Meta{Network: net, Coordinates: q, LR: beta, Interval: 100, Adam: true}
	if err := a.AttackScores(context.Background(), meter, try); err == nil {
		t.Fatal("the attack ended before the budget")
	}
	est := zoo.NewMeta(net)
	opt := newAdam(784, beta)
	longest := 0
	for k := 1; k < len(seen); k++ {
		g := make([]float32, 784)
		if err := est.Predict(x.Shape(), seen[k-1], g); err != nil {
			t.Fatal(err)
		}
		want := slices.Clone(seen[k-1])
		for _, i := range tensor.FromSlice(slices.Clone(g), 784).Abs().TopK(q) {
			want[i] -= float32(opt.step(i, float64(g[i])))
			longest = max(longest, opt.t[i])
		}
		if gap := Linf.Distance(seen[k], want); !(gap <= 1e-6) {
			t.Fatalf("step %d ends %v from what Adam gives", k, gap)
		}
	}
	if longest < 3 || slices.Min(opt.t) > 1 {
		t.Errorf("the counters go from %d to %d", slices.Min(opt.t), longest)
	}
	a.Proportional = true
	if err := a.Check([]int{1, 28, 28}); err == nil || !strings.Contains(err.Error(), "Proportional") {
		t.Errorf("Adam and Proportional: %v", err)
	}
	for _, a := range []Meta{{Central: true, Groups: 3}, {Central: true, Nearest: true}, {Turn: 1.1}, {Approach: -1}, {Approach: 1, Loss: zoo.CrossEntropy{}}, {Approach: 1, Loss: zoo.Margin{Scale: 2}}, {Groups: -1}} {
		a.Network = models.MetaAttackerMNIST(2)
		if err := a.Check([]int{1, 28, 28}); err == nil {
			t.Errorf("%+v was accepted", a)
		}
	}
}

// scripted is a linear victim that answers another class from a given query on.
type scripted struct {
	*linear
	from, count int
}

func (s *scripted) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	if err := s.linear.Scores(ctx, x, out); err != nil {
		return err
	}
	for i := range x.Dim(0) {
		if s.count++; s.count >= s.from {
			out[2*i], out[2*i+1] = 0, 1
		}
	}
	return nil
}

// TestMetaStrictCount: a success at step s (from 0) costs (s+1) + floor(s/m)·q·r
// queries, for every interval m, number of coordinates q, and r = 1 for forward, 2 for
// central differences; the ledger and the victim agree, and nothing is asked after
// the success. With less than that the attack stops at the budget.
func TestMetaStrictCount(t *testing.T) {
	net := models.MetaAttackerMNIST(3)
	for m := 1; m <= 7; m++ {
		for _, q := range []int{1, 5, 128} {
			for s := range 2*m + 2 {
				central := s == m+1
				strict := (s + 1) + s/m*q
				if central {
					strict += s / m * q
				}
				v := newLinear(4, 2, 1, 28, 28)
				v.b[0] = 1e4
				a := Meta{Network: net, Coordinates: q, Interval: m, Tune: 1, Central: central}
				for _, budget := range []int{10000, strict, strict - 1} {
					if budget == 0 || s > 9 && budget != 10000 {
						continue
					}
					sc := &scripted{linear: v, from: strict}
					job := WithScores(a, sc)
					sc.count = -1 // the clean check is another account's
					rec, err := job.Attack(context.Background(), v.samples(1, 1)[0], zoo.Untargeted(0), budget, 1)
					if err != nil {
						t.Fatal(err)
					}
					asked := sc.count + 1 - rec.Clean - rec.Verify
					want, stop := strict, StopSuccess
					if budget < strict {
						want, stop = budget, StopBudget
					}
					if rec.Queries != want || asked != want || rec.Stop != stop || rec.Success && rec.First.Queries != want {
						t.Fatalf("m %d, q %d, s %d, central %v, budget %d: ledger %d, victim %d, stop %q, first success at %d; want %d and %q",
							m, q, s, central, budget, rec.Queries, asked, rec.Stop, rec.First.Queries, want, stop)
					}
				}
			}
		}
	}
}

// TestLearnedAttacksAreCounted: what TestAttacks checks of the ledger, the box and the
// record, for the attacks with a network, whose samples have 28x28 values.
func TestLearnedAttacksAreCounted(t *testing.T) {
	v := newLinear(4, 3, 1, 28, 28)
	net := pretrained.MetaAttackerMNIST()
	frugal, err := PresetOf[Meta]("frugal")
	if err != nil {
		t.Fatal(err)
	}
	frugal.Network = net
	lean, err := PresetOf[Meta]("lean")
	if err != nil {
		t.Fatal(err)
	}
	lean.Network = net
	decoder := &Learned{Network: pretrained.AutoZOOMMNIST().Decoder, Code: []int{1, 14, 14}}
	samples := v.samples(2, 3)
	for _, a := range []ScoreAttack{
		Meta{Network: net}, frugal, lean, Meta{Network: net, Adam: true, Central: true, Box: Tanh}, AutoZOOM{Decoder: decoder, Directions: 3},
	} {
		for _, targeted := range []bool{false, true} {
			v.count.Store(0)
			res, err := (&Campaign{Job: WithScores(a, v), Targeted: targeted, Budget: 700, Seed: 1}).Run(context.Background(), samples)
			if err != nil {
				t.Fatal(err)
			}
			counted := 0
			for _, r := range res.Records {
				counted += r.Queries + r.Clean + r.Verify
				checkRecord(t, samples, L2, &r)
				if r.Queries > 700 || r.Stop != StopSuccess && r.Queries < 700 {
					t.Errorf("%s, targeted %v: %d queries, %q", a.About().Name, targeted, r.Queries, r.Stop)
				}
			}
			if n := int(v.count.Load()); counted != n || v.bad.Load() > 0 {
				t.Errorf("%s, targeted %v: ledger has %d queries, the victim saw %d, %d of the values outside [0,1]", a.About().Name, targeted, counted, n, v.bad.Load())
			}
		}
	}
}

// TestAuthorsCount compares with both formulas, of the strict count and of the authors'
// code, for every interval m, number of coordinates q, and r of 1 and 2.
func TestAuthorsCount(t *testing.T) {
	for m := 1; m <= 7; m++ {
		for _, q := range []int{1, 5, 128} {
			for s := 1; s < 40; s++ {
				for r := 1; r <= 2; r++ {
					strict, theirs := (s+1)+s/m*q*r, (s-1)/m*q*r+s
					a := Meta{Coordinates: q, Interval: m, Central: r == 2}
					if got := a.AuthorsCount(strict); got != theirs {
						t.Fatalf("m %d, q %d, r %d, s %d: %d strict queries are %d by their count, want %d", m, q, r, s, strict, got, theirs)
					}
				}
			}
		}
	}
	grouped := Meta{Coordinates: 112, Groups: 56, Interval: 6, First: 2} // measures at steps 2, 8, ...
	for strict, theirs := range map[int]int{2: 1, 59: 2, 60: 59} {
		if got := grouped.AuthorsCount(strict); got != theirs {
			t.Errorf("groups: %d strict queries are %d by their count, want %d", strict, got, theirs)
		}
	}
	// Steps 1 and 10 measure: 1+1+112 at step 1, 122 at step 9, 1+10+224 at step 10.
	frugal := Meta{Coordinates: 112, Interval: 9, First: 1}
	for strict, theirs := range map[int]int{1: 0, 114: 1, 122: 121, 235: 122} {
		if got := frugal.AuthorsCount(strict); got != theirs {
			t.Errorf("measuring at once: %d strict queries are %d by their count, want %d", strict, got, theirs)
		}
	}
}

// TestLeanResumes: stopped within its second measurement, an attack that reads all scores
// goes on to the same end, and asks for nothing twice.
func TestLeanResumes(t *testing.T) {
	lean, err := PresetOf[Meta]("lean")
	if err != nil {
		t.Fatal(err)
	}
	lean.Network = pretrained.MetaAttackerMNIST()
	v := newLinear(4, 3, 1, 28, 28)
	v.b[0] = 1e3
	samples := v.samples(2, 1)
	want, err := (&Campaign{Job: WithScores(lean, v), Budget: 150, Seed: 1}).Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "journal")
	f := &flaky{linear: v}
	f.left.Store(70)
	v.count.Store(0)
	c := Campaign{Job: WithScores(lean, f), Budget: 150, Seed: 1, Journal: path}
	if _, err := c.Run(context.Background(), samples); !errors.Is(err, errKilled) {
		t.Fatalf("%v, want a kill", err)
	}
	f.left.Store(1 << 40)
	res, err := c.Run(context.Background(), samples)
	if err != nil || table(res) != table(want) {
		t.Errorf("%v:\n%swant\n%s", err, table(res), table(want))
	}
	if n := int(v.count.Load()); n != 150+want.Records[0].Clean+want.Records[0].Verify {
		t.Errorf("the victim saw %d queries", n)
	}
}

// TestTurn: the whole of what is across goes, a share of it, or none; what leads the other
// way counts as across.
func TestTurn(t *testing.T) {
	for _, c := range []struct {
		g     []float64
		share float64
		want  []float32
	}{
		{[]float64{-2, 0, 0}, 1, []float32{3, 0, 0}},
		{[]float64{-2, 0, 0}, 0.5, []float32{3, 2, 0.5}},
		{[]float64{-2, 0, 0}, 0, []float32{3, 4, 1}},
		{[]float64{5, 0, 0}, 0.5, []float32{1.5, 2, 0.5}},
		{[]float64{0, 0, 0}, 0.5, []float32{1.5, 2, 0.5}},
	} {
		w := []float32{3, 4, 1}
		if turnTo(w, c.g, c.share); !slices.Equal(w, c.want) {
			t.Errorf("turned by %g to %v: %v, want %v", c.share, c.g, w, c.want)
		}
	}
}

// TestTurnsOfAnAttack: on a victim with one slope an attack with Turn 1 is on the way along it
// after its first measurement, gives up nothing at steps that are only predicted, and 0.8 of
// what is across after the second measurement.
func TestTurnsOfAnAttack(t *testing.T) {
	const n, length, probes = 784, 0.05, 784
	v := newLinear(3, 2, 1, 28, 28)
	v.b[0] = 1e4 // never beaten
	x := v.samples(1, 1)[0].X
	slope := make([]float64, n)
	for i := range slope {
		slope[i] = v.w[0][i] - v.w[1][i]
	}
	var iterates [][]float32
	asked := 0
	rec := recorder{Scorer: zoo.ScorerFunc(v.info, v.Scores), see: func(x []float32, _ []float64) {
		if asked < 2 || asked >= 2+probes && (asked-2-probes)%(3+probes) < 3 {
			iterates = append(iterates, slices.Clone(x))
		}
		asked++
	}}
	ledger := &zoo.Ledger{Budget: 2 + probes + 3 + probes + 1}
	try := &Try{Clean: x, Goal: zoo.Untargeted(0), norm: L2, ledger: ledger}
	a := Meta{Network: models.MetaAttackerMNIST(2), Coordinates: n, Groups: probes, LR: length / math.Sqrt(n), H: 0.01,
		First: 2, Interval: 3, Proportional: true, Turn: 1}
	if err := a.AttackScores(context.Background(), zoo.MeterScores(ledger, zoo.AttackAccount, rec), try); !errors.Is(err, zoo.ErrBudget) {
		t.Fatal(err)
	}
	if len(iterates) != 6 {
		t.Fatalf("%d iterates in %d queries", len(iterates), asked)
	}
	var w [6][]float32
	for k, x := range iterates {
		w[k] = make([]float32, n)
		for i := range x {
			w[k][i] = x[i] - try.Clean.Data()[i]
		}
	}
	moved := func(from, to []float32) float64 { return L2.Distance(from, to) }
	if c := angle(slope, w[2], nil); !(c < -0.999) {
		t.Errorf("after the first measurement the modifier's cosine with the slope is %v", c)
	}
	for k := 3; k <= 4; k++ {
		if d := moved(w[k-1], w[k]); !(math.Abs(d-length) < 1e-4) {
			t.Errorf("predicted step %d moved by %v, want %v", k, d, length)
		}
	}
	for share, near := range map[float64]bool{0.8: true, 1: false} {
		turned := slices.Clone(w[4])
		if turnTo(turned, slope, share); (math.Abs(moved(turned, w[5])-length) < 1e-3*length) != near {
			t.Errorf("after the second measurement the step is %v from what a turn by %v leaves, want %v: %v", moved(turned, w[5]), share, length, near)
		}
	}
}

// TestApproachOfAnAttack: on a victim with one slope, where every step is measured, an attack
// that shortens its last steps ends at the edge; without that it ends a good part of a step
// behind it.
func TestApproachOfAnAttack(t *testing.T) {
	v := newLinear(3, 2, 1, 28, 28)
	s := v.samples(1, 1)[0]
	edge := v.edge(s.X.Data(), s.Label)
	length := edge / 2.5
	for _, factor := range []float64{0, 1} {
		a := Meta{Network: models.MetaAttackerMNIST(2), Coordinates: 784, Groups: 784, LR: length / math.Sqrt(784), H: 0.01,
			First: 1, Interval: 1, Proportional: true, Approach: factor}
		res, err := (&Campaign{Job: WithScores(a, v), Budget: 10000, Seed: 1}).Run(context.Background(), []Sample{s})
		if err != nil {
			t.Fatal(err)
		}
		behind := (res.Records[0].First.L2 - edge) / length
		if !res.Records[0].Success || factor == 0 && !(behind > 0.4) || factor == 1 && !(behind < 0.15) {
			t.Errorf("approach %g: it ends %.3f steps behind the edge", factor, behind)
		}
	}
}

// TestApproach: on a loss that falls by 1 in a whole step the last step is as long as what
// is left, and steps are never shorter than an eighth; without a fall they are whole.
func TestApproach(t *testing.T) {
	a := approach{factor: 1}
	at := 3.25
	for i, want := range []float64{1, 1, 1, 0.25} {
		a.see(at)
		got := a.step()
		if got != want {
			t.Fatalf("step %d is %g at a loss of %g, want %g", i, got, at, want)
		}
		at -= got
	}
	if at != 0 {
		t.Errorf("it ends at %g", at)
	}
	a = approach{factor: 1}
	for i, c := range []struct{ loss, want float64 }{{2, 1}, {1, 1}, {0.01, 0.125}, {0.02, 1}, {0.01, 1}} {
		if a.see(c.loss); a.step() != c.want {
			t.Errorf("step %d at %g is %g, want %g", i, c.loss, a.share, c.want)
		}
	}
	whole := approach{}
	for _, loss := range []float64{3, 1, 0.1} {
		if whole.see(loss); whole.step() != 1 {
			t.Errorf("a step of %g without the option", whole.share)
		}
	}
}

// TestMetaInvariants follows the iterates of an attack that succeeds: at most q
// values change at a step, by β at most each, and the loss is 0 at the success and
// only there.
func TestMetaInvariants(t *testing.T) {
	const q, m, beta = 40, 3, 0.02
	v := newLinear(5, 3, 1, 28, 28)
	s := v.samples(2, 1)[0]
	goal := zoo.Untargeted(s.Label)
	query := 0
	var steps [][]float32
	won := false
	rec := recorder{Scorer: zoo.ScorerFunc(v.info, v.Scores), see: func(x []float32, scores []float64) {
		query++
		if n := len(steps); query != (n+1)+n/m*q {
			return // a probe
		}
		steps = append(steps, slices.Clone(x))
		if won {
			t.Fatal("a query after the success")
		}
		won = goal.Achieved(zoo.Top(scores))
		if j := (zoo.Hinge{}).Value(scores, zoo.Logits, goal); (j == 0) != won {
			t.Errorf("step %d: loss %v, success %v", len(steps)-1, j, won)
		}
	}}
	ledger := &zoo.Ledger{Budget: 10000}
	try := &Try{Clean: s.X, Goal: goal, norm: L2, ledger: ledger}
	a := Meta{Network: models.MetaAttackerMNIST(3), Coordinates: q, Interval: m, LR: beta, Tune: 3}
	if err := a.AttackScores(context.Background(), zoo.MeterScores(ledger, zoo.AttackAccount, rec), try); err != nil {
		t.Fatal(err)
	}
	if !won || !try.Success() || !slices.Equal(try.Best(), steps[len(steps)-1]) {
		t.Fatalf("no success in %d steps", len(steps))
	}
	if len(steps) < 2*m {
		t.Fatalf("only %d steps", len(steps))
	}
	for k := 1; k < len(steps); k++ {
		p := distances(steps[k], steps[k-1])
		l0, l2, linf := p.L0, p.L2, p.Linf
		all := distances(steps[k], steps[0]).L0
		if l0 > q || l2 > beta*math.Sqrt(q)+1e-5 || linf > beta+1e-6 || all > q*k {
			t.Errorf("step %d: %d values by %v, L2 %v; %d values in all", k, l0, linf, l2, all)
		}
	}
}

// TestMetaForgetsBetweenSamples: the network is as it was for every sample, so
// neither their order nor the number of workers matters.
func TestMetaForgetsBetweenSamples(t *testing.T) {
	v := newLinear(5, 3, 1, 28, 28)
	samples := v.samples(2, 6)
	for i := range samples {
		samples[i].Name = string(rune('a' + i))
	}
	job := WithScores(Meta{Network: models.MetaAttackerMNIST(3), Interval: 2, Tune: 3, Coordinates: 16}, v)
	run := func(s []Sample, workers int) map[string]Record {
		res, err := (&Campaign{Job: job, Budget: 150, Workers: workers}).Run(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]Record{}
		for _, r := range res.Records {
			r.Seconds, r.Index = 0, 0
			m[r.Name] = r
		}
		return m
	}
	want := run(samples, 1)
	backwards := slices.Clone(samples)
	slices.Reverse(backwards)
	for name, got := range map[string]map[string]Record{"backwards": run(backwards, 1), "four workers": run(samples, 4), "alone": run(samples[3:4], 1)} {
		for k, r := range got {
			if !reflect.DeepEqual(r, want[k]) {
				t.Errorf("%s: sample %s: %+v, want %+v", name, k, r, want[k])
			}
		}
	}
}
