package data

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// sample returns an image of random values and logs its seed.
func sample(t *testing.T, c, h, w int) *tensor.Tensor {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	x := tensor.New(c, h, w)
	for i := range x.Data() {
		x.Data()[i] = rng.Float32()
	}
	return x
}

// apply runs a transform with the given seed, into memory that is not clean, and
// checks that it leaves its input alone.
func apply(t *testing.T, f Transform, x *tensor.Tensor, seed uint64) *tensor.Tensor {
	t.Helper()
	in := x.Clone()
	out := tensor.New(f.Shape(x.Shape())...)
	out.Fill(float32(math.NaN()))
	f.Apply(out, x, rand.New(rand.NewPCG(seed, 0)))
	if !slices.Equal(in.Data(), x.Data()) {
		t.Errorf("%T changes its input", f)
	}
	return out
}

// near fails the test unless got has the shape of want and values within tol.
func near(t *testing.T, what string, got, want *tensor.Tensor, tol float64) {
	t.Helper()
	if !slices.Equal(got.Shape(), want.Shape()) {
		t.Fatalf("%s: shape %v, want %v", what, got.Shape(), want.Shape())
	}
	for i, v := range got.Data() {
		if w := want.Data()[i]; !(math.Abs(float64(v-w)) <= tol) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, v, w)
		}
	}
}

// build returns the image whose values f gives.
func build(c, h, w int, f func(ch, y, x int) float32) *tensor.Tensor {
	t := tensor.New(c, h, w)
	for ch := range c {
		for y := range h {
			for x := range w {
				t.Set(f(ch, y, x), ch, y, x)
			}
		}
	}
	return t
}

func TestRandomCropKeepsTheSize(t *testing.T) {
	for _, pad := range []int{0, 1, 4, 9} {
		x := sample(t, 2, 5, 7)
		seen := map[[2]int]bool{}
		for seed := range uint64(200) {
			rng := rand.New(rand.NewPCG(seed, 0))
			dy, dx := rng.IntN(2*pad+1)-pad, rng.IntN(2*pad+1)-pad
			seen[[2]int{dy, dx}] = true
			want := build(2, 5, 7, func(c, y, xx int) float32 {
				if y+dy < 0 || y+dy >= 5 || xx+dx < 0 || xx+dx >= 7 {
					return 0
				}
				return x.At(c, y+dy, xx+dx)
			})
			near(t, fmt.Sprintf("pad %d, shift (%d, %d)", pad, dy, dx), apply(t, RandomCrop{Padding: pad}, x, seed), want, 0)
		}
		if pad == 1 && len(seen) != 9 {
			t.Errorf("%d of 9 shifts were drawn", len(seen))
		}
	}
}

func TestPadAndRandomCrop(t *testing.T) {
	x := sample(t, 2, 5, 7)
	padded := build(2, 9, 11, func(c, y, xx int) float32 {
		if y < 2 || y >= 7 || xx < 2 || xx >= 9 {
			return 0.5
		}
		return x.At(c, y-2, xx-2)
	})
	near(t, "pad", apply(t, Pad{2, 0.5}, x, 0), padded, 0)
	seen := map[[2]int]bool{}
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 0))
		top, left := rng.IntN(9-3+1), rng.IntN(11-7+1)
		seen[[2]int{top, left}] = true
		want := build(2, 3, 7, func(c, y, xx int) float32 { return padded.At(c, y+top, xx+left) })
		near(t, fmt.Sprintf("window at (%d, %d)", top, left), apply(t, RandomCrop{H: 3, Padding: 2, Fill: 0.5}, x, seed), want, 0)
	}
	if len(seen) != 7*5 {
		t.Errorf("%d of 35 windows were drawn", len(seen))
	}
	near(t, "part", apply(t, ResizedCrop{1, 2, 3, 4, 5, 6}, x, 0),
		apply(t, Resize{5, 6}, build(2, 3, 4, func(c, y, xx int) float32 { return x.At(c, y+1, xx+2) }), 0), 0)
}

