package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A Window document keeps the rate at which all workers together send queries to a victim.
// No window of one second at the victim has more than the limit, however long calls are
// on their way: a call counts from before it is sent until one second after its answer
// came, or as long as it may still arrive if none did. So a victim that takes L seconds
// for a call is sent at most limit/(1+L) queries per second. Calls are spaced evenly:
// the next may go as long after the one before it as that one takes at the limit.
//
// All times are the store's. Workers know them to within the duration of a request, and
// take the side that is safe; their own clocks need only run as fast.
type Window struct {
	Next  int64  `json:"next"`  // when the next call may go, in ns
	Calls []Call `json:"calls"` // that still count
}

// A Call is a call to the victim that still counts against the rate.
type Call struct {
	ID    string `json:"id"`
	N     int    `json:"n"`
	Until int64  `json:"until"` // when it ceases to count, in ns since 1970
}

// admit lets a call go at a moment between lo and hi, or says how long to wait at least
// before the next try. A call that goes counts until horizon after hi unless it is
// released.
func (w *Window) admit(id string, n int, limit float64, lo, hi, horizon int64) (wait time.Duration) {
	w.Calls = slices.DeleteFunc(w.Calls, func(c Call) bool { return c.Until <= lo })
	if slices.ContainsFunc(w.Calls, func(c Call) bool { return c.ID == id }) {
		return 0 // an update whose acknowledgement was lost
	}
	if w.Next > lo {
		return time.Duration(w.Next - lo)
	}
	sum := n
	for _, c := range w.Calls {
		sum += c.N
	}
	if sum > perSpan(limit) {
		calls := slices.Clone(w.Calls)
		slices.SortFunc(calls, func(a, b Call) int { return cmp.Compare(a.Until, b.Until) })
		for _, c := range calls {
			if sum -= c.N; sum <= perSpan(limit) {
				return time.Duration(c.Until - lo)
			}
		}
		return time.Second
	}
	w.Next = lo + int64(float64(n)/limit*1e9)
	w.Calls = append(w.Calls, Call{id, n, hi + horizon})
	return 0
}

// release lets calls that were answered at the given times cease to count a second later.
func (w *Window) release(answered map[string]int64, limit float64) {
	for i := range w.Calls {
		if at, ok := answered[w.Calls[i].ID]; ok {
			w.Calls[i].Until = min(w.Calls[i].Until, at+int64(span(limit)))
		}
	}
}

// A limit below one query per second is one query in a longer time.
func perSpan(limit float64) int { return max(int(limit), 1) }
func span(limit float64) time.Duration {
	return time.Duration(float64(time.Second) * max(1, 1/limit))
}

// A limiter is a worker's side of a window.
type limiter struct {
	store   Store
	key     string
	limit   float64 // queries per second
	horizon time.Duration
	clock   *storeClock
	worker  string // begins the names of its calls

	turn chan struct{} // one of the worker's calls is at the document at a time

	mu       sync.Mutex
	calls    int
	answered map[string]int64
	flushing bool
}

func newLimiter(s Store, clock *storeClock, key, worker string, limit float64, horizon time.Duration) *limiter {
	return &limiter{store: s, key: key, limit: limit, horizon: horizon + span(limit), clock: clock, worker: worker,
		turn: make(chan struct{}, 1), answered: map[string]int64{}}
}

