package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mettleml/mettle/internal/golden"
)

// The matrices in float64, from the points.
var (
	winoPoints = []float64{0, math.Sqrt2 / 2, -math.Sqrt2 / 2, math.Sqrt2, -math.Sqrt2}

	// winoBT is Bᵀ: row i is the product of x - point over all other finite points,
	// lowest power first; the last row takes them all.
	winoBT = func() (b [6][6]float64) {
		for i := range b {
			b[i][0] = 1
			for j, p := range winoPoints {
				if j == i {
					continue
				}
				for k := 5; k >= 0; k-- {
					b[i][k] *= -p
					if k > 0 {
						b[i][k] += b[i][k-1]
					}
				}
			}
		}
		return b
	}()

	// winoAT is Aᵀ: column i holds the powers of point i; infinity's is the highest.
	winoAT = func() (a [4][6]float64) {
		for i, p := range winoPoints {
			for j := range a {
				a[j][i] = math.Pow(p, float64(j))
			}
		}
		a[3][5] = 1
		return a
	}()

	// winoG is G: row i holds the powers of point i over the product of its
	// differences from the other points.
	winoG = func() (g [6][3]float64) {
		for i, p := range winoPoints {
			n := 1.
			for j, q := range winoPoints {
				if j != i {
					n *= p - q
				}
			}
			for j := range g[i] {
				g[i][j] = math.Pow(p, float64(j)) / n
			}
		}
		g[5][2] = 1
		return g
	}()
)

// The bilinear form that the matrices make is correlation: for every filter tap
// j, input k and output i, sum over positions p of A[p,i] G[p,j] B[k,p] is 1 if
// k = i+j and 0 if not. That proves the identity for all data.
func TestWinogradIdentity(t *testing.T) {
	for i := range 4 {
		for j := range 3 {
			for k := range 6 {
				var sum float64
				for p := range 6 {
					sum += winoAT[i][p] * winoG[p][j] * winoBT[p][k]
				}
				want := 0.
				if k == i+j {
					want = 1
				}
				if math.Abs(sum-want) > 1e-14 {
					t.Errorf("output %d, tap %d, input %d: %g, want %g", i, j, k, sum, want)
				}
			}
		}
	}
}

// The one-dimensional transforms of the generic set are those matrices.
func TestWinogradTransforms(t *testing.T) {
	check := func(name string, f func([6]float32) [6]float32, rows, cols int, entry func(i, j int) float64) {
		for j := range cols {
			var in [6]float32
			in[j] = 1
			out := f(in)
			for i := range rows {
				if want := entry(i, j); math.Abs(float64(out[i])-want) > 3e-7 {
					t.Errorf("%s[%d,%d] is %g, want %g", name, i, j, out[i], want)
				}
			}
		}
	}
	check("Bᵀ", winoInput1, 6, 6, func(i, j int) float64 { return winoBT[i][j] })
	check("Aᵀ", winoOutput1, 4, 6, func(i, j int) float64 { return winoAT[i][j] })
	check("A", winoGradient1, 6, 4, func(i, j int) float64 { return winoAT[j][i] })
	check("G", winoFilter1, 6, 3, func(i, j int) float64 { return winoG[i][j] })
	check("Gᵀ", winoFilterGradient1, 3, 6, func(i, j int) float64 { return winoG[j][i] })
}

