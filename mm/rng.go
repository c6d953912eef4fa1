package mm

import (
	"math"
	"math/bits"
)

// The random streams of a run. Every draw is a function of the seed, the stream
// and the number of the draw, so a run can be replayed from three integers.
const (
	streamBatch = iota + 1
	streamCoin
	streamOutput
	streamEstimate
	streamData
	streamFactor
)

// counter is a counter-based generator: draw k is a 64-bit finaliser of the
// key plus k times an odd constant (Steele, Lea and Flood's SplitMix64).
type counter struct {
	state uint64
}

const golden = 0x9e3779b97f4a7c15

func newCounter(seed, stream uint64) counter {
	return counter{mix(mix(seed+golden) ^ stream*0xd1342543de82ef95)}
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (c *counter) next() uint64 {
	c.state += golden
	return mix(c.state)
}

// intn returns an index in [0, n). Its bias is below n/2^64.
func (c *counter) intn(n int) int {
	hi, _ := bits.Mul64(c.next(), uint64(n))
	return int(hi)
}

// float returns a number in [0, 1).
func (c *counter) float() float64 { return float64(c.next()>>11) / (1 << 53) }

// normal returns a standard normal number (Box and Muller's cosine branch).
func (c *counter) normal() float64 {
	u := 1 - c.float()
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*c.float())
}

// sampler draws mini-batches of indices from [0, n).
type sampler struct {
	counter
	n    int
	perm []int // for sampling without replacement: a permutation of [0, n)
}

// draw fills idx. Without replacement it is a partial Fisher–Yates shuffle of a
// permutation that persists between draws, which keeps each draw uniform.
func (s *sampler) draw(idx []int, replace bool) {
	if replace {
		for k := range idx {
			idx[k] = s.intn(s.n)
		}
		return
	}
	if s.perm == nil {
		s.perm = make([]int, s.n)
		for i := range s.perm {
			s.perm[i] = i
		}
	}
	for k := range idx {
		j := k + s.intn(s.n-k)
		s.perm[k], s.perm[j] = s.perm[j], s.perm[k]
		idx[k] = s.perm[k]
	}
}
