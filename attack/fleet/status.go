package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/nats-io/nats.go"
)

const workersSubject = "mettle.workers"

// A Status is what there is to say of a campaign.
type Status struct {
	Campaign string   `json:"campaign"`
	Attacks  []string `json:"attacks"`
	Units    int      `json:"units"`
	Done     int      `json:"done"`
	Running  int      `json:"running"` // by the word of the workers
	Waiting  int      `json:"waiting"` // in the queue, those that wait for money among them
	NoMoney  int      `json:"waiting_for_money"`
	Success  int      `json:"success"` // of the units that are done
	Skipped  int      `json:"skipped"`

	Limit    int64   `json:"limit"`    // 0: none
	Paid     int64   `json:"paid"`     // queries that were sent, by units that are done and those that workers report
	Reserved int64   `json:"reserved"` // by units that are not done, beyond what they have sent
	Left     int64   `json:"left"`     // of the limit, neither settled nor reserved; 0 without a limit
	Rate     float64 `json:"rate"`     // queries per second, of the workers
	MaxRate  float64 `json:"max_rate"` // 0: no limit

	ETA      Duration           `json:"eta,omitempty"` // 0: not known
	Stopped  string             `json:"stopped,omitempty"`
	Failures map[string]Failure `json:"failures,omitempty"`
	Workers  []WorkerStatus     `json:"workers"`
}

// A WorkerStatus is what a worker says of itself.
type WorkerStatus struct {
	Name     string            `json:"name"`
	Platform attack.Platform   `json:"platform"`
	Units    int               `json:"units"` // at a time
	Queries  int64             `json:"queries"`
	Answers  int64             `json:"answers"`
	Finished int64             `json:"finished"`
	Rate     float64           `json:"rate"` // queries per second of the units that it is at
	Running  []Running         `json:"running"`
	Refused  map[string]string `json:"refused,omitempty"` // campaigns that it cannot take part in, and why
}

// A Running is a unit that a worker is working on.
type Running struct {
	Campaign string    `json:"campaign"`
	Unit     string    `json:"unit"`
	Attack   string    `json:"attack"`
	Since    time.Time `json:"since"` // by the worker's clock
	Seconds  float64   `json:"seconds"`
	Sent     int64     `json:"sent"`  // queries
	Fresh    int64     `json:"fresh"` // of them since the worker took over

	log *unitLog
}

// rate is how many queries per second the unit has sent since the worker took over.
func (r *Running) rate() float64 { return float64(r.Fresh) / max(r.Seconds, 0.1) }

// Status is what the worker is doing now.
func (w *Worker) Status() WorkerStatus {
	s := WorkerStatus{Name: w.o.Name, Platform: attack.ThisPlatform(), Units: w.o.Units,
		Queries: w.count.queries.Load(), Answers: w.count.answers.Load(), Finished: w.count.units.Load()}
	w.mu.Lock()
	s.Refused = maps.Clone(w.refused)
	for _, r := range w.running {
		one := *r
		one.Seconds = time.Since(r.Since).Seconds()
		s.Running = append(s.Running, one)
	}
	w.mu.Unlock()
	for i := range s.Running {
		r := &s.Running[i]
		r.Sent, r.Fresh = r.log.sent()
		s.Rate += r.rate()
	}
	slices.SortFunc(s.Running, func(a, b Running) int { return cmp.Compare(a.Campaign+a.Unit, b.Campaign+b.Unit) })
	return s
}

