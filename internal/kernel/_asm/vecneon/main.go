// Command vecneon writes elementwise loops and sums for arm64 to standard output:
// assembly, or with the argument go the declarations and tables that belong to it.
package main

import (
	"fmt"
	"strings"

	. "github.com/mettleml/mettle/internal/kernel/_asm/neon"
)

// Registers of the k-th of up to four vectors side by side, and of the numbers
// that are spread over a vector.
const (
	vecA   = 0
	vecB   = 4
	vecD   = 8
	vecSum = 16 // a copy that may be added to
	vecS   = 28
	vecT   = 29
	vecU   = 30
	vec0   = 31
)

// A spec describes an elementwise operation: the operands it takes (letters of
// "abdstu") and the code for the k-th vector, which returns the result's register.
type spec struct {
	name, takes string
	code        func(k int) int
}

// into makes the code of an instruction on two operands, from the registers of the
// first vector; a spread number has the same register for all.
func into(f func(d, n, m int), n, m int) func(k int) int {
	return func(k int) int {
		at := func(r int) int {
			if r >= vecS {
				return r
			}
			return r + k
		}
		f(vecA+k, at(n), at(m))
		return vecA + k
	}
}

var specs = []spec{
	{"Add", "ab", into(Add, vecA, vecB)},
	{"Sub", "ab", into(Sub, vecA, vecB)},
	{"Mul", "ab", into(Mul, vecA, vecB)},
	{"Div", "ab", into(Div, vecA, vecB)},
	{"AddS", "as", into(Add, vecA, vecS)},
	{"SubS", "as", into(Sub, vecA, vecS)},
	{"MulS", "as", into(Mul, vecA, vecS)},
	{"DivS", "as", into(Div, vecA, vecS)},
	{"SubFromS", "as", into(Sub, vecS, vecA)},
	{"DivIntoS", "as", into(Div, vecS, vecA)},
	{"Square", "a", into(Mul, vecA, vecA)},
	{"ReLU", "a", into(Max, vecA, vec0)},
	{"Sqrt", "a", func(k int) int {
		Sqrt(vecA+k, vecA+k)
		return vecA + k
	}},
	{"Abs", "a", func(k int) int {
		Abs(vecA+k, vecA+k)
		return vecA + k
	}},
	{"Neg", "a", func(k int) int {
		Neg(vecA+k, vecA+k)
		return vecA + k
	}},
	{"Axpy", "das", func(k int) int {
		MulAdd(vecD+k, vecA+k, vecS)
		return vecD + k
	}},
	{"AddScaled", "abs", func(k int) int {
		MulAdd(vecA+k, vecB+k, vecS)
		return vecA + k
	}},
	{"Affine", "ast", func(k int) int {
		Move(vecSum+k, vecT)
		MulAdd(vecSum+k, vecA+k, vecS)
		return vecSum + k
	}},
	{"Combine", "abstu", func(k int) int {
		Move(vecSum+k, vecU)
		MulAdd(vecSum+k, vecB+k, vecT)
		MulAdd(vecSum+k, vecA+k, vecS)
		return vecSum + k
	}},
	{"AddMul", "dab", func(k int) int {
		MulAdd(vecD+k, vecA+k, vecB+k)
		return vecD + k
	}},
	{"Lerp", "abs", func(k int) int {
		Sub(vecB+k, vecB+k, vecA+k)
		MulAdd(vecA+k, vecB+k, vecS)
		return vecA + k
	}},
}

// operand is where a letter's pointer lives, its register and its first vector.
var operands = []struct {
	letter, param string
	gp, at        int
}{
	{"a", "a", 1, vecA},
	{"b", "b", 2, vecB},
	{"d", "dst", 4, vecD},
}

func (s *spec) function() string { return "vec" + s.name + "NEON" }

