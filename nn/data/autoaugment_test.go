package data

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

//go:embed testdata/augment.json
var augmentJSON []byte

// goldens are what torchvision makes of synthetic pictures: see testdata/augment.py.
type goldens struct {
	CIFAR10, ImageNet [][]struct {
		Op  string
		P   float64
		Bin int
	}
	Operations []struct {
		Shape  []int
		Pixels []byte
		Cases  []struct {
			Op        string
			Bin, Bins int
			Minus     bool
			Out       []byte
			CRC       uint32
		}
	}
	Jitter struct {
		Shape  []int
		Pixels []byte
		Cases  []struct {
			Op     string
			Args   []float64
			Tensor []float64
			Image  []byte
		}
	}
}

func readGoldens(t *testing.T) *goldens {
	t.Helper()
	var g goldens
	if err := json.Unmarshal(augmentJSON, &g); err != nil {
		t.Fatal(err)
	}
	return &g
}

// fromBytes makes a sample of 8-bit values.
func fromBytes(shape []int, pixels []byte) *tensor.Tensor {
	x := tensor.New(shape...)
	for i, b := range pixels {
		x.Data()[i] = unit[b]
	}
	return x
}

// torchvision's names of the operations.
var byName = map[string]*operation{
	"Identity": identity, "ShearX": shearX, "ShearY": shearY, "TranslateX": translateX, "TranslateY": translateY, "Rotate": rotate,
	"Brightness": brighten, "Color": recolor, "Contrast": contrasts, "Sharpness": sharpen, "Posterize": posterize,
	"Solarize": solarize, "AutoContrast": autoContrast, "Equalize": equalize, "Invert": invert,
}

// TestAugmentationsArePIL: every operation at every strength gives the very bytes.
func TestAugmentationsArePIL(t *testing.T) {
	g := readGoldens(t)
	for _, group := range g.Operations {
		x := fromBytes(group.Shape, group.Pixels)
		for _, c := range group.Cases {
			op := byName[c.Op]
			if op == nil {
				t.Fatalf("no operation %s", c.Op)
			}
			fill := float32(0)
			if c.Out != nil {
				fill = 128.0 / 255
			}
			y := tensor.New(group.Shape...)
			augmentBy(y, x, fill, op.choose(c.Bin, c.Bins, group.Shape[1], group.Shape[2], c.Minus))
			got := make([]byte, y.Len())
			for i, v := range y.Data() {
				got[i] = byte(math.Round(float64(v) * 255))
			}
			what := fmt.Sprintf("%s %d of %d, minus %v, on %v", c.Op, c.Bin, c.Bins, c.Minus, group.Shape)
			if c.Out == nil {
				if crc32.ChecksumIEEE(got) != c.CRC {
					t.Errorf("%s: other bytes", what)
				}
				continue
			}
			for i, v := range got {
				if v != c.Out[i] {
					t.Errorf("%s: byte %d is %d, want %d", what, i, v, c.Out[i])
					break
				}
			}
		}
	}
}

// TestPolicies compares the tables.
func TestPolicies(t *testing.T) {
	g := readGoldens(t)
	for policy, want := range map[Policy][][]struct {
		Op  string
		P   float64
		Bin int
	}{CIFAR10: g.CIFAR10, ImageNet: g.ImageNet} {
		if len(want) != 25 {
			t.Fatalf("policy %d: %d sub-policies", policy, len(want))
		}
		for i, sub := range want {
			for k, w := range sub {
				if s := policies[policy][i][k]; s.op != byName[w.Op] || s.p != w.P || s.bin != w.Bin {
					t.Errorf("policy %d, row %d, operation %d: probability %v, bin %d, want %+v", policy, i, k, s.p, s.bin, w)
				}
			}
		}
	}
}

