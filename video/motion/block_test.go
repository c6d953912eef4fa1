package motion

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// newRand returns a generator whose seed the test prints.
func newRand(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// fixedRand returns the same numbers every time, for tests of how good something is.
func fixedRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// texture is a smooth random picture of any extent: a sum of plane waves, at least
// shortest pixels long, with values in [0,1].
type texture [][4]float64

func newTexture(rng *rand.Rand, shortest float64) texture {
	var t texture
	for range 24 {
		length := shortest * math.Exp2(3*rng.Float64())
		angle := 2 * math.Pi * rng.Float64()
		k := 2 * math.Pi / length
		t = append(t, [4]float64{k * math.Cos(angle), k * math.Sin(angle), 2 * math.Pi * rng.Float64(), rng.Float64()})
	}
	return t
}

func (t texture) at(x, y float64) float64 {
	sum, all := 0.0, 0.0
	for _, w := range t {
		sum += w[3] * math.Sin(w[0]*x+w[1]*y+w[2])
		all += w[3]
	}
	return 0.5 + 0.9*sum/all
}

// clipOf draws a gray clip of n frames by what at returns for each frame and pixel.
func clipOf(n, h, w int, at func(t int, x, y float64) float64) *tensor.Tensor {
	c := tensor.New(n, 1, h, w)
	for i := range c.Data() {
		c.Data()[i] = float32(at(i/(h*w), float64(i%w), float64(i/w%h)))
	}
	return c
}

func framesOf(t testing.TB, clip *tensor.Tensor) *Frames {
	t.Helper()
	f, err := NewFrames(clip)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// moving is a clip of two frames, the second showing what the first does, moved by
// (dx, dy).
func moving(t testing.TB, rng *rand.Rand, h, w int, dx, dy float64) (*Frames, *tensor.Tensor) {
	tex := newTexture(rng, 12)
	clip := clipOf(2, h, w, func(t int, x, y float64) float64 { return tex.at(x-float64(t)*dx, y-float64(t)*dy) })
	return framesOf(t, clip), clip
}

func noisy(t testing.TB, rng *rand.Rand, n, h, w int) *Frames {
	return framesOf(t, clipOf(n, h, w, func(int, float64, float64) float64 { return rng.Float64() }))
}

// eachSet runs f under every kernel set there is.
func eachSet(t *testing.T, f func(t *testing.T)) {
	old := kernel.Active().Name
	defer func() { _ = kernel.Use(old) }()
	for _, s := range kernel.Sets() {
		if s.Available {
			t.Run(s.Name, func(t *testing.T) {
				if err := kernel.Use(s.Name); err != nil {
					t.Fatal(err)
				}
				f(t)
			})
		}
	}
}

// sadOf computes by hand what a vector costs.
func sadOf(f *Frames, b *Blocks, ref, cur, row, col int, v Vector) int32 {
	x0, y0 := col*b.Block, row*b.Block
	r, c, sum := f.Bytes(ref), f.Bytes(cur), int32(0)
	at := func(x, y int) int { return int(r[y*f.W+x]) } // of whole pixels
	for y := y0; y < min(y0+b.Block, f.H); y++ {
		for x := x0; x < min(x0+b.Block, f.W); x++ {
			hx, hy := 2*x-int(v.X), 2*y-int(v.Y)
			i, j, a, b := hx>>1, hy>>1, hx&1, hy&1
			want := (at(i, j) + at(i+a, j) + at(i, j+b) + at(i+a, j+b) + 2) >> 2
			if a == 0 || b == 0 {
				want = (at(i, j) + at(i+a, j+b) + 1) >> 1
			}
			sum += int32(abs(int(c[y*f.W+x]) - want))
		}
	}
	return sum
}

// Every search must recover a whole-pixel translation of a smooth texture, in blocks
// whose origin is inside the picture.
func TestSearchesFindTranslation(t *testing.T) {
	rng := fixedRand()
	for _, block := range []int{8, 16} {
		for range 4 {
			dx, dy := rng.IntN(11)-5, rng.IntN(11)-5
			f, _ := moving(t, rng, 96, 120, float64(dx), float64(dy))
			for _, search := range Searches() {
				var b Blocks
				BlockMatch{Search: search, Block: block, Range: 7, Bias: -1}.Match(&b, f, 0, 1, nil)
				right, all := 0, 0
				for i, v := range b.Vectors {
					row, col := i/b.Cols, i%b.Cols
					x, y := col*block-dx, row*block-dy
					if x < 0 || y < 0 || x+block > f.W || y+block > f.H {
						continue
					}
					all++
					if v == (Vector{int16(2 * dx), int16(2 * dy)}) {
						right++
					} else if search == Full {
						t.Errorf("full search: block (%d, %d) moved by %v half pixels, want (%d, %d) whole ones", row, col, v, dx, dy)
					}
				}
				// The quick searches may be led astray by the texture, most of all the one whose
				// first step is the longest.
				least := all * 6 / 10
				if search == ThreeStep {
					least = all * 4 / 10
				}
				if right < least {
					t.Errorf("%s, blocks of %d: %d of %d blocks found (%d, %d)", search, block, right, all, dx, dy)
				}
			}
		}
	}
}

// Full search against every displacement tried by hand; the others against it; and
// what is reported against what the vectors mean.
func TestSearchesAgainstBruteForce(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for range 12 {
			h, w := 1+rng.IntN(50), 1+rng.IntN(70)
			f := noisy(t, rng, 3, h, w)
			if rng.IntN(2) == 0 {
				f, _ = moving(t, rng, h, w, 3*rng.NormFloat64(), 3*rng.NormFloat64())
			}
			m := BlockMatch{Search: Full, Block: []int{4, 8, 11, 16, 20}[rng.IntN(5)], Range: 1 + rng.IntN(9), Bias: -1}
			if rng.IntN(2) == 0 {
				m.Bias = 1 + float64(rng.IntN(40))
			}
			cost := func(b *Blocks, i int, v Vector, sad int32) float64 {
				bw, bh := min(b.Block, w-i%b.Cols*b.Block), min(b.Block, h-i/b.Cols*b.Block)
				return float64(sad) + max(m.Bias, 0)*float64(bw*bh)/256*float64(abs(int(v.X))+abs(int(v.Y)))/2
			}
			off := float64(2*m.Range) / 16 // costs are rounded
			var full, prev Blocks
			m.Match(&full, f, 0, 1, nil)
			m.Match(&prev, f, 1, 0, nil)
			for i, got := range full.Vectors {
				row, col := i/full.Cols, i%full.Cols
				x0, y0 := col*m.Block, row*m.Block
				bw, bh := min(m.Block, w-x0), min(m.Block, h-y0)
				if s := sadOf(f, &full, 0, 1, row, col, got); s != full.SAD[i] {
					t.Fatalf("%+v: block (%d, %d) has SAD %d, reported %d", m, row, col, s, full.SAD[i])
				}
				least := math.Inf(1)
				for dy := -m.Range; dy <= m.Range; dy++ {
					for dx := -m.Range; dx <= m.Range; dx++ {
						if x0-dx < 0 || y0-dy < 0 || x0-dx+bw > w || y0-dy+bh > h {
							continue
						}
						v := Vector{int16(2 * dx), int16(2 * dy)}
						least = min(least, cost(&full, i, v, sadOf(f, &full, 0, 1, row, col, v)))
					}
				}
				if c := cost(&full, i, got, full.SAD[i]); c > least+off {
					t.Fatalf("%+v, %dx%d: block (%d, %d) costs %v, the least is %v", m, h, w, row, col, c, least)
				}
			}
			for _, search := range Searches() {
				for _, half := range []bool{false, true} {
					n := m
					n.Search, n.HalfPel = search, half
					var b Blocks
					n.Match(&b, f, 0, 1, &prev)
					for i, v := range b.Vectors {
						if s := sadOf(f, &b, 0, 1, i/b.Cols, i%b.Cols, v); s != b.SAD[i] {
							t.Fatalf("%+v: block %d has SAD %d, reported %d", n, i, s, b.SAD[i])
						}
						if abs(int(v.X)) > 2*m.Range || abs(int(v.Y)) > 2*m.Range {
							t.Fatalf("%+v: block %d moved by %v half pixels", n, i, v)
						}
						got, best := cost(&b, i, v, b.SAD[i]), cost(&full, i, full.Vectors[i], full.SAD[i])
						if !half && got < best-off {
							t.Fatalf("%+v: block %d costs %v, full search found %v", n, i, got, best)
						}
						if half && search == Full && got > best+off {
							t.Fatalf("%+v: half pixels cost %v, whole ones %v", n, got, best)
						}
						if zero := sadOf(f, &b, 0, 1, i/b.Cols, i%b.Cols, Vector{}); got > float64(zero)+off {
							t.Fatalf("%+v: block %d costs %v, the zero vector %d", n, i, got, zero)
						}
					}
				}
			}
		}
	})
}

