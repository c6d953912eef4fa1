package autograd

import (
	"flag"
	"math"
	"math/bits"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/mettleml/mettle/internal/kernel"
)

// A block is a piece of memory that a tape owns. It is in use while refs > 0
// and on the free list of its class otherwise.
type block struct {
	buf   []float32
	class int
	refs  int
}

const (
	blockAlign = 64 // bytes: a cache line, and the widest vector
	classBits  = 3  // 8 classes in an octave: at most one eighth is wasted
)

// An arena hands out blocks by size class and takes them back, last in first
// out, so that memory just consumed, and still in the cache, is used next.
type arena struct {
	all  []*block
	free [64 << classBits][]*block

	live, peak int // floats in use, and the most there were since reset
}

// sizeClass returns the class of n floats and the size of its blocks.
func sizeClass(n int) (class, size int) {
	n = max(n, 1<<(classBits+1))
	shift := bits.Len(uint(n-1)) - 1 - classBits
	step := (n-1)>>shift + 1 // 2^classBits+1 .. 2^(classBits+1)
	return shift<<classBits + step - 1<<classBits - 1, step << shift
}

// get returns a block with n floats of unspecified content and one reference.
func (a *arena) get(n int) *block {
	class, size := sizeClass(n)
	var b *block
	if f := a.free[class]; len(f) > 0 {
		b = f[len(f)-1]
		a.free[class] = f[:len(f)-1]
	} else {
		b = &block{buf: alignedFloats(size), class: class}
		if poisoning() {
			poison(b.buf)
		}
		a.all = append(a.all, b)
	}
	b.refs = 1
	a.live += len(b.buf)
	a.peak = max(a.peak, a.live)
	return b
}

// put drops one reference to b.
func (a *arena) put(b *block) {
	b.refs--
	if b.refs > 0 {
		return
	}
	a.live -= len(b.buf)
	if poisoning() {
		poison(b.buf)
	}
	a.free[b.class] = append(a.free[b.class], b)
}

// reset takes back every block and orders the free lists afresh, so that the same
// requests get the same memory in every generation.
func (a *arena) reset() {
	a.live, a.peak = 0, 0
	for c := range a.free {
		a.free[c] = a.free[c][:0]
	}
	for i := len(a.all) - 1; i >= 0; i-- {
		b := a.all[i]
		if b.refs > 0 && poisoning() {
			poison(b.buf)
		}
		b.refs = 0
		a.free[b.class] = append(a.free[b.class], b)
	}
}

// alignedFloats allocates n zeros that begin on a cache line.
func alignedFloats(n int) []float32 {
	buf := kernel.BigPages(make([]float32, n+blockAlign/4))
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(buf)))%blockAlign) / 4
	return buf[skip : skip+n : skip+n]
}

// poisonState is 0 before the first question, then 1 for off or 2 for on.
var poisonState atomic.Int32

// SetPoison turns a debug mode on or off for the whole process. In this mode a tape
// fills memory with NaN when it takes it back and when it hands it out for the first
// time, so that a stale read shows. The mode is on by default in test binaries and
// with the environment variable METTLE_POISON=1, and off elsewhere. It costs one pass
// over the recycled memory.
func SetPoison(on bool) {
	if on {
		poisonState.Store(2)
	} else {
		poisonState.Store(1)
	}
}

func poisoning() bool {
	s := poisonState.Load()
	if s == 0 {
		SetPoison(os.Getenv("METTLE_POISON") == "1" || flag.Lookup("test.v") != nil)
		s = poisonState.Load()
	}
	return s == 2
}

func poison(f []float32) {
	nan := float32(math.NaN())
	for i := range f {
		f[i] = nan
	}
}

// floats64 and bytes see the memory of a block, which is aligned for both, as
// numbers of another type: statistics and the positions that pooling chose.
func (b *block) floats64(n int) []float64 {
	return unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(b.buf))), len(b.buf)/2)[:n]
}

func (b *block) bytes(n int) []uint8 {
	return unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(b.buf))), 4*len(b.buf))[:n]
}