// winoTest draws a shape that winogradWeightsCan accepts.
func winoTest(rng *rand.Rand) ConvShape {
	pick := func(v ...int) int { return v[rng.IntN(len(v))] }
	for {
		s := ConvShape{
			N: pick(0, 1, 1, 2, 3, 5),
			C: pick(1, 1, 2, 3, 5, 8, 15, 16, 17, 33, 48), O: pick(1, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 50),
			In:     [3]int{1, pick(1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 16, 19, 30), pick(1, 2, 3, 4, 5, 7, 8, 9, 11, 14, 16, 17, 21, 33)},
			Kernel: [3]int{1, 3, 3},
			Pad:    [3]int{0, pick(0, 1, 1, 2, 3, 5), pick(0, 1, 1, 2, 3, 5)},
		}
		if rng.IntN(3) == 0 {
			s.In[0], s.Kernel[0], s.Pad[0] = pick(1, 2, 3, 5, 8), pick(1, 3, 3), pick(0, 1, 1, 2, 4)
		}
		if rng.IntN(2) == 0 {
			s.Kernel, s.Stride = [3]int{1, pick(2, 3, 4, 5, 6), pick(2, 3, 4, 5, 6)}, [3]int{1, 2, 2}
			s.Pad[0] = 0
			if rng.IntN(2) == 0 {
				s.In[0], s.Kernel[0], s.Stride[0], s.Pad[0] = pick(1, 2, 3, 4, 5, 8, 9), 3, pick(1, 2, 2), pick(0, 1, 1, 2, 4)
			}
		}
		if s.In[0]+2*s.Pad[0] < s.Kernel[0] || s.In[1]+2*s.Pad[1] < s.Kernel[1] || s.In[2]+2*s.Pad[2] < s.Kernel[2] {
			continue
		}
		s.Resolve()
		if winogradWeightsCan(&s) && s.N*s.C*s.O*volume(s.Out)*volume(s.Kernel) < 8e6 {
			return s
		}
	}
}

// closeToTypical is closeTo, but never stricter than for entries as large as sums
// of so many products typically are: the largest entry of a small result may be
// an accident of cancellation.
func closeToTypical(t *testing.T, what string, got []float32, want []float64, products int, tol float64) {
	t.Helper()
	largest := math.Sqrt(float64(products))
	for _, v := range want {
		largest = max(largest, math.Abs(v))
	}
	for i, v := range want {
		if d := math.Abs(float64(got[i]) - v); !(d <= tol*largest) {
			t.Errorf("%s: entry %d is %g, want %g: off by %.2g of %g", what, i, got[i], v, d/largest, largest)
			return
		}
	}
}

func checkWinograd(t *testing.T, s *ConvShape, rng *rand.Rand) {
	t.Helper()
	x, w, dy := randoms(rng, s.XLen()), randoms(rng, s.WLen()), randoms(rng, s.YLen())
	var bias, tbias []float32
	if rng.IntN(2) == 0 {
		bias, tbias = randoms(rng, s.O), randoms(rng, s.C)
	}
	act := Act(rng.IntN(2))
	ref := convRef{s, widen(dy), widen(x), widen(w)}
	taps := volume(s.Kernel)

	if winogradCan(s) {
		y := guarded(s.YLen())
		winogradForward(s, y.v, x, w, bias, act)
		want := ref.forward()
		addBias(want, bias, volume(s.Out), act)
		closeToTypical(t, fmt.Sprintf("%+v forward", *s), y.v, want, s.C*taps, convTol)
		y.check(t, "forward")

		dx := guarded(s.XLen())
		winogradBackwardData(s, dx.v, dy, w, tbias, act)
		want = ref.data()
		addBias(want, tbias, volume(s.In), act)
		closeToTypical(t, fmt.Sprintf("%+v gradient to data", *s), dx.v, want, s.O*taps, convTol)
		dx.check(t, "gradient to data")
	}
	dw := guarded(s.WLen())
	winogradBackwardWeights(s, dw.v, dy, x)
	closeToTypical(t, fmt.Sprintf("%+v gradient to weights", *s), dw.v, ref.weights(), s.N*volume(s.Out), convTol)
	dw.check(t, "gradient to weights")
}

func TestWinogradRandomShapes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachSet(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 2))
		count := 80
		if testing.Short() {
			count = 20
		}
		for range count {
			s := winoTest(rng)
			checkWinograd(t, &s, rng)
			if t.Failed() {
				return
			}
		}
	})
}

