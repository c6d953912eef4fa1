package mm

import (
	"math"
	"testing"
)

// must returns the first value or stops the program of the test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func allLosses() []Loss {
	return []Loss{Logistic{}, Squared{}, NegSquare{}, Tanh{}, Tanh{Scale: 1.7}, SquaredSigmoid{}, LogDifference{}, Sigmoid{}, Huber{Delta: 0.3}}
}

// allSums is one small instance of every finite sum of the package.
func allSums() []FiniteSum {
	dense, y := Gaussian(24, 6, 3)
	sparse, z := SparseBinary(24, 6, 0.4, 4)
	var sums []FiniteSum
	for _, l := range allLosses() {
		sums = append(sums,
			&Linear{X: dense, Y: y, Loss: l, Alpha: 0.03, Ridge: 0.2},
			&Linear{X: sparse, Y: z, Loss: l})
	}
	return append(sums,
		&Components{Z: dense, K: 2, Lambda: 0.1, Delta: 0.2},
		&Factorization{Z: dense, K: 2, Mu: 0.3},
		must(NewPoisson(positives(20, 5, 5))),
		NewTail(9, 0.5, 6),
		plainSum{must(NewLogistic(dense, y, 0.1))})
}

// plainSum hides the fast paths of a sum.
type plainSum struct{ FiniteSum }

func positives(n, p int, seed uint64) (*Dense, []float64) {
	r := newCounter(seed, streamData)
	x := NewDense(n, p, nil)
	y := make([]float64, n)
	for i := range y {
		for j := range p {
			x.Data[i*p+j] = 0.1 + r.float()
			y[i] += x.Data[i*p+j] * float64(j)
		}
		y[i] = math.Round(y[i] * r.float())
	}
	return x, y
}

func point(r *counter, f FiniteSum) []float64 {
	x := randomVec(r, f.Dim(), 0.7)
	if _, ok := f.(*Poisson); ok {
		for j := range x {
			x[j] = 0.2 + math.Abs(x[j])
		}
	}
	return x
}

// T10: gradients against central differences, fast paths against the
// one-component call.
func TestGradients(t *testing.T) {
	for _, f := range allSums() {
		r := newCounter(21, streamData)
		p := f.Dim()
		for range 5 {
			x := point(&r, f)
			i := r.intn(f.Len())
			g := make([]float64, p)
			f.AddGrad(g, i, x, 2)
			for j := range x {
				const e = 1e-5
				old := x[j]
				x[j] = old + e
				up := f.Component(i, x)
				x[j] = old - e
				down := f.Component(i, x)
				x[j] = old
				want := (up - down) / e // twice the derivative
				if !(math.Abs(g[j]-want) <= 1e-7*(1+math.Abs(want))) {
					t.Errorf("%T: component %d, entry %d: %.10g, central difference %.10g", f, i, j, g[j], want)
				}
			}
			if v, ok := f.(RangeValuer); ok {
				want := 0.0
				for k := 2; k < 9; k++ {
					want += f.Component(k, x)
				}
				if got := v.SumRange(2, 9, x); !(math.Abs(got-want) <= 1e-12*(1+math.Abs(want))) {
					t.Errorf("%T: sum of values %.15g, one by one %.15g", f, got, want)
				}
			}
			a, b := point(&r, f), point(&r, f)
			idx := []int{i, 0, i, f.Len() - 1}
			slow, fast := make([]float64, p), make([]float64, p)
			for _, k := range idx {
				f.AddGrad(slow, k, a, 0.5)
			}
			gradients(f).batch(fast, idx, a, 0.5)
			if !(distance(slow, fast) <= 1e-12) {
				t.Errorf("%T: batch gradient %v, one by one %v", f, fast, slow)
			}
			for _, k := range idx {
				f.AddGrad(slow, k, b, -0.5)
			}
			clear(fast)
			gradients(f).diff(fast, idx, a, b, 0.5)
			if !(distance(slow, fast) <= 1e-12) {
				t.Errorf("%T: gradient difference %v, one by one %v", f, fast, slow)
			}
		}
	}
}

// T10: no sampled difference quotient exceeds the constants.
func TestLipschitzBounds(t *testing.T) {
	for _, f := range allSums() {
		s, ok := f.(Smooth)
		if !ok {
			continue
		}
		lip := s.Lipschitz()
		r := newCounter(22, streamData)
		n, p := f.Len(), f.Dim()
		g := make([]float64, p)
		worst, worstMean := 0.0, 0.0
		for range 200 {
			a := randomVec(&r, p, 2*r.float())
			b := randomVec(&r, p, 1e-3)
			axpy(b, 1, a)
			mean := 0.0
			for i := range n {
				clear(g)
				f.AddGrad(g, i, a, 1)
				f.AddGrad(g, i, b, -1)
				q := norm(g) / distance(a, b)
				worst = max(worst, q)
				mean += q * q / float64(n)
			}
			worstMean = max(worstMean, math.Sqrt(mean))
		}
		if worst > lip.Max*(1+1e-6) || worstMean > lip.MeanSquare*(1+1e-6) || lip.MeanSquare > lip.Max*(1+1e-12) {
			t.Errorf("%T: constants %+v, sampled max %g and mean square %g", f, lip, worst, worstMean)
		}
	}
}

