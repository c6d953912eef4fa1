package video

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func TestRaw(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	// I420 is the same as Y4M with its headers removed.
	y4m := y4mFile(rng, 3, 5, 7, "420jpeg", "")
	_, body, _ := strings.Cut(string(y4m), "\n")
	i420 := []byte(strings.ReplaceAll(body, "FRAME\n", ""))
	c := moving(3, 3, 5, 7)
	var rgb []byte
	for k := range 3 {
		for i := range 35 {
			for ch := range 3 {
				rgb = append(rgb, byte(c.X.Index(k).Data()[ch*35+i]*255+0.5))
			}
		}
	}
	gray := moving(3, 1, 5, 7)
	var g []byte
	for _, v := range gray.X.Data() {
		g = append(g, byte(v*255+0.5))
	}
	for _, k := range []struct {
		layout Layout
		file   []byte
		want   *tensor.Tensor
	}{{I420, i420, decoded(t, NewY4M, y4m)}, {RGB24, rgb, c.X}, {Gray8, g, gray.X}} {
		raw := Raw{Layout: k.layout, W: 7, H: 5, FPS: 12}
		read := func(r io.Reader) (Source, error) { return NewRaw(r, raw) }
		same(t, k.layout.String(), decoded(t, read, k.file), k.want)
		skips(t, read, k.file)
		size := len(k.file) / 3
		for n := range k.file {
			for _, stream := range []bool{false, true} {
				for _, skip := range []bool{false, true} {
					var r io.Reader = bytes.NewReader(k.file[:n])
					if stream {
						r = io.MultiReader(r)
					}
					s, err := read(r)
					frames := 0
					for err == nil {
						dst := tensor.New(k.want.Shape()[1:]...)
						if skip {
							dst = nil
						}
						if err = s.Next(dst); err == nil {
							frames++
						}
					}
					if n > 0 && n%size == 0 {
						if err != io.EOF || frames != n/size {
							t.Fatalf("%v, %d bytes: %d frames and %v", k.layout, n, frames, err)
						}
					} else {
						want := "raw: no frames"
						if n > 0 {
							want = fmt.Sprintf("raw: frame %d: the data ends", n/size)
						}
						wants(t, err, want)
					}
				}
			}
		}
		path := write(t, filepath.Join(t.TempDir(), "a.raw"), k.file)
		clip, err := Read(background, path, Options{Formats: []Format{raw.Format()}, FFmpeg: FFmpeg{Never: true}})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "by Open", clip.X, k.want)
		if clip.FPS != 12 {
			t.Errorf("%v frames per second", clip.FPS)
		}
	}
	var e *tensor.Error
	err := tensor.Try(func() error { NewRaw(bytes.NewReader(nil), Raw{W: 0, H: 3}); return nil })
	if !errors.As(err, &e) {
		t.Errorf("%v, want a panic", err)
	}
	var r Raw
	if b, err := json.Marshal(Raw{I420, 3, 4, 5}); err != nil || json.Unmarshal(b, &r) != nil || r != (Raw{I420, 3, 4, 5}) {
		t.Errorf("%s, %v", b, err)
	}
	if err := json.Unmarshal([]byte(`{"Layout": "NV12"}`), &r); err == nil || !strings.Contains(err.Error(), "unknown layout") {
		t.Error(err)
	}
}