// The last rows of an image are not those of the run before; many channels and few
// tiles take another way.
func TestWinogradFixedShapes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachSet(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 7))
		for _, s := range []ConvShape{
			{N: 2, C: 20, O: 18, In: [3]int{1, 21, 19}, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 1, 1}},
			{N: 2, C: 131, O: 117, In: [3]int{1, 6, 5}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}},
			{N: 3, C: 70, O: 83, In: [3]int{2, 5, 3}, Kernel: [3]int{3, 3, 3}, Pad: [3]int{1, 1, 1}},
			{N: 1, C: 131, O: 18, In: [3]int{2, 5, 3}, Kernel: [3]int{3, 3, 3}, Pad: [3]int{1, 1, 1}},
			{N: 2, C: 131, O: 117, In: [3]int{1, 9, 10}, Kernel: [3]int{1, 4, 4}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 1, 1}},
			{N: 3, C: 70, O: 83, In: [3]int{1, 7, 8}, Kernel: [3]int{1, 3, 6}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 0, 2}},
		} {
			s.Resolve()
			checkWinograd(t, &s, rng)
		}
	})
}

// At the largest number of channels in use every pass stays within the tolerance
// of direct convolution: on samples of the result, and of the gradients, computed
// in float64.
func TestWinogradAccuracy(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(8, 8))
		s := ConvShape{N: 1, C: 256, O: 256, In: [3]int{1, 14, 14}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}
		s.Resolve()
		x, w, dy := randoms(rng, s.XLen()), randoms(rng, s.WLen()), randoms(rng, s.YLen())
		y, dx, dw := make([]float32, s.YLen()), make([]float32, s.XLen()), make([]float32, s.WLen())
		winogradForward(&s, y, x, w, nil, ActNone)
		winogradBackwardData(&s, dx, dy, w, nil, ActNone)
		winogradBackwardWeights(&s, dw, dy, x)
		check := func(what string, got []float32, at func(i int) float64) {
			var largest, worst float64
			for _, v := range got {
				largest = max(largest, math.Abs(float64(v)))
			}
			for range 2000 {
				i := rng.IntN(len(got))
				worst = max(worst, math.Abs(float64(got[i])-at(i)))
			}
			t.Logf("%s: off by %.1e of the largest entry", what, worst/largest)
			if !(worst <= convTol*largest) {
				t.Errorf("%s: off by %g where the largest entry is %g", what, worst, largest)
			}
		}
		pixel := func(v []float32, channel, i, j int) float64 {
			if i < 0 || i >= 14 || j < 0 || j >= 14 {
				return 0
			}
			return float64(v[(channel*14+i)*14+j])
		}
		check("forward", y, func(i int) (sum float64) {
			for c := range 256 {
				for k := range 9 {
					sum += pixel(x, c, i/14%14+k/3-1, i%14+k%3-1) * float64(w[(i/196*256+c)*9+k])
				}
			}
			return sum
		})
		check("gradient to data", dx, func(i int) (sum float64) {
			for o := range 256 {
				for k := range 9 {
					sum += pixel(dy, o, i/14%14-k/3+1, i%14-k%3+1) * float64(w[(o*256+i/196)*9+k])
				}
			}
			return sum
		})
		check("gradient to weights", dw, func(i int) (sum float64) {
			for p := range 196 {
				sum += pixel(dy, i/9/256, p/14, p%14) * pixel(x, i/9%256, p/14+i%9/3-1, p%14+i%3-1)
			}
			return sum
		})
	})
}

func TestWinogradGolden(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		done := 0
		for _, op := range []string{"conv2d", "conv3d", "conv_transpose2d"} {
			for _, c := range golden.Cases(t, op) {
				s := goldenShape(c)
				if !winogradCan(&s) {
					continue
				}
				done++
				x, w, cot := c.Inputs["x"].Data, c.Inputs["w"].Data, c.Cotangent.Data
				out, dx, dw := make([]float32, len(cot)), make([]float32, len(x)), make([]float32, len(w))
				b := c.Inputs["b"].Data
				if op == "conv_transpose2d" {
					winogradBackwardData(&s, out, x, w, b, ActNone)
					winogradForward(&s, dx, cot, w, nil, ActNone)
					winogradBackwardWeights(&s, dw, x, cot)
				} else {
					winogradForward(&s, out, x, w, b, ActNone)
					winogradBackwardData(&s, dx, cot, w, nil, ActNone)
					winogradBackwardWeights(&s, dw, cot, x)
				}
				golden.Check(t, c.Name+" output", out, c.Output, convTol)
				golden.Check(t, c.Name+" grad x", dx, c.Grads["x"], convTol)
				golden.Check(t, c.Name+" grad w", dw, c.Grads["w"], convTol)
			}
		}
		if done == 0 {
			t.Error("no golden case suits")
		}
	})
}

