package kernel

import "unsafe"

// convOps are the innermost loops of direct convolution.
//
// They see positions of the result as vectors of lanes positions that lie side
// by side in scratch memory, channels as strips of a few rows, and taps as byte
// offsets. Each takes one pointer to its struct; the assembly knows the layout.
type convOps struct {
	lanes  int
	strips []convStrip   // by height, tallest first, the last 1 high
	dots   [5][]convFunc // by rows (4 and 1); [j-1] does j taps
	rows   [5]convFunc   // by rows (4 and 1): packs a gradient, see convRows
	panels [8]convFunc   // [n] gathers vectors of n runs, [0] any; see convPanel
	fill   [3]convFunc   // [s] fills rows sampled with stride s, nil if none
	zip    convFunc      // merges two planes, see convZip
}

// A convFunc is an innermost loop; t points to the struct it wants.
type convFunc func(t *byte)

// A convStrip is the tiles of one height.
type convStrip struct {
	rows int
	vecs int         // of the widest tile
	tile [9]convFunc // by vectors, nil where there is none
}

// width returns how many of the left vectors the next tile does: tiles of nearly
// equal width rather than a row of wide ones and a narrow rest.
func (s *convStrip) width(left int) int {
	tiles := ceilDiv(left, s.vecs)
	v := ceilDiv(left, tiles)
	for s.tile[v] == nil {
		v--
	}
	return v
}

// A convVec is a vector of positions.
type convVec struct {
	in    int32 // where its first lane lies in scratch, bytes
	count int32 // of its runs
	first int   // its first run, bytes into the list of runs
}

// A convRun is lanes of a vector whose positions are neighbours in memory.
type convRun struct {
	off  int    // bytes, of lane 0
	mask uint32 // of the lanes
	_    uint32
}

const convRunSize = int(unsafe.Sizeof(convRun{}))

// A convTile computes, for r < rows and every lane of some vectors,
//
//	c[r*stride + run] = act(init[r] + Σ_k a[k*rows+r] * b[vec.in + offs[k]])
//
// where accumulate takes c itself for init.
type convTile struct {
	k      int
	a      *float32
	b      *float32
	offs   *int32
	vecs   *convVec
	runs   *convRun
	c      *float32
	stride int // bytes
	init   *float32
	flags  int
}

const (
	convAccumulate = 1
	convReLU       = 2
)

// A convDot adds to out[j*rows+r] the sum over n vectors and their lanes of
// dy[(vec*rows+r)*lanes+lane] * b[vec.in + offs[j]].
type convDot struct {
	n    int
	vecs *convVec
	b    *float32
	offs *int32
	dy   *float32
	out  *float32
}

// A convRows packs rows of a gradient for convDot: dst[(vec*rows+r)*lanes+lane]
// is the number of row r at the lane's position, or 0 in a lane without one.
type convRows struct {
	n      int
	vecs   *convVec
	runs   *convRun
	src    *float32
	stride int // bytes
	dst    *float32
	ahead  int // from a row to what will be wanted soon
}

// A convPanel copies, for every k, the lanes of one vector to dst[k*lanes+lane]
// from b + offs[k] + the place of the lane, given by runs or, for panels[0], by
// index (one byte offset a lane).
type convPanel struct {
	k     int
	offs  *int32
	b     *float32
	dst   *float32
	runs  *convRun
	index *int32
}

// A convFill copies rows of channels of an image to where taps find them, column
// of vectors by column of vectors, with rows of zeros before and after; dst1 is
// the distance from the plane of even numbers to that of odd ones. Sizes are in
// bytes.
type convFill struct {
	channels          int
	top, rows, bottom int
	cols              int
	list              *convFillCol
	src               *float32
	srcStride         int
	srcChannel        int
	dst               *float32
	dst1              int
	dstStride         int
	dstChannel        int
	ahead             int // from a row to what will be wanted soon
}

// A convFillCol is one column of convFill.
type convFillCol struct {
	src, dst            int32 // bytes
	load0, load1, store uint32
}

// A convZip writes dst[2i] = a[i], dst[2i+1] = b[i] in every row, width numbers
// in all. Strides are in bytes.
type convZip struct {
	rows, width int
	a, b        *float32
	aStride     int
	bStride     int
	dst         *float32
	dstStride   int
}

func (t *convTile) ptr() *byte  { return (*byte)(unsafe.Pointer(t)) }
func (t *convDot) ptr() *byte   { return (*byte)(unsafe.Pointer(t)) }
func (t *convRows) ptr() *byte  { return (*byte)(unsafe.Pointer(t)) }
func (t *convPanel) ptr() *byte { return (*byte)(unsafe.Pointer(t)) }
func (t *convFill) ptr() *byte  { return (*byte)(unsafe.Pointer(t)) }
func (t *convZip) ptr() *byte   { return (*byte)(unsafe.Pointer(t)) }
