// Command vecneon writes elementwise loops and sums for arm64 to standard output:
// assembly, or with the argument go the declarations and tables that belong to it.
// The assembler lacks vector arithmetic on floats, which is emitted as words.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

var w = bufio.NewWriter(os.Stdout)

func line(format string, args ...any)  { fmt.Fprintf(w, "\t"+format+"\n", args...) }
func label(format string, args ...any) { fmt.Fprintf(w, format+":\n", args...) }

// Registers of the k-th of up to four vectors side by side, and of the numbers
// that are spread over a vector.
const (
	vecA   = 0
	vecB   = 4
	vecD   = 8
	vecC   = 12
	vecSum = 16 // a copy that may be added to
	vecS   = 28
	vecT   = 29
	vecU   = 30
	vec0   = 31
)

// three emits an instruction on registers d, n, m of four floats.
func three(name string, word, d, n, m int) {
	line("WORD $0x%08x // %s V%d.4S, V%d.4S, V%d.4S", word|m<<16|n<<5|d, name, d, n, m)
}

func add(d, n, m int)         { three("FADD", 0x4e20d400, d, n, m) }
func sub(d, n, m int)         { three("FSUB", 0x4ea0d400, d, n, m) }
func mul(d, n, m int)         { three("FMUL", 0x6e20dc00, d, n, m) }
func div(d, n, m int)         { three("FDIV", 0x6e20fc00, d, n, m) }
func max(d, n, m int)         { three("FMAX", 0x4e20f400, d, n, m) }
func multiplyAdd(d, n, m int) { three("FMLA", 0x4e20cc00, d, n, m) }

// two emits an instruction on registers d, n of four floats.
func two(name string, word, d, n int) {
	line("WORD $0x%08x // %s V%d.4S, V%d.4S", word|n<<5|d, name, d, n)
}

func move(d, n int) { line("VORR V%d.B16, V%d.B16, V%d.B16", n, n, d) }

// A spec describes an elementwise operation: the operands it takes (letters of
// "abcdstu") and the code for the k-th vector, which returns the result's register.
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
	{"Add", "ab", into(add, vecA, vecB)},
	{"Sub", "ab", into(sub, vecA, vecB)},
	{"Mul", "ab", into(mul, vecA, vecB)},
	{"Div", "ab", into(div, vecA, vecB)},
	{"AddS", "as", into(add, vecA, vecS)},
	{"SubS", "as", into(sub, vecA, vecS)},
	{"MulS", "as", into(mul, vecA, vecS)},
	{"DivS", "as", into(div, vecA, vecS)},
	{"SubFromS", "as", into(sub, vecS, vecA)},
	{"DivIntoS", "as", into(div, vecS, vecA)},
	{"Square", "a", into(mul, vecA, vecA)},
	{"ReLU", "a", into(max, vecA, vec0)},
	{"AddReLU", "ab", func(k int) int {
		add(vecA+k, vecA+k, vecB+k)
		max(vecA+k, vecA+k, vec0)
		return vecA + k
	}},
	{"Sqrt", "a", func(k int) int {
		two("FSQRT", 0x6ea1f800, vecA+k, vecA+k)
		return vecA + k
	}},
	{"Abs", "a", func(k int) int {
		two("FABS", 0x4ea0f800, vecA+k, vecA+k)
		return vecA + k
	}},
	{"Neg", "a", func(k int) int {
		two("FNEG", 0x6ea0f800, vecA+k, vecA+k)
		return vecA + k
	}},
	{"Axpy", "das", func(k int) int {
		multiplyAdd(vecD+k, vecA+k, vecS)
		return vecD + k
	}},
	{"AddScaled", "abs", func(k int) int {
		multiplyAdd(vecA+k, vecB+k, vecS)
		return vecA + k
	}},
	{"Affine", "ast", func(k int) int {
		move(vecSum+k, vecT)
		multiplyAdd(vecSum+k, vecA+k, vecS)
		return vecSum + k
	}},
	{"AffineReLU", "ast", func(k int) int {
		move(vecSum+k, vecT)
		multiplyAdd(vecSum+k, vecA+k, vecS)
		max(vecSum+k, vecSum+k, vec0)
		return vecSum + k
	}},
	{"Combine", "abstu", func(k int) int {
		move(vecSum+k, vecU)
		multiplyAdd(vecSum+k, vecB+k, vecT)
		multiplyAdd(vecSum+k, vecA+k, vecS)
		return vecSum + k
	}},
	{"AddMul", "dab", func(k int) int {
		multiplyAdd(vecD+k, vecA+k, vecB+k)
		return vecD + k
	}},
	{"AddMulS", "dabs", func(k int) int {
		mul(vecA+k, vecA+k, vecS)
		multiplyAdd(vecD+k, vecA+k, vecB+k)
		return vecD + k
	}},
	{"AddMul3", "dabc", func(k int) int {
		mul(vecA+k, vecA+k, vecB+k)
		multiplyAdd(vecD+k, vecA+k, vecC+k)
		return vecD + k
	}},
	{"MulAdd", "abc", func(k int) int {
		multiplyAdd(vecC+k, vecA+k, vecB+k)
		return vecC + k
	}},
	{"Lerp", "abs", func(k int) int {
		sub(vecB+k, vecB+k, vecA+k)
		multiplyAdd(vecA+k, vecB+k, vecS)
		return vecA + k
	}},
}

