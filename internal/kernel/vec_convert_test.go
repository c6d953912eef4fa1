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
		x := singles(13)
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
// boundaries of a format that drops low bits.
func singles(drop uint) []float32 {
	var x []float32
	for b := uint64(0); b < 1<<32; b += 40009 {
		x = append(x, math.Float32frombits(uint32(b)))
	}
	for b := uint64(0); b < 1<<32; b += 1 << (drop - 1) {
		if drop < 16 && b>>(drop+4)%61 != 0 && b&0x7fffffff < 0x47000000 && b&0x7fffffff > 0x39000000 {
			continue // one stretch in 61 is enough where numbers are normal
		}
		for d := range uint64(3) {
			x = append(x, math.Float32frombits(uint32(b+d-1)))
		}
	}
	return x
}

func TestBFloat16(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		x := singles(16)
		got, back := make([]uint16, len(x)), make([]float32, len(x))
		ToBFloat16(got, x)
		FromBFloat16(back, got)
		for i, v := range x {
			// The candidates are v cut off and its neighbour away from 0.
			cut := math.Float32bits(v) &^ 0xffff
			want := math.Float32frombits(cut)
			if next := math.Float32frombits(cut + 1<<16); v == v && v != want {
				// In units of the last place a half is exact in float64; Inf counts as 2^128.
				down, up := math.Abs(float64(v)-float64(want)), math.Abs(beyond(next)-float64(v))
				if up < down || up == down && cut>>16&1 == 1 {
					want = next
				}
			}
			if v != v {
				if back[i] == back[i] || got[i]&0x40 == 0 {
					t.Fatalf("NaN %#x became %#04x", math.Float32bits(v), got[i])
				}
			} else if math.Float32bits(back[i]) != math.Float32bits(want) {
				t.Fatalf("%v (%#x) becomes %v, want %v", v, math.Float32bits(v), back[i], want)
			}
		}
	})
}

// beyond is x, or the power of two that follows the largest number if it is Inf.
func beyond(x float32) float64 {
	if math.IsInf(float64(x), 0) {
		return math.Copysign(0x1p128, float64(x))
	}
	return float64(x)
}

func TestFloat64(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for n := range 100 {
			x := normal(rng, n)
			wide, back := make([]float64, n), make([]float32, n)
			ToFloat64(wide, x)
			for i, v := range wide {
				if v != float64(x[i]) {
					t.Fatalf("%v widens to %v", x[i], v)
				}
				wide[i] += math.Abs(v) * 0x1p-25 * float64(rng.Intn(8)-4)
			}
			FromFloat64(back, wide)
			for i, v := range back {
				if v != float32(wide[i]) {
					t.Fatalf("%v rounds to %v", wide[i], v)
				}
			}
		}
		hostile64 := []float64{math.Inf(1), math.NaN(), 1e300, -1e300, 1e-45, 1e-46, math.Copysign(0, -1), 0x1p-149, 0x1.8p-150, 0x1p-150, 3.4028235677973366e38, 1, 2, 3, 4, 5, 6}
		back := make([]float32, len(hostile64))
		FromFloat64(back, hostile64)
		for i, v := range back {
			if !sameNumber(v, float32(hostile64[i])) {
				t.Errorf("%v rounds to %v", hostile64[i], v)
			}
		}
	})
}

func TestBytes(t *testing.T) {
	all := make([]byte, 256+5)
	for i := range all {
		all[i] = byte(i)
	}
	eachSet(t, func(t *testing.T) {
		x, b := make([]float32, len(all)), make([]byte, len(all))
		FromBytes(x, all, 255)
		ToBytes(b, x, 255)
		for i := range all {
			if b[i] != all[i] || x[i] != float32(all[i])/255 {
				t.Fatalf("%d becomes %v becomes %d", all[i], x[i], b[i])
			}
		}
		inf := float32(math.Inf(1))
		in := []float32{0.5, 1.5, 2.5, 254.5, 254.6, 255.4, 256, 1e20, inf, -0.4, -0.6, -1e20, -inf, float32(math.NaN()), 0.49999997, 7, 0.5}
		want := []byte{0, 2, 2, 254, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 7, 0}
		got := make([]byte, len(in))
		ToBytes(got, in, 1)
		for i := range in {
			if got[i] != want[i] {
				t.Errorf("%v becomes %d, want %d", in[i], got[i], want[i])
			}
		}
	})
}

// TestConversionsStayInside surrounds destinations by guards.
func TestConversionsStayInside(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for n := range 70 {
			x := normal(rng, n)
			halves := make([]uint16, n+40)
			for i := range halves {
				halves[i] = 0x1234
			}
			bytes := make([]byte, n+40)
			wides := make([]float64, n+40)
			ToFloat16(halves[20:20+n], x)
			ToBFloat16(halves[20:20+n], x)
			ToBytes(bytes[20:20+n], x, 255)
			ToFloat64(wides[20:20+n], x)
			for i := range n + 40 {
				if (i < 20 || i >= 20+n) && (halves[i] != 0x1234 || bytes[i] != 0 || wides[i] != 0) {
					t.Fatalf("%d numbers: wrote outside at %d", n, i-20)
				}
			}
			for _, from := range []func(dst []float32){
				func(dst []float32) { FromFloat16(dst, halves[20:20+n]) },
				func(dst []float32) { FromBFloat16(dst, halves[20:20+n]) },
				func(dst []float32) { FromBytes(dst, bytes[20:20+n], 255) },
				func(dst []float32) { FromFloat64(dst, wides[20:20+n]) },
			} {
				dst, intact := field(n, rng.Intn(16))
				from(dst)
				if !intact() {
					t.Fatalf("%d numbers: wrote outside", n)
				}
			}
		}
	})
}
