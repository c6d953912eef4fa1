package kernel

import (
	"fmt"
	"math"
	"math/rand"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// convCases are shapes that take every way through the code: direct and packed
// lists, cut images and merged ones, chunks of channels, residues, groups,
// Winograd and matrix products.
var convCases = []ConvShape{
	{C: 3, O: 64, In: [3]int{1, 61, 61}, Kernel: [3]int{1, 7, 7}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 3, 3}},
	{C: 70, O: 33, In: [3]int{1, 7, 7}, Kernel: [3]int{1, 4, 4}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 1, 1}},
	{C: 16, O: 8, In: [3]int{1, 14, 14}, Kernel: [3]int{1, 4, 4}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 1, 1}},
	{C: 1, O: 16, In: [3]int{1, 28, 28}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}},
	{C: 32, O: 32, In: [3]int{1, 8, 8}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}},
	{C: 20, O: 24, In: [3]int{1, 17, 17}, Kernel: [3]int{1, 1, 1}},
	{C: 64, O: 10, In: [3]int{1, 2, 3}, Kernel: [3]int{1, 1, 1}},
	{C: 9, O: 600, In: [3]int{1, 2, 3}, Kernel: [3]int{1, 1, 1}},
	{C: 12, O: 24, Groups: 12, In: [3]int{1, 9, 20}, Kernel: [3]int{1, 3, 5}, Pad: [3]int{0, 1, 2}},
	{C: 20, O: 20, Groups: 20, In: [3]int{1, 9, 20}, Kernel: [3]int{1, 3, 5}, Pad: [3]int{0, 1, 2}},
	{C: 37, O: 37, Groups: 37, In: [3]int{1, 43, 42}, Kernel: [3]int{1, 4, 3}, Stride: [3]int{1, 2, 3}, Pad: [3]int{0, 3, 1}, Dilation: [3]int{1, 1, 2}},
	{C: 8, O: 8, Groups: 8, In: [3]int{1, 9, 9}, Kernel: [3]int{1, 3, 3}, Stride: [3]int{3, 3, 3}, Pad: [3]int{1, 1, 1}},
	{C: 8, O: 8, Groups: 8, In: [3]int{1, 9, 9}, Kernel: [3]int{1, 3, 3}, Stride: [3]int{3, 1, 1}, Pad: [3]int{1, 1, 1}},
	{C: 12, O: 6, Groups: 3, In: [3]int{1, 10, 11}, Kernel: [3]int{1, 5, 5}, Stride: [3]int{1, 3, 1}, Pad: [3]int{0, 2, 5}, Dilation: [3]int{1, 1, 2}},
	{C: 3, O: 5, In: [3]int{6, 12, 18}, Kernel: [3]int{3, 3, 3}, Stride: [3]int{2, 1, 2}, Pad: [3]int{1, 1, 1}},
	{C: 2, O: 3, In: [3]int{1, 5, 300}, Kernel: [3]int{1, 2, 31}, Stride: [3]int{1, 1, 4}, Pad: [3]int{0, 0, 8}},
}

// eachConvCase runs f for every shape of convCases with n images.
func eachConvCase(t *testing.T, n int, f func(t *testing.T, s *ConvShape)) {
	for _, s := range convCases {
		s.N = n
		s.Resolve()
		t.Run(fmt.Sprintf("%dto%d_%v_k%v_s%v", s.C, s.O, s.In, s.Kernel, s.Stride), func(t *testing.T) { f(t, &s) })
	}
}

func TestConvSameBitsForAnyWorkers(t *testing.T) {
	rng := newRand(t)
	eachSet(t, func(t *testing.T) {
		eachConvCase(t, 5, func(t *testing.T, s *ConvShape) {
			x, w, dy := normal(rng, s.XLen()), normal(rng, s.WLen()), normal(rng, s.YLen())
			bias := normal(rng, s.O)
			checkSameBits(t, "forward", s.YLen(), func(out []float32) { ConvForward(s, out, x, w, bias, ActReLU) })
			checkSameBits(t, "gradient to data", s.XLen(), func(out []float32) { ConvBackwardData(s, out, dy, w) })
			checkSameBits(t, "gradient to weights", s.WLen(), func(out []float32) { ConvBackwardWeights(s, out, dy, x) })
		})
	})
}