// Transforms that begin with Random are torchvision's: so is their zero value.
func TestDefaultProbabilities(t *testing.T) {
	x := sample(t, 3, 4, 5)
	for _, c := range []struct {
		random, always Transform
		p              float64
	}{
		{RandomHorizontalFlip{}, HorizontalFlip{}, 0.5},
		{RandomHorizontalFlip{P: 0.2}, HorizontalFlip{}, 0.2},
		{RandomHorizontalFlip{P: 1}, HorizontalFlip{}, 1},
		{RandomGrayscale{}, Grayscale{}, 0.1},
		{RandomGrayscale{P: 0.7}, Grayscale{}, 0.7},
		{RandomApply{Transform: Grayscale{}}, Grayscale{}, 0.5},
	} {
		always, n := apply(t, c.always, x, 0), 0
		for seed := range uint64(1000) {
			if got := apply(t, c.random, x, seed); slices.Equal(got.Data(), always.Data()) {
				n++
			} else {
				near(t, "not applied", got, x, 0)
			}
		}
		if sd := math.Sqrt(1000 * c.p * (1 - c.p)); !(math.Abs(float64(n)-1000*c.p) <= 4*sd) {
			t.Errorf("%T %+v was applied to %d of 1000", c.random, c.random, n)
		}
	}
}

// TestClips: a clip's frames are treated as images are that draw the same.
func TestClips(t *testing.T) {
	frames := []*tensor.Tensor{sample(t, 3, 8, 8), sample(t, 3, 8, 8), sample(t, 3, 8, 8)}
	clip := tensor.New(3, 3, 8, 8)
	for i, f := range frames {
		clip.Index(i).CopyFrom(f)
	}
	for _, f := range []Transform{
		Pad{1, 0.5}, CenterCrop{4, 6}, RandomCrop{Padding: 3}, ResizedCrop{1, 2, 5, 4, 6, 7}, RandomResizedCrop{H: 4, W: 5},
		Resize{5, 9}, HorizontalFlip{}, RandomHorizontalFlip{}, QuarterTurns{1}, RandomQuarterTurns{}, Grayscale{}, RandomGrayscale{P: 0.5},
		AdjustBrightness{1.3}, AdjustContrast{0.4}, AdjustSaturation{2}, AdjustHue{-0.2}, ColorJitter{0.4, 0.4, 0.4, 0.2},
		GaussianBlur{Size: 5}, AutoAugment{}, AutoAugment{Policy: ImageNet}, RandAugment{Ops: 3}, Cutout{Count: 2}, Normalize{[]float32{0.1, 0.2, 0.3}, []float32{1, 2, 3}},
		RandomApply{Transform: HorizontalFlip{}}, Compose(RandomCrop{Padding: 2}, RandomHorizontalFlip{}, Grayscale{}),
	} {
		for seed := range uint64(6) {
			got := apply(t, f, clip, seed)
			for i, x := range frames {
				want := apply(t, f, x, seed)
				if !slices.Equal(got.Shape(), append([]int{3}, want.Shape()...)) {
					t.Fatalf("%T: shape %v for a clip, %v for a frame", f, got.Shape(), want.Shape())
				}
				near(t, fmt.Sprintf("%T, seed %d, frame %d", f, seed, i), got.Index(i), want, 0)
			}
		}
	}
}

func TestCenterCropAndHorizontalFlip(t *testing.T) {
	x := sample(t, 2, 5, 8)
	near(t, "crop", apply(t, CenterCrop{3, 4}, x, 0), build(2, 3, 4, func(c, y, xx int) float32 { return x.At(c, y+1, xx+2) }), 0)
	near(t, "flip", apply(t, HorizontalFlip{}, x, 0), build(2, 5, 8, func(c, y, xx int) float32 { return x.At(c, y, 7-xx) }), 0)
}

