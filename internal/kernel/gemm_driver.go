package kernel

import "github.com/mettleml/mettle/internal/parallel"

// How a product is done
//
// C is cut into parts, blocks of rows and columns that depend on the shape
// alone. A part goes through k in stretches of equal length (at most
// gemmOps.depth, a function of k alone); for each stretch and each strip of B as
// wide as a tile it packs the strip, which then stays in the first-level cache,
// and runs the tiles of all its strips of A past it. A is packed beforehand, by
// all workers, if several parts need the same rows, and by the part itself
// otherwise. What one part needs of A fits into the second-level cache.
//
// Packing decides only where operands are read from. Every number of C is the
// sum over k in order, stretch by stretch, so its bits depend on k and the data
// alone.

// gemmArgs is one product as MatMul takes it.
type gemmArgs struct {
	c, a, b        []float32
	ldc, lda, ldb  int
	transA, transB bool
	m, n, k        int
	ep             Epilogue
}

// Sizes that steer the cutting.
const (
	// partRows is the most rows of C in a part: with gemmOps.depth it bounds the
	// packed A that a part goes over again for every strip.
	partRows = 512

	// partFlops is the least work (multiply-adds) of a part.
	partFlops = 1 << 18

	// packFloats is the least part of packing.
	packFloats = 1 << 15

	// maxParts is where more parts stop paying.
	maxParts = 64

	// batchFlops is the product (multiply-adds) up to which a batch is cut by item.
	batchFlops = 1 << 22
)

// A gemmTask does one product.
type gemmTask struct {
	gemmArgs
	ops *gemmOps

	strips     int // of rows, nearly equal, at most ops.rows each
	colStrips  int // ops.cols wide, the last one narrower
	kLen       int // length of a stretch of k, the last one shorter
	rowBlocks  int // the parts: blocks of strips by blocks of column strips
	colBlocks  int
	packed     []float32 // all of A, if packed beforehand
	packParts  int
	packing    bool // Part packs
	directA    bool // A is read in place
	directStep int  // and this is its step along k
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
	t.colStrips = ceilDiv(t.n, ops.cols)
	t.kLen = max(ceilDiv(ceilDiv(t.k, max(1, ceilDiv(t.k, ops.depth))), 4)*4, 4)
	t.cut()

	if t.k == 0 || t.strips == 1 && (t.transA || t.m == 1) {
		t.directA, t.directStep = true, 1
		if t.transA {
			t.directStep = t.lda
		}
	}
	if t.colBlocks == 1 || t.directA {
		parallel.Run(t.rowBlocks*t.colBlocks, t)
		return
	}
	s := getScratch(t.m * t.k)
	t.packed = s.f
	t.packing = true
	t.packParts = min(t.strips, ceilDiv(t.m*t.k, packFloats))
	parallel.Run(t.packParts, t)
	t.packing = false
	parallel.Run(t.rowBlocks*t.colBlocks, t)
	putScratch(s)
}

// cut chooses the parts.
func (t *gemmTask) cut() {
	t.rowBlocks = ceilDiv(t.m, partRows)
	flops := t.m * t.n * max(t.k, 1)
	parts := min(max(flops/partFlops, 1), maxParts)
	t.colBlocks = min(t.colStrips, ceilDiv(parts, t.rowBlocks))
	// Few columns: cut rows instead, but not so fine that packing B again for
	// every block would show.
	if want := min(parts/t.colBlocks, t.strips/8); want > t.rowBlocks {
		t.rowBlocks = want
	}
}

// Part packs some strips of A or does a block of C.
func (t *gemmTask) Part(i int) {
	if t.packing {
		s0, s1 := cutAt(t.strips, t.packParts, i), cutAt(t.strips, t.packParts, i+1)
		for p0 := 0; p0 < t.k; p0 += t.kLen {
			kl := min(t.kLen, t.k-p0)
			for s := s0; s < s1; s++ {
				r := cutAt(t.m, t.strips, s)
				t.packA(t.packed[p0*t.m+r*kl:], s, p0, kl)
			}
		}
		return
	}
	rb, cb := i/t.colBlocks, i%t.colBlocks
	t.block(cutAt(t.strips, t.rowBlocks, rb), cutAt(t.strips, t.rowBlocks, rb+1),
		cutAt(t.colStrips, t.colBlocks, cb), cutAt(t.colStrips, t.colBlocks, cb+1))
}

