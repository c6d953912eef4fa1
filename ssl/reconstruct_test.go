package ssl

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/internal/parallel"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/tensor"
)

// bumps are pictures of a bright spot, and where it is and how bright.
func bumps(n int, seed uint64, shape ...int) (features, samples *tensor.Tensor) {
	features = tensor.New(n, 3)
	kernel.Uniform(features.Data(), 0, 1, seed, 0)
	samples = tensor.New(append([]int{n}, shape...)...)
	h, w := shape[1], shape[2]
	for i := range n {
		f := features.Data()[3*i:][:3]
		for k := range samples.Len() / n {
			y, x := float64(k/w%h), float64(k%w)
			dy, dx := y-float64(f[0])*float64(h-1), x-float64(f[1])*float64(w-1)
			samples.Data()[i*samples.Len()/n+k] = (0.5 + f[2]/2) * float32(math.Exp(-(dy*dy+dx*dx)/8))
		}
	}
	return features, samples
}

func outputs(y *tensor.Tensor) *eval.Outputs { return &eval.Outputs{Y: y} }

// TestReconstruction: features that say what a picture is give it back, for samples that the
// decoder has not seen, and features that do not say it give the mean.
func TestReconstruction(t *testing.T) {
	for _, shape := range [][]int{{1, 14, 11}, {3, 16, 16}} {
		f, x := bumps(600, 1, shape...)
		g, y := bumps(100, 2, shape...)
		r := Reconstruction{Width: 32, Epochs: 40}
		d, err := r.Fit(t.Context(), outputs(f), x)
		if err != nil {
			t.Fatal(err)
		}
		if fresh := newDecoder(f, x, r.Width, r.Seed); !slices.Equal(d.Mean.Value().Data(), fresh.Mean.Value().Data()) || slices.Equal(d.Out.Weight.Value().Data(), fresh.Out.Weight.Value().Data()) {
			t.Error("the mean was trained, or the last convolution was not")
		}
		mse, explained := d.Error(g, y)
		if explained < 0.8 {
			t.Errorf("%v: of the variance %v is explained", shape, explained)
		}
		made := d.Decode(g)
		if !slices.Equal(made.Shape(), y.Shape()) {
			t.Fatalf("shape %v, want %v", made.Shape(), y.Shape())
		}
		sum := 0.0
		for i, v := range made.Data() {
			sum += math.Pow(float64(v-y.Data()[i]), 2)
		}
		if want := sum / float64(y.Len()); math.Abs(mse-want) > 1e-9 {
			t.Errorf("the error is %v, want %v", mse, want)
		}
		noise := tensor.New(600, 3)
		kernel.Uniform(noise.Data(), 0, 1, 9, 0)
		if d, err = (Reconstruction{Width: 16, Epochs: 2}).Fit(t.Context(), outputs(noise), x); err != nil {
			t.Fatal(err)
		}
		if _, explained := d.Error(g, y); math.Abs(explained) > 0.1 {
			t.Errorf("%v: features of other pictures explain %v", shape, explained)
		}
	}
}

// TestNewDecoder: before it learns a decoder makes the mean of everything.
func TestNewDecoder(t *testing.T) {
	f, x := bumps(40, 1, 3, 9, 30)
	wide := newDecoder(f, x, 64, 1)
	for i, c := range wide.Blocks {
		if want := []int{32, 16, 16}[i]; c.Weight.Value().Dim(0) != want {
			t.Errorf("convolution %d has %d channels, want %d", i, c.Weight.Value().Dim(0), want)
		}
	}
	d := newDecoder(f, x, 8, 1)
	made := d.Decode(f)
	for k := range x.Len() / 40 {
		mean := 0.0
		for i := range 40 {
			mean += float64(x.Data()[i*x.Len()/40+k]) / 40
		}
		if v := float64(made.Data()[7*x.Len()/40+k]); math.Abs(v-mean) > 1e-6 {
			t.Fatalf("value %d is %v, want %v", k, v, mean)
		}
	}
	if _, explained := d.Error(f, x); math.Abs(explained) > 1e-6 {
		t.Errorf("the mean explains %v", explained)
	}
	if want := [][2]int{{2, 4}, {3, 8}, {5, 15}, {9, 30}}; !slices.Equal(d.Sizes, want) {
		t.Errorf("sizes %v, want %v", d.Sizes, want)
	}
}

func TestReconstructionSameBits(t *testing.T) {
	f, x := bumps(70, 1, 1, 8, 8)
	var all [][]float32
	for _, workers := range []int{1, 3} {
		parallel.SetWorkers(workers)
		d, err := Reconstruction{Width: 8, Epochs: 2, Seed: 3}.Fit(t.Context(), outputs(f), x)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d.Decode(f).Data())
	}
	parallel.SetWorkers(0)
	if !slices.Equal(all[0], all[1]) {
		t.Error("the result depends on the number of workers")
	}
}

func TestReconstructionBadInput(t *testing.T) {
	f, x := bumps(20, 1, 1, 8, 8)
	var e *tensor.Error
	for what, run := range map[string]func(){
		"fewer samples":  func() { Reconstruction{}.Fit(t.Context(), outputs(f), x.Slice(0, 19)) },
		"a flat sample":  func() { Reconstruction{}.Fit(t.Context(), outputs(f), f) },
		"negative width": func() { Reconstruction{Width: -1}.Fit(t.Context(), outputs(f), x) },
		"another shape": func() {
			d := newDecoder(f, x, 8, 1)
			_, y := bumps(20, 1, 1, 8, 9)
			d.Error(f, y)
		},
	} {
		err := tensor.Try(func() error { run(); return nil })
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Reconstruction{}).Fit(ctx, outputs(f), x); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	x.Data()[5] = float32(math.NaN())
	if _, err := (Reconstruction{}).Fit(t.Context(), outputs(f), x); err == nil {
		t.Error("NaN is no error")
	}
}