func (s *spec) generate() {
	Func(s.function(), "(n int, dst, a, b *float32, s, t, u float32)", "is op"+s.name+" by NEON.")
	Load("n", 0)
	Load("dst", 5)
	for _, o := range operands {
		if strings.Contains(s.takes, o.letter) {
			Load(o.param, o.gp)
		}
	}
	for i, letter := range []string{"s", "t", "u"} {
		if strings.Contains(s.takes, letter) {
			Spread(letter, vecS+i, 6)
		}
	}
	Zero(vec0)
	for _, vectors := range []int{4, 1} {
		next := fmt.Sprintf("less%d", vectors)
		Label("loop%d", vectors)
		Line("SUBS $%d, R0", 4*vectors)
		Line("BLT %s", next)
		for _, o := range operands {
			if strings.Contains(s.takes, o.letter) {
				Line("VLD1.P %d(R%d), %s", 16*vectors, o.gp, List(o.at, vectors))
			}
		}
		var y int
		for k := range vectors {
			y = s.code(k) - k
		}
		Line("VST1.P %s, %d(R5)", List(y, vectors), 16*vectors)
		Line("B loop%d", vectors)
		Label("%s", next)
		Line("ADD $%d, R0", 4*vectors)
	}
	// One number in the first lane, by the same instructions.
	Label("one")
	Line("CBZ R0, done")
	for _, o := range operands {
		if strings.Contains(s.takes, o.letter) {
			Line("FMOVS.P 4(R%d), F%d", o.gp, o.at)
		}
	}
	Line("FMOVS.P F%d, 4(R5)", s.code(0))
	Line("SUB $1, R0")
	Line("B one")
	Label("done")
	Line("RET")
}

// A sum is a reduction in float64: of a, or of products a*b or a*a.
type sum struct {
	name   string
	second int // the register of the other factor's vector; -1 for none
	takesB bool
}

var sums = []sum{
	{name: "Sum", second: -1},
	{name: "SumSquares", second: vecA},
	{name: "Dot", second: vecB, takesB: true},
}

func (s *sum) function() string { return "vec" + s.name + "NEON" }

// term adds half of the k-th vector to a partial sum.
func (s *sum) term(total, k int, upper bool) {
	wide := Wide
	if upper {
		wide = WideUpper
	}
	wide(20, vecA+k)
	switch {
	case s.second < 0:
		Add64(total, total, 20)
	case s.takesB:
		wide(21, vecB+k)
		MulAdd64(total, 20, 21)
	default:
		MulAdd64(total, 20, 20)
	}
}

func (s *sum) generate() {
	Func(s.function(), "(n int, a, b *float32) float64", "is op"+s.name+" by NEON.")
	Load("n", 0)
	Load("a", 1)
	if s.takesB {
		Load("b", 2)
	}
	for k := range 4 {
		Zero(vecSum + k)
	}
	Label("loop")
	Line("SUBS $8, R0")
	Line("BLT less")
	Line("VLD1.P 32(R1), %s", List(vecA, 2))
	if s.takesB {
		Line("VLD1.P 32(R2), %s", List(vecB, 2))
	}
	for k := range 2 {
		s.term(vecSum+2*k, k, false)
		s.term(vecSum+2*k+1, k, true)
	}
	Line("B loop")
	Label("less")
	Line("ADD $8, R0")
	Label("one")
	Line("CBZ R0, done")
	Line("FMOVS.P 4(R1), F%d", vecA)
	if s.takesB {
		Line("FMOVS.P 4(R2), F%d", vecB)
	}
	s.term(vecSum, 0, false)
	Line("SUB $1, R0")
	Line("B one")
	Label("done")
	Add64(vecSum, vecSum, vecSum+1)
	Add64(vecSum+2, vecSum+2, vecSum+3)
	Add64(vecSum, vecSum, vecSum+2)
	AddPair64(0, vecSum)
	Line("FMOVD F0, %s", Arg("ret"))
	Line("RET")
}

func main() { Main("vecneon", generate, table) }

func generate() {
	for _, s := range specs {
		s.generate()
	}
	for _, s := range sums {
		s.generate()
	}
}

// table writes the table of the functions.
func table() {
	Print("\n// vecNEON takes from the generic set what has no assembly.\nvar vecNEON = func() vecOps {\n\tv := genericVec\n")
	for _, s := range specs {
		Line("v.maps[op%s] = %s", s.name, s.function())
	}
	for _, s := range sums {
		Line("v.reduces[op%s] = %s", s.name, s.function())
	}
	Print("\treturn v\n}()\n")
}
