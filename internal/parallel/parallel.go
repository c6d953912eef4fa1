// Package parallel runs numbered parts of a task on a fixed team of workers.
//
// Callers cut work by its size, never by the number of workers, so a result
// does not depend on how many there are. One team serves the process: a call
// that finds it busy (because it is nested, or because another goroutine holds
// it) runs its parts inline.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A Task is work cut into parts that may run in any order, at the same time.
type Task interface {
	// Part does part i.
	Part(i int)
}

var (
	limit atomic.Int64
	team  sync.Mutex
)

// SetWorkers caps the number of goroutines, the caller included, that share
// the work of one Run. Values below 1 restore the default, GOMAXPROCS. It
// returns the previous cap (0 if none was set).
func SetWorkers(n int) int {
	return int(limit.Swap(int64(max(n, 0))))
}

// Workers reports how many goroutines a Run uses at most.
func Workers() int {
	if n := int(limit.Load()); n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}

// Run calls t.Part(i) for every i in [0, parts) and returns when all are done.
// A panic in a part reaches the caller.
func Run(parts int, t Task) {
	n := min(Workers(), parts)
	if n < 2 || !team.TryLock() {
		for i := range parts {
			t.Part(i)
		}
		return
	}
	defer team.Unlock()
	var next atomic.Int64
	var failed atomic.Value
	work := func() {
		defer func() {
			if r := recover(); r != nil {
				failed.CompareAndSwap(nil, &r)
			}
		}()
		for {
			i := int(next.Add(1)) - 1
			if i >= parts {
				return
			}
			t.Part(i)
		}
	}
	var wg sync.WaitGroup
	for range n - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	if r := failed.Load(); r != nil {
		panic(*r.(*any))
	}
}