// winoShapes2 are shapes whose chunks, runs and blocks end in every way.
var winoShapes2 = []ConvShape{
	{N: 7, C: 16, O: 16, In: [3]int{1, 32, 32}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}},
	{N: 7, C: 33, O: 50, In: [3]int{1, 8, 8}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}},
	{N: 7, C: 20, O: 70, In: [3]int{1, 13, 14}, Kernel: [3]int{1, 3, 3}},
	{N: 7, C: 140, O: 60, In: [3]int{1, 6, 7}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}},
	{N: 3, C: 40, O: 70, In: [3]int{4, 11, 5}, Kernel: [3]int{3, 3, 3}, Pad: [3]int{1, 1, 1}},
	{N: 7, C: 16, O: 40, In: [3]int{1, 28, 27}, Kernel: [3]int{1, 4, 4}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 1, 1}},
	{N: 7, C: 140, O: 60, In: [3]int{1, 9, 8}, Kernel: [3]int{1, 3, 5}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 1, 2}},
	{N: 3, C: 140, O: 20, In: [3]int{2, 9, 10}, Kernel: [3]int{3, 3, 3}, Pad: [3]int{1, 1, 1}},
}

func TestWinogradSameBitsOnAnyWorkers(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 3))
		for _, s := range winoShapes2 {
			s.Resolve()
			x, w, dy := randoms(rng, s.XLen()), randoms(rng, s.WLen()), randoms(rng, s.YLen())
			checkSameBits(t, "forward", s.YLen(), func(y []float32) { winogradForward(&s, y, x, w, nil, ActReLU) })
			checkSameBits(t, "gradient to data", s.XLen(), func(dx []float32) { winogradBackwardData(&s, dx, dy, w, nil, ActNone) })
			checkSameBits(t, "gradient to weights", s.WLen(), func(dw []float32) { winogradBackwardWeights(&s, dw, dy, x) })
		}
		s := ConvShape{N: 3, C: 66, O: 50, In: [3]int{5, 9, 10}, Kernel: [3]int{3, 3, 3}, Stride: [3]int{2, 2, 2}, Pad: [3]int{1, 1, 1}}
		s.Resolve()
		x, dy := randoms(rng, s.XLen()), randoms(rng, s.YLen())
		checkSameBits(t, "gradient to the weights of frames", s.WLen(), func(dw []float32) { winogradBackwardWeights(&s, dw, dy, x) })
	})
}

// A sample has the same result alone and anywhere in a batch.
func TestWinogradSamplesAreIndependent(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(4, 4))
		for _, s := range winoShapes2 {
			batches := []int{7, 128}
			if Active().Name == "generic" || s.In[0] > 1 {
				batches = []int{7, 20}
			}
			s.N = 1
			s.Resolve()
			x, dy, w := randoms(rng, s.XLen()), randoms(rng, s.YLen()), randoms(rng, s.WLen())
			y, dx := make([]float32, s.YLen()), make([]float32, s.XLen())
			winogradForward(&s, y, x, w, nil, ActNone)
			winogradBackwardData(&s, dx, dy, w, nil, ActNone)
			for _, n := range batches {
				b := s
				b.N = n
				xs, dys := randoms(rng, b.XLen()), randoms(rng, b.YLen())
				at := rng.IntN(n)
				copy(xs[at*len(x):], x)
				copy(dys[at*len(dy):], dy)
				ys, dxs := make([]float32, b.YLen()), make([]float32, b.XLen())
				winogradForward(&b, ys, xs, w, nil, ActNone)
				winogradBackwardData(&b, dxs, dys, w, nil, ActNone)
				if i := sameBits(y, ys[at*len(y):]); i >= 0 {
					t.Errorf("%+v: forward: entry %d is %v alone, %v as sample %d of %d", s, i, y[i], ys[at*len(y)+i], at, n)
				}
				if i := sameBits(dx, dxs[at*len(dx):]); i >= 0 {
					t.Errorf("%+v: gradient to data: entry %d is %v alone, %v as sample %d of %d", s, i, dx[i], dxs[at*len(dx)+i], at, n)
				}
			}
		}
	})
}

