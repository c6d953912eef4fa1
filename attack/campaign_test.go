package attack

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// table is what must not change between runs.
func table(r *Result) string {
	var b strings.Builder
	for _, rec := range r.Records {
		js, err := json.Marshal(rec)
		if err != nil {
			return err.Error()
		}
		fmt.Fprintf(&b, "%s\n", js)
	}
	return b.String()
}

func TestSameResultsHoweverRun(t *testing.T) {
	v := newLinear(1, 4, 2, 6, 6)
	samples := v.samples(5, 12)
	for _, job := range []Job{
		WithScores(Bandits{Eps: 4}, v),
		WithScores(Square{Norm: Linf, Eps: 0.3}, v),
		WithLabels(HopSkipJump{}, zoo.LabelsOf(v)),
		WithScores(ZOO{Iterations: 50}, v),
		WithGradients(PGD{Eps: 1}, v),
		WithGradients(AutoAttack{Norm: Linf, Eps: 0.01}, v),
		WithGradients(APGD{Norm: L1, Eps: 0.3, Iterations: 40}, v),
		WithGradients(FAB{Iterations: 20}, v),
	} {
		var want string
		for _, c := range []Campaign{
			{Workers: 1}, {Workers: 2}, {Workers: 8}, {Workers: 5, Gather: 7}, {Workers: 12, Gather: 1000},
			{Workers: 3, Journal: filepath.Join(t.TempDir(), "j")},
			{Workers: 3, Gather: 100, Journal: filepath.Join(t.TempDir(), "k")},
		} {
			c.Job, c.Seed, c.Budget = job, 9, 700
			res, err := c.Run(context.Background(), samples)
			if err != nil {
				t.Fatal(err)
			}
			if got := table(res); want == "" {
				want = got
			} else if got != want {
				t.Fatalf("%s: %d workers, gather %d:\n%s\nwant\n%s", job.About().Name, c.Workers, c.Gather, got, want)
			}
		}
		// The order of the samples does not matter either, if they have names.
		named := make([]Sample, len(samples))
		for i, s := range samples {
			s.Name = fmt.Sprint("s", i)
			named[len(samples)-1-i] = s
		}
		a, err := (&Campaign{Job: job, Seed: 9, Budget: 300}).Run(context.Background(), named)
		if err != nil {
			t.Fatal(err)
		}
		one, err := (&Campaign{Job: job, Seed: 9, Budget: 300}).Run(context.Background(), named[3:4])
		if err != nil {
			t.Fatal(err)
		}
		one.Records[0].Index = 3
		one.Records[0].Seconds = a.Records[3].Seconds
		if !reflect.DeepEqual(one.Records[0], a.Records[3]) {
			t.Errorf("%s: a sample alone: %+v; among others: %+v", job.About().Name, one.Records[0], a.Records[3])
		}
	}
}

// TestGatherJoinsCalls: calls of samples under way reach the victim together.
func TestGatherJoinsCalls(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	var calls, most atomic.Int64
	spy := zoo.ScorerFunc(v.info, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		calls.Add(1)
		time.Sleep(time.Millisecond) // long enough for the other samples to come to wait
		if n := int64(x.Dim(0)); n > most.Load() {
			most.Store(n)
		}
		return v.Scores(ctx, x, out)
	})
	c := Campaign{Job: WithScores(Square{Eps: 0.5}, spy), Budget: 200, Workers: 8, Gather: 6}
	res, err := c.Run(context.Background(), v.samples(2, 16))
	if err != nil {
		t.Fatal(err)
	}
	var queries int64
	for _, r := range res.Records {
		queries += int64(r.Queries + r.Clean + r.Verify)
	}
	if most.Load() > 8 || most.Load() < 2 || calls.Load() > queries/2 {
		t.Errorf("%d queries in %d calls of up to %d", queries, calls.Load(), most.Load())
	}
}

// odd is a loss that Go cannot compare, depending on what it holds.
type odd struct {
	zoo.Margin
	holds any
}

