package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/zoo"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// WorkOptions say how a worker works.
type WorkOptions struct {
	Name    string // "": the host's name and the process's number
	Units   int    // at a time; 0: GOMAXPROCS
	Journal string // directory of the local journal; "": none
	// Victim is the address by which this machine reaches victims that have one; "": the
	// campaign's.
	Victim string
	// AckWait is how long a worker may be silent before others take its units over; 0:
	// 30 s. All workers of a fleet should agree.
	AckWait time.Duration
	// Until ends the worker when it returns true; nil: it goes on until ctx ends. It is
	// asked when there is nothing to do. See [Fleet.Over].
	Until func(ctx context.Context) (bool, error)
	// ExitIdle ends the worker when there was nothing to do for so long; 0: never.
	ExitIdle time.Duration
	Log      func(format string, args ...any) // nil: nothing is said
	Random   io.Reader                        // of nonces; nil: crypto/rand
	// Strict ends the worker when it cannot take part in a campaign, rather than leave
	// that to others.
	Strict bool
}

// retries is how often a unit may fail before its campaign is stopped.
const retries = 5

// A Worker takes units from the queue and runs them.
type Worker struct {
	f       *Fleet
	o       WorkOptions
	journal *Journal
	said    *saying
	clock   *storeClock
	count   counters

	joining   sync.Mutex // held while a victim or the store is asked
	campaigns map[string]*joined

	mu      sync.Mutex
	running map[string]*Running
	refused map[string]string // campaigns that this worker cannot take part in, and why
}

// A joined campaign is one that this worker takes part in.
type joined struct {
	c       *Campaign
	d       *description
	victim  zoo.Scorer
	plans   []*attack.Plan
	checked time.Time // when the rate and the victim were last seen to be the same
}

// counters are what a worker has done.
type counters struct {
	queries, answers, appends, units, fenced, failures atomic.Int64
}

// Work runs units from the queue until ctx ends.
func (f *Fleet) Work(ctx context.Context, o WorkOptions) error {
	w, err := f.NewWorker(o)
	if err != nil {
		return err
	}
	defer w.Close()
	return w.Run(ctx)
}