// TestConvSameBitsInAnyBatch puts one image at several places of batches of
// others: its results never change.
func TestConvSameBitsInAnyBatch(t *testing.T) {
	rng := newRand(t)
	eachSet(t, func(t *testing.T) {
		eachConvCase(t, 1, func(t *testing.T, s *ConvShape) {
			x, w, dy := normal(rng, s.XLen()), normal(rng, s.WLen()), normal(rng, s.YLen())
			y, dx := make([]float32, s.YLen()), make([]float32, s.XLen())
			ConvForward(s, y, x, w, nil, ActNone)
			ConvBackwardData(s, dx, dy, w)
			for _, n := range []int{7, 128} {
				if n == 128 && (testing.Short() || s.O*(s.C/s.Groups)*volume(s.Kernel)*volume(s.Out) > 1e6) {
					n = 16
				}
				many := *s
				many.N = n
				bx, bdy := normal(rng, many.XLen()), normal(rng, many.YLen())
				places := []int{0, n / 2, n - 1}
				for _, at := range places {
					copy(bx[at*len(x):], x)
					copy(bdy[at*len(dy):], dy)
				}
				by, bdx := make([]float32, many.YLen()), make([]float32, many.XLen())
				ConvForward(&many, by, bx, w, nil, ActNone)
				ConvBackwardData(&many, bdx, bdy, w)
				for _, at := range places {
					if i := sameBits(y, by[at*len(y):][:len(y)]); i >= 0 {
						t.Errorf("forward: image %d of %d differs at %d", at, n, i)
					}
					if i := sameBits(dx, bdx[at*len(dx):][:len(dx)]); i >= 0 {
						t.Errorf("gradient to data: image %d of %d differs at %d", at, n, i)
					}
				}
			}
		})
	})
}

// TestConvKeepsNaNInItsImage fills one image of a batch with NaN and one with NaN and
// infinities.
func TestConvKeepsNaNInItsImage(t *testing.T) {
	rng := newRand(t)
	eachSet(t, func(t *testing.T) {
		eachConvCase(t, 4, func(t *testing.T, s *ConvShape) {
			x, w, dy := normal(rng, s.XLen()), normal(rng, s.WLen()), normal(rng, s.YLen())
			for n := 1; n < 4; n += 2 {
				for _, v := range [][]float32{x[n*s.XLen()/4:][:s.XLen()/4], dy[n*s.YLen()/4:][:s.YLen()/4]} {
					for i := range v {
						v[i] = float32(math.NaN())
						if n == 3 && i%2 == 0 { // ReLU makes 0 of infinities that sum to a negative one
							v[i] = float32(math.Inf(1))
						}
					}
				}
			}
			y, dx := make([]float32, s.YLen()), make([]float32, s.XLen())
			ConvForward(s, y, x, w, nil, ActReLU)
			ConvBackwardData(s, dx, dy, w)
			for what, v := range map[string][]float32{"forward": y, "gradient to data": dx} {
				for i, e := range v {
					odd := i/(len(v)/4)%2 == 1
					bad := math.IsNaN(float64(e)) || math.IsInf(float64(e), 0)
					if bad && !odd {
						t.Fatalf("%s: image %d holds %v at %d", what, i/(len(v)/4), e, i)
					}
				}
				if e := v[len(v)/4+len(v)/8]; !math.IsNaN(float64(e)) && !math.IsInf(float64(e), 0) && what == "forward" && s.Stride[1] < 3 && s.Stride[0] < 3 {
					t.Errorf("%s: the image of NaN holds %v in its middle", what, e)
				}
			}
		})
	})
}

// smallConvCase turns a shape of convCases into one of the same kind that a test can
// run many times.
func smallConvCase(s ConvShape) *ConvShape {
	s.N = 2
	for d := 1; d < 3; d++ {
		s.In[d] = min(s.In[d], max(6, s.Kernel[d]*2))
	}
	s.Resolve()
	return &s
}

// yieldInside makes goroutines take turns in the middle of convolutions, after every
// call of most loops, until restore is called.
func yieldInside() (restore func()) {
	set := Active()
	old := *set
	set.wino.pack = func(dst, src *float32, at *int32, plane, n, nch, ahead int) {
		old.wino.pack(dst, src, at, plane, n, nch, ahead)
		runtime.Gosched()
	}
	set.wino.unpack = func(dst, src *float32, at *int32, plane, n, nch, ahead int) {
		runtime.Gosched()
		old.wino.unpack(dst, src, at, plane, n, nch, ahead)
	}
	set.gemm.packCopy = func(dst []float32, ds int, src []float32, ss int, lanes, k int) {
		old.gemm.packCopy(dst, ds, src, ss, lanes, k)
		runtime.Gosched()
	}
	set.conv.strips = slices.Clone(old.conv.strips)
	for i := range set.conv.strips {
		for j, tile := range set.conv.strips[i].tile {
			if tile != nil {
				set.conv.strips[i].tile[j] = func(p *byte) { tile(p); runtime.Gosched() }
			}
		}
	}
	return func() { *set = old }
}