// TestJoins: calls for gradients go together if their losses are equal, and a loss that
// cannot be compared goes alone.
func TestJoins(t *testing.T) {
	for _, c := range []struct {
		a, b zoo.DifferentiableLoss
		want bool
	}{
		{zoo.Margin{}, zoo.Margin{}, true}, {zoo.Margin{Scale: 2}, zoo.Margin{}, false}, {zoo.Margin{}, zoo.DLR{}, false},
		{odd{holds: 1}, odd{holds: 1}, true}, {odd{holds: []int{1}}, odd{holds: []int{1}}, false}, {odd{holds: []int{1}}, zoo.DLR{}, false},
	} {
		if got := (&descended{loss: c.a}).joins(&descended{loss: c.b}); got != c.want {
			t.Errorf("%T%+[1]v and %T%+[2]v: %v", c.a, c.b, got)
		}
	}
	if (&descended{loss: zoo.DLR{}}).joins(nil) || !(*descended)(nil).joins(nil) {
		t.Error("calls with and without gradients")
	}
}

// flaky is a victim that dies after so many samples, sometimes after it has
// counted them.
type flaky struct {
	*linear
	left atomic.Int64
	mid  bool
}

var errKilled = errors.New("killed")

func (f *flaky) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	if f.left.Add(-int64(x.Dim(0))) < 0 {
		if f.mid {
			f.linear.count.Add(int64(x.Dim(0)))
		}
		return errKilled
	}
	return f.linear.Scores(ctx, x, out)
}

// TestResume kills a campaign many times, also inside a call, and compares what
// it ends with to an undisturbed run.
func TestResume(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	v := newLinear(1, 4, 2, 6, 6)
	samples := v.samples(5, 10)
	job := func(s zoo.Scorer) Job { return WithScores(ZOO{Iterations: 10, C: 10, Coordinates: 20}, s) }
	want, err := (&Campaign{Job: job(v), Seed: 4, Budget: 400}).Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "journal")
	v.count.Store(0)
	const workers = 3
	kills := 0
	for {
		f := &flaky{linear: v, mid: r.IntN(2) == 0}
		f.left.Store(int64(r.IntN(500)))
		if kills == 20 {
			f.left.Store(1 << 40)
		}
		c := Campaign{Job: job(f), Seed: 4, Budget: 400, Workers: workers, Journal: path}
		res, err := c.Run(context.Background(), samples)
		if err == nil {
			if table(res) != table(want) {
				t.Errorf("after %d kills:\n%swant\n%s", kills, table(res), table(want))
			}
			seen := int(v.count.Load())
			if !(res.Answers <= seen && seen <= res.Intents) {
				t.Errorf("%d answers, %d seen by the victim, %d intents", res.Answers, seen, res.Intents)
			}
			if res.Intents-res.Answers > kills*workers*40 || res.Resumed != kills {
				t.Errorf("%d intents and %d answers after %d kills; resumed %d times", res.Intents, res.Answers, kills, res.Resumed)
			}
			return
		}
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		kills++
		tear(t, path, r)
	}
}

// tear cuts a few bytes off the last frame, as a kill inside a write would,
// unless that frame holds an answer the victim has counted: an answer is torn
// only in its own test.
func tear(t *testing.T, path string, r *rand.Rand) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r.IntN(2) == 0 {
		f.Write([]byte{40, 0, 0, 0, 1, 2, 3, 4, 'U', 9}[:1+r.IntN(10)])
	}
}

func TestJournalRefuses(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	samples := v.samples(2, 4)
	base := Campaign{Job: WithScores(Square{Eps: 0.5}, v), Budget: 100, Seed: 1}
	make := func(t *testing.T) (string, []byte) {
		base := base
		base.Journal = filepath.Join(t.TempDir(), "j")
		if _, err := base.Run(context.Background(), samples); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(base.Journal)
		if err != nil {
			t.Fatal(err)
		}
		return base.Journal, b
	}
	path, whole := make(t)
	for say, change := range map[string]func(c *Campaign, s []Sample) []Sample{
		"seed (1 then, 2 now)":      func(c *Campaign, s []Sample) []Sample { c.Seed = 2; return s },
		"budget (100 then, 90 now)": func(c *Campaign, s []Sample) []Sample { c.Budget = 90; return s },
		"options":                   func(c *Campaign, s []Sample) []Sample { c.Job = WithScores(Square{Eps: 0.6}, v); return s },
		"attack":                    func(c *Campaign, s []Sample) []Sample { c.Job = WithScores(SimBA{}, v); return s },
		"data":                      func(c *Campaign, s []Sample) []Sample { return s[1:] },
		`goal ("untargeted" then`:   func(c *Campaign, s []Sample) []Sample { c.Targeted = true; return s },
	} {
		c := base
		c.Journal = path
		_, err := c.Run(context.Background(), change(&c, samples))
		if err == nil || !strings.Contains(err.Error(), say) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v; want an error that names the file and says %q", err, say)
		}
	}
	for i := len(journalMagic); i < len(whole); i += 97 {
		bad := bytes.Clone(whole)
		bad[i] ^= 0x20
		os.WriteFile(path, bad, 0o644)
		c := base
		c.Journal = path
		var je *JournalError
		_, err := c.Run(context.Background(), samples)
		if err != nil && !errors.As(err, &je) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	os.WriteFile(path, []byte("something else entirely"), 0o644)
	c := base
	c.Journal = path
	if _, err := c.Run(context.Background(), samples); err == nil || !strings.Contains(err.Error(), "no journal") {
		t.Errorf("a foreign file: %v", err)
	}
}

