package nn

import (
	"fmt"
	"testing"
)

// TestDigest: a copy has the digest of the original, and every change another.
func TestDigest(t *testing.T) {
	rng := newRand(t)
	m := everything(rng)
	want := Digest(m)
	if got := Digest(Clone(m)); got != want {
		t.Errorf("a copy has digest %s, the original %s", got, want)
	}
	for e := range State(m) {
		changed := func() {
			if Digest(m) == want {
				t.Errorf("%s changed, and the digest did not", e.Name)
			}
		}
		if e.Counter != nil {
			*e.Counter++
			changed()
			*e.Counter--
			continue
		}
		v := e.Value().Data()
		last := v[len(v)-1]
		v[len(v)-1]++
		changed()
		v[len(v)-1] = last
	}
	if got := Digest(m); got != want {
		t.Errorf("changed there and back the digest is %s, was %s", got, want)
	}
	SetStatistics(m, Batch)
	if Digest(m) == want {
		t.Error("other statistics have the same digest")
	}
	if Digest(NewSequential(ReLU{})) == Digest(NewSequential(Tanh{})) {
		t.Error("ReLU and Tanh have one digest")
	}
}

// Settings that no parameter tells make another digest, in ours and in others' layers.
func TestDigestOfSettings(t *testing.T) {
	conv := func(o ConvOptions) Tree { return NewConv2D(nil, 2, 2, 3, o) }
	norm := func(eps float64) Tree {
		b := NewBatchNorm(2)
		b.Eps = eps
		return b
	}
	seen := map[string]string{}
	for name, m := range map[string]Tree{
		"conv": conv(ConvOptions{}), "stride": conv(ConvOptions{Stride: 2}), "padding": conv(ConvOptions{Padding: 1}), "dilation": conv(ConvOptions{Dilation: 2}),
		"transposed": NewConvTranspose2D(nil, 2, 2, 3, ConvOptions{}), "transposed, stride": NewConvTranspose2D(nil, 2, 2, 3, ConvOptions{Stride: 2}),
		"max": MaxPool{Kernel: []int{2}}, "max 3": MaxPool{Kernel: []int{3}}, "max, stride": MaxPool{Kernel: []int{2}, Stride: []int{1}},
		"mean": AvgPool{Kernel: []int{2}}, "mean 3": AvgPool{Kernel: []int{3}}, "mean without padding": AvgPool{Kernel: []int{2}, ExcludePadding: true},
		"slope": LeakyReLU{Slope: 0.1}, "slope 2": LeakyReLU{Slope: 0.2}, "dropout": Dropout{P: 0.1}, "dropout 2": Dropout{P: 0.2},
		"norm": norm(1e-5), "norm 2": norm(1e-3), "own": power{2}, "own 3": power{3},
		"block": NewBasicBlock(nil, 2, 2, 1, ZeroPad), "block, stride": NewBasicBlock(nil, 2, 2, 2, ZeroPad),
	} {
		d := Digest(m)
		if other, ok := seen[d]; ok {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[d] = name
	}
}

// power is a layer with a setting.
type power struct{ n int }

func (power) Walk(*Walker)       {}
func (p power) Settings() string { return fmt.Sprint(p.n) }
