package data

import (
	"math"
	"sync"
)

// A picture is one frame with a byte for each value, channel after channel. Its
// methods change it as the functions of the same names of the Python Imaging Library
// change an image, to the bit.
type picture struct {
	c, h, w  int // c is 1 or 3
	pix, tmp []byte
}

var pictures = sync.Pool{New: func() any { return new(picture) }}

// load takes the values of a frame in [0,1], rounded to 8 bits.
func (p *picture) load(src []float32, c, h, w int) {
	p.c, p.h, p.w = c, h, w
	p.pix, p.tmp = grow(p.pix, len(src)), grow(p.tmp, len(src))
	for i, v := range src {
		p.pix[i] = byte(clamp(v)*255 + 0.5)
	}
}

// store writes the values, in [0,1].
func (p *picture) store(dst []float32) {
	for i, b := range p.pix {
		dst[i] = unit[b]
	}
}

// affine makes pixel (x, y) the one in which (a x' + b y' + c, d x' + e y' + f) lies,
// for its centre (x', y'), or fill where there is none. Like the original it counts
// in units of 1/65536.
func (p *picture) affine(a, b, c, d, e, f float64, fill byte) {
	fix := func(v float64) int { return int(math.Floor(v*65536 + 0.5)) }
	right, down := [2]int{fix(a), fix(d)}, [2]int{fix(b), fix(e)}
	start := [2]int{fix(c + a*0.5 + b*0.5), fix(f + d*0.5 + e*0.5)}
	plane := p.h * p.w
	for y := range p.h {
		at := start
		for x := range p.w {
			sx, sy := at[0]>>16, at[1]>>16
			inside := sx >= 0 && sx < p.w && sy >= 0 && sy < p.h
			for k := y*p.w + x; k < len(p.tmp); k += plane {
				if inside {
					p.tmp[k] = p.pix[k+(sy-y)*p.w+sx-x]
				} else {
					p.tmp[k] = fill
				}
			}
			at[0] += right[0]
			at[1] += right[1]
		}
		start[0] += down[0]
		start[1] += down[1]
	}
	p.pix, p.tmp = p.tmp, p.pix
}

// rotate turns by so many degrees, counter-clockwise, round the middle.
func (p *picture) rotate(degrees float64, fill byte) {
	if degrees == 0 {
		return
	}
	sin, cos := math.Sincos(-degrees * math.Pi / 180)
	const digits = 1e15
	sin, cos = math.RoundToEven(sin*digits)/digits, math.RoundToEven(cos*digits)/digits
	x, y := float64(p.w)/2, float64(p.h)/2
	p.affine(cos, sin, float64(cos*-x)+float64(sin*-y)+x, -sin, cos, float64(-sin*-x)+float64(cos*-y)+y, fill)
}

// blend moves from the picture base, which may be nil for black, through this one:
// base + factor·(this - base), cut off to whole numbers.
func (p *picture) blend(base []byte, factor float32) {
	if factor == 1 {
		return
	}
	for i, v := range p.pix {
		var b byte
		if base != nil {
			b = base[i]
		}
		p.pix[i] = mixed(b, v, factor)
	}
}

func mixed(base, v byte, factor float32) byte {
	x := float32(base) + float32(factor*float32(int(v)-int(base)))
	return byte(min(max(x, 0), 255))
}

// gray is the luma of pixel i.
func (p *picture) gray(i int) byte {
	if p.c == 1 {
		return p.pix[i]
	}
	n := p.h * p.w
	r, g, b := uint32(p.pix[i]), uint32(p.pix[n+i]), uint32(p.pix[2*n+i])
	return byte((r*19595 + g*38470 + b*7471 + 1<<15) >> 16)
}

func (p *picture) brightness(factor float32) { p.blend(nil, factor) }

// contrast moves away from a plane in the mean luma.
func (p *picture) contrast(factor float32) {
	sum := 0
	for i := range p.h * p.w {
		sum += int(p.gray(i))
	}
	mean := byte(float64(sum)/float64(p.h*p.w) + 0.5)
	var lut [256]byte
	for v := range lut {
		lut[v] = mixed(mean, byte(v), factor)
	}
	p.point(p.pix, &lut)
}

// color moves away from the picture in gray.
func (p *picture) color(factor float32) {
	n := p.h * p.w
	for i := range n {
		g := p.gray(i)
		for k := i; k < len(p.tmp); k += n {
			p.tmp[k] = g
		}
	}
	p.blend(p.tmp, factor)
}

// sharpness moves away from the picture with every pixel but those of the edge
// replaced by a mean of its neighbours, with weight 1, and itself, with weight 5.
func (p *picture) sharpness(factor float32) {
	copy(p.tmp, p.pix)
	for ch := range p.c {
		in, out := p.pix[ch*p.h*p.w:][:p.h*p.w], p.tmp[ch*p.h*p.w:][:p.h*p.w]
		for y := 1; y < p.h-1; y++ {
			above, row, below := in[(y-1)*p.w:][:p.w], in[y*p.w:][:p.w], in[(y+1)*p.w:][:p.w]
			for x := 1; x < p.w-1; x++ {
				sum := 4 * int(row[x])
				for k := x - 1; k <= x+1; k++ {
					sum += int(above[k]) + int(row[k]) + int(below[k])
				}
				out[y*p.w+x] = byte((2*sum + 13) / 26)
			}
		}
	}
	p.blend(p.tmp, factor)
}

// point replaces every value by its entry in a table.
func (p *picture) point(values []byte, lut *[256]byte) {
	for i, v := range values {
		values[i] = lut[v]
	}
}

// posterize keeps the given number of upper bits.
func (p *picture) posterize(bits int) {
	for i := range p.pix {
		p.pix[i] &= 0xff << (8 - bits)
	}
}

// solarize inverts values that are not below the threshold.
func (p *picture) solarize(threshold float64) {
	for i, v := range p.pix {
		if float64(v) >= threshold {
			p.pix[i] = 255 - v
		}
	}
}

// channels calls f with every channel and its histogram.
func (p *picture) channels(f func(values []byte, count *[256]int)) {
	for ch := range p.c {
		values := p.pix[ch*p.h*p.w:][:p.h*p.w]
		var count [256]int
		for _, v := range values {
			count[v]++
		}
		f(values, &count)
	}
}

// autoContrast stretches every channel to the whole range.
func (p *picture) autoContrast() {
	p.channels(func(values []byte, count *[256]int) {
		lo, hi := 0, 255
		for lo < 255 && count[lo] == 0 {
			lo++
		}
		for hi > 0 && count[hi] == 0 {
			hi--
		}
		if hi <= lo {
			return
		}
		scale := 255 / float64(hi-lo)
		var lut [256]byte
		for v := range lut {
			lut[v] = byte(min(max(float64(float64(v)*scale)-float64(float64(lo)*scale), 0), 255))
		}
		p.point(values, &lut)
	})
}

// equalize makes the histogram of every channel as flat as a table of values can.
func (p *picture) equalize() {
	p.channels(func(values []byte, count *[256]int) {
		last := 0
		for v, n := range count {
			if n > 0 {
				last = v
			}
		}
		step := (len(values) - count[last]) / 255
		if step == 0 {
			return
		}
		var lut [256]byte
		n := step / 2
		for v := range lut {
			lut[v] = byte(min(n/step, 255))
			n += count[v]
		}
		p.point(values, &lut)
	})
}
