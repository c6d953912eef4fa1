package fleet

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestWindow: calls that wait as they are told, take any time on their way and are killed
// by lot never fill a second at the victim beyond the limit. Time is made up.
func TestWindow(t *testing.T) {
	seed := rand.Uint64() >> 32
	t.Logf("seed %d", seed)
	for run := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, run))
		limit := []float64{0.4, 1, 3, 50, 100.5}[run%5]
		var w Window
		type arrival struct {
			at int64
			n  int
		}
		var came []arrival
		pending := map[string]int64{} // answered at
		horizon := int64(5 * time.Second)
		now, id := int64(1e18), 0
		const unsure = int64(30 * time.Millisecond)
		for range 400 {
			now += r.Int64N(int64(40 * time.Millisecond))
			lo, hi := now-r.Int64N(unsure), now+r.Int64N(unsure)
			released := map[string]int64{}
			for k, at := range pending {
				if at <= now {
					released[k] = at + r.Int64N(unsure)
					delete(pending, k)
				}
			}
			w.release(released, limit)
			id++
			name := string(rune(id))
			n := 1 + r.IntN(perSpan(limit))
			if wait := w.admit(name, n, limit, lo, hi, horizon+int64(span(limit))); wait > 0 {
				if r.IntN(3) > 0 {
					now += min(int64(wait), int64(50*time.Millisecond))
				}
				continue
			}
			if w.admit(name, n, limit, lo, hi, horizon) != 0 {
				t.Fatal("a call that was admitted is not when its acknowledgement was lost")
			}
			takes := r.Int64N(int64(300 * time.Millisecond))
			if r.IntN(20) == 0 { // killed: it may arrive late, and nobody tells
				came = append(came, arrival{now + r.Int64N(horizon), n})
				continue
			}
			came = append(came, arrival{now + r.Int64N(takes+1), n})
			pending[name] = now + takes
		}
		slices.SortFunc(came, func(a, b arrival) int { return int(a.at - b.at) })
		for i, a := range came {
			sum := 0
			for _, b := range came[i:] {
				if b.at-a.at < int64(span(limit)) {
					sum += b.n
				}
			}
			if sum > perSpan(limit) {
				t.Fatalf("run %d: %d queries in %v, limit %g per second", run, sum, span(limit), limit)
			}
		}
		if len(came) < 3 {
			t.Errorf("run %d: only %d calls came through", run, len(came))
		}
	}
}

// TestLimiterIsFast: a worker alone comes near the limit.
func TestLimiterIsFast(t *testing.T) {
	m := &Memory{}
	l := newLimiter(m, &storeClock{store: m}, "rate.x", "w", 400, time.Second)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var mu sync.Mutex
	sent := 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				done, err := l.acquire(ctx, 10)
				if err != nil {
					return
				}
				mu.Lock()
				sent += 10
				mu.Unlock()
				done()
			}
		})
	}
	wg.Wait()
	if sent < 400 || sent > 2*400+400 {
		t.Errorf("%d queries in 2 s at a limit of 400 per second", sent)
	}
}

// TestRateChanges: a worker that has joined a campaign takes over the rate that it is
// submitted with anew, and opens nothing again while that is the same.
func TestRateChanges(t *testing.T) {
	ctx := context.Background()
	file, err := ReadFile("examples/digits.json")
	if err != nil {
		t.Fatal(err)
	}
	f := &Fleet{Store: &Memory{}, Objects: &MemoryObjects{}}
	d, c, err := f.prepare(ctx, file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if c.Object, err = f.Objects.Put(ctx, b); err != nil {
		t.Fatal(err)
	}
	w, err := f.NewWorker(WorkOptions{Name: "w"})
	if err != nil {
		t.Fatal(err)
	}
	join := func(rate float64) *joined {
		t.Helper()
		c.Rate = rate
		if err := f.Store.Update(ctx, campaignKey(c.Name), func([]byte) ([]byte, error) { return json.Marshal(c) }); err != nil {
			t.Fatal(err)
		}
		j, err := w.join(ctx, c.Name)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	one := join(5)
	if two := join(7); two != one {
		t.Error("a campaign that was joined a moment ago is joined again")
	}
	one.checked = time.Time{}
	two := join(7)
	if two.c.Rate != 7 {
		t.Errorf("the rate is %g, and 7 was submitted", two.c.Rate)
	}
	two.checked = time.Time{}
	if join(7) != two {
		t.Error("a campaign that is as it was is joined again")
	}
}
