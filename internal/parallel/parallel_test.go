package parallel

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// count counts how often each part ran.
type count struct{ n []atomic.Int32 }

func (c *count) Part(i int) { c.n[i].Add(1) }

// partFunc makes a Task of a function.
type partFunc func(i int)

func (f partFunc) Part(i int) { f(i) }

func setWorkers(t testing.TB, n int) {
	old := SetWorkers(n)
	t.Cleanup(func() { SetWorkers(old) })
}

func TestRunDoesEveryPartOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 8, 64} {
		setWorkers(t, workers)
		for _, parts := range []int{0, 1, 2, 3, 7, 100, 1000} {
			for rep := range 50 {
				c := &count{make([]atomic.Int32, parts)}
				Run(parts, c)
				for i := range c.n {
					if n := c.n[i].Load(); n != 1 {
						t.Fatalf("%d workers, %d parts, round %d: part %d ran %d times", workers, parts, rep, i, n)
					}
				}
				if rep%10 == 9 { // let the helpers park
					time.Sleep(100 * time.Microsecond)
				}
			}
		}
	}
}

func TestRunUsesTheWorkersAllowed(t *testing.T) {
	for _, workers := range []int{2, 3, 8} {
		setWorkers(t, workers)
		var now, peak atomic.Int64
		Run(50, partFunc(func(int) {
			n := now.Add(1)
			for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
			}
			time.Sleep(2 * time.Millisecond)
			now.Add(-1)
		}))
		if p := int(peak.Load()); p != workers {
			t.Errorf("%d parts ran at the same time on %d workers", p, workers)
		}
	}
}

func TestNestedRunIsInline(t *testing.T) {
	setWorkers(t, 4)
	var n atomic.Int64
	Run(10, partFunc(func(int) {
		Run(10, partFunc(func(int) {
			Run(10, partFunc(func(int) { n.Add(1) }))
		}))
	}))
	if n.Load() != 1000 {
		t.Errorf("%d innermost parts ran, want 1000", n.Load())
	}
}

func TestConcurrentRuns(t *testing.T) {
	setWorkers(t, 3)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				c := &count{make([]atomic.Int32, 20)}
				Run(20, c)
				for i := range c.n {
					if n := c.n[i].Load(); n != 1 {
						t.Errorf("part %d ran %d times", i, n)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestPanicReachesTheCaller(t *testing.T) {
	want := errors.New("what the part panicked with")
	for _, workers := range []int{1, 2, 8} {
		setWorkers(t, workers)
		for bad := range 20 {
			func() {
				defer func() {
					if got := recover(); got != want {
						t.Errorf("%d workers, part %d: recovered %v", workers, bad, got)
					}
				}()
				Run(20, partFunc(func(i int) {
					time.Sleep(20 * time.Microsecond)
					if i == bad {
						panic(want)
					}
				}))
			}()
			c := &count{make([]atomic.Int32, 9)}
			Run(9, c)
			for i := range c.n {
				if n := c.n[i].Load(); n != 1 {
					t.Fatalf("after a panic part %d ran %d times", i, n)
				}
			}
		}
	}
}

// Goexit (testing's FailNow, say) in a helper is reported, and the helper lives on.
func TestGoexitInAPart(t *testing.T) {
	setWorkers(t, 2)
	for range 5 {
		caller := make(chan bool)
		go func() {
			defer close(caller)
			defer func() { recover() }()
			var once atomic.Bool
			Run(2, partFunc(func(int) {
				if once.CompareAndSwap(false, true) {
					time.Sleep(2 * time.Millisecond)
				} else {
					runtime.Goexit()
				}
			}))
		}()
		<-caller
	}
	TestRunUsesTheWorkersAllowed(t)
}

func TestRunDoesNotAllocate(t *testing.T) {
	for _, workers := range []int{1, 2, 8} {
		setWorkers(t, workers)
		c := &count{make([]atomic.Int32, 16)}
		for range 100 {
			Run(16, c)
		}
		const runs, rounds = 1000, 5
		var n uint64
		for range rounds { // the first ones may meet the scheduler's own allocations
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				Run(16, c)
			}
			runtime.ReadMemStats(&after)
			if n = after.Mallocs - before.Mallocs; n < runs/100 {
				break
			}
		}
		if n >= runs/100 {
			t.Errorf("%d workers: %d allocations in %d runs", workers, n, runs)
		}
	}
}

func TestSetWorkers(t *testing.T) {
	setWorkers(t, 5)
	if n := Workers(); n != 5 {
		t.Errorf("Workers() = %d after SetWorkers(5)", n)
	}
	if old := SetWorkers(-1); old != 5 {
		t.Errorf("SetWorkers returned %d, want 5", old)
	}
	if n := Workers(); n != runtime.GOMAXPROCS(0) {
		t.Errorf("Workers() = %d by default, GOMAXPROCS is %d", n, runtime.GOMAXPROCS(0))
	}
}

// work spins for d in every part.
type work struct{ d time.Duration }

func (w work) Part(int) {
	for start := time.Now(); time.Since(start) < w.d; {
	}
}

// BenchmarkRun gives the cost of a run of 16 parts on two workers, by the length
// of a part and the caller's pause between runs; ideal-ns is the time the parts
// alone need.
func BenchmarkRun(b *testing.B) {
	setWorkers(b, 2)
	for _, part := range []time.Duration{0, 2, 20} {
		for _, idle := range []time.Duration{0, 20, 200} {
			b.Run(fmt.Sprintf("part=%dus/idle=%dus", part, idle), func(b *testing.B) {
				w := &work{part * time.Microsecond}
				var spent time.Duration
				for range b.N {
					work{idle * time.Microsecond}.Part(0)
					start := time.Now()
					Run(16, w)
					spent += time.Since(start)
				}
				b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "run-ns")
				b.ReportMetric(float64(8*w.d.Nanoseconds()), "ideal-ns")
			})
		}
	}
}
