package kernel

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
)

// naiveSoftmax returns the softmax of each row and its logarithm, in float64.
func naiveSoftmax(x []float32, n int) (p, logp []float64) {
	p, logp = make([]float64, len(x)), make([]float64, len(x))
	for r := 0; r < len(x); r += n {
		m := math.Inf(-1)
		for _, v := range x[r : r+n] {
			m = max(m, float64(v))
		}
		var sum float64
		for _, v := range x[r : r+n] {
			sum += math.Exp(float64(v) - m)
		}
		for i := r; i < r+n; i++ {
			logp[i] = float64(x[i]) - m - math.Log(sum)
			p[i] = math.Exp(logp[i])
		}
	}
	return p, logp
}

func TestSoftmaxRandom(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for _, n := range []int{1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100, 1000, 1001} {
			for _, scale := range []float32{1, 30, 1e4, 1e30} {
				name := fmt.Sprintf("rows of %d, scale %g", n, scale)
				rows := 1 + rng.Intn(5)
				x, dy := normal(rng, rows*n), normal(rng, rows*n)
				for i := range x {
					x[i] *= scale
				}
				p, logp := naiveSoftmax(x, n)
				wantS, wantL := make([]float64, len(x)), make([]float64, len(x))
				for r := 0; r < len(x); r += n {
					var dot, sum float64
					for i := r; i < r+n; i++ {
						dot += p[i] * float64(dy[i])
						sum += float64(dy[i])
					}
					for i := r; i < r+n; i++ {
						wantS[i] = p[i] * (float64(dy[i]) - dot)
						wantL[i] = float64(dy[i]) - p[i]*sum
					}
				}
				y, dx := guarded(len(x)), guarded(len(x))
				Softmax(y.v, x, n)
				closeTo(t, name+" softmax", y.v, p, 1e-6)
				SoftmaxGrad(dx.v, dy, y.v, n)
				for i, v := range dx.v { // the terms may cancel: |dy| is their size
					if math.Abs(float64(v)-wantS[i]) > 1e-5 {
						t.Errorf("%s softmax gradient: entry %d is %v, want %v", name, i, v, wantS[i])
						break
					}
				}
				y.check(t, name+" softmax")
				LogSoftmax(y.v, x, n)
				closeTo(t, name+" log-softmax", y.v, logp, 1e-6)
				LogSoftmaxGrad(dx.v, dy, y.v, n)
				for i, v := range dx.v {
					if math.Abs(float64(v)-wantL[i]) > 1e-5*math.Sqrt(float64(n)) {
						t.Errorf("%s log-softmax gradient: entry %d is %v, want %v", name, i, v, wantL[i])
						break
					}
				}
				y.check(t, name+" log-softmax")
				dx.check(t, name+" gradient")
			}
		}
	})
}

func TestSoftmaxSpecialValues(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachSet(t, func(t *testing.T) {
		for _, n := range []int{3, 20} {
			x := make([]float32, n)
			y := make([]float32, n)
			x[1] = -inf
			Softmax(y, x, n)
			if y[1] != 0 || math.Abs(float64(y[0])*float64(n-1)-1) > 1e-6 {
				t.Errorf("of -Inf among %d zeros: %v", n, y)
			}
			LogSoftmax(y, x, n)
			if y[1] != -inf {
				t.Errorf("logarithm of -Inf among %d zeros: %v", n, y)
			}
			x[2] = nan
			Softmax(y, x, n)
			for i, v := range y {
				if v == v {
					t.Errorf("with a NaN among %d, entry %d is %v", n, i, v)
				}
			}
		}
	})
}

func TestExpSum(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for n := 0; n <= 257; n++ {
			x := normal(rng, n)
			for i := range x {
				x[i] *= 20
			}
			shift := float32(rng.NormFloat64())
			y, intact := field(n, rng.Intn(16))
			sum := ExpSum(y, x, shift)
			var want float64
			for i, v := range y {
				e := math.Exp(float64(x[i]) - float64(shift))
				want += e
				if ulps(v, e) > 0.50001 {
					t.Fatalf("exp(%v-%v) is %v, want %v", x[i], shift, v, e)
				}
			}
			if math.Abs(sum-want) > 1e-15*math.Sqrt(float64(n))*want {
				t.Fatalf("the sum of %d exponentials is %v, want %v", n, sum, want)
			}
			if !intact() {
				t.Fatalf("%d exponentials: wrote outside", n)
			}
			if again := ExpSum(nil, x, shift); again != sum {
				t.Fatalf("%d exponentials add up to %v, to %v without a place for them", n, sum, again)
			}
			if again := ExpSum(x, x, shift); again != sum || sameBits(x, y) >= 0 {
				t.Fatalf("%d exponentials in place: sum %v, aside %v", n, again, sum)
			}
		}
		defer func() {
			if err, _ := recover().(error); err == nil || err.Error() != "kernel: ExpSum: slice of length 3 where 2 is needed" {
				t.Errorf("panic %v", err)
			}
		}()
		ExpSum(make([]float32, 2), make([]float32, 3), 0)
	})
}