// TestConvConcurrent runs the passes in two goroutines at once, in different orders.
func TestConvConcurrent(t *testing.T) {
	withWorkers(t, 1)
	rng := newRand(t)
	eachSet(t, func(t *testing.T) {
		defer yieldInside()()
		for _, c := range convCases {
			s := smallConvCase(c)
			x, w, dy := normal(rng, s.XLen()), normal(rng, s.WLen()), normal(rng, s.YLen())
			passes := []struct {
				what string
				size int
				run  func(out []float32)
			}{
				{"forward", s.YLen(), func(y []float32) { ConvForward(s, y, x, w, nil, ActReLU) }},
				{"gradient to data", s.XLen(), func(dx []float32) { ConvBackwardData(s, dx, dy, w) }},
				{"gradient to weights", s.WLen(), func(dw []float32) { ConvBackwardWeights(s, dw, dy, x) }},
			}
			var want [3][]float32
			for i, p := range passes {
				want[i] = make([]float32, p.size)
				p.run(want[i])
			}
			var wg sync.WaitGroup
			for first := range 2 {
				wg.Go(func() {
					order := rand.New(rand.NewSource(int64(first)))
					for range 10 * len(passes) {
						i := order.Intn(len(passes))
						p := passes[i]
						got := make([]float32, p.size)
						p.run(got)
						if at := sameBits(got, want[i]); at >= 0 {
							t.Errorf("%+v: %s: number %d is %v, alone %v", *s, p.what, at, got[at], want[i][at])
						}
					}
				})
			}
			wg.Wait()
		}
	})
}

// A depthwise convolution that begins while another writes its gradient to weights
// does not take that one's tables.
func TestDepthwiseWeightsKeepTheirTables(t *testing.T) {
	withWorkers(t, 1)
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		s := ConvShape{N: 2, C: 20, O: 20, Groups: 20, In: [3]int{1, 6, 7}, Kernel: [3]int{1, 3, 5}, Pad: [3]int{0, 1, 2}}
		s.Resolve()
		x, w, dy := normal(rng, s.XLen()), normal(rng, s.WLen()), normal(rng, s.YLen())
		dx, want, dw := make([]float32, s.XLen()), make([]float32, s.WLen()), make([]float32, s.WLen())
		depthwiseWeights(&s, want, dy, x)
		ops := &Active().wino
		unpack := ops.unpack
		defer func() { ops.unpack = unpack }()
		ops.unpack = func(dst, src *float32, at *int32, plane, n, nch, ahead int) {
			ops.unpack = unpack
			depthwiseConv(&s, dx, dy, w, nil, ActNone, true)
			unpack(dst, src, at, plane, n, nch, ahead)
		}
		depthwiseWeights(&s, dw, dy, x)
		if i := sameBits(dw, want); i >= 0 {
			t.Errorf("number %d is %v, alone %v", i, dw[i], want[i])
		}
	})
}

// TestConvAdjoint checks <conv(x), y> = <x, convTransposed(y)>, which ties the
// passes together without an oracle.
func TestConvAdjoint(t *testing.T) {
	rng := newRand(t)
	dot := func(a, b []float32) (sum, size float64) {
		for i := range a {
			p := float64(a[i]) * float64(b[i])
			sum += p
			size += math.Abs(p)
		}
		return sum, size
	}
	eachSet(t, func(t *testing.T) {
		eachConvCase(t, 3, func(t *testing.T, s *ConvShape) {
			x, w, y := normal(rng, s.XLen()), normal(rng, s.WLen()), normal(rng, s.YLen())
			cx, cy, cw := make([]float32, s.YLen()), make([]float32, s.XLen()), make([]float32, s.WLen())
			ConvForward(s, cx, x, w, nil, ActNone)
			ConvTransposeForward(s, cy, y, w, nil, ActNone)
			ConvBackwardWeights(s, cw, y, x)
			a, size := dot(cx, y)
			b, _ := dot(x, cy)
			c, _ := dot(w, cw)
			if math.Abs(a-b) > 1e-5*size || math.Abs(a-c) > 1e-5*size {
				t.Errorf("<conv x, y> = %g, <x, convT y> = %g, <w, dw> = %g", a, b, c)
			}
		})
	})
}

