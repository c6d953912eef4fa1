package video

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func npyFile(t testing.TB, x *tensor.Tensor, d tensor.DType) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tensor.WriteNPY(&b, x, d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNPY(t *testing.T) {
	for _, c := range []int{1, 3} {
		x := moving(4, c, 5, 7).X
		last := x.Permute(0, 2, 3, 1)
		bytes8 := func(x *tensor.Tensor) *tensor.Tensor {
			return x.Apply(func(v float32) float32 { return float32(math.Round(float64(v) * 255)) })
		}
		files := map[string][]byte{
			"[T, C, H, W] of bytes":   npyFile(t, bytes8(x), tensor.U8),
			"[T, H, W, C] of bytes":   npyFile(t, bytes8(last), tensor.U8),
			"[T, C, H, W] of float32": npyFile(t, x, tensor.F32),
			"[T, H, W, C] of float64": npyFile(t, last, tensor.F64),
		}
		if c == 1 {
			files["[T, H, W] of bytes"] = npyFile(t, bytes8(x.Reshape(4, 5, 7)), tensor.U8)
			files["[T, H, W] of float32"] = npyFile(t, x.Reshape(4, 5, 7), tensor.F32)
		}
		for name, file := range files {
			same(t, name, decoded(t, NewNPY, file), x)
			skips(t, NewNPY, file)
			truncated(t, NewNPY, file, len(file))
		}
		// Versions 2 and 3 have a longer field for the header's length.
		for version := byte(2); version < 4; version++ {
			file := files["[T, C, H, W] of bytes"]
			file = append([]byte(npyMagic+string([]byte{version, 0})+string(file[8:10])+"\x00\x00"), file[10:]...)
			same(t, "version 2 or 3", decoded(t, NewNPY, file), x)
		}
	}
	// What could be both is [T, C, H, W].
	if x := decoded(t, NewNPY, npyFile(t, tensor.New(2, 3, 5, 3), tensor.F32)); x.Dim(1) != 3 || x.Dim(2) != 5 {
		t.Errorf("shape %v", x.Shape())
	}
	// Half precision is near.
	x := moving(2, 3, 4, 4).X
	if _, most := difference(t, decoded(t, NewNPY, npyFile(t, x, tensor.F16)), x); most > 0.1 {
		t.Errorf("float16 differs by %v of 255", most)
	}
}

func TestNPYMalformed(t *testing.T) {
	header := func(text string, data ...byte) []byte {
		return append(fmt.Appendf(nil, "%s\x01\x00%c\x00%s", npyMagic, rune(len(text)), text), data...)
	}
	ones := tensor.New(2, 3, 4, 4)
	ones.Fill(1)
	high := ones.Scale(255)
	nan := ones.Clone()
	nan.Data()[60] = float32(math.NaN())
	for _, c := range []struct {
		want string
		file []byte
	}{
		{"header: the data ends at byte 0", nil},
		{"not as npy does", []byte("PK\x03\x04 this is an npz")},
		{"header: the data ends", header("{'descr': '<f4'}")[:15]},
		{"header, byte 0: no dictionary", header("hello")},
		{"version 9.0", append([]byte(npyMagic+"\x09\x00"), header("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 2), }")[8:]...)},
		{"the shape has no dimension of frames", header("{'descr': '|u1', 'fortran_order': False, 'shape': (), }", 0)},
		{"fortran_order", header("{'descr': '|u1', 'fortran_order': 3, 'shape': (1, 2, 2), }")},
		{"the shape [5] is not [T, C, H, W]", npyFile(t, tensor.New(5), tensor.F32)},
		{"the shape [2 5 4 4] is not [T, C, H, W]", npyFile(t, tensor.New(2, 5, 4, 4), tensor.F32)},
		{"the shape [1 2 3 4 4] is not [T, C, H, W]", npyFile(t, tensor.New(1, 2, 3, 4, 4), tensor.F32)},
		{"0 by 4 pixels", npyFile(t, tensor.New(2, 3, 4, 0), tensor.F32)},
		{"npy: no frames", npyFile(t, tensor.New(0, 3, 4, 4), tensor.F32)},
		{"elements are neither bytes (uint8) nor floats", npyFile(t, ones, tensor.I32)},
		{"elements are neither bytes (uint8) nor floats", npyFile(t, ones, tensor.Bool)},
		{"Fortran order", header("{'descr': '|u1', 'fortran_order': True, 'shape': (1, 2, 2), }", 0, 0, 0, 0)},
		{"frame 0 of 2: element 0 is 255, outside [0,1]", npyFile(t, high, tensor.F32)},
		{"frame 1 of 2: element 12 is NaN, outside [0,1]", npyFile(t, nan, tensor.F32)},
		{"pixels, a frame has", header("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 20000, 20000), }", 0)},
		{"frame 0 of 2000000000: the data ends", header("{'descr': '|u1', 'fortran_order': False, 'shape': (2000000000, 99, 99), }", 0)},
		{"more data after the array", append(npyFile(t, ones, tensor.U8), 0)},
	} {
		s, err := NewNPY(bytes.NewReader(c.file))
		if err == nil {
			_, err = collect(s)
		}
		wants(t, err, c.want)
	}
	path := write(t, filepath.Join(t.TempDir(), "a.npy"), npyFile(t, ones, tensor.I32))
	_, err := Read(background, path, Options{FFmpeg: FFmpeg{Never: true}})
	wants(t, err, path)
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v: the cause is not ErrUnsupported", err)
	}
}

func FuzzNPY(f *testing.F) {
	x := moving(2, 3, 4, 4).X
	f.Add(npyFile(f, x, tensor.F32))
	f.Add(npyFile(f, x.Permute(0, 2, 3, 1), tensor.F64))
	f.Add(npyFile(f, tensor.New(2, 4, 4), tensor.U8))
	f.Fuzz(func(t *testing.T, file []byte) { fuzz(t, NewNPY, file) })
}
