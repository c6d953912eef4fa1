package tensor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// safetensorsFile puts a header in front of data.
func safetensorsFile(header string, data ...byte) []byte {
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), []byte(header), data)
}

func openBytes(b []byte) (*Safetensors, error) {
	return NewSafetensors(bytes.NewReader(b), int64(len(b)))
}

func TestSafetensorsTypes(t *testing.T) {
	le := binary.LittleEndian
	f64 := func(v float64) []byte { return le.AppendUint64(nil, math.Float64bits(v)) }
	for _, c := range []struct {
		dtype DType
		data  []byte
		want  []float32
	}{
		{F32, []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x80}, []float32{1, float32(math.Copysign(0, -1))}},
		{F64, slices.Concat(f64(0.1), f64(math.Inf(-1))), []float32{0.1, float32(math.Inf(-1))}},
		{F16, []byte{0, 0x3c, 1, 0, 0xff, 0x7b, 0, 0xfc}, []float32{1, 1.0 / (1 << 24), 65504, float32(math.Inf(-1))}},
		{BF16, []byte{0x80, 0x3f, 0x49, 0x40}, []float32{1, 3.140625}},
		{Bool, []byte{0, 1}, []float32{0, 1}},
		{I8, []byte{0x80, 0x7f}, []float32{-128, 127}},
		{U8, []byte{0x80, 0xff}, []float32{128, 255}},
		{I16, []byte{0, 0x80, 0xff, 0x7f}, []float32{-32768, 32767}},
		{U16, []byte{0, 0x80, 0xff, 0xff}, []float32{32768, 65535}},
		{I32, []byte{0, 0, 0, 0x80, 0, 0, 0, 1}, []float32{-1 << 31, 1 << 24}},
		{U32, []byte{0, 0, 0, 0x80, 0, 0xff, 0xff, 0xff}, []float32{1 << 31, 1<<32 - 256}},
		{I64, []byte{0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, []float32{-1 << 63, -1}},
		{U64, []byte{0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff}, []float32{1 << 63, 0xffffff << 40}},
	} {
		s, err := openBytes(safetensorsFile(fmt.Sprintf(`{"x":{"dtype":"%s","shape":[%d],"data_offsets":[0,%d]}}`, c.dtype, len(c.want), len(c.data)), c.data...))
		if err != nil {
			t.Fatal(err)
		}
		x, err := s.Load("x")
		if err != nil || !bytes.Equal(asBytes(x), asBytes(FromSlice(c.want, len(c.want)))) {
			t.Errorf("%s: %v (%v), want %v", c.dtype, x.Data(), err, c.want)
		}
		back := make([]byte, len(c.data))
		if bad := c.dtype.encode(back, c.want); bad != nil || c.dtype != F64 && !bytes.Equal(back, c.data) {
			t.Errorf("%s: written as % x (%v), want % x", c.dtype, back, bad, c.data)
		}
	}
}

// TestBF16Rounds checks ties, which go to even, and the edges.
func TestBF16Rounds(t *testing.T) {
	for _, c := range []struct {
		v    float32
		want uint16
	}{
		{1, 0x3f80}, {1 + 1.0/256, 0x3f80}, {1 + 1.0/256 + 1.0/65536, 0x3f81}, {1 + 3.0/256, 0x3f82}, {-1 - 3.0/256, 0xbf82},
		{math.SmallestNonzeroFloat32, 0}, {math.MaxFloat32, 0x7f80}, {float32(math.Inf(-1)), 0xff80}, {math.Float32frombits(0x7f800001), 0x7fc0},
	} {
		if got := toBF16(c.v); got != c.want {
			t.Errorf("%g became %04x, want %04x", c.v, got, c.want)
		}
	}
	var b [2]byte
	if bad := BF16.encode(b[:], []float32{math.MaxFloat32}); bad == nil {
		t.Error("the largest float32 became infinite without an error")
	}
}