// NewWorker opens a worker's journal and returns the worker, which answers [Fleet.Workers]
// from now on. Run makes it work; Close closes the journal.
func (f *Fleet) NewWorker(o WorkOptions) (*Worker, error) {
	if o.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, err
		}
		o.Name = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	if o.Units <= 0 {
		o.Units = runtime.GOMAXPROCS(0)
	}
	if o.AckWait <= 0 {
		o.AckWait = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	w := &Worker{f: f, o: o, said: newSaying(o.Log), clock: &storeClock{store: f.Store},
		campaigns: map[string]*joined{}, running: map[string]*Running{}, refused: map[string]string{}}
	if o.Journal != "" {
		var err error
		if w.journal, err = OpenJournal(o.Journal); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Close closes the worker's journal.
func (w *Worker) Close() error {
	if w.journal == nil {
		return nil
	}
	return w.journal.Close()
}

// Run works until ctx ends, WorkOptions says that it is over (Until, ExitIdle), or an error
// comes that waiting does not mend.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.verify(ctx); err != nil {
		return err
	}
	sub, err := w.f.nc.Subscribe(workersSubject, w.report)
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	defer sub.Unsubscribe()
	queue, err := w.f.stream.tasks(ctx, attack.ThisPlatform(), w.o.AckWait)
	if err != nil {
		return err
	}
	w.tellOthers(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var idle atomic.Int64 // since when, in ns
	idle.Store(time.Now().UnixNano())
	for range w.o.Units {
		wg.Go(func() {
			queue := queue // each has its own, should it be made anew
			for ctx.Err() == nil {
				t, err := next(ctx, queue, time.Second)
				switch {
				case ctx.Err() != nil:
					return
				case errors.Is(err, ErrRefused):
					cancel(err)
					return
				case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrConsumerDeleted):
					if again, err := w.f.stream.tasks(ctx, attack.ThisPlatform(), w.o.AckWait); err == nil {
						queue = again
					}
				case err != nil && !errors.Is(err, nats.ErrTimeout):
					w.said.say("the queue: %v; trying again", err)
					Pause(ctx, 6)
				}
				if t == nil {
					if w.done(ctx, time.Unix(0, idle.Load()), cancel) {
						return
					}
					continue
				}
				if err := w.task(ctx, t); err != nil {
					cancel(err)
					return
				}
				idle.Store(time.Now().UnixNano())
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, errDone) {
		return err
	}
	return nil
}

// errDone ends a worker that has nothing more to do.
var errDone = errors.New("done")

// done reports whether a worker that has nothing to do is to end.
func (w *Worker) done(ctx context.Context, since time.Time, cancel context.CancelCauseFunc) bool {
	w.mu.Lock()
	busy := len(w.running) > 0
	w.mu.Unlock()
	if w.o.ExitIdle > 0 && !busy && time.Since(since) > w.o.ExitIdle {
		cancel(errDone)
		return true
	}
	if w.o.Until == nil || busy {
		return false
	}
	end, err := w.o.Until(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		cancel(err)
		return true
	case end:
		cancel(errDone)
	}
	return end
}

// verify compares the journal with the store: a log that has lost what this worker was
// told is stored stops its campaign.
func (w *Worker) verify(ctx context.Context) error {
	if w.journal == nil {
		return nil
	}
	var lost error
	there := map[string]bool{} // campaigns that were looked for
	for _, log := range w.journal.logs() {
		campaign, _, _ := strings.Cut(log, ".")
		if _, looked := there[campaign]; !looked {
			_, err := readCampaign(ctx, w.f.Store, campaign)
			if err != nil && ctx.Err() != nil {
				return err
			}
			if there[campaign] = err == nil; err != nil {
				lost = errors.Join(lost, fmt.Errorf("%w; the journal at %s knows of it, and of queries that were paid for: if these are other servers, or it was removed on purpose, remove the journal", err, w.journal.path))
			}
		}
		if !there[campaign] {
			continue
		}
		err := w.verifyLog(ctx, log)
		switch {
		case err != nil && !errors.Is(err, ErrLost):
			return err
		case err != nil:
			lost = errors.Join(lost, err, w.f.Stop(ctx, campaign, err.Error()))
		}
	}
	return lost
}

// verifyLog compares a log with the journal. A server that has fallen behind may not show
// all that is there for some seconds.
func (w *Worker) verifyLog(ctx context.Context, log string) error {
	remembered := w.journal.recall(log)
	var err error
	for end := time.Now().Add(behind); ; {
		frames, rerr := readAll(ctx, w.f.Store, log, 0)
		if rerr != nil {
			return rerr
		}
		if err = remembered.compare(log, frames); err == nil || time.Now().After(end) {
			return err
		}
		if perr := Pause(ctx, 8); perr != nil {
			return perr
		}
	}
}

// tellOthers says which campaigns this worker cannot reproduce, and why.
func (w *Worker) tellOthers(ctx context.Context) {
	names, err := w.f.Campaigns(ctx)
	if err != nil {
		return
	}
	for _, name := range names {
		c, err := readCampaign(ctx, w.f.Store, name)
		if err != nil {
			continue
		}
		m, err := readMoney(ctx, w.f.Store, name)
		if err != nil || m.Done.count() == m.Units {
			continue
		}
		if why := mismatch(c.Platform, attack.ThisPlatform()); why != "" {
			w.refuse(name, why)
		}
	}
}

// refuse notes and says that this worker cannot take part in a campaign.
func (w *Worker) refuse(campaign, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refused[campaign] != why {
		w.refused[campaign] = why
		w.o.Log("campaign %s: this worker cannot take part: %s", campaign, why)
	}
}

// mismatch says why a platform cannot reproduce what another one does, "" if it can.
func mismatch(theirs, ours attack.Platform) string {
	var why []string
	for _, x := range [][3]string{{"architecture", theirs.Arch, ours.Arch}, {"Go version", theirs.Go, ours.Go}, {"version of the attacks", theirs.Version, ours.Version}} {
		if x[1] != x[2] {
			why = append(why, fmt.Sprintf("it was planned with %s %s, and this program has %s", x[0], x[1], x[2]))
		}
	}
	if theirs.Kernel != ours.Kernel {
		why = append(why, fmt.Sprintf("it was planned with kernel set %s, and this process uses %s: set METTLE_KERNEL=%s if this machine has it", theirs.Kernel, ours.Kernel, theirs.Kernel))
	}
	return strings.Join(why, "; ")
}

// task runs a task. It returns an error only if the worker cannot go on.
func (w *Worker) task(ctx context.Context, t *task) error {
	stop := t.keep(w.o.AckWait)
	defer stop()
	j, err := w.join(ctx, t.campaign)
	if err == nil && (t.plan < 0 || t.plan >= len(j.plans) || t.unit < 0 || t.unit >= j.c.Units[t.plan]) {
		err = fmt.Errorf("fleet: campaign %s has no unit %d.%d", t.campaign, t.plan, t.unit)
	}
	if err != nil {
		return w.unfit(ctx, t, err)
	}
	id := j.c.unit(t.plan, t.unit)
	err = w.unit(ctx, j, id)
	var stopped *StoppedError
	switch {
	case err == nil:
		return w.ack(ctx, t)
	case ctx.Err() != nil:
		t.msg.Nak()
		return nil
	case errors.Is(err, ErrFenced):
		w.count.fenced.Add(1)
		w.said.say("unit %s: %v", id.log(), err)
		return nil
	case errors.As(err, &stopped):
		w.said.say("%v", err)
		return w.ack(ctx, t)
	case errors.Is(err, errNoMoney):
		return w.noMoney(ctx, t)
	case errors.Is(err, ErrLost):
		w.o.Log("%v", err)
		if err := w.f.Stop(ctx, t.campaign, err.Error()); err != nil {
			return err
		}
		return w.ack(ctx, t)
	case errors.Is(err, ErrRefused):
		t.msg.Nak()
		return err
	}
	return w.failed(ctx, t, id, err)
}

// ack takes a task off the queue. That it is handed out again does no harm.
func (w *Worker) ack(ctx context.Context, t *task) error {
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := t.msg.DoubleAck(short); err != nil && ctx.Err() == nil {
		w.said.say("the queue: %v", err)
	}
	return nil
}

// noMoney leaves a unit for later, or stops its campaign if there is no money to come.
func (w *Worker) noMoney(ctx context.Context, t *task) error {
	m, err := updateMoney(ctx, w.f.Store, t.campaign, func(m *Money) (bool, error) {
		if m.Stopped == "" && m.Exhausted() {
			m.Stopped = fmt.Sprintf("%s: %d of %d queries are spent, and no unit can go on; submit it again with a larger limit", exhausted, m.committed(), m.Limit)
			return true, nil
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	if m.Stopped != "" {
		w.o.Log("campaign %s is stopped: %s", t.campaign, m.Stopped)
		return w.ack(ctx, t)
	}
	t.msg.NakWithDelay(300*time.Millisecond + jitter(400*time.Millisecond))
	return nil
}

// exhausted begins the reason of a campaign that was stopped for want of money.
const exhausted = "the limit is reached"

// unfit leaves a task to other workers.
func (w *Worker) unfit(ctx context.Context, t *task, err error) error {
	if ctx.Err() != nil {
		t.msg.Nak()
		return nil
	}
	if w.o.Strict || errors.Is(err, ErrRefused) {
		t.msg.Nak()
		return err
	}
	w.refuse(t.campaign, err.Error())
	t.msg.NakWithDelay(2*time.Second + jitter(time.Second))
	return nil
}

// failed notes that a unit failed, and stops the campaign if that happens too often.
func (w *Worker) failed(ctx context.Context, t *task, id unitID, err error) error {
	w.count.failures.Add(1)
	times := 0
	_, merr := updateMoney(ctx, w.f.Store, t.campaign, func(m *Money) (bool, error) {
		if m.Failures == nil {
			m.Failures = map[string]Failure{}
		}
		if times == 0 { // not again after a lost acknowledgement: the unit is this worker's
			times = m.Failures[id.key].Times + 1
		}
		m.Failures[id.key] = Failure{times, err.Error()}
		if times >= retries && m.Stopped == "" {
			m.Stopped = fmt.Sprintf("unit %s failed %d times, the last time: %v", id.key, times, err)
		}
		return true, nil
	})
	if merr != nil {
		return merr
	}
	w.o.Log("unit %s, failure %d of %d: %v", id.log(), times, retries, err)
	if times >= retries {
		return w.ack(ctx, t)
	}
	t.msg.NakWithDelay(time.Second<<times/2 + jitter(time.Second))
	return nil
}

// unit runs a unit until its record is stored and its money settled.
func (w *Worker) unit(ctx context.Context, j *joined, id unitID) error {
	l, done, err := takeOver(ctx, w.f.Store, w.f.Objects, w.journal, w.o.Random, id, w.o.Name)
	if err != nil {
		return err
	}
	if done == nil {
		name := id.log()
		w.mu.Lock()
		w.running[name] = &Running{Campaign: id.campaign, Unit: id.key, Attack: j.c.Attacks[id.plan], Since: time.Now(), log: l}
		w.mu.Unlock()
		u, err := j.plans[id.plan].Run(ctx, id.index, counted{l, &w.count})
		w.mu.Lock()
		delete(w.running, name)
		w.mu.Unlock()
		if err != nil {
			return err
		}
		done = &doneUnit{record: u.Record, seconds: u.Seconds, sent: int(l.spent), answered: int(l.answered)}
	}
	if _, err := updateMoney(ctx, w.f.Store, id.campaign, func(m *Money) (bool, error) { return m.settle(id, done), nil }); err != nil {
		return err
	}
	w.count.units.Add(1)
	// What stands before the record is of no more use. A failure leaves it there.
	if err := w.f.Store.Trim(ctx, id.log(), l.pos); err != nil && ctx.Err() == nil {
		w.said.say("log %s: %v", id.log(), err)
	}
	return nil
}

// counted is a log that adds to a worker's counters.
type counted struct {
	*unitLog
	c *counters
}

func (l counted) Append(ctx context.Context, e attack.Entry) error {
	err := l.unitLog.Append(ctx, e)
	if err != nil {
		return err
	}
	l.c.appends.Add(1)
	l.c.queries.Add(e.Sent())
	l.c.answers.Add(e.Answered())
	return nil
}

// join opens what a campaign needs, and looks from time to time whether its rate and its
// victim are still the same.
func (w *Worker) join(ctx context.Context, name string) (*joined, error) {
	w.joining.Lock()
	defer w.joining.Unlock()
	if j := w.campaigns[name]; j != nil {
		same, err := w.still(ctx, j)
		if same {
			return j, nil
		}
		delete(w.campaigns, name)
		if err != nil {
			return nil, err
		}
	}
	c, d, err := w.f.describe(ctx, name)
	if err != nil {
		return nil, err
	}
	var weights []byte
	if d.Weights != "" {
		if weights, err = w.f.Objects.Get(ctx, d.Weights); err != nil {
			return nil, err
		}
	}
	spec := d.File.Victim
	v, err := spec.open(ctx, weights, w.o.Victim, w.o.Units)
	if err != nil {
		return nil, err
	}
	j := &joined{c: c, d: d, victim: v, checked: time.Now()}
	nets := map[string]nn.Module{}
	for n, object := range d.Networks {
		var b []byte
		if object != "" {
			if b, err = w.f.Objects.Get(ctx, object); err != nil {
				return nil, err
			}
		}
		if nets[n], err = openNetwork(d.File.Networks[n], b); err != nil {
			return nil, err
		}
	}
	asked := v
	if c.Rate > 0 {
		asked = &paced{v, newLimiter(w.f.Store, w.clock, spec.key(d.Weights), w.o.Name, c.Rate, spec.horizon())}
	}
	all, err := d.File.campaigns(asked, nets)
	if err != nil {
		return nil, err
	}
	for p, one := range all {
		plan, err := one.Adopt(d.Plans[p], func(u attack.Unit) (attack.Sample, error) {
			return readSample(ctx, w.f.Objects, d.Samples[u.Index])
		})
		if err != nil {
			return nil, fmt.Errorf("fleet: campaign %s: %w", name, err)
		}
		j.plans = append(j.plans, plan)
	}
	w.campaigns[name] = j
	return j, nil
}

// fresh is how long a worker trusts that a victim and a rate are as they were.
var fresh = 15 * time.Second

// still reports whether a campaign is as it was when it was joined. Another rate is no
// error.
func (w *Worker) still(ctx context.Context, j *joined) (bool, error) {
	if time.Since(j.checked) < fresh {
		return true, nil
	}
	c, err := readCampaign(ctx, w.f.Store, j.c.Name)
	if err != nil || c.Rate != j.c.Rate {
		return false, err
	}
	if spec := j.d.File.Victim; spec.URL != "" {
		v, err := spec.open(ctx, nil, w.o.Victim, w.o.Units)
		if err != nil {
			return false, err
		}
		if got, want := v.Info(), j.victim.Info(); fmt.Sprint(got) != fmt.Sprint(want) {
			return false, fmt.Errorf("fleet: campaign %s: the victim has changed: it was %+v and is %+v", j.c.Name, want, got)
		}
	}
	j.checked = time.Now()
	return true, nil
}

// Finished returns whether a campaign is done, and the reason if it was stopped.
func (f *Fleet) Finished(ctx context.Context, campaign string) (done bool, stopped string, err error) {
	m, err := readMoney(ctx, f.Store, campaign)
	return m.Done.count() == m.Units, m.Stopped, err
}

// Over returns a function for WorkOptions.Until, which reports whether a campaign is done or
// stopped.
func (f *Fleet) Over(campaign string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		done, stopped, err := f.Finished(ctx, campaign)
		return done || stopped != "", err
	}
}

// report answers who asks for workers.
func (w *Worker) report(m *nats.Msg) {
	b, err := json.Marshal(w.Status())
	if err == nil {
		m.Respond(b)
	}
}

// A saying says the same thing once in some seconds.
type saying struct {
	log  func(format string, args ...any)
	mu   sync.Mutex
	last map[string]time.Time // by format
}

func newSaying(log func(format string, args ...any)) *saying {
	return &saying{log: log, last: map[string]time.Time{}}
}

func (s *saying) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.last[format]) < 5*time.Second {
		return
	}
	s.last[format] = time.Now()
	s.log(format, args...)
}
