package video

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video/motion"
	"github.com/mettleml/mettle/zoo"
)

// count is 0, 1, 2, ... as a plane of noise.
func count(n int) []float32 {
	r := make([]float32, n)
	for i := range r {
		r[i] = float32(i)
	}
	return r
}

// field is a field of one vector but for the inner 2x2 of 4x4.
func field(dx, dy float32) *motion.Field {
	f := motion.NewField(4, 4)
	for _, i := range []int{5, 6, 9, 10} {
		f.DX[i], f.DY[i] = dx, dy
	}
	return f
}

// TestWarpGolden: the noise r[y][x] = 4y+x under a square that moves by (+2,-1), worked out
// by hand.
func TestWarpGolden(t *testing.T) {
	const a, b = 4 + 1.0/6, 0.75
	for _, c := range []struct {
		name string
		s    Sparked
		f    *motion.Field
		want [16]float64
	}{
		{"index", Sparked{}, field(2, -1), [16]float64{5, 5, 5, 5, 5, 3, 3, 5, 5, 3, 3, 5, 5, 5, 5, 5}},
		{"index, unaligned", Sparked{Unaligned: true}, field(2, -1), [16]float64{a, a, a, a, a, b, b, a, a, b, b, a, a, a, a, a}},
		{"index, each component", Sparked{ShiftEach: true}, field(2, -1), [16]float64{4, 4, 4, 4, 4, 2, 2, 4, 4, 2, 2, 4, 4, 4, 4, 4}},
		{"index, beyond the frame", Sparked{}, field(9, 9), [16]float64{5: 15, 6: 15, 9: 15, 10: 15}},
		{"displace", Sparked{Warp: Displace}, field(2, -1), [16]float64{0, 1, 2, 3, 4, 3, 0, 7, 8, 7, 0, 11, 12, 13, 14, 15}},
		{"displace, border", Sparked{Warp: Displace, Pad: PadBorder}, field(2, -1), [16]float64{0, 1, 2, 3, 4, 3, 3, 7, 8, 7, 7, 11, 12, 13, 14, 15}},
		{"at rest", Sparked{}, field(0, 0), [16]float64{}},
	} {
		s := &sparked{Sparked: c.s.defaults()}
		got := make([]float32, 16)
		s.place(c.f).apply(got, count(16))
		for i := range got {
			if math.Abs(float64(got[i])-c.want[i]) > 1e-6 {
				t.Errorf("%s: pixel %d is %v, want %v (all: %v)", c.name, i, got[i], c.want[i], got)
				break
			}
		}
	}
}

// TestGridLikePyTorch: every padding and both alignments, and an affine matrix.
func TestGridLikePyTorch(t *testing.T) {
	b, err := os.ReadFile("testdata/warp.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		H, W           int
		Plane, X, Y    []float64
		Matrix, Affine []float64
		Cases          []struct {
			Pad       Pad
			Unaligned bool
			Out       []float64
		}
	}
	if err := json.Unmarshal(b, &golden); err != nil {
		t.Fatal(err)
	}
	plane := make([]float32, len(golden.Plane))
	for i, v := range golden.Plane {
		plane[i] = float32(v)
	}
	for _, c := range golden.Cases {
		g := newGrid(golden.H, golden.W, c.Pad, c.Unaligned, func(i int) (x, y float64) { return golden.X[i], golden.Y[i] })
		got := make([]float32, len(plane))
		g.apply(got, plane)
		for i, want := range c.Out {
			if math.Abs(float64(got[i])-want) > 1e-5 {
				t.Errorf("%s, unaligned %v: pixel %d is %v, want %v", c.Pad, c.Unaligned, i, got[i], want)
			}
		}
	}
	task := geoTask{h: golden.H, w: golden.W, frame: len(plane), noise: plane, dst: make([]float64, len(plane)), matrices: make([][9]float64, 1)}
	copy(task.matrices[0][:], golden.Matrix)
	task.matrices[0][8] = 1
	task.Part(0)
	for i, want := range golden.Affine {
		if math.Abs(task.dst[i]-want) > 1e-5 {
			t.Errorf("affine: pixel %d is %v, want %v", i, task.dst[i], want)
		}
	}
}

