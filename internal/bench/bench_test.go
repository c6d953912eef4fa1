package main

import (
	"flag"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func TestCases(t *testing.T) {
	seen := map[string]bool{}
	for _, family := range families {
		for _, c := range family {
			if seen[c.name] {
				t.Errorf("two cases are called %s", c.name)
			}
			seen[c.name] = true
		}
	}
	for _, name := range []string{
		"matmul/128", "matmul/512", "matmul/1024", "matmul/2048",
		"conv2d/16x32x32/fwd", "conv2d/16x32x32/fwdbwd", "conv2d/256x56x56_1x1/fwd",
		"conv2d/3x224x224_7x7s2/fwdbwd", "conv3d/64x8x28x28/fwd",
	} {
		if !seen[name] {
			t.Errorf("no case %s", name)
		}
	}
}

var slow = flag.Bool("slow", false, "run the programs of the other side")

// The other side must have the same cases in the same order, and they must run.
func TestPeers(t *testing.T) {
	if !*slow {
		t.Skip("runs every case in other programs: needs -slow")
	}
	const python = "/usr/bin/python3"
	for _, c := range []struct {
		script, needs, packages string
		video                   bool
	}{
		{"peers/pytorch.py", "import torch, torchvision, sklearn", "python3-torch python3-torchvision python3-sklearn", false},
		{"peers/video.py", "import cv2, shutil, torch; cv2.optflow; assert shutil.which('ffmpeg')", "python3-opencv python3-torch ffmpeg", true},
	} {
		t.Run(c.script, func(t *testing.T) {
			if exec.Command(python, "-c", c.needs).Run() != nil {
				t.Skipf("/usr/bin/python3 lacks what the other side needs (Debian: %s)", c.packages)
			}
			var want []string
			for _, family := range families {
				for _, b := range family {
					if strings.HasPrefix(b.name, "video/") == c.video {
						want = append(want, b.name)
					}
				}
			}
			out, err := exec.Command(python, c.script, "1", "", "0").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if got := strings.Fields(string(out)); !slices.Equal(got, want) {
				t.Errorf("their cases are\n%s\nours\n%s", got, want)
			}
		})
	}
}

// The dump must hold a product that double precision confirms.
func TestDump(t *testing.T) {
	dir := t.TempDir()
	if err := run(1, "extra/matmul/linear_8x10x128", 0, "", dir); err != nil {
		t.Fatal(err)
	}
	arrays := map[string]*tensor.Tensor{}
	for _, name := range []string{"a", "b", "c"} {
		x, err := tensor.LoadNPY(filepath.Join(dir, "extra_matmul_linear_8x10x128."+name+".npy"))
		if err != nil {
			t.Fatal(err)
		}
		arrays[name] = x
	}
	a, b, c := arrays["a"].Data(), arrays["b"].Data(), arrays["c"].Data()
	for i := range 8 {
		for j := range 10 {
			var sum float64
			for p := range 128 {
				sum += float64(a[i*128+p]) * float64(b[j*128+p])
			}
			if got := float64(c[i*10+j]); math.Abs(got-sum) > 1e-4 {
				t.Errorf("c[%d,%d] = %v, want %v", i, j, got, sum)
			}
		}
	}
	if err := run(1, "extra/matmul/linear_8x10x128", 0, "", filepath.Join(dir, "missing")); err == nil {
		t.Error("a dump into a directory that does not exist succeeded")
	}
}

func TestUnknownSet(t *testing.T) {
	if err := run(1, "no case has this name", 0, "abacus", ""); err == nil {
		t.Error("run accepted a kernel set that does not exist")
	}
}
