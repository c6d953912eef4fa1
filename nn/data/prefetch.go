package data

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/mettleml/mettle/tensor"
)

// A slot is the memory of one batch, used again and again.
type slot struct {
	full  Batch            // for as many samples as a batch has
	rows  []*tensor.Tensor // the entries of full.X
	batch Batch            // full, or the front of it
	first int              // where the batch starts in the order of the epoch
	left  atomic.Int32     // jobs not finished
	ready chan struct{}    // receives when left reaches 0

	mu     sync.Mutex
	failed int // the place in the batch of err, the first that failed
	err    error
	panics any
}

// A job is part of a batch.
type job struct {
	slot   *slot
	lo, hi int // samples of the batch
}

// scratch is what one worker needs for itself.
type scratch struct {
	raw *tensor.Tensor // a sample before the transform
	pcg *rand.PCG
	rng *rand.Rand
}

// A run is the preparation of batches during one loop over them. One goroutine
// fills free slots with jobs, in order; workers do the jobs; the loop takes the
// slots in the same order.
type run struct {
	l    *Loader
	free chan *slot
	next chan *slot
	jobs chan job
	quit chan struct{}
	wg   sync.WaitGroup
}

// start starts a run at the position of the loader.
func (l *Loader) start() *run {
	workers := l.opt.Workers
	if workers == 0 {
		workers = tensor.Workers()
	}
	for len(l.slots) < l.opt.Prefetch+1 {
		l.slots = append(l.slots, l.newSlot())
	}
	for len(l.scratch) < workers {
		pcg := rand.NewPCG(0, 0)
		l.scratch = append(l.scratch, &scratch{tensor.New(l.data.Shape()...), pcg, rand.New(pcg)})
	}
	r := &run{
		l:    l,
		free: make(chan *slot, len(l.slots)),
		next: make(chan *slot, len(l.slots)),
		jobs: make(chan job),
		quit: make(chan struct{}),
	}
	for _, s := range l.slots {
		r.free <- s
	}
	epoch, batch := l.epoch, l.batch
	r.wg.Go(func() { r.feed(batch) })
	for i := range workers {
		r.wg.Go(func() {
			for j := range r.jobs {
				r.do(j, epoch, l.scratch[i])
			}
		})
	}
	return r
}

// stop ends the run and waits for its goroutines.
func (r *run) stop() {
	close(r.quit)
	r.wg.Wait()
}

func (l *Loader) newSlot() *slot {
	n := l.opt.BatchSize
	s := &slot{ready: make(chan struct{}, 1)}
	s.full = Batch{
		X:       tensor.New(append([]int{len(l.views) * n}, l.out...)...),
		Y:       make([]int, n),
		Indices: make([]int, n),
	}
	for i := range len(l.views) * n {
		s.rows = append(s.rows, s.full.X.Index(i))
	}
	return s
}

// feed hands out the batches from number batch to the end of the epoch.
func (r *run) feed(batch int) {
	defer close(r.jobs)
	l := r.l
	for ; batch < l.batches; batch++ {
		var s *slot
		select {
		case s = <-r.free:
		case <-r.quit:
			return
		}
		s.first = batch * l.opt.BatchSize
		n := min(l.opt.BatchSize, l.samples-s.first)
		s.batch = s.full
		if n < l.opt.BatchSize {
			s.batch = Batch{X: s.full.X.Slice(0, len(l.views)*n), Y: s.full.Y[:n], Indices: s.full.Indices[:n]}
		}
		s.err, s.panics = nil, nil
		s.left.Store(int32((n + l.rate - 1) / l.rate))
		select {
		case <-s.ready: // of a run that was left early
		default:
		}
		r.next <- s
		for lo := 0; lo < n; lo += l.rate {
			select {
			case r.jobs <- job{s, lo, min(lo+l.rate, n)}:
			case <-r.quit:
				return
			}
		}
	}
}

// do prepares the samples of a job.
func (r *run) do(j job, epoch int, sc *scratch) {
	s, l := j.slot, r.l
	k := j.lo
	defer func() {
		if p := recover(); p != nil {
			s.fail(k, nil, p)
		}
		if s.left.Add(-1) == 0 {
			s.ready <- struct{}{}
		}
	}()
	n := len(s.batch.Y)
	for ; k < j.hi; k++ {
		at := s.first + k
		i := l.order[at]
		s.batch.Indices[k], s.batch.Y[k] = i, l.data.Label(i)
		repeat := 0
		if l.repeats != nil {
			repeat = int(l.repeats[at])
		}
		for v, t := range l.views {
			row := s.rows[v*n+k]
			seed := mix(l.opt.Seed, uint64(epoch), uint64(i), uint64(repeat), uint64(v))
			if err := l.read(i, v, seed, sc); err != nil {
				s.fail(k, fmt.Errorf("data: sample %d: %w", i, err), nil)
				return
			}
			if t == nil {
				row.CopyFrom(sc.raw)
				continue
			}
			sc.pcg.Seed(seed, mix(seed, 1))
			t.Apply(row, sc.raw, sc.rng)
		}
	}
}

// read makes sc.raw sample i for view v. What is drawn has a stream of its own, so
// that the draws of the transforms do not depend on it.
func (l *Loader) read(i, v int, seed uint64, sc *scratch) error {
	switch {
	case l.random != nil:
		sc.pcg.Seed(seed, mix(seed, 2))
		return l.random.ReadRandom(i, sc.raw, sc.rng)
	case v == 0:
		return l.data.Read(i, sc.raw)
	}
	return nil // as it was for view 0
}

// fail notes what went wrong at place k of the batch. The first place counts,
// so that the error does not depend on the workers.
func (s *slot) fail(k int, err error, p any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.panics == nil || k < s.failed {
		s.failed, s.err, s.panics = k, err, p
	}
}

// receive waits for the next batch.
func (r *run) receive(ctx context.Context) (*slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var s *slot
	select {
	case s = <-r.next:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-s.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.panics != nil {
		panic(s.panics)
	}
	return s, s.err
}

// release lets the slot be used again.
func (r *run) release(s *slot) { r.free <- s }
