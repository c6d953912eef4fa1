package kernel

import (
	"math/rand"
	"testing"
)

// An nnCall is one kernel of this family on N samples of x: what must not depend
// on the workers, nor allocate, nor, forward, on the other samples.
type nnCall struct {
	name    string
	in, out int  // numbers a sample
	batch   bool // a sample's result depends on the others
	run     func(y, x []float32, n int)
}

// nnCalls returns calls big enough to be cut into many parts. They use buffers of
// their own for what they do not return, for up to n samples.
func nnCalls(rng *rand.Rand, n int) []nnCall {
	const c, h, w = 6, 33, 40
	const size = c * h * w
	other, third := normal(rng, n*size), make([]float32, n*size)
	bn := &BatchNorm{C: c, S: h * w, PostReLU: true, Eps: 1e-5, Momentum: 0.1, Gamma: normal(rng, c), Beta: normal(rng, c),
		RunningMean: normal(rng, c), RunningVar: make([]float32, c), Mean: make([]float32, c), InvStd: make([]float32, c)}
	for i := range bn.RunningVar {
		bn.RunningVar[i] = 1
	}
	grads := &BatchNormGrads{DGamma: make([]float32, c), DBeta: make([]float32, c)}
	flat := &BatchNorm{C: size, S: 1, Eps: 1e-5, Mean: make([]float32, size), InvStd: make([]float32, size)}
	flatGrads := &BatchNormGrads{DGamma: make([]float32, size), DBeta: make([]float32, size)}
	gamma := normal(rng, w)
	mean, invStd, dgamma, dbeta := make([]float32, n*c*h), make([]float32, n*c*h), make([]float32, w), make([]float32, w)
	codes := make([]uint8, n*size)
	pool := func(kernel, stride, pad int) *Pool {
		return &Pool{In: [3]int{1, h, w}, Kernel: [3]int{1, kernel, kernel}, Stride: [3]int{1, stride, stride}, Padding: [3]int{0, pad, pad}}
	}
	pairs, wide := pool(2, 2, 0), pool(3, 1, 1)
	loss, one, labels := make([]float64, n*c*h), []float64{0.5}, make([]int, n*c*h)
	ce := &CrossEntropy{Classes: w}
	grid := &GridSample{C: c, H: h, W: w, OutH: 20, OutW: 20, Padding: GridReflection}
	points := normal(rng, 2*400*n)
	resize := &Resize{H: h, W: w, OutH: 50, OutW: 30}
	rows := make([]int, n*c*h)
	shape, perm := []int{n, c, h, w}, []int{0, 2, 3, 1}
	zeros, halves, steps := make([]int, 4), []int{n, c, (h + 1) / 2, w / 2}, []int{1, 1, 2, 2}
	around, shift := []int{0, 0, 1, 2}, []int{0, 1, 5, -3}
	for i := range rows {
		rows[i], labels[i] = i*7%(c*h), i*3%w
	}
	outOf := func(p *Pool) int { return c * volume(p.Out()) }
	return []nnCall{
		{"BatchNorm.Train", size, size, true, func(y, x []float32, n int) { bn.N = n; bn.Train(y, x, other[:n*size]) }},
		{"BatchNorm.Infer", size, size, false, func(y, x []float32, n int) { bn.N = n; bn.Infer(y, x, nil) }},
		{"BatchNorm.TrainGrad", size, size, true, func(y, x []float32, n int) {
			bn.N = n
			bn.Train(third[:n*size], x, other[:n*size])
			grads.DX, grads.DR = y, third[:n*size]
			bn.TrainGrad(grads, other[:n*size], x, third[:n*size])
			copy(y, grads.DGamma)
		}},
		{"BatchNorm.Train of columns", size, size, true, func(y, x []float32, n int) { flat.N = n; flat.Train(y, x, nil) }},
		{"BatchNorm.TrainGrad of columns", size, size, true, func(y, x []float32, n int) {
			flat.N = n
			flat.Train(third[:n*size], x, nil)
			flatGrads.DX = y
			flat.TrainGrad(flatGrads, other[:n*size], x, nil)
		}},
		{"BatchNorm.InferGrad", size, size, false, func(y, x []float32, n int) {
			bn.N = n
			g := grads
			g.DX, g.DR = y, nil
			bn.InferGrad(g, x, x, nil)
		}},
		{"LayerNorm", size, size, false, func(y, x []float32, n int) {
			LayerNorm(y, x, gamma, gamma, mean[:n*c*h], invStd[:n*c*h], w, 1e-5)
		}},
		{"LayerNormGrad", size, size, true, func(y, x []float32, n int) {
			LayerNormGrad(y, dgamma, dbeta, x, x, gamma, mean[:n*c*h], invStd[:n*c*h], w)
			copy(y, dgamma)
		}},
		{"Softmax", size, size, false, func(y, x []float32, n int) { Softmax(y, x, w) }},
		{"SoftmaxGrad", size, size, false, func(y, x []float32, n int) { SoftmaxGrad(y, x, x, w) }},
		{"LogSoftmax", size, size, false, func(y, x []float32, n int) { LogSoftmax(y, x, w) }},
		{"LogSoftmaxGrad", size, size, false, func(y, x []float32, n int) { LogSoftmaxGrad(y, x, x, w) }},
		{"CrossEntropy", size, size, false, func(y, x []float32, n int) {
			ce.Labels = labels[:n*c*h]
			for i := range ce.Labels {
				ce.Labels[i] = i % (c * h) % w
			}
			ce.Forward(loss[:n*c*h], y, x)
			ce.Grad(y, y, one)
		}},
		{"MaxPool pairs", size, outOf(pairs), false, func(y, x []float32, n int) { pairs.Planes = n * c; MaxPool(y, nil, x, pairs) }},
		{"MaxPoolGrad pairs", size, size, false, func(y, x []float32, n int) {
			pairs.Planes = n * c
			out := outOf(pairs) * n
			MaxPool(third[:out], codes[:out], x, pairs)
			MaxPoolGrad(y, third[:out], codes[:out], pairs)
		}},
		{"MaxPool wide", size, size, false, func(y, x []float32, n int) { wide.Planes = n * c; MaxPool(y, nil, x, wide) }},
		{"MaxPoolGrad wide", size, size, false, func(y, x []float32, n int) {
			wide.Planes = n * c
			MaxPool(third[:n*size], codes[:n*size], x, wide)
			MaxPoolGrad(y, third[:n*size], codes[:n*size], wide)
		}},
		{"AvgPool", size, size, false, func(y, x []float32, n int) { wide.Planes = n * c; AvgPool(y, x, wide) }},
		{"AvgPoolGrad", size, size, false, func(y, x []float32, n int) { wide.Planes = n * c; AvgPoolGrad(y, x, wide) }},
		{"GlobalAvgPool", size, c, false, func(y, x []float32, n int) { GlobalAvgPool(y, x, h*w) }},
		{"GlobalAvgPoolGrad", c, size, false, func(y, x []float32, n int) { GlobalAvgPoolGrad(y, x, h*w) }},
		{"GridSample", size, 400 * c, true, func(y, x []float32, n int) { grid.N = n; grid.Forward(y, x, points[:n*800]) }},
		{"GridSample.GradInput", 400 * c, size, true, func(y, x []float32, n int) { grid.N = n; grid.GradInput(y, x, points[:n*800]) }},
		{"GridSample.GradGrid", 400 * c, 800, true, func(y, x []float32, n int) {
			grid.N = n
			grid.GradGrid(y, x, other[:n*size], points[:n*800])
		}},
		{"Resize", size, 1500 * c, false, func(y, x []float32, n int) { resize.Planes = n * c; resize.Forward(y, x) }},
		{"Resize.Grad", 1500 * c, size, false, func(y, x []float32, n int) { resize.Planes = n * c; resize.Grad(y, x) }},
		{"GatherRows", size, size, true, func(y, x []float32, n int) { GatherRows(y, x, rows[:n*c*h], w) }},
		{"ScatterAddRows", size, size, true, func(y, x []float32, n int) { ScatterAddRows(y, x, rows[:n*c*h], w) }},
		{"Permute", size, size, false, func(y, x []float32, n int) { shape[0] = n; Permute(y, x, shape, perm) }},
		{"Slice", size, c * (h + 1) / 2 * w / 2, false, func(y, x []float32, n int) {
			shape[0], halves[0] = n, n
			Slice(y, halves, x, shape, zeros, steps)
		}},
		{"Pad", size, c * (h + 2) * (w + 4), false, func(y, x []float32, n int) { shape[0] = n; Pad(y, x, shape, around, around, 3) }},
		{"Roll", size, size, false, func(y, x []float32, n int) { shape[0] = n; Roll(y, x, shape, shift) }},
		{"Rot90", size, size, false, func(y, x []float32, n int) { Rot90(y, x, n*c, h, w, 1) }},
	}
}

