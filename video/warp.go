package video

import (
	"fmt"
	"math"
	"slices"
)

// A Pad says what lies outside of a frame of noise.
type Pad string

// The ways to go on beyond a frame.
const (
	PadZero    Pad = "zero" // nothing: 0
	PadBorder  Pad = "border"
	PadReflect Pad = "reflect" // at the centres of the pixels at the edge; with Unaligned, at their outer sides
)

// A grid says from where every pixel of a plane is taken: up to four pixels, each with a
// weight. It is bilinear interpolation at given places.
type grid struct {
	exact []int32    // one pixel each, or -1 for 0; nil if some place lies between pixels
	reach int        // how many of a plane's first pixels exact takes from
	at    [][4]int32 // without exact
	w     [][4]float32
}

// newGrid makes the grid of planes of h by w where pixel i is taken at column x and row y,
// in pixels. With unaligned the places are what PyTorch's grid_sample makes of the same
// normalised coordinates without align_corners.
func newGrid(h, w int, pad Pad, unaligned bool, place func(i int) (x, y float64)) *grid {
	n := h * w
	g := &grid{at: make([][4]int32, n), w: make([][4]float32, n)}
	exact := make([]int32, n)
	between := false
	for i := range n {
		x, y := place(i)
		if unaligned {
			x, y = loosen(x, w), loosen(y, h)
		}
		x, y = inside(x, w, pad, unaligned), inside(y, h, pad, unaligned)
		x0, y0 := math.Floor(x), math.Floor(y)
		fx, fy := x-x0, y-y0
		exact[i] = -1
		for k := range 4 {
			cx, cy := x0+float64(k&1), y0+float64(k>>1)
			weight := (1 - fx + float64(k&1)*(2*fx-1)) * (1 - fy + float64(k>>1)*(2*fy-1))
			if !(cx >= 0 && cx < float64(w) && cy >= 0 && cy < float64(h)) || weight == 0 {
				continue // outside is zero, also what is no number
			}
			at := int32(int(cy)*w + int(cx))
			g.at[i][k], g.w[i][k] = at, float32(weight)
			if weight == 1 {
				exact[i] = at
			} else {
				between = true
			}
		}
	}
	if !between {
		return &grid{exact: exact, reach: int(slices.Max(exact)) + 1}
	}
	return g
}

// loosen maps a coordinate that has the centres of the first and last of n pixels at its
// ends to where the same normalised one is if their outer sides are at its ends.
func loosen(v float64, n int) float64 {
	if n == 1 {
		return v
	}
	return v*float64(n)/float64(n-1) - 0.5
}

// inside brings a coordinate to where the padding takes it from.
func inside(v float64, n int, pad Pad, unaligned bool) float64 {
	last := float64(n - 1)
	switch pad {
	case PadBorder:
		return min(max(v, 0), last)
	case PadReflect:
		lo, length := 0.0, last
		if unaligned {
			lo, length = -0.5, float64(n)
		}
		if length == 0 {
			return 0
		}
		v = math.Mod(math.Abs(v-lo), 2*length)
		return min(max(min(v, 2*length-v)+lo, 0), last)
	}
	return v
}

// apply writes to the planes of dst what the grid takes from those of src.
func (g *grid) apply(dst, src []float32) {
	n := max(len(g.exact), len(g.at))
	for lo := 0; lo < len(dst); lo += n {
		to, from := dst[lo:lo+n], src[lo:lo+n]
		if g.exact != nil {
			for i, at := range g.exact {
				if at < 0 {
					to[i] = 0
				} else {
					to[i] = from[at]
				}
			}
			continue
		}
		for i := range to {
			at, w := &g.at[i], &g.w[i]
			to[i] = float32(w[0]*from[at[0]]) + float32(w[1]*from[at[1]]) + (float32(w[2]*from[at[2]]) + float32(w[3]*from[at[3]]))
		}
	}
}

// look writes to the planes of dst what an exact grid takes from those of src.
func (g *grid) look(dst []float64, src []float32) {
	n := len(g.exact)
	for lo := 0; lo < len(dst); lo += n {
		to, from := dst[lo:lo+n], src[lo:lo+n]
		for i, at := range g.exact {
			if at < 0 {
				to[i] = 0
			} else {
				to[i] = float64(from[at])
			}
		}
	}
}

func (p Pad) check() error {
	switch p {
	case "", PadZero, PadBorder, PadReflect:
		return nil
	}
	return fmt.Errorf("video: unknown padding %q (have %q, %q and %q)", string(p), PadZero, PadBorder, PadReflect)
}