// TestJitterIsTorchvisions: colour, blur and crop with given parameters are what
// torchvision makes of float tensors, and within 2/255 of what it makes of images.
func TestJitterIsTorchvisions(t *testing.T) {
	g := readGoldens(t).Jitter
	x := fromBytes(g.Shape, g.Pixels)
	for _, c := range g.Cases {
		a := func(i int) int { return int(c.Args[i]) }
		var f Transform
		switch v := float32(c.Args[0]); c.Op {
		case "brightness":
			f = AdjustBrightness{v}
		case "contrast":
			f = AdjustContrast{v}
		case "saturation":
			f = AdjustSaturation{v}
		case "hue":
			f = AdjustHue{v}
		case "blur":
			f = GaussianBlur{a(0), c.Args[1], c.Args[1]}
		case "crop":
			f = ResizedCrop{a(0), a(1), a(2), a(3), a(4), a(5)}
		}
		y := apply(t, f, x, 0)
		if y.Len() != len(c.Tensor) || y.Len() != len(c.Image) {
			t.Fatalf("%s %v: %d values, want %d", c.Op, c.Args, y.Len(), len(c.Tensor))
		}
		var float, image float64
		for i, v := range y.Data() {
			float = max(float, math.Abs(float64(v)-c.Tensor[i]))
			image = max(image, math.Abs(float64(v)*255-float64(c.Image[i])))
		}
		t.Logf("%s %v: %.2f/255 from tensors, %.2f/255 from images", c.Op, c.Args, float*255, image)
		if float*255 > 0.5 {
			t.Errorf("%s %v: %.2f/255 from torchvision on tensors", c.Op, c.Args, float*255)
		}
		// The imaging library has hues in 8 bits, and so colours that are 10/255 off.
		if image > 2 && c.Op != "hue" {
			t.Errorf("%s %v: %.2f/255 from torchvision on images", c.Op, c.Args, image)
		}
	}
}

// TestAutoAugmentDraws: sub-policies come equally often, with their probabilities and
// both directions.
func TestAutoAugmentDraws(t *testing.T) {
	x := sample(t, 3, 8, 8)
	for i, v := range x.Data() {
		x.Data()[i] = unit[byte(v*255)]
	}
	// The result of every choice that a draw can make, with its probability.
	want := map[string]float64{}
	for _, sub := range policies[CIFAR10] {
		for choice := range 16 {
			p := 1.0 / 25
			var list []chosen
			for k, s := range sub {
				apply, minus := choice>>(2*k)&1 == 1, choice>>(2*k+1)&1 == 1
				p /= 2
				if apply {
					p *= s.p
					list = append(list, s.op.choose(s.bin, 10, 8, 8, minus))
				} else {
					p *= 1 - s.p
				}
			}
			y := tensor.New(3, 8, 8)
			augmentBy(y, x, 0.5, list...)
			want[fmt.Sprint(y.Data())] += p
		}
	}
	const n = 20000
	got := map[string]float64{}
	for seed := range uint64(n) {
		got[fmt.Sprint(apply(t, AutoAugment{Fill: 0.5}, x, seed).Data())]++
	}
	chi := 0.0
	cells := 0
	for k, count := range got {
		if want[k] == 0 {
			t.Errorf("a result that no choice gives came %v times", count)
		}
	}
	for k, p := range want {
		if p*n < 5 {
			continue
		}
		chi += (got[k] - p*n) * (got[k] - p*n) / (p * n)
		cells++
	}
	if cells < 40 || chi > float64(cells)+5*math.Sqrt(2*float64(cells)) {
		t.Errorf("chi-square %.1f in %d cells", chi, cells)
	}
}

func TestRandAugmentDraws(t *testing.T) {
	x := fromBytes([]int{3, 8, 8}, readGoldens(t).Operations[0].Pixels[:192])
	seen := map[string]bool{}
	for seed := range uint64(500) {
		seen[fmt.Sprint(apply(t, RandAugment{Ops: 1}, x, seed).Data())] = true
		rng := rand.New(rand.NewPCG(seed, 0))
		want := x
		for range 3 {
			op, minus := randOps[rng.IntN(14)], rng.IntN(2) == 0
			y := tensor.New(3, 8, 8)
			augmentBy(y, want, 0, op.choose(20, 31, 8, 8, minus))
			want = y
		}
		near(t, "three operations", apply(t, RandAugment{Ops: 3, Magnitude: 20}, x, seed), want, 0)
	}
	if len(seen) < 20 { // 14 operations, nine of them signed
		t.Errorf("%d results of one operation", len(seen))
	}
}

// What no operation touches is not rounded.
func TestAutoAugmentLeavesAlone(t *testing.T) {
	x := sample(t, 1, 5, 6)
	untouched := 0
	for seed := range uint64(300) {
		if slices.Equal(apply(t, AutoAugment{}, x, seed).Data(), x.Data()) {
			untouched++
		}
	}
	if untouched == 0 {
		t.Error("every sample was rounded")
	}
	for _, c := range []struct {
		f  Transform
		in []int
	}{{AutoAugment{}, []int{2, 8, 8}}, {AutoAugment{Policy: 9}, []int{3, 8, 8}}, {AutoAugment{Fill: 2}, []int{3, 8, 8}},
		{RandAugment{Ops: -1}, []int{3, 8, 8}}, {RandAugment{Magnitude: 31}, []int{3, 8, 8}}} {
		if err := tensor.Try(func() error { c.f.Shape(c.in); return nil }); err == nil {
			t.Errorf("%+v takes %v", c.f, c.in)
		}
	}
}
