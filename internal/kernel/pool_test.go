package kernel

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
)

// randomPool draws a shape whose windows fit.
func randomPool(rng *rand.Rand) *Pool {
	p := &Pool{Planes: rng.Intn(4), Ceil: rng.Intn(2) == 0, CountPad: rng.Intn(2) == 0}
	flat := rng.Intn(2) == 0
	for i := range 3 {
		p.Kernel[i] = 1 + rng.Intn(4)
		p.Stride[i] = 1 + rng.Intn(3)
		p.Padding[i] = rng.Intn(p.Kernel[i]/2 + 1)
		p.In[i] = max(1, p.Kernel[i]-2*p.Padding[i]) + rng.Intn(20)
		if i == 0 && flat {
			p.In[i], p.Kernel[i], p.Stride[i], p.Padding[i] = 1, 1, 1, 0
		}
	}
	switch rng.Intn(4) {
	case 0: // side by side
		p.Kernel, p.Stride, p.Padding = [3]int{1, 2, 2}, [3]int{1, 2, 2}, [3]int{}
		p.In = [3]int{1 + rng.Intn(2), 2 + rng.Intn(9), 2 + rng.Intn(70)}
	case 1:
		p.Kernel, p.Stride, p.Padding = [3]int{2, 2, 2}, [3]int{2, 2, 2}, [3]int{}
		p.In = [3]int{2 + rng.Intn(4), 2 + rng.Intn(5), 2 + rng.Intn(70)}
	case 2: // the usual overlapping ones
		s := 1 + rng.Intn(2)
		p.Kernel, p.Stride, p.Padding = [3]int{1, 3, 3}, [3]int{1, s, s}, [3]int{0, 1, 1}
		p.In = [3]int{1 + rng.Intn(2), 1 + rng.Intn(9), 1 + rng.Intn(70)}
	}
	return p
}

// naiveWindows calls f for every output with the inputs in its window, in the
// order of the scan, and the number of places in the padded input.
func naiveWindows(p *Pool, f func(o int, in []int, padded int)) {
	out := p.Out()
	o := 0
	for plane := range p.Planes {
		for od := range out[0] {
			for oh := range out[1] {
				for ow := range out[2] {
					var in []int
					padded := 0
					for k := range volume(p.Kernel) {
						d := od*p.Stride[0] - p.Padding[0] + k/(p.Kernel[1]*p.Kernel[2])
						h := oh*p.Stride[1] - p.Padding[1] + k/p.Kernel[2]%p.Kernel[1]
						w := ow*p.Stride[2] - p.Padding[2] + k%p.Kernel[2]
						if d < p.In[0]+p.Padding[0] && h < p.In[1]+p.Padding[1] && w < p.In[2]+p.Padding[2] {
							padded++
						}
						if d >= 0 && d < p.In[0] && h >= 0 && h < p.In[1] && w >= 0 && w < p.In[2] {
							in = append(in, ((plane*p.In[0]+d)*p.In[1]+h)*p.In[2]+w)
						}
					}
					f(o, in, padded)
					o++
				}
			}
		}
	}
}

// coarse returns n small integers, and now and then a NaN or an infinity, so
// that windows have ties.
func coarse(rng *rand.Rand, n int, special bool) []float32 {
	v := misaligned(n, rng.Intn(16))
	for i := range v {
		v[i] = float32(rng.Intn(5) - 2)
		if special && rng.Intn(8) == 0 {
			v[i] = [...]float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.Inf(-1))}[rng.Intn(4)]
		}
	}
	return v
}

