package data

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// Preprocess maps a sample in [0,1], [C, H, W] or [T, C, H, W], to the input of a network.
// The steps are applied in the order of the fields. The zero value changes nothing. Files
// of weights hold it as JSON in their metadata.
type Preprocess struct {
	Resize [2]int    `json:",omitzero"`  // height and width, bilinearly, with corners aligned; zero means no change
	Repeat int       `json:",omitempty"` // number of equal channels to make of a single one; 0 means 1
	BGR    bool      `json:",omitempty"` // reverse the channels
	Scale  float32   `json:",omitempty"` // factor on every pixel, such as 255; 0 means 1
	Mean   []float32 `json:",omitempty"` // subtracted after scaling, one per channel in the network's order
	Std    []float32 `json:",omitempty"` // divides after that, one per channel
	NHWC   bool      `json:",omitempty"` // channels last
	CTHW   bool      `json:",omitempty"` // a clip [T, C, H, W] becomes [C, T, H, W], for networks with 3-D convolutions
}

// Identity reports whether p changes nothing.
func (p *Preprocess) Identity() bool { return p.Resize == [2]int{} && p.pointwise() }

// pointwise reports whether all but Resize change nothing.
func (p *Preprocess) pointwise() bool {
	return p.repeat() == 1 && !p.BGR && !p.NHWC && !p.CTHW && p.scale() == 1 && len(p.Mean) == 0 && len(p.Std) == 0
}

func (p *Preprocess) scale() float32 { return cmp.Or(p.Scale, 1) }

func (p *Preprocess) repeat() int { return cmp.Or(p.Repeat, 1) }

// planes takes apart a sample's shape: frames (1 for an image), channels, and
// pixels of a plane.
func planes(shape []int) (frames, channels, pixels int, err error) {
	switch n := len(shape); n {
	case 3:
		return 1, shape[0], shape[1] * shape[2], nil
	case 4:
		return shape[0], shape[1], shape[2] * shape[3], nil
	}
	return 0, 0, 0, fmt.Errorf("data: sample shape %v is neither [C, H, W] nor [T, C, H, W]", shape)
}

// OutputShape returns the shape of the network's input for a sample of the given shape. It
// is an error if the settings do not fit that shape.
func (p *Preprocess) OutputShape(shape []int) ([]int, error) {
	if p.Identity() {
		return shape, nil
	}
	_, c, _, err := planes(shape)
	if err != nil {
		return nil, err
	}
	if p.repeat() < 1 || p.repeat() > 1 && c != 1 {
		return nil, fmt.Errorf("data: preprocessing repeats the channel of a sample %d times that has %d", p.Repeat, c)
	}
	c *= p.repeat()
	for _, v := range [][]float32{p.Mean, p.Std} {
		if len(v) != 0 && len(v) != c {
			return nil, fmt.Errorf("data: preprocessing has %d means and %d deviations for %d channels", len(p.Mean), len(p.Std), c)
		}
	}
	for _, s := range p.Std {
		if !(s > 0) {
			return nil, fmt.Errorf("data: preprocessing divides by a deviation of %g", s)
		}
	}
	out := append([]int(nil), shape...)
	n := len(out)
	out[n-3] = c
	if p.Resize != [2]int{} {
		if p.Resize[0] < 1 || p.Resize[1] < 1 {
			return nil, fmt.Errorf("data: preprocessing resizes to %v", p.Resize)
		}
		out[n-2], out[n-1] = p.Resize[0], p.Resize[1]
	}
	if p.CTHW && (n != 4 || p.NHWC) {
		return nil, fmt.Errorf("data: preprocessing to [C, T, H, W] takes clips [T, C, H, W] and excludes NHWC; the sample shape is %v", shape)
	}
	if p.NHWC {
		out[n-3], out[n-2], out[n-1] = out[n-2], out[n-1], out[n-3]
	}
	if p.CTHW {
		out[0], out[1] = out[1], out[0]
	}
	return out, nil
}

// InputShape is the inverse of OutputShape. With Resize it is an error.
func (p *Preprocess) InputShape(output []int) ([]int, error) {
	if p.Resize != [2]int{} {
		return nil, fmt.Errorf("data: preprocessing resizes to %v; say which samples to send", p.Resize)
	}
	out := append([]int(nil), output...)
	n := len(out)
	if p.CTHW && n == 4 {
		out[0], out[1] = out[1], out[0]
	}
	if p.NHWC && n >= 3 {
		out[n-3], out[n-2], out[n-1] = out[n-1], out[n-3], out[n-2]
	}
	if p.repeat() > 1 && n >= 3 {
		out[n-3] /= p.repeat()
	}
	_, err := p.OutputShape(out)
	return out, err
}

