package attack

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

// A Norm measures a perturbation, in units of [0,1] pixels.
type Norm uint8

// The norms.
const (
	L2   Norm = iota // square root of the sum of squared differences
	Linf             // largest difference
	L1               // sum of the differences' sizes
)

var normNames = [...]string{"L2", "Linf", "L1"}

// String names the norm.
func (n Norm) String() string {
	if int(n) < len(normNames) {
		return normNames[n]
	}
	return fmt.Sprintf("Norm(%d)", n)
}

// MarshalText writes the name.
func (n Norm) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (n *Norm) UnmarshalText(b []byte) error {
	for i, name := range normNames {
		if string(b) == name {
			*n = Norm(i)
			return nil
		}
	}
	return fmt.Errorf("attack: unknown norm %q (have %v)", b, normNames)
}

// dual is the norm of a gradient by which a margin is divided to give a distance.
func (n Norm) dual() Norm {
	switch n {
	case Linf:
		return L1
	case L1:
		return Linf
	}
	return L2
}

// radiusOf is the usual radius for digits.
func radiusOf(n Norm) float64 {
	switch n {
	case Linf:
		return 0.3
	case L1:
		return 10
	}
	return 2
}

// noise draws d values: between -1 and 1 for Linf, else Gaussian of deviation 1.
func (n Norm) noise(d int, r *rand.Rand) []float64 {
	u := make([]float64, d)
	for i := range u {
		if n == Linf {
			u[i] = 2*r.Float64() - 1
		} else {
			u[i] = r.NormFloat64()
		}
	}
	return u
}

// length is the norm of v.
func length[T float32 | float64](n Norm, v []T) float64 {
	if n == L2 {
		return norm2(v)
	}
	var sum, top float64
	for _, x := range v {
		a := math.Abs(float64(x))
		sum += a
		top = max(top, a)
	}
	if n == L1 {
		return sum
	}
	return top
}

// norm2 is the Euclidean length of v, however small or large its values are.
func norm2[T float32 | float64](v []T) float64 {
	var sum, top float64
	for _, x := range v {
		sum += float64(x) * float64(x)
		top = max(top, math.Abs(float64(x)))
	}
	if sum > 1e-280 && sum < 1e280 || top == 0 {
		return math.Sqrt(sum)
	}
	sum = 0
	for _, x := range v {
		sum += (float64(x) / top) * (float64(x) / top)
	}
	return top * math.Sqrt(sum)
}

// Distance is the norm of x - y.
func (n Norm) Distance(x, y []float32) float64 { return distances(x, y).Distance(n) }

// distances returns the distances of x from y, as a Point.
func distances(x, y []float32) (p Point) {
	var sum float64
	for i, v := range x {
		d := math.Abs(float64(v) - float64(y[i]))
		if d != 0 {
			p.L0++
		}
		p.L1 += d
		sum += d * d
		p.Linf = max(p.Linf, d)
	}
	p.L2 = math.Sqrt(sum)
	return p
}

// Project projects x, in place, on the ball of radius eps round center and then clips it to
// [0,1]; for L1 it moves x to the nearest point of both sets. center must lie in [0,1]. The
// result lies in both sets: its distance, computed in float64, is at most eps.
func (n Norm) Project(x, center []float32, eps float64) {
	switch n {
	case Linf:
		for i, c := range center {
			lo, hi := bounds(c, eps)
			x[i] = min(max(x[i], lo), hi)
		}
		return
	case L1:
		n.ProjectBox(x, center, eps)
		return
	}
	n.shorten(x, center, eps)
	for i := range x {
		x[i] = min(max(x[i], 0), 1)
	}
}

// shorten scales x - center to a length of at most eps.
func (n Norm) shorten(x, center []float32, eps float64) {
	// The factor is a hair short, so that rounding to float32 stays inside, and shorter
	// where it does not.
	short := 1e-6
	for d := n.Distance(x, center); d > eps; d = n.Distance(x, center) {
		f := float32(eps / d * (1 - min(short, 1)))
		for i, c := range center {
			x[i] = c + float32(f*(x[i]-c))
		}
		short *= 4
	}
}

// Bounds writes to lo and hi the smallest and the largest value of each pixel in the Linf
// ball of radius eps round center and in [0,1]. It panics for another norm.
func (n Norm) Bounds(lo, hi, center []float32, eps float64) {
	if n != Linf {
		tensor.Panic("attack.Norm.Bounds", fmt.Sprintf("a ball of %v has no bounds for each pixel", n))
	}
	for i, c := range center {
		lo[i], hi[i] = bounds(c, eps)
	}
}

// bounds are the least and the largest pixel within eps of c and in [0,1]. They are
// rounded towards c: that no pixel is farther than eps holds in float64 too.
func bounds(c float32, eps float64) (lo, hi float32) {
	return displaced(c, -eps), displaced(c, eps)
}

// displaced is the pixel c moved by d, or as far as [0,1] and rounding towards c let it.
func displaced(c float32, d float64) float32 {
	v := float32(float64(c) + d)
	if moved := float64(v) - float64(c); moved > d && d >= 0 || moved < d && d <= 0 {
		v = math.Nextafter32(v, c)
	}
	return min(max(v, 0), 1)
}
