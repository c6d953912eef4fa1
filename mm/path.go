package mm

import "fmt"

// path is the path-integrated estimator of a mean: exact (or a large batch) at
// refreshes, and between them
//
//	a ← a + (1/b) Σ_{i∈S} (s_i(θ_k) − s_i(θ_{k−1})),
//
// with the same indices at both points. On gradients it is the estimator of
// SARAH and SPIDER; on statistics of a surrogate it is SPI-MM's (Proposition 1:
// for a quadratic family the two agree). E[a − exact | past] is the last error
// (a martingale), and with replacement
//
//	E‖e_k‖² ≤ E‖e_k0‖² + (L²/b) Σ E‖Δ_j‖²    (Proposition 3, derived here),
//
// times (n−b)/(n−1) without.
type path struct {
	r       *run
	oracle  *oracle
	prev    []float64
	b, big  int // batch, refresh batch
	period  int // iterations between refreshes; zero leaves it to the coin
	prob    float64
	without bool
	since   int // iterations since the refresh, −1 before the first
	idx     []int
	batch   sampler
	coin    counter
}

// pathOptions are the parameters that the path-integrated methods share.
type pathOptions struct {
	batch, period, refreshBatch int
	prob                        float64
	without                     bool
}

func (o *pathOptions) resolve(n, defBatch, defPeriod int) error {
	var err error
	if o.batch, err = batchSize("Batch", o.batch, defBatch, n); err != nil {
		return err
	}
	if o.refreshBatch, err = batchSize("RefreshBatch", o.refreshBatch, n, n); err != nil {
		return err
	}
	if err := checkProb(o.prob); err != nil {
		return err
	}
	switch {
	case o.period < 0:
		return atLeast("Period", o.period, 0)
	case o.prob > 0 && o.period > 0:
		return fmt.Errorf("mm: both Period %d and RefreshProb %g are set", o.period, o.prob)
	case o.period == 0 && o.prob == 0:
		o.period = defPeriod
	}
	return nil
}

func checkProb(p float64) error {
	if p >= 0 && p <= 1 {
		return nil
	}
	return fmt.Errorf("mm: RefreshProb is %g, want a probability, or 0 for the default", p)
}

// ratio is q/b, with q the mean number of iterations between refreshes.
func (o *pathOptions) ratio() float64 {
	if o.prob > 0 {
		return (1 - o.prob) / (o.prob * float64(o.batch))
	}
	return float64(o.period) / float64(o.batch)
}

func newPath(r *run, oracle *oracle, o pathOptions) *path {
	return &path{
		r: r, oracle: oracle, prev: make([]float64, r.p),
		b: o.batch, big: o.refreshBatch, period: o.period, prob: o.prob, without: o.without,
		since: -1, idx: make([]int, 0, o.batch),
		batch: sampler{counter: newCounter(r.set.Seed, streamBatch), n: r.n},
		coin:  newCounter(r.set.Seed, streamCoin),
	}
}

// update moves acc from θ_{k−1} to θ_k = r.x.
func (p *path) update(acc []float64) {
	refresh := p.since < 0 || p.period > 0 && p.since == p.period
	if p.prob > 0 && p.since >= 0 {
		refresh = p.coin.float() < p.prob
	}
	switch {
	case !refresh:
		p.draw(p.b, p.without)
		p.oracle.addDiff(acc, p.idx, p.r.x, p.prev)
		p.since++
	default:
		if p.big == p.r.n {
			p.oracle.mean(acc, p.r.x)
			p.r.refreshed = true
		} else {
			clear(acc)
			p.draw(p.big, false)
			p.oracle.addBatch(acc, p.idx, p.r.x, 1)
		}
		p.r.stats.Refresh++
		p.since = 1
	}
	copy(p.prev, p.r.x)
}

func (p *path) draw(m int, without bool) {
	if cap(p.idx) < m {
		p.idx = make([]int, m)
	}
	p.idx = p.idx[:m]
	p.batch.draw(p.idx, !without)
}
