package fleet_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack/fleet"
)

// TestThroughput compares three workers of a fleet with three independent campaigns, on a
// victim behind the project's server: queries per second with calls of 64 queries, and
// with calls of one, where the two appends of a call show. It is for -long, on a machine
// that does nothing else.
func TestThroughput(t *testing.T) {
	if !long() {
		t.Skip("measures time; with -long only")
	}
	v := startVictim(t, victimArgs{Net4: true})
	for _, c := range []struct {
		name, attack, options string
		budget                int
		least                 float64
	}{
		{"calls of 64", "nes", `{"Queries": 128, "Eps": 0.01}`, 3000, 0.8}, // 128 and 1 by turns
		{"calls of 1", "square", `{"Eps": 0.01}`, 300, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			make := func(first int) *fleet.File {
				text := fmt.Sprintf(`{"name": "test", "victim": {"url": %q, "batch": 128}, "budget": %d, "seed": 3,
					"samples": {"images": "t10k-first-images.idx3.gz", "labels": "t10k-first-labels.idx1.gz", "first": %d, "n": %d},
					"attacks": [{"attack": %q, "options": %s}]}`, v.url(), c.budget, first, 6, c.attack, c.options)
				f, err := fleet.ParseFile([]byte(text), filepath.Join("..", "..", "examples", "internal", "datasets", "digits"))
				if err != nil {
					t.Fatal(err)
				}
				return f
			}
			ctx := context.Background()
			var best [2]float64
			arrived := len(v.arrivals())
			for range 2 {
				// Three independent probes, six samples each.
				before, begun := v.paid(), time.Now()
				var wg sync.WaitGroup
				for i := range 3 {
					file := make(6 * i)
					all, samples, err := file.Local(ctx)
					if err != nil {
						t.Fatal(err)
					}
					wg.Go(func() {
						all[0].Workers = 2
						all[0].Journal, all[0].Fsync = filepath.Join(t.TempDir(), "j"), true
						if _, err := all[0].Run(ctx, samples); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				best[0] = max(best[0], float64(v.paid()-before)/time.Since(begun).Seconds())

				s := startServers(t, 1)
				f, err := fleet.Open(ctx, fleet.OpenOptions{Connection: fleet.Connection{URL: s.url}, Create: true})
				if err != nil {
					t.Fatal(err)
				}
				file := make(0)
				file.Samples.N = 18
				if _, err := f.Submit(ctx, file); err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				before, begun = v.paid(), time.Now()
				for i := range 3 {
					wg.Go(func() {
						err := f.Work(ctx, fleet.WorkOptions{Name: fmt.Sprint("w", i), Units: 2, Journal: filepath.Join(dir, fmt.Sprint(i)),
							Until: f.Over("test")})
						if err != nil {
							t.Error(err)
						}
					})
				}
				for done := false; !done; time.Sleep(5 * time.Millisecond) {
					if done, _, err = f.Finished(ctx, "test"); err != nil {
						t.Fatal(err)
					}
				}
				best[1] = max(best[1], float64(v.paid()-before)/time.Since(begun).Seconds())
				wg.Wait()
				f.Close()
				s.procs[0].kill()
			}
			asked, all := 0, v.arrivals()[arrived:]
			for _, a := range all {
				asked += a.N
			}
			mean := float64(asked) / float64(len(all))
			t.Logf("%s, %.1f queries on average: three probes %.0f queries per second, a fleet of three workers %.0f: %.2f", c.name, mean, best[0], best[1], best[1]/best[0])
			if c.least > 0 && mean < 60 {
				t.Errorf("calls carry %.1f queries, about 64 are wanted", mean)
			}
			if best[1] < c.least*best[0] {
				t.Errorf("the fleet reaches %.2f of three probes, at least %.2f is wanted", best[1]/best[0], c.least)
			}
		})
	}
}

// TestFlatMemory: the server's data, the status and the memory of a worker and a server
// do not grow with the number of calls, each of which is flushed four times: 100,000 with
// -long.
func TestFlatMemory(t *testing.T) {
	calls := 1000
	if long() {
		calls = 100_000
	}
	const units = 20
	ctx := context.Background()
	_, f := embedded(t)
	j, err := fleet.OpenJournal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := fleet.PrepareCalls(ctx, f.Store, units); err != nil {
		t.Fatal(err)
	}
	type size struct{ heap, data, status, seconds float64 }
	measure := func() size {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		begun := time.Now()
		st, err := f.Status(ctx, fleet.CallsName)
		if err != nil {
			t.Fatal(err)
		}
		seconds := time.Since(begun).Seconds()
		var text bytes.Buffer
		if err := st.Write(&text); err != nil {
			t.Fatal(err)
		}
		return size{float64(m.HeapAlloc), float64(fleet.Stored(t, f)), float64(text.Len()), seconds}
	}
	var early, late size
	begun := time.Now()
	for i := range units {
		if err := fleet.RunCalls(ctx, f.Store, j, i, calls/units); err != nil {
			t.Fatal(err)
		}
		if i == units/4-1 { // buffers are as large as they get
			early = measure()
		}
	}
	late = measure()
	t.Logf("%d calls in %v: heap %.0f and then %.0f bytes, the server's data %.0f and %.0f, the status %.0f and %.0f in %.2f and %.2f s",
		calls, time.Since(begun).Round(time.Second), early.heap, late.heap, early.data, late.data, early.status, late.status, early.seconds, late.seconds)
	if late.heap > early.heap+4<<20 || late.data > early.data+units*1000 || late.status > early.status+20 || late.seconds > early.seconds+1 {
		t.Errorf("after %d calls something has grown", calls)
	}
}
