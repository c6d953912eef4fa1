package kernel

import (
	"math"
	"math/bits"
	"unsafe"
)

// Philox4x32's multipliers and the Weyl increments of its key.
const (
	philoxM0 = 0xD2511F53
	philoxM1 = 0xCD9E8D57
	philoxW0 = 0x9E3779B9
	philoxW1 = 0xBB67AE85
)

// philoxBlock returns the four words of a counter, whose upper half is 0.
func philoxBlock(seed, counter uint64) (x0, x1, x2, x3 uint32) {
	x0, x1 = uint32(counter), uint32(counter>>32)
	k0, k1 := uint32(seed), uint32(seed>>32)
	for range 10 {
		hi0, lo0 := bits.Mul32(philoxM0, x0)
		hi1, lo1 := bits.Mul32(philoxM1, x2)
		x0, x1, x2, x3 = hi1^x1^k0, lo1, hi0^x3^k1, lo0
		k0 += philoxW0
		k1 += philoxW1
	}
	return x0, x1, x2, x3
}

// genericPhilox fills groups, the first of which has number counter.
func genericPhilox(groups int, dst *float32, seed, counter uint64) {
	d := unsafe.Slice(dst, groups*randGroup)
	for g := range groups {
		for l := range 16 {
			x0, x1, x2, x3 := philoxBlock(seed, 16*(counter+uint64(g))+uint64(l))
			d[randGroup*g+l] = math.Float32frombits(x0)
			d[randGroup*g+16+l] = math.Float32frombits(x1)
			d[randGroup*g+32+l] = math.Float32frombits(x2)
			d[randGroup*g+48+l] = math.Float32frombits(x3)
		}
	}
}

// genericNormals does the Box-Muller transform: a radius from the first word of
// a pair, an angle from the second. The radius takes all 32 bits, in (0, 1], so
// that deviates reach 6.66; the angle takes 24.
func genericNormals(groups int, dst *float32, mean, std float32) {
	d := unsafe.Slice(dst, groups*randGroup)
	for g := 0; g < len(d); g += 32 {
		for i := g; i < g+16; i++ {
			u := (float64(math.Float32bits(d[i])) + 1) * 0x1p-32
			angle := float64(int32(math.Float32bits(d[i+16]))>>8) * (math.Pi * 0x1p-23)
			r := math.Sqrt(-2 * math.Log(u))
			sin, cos := math.Sincos(angle)
			d[i] = mean + float32(std*float32(r*cos))
			d[i+16] = mean + float32(std*float32(r*sin))
		}
	}
}
