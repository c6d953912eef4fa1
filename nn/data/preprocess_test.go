package data

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func TestPreprocess(t *testing.T) {
	for _, shape := range [][]int{{3, 2, 2}, {2, 3, 2, 2}} {
		p := Preprocess{BGR: true, Scale: 255, Mean: []float32{103, 116, 123}, Std: []float32{1, 2, 4}, NHWC: true}
		wire, err := p.OutputShape(shape)
		if err != nil {
			t.Fatal(err)
		}
		back, err := p.InputShape(wire)
		if err != nil || fmt.Sprint(back) != fmt.Sprint(shape) {
			t.Errorf("%v reaches the victim as %v, and back as %v (%v)", shape, wire, back, err)
		}
		n := 1
		for _, d := range shape {
			n *= d
		}
		x, y := make([]float32, n), make([]float32, n)
		for i := range x {
			x[i] = float32(i) / float32(n)
		}
		p.Apply(y, x, shape)
		// Channel 0 of the victim is the sample's last: blue first.
		if want := (x[8]*255 - 103) / 1; !(math.Abs(float64(y[0]-want)) <= 1e-4) {
			t.Errorf("%v: first value %v, want %v", shape, y[0], want)
		}
		if want := (x[1]*255 - 123) / 4; !(math.Abs(float64(y[5]-want)) <= 1e-4) {
			t.Errorf("%v: sixth value %v, want %v", shape, y[5], want)
		}
		// <A x, g> - <A 0, g> = <x, A' g>.
		r := rand.New(rand.NewPCG(1, 1))
		g, gx, zero, y0 := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range g {
			g[i] = float32(r.NormFloat64())
		}
		p.Apply(y0, zero, shape)
		p.Adjoint(gx, g, shape)
		var left, right float64
		for i := range g {
			left += float64(y[i]-y0[i]) * float64(g[i])
			right += float64(x[i]) * float64(gx[i])
		}
		if !(math.Abs(left-right) <= 1e-3*math.Abs(left)) {
			t.Errorf("%v: adjoint gives %v, want %v", shape, right, left)
		}
	}
	for _, p := range []Preprocess{{Repeat: 3, Scale: 2}, {Resize: [2]int{5, 3}}, {Resize: [2]int{2, 7}, Repeat: 2, Mean: []float32{1, 2}, NHWC: true}} {
		shape := []int{1, 4, 4}
		wire, err := p.OutputShape(shape)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(2, 2))
		draw := func(n int) []float32 {
			v := make([]float32, n)
			for i := range v {
				v[i] = r.Float32()
			}
			return v
		}
		x, g := draw(16), draw(wire[0]*wire[1]*wire[2])
		y, y0, gx := make([]float32, len(g)), make([]float32, len(g)), make([]float32, 16)
		p.Apply(y, x, shape)
		p.Apply(y0, make([]float32, 16), shape)
		p.Adjoint(gx, g, shape)
		var left, right float64
		for i := range g {
			left += float64(y[i]-y0[i]) * float64(g[i])
		}
		for i := range x {
			right += float64(x[i]) * float64(gx[i])
		}
		if !(math.Abs(left-right) <= 1e-4*math.Abs(left)) {
			t.Errorf("%+v: adjoint gives %v, want %v", p, right, left)
		}
	}
	for _, bad := range []Preprocess{{Mean: []float32{1, 2}}, {Std: []float32{1, 0, 1}}} {
		if _, err := bad.OutputShape([]int{3, 4, 4}); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// A clip reaches a network with 3-D convolutions with its channels first.
func TestPreprocessCTHW(t *testing.T) {
	p := Preprocess{CTHW: true, BGR: true, Mean: []float32{0, 0, 100}}
	shape := []int{2, 3, 1, 2} // frames, channels, height, width
	out, err := p.OutputShape(shape)
	if err != nil || !slices.Equal(out, []int{3, 2, 1, 2}) {
		t.Fatalf("shape %v, %v", out, err)
	}
	if in, err := p.InputShape(out); err != nil || !slices.Equal(in, shape) {
		t.Fatalf("back to %v, %v", in, err)
	}
	x := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	y := make([]float32, len(x))
	p.Apply(y, x, shape)
	if want := []float32{5, 6, 11, 12, 3, 4, 9, 10, -99, -98, -93, -92}; !slices.Equal(y, want) {
		t.Errorf("%v, want %v", y, want)
	}
	back := make([]float32, len(x))
	p.Adjoint(back, y, shape)
	for i, v := range back {
		want := x[i]
		if i%6 < 2 { // red is the network's last channel, whose mean was taken off
			want -= 100
		}
		if v != want {
			t.Errorf("value %d of the adjoint is %v, want %v", i, v, want)
		}
	}
	for _, bad := range [][]int{{3, 4, 4}, nil} {
		if _, err := p.OutputShape(bad); err == nil {
			t.Errorf("samples of %v were accepted", bad)
		}
	}
}

// As a transform it does what it does to a network's input.
func TestPreprocessAsTransform(t *testing.T) {
	for _, c := range []struct {
		p     Preprocess
		shape []int
	}{
		{Preprocess{}, []int{3, 4, 5}},
		{Preprocess{Resize: [2]int{3, 2}, Scale: 255, Mean: []float32{1, 2, 3}, BGR: true, NHWC: true}, []int{3, 4, 5}},
		{Preprocess{Repeat: 3}, []int{1, 4, 5}},
		{Preprocess{CTHW: true, Std: []float32{2}}, []int{2, 1, 4, 5}},
	} {
		x := tensor.New(c.shape...)
		for i := range x.Data() {
			x.Data()[i] = float32(i) / float32(x.Len())
		}
		got := apply(t, c.p.Transform(), x, 0)
		shape, err := c.p.OutputShape(c.shape)
		if err != nil {
			t.Fatal(err)
		}
		want := tensor.New(shape...)
		c.p.Apply(want.Data(), x.Data(), c.shape)
		near(t, fmt.Sprintf("%+v", c.p), got, want, 0)
	}
	if err := tensor.Try(func() error { Preprocess{Mean: []float32{1, 2}}.Transform().Shape([]int{3, 4, 4}); return nil }); err == nil {
		t.Error("two means for three channels")
	}
}

// TestPreprocessLayouts: the order of axes changes no bit of a value.
func TestPreprocessLayouts(t *testing.T) {
	const c, h, w = 3, 5, 7
	src := make([]float32, c*h*w)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range src {
		src[i] = r.Float32()
	}
	p := Preprocess{Mean: []float32{0.485, 0.456, 0.406}, Std: []float32{0.229, 0.224, 0.225}}
	planes, pixels := make([]float32, len(src)), make([]float32, len(src))
	p.Apply(planes, src, []int{c, h, w})
	p.NHWC = true
	p.Apply(pixels, src, []int{c, h, w})
	for i, v := range planes {
		if got := pixels[i%(h*w)*c+i/(h*w)]; got != v {
			t.Fatalf("value %d: %v by pixels, %v by planes", i, got, v)
		}
	}
}
