package attack

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// journalVersion changes whenever an attack would ask other queries than before
// under the same options, and whenever the fingerprint takes in more.
const journalVersion = "5"

// DefaultBudget is the queries an attack may spend on a sample unless told
// otherwise.
const DefaultBudget = 10000

// A Sample is an image or a clip to be attacked, with its true class.
type Sample struct {
	Name  string         // optional; the sample's randomness follows from it, or from the index
	X     *tensor.Tensor // [C, H, W] or [T, C, H, W] in [0,1]
	Label int
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

	// Gather joins the calls of samples under way into calls of up to so many
	// queries; 0 joins none. A joined call has no request id (zoo.WithRequestID), so
	// that a server cannot tell one that comes again after a kill.
	Gather int

	// Journal is a file to write and, if it exists, to resume from; "" means none.
	// Queries answered in it are not asked again, and it is an error if it was written
	// under other options, samples, victim (zoo.Info and its Digest), networks or
	// starts of the attack, kernels or version. Of an attack with gradients it holds
	// the finished samples and the queries that are for labels only: a sample that was
	// under way is attacked anew. While a run has it open, any other is refused it (but
	// on systems without such locks: js, wasip1, plan9, aix, solaris).
	Journal string
	Fsync   bool // after every frame of the journal, and of its directory when it is made

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
	// Intents are the queries announced in the journal over all its runs, none for
	// gradients. Answers of them were answered; the rest were under way in a kill or
	// are what a bad line made send again (zoo.WithResend): they may have been charged
	// twice by the victim, and are not charged to the attack's budget.
	Intents int `json:"intents"`
	Answers int `json:"answers"`
	Resumed int `json:"resumed"` // how often the campaign was taken up again
}

// Summary is the result as a row of a table.
func (r *Result) Summary() Summary {
	return Summarize(About{Name: r.Attack, Norm: r.Norm}, r.Goal, r.Budget, r.Records)
}

// Run attacks the samples. On an error, or when ctx ends, it returns what is
// finished beside the error: records of samples not finished have Stop "".
// A sample that the victim gets wrong is skipped. A panic of the victim or of the
// attack reaches the caller.
func (c *Campaign) Run(ctx context.Context, samples []Sample) (*Result, error) {
	job := &c.Job
	if err := job.info.Check(); err != nil {
		return nil, err
	}
	budget := c.Budget
	if budget == 0 {
		budget = DefaultBudget
	}
	res := &Result{Attack: job.about.Name, Norm: job.about.Norm, Options: job.options, Goal: c.goalName(),
		Budget: budget, Seed: c.Seed, Victim: job.info.Name, Records: make([]Record, len(samples))}
	goals := make([]zoo.Goal, len(samples))
	for i, s := range samples {
		var err error
		if goals[i], err = c.check(i, s); err != nil {
			return nil, err
		}
	}
	run := &campaignRun{c: c, samples: samples, goals: goals, budget: budget, res: res}
	if err := run.open(); err != nil {
		return nil, err
	}
	if run.journal != nil {
		defer run.journal.close() // if the victim panics; else it is closed below
	}
	err := run.all(ctx)
	if j := run.journal; j != nil {
		res.Intents, res.Answers, res.Resumed = j.intents, j.answers, j.resumed
		err = errors.Join(err, j.close())
	}
	return res, err
}

func (c *Campaign) goalName() string {
	if c.Targeted {
		return "targeted"
	}
	return "untargeted"
}

// check verifies a sample and makes its goal.
func (c *Campaign) check(i int, s Sample) (zoo.Goal, error) {
	info := c.Job.info
	if s.X == nil || !slices.Equal(s.X.Shape(), info.Shape) {
		var shape []int
		if s.X != nil {
			shape = s.X.Shape()
		}
		return zoo.Goal{}, fmt.Errorf("attack: sample %d %s has shape %v; victim %q takes %v", i, s.Name, shape, info.Name, info.Shape)
	}
	for p, v := range s.X.Data() {
		if !(v >= 0 && v <= 1) {
			return zoo.Goal{}, fmt.Errorf("attack: sample %d %s: value %d is %g; pixels lie in [0,1] (what the victim wants beyond that is its adapter's to do)", i, s.Name, p, v)
		}
	}
	g := zoo.Untargeted(s.Label)
	if c.Targeted {
		target := c.Target
		if target == nil {
			target = zoo.NextClass
		}
		g = zoo.Targeted(s.Label, target(s.Label, info.Classes))
	}
	if err := g.Check(info.Classes); err != nil {
		return g, fmt.Errorf("attack: sample %d %s: %w", i, s.Name, err)
	}
	return g, nil
}

// campaignRun is one call of Campaign.Run.
type campaignRun struct {
	c       *Campaign
	samples []Sample
	goals   []zoo.Goal
	budget  int
	res     *Result
	journal *journal
	print   string
	scores  *gather[float64]
	labels  *gather[int]
}

