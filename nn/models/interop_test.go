package models

import (
	"math"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// PyTorch loads our weights by name and gets our logits, and the other way round.
func TestWeightsTravelToPyTorchAndBack(t *testing.T) {
	python := ""
	for _, p := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(p, "-c", "import torch, numpy").Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		t.Skip("no python3 with torch here (Debian: python3-torch)")
	}
	for _, name := range []string{"net4", "resnet20", "vgg11-32", "meta-mnist"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := Find(name)
			dir := t.TempDir()
			path := func(f string) string { return filepath.Join(dir, f) }
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			m := s.New(3, 0)
			r := newRand(5)
			x := tensor.New(append([]int{4}, s.Input...)...)
			for i := range x.Data() {
				x.Data()[i] = r.Float32()
			}
			logits := func() []float32 {
				tape := autograd.NewTape(autograd.Inference, 0)
				return m.Forward(tape.Input(x)).Data()
			}
			must(nn.Save(path("ours"), m))
			must(tensor.SaveNPY(path("x.npy"), x, tensor.F32))
			out, err := exec.Command(python, "testdata/interop.py", path("ours"), path("x.npy"), path("theirs.npy"),
				path("new"), path("new.npy"), name).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			compare := func(what, file string) {
				t.Helper()
				want, err := tensor.LoadNPY(path(file))
				must(err)
				var diff, largest float64
				got := logits()
				for i, w := range want.Data() {
					diff = max(diff, math.Abs(float64(w)-float64(got[i])))
					largest = max(largest, math.Abs(float64(w)))
				}
				if len(got) != want.Len() || !(diff <= 1e-4*max(largest, 1)) {
					t.Errorf("%s: %d logits differ by %g where the largest of %d is %g", what, len(got), diff, want.Len(), largest)
				}
			}
			compare("PyTorch with our weights", "theirs.npy")
			must(nn.Load(path("new"), m))
			compare("ours with PyTorch's weights", "new.npy")
			for e := range nn.State(m) {
				if e.Counter != nil && *e.Counter != 12345 {
					t.Errorf("%s = %v", e.Name, *e.Counter)
				}
			}
		})
	}
}
