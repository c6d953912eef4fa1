package ssl

import (
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
)

// A FilterKind is a structure of the Filter of heterotopic ensembling. The thesis has one
// for each family of backbones (tables 5.1 to 5.3), but its layers are not known: these are
// ours.
type FilterKind uint8

const (
	// AutoFilter is PlainFilter for maps with fewer than 256 channels, such as ResNet-32's,
	// and BottleneckFilter for others.
	AutoFilter FilterKind = iota

	// PlainFilter is two 3x3 convolutions that keep the channels.
	PlainFilter

	// BottleneckFilter is a 1x1, a 3x3 and a 1x1 convolution with half of the channels
	// inside, or a quarter from 1,024 channels on: 512-256-512 for ResNet-10, 2048-512-2048
	// for ResNet-50 and ResNet-152.
	BottleneckFilter

	// IdentityFilter has no layers.
	IdentityFilter
)

var filterNames = []string{"auto", "plain", "bottleneck", "identity"}

func (k FilterKind) String() string {
	if int(k) < len(filterNames) {
		return filterNames[k]
	}
	return fmt.Sprintf("FilterKind(%d)", uint8(k))
}

// MarshalText writes the name.
func (k FilterKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a name.
func (k *FilterKind) UnmarshalText(b []byte) error {
	for i, name := range filterNames {
		if string(b) == name {
			*k = FilterKind(i)
			return nil
		}
	}
	return fmt.Errorf("ssl: no filter %q; there are %q", b, filterNames)
}

// newFilter returns the filter of a map with so many channels, and its own number of them.
// With half, where it stands in place of a stage, its first convolution is 3x3 of stride 2.
// After each convolution come batch normalisation and ReLU; weights are drawn as He et al.
// do.
func newFilter(rng *rand.Rand, kind FilterKind, channels int, half bool) (nn.Module, int) {
	if kind == AutoFilter {
		kind = PlainFilter
		if channels >= 256 {
			kind = BottleneckFilter
		}
	}
	if kind == IdentityFilter {
		return nn.Identity{}, channels
	}
	s := nn.NewSequential()
	in := channels
	add := func(out, kernel, stride int) {
		c := nn.NewConv2D(nil, in, out, kernel, nn.ConvOptions{Padding: kernel / 2, Stride: stride, NoBias: true})
		nn.KaimingNormal(rng, c.Weight)
		s.Layers = append(s.Layers, c, nn.NewBatchNorm(out), nn.ReLU{})
		in = out
	}
	if half {
		channels *= 2 // as the stage has that it stands for
		add(channels, 3, 2)
	}
	if kind == PlainFilter {
		if !half {
			add(channels, 3, 1)
		}
		add(channels, 3, 1)
		return s, channels
	}
	inner := channels / 2
	if channels >= 1024 {
		inner = channels / 4
	}
	add(inner, 1, 1)
	add(inner, 3, 1)
	add(channels, 1, 1)
	return s, channels
}

// A Branch is the encoder of the self-supervised side: the classifier's stages up to the
// attached one, the filter, and the mean over positions. Without a filter it is the whole
// backbone.
type Branch struct {
	Trunk    *nn.Backbone // Pool is used only without a filter
	Filter   nn.Module
	Channels int

	first *passed // where the next pass is noted, for ShareView; nil means nowhere
}

// passed is what the trunk was given and what it made of that.
type passed struct{ x, m autograd.Var }

// Forward returns the features [N, Channels] of x.
func (b *Branch) Forward(x autograd.Var) autograd.Var {
	m := b.Trunk.FeatureMap(x)
	if b.first != nil {
		*b.first, b.first = passed{x, m}, nil
	}
	if _, same := b.Filter.(nn.Identity); same {
		return b.Trunk.Pool.Module.Forward(m) // the classifier's own features
	}
	return autograd.GlobalAvgPool(b.Filter.Forward(m))
}

// Width returns Channels.
func (b *Branch) Width() int { return b.Channels }

// Walk names the contents of the stages, and filter.
func (b *Branch) Walk(w *nn.Walker) {
	for _, s := range b.Trunk.Stages {
		if s.Inline {
			w.Child("", s.Module)
		} else {
			w.Child(s.Name, s.Module)
		}
	}
	if _, same := b.Filter.(nn.Identity); same {
		w.Child(b.Trunk.Pool.Name, b.Trunk.Pool.Module)
	}
	w.Child("filter", b.Filter)
}