// Workers asks the workers of a fleet what they are at, and waits so long for answers.
func (f *Fleet) Workers(wait time.Duration) ([]WorkerStatus, error) {
	inbox := nats.NewInbox()
	sub, err := f.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	defer sub.Unsubscribe()
	if err := f.nc.PublishRequest(workersSubject, inbox, nil); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	var all []WorkerStatus
	for end := time.Now().Add(wait); ; {
		m, err := sub.NextMsg(time.Until(end))
		if err != nil {
			break
		}
		var s WorkerStatus
		if len(m.Data) > 0 && json.Unmarshal(m.Data, &s) == nil {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b WorkerStatus) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Status is what there is to say of a campaign now. It asks the workers, and waits for
// their answers a moment.
func (f *Fleet) Status(ctx context.Context, campaign string) (*Status, error) {
	workers, err := f.Workers(300 * time.Millisecond)
	if err != nil {
		return nil, err
	}
	c, err := readCampaign(ctx, f.Store, campaign)
	if err != nil {
		return nil, err
	}
	m, err := readMoney(ctx, f.Store, campaign)
	if err != nil {
		return nil, err
	}
	now, err := f.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	return makeStatus(c, &m, workers, now), nil
}

func makeStatus(c *Campaign, m *Money, workers []WorkerStatus, now time.Time) *Status {
	s := &Status{Campaign: c.Name, Attacks: c.Attacks, Units: m.Units, Done: m.Done.count(), NoMoney: len(m.Waiting),
		Success: m.Success, Skipped: m.Skipped, Limit: m.Limit, Paid: m.Settled, MaxRate: c.Rate, Stopped: m.Stopped, Failures: m.Failures}
	sent := map[string]int64{} // by units that are under way
	for _, w := range workers {
		mine := w
		mine.Running = nil
		for _, r := range w.Running {
			if r.Campaign != c.Name {
				continue
			}
			mine.Running = append(mine.Running, r)
			if _, open := m.Reserved[r.Unit]; open {
				sent[r.Unit] = max(sent[r.Unit], r.Sent)
			}
			s.Rate += r.rate()
		}
		s.Running += len(mine.Running)
		if len(mine.Running) > 0 || w.Refused[c.Name] != "" || len(w.Running) == 0 {
			s.Workers = append(s.Workers, mine)
		}
	}
	for unit, b := range m.Reserved {
		s.Paid += sent[unit]
		s.Reserved += max(b.N-sent[unit], 0)
	}
	s.Running = min(s.Running, s.Units-s.Done)
	s.Waiting = s.Units - s.Done - s.Running
	if m.Limit > 0 {
		s.Left = m.Limit - m.committed()
	}
	if s.Done > 0 && s.Done < s.Units && s.Running > 0 && s.Stopped == "" {
		elapsed := now.Sub(c.Submitted)
		s.ETA = Duration((elapsed * time.Duration(s.Units-s.Done) / time.Duration(s.Done)).Round(time.Second))
	}
	return s
}

// Write sets the status as a table.
func (s *Status) Write(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("campaign", "%s: %s", s.Campaign, strings.Join(s.Attacks, ", "))
	state := "running"
	switch {
	case s.Stopped != "":
		state = "stopped: " + s.Stopped
	case s.Done == s.Units:
		state = "done"
	case s.Running == 0:
		state = "waiting for workers"
	}
	row("state", "%s", state)
	units := fmt.Sprintf("%d of %d done, %d running, %d waiting", s.Done, s.Units, s.Running, s.Waiting)
	if s.NoMoney > 0 {
		units += fmt.Sprintf(" (%d of them for queries to be left)", s.NoMoney)
	}
	row("units", "%s", units)
	if attacked := s.Done - s.Skipped; attacked > 0 {
		row("success", "%d of %d (%.0f %%), %d skipped", s.Success, attacked, 100*float64(s.Success)/float64(attacked), s.Skipped)
	}
	if s.Limit > 0 {
		row("queries", "%d paid, %d reserved, %d left of %d", s.Paid, s.Reserved, s.Left, s.Limit)
	} else {
		row("queries", "%d paid, no limit", s.Paid)
	}
	rate := fmt.Sprintf("%.1f queries per second", s.Rate)
	if s.MaxRate > 0 {
		rate += fmt.Sprintf(", at most %g", s.MaxRate)
	}
	row("rate", "%s", rate)
	if s.ETA > 0 {
		row("time left", "about %v", time.Duration(s.ETA))
	}
	for _, unit := range slices.Sorted(maps.Keys(s.Failures)) {
		row("failed", "unit %s, %d times: %s", unit, s.Failures[unit].Times, s.Failures[unit].Why)
	}
	for _, w := range s.Workers {
		var at []string
		for _, r := range w.Running {
			at = append(at, fmt.Sprintf("%s %s (%d queries, %.0f s)", r.Unit, r.Attack, r.Sent, r.Seconds))
		}
		doing := strings.Join(at, ", ")
		if why := w.Refused[s.Campaign]; why != "" {
			doing = "cannot take part: " + why
		} else if doing == "" {
			doing = "idle"
		}
		row("worker", "%s: %s", w.Name, doing)
	}
	return t.Flush()
}