// resize is the change of size of samples of a shape.
func (p *Preprocess) resize(shape []int) (r kernel.Resize, resized []int, err error) {
	frames, channels, _, err := planes(shape)
	n := len(shape)
	r = kernel.Resize{Planes: frames * channels, H: shape[n-2], W: shape[n-1], OutH: p.Resize[0], OutW: p.Resize[1]}
	return r, append(append([]int(nil), shape[:n-2]...), p.Resize[:]...), err
}

// Apply writes the network's input for the sample src to dst. The sample has the given
// shape, which OutputShape must accept. dst and src must not overlap.
func (p *Preprocess) Apply(dst, src []float32, shape []int) {
	if p.Resize != [2]int{} {
		r, resized, err := p.resize(shape)
		if err != nil {
			tensor.Panic("data.Preprocess", err.Error())
		}
		small := make([]float32, r.Planes*r.OutH*r.OutW)
		r.Forward(small, src)
		src, shape = small, resized
	}
	if p.pointwise() {
		copy(dst, src)
		return
	}
	var plane []float32
	p.each(shape, func(output, sample, pixels, stride int, mul, add float32) {
		if stride == 1 {
			kernel.Affine(dst[output:][:pixels], mul, src[sample:][:pixels], add)
			return
		}
		if plane == nil {
			plane = make([]float32, pixels)
		}
		kernel.Affine(plane, mul, src[sample:][:pixels], add)
		for i, v := range plane {
			dst[output+i*stride] = v
		}
	})
}

// Transform returns p as a transform, to be the last one of a loader.
func (p Preprocess) Transform() Transform { return preprocessing{p} }

// preprocessing is a Preprocess as a Transform, which draws nothing.
type preprocessing struct{ p Preprocess }

func (t preprocessing) Shape(in []int) []int {
	out, err := t.p.OutputShape(in)
	if err != nil {
		tensor.Panic("data.Preprocess", err.Error(), in)
	}
	return out
}

func (t preprocessing) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	t.p.Apply(dst.Data(), src.Data(), src.Shape())
}

// Adjoint is the transpose of Apply's linear part: it maps src, a gradient with respect to
// the network's input, to dst, the gradient with respect to the sample.
func (p *Preprocess) Adjoint(dst, src []float32, shape []int) {
	out := dst
	var r kernel.Resize
	if p.Resize != [2]int{} {
		var err error
		if r, shape, err = p.resize(shape); err != nil {
			tensor.Panic("data.Preprocess", err.Error())
		}
		out = make([]float32, r.Planes*r.OutH*r.OutW)
	}
	if p.pointwise() {
		copy(out, src)
	} else {
		clear(out)
		p.each(shape, func(output, sample, pixels, stride int, mul, _ float32) {
			for i := range pixels {
				out[sample+i] += src[output+i*stride] * mul
			}
		})
	}
	if p.Resize != [2]int{} {
		r.Grad(dst, out)
	}
}

// each visits the network's planes: where a plane starts on either side, the
// stride of its pixels on the network's, and the map v·mul + add of their values.
func (p *Preprocess) each(shape []int, visit func(output, sample, pixels, stride int, mul, add float32)) {
	frames, channels, pixels, err := planes(shape)
	if err != nil {
		tensor.Panic("data.Preprocess", err.Error())
	}
	all := channels * p.repeat()
	for f := range frames {
		for c := range all {
			from, mul, add := c%channels, p.scale(), float32(0)
			if p.BGR {
				from = (all - 1 - c) % channels
			}
			if len(p.Mean) > 0 {
				add = -p.Mean[c]
			}
			if len(p.Std) > 0 {
				mul, add = mul/p.Std[c], add/p.Std[c]
			}
			output, stride := (f*all+c)*pixels, 1
			switch {
			case p.NHWC:
				output, stride = f*all*pixels+c, all
			case p.CTHW:
				output = (c*frames + f) * pixels
			}
			visit(output, (f*channels+from)*pixels, pixels, stride, mul, add)
		}
	}
}

// ParsePreprocess reads a Preprocess as JSON, such as {"Scale": 255, "NHWC": true}. An
// unknown name is an error.
func ParsePreprocess(s string) (p Preprocess, err error) {
	d := json.NewDecoder(strings.NewReader(s))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, fmt.Errorf("data: preprocessing: %w (the names are Resize, Repeat, BGR, Scale, Mean, Std, NHWC and CTHW)", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return p, fmt.Errorf("data: preprocessing: something follows the JSON in %s", s)
	}
	return p, nil
}
