package fleet_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack/fleet"
)

// busiest is the most queries that arrived in any second.
func busiest(a []arrival) (most int) {
	slices.SortFunc(a, func(x, y arrival) int { return int(x.At - y.At) })
	sum, lo := 0, 0
	for hi := range a {
		sum += a[hi].N
		for a[hi].At-a[lo].At >= int64(time.Second) {
			sum -= a[lo].N
			lo++
		}
		most = max(most, sum)
	}
	return most
}

// TestRate: no second at the victim has more queries than the limit, by the victim's own
// clock, with three workers whose calls carry one query or many and take 20 ms, one of
// which is killed, and whose wall clocks are 5 s fast and 5 s slow.
func TestRate(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not in -short")
	}
	limit, samples := 60, 2
	if long() {
		limit, samples = 100, 12
	}
	v := startVictim(t, victimArgs{Delay: 20 * time.Millisecond})
	file := campaign(t, samples, v.url(), func(f *fleet.File) { f.Rate, f.Budget = float64(limit), 100 })
	s := startServers(t, 1)
	f := submitted(t, s, file)
	dir := t.TempDir()
	begun := time.Now()
	var procs []*process
	var args []workerArgs
	for i, skew := range []time.Duration{-5 * time.Second, 0, 5 * time.Second} {
		args = append(args, workerArgs{URL: s.url, Name: fmt.Sprint("w", i), Journal: filepath.Join(dir, fmt.Sprint(i)), Units: 2, AckWait: 2 * time.Second, Skew: skew})
		procs = append(procs, start(t, fmt.Sprint("worker", i), "worker", args[i]))
	}
	time.Sleep(2500 * time.Millisecond)
	procs[1].kill()
	procs[1] = start(t, "worker1", "worker", args[1])
	finish(t, f, 5*time.Minute)
	took := time.Since(begun).Seconds()
	most := busiest(v.arrivals())
	t.Logf("%d queries in %.1f s, limit %d per second: %.0f %% of it; the busiest second had %d", v.paid(), took, limit, 100*float64(v.paid())/took/float64(limit), most)
	if most > limit {
		t.Errorf("a second with %d queries, limit %d", most, limit)
	}
	if most < limit/3 {
		t.Errorf("the busiest second has %d queries of %d: the workers hardly ask", most, limit)
	}
}
