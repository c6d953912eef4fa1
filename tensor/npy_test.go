package tensor

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNPYFixtures reads what numpy wrote (testdata/make_npy.py).
func TestNPYFixtures(t *testing.T) {
	ramp := func(f func(i int) float32) *Tensor {
		x := New(2, 3, 4)
		for i := range x.data {
			x.data[i] = f(i)
		}
		return x
	}
	eighths := ramp(func(i int) float32 { return float32(i) / 8 })
	signed := ramp(func(i int) float32 { return float32(i - 12) })
	plain := ramp(func(i int) float32 { return float32(i) })
	want := map[string]*Tensor{
		"f4": eighths, "f4_big": eighths, "f8": eighths, "f8_big": eighths, "f2": eighths, "f2_big": eighths,
		"fortran": eighths, "fortran_big": eighths, "version2": eighths, "version3": eighths,
		"i1": signed, "i2_big": signed, "i4": signed, "i8": signed,
		"u1": plain, "u2": plain, "u4_big": plain, "u8": plain,
		"bool": ramp(func(i int) float32 {
			if i%3 == 0 {
				return 1
			}
			return 0
		}),
		"scalar": Scalar(2.5), "vector": FromSlice([]float32{0, 1, 2}, 3), "empty": New(2, 0, 3),
	}
	for name, w := range want {
		path := filepath.Join("testdata", name+".npy")
		got, err := LoadNPY(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if !slices.Equal(got.shape, w.shape) || !slices.Equal(got.data, w.data) {
			t.Errorf("%s: %v %v, want %v %v", name, got.shape, got.data, w.shape, w.data)
		}
		// A stream that cannot tell its length gives the same.
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err = ReadNPY(io.MultiReader(bytes.NewReader(b)))
		if err != nil || !slices.Equal(got.data, w.data) {
			t.Errorf("%s as a stream: %v", name, err)
		}
	}
	files, err := filepath.Glob("testdata/*.npy")
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".npy")
		if !strings.HasPrefix(name, "bad_") {
			continue
		}
		bad++
		_, err := LoadNPY(path)
		var fe *FormatError
		if !errors.As(err, &fe) || fe.File != path || fe.Place == "" {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if bad != 5 || len(files) != bad+len(want) {
		t.Errorf("%d fixtures, %d of them bad; %d and 5 were expected", len(files), bad, len(want)+5)
	}
}

func TestNPYRoundTrip(t *testing.T) {
	for _, shape := range [][]int{{}, {0}, {7}, {2, 3}, {3, 1, 5, 2}, {40, 1000}} {
		for _, dtype := range []DType{"", F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool} {
			x := New(shape...)
			for i := range x.data {
				x.data[i] = float32(i % 2)
			}
			var b bytes.Buffer
			if err := WriteNPY(&b, x, dtype); err != nil {
				t.Fatal(err)
			}
			if b.Len()%64 != x.Len()*dtype.Size()%64 {
				t.Errorf("%s %v: the data does not start at a multiple of 64 bytes", dtype, shape)
			}
			b.WriteString("next")
			got, err := ReadNPY(&b)
			if err != nil || !slices.Equal(got.shape, x.shape) || !slices.Equal(got.data, x.data) {
				t.Fatalf("%s %v: %v", dtype, shape, err)
			}
			if b.String() != "next" {
				t.Errorf("%s %v: the reader does not stop behind the array", dtype, shape)
			}
		}
	}
}

// npyFile puts a header in front of data.
func npyFile(header string, data ...byte) []byte {
	n := len(header)
	return slices.Concat([]byte("\x93NUMPY\x01\x00"), []byte{byte(n), byte(n >> 8)}, []byte(header), data)
}

func TestNPYMalformed(t *testing.T) {
	good := "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n"
	if _, err := ReadNPY(bytes.NewReader(npyFile(good, 1, 2, 3, 4, 5, 6))); err != nil {
		t.Fatal(err)
	}
	swap := func(old, new string) []byte {
		return npyFile(strings.Replace(good, old, new, 1), make([]byte, 48)...)
	}
	for _, c := range []struct {
		want string
		file []byte
		is   error
	}{
		{"an empty file", nil, io.ErrUnexpectedEOF},
		{"a zip archive", []byte("PK\x03\x04 a zip file"), nil},
		{"version 9.0", []byte("\x93NUMPY\x09\x00\x10\x00"), errors.ErrUnsupported},
		{"ends in the length", []byte("\x93NUMPY\x02\x00\x10\x00"), io.ErrUnexpectedEOF},
		{"above 65536 bytes", []byte("\x93NUMPY\x02\x00\x00\x00\x01\x01"), nil},
		{"above 65536 bytes", []byte("\x93NUMPY\x03\x00\xff\xff\xff\xff"), nil},
		{"ends in the header of 60 bytes", npyFile(good)[:30], io.ErrUnexpectedEOF},
		{"byte 5: the data ends, the header promises 6", npyFile(good, 1, 2, 3, 4, 5), io.ErrUnexpectedEOF},
		{"no dictionary", swap("{", "("), nil},
		{"does not end", swap(", }", ""), nil},
		{"text after", swap("}", "} 7"), nil},
		{"appears twice", swap("{", "{'descr': '<f4', "), nil},
		{"missing", swap("'descr': '|u1', ", ""), nil},
		{"unknown key", swap("descr", "description"), nil},
		{"no colon", swap(":", "="), nil},
		{"no key in quotes", swap("'descr'", "descr"), nil},
		{"neither True nor False", swap("False", "None"), nil},
		{"more than 64 dimensions", swap("2, 3", strings.Repeat("1,", 65)), nil},
		{"is not a number that fits", swap("2, 3", "99999999999999999999"), nil},
		{"is not a number that fits", swap("2, 3", "-2, 3"), nil},
		{"is not a number that fits", swap("2, 3", "2,,3"), nil},
		{"the tuple does not end", swap("3), }", "3"), nil},
		{"no tuple", swap("(2, 3)", "[2, 3]"), nil},
		{"too large", swap("2, 3", "2147483647, 2147483647, 2147483647"), nil},
		{"promises 400000000 bytes", swap("2, 3", "20000, 20000"), io.ErrUnexpectedEOF},
		{"element type \"|O\"", swap("|u1", "|O"), errors.ErrUnsupported},
		{"element type \"<V2\"", swap("|u1", "<V2"), errors.ErrUnsupported},
		{"element type \"|f4\"", swap("|u1", "|f4"), errors.ErrUnsupported},
		{"element type \"=f4\"", swap("|u1", "=f4"), errors.ErrUnsupported},
		{"several fields", swap("'|u1'", "[('a', '<f4')]"), errors.ErrUnsupported},
		{"not a string", swap("'|u1'", "7"), nil},
		{"element 2 is 3, not a boolean", npyFile(strings.Replace(good, "u1", "b1", 1), 1, 0, 3, 0, 0, 0), nil},
	} {
		for _, r := range []io.Reader{bytes.NewReader(c.file), io.MultiReader(bytes.NewReader(c.file))} {
			_, err := ReadNPY(r)
			var fe *FormatError
			if !errors.As(err, &fe) || !strings.Contains(err.Error(), c.want) || fe.Place == "" {
				t.Errorf("error %v, want a *FormatError with %q", err, c.want)
				continue
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v: the cause is %v, want %v", err, fe.Err, c.is)
			}
		}
	}
	// What Python 2 and others write is accepted.
	for _, h := range []string{
		"{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3L)}",
		`{"shape":(2,3),"fortran_order":False,"descr":"<u1"}`,
	} {
		if _, err := ReadNPY(bytes.NewReader(npyFile(h, 1, 2, 3, 4, 5, 6))); err != nil {
			t.Errorf("%s: %v", h, err)
		}
	}
}

func TestNPYReadErrorsPass(t *testing.T) {
	want := errors.New("cable cut")
	var b bytes.Buffer
	if err := WriteNPY(&b, count(10, 10), F32); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{3, 9, 40, 128, 300} {
		_, err := ReadNPY(io.MultiReader(bytes.NewReader(b.Bytes()[:n]), failing{want}))
		if !errors.Is(err, want) {
			t.Errorf("after %d bytes: error %v, want %v", n, err, want)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestNPYWriteRefuses(t *testing.T) {
	for _, c := range []struct {
		v     float32
		dtype DType
		want  string
	}{
		{1, BF16, "no element type BF16"},
		{1, "F8_E4M3", "no element type F8_E4M3"},
		{70000, F16, "element 1 is 70000, which F16 cannot hold"},
		{0.5, I32, "element 1 is 0.5, which I32 cannot hold"},
		{-1, U8, "element 1 is -1"},
		{128, I8, "element 1 is 128"},
		{float32(math.NaN()), I64, "element 1 is NaN"},
		{1 << 63, I64, "element 1 is 9.223372e+18"},
		{2, Bool, "element 1 is 2"},
	} {
		err := WriteNPY(io.Discard, FromSlice([]float32{0, c.v}, 2), c.dtype)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v as %s: error %v, want %q", c.v, c.dtype, err, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "a.npy")
	if err := SaveNPY(path, Scalar(1), F32); err != nil {
		t.Fatal(err)
	}
	if err := SaveNPY(path, Scalar(0.5), I8); err == nil {
		t.Fatal("0.5 became an integer")
	}
	if x, err := LoadNPY(path); err != nil || x.Item() != 1 {
		t.Errorf("the old file holds %v (%v), want 1", x, err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("more")
	f.Close()
	if _, err := LoadNPY(path); err == nil || !strings.Contains(err.Error(), "4 bytes after the data") {
		t.Errorf("error %v, want one about the bytes after the data", err)
	}
	want := errors.New("full")
	if err := WriteNPY(failing{want}, Scalar(1), F32); !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// TestNPYNumpyReads lets numpy read what WriteNPY wrote and compare it with its
// own.
func TestNPYNumpyReads(t *testing.T) {
	python := numpy(t)
	dir := t.TempDir()
	for _, d := range []DType{F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool} {
		x := New(3, 1, 5)
		for i := range x.data {
			x.data[i] = float32(i % 2)
		}
		if err := SaveNPY(filepath.Join(dir, string(d)+".npy"), x, d); err != nil {
			t.Fatal(err)
		}
	}
	script := `
import sys, os, numpy as np
want = (np.arange(15) % 2).reshape(3, 1, 5)
types = dict(F32='f4', F64='f8', F16='f2', I8='i1', I16='i2', I32='i4', I64='i8', U8='u1', U16='u2', U32='u4', U64='u8', BOOL='?')
for name, dtype in types.items():
    a = np.load(os.path.join(sys.argv[1], name + '.npy'))
    assert a.dtype == np.dtype(dtype) and a.shape == want.shape and (a == want).all(), (name, a)
`
	if out, err := exec.Command(python, "-c", script, dir).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// numpy returns a Python that has numpy, or skips the test.
func numpy(t *testing.T) string {
	t.Helper()
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(p, "-c", "import numpy").Run() == nil {
			return p
		}
	}
	t.Skip("no python3 with numpy here")
	return ""
}

func FuzzReadNPY(f *testing.F) {
	files, err := filepath.Glob("testdata/*.npy")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds (%v)", err)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(npyFile("{'descr': '|u1', 'fortran_order': True, 'shape': (1000000, 1000000)}", 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ReadNPY(bytes.NewReader(b))
		y, err2 := ReadNPY(io.MultiReader(bytes.NewReader(b)))
		if (err == nil) != (err2 == nil) {
			t.Fatalf("a file gives %v, a stream %v", err, err2)
		}
		if err != nil {
			var fe *FormatError
			if !errors.As(err, &fe) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if !bytes.Equal(asBytes(x), asBytes(y)) {
			t.Fatal("a file and a stream differ")
		}
		var out bytes.Buffer
		if err := WriteNPY(&out, x, F32); err != nil {
			t.Fatal(err)
		}
		z, err := ReadNPY(&out)
		if err != nil || !slices.Equal(x.shape, z.shape) || !bytes.Equal(asBytes(x), asBytes(z)) {
			t.Fatalf("what was read does not survive writing: %v", err)
		}
	})
}

// asBytes compares tensors with NaN in them.
func asBytes(t *Tensor) []byte {
	b := make([]byte, 4*t.Len())
	F32.encode(b, t.data)
	return b
}
