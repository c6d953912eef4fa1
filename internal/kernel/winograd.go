package kernel

// Generated on any machine, compiled on arm64 only.
//go:generate sh -c "go run -C _asm ./winoneon > winograd_arm64.s"
//go:generate sh -c "go run -C _asm ./winoneon go > winograd_stubs_arm64.go"

import (
	"math"

	"github.com/mettleml/mettle/internal/parallel"
)

// Winograd convolution F(4x4, 3x3) (Lavin and Gray, Fast Algorithms for
// Convolutional Neural Networks, CVPR 2016, section 4): a tile of 4x4 results
// costs 36 multiplications a pair of channels, not 144,
//
//	Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A
//
// with g a 3x3 filter and d the 6x6 inputs of the tile. Summed over channels, each
// of the 36 positions is a matrix product of its own. The matrices are those of
// the points 0, ±√½, ±√2 and infinity, see winograd_generic.go: the points lie
// closer together in logarithm than the usual 0, ±1, ±2, which makes the
// rounding error about a quarter of theirs at no cost.
//
// The gradient to data is the same convolution with the filters flipped and their
// channels swapped. The gradient to the weights is the adjoint of the line above
// in g,
//
//	dg = Gᵀ [ (A dY Aᵀ) ⊙ (Bᵀ d B) ] G,
//
// summed over the tiles within the brackets. Three-dimensional kernels of 1 or 3
// frames are Winograd in height and width and direct in depth: the sum over
// kernel frames is taken within the brackets too, every frame being transformed
// once.
//
// Each tile's arithmetic is the same whatever its neighbours, so results do not
// depend on how tiles are grouped.

// winogradSuits reports whether the functions of this file can do the forward pass
// of s, or its gradient to data, and are expected to be the fastest that can. The
// answer does not depend on N.
//
// With AVX-512 direct convolution is faster up to 5 channels on either side (3 to
// 16 channels on 32x32: 0.55 ms against 1.08) and from 8 to 8 channels (0.39
// against 0.55). From 6 to 16, 8 to 16 or 16 to 8 channels on Winograd wins, in all
// passes together and at all sizes, 1x1 images included.
func winogradSuits(s *ConvShape, data bool) bool {
	switch {
	case !winogradCan(s):
		return false
	case s.Stride[1] == 2:
		return stridedSuits(s, data)
	}
	return min(s.C, s.O) > 5 && s.C*s.O > 64
}

// winogradWeightsSuits reports the same of the gradient to the weights, which sums
// over images anyway and where N may count.
func winogradWeightsSuits(s *ConvShape) bool {
	if s.Stride[1] == 2 {
		return winogradWeightsCan(s) && stridedWeightsSuits(s)
	}
	return winogradSuits(s, false)
}

// winoWidest is the greatest width of an image: places among the pixels of a run,
// one row of tiles at least in each of four phases, are bytes in 32 bits.
const winoWidest = math.MaxInt32/(4*6*4*winoLanes) - 8

// winogradCan reports whether the functions of this file can do s at all.
func winogradCan(s *ConvShape) bool {
	one := [3]int{1, 1, 1}
	return winogradFits(s) && (s.Stride == one && (s.Kernel == [3]int{1, 3, 3} || s.Kernel == [3]int{3, 3, 3}) ||
		stridedCan(s) && s.Kernel[0] == 1 && s.Stride[0] == 1 && s.Pad[0] == 0)
}

// winogradWeightsCan reports the same of the gradient to the weights alone: that can be
// done of 3 frames with stride 2 in the plane, and 1 or 2 in depth.
func winogradWeightsCan(s *ConvShape) bool {
	return winogradCan(s) || winogradFits(s) && stridedCan(s) && s.Kernel[0] == 3 && s.Stride[0] <= 2
}

func winogradFits(s *ConvShape) bool {
	return s.Groups == 1 && s.Dilation == [3]int{1, 1, 1} && s.C > 0 && s.O > 0 && volume(s.In) > 0 && volume(s.Out) > 0 &&
		max(s.In[2], s.Out[2]) <= winoWidest
}

// winogradForward computes y = act(conv(x, w) + bias); bias may be nil.
func winogradForward(s *ConvShape, y, x, w, bias []float32, act Act) {
	t := winoTasks.get()
	t.describe(s, false)
	t.src, t.dst, t.w, t.bias = x, y, w, bias
	t.forward(act)
}

// winogradBackwardData computes dx = act(convᵀ(dy, w) + bias), the gradient to the
// input, or the result of the transposed convolution whose channels bias, if not
// nil, belongs to.
func winogradBackwardData(s *ConvShape, dx, dy, w, bias []float32, act Act) {
	t := winoTasks.get()
	t.describe(s, true)
	t.src, t.dst, t.w, t.bias = dy, dx, w, bias
	t.forward(act)
}

// A winoShape is a convolution from src, c channels of in, to dst, o channels of
// out, and its division into tiles.
type winoShape struct {
	n, c, o int
	in, out [3]int
	pad     [3]int // may be negative: that much of src is left out
	frames  int    // of the kernel
	taps    int    // of the kernel
	step    int    // frames of src from one frame of dst to the next
	winoPhases

	th, tw int // tiles in an image, down and across
	c16    int // c rounded up to whole blocks
	o16    int // the columns: o rounded up likewise, for every phase of dst

	// A chunk is chunkRows rows of tiles, counted through all images, by
	// chunkFrames frames of the result.
	chunkRows, chunkFrames int
	rowChunks, frameChunks int
}