// operand is where a letter's pointer lives, its register and its first vector.
var operands = []struct {
	letter, param  string
	offset, gp, at int
}{
	{"a", "a", 16, 1, vecA},
	{"b", "b", 24, 2, vecB},
	{"c", "c", 32, 3, vecC},
	{"d", "dst", 8, 4, vecD},
}

const mapParams = "n int, dst, a, b, c *float32, s, t, u float32"

func (s *spec) function() string { return "vec" + s.name + "NEON" }

func (s *spec) generate() {
	fmt.Fprintf(w, "\n// func %s(%s)\nTEXT ·%s(SB), NOSPLIT, $0-52\n", s.function(), mapParams, s.function())
	line("MOVD n+0(FP), R0")
	line("MOVD dst+8(FP), R5")
	for _, o := range operands {
		if strings.Contains(s.takes, o.letter) {
			line("MOVD %s+%d(FP), R%d", o.param, o.offset, o.gp)
		}
	}
	for i, letter := range []string{"s", "t", "u"} {
		if strings.Contains(s.takes, letter) {
			line("MOVWU %s+%d(FP), R6", letter, 40+4*i)
			line("VDUP R6, V%d.S4", vecS+i)
		}
	}
	line("VEOR V%d.B16, V%d.B16, V%d.B16", vec0, vec0, vec0)
	for _, vectors := range []int{4, 1} {
		next := fmt.Sprintf("less%d", vectors)
		label("loop%d", vectors)
		line("SUBS $%d, R0", 4*vectors)
		line("BLT %s", next)
		for _, o := range operands {
			if strings.Contains(s.takes, o.letter) {
				line("VLD1.P %d(R%d), %s", 16*vectors, o.gp, list(o.at, vectors))
			}
		}
		var y int
		for k := range vectors {
			y = s.code(k) - k
		}
		line("VST1.P %s, %d(R5)", list(y, vectors), 16*vectors)
		line("B loop%d", vectors)
		label("%s", next)
		line("ADD $%d, R0", 4*vectors)
	}
	// One number in the first lane, by the same instructions.
	label("one")
	line("CBZ R0, done")
	for _, o := range operands {
		if strings.Contains(s.takes, o.letter) {
			line("FMOVS.P 4(R%d), F%d", o.gp, o.at)
		}
	}
	line("FMOVS.P F%d, 4(R5)", s.code(0))
	line("SUB $1, R0")
	line("B one")
	label("done")
	line("RET")
}

