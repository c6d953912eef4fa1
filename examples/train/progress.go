package main

import (
	"fmt"
	"os"
	"time"
)

// progress tells how training goes: on a terminal a line that is rewritten, and
// elsewhere a line every so often.
type progress struct {
	total, perEpoch, batch int
	start, last            time.Time
	first, at              int // steps
	loss, right, n         float64
	live                   bool
}

func newProgress(total, perEpoch, batch int) *progress {
	st, err := os.Stdout.Stat()
	live := err == nil && st.Mode()&os.ModeCharDevice != 0
	now := time.Now()
	return &progress{total: total, perEpoch: perEpoch, batch: batch, start: now, last: now, first: -1, live: live}
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
	every := 20 * time.Second
	if p.live {
		every = 200 * time.Millisecond
	}
	if time.Since(p.last) >= every {
		p.print()
	}
}

func (p *progress) print() {
	p.last = time.Now()
	took := time.Since(p.start)
	rate := float64(p.at-p.first) / took.Seconds()
	left := time.Duration(float64(p.total-p.at) / rate * float64(time.Second)).Round(time.Second)
	line := fmt.Sprintf("epoch %d  step %d/%d  loss %.4f  accuracy %.2f %%  %.0f samples/s  %v left",
		(p.at-1)/p.perEpoch+1, p.at, p.total, p.loss/p.n, 100*p.right/p.n, rate*float64(p.batch), left)
	if p.live {
		fmt.Printf("\r\033[K%s", line)
	} else {
		fmt.Println(line)
	}
}

// epoch ends an epoch: its line stays.
func (p *progress) epoch() {
	if p.n > 0 {
		p.print()
	}
	p.end()
	p.loss, p.right, p.n = 0, 0, 0
}

// end leaves the line that is being rewritten.
func (p *progress) end() {
	if p.live {
		fmt.Println()
	}
}
