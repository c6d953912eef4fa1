package tensor

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/internal/kernel"
)

// random returns a tensor of normal values and logs its seed.
func random(t *testing.T, shape ...int) *Tensor {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("%v: seed %d", shape, seed)
	x := New(shape...)
	x.FillNormal(rand.New(rand.NewPCG(seed, 0)), 0, 1)
	return x
}

// near fails the test unless got has the given shape and the values want, within
// a relative 1e-6 of the largest.
func near(t *testing.T, what string, got *Tensor, shape []int, want []float64) {
	t.Helper()
	if !slices.Equal(got.shape, shape) || len(got.data) != len(want) {
		t.Fatalf("%s: shape %v, want %v", what, got.shape, shape)
	}
	largest := 1.0
	for _, w := range want {
		if !math.IsInf(w, 0) {
			largest = max(largest, math.Abs(w))
		}
	}
	for i, w := range want {
		if g := float64(got.data[i]); math.Abs(g-w) > 1e-6*largest && g != w || (g != g) != (w != w) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, g, w)
		}
	}
}

// eachSet runs a test once for every available kernel set.
func eachSet(t *testing.T, f func(t *testing.T)) {
	active := kernel.Active().Name
	defer kernel.Use(active)
	for _, s := range kernel.Sets() {
		if s.Available {
			t.Run(s.Name, func(t *testing.T) {
				if err := kernel.Use(s.Name); err != nil {
					t.Fatal(err)
				}
				f(t)
			})
		}
	}
}

func TestBinary(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, c := range []struct{ a, b, want []int }{
			{[]int{3, 4}, []int{3, 4}, []int{3, 4}},
			{[]int{3, 4}, []int{4}, []int{3, 4}},
			{[]int{3, 4}, []int{3, 1}, []int{3, 4}},
			{[]int{3, 1}, []int{1, 4}, []int{3, 4}},
			{[]int{}, []int{2, 2}, []int{2, 2}},
			{[]int{2, 1, 3, 1, 2}, []int{5, 1, 4, 2}, []int{2, 5, 3, 4, 2}},
			{[]int{0, 3}, []int{3}, []int{0, 3}},
			{[]int{1, 3}, []int{0, 1}, []int{0, 3}},
		} {
			x, y := random(t, c.a...), random(t, c.b...)
			for name, op := range map[string]struct {
				got  *Tensor
				want func(a, b float64) float64
			}{
				"Add":     {x.Add(y), func(a, b float64) float64 { return a + b }},
				"Sub":     {x.Sub(y), func(a, b float64) float64 { return a - b }},
				"Mul":     {x.Mul(y), func(a, b float64) float64 { return a * b }},
				"Div":     {x.Div(y), func(a, b float64) float64 { return a / b }},
				"Maximum": {x.Maximum(y), math.Max},
				"Minimum": {x.Minimum(y), math.Min},
			} {
				near(t, name, op.got, c.want, naiveBroadcast(c.want, x, y, op.want))
			}
		}
	})
}

// naiveBroadcast finds the operands of every element by its coordinates.
func naiveBroadcast(shape []int, x, y *Tensor, f func(a, b float64) float64) []float64 {
	n, _ := elements(shape)
	out := make([]float64, n)
	at := func(t *Tensor, i int) float64 {
		place, step := 0, 1
		for k := len(shape) - 1; k >= 0; k-- {
			c := i % shape[k]
			i /= shape[k]
			if a := k - len(shape) + len(t.shape); a >= 0 {
				if t.shape[a] > 1 {
					place += c * step
				}
				step *= t.shape[a]
			}
		}
		return float64(t.data[place])
	}
	for i := range out {
		out[i] = f(at(x, i), at(y, i))
	}
	return out
}