// Nothing moves: nothing may be found, with or without bias.
func TestStaticClipHasNoMotion(t *testing.T) {
	rng := newRand(t)
	noise := clipOf(1, 40, 50, func(int, float64, float64) float64 { return rng.Float64() })
	clip := tensor.New(2, 1, 40, 50)
	copy(clip.Data(), noise.Data())
	copy(clip.Data()[2000:], noise.Data())
	for _, clip := range []*tensor.Tensor{clip, tensor.New(2, 3, 40, 50)} {
		f := framesOf(t, clip)
		for _, search := range Searches() {
			for _, half := range []bool{false, true} {
				if m := (BlockMatch{Search: search, HalfPel: half, Bias: -1}); !m.Estimate(f, 0, 1).Zero() {
					t.Errorf("%+v finds motion in a static clip", m)
				}
			}
		}
	}
}

// Sensor noise on a flat picture moves vectors unless they are biased.
func TestBiasKeepsFlatPartsStill(t *testing.T) {
	rng := fixedRand()
	f := framesOf(t, clipOf(2, 64, 64, func(int, float64, float64) float64 { return 0.5 + rng.NormFloat64()/255 }))
	still := func(bias float64) (n int) {
		var b Blocks
		BlockMatch{Search: Full, Range: 7, Bias: bias}.Match(&b, f, 0, 1, nil)
		for _, v := range b.Vectors {
			if v == (Vector{}) {
				n++
			}
		}
		return n
	}
	if free, biased := still(-1), still(0); free > 4 || biased < 12 {
		t.Errorf("%d of 16 blocks of noise are still without bias, %d with the default", free, biased)
	}
}

