package tensor

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
)

// stored1 writes one tensor with the given bytes and opens it.
func stored1(t *testing.T, d DType, data []byte) *Safetensors {
	t.Helper()
	var b bytes.Buffer
	if _, err := NewSafetensorsWriter(&b, []Entry{{"n", d, []int{len(data) / d.Size()}}}, nil); err != nil {
		t.Fatal(err)
	}
	b.Write(data)
	s, err := NewSafetensors(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInts(t *testing.T) {
	// More than a chunk, and numbers that float32 and float64 cannot hold.
	values := []int64{0, 1, -1, 1<<24 + 1, 1<<53 + 1, math.MaxInt64, math.MinInt64}
	for i := range int64(20000) {
		values = append(values, i*i*i)
	}
	var b bytes.Buffer
	w, err := NewSafetensorsWriter(&b, []Entry{{"n", I64, []int{len(values)}}, {"m", I64, nil}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range [][]int64{values, {1<<24 + 1}} {
		if err := w.WriteInts(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := NewSafetensors(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]int64{"n": values, "m": {1<<24 + 1}} {
		if got, err := s.LoadInts(name); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %d numbers (%v)", name, len(got), err)
		}
	}
	if e := panics(t, func() { w.WriteInts(nil) }); e.Op != "tensor.SafetensorsWriter.WriteInts" {
		t.Errorf("panic %v", e)
	}
	for _, e := range []Entry{{"n", I32, []int{2}}, {"n", I64, []int{3}}} {
		w, err := NewSafetensorsWriter(&b, []Entry{e}, nil)
		if err != nil {
			t.Fatal(err)
		}
		panics(t, func() { w.WriteInts([]int64{1, 2}) })
	}

	for _, c := range []struct {
		d    DType
		data string
		want []int64
		bad  string
	}{
		{I8, "\xff\x02", []int64{-1, 2}, ""},
		{U8, "\xff", []int64{255}, ""},
		{Bool, "\x01", []int64{1}, ""},
		{I16, "\xfe\xff", []int64{-2}, ""},
		{I32, "\xff\xff\xff\x7f", []int64{math.MaxInt32}, ""},
		{U32, "\xff\xff\xff\xff", []int64{math.MaxUint32}, ""},
		{U64, "\xff\xff\xff\xff\xff\xff\xff\x7f", []int64{math.MaxInt64}, ""},
		{U64, "\x00\x00\x00\x00\x00\x00\x00\x80", nil, "beyond the range of int64"},
		{F32, "\x00\x00\x80\x4b", []int64{1 << 24}, ""},
		{F32, "\x00\x00\x80\x3f\x00\x00\x00\x3f", nil, "element 1 is 0.5, not a whole number"},
		{F32, "\x00\x00\xc0\x7f", nil, "is NaN, not a whole number"},
		{F64, "\x01\x00\x00\x00\x00\x00\x40\x43", []int64{1<<53 + 2}, ""},
		{F64, "\x00\x00\x00\x00\x00\x00\xe0\x43", nil, "is 9.22"},
		{F16, "\x00\x3c", []int64{1}, ""},
		{BF16, "\x80\x3f", []int64{1}, ""},
	} {
		got, err := stored1(t, c.d, []byte(c.data)).LoadInts("n")
		switch {
		case c.bad != "":
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%s %x: error %v, want %q", c.d, c.data, err, c.bad)
			}
		case err != nil || c.want != nil && !slices.Equal(got, c.want):
			t.Errorf("%s %x: %v (%v), want %v", c.d, c.data, got, err, c.want)
		}
	}
}
