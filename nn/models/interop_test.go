package models

import (
	"math"
	"os/exec"
	"path/filepath"
	"strings"
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
	// Clips are small, and of odd sizes where the network lets them.
	for name, input := range map[string][]int{
		"net4": nil, "resnet20": nil, "vgg11-32": nil, "meta-mnist": nil,
		"r3d18": {3, 5, 23, 18}, "mc318": {3, 4, 17, 20}, "r2plus1d18": {3, 6, 18, 15}, "c3d": nil,
		"i3d": {3, 19, 45, 50}, "i3d-resnet50": {3, 11, 37, 40}, "tsn-resnet20": {3, 3, 14, 17},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := Find(name)
			if len(s.Input) == 4 {
				if !*slow {
					t.Skip("large weights: needs -slow")
				}
				if strings.HasSuffix(name, "18") && exec.Command(python, "-c", "import torchvision").Run() != nil {
					t.Skip("no torchvision here (Debian: python3-torchvision)")
				}
			} else {
				t.Parallel()
			}
			if input == nil {
				input = s.Input
			}
			batch := 4
			if len(input) == 4 {
				batch = 2
			}
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
			x := tensor.New(append([]int{batch}, input...)...)
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