func TestHalfPixels(t *testing.T) {
	rng := fixedRand()
	for _, search := range []Search{Full, Diamond} {
		f, _ := moving(t, rng, 80, 80, 2.5, -1.5)
		var b Blocks
		BlockMatch{Search: search, Range: 7, HalfPel: true, Bias: -1}.Match(&b, f, 0, 1, nil)
		if got, want := b.Vectors[2*b.Cols+2], (Vector{5, -3}); got != want {
			t.Errorf("%s: %v half pixels, want %v", search, got, want)
		}
		if d := b.Field(); d.DX[40*80+40] != 2.5 || d.DY[40*80+40] != -1.5 {
			t.Errorf("%s: the field has (%v, %v)", search, d.DX[40*80+40], d.DY[40*80+40])
		}
	}
}

func TestBlockMatchSameBitsOnAnyWorkers(t *testing.T) {
	rng := newRand(t)
	f := noisy(t, rng, 2, 400, 180) // where all depends on what is tried
	defer tensor.SetWorkers(tensor.SetWorkers(1))
	for _, search := range Searches() {
		m := BlockMatch{Search: search, Block: 8, HalfPel: true}
		var want Blocks
		tensor.SetWorkers(1)
		m.Match(&want, f, 0, 1, nil)
		for _, n := range []int{2, 3, 8} {
			tensor.SetWorkers(n)
			var got Blocks // a new one: what another run has left would hide what is not written yet
			m.Match(&got, f, 0, 1, nil)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: other vectors on %d workers", search, n)
			}
		}
	}
}

// wantPanic fails the test unless f panics with a tensor.Error that says what.
func wantPanic(t *testing.T, what string, f func()) {
	t.Helper()
	err := tensor.Try(func() error { f(); return nil })
	if err == nil || !strings.Contains(err.Error(), what) {
		t.Errorf("got %v, want a panic about %q", err, what)
	}
}

