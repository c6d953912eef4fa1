package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// mapCase says what is known of an operation: how far a set may be from the
// generic one, in units in the last place of the largest term, and whether it
// reads dst.
type mapCase struct {
	op    mapOp
	name  string
	ulps  float64
	reads bool
}

func (c mapCase) isFunction() bool { return c.op >= opExp && c.op <= opGELU }

var mapCases = []mapCase{
	{opAdd, "Add", 0, false},
	{opSub, "Sub", 0, false},
	{opMul, "Mul", 0, false},
	{opDiv, "Div", 0, false},
	{opMaximum, "Maximum", 0, false},
	{opMinimum, "Minimum", 0, false},
	{opGreater, "Greater", 0, false},
	{opGreaterEqual, "GreaterEqual", 0, false},
	{opLess, "Less", 0, false},
	{opLessEqual, "LessEqual", 0, false},
	{opAddS, "AddS", 0, false},
	{opSubS, "SubS", 0, false},
	{opMulS, "MulS", 0, false},
	{opDivS, "DivS", 0, false},
	{opSubFromS, "SubFromS", 0, false},
	{opDivIntoS, "DivIntoS", 0, false},
	{opMaximumS, "MaximumS", 0, false},
	{opMinimumS, "MinimumS", 0, false},
	{opGreaterS, "GreaterS", 0, false},
	{opGreaterEqualS, "GreaterEqualS", 0, false},
	{opLessS, "LessS", 0, false},
	{opLessEqualS, "LessEqualS", 0, false},
	{opAxpy, "Axpy", 2, true},
	{opAddScaled, "AddScaled", 2, false},
	{opAffine, "Affine", 2, false},
	{opCombine, "Combine", 3, false},
	{opAddMul, "AddMul", 2, true},
	{opAddDiv, "AddDiv", 0, true},
	{opLerp, "Lerp", 3, false},
	{opExp, "Exp", 1.5, false},
	{opLog, "Log", 1.5, false},
	{opTanh, "Tanh", 3, false},
	{opSigmoid, "Sigmoid", 3, false},
	{opSoftplus, "Softplus", 3.5, false},
	{opGELU, "GELU", 3.5, false},
	{opSqrt, "Sqrt", 0, false},
	{opReciprocal, "Reciprocal", 0, false},
	{opAbs, "Abs", 0, false},
	{opSquare, "Square", 0, false},
	{opSign, "Sign", 0, false},
	{opNeg, "Neg", 0, false},
	{opClamp, "Clamp", 0, false},
	{opReLU, "ReLU", 0, false},
	{opLeakyReLU, "LeakyReLU", 0, false},
	{opReLUGrad, "ReLUGrad", 0, false},
	{opReLUGradAcc, "ReLUGradAcc", 0, true},
	{opLeakyReLUGrad, "LeakyReLUGrad", 0, false},
	{opLeakyReLUGradAcc, "LeakyReLUGradAcc", 0, true},
	{opTanhGrad, "TanhGrad", 4, false},
	{opTanhGradAcc, "TanhGradAcc", 4, true},
	{opSigmoidGrad, "SigmoidGrad", 2, false},
	{opSigmoidGradAcc, "SigmoidGradAcc", 3, true},
	{opSqrtGrad, "SqrtGrad", 0, false},
	{opSqrtGradAcc, "SqrtGradAcc", 0, true},
	{opSoftplusGrad, "SoftplusGrad", 4, false},
	{opSoftplusGradAcc, "SoftplusGradAcc", 5, true},
	{opGELUGrad, "GELUGrad", 8, false},
	{opGELUGradAcc, "GELUGradAcc", 8, true},
	{opAbsGrad, "AbsGrad", 0, false},
	{opAbsGradAcc, "AbsGradAcc", 0, true},
	{opSquareGrad, "SquareGrad", 0, false},
	{opSquareGradAcc, "SquareGradAcc", 2, true},
	{opClampGrad, "ClampGrad", 0, false},
	{opClampGradAcc, "ClampGradAcc", 0, true},
	{opReciprocalGrad, "ReciprocalGrad", 0, false},
	{opReciprocalGradAcc, "ReciprocalGradAcc", 2, true},
	{opBitsUniform, "BitsUniform", 1, false},
	{opBitsBernoulli, "BitsBernoulli", 0, false},
}