func TestSafetensorsInexact(t *testing.T) {
	le := binary.LittleEndian
	for _, c := range []struct {
		dtype DType
		data  []byte
		want  string
	}{
		{I32, le.AppendUint32(nil, 1<<24+1), "element 0 is 16777217, an integer that float32 cannot hold"},
		{U32, le.AppendUint32(nil, math.MaxUint32), "4294967295"},
		{I64, le.AppendUint64(nil, math.MaxInt64), "9223372036854775807"},
		{I64, le.AppendUint64(nil, 1<<63+1), "-9223372036854775807"},
		{U64, le.AppendUint64(nil, math.MaxUint64), "18446744073709551615"},
		{F64, le.AppendUint64(nil, math.Float64bits(-4e38)), "-4e+38, beyond the range"},
		{Bool, []byte{2}, "2, not a boolean"},
		{"F8_E4M3", []byte{2}, "element type \"F8_E4M3\""},
	} {
		s, err := openBytes(safetensorsFile(fmt.Sprintf(`{"x":{"dtype":"%s","shape":[1],"data_offsets":[0,%d]}}`, c.dtype, len(c.data)), c.data...))
		if err != nil {
			t.Fatal(err)
		}
		if x, err := s.Load("x"); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `tensor "x"`) {
			t.Errorf("%s: %v, error %v, want %q", c.dtype, x, err, c.want)
		}
	}
}

