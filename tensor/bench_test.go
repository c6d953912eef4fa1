package tensor

import (
	"bytes"
	"io"
	"testing"
)

// BenchmarkFiles reports the speed of the codecs in bytes of the file.
func BenchmarkFiles(b *testing.B) {
	x := count(1000, 1000)
	for i := range x.data {
		x.data[i] /= 1 << 20
	}
	for _, d := range []DType{F32, F16, F64} {
		var npy bytes.Buffer
		if err := WriteNPY(&npy, x, d); err != nil {
			b.Fatal(err)
		}
		b.Run("npy/read/"+string(d), func(b *testing.B) {
			b.SetBytes(int64(npy.Len()))
			for range b.N {
				if _, err := ReadNPY(bytes.NewReader(npy.Bytes())); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("npy/write/"+string(d), func(b *testing.B) {
			b.SetBytes(int64(npy.Len()))
			for range b.N {
				if err := WriteNPY(io.Discard, x, d); err != nil {
					b.Fatal(err)
				}
			}
		})
		var st bytes.Buffer
		w, err := NewSafetensorsWriter(&st, []Entry{{"x", d, x.shape}}, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Write(x); err != nil {
			b.Fatal(err)
		}
		b.Run("safetensors/read/"+string(d), func(b *testing.B) {
			b.SetBytes(int64(st.Len()))
			for range b.N {
				s, err := openBytes(st.Bytes())
				if err != nil {
					b.Fatal(err)
				}
				if _, err := s.Load("x"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
