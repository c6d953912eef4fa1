package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mettleml/mettle/internal/golden"
)

// convRef holds a convolution in float64, one product at a time.
type convRef struct {
	s       *ConvShape
	y, x, w []float64
}

// each calls f with the places in y, x and w of every product.
func (r *convRef) each(f func(y, x, w int)) {
	s := r.s
	cg, og := s.C/s.Groups, s.O/s.Groups
	wi := 0
	for o := range s.O {
		for c := range cg {
			for kz := range s.Kernel[0] {
				for ky := range s.Kernel[1] {
					for kx := range s.Kernel[2] {
						for n := range s.N {
							for oz := range s.Out[0] {
								iz := oz*s.Stride[0] - s.Pad[0] + kz*s.Dilation[0]
								if iz < 0 || iz >= s.In[0] {
									continue
								}
								for oy := range s.Out[1] {
									iy := oy*s.Stride[1] - s.Pad[1] + ky*s.Dilation[1]
									if iy < 0 || iy >= s.In[1] {
										continue
									}
									yi := (((n*s.O+o)*s.Out[0]+oz)*s.Out[1] + oy) * s.Out[2]
									xi := (((n*s.C+o/og*cg+c)*s.In[0]+iz)*s.In[1] + iy) * s.In[2]
									for ox := range s.Out[2] {
										ix := ox*s.Stride[2] - s.Pad[2] + kx*s.Dilation[2]
										if ix >= 0 && ix < s.In[2] {
											f(yi+ox, xi+ix, wi)
										}
									}
								}
							}
						}
						wi++
					}
				}
			}
		}
	}
}

func (r *convRef) forward() []float64 {
	y := make([]float64, r.s.YLen())
	r.each(func(yi, xi, wi int) { y[yi] += r.x[xi] * r.w[wi] })
	return y
}

func (r *convRef) data() []float64 {
	x := make([]float64, r.s.XLen())
	r.each(func(yi, xi, wi int) { x[xi] += r.y[yi] * r.w[wi] })
	return x
}

func (r *convRef) weights() []float64 {
	w := make([]float64, r.s.WLen())
	r.each(func(yi, xi, wi int) { w[wi] += r.y[yi] * r.x[xi] })
	return w
}

// addBias adds b[c] to channel c of v, which has len(b) channels of p numbers an
// item, and applies act.
func addBias(v []float64, b []float32, p int, act Act) {
	for i := range v {
		if b != nil {
			v[i] += float64(b[i/p%len(b)])
		}
		if act == ActReLU && v[i] < 0 {
			v[i] = 0
		}
	}
}

