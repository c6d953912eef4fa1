package ssl

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// TestViews: what each paper's views do, by how often.
func TestViews(t *testing.T) {
	const n = 400
	x := tensor.New(3, 32, 32)
	rng := rand.New(rand.NewPCG(1, 0))
	for i := range x.Data() {
		x.Data()[i] = rng.Float32()
	}
	gray := func(v *tensor.Tensor) bool {
		d, p := v.Data(), v.Len()/3
		for i := range p {
			if d[i] != d[p+i] || d[i] != d[2*p+i] {
				return false
			}
		}
		return true
	}
	for _, name := range Names() {
		views, err := PaperViews(name, 24)
		if err != nil {
			t.Fatal(err)
		}
		for i, tr := range views.Transforms(3, ViewsOf(name)) {
			out := tensor.New(tr.Shape(x.Shape())...)
			if !slices.Equal(out.Shape(), []int{3, 24, 24}) {
				t.Fatalf("%s: a view of %v", name, out.Shape())
			}
			grays := 0
			for k := range n {
				tr.Apply(out, x, rand.New(rand.NewPCG(uint64(k), uint64(i))))
				if gray(out) {
					grays++
				}
				for _, v := range out.Data() {
					if !(v >= 0 && v <= 1.0001) {
						t.Fatalf("%s: a value of %v", name, v)
					}
				}
			}
			if want := views[i].Gray * n; float64(grays) < want-40 || float64(grays) > want+40 {
				t.Errorf("%s, view %d: %d of %d are gray, want about %v", name, i, grays, n, want)
			}
		}
	}
	if _, err := PaperViews("nobody", 32); err == nil {
		t.Error("views of an unknown method")
	}
}

// TestAugmentOrder compares with the steps one by one, which draw from the same stream.
func TestAugmentOrder(t *testing.T) {
	x := tensor.New(3, 40, 40)
	rng := rand.New(rand.NewPCG(1, 0))
	for i := range x.Data() {
		x.Data()[i] = rng.Float32()
	}
	views := BYOLViews(32)
	views[1].Mean, views[1].Std = []float32{0.5}, []float32{0.25}
	got, want := tensor.New(3, 32, 32), tensor.New(3, 32, 32)
	by := data.Compose(data.RandomResizedCrop{H: 32, W: 32},
		data.RandomApply{Transform: data.ColorJitter{Brightness: 0.4, Contrast: 0.4, Saturation: 0.2, Hue: 0.1}, P: 0.8},
		data.RandomGrayscale{P: 0.2}, data.RandomApply{Transform: data.GaussianBlur{}, P: 0.1}, data.RandomApply{Transform: data.Solarize{}, P: 0.2},
		data.RandomHorizontalFlip{}, data.Normalize{Mean: []float32{0.5}, Std: []float32{0.25}})
	for seed := range uint64(40) {
		views[1].Transform(3).Apply(got, x, rand.New(rand.NewPCG(seed, 0)))
		by.Apply(want, x, rand.New(rand.NewPCG(seed, 0)))
		compare(t, "the second view of BYOL", got.Data(), want.Data())
	}
	// Here gray comes before the jitter.
	by = data.Compose(data.RandomResizedCrop{H: 32, W: 32, MinScale: 0.2}, data.RandomGrayscale{P: 0.2},
		data.ColorJitter{Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.4}, data.RandomHorizontalFlip{})
	for seed := range uint64(40) {
		MoCo1Views(32)[0].Transform(3).Apply(got, x, rand.New(rand.NewPCG(seed, 0)))
		by.Apply(want, x, rand.New(rand.NewPCG(seed, 0)))
		compare(t, "a view of MoCo's first version", got.Data(), want.Data())
	}
	by = data.Compose(data.RandomCrop{Padding: 5}, data.RandomHorizontalFlip{})
	got, want = tensor.New(3, 40, 40), tensor.New(3, 40, 40)
	for seed := range uint64(40) {
		WeakView(40).Transform(3).Apply(got, x, rand.New(rand.NewPCG(seed, 0)))
		by.Apply(want, x, rand.New(rand.NewPCG(seed, 0)))
		compare(t, "a weak view", got.Data(), want.Data())
	}
}

// TestGrayAndWeakViews: digits have no colours to change, and the weak view moves pixels
// alone.
func TestGrayAndWeakViews(t *testing.T) {
	x := tensor.New(1, 28, 28)
	x.Fill(0.5)
	out := tensor.New(1, 28, 28)
	for _, a := range []Augment{SimCLRViews(28, 1)[0], DigitViews(28)[1]} {
		tr := a.Transform(1)
		if !slices.Equal(tr.Shape(x.Shape()), out.Shape()) {
			t.Fatal(tr.Shape(x.Shape()))
		}
		tr.Apply(out, x, rand.New(rand.NewPCG(1, 0)))
		for _, v := range out.Data() {
			near(t, "a constant", float64(v), 0.5, 1e-6)
		}
	}
	WeakView(28).Transform(1).Apply(out, x, rand.New(rand.NewPCG(1, 0)))
	for _, v := range out.Data() {
		if v != 0 && v != 0.5 {
			t.Fatalf("a value of %v", v)
		}
	}
	if err := tensor.Try(func() error { Augment{Size: 8, Blur: 1.5}.Transform(1); return nil }); err == nil {
		t.Error("a probability of 1.5 is taken")
	}
}
