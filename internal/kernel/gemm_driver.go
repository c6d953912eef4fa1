package kernel

import "github.com/mettleml/mettle/internal/parallel"

// How a product is done
//
// C is cut into parts, blocks of rows and columns that depend on the shape
// alone. A part goes through k in stretches of equal length (at most
// gemmOps.depth, a function of k alone). For each stretch it takes a panel of rows
// of A, small enough for the second-level cache, and runs the panel's tiles past one
// strip of B after the other, as wide as a tile; then the next panel. A strip is
// packed when the first panel comes to it. Its rows lie far apart in memory, so the
// tiles of the strip before ask for them, a line of the cache in every step.
//
// A is packed beforehand, by all workers, if the parts lie side by side, and by
// the part itself if not. Operands are read in place where packing would not pay.
//
// All this decides only where operands are read from. Every number of C is the
// sum over k in order, stretch by stretch, so its bits depend on k and the data
// alone.

// gemmArgs is one product as MatMul takes it.
type gemmArgs struct {
	c, a, b        []float32
	ldc, lda, ldb  int
	transA, transB bool
	m, n, k        int
	ep             Epilogue

	// The columns are those of items matrices B and C, so far apart.
	items, strideB, strideC int
}

// Sizes that steer the cutting; variables for the sake of tests.
var (
	// panelRows is the most rows of a panel of A.
	panelRows = 256

	// partStrips is the most strips of B in a part.
	partStrips = 8

	// maxParts is where more parts stop paying.
	maxParts = 16

	// sharedFloats is the most of A that is packed at a time.
	sharedFloats = 1 << 23
)

const (
	// partFlops is the least work (multiply-adds) of a part.
	partFlops = 1 << 18

	// packFloats is the least part of packing.
	packFloats = 1 << 15

	// smallB is the size of B up to which its strips are read in place.
	smallB = 1 << 15

	// batchFlops is the product (multiply-adds) up to which a batch is cut by item.
	batchFlops = 1 << 22
)

// cacheLine is the length of a line of the caches in floats.
const cacheLine = 16

// A gemmTask does one product.
type gemmTask struct {
	gemmArgs
	ops *gemmOps

	strips    int // of rows, nearly equal, at most ops.rows each
	cols      int // width of a strip of columns
	colStrips int // cols wide, the last one of each item narrower
	itemCols  int // strips of columns of an item
	kLen      int // length of a stretch of k, the last one shorter
	rowBlocks int // the parts: blocks of strips by blocks of column strips
	colBlocks int

	directA bool // A is read in place
	stepA   int  // and this is its step along k
	directB bool // B is read in place where its strips are whole

	// The stretches in hand: all of k, unless what is packed beforehand would
	// become too big.
	k0, k1    int
	sharedA   []float32 // packed beforehand, if not nil
	packParts int       // parts of that packing
	packing   bool      // Part packs
}

var gemmTasks freeList[gemmTask]

// gemm does one product with the active set.
func gemm(args gemmArgs) {
	t := gemmTasks.get()
	t.gemmArgs = args
	t.run(&Active().gemm)
	*t = gemmTask{}
	gemmTasks.put(t)
}

func (t *gemmTask) run(ops *gemmOps) {
	t.ops = ops
	t.strips = ceilDiv(t.m, ops.rows)
	t.cols = ops.cols
	if t.m <= ops.wideRows {
		t.cols = ops.wideCols
	}
	t.itemCols = ceilDiv(t.n, t.cols)
	t.colStrips = t.items * t.itemCols
	t.kLen = max(ceilDiv(ceilDiv(t.k, max(1, ceilDiv(t.k, ops.depth))), 4)*4, 4)
	t.k1 = t.k
	t.cut()
	if t.k == 0 || t.strips == 1 && (t.transA || t.m == 1) {
		t.directA, t.stepA = true, 1
		if t.transA {
			t.stepA = t.lda
		}
	}
	t.directB = !t.transB && (ceilDiv(t.strips, t.rowBlocks) <= 2 || t.k*t.n <= smallB)

	parts := t.rowBlocks * t.colBlocks
	if t.directA || t.colBlocks == 1 {
		parallel.Run(parts, t)
		return
	}
	group := min(ceilDiv(t.k, t.kLen), max(1, sharedFloats/(t.m*t.kLen))) * t.kLen
	s := getScratch(t.m * min(group, t.k))
	for ; t.k0 < t.k; t.k0 += group {
		t.k1 = min(t.k0+group, t.k)
		size := t.m * (t.k1 - t.k0)
		t.sharedA = s.f[:size]
		t.packParts = min(t.strips, ceilDiv(size, packFloats))
		t.packing = true
		parallel.Run(t.packParts, t)
		t.packing = false
		parallel.Run(parts, t)
	}
	putScratch(s)
}

