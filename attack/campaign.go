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

// DefaultBudget is the queries an attack may spend on a sample unless told
// otherwise.
const DefaultBudget = 10000

// A Sample is an image or a clip to be attacked, with its true class.
type Sample struct {
	Name  string         // optional; the sample's randomness follows from it, or from the index
	X     *tensor.Tensor // [C, H, W] or [T, C, H, W] in [0,1]
	Label int
	Goal  *zoo.Goal      // what is wanted of this sample, with its Label; nil: what the campaign wants
	Start *tensor.Tensor // an image that achieves the goal, for attacks that begin from one; nil: the campaign's
}

// A Campaign runs a job over many samples. Its results do not depend on the
// number of workers, on the order of the samples, or on whether calls are
// gathered, provided that the victim's answer to a query does not depend on
// what else is in the call.
type Campaign struct {
	Job      Job
	Targeted bool                         // whether to want a certain class
	Target   func(label, classes int) int // which; nil: zoo.NextClass
	Budget   int                          // queries a sample; 0: DefaultBudget
	Seed     uint64
	Workers  int // samples at a time; 0: GOMAXPROCS

	// Start gives an image that achieves a goal, for attacks that begin from one, such as
	// those on labels, to each sample without a Start of its own. Nil, or a nil image,
	// means that they seek one among noise, which hardly ever has a certain class: a
	// targeted attack on labels needs a sample of the wanted class that the victim gets
	// right.
	Start func(goal zoo.Goal) *tensor.Tensor

	// Total is the queries that may be sent to the victim for all samples together: those
	// of the attacks, the clean checks and the verifications, repetitions after a failure
	// on the way, and with a Journal those of earlier runs. 0 means no limit. A call that
	// would exceed it is not sent: the run ends with an error that wraps ErrTotal and with
	// the records that are finished. What is finished is what it would be without the
	// limit; a journal goes on from there with a larger one.
	Total int

	// Gather joins the calls of samples under way into calls of up to so many
	// queries, those for gradients as far as their losses are the same; 0 joins none. A
	// network on this machine is faster so, with as many Workers. A joined call has no request id (zoo.WithRequestID), so
	// that a server cannot tell one that comes again after a kill.
	Gather int

	// Journal is a file to write and, if it exists, to resume from (a [Journal]); ""
	// means none. Queries answered in it are not asked again, and it is an error if it
	// was written under another [Fingerprint]. Of an attack with gradients it holds
	// the finished samples and the queries that are for labels only: a sample that was
	// under way is attacked anew.
	Journal string
	Fsync   bool // after every entry of the journal, and of its directory when it is made

	// Keep is the precision in which records keep adversarial samples: F32, F16 or U8; ""
	// means F32. They are verified as the attack made them.
	Keep tensor.DType
	// Sink, if not nil, is given each record as it is finished, one call at a time; the
	// result's records are then without the adversarial samples, which need memory. An
	// error ends the run.
	Sink func(r *Record) error

	Progress func(done, total int, r *Record) // after each sample, one call at a time; may be nil
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
	// Intents are the queries sent to the victim, those for samples that were not
	// finished, those sent again after a failure on the way (zoo.WithResend) and with a
	// journal those of earlier runs among them. Answers of them were answered; for the
	// rest the victim may have charged although no answer came. They are not charged to
	// the attack's budget.
	Intents int `json:"intents"`
	Answers int `json:"answers"`
	Resumed int `json:"resumed"` // how often the campaign was taken up again
}

// Summary is the result as a row of a table.
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

// Run attacks the samples. On an error, or when ctx ends, it returns what is
// finished beside the error: records of samples not finished have Stop "".
// A sample that the victim gets wrong is skipped. A panic of the victim or of the
// attack reaches the caller.
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

// Attack attacks one sample by itself, and shares no state with other samples. A sample
// that the victim gets wrong is skipped.
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
