package motion

import (
	"cmp"
	"fmt"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/internal/parallel"
	"github.com/mettleml/mettle/tensor"
)

// A Search is an order in which block matching tries displacements.
type Search string

// The searches, from the most thorough to the quickest. Each tries the zero vector
// first, and takes another only if its cost is less.
const (
	// Full tries every displacement in range.
	Full Search = "full"

	// ThreeStep tries eight points around the best at half the range, then at half that
	// distance, down to one pixel (Koga et al., 1981). For a range of 7 there are three
	// steps and 25 points.
	ThreeStep Search = "threestep"

	// Diamond moves a diamond of eight points two pixels away until its centre is best,
	// then tries the four neighbours (Zhu and Ma, "A new diamond search algorithm for
	// fast block-matching motion estimation", 2000).
	Diamond Search = "diamond"

	// ARPS starts with the vector of the block to the left and a cross of the same length,
	// and then moves a cross of unit size (Nie and Ma, "Adaptive rood pattern search for
	// fast block-matching motion estimation", 2002). It stops at once where the zero vector
	// leaves two gray levels per pixel.
	ARPS Search = "arps"

	// EPZS starts from the vectors of neighbouring blocks, and of the frame before if it is
	// given, stops when the best is as good as the neighbours', and refines by a small
	// diamond (Tourapis, "Enhanced predictive zonal search for single and multiple frame
	// motion estimation", 2002).
	EPZS Search = "epzs"
)

// Searches returns the names of all searches.
func Searches() []Search { return []Search{Full, ThreeStep, Diamond, ARPS, EPZS} }

// BlockMatch estimates motion by searching each block of a frame in another frame, within
// the picture. Blocks at the right and lower edges are smaller if the block size does not
// divide the frame's.
//
// The cost of a displacement is the sum of absolute differences of brightness, in bytes,
// and Bias per pixel of displacement.
type BlockMatch struct {
	Search Search // "" means EPZS
	Block  int    // side of a block in pixels, 4 to 64; 0 means 16
	Range  int    // the longest displacement along each axis in pixels, 1 to 128; 0 means 16

	// HalfPel refines the best vector to half a pixel among its eight neighbours, on
	// bilinearly interpolated brightness.
	HalfPel bool

	// Bias is the cost per pixel of |DX|+|DY|, in gray levels summed over a block of 256
	// pixels (proportional for other blocks). It keeps vectors at zero where no motion is
	// visible. 0 means 32, with no visible effect on the compensated picture; a negative
	// number means none.
	Bias float64
}

// A Vector is the motion of a block in half pixels, with the sign of a Field.
type Vector struct{ X, Y int16 }

// Blocks are the vectors of the blocks of a frame, row by row.
type Blocks struct {
	H, W       int // of the frame in pixels
	Block      int // side of a block
	Rows, Cols int // of blocks
	Vectors    []Vector
	SAD        []int32 // sums of absolute differences of brightness, bias not included
}

// Name names the estimator among the options of an attack.
func (BlockMatch) Name() string { return "block-match" }

// Estimate implements Estimator.
func (m BlockMatch) Estimate(f *Frames, ref, cur int) *Field {
	var b Blocks
	m.Match(&b, f, ref, cur, nil)
	return b.Field()
}

func (m BlockMatch) withDefaults(op string) BlockMatch {
	m.Search, m.Block, m.Range, m.Bias = cmp.Or(m.Search, EPZS), cmp.Or(m.Block, 16), cmp.Or(m.Range, 16), cmp.Or(m.Bias, 32)
	switch {
	case searches[m.Search] == nil:
		tensor.Panic(op, fmt.Sprintf("no search %q; there are %v", m.Search, Searches()))
	case m.Block < 4 || m.Block > 64:
		tensor.Panic(op, fmt.Sprintf("blocks of %d pixels; the side must be 4 to 64", m.Block))
	case m.Range < 1 || m.Range > 128:
		tensor.Panic(op, fmt.Sprintf("a range of %d pixels; it must be 1 to 128", m.Range))
	case !(m.Bias <= 1e6):
		tensor.Panic(op, fmt.Sprintf("a bias of %v", m.Bias))
	}
	m.Bias = max(m.Bias, 0)
	return m
}

// Match writes to dst the motion of frame cur against frame ref; it reuses slices of dst
// that are large enough. prev may be nil; else it holds the vectors of the frame before
// cur, for EPZS. It panics if a frame does not exist or an option is out of range.
func (m BlockMatch) Match(dst *Blocks, f *Frames, ref, cur int, prev *Blocks) {
	const op = "motion.BlockMatch.Match"
	m = m.withDefaults(op)
	f.check(op, ref, cur)
	rows, cols := (f.H+m.Block-1)/m.Block, (f.W+m.Block-1)/m.Block
	if prev != nil && (prev.H != f.H || prev.W != f.W || prev.Block != m.Block || len(prev.Vectors) != rows*cols) {
		tensor.Panic(op, fmt.Sprintf("the vectors before are of %d rows of blocks of %d", prev.Rows, prev.Block), []int{prev.H, prev.W}, []int{f.H, f.W})
	}
	dst.H, dst.W, dst.Block, dst.Rows, dst.Cols = f.H, f.W, m.Block, rows, cols
	dst.Vectors, dst.SAD = grow(dst.Vectors, rows*cols), grow(dst.SAD, rows*cols)
	t := matchTasks.Get().(*matchTask)
	t.BlockMatch, t.dst, t.prev, t.cur, t.run = m, dst, prev, f.Bytes(cur), searches[m.Search]
	t.ref[0] = f.Bytes(ref)
	if m.HalfPel {
		n := len(t.cur)
		t.half = grow(t.half, 3*n)
		t.ref[1], t.ref[2], t.ref[3] = t.half[:n], t.half[n:2*n], t.half[2*n:]
		kernel.HalfPixels(t.ref[1], t.ref[2], t.ref[3], t.ref[0], f.W)
	}
	if m.Search == Full {
		t.spiral.fill(m.Range, f.W)
	}
	parallel.Run((rows+stripRows-1)/stripRows, t)
	t.dst, t.prev, t.cur, t.ref = nil, nil, nil, [4][]uint8{}
	matchTasks.Put(t)
}

// grow returns a slice of n elements, s if it has room for them.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Field returns the motion of every pixel: that of its block.
func (b *Blocks) Field() *Field {
	f := NewField(b.H, b.W)
	for y := range b.H {
		dx, dy := f.DX[y*b.W:][:b.W], f.DY[y*b.W:][:b.W]
		if y%b.Block > 0 {
			copy(dx, f.DX[(y-1)*b.W:])
			copy(dy, f.DY[(y-1)*b.W:])
			continue
		}
		for x := range dx {
			v := b.Vectors[y/b.Block*b.Cols+x/b.Block]
			dx[x], dy[x] = float32(v.X)/2, float32(v.Y)/2
		}
	}
	return f
}

// TotalSAD returns the sum over all blocks.
func (b *Blocks) TotalSAD() (sum int64) {
	for _, s := range b.SAD {
		sum += int64(s)
	}
	return sum
}
