package kernel

import (
	"syscall"
	"unsafe"
)

const (
	bigPage      = 2 << 20 // bytes, on amd64 and on most arm64 systems
	madvHugePage = 14      // MADV_HUGEPAGE
)

// BigPages asks the system to back the whole big pages within freshly allocated
// memory by such, and returns f. Arithmetic on arrays that no cache holds is up to
// a third faster with them. That some systems refuse does no harm.
func BigPages(f []float32) []float32 {
	if len(f) < bigPage/4 {
		return f
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f))), 4*len(f))
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(f))) % bigPage)
	if n := (len(b) - skip) &^ (bigPage - 1); n > 0 {
		syscall.Madvise(b[skip:skip+n], madvHugePage)
	}
	return f
}
