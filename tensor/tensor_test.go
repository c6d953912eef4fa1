package tensor

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// count returns a tensor that counts from 0.
func count(shape ...int) *Tensor {
	t := New(shape...)
	for i := range t.data {
		t.data[i] = float32(i)
	}
	return t
}

func TestIndexing(t *testing.T) {
	x := count(2, 3, 4)
	for i := range 2 {
		for j := range 3 {
			for k := range 4 {
				if got, want := x.At(i, j, k), float32(i*12+j*4+k); got != want {
					t.Fatalf("At(%d,%d,%d) = %v, want %v", i, j, k, got, want)
				}
			}
		}
	}
	x.Set(-1, 1, 2, 3)
	if x.Data()[23] != -1 {
		t.Errorf("Set stored elsewhere: %v", x.Data())
	}
	if x.Rank() != 3 || x.Len() != 24 || x.Dim(0) != 2 || x.Dim(-1) != 4 || !slices.Equal(x.Shape(), []int{2, 3, 4}) {
		t.Errorf("rank %d, len %d, shape %v", x.Rank(), x.Len(), x.Shape())
	}
}

func TestRankZero(t *testing.T) {
	x := New()
	if x.Len() != 1 || x.Rank() != 0 || x.Item() != 0 {
		t.Fatalf("New() = %v", x)
	}
	x.Set(3)
	if x.At() != 3 || x.Item() != 3 || Scalar(3).Item() != 3 {
		t.Errorf("a scalar lost its value: %v", x.At())
	}
}

func TestViewsShare(t *testing.T) {
	x := count(4, 2, 3)
	for name, v := range map[string]*Tensor{
		"Slice":   x.Slice(1, 3),
		"Index":   x.Index(1),
		"Reshape": x.Reshape(-1, 3).Slice(2, 4),
		"chained": x.Slice(1, 4).Index(0),
	} {
		v.Data()[0] = 100
		if x.Data()[6] != 100 {
			t.Errorf("%s: a write does not reach the tensor", name)
		}
		x.Data()[6] = 6
		if v.Data()[0] != 6 {
			t.Errorf("%s: a write to the tensor does not reach the view", name)
		}
		if extra := append(v.Data(), -7); &extra[0] == &v.Data()[0] {
			t.Errorf("%s: append to a view writes into the tensor", name)
		}
	}
	c := x.Clone()
	c.Fill(9)
	if x.Data()[0] != 0 {
		t.Error("Clone shares memory")
	}
	x.CopyFrom(c)
	if x.Data()[23] != 9 {
		t.Error("CopyFrom did not copy")
	}
}

func TestFromSliceShares(t *testing.T) {
	data := []float32{1, 2, 3, 4}
	x := FromSlice(data[:3], 3)
	x.Set(7, 0)
	if data[0] != 7 {
		t.Error("FromSlice copied")
	}
	if _ = append(x.Data(), 9); data[3] != 4 {
		t.Error("append to Data writes behind the tensor")
	}
}

func TestShapesOfViews(t *testing.T) {
	x := New(4, 2, 3)
	for _, c := range []struct {
		name string
		got  *Tensor
		want []int
	}{
		{"Slice", x.Slice(1, 3), []int{2, 2, 3}},
		{"Slice to nothing", x.Slice(4, 4), []int{0, 2, 3}},
		{"Index", x.Index(3), []int{2, 3}},
		{"Index of a vector", New(5).Index(2), []int{}},
		{"Reshape", x.Reshape(6, 4), []int{6, 4}},
		{"Reshape with -1", x.Reshape(2, -1, 3), []int{2, 4, 3}},
		{"Reshape to a vector", x.Reshape(-1), []int{24}},
		{"Reshape of nothing", New(0, 3).Reshape(7, 0, 2), []int{7, 0, 2}},
		{"Reshape of nothing with -1", New(0, 3).Reshape(-1, 5), []int{0, 5}},
		{"rows of nothing", New(3, 0).Index(2), []int{0}},
	} {
		if !slices.Equal(c.got.Shape(), c.want) {
			t.Errorf("%s: shape %v, want %v", c.name, c.got.Shape(), c.want)
		}
	}
}

