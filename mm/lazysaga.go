package mm

import "math"

// lazySAGA makes SAGA's iterations on sparse rows at the cost of their non-zeros.
// Between two visits of a coordinate the mean gradient there is constant, so the
// missed steps have a closed form (see shrinker).
type lazySAGA struct {
	r     *run
	l     *Linear
	x     *CSR
	batch sampler
	slope []float64
	cells []cell
	by    shrinker
	step  float64
	// logistic avoids an interface call a step for the commonest loss.
	logistic bool
	begun    bool
	sums     []float64
}

// cell keeps what one coordinate needs on one cache line.
type cell struct {
	w, mean float64
	at      int32 // w includes the steps before this one
}

func newLazySAGA(r *run, l *Linear, x *CSR, step, l1, l2 float64) *lazySAGA {
	_, logistic := l.Loss.(Logistic)
	return &lazySAGA{r: r, l: l, x: x, batch: newSampler(r), step: step, logistic: logistic,
		by: newShrinker(step*l1, step*l2, r.n), cells: make([]cell, r.p)}
}

func (s *lazySAGA) modulus() float64 { return 1 / s.step }

func (s *lazySAGA) jump(m int) {
	r := s.r
	if !s.begun {
		// The first iteration is a step along the full gradient.
		s.begun = true
		var mean []float64
		s.slope, mean = slopes(r, s.l)
		for j, w := range r.x {
			s.cells[j] = cell{w: s.by.run(w, s.step*mean[j], 1), mean: mean[j]}
		}
		r.stats.Prox++
		m--
	}
	r.stats.Prox += int64(m)
	r.grad.ifo += int64(m)
	switch {
	case s.by.l1 == 0 && s.by.c < 1:
		s.shrink(m)
	case s.by.c == 1:
		s.soften(m)
	default:
		s.general(m)
	}
	for j := range s.cells {
		c := &s.cells[j]
		c.at = 0
		r.x[j] = c.w
	}
}

// deriv returns the derivative of the loss of sample i at the margin and its
// change, and stores it.
func (s *lazySAGA) deriv(i int, margin float64) (change float64) {
	g := 0.0
	if y := s.l.Y[i]; s.logistic {
		g = -y / (1 + math.Exp(y*margin))
	} else {
		g = s.l.Loss.Deriv(margin, y)
	}
	change = g - s.slope[i]
	s.slope[i] = g
	return change
}

// general makes m steps for any elastic net.
func (s *lazySAGA) general(m int) {
	cells, step, inv := s.cells, s.step, 1/float64(s.r.n)
	l1, shrink := s.by.l1, s.by.c
	for now := range int32(m) {
		i := s.batch.intn(s.r.n)
		col, val := s.x.Row(i)
		val = val[:len(col)]
		margin := 0.0
		for k, j := range col {
			c := &cells[j]
			if lag := now - c.at; lag > 0 {
				c.w = s.by.run(c.w, step*c.mean, int(lag))
			}
			margin += val[k] * c.w
		}
		d := s.deriv(i, margin)
		dn := d * inv
		for k, j := range col {
			c := &cells[j]
			v := val[k]
			c.w = soft(c.w-step*(d*v+c.mean), l1) * shrink
			c.mean += dn * v
			c.at = now + 1
		}
	}
	for j := range cells {
		c := &cells[j]
		if lag := int32(m) - c.at; lag > 0 {
			c.w = s.by.run(c.w, step*c.mean, int(lag))
		}
	}
}

// soften makes m steps without an l2 part. A coordinate that keeps its sign is
// brought up to date by one product.
func (s *lazySAGA) soften(m int) {
	cells, step, inv := s.cells, s.step, 1/float64(s.r.n)
	l1 := s.by.l1
	for now := range int32(m) {
		i := s.batch.intn(s.r.n)
		col, val := s.x.Row(i)
		val = val[:len(col)]
		margin := 0.0
		for k, j := range col {
			c := &cells[j]
			w, lag := c.w, now-c.at
			a := step * c.mean
			if w != 0 {
				if end := w - float64(lag)*(a+math.Copysign(l1, w)); end*w > 0 {
					w = end
				} else if lag > 0 {
					w = s.by.run(w, a, int(lag))
				}
			} else if math.Abs(a) > l1 && lag > 0 {
				w = s.by.run(w, a, int(lag))
			}
			c.w = w
			margin += val[k] * w
		}
		d := s.deriv(i, margin)
		sd, dn := step*d, d*inv
		for k, j := range col {
			c := &cells[j]
			v := val[k]
			u := c.w - (sd*v + step*c.mean)
			c.w = u - max(-l1, min(l1, u))
			c.mean += dn * v
			c.at = now + 1
		}
	}
	for j := range cells {
		c := &cells[j]
		if lag := int32(m) - c.at; lag > 0 {
			c.w = s.by.run(c.w, step*c.mean, int(lag))
		}
	}
}

// shrink makes m steps without an l1 part, in the variable u = w/c^k at step k: a
// missed step only subtracts step·c^(1−k)·mean from u, so what a coordinate lacks is
// its mean times a difference of running sums.
func (s *lazySAGA) shrink(m int) {
	// c^−m stays below e, so u and w are of one size.
	for block := max(1, int(-1/s.by.logC)); m > 0; m -= block {
		s.shrinkBlock(min(m, block))
	}
}