func TestQuarterTurns(t *testing.T) {
	x := sample(t, 2, 3, 5)
	once := build(2, 5, 3, func(c, y, xx int) float32 { return x.At(c, xx, 4-y) })
	near(t, "one turn", apply(t, QuarterTurns{1}, x, 0), once, 0)
	turned := x
	for n := range 9 {
		near(t, fmt.Sprintf("%d turns", n), apply(t, QuarterTurns{n}, x, 0), turned, 0)
		near(t, fmt.Sprintf("%d turns", n-8), apply(t, QuarterTurns{n - 8}, x, 0), turned, 0)
		turned = apply(t, QuarterTurns{1}, turned, 0)
	}
	sq := sample(t, 1, 4, 4)
	count := [4]int{}
	for seed := range uint64(400) {
		got := apply(t, RandomQuarterTurns{}, sq, seed)
		for n := range 4 {
			if slices.Equal(got.Data(), apply(t, QuarterTurns{n}, sq, 0).Data()) {
				count[n]++
			}
		}
	}
	for n, k := range count {
		if k < 60 || k > 140 {
			t.Errorf("%d turns came %d times in 400", n, k)
		}
	}
}

// TestResize compares with weights that were worked out by hand: triangles of
// half-width max(1, scale) around the centres of the new pixels.
func TestResize(t *testing.T) {
	line := func(v ...float32) *tensor.Tensor { return tensor.FromSlice(v, 1, 1, len(v)) }
	for _, c := range []struct {
		in, want *tensor.Tensor
	}{
		{line(1, 5), line(1, 2, 4, 5)},                // up: linear between centres, flat beyond
		{line(1, 2, 3), line(1, 2, 3)},                // same
		{line(0, 0, 8, 0, 0, 0), line(1.0/7*8, 3, 0)}, // half: 3/4 1/4 of the triangle, cut at the edge
		{line(3, 3, 3, 3, 3, 3, 3), line(3, 3)},       // constants stay
		{line(0, 1, 2, 3, 4, 5, 6, 7), line(3.5)},     // symmetric: the mean
	} {
		near(t, fmt.Sprint(c.in.Data()), apply(t, Resize{1, c.want.Dim(2)}, c.in, 0), c.want, 1e-6)
	}
	// A plane stays a plane away from the edges, in both directions.
	plane := build(1, 40, 60, func(_, y, x int) float32 { return float32(2*y+3*x) + 2.5 })
	out := apply(t, Resize{16, 25}, plane, 0)
	for y := 2; y < 14; y++ {
		for x := 2; x < 23; x++ {
			// The centre of the new pixel in old coordinates, times the slopes.
			want := 2*(float64(y)+0.5)*40/16 + 3*(float64(x)+0.5)*60/25
			if got := float64(out.At(0, y, x)); !(math.Abs(got-want) <= 0.2) {
				t.Fatalf("(%d, %d) is %v, want %v", y, x, got, want)
			}
		}
	}
	// Columns are treated as lines are.
	x := sample(t, 2, 9, 5)
	turn := func(x *tensor.Tensor) *tensor.Tensor { return apply(t, QuarterTurns{1}, x, 0) }
	near(t, "turned", turn(apply(t, Resize{4, 7}, x, 0)), apply(t, Resize{7, 4}, turn(x), 0), 1e-6)
}

