package golden

import (
	"math"
	"testing"
)

func TestCasesAreWhole(t *testing.T) {
	all, err := load()
	if err != nil {
		t.Fatal(err)
	}
	ops := map[string]bool{}
	check := func(c *Case, what string, x Tensor) {
		n := 1
		for _, d := range x.Shape {
			n *= d
		}
		if len(x.Data) != n {
			t.Errorf("%s: %s has %d numbers, shape %v", c.Name, what, len(x.Data), x.Shape)
		}
	}
	for _, c := range all {
		ops[c.Op] = true
		check(c, "output", c.Output)
		for k, x := range c.Inputs {
			check(c, k, x)
			if g, ok := c.Grads[k]; ok && len(g.Data) != len(x.Data) {
				t.Errorf("%s: gradient of %s has %d numbers, the input %d", c.Name, k, len(g.Data), len(x.Data))
			}
		}
		if len(c.Grads) > 0 && len(c.Cotangent.Data) != len(c.Output.Data) {
			t.Errorf("%s: cotangent of %d, output of %d", c.Name, len(c.Cotangent.Data), len(c.Output.Data))
		}
	}
	if len(all) < 90 || len(ops) < 43 {
		t.Errorf("%d cases of %d operations", len(all), len(ops))
	}
}

// The linear case must satisfy y = x wᵀ + b as the file means it.
func TestLinearCase(t *testing.T) {
	c := Cases(t, "linear")[0]
	x, w, b := c.Inputs["x"], c.Inputs["w"], c.Inputs["b"]
	rows, in, out := x.Shape[0], x.Shape[1], w.Shape[0]
	got := make([]float32, rows*out)
	for i := range rows {
		for j := range out {
			sum := float64(b.Data[j])
			for p := range in {
				sum += float64(x.Data[i*in+p]) * float64(w.Data[j*in+p])
			}
			got[i*out+j] = float32(sum)
		}
	}
	Check(t, c.Name, got, c.Output, 1e-7)
}

func TestAttributes(t *testing.T) {
	c := Cases(t, "conv2d")[2]
	if s := c.Ints("stride"); len(s) != 2 || s[0] != 2 {
		t.Errorf("stride of %s = %v", c.Name, s)
	}
	if g := c.Float("groups", 7); g != 1 {
		t.Errorf("groups of %s = %v", c.Name, g)
	}
	c = Cases(t, "grid_sample")[0]
	if !c.Bool("align_corners") || c.String("padding_mode") != "zeros" {
		t.Errorf("attributes of %s = %v", c.Name, c.Attrs)
	}
}

func TestRelErr(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, x := range []struct {
		got, want []float32
		err       float64
	}{
		{[]float32{1, 2}, []float32{1, 2}, 0},
		{[]float32{1, 2.5}, []float32{1, 2}, 0.25},
		{[]float32{0.5, -4}, []float32{0, -4}, 0.125},
		{[]float32{nan, inf}, []float32{nan, inf}, 0},
		{[]float32{inf, 3}, []float32{inf, 2}, 0.5},
		{[]float32{nan}, []float32{1}, math.Inf(1)},
		{[]float32{1}, []float32{nan}, math.Inf(1)},
		{[]float32{1}, []float32{1, 2}, math.Inf(1)},
		{[]float32{1}, []float32{0}, math.Inf(1)},
	} {
		if e := RelErr(x.got, x.want); e != x.err {
			t.Errorf("RelErr(%v, %v) = %v, want %v", x.got, x.want, e, x.err)
		}
	}
}
