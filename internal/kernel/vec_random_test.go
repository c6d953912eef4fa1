package kernel

import (
	"math"
	"slices"
	"testing"
)

// TestPhiloxKnownAnswers compares with the vectors published with the function
// (Random123, kat_vectors) whose counters have an upper half of 0.
func TestPhiloxKnownAnswers(t *testing.T) {
	x0, x1, x2, x3 := philoxBlock(0, 0)
	if got, want := [4]uint32{x0, x1, x2, x3}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}; got != want {
		t.Errorf("block 0 of seed 0: %x, want %x", got, want)
	}
}

// TestPhiloxSets compares the words of every set with single blocks.
func TestPhiloxSets(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		const groups = 3
		for _, counter := range []uint64{0, 1, 1<<28 - 1, 1<<60 - 2} {
			const seed = 0x9876543210fedcba
			got := make([]float32, groups*randGroup)
			Active().vec.philox(groups, &got[0], seed, counter)
			for i, v := range got {
				g, w, l := uint64(i/64), i/16%4, uint64(i%16)
				var block [4]uint32
				block[0], block[1], block[2], block[3] = philoxBlock(seed, 16*(counter+g)+l)
				if math.Float32bits(v) != block[w] {
					t.Fatalf("group %d word %d lane %d: %#x, want %#x", counter+g, w, l, math.Float32bits(v), block[w])
				}
			}
		}
	})
}

// randomFills are the fills, with what is known of their distributions.
var randomFills = []struct {
	name      string
	f         func(dst []float32, seed, offset uint64)
	mean, std float64
	exact     bool // same bits with every set
}{
	{"uniform", func(dst []float32, seed, offset uint64) { Uniform(dst, -1, 3, seed, offset) }, 1, 4 / math.Sqrt(12), true},
	{"normal", func(dst []float32, seed, offset uint64) { Normal(dst, 2, 0.5, seed, offset) }, 2, 0.5, false},
	{"bernoulli", func(dst []float32, seed, offset uint64) { Bernoulli(dst, 0.8, 1.25, seed, offset) }, 1, 0.5, true},
}

func TestRandomFills(t *testing.T) {
	const n = 3*randChunk + 1001
	for _, fill := range randomFills {
		t.Run(fill.name, func(t *testing.T) {
			var reference []float32
			eachSet(t, func(t *testing.T) {
				whole := make([]float32, n)
				fill.f(whole, 42, 7)
				checkSameBits(t, fill.name, n, func(out []float32) { fill.f(out, 42, 7) })
				if reference == nil {
					reference = slices.Clone(whole)
				}
				for i, v := range whole {
					if fill.exact && v != reference[i] || math.Abs(float64(v-reference[i])) > 3e-6 {
						t.Fatalf("number %d is %v, %v with the generic set", i, v, reference[i])
					}
				}
				// Any piece alone.
				rng := newRand(t)
				for range 50 {
					lo := rng.Intn(n)
					piece, intact := field(min(n-lo, rng.Intn(300)), rng.Intn(16))
					fill.f(piece, 42, 7+uint64(lo))
					if k := sameBits(piece, whole[lo:]); k >= 0 || !intact() {
						t.Fatalf("%d numbers from %d differ from the whole at %d, or write outside", len(piece), lo, k)
					}
				}
				other := make([]float32, n)
				fill.f(other, 43, 7)
				same := 0
				for i := range other {
					if other[i] == whole[i] {
						same++
					}
				}
				if same > n*7/10 {
					t.Errorf("%d of %d numbers are those of another seed", same, n)
				}
			})
		})
	}
}

// TestRandomMoments checks means, deviations and the correlation of neighbours
// within five standard errors, at a fixed seed.
func TestRandomMoments(t *testing.T) {
	const n = 1 << 20
	x := make([]float32, n)
	eachSet(t, func(t *testing.T) {
		for _, fill := range randomFills {
			fill.f(x, 1, 0)
			mean := Mean(x)
			var squares float64
			for _, v := range x {
				squares += (float64(v) - mean) * (float64(v) - mean)
			}
			std := math.Sqrt(squares / n)
			if math.Abs(mean-fill.mean) > 5*fill.std/math.Sqrt(n) || math.Abs(std-fill.std) > 5*fill.std/math.Sqrt(n) {
				t.Errorf("%s: mean %v, deviation %v, want %v, %v", fill.name, mean, std, fill.mean, fill.std)
			}
			for _, lag := range []int{1, 16, 32, 64} {
				var c float64
				for i := range n - lag {
					c += (float64(x[i]) - mean) * (float64(x[i+lag]) - mean)
				}
				if c /= n * std * std; math.Abs(c) > 5/math.Sqrt(n) {
					t.Errorf("%s: correlation %v at lag %d", fill.name, c, lag)
				}
			}
		}
	})
}

// TestNormalDistribution compares quantiles and the reach of the tails.
func TestNormalDistribution(t *testing.T) {
	const n = 1 << 20
	x := make([]float32, n)
	eachSet(t, func(t *testing.T) {
		Normal(x, 0, 1, 5, 0)
		for _, q := range []float64{-3, -2, -1, -0.5, 0, 0.25, 1, 2, 3} {
			below := 0
			for _, v := range x {
				if float64(v) < q {
					below++
				}
			}
			p := normalCDF(q)
			if got := float64(below) / n; math.Abs(got-p) > 5*math.Sqrt(p*(1-p)/n) {
				t.Errorf("a share of %v below %v, want %v", got, q, p)
			}
		}
		if m := MaxAbs(x); !(m > 4.3 && m < 6.7) {
			t.Errorf("the largest of %d deviates is %v", n, m)
		}
	})
}

func TestBernoulliEnds(t *testing.T) {
	x := make([]float32, 100)
	Bernoulli(x, 1, 3, 1, 2)
	if SumAbs(x) != 300 {
		t.Errorf("p = 1: %v", x)
	}
	Bernoulli(x, 0, 3, 1, 2)
	if SumAbs(x) != 0 {
		t.Errorf("p = 0: %v", x)
	}
}
