// Package parallel runs the numbered parts of a task on one team of workers.
//
// A caller cuts its work by size, and never by the number of workers, so that a result
// does not depend on that number. One team serves the whole process. [Run] does all parts
// on the calling goroutine when the team is busy: inside another Run, or while another
// goroutine is in one.
//
// # Cost
//
// The caller is a worker itself. It never waits for a helper that has not begun: a helper
// joins a run or comes too late for it. Between runs a helper looks out for the next one
// for 50 microseconds and then parks. A run right after another one costs well under a
// microsecond. A run after a pause costs the caller one channel send per helper, and a
// helper arrives once the scheduler has woken its thread, after tens of microseconds.
//
// Run allocates nothing. A task converted to [Task] must not either: callers keep their
// task structs in a free list.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A Task is work cut into numbered parts. The parts may run in any order, several at
// the same time.
type Task interface {
	// Part does part i.
	Part(i int)
}

// maxWorkers bounds the team.
const maxWorkers = 256

var limit atomic.Int64

// SetWorkers sets the largest number of goroutines per Run, the caller included, and
// returns the previous setting, 0 if there was none. The number may exceed GOMAXPROCS;
// it is limited to 256. A number below 1 restores the default, GOMAXPROCS.
func SetWorkers(n int) int {
	return int(limit.Swap(int64(max(n, 0))))
}

// Workers returns the largest number of goroutines per Run, the caller included.
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

// Run calls t.Part(i) once for every i in [0, parts), and returns when all calls have
// returned. If a part panics, Run drops the parts that have not begun, and panics with
// the same value on the calling goroutine.
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
