package mm

import "sync"

// An additive maps a component and a point to a vector of fixed length; what the
// methods need is its mean over all components, over a batch, or the mean of its
// differences between two points. Component gradients are one, the statistics of
// a surrogate family are another.
type additive struct {
	dim   int
	add   func(dst []float64, i int, x []float64, scale float64)
	batch func(dst []float64, idx []int, x []float64, scale float64)
	diff  func(dst []float64, idx []int, a, b []float64, scale float64)
}

func gradients(f FiniteSum) additive {
	a := additive{dim: f.Dim(), add: f.AddGrad}
	if g, ok := f.(BatchGrader); ok {
		a.batch = g.AddBatchGrad
	}
	if g, ok := f.(PairGrader); ok {
		a.diff = g.AddGradDiff
	}
	a.fill()
	return a
}

// fill supplies the fast paths that are missing from the one-component call.
func (a *additive) fill() {
	add := a.add
	if a.batch == nil {
		a.batch = func(dst []float64, idx []int, x []float64, scale float64) {
			for _, i := range idx {
				add(dst, i, x, scale)
			}
		}
	}
	if a.diff == nil {
		a.diff = func(dst []float64, idx []int, x, y []float64, scale float64) {
			for _, i := range idx {
				add(dst, i, x, scale)
				add(dst, i, y, -scale)
			}
		}
	}
}

// An oracle evaluates an additive and is the only thing that counts: methods
// cannot forget to. One IFO is one component at one point.
//
// Work is cut into chunks of fixed size, each chunk is summed on its own and the
// chunks are added in order, so the bits of a result do not depend on workers.
type oracle struct {
	additive
	n, grain, workers int
	ifo               int64
	bufs              [][]float64
	idx               [][]int
}

// grainer is implemented by sums that know how many components make a chunk
// worth handing to another goroutine.
type grainer interface{ grain() int }

func newOracle(f FiniteSum, a additive, workers int) *oracle {
	o := &oracle{additive: a, n: f.Len(), grain: 2048, workers: max(1, workers)}
	if g, ok := f.(grainer); ok {
		o.grain = g.grain()
	}
	return o
}

func newGradOracle(f FiniteSum, workers int) *oracle {
	return newOracle(f, gradients(f), workers)
}

// mean sets dst to the mean over all components at x.
func (o *oracle) mean(dst, x []float64) {
	clear(dst)
	o.prefixMean(dst, o.n, x)
}

// prefixMean adds to dst the mean over the first m components at x.
func (o *oracle) prefixMean(dst []float64, m int, x []float64) {
	scale := 1 / float64(m)
	o.sum(dst, m, func(acc []float64, w, lo, hi int) {
		o.batch(acc, o.span(w, lo, hi), x, scale)
	})
	o.ifo += int64(m)
}

// addBatch adds the mean over idx at x, times scale, to dst.
func (o *oracle) addBatch(dst []float64, idx []int, x []float64, scale float64) {
	scale /= float64(len(idx))
	o.sum(dst, len(idx), func(acc []float64, _, lo, hi int) {
		o.batch(acc, idx[lo:hi], x, scale)
	})
	o.ifo += int64(len(idx))
}

// addDiff adds the mean over idx of the difference between a and b to dst.
func (o *oracle) addDiff(dst []float64, idx []int, a, b []float64) {
	scale := 1 / float64(len(idx))
	if len(idx) <= o.grain {
		o.diff(dst, idx, a, b, scale)
	} else {
		o.sum(dst, len(idx), func(acc []float64, _, lo, hi int) {
			o.diff(acc, idx[lo:hi], a, b, scale)
		})
	}
	o.ifo += 2 * int64(len(idx))
}

// one adds the vector of component i at x, times scale, to dst.
func (o *oracle) one(dst []float64, i int, x []float64, scale float64) {
	o.add(dst, i, x, scale)
	o.ifo++
}

// span returns the indices lo..hi-1 in the buffer of worker w.
func (o *oracle) span(w, lo, hi int) []int {
	for len(o.idx) <= w {
		o.idx = append(o.idx, make([]int, o.grain))
	}
	idx := o.idx[w][:hi-lo]
	for k := range idx {
		idx[k] = lo + k
	}
	return idx
}

// sum adds to dst the work of [0, n), chunk by chunk.
func (o *oracle) sum(dst []float64, n int, work func(acc []float64, worker, lo, hi int)) {
	if n <= o.grain {
		work(dst, 0, 0, n)
		return
	}
	chunks := (n + o.grain - 1) / o.grain
	wave := min(o.workers, chunks)
	for len(o.bufs) < wave {
		o.bufs = append(o.bufs, make([]float64, o.dim))
	}
	o.span(wave-1, 0, 0)
	for base := 0; base < chunks; base += wave {
		m := min(wave, chunks-base)
		run := func(w int) {
			lo := (base + w) * o.grain
			clear(o.bufs[w])
			work(o.bufs[w], w, lo, min(lo+o.grain, n))
		}
		concurrently(m, run)
		for w := range m {
			axpy(dst, 1, o.bufs[w])
		}
	}
}

// concurrently calls f(0) … f(m-1), the last on the caller's goroutine, and
// passes a panic of any of them on to the caller.
func concurrently(m int, f func(int)) {
	if m == 1 {
		f(0)
		return
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failure any
	for w := range m - 1 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() {
				if e := recover(); e != nil {
					mu.Lock()
					failure = e
					mu.Unlock()
				}
			}()
			f(w)
		}()
	}
	func() {
		defer wg.Wait()
		f(m - 1)
	}()
	if failure != nil {
		panic(failure)
	}
}

// sumValue returns Σ f_i(x) over all components, with the same chunks and order
// for any number of workers.
func sumValue(f FiniteSum, x []float64, workers int) float64 {
	return prefixValue(f, f.Len(), x, workers)
}

func prefixValue(f FiniteSum, n int, x []float64, workers int) float64 {
	const grain = 2048
	part := func(lo, hi int) float64 {
		if r, ok := f.(RangeValuer); ok {
			return r.SumRange(lo, hi, x)
		}
		s := 0.0
		for i := lo; i < hi; i++ {
			s += f.Component(i, x)
		}
		return s
	}
	if n <= grain {
		return part(0, n)
	}
	chunks := (n + grain - 1) / grain
	sums := make([]float64, chunks)
	workers = min(max(1, workers), chunks)
	concurrently(workers, func(w int) {
		for c := w; c < chunks; c += workers {
			sums[c] = part(c*grain, min((c+1)*grain, n))
		}
	})
	s := 0.0
	for _, v := range sums {
		s += v
	}
	return s
}