// noiseOf makes a noise's source for a clip.
func noiseOf(t *testing.T, n Noise, clip *tensor.Tensor) (zoo.Noise, int) {
	t.Helper()
	s, frames, err := n.For(clip, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	return s, frames
}

// drawn draws noise for a clip, by a seed.
func drawn(t *testing.T, s zoo.Noise, frames int, clip *tensor.Tensor, seed uint64) []float64 {
	t.Helper()
	shape := slices.Clone(clip.Shape())
	shape[0] = frames
	dst := make([]float64, clip.Len()/clip.Dim(0)*frames)
	if err := s.Draw(dst, shape, rand.New(rand.NewPCG(seed, 0))); err != nil {
		t.Fatal(err)
	}
	return dst
}

// randomMaps are n maps of few different whole vectors.
func randomMaps(r *rand.Rand, n, h, w int) *tensor.Tensor {
	m := tensor.New(n, 2, h, w)
	for i := range m.Data() {
		m.Data()[i] = float32(r.IntN(4) - 1)
	}
	return m
}

// TestSparkedIsConstantOnMotion: pixels of equal vectors get equal noise, in all frames;
// there are no more different values than vectors.
func TestSparkedIsConstantOnMotion(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	clip := tensor.New(5, 3, 9, 11)
	for trial := range 20 {
		maps := randomMaps(r, 1, 9, 11)
		s, frames := noiseOf(t, Sparked{Map: GivenMaps{maps}}, clip)
		if frames != 1 {
			t.Fatalf("%d frames of noise for maps that all frames share", frames)
		}
		d := drawn(t, s, frames, clip, uint64(trial))
		f := motion.FieldOf(maps.Index(0))
		for c := range 3 {
			seen := map[[2]float32]float64{}
			values := map[float64]bool{}
			for i := range 99 {
				k := [2]float32{f.DX[i], f.DY[i]}
				v := d[c*99+i]
				values[v] = true
				if was, ok := seen[k]; ok && was != v {
					t.Fatalf("vector %v has noise %v and %v", k, was, v)
				}
				seen[k] = v
			}
			if len(values) > len(seen) {
				t.Fatalf("%d values for %d vectors", len(values), len(seen))
			}
		}
	}
}

// TestMapsTakeTurns: the next map after every ten draws, and in intervals with PerInterval.
func TestMapsTakeTurns(t *testing.T) {
	clip := tensor.New(4, 1, 3, 3)
	maps := randomMaps(rand.New(rand.NewPCG(5, 5)), 2, 3, 3)
	alone := func(i int) []float64 {
		s, _ := noiseOf(t, Sparked{Map: GivenMaps{tensor.FromSlice(maps.Index(i).Data(), 1, 2, 3, 3)}}, clip)
		return drawn(t, s, 1, clip, 9)
	}
	first, second := alone(0), alone(1)
	s, _ := noiseOf(t, Sparked{Map: GivenMaps{maps}}, clip)
	for k := range 45 {
		want := first
		if k/10%2 == 1 {
			want = second
		}
		if got := drawn(t, s, 1, clip, 9); !slices.Equal(got, want) {
			t.Fatalf("draw %d is %v, want %v", k, got, want)
		}
	}
	s, frames := noiseOf(t, Sparked{Map: GivenMaps{maps}, PerInterval: true}, clip)
	if frames != 4 {
		t.Fatalf("%d frames of noise", frames)
	}
	got := drawn(t, s, 4, clip, 9)
	for f := range 4 {
		want := first
		if f >= 2 {
			want = second
		}
		if !slices.Equal(got[f*9:f*9+9], want) {
			t.Errorf("frame %d is %v, want %v", f, got[f*9:f*9+9], want)
		}
	}
}

// TestChained: where everything moves by one vector per frame, frame t is the first one,
// which is as drawn, displaced t times.
func TestChained(t *testing.T) {
	clip := tensor.New(4, 1, 6, 8)
	maps := tensor.New(4, 2, 6, 8)
	for i := range 4 {
		f := motion.FieldOf(maps.Index(i))
		for k := range f.DX {
			f.DX[k], f.DY[k] = 1, 2
		}
	}
	s, frames := noiseOf(t, Sparked{Map: GivenMaps{maps}, Warp: DisplaceChained, Least: 1}, clip)
	d := drawn(t, s, frames, clip, 4)
	plain, one := noiseOf(t, OneNoise{}, clip)
	if first := drawn(t, plain, one, clip, 4); !slices.Equal(d[:48], first[:48]) {
		t.Errorf("the first frame is not as drawn: %v, want %v", d[:48], first[:48])
	}
	for f := range 4 {
		for y := range 6 {
			for x := range 8 {
				want := 0.0
				if x+f < 8 && y+2*f < 6 {
					want = d[(y+2*f)*8+x+f]
				}
				if got := d[f*48+y*8+x]; got != want {
					t.Fatalf("frame %d (%d,%d): %v, want %v", f, x, y, got, want)
				}
			}
		}
	}
}

// TestStaticClip: nothing moves. By default the noise is one-noise; the released code's is
// one colour; the mixture is their sum.
func TestStaticClip(t *testing.T) {
	clip := tensor.New(14, 3, 16, 16)
	for i := range clip.Data() {
		clip.Data()[i] = float32(i%256%7) / 7 // equal frames
	}
	one, _ := noiseOf(t, OneNoise{}, clip)
	want := drawn(t, one, 1, clip, 7)
	s, _ := noiseOf(t, Sparked{}, clip)
	if got := drawn(t, s, 1, clip, 7); !slices.Equal(got, want) {
		t.Error("a clip at rest is not explored by one-noise")
	}
	released, _ := noiseOf(t, Sparked{Least: 1}, clip)
	colour := drawn(t, released, 1, clip, 7)
	for i, v := range colour {
		if v != want[i/256*256] {
			t.Fatalf("value %d of the released noise is %v, want %v", i, v, want[i/256*256])
		}
	}
	mixed, _ := noiseOf(t, Sparked{Least: 1, Mix: 0.5}, clip)
	got := drawn(t, mixed, 1, clip, 7)
	values := map[float64]bool{}
	for i, v := range got {
		values[v-colour[i]] = true
	}
	if len(values) < 700 {
		t.Errorf("a mixture differs from the colour in %d ways only", len(values))
	}
}

// TestGeoFamilies: every family draws noise that differs from frame to frame, but the one
// without a transformation; translation is checked pixel by pixel.
func TestGeoFamilies(t *testing.T) {
	clip := tensor.New(3, 2, 9, 9)
	for _, f := range families {
		s, frames := noiseOf(t, GeoNoise{f}, clip)
		d := drawn(t, s, frames, clip, 3)
		if f == NoTransformation {
			one, _ := noiseOf(t, OneNoise{}, clip)
			if frames != 1 || !slices.Equal(d, drawn(t, one, 1, clip, 3)) {
				t.Error("no transformation is not one-noise")
			}
			continue
		}
		if frames != 3 || slices.Equal(d[:162], d[162:324]) {
			t.Errorf("%s: %d frames, the first two alike: %v", f, frames, slices.Equal(d[:162], d[162:324]))
		}
		var sum float64
		for _, v := range d {
			sum += v * v
		}
		if sum == 0 || math.IsNaN(sum) {
			t.Errorf("%s: squares add up to %v", f, sum)
		}
	}
	params := []float64{0.5, -0.25, 0.75, -1, 2, 0.3, 0.1, 0.2}
	for f, want := range map[Family][9]float64{
		Translation:         {1, 0, 0.5, 0, 1, -0.25, 0, 0, 1},
		Dilation:            {0.5, 0, 0, 0, 0.5, 0, 0, 0, 1},
		Rigid:               {math.Cos(0.5), -math.Sin(0.5), -0.25, math.Sin(0.5), math.Cos(0.5), 0.75, 0, 0, 1},
		TranslationDilation: {0.5, 0, -0.25, 0, 0.5, 0.75, 0, 0, 1},
		Similarity:          {-0.25 * math.Cos(0.5), 0.25 * math.Sin(0.5), 0.75, -0.25 * math.Sin(0.5), -0.25 * math.Cos(0.5), -1, 0, 0, 1},
		Affine:              {0.5, -0.25, 0.75, -1, 2, 0.3, 0, 0, 1},
		Projective:          {0.5, -0.25, 0.75, -1, 2, 0.3, 0.1, 0.2, 1},
	} {
		i := -1
		got := f.matrix(func() float64 { i++; return params[i] })
		for k := range got {
			if math.Abs(got[k]-want[k]) > 1e-12 {
				t.Errorf("%s: %v, want %v", f, got, want)
				break
			}
		}
	}
}

// TestHandcraftedMaps: the range, and that values rise in raster order.
func TestHandcraftedMaps(t *testing.T) {
	clip := tensor.New(2, 3, 20, 30)
	r := rand.New(rand.NewPCG(1, 1))
	u, err := UniformMap{}.Maps(clip, r)
	if err != nil {
		t.Fatal(err)
	}
	var top [2]float32
	for i := range u[0].DX {
		top[0], top[1] = max(top[0], u[0].DX[i]), max(top[1], u[0].DY[i])
		if u[0].DX[i] < 0 || u[0].DY[i] < 0 {
			t.Fatal("a negative vector")
		}
	}
	if !(top[0] > 28 && top[0] <= 29 && top[1] > 18.5 && top[1] <= 19) {
		t.Errorf("values up to %v, want those of a frame of 30x20", top)
	}
	s, err := SequenceMap{Range: 10}.Maps(clip, r)
	if err != nil {
		t.Fatal(err)
	}
	for i := range s[0].DX {
		want := 10 * float64(i) / 599
		if math.Abs(float64(s[0].DX[i])-want) > 1e-5 || math.Abs(float64(s[0].DY[i])-want) > 1e-5 {
			t.Fatalf("vector %d is (%v, %v), want %v twice", i, s[0].DX[i], s[0].DY[i], want)
		}
	}
}

// TestBadNoise: what cannot be is an error that says so.
func TestBadNoise(t *testing.T) {
	clip := tensor.New(2, 3, 8, 8)
	five := tensor.New(2, 5, 8, 8)
	nan := clip.Clone()
	nan.Data()[5] = float32(math.NaN())
	for _, c := range []struct {
		n    Noise
		clip *tensor.Tensor
	}{
		{Sparked{Warp: "sideways"}, clip},
		{Sparked{Pad: "mirror"}, clip},
		{Sparked{Every: -1}, clip},
		{Sparked{Map: GivenMaps{}}, clip},
		{Sparked{Map: GivenMaps{tensor.New(1, 2, 8, 9)}}, clip},
		{Sparked{Map: GivenMaps{tensor.New(0, 2, 8, 8)}}, clip},
		{Sparked{Map: UniformMap{Range: -3}}, clip},
		{Sparked{}, five},
		{Sparked{}, nan},
		{GeoNoise{"twist"}, clip},
	} {
		if _, _, err := c.n.For(c.clip, rand.New(rand.NewPCG(1, 1))); err == nil {
			t.Errorf("%+v on %v: no error", c.n, c.clip.Shape())
		} else {
			t.Log(err)
		}
	}
}

// TestShortClips: clips shorter than an interval have one map, and one frame alone is at
// rest.
func TestShortClips(t *testing.T) {
	for _, frames := range []int{1, 2, 5, 11, 12, 13, 25} {
		clip := tensor.New(frames, 1, 20, 20)
		for i := range clip.Data() {
			f, y, x := i/400, i/20%20, i%20
			clip.Data()[i] = float32(math.Mod(float64((x-f)*(x-f)+y*7), 31) / 31)
		}
		for _, n := range []Noise{Sparked{}, Sparked{Warp: DisplaceChained}, Sparked{PerInterval: true}, Sparked{Map: Motion{Selector: motion.Adapted{}}}} {
			s, f := noiseOf(t, n, clip)
			drawn(t, s, f, clip, 1)
		}
	}
}

// TestMixture: the sum of two noises, one of them the same in all frames.
func TestMixture(t *testing.T) {
	clip := tensor.New(3, 2, 6, 6)
	s, frames := noiseOf(t, Mixture{A: OneNoise{}, B: MultiNoise{}, Weight: 0.5}, clip)
	if frames != 3 {
		t.Fatalf("%d frames", frames)
	}
	got := drawn(t, s, 3, clip, 6)
	r := rand.New(rand.NewPCG(6, 0))
	one, all := make([]float64, 72), make([]float64, 216)
	a, _ := noiseOf(t, OneNoise{}, clip)
	b, _ := noiseOf(t, MultiNoise{}, clip)
	if err := errors.Join(a.Draw(one, []int{1, 2, 6, 6}, r), b.Draw(all, []int{3, 2, 6, 6}, r)); err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if want := one[i%72] + 0.5*all[i]; v != want {
			t.Fatalf("value %d is %v, want %v", i, v, want)
		}
	}
	if _, _, err := (Mixture{A: OneNoise{}}).For(clip, r); err == nil {
		t.Error("a mixture of one noise")
	}
}
