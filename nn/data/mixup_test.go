package data

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

func TestCutout(t *testing.T) {
	x := sample(t, 2, 6, 9)
	for _, c := range []Cutout{{Size: 4, Count: 2, Fill: 0.25}, {Size: 3}, {}} {
		seen := map[[2]int]bool{}
		for seed := range uint64(400) {
			rng := rand.New(rand.NewPCG(seed, 0))
			size, count := c.Size, max(c.Count, 1)
			if size == 0 {
				size = 3 // half the height
			}
			want := x.Clone()
			for range count {
				cy, cx := rng.IntN(6), rng.IntN(9)
				seen[[2]int{cy, cx}] = true
				want = build(2, 6, 9, func(ch, y, xx int) float32 {
					if dy, dx := y-cy+size/2, xx-cx+size/2; dy >= 0 && dy < size && dx >= 0 && dx < size {
						return c.Fill
					}
					return want.At(ch, y, xx)
				})
			}
			near(t, fmt.Sprintf("%+v, seed %d", c, seed), apply(t, c, x, seed), want, 0)
		}
		if len(seen) != 54 {
			t.Errorf("%+v: %d of 54 centres were drawn", c, len(seen))
		}
	}
	if err := tensor.Try(func() error { Cutout{Size: -1}.Shape([]int{1, 2, 2}); return nil }); err == nil {
		t.Error("a square of side -1")
	}
}

// batchOf returns n samples whose values all differ, and labels.
func batchOf(n int, shape ...int) (*tensor.Tensor, []int) {
	x := tensor.New(append([]int{n}, shape...)...)
	for i := range x.Data() {
		x.Data()[i] = float32(i)
	}
	labels := make([]int, n)
	for i := range labels {
		labels[i] = i % 4
	}
	return x, labels
}

// TestMix: what comes out is what Pairs says of what went in.
func TestMix(t *testing.T) {
	for _, m := range []Mixer{Mixup{}, Mixup{Alpha: 0.2}, CutMix{}, CutMix{P: 0.5}} {
		moved, mixed := map[int]bool{}, 0
		var last []float32
		for step := range uint64(60) {
			x, labels := batchOf(7, 2, 3, 5, 6)
			before := x.Clone()
			p := m.Mix(x, labels, 3, step)
			if !slices.Equal(p.A, labels) {
				t.Fatalf("A is %v, want %v", p.A, labels)
			}
			for k, partner := range p.Partner {
				moved[partner-k] = true
				if p.B[k] != labels[partner] {
					t.Errorf("entry %d: label %d of partner %d, want %d", k, p.B[k], partner, labels[partner])
				}
				own, n := 0, x.Index(k).Len()
				for i, v := range x.Index(k).Data() {
					a, b := before.Index(k).Data()[i], before.Index(partner).Data()[i]
					switch m.(type) {
					case Mixup:
						if want := p.Lambda*float64(a) + (1-p.Lambda)*float64(b); !(math.Abs(float64(v)-want) <= 1e-3) {
							t.Fatalf("step %d, entry %d, value %d: %v, want %v", step, k, i, v, want)
						}
					default:
						if v != a && v != b {
							t.Fatalf("step %d, entry %d, value %d: %v is neither %v nor %v", step, k, i, v, a, b)
						}
						if v == a {
							own++
						}
					}
				}
				if _, cut := m.(CutMix); cut && partner != k && !(math.Abs(float64(own)/float64(n)-p.Lambda) < 1e-9) {
					t.Errorf("step %d: %d of %d values stay, Lambda is %v", step, own, n, p.Lambda)
				}
			}
			if p.Lambda < 1 {
				mixed++
			}
			again, _ := batchOf(7, 2, 3, 5, 6)
			if m.Mix(again, labels, 3, step); !slices.Equal(again.Data(), x.Data()) {
				t.Errorf("%+v: the same step mixes otherwise", m)
			}
			if p.Lambda < 1 && slices.Equal(last, x.Data()) {
				t.Errorf("%+v: two steps mix alike", m)
			}
			last = x.Clone().Data()
		}
		if len(moved) != 13 {
			t.Errorf("%+v: %d of 13 distances to the partner were drawn", m, len(moved))
		}
		if c, ok := m.(CutMix); ok && c.P == 0.5 && (mixed < 10 || mixed > 45) {
			t.Errorf("%d of 60 batches were mixed with probability 0.5", mixed)
		}
	}
}