func TestMaxPoolRandom(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for i := range 300 {
			p := randomPool(rng)
			name := fmt.Sprintf("%+v", *p)
			x := coarse(rng, p.Planes*volume(p.In), i%2 == 0)
			n := p.Planes * volume(p.Out())
			dy := normal(rng, n)
			want, wantGrad := make([]float32, n), make([]float64, len(x))
			naiveWindows(p, func(o int, in []int, _ int) {
				best := in[0]
				for _, j := range in {
					if x[j] > x[best] || x[j] != x[j] {
						best = j
					}
				}
				want[o] = x[best]
				wantGrad[best] += float64(dy[o])
			})
			y, plain, dx := guarded(n), guarded(n), guarded(len(x))
			codes := make([]uint8, p.CodeLen()+2)
			codes[0], codes[len(codes)-1] = 77, 78
			MaxPool(y.v, codes[1:len(codes)-1:len(codes)-1], x, p)
			MaxPool(plain.v, nil, x, p)
			MaxPoolGrad(dx.v, dy, codes[1:len(codes)-1], p)
			for o, v := range y.v {
				if (v != want[o] && (v == v || want[o] == want[o])) || math.Float32bits(v) != math.Float32bits(plain.v[o]) {
					t.Fatalf("%s: output %d is %v, without codes %v, want %v", name, o, v, plain.v[o], want[o])
				}
			}
			closeTo(t, name+" dx", dx.v, wantGrad, 1e-6)
			y.check(t, name+" y")
			plain.check(t, name+" y without codes")
			dx.check(t, name+" dx")
			if codes[0] != 77 || codes[len(codes)-1] != 78 {
				t.Fatalf("%s: wrote beside the codes", name)
			}
		}
	})
}

func TestMaxPoolWideWindow(t *testing.T) {
	p := &Pool{Planes: 2, In: [3]int{1, 20, 17}, Kernel: [3]int{1, 20, 17}, Stride: [3]int{1, 1, 1}}
	x := make([]float32, 2*20*17)
	x[19*17+16], x[340+300] = 3, 5
	y, dx, codes := make([]float32, 2), nans(len(x)), make([]uint8, p.CodeLen())
	MaxPool(y, codes, x, p)
	MaxPoolGrad(dx, []float32{7, 9}, codes, p)
	if len(codes) != 4 || y[0] != 3 || y[1] != 5 || dx[19*17+16] != 7 || dx[640] != 9 || Sum(dx) != 16 {
		t.Errorf("%d codes, y %v, gradients %v and %v of sum %v", len(codes), y, dx[339], dx[640], Sum(dx))
	}
}

func TestAvgPoolRandom(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for range 200 {
			p := randomPool(rng)
			name := fmt.Sprintf("%+v", *p)
			x := normal(rng, p.Planes*volume(p.In))
			n := p.Planes * volume(p.Out())
			dy := normal(rng, n)
			want, wantGrad := make([]float64, n), make([]float64, len(x))
			naiveWindows(p, func(o int, in []int, padded int) {
				if !p.CountPad {
					padded = len(in)
				}
				for _, j := range in {
					want[o] += float64(x[j]) / float64(padded)
					wantGrad[j] += float64(dy[o]) / float64(padded)
				}
			})
			y, dx := guarded(n), guarded(len(x))
			AvgPool(y.v, x, p)
			AvgPoolGrad(dx.v, dy, p)
			closeTo(t, name+" y", y.v, want, 1e-6)
			closeTo(t, name+" dx", dx.v, wantGrad, 1e-6)
			y.check(t, name+" y")
			dx.check(t, name+" dx")
		}
	})
}

func TestPoolPanics(t *testing.T) {
	for _, p := range []Pool{
		{Planes: 1, In: [3]int{1, 3, 3}, Kernel: [3]int{1, 4, 3}, Stride: [3]int{1, 1, 1}},
		{Planes: 1, In: [3]int{1, 3, 3}, Kernel: [3]int{1, 2, 2}, Stride: [3]int{1, 0, 1}},
		{Planes: 1, In: [3]int{1, 3, 3}, Kernel: [3]int{1, 2, 2}, Stride: [3]int{1, 1, 1}, Padding: [3]int{0, 2, 0}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Out of %+v did not panic", p)
				}
			}()
			p.Out()
		}()
	}
}
