package attack

import (
	"context"
	"sync"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A gather joins the calls of samples attacked at the same time into larger
// ones. A call waits until every sample under way is waiting too, or until most
// queries have come together. T is float64 for scores and int for labels.
type gather[T any] struct {
	most  int // queries of a joined call
	each  int // answers to a query
	shape []int
	call  func(ctx context.Context, x *tensor.Tensor, out []T) error

	mu      sync.Mutex
	active  int // samples under way, less those whose call is with the victim
	waiting []*waiter[T]
	queries int // of those waiting
}

type waiter[T any] struct {
	x    *tensor.Tensor
	out  []T
	done chan error
}

// enter and leave bracket a sample.
func (g *gather[T]) enter() {
	if g != nil {
		g.mu.Lock()
		g.active++
		g.mu.Unlock()
	}
}

func (g *gather[T]) leave(ctx context.Context) {
	if g != nil {
		g.mu.Lock()
		g.active--
		g.flush(ctx)
	}
}

// ask is a sample's call. It returns when the joined call it was part of does.
func (g *gather[T]) ask(ctx context.Context, x *tensor.Tensor, out []T) error {
	w := &waiter[T]{x, out, make(chan error, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, w)
	g.queries += x.Dim(0)
	g.flush(ctx)
	return <-w.done
}

// flush sends what waits, if it is time to. It is called with the lock held and
// gives it up.
func (g *gather[T]) flush(ctx context.Context) {
	if len(g.waiting) == 0 || len(g.waiting) < g.active && g.queries < g.most {
		g.mu.Unlock()
		return
	}
	batch, queries := g.waiting, g.queries
	g.waiting, g.queries = nil, 0
	g.active -= len(batch)
	g.mu.Unlock()
	err := g.send(ctx, batch, queries)
	g.mu.Lock()
	g.active += len(batch)
	g.mu.Unlock()
	for _, w := range batch {
		w.done <- err
	}
}

func (g *gather[T]) send(ctx context.Context, batch []*waiter[T], queries int) error {
	if len(batch) == 1 {
		return g.call(ctx, batch[0].x, batch[0].out)
	}
	ctx = zoo.WithRequestID(ctx, "") // the joined call is none of the calls it joins
	x := tensor.New(append([]int{queries}, g.shape...)...)
	out := make([]T, queries*g.each)
	at := 0
	for _, w := range batch {
		at += copy(x.Data()[at:], w.x.Data())
	}
	if err := g.call(ctx, x, out); err != nil {
		return err
	}
	at = 0
	for _, w := range batch {
		at += copy(w.out, out[at:at+len(w.out)])
	}
	return nil
}
