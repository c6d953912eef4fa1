package attack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// DefaultBudget is the number of queries that an attack may spend per sample by default.
const DefaultBudget = 10000

// A Sample is an image or a clip to be attacked, with its true class.
type Sample struct {
	Name  string         // optional; the sample's randomness follows from it, or from the index
	X     *tensor.Tensor // [C, H, W] or [T, C, H, W] in [0,1]
	Label int
	Goal  *zoo.Goal      // the goal for this sample, with its Label; nil means the campaign's goal
	Start *tensor.Tensor // an image that achieves the goal, for attacks that begin from one; nil means Campaign.Start's
}

// A Campaign runs a job over many samples. Its results do not depend on the number of
// workers, the order of the samples, or the gathering of calls. This holds if the victim's
// answer to a query does not depend on the other queries of the call.
type Campaign struct {
	Job      Job
	Targeted bool                         // the goal is the class that Target gives, not just any wrong class
	Target   func(label, classes int) int // the target of a label; nil means zoo.NextClass
	Budget   int                          // queries per sample; 0 means DefaultBudget
	Seed     uint64
	Workers  int // samples attacked at the same time; 0 means GOMAXPROCS

	// Start returns an image that achieves a goal. Attacks that begin from such an image,
	// such as those on labels, use it for each sample without a Start of its own. If Start
	// is nil, or returns nil, they try random noise. Noise hardly ever has a given class: a
	// targeted attack on labels needs a sample of the target class that the victim
	// classifies correctly.
	Start func(goal zoo.Goal) *tensor.Tensor

	// Total limits the queries sent to the victim for all samples together; 0 means no
	// limit. It counts the queries of attacks, clean checks and verifications, retries
	// after a failure, and with a Journal those of earlier runs. A call that would exceed
	// it is not sent: the run ends with an error that wraps ErrTotal and returns the
	// finished records. They are the same as without the limit. With a journal, a later run
	// with a larger Total goes on from there.
	Total int

	// Gather joins the calls of several samples into calls of up to this many queries; 0
	// joins none. Calls for gradients are joined if their losses are the same. This makes a
	// network on this machine faster; set Workers to the same number. A joined call has no
	// request id (zoo.WithRequestID), so a server cannot recognise it when it is sent again
	// after a kill.
	Gather int

	// Journal is the path of a file to write and, if it exists, to resume from (a
	// [Journal]); "" means none. Queries that it holds the answers of are not sent again.
	// It is an error if the file was written under another [Fingerprint]. For an attack
	// with gradients the journal holds the finished samples and the queries for labels; a
	// sample that was under way is attacked from its beginning.
	Journal string
	Fsync   bool // flush the journal to the disk after every entry

	// Keep is the precision in which records keep adversarial samples: F32, F16 or U8; ""
	// means F32. Verification uses the sample as the attack made it.
	Keep tensor.DType
	// Sink, if not nil, is called with each finished record, one call at a time. The
	// result's records then lack the adversarial samples, to save memory. An error of Sink
	// ends the run.
	Sink func(r *Record) error

	Progress func(done, total int, r *Record) // called called called after each sample, one call at a time; may be nil
}

// A Result is what a campaign found.
type Result struct {
	Attack  string          `json:"attack"`
	Norm    Norm            `json:"norm"`
	Options json.RawMessage `json:"options"`
	Goal    string          `json:"goal"`
	Budget  int             `json:"budget"`
	Seed    uint64          `json:"seed"`
	Victim  string          `json:"victim"`
	Records []Record        `json:"records"` // in the order of the samples
	// Intents is the number of all queries sent to the victim. It includes queries for
	// unfinished samples, retries after a failure (zoo.WithResend) and, with a journal,
	// queries of earlier runs. Answers is the number of those that were answered. The
	// victim may have charged for the others too. Retries do not count against an attack's
	// budget.
	Intents int `json:"intents"`
	Answers int `json:"answers"`
	Resumed int `json:"resumed"` // how often the campaign was resumed
}

// Summary returns the result as a row of a table (Summarize).
func (r *Result) Summary() Summary {
	return Summarize(About{Name: r.Attack, Norm: r.Norm}, r.Goal, r.Budget, r.Records)
}

func (c *Campaign) budget() int {
	if c.Budget == 0 {
		return DefaultBudget
	}
	return c.Budget
}

func (c *Campaign) goalName() string {
	if c.Targeted {
		return "targeted"
	}
	return "untargeted"
}

