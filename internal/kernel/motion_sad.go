package kernel

// Generated on any machine, compiled on arm64 only.
//go:generate sh -c "go run -C _asm ./motionneon > motion_arm64.s"
//go:generate sh -c "go run -C _asm ./motionneon go > motion_stubs_arm64.go"

import "fmt"

// motionOps are the innermost loops of block matching. Their generic forms say what
// they do.
type motionOps struct {
	sads func(dst, off []int32, cur, ref []uint8, base, stride, w, h int)
	half func(h, v, d, a, b []uint8)
}

var genericMotion = motionOps{sads: sadsGeneric, half: halfGeneric}

// SADs compares a block of bytes with candidates on another plane. The block has h
// rows of w, of which the first begins at cur[at]; candidate i begins at
// ref[base+off[i]]. In both planes rows are stride apart. dst[i] becomes the sum of
// absolute differences. SADs panics if a block or a candidate leaves its plane.
func SADs(dst, off []int32, cur, ref []uint8, at, base, stride, w, h int) {
	need("SADs", "dst", len(dst), len(off))
	last := (h-1)*stride + w - 1
	if w < 1 || h < 1 || w > stride || at < 0 || at+last >= len(cur) {
		panic(fmt.Sprintf("kernel: SADs: no block of %dx%d at %d of %d bytes", w, h, at, len(cur)))
	}
	if len(off) == 0 {
		return
	}
	lo, hi := off[0], off[0]
	for _, o := range off {
		lo, hi = min(lo, o), max(hi, o)
	}
	if base+int(lo) < 0 || base+int(hi)+last >= len(ref) {
		panic(fmt.Sprintf("kernel: SADs: candidates of %dx%d at %d to %d of %d bytes", w, h, base+int(lo), base+int(hi), len(ref)))
	}
	Active().motion.sads(dst, off, cur[at:], ref, base, stride, w, h)
}

func sadsGeneric(dst, off []int32, cur, ref []uint8, base, stride, w, h int) {
	for i, o := range off {
		sum := int32(0)
		for y := range h {
			r := ref[base+int(o)+y*stride:][:w]
			for x, v := range cur[y*stride:][:w] {
				d := int32(v) - int32(r[x])
				sum += max(d, -d)
			}
		}
		dst[i] = sum
	}
}

// HalfPixels writes to h, v and d the plane x of bytes, rows of w, half a pixel to the
// right, down, and both, as bilinear averages with halves rounded up. The last pixel
// of each row of h and d and the last row of v and d are not defined, as they would
// lie outside.
func HalfPixels(h, v, d, x []uint8, w int) {
	for _, y := range [][]uint8{h, v, d} {
		need("HalfPixels", "h, v or d", len(y), len(x))
	}
	if w < 1 || len(x)%w != 0 {
		panic(fmt.Sprintf("kernel: HalfPixels: %d bytes in rows of %d", len(x), w))
	}
	if len(x) < 2 {
		return
	}
	runPooled(&halfTasks, ceilDiv(len(x)-1, halfChunk), halfTask{h, v, d, x, w, Active().motion.half})
	if i := len(x) - w - 1; i >= 0 { // the only one with a pixel below and none after that
		v[i] = uint8((int(x[i]) + int(x[i+w]) + 1) >> 1)
	}
}

const halfChunk = 64 << 10

type halfTask struct {
	h, v, d, x []uint8
	w          int
	loop       func(h, v, d, a, b []uint8)
}

var halfTasks freeList[halfTask]

func (t *halfTask) Part(i int) {
	lo := i * halfChunk
	hi := min(lo+halfChunk, len(t.x)-1)
	// Where there is no row below, the row itself stands for it.
	if mid := min(hi, len(t.x)-t.w-1); lo < mid {
		t.loop(t.h[lo:mid], t.v[lo:mid], t.d[lo:mid], t.x[lo:], t.x[lo+t.w:])
		lo = mid
	}
	t.loop(t.h[lo:hi], t.v[lo:hi], t.d[lo:hi], t.x[lo:], t.x[lo:])
}

// halfGeneric averages a with what follows it and with b; a and b are one longer than
// h, v and d.
func halfGeneric(h, v, d, a, b []uint8) {
	for i := range h {
		p, q, r, s := int(a[i]), int(a[i+1]), int(b[i]), int(b[i+1])
		h[i], v[i], d[i] = uint8((p+q+1)>>1), uint8((p+r+1)>>1), uint8((p+q+r+s+2)>>2)
	}
}
