package kernel

import (
	"fmt"
	"math"
	"testing"
)

// A naiveBN is batch normalisation in float64 from the definition.
type naiveBN struct {
	n, c, s          int
	pre, post        bool
	mean, invStd     []float64
	gamma, beta      []float64
	biased, unbiased []float64
}

func (b *naiveBN) at(i, c, j int) int { return (i*b.c+c)*b.s + j }

// each calls f with the index of every element and its channel.
func (b *naiveBN) each(f func(i, c int)) {
	for i := range b.n {
		for c := range b.c {
			for j := range b.s {
				f(b.at(i, c, j), c)
			}
		}
	}
}

func (b *naiveBN) u(x float32) float64 {
	if b.pre && x < 0 {
		return 0
	}
	return float64(x)
}

func (b *naiveBN) stats(x []float32, eps float64) {
	m := float64(b.n * b.s)
	b.mean, b.biased, b.unbiased, b.invStd = make([]float64, b.c), make([]float64, b.c), make([]float64, b.c), make([]float64, b.c)
	b.each(func(i, c int) { b.mean[c] += b.u(x[i]) / m })
	b.each(func(i, c int) { b.biased[c] += (b.u(x[i]) - b.mean[c]) * (b.u(x[i]) - b.mean[c]) / m })
	for c := range b.c {
		b.invStd[c] = 1 / math.Sqrt(b.biased[c]+eps)
		b.unbiased[c] = b.biased[c] * m / max(m-1, 1)
	}
}

func (b *naiveBN) forward(x, r []float32) []float64 {
	y := make([]float64, len(x))
	b.each(func(i, c int) {
		y[i] = (b.u(x[i])-b.mean[c])*b.invStd[c]*b.gamma[c] + b.beta[c]
		if r != nil {
			y[i] += float64(r[i])
		}
		if b.post {
			y[i] = max(y[i], 0)
		}
	})
	return y
}

// grad returns dx, dr, dgamma and dbeta. The mask of the second ReLU is that of
// y, the kernel's result: a sign that rounding decides is not an error.
func (b *naiveBN) grad(dy, x, y []float32, train bool) (dx, dr, dgamma, dbeta []float64) {
	dx, dr, dgamma, dbeta = make([]float64, len(x)), make([]float64, len(x)), make([]float64, b.c), make([]float64, b.c)
	m := float64(b.n * b.s)
	b.each(func(i, c int) {
		dr[i] = float64(dy[i])
		if b.post && y[i] <= 0 {
			dr[i] = 0
		}
		dbeta[c] += dr[i]
		dgamma[c] += dr[i] * (b.u(x[i]) - b.mean[c]) * b.invStd[c]
	})
	b.each(func(i, c int) {
		g := dr[i]
		if train {
			g -= dbeta[c]/m + (b.u(x[i])-b.mean[c])*b.invStd[c]*dgamma[c]/m
		}
		if !b.pre || x[i] > 0 {
			dx[i] = g * b.gamma[c] * b.invStd[c]
		}
	})
	return dx, dr, dgamma, dbeta
}

func TestBatchNormRandom(t *testing.T) {
	shapes := [][3]int{{1, 1, 1}, {3, 2, 1}, {1, 3, 7}, {2, 5, 33}, {4, 3, 64}, {3, 1, 130}, {16, 37, 1}, {0, 2, 3}, {2, 0, 3}, {2, 3, 0}, {2, 7, 49}, {1, 2, 3000}, {3, 4, 6000}}
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for _, shape := range shapes {
			for mode := range 16 {
				b := &BatchNorm{N: shape[0], C: shape[1], S: shape[2], PreReLU: mode&1 != 0, PostReLU: mode&2 != 0, Eps: 1e-5, Momentum: 0.25}
				residual, train := mode&4 != 0, mode&8 != 0
				checkBatchNorm(t, fmt.Sprintf("%v pre %v post %v residual %v train %v", shape, b.PreReLU, b.PostReLU, residual, train), b, residual, train, func(n int) []float32 { return normal(rng, n) })
			}
		}
	})
}