func TestNNetSameBitsOnAnyWorkers(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		const n = 9
		for _, call := range nnCalls(rng, n) {
			x := normal(rng, n*call.in)
			checkSameBits(t, call.name, n*call.out, func(y []float32) { call.run(y, x, n) })
		}
	})
}

func TestNNetSamplesAreIndependent(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		const n = 7
		for _, call := range nnCalls(rng, n) {
			if call.batch {
				continue
			}
			x, y := normal(rng, n*call.in), make([]float32, n*call.out)
			call.run(y, x, n)
			for i := range n {
				alone, sample := misaligned(call.out, rng.Intn(16)), misaligned(call.in, rng.Intn(16))
				copy(sample, x[i*call.in:])
				call.run(alone, sample, 1)
				if j := sameBits(alone, y[i*call.out:(i+1)*call.out]); j >= 0 {
					t.Fatalf("%s: number %d of sample %d is %v in a batch of %d, %v alone", call.name, j, i, y[i*call.out+j], n, alone[j])
				}
			}
		}
	})
}

// A thousand rounds of each would take longer than they are worth: the calls take
// turns.
func TestNNetDoesNotAllocate(t *testing.T) {
	rng := newRand(t)
	const n = 9
	calls := nnCalls(rng, n)
	x, y := normal(rng, n*6*35*44), make([]float32, n*6*35*44)
	turn := 0
	checkNoMallocs(t, "the calls in turn", func() {
		call := calls[turn%len(calls)]
		turn++
		call.run(y[:n*call.out], x[:n*call.in], n)
	})
}
