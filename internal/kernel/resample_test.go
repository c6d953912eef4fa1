package kernel

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
)

// The gradient of a linear map is its adjoint: <dy, F x> = <F' dy, x>.
func checkAdjoint(t *testing.T, what string, dy, y, dx, x []float32) {
	t.Helper()
	var left, right, size, terms float64
	for i, v := range y {
		left += float64(v) * float64(dy[i])
		size += math.Abs(float64(v) * float64(dy[i]))
	}
	for i, v := range x {
		right += float64(v) * float64(dx[i])
		terms += math.Abs(float64(v) * float64(dx[i])) // larger, where y is small by cancellation
	}
	if math.Abs(left-right) > 1e-6*max(size, terms) {
		t.Errorf("%s: <dy, y> = %v but <dx, x> = %v", what, left, right)
	}
}

func TestResizeRandom(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for range 200 {
			r := &Resize{Planes: rng.Intn(4), H: 1 + rng.Intn(9), W: 1 + rng.Intn(20), OutH: 1 + rng.Intn(20), OutW: 1 + rng.Intn(40),
				AlignCorners: rng.Intn(2) == 0, Nearest: rng.Intn(3) == 0}
			what := fmt.Sprintf("%+v", *r)
			x, dy := normal(rng, r.Planes*r.H*r.W), normal(rng, r.Planes*r.OutH*r.OutW)
			y, dx := guarded(len(dy)), guarded(len(x))
			r.Forward(y.v, x)
			r.Grad(dx.v, dy)
			at := func(i, in, out int) float64 {
				switch {
				case r.Nearest:
					return math.Floor(float64(i*in) / float64(out))
				case !r.AlignCorners:
					return min(max((float64(i)+0.5)*float64(in)/float64(out)-0.5, 0), float64(in-1))
				case out == 1:
					return 0
				}
				return float64(i*(in-1)) / float64(out-1)
			}
			want := make([]float64, len(dy))
			for i := range want {
				p, oh, ow := i/(r.OutH*r.OutW), i/r.OutW%r.OutH, i%r.OutW
				v, u := at(oh, r.H, r.OutH), at(ow, r.W, r.OutW)
				for ih := range r.H {
					for iw := range r.W {
						weight := max(0, 1-math.Abs(v-float64(ih))) * max(0, 1-math.Abs(u-float64(iw)))
						want[i] += weight * float64(x[(p*r.H+ih)*r.W+iw])
					}
				}
			}
			closeToTypical(t, what, y.v, want, 1, 1e-6)
			checkAdjoint(t, what, dy, y.v, dx.v, x)
			y.check(t, what)
			dx.check(t, what)
		}
	})
}

// At the border a pixel mixes with nothing, so that infinity stays.
func TestResizeKeepsInfAtTheBorder(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		inf := float32(math.Inf(1))
		for _, r := range []Resize{{Planes: 1, H: 2, W: 2, OutH: 4, OutW: 4}, {Planes: 1, H: 2, W: 2, OutH: 2, OutW: 4}} {
			y := nans(r.OutH * r.OutW)
			r.Forward(y, []float32{1, 1, 1, inf})
			if v := y[len(y)-1]; v != inf {
				t.Errorf("%+v: the corner is %v", r, v)
			}
		}
	})
}