// TestJournalTornAnywhere: whatever is left of a journal, the campaign ends with
// the same table.
func TestJournalTornAnywhere(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	samples := v.samples(2, 3)
	base := Campaign{Job: WithScores(Square{Eps: 0.2}, v), Budget: 40, Seed: 1, Workers: 1}
	base.Journal = filepath.Join(t.TempDir(), "j")
	res, err := base.Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(base.Journal)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n <= len(whole); n += 1 + len(whole)/150 {
		os.WriteFile(base.Journal, whole[:n], 0o644)
		got, err := base.Run(context.Background(), samples)
		if err != nil {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
		if table(got) != table(res) {
			t.Fatalf("cut to %d of %d bytes:\n%swant\n%s", n, len(whole), table(got), table(res))
		}
	}
}

func TestCampaignRefuses(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	job := WithScores(Square{}, v)
	good := v.samples(2, 1)[0]
	bright := Sample{X: good.X.Clone(), Label: 0}
	bright.X.Data()[3] = 255
	for say, c := range map[string]struct {
		job Job
		s   Sample
	}{
		"shape":        {job, Sample{X: tensor.New(5, 5)}},
		"[]":           {job, Sample{}},
		"value 3":      {job, bright},
		"label 4":      {job, Sample{X: good.X, Label: 4}},
		"at least 2":   {WithScores(Square{}, newLinear(1, 1, 1, 5, 5)), good},
		"has no pixel": {WithScores(Square{}, newLinear(1, 4)), good},
	} {
		if _, err := (&Campaign{Job: c.job}).Run(context.Background(), []Sample{c.s}); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v; want an error that says %q", err, say)
		}
	}
}

func TestSkippedSamplesAreCountedAsSuch(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	samples := v.samples(2, 5)
	samples[2].Label = (samples[2].Label + 1) % 4
	res, err := (&Campaign{Job: WithScores(Square{Eps: 3}, v), Budget: 500}).Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	r := res.Records[2]
	if !r.Skipped() || r.Queries != 0 || r.Clean != 1 {
		t.Errorf("record %+v, want it skipped after one clean query", r)
	}
	if s := res.Summary(); s.Samples != 4 || s.Skipped != 1 {
		t.Errorf("summary counts %d samples and %d skipped", s.Samples, s.Skipped)
	}
}

func TestCancelReturnsWhatIsDone(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	ctx, cancel := context.WithCancel(context.Background())
	c := Campaign{Job: WithScores(Square{Eps: 0.01}, v), Budget: 100, Workers: 2,
		Progress: func(done, total int, r *Record) {
			if done == 3 {
				cancel()
			}
		}}
	res, err := c.Run(ctx, v.samples(2, 20))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	done := 0
	for _, r := range res.Records {
		if r.Stop != "" {
			done++
		}
	}
	if done < 3 || done > 5 {
		t.Errorf("%d samples are done", done)
	}
}