func randoms(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

func widen(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// closeTo fails unless got is want to within tol of want's largest entry.
func closeTo(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d numbers, want %d", what, len(got), len(want))
		return
	}
	var scale, worst float64
	at := 0
	for i := range want {
		scale = max(scale, math.Abs(want[i]))
		if d := math.Abs(float64(got[i]) - want[i]); !(d <= worst) {
			worst, at = d, i
		}
	}
	if !(worst <= tol*scale) {
		t.Errorf("%s: entry %d is %g, want %g (largest %g)", what, at, got[at], want[at], scale)
	}
}

// randomConvShape draws a shape that keeps the oracle quick.
func randomConvShape(rng *rand.Rand) ConvShape {
	pick := func(v ...int) int { return v[rng.IntN(len(v))] }
	for {
		s := ConvShape{N: pick(0, 1, 1, 2, 3, 5), Groups: pick(1, 1, 1, 2, 3, 5)}
		s.C, s.O = s.Groups*pick(1, 1, 2, 3, 4, 7, 17), s.Groups*pick(1, 2, 3, 4, 5, 8, 9, 16, 19)
		if rng.IntN(20) == 0 {
			s.C = 0
		}
		volumetric := rng.IntN(4) == 0
		for d := range 3 {
			if d == 0 && !volumetric {
				s.In[d], s.Kernel[d] = 1, 1
				continue
			}
			s.In[d] = pick(1, 2, 3, 4, 5, 7, 8, 9, 11, 14, 16, 17, 21, 33)
			if volumetric {
				s.In[d] = pick(1, 2, 3, 5, 8, 9)
			}
			s.Kernel[d] = pick(1, 1, 2, 3, 3, 4, 5, 7)
			s.Stride[d] = pick(1, 1, 1, 2, 2, 3, 5)
			s.Pad[d] = pick(0, 0, 1, 1, 2, 3, 6)
			s.Dilation[d] = pick(1, 1, 1, 2, 3)
		}
		ok := true
		for d := range 3 {
			ok = ok && s.In[d]+2*s.Pad[d] >= (s.Kernel[d]-1)*max(s.Dilation[d], 1)+1
		}
		if !ok {
			continue
		}
		s.Resolve()
		if s.O*(s.C/s.Groups)*volume(s.Kernel)*s.N*volume(s.Out) < 4e6 {
			return s
		}
	}
}

const convTol = 1e-5

// checkConv compares all passes of one shape with the oracle.
func checkConv(t *testing.T, name string, s *ConvShape, rng *rand.Rand) {
	t.Helper()
	x, w, dy := randoms(rng, s.XLen()), randoms(rng, s.WLen()), randoms(rng, s.YLen())
	var bias, tbias []float32
	if rng.IntN(2) == 0 {
		bias, tbias = randoms(rng, s.O), randoms(rng, s.C)
	}
	act := Act(rng.IntN(2))
	ref := convRef{s, widen(dy), widen(x), widen(w)}

	y := guarded(s.YLen())
	ConvForward(s, y.v, x, w, bias, act)
	want := ref.forward()
	addBias(want, bias, volume(s.Out), act)
	closeTo(t, name+" forward", y.v, want, convTol)
	y.check(t, name+" forward")

	dx := guarded(s.XLen())
	ConvBackwardData(s, dx.v, dy, w)
	want = ref.data()
	closeTo(t, name+" gradient to data", dx.v, want, convTol)
	dx.check(t, name+" gradient to data")

	ConvTransposeForward(s, dx.v, dy, w, tbias, act)
	addBias(want, tbias, volume(s.In), act)
	closeTo(t, name+" transposed", dx.v, want, convTol)
	dx.check(t, name+" transposed")

	dw := guarded(s.WLen())
	ConvBackwardWeights(s, dw.v, dy, x)
	closeTo(t, name+" gradient to weights", dw.v, ref.weights(), convTol)
	dw.check(t, name+" gradient to weights")
}

// A guardedSlice lies between cells that nobody may touch, at an address that is
// no multiple of 8. It begins full of NaN.
type guardedSlice struct {
	v, whole []float32
}

const guard = 19

func guarded(n int) guardedSlice {
	whole := make([]float32, n+2*guard)
	for i := range whole {
		whole[i] = float32(math.NaN())
		if i < guard || i >= guard+n {
			whole[i] = 12345
		}
	}
	return guardedSlice{whole[guard : guard+n : guard+n], whole}
}

func (g *guardedSlice) check(t *testing.T, what string) {
	t.Helper()
	for i, v := range g.whole {
		if (i < guard || i >= guard+len(g.v)) && v != 12345 {
			t.Errorf("%s: wrote %v at %d of %d", what, v, i-guard, len(g.v))
			return
		}
	}
}

func TestConvRandomShapes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachSet(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 1))
		count := 150
		if testing.Short() {
			count = 30
		}
		for range count {
			s := randomConvShape(rng)
			checkConv(t, fmt.Sprintf("%+v", s), &s, rng)
			if t.Failed() {
				return
			}
		}
	})
}

// Every kind of convolution agrees with the oracle.
func TestConvCases(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachSet(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 6))
		for _, c := range convCases {
			s := smallConvCase(c)
			checkConv(t, fmt.Sprintf("%+v", *s), s, rng)
		}
	})
}

// goldenShape returns the shape of a golden case; a transposed one comes as the
// convolution whose gradient it is.
func goldenShape(c *golden.Case) (s ConvShape) {
	dims := func(list []int, fill int) (out [3]int) {
		out = [3]int{fill, fill, fill}
		copy(out[3-len(list):], list)
		return out
	}
	x, w := c.Inputs["x"].Shape, c.Inputs["w"].Shape
	s.N, s.Groups = x[0], 1
	s.Kernel = dims(w[2:], 1)
	s.Stride, s.Pad, s.Dilation = dims(c.Ints("stride"), 1), dims(c.Ints("padding"), 0), dims(c.Ints("dilation"), 1)
	if g, ok := c.Attrs["groups"].(float64); ok {
		s.Groups = int(g)
	}
	if c.Op == "conv_transpose2d" {
		s.O, s.C, s.Out = x[1], w[1]*s.Groups, dims(x[2:], 1)
		s.ResolveTransposed(dims(c.Ints("output_padding"), 0))
		return s
	}
	s.C, s.O, s.In = x[1], w[0], dims(x[2:], 1)
	s.Resolve()
	return s
}

func TestConvGolden(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, op := range []string{"conv2d", "conv3d", "conv_transpose2d"} {
			for _, c := range golden.Cases(t, op) {
				s := goldenShape(c)
				x, w, cot := c.Inputs["x"].Data, c.Inputs["w"].Data, c.Cotangent.Data
				b := c.Inputs["b"].Data
				out, dx, dw := make([]float32, len(cot)), make([]float32, len(x)), make([]float32, len(w))
				if op == "conv_transpose2d" {
					ConvTransposeForward(&s, out, x, w, b, ActNone)
					ConvForward(&s, dx, cot, w, nil, ActNone)
					ConvBackwardWeights(&s, dw, x, cot)
				} else {
					ConvForward(&s, out, x, w, b, ActNone)
					ConvBackwardData(&s, dx, cot, w)
					ConvBackwardWeights(&s, dw, cot, x)
				}
				golden.Check(t, c.Name+" output", out, c.Output, convTol)
				golden.Check(t, c.Name+" grad x", dx, c.Grads["x"], convTol)
				golden.Check(t, c.Name+" grad w", dw, c.Grads["w"], convTol)
			}
		}
	})
}