func TestSafetensorsMalformed(t *testing.T) {
	x := `"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}`
	y := `"y":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}`
	swap := func(old, new string) []byte {
		return safetensorsFile(strings.Replace("{"+x+","+y+"}", old, new, 1), 1, 2, 3)
	}
	if _, err := openBytes(swap("", "")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		file []byte
	}{
		{"fewer than the 8", []byte{1, 2, 3}},
		{"above the limit of 100000000", binary.LittleEndian.AppendUint64(nil, 100_000_001)},
		{"above the limit of 100000000", binary.LittleEndian.AppendUint64(nil, math.MaxUint64)},
		{"header of 99999999 bytes in a file of 8", binary.LittleEndian.AppendUint64(nil, 99_999_999)},
		{"does not start with {", safetensorsFile("")},
		{"does not start with {", safetensorsFile(" {}")},
		{"does not start with {", safetensorsFile("[]")},
		{"text after", safetensorsFile("{} {}")},
		{"text after", safetensorsFile("{}\x00")},
		{"no string", safetensorsFile("{")},
		{"the name \"x\" appears twice", swap(`"y"`, `"x"`)},
		{"the name \"x\" appears twice", swap(`"y"`, `"\u0078"`)},
		{"metadata key \"a\" appears twice", safetensorsFile(`{"__metadata__":{"a":"1","a":"2"}}`)},
		{"\"__metadata__\" appears twice", safetensorsFile(`{"__metadata__":{},"__metadata__":{}}`)},
		{"no string", safetensorsFile(`{"__metadata__":{"a":1}}`)},
		{"no object", safetensorsFile(`{"__metadata__":null}`)},
		{"no comma in an object", swap(",\"y\"", "\"y\"")},
		{"no string", swap("}}", "},}")},
		{"no colon", swap(":", "=")},
		{"not UTF-8", swap("x", "\xff")},
		{"bad escape", swap("x", `\q`)},
		{"control character", swap("x", "\n")},
		{"a string does not end", safetensorsFile(`{"x`)},
		{"a string does not end", safetensorsFile(`{"x\`)},
		{"an unknown field \"stride\"", swap("dtype", "stride")},
		{"a field appears twice", swap(`"dtype"`, `"dtype":"U8","dtype"`)},
		{"missing", swap(`"dtype":"U8",`, "")},
		{"an empty dtype", swap("U8", "")},
		{"no string", swap(`"U8"`, "8")},
		{"no array", swap("[2]", "2")},
		{"no whole number", swap("[2]", "[-2]")},
		{"no whole number", swap("[2]", "[2,]")},
		{"no comma in an array", swap("[2]", "[2.0]")},
		{"no comma in an array", swap("[2]", "[2e0]")},
		{"starts with 0", swap("[2]", "[02]")},
		{"a number is too large", swap("[2]", "[9223372036854775808]")},
		{"more than 64 numbers", swap("[2]", "["+strings.Repeat("1,", 64)+"2]")},
		{"too large", swap("[2]", "[4294967296,4294967296]")},
		{"data_offsets needs two", swap("[0,2]", "[0]")},
		{"more than 2 numbers", swap("[0,2]", "[0,2,3]")},
		{"before its start", swap("[0,2]", "[2,0]")},
		{"ends at byte 4 of 3", swap("[2,3]", "[2,4]")},
		{"takes 2 bytes, but U8 of shape [3]", swap("[2]", "[3]")},
		{"takes 2 bytes, but F32 of shape [2]", swap("U8", "F32")},
		{"inside the tensor before it", swap(`[1],"data_offsets":[2,3]`, `[2],"data_offsets":[1,3]`)},
		{"leaving a gap after byte 0", swap(`[2],"data_offsets":[0,2]`, `[1],"data_offsets":[1,2]`)},
		{"end at byte 3 of 4", append(swap("", ""), 4)},
		{"ends at byte 3 of 2", swap("", "")[:len(swap("", ""))-1]},
	} {
		_, err := openBytes(c.file)
		var fe *FormatError
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), c.want) || fe.Place == "" {
			t.Errorf("error %v, want a *FormatError with %q", err, c.want)
		}
	}
}

func TestSafetensorsRoundTrip(t *testing.T) {
	tensors := map[string]*Tensor{
		"conv.weight": count(4, 3, 3, 3), "conv.bias": count(4), "steps": Scalar(7), "none": New(0, 5), `q"uo\te é`: count(50000),
	}
	meta := map[string]string{"format": "pt", "a<b": "c\n"}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := SaveSafetensors(path, tensors, meta); err != nil {
		t.Fatal(err)
	}
	got, gotMeta, err := LoadSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(tensors) || gotMeta["format"] != "pt" || gotMeta["a<b"] != "c\n" || len(gotMeta) != 2 {
		t.Errorf("%d tensors and metadata %v", len(got), gotMeta)
	}
	for name, x := range tensors {
		if g := got[name]; g == nil || !slices.Equal(g.shape, x.shape) || !slices.Equal(g.data, x.data) {
			t.Errorf("%q came back as %v", name, g)
		}
	}
	var first bytes.Buffer
	for i := range 20 {
		var b bytes.Buffer
		if err := WriteSafetensors(&b, tensors, meta); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = b
		}
		if !bytes.Equal(b.Bytes(), first.Bytes()) {
			t.Fatal("equal arguments gave different bytes")
		}
	}
	if n := binary.LittleEndian.Uint64(first.Bytes()); n%8 != 0 {
		t.Errorf("the header of %d bytes leaves the data unaligned", n)
	}
}

func TestSafetensorsStreams(t *testing.T) {
	entries := []Entry{{"a", F64, []int{2}}, {"n", I64, []int{}}, {"b", BF16, []int{3}}}
	var b bytes.Buffer
	w, err := NewSafetensorsWriter(&b, entries, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(FromSlice([]float32{0.5, -2}, 2)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), `"n": was declared`) {
		t.Errorf("Close before the end: %v", err)
	}
	e := panics(t, func() { w.Write(New(2)) })
	if !strings.Contains(e.Error(), "[] and [2]") {
		t.Errorf("panic %v", e)
	}
	for _, x := range []*Tensor{Scalar(3), FromSlice([]float32{1, 2, 3.14159}, 3)} {
		if err := w.Write(x); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	panics(t, func() { w.Write(New(2)) })

	s, err := openBytes(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Entries(); fmt.Sprint(got) != fmt.Sprint(entries) || s.Metadata() != nil || !s.Has("n") || s.Has("c") {
		t.Errorf("entries %v, metadata %v", got, s.Metadata())
	}
	for name, want := range map[string][]float32{"a": {0.5, -2}, "n": {3}, "b": {1, 2, 3.140625}} {
		if x, err := s.Load(name); err != nil || !slices.Equal(x.data, want) {
			t.Errorf("%s: %v (%v), want %v", name, x, err, want)
		}
	}
	if _, err := s.Load("c"); err == nil || !strings.Contains(err.Error(), `"c": not in the file`) {
		t.Errorf("a missing name gives %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestSafetensorsWriterRefuses(t *testing.T) {
	for _, c := range []struct {
		want    string
		entries []Entry
		meta    map[string]string
	}{
		{"appears twice", []Entry{{Name: "a"}, {Name: "a"}}, nil},
		{"reserved", []Entry{{Name: "__metadata__"}}, nil},
		{"not UTF-8", []Entry{{Name: "\xff"}}, nil},
		{"not UTF-8", nil, map[string]string{"a": "\xff"}},
		{"element type \"F4\"", []Entry{{Name: "a", DType: "F4"}}, nil},
		{"impossible", []Entry{{Name: "a", Shape: []int{-1}}}, nil},
		{"dimensions", []Entry{{Name: "a", Shape: make([]int, 65)}}, nil},
	} {
		_, err := NewSafetensorsWriter(io.Discard, c.entries, c.meta)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "x")
	if err := SaveSafetensors(path, map[string]*Tensor{"a": Scalar(1)}, nil); err != nil {
		t.Fatal(err)
	}
	if err := SaveSafetensors(path, map[string]*Tensor{"a": Scalar(1)}, map[string]string{"\xff": ""}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names the file", err)
	}
	if _, err := OpenSafetensors(path); err != nil {
		t.Errorf("the old file did not survive: %v", err)
	}
	want := errors.New("full")
	if err := WriteSafetensors(failing{want}, nil, nil); !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// TestSafetensorsShrinks reads a file that became shorter after it was opened.
func TestSafetensorsShrinks(t *testing.T) {
	b := safetensorsFile(`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`)
	s, err := NewSafetensors(bytes.NewReader(b), int64(len(b))+8)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("x"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v, want io.ErrUnexpectedEOF", err)
	}
}

// TestSafetensorsPython parses a file with a few lines of Python, the format's
// description taken literally, and compares the tensors.
func TestSafetensorsPython(t *testing.T) {
	python := numpy(t)
	path := filepath.Join(t.TempDir(), "m.safetensors")
	rng := rand.New(rand.NewPCG(1, 2))
	tensors := map[string]*Tensor{}
	for i := range 5 {
		x := New(i, 3)
		for j := range x.data {
			x.data[j] = rng.Float32()
		}
		name := fmt.Sprint("layer.", i)
		tensors[name] = x
		if err := SaveNPY(filepath.Join(filepath.Dir(path), name+".npy"), x, F32); err != nil {
			t.Fatal(err)
		}
	}
	if err := SaveSafetensors(path, tensors, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	script := `
import sys, os, json, struct, numpy as np
raw = open(sys.argv[1], 'rb').read()
n, = struct.unpack('<Q', raw[:8])
head = json.loads(raw[8:8 + n])
assert head.pop('__metadata__') == {'format': 'pt'}
assert len(head) == 5
for name, e in head.items():
    a = np.frombuffer(raw[8 + n:][slice(*e['data_offsets'])], '<f4').reshape(e['shape'])
    b = np.load(os.path.join(os.path.dirname(sys.argv[1]), name + '.npy'))
    assert a.shape == b.shape and (a == b).all(), name
`
	if out, err := exec.Command(python, "-c", script, path).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSafetensorsGolden reads a file that another program wrote.
func TestSafetensorsGolden(t *testing.T) {
	s, err := OpenSafetensors("../internal/golden/testdata/ops.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, e := range s.Entries() {
		x, err := s.Load(e.Name)
		if err != nil || !slices.Equal(x.shape, e.Shape) {
			t.Errorf("%s: shape %v, want %v (%v)", e.Name, x.Shape(), e.Shape, err)
		}
	}
}

func FuzzSafetensors(f *testing.F) {
	x := `"x":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}`
	f.Add(safetensorsFile(`{"__metadata__":{"a":"b\u0020"},`+x+`,"y":{"dtype":"F16","shape":[],"data_offsets":[8,10]}}  `, make([]byte, 10)...))
	f.Add(safetensorsFile(`{"y":{"dtype":"BOOL","shape":[0,3],"data_offsets":[0,0]},`+x+`}`, 1, 2, 3, 4, 5, 6, 7, 0))
	f.Add(safetensorsFile(`{}`))
	f.Add(safetensorsFile("{"+x+","+x+"}", make([]byte, 16)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		check := func(err error) bool {
			var fe *FormatError
			if err != nil && !errors.As(err, &fe) {
				t.Fatalf("%T: %v", err, err)
			}
			return err == nil
		}
		s, err := openBytes(b)
		if !check(err) {
			return
		}
		var entries []Entry
		var loaded []*Tensor
		for _, e := range s.Entries() {
			x, err := s.Load(e.Name)
			if check(err) {
				entries, loaded = append(entries, Entry{e.Name, F32, e.Shape}), append(loaded, x)
			}
		}
		var out bytes.Buffer
		w, err := NewSafetensorsWriter(&out, entries, s.Metadata())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range loaded {
			if err := w.Write(x); err != nil {
				t.Fatal(err)
			}
		}
		again, err := openBytes(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range entries {
			y, err := again.Load(e.Name)
			if err != nil || !bytes.Equal(asBytes(loaded[i]), asBytes(y)) {
				t.Fatalf("%q does not survive writing: %v", e.Name, err)
			}
		}
	})
}
