package tensor

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

func TestReductions(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		x := random(t, 3, 5, 4)
		x.Set(0, 1, 1, 1)
		sum, top, bottom, one, two, zero, inf := 0.0, math.Inf(-1), math.Inf(1), 0.0, 0.0, 0.0, 0.0
		for _, v := range x.data {
			w := float64(v)
			sum, top, bottom = sum+w, max(top, w), min(bottom, w)
			one, two, inf = one+math.Abs(w), two+w*w, max(inf, math.Abs(w))
			if w != 0 {
				zero++
			}
		}
		for _, c := range []struct {
			name      string
			got, want float64
		}{
			{"Sum", x.Sum(), sum}, {"Mean", x.Mean(), sum / 60}, {"Max", float64(x.Max()), top}, {"Min", float64(x.Min()), bottom},
			{"Norm(0)", x.Norm(0), zero}, {"Norm(1)", x.Norm(1), one}, {"Norm(2)", x.Norm(2), math.Sqrt(two)}, {"Norm(Inf)", x.Norm(math.Inf(1)), inf},
		} {
			if !(math.Abs(c.got-c.want) <= 1e-12*one) {
				t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
			}
		}
		if got := x.data[x.ArgMax()]; float64(got) != top {
			t.Errorf("ArgMax points at %v, want %v", got, top)
		}
	})
	if New(0).Sum() != 0 || !math.IsNaN(New(0).Mean()) || New(3, 0).Norm(2) != 0 {
		t.Error("an empty tensor has a sum, a mean or a norm")
	}
}

func TestAxes(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		x := random(t, 3, 5, 4)
		for axis := -3; axis < 3; axis++ {
			a := (axis + 3) % 3
			rest := slices.Delete(slices.Clone(x.shape), a, a+1)
			lines := linesOf(x, a)
			want := func(f func(line []float64) float64) []float64 {
				var out []float64
				for _, l := range lines {
					out = append(out, f(l))
				}
				return out
			}
			sum := func(l []float64) (s float64) {
				for _, v := range l {
					s += v
				}
				return s
			}
			near(t, "SumAxis", x.SumAxis(axis), rest, want(sum))
			near(t, "MeanAxis", x.MeanAxis(axis), rest, want(func(l []float64) float64 { return sum(l) / float64(len(l)) }))
			near(t, "MaxAxis", x.MaxAxis(axis), rest, want(slices.Max[[]float64]))
			near(t, "MinAxis", x.MinAxis(axis), rest, want(slices.Min[[]float64]))
			near(t, "NormAxis", x.NormAxis(2, axis), rest, want(func(l []float64) (s float64) {
				for _, v := range l {
					s += v * v
				}
				return math.Sqrt(s)
			}))
			for i, p := range x.ArgMaxAxis(axis) {
				if lines[i][p] != slices.Max(lines[i]) {
					t.Errorf("axis %d, line %d: ArgMaxAxis points at %v in %v", axis, i, lines[i][p], lines[i])
				}
			}
		}
	})
	for _, c := range []struct {
		name  string
		got   *Tensor
		shape []int
		want  []float64
	}{
		{"sum along nothing", New(2, 0, 1).SumAxis(1), []int{2, 1}, []float64{0, 0}},
		{"mean along nothing", New(2, 0).MeanAxis(1), []int{2}, []float64{math.NaN(), math.NaN()}},
		{"sums of nothing", New(2, 0).SumAxis(0), []int{0}, nil},
		{"maxima of nothing", New(2, 0).MaxAxis(0), []int{0}, nil},
		{"of a vector", count(4).SumAxis(0), []int{}, []float64{6}},
	} {
		near(t, c.name, c.got, c.shape, c.want)
	}
}

// linesOf returns the lines of x along an axis, in row-major order of the rest.
func linesOf(x *Tensor, axis int) [][]float64 {
	perm := []int{0, 1, 2}
	perm = append(slices.Delete(perm, axis, axis+1), axis)
	y := x.Permute(perm...)
	n := x.shape[axis]
	lines := make([][]float64, y.Len()/n)
	for i, v := range y.data {
		lines[i/n] = append(lines[i/n], float64(v))
	}
	return lines
}

func TestTopK(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	x := FromSlice([]float32{1, nan, -3, 7, inf, 7, -inf, nan, 7}, 3, 3)
	if got := x.TopK(9); !slices.Equal(got, []int{1, 7, 4, 3, 5, 8, 0, 2, 6}) {
		t.Errorf("TopK(9) = %v", got)
	}
	if got := x.TopK(0); len(got) != 0 {
		t.Errorf("TopK(0) = %v", got)
	}
	if got := x.ArgMax(); got != 1 {
		t.Errorf("ArgMax = %d, want the first NaN", got)
	}
	y := random(t, 200)
	want := make([]int, 200)
	for i := range want {
		want[i] = i
	}
	sort.SliceStable(want, func(i, j int) bool { return y.data[want[i]] > y.data[want[j]] })
	if got := y.TopK(20); !slices.Equal(got, want[:20]) {
		t.Errorf("TopK = %v, want %v", got, want[:20])
	}
}

func TestRandomFills(t *testing.T) {
	x := New(200000)
	x.FillUniform(rand.New(rand.NewPCG(1, 1)), -2, 6)
	if x.Min() < -2 || x.Max() > 6 || x.Min() > -1.99 || x.Max() < 5.99 || !(math.Abs(x.Mean()-2) <= 0.02) {
		t.Errorf("uniform: min %v, max %v, mean %v", x.Min(), x.Max(), x.Mean())
	}
	y := New(200000)
	y.FillNormal(rand.New(rand.NewPCG(1, 1)), 3, 2)
	centred := y.AddScalar(-3)
	if std := centred.Norm(2) / math.Sqrt(200000); !(math.Abs(y.Mean()-3) <= 0.02) || !(math.Abs(std-2) <= 0.02) {
		t.Errorf("normal: mean %v, standard deviation %v", y.Mean(), std)
	}
	z := New(200000)
	z.FillNormal(rand.New(rand.NewPCG(1, 1)), 3, 2)
	if !slices.Equal(y.data, z.data) {
		t.Error("the same generator gives other numbers")
	}
}