// TestMapCasesAreAll keeps the table above complete.
func TestMapCasesAreAll(t *testing.T) {
	for i, c := range mapCases {
		if c.op != mapOp(i) {
			t.Fatalf("case %d is %s", i, c.name)
		}
	}
	if len(mapCases) != int(numMapOps) {
		t.Errorf("%d cases for %d operations", len(mapCases), numMapOps)
	}
	for _, s := range Sets() {
		for _, c := range mapCases {
			if s.vec.maps[c.op] == nil {
				t.Errorf("%s lacks %s", s.Name, c.name)
			}
		}
	}
}

// hostile are values that formulas go wrong at. The first two overflow products,
// which fused and unfused sums show differently.
var hostile = []float32{
	math.MaxFloat32, -math.MaxFloat32, 0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
	math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32,
	0x1p-126, -0x1p-126, 1, -1, 100, -100, 0.5,
}

// field returns n numbers that begin off floats behind a 64-byte boundary, with
// guard cells on both sides, and a check that those are untouched.
func field(n, off int) (x []float32, intact func() bool) {
	const guard, width = float32(12345.678), 32
	whole := alignedFloats(n + off + 2*width)
	for i := range whole {
		whole[i] = guard
	}
	x = whole[width+off : width+off+n : width+off+n]
	return x, func() bool {
		for i, v := range whole {
			if (i < width+off || i >= width+off+n) && v != guard {
				return false
			}
		}
		return true
	}
}

// draw fills x with numbers of all sizes, some of them from nasty.
func draw(rng *rand.Rand, x, nasty []float32) {
	for i := range x {
		x[i] = float32(rng.NormFloat64())
		if rng.IntN(4) == 0 {
			x[i] = float32(rng.NormFloat64() * math.Exp(4*rng.NormFloat64()))
		}
		if len(nasty) > 0 && rng.IntN(3) == 0 {
			x[i] = nasty[rng.IntN(len(nasty))]
		}
	}
}

func sameNumber(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// TestMaps compares every loop of every set with the generic one, at lengths
// 0..257 and any alignment, with and without special values.
func TestMaps(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	eachSet(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 1))
		for _, c := range mapCases {
			for n := 0; n <= 257; n += 1 + rng.IntN(3) {
				var nasty []float32
				if n%2 == 1 {
					nasty = hostile
					if c.ulps > 0 && !c.isFunction() {
						nasty = hostile[2:]
					}
				}
				testMap(t, rng, c, n, nasty)
			}
		}
	})
}