// cut chooses the parts: blocks of columns, and blocks of rows as well if there
// are too few columns.
func (t *gemmTask) cut() {
	flops := t.m * t.items * t.n * max(t.k, 1)
	parts := min(max(flops/partFlops, 1), maxParts)
	t.colBlocks = min(t.colStrips, max(parts, ceilDiv(t.colStrips, partStrips)))
	t.rowBlocks = max(1, min(parts/t.colBlocks, t.strips/8))
	if t.colBlocks == 1 {
		t.rowBlocks = max(t.rowBlocks, ceilDiv(t.m, panelRows)) // a part packs its rows
	}
}

// Part packs some strips of A or does a block of C.
func (t *gemmTask) Part(i int) {
	if t.packing {
		t.packShared(cutAt(t.strips, t.packParts, i), cutAt(t.strips, t.packParts, i+1))
		return
	}
	rb, cb := i/t.colBlocks, i%t.colBlocks
	t.block(cutAt(t.strips, t.rowBlocks, rb), cutAt(t.strips, t.rowBlocks, rb+1),
		cutAt(t.colStrips, t.colBlocks, cb), cutAt(t.colStrips, t.colBlocks, cb+1))
}

// block adds the stretches in hand to the strips of rows [s0, s1) of the column
// strips [j0, j1).
func (t *gemmTask) block(s0, s1, j0, j1 int) {
	ops := t.ops
	top := cutAt(t.m, t.strips, s0)
	ownA := t.sharedA == nil && !t.directA
	sizeB := (j1 - j0) * t.cols * t.kLen
	size := sizeB
	if ownA {
		size += (cutAt(t.m, t.strips, s1) - top) * t.kLen
	}
	scratch := partScratch(size)
	packedB, packedA := scratch.f[:sizeB], scratch.f[sizeB:]
	panels := ceilDiv((s1-s0)*ops.rows, panelRows)

	for p0 := t.k0; p0 == 0 || p0 < t.k1; p0 += t.kLen {
		kl := min(t.kLen, t.k-p0)
		flags := 0
		if p0 > 0 || t.ep.Accumulate {
			flags |= tileAccumulate
		}
		var rowBias, colBias []float32
		if p0+kl == t.k {
			rowBias, colBias = t.ep.RowBias, t.ep.ColBias
			if t.ep.Act == ActReLU {
				flags |= tileReLU
			}
		}
		if ownA {
			for s := s0; s < s1; s++ {
				r, rows := t.stripA(s)
				t.packA(packedA[(r-top)*kl:], r, rows, p0, kl)
			}
		}
		for q := range panels {
			for j := j0; j < j1; j++ {
				item, col, cols := t.stripB(j)
				b, bs := packedB, t.cols
				switch {
				case kl == 0:
				case t.inPlace(cols):
					b, bs = t.b[item*t.strideB+p0*t.ldb+col:], t.ldb
				default:
					b = packedB[(j-j0)*t.cols*kl:]
					if q == 0 {
						t.packB(b, item, col, cols, p0, kl)
					}
				}
				var next []float32
				if j+1 < j1 && q == 0 || j+1 == j1 && q == panels-1 {
					next = t.nextB(j, j0, j1, p0)
				}
				for s := s0 + cutAt(s1-s0, panels, q); s < s0+cutAt(s1-s0, panels, q+1); s++ {
					r, rows := t.stripA(s)
					var a []float32
					as := rows
					switch {
					case kl == 0:
					case t.directA:
						a, as = t.a[p0*t.stepA:], t.stepA
					case ownA:
						a = packedA[(r-top)*kl:]
					default:
						a = t.sharedA[(p0-t.k0)*t.m+r*kl:]
					}
					soon, soonStep := &t.c[0], 0
					if len(next) > 0 {
						soon, soonStep = &next[0], t.ldb
						next = next[min(cacheLine, len(next)):]
					}
					ops.tile(t.c[item*t.strideC+r*t.ldc+col:], t.ldc, a, as, b, bs, kl, rows, cols, flags,
						from(rowBias, r), from(colBias, col), soon, soonStep)
				}
			}
		}
	}
	putScratch(scratch)
}

// from is x[i:], and nil of nil.
func from(x []float32, i int) []float32 {
	if x == nil {
		return nil
	}
	return x[i:]
}
