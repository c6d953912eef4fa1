// Package meter tells how an attack on many images goes on.
package meter

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/cli"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// Every is the time between lines where there is no terminal.
const Every = 30 * time.Second

// A Victim counts the queries that reach it.
type Victim struct {
	zoo.Scorer
	queries atomic.Int64
}

// Count returns the victim with its queries counted.
func Count(v zoo.Scorer) *Victim { return &Victim{Scorer: v} }

// Scores implements zoo.Scorer.
func (v *Victim) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	v.queries.Add(int64(x.Dim(0)))
	return v.Scorer.Scores(ctx, x, out)
}

// White returns the victim with its gradients, counted as queries too. It is not ok if the
// victim has none.
func (v *Victim) White() (w zoo.Differentiable, ok bool) {
	d, ok := v.Scorer.(zoo.Differentiable)
	return white{v, d}, ok
}

type white struct {
	*Victim
	d zoo.Differentiable
}

// Gradients implements zoo.Differentiable.
func (w white) Gradients(ctx context.Context, x *tensor.Tensor, loss zoo.DifferentiableLoss, goals []zoo.Goal, out []float64, grad *tensor.Tensor) error {
	w.queries.Add(int64(x.Dim(0)))
	return w.d.Gradients(ctx, x, loss, goals, out, grad)
}

// Queries is how many were sent so far.
func (v *Victim) Queries() int { return int(v.queries.Load()) }

// A Meter tells how a campaign goes on: on a terminal by a line that is rewritten,
// elsewhere by a line every half minute. Queries that a journal answers do not reach
// the victim, and are not counted.
type Meter struct {
	what           string
	victim         *Victim
	images, budget int
	before         int // queries the victim had been sent
	done, won      atomic.Int64
	began          time.Time
	end, ended     chan struct{}
}

// New begins to tell of an attack on so many images with a budget each. what stands
// before every line.
func New(what string, v *Victim, images, budget int) *Meter {
	m := newMeter(what, v, images, budget)
	out := cli.NewLine(Every)
	go func() {
		defer close(m.ended)
		tick := time.NewTicker(time.Second / 5)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if out.Due() {
					out.Print(m.line(time.Since(m.began), false))
				}
			case <-m.end:
				out.Print(m.line(time.Since(m.began), true))
				out.End()
				return
			}
		}
	}()
	return m
}

func newMeter(what string, v *Victim, images, budget int) *Meter {
	return &Meter{what: what, victim: v, images: images, budget: budget, before: v.Queries(),
		began: time.Now(), end: make(chan struct{}), ended: make(chan struct{})}
}

// Progress is for attack.Campaign.
func (m *Meter) Progress(done, _ int, r *attack.Record) {
	m.done.Store(int64(done))
	if r.Success {
		m.won.Add(1)
	}
}

// Stop prints the last line.
func (m *Meter) Stop() {
	close(m.end)
	<-m.ended
}

// line says where the campaign is after a time, and, unless it has ended, how long the
// rest may take: by the images that are done, or at most by the queries.
func (m *Meter) line(took time.Duration, ended bool) string {
	q, done := m.victim.Queries()-m.before, int(m.done.Load())
	line := fmt.Sprintf("%s: %d of %d images, %d successes, %d queries, %.0f a second, %v",
		m.what, done, m.images, m.won.Load(), q, float64(q)/took.Seconds(), took.Round(time.Second))
	left := func(per, n int) time.Duration {
		return time.Duration(float64(took) / float64(per) * float64(max(n, 0))).Round(time.Second)
	}
	switch {
	case ended:
	case done >= 5:
		line += fmt.Sprintf(", about %v left", left(done, m.images-done))
	case q > 0:
		line += fmt.Sprintf(", at most %v left", left(q, m.images*m.budget-q))
	}
	return line
}