// TestJournalThatCannotBeWritten: after the first failure nothing is written, so that
// what stands in the file stays in order, and every later call fails alike.
func TestJournalThatCannotBeWritten(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	path := filepath.Join(t.TempDir(), "j")
	var j *Journal
	bad := zoo.ScorerFunc(v.info, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		if v.count.Load() == 9 {
			j.f.Close() // as a disk that is full refuses any more
		}
		return v.Scores(ctx, x, out)
	})
	c := Campaign{Job: WithScores(Square{Eps: 0.01}, bad), Budget: 100}
	samples := v.samples(2, 1)
	p, err := c.Plan(samples)
	if err != nil {
		t.Fatal(err)
	}
	if j, err = OpenJournal(path, p, false); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(context.Background(), 0, j.Log(0)); err == nil || !strings.Contains(err.Error(), "journal") {
		t.Fatalf("error %v", err)
	}
	if n := v.count.Load(); n != 10 {
		t.Errorf("the victim was asked %d times, want 10: the tenth answer could not be kept", n)
	}
	if err := j.Log(0).Append(context.Background(), Entry{Kind: EntryIntent, Call: 99, N: 1}); err == nil {
		t.Error("a write after the failure")
	}
}

func FuzzJournal(f *testing.F) {
	v := newLinear(1, 3, 1, 3, 3)
	path := filepath.Join(f.TempDir(), "j")
	c := Campaign{Job: WithScores(Square{Eps: 0.1}, v), Budget: 5, Workers: 1, Journal: path}
	if _, err := c.Run(context.Background(), v.samples(2, 2)); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		j := newJournal("", nil, false)
		end, err := j.read(bytes.NewReader(b), int64(len(b)), func([]byte) error { return nil })
		if err == nil && (end < 0 || end > int64(len(b))) {
			t.Fatalf("ends at %d of %d", end, len(b))
		}
		for _, entries := range j.logs {
			readLog(entries)
		}
	})
}

// TestPanicsReachTheCaller: a panic under way on any worker ends the campaign and
// comes out of Run, with calls gathered too.
func TestPanicsReachTheCaller(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	for _, gather := range []int{0, 50} {
		var calls atomic.Int64
		bad := zoo.ScorerFunc(v.info, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
			if calls.Add(1) == 20 {
				tensor.Panic("victim", "boom")
			}
			return v.Scores(ctx, x, out)
		})
		c := Campaign{Job: WithScores(Square{Eps: 0.01}, bad), Budget: 100, Workers: 4, Gather: gather}
		err := tensor.Try(func() error { _, err := c.Run(context.Background(), v.samples(2, 20)); return err })
		if err == nil || !strings.Contains(err.Error(), "boom") {
			t.Errorf("gather %d: %v", gather, err)
		}
		c = Campaign{Job: WithScores(Square{Eps: 0.01}, v), Budget: 10, Workers: 4, Gather: gather,
			Progress: func(int, int, *Record) { tensor.Panic("progress", "boom") }}
		err = tensor.Try(func() error { _, err := c.Run(context.Background(), v.samples(2, 20)); return err })
		if err == nil || !strings.Contains(err.Error(), "boom") {
			t.Errorf("gather %d, progress: %v", gather, err)
		}
	}
}

// TestCallsKeepToTheVictimsBatch: no call is larger than the victim says it takes.
func TestCallsKeepToTheVictimsBatch(t *testing.T) {
	v := newLinear(1, 3, 1, 6, 6)
	v.info.Batch = 3
	spy := zoo.ScorerFunc(v.info, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		if x.Dim(0) > 3 {
			return fmt.Errorf("a call of %d samples", x.Dim(0))
		}
		return v.Scores(ctx, x, out)
	})
	samples := v.samples(2, 3)
	l := zoo.LabelsOf(spy)
	for _, job := range []Job{
		WithScores(ZOO{Iterations: 3}, spy), WithScores(AutoZOOM{Iterations: 5, Directions: 9}, spy), WithScores(NES{}, spy),
		WithLabels(HopSkipJump{}, l), WithLabels(Boundary{}, l), WithLabels(SignOpt{}, l),
	} {
		for _, gather := range []int{0, 100} {
			if _, err := (&Campaign{Job: job, Budget: 500, Gather: gather}).Run(context.Background(), samples); err != nil {
				t.Errorf("%s, gather %d: %v", job.About().Name, gather, err)
			}
		}
	}
}