// list names consecutive registers.
func list(first, n int) string {
	var v []string
	for k := range n {
		v = append(v, fmt.Sprintf("V%d.S4", first+k))
	}
	return "[" + strings.Join(v, ", ") + "]"
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

const sumParams = "n int, a, b *float32, s float64"

func (s *sum) function() string { return "vec" + s.name + "NEON" }

// wide emits Vd.2D = the lower or upper two floats of Vn.
func wide(d, n int, upper bool) {
	word, name, from := 0x0e617800, "FCVTL", "2S"
	if upper {
		word, name, from = 0x4e617800, "FCVTL2", "4S"
	}
	line("WORD $0x%08x // %s V%d.2D, V%d.%s", word|n<<5|d, name, d, n, from)
}

func add64(d, n, m int) {
	line("WORD $0x%08x // FADD V%d.2D, V%d.2D, V%d.2D", 0x4e60d400|m<<16|n<<5|d, d, n, m)
}

func multiplyAdd64(d, n, m int) {
	line("WORD $0x%08x // FMLA V%d.2D, V%d.2D, V%d.2D", 0x4e60cc00|m<<16|n<<5|d, d, n, m)
}

// term adds half of the k-th vector to a partial sum.
func (s *sum) term(total, k int, upper bool) {
	wide(20, vecA+k, upper)
	switch {
	case s.second < 0:
		add64(total, total, 20)
	case s.takesB:
		wide(21, vecB+k, upper)
		multiplyAdd64(total, 20, 21)
	default:
		multiplyAdd64(total, 20, 20)
	}
}

func (s *sum) generate() {
	fmt.Fprintf(w, "\n// func %s(%s) float64\nTEXT ·%s(SB), NOSPLIT, $0-40\n", s.function(), sumParams, s.function())
	line("MOVD n+0(FP), R0")
	line("MOVD a+8(FP), R1")
	if s.takesB {
		line("MOVD b+16(FP), R2")
	}
	for k := range 4 {
		line("VEOR V%d.B16, V%d.B16, V%d.B16", vecSum+k, vecSum+k, vecSum+k)
	}
	label("loop")
	line("SUBS $8, R0")
	line("BLT less")
	line("VLD1.P 32(R1), %s", list(vecA, 2))
	if s.takesB {
		line("VLD1.P 32(R2), %s", list(vecB, 2))
	}
	for k := range 2 {
		s.term(vecSum+2*k, k, false)
		s.term(vecSum+2*k+1, k, true)
	}
	line("B loop")
	label("less")
	line("ADD $8, R0")
	label("one")
	line("CBZ R0, done")
	line("FMOVS.P 4(R1), F%d", vecA)
	if s.takesB {
		line("FMOVS.P 4(R2), F%d", vecB)
	}
	s.term(vecSum, 0, false)
	line("SUB $1, R0")
	line("B one")
	label("done")
	add64(vecSum, vecSum, vecSum+1)
	add64(vecSum+2, vecSum+2, vecSum+3)
	add64(vecSum, vecSum, vecSum+2)
	line("WORD $0x%08x // FADDP D%d, V%d.2D", 0x7e70d800|vecSum<<5, 0, vecSum)
	line("FMOVD F0, ret+32(FP)")
	line("RET")
}

func main() {
	defer w.Flush()
	fmt.Fprint(w, "// Code generated by command: go run ./vecneon. DO NOT EDIT.\n\n//go:build !purego\n\n")
	if len(os.Args) > 1 && os.Args[1] == "go" {
		declare()
		return
	}
	fmt.Fprint(w, "#include \"textflag.h\"\n")
	for _, s := range specs {
		s.generate()
	}
	for _, s := range sums {
		s.generate()
	}
}

// declare writes the Go side.
func declare() {
	fmt.Fprint(w, "package kernel\n")
	for _, s := range specs {
		fmt.Fprintf(w, "\n// %s is op%s by NEON.\n//\n//go:noescape\nfunc %s(%s)\n", s.function(), s.name, s.function(), mapParams)
	}
	for _, s := range sums {
		fmt.Fprintf(w, "\n// %s is op%s by NEON.\n//\n//go:noescape\nfunc %s(%s) float64\n", s.function(), s.name, s.function(), sumParams)
	}
	fmt.Fprint(w, "\n// vecNEON takes from the generic set what has no assembly.\nvar vecNEON = func() vecOps {\n\tv := genericVec\n")
	for _, s := range specs {
		line("v.maps[op%s] = %s", s.name, s.function())
	}
	for _, s := range sums {
		line("v.reduces[op%s] = %s", s.name, s.function())
	}
	fmt.Fprint(w, "\treturn v\n}()\n")
}
