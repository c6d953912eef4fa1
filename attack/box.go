package attack

import (
	"fmt"
	"math"
)

// A Box keeps an image in [0,1] while an attack moves an unbounded modifier w.
type Box uint8

// The boxes.
const (
	// Clip adds the modifier to the pixels and clips it to [-x, 1-x].
	Clip Box = iota
	// Tanh moves in the space of the inverse hyperbolic tangent:
	// (tanh(atanh((2x-1)(1-1e-6)) + w) + 1)/2. Pixels at 0 or 1 hardly move.
	Tanh
)

var boxNames = [...]string{"clip", "tanh"}

// String names the box.
func (b Box) String() string {
	if int(b) < len(boxNames) {
		return boxNames[b]
	}
	return fmt.Sprintf("Box(%d)", b)
}

// MarshalText writes the name.
func (b Box) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (b *Box) UnmarshalText(t []byte) error {
	for i, name := range boxNames {
		if string(t) == name {
			*b = Box(i)
			return nil
		}
	}
	return fmt.Errorf("attack: unknown box %q (have %v)", t, boxNames)
}

// Image writes to x the image that modifier w makes of the clean image. With Clip it also
// limits w to the values that had an effect.
func (b Box) Image(x, w, clean []float32) {
	if b == Tanh {
		for i, c := range clean {
			v := math.Atanh((2*float64(c) - 1) * (1 - 1e-6))
			x[i] = float32((math.Tanh(v+float64(w[i])) + 1) / 2)
		}
		return
	}
	for i, c := range clean {
		w[i] = min(max(w[i], -c), 1-c)
		x[i] = min(max(c+w[i], 0), 1)
	}
}

// Slope writes to s the derivative of the image with respect to the modifier, pixel by
// pixel, at the image x. With Clip it is 1. With Clip it is 1. With Clip it is 1.
func (b Box) Slope(s, x []float32) {
	for i, v := range x {
		s[i] = 1
		if b == Tanh {
			t := 2*v - 1
			s[i] = (1 - t*t) / 2
		}
	}
}