func TestBadInput(t *testing.T) {
	f := framesOf(t, tensor.New(2, 1, 20, 30))
	for _, c := range []struct {
		what string
		run  func()
	}{
		{"not a clip", func() { _, _ = NewFrames(tensor.New(2, 20, 30)) }},
		{"not a clip", func() { _, _ = NewFrames(tensor.New(2, 4, 20, 30)) }},
		{"no pixels", func() { _, _ = NewFrames(tensor.New(0, 3, 20, 30)) }},
		{"no pixels", func() { _, _ = NewFrames(tensor.New(2, 3, 0, 30)) }},
		{"no frame 2", func() { BlockMatch{}.Estimate(f, 0, 2) }},
		{"no frame -1", func() { BlockMatch{}.Estimate(f, -1, 0) }},
		{"no frame 2", func() { f.Luma(2) }},
		{"blocks of -8", func() { BlockMatch{Block: -8}.Estimate(f, 0, 1) }},
		{"blocks of 3", func() { BlockMatch{Block: 3}.Estimate(f, 0, 1) }},
		{"range of -1", func() { BlockMatch{Range: -1}.Estimate(f, 0, 1) }},
		{"range of 1000", func() { BlockMatch{Range: 1000}.Estimate(f, 0, 1) }},
		{"bias of NaN", func() { BlockMatch{Bias: math.NaN()}.Estimate(f, 0, 1) }},
		{`no search "best"`, func() { BlockMatch{Search: "best"}.Estimate(f, 0, 1) }},
		{"vectors before", func() { BlockMatch{}.Match(new(Blocks), f, 0, 1, new(Blocks)) }},
		{"no fields", func() { Accumulate() }},
		{"sizes differ", func() { Accumulate(NewField(2, 3), NewField(3, 2)) }},
		{"0 and 0 vectors", func() { Accumulate(&Field{H: 2, W: 3}) }},
		{"no pixels", func() { NewField(0, 3) }},
		{"no pixels", func() { NewField(2, 3).Resize(0, 1) }},
		{"not [2, H, W]", func() { FieldOf(tensor.New(3, 2, 2)) }},
		{"field's size", func() { Compensate(tensor.New(1, 2, 3), NewField(3, 2)) }},
		{"shapes", func() { PSNR(tensor.New(2, 3), tensor.New(3, 2)) }},
		{"shapes differ", func() { PSNR(tensor.New(2, 3), tensor.New(1, 3)) }},
	} {
		wantPanic(t, c.what, c.run)
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		clip := tensor.New(2, 3, 4, 5)
		clip.Set(bad, 1, 2, 3, 4)
		if _, err := NewFrames(clip); err == nil || !strings.Contains(err.Error(), "frame 1, channel 2, row 3, column 4") {
			t.Errorf("a pixel that is %v: %v", bad, err)
		}
	}
	// A range that no candidate of a frame this small can use is no mistake.
	for _, search := range Searches() {
		for _, size := range [][2]int{{1, 1}, {1, 9}, {9, 1}, {3, 2}} {
			f := noisy(t, newRand(t), 2, size[0], size[1])
			if d := (BlockMatch{Search: search, Range: 128, HalfPel: true}).Estimate(f, 0, 1); !d.Zero() {
				t.Errorf("%s: a frame of one block moves", search)
			}
		}
	}
}

// Gray levels of red, green and blue, and rounding to bytes.
func TestFrames(t *testing.T) {
	clip := tensor.FromSlice([]float32{1, 0, 0, 0.5, 0, 1, 0, 0.5, 0, 0, 1.5, 0.5}, 1, 3, 2, 2)
	f := framesOf(t, clip)
	for i, want := range []float64{.299, .587, 1.5 * .114, .5} {
		if got := float64(f.Luma(0)[i]); math.Abs(got-255*want) > 1e-4 {
			t.Errorf("pixel %d: brightness %v, want %v", i, got, 255*want)
		}
		if got, want := f.Bytes(0)[i], uint8(math.Floor(255*want+0.5)); got != want {
			t.Errorf("pixel %d: byte %d, want %d", i, got, want)
		}
	}
	gray := framesOf(t, tensor.FromSlice([]float32{-1, 0.2, 1, 2}, 2, 1, 1, 2))
	if got := fmt.Sprint(gray.Bytes(0), gray.Bytes(1)); got != "[0 51] [255 255]" {
		t.Errorf("bytes %v", got)
	}
}