// check reports what makes the campaign unusable on any samples.
func (c *Campaign) check() error {
	if err := c.Job.Check(); err != nil {
		return err
	}
	switch {
	case c.Budget < 0 || c.Total < 0 || c.Workers < 0 || c.Gather < 0:
		return fmt.Errorf("attack: Campaign.Budget %d, Total %d, Workers %d, Gather %d: none may be negative", c.Budget, c.Total, c.Workers, c.Gather)
	case !slices.Contains([]tensor.DType{"", tensor.F32, tensor.F16, tensor.U8}, c.Keep):
		return fmt.Errorf("attack: Campaign.Keep is %s; adversarial samples are kept as F32, F16 or U8", c.Keep)
	}
	return nil
}

// checkSample verifies the images of a sample.
func (c *Campaign) checkSample(i int, s Sample) error {
	info := c.Job.info
	for _, x := range []struct {
		what string
		x    *tensor.Tensor
	}{{"", s.X}, {"'s start image", s.Start}} {
		if x.x == nil && x.what != "" {
			continue
		}
		if x.x == nil || !slices.Equal(x.x.Shape(), info.Shape) {
			var shape []int
			if x.x != nil {
				shape = x.x.Shape()
			}
			return fmt.Errorf("attack: sample %d %s%s has shape %v; victim %q takes %v", i, s.Name, x.what, shape, info.Name, info.Shape)
		}
		for p, v := range x.x.Data() {
			if !(v >= 0 && v <= 1) {
				return fmt.Errorf("attack: sample %d %s%s: value %d is %g; pixels lie in [0,1] (what the victim wants beyond that is its adapter's to do)", i, s.Name, x.what, p, v)
			}
		}
	}
	return nil
}

// goal is what is wanted of a sample.
func (c *Campaign) goal(i int, s Sample) (zoo.Goal, error) {
	info := c.Job.info
	g := zoo.Untargeted(s.Label)
	switch {
	case s.Goal != nil:
		g = *s.Goal
		if g.Label != s.Label {
			return g, fmt.Errorf("attack: sample %d %s has label %d, and its goal says %d", i, s.Name, s.Label, g.Label)
		}
	case c.Targeted && c.Target != nil:
		g = zoo.Targeted(s.Label, c.Target(s.Label, info.Classes))
	case c.Targeted:
		g = zoo.Targeted(s.Label, zoo.NextClass(s.Label, info.Classes))
	}
	if err := g.Check(info.Classes); err != nil {
		return g, fmt.Errorf("attack: sample %d %s: %w", i, s.Name, err)
	}
	return g, nil
}

// Run attacks the samples. On an error, or when ctx ends, it returns the error and the
// result so far: records of unfinished samples have Stop "". A sample that the victim
// misclassifies is skipped. A panic of the victim or of the attack reaches the caller.
func (c *Campaign) Run(ctx context.Context, samples []Sample) (*Result, error) {
	p, err := c.Plan(samples)
	if err != nil {
		return nil, err
	}
	r := &campaignRun{c: c, plan: p, res: p.result(), till: &till{limit: int64(c.Total)}}
	if c.Journal != "" {
		if r.journal, err = OpenJournal(c.Journal, p, c.Fsync); err != nil {
			return nil, err
		}
		defer r.journal.Close() // if the victim panics; else it is closed below
		sent, answered, resumed := r.journal.Counts()
		r.till.intents.Store(int64(sent))
		r.till.answers.Store(int64(answered))
		r.res.Resumed = resumed
	}
	err = r.all(ctx)
	r.res.Intents, r.res.Answers = int(r.till.intents.Load()), int(r.till.answers.Load())
	if r.journal != nil {
		err = errors.Join(err, r.journal.Close())
	}
	return r.res, err
}

// campaignRun is one call of Campaign.Run.
type campaignRun struct {
	c       *Campaign
	plan    *Plan
	res     *Result
	till    *till
	journal *Journal

	mu   sync.Mutex // of what follows
	done int
}

// all runs the samples on the campaign's workers.
func (r *campaignRun) all(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers := r.c.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	var failed atomic.Pointer[any]
	for range min(workers, len(r.plan.Units)) {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					failed.CompareAndSwap(nil, &p)
					cancel(errPanic)
				}
			}()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(r.plan.Units) {
					return
				}
				if err := r.one(ctx, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if p := failed.Load(); p != nil {
		panic(*p)
	}
	return context.Cause(ctx)
}

