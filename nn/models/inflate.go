package models

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mettleml/mettle/nn"
)

// InflateOptions are the options of [Inflate].
type InflateOptions struct {
	// Rename maps a name in the network for clips to one in the network for images; nil
	// means the same names. [ImageName] is the one for [R3D18].
	Rename func(name string) string

	// Centre puts the whole weight into the middle of the time axis. The default divides it
	// among all frames, as Carreira and Zisserman (2017) do. Either way a constant clip has
	// the responses of its image.
	Centre bool

	// CrossModal allows different numbers of input channels: each channel gets the mean
	// over all channels, as Wang et al. (2016) convert RGB networks to flow.
	CrossModal bool
}

// Inflate copies the parameters, buffers and counters of src, a network for images, to dst,
// one for clips. Where a weight of dst, [out, in, T, H, W], has a time axis and that of
// src, [out, in, H, W], has none, the weight is spread along it: see [InflateOptions]. It
// is an error, and dst is unchanged, if src lacks a name of dst or a shape does not fit;
// src may have more names. Inflate(net.Backbone, image.Backbone, ...) leaves out the head,
// because its classes usually differ.
func Inflate(dst, src nn.Tree, o InflateOptions) error {
	from := map[string]nn.Entry{}
	for e := range nn.State(src) {
		from[e.Name] = e
	}
	var store []func()
	for e := range nn.State(dst) {
		name := e.Name
		if o.Rename != nil {
			name = o.Rename(name)
		}
		f, ok := from[name]
		if !ok {
			return fmt.Errorf("models: inflating %q: the network for images has no %q", e.Name, name)
		}
		if e.Counter != nil || f.Counter != nil {
			if e.Counter == nil || f.Counter == nil {
				return fmt.Errorf("models: inflating %q: one of the two is no counter", e.Name)
			}
			store = append(store, func() { *e.Counter = *f.Counter })
			continue
		}
		v, err := inflated(f.Value().Data(), f.Shape(), e.Shape(), o)
		if err != nil {
			return fmt.Errorf("models: inflating %q: %w", e.Name, err)
		}
		store = append(store, func() {
			if e.Param != nil {
				e.Param.Update(func(w []float32) { copy(w, v) })
			} else {
				copy(e.Buffer.Data(), v)
			}
		})
	}
	for _, f := range store {
		f()
	}
	return nil
}

// inflated returns w of the shape from in the shape to.
func inflated(w []float32, from, to []int, o InflateOptions) ([]float32, error) {
	if slices.Equal(from, to) {
		return w, nil
	}
	wrong := fmt.Errorf("the shape %v does not become %v", from, to)
	if len(from) < 3 || len(to) < len(from) || len(to) > len(from)+1 || from[0] != to[0] || from[1] != to[1] && !o.CrossModal {
		return nil, wrong
	}
	frames, plane := 1, to[2:]
	if len(to) > len(from) {
		frames, plane = to[2], to[3:]
	}
	if !slices.Equal(from[2:], plane) {
		return nil, wrong
	}
	size := 1
	for _, d := range plane {
		size *= d
	}
	out := make([]float32, 0, to[0]*to[1]*frames*size)
	for k := range to[0] {
		for c := range to[1] {
			weight := slices.Clone(w[(k*from[1]+min(c, from[1]-1))*size:][:size])
			if from[1] != to[1] {
				for i := range weight {
					var sum float64
					for j := range from[1] {
						sum += float64(w[(k*from[1]+j)*size+i])
					}
					weight[i] = float32(sum / float64(from[1]))
				}
			}
			for t := range frames {
				for _, v := range weight {
					switch {
					case !o.Centre:
						v /= float32(frames)
					case t != frames/2:
						v = 0
					}
					out = append(out, v)
				}
			}
		}
	}
	return out, nil
}

// imageNames are the parts of names in [R3D18] and in [ResNet18].
var imageNames = strings.NewReplacer("stem.0.", "conv1.", "stem.1.", "bn1.",
	".conv1.0.", ".conv1.", ".conv1.1.", ".bn1.", ".conv2.0.", ".conv2.", ".conv2.1.", ".bn2.")

// ImageName maps names in [R3D18] and [MC318] to those in [ResNet18], for [Inflate].
func ImageName(name string) string { return imageNames.Replace(name) }