// The curvature of each loss is the maximum of the second derivative, neither less
// nor loose: a dense grid against closed forms and grids computed elsewhere.
func TestCurvatures(t *testing.T) {
	for _, c := range []struct {
		loss Loss
		want float64
	}{
		{Logistic{}, 0.25}, {Squared{}, 1}, {NegSquare{}, 1}, {Tanh{}, 0.76980}, {Tanh{Scale: 2}, 4 * 0.76980},
		{SquaredSigmoid{}, 0.1540586}, {LogDifference{}, 0.092372}, {Sigmoid{}, 0.096225}, {Huber{Delta: 0.5}, 2},
	} {
		top := 0.0
		for m := -8.0; m <= 8; m += 1e-3 {
			const e = 1e-4
			d := (c.loss.Deriv(m+e, 1) - c.loss.Deriv(m-e, 1)) / (2 * e)
			top = max(top, math.Abs(d))
		}
		got := c.loss.Curvature()
		if top > got*(1+1e-6) || top < got*(1-1e-3) || !(math.Abs(got-c.want) <= 1e-4*c.want) {
			t.Errorf("%T: curvature %.7g, grid %.7g, want %.7g", c.loss, got, top, c.want)
		}
	}
}

// The second derivative of t²/(1+t²) stays in [−1/2, 2].
func TestNonconvexRegulariserCurvature(t *testing.T) {
	l := &Linear{X: NewDense(1, 1, nil), Y: []float64{1}, Loss: Squared{}, Alpha: 1}
	low, high := 0.0, 0.0
	for x := -5.0; x <= 5; x += 1e-3 {
		const e = 1e-4
		g := []float64{0}
		l.addReg(g, []float64{x + e}, 1)
		l.addReg(g, []float64{x - e}, -1)
		low, high = min(low, g[0]/(2*e)), max(high, g[0]/(2*e))
	}
	if !(math.Abs(low+0.5) <= 1e-3) || !(math.Abs(high-2) <= 1e-3) {
		t.Errorf("second derivative in [%g, %g], want [-0.5, 2]", low, high)
	}
}

// Huge margins, of either sign, keep values and derivatives finite.
func TestHugeMargins(t *testing.T) {
	for _, l := range allLosses() {
		for _, m := range []float64{1e4, -1e4, 0} {
			for _, y := range []float64{1, -1} {
				if v, d := l.Value(m, y), l.Deriv(m, y); !finite(v) || !finite(d) {
					t.Errorf("%T at margin %g, label %g: value %g, derivative %g", l, m, y, v, d)
				}
			}
		}
	}
}

func TestEstimateLipschitz(t *testing.T) {
	x, y := Gaussian(50, 8, 1)
	f := must(NewLeastSquares(x, y))
	got := EstimateLipschitz(plainSum{f}, make([]float64, 8), 1, 200, 1)
	want := f.Lipschitz()
	// Least squares has constant curvature; random directions see part of it.
	if got.Max > 1.5*want.Max*(1+1e-6) || got.Max < 0.8*want.Max || got.MeanSquare > 1.5*want.MeanSquare*(1+1e-6) || got.MeanSquare < 0.5*want.MeanSquare {
		t.Errorf("estimate %+v for %+v", got, want)
	}
}

func TestRows(t *testing.T) {
	sparse, _ := SparseBinary(30, 9, 0.3, 2)
	dense := sparse.Dense()
	r := newCounter(23, streamData)
	a, b := randomVec(&r, 9, 1), randomVec(&r, 9, 1)
	for i := range 30 {
		if d, s := dense.Dot(i, a), sparse.Dot(i, a); !(math.Abs(d-s) <= 1e-14) {
			t.Errorf("row %d: dense %g, sparse %g", i, d, s)
		}
		for _, x := range []Rows{dense, sparse} {
			da, db := x.Dot2(i, a, b)
			if da != x.Dot(i, a) || db != x.Dot(i, b) {
				t.Errorf("%T row %d: Dot2 %g %g, Dot %g %g", x, i, da, db, x.Dot(i, a), x.Dot(i, b))
			}
			got := make([]float64, 9)
			x.AddRow(got, i, 2)
			x.Do(i, func(j int, v float64) { got[j] -= 2 * v })
			if norm(got) != 0 {
				t.Errorf("%T row %d: AddRow and Do differ by %v", x, i, got)
			}
		}
	}
}
