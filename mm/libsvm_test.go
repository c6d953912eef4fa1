package mm

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const sampleText = "+1 1:0.5 3:-2 # comment\r\n\n-1 qid:7 2:1e-3 3:0\n 1\t4:7\n-1"

func TestReadLIBSVM(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(sampleText)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, in := range [][]byte{[]byte(sampleText), zipped.Bytes()} {
		s, err := ReadLIBSVM(bytes.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		want := &Samples{
			X: &CSR{P: 4, Ptr: []int{0, 2, 3, 4, 4}, Col: []int32{0, 2, 1, 3}, Val: []float64{0.5, -2, 1e-3, 7}},
			Y: []float64{1, -1, 1, -1},
		}
		if !sameSamples(s, want) {
			t.Errorf("read %+v %v, want %+v %v", s.X, s.Y, want.X, want.Y)
		}
		var out bytes.Buffer
		if err := WriteLIBSVM(&out, s); err != nil {
			t.Fatal(err)
		}
		again, err := ReadLIBSVM(&out)
		if err != nil || !sameSamples(again, s) {
			t.Errorf("round trip: %v, %+v", err, again)
		}
	}
}

func sameSamples(a, b *Samples) bool {
	return a.X.P == b.X.P && slices.Equal(a.Y, b.Y) && slices.Equal(a.X.Ptr, b.X.Ptr) &&
		slices.Equal(a.X.Col, b.X.Col) && slices.Equal(a.X.Val, b.X.Val)
}

func TestLIBSVMErrors(t *testing.T) {
	for _, c := range []struct {
		text   string
		line   int
		reason string
	}{
		{"1 1:1\nx 1:1", 2, "label"},
		{"nan 1:1", 1, "label"},
		{"1 1:1\n\n1 0:1", 3, "not in 1"},
		{"1 2:1 2:1", 1, "not ascending"},
		{"1 3:1 2:1", 1, "not ascending"},
		{"1 1", 1, "index:value"},
		{"1 a:1", 1, "index"},
		{"1 1:b", 1, "value"},
		{"1 1:inf", 1, "value"},
		{"1 99999999999:1", 1, "not in 1"},
		{"1 99999999999999999999:1", 1, "index"},
		{strings.Repeat("1 1:1\n", 70000) + "1 1:" + strings.Repeat("1", 70000) + "x", 70001, "value"},
	} {
		_, err := ReadLIBSVM(strings.NewReader(c.text))
		var f *FormatError
		if !errors.As(err, &f) || f.Line != c.line || !strings.Contains(f.Reason, c.reason) || !errors.Is(err, ErrFormat) {
			t.Errorf("%.30q: error %v, want line %d: …%s…", c.text, err, c.line, c.reason)
		}
	}
	name := filepath.Join(t.TempDir(), "bad.svm")
	if err := os.WriteFile(name, []byte("1 1:1\n1 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLIBSVMFile(name); err == nil || !strings.Contains(err.Error(), "bad.svm") || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("file error %v does not name the place", err)
	}
	if _, err := ReadLIBSVM(bytes.NewReader([]byte{0x1f, 0x8b, 0, 0})); err == nil {
		t.Error("broken gzip: no error")
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte(strings.Repeat(sampleText+"\n", 100)))
	_ = w.Close()
	if _, err := ReadLIBSVM(bytes.NewReader(zipped.Bytes()[:zipped.Len()/2])); err == nil {
		t.Error("cut gzip: no error")
	}
}

func TestSigns(t *testing.T) {
	for _, c := range []struct {
		in, want []float64
		ok       bool
	}{
		{[]float64{1, -1}, []float64{1, -1}, true},
		{[]float64{0, 1, 0}, []float64{-1, 1, -1}, true},
		{[]float64{2, 1}, []float64{1, -1}, true},
		{[]float64{1, 1}, []float64{1, 1}, true},
		{[]float64{-1, -1}, []float64{-1, -1}, true},
		{[]float64{0, 0}, nil, false},
		{[]float64{0.5, 1, -1}, nil, false},
	} {
		got, err := (&Samples{Y: c.in}).Signs()
		if (err == nil) != c.ok || !slices.Equal(got, c.want) {
			t.Errorf("labels %v: %v, %v", c.in, got, err)
		}
	}
}

// FuzzReadLIBSVM: whatever is accepted is well formed and survives a round trip.
func FuzzReadLIBSVM(f *testing.F) {
	f.Add([]byte(sampleText))
	f.Add([]byte("1 1:1 2:2\n-1 1:-1\n"))
	f.Add([]byte("0x1p3 1:1_0\n"))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := ReadLIBSVM(bytes.NewReader(in))
		if err != nil {
			return
		}
		n, p := s.X.Dims()
		if n != len(s.Y) || s.X.Ptr[0] != 0 || s.X.Ptr[n] != len(s.X.Col) || len(s.X.Col) != len(s.X.Val) {
			t.Fatalf("inconsistent sizes in %+v", s.X)
		}
		top := 0
		for i := range n {
			last := -1
			s.X.Do(i, func(j int, v float64) {
				if j <= last || j >= p || v == 0 || !finite(v) {
					t.Fatalf("row %d: entry %d is %g", i, j, v)
				}
				last = j
			})
			top = max(top, last+1)
		}
		var out bytes.Buffer
		if err := WriteLIBSVM(&out, s); err != nil {
			t.Fatal(err)
		}
		again, err := ReadLIBSVM(&out)
		if err != nil {
			t.Fatal(err)
		}
		again.X.P = p // explicit zeros in the last columns are not written
		if !sameSamples(again, s) {
			t.Fatalf("round trip of %+v gives %+v", s, again)
		}
	})
}