func TestConvDoesNotAllocate(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for _, c := range convCases {
		s := smallConvCase(c)
		x, w, dy := normal(rng, s.XLen()), normal(rng, s.WLen()), normal(rng, s.YLen())
		y, dx, dw, bias := make([]float32, s.YLen()), make([]float32, s.XLen()), make([]float32, s.WLen()), normal(rng, s.O)
		checkNoMallocs(t, fmt.Sprintf("%d to %d channels, kernel %v", s.C, s.O, s.Kernel), func() {
			ConvForward(s, y, x, w, bias, ActReLU)
			ConvBackwardData(s, dx, dy, w)
			ConvBackwardWeights(s, dw, dy, x)
		})
	}
}

// The places of a band's pixels are bytes in 32 bits. What needs more is done in
// another way or not at all.
func TestConvOffsetsFit(t *testing.T) {
	tall := ConvShape{N: 1, C: 8, O: 8, Groups: 8, In: [3]int{1, 1, 4096}, Kernel: [3]int{1, 3, 3},
		Pad: [3]int{0, 8192, 1}, Dilation: [3]int{1, 8192, 1}}
	tall.Resolve()
	wide := ConvShape{N: 1, C: 16, O: 16, In: [3]int{1, 4, 1 << 23}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}
	wide.Resolve()
	wider := wide
	wider.Stride = [3]int{1, 2, 2}
	wider.Resolve()
	for what, suits := range map[string]bool{
		"depthwise":                  depthwiseSuits(&tall, false),
		"depthwise gradient to data": depthwiseSuits(&tall, true),
		"winograd":                   winogradCan(&wide),
		"winograd, stride 2":         winogradCan(&wider),
	} {
		if suits {
			t.Errorf("%s takes an image that is too large for it", what)
		}
	}
	defer func() {
		if v := fmt.Sprint(recover()); !strings.HasPrefix(v, "kernel: Conv: ") {
			t.Errorf("direct: %s", v)
		}
	}()
	taller := ConvShape{N: 1, C: 1, O: 1, In: [3]int{1, 1, 4096}, Kernel: [3]int{1, 3, 3},
		Pad: [3]int{0, 1 << 20, 1}, Dilation: [3]int{1, 1 << 20, 1}}
	taller.Resolve()
	ConvForward(&taller, make([]float32, taller.YLen()), make([]float32, taller.XLen()), make([]float32, 9), nil, ActNone)
}

// 2^32 products are many on a machine of 32 bits, too.
func TestConvWeightsShareMany(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		s := ConvShape{N: 128, C: 4, O: 64, In: [3]int{1, 1, 1 << 17}, Kernel: [3]int{1, 1, 1}}
		s.Resolve()
		var task convGradTask
		p := &task.plan
		p.reset(&s, false)
		p.cut(convRoom, convBlockVecs)
		if n := float64(volume(p.block)*volume(p.blocks)) * float64(p.grid()[2]*p.m*p.depth*p.kernel); n != 1<<32 {
			t.Fatalf("%v products", n)
		}
		if task.share(); task.groupsOnce != 1 || task.splits != 16 {
			t.Errorf("%d groups in a part and %d splits, want 1 and 16", task.groupsOnce, task.splits)
		}
	})
}

func TestConvShapePanics(t *testing.T) {
	for name, f := range map[string]func(){
		"kernel larger than the input": func() {
			s := ConvShape{N: 1, C: 1, O: 1, In: [3]int{1, 2, 2}, Kernel: [3]int{1, 3, 3}}
			s.Resolve()
		},
		"channels no multiple of the groups": func() {
			s := ConvShape{N: 1, C: 3, O: 4, Groups: 2, In: [3]int{1, 5, 5}, Kernel: [3]int{1, 3, 3}}
			s.Resolve()
		},
		"no kernel": func() {
			s := ConvShape{N: 1, C: 1, O: 1, In: [3]int{1, 5, 5}}
			s.Resolve()
		},
		"output padding as large as the stride": func() {
			s := ConvShape{N: 1, C: 1, O: 1, Out: [3]int{1, 5, 5}, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 2, 2}}
			s.ResolveTransposed([3]int{0, 2, 2})
		},
		"short input": func() {
			s := ConvShape{N: 1, C: 1, O: 1, In: [3]int{1, 5, 5}, Kernel: [3]int{1, 3, 3}}
			s.Resolve()
			ConvForward(&s, make([]float32, 9), make([]float32, 24), make([]float32, 9), nil, ActNone)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}
