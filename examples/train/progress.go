package main

import (
	"fmt"
	"time"

	"github.com/mettleml/mettle/examples/internal/cli"
)

// progress tells how training goes.
type progress struct {
	total, perEpoch, batch int
	start                  time.Time
	first, at              int // steps
	loss, right, n         float64
	line                   *cli.Line
}

func newProgress(total, perEpoch, batch int) *progress {
	return &progress{total: total, perEpoch: perEpoch, batch: batch, start: time.Now(), first: -1, line: cli.NewLine(20 * time.Second)}
}

// step reports that so many steps are done.
func (p *progress) step(done int, loss, right float64) {
	if p.first < 0 {
		p.first = done - 1
	}
	p.at = done
	p.loss += loss
	p.right += right
	p.n++
	if p.line.Due() {
		p.print()
	}
}

func (p *progress) print() {
	took := time.Since(p.start)
	rate := float64(p.at-p.first) / took.Seconds()
	left := time.Duration(float64(p.total-p.at) / rate * float64(time.Second)).Round(time.Second)
	p.line.Print(fmt.Sprintf("epoch %d  step %d/%d  loss %.4f  accuracy %.2f %%  %.0f samples/s  %v left",
		(p.at-1)/p.perEpoch+1, p.at, p.total, p.loss/p.n, 100*p.right/p.n, rate*float64(p.batch), left))
}

// epoch ends an epoch: its line stays.
func (p *progress) epoch() {
	if p.n > 0 {
		p.print()
	}
	p.line.End()
	p.loss, p.right, p.n = 0, 0, 0
}
