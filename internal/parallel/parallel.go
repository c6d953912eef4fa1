// Package parallel runs numbered parts of a task on a fixed team of workers.
//
// Callers cut work by its size, never by the number of workers, so a result
// does not depend on how many there are. One team serves the process: a call
// that finds it busy (because it is nested, or because another goroutine holds
// it) runs its parts inline.
//
// # Cost
//
// The caller is a worker itself, and it never waits for a helper that has not
// begun: a helper joins a run or comes too late for it. Helpers stay alive
// between runs; they look out for the next one for [spinTime] and then park. A
// run that follows another at once therefore costs well under a microsecond, one
// that follows a pause costs the caller a channel send for each helper, and the
// helper arrives when the scheduler has woken its thread (tens of microseconds).
// Nothing is allocated, provided that the task is not: keep task structs in a
// free list.
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

// maxWorkers bounds the team.
const maxWorkers = 256

var limit atomic.Int64

// SetWorkers caps the number of goroutines, the caller included, that share
// the work of one Run. It may exceed GOMAXPROCS. Values below 1 restore the
// default, GOMAXPROCS. It returns the previous cap (0 if none was set).
func SetWorkers(n int) int {
	return int(limit.Swap(int64(max(n, 0))))
}

// Workers reports how many goroutines a Run uses at most.
func Workers() int {
	n := int(limit.Load())
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return min(n, maxWorkers)
}

// team is the state of the one team. Everything but the atomics is written by
// the holder of mu, while no helper is inside a run.
var team struct {
	mu      sync.Mutex
	helpers []*helper
	task    Task
	parts   int64
	next    atomic.Int64 // the first part nobody has taken

	run  run
	done chan struct{} // told when the last helper leaves a run whose caller sleeps

	failed atomic.Pointer[failure]
}

// A failure is what a helper's part panicked with.
type failure struct{ value any }

func init() { team.done = make(chan struct{}, 1) }

// Run calls t.Part(i) for every i in [0, parts) and returns when all are done. If
// a part panics, parts not yet begun are dropped and the panic reaches the
// caller with its original value.
func Run(parts int, t Task) {
	n := min(Workers(), parts)
	if n < 2 || !team.mu.TryLock() {
		for i := range parts {
			t.Part(i)
		}
		return
	}
	team.task, team.parts = t, int64(parts)
	team.next.Store(0)
	team.run.open(n - 1)
	wake(n - 1)
	defer finish()
	takeParts()
}

// takeParts does parts until none is left.
func takeParts() {
	t, parts := team.task, team.parts
	for {
		i := team.next.Add(1) - 1
		if i >= parts {
			return
		}
		t.Part(int(i))
	}
}

// finish ends the caller's run: nobody may join any more, those who did are
// waited for, and a helper's panic is passed on.
func finish() {
	team.next.Store(team.parts)
	if team.run.close() > 0 {
		team.run.wait(team.done)
	}
	failed := team.failed.Swap(nil)
	team.task = nil
	team.mu.Unlock()
	if failed != nil {
		panic(failed.value)
	}
}
