package kernel

import "github.com/mettleml/mettle/internal/parallel"

// The conversions of this file take slices of equal length (else a LengthError
// panic) that do not overlap. Rounding is to nearest, ties to even; NaN stays
// NaN, quieted, with the upper bits of its payload.

// A convertTask is a conversion cut into chunks. It calls the loop through a
// static function, as a closure would be garbage.
type convertTask[D, S any] struct {
	loop func(n int, dst *D, src *S)
	dst  []D
	src  []S
}

func (t *convertTask[D, S]) Part(i int) {
	lo := i * lightChunk
	t.loop(min(lightChunk, len(t.dst)-lo), &t.dst[lo], &t.src[lo])
}

var (
	toHalfTasks   freeList[convertTask[uint16, float32]]
	fromHalfTasks freeList[convertTask[float32, uint16]]
)

func convert[D, S any](name string, tasks *freeList[convertTask[D, S]], loop func(n int, dst *D, src *S), dst []D, src []S) {
	checkLen(name, len(dst), len(src))
	if len(dst) == 0 {
		return
	}
	t := tasks.get()
	t.loop, t.dst, t.src = loop, dst, src
	parallel.Run(ceilDiv(len(dst), lightChunk), t)
	*t = convertTask[D, S]{}
	tasks.put(t)
}

// ToFloat16 rounds src to IEEE half precision, stored as bits.
func ToFloat16(dst []uint16, src []float32) {
	convert("ToFloat16", &toHalfTasks, Active().vec.toFloat16, dst, src)
}

// FromFloat16 widens IEEE half precision, exactly.
func FromFloat16(dst []float32, src []uint16) {
	convert("FromFloat16", &fromHalfTasks, Active().vec.fromFloat16, dst, src)
}
