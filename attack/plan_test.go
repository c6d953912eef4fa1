package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

func recordsJSON(t *testing.T, r *Result) []byte {
	t.Helper()
	b, err := json.Marshal(r.Records)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestUnitsMergeToTheSameRecords: units run one by one, in any order, with journals of
// their own and after having been taken up from JSON, merge to the records of one run.
func TestUnitsMergeToTheSameRecords(t *testing.T) {
	v := newLinear(1, 4, 2, 6, 6)
	samples := v.samples(5, 8)
	samples[2].Label = (samples[2].Label + 1) % 4 // skipped
	samples[3].Name = "a name"
	far := v.samples(9, 30)
	for _, job := range []Job{
		WithScores(Bandits{Eps: 4}, v), WithScores(ZOO{Iterations: 20}, v), WithLabels(HopSkipJump{}, zoo.LabelsOf(v)), WithGradients(PGD{Eps: 3}, v),
	} {
		c := Campaign{Job: job, Seed: 9, Budget: 300, Targeted: true, Start: v.start(far), Keep: tensor.F16}
		one, err := c.Run(context.Background(), samples)
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Plan(samples)
		if err != nil {
			t.Fatal(err)
		}
		wire, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		there, err := c.Adopt(wire, func(u Unit) (Sample, error) {
			s := samples[u.Index]
			s.Start = c.Start(u.Goal)
			return s, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if there.Digest() != p.Digest() {
			t.Fatal("the plan that was taken up is another")
		}
		dir := t.TempDir()
		var units []*UnitResult
		for _, i := range rand.Perm(len(samples)) {
			plan := p
			if i%2 == 1 {
				plan = there
			}
			j, err := OpenJournal(filepath.Join(dir, fmt.Sprint(i)), plan, false)
			if err != nil {
				t.Fatal(err)
			}
			u, err := plan.Run(context.Background(), i, j.Log(i))
			if err != nil {
				t.Fatal(err)
			}
			j.Close()
			b, err := json.Marshal(u) // as from another machine
			if err != nil {
				t.Fatal(err)
			}
			var back UnitResult
			if err := json.Unmarshal(b, &back); err != nil {
				t.Fatal(err)
			}
			units = append(units, &back)
		}
		units = append(units, units[0]) // told twice
		merged, err := there.Merge(units...)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := recordsJSON(t, merged), recordsJSON(t, one); !bytes.Equal(got, want) {
			t.Errorf("%s: merged\n%s\nin one run\n%s", job.About().Name, got, want)
		}
		if merged.Intents != one.Intents || merged.Answers != one.Answers || one.Intents == 0 {
			t.Errorf("%s: %d queries and %d answers merged, %d and %d in one run", job.About().Name, merged.Intents, merged.Answers, one.Intents, one.Answers)
		}
		// A journal of a unit is one of the plan: the whole campaign goes on from it.
		other := c
		other.Seed++
		q, err := other.Plan(samples)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenJournal(filepath.Join(dir, "0"), q, false); err == nil || !strings.Contains(err.Error(), "seed") {
			t.Errorf("a journal of another plan: %v", err)
		}
		if _, err := q.Merge(units...); err == nil || !strings.Contains(err.Error(), "under plan") {
			t.Errorf("units of another plan: %v", err)
		}
		if _, err := other.Adopt(wire, nil); err == nil || !strings.Contains(err.Error(), "seed (9 then, 10 now)") {
			t.Errorf("another campaign's plan: %v", err)
		}
		if _, err := p.Merge(units[2:]...); err == nil || !strings.Contains(err.Error(), "missing") {
			t.Errorf("too few units: %v", err)
		}
		forged := *units[0]
		rec := *forged.Record
		rec.Queries++
		forged.Record = &rec
		if _, err := p.Merge(append(units, &forged)...); err == nil || !strings.Contains(err.Error(), "two different records") {
			t.Errorf("a unit told in two ways: %v", err)
		}
	}
}

// TestAdoptedSamplesAreChecked: a unit is not run on another sample than was planned.
func TestAdoptedSamplesAreChecked(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	samples := v.samples(2, 2)
	c := Campaign{Job: WithScores(Square{}, v), Budget: 20}
	p, err := c.Plan(samples)
	if err != nil {
		t.Fatal(err)
	}
	wire, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	there, err := c.Adopt(wire, func(u Unit) (Sample, error) { return samples[1-u.Index], nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := there.Run(context.Background(), 0, nil); err == nil || !strings.Contains(err.Error(), "not the one that was planned") || v.count.Load() > 0 {
		t.Errorf("%v after %d queries", err, v.count.Load())
	}
	if _, err := there.Run(context.Background(), 2, nil); err == nil {
		t.Error("unit 2 of 2 was run")
	}
}

// TestTotalBudget: the campaign's budget holds exactly, with any number of workers, with
// calls gathered and over the runs of a journal; what is finished is what it would be
// without it, and just enough is enough.
func TestTotalBudget(t *testing.T) {
	v := newLinear(1, 4, 2, 6, 6)
	samples := v.samples(5, 6)
	for _, job := range []Job{WithScores(NES{Eps: 4, Queries: 10}, v), WithGradients(PGD{Eps: 3}, v), WithLabels(HopSkipJump{}, zoo.LabelsOf(v))} {
		c := Campaign{Job: job, Seed: 3, Budget: 150}
		v.count.Store(0)
		free, err := c.Run(context.Background(), samples)
		if err != nil {
			t.Fatal(err)
		}
		need := int(v.count.Load())
		if free.Intents != need || free.Answers != need {
			t.Errorf("%s: %d queries and %d answers counted, the victim saw %d", job.About().Name, free.Intents, free.Answers, need)
		}
		for _, limit := range []int{1, need / 2, need - 1, need, need + 1} {
			for _, workers := range []int{1, 4} {
				v.count.Store(0)
				c.Total, c.Workers, c.Gather = limit, workers, (workers-1)*10
				res, err := c.Run(context.Background(), samples)
				if got := int(v.count.Load()); got > limit || got != res.Intents {
					t.Errorf("%s: the victim saw %d queries of %d, %d are counted", job.About().Name, got, limit, res.Intents)
				}
				if limit >= need && err != nil || limit < need && !errors.Is(err, ErrTotal) {
					t.Errorf("%s: limit %d of %d needed: %v", job.About().Name, limit, need, err)
				}
				for i, r := range res.Records {
					r.Seconds = 0
					a, _ := json.Marshal(r)
					b, _ := json.Marshal(free.Records[i])
					if r.Stop != "" && !bytes.Equal(a, b) {
						t.Errorf("%s: sample %d: %s, without a limit %s", job.About().Name, i, a, b)
					}
				}
			}
		}
	}
	// Over several runs of one journal, the limit growing.
	v.count.Store(0)
	c := Campaign{Job: WithScores(NES{Eps: 4, Queries: 10}, v), Seed: 3, Budget: 150, Workers: 2, Journal: filepath.Join(t.TempDir(), "j")}
	for c.Total = 60; ; c.Total += 60 {
		res, err := c.Run(context.Background(), samples)
		if got := int(v.count.Load()); got > c.Total || got != res.Intents {
			t.Fatalf("the victim saw %d queries of %d, %d are counted", got, c.Total, res.Intents)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, ErrTotal) {
			t.Fatal(err)
		}
	}
}

// TestCountsOfAStoppedRun: a run that was stopped, without a journal too, tells all that
// the victim was asked, for samples that were not finished as well.
func TestCountsOfAStoppedRun(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	var asked atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	spy := zoo.ScorerFunc(v.info, func(c context.Context, x *tensor.Tensor, out []float64) error {
		if asked.Add(int64(x.Dim(0))) > 500 {
			cancel()
			return context.Canceled
		}
		return v.Scores(c, x, out)
	})
	res, err := (&Campaign{Job: WithScores(Square{Eps: .01}, spy), Budget: 300, Workers: 3}).Run(ctx, v.samples(2, 9))
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if n := int(asked.Load()); res.Intents != n || res.Answers != 500 {
		t.Errorf("%d queries and %d answers are told; the victim was asked %d and answered 500", res.Intents, res.Answers, n)
	}
}

// TestSink: records go to the sink as they are finished, complete, and the result is
// without the adversarial samples; an error of the sink ends the run.
func TestSink(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	samples := v.samples(2, 7)
	c := Campaign{Job: WithScores(Square{Eps: 3}, v), Budget: 500}
	want, err := c.Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]Record, len(samples))
	c.Sink = func(r *Record) error { got[r.Index] = *r; return nil }
	res, err := c.Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := recordsJSON(t, &Result{Records: got}), recordsJSON(t, want); !bytes.Equal(a, b) {
		t.Errorf("the sink got\n%s\nwant\n%s", a, b)
	}
	for _, r := range res.Records {
		if r.Adversarial != nil || !r.Success {
			t.Errorf("sample %d: success %v, an adversarial sample %v", r.Index, r.Success, r.Adversarial != nil)
		}
	}
	full := errors.New("the disk is full")
	c.Sink = func(*Record) error { return full }
	if _, err := c.Run(context.Background(), samples); !errors.Is(err, full) {
		t.Error(err)
	}
}

// TestRecordJSON: a record comes back from JSON as it was, with the adversarial sample in
// the precision asked for.
func TestRecordJSON(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	for keep, most := range map[tensor.DType]float64{"": 0, tensor.F32: 0, tensor.F16: 0.0003, tensor.U8: 0.5/255 + 1e-7} {
		res, err := (&Campaign{Job: WithScores(Square{Eps: 2}, v), Budget: 500, Keep: keep}).Run(context.Background(), v.samples(2, 1))
		if err != nil {
			t.Fatal(err)
		}
		exact, err := (&Campaign{Job: WithScores(Square{Eps: 2}, v), Budget: 500}).Run(context.Background(), v.samples(2, 1))
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(res)
		if err != nil {
			t.Fatal(err)
		}
		var back Result
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(back)
		if err != nil || !bytes.Equal(b, again) {
			t.Errorf("%s: %s comes back as %s, %v", keep, b, again, err)
		}
		if d := Linf.Distance(back.Records[0].Adversarial.Tensor().Data(), exact.Records[0].Adversarial.Tensor().Data()); d > most || keep == tensor.U8 && d == 0 {
			t.Errorf("%s: the sample comes back %v away", keep, d)
		}
	}
	for _, bad := range []string{`{"shape":[2],"dtype":"F32","data":"AAAA"}`, `{"shape":[-1],"dtype":"U8","data":"AA=="}`, `{"shape":[1],"dtype":"I64","data":"AAAAAAAAAAA="}`, `{"shape":[9999999,9999999],"dtype":"U8","data":""}`} {
		var p Pixels
		if err := json.Unmarshal([]byte(bad), &p); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	if _, err := (&Campaign{Job: WithScores(Square{}, v), Keep: tensor.I64}).Run(context.Background(), nil); err == nil {
		t.Error("I64 was accepted")
	}
}

// TestJournalStaysSmall: a journal costs some 60 bytes a call and query whatever the
// number of classes, and drops what finished samples were answered.
func TestJournalStaysSmall(t *testing.T) {
	v := newLinear(1, 400, 1, 5, 5)
	samples := v.samples(2, 60)
	c := Campaign{Job: WithScores(Bandits{Eps: Zero}, v), Budget: 3000, Workers: 4, Journal: filepath.Join(t.TempDir(), "j")}
	p, err := c.Plan(samples[:1])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "one")
	j, err := OpenJournal(path, p, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(context.Background(), 0, j.Log(0)); err != nil {
		t.Fatal(err)
	}
	j.Close()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if each := float64(st.Size()) / 3000; each > 60 {
		t.Errorf("%.0f bytes a query", each)
	}
	full, err := c.Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	if st, err = os.Stat(c.Journal); err != nil {
		t.Fatal(err)
	}
	if st.Size() > 3*compactAt/2+1<<20 {
		t.Errorf("the journal of %d queries has %d bytes", full.Intents, st.Size())
	}
	// And it is still whole.
	v.count.Store(0)
	again, err := c.Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	if table(again) != table(full) || v.count.Load() > 0 || again.Intents != full.Intents || again.Answers != full.Answers || again.Resumed != 1 {
		t.Errorf("taken up again: %d queries, %d intents and %d answers, resumed %d times; before %d and %d", v.count.Load(), again.Intents, again.Answers, again.Resumed, full.Intents, full.Answers)
	}
	if _, err := os.Stat(c.Journal + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Error("a new file is left over")
	}
}

// TestCompactedAnywhere: a journal that is written anew in the middle of a campaign holds
// what is under way.
func TestCompactedAnywhere(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	samples := v.samples(2, 4)
	c := Campaign{Job: WithScores(Square{Eps: .2}, v), Budget: 60, Seed: 1}
	want, err := c.Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(samples)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "j")
	j, err := OpenJournal(path, p, true)
	if err != nil {
		t.Fatal(err)
	}
	// Two samples are done, one stops half-way.
	for i := range 2 {
		if _, err := p.Run(context.Background(), i, j.Log(i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	stop := c
	stop.Job = WithScores(Square{Eps: .2}, zoo.ScorerFunc(v.info, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		if v.count.Load()%7 == 6 {
			cancel()
			return context.Canceled
		}
		return v.Scores(ctx, x, out)
	}))
	q, err := stop.Plan(samples)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Run(ctx, 2, j.Log(2)); err == nil {
		t.Fatal("it did not stop")
	}
	sent, answered, _ := j.Counts()
	before, _ := os.Stat(path)
	if err := j.compact(); err != nil {
		t.Fatal(err)
	}
	after, _ := os.Stat(path)
	if s, a, _ := j.Counts(); s != sent || a != answered || after.Size() >= before.Size() {
		t.Errorf("%d and %d queries, %d bytes; before %d and %d, %d bytes", s, a, after.Size(), sent, answered, before.Size())
	}
	j.Close()
	c.Journal = path
	v.count.Store(0)
	got, err := c.Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	if table(got) != table(want) || got.Answers != want.Answers || got.Intents != want.Intents+1 || got.Resumed != 1 {
		t.Errorf("%d answers to %d queries, resumed %d times:\n%swant %d answers:\n%s", got.Answers, got.Intents, got.Resumed, table(got), want.Answers, table(want))
	}
	if n := int(v.count.Load()); n != want.Answers-answered {
		t.Errorf("%d queries were asked again, want %d", n, want.Answers-answered)
	}
}

// BenchmarkDigest is what the journal adds to a call about a clip of 32x3x224x224.
func BenchmarkDigest(b *testing.B) {
	x := make([]float32, 32*3*224*224)
	for i := range x {
		x[i] = float32(i%251) / 251
	}
	b.SetBytes(int64(4 * len(x)))
	for b.Loop() {
		digestPixels(x)
	}
}

// TestUnitsJoinTheirCalls: units that run at the same time reach the victim together, and
// who has no more than the JSON of the plan merges them to the records of one run.
func TestUnitsJoinTheirCalls(t *testing.T) {
	v := newLinear(1, 4, 1, 6, 6)
	samples := v.samples(5, 12)
	var joined atomic.Int64
	spy := zoo.ScorerFunc(v.info, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		if x.Dim(0) > 1 {
			joined.Add(1)
		}
		time.Sleep(100 * time.Microsecond)
		return v.Scores(ctx, x, out)
	})
	c := Campaign{Job: WithScores(Square{Eps: 0.5}, spy), Budget: 60}
	one, err := c.Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	if joined.Load() > 0 {
		t.Fatal("calls were joined without Gather")
	}
	c.Gather = 4
	p, err := c.Plan(samples)
	if err != nil {
		t.Fatal(err)
	}
	units := make([]*UnitResult, len(samples))
	var wg sync.WaitGroup
	for i := range units {
		wg.Go(func() {
			u, err := p.Run(context.Background(), i, nil)
			if err != nil {
				t.Error(err)
			}
			units[i] = u
		})
	}
	wg.Wait()
	if joined.Load() == 0 {
		t.Error("no calls were joined")
	}
	wire, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var bare Plan
	if err := json.Unmarshal(wire, &bare); err != nil {
		t.Fatal(err)
	}
	merged, err := bare.Merge(units...)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := recordsJSON(t, merged), recordsJSON(t, one); !bytes.Equal(got, want) {
		t.Errorf("merged\n%s\nin one run\n%s", got, want)
	}
	if merged.Victim != one.Victim || merged.Norm != one.Norm {
		t.Errorf("merged: victim %q, norm %v; in one run %q, %v", merged.Victim, merged.Norm, one.Victim, one.Norm)
	}
	if _, err := bare.Run(context.Background(), 0, nil); err == nil || !strings.Contains(err.Error(), "Adopt") {
		t.Errorf("a plan without its campaign was run: %v", err)
	}
}