// panics runs f and returns the *Error it panicked with.
func panics(t *testing.T, f func()) *Error {
	t.Helper()
	var e *Error
	if err := Try(func() error { f(); return nil }); !errors.As(err, &e) {
		t.Fatalf("no panic with *Error: %v", err)
	}
	return e
}

func TestMistakesPanic(t *testing.T) {
	x := New(2, 3)
	for _, c := range []struct {
		op, want string
		f        func()
	}{
		{"tensor.New", "[2 -1]", func() { New(2, -1) }},
		{"tensor.New", "too large", func() { New(math.MaxInt, 3) }},
		{"tensor.New", "too large", func() { New(0, math.MaxInt, 3) }},
		{"tensor.FromSlice", "holds 6 elements, the slice has 5", func() { FromSlice(make([]float32, 5), 2, 3) }},
		{"tensor.Reshape", "[2 3] and [4 -1]", func() { x.Reshape(4, -1) }},
		{"tensor.Reshape", "[2 3] and [5]", func() { x.Reshape(5) }},
		{"tensor.Reshape", "[2 3] and [-2 -3]", func() { x.Reshape(-2, -3) }},
		{"tensor.Reshape", "[2 3] and [-1 -1]", func() { x.Reshape(-1, -1) }},
		{"tensor.Reshape", "[0 3] and [0 -1]", func() { New(0, 3).Reshape(0, -1) }},
		{"tensor.Slice", "[1:3]", func() { x.Slice(1, 3) }},
		{"tensor.Slice", "[2:1]", func() { x.Slice(2, 1) }},
		{"tensor.Slice", "[]", func() { Scalar(1).Slice(0, 0) }},
		{"tensor.Index", "no entry 2", func() { x.Index(2) }},
		{"tensor.Index", "no entry -1", func() { x.Index(-1) }},
		{"tensor.At", "index [0 3] is out of range", func() { x.At(0, 3) }},
		{"tensor.At", "needs 2 coordinates", func() { x.At(0) }},
		{"tensor.Set", "index [-1 0]", func() { x.Set(1, -1, 0) }},
		{"tensor.Dim", "no axis 2", func() { x.Dim(2) }},
		{"tensor.Dim", "no axis -3", func() { x.Dim(-3) }},
		{"tensor.Item", "not exactly one", func() { x.Item() }},
		{"tensor.CopyFrom", "[2 3] and [3 2]", func() { x.CopyFrom(New(3, 2)) }},
	} {
		e := panics(t, c.f)
		if e.Op != c.op || !strings.Contains(e.Error(), c.want) {
			t.Errorf("panic %q, want operation %s and %q", e, c.op, c.want)
		}
	}
}

func TestTry(t *testing.T) {
	want := errors.New("mine")
	if err := Try(func() error { return want }); err != want {
		t.Errorf("Try returned %v, want the function's own error", err)
	}
	if err := Try(func() error { return nil }); err != nil {
		t.Errorf("Try returned %v", err)
	}
	defer func() {
		if r := recover(); r != "foreign" {
			t.Errorf("a foreign panic became %v", r)
		}
	}()
	Try(func() error { panic("foreign") })
}

func TestPanicCopiesShapes(t *testing.T) {
	s := []int{1, 2}
	e := panics(t, func() { Panic("nn.Linear", "too thin", s, []int{3}) })
	s[0] = 9
	if got, want := e.Error(), "nn.Linear: [1 2] and [3]: too thin"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}

func TestSetWorkers(t *testing.T) {
	old := SetWorkers(3)
	defer SetWorkers(old)
	if Workers() != 3 {
		t.Errorf("Workers() = %d after SetWorkers(3)", Workers())
	}
}
