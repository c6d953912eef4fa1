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
	toWideTasks   freeList[convertTask[float64, float32]]
	fromWideTasks freeList[convertTask[float32, float64]]
	byteTasks     freeList[byteTask]
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

// ToBFloat16 rounds src to bfloat16, stored as bits.
func ToBFloat16(dst []uint16, src []float32) {
	convert("ToBFloat16", &toHalfTasks, Active().vec.toBFloat16, dst, src)
}

// FromBFloat16 widens bfloat16, exactly.
func FromBFloat16(dst []float32, src []uint16) {
	convert("FromBFloat16", &fromHalfTasks, Active().vec.fromBFloat16, dst, src)
}

// ToFloat64 widens src, exactly.
func ToFloat64(dst []float64, src []float32) {
	convert("ToFloat64", &toWideTasks, Active().vec.toFloat64, dst, src)
}

// FromFloat64 rounds src to single precision.
func FromFloat64(dst []float32, src []float64) {
	convert("FromFloat64", &fromWideTasks, Active().vec.fromFloat64, dst, src)
}

// ToBytes sets dst = src*unit rounded and limited to 0..255; NaN becomes 0.
// With unit 255 pixels in [0,1] become bytes.
func ToBytes(dst []byte, src []float32, unit float32) {
	checkLen("ToBytes", len(dst), len(src))
	runBytes(byteTask{to: Active().vec.toBytes, bytes: dst, floats: src, unit: unit})
}

// FromBytes sets dst = src / unit. With unit 255 bytes become pixels in [0,1].
func FromBytes(dst []float32, src []byte, unit float32) {
	checkLen("FromBytes", len(dst), len(src))
	runBytes(byteTask{from: Active().vec.fromBytes, bytes: src, floats: dst, unit: unit})
}

type byteTask struct {
	to     func(n int, dst *byte, a *float32, unit float32)
	from   func(n int, dst *float32, a *byte, unit float32)
	bytes  []byte
	floats []float32
	unit   float32
}

func runBytes(b byteTask) {
	if len(b.bytes) == 0 {
		return
	}
	t := byteTasks.get()
	*t = b
	parallel.Run(ceilDiv(len(t.bytes), lightChunk), t)
	*t = byteTask{}
	byteTasks.put(t)
}

func (t *byteTask) Part(i int) {
	lo := i * lightChunk
	n := min(lightChunk, len(t.bytes)-lo)
	if t.to != nil {
		t.to(n, &t.bytes[lo], &t.floats[lo], t.unit)
	} else {
		t.from(n, &t.floats[lo], &t.bytes[lo], t.unit)
	}
}
