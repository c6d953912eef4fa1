package kernel

import (
	"math/bits"
	"sync"
	"unsafe"

	"github.com/mettleml/mettle/internal/parallel"
)

// A scratch is working memory that a kernel borrows for the length of a call.
//
// Kernels never allocate in steady state. They take what they need from two
// kinds of free list:
//
//   - Numbers: s := getScratch(n); ... s.f ...; putScratch(s). s.f has length n,
//     begins on a 64-byte boundary and holds whatever the last user left there.
//   - Task structs: a type that implements parallel.Task has a package-level
//     freeList of its own. A kernel takes one, fills it, runs it and puts it
//     back; a closure or a fresh struct would escape to the heap at every call.
//
// A part of a parallel task that needs memory of its own calls partScratch at the
// beginning of Part and putScratch at its end: a worker gets back a buffer it used
// a moment ago, still in its cache. The first part that asks makes a buffer for
// every worker, if a quarter of what may still be retained allows, so that memory
// does not go on growing until all have met. Memory that all parts share (a packed
// operand, say) is taken before parallel.Run and returned after it.
//
// A scratch that a panic kept from being returned is simply collected; no
// kernel needs a deferred putScratch.
type scratch struct {
	f     []float32 // the n numbers asked for
	whole []float32 // all of the class, aligned
	user  scratchUser
	next  *scratch
}

// A scratchUser has free lists of its own: how many buffers it needs follows from
// what it does alone.
type scratchUser uint8

const (
	theCall scratchUser = iota
	aPart
	scratchUsers
)

const (
	// scratchAlign is the alignment of scratch in bytes: a cache line and the
	// widest vector.
	scratchAlign = 64

	// minScratch is the smallest class in floats.
	minScratch = 1 << 8

	// maxRetained bounds what the free lists keep, in floats (512 MB). A put
	// that would exceed it first lets go of everything else.
	maxRetained = 1 << 27
)

var scratchPool struct {
	mu       sync.Mutex
	retained int
	free     [scratchUsers][4 * 64]*scratch
}

// scratchClass returns the index and the size of the smallest class that holds n
// floats. There are four classes to an octave, so at most a quarter is wasted.
func scratchClass(n int) (class, size int) {
	n = max(n, minScratch)
	octave := bits.Len(uint(n - 1)) // 2^(octave-1) < n <= 2^octave
	step := 1 << octave >> 3
	quarters := ceilDiv(n, step) // 5..8 eighths of 2^octave
	return 4*octave + quarters - 5, quarters * step
}

// getScratch returns n floats of unspecified content, 64-byte aligned. It is safe
// for concurrent use.
func getScratch(n int) *scratch { return takeScratch(theCall, n, 1) }

// partScratch is getScratch for a part of a parallel task.
func partScratch(n int) *scratch { return takeScratch(aPart, n, parallel.Workers()) }

// takeScratch returns a free buffer of a user. If there is none it makes up to some.
func takeScratch(user scratchUser, n, some int) *scratch {
	class, size := scratchClass(n)
	p := &scratchPool
	p.mu.Lock()
	defer p.mu.Unlock()
	free := &p.free[user][class]
	if *free == nil {
		for range max(1, min(some, (maxRetained-p.retained)/4/size)) {
			*free = &scratch{whole: alignedFloats(size), user: user, next: *free}
			p.retained += size
		}
	}
	s := *free
	*free = s.next
	p.retained -= size
	s.next = nil
	s.f = s.whole[:n]
	return s
}

// putScratch gives s back. The caller keeps no slice of it.
func putScratch(s *scratch) {
	class, size := scratchClass(len(s.whole))
	s.f = nil
	p := &scratchPool
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retained+size > maxRetained {
		clear(p.free[:])
		p.retained = 0
	}
	if size <= maxRetained {
		free := &p.free[s.user][class]
		s.next = *free
		*free = s
		p.retained += size
	}
}

// alignedFloats allocates n zeros that begin on a 64-byte boundary.
func alignedFloats(n int) []float32 {
	const extra = scratchAlign / 4
	buf := BigPages(make([]float32, n+extra))
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(buf)))%scratchAlign) / 4
	return buf[off : off+n : off+n]
}

// A freeList keeps structs of one type for reuse, typically those of a
// parallel.Task. The zero value is ready; it is safe for concurrent use.
type freeList[T any] struct {
	mu   sync.Mutex
	free []*T
}

// maxFree bounds the length of a freeList.
const maxFree = 64

// get returns a struct as the last user left it, or a zero one.
func (l *freeList[T]) get() *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		t := l.free[n-1]
		l.free[n-1] = nil
		l.free = l.free[:n-1]
		return t
	}
	return new(T)
}

// put gives t back. The caller clears what would keep big memory alive.
func (l *freeList[T]) put(t *T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) < maxFree {
		l.free = append(l.free, t)
	}
}
