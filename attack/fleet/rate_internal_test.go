package fleet

import (
	"context"
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