func TestUnary(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		x := random(t, 3, 37)
		copy(x.data, []float32{0, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1, -1})
		before := asBytes(x)
		for name, op := range map[string]struct {
			got  *Tensor
			want func(v float64) float64
		}{
			"AddScalar": {x.AddScalar(0.5), func(v float64) float64 { return v + 0.5 }},
			"Scale":     {x.Scale(-3), func(v float64) float64 { return v * -3 }},
			"Clamp":     {x.Clamp(-0.5, 0.75), func(v float64) float64 { return math.Max(-0.5, math.Min(0.75, v)) }},
			"Neg":       {x.Neg(), func(v float64) float64 { return -v }},
			"Abs":       {x.Abs(), math.Abs},
			"Exp":       {x.Exp(), math.Exp},
			"Log":       {x.Log(), math.Log},
			"Sqrt":      {x.Sqrt(), math.Sqrt},
			"Square":    {x.Square(), func(v float64) float64 { return v * v }},
			"Tanh":      {x.Tanh(), math.Tanh},
			"Sigmoid":   {x.Sigmoid(), func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }},
			"Apply":     {x.Apply(func(v float32) float32 { return v + 1 }), func(v float64) float64 { return v + 1 }},
			"Sign": {x.Sign(), func(v float64) float64 {
				switch {
				case v > 0:
					return 1
				case v < 0:
					return -1
				}
				return v
			}},
		} {
			want := make([]float64, x.Len())
			for i, v := range x.data {
				want[i] = op.want(float64(v))
			}
			near(t, name, op.got, x.shape, want)
		}
		if string(asBytes(x)) != string(before) {
			t.Error("an operation changed its operand")
		}
		y := random(t, 4, 7)
		want := make([]float64, y.Len())
		for i := range want {
			sum := 0.0
			for k := i / 7 * 7; k < i/7*7+7; k++ {
				sum += math.Exp(float64(y.data[k]))
			}
			want[i] = math.Exp(float64(y.data[i])) / sum
		}
		near(t, "Softmax", y.Softmax(), y.shape, want)
		if s := New(3, 0).Softmax(); s.Len() != 0 {
			t.Errorf("softmax of nothing is %v", s)
		}
	})
}

func TestMatMul(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, c := range [][4]int{{1, 3, 4, 5}, {2, 17, 9, 33}, {3, 1, 64, 1}, {1, 2, 0, 3}, {1, 0, 2, 3}, {0, 2, 2, 2}} {
			b, m, k, n := c[0], c[1], c[2], c[3]
			x, y := random(t, b, m, k), random(t, b, k, n)
			want, sizes := make([]float64, b*m*n), make([]float64, b*m*n)
			for i := range want {
				g, r, col := i/(m*n), i/n%m, i%n
				for q := range k {
					p := float64(x.At(g, r, q)) * float64(y.At(g, q, col))
					want[i] += p
					sizes[i] += math.Abs(p)
				}
			}
			sums := func(what string, got *Tensor, shape ...int) {
				t.Helper()
				if !slices.Equal(got.shape, shape) || len(got.data) != len(want) {
					t.Fatalf("%s: shape %v, want %v", what, got.shape, shape)
				}
				for i, w := range want {
					// What k products and sums may be off in any order (Higham, Accuracy and
					// Stability of Numerical Algorithms, section 3.1).
					if g := float64(got.data[i]); !(math.Abs(g-w) <= float64(k)*0x1p-24*1.001*sizes[i]) {
						t.Fatalf("%s: element %d is %v, want %v", what, i, g, w)
					}
				}
			}
			sums("batched", x.MatMul(y), b, m, n)
			if b == 1 {
				sums("plain", x.Index(0).MatMul(y.Index(0)), m, n)
			}
		}
	})
}

func TestPermute(t *testing.T) {
	x := count(2, 3, 4)
	y := x.Permute(2, 0, 1)
	if !slices.Equal(y.shape, []int{4, 2, 3}) {
		t.Fatalf("shape %v", y.shape)
	}
	for i := range 2 {
		for j := range 3 {
			for k := range 4 {
				if y.At(k, i, j) != x.At(i, j, k) {
					t.Fatalf("(%d,%d,%d) is %v, want %v", k, i, j, y.At(k, i, j), x.At(i, j, k))
				}
			}
		}
	}
	if got := New(2, 0, 3).Permute(1, 2, 0).shape; !slices.Equal(got, []int{0, 3, 2}) {
		t.Errorf("shape %v", got)
	}
	if Scalar(2).Permute().Item() != 2 {
		t.Error("a scalar changed")
	}
}

