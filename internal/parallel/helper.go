package parallel

import (
	"runtime"
	"sync/atomic"
	"time"
)

// spinTime is how long an idle helper looks out for work before it parks, and a
// caller for its last helper before it sleeps. Waking a parked goroutine on
// another thread takes longer than this; runs of one forward pass follow each
// other faster.
const spinTime = 50 * time.Microsecond

// A run is the state of the current Run in one word, from the top: its number
// (31 bits), whether the caller sleeps (1), how many helpers may still join
// (16), how many have joined and not left (16).
type run struct{ word atomic.Uint64 }

const (
	sleeping  = 1 << 32
	numberLow = 33
	oneSeat   = 1 << 16
	seatMask  = 0xffff << 16
	inside    = 0xffff
)

// open begins a new run that seats helpers may join.
func (r *run) open(seats int) {
	number := r.word.Load()>>numberLow + 1
	r.word.Store(number<<numberLow | uint64(seats)*oneSeat)
}

// close lets nobody join any more and returns how many are inside.
func (r *run) close() int {
	return int(r.word.And(^uint64(seatMask)) & inside)
}

// join takes a seat of a run other than the one numbered last, which the caller
// was in before. It returns the number of the run joined.
func (r *run) join(last uint64) (number uint64, ok bool) {
	for {
		w := r.word.Load()
		if w&seatMask == 0 || w>>numberLow == last {
			return last, false
		}
		if r.word.CompareAndSwap(w, w-oneSeat+1) {
			return w >> numberLow, true
		}
	}
}

// leave ends what join began.
func (r *run) leave(done chan<- struct{}) {
	if w := r.word.Add(^uint64(0)); w&inside == 0 && w&sleeping != 0 {
		done <- struct{}{}
	}
}

// wait returns when all who joined the closed run have left.
func (r *run) wait(done <-chan struct{}) {
	empty := func() bool { return r.word.Load()&inside == 0 }
	if runtime.GOMAXPROCS(0) > 1 && spin(empty) {
		return
	}
	if w := r.word.Or(sleeping); w&inside != 0 {
		<-done
	}
}

// A helper is a goroutine of the team.
type helper struct {
	wake   chan struct{}
	parked atomic.Bool
	last   uint64 // the run it was in
}

// wake sees to it that n helpers are awake.
func wake(n int) {
	for len(team.helpers) < n {
		h := &helper{wake: make(chan struct{}, 1)}
		team.helpers = append(team.helpers, h)
		go h.main()
	}
	for _, h := range team.helpers[:n] {
		if h.parked.Load() && h.parked.CompareAndSwap(true, false) {
			h.wake <- struct{}{}
		}
	}
}

func (h *helper) main() {
	// Only runtime.Goexit in a part ends the loop below; the team stays whole.
	defer func() { go h.main() }()
	joined := func() bool {
		number, ok := team.run.join(h.last)
		h.last = number
		return ok
	}
	for {
		for !spinSpared(joined) {
			h.parked.Store(true)
			// A run that opened before the line above has not seen it.
			if joined() {
				if !h.parked.CompareAndSwap(true, false) {
					<-h.wake
				}
				break
			}
			<-h.wake
		}
		h.work()
	}
}

// work does parts of the run it has joined.
func (h *helper) work() {
	whole := false
	defer func() {
		if !whole {
			v := recover()
			if v == nil {
				v = "parallel: a part called runtime.Goexit"
			}
			team.failed.CompareAndSwap(nil, &failure{v})
			team.next.Store(team.parts)
		}
		team.run.leave(team.done)
	}()
	takeParts()
	whole = true
}

// spinners counts the helpers that spin.
var spinners atomic.Int64

// spinSpared spins if that leaves a processor to the caller, and tries just
// once otherwise.
func spinSpared(ready func() bool) bool {
	if ready() {
		return true
	}
	defer spinners.Add(-1)
	return int(spinners.Add(1)) < runtime.GOMAXPROCS(0) && spin(ready)
}

// spin waits until ready returns true, for spinTime at most.
func spin(ready func() bool) bool {
	if ready() {
		return true
	}
	for start := time.Now(); ; {
		for range 16 {
			pause()
			if ready() {
				return true
			}
		}
		if time.Since(start) > spinTime {
			return false
		}
	}
}
