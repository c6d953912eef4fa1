package kernel

import (
	"math"
	"testing"

	"github.com/x448/float16"
)

// TestFloat16 goes through all halves, and through a prime stride of all singles
// besides every single that lies at or next to a rounding boundary.
func TestFloat16(t *testing.T) {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	eachSet(t, func(t *testing.T) {
		wide := make([]float32, len(all))
		FromFloat16(wide, all)
		for i, x := range wide {
			if want := float16.Frombits(uint16(i)); !sameNumber(x, want.Float32()) || x == x && math.Float32bits(x) != math.Float32bits(want.Float32()) {
				t.Fatalf("%#04x widens to %v, want %v", i, x, want)
			}
		}
		x := singles()
		got := make([]uint16, len(x))
		ToFloat16(got, x)
		for i, h := range got {
			if want := float16.Fromfloat32(x[i]).Bits(); h != want {
				t.Fatalf("%v (%#x) rounds to %#04x, want %#04x", x[i], math.Float32bits(x[i]), h, want)
			}
		}
	})
}

// singles returns float32 values: a prime stride of all, and those next to the
// boundaries of half precision.
func singles() []float32 {
	const drop = 13 // low bits
	var x []float32
	for b := uint64(0); b < 1<<32; b += 40009 {
		x = append(x, math.Float32frombits(uint32(b)))
	}
	for b := uint64(0); b < 1<<32; b += 1 << (drop - 1) {
		if b>>(drop+4)%61 != 0 && b&0x7fffffff < 0x47000000 && b&0x7fffffff > 0x39000000 {
			continue // one stretch in 61 is enough where numbers are normal
		}
		for d := range uint64(3) {
			x = append(x, math.Float32frombits(uint32(b+d-1)))
		}
	}
	return x
}

// TestConversionsStayInside surrounds destinations by guards.
func TestConversionsStayInside(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for n := range 70 {
			halves := make([]uint16, n+40)
			for i := range halves {
				halves[i] = 0x1234
			}
			ToFloat16(halves[20:20+n], normal(rng, n))
			for i := range n + 40 {
				if (i < 20 || i >= 20+n) && halves[i] != 0x1234 {
					t.Fatalf("%d numbers: wrote outside at %d", n, i-20)
				}
			}
			dst, intact := field(n, rng.Intn(16))
			FromFloat16(dst, halves[20:20+n])
			if !intact() {
				t.Fatalf("%d numbers: wrote outside", n)
			}
		}
	})
}
