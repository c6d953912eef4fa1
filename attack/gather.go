package attack

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"sync"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A gather joins the calls of samples attacked at the same time into larger
// ones: while the victim is busy with one call, those that come wait, and go
// together when it is done. T is float64 for scores, with or without gradients, and int
// for labels.
type gather[T any] struct {
	most  int // queries of a joined call
	each  int // answers to a query
	shape []int
	call  func(ctx context.Context, x *tensor.Tensor, out []T) error
	slope slopeCall[T] // for gradients, in place of call

	mu      sync.Mutex
	busy    bool
	waiting []*waiter[T]
}

// A slopeCall asks for gradients.
type slopeCall[T any] func(ctx context.Context, x *tensor.Tensor, out []T, d *descended) error

// descended is what a call for gradients has more than one for scores.
type descended struct {
	loss  zoo.DifferentiableLoss
	goals []zoo.Goal
	grad  *tensor.Tensor
}

// joins reports whether calls with d and e may go together.
func (d *descended) joins(e *descended) bool {
	if d == nil || e == nil {
		return d == e
	}
	return reflect.ValueOf(d.loss).Comparable() && reflect.ValueOf(e.loss).Comparable() && d.loss == e.loss
}

// A waiter is a call that waits. It is told either that it has been answered, or
// that it is its turn to lead: to send what waits, its own call first.
type waiter[T any] struct {
	ctx  context.Context
	x    *tensor.Tensor
	out  []T
	more *descended // nil but for gradients
	wake chan bool  // true: answered
	err  error
}

// ask is a sample's call. It returns when the joined call it was part of does. more is nil
// but for gradients.
func (g *gather[T]) ask(ctx context.Context, x *tensor.Tensor, out []T, more *descended) error {
	w := &waiter[T]{ctx: ctx, x: x, out: out, more: more, wake: make(chan bool, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, w)
	lead := !g.busy
	g.busy = true
	g.mu.Unlock()
	if !lead && <-w.wake {
		return w.err
	}
	g.settle()
	batch := g.takeTurn()
	err := errLeader
	defer func() { // also if the victim panics
		for _, b := range batch[1:] {
			b.err = err
			b.wake <- true
		}
		g.mu.Lock()
		if len(g.waiting) > 0 {
			g.waiting[0].wake <- false
		} else {
			g.busy = false
		}
		g.mu.Unlock()
	}()
	err = g.send(ctx, batch)
	return err
}

// errLeader is what the calls that a panicking call was joined with are told.
var errLeader = errors.New("attack: the victim panicked in a joined call")

// settle lets the samples that the last call woke come to wait as well, as long as more do:
// they go together then, and not by halves in turns.
func (g *gather[T]) settle() {
	for before := -1; ; {
		g.mu.Lock()
		n := len(g.waiting)
		g.mu.Unlock()
		if n == before || n >= g.most {
			return
		}
		before = n
		runtime.Gosched()
	}
}

// takeTurn takes the calls that go together: those that have waited longest, as
// many as fit and join the first.
func (g *gather[T]) takeTurn() []*waiter[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	var batch, rest []*waiter[T]
	queries := 0
	full := false
	for _, w := range g.waiting {
		switch n := w.x.Dim(0); {
		case full || len(batch) > 0 && !batch[0].more.joins(w.more):
			rest = append(rest, w)
		case len(batch) > 0 && queries+n > g.most:
			full = true
			rest = append(rest, w)
		default:
			queries += n
			batch = append(batch, w)
		}
	}
	g.waiting = rest
	return batch
}

func (g *gather[T]) send(ctx context.Context, batch []*waiter[T]) error {
	if len(batch) == 1 {
		return g.one(ctx, batch[0].x, batch[0].out, batch[0].more)
	}
	queries := 0
	for _, w := range batch {
		queries += w.x.Dim(0)
	}
	ctx = zoo.WithRequestID(ctx, "") // the joined call is none of the calls it joins
	ctx = zoo.WithResend(ctx, func(lo, hi int) error { return resend(batch, lo, hi) })
	x := tensor.New(append([]int{queries}, g.shape...)...)
	out := make([]T, queries*g.each)
	var more *descended
	at := 0
	for _, w := range batch {
		at += copy(x.Data()[at:], w.x.Data())
		if w.more != nil {
			if more == nil {
				more = &descended{loss: w.more.loss, grad: tensor.New(x.Shape()...)}
			}
			more.goals = append(more.goals, w.more.goals...)
		}
	}
	if err := g.one(ctx, x, out, more); err != nil {
		return err
	}
	at = 0
	pixels := 0
	for _, w := range batch {
		at += copy(w.out, out[at:at+len(w.out)])
		if w.more != nil {
			pixels += copy(w.more.grad.Data(), more.grad.Data()[pixels:])
		}
	}
	return nil
}

func (g *gather[T]) one(ctx context.Context, x *tensor.Tensor, out []T, more *descended) error {
	if more != nil {
		return g.slope(ctx, x, out, more)
	}
	return g.call(ctx, x, out)
}

// resend tells the calls that samples lo to hi of the joined call consist of.
func resend[T any](batch []*waiter[T], lo, hi int) error {
	for _, w := range batch {
		n := w.x.Dim(0)
		if lo < n && hi > 0 {
			if err := zoo.Resend(w.ctx, max(lo, 0), min(hi, n)); err != nil {
				return err
			}
		}
		lo, hi = lo-n, hi-n
	}
	return nil
}