func TestRandomResizedCrop(t *testing.T) {
	r := RandomResizedCrop{H: 4, W: 4, MinScale: 0.2, MaxScale: 0.6}.withDefaults()
	rng := rand.New(rand.NewPCG(1, 2))
	small, large, wide := 0, 0, 0
	const h, w = 100, 130
	for range 2000 {
		top, left, ch, cw := r.window(h, w, rng)
		if top < 0 || left < 0 || ch < 1 || cw < 1 || top+ch > h || left+cw > w {
			t.Fatalf("a window of %d by %d at (%d, %d)", ch, cw, top, left)
		}
		area, aspect := float64(ch*cw)/(h*w), float64(cw)/float64(ch)
		if area < 0.195 || area > 0.61 || aspect < 0.73 || aspect > 1.36 {
			t.Fatalf("area %v, aspect %v", area, aspect)
		}
		if area < 0.3 {
			small++
		}
		if area > 0.5 {
			large++
		}
		if aspect > 1 {
			wide++
		}
	}
	if small < 400 || small > 600 || large < 350 || large > 600 || wide < 900 || wide > 1150 {
		t.Errorf("of 2000 windows %d are small, %d large, %d wide", small, large, wide)
	}
	// Where nothing fits, the middle does.
	for _, c := range []struct{ h, w, top, left, ch, cw int }{{10, 300, 0, 143, 10, 13}, {300, 9, 144, 0, 12, 9}} {
		r := RandomResizedCrop{H: 1, W: 1, MinScale: 1}.withDefaults()
		if top, left, ch, cw := r.window(c.h, c.w, rng); [4]int{top, left, ch, cw} != [4]int{c.top, c.left, c.ch, c.cw} {
			t.Errorf("%d by %d: window %d by %d at (%d, %d), want %+v", c.h, c.w, ch, cw, top, left, c)
		}
	}
	// The result is the window, resized.
	x := sample(t, 2, 20, 30)
	rng = rand.New(rand.NewPCG(7, 0))
	top, left, ch, cw := RandomResizedCrop{}.withDefaults().window(20, 30, rng)
	part := build(2, ch, cw, func(c, y, xx int) float32 { return x.At(c, y+top, xx+left) })
	near(t, "window", apply(t, RandomResizedCrop{H: 6, W: 5}, x, 7), apply(t, Resize{6, 5}, part, 0), 0)
}

func TestGaussianBlur(t *testing.T) {
	x := sample(t, 2, 6, 9)
	mirror := func(i, n int) int {
		if i < 0 {
			i = -i
		}
		if i >= n {
			i = 2*(n-1) - i
		}
		return i
	}
	sigma := 0.5 + rand.New(rand.NewPCG(3, 0)).Float64()
	gauss := func(d int) float64 { return math.Exp(-float64(d*d) / (2 * sigma * sigma)) }
	want := build(2, 6, 9, func(c, y, xx int) float32 {
		sum, weight := 0.0, 0.0
		for dy := -2; dy <= 2; dy++ {
			for dx := -2; dx <= 2; dx++ {
				v := gauss(dy) * gauss(dx)
				sum += v * float64(x.At(c, mirror(y+dy, 6), mirror(xx+dx, 9)))
				weight += v
			}
		}
		return float32(sum / weight)
	})
	near(t, "blur", apply(t, GaussianBlur{5, 0.5, 1.5}, x, 3), want, 1e-6)
	flat := tensor.New(1, 32, 32)
	flat.Fill(0.7)
	near(t, "a constant", apply(t, GaussianBlur{}, flat, 0), flat, 1e-6)
}

func TestNormalizeAndGrayscale(t *testing.T) {
	x := sample(t, 3, 4, 5)
	mean, std := []float32{0.1, 0.2, 0.3}, []float32{0.5, 2, 4}
	near(t, "normalize", apply(t, Normalize{mean, std}, x, 0), build(3, 4, 5, func(c, y, xx int) float32 { return (x.At(c, y, xx) - mean[c]) / std[c] }), 0)
	near(t, "normalize all", apply(t, Normalize{mean[:1], std[:1]}, x, 0), build(3, 4, 5, func(c, y, xx int) float32 { return (x.At(c, y, xx) - 0.1) / 0.5 }), 0)
	gray := func(y, xx int) float32 { return 0.299*x.At(0, y, xx) + 0.587*x.At(1, y, xx) + 0.114*x.At(2, y, xx) }
	near(t, "gray", apply(t, Grayscale{}, x, 0), build(3, 4, 5, func(c, y, xx int) float32 { return gray(y, xx) }), 1e-6)
}