func checkBatchNorm(t *testing.T, name string, b *BatchNorm, residual, train bool, normal func(int) []float32) {
	t.Helper()
	n := b.N * b.C * b.S
	x, dy := normal(n), normal(n)
	b.Gamma, b.Beta = normal(b.C), normal(b.C)
	b.RunningMean, b.RunningVar = normal(b.C), normal(b.C)
	for c := range b.RunningVar {
		b.RunningVar[c] = 0.1 + b.RunningVar[c]*b.RunningVar[c]
	}
	b.Mean, b.InvStd = nans(b.C), nans(b.C)
	var r, dr []float32
	if residual {
		r, dr = normal(n), nans(n)
	}
	ref := &naiveBN{n: b.N, c: b.C, s: b.S, pre: b.PreReLU, post: b.PostReLU, gamma: widen(b.Gamma), beta: widen(b.Beta)}
	y, dx := guarded(n), guarded(n)
	g := &BatchNormGrads{DX: dx.v, DGamma: nans(b.C), DBeta: nans(b.C), DR: dr}
	given := func() []float32 {
		if residual {
			return y.v
		}
		return nil
	}
	if train {
		ref.stats(x, b.Eps)
		wantMean, wantVar := make([]float64, b.C), make([]float64, b.C)
		for c := range b.C {
			wantMean[c] = 0.75*float64(b.RunningMean[c]) + 0.25*ref.mean[c]
			wantVar[c] = 0.75*float64(b.RunningVar[c]) + 0.25*ref.unbiased[c]
		}
		b.Train(y.v, x, r)
		closeTo(t, name+" running mean", b.RunningMean, wantMean, 1e-6)
		closeTo(t, name+" running variance", b.RunningVar, wantVar, 1e-6)
		b.TrainGrad(g, dy, x, given())
	} else {
		ref.mean = widen(b.RunningMean)
		for _, v := range b.RunningVar {
			ref.invStd = append(ref.invStd, 1/math.Sqrt(float64(v)+b.Eps))
		}
		b.Infer(y.v, x, r)
		b.InferGrad(g, dy, x, given())
	}
	wantY := ref.forward(x, r)
	for i, v := range y.v {
		c := i / b.S % b.C
		terms := (math.Abs(ref.u(x[i]))+math.Abs(ref.mean[c]))*ref.invStd[c]*math.Abs(ref.gamma[c]) + math.Abs(ref.beta[c])
		if residual {
			terms += math.Abs(float64(r[i]))
		}
		if math.Abs(float64(v)-wantY[i]) > 1e-6*terms {
			t.Errorf("%s y: entry %d is %g, want %g (terms up to %g)", name, i, v, wantY[i], terms)
			break
		}
	}
	wantX, wantR, wantGamma, wantBeta := ref.grad(dy, x, y.v, train)
	// The terms of dx may cancel, down to nothing where a channel has two
	// values: what counts is an error relative to the terms.
	terms := make([]float64, b.C)
	for i := range dy {
		c := i / b.S % b.C
		terms[c] = max(terms[c], math.Abs(float64(dy[i])*ref.gamma[c]*ref.invStd[c]))
	}
	for i, v := range dx.v {
		if c := i / b.S % b.C; math.Abs(float64(v)-wantX[i]) > 1e-5*terms[c] {
			t.Errorf("%s dx: entry %d is %g, want %g (terms up to %g)", name, i, v, wantX[i], terms[c])
			break
		}
	}
	if residual {
		closeTo(t, name+" dr", dr, wantR, 0)
	}
	sumGamma, sumBeta := make([]float64, b.C), make([]float64, b.C)
	for i, v := range wantR {
		c := i / b.S % b.C
		sumBeta[c] += math.Abs(v)
		sumGamma[c] += math.Abs(v) * (math.Abs(ref.u(x[i])) + math.Abs(ref.mean[c])) * ref.invStd[c]
	}
	for c := range b.C {
		if math.Abs(float64(g.DGamma[c])-wantGamma[c]) > 3e-7*sumGamma[c] {
			t.Errorf("%s dgamma: entry %d is %g, want %g (sum of terms %g)", name, c, g.DGamma[c], wantGamma[c], sumGamma[c])
		}
		if math.Abs(float64(g.DBeta[c])-wantBeta[c]) > 3e-7*sumBeta[c] {
			t.Errorf("%s dbeta: entry %d is %g, want %g (sum of terms %g)", name, c, g.DBeta[c], wantBeta[c], sumBeta[c])
		}
	}
	y.check(t, name+" y")
	dx.check(t, name+" dx")
}
