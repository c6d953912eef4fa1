package video

import (
	"math/rand/v2"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A Noise makes the noise that a [zoo.Prior] explores on a clip: [Sparked], [OneNoise],
// [MultiNoise], [GeoNoise], Mixture and AnyNoise, or a type of another package.
type Noise interface {
	// Name returns the noise's name. A campaign's options hold the name and the fields.
	Name() string
	// For returns the source of noise for an attack on a clip [T, C, H, W], and its number
	// of frames: T, or 1 if all frames get the same. Randomness of the source other than
	// its draws follows from r.
	For(clip *tensor.Tensor, r *rand.Rand) (n zoo.Noise, frames int, err error)
}

// MultiNoise draws every value of every frame independently.
type MultiNoise struct{}

// OneNoise draws one frame for all frames of the clip.
type OneNoise struct{}

// AnyNoise adapts a zoo.Noise, which does not depend on the clip.
type AnyNoise struct {
	Noise zoo.Noise
	One   bool // draw one frame for all
}

// Name implements Noise.
func (MultiNoise) Name() string { return "multi-noise" }

// Name implements Noise.
func (OneNoise) Name() string { return "one-noise" }

// Name implements Noise.
func (AnyNoise) Name() string { return "noise" }

// For implements Noise.
func (MultiNoise) For(clip *tensor.Tensor, _ *rand.Rand) (zoo.Noise, int, error) {
	return &normal{name: "multi-noise"}, clip.Dim(0), nil
}

// For implements Noise.
func (OneNoise) For(*tensor.Tensor, *rand.Rand) (zoo.Noise, int, error) {
	return &normal{name: "one-noise"}, 1, nil
}

// For implements Noise.
func (n AnyNoise) For(clip *tensor.Tensor, _ *rand.Rand) (zoo.Noise, int, error) {
	if n.One {
		return n.Noise, 1, nil
	}
	return n.Noise, clip.Dim(0), nil
}

// normal draws N(0,1). All noises here draw by it, so that their trajectories are the same
// where their noise is.
type normal struct {
	name string
	buf  []float32
}

func (n *normal) Name() string { return n.name }

// draw returns size values, which are valid until the next call.
func (n *normal) draw(size int, r *rand.Rand) []float32 { return n.drawSome(size, size, size, r) }

// drawSome is draw of which only the first some values of each plane are wanted: the others
// are anything.
func (n *normal) drawSome(size, plane, some int, r *rand.Rand) []float32 {
	if len(n.buf) != size {
		n.buf = make([]float32, size)
	}
	seed := r.Uint64()
	for lo := 0; lo < size; lo += plane {
		kernel.Normal(n.buf[lo:][:some], 0, 1, seed, uint64(lo))
	}
	return n.buf
}

// Draw implements zoo.Noise.
func (n *normal) Draw(dst []float64, _ []int, r *rand.Rand) error {
	widen(dst, n.draw(len(dst), r))
	return nil
}

func widen(dst []float64, src []float32) {
	for i, v := range src {
		dst[i] = float64(v)
	}
}

func init() {
	for _, make := range []func() attack.Part{
		func() attack.Part { return MultiNoise{} },
		func() attack.Part { return OneNoise{} },
		func() attack.Part { return AnyNoise{} },
	} {
		attack.RegisterPart(make)
	}
}
