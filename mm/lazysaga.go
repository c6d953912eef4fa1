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
	// deriv avoids an interface call a step for the commonest loss.
	logistic bool
	steps    int32 // since the last flush
	begun    bool
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
	} else {
		for j, w := range r.x {
			s.cells[j].w = w
		}
	}
	r.stats.Prox += int64(m)
	r.grad.ifo += int64(m)
	s.steps = 0
	inv := 1 / float64(r.n)
	cells, step := s.cells, s.step
	l1, l2 := s.by.l1, s.by.c
	for range m {
		i := s.batch.intn(r.n)
		col, val := s.x.Row(i)
		val = val[:len(col)]
		margin := 0.0
		now := s.steps
		for k, j := range col {
			c := &cells[j]
			if lag := now - c.at; lag > 0 {
				c.w = s.by.run(c.w, step*c.mean, int(lag))
			}
			margin += val[k] * c.w
		}
		g := 0.0
		if s.logistic {
			y := s.l.Y[i]
			g = -y / (1 + math.Exp(y*margin))
		} else {
			g = s.l.Loss.Deriv(margin, s.l.Y[i])
		}
		d := g - s.slope[i]
		s.slope[i] = g
		dn := d * inv
		now++
		for k, j := range col {
			c := &cells[j]
			v := val[k]
			c.w = soft(c.w-step*(d*v+c.mean), l1) * l2
			c.mean += dn * v
			c.at = now
		}
		s.steps = now
	}
	for j := range cells {
		c := &cells[j]
		if lag := s.steps - c.at; lag > 0 {
			c.w = s.by.run(c.w, step*c.mean, int(lag))
		}
		c.at = 0
		r.x[j] = c.w
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
			w[j] = c * (max(u-l1, 0) + min(u+l1, 0))
		}
	}
}