func TestColorJitter(t *testing.T) {
	x := sample(t, 3, 4, 5)
	gray := func(y, xx int) float32 { return 0.299*x.At(0, y, xx) + 0.587*x.At(1, y, xx) + 0.114*x.At(2, y, xx) }
	var mean float32
	for y := range 4 {
		for xx := range 5 {
			mean += gray(y, xx) / 20
		}
	}
	one := float32(1)
	blend := func(f float32, base func(y, x int) float32) *tensor.Tensor {
		return build(3, 4, 5, func(c, y, xx int) float32 {
			b := base(y, xx)
			return min(max(b+f*(x.At(c, y, xx)-b), 0), one)
		})
	}
	// factor repeats the draws: the order, then brightness, contrast, saturation.
	factor := func(seed uint64, which int, v float32) float32 {
		rng := rand.New(rand.NewPCG(seed, 0))
		rng.Shuffle(4, func(int, int) {})
		var f float32
		for i := range which + 1 {
			lo, span := one, float32(0)
			if i == which {
				lo, span = max(0, 1-v), v+min(v, 1)
			}
			f = lo + rng.Float32()*span
		}
		return f
	}
	for seed := range uint64(20) {
		near(t, "brightness", apply(t, ColorJitter{Brightness: 0.4}, x, seed), blend(factor(seed, 0, 0.4), func(int, int) float32 { return 0 }), 1e-5)
		near(t, "contrast", apply(t, ColorJitter{Contrast: 2}, x, seed), blend(factor(seed, 1, 2), func(int, int) float32 { return mean }), 1e-5)
		near(t, "saturation", apply(t, ColorJitter{Saturation: 0.9}, x, seed), blend(factor(seed, 2, 0.9), gray), 1e-5)
	}
	near(t, "nothing", apply(t, ColorJitter{}, x, 1), x, 0)
	order := map[string]bool{}
	for seed := range uint64(50) {
		y := apply(t, ColorJitter{0.8, 0.8, 0.8, 0.2}, x, seed)
		for _, v := range y.Data() {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("a value of %v", v)
			}
		}
		order[fmt.Sprint(y.Data())] = true
	}
	if len(order) != 50 {
		t.Errorf("%d different results from 50 seeds", len(order))
	}
}

func TestTurnHue(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for range 200 {
		r, g, b := rng.Float32(), rng.Float32(), rng.Float32()
		check := func(what string, gr, gg, gb, wr, wg, wb float32) {
			t.Helper()
			if d := max(math.Abs(float64(gr-wr)), math.Abs(float64(gg-wg)), math.Abs(float64(gb-wb))); !(d <= 1e-5) {
				t.Fatalf("%s of (%v %v %v) is (%v %v %v), want (%v %v %v)", what, r, g, b, gr, gg, gb, wr, wg, wb)
			}
		}
		third := func(turn float32) (float32, float32, float32) { return turnHue(r, g, b, turn) }
		x, y, z := third(0)
		check("no turn", x, y, z, r, g, b)
		x, y, z = third(1.0 / 3)
		check("a third", x, y, z, b, r, g)
		x, y, z = third(-1.0 / 3)
		check("a third back", x, y, z, g, b, r)
		x, y, z = third(0.5)
		s := max(r, g, b) + min(r, g, b)
		check("half", x, y, z, s-r, s-g, s-b)
		x, y, z = third(0.13)
		x, y, z = turnHue(x, y, z, -0.13)
		check("there and back", x, y, z, r, g, b)
	}
	if r, g, b := turnHue(0.3, 0.3, 0.3, 0.4); r != 0.3 || g != 0.3 || b != 0.3 {
		t.Errorf("gray became (%v %v %v)", r, g, b)
	}
}

func TestComposeAndRandomApply(t *testing.T) {
	x := sample(t, 3, 8, 8)
	seq := Compose(RandomCrop{Padding: 2}, Resize{5, 9}, QuarterTurns{1}, HorizontalFlip{})
	if got := seq.Shape(x.Shape()); !slices.Equal(got, []int{3, 9, 5}) {
		t.Errorf("shape %v", got)
	}
	rng := rand.New(rand.NewPCG(6, 0))
	want := x
	for _, f := range []Transform{RandomCrop{Padding: 2}, Resize{5, 9}, QuarterTurns{1}, HorizontalFlip{}} {
		out := tensor.New(f.Shape(want.Shape())...)
		f.Apply(out, want, rng)
		want = out
	}
	for range 2 {
		near(t, "sequence", apply(t, seq, x, 6), want, 0)
	}
	small := sample(t, 3, 6, 4)
	near(t, "sequence on another shape", apply(t, Compose(HorizontalFlip{}, HorizontalFlip{}), small, 0), small, 0)
	near(t, "nothing", apply(t, Compose(), x, 0), x, 0)
	near(t, "nested", apply(t, Compose(Compose(HorizontalFlip{}), Compose(HorizontalFlip{}, Compose())), x, 0), x, 0)

	flipped := 0
	for seed := range uint64(1000) {
		if got := apply(t, RandomApply{HorizontalFlip{}, 0.3}, x, seed); slices.Equal(got.Data(), apply(t, HorizontalFlip{}, x, 0).Data()) {
			flipped++
		} else {
			near(t, "not flipped", got, x, 0)
		}
	}
	if flipped < 240 || flipped > 360 {
		t.Errorf("%d of 1000 were flipped at 0.3", flipped)
	}
}