func TestGridSampleRandom(t *testing.T) {
	rng := newRand(t)
	for range 200 {
		g := &GridSample{N: rng.Intn(3), C: rng.Intn(4), H: 1 + rng.Intn(7), W: 1 + rng.Intn(7), OutH: rng.Intn(12), OutW: rng.Intn(12),
			AlignCorners: rng.Intn(2) == 0, Padding: GridPadding(rng.Intn(3))}
		what := fmt.Sprintf("%+v", *g)
		x, grid := normal(rng, g.N*g.C*g.H*g.W), normal(rng, 2*g.N*g.OutH*g.OutW)
		dy := normal(rng, g.N*g.C*g.OutH*g.OutW)
		y, dx, dgrid := guarded(len(dy)), guarded(len(x)), guarded(len(grid))
		g.Forward(y.v, x, grid)
		g.GradInput(dx.v, dy, grid)
		g.GradGrid(dgrid.v, dy, x, grid)
		want := make([]float64, len(dy))
		p := g.OutH * g.OutW
		for i := range want {
			n := i / (g.C * p)
			v := func(axis, size int) float64 { return g.naivePosition(float64(grid[2*(n*p+i%p)+axis]), size) }
			u, w := v(0, g.W), v(1, g.H)
			for ih := range g.H {
				for iw := range g.W {
					want[i] += max(0, 1-math.Abs(w-float64(ih))) * max(0, 1-math.Abs(u-float64(iw))) * float64(x[(i/p*g.H+ih)*g.W+iw])
				}
			}
		}
		closeToTypical(t, what, y.v, want, 1, 1e-5)
		checkAdjoint(t, what, dy, y.v, dx.v, x)
		y.check(t, what)
		dx.check(t, what)
		dgrid.check(t, what)
	}
}

// naivePosition mirrors step by step, without arithmetic on periods.
func (g *GridSample) naivePosition(v float64, size int) float64 {
	n := float64(size)
	at, low, high := ((v+1)*n-1)/2, -0.5, n-0.5
	if g.AlignCorners {
		at, low, high = (v+1)/2*(n-1), 0, n-1
	}
	if g.Padding == GridReflection {
		for low < high && (at < low || at > high) {
			if at < low {
				at = 2*low - at
			} else {
				at = 2*high - at
			}
		}
		if low == high {
			at = 0
		}
	}
	if g.Padding != GridZeros {
		at = min(max(at, 0), n-1)
	}
	return at
}

// TestGridSampleOnBorders compares with what PyTorch gives for points exactly on
// borders and pixels, where the derivative jumps (testdata/grid_border.py). A point
// on the border counts as outside: clamped, it does not move.
func TestGridSampleOnBorders(t *testing.T) {
	text, err := os.ReadFile("testdata/grid_border.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Align                 bool
		Padding               string
		Size                  int
		Pixels                []float64
		Image, Grid, Y, DGrid []float32
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 6 {
		t.Errorf("%d cases", len(cases))
	}
	paddings := map[string]GridPadding{"zeros": GridZeros, "border": GridBorder, "reflection": GridReflection}
	for _, c := range cases {
		n := len(c.Y)
		g := &GridSample{N: 1, C: 1, H: c.Size, W: c.Size, OutH: 1, OutW: n, AlignCorners: c.Align, Padding: paddings[c.Padding]}
		y, dgrid := nans(n), nans(2*n)
		g.Forward(y, c.Image, c.Grid)
		g.GradGrid(dgrid, slices.Repeat([]float32{1}, n), c.Image, c.Grid)
		for i := range y {
			if d := dgrid[2*i:][:2]; y[i] != c.Y[i] || d[0] != c.DGrid[2*i] || d[1] != c.DGrid[2*i+1] {
				t.Errorf("%s, align %v: at pixel %v %v with gradient %v, want %v and %v", c.Padding, c.Align, c.Pixels[2*i:][:2], y[i], d, c.Y[i], c.DGrid[2*i:][:2])
			}
		}
	}
}

func TestGridSampleNotFinite(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, pad := range []GridPadding{GridZeros, GridBorder, GridReflection} {
		g := &GridSample{N: 1, C: 1, H: 2, W: 2, OutH: 1, OutW: 3, Padding: pad}
		y := nans(3)
		g.Forward(y, []float32{inf, 1, 1, 1}, []float32{float32(math.NaN()), 0, inf, 0, 0, -inf})
		for i, v := range y {
			if v != 0 {
				t.Errorf("padding %d, point %d: %v, want 0", pad, i, v)
			}
		}
	}
}