func testMap(t *testing.T, rng *rand.Rand, c mapCase, n int, nasty []float32) {
	t.Helper()
	loop := Active().vec.maps[c.op]
	var in [3][]float32 // dst before, a, b
	for k := range in {
		in[k] = make([]float32, n+1)
		draw(rng, in[k], nasty)
	}
	if len(nasty) > 0 {
		in[1][rng.IntN(n)] = in[2][rng.IntN(n)]
	}
	s, u := float32(rng.NormFloat64()), float32(rng.NormFloat64())
	v := s + float32(rng.Float64())

	want := slices.Clone(in[0])
	genericMaps[c.op](n, &want[0], &in[1][0], &in[2][0], s, v, u)

	// Which operand dst is the same slice as: none, a or b.
	for same := range 3 {
		if same != 0 && c.reads {
			continue
		}
		var x [3][]float32
		var intact [3]func() bool
		for k := range x {
			x[k], intact[k] = field(n, rng.IntN(16))
			copy(x[k], in[k])
		}
		if same != 0 {
			x[0], intact[0] = x[same], intact[same]
		}
		d := unsafeFirst(x[0])
		loop(n, d, unsafeFirst(x[1]), unsafeFirst(x[2]), s, v, u)
		for k := range x {
			if !intact[k]() {
				t.Fatalf("%s, %d elements: wrote outside", c.name, n)
			}
			if k != 0 && k != same && n > 0 && !slices.EqualFunc(x[k], in[k][:n], sameNumber) {
				t.Fatalf("%s, %d elements: operand %d was changed", c.name, n, k)
			}
		}
		for i, got := range x[0] {
			what := func() string {
				return fmt.Sprintf("%s (dst = operand %d), element %d of %d: dst %g, a %g, b %g, s %g, t %g, u %g",
					c.name, same, i, n, in[0][i], in[1][i], in[2][i], s, v, u)
			}
			if !agrees(got, want[i], c, [...]float32{in[0][i], in[1][i], in[2][i], s, v, u}) {
				t.Fatalf("%s: %g, want %g", what(), got, want[i])
			}
			// The same element alone has the same bits.
			one := in[0][i : i+1]
			one = slices.Clone(one)
			loop(1, &one[0], &in[1][i], &in[2][i], s, v, u)
			if !sameNumber(one[0], got) {
				t.Fatalf("%s: %g, alone %g", what(), got, one[0])
			}
		}
	}
}

// agrees allows for rounding of products before a sum: c.ulps units of the
// largest number in sight.
func agrees(got, want float32, c mapCase, terms [6]float32) bool {
	if sameNumber(got, want) || got == want {
		return true
	}
	if c.ulps == 0 || got != got || want != want {
		return false
	}
	if c.isFunction() {
		return ulps(got, float64(want)) <= c.ulps
	}
	largest := math.Abs(float64(want))
	for _, x := range terms[:3] {
		for _, y := range terms {
			for _, z := range terms {
				if p := math.Abs(float64(x)) * max(1, math.Abs(float64(y))) * max(1, math.Abs(float64(z))); p <= math.MaxFloat64 {
					largest = max(largest, p)
				}
			}
		}
	}
	return math.Abs(float64(got)-float64(want)) <= c.ulps*(0x1p-23*largest+0x1p-149)
}

// unsafeFirst is the address of x's first element, or of some number if x is
// empty.
func unsafeFirst(x []float32) *float32 {
	if len(x) == 0 {
		return new(float32)
	}
	return &x[0]
}

// TestMapsAnyWorkers compares long operations on any number of workers, and
// with themselves cut into pieces.
func TestMapsAnyWorkers(t *testing.T) {
	const n = 5*lightChunk + 77
	rng := rand.New(rand.NewPCG(1, 2))
	a, b := make([]float32, n), make([]float32, n)
	draw(rng, a, hostile)
	draw(rng, b, hostile)
	eachSet(t, func(t *testing.T) {
		for name, f := range map[string]func(dst, a, b []float32){
			"Add":      Add,
			"Tanh":     func(dst, a, _ []float32) { Tanh(dst, a) },
			"GELUGrad": func(dst, a, b []float32) { GELUGrad(dst, a, b, false) },
			"Combine":  func(dst, a, b []float32) { Combine(dst, 0.3, a, -0.7, b, 2) },
		} {
			checkSameBits(t, name, n, func(out []float32) { f(out, a, b) })
			whole, pieces := make([]float32, n), make([]float32, n)
			f(whole, a, b)
			for lo, hi := 0, 0; lo < n; lo = hi {
				hi = min(n, lo+1+rng.IntN(9999))
				f(pieces[lo:hi], a[lo:hi], b[lo:hi])
			}
			if i := sameBits(pieces, whole); i >= 0 {
				t.Errorf("%s: element %d is %g in a piece, %g in the whole", name, i, pieces[i], whole[i])
			}
		}
	})
}