// open makes the journal and the gathering of calls, as asked.
func (r *campaignRun) open() error {
	c := r.c
	if c.Gather > 1 {
		most := c.Gather
		if b := c.Job.info.Batch; b > 0 {
			most = min(most, b)
		}
		r.scores, r.labels = c.Job.gathers(most)
	}
	if c.Journal == "" {
		return nil
	}
	victim := c.Job.info
	victim.Digest = ""
	p := fingerprint{
		Attack: c.Job.about.Name, Options: c.Job.options, Goal: c.goalName(), Budget: r.budget, Seed: c.Seed,
		Data: digestSamples(r.samples, r.goals), Victim: fmt.Sprintf("%+v", victim), Digest: c.Job.info.Digest,
		Start:  digestStarts(c.Job.start, r.goals),
		Kernel: kernel.Active().Name, Arch: runtime.GOARCH, Go: runtime.Version(), Version: journalVersion,
	}
	if n := c.Job.network; n != nil {
		p.Network = nn.Digest(n)
	}
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("attack: journal: %w", err)
	}
	sum := sha256.Sum256(b)
	r.print = hex.EncodeToString(sum[:8])
	r.journal, err = openJournal(c.Journal, p, c.Fsync)
	return err
}

func digestSamples(samples []Sample, goals []zoo.Goal) string {
	h := sha256.New()
	var b []byte
	for i, s := range samples {
		b = append(b[:0], s.Name...)
		b = append(b, 0)
		b = append(b, goals[i].String()...)
		h.Write(appendFloats(b, s.X.Data()))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// digestStarts is a digest of the images that an attack begins from.
func digestStarts(start Start, goals []zoo.Goal) string {
	if start == nil {
		return ""
	}
	h := sha256.New()
	var b []byte
	seen := map[zoo.Goal]bool{}
	for _, g := range goals {
		if seen[g] {
			continue
		}
		seen[g] = true
		b = append(b[:0], g.String()...)
		if x := start(g); x != nil {
			b = appendFloats(b, x.Data())
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func appendFloats(b []byte, x []float32) []byte {
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// all runs the samples on the campaign's workers.
func (r *campaignRun) all(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers := r.c.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	var progress sync.Mutex // guards done, too
	done := 0
	var failed atomic.Pointer[any]
	for range min(workers, len(r.samples)) {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					failed.CompareAndSwap(nil, &p)
					cancel(errPanic)
				}
			}()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(r.samples) {
					return
				}
				rec, err := r.one(ctx, i)
				if err != nil {
					cancel(err)
					return
				}
				r.res.Records[i] = *rec
				func() {
					progress.Lock()
					defer progress.Unlock() // also if Progress panics
					done++
					if r.c.Progress != nil {
						r.c.Progress(done, len(r.samples), rec)
					}
				}()
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

// one attacks sample i, or takes its record from the journal.
func (r *campaignRun) one(ctx context.Context, i int) (*Record, error) {
	q := &line{sample: i, journal: r.journal, print: r.print, scores: r.scores, labels: r.labels}
	if r.journal != nil {
		if rec := r.journal.done[uint32(i)]; rec != nil {
			return rec, nil
		}
		q.replay = r.journal.calls[uint32(i)]
	}
	rec, err := r.c.Job.attack(ctx, q, r.samples[i], r.goals[i], r.budget, sampleSeed(r.c.Seed, r.samples[i].Name, i))
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("sample %d %s: %w", i, r.samples[i].Name, err)
	}
	rec.Index = i
	if r.journal != nil {
		if err := r.journal.finish(i, rec); err != nil {
			return nil, err
		}
	}
	return rec, nil
}

// sampleSeed follows from the campaign's seed and the sample's name, or its
// index if it has none.
func sampleSeed(seed uint64, name string, index int) uint64 {
	h := fnv.New64a()
	if name == "" {
		name = fmt.Sprint("#", index)
	}
	fmt.Fprintf(h, "%d/%s", seed, name)
	return h.Sum64()
}

// Attack is the unit of a campaign: it attacks one sample, and shares no state
// with other samples. A sample that the victim gets wrong is skipped.
func (j *Job) Attack(ctx context.Context, s Sample, goal zoo.Goal, budget int, seed uint64) (*Record, error) {
	return j.attack(ctx, nil, s, goal, budget, seed)
}

func (j *Job) attack(ctx context.Context, q *line, s Sample, goal zoo.Goal, budget int, seed uint64) (*Record, error) {
	start := time.Now()
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
	t := &Try{Clean: s.X, Goal: goal, Seed: seed, norm: j.about.Norm, ledger: ledger}
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
		rec.Answer, rec.Adversarial = t.label, t.best
		if err := j.verify(ctx, ledger, q, t, rec); err != nil {
			return nil, err
		}
	}
	rec.Verify = ledger.Used(zoo.VerifyAccount)
	rec.Seconds = time.Since(start).Seconds()
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
func (j *Job) verify(ctx context.Context, l *zoo.Ledger, q *line, t *Try, rec *Record) error {
	x := tensor.FromSlice(slices.Clone(t.best), t.Clean.Shape()...)
	label, err := j.label(ctx, l, zoo.VerifyAccount, q, x)
	if err != nil {
		return err
	}
	rec.Verified = t.Goal.Achieved(label)
	label, err = j.label(ctx, l, zoo.VerifyAccount, q, x.Round8())
	rec.Rounded = t.Goal.Achieved(label)
	return err
}
