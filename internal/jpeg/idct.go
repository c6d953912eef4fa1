package jpeg

// The inverse cosine transform of Loeffler, Ligtenberg and Moschytz (ICASSP 1989): 12
// multiplications a line, in fixed point with 13 bits behind the point, columns first,
// two more bits kept between the passes. libjpeg's default ("islow") is the same
// arithmetic, so that the samples are the same.
const (
	pointBits = 13
	extraBits = 2
)

// Sums of cosines, times 2^13.
const (
	k0298 = 2446
	k0390 = 3196
	k0541 = 4433
	k0765 = 6270
	k0899 = 7373
	k1175 = 9633
	k1501 = 12299
	k1847 = 15137
	k1961 = 16069
	k2053 = 16819
	k2562 = 20995
	k3072 = 25172
)

// inverse writes the 8x8 samples of a block to dst, lines stride apart.
func inverse(dst []byte, stride int, coef *[64]int16, quant *[64]uint16) {
	var b [64]int32
	for x := range 8 {
		c, q := coef[x:], quant[x:]
		v0 := int32(c[0]) * int32(q[0])
		if c[8]|c[16]|c[24]|c[32]|c[40]|c[48]|c[56] == 0 { // a constant column
			for y := range 8 {
				b[8*y+x] = v0 << extraBits
			}
			continue
		}
		even, odd := line(v0, int32(c[8])*int32(q[8]), int32(c[16])*int32(q[16]), int32(c[24])*int32(q[24]),
			int32(c[32])*int32(q[32]), int32(c[40])*int32(q[40]), int32(c[48])*int32(q[48]), int32(c[56])*int32(q[56]))
		const shift = pointBits - extraBits
		for i := range 4 {
			b[8*i+x] = (even[i] + odd[i] + 1<<(shift-1)) >> shift
			b[8*(7-i)+x] = (even[i] - odd[i] + 1<<(shift-1)) >> shift
		}
	}
	for y := range 8 {
		r, to := (*[8]int32)(b[8*y:]), (*[8]byte)(dst[y*stride:])
		even, odd := line(r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7])
		const shift = pointBits + extraBits + 3
		for i := range 4 {
			to[i] = sample((even[i] + odd[i] + 1<<(shift-1)) >> shift)
			to[7-i] = sample((even[i] - odd[i] + 1<<(shift-1)) >> shift)
		}
	}
}

// line is the transform of a line, times 2^13: value i is even[i]+odd[i], value 7-i is
// even[i]-odd[i].
func line(v0, v1, v2, v3, v4, v5, v6, v7 int32) (even, odd [4]int32) {
	turn := (v2 + v6) * k0541
	low, high := turn-v6*k1847, turn+v2*k0765
	sum, diff := (v0+v4)<<pointBits, (v0-v4)<<pointBits
	even = [4]int32{sum + high, diff + low, diff - low, sum - high}

	outer, inner := -(v7+v1)*k0899, -(v5+v3)*k2562
	all := (v7 + v3 + v5 + v1) * k1175
	threes, ones := all-(v7+v3)*k1961, all-(v5+v1)*k0390
	odd = [4]int32{
		v1*k1501 + outer + ones,
		v3*k3072 + inner + threes,
		v5*k2053 + inner + ones,
		v7*k0298 + outer + threes,
	}
	return even, odd
}

func sample(v int32) byte { return byte(min(max(v+128, 0), 255)) }