// acquire returns when n queries may be sent; done is called when they were answered.
func (l *limiter) acquire(ctx context.Context, n int) (done func(), err error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	l.mu.Lock()
	l.calls++
	id := l.worker + "." + strconv.Itoa(l.calls)
	l.mu.Unlock()
	for {
		lo, hi, err := l.clock.now(ctx)
		if err != nil {
			return nil, err
		}
		var wait time.Duration
		err = l.update(ctx, func(w *Window) { wait = w.admit(id, n, l.limit, lo, hi, int64(l.horizon)) })
		if err != nil {
			return nil, err
		}
		if wait == 0 {
			return func() { l.done(id) }, nil
		}
		// A call that counts until its horizon is usually released long before.
		select {
		case <-time.After(min(wait, 50*time.Millisecond) + jitter(5*time.Millisecond)):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// done notes that a call was answered; the next update tells the document.
func (l *limiter) done(id string) {
	_, hi, err := l.clock.now(context.Background())
	if err != nil {
		return // it counts until its horizon
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered[id] = hi
	if !l.flushing {
		l.flushing = true
		go func() {
			time.Sleep(50 * time.Millisecond)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			l.mu.Lock()
			l.flushing = false
			left := len(l.answered)
			l.mu.Unlock()
			if left > 0 {
				l.update(ctx, func(*Window) {}) // on a failure they count until their horizon
			}
		}()
	}
}

// update changes the window, and tells it of the calls that were answered.
func (l *limiter) update(ctx context.Context, change func(*Window)) error {
	l.mu.Lock()
	told := maps.Clone(l.answered)
	l.mu.Unlock()
	err := l.store.Update(ctx, l.key, func(old []byte) ([]byte, error) {
		var w Window
		if old != nil {
			if err := json.Unmarshal(old, &w); err != nil {
				return nil, fmt.Errorf("fleet: document %s: %w", l.key, err)
			}
		}
		w.release(told, l.limit)
		change(&w)
		b, err := json.Marshal(&w)
		if err == nil && string(b) == string(old) {
			return nil, nil
		}
		return b, err
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	for id := range told {
		delete(l.answered, id)
	}
	l.mu.Unlock()
	return nil
}

// clockNow is this machine's clock; tests set it wrong.
var clockNow = time.Now

// A storeClock knows a store's time from this machine's monotonic clock.
type storeClock struct {
	store Store

	mu     sync.Mutex
	at     time.Time // the store's
	before time.Time // ours when it was asked, and when it had answered
	after  time.Time
}

// now returns bounds of the store's time.
func (c *storeClock) now(ctx context.Context) (lo, hi int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || clockNow().Sub(c.after) > 5*time.Second {
		for try := 0; ; try++ {
			before := clockNow()
			at, err := c.store.Now(ctx)
			if err == nil {
				c.at, c.before, c.after = at, before, clockNow()
				break
			}
			if !transient(err) {
				return 0, 0, err
			}
			if perr := Pause(ctx, try); perr != nil {
				return 0, 0, errors.Join(perr, err)
			}
		}
	}
	// Sub of times with a monotonic reading does not look at the wall clock.
	now := clockNow()
	return c.at.Add(now.Sub(c.after)).UnixNano(), c.at.Add(now.Sub(c.before)).UnixNano(), nil
}

// paced is a victim whose calls a limiter lets go. A call of more samples than may be
// sent in a second goes in parts.
type paced struct {
	zoo.Scorer
	limit *limiter
}

// Scores implements zoo.Scorer.
func (p *paced) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	n, k, size := x.Dim(0), p.Info().Classes, x.Len()/max(x.Dim(0), 1)
	most := perSpan(p.limit.limit)
	for lo := 0; lo < n; lo += most {
		hi := min(lo+most, n)
		part, ctx := x, ctx
		if hi-lo < n {
			part = tensor.FromSlice(x.Data()[lo*size:hi*size], append([]int{hi - lo}, x.Shape()[1:]...)...)
			if id := zoo.RequestID(ctx); id != "" {
				ctx = zoo.WithRequestID(ctx, id+"/part"+strconv.Itoa(lo))
			}
		}
		done, err := p.limit.acquire(ctx, hi-lo)
		if err != nil {
			return err
		}
		outer := ctx
		ctx = zoo.WithResend(ctx, func(a, b int) error {
			if err := zoo.Resend(outer, lo+a, lo+b); err != nil {
				return err
			}
			_, err := p.limit.acquire(outer, b-a) // counts until its horizon: the first may arrive yet
			return err
		})
		if err := p.Scorer.Scores(ctx, part, out[lo*k:hi*k]); err != nil {
			return err
		}
		done()
	}
	return nil
}

// Labels implements zoo.Labeler.
func (p *paced) Labels(ctx context.Context, x *tensor.Tensor, out []int) error {
	return zoo.LabelsOf(p).Labels(ctx, x, out)
}