// TestUnfinishedSamplesDoNotCount: a summary of a campaign that was stopped is of
// what it finished.
func TestUnfinishedSamplesDoNotCount(t *testing.T) {
	won := Record{Stop: StopSuccess, Success: true, First: Point{Queries: 7}}
	s := Summarize(About{Name: "a", Norm: L2}, "untargeted", 100, []Record{won, {}, {Stop: StopBudget}, {}, {Stop: StopSkipped}})
	if s.Samples != 2 || s.Skipped != 1 || s.SuccessRate != 0.5 || s.QueriesMeanAll != (7+100)/2. {
		t.Errorf("%+v", s)
	}
	s = Summarize(About{}, "untargeted", 100, []Record{won, {Stop: StopBudget}, {Stop: StopBudget}})
	if s.QueriesMedian != 7 || s.QueriesMedianAll != 100 {
		t.Errorf("the median is %v over successes and %v over all, want 7 and 100", s.QueriesMedian, s.QueriesMedianAll)
	}
}

// TestDamagedLengthIsNoTornEnd: a length that no frame can have does not end the
// journal as a kill would, with the loss of all that follows.
func TestDamagedLengthIsNoTornEnd(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	c := Campaign{Job: WithScores(Square{Eps: 0.2}, v), Budget: 20, Workers: 1, Journal: filepath.Join(t.TempDir(), "j")}
	samples := v.samples(2, 2)
	if _, err := c.Run(context.Background(), samples); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(c.Journal)
	if err != nil {
		t.Fatal(err)
	}
	second := len(journalMagic) + frameHead + int(binary.LittleEndian.Uint32(whole[len(journalMagic):]))
	for _, at := range []int{len(journalMagic) + 3, second + 3, second + 2} { // beyond any frame, and beyond this file
		bad := bytes.Clone(whole)
		bad[at] ^= 0x40
		os.WriteFile(c.Journal, bad, 0o644)
		var je *JournalError
		if _, err := c.Run(context.Background(), samples); !errors.As(err, &je) {
			t.Errorf("byte %d: error %v, want one that says the journal is damaged", at, err)
		}
		if left, _ := os.ReadFile(c.Journal); !bytes.Equal(left, bad) {
			t.Errorf("byte %d: the damaged journal was changed", at)
		}
	}
}

// TestVerifiedIn8Bits: a success that lives in less than 8 bits is verified as it is
// and not as it is rounded.
func TestVerifiedIn8Bits(t *testing.T) {
	info := zoo.Info{Name: "fine", Shape: []int{1, 1, 1}, Classes: 2}
	v := zoo.ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		for i, p := range x.Data() {
			out[2*i], out[2*i+1] = 0, -1
			if k := float64(p) * 255; k-float64(int(k+0.5)) > 1e-3 || float64(int(k+0.5))-k > 1e-3 {
				out[2*i+1] = 1
			}
		}
		return nil
	})
	x := tensor.New(1, 1, 1)
	x.Fill(51. / 255)
	res, err := (&Campaign{Job: WithScores(SimBA{Eps: 0.1002}, v), Budget: 10}).Run(context.Background(), []Sample{{X: x}})
	if err != nil {
		t.Fatal(err)
	}
	if r := res.Records[0]; !r.Success || !r.Verified || r.Rounded || r.Verify != 2 {
		t.Errorf("%+v; want a success that is verified, but not in 8 bits", r)
	}
}

// TestResendOfJoinedCalls: each of the calls that were joined learns which of its own
// samples are sent again.
func TestResendOfJoinedCalls(t *testing.T) {
	got := ""
	var batch []*waiter[int]
	for i, n := range []int{2, 3, 1} {
		ctx := zoo.WithResend(context.Background(), func(lo, hi int) error {
			got += fmt.Sprintf("call %d: %d-%d ", i, lo, hi)
			return nil
		})
		batch = append(batch, &waiter[int]{ctx: ctx, x: tensor.New(n, 1)})
	}
	for _, c := range []struct {
		lo, hi int
		want   string
	}{
		{0, 6, "call 0: 0-2 call 1: 0-3 call 2: 0-1 "},
		{1, 4, "call 0: 1-2 call 1: 0-2 "},
		{2, 5, "call 1: 0-3 "},
		{5, 6, "call 2: 0-1 "},
	} {
		if got = ""; resend(batch, c.lo, c.hi) != nil || got != c.want {
			t.Errorf("samples %d to %d: %q, want %q", c.lo, c.hi, got, c.want)
		}
	}
}