func TestConcatAndStack(t *testing.T) {
	a, b := count(2, 3), count(1, 3)
	c := Concat(a, b, New(0, 3))
	if !slices.Equal(c.shape, []int{3, 3}) || !slices.Equal(c.data, []float32{0, 1, 2, 3, 4, 5, 0, 1, 2}) {
		t.Errorf("Concat gives %v", c)
	}
	if !slices.Equal(a.shape, []int{2, 3}) {
		t.Errorf("Concat changed a shape to %v", a.shape)
	}
	huge := New(math.MaxInt/4, 0)
	if err := Try(func() error { Concat(huge, huge, huge, huge, huge); return nil }); err == nil {
		t.Error("a dimension overflowed")
	}
	c.Fill(7)
	s := Stack(a, a)
	if !slices.Equal(s.shape, []int{2, 2, 3}) || s.At(1, 1, 2) != 5 {
		t.Errorf("Stack gives %v", s)
	}
	if got := Stack(Scalar(1), Scalar(2)); !slices.Equal(got.shape, []int{2}) || got.At(1) != 2 {
		t.Errorf("Stack of scalars gives %v", got)
	}
}

func TestArithmeticPanics(t *testing.T) {
	a, b := New(2, 3), New(3, 2)
	deep := New(1, 1, 1, 1, 1, 1, 1, 1, 1)
	for _, c := range []struct {
		op, want string
		f        func()
	}{
		{"tensor.Add", "[2 3] and [3 2]", func() { a.Add(b) }},
		{"tensor.Mul", "more than 8", func() { deep.Mul(a) }},
		{"tensor.MatMul", "[2 3] and [2 3]", func() { a.MatMul(a) }},
		{"tensor.MatMul", "[2 3] and [3]", func() { a.MatMul(New(3)) }},
		{"tensor.MatMul", "[2 1 3] and [3 3 1]", func() { New(2, 1, 3).MatMul(New(3, 3, 1)) }},
		{"tensor.Clamp", "limit", func() { a.Clamp(1, 0) }},
		{"tensor.Softmax", "no axis", func() { Scalar(1).Softmax() }},
		{"tensor.Permute", "[2 3] and [0 0]", func() { a.Permute(0, 0) }},
		{"tensor.Permute", "[2 3] and [0]", func() { a.Permute(0) }},
		{"tensor.Permute", "[2 3] and [0 2]", func() { a.Permute(0, 2) }},
		{"tensor.Permute", "at most 8", func() { deep.Permute(0, 1, 2, 3, 4, 5, 6, 7, 8) }},
		{"tensor.Concat", "no tensors", func() { Concat() }},
		{"tensor.Concat", "[2 3] and [3 2]", func() { Concat(a, b) }},
		{"tensor.Concat", "[] and []", func() { Concat(Scalar(1)) }},
		{"tensor.Stack", "no tensors", func() { Stack() }},
		{"tensor.Stack", "[2 3] and [3 2]", func() { Stack(a, b) }},
		{"tensor.SumAxis", "no axis 2", func() { a.SumAxis(2) }},
		{"tensor.MeanAxis", "no axis 2", func() { a.MeanAxis(2) }},
		{"tensor.MaxAxis", "length 0", func() { New(2, 0).MaxAxis(1) }},
		{"tensor.ArgMaxAxis", "length 0", func() { New(2, 0).ArgMaxAxis(1) }},
		{"tensor.NormAxis", "no axis", func() { a.NormAxis(2, 5) }},
		{"tensor.Norm", "p is 3", func() { a.Norm(3) }},
		{"tensor.Max", "no elements", func() { New(0).Max() }},
		{"tensor.Min", "no elements", func() { New(0).Min() }},
		{"tensor.ArgMax", "no elements", func() { New(0).ArgMax() }},
		{"tensor.TopK", "no 7 largest of 6", func() { a.TopK(7) }},
		{"tensor.Half.Store", "[2 3] and [2]", func() { NewHalf(2, 3).Store(0, New(2)) }},
		{"tensor.Half.Load", "no entry 2", func() { NewHalf(2, 3).Load(2, New(3)) }},
		{"tensor.NewHalf", "[-1]", func() { NewHalf(-1) }},
	} {
		e := panics(t, c.f)
		if e.Op != c.op || !strings.Contains(e.Error(), c.want) {
			t.Errorf("panic %q, want operation %s and %q", e, c.op, c.want)
		}
	}
}
