package main

import (
	"os"
	"path/filepath"
	"testing"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A figure appears whole beside the old one, so that a full disk leaves that.
func TestFiguresAreReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	files := map[string][]os.FileInfo{}
	for range 2 {
		if err := save(file, vg.Points(20), vg.Points(20), func(draw.Canvas) {}); err != nil {
			t.Fatal(err)
		}
		for _, ext := range []string{".png", ".svg"} {
			info, err := os.Stat(file + ext)
			if err != nil || info.Size() == 0 {
				t.Fatalf("%v (%v)", info, err)
			}
			files[ext] = append(files[ext], info)
		}
	}
	for ext, f := range files {
		if os.SameFile(f[0], f[1]) {
			t.Errorf("x%s is written over the old one", ext)
		}
	}
}