func TestTransformsPanic(t *testing.T) {
	rgb, gray := []int{3, 8, 8}, []int{1, 8, 9}
	for _, c := range []struct {
		op string
		f  Transform
		in []int
	}{
		{"data.RandomCrop", RandomCrop{Padding: -1}, rgb},
		{"data.RandomCrop", RandomCrop{Padding: 1}, []int{8, 8}},
		{"data.CenterCrop", CenterCrop{9, 2}, rgb},
		{"data.CenterCrop", CenterCrop{}, rgb},
		{"data.RandomResizedCrop", RandomResizedCrop{}, rgb},
		{"data.RandomResizedCrop", RandomResizedCrop{H: 1, W: 1, MinScale: 2}, rgb},
		{"data.RandomResizedCrop", RandomResizedCrop{H: 1, W: 1, MinAspect: 2}, rgb},
		{"data.Resize", Resize{0, 3}, rgb},
		{"data.HorizontalFlip", HorizontalFlip{}, nil},
		{"data.QuarterTurns", QuarterTurns{}, []int{1, 1, 1, 1, 1}},
		{"data.Pad", Pad{Padding: -1}, rgb},
		{"data.RandomCrop", RandomCrop{H: 9}, rgb},
		{"data.RandomCrop", RandomCrop{W: -1}, rgb},
		{"data.ResizedCrop", ResizedCrop{0, 0, 9, 1, 2, 2}, rgb},
		{"data.RandomHorizontalFlip", RandomHorizontalFlip{P: 1.5}, rgb},
		{"data.RandomGrayscale", RandomGrayscale{P: -0.5}, rgb},
		{"data.RandomApply", RandomApply{HorizontalFlip{}, 2}, rgb},
		{"data.AdjustBrightness", AdjustBrightness{-1}, rgb},
		{"data.AdjustContrast", AdjustContrast{-1}, rgb},
		{"data.AdjustSaturation", AdjustSaturation{-1}, rgb},
		{"data.AdjustHue", AdjustHue{0.7}, rgb},
		{"data.AdjustHue", AdjustHue{0.1}, gray},
		{"data.RandomQuarterTurns", RandomQuarterTurns{}, gray},
		{"data.GaussianBlur", GaussianBlur{Size: 4}, rgb},
		{"data.GaussianBlur", GaussianBlur{Size: 17}, rgb},
		{"data.GaussianBlur", GaussianBlur{MinSigma: 3}, rgb},
		{"data.Normalize", Normalize{[]float32{1, 2}, []float32{1}}, rgb},
		{"data.Normalize", Normalize{[]float32{1}, nil}, rgb},
		{"data.Normalize", Normalize{[]float32{1}, []float32{0}}, rgb},
		{"data.Grayscale", Grayscale{}, gray},
		{"data.ColorJitter", ColorJitter{}, gray},
		{"data.ColorJitter", ColorJitter{Hue: 0.6}, rgb},
		{"data.RandomApply", RandomApply{Transform: Resize{2, 2}}, rgb},
		{"data.Grayscale", Compose(HorizontalFlip{}, Grayscale{}), gray},
	} {
		err := tensor.Try(func() error { c.f.Shape(c.in); return nil })
		var e *tensor.Error
		if !errors.As(err, &e) || e.Op != c.op {
			t.Errorf("%T %+v on %v: %v, want a panic of %s", c.f, c.f, c.in, err, c.op)
		}
	}
}