// TestCutMixRectangle: what changes is one rectangle, of the area drawn where the
// edges do not cut it.
func TestCutMixRectangle(t *testing.T) {
	whole, n := 0.0, 0.0
	for step := range uint64(3000) {
		x, labels := batchOf(2, 1, 20, 30)
		before := x.Clone()
		p := CutMix{}.Mix(x, labels, 1, step)
		if p.Partner[0] == 0 {
			continue
		}
		top, bottom, left, right, count := 20, -1, 30, -1, 0
		for y := range 20 {
			for xx := range 30 {
				if x.At(0, 0, y, xx) != before.At(0, 0, y, xx) {
					top, bottom, left, right = min(top, y), max(bottom, y), min(left, xx), max(right, xx)
					count++
				}
			}
		}
		if count > 0 && count != (bottom-top+1)*(right-left+1) {
			t.Fatalf("step %d: %d pixels change in rows %d to %d and columns %d to %d", step, count, top, bottom, left, right)
		}
		whole += p.Lambda
		n++
	}
	// The mean kept area: 1 - E[area], with each side s cut by a centre uniform on it:
	// its expected length is s - s²/4 of the side; E over s² = 1-l, l uniform.
	side := func(s float64) float64 { return s - s*s/4 }
	want := 0.0
	for i := range 1000 {
		s := math.Sqrt((float64(i) + 0.5) / 1000)
		want += (1 - side(s)*side(s)) / 1000
	}
	if got := whole / n; !(math.Abs(got-want) < 0.03) {
		t.Errorf("Lambda is %v on average, want %v", got, want)
	}
}

// TestBeta compares moments and symmetry with those of the distribution.
func TestBeta(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const n = 40000
	for _, a := range []float64{0.01, 0.2, 0.4, 1, 2, 8} {
		var m1, m2, m4 float64
		for range n {
			x := beta(rng, a)
			if !(x >= 0 && x <= 1) {
				t.Fatalf("Beta(%v) gave %v", a, x)
			}
			m1 += x / n
			m2 += (x - 0.5) * (x - 0.5) / n
			m4 += math.Pow(x-0.5, 4) / n
		}
		variance := 1 / (4 * (2*a + 1))
		fourth := 3 / (16 * (2*a + 1) * (2*a + 3)) // central, of Beta(a, a)
		if !(math.Abs(m1-0.5) <= 4*math.Sqrt(variance/n)) {
			t.Errorf("Beta(%v): mean %v", a, m1)
		}
		if !(math.Abs(m2-variance) <= 4*math.Sqrt((fourth-variance*variance)/n)+1e-9) {
			t.Errorf("Beta(%v): variance %v, want %v", a, m2, variance)
		}
		if !(math.Abs(m4/fourth-1) <= 0.05) {
			t.Errorf("Beta(%v): fourth moment %v, want %v", a, m4, fourth)
		}
	}
}

// TestTargets: soft cross entropy is the mixture of two cross entropies.
func TestTargets(t *testing.T) {
	p := Pairs{A: []int{0, 2, 1}, B: []int{1, 2, 0}, Lambda: 0.3}
	if got, want := p.Targets(3).Data(), []float32{0.3, 0.7, 0, 0, 0, 1, 0.7, 0.3, 0}; !slices.EqualFunc(got, want, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-6 }) {
		t.Errorf("targets %v, want %v", got, want)
	}
	z := autograd.NewTape(autograd.Inference, 0).Input(tensor.FromSlice([]float32{1, 2, 3, -1, 0, 2, 0.5, 0.1, -2}, 3, 3))
	soft := autograd.SoftCrossEntropy(z, z.Tape().Input(p.Targets(3)), autograd.ReduceMean).Scalar()
	ce := func(labels []int) float64 {
		return autograd.CrossEntropy(z, labels, autograd.CrossEntropyOptions{}).Scalar()
	}
	if want := 0.3*ce(p.A) + 0.7*ce(p.B); !(math.Abs(soft-want) < 1e-6) {
		t.Errorf("soft cross entropy %v, want %v", soft, want)
	}
}

func TestMixPanics(t *testing.T) {
	x, labels := batchOf(4, 1, 2, 2)
	flat, _ := batchOf(4, 3)
	for name, f := range map[string]func(){
		"labels":      func() { Mixup{}.Mix(x, labels[:3], 0, 0) },
		"alpha":       func() { Mixup{Alpha: -1}.Mix(x, labels, 0, 0) },
		"probability": func() { CutMix{P: 2}.Mix(x, labels, 0, 0) },
		"vectors":     func() { CutMix{}.Mix(flat, labels, 0, 0) },
		"class":       func() { Pairs{A: []int{3}, B: []int{0}}.Targets(3) },
	} {
		if err := tensor.Try(func() error { f(); return nil }); err == nil {
			t.Errorf("%s: no panic", name)
		}
	}
}
