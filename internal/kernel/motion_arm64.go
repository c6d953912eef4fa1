//go:build !purego

package kernel

var neonMotion = motionOps{sads: sadsNEON, half: halfWideNEON}

func halfWideNEON(h, v, d, a, b []uint8) {
	if len(h) < 16 {
		halfGeneric(h, v, d, a, b)
		return
	}
	halfNEON(h, v, d, a, b)
}