// cutAt returns where piece i begins when n is cut into pieces that differ by one
// at most.
func cutAt(n, pieces, i int) int { return n * i / pieces }

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// block computes the strips of rows [s0, s1) of the column strips [j0, j1).
func (t *gemmTask) block(s0, s1, j0, j1 int) {
	ops := t.ops
	top := cutAt(t.m, t.strips, s0)
	ownA := t.packed == nil && !t.directA
	sizeB := ops.cols * t.kLen
	size := sizeB
	if ownA {
		size += (cutAt(t.m, t.strips, s1) - top) * t.kLen
	}
	scratch := getScratch(size)
	packedB, packedA := scratch.f[:sizeB], scratch.f[sizeB:]
	small := s1-s0 <= 2 || t.k*t.n <= 1<<15

	for p0 := 0; p0 == 0 || p0 < t.k; p0 += t.kLen {
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
				t.packA(packedA[(cutAt(t.m, t.strips, s)-top)*kl:], s, p0, kl)
			}
		}
		for j := j0; j < j1; j++ {
			col := j * ops.cols
			cols := min(ops.cols, t.n-col)
			var b []float32
			bs := ops.cols
			switch {
			case kl == 0:
			case !t.transB && small && (ops.masked || cols == ops.cols):
				b, bs = t.b[p0*t.ldb+col:], t.ldb
			default:
				t.packB(packedB, col, cols, p0, kl)
				b = packedB
			}
			for s := s0; s < s1; s++ {
				r := cutAt(t.m, t.strips, s)
				rows := cutAt(t.m, t.strips, s+1) - r
				var a []float32
				as := rows
				switch {
				case kl == 0:
				case t.directA:
					a, as = t.a[p0*t.directStep:], t.directStep
				case ownA:
					a = packedA[(r-top)*kl:]
				default:
					a = t.packed[p0*t.m+r*kl:]
				}
				ops.tile(t.c[r*t.ldc+col:], t.ldc, a, as, b, bs, kl, rows, cols, flags,
					from(rowBias, r), from(colBias, col))
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

// packA packs kl numbers of the rows of strip s, beginning with number p0 of each.
func (t *gemmTask) packA(dst []float32, s, p0, kl int) {
	r := cutAt(t.m, t.strips, s)
	rows := cutAt(t.m, t.strips, s+1) - r
	if t.transA {
		t.ops.packCopy(dst, rows, t.a[p0*t.lda+r:], t.lda, rows, kl)
		return
	}
	for l := 0; l < rows; l += t.ops.transposeLanes {
		t.ops.packTranspose(dst[l:], rows, t.a[(r+l)*t.lda+p0:], t.lda, min(t.ops.transposeLanes, rows-l), kl)
	}
}

// packB packs kl rows of the strip of B that begins at column col.
func (t *gemmTask) packB(dst []float32, col, cols, p0, kl int) {
	if !t.transB {
		t.ops.packCopy(dst, t.ops.cols, t.b[p0*t.ldb+col:], t.ldb, cols, kl)
		return
	}
	for l := 0; l < cols; l += t.ops.transposeLanes {
		t.ops.packTranspose(dst[l:], t.ops.cols, t.b[(col+l)*t.ldb+p0:], t.ldb, min(t.ops.transposeLanes, cols-l), kl)
	}
}

// A batchTask does the products of a batch, some items to a part.
type batchTask struct {
	args                      gemmArgs
	count, parts              int
	strideC, strideA, strideB int
}

var batchTasks freeList[batchTask]

// Part does the items of part i.
func (t *batchTask) Part(i int) {
	for q := cutAt(t.count, t.parts, i); q < cutAt(t.count, t.parts, i+1); q++ {
		t.item(q)
	}
}

func (t *batchTask) item(q int) {
	args := t.args
	args.c = from(args.c, q*t.strideC)
	args.a = from(args.a, q*t.strideA)
	args.b = from(args.b, q*t.strideB)
	gemm(args)
}

// batch does count products: several at a time if they are small, and one after
// the other, each by all workers, if not.
func batch(count int, args gemmArgs, strideC, strideA, strideB int) {
	t := batchTasks.get()
	*t = batchTask{args, count, 1, strideC, strideA, strideB}
	flops := args.m * args.n * max(args.k, 1)
	if flops <= batchFlops {
		t.parts = min(count, max(1, count*flops/partFlops), maxParts)
		parallel.Run(t.parts, t)
	} else {
		t.Part(0)
	}
	*t = batchTask{}
	batchTasks.put(t)
}