func (s *lazySAGA) shrinkBlock(m int) {
	cells, step, inv := s.cells, s.step, 1/float64(s.r.n)
	if cap(s.sums) < m+1 {
		s.sums = make([]float64, m+1)
	}
	sums := s.sums[:m+1]
	pow, grow := 1.0, 1/s.by.c // c^k and 1/c
	part := step               // step·c^(−k)
	sums[0] = 0
	for now := range m {
		i := s.batch.intn(s.r.n)
		col, val := s.x.Row(i)
		val = val[:len(col)]
		margin := 0.0
		sum := sums[now]
		for k, j := range col {
			c := &cells[j]
			c.w -= (sum - sums[c.at]) * c.mean
			margin += val[k] * c.w
		}
		d := s.deriv(i, margin*pow)
		pd, dn := part*d, d*inv
		for k, j := range col {
			c := &cells[j]
			v := val[k]
			c.w -= pd*v + part*c.mean
			c.mean += dn * v
			c.at = int32(now + 1)
		}
		sums[now+1] = sum + part
		part *= grow
		pow *= s.by.c
	}
	for j := range cells {
		c := &cells[j]
		c.w = (c.w - (sums[m]-sums[c.at])*c.mean) * pow
		c.at = 0
	}
}

// shrinker repeats the step w ← c·soft(w − a, l1), c = 1/(1+l2), which is a
// proximal step of an elastic net along a constant gradient: a, l1 and l2 include
// the step length.
type shrinker struct {
	l1, c    float64
	logC     float64
	pow, geo []float64 // c^m and c + c² + … + c^m
}

func newShrinker(l1, l2 float64, n int) shrinker {
	s := shrinker{l1: l1, c: 1 / (1 + l2), logC: -math.Log1p(l2)}
	if l2 > 0 {
		m := min(n, 4096)
		s.pow, s.geo = make([]float64, m), make([]float64, m)
		for k := range s.pow {
			s.pow[k], s.geo[k] = s.powers(k)
		}
	}
	return s
}

// powers returns c^m and Σ_{k=1..m} c^k = (1−c^m)·c/(1−c), without cancellation.
func (s *shrinker) powers(m int) (pow, geo float64) {
	if m < len(s.geo) && s.geo[m] != 0 {
		return s.pow[m], s.geo[m]
	}
	e := math.Expm1(float64(m) * s.logC)
	return 1 + e, -e / math.Expm1(-s.logC)
}

// run applies m ≥ 1 steps. In l1's absence a step is affine. With it, w moves on one
// side of zero by affine steps, towards a fixed point or to zero; from zero it
// stays or leaves to the side of −a for good.
func (s *shrinker) run(w, a float64, m int) float64 {
	if s.l1 == 0 {
		return s.affine(w, a, m)
	}
	for m > 0 {
		if w == 0 {
			if math.Abs(a) <= s.l1 {
				return 0
			}
			w = s.c * soft(-a, s.l1)
			m--
			continue
		}
		// Mirror the negative side onto the positive one.
		side := 1.0
		if w < 0 {
			side = -1
		}
		u, drift := side*w, side*a+s.l1
		end := s.affine(u, drift, m)
		if drift <= 0 || end > 0 {
			return side * end
		}
		// It meets zero: go to the last positive value, then take one true step.
		k := s.stay(u, drift, m)
		if k > 0 {
			u = s.affine(u, drift, k)
		}
		w = side * s.c * soft(u-side*a, s.l1)
		m -= k + 1
	}
	return w
}

// affine applies w ← c(w−d) m times.
func (s *shrinker) affine(w, d float64, m int) float64 {
	if s.c == 1 {
		return w - float64(m)*d
	}
	pow, geo := s.powers(m)
	return pow*w - geo*d
}

// stay returns the number of affine steps, below m, that keep u > 0, d > 0
// positive, by bisection on a decreasing sequence.
func (s *shrinker) stay(u, d float64, m int) int {
	if s.c == 1 {
		return min(m-1, max(0, int(math.Ceil(u/d))-1))
	}
	lo, hi := 0, m // positive after lo steps, not after hi
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s.affine(u, d, mid) > 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// denseSAGA is the same for dense rows: one fused pass over the row for the step
// and one for the margin.
type denseSAGA struct {
	r     *run
	l     *Linear
	x     *Dense
	batch sampler
	slope []float64
	mean  []float64
	step  float64
	l1, c float64
	ridge float64
	begun bool
}

func newDenseSAGA(r *run, l *Linear, x *Dense, step, l1, l2 float64) *denseSAGA {
	return &denseSAGA{r: r, l: l, x: x, batch: newSampler(r), step: step,
		l1: step * l1, c: 1 / (1 + step*l2), ridge: l.Ridge}
}

func (s *denseSAGA) modulus() float64 { return 1 / s.step }

func (s *denseSAGA) jump(m int) {
	r, w, step := s.r, s.r.x, s.step
	if !s.begun {
		s.begun = true
		s.slope, s.mean = slopes(r, s.l)
		for j, v := range w {
			w[j] = soft(v-step*(s.mean[j]+s.ridge*v), s.l1) * s.c
		}
		r.stats.Prox++
		m--
	}
	r.stats.Prox += int64(m)
	r.grad.ifo += int64(m)
	mean := s.mean[:len(w)]
	inv := 1 / float64(r.n)
	keep := 1 - step*s.ridge
	l1, c := s.l1, s.c
	for range m {
		i := s.batch.intn(r.n)
		row := s.x.Row(i)[:len(w)]
		g := s.l.Loss.Deriv(dot(row, w), s.l.Y[i])
		d := g - s.slope[i]
		s.slope[i] = g
		sd, dn := step*d, inv*d
		if l1 == 0 {
			for j, v := range row {
				w[j] = c * (keep*w[j] - (sd*v + step*mean[j]))
				mean[j] += dn * v
			}
			continue
		}
		for j, v := range row {
			u := keep*w[j] - (sd*v + step*mean[j])
			mean[j] += dn * v
			w[j] = c * (u - max(-l1, min(l1, u)))
		}
	}
}
