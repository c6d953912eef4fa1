package video

import "math"

// planar is a layout of frames whose luma and chroma are in planes of their own, and
// the way from such a frame to red, green and blue. The matrix is that of ITU-R BT.601.
type planar struct {
	w, h       int
	xDiv, yDiv int  // pixels per sample of chroma along an axis
	bits       int  // of a sample; above 8 it takes two bytes, the lower first
	mono       bool // no chroma
	alpha      bool // a fourth plane, which is dropped
	full       bool // samples use the whole range, not 16 to 235 (luma) and 240 (chroma) of 255

	table *yuvTable // for 8 bits
}

// channels is the number of channels of a converted frame.
func (p *planar) channels() int {
	if p.mono {
		return 1
	}
	return 3
}

// chroma returns the size of a plane of chroma.
func (p *planar) chroma() (w, h int) {
	return (p.w + p.xDiv - 1) / p.xDiv, (p.h + p.yDiv - 1) / p.yDiv
}

// size returns the bytes of a frame.
func (p *planar) size() int {
	n := p.w * p.h
	samples := n
	if !p.mono {
		cw, ch := p.chroma()
		samples += 2 * cw * ch
	}
	if p.alpha {
		samples += n
	}
	if p.bits > 8 {
		samples *= 2
	}
	return samples
}

// convert writes a frame as [C, H, W] to dst. With 8 bits the values are rounded to
// multiples of 1/255. A sample of chroma is used for all pixels that it covers.
func (p *planar) convert(dst []float32, raw []byte) {
	if p.bits > 8 {
		p.convertDeep(dst, raw)
		return
	}
	if p.table == nil {
		p.table = newYUVTable(p.full)
	}
	t, n := p.table, p.w*p.h
	luma := raw[:n]
	if p.mono {
		for i, v := range luma {
			dst[i] = t.clamp(t.luma[v])
		}
		return
	}
	cw, ch := p.chroma()
	cb, cr := raw[n:][:cw*ch], raw[n+cw*ch:][:cw*ch]
	red, green, blue := dst[:n], dst[n:2*n], dst[2*n:3*n]
	for y := range p.h {
		line := luma[y*p.w:][:p.w]
		r, g, b := red[y*p.w:][:p.w], green[y*p.w:][:p.w], blue[y*p.w:][:p.w]
		row := y / p.yDiv * cw
		for i := range cw {
			kb, kr := &t.chroma[cb[row+i]], &t.chroma[cr[row+i]]
			toRed, toGreen, toBlue := kr.red, kr.green+kb.greenOfBlue, kb.blue
			for x := i * p.xDiv; x < min((i+1)*p.xDiv, p.w); x++ {
				l := t.luma[line[x]]
				r[x], g[x], b[x] = t.clamp(l+toRed), t.clamp(l+toGreen), t.clamp(l+toBlue)
			}
		}
	}
}

// convertDeep is convert for samples of more than 8 bits. It does not round.
func (p *planar) convertDeep(dst []float32, raw []byte) {
	n := p.w * p.h
	sample := func(i int) float32 { return float32(uint16(raw[2*i]) | uint16(raw[2*i+1])<<8) }
	unit := float32(int(1) << (p.bits - 8))
	black, luma, chroma := 16*unit, 1/(219*unit), 1/(224*unit)
	if p.full {
		black, luma = 0, 1/(256*unit-1)
		chroma = luma
	}
	middle := 128 * unit
	clamp := func(v float32) float32 { return min(max(v, 0), 1) }
	if p.mono {
		for i := range n {
			dst[i] = clamp((sample(i) - black) * luma)
		}
		return
	}
	cw, ch := p.chroma()
	for y := range p.h {
		row := n + y/p.yDiv*cw
		for x := range p.w {
			l := (sample(y*p.w+x) - black) * luma
			c := row + x/p.xDiv
			cb, cr := (sample(c)-middle)*chroma, (sample(c+cw*ch)-middle)*chroma
			i := y*p.w + x
			dst[i] = clamp(l + redOfCr*cr)
			dst[n+i] = clamp(l + greenOfCb*cb + greenOfCr*cr)
			dst[2*n+i] = clamp(l + blueOfCb*cb)
		}
	}
}

// The weights of red, green and blue in the luma of BT.601, and what follows from
// them: the factors of chroma, which lies in [-1/2, 1/2].
const (
	lumaRed, lumaGreen, lumaBlue = 0.299, 0.587, 0.114

	redOfCr   = 2 * (1 - lumaRed)
	blueOfCb  = 2 * (1 - lumaBlue)
	greenOfCr = -redOfCr * lumaRed / lumaGreen
	greenOfCb = -blueOfCb * lumaBlue / lumaGreen
)

// yuvTable has the summands of red, green and blue for samples of 8 bits, in units of
// 2^-16 of 1/255.
type yuvTable struct {
	luma   [256]int32 // with half a unit to round
	chroma [256]struct{ red, green, greenOfBlue, blue int32 }
	values [yuvSpan]float32 // the clamped sums
}

// The sums lie between -yuvBelow and yuvSpan-yuvBelow: luma is -19 to 278 and chroma
// adds -258 to 256.
const yuvBelow, yuvSpan = 320, 1024

func newYUVTable(full bool) *yuvTable {
	t := new(yuvTable)
	black, luma, chroma := 16.0, 255.0/219, 255.0/224
	if full {
		black, luma, chroma = 0, 1, 1
	}
	fix := func(v float64) int32 { return int32(math.Round(v * 65536)) }
	for i := range 256 {
		t.luma[i] = fix((float64(i)-black)*luma + 0.5)
		c := (float64(i) - 128) * chroma
		k := &t.chroma[i]
		k.red, k.green, k.greenOfBlue, k.blue = fix(redOfCr*c), fix(greenOfCr*c), fix(greenOfCb*c), fix(blueOfCb*c)
	}
	for i := range t.values {
		t.values[i] = float32(min(max(i-yuvBelow, 0), 255)) / 255
	}
	return t
}

func (t *yuvTable) clamp(v int32) float32 { return t.values[uint32(v>>16+yuvBelow)%yuvSpan] }
