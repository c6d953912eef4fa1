package zoo

import "fmt"

// Preprocess maps a sample in [0,1], laid out [C, H, W] or [T, C, H, W], to
// what a victim takes. It belongs to the victim's adapter; attacks see [0,1]
// only. The steps are applied in the order of the fields. The zero value
// changes nothing.
type Preprocess struct {
	BGR   bool      `json:",omitempty"` // reverse the channels
	Scale float32   `json:",omitempty"` // factor on every pixel, such as 255; 0 means 1
	Mean  []float32 `json:",omitempty"` // subtracted after scaling, a channel each in the victim's order
	Std   []float32 `json:",omitempty"` // divides, a channel each
	NHWC  bool      `json:",omitempty"` // channels last
}

// identity reports whether p changes nothing.
func (p *Preprocess) identity() bool {
	return !p.BGR && !p.NHWC && p.scale() == 1 && len(p.Mean) == 0 && len(p.Std) == 0
}

func (p *Preprocess) scale() float32 {
	if p.Scale == 0 {
		return 1
	}
	return p.Scale
}

// planes takes apart a sample's shape: frames (1 for an image), channels, and
// pixels of a plane.
func planes(shape []int) (frames, channels, pixels int, err error) {
	switch n := len(shape); n {
	case 3:
		return 1, shape[0], shape[1] * shape[2], nil
	case 4:
		return shape[0], shape[1], shape[2] * shape[3], nil
	}
	return 0, 0, 0, fmt.Errorf("zoo: sample shape %v is neither [C, H, W] nor [T, C, H, W]", shape)
}

// VictimShape is the shape in which a sample of the given shape reaches the
// victim. It is an error if the settings do not fit that shape.
func (p *Preprocess) VictimShape(shape []int) ([]int, error) {
	if p.identity() {
		return shape, nil
	}
	_, c, _, err := planes(shape)
	if err != nil {
		return nil, err
	}
	for _, v := range [][]float32{p.Mean, p.Std} {
		if len(v) != 0 && len(v) != c {
			return nil, fmt.Errorf("zoo: preprocessing has %d means and %d deviations for %d channels", len(p.Mean), len(p.Std), c)
		}
	}
	for _, s := range p.Std {
		if !(s > 0) {
			return nil, fmt.Errorf("zoo: preprocessing divides by a deviation of %g", s)
		}
	}
	out := append([]int(nil), shape...)
	if n := len(out); p.NHWC {
		out[n-3], out[n-2], out[n-1] = out[n-2], out[n-1], out[n-3]
	}
	return out, nil
}

// SampleShape is the inverse of VictimShape.
func (p *Preprocess) SampleShape(victim []int) ([]int, error) {
	out := append([]int(nil), victim...)
	if n := len(out); p.NHWC && n >= 3 {
		out[n-3], out[n-2], out[n-1] = out[n-1], out[n-3], out[n-2]
	}
	_, err := p.VictimShape(out)
	return out, err
}

// channel gives, for the victim's channel c, the sample's channel and the map
// v·mul + add of its pixels.
func (p *Preprocess) channel(c, channels int) (from int, mul, add float32) {
	from, mul = c, p.scale()
	if p.BGR {
		from = channels - 1 - c
	}
	if len(p.Mean) > 0 {
		add = -p.Mean[c]
	}
	if len(p.Std) > 0 {
		mul, add = mul/p.Std[c], add/p.Std[c]
	}
	return from, mul, add
}

// Apply writes to dst what the victim takes for the sample src, whose shape is
// given and has passed VictimShape. dst and src must not overlap.
func (p *Preprocess) Apply(dst, src []float32, shape []int) {
	p.each(shape, func(victim, sample, pixels, stride int, mul, add float32) {
		for i := range pixels {
			dst[victim+i*stride] = src[sample+i]*mul + add
		}
	}, func() { copy(dst, src) })
}

// Adjoint maps a gradient with respect to the victim's input, dst's inverse in
// Apply, back to a gradient with respect to the sample.
func (p *Preprocess) Adjoint(dst, src []float32, shape []int) {
	p.each(shape, func(victim, sample, pixels, stride int, mul, _ float32) {
		for i := range pixels {
			dst[sample+i] = src[victim+i*stride] * mul
		}
	}, func() { copy(dst, src) })
}

// each visits the planes of a sample: where a plane starts on either side, and
// the stride of its pixels on the victim's.
func (p *Preprocess) each(shape []int, visit func(victim, sample, pixels, stride int, mul, add float32), same func()) {
	if p.identity() {
		same()
		return
	}
	frames, channels, pixels, err := planes(shape)
	if err != nil {
		panic(err)
	}
	for f := range frames {
		base := f * channels * pixels
		for c := range channels {
			from, mul, add := p.channel(c, channels)
			victim, stride := base+c*pixels, 1
			if p.NHWC {
				victim, stride = base+c, channels
			}
			visit(victim, base+from*pixels, pixels, stride, mul, add)
		}
	}
}