// winoBlocks rounds n up to whole blocks of channels.
func winoBlocks(n int) int { return ceilDiv(n, winoLanes) * winoLanes }

// divide fills in the tiles and cuts chunks of about want tiles and at most limit.
func (s *winoShape) divide(want, limit int) {
	s.th, s.tw = ceilDiv(s.out[1], 4), ceilDiv(s.out[2], 4)
	s.c16, s.o16 = winoBlocks(s.c), winoBlocks(s.o)*s.dstPhases
	s.chunkFrames = min(s.out[0], max(1, limit/s.tw))
	s.chunkRows = max(1, want/(s.tw*s.chunkFrames))
	s.rowChunks = ceilDiv(s.n*s.th, s.chunkRows)
	s.frameChunks = ceilDiv(s.out[0], s.chunkFrames)
}

// A winoChunk is the part of the work that is transformed and multiplied at once.
// Its tiles stand frame by frame.
type winoChunk struct {
	r0, r1 int // rows of tiles
	f0, f1 int // frames of the result
	tiles  int // in a frame
}

func (s *winoShape) chunk(i int) winoChunk {
	r, f := i/s.frameChunks, i%s.frameChunks
	c := winoChunk{
		r0: r * s.chunkRows, r1: min((r+1)*s.chunkRows, s.n*s.th),
		f0: f * s.chunkFrames, f1: min((f+1)*s.chunkFrames, s.out[0]),
	}
	c.tiles = (c.r1 - c.r0) * s.tw
	return c
}

// winoStride is the distance between the positions of n floats each: a multiple of
// a cache line, and an odd one, so that a tile's 36 positions do not all fall into
// the same cache set.
func winoStride(n int) int { return (n+15)/32*32 + 16 }

// winoEven rounds a number of rows up to what the products take.
func winoEven(n int) int { return (n + 1) &^ 1 }

// A run is rows of tiles of one image, few enough for their pixels to stay in the
// first-level cache.
type winoRun struct {
	image  int
	ty, n  int // first row of tiles within the image, and how many
	offset int // rows of tiles from the chunk's first
}

// winoRunPixels bounds the pixels of a run.
const winoRunPixels = 320

// runRows is the largest number of rows of tiles in a run.
func (s *winoShape) runRows() int {
	return max(1, min(s.th, (winoRunPixels/max(s.srcPhases, s.dstPhases)/(4*s.tw+2)-2)/4))
}

// next returns the run that begins at row r of tiles, in a chunk of c.
func (s *winoShape) next(c *winoChunk, r, most int) winoRun {
	image, ty := r/s.th, r%s.th
	return winoRun{image, ty, min(most, s.th-ty, c.r1-r), r - c.r0}
}

// ahead is the distance in floats, in planes of so many channels and so many
// floats for a row of pixels in a tile, from the run at row r of tiles to what is
// moved after it: the next run or, in the next block of channels, the first.
func (s *winoShape) ahead(c *winoChunk, r int, run winoRun, plane, channels, row int) int {
	next, blocks := r+run.n, 0
	if next == c.r1 {
		next, blocks = c.r0, winoLanes
	}
	return (next/s.th-run.image)*channels*plane + 4*(next%s.th-run.ty)*row + blocks*plane
}

// A winoTask is one call of a pass, cut into parts.
type winoTask struct {
	winoShape
	ops *winoOps

	src, dst, w, bias []float32
	swap              bool // w has its channels the other way round: the gradient to data
	floor             float32

	stage     winoStage
	u         []float32 // transformed filters, or the gradients to them
	biasBlock []float32 // the bias in whole blocks
	winoSums

	inAt, outAt []int32 // see placePixels; kept for the next call
	tapAt       []int32 // see placeTaps; kept likewise
}

// A winoStage is what the parts of a task do.
type winoStage int

const (
	winoFilters winoStage = iota
	winoImages
	winoInputs
	winoColumnBlocks
	winoPartialSums
	winoGatherSums
	winoTransforms
	winoWholeSums
)

var winoTasks freeList[winoTask]

// release gives the task back.
func (t *winoTask) release() {
	*t = winoTask{inAt: t.inAt, outAt: t.outAt, tapAt: t.tapAt}
	winoTasks.put(t)
}

// Part implements parallel.Task.
func (t *winoTask) Part(i int) {
	switch t.stage {
	case winoFilters:
		t.filterPart(i)
	case winoImages:
		t.imagePart(i)
	case winoInputs:
		t.inputPart(i)
	case winoColumnBlocks:
		t.columnPart(i)
	case winoPartialSums:
		t.partialSums(i)
	case winoGatherSums:
		t.gatherSums(i)
	case winoTransforms:
		t.transformPart(i)
	case winoWholeSums:
		t.wholeSums(i)
	}
}

func (t *winoTask) run(stage winoStage, parts int) {
	t.stage = stage
	parallel.Run(parts, t)
}