// TestWinogradWeightsInRounds takes a gradient whose transforms are too big for one
// round, and adds up those of its images, which take one each.
func TestWinogradWeightsInRounds(t *testing.T) {
	s := ConvShape{N: 2, C: 130, O: 120, In: [3]int{1, 64, 66}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}
	s.Resolve()
	one := s
	one.N = 1
	rounds := func(s *ConvShape) int {
		plan := winoTasks.get()
		defer plan.release()
		plan.describe(s, false)
		plan.ops = &Active().wino
		plan.planWeights()
		return plan.rounds
	}
	if many, few := rounds(&s), rounds(&one); many < 2 || few != 1 {
		t.Fatalf("%d rounds for two images, %d for one", many, few)
	}
	eachSet(t, func(t *testing.T) {
		if testing.Short() && Active().Name == "generic" {
			t.Skip("slow")
		}
		rng := rand.New(rand.NewPCG(9, 9))
		x, dy := randoms(rng, s.XLen()), randoms(rng, s.YLen())
		dw, want := make([]float32, s.WLen()), make([]float64, s.WLen())
		for i := range 2 {
			winogradBackwardWeights(&one, dw, dy[i*one.YLen():][:one.YLen()], x[i*one.XLen():][:one.XLen()])
			for j, v := range dw {
				want[j] += float64(v)
			}
		}
		winogradBackwardWeights(&s, dw, dy, x)
		closeToTypical(t, "gradient to weights", dw, want, 1, convTol)
		checkSameBits(t, "gradient to weights", len(dw), func(dw []float32) { winogradBackwardWeights(&s, dw, dy, x) })
	})
}

// Numbers that are not finite reach the results that depend on them and harm
// nothing else than the tiles they belong to.
func TestWinogradNaNAndInf(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 5))
		s := ConvShape{N: 2, C: 5, O: 18, In: [3]int{1, 12, 12}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}
		s.Resolve()
		x, w := randoms(rng, s.XLen()), randoms(rng, s.WLen())
		x[0], x[11*12+11] = float32(math.NaN()), float32(math.Inf(1))
		y, dw := make([]float32, s.YLen()), make([]float32, s.WLen())
		winogradForward(&s, y, x, w, nil, ActReLU)
		for o := range s.O {
			if p := y[o*144:]; p[0] == p[0] || p[143]-p[143] == 0 {
				t.Fatalf("channel %d has %v and %v where the input is NaN and Inf", o, p[0], p[143])
			}
			for i, v := range y[o*144:][:144] {
				first, last := i/12 < 4 && i%12 < 4, i/12 >= 8 && i%12 >= 8
				if !first && !last && v-v != 0 {
					t.Fatalf("channel %d has %v at %d, %d", o, v, i/12, i%12)
				}
			}
		}
		for i, v := range y[s.O*144:] {
			if v-v != 0 {
				t.Fatalf("entry %d of the other image is %v", i, v)
			}
		}
		winogradBackwardWeights(&s, dw, y, x)
		if dw[4] == dw[4] {
			t.Errorf("the gradient to weights is %v", dw[4])
		}
	})
}

func TestWinogradDoesNotAllocate(t *testing.T) {
	s := ConvShape{N: 3, C: 17, O: 8, In: [3]int{1, 9, 9}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}
	s.Resolve()
	rng := rand.New(rand.NewPCG(6, 6))
	x, w, dy := randoms(rng, s.XLen()), randoms(rng, s.WLen()), randoms(rng, s.YLen())
	y, dx, dw := make([]float32, s.YLen()), make([]float32, s.XLen()), make([]float32, s.WLen())
	checkNoMallocs(t, "forward", func() { winogradForward(&s, y, x, w, nil, ActNone) })
	checkNoMallocs(t, "gradient to data", func() { winogradBackwardData(&s, dx, dy, w, nil, ActNone) })
	checkNoMallocs(t, "gradient to weights", func() { winogradBackwardWeights(&s, dw, dy, x) })
}
