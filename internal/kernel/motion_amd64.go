//go:build !purego

package kernel

//go:generate go run -C _asm ./motion -out ../motion_amd64.s -stubs ../motion_stubs_amd64.go -pkg kernel

var avx2Motion = motionOps{sads: sadsAVX2, half: halfWideAVX2}

var avx512Motion = motionOps{sads: sadsAVX512, half: halfWideAVX2}

func sadsAVX2(dst, off []int32, cur, ref []uint8, base, stride, w, h int) {
	switch w {
	case 16:
		sads16AVX2(dst, off, cur, ref, base, stride, h)
	case 8:
		sads8AVX2(dst, off, cur, ref, base, stride, h)
	default:
		sadsColumns(dst, off, cur, ref, base, stride, w, h)
	}
}

// sadsColumns does 16, 8 or fewer columns at a time.
func sadsColumns(dst, off []int32, cur, ref []uint8, base, stride, w, h int) {
	clear(dst)
	var sums [64]int32
	for lo := 0; lo < len(off); lo += len(sums) {
		off := off[lo:min(lo+len(sums), len(off))]
		sums := sums[:len(off)]
		for x := 0; x < w; {
			step := w - x
			switch {
			case step >= 16:
				step = 16
				sads16AVX2(sums, off, cur[x:], ref, base+x, stride, h)
			case step >= 8:
				step = 8
				sads8AVX2(sums, off, cur[x:], ref, base+x, stride, h)
			default:
				sadsGeneric(sums, off, cur[x:], ref, base+x, stride, step, h)
			}
			x += step
			for i, s := range sums {
				dst[lo+i] += s
			}
		}
	}
}

func sadsAVX512(dst, off []int32, cur, ref []uint8, base, stride, w, h int) {
	if w <= 64 && (w != 16 || h != 16) && (w != 8 || h != 8) {
		sadsMaskedAVX512(dst, off, cur, ref, base, stride, w, h)
		return
	}
	sadsAVX2(dst, off, cur, ref, base, stride, w, h)
}

func halfWideAVX2(h, v, d, a, b []uint8) {
	if len(h) < 32 {
		halfGeneric(h, v, d, a, b)
		return
	}
	halfAVX2(h, v, d, a, b)
}