// errPanic stops the other workers when one panics.
var errPanic = errors.New("attack: another sample's attack panicked")

// one attacks sample i, or takes its record from the journal, and tells of it.
func (r *campaignRun) one(ctx context.Context, i int) error {
	var log Log
	if r.journal != nil {
		log = r.journal.Log(i)
	}
	u, err := r.plan.run(ctx, i, log, r.till)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock() // also if Progress or Sink panics
	if r.c.Sink != nil {
		if err := r.c.Sink(u.Record); err != nil {
			return fmt.Errorf("attack: the record of sample %d %s: %w", i, u.Record.Name, err)
		}
	}
	r.done++
	r.res.Records[i] = *u.Record
	if r.c.Progress != nil {
		r.c.Progress(r.done, len(r.plan.Units), u.Record)
	}
	if r.c.Sink != nil {
		r.res.Records[i].Adversarial = nil
	}
	return nil
}

// Attack attacks one sample. It shares no state with other samples. A sample that the
// victim misclassifies is skipped. It may spend budget queries; 0 allows none, unlike
// Campaign.Budget.
func (j *Job) Attack(ctx context.Context, s Sample, goal zoo.Goal, budget int, seed uint64) (*Record, error) {
	if err := j.Check(); err != nil {
		return nil, err
	}
	start := time.Now()
	rec, err := j.attackOne(ctx, nil, s, goal, budget, seed, tensor.F32)
	if rec != nil {
		rec.Seconds = time.Since(start).Seconds()
	}
	return rec, err
}

func (j *Job) attackOne(ctx context.Context, q *line, s Sample, goal zoo.Goal, budget int, seed uint64, keep tensor.DType) (*Record, error) {
	ledger := &zoo.Ledger{Budget: budget}
	rec := &Record{Name: s.Name, Label: goal.Label, Target: -1}
	if goal.Targeted {
		rec.Target = goal.Target
	}
	answer, err := j.label(ctx, ledger, zoo.CleanAccount, q, s.X)
	if err != nil {
		return nil, err
	}
	rec.Answer, rec.Clean = answer, ledger.Used(zoo.CleanAccount)
	if answer != goal.Label {
		rec.Stop = StopSkipped
		return rec, nil
	}
	t := &Try{Clean: s.X, Goal: goal, Start: s.Start, Seed: seed, norm: j.about.Norm, ledger: ledger}
	switch err := j.run(ctx, ledger, q, t); {
	case errors.Is(err, zoo.ErrBudget):
		rec.Stop = StopBudget
	case err != nil:
		return nil, err
	case t.stop != "":
		rec.Stop = t.stop
	case t.Success():
		rec.Stop = StopSuccess
	default:
		rec.Stop = StopIterations
	}
	rec.Queries = ledger.Used(zoo.AttackAccount)
	rec.Trace = t.trace
	if n := len(t.trace); n > 0 {
		rec.Success, rec.First, rec.Best = true, t.trace[0], t.trace[n-1]
		rec.Answer, rec.By = t.label, t.by
		x := tensor.FromSlice(t.best, s.X.Shape()...)
		if err := j.verify(ctx, ledger, q, goal, x, rec); err != nil {
			return nil, err
		}
		if rec.Adversarial, err = NewPixels(x, keep); err != nil {
			return nil, err
		}
	}
	rec.Verify = ledger.Used(zoo.VerifyAccount)
	return rec, nil
}

func (j *Job) label(ctx context.Context, l *zoo.Ledger, a zoo.Account, q *line, x *tensor.Tensor) (int, error) {
	var out [1]int
	batch := x.Reshape(append([]int{1}, x.Shape()...)...)
	err := j.labels(ctx, l, a, q, batch, out[:])
	return out[0], err
}

// verify asks the victim again about the best success, as it is and rounded to
// 8 bits.
func (j *Job) verify(ctx context.Context, l *zoo.Ledger, q *line, goal zoo.Goal, x *tensor.Tensor, rec *Record) error {
	label, err := j.label(ctx, l, zoo.VerifyAccount, q, x)
	if err != nil {
		return err
	}
	rec.Verified = goal.Achieved(label)
	label, err = j.label(ctx, l, zoo.VerifyAccount, q, x.Round8())
	rec.Rounded = goal.Achieved(label)
	return err
}