// crossEntropyCase draws targets; kind is 0 for labels, 1 for smoothed ones, 2
// for soft ones.
func crossEntropyCase(rng *rand.Rand, rows, k, kind int, weighted bool) (ce *CrossEntropy, target []float64) {
	ce = &CrossEntropy{Classes: k}
	target = make([]float64, rows*k)
	weights := make([]float32, k)
	for c := range weights {
		weights[c] = 1
		if weighted {
			weights[c] = rng.Float32()
		}
	}
	if weighted {
		ce.Weights = weights
	}
	if kind == 2 {
		ce.Soft = make([]float32, rows*k)
		for i := range ce.Soft {
			ce.Soft[i] = max(0, rng.Float32()-0.3)
			target[i] = float64(ce.Soft[i])
		}
	} else {
		if kind == 1 {
			ce.Smoothing = 0.1
		}
		for i := range rows {
			y := rng.Intn(k)
			ce.Labels = append(ce.Labels, y)
			for c := range k {
				target[i*k+c] = ce.Smoothing / float64(k)
			}
			target[i*k+y] += 1 - ce.Smoothing
		}
	}
	for i := range target {
		target[i] *= float64(weights[i%k])
	}
	return ce, target
}

func TestCrossEntropyRandom(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for i := range 200 {
			rows, k := rng.Intn(6), 1+rng.Intn(40)
			kind, weighted := i%3, i/3%2 == 0
			name := fmt.Sprintf("%d rows of %d, kind %d, weighted %v", rows, k, kind, weighted)
			ce, target := crossEntropyCase(rng, rows, k, kind, weighted)
			x := normal(rng, rows*k)
			for i := range x {
				x[i] *= 10
			}
			p, logp := naiveSoftmax(x, k)
			loss, prob, d := make([]float64, rows), guarded(rows*k), guarded(rows*k)
			cot := make([]float64, rows)
			want := make([]float64, rows*k)
			ce.Forward(loss, nil, x)
			alone := append([]float64(nil), loss...)
			ce.Forward(loss, prob.v, x)
			var size float64
			for r := range rows {
				cot[r] = rng.NormFloat64()
				var wantLoss, total float64
				for c := range k {
					wantLoss -= target[r*k+c] * logp[r*k+c]
					total += target[r*k+c]
				}
				for c := range k {
					want[r*k+c] = cot[r] * (total*p[r*k+c] - target[r*k+c])
				}
				size = max(size, math.Abs(cot[r])*total)
				if math.Abs(loss[r]-wantLoss) > 1e-13*(1+math.Abs(wantLoss)) || alone[r] != loss[r] {
					t.Errorf("%s: loss of row %d is %v, alone %v, want %v", name, r, loss[r], alone[r], wantLoss)
				}
			}
			ce.Grad(d.v, prob.v, cot)
			for i, v := range d.v {
				if math.Abs(float64(v)-want[i]) > 1e-6*size {
					t.Errorf("%s: gradient %d is %v, want %v", name, i, v, want[i])
					break
				}
			}
			d.check(t, name)
			prob.check(t, name)
		}
	})
}

// A row of losses has the same bits alone, in a batch, and at any place in it.
func TestCrossEntropyRowsAreIndependent(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		const rows, k = 50, 1000
		x := normal(rng, rows*k)
		ce := &CrossEntropy{Classes: k, Labels: make([]int, rows)}
		loss := make([]float64, rows)
		ce.Forward(loss, nil, x)
		for r := range rows {
			one := &CrossEntropy{Classes: k, Labels: []int{0}}
			copied := misaligned(k, rng.Intn(16))
			copy(copied, x[r*k:])
			got := []float64{0}
			one.Forward(got, nil, copied)
			if got[0] != loss[r] {
				t.Fatalf("row %d: %v alone, %v in the batch", r, got[0], loss[r])
			}
		}
	})
}
