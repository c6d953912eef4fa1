package video

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func TestSave(t *testing.T) {
	for _, c := range []*Clip{moving(3, 3, 7, 9), moving(3, 1, 7, 9)} {
		dir := t.TempDir()
		for _, name := range []string{"a.npy", "a.y4m", "A.Y4M", "frames", "other.d/frames", "dotted.d/"} {
			path := filepath.Join(dir, name)
			if strings.HasSuffix(name, "/") {
				path += "/"
			}
			if err := Save(path, c); err != nil {
				t.Fatal(err)
			}
			back, err := Read(background, path, Options{FFmpeg: FFmpeg{Never: true}})
			if err != nil {
				t.Fatal(err)
			}
			same(t, name, back.X, c.X)
			if strings.Contains(name, "y4m") && back.FPS != c.FPS {
				t.Errorf("%v frames per second", back.FPS)
			}
		}
		// Floats that 8 bits do not hold are exact in npy and rounded in the others.
		odd := &Clip{X: c.X.AddScalar(0.123 / 255)}
		for _, name := range []string{"b.npy", "b.y4m", "b"} {
			path := filepath.Join(dir, name)
			if err := Save(path, odd); err != nil {
				t.Fatal(err)
			}
			back, err := Read(background, path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			want := odd.X
			if name != "b.npy" {
				want = odd.X.Round8()
			}
			same(t, name, back.X, want)
		}
		for _, name := range []string{"a.jpg", "a.mp4", "a.avi", "a.jpeg"} {
			if err := Save(filepath.Join(dir, name), c); err == nil || !strings.Contains(err.Error(), "written as .npy, .y4m, .gif or a directory") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestSavePNG(t *testing.T) {
	c := moving(2, 3, 4, 5)
	dir := t.TempDir()
	full := filepath.Join(dir, "full")
	write(t, filepath.Join(full, "frame_00007.png"), nil)
	if err := SavePNG(full, c); err == nil || !strings.Contains(err.Error(), "the directory is not empty") {
		t.Error(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := SavePNG(empty, c); err != nil {
		t.Fatal(err)
	}
	if err := SavePNG(write(t, filepath.Join(dir, "file"), nil), c); err == nil {
		t.Error("a file was taken for a directory")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3 {
		t.Errorf("%v: what is left is %v", err, left)
	}
	frames, err := os.ReadDir(empty)
	if err != nil || len(frames) != 2 || frames[0].Name() != "frame_00000.png" {
		t.Errorf("%v: %v", err, frames)
	}
}

func TestNotAClip(t *testing.T) {
	for _, shape := range [][]int{{3, 4, 4}, {2, 2, 4, 4}, {0, 3, 4, 4}, {1, 1, 0, 4}} {
		c := &Clip{X: tensor.New(shape...)}
		for name, f := range map[string]func() error{
			"Save":     func() error { return Save(filepath.Join(t.TempDir(), "a.npy"), c) },
			"SavePNG":  func() error { return SavePNG(filepath.Join(t.TempDir(), "a"), c) },
			"WriteY4M": func() error { return WriteY4M(nil, c, Y4MOptions{}) },
			"WriteGIF": func() error { return WriteGIF(nil, c, GIFOptions{}) },
		} {
			var e *tensor.Error
			if err := tensor.Try(f); !errors.As(err, &e) {
				t.Errorf("%s of %v: %v, want a panic", name, shape, err)
			}
		}
	}
	for name, f := range map[string]func(){
		"Y4M bits":      func() { WriteY4M(nil, moving(1, 3, 2, 2), Y4MOptions{Bits: 12}) },
		"GIF scale":     func() { WriteGIF(nil, moving(1, 3, 2, 2), GIFOptions{Scale: -1}) },
		"windows":       func() { Windows(nil, 0, 1) },
		"a wrong frame": func() { s, _ := OpenFrames(saved(t, "x", moving(1, 3, 2, 2))); s.Next(tensor.New(3, 2, 3)) },
	} {
		var e *tensor.Error
		if err := tensor.Try(func() error { f(); return nil }); !errors.As(err, &e) {
			t.Errorf("%s: %v, want a panic", name, err)
		}
	}
}
