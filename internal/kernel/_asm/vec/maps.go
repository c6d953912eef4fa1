package main

import (
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// args are the operands of an elementwise operation.
type args struct{ d, a, b, s, t, u vec }

// A mapSpec describes an elementwise operation: which operands it takes (letters
// of "dabstu") and its formula.
type mapSpec struct {
	name    string
	takes   string
	formula func(e *emit, x args) vec
	side    [2]int // vectors side by side with AVX2 and AVX-512; 4 if not given
}

func binary(name string, f func(e *emit, a, b vec) vec) []mapSpec {
	return []mapSpec{
		{name: name, takes: "ab", formula: func(e *emit, x args) vec { return f(e, x.a, x.b) }},
		{name: name + "S", takes: "as", formula: func(e *emit, x args) vec { return f(e, x.a, x.s) }},
	}
}

func unary(name string, f func(e *emit, a vec) vec) mapSpec {
	return mapSpec{name: name, takes: "a", formula: func(e *emit, x args) vec { return f(e, x.a) }}
}

// gradient describes dx = dy * f(v) and its accumulating form.
func gradient(name, takes string, f func(e *emit, x args) vec) []mapSpec {
	return []mapSpec{
		{name: name + "Grad", takes: takes, formula: func(e *emit, x args) vec { return e.mul(x.a, f(e, x)) }},
		{name: name + "GradAcc", takes: "d" + takes, formula: func(e *emit, x args) vec { return e.fma(x.a, f(e, x), x.d) }},
	}
}

// gate describes dx = f(dy, v), a choice of dy, and its accumulating form.
func gate(name, takes string, f func(e *emit, x args) vec) []mapSpec {
	return []mapSpec{
		{name: name + "Grad", takes: takes, formula: f},
		{name: name + "GradAcc", takes: "d" + takes, formula: func(e *emit, x args) vec { return e.add(x.d, f(e, x)) }},
	}
}

func comparison(name string, p predicate) []mapSpec {
	return binary(name, func(e *emit, a, b vec) vec { return e.where(e.compare(p, a, b), e.c(1)) })
}

// heavy marks operations with so many live values or masks that fewer vectors
// fit side by side.
func heavy(specs ...mapSpec) []mapSpec { return sideBySide(2, 2, specs) }

func sideBySide(narrow, wide int, specs []mapSpec) []mapSpec {
	for i := range specs {
		specs[i].side = [2]int{narrow, wide}
	}
	return specs
}

func relu(e *emit, a vec) vec { return e.max(e.zero(), a) }

func sign(e *emit, a vec) vec {
	zero := e.zero()
	one := e.withSign(e.c(1), a)
	return e.choose(e.compare(notEqual, a, zero), e.choose(e.compare(unordered, a, a), a, one), a)
}

// mapSpecs lists the elementwise operations; package kernel's mapOp has their
// formulas in Go.
func mapSpecs() (list []mapSpec) {
	add := func(specs ...mapSpec) { list = append(list, specs...) }
	add(binary("Add", (*emit).add)...)
	add(binary("Sub", (*emit).sub)...)
	add(binary("Mul", (*emit).mul)...)
	add(binary("Div", (*emit).div)...)
	add(binary("Maximum", func(e *emit, a, b vec) vec { return e.choose(e.compare(unordered, a, a), a, e.max(a, b)) })...)
	add(binary("Minimum", func(e *emit, a, b vec) vec { return e.choose(e.compare(unordered, a, a), a, e.min(a, b)) })...)
	add(comparison("Greater", greater)...)
	add(comparison("GreaterEqual", greaterEqual)...)
	add(comparison("Less", less)...)
	add(comparison("LessEqual", lessEqual)...)

	add(
		mapSpec{name: "SubFromS", takes: "as", formula: func(e *emit, x args) vec { return e.sub(x.s, x.a) }},
		mapSpec{name: "DivIntoS", takes: "as", formula: func(e *emit, x args) vec { return e.div(x.s, x.a) }},
		mapSpec{name: "Axpy", takes: "das", formula: func(e *emit, x args) vec { return e.fma(x.s, x.a, x.d) }},
		mapSpec{name: "AddScaled", takes: "abs", formula: func(e *emit, x args) vec { return e.fma(x.s, x.b, x.a) }},
		mapSpec{name: "Affine", takes: "ast", formula: func(e *emit, x args) vec { return e.fma(x.s, x.a, x.t) }},
		mapSpec{name: "Combine", takes: "abstu", formula: func(e *emit, x args) vec { return e.fma(x.s, x.a, e.fma(x.t, x.b, x.u)) }},
		mapSpec{name: "AddMul", takes: "dab", formula: func(e *emit, x args) vec { return e.fma(x.a, x.b, x.d) }},
		mapSpec{name: "AddDiv", takes: "dab", formula: func(e *emit, x args) vec { return e.add(x.d, e.div(x.a, x.b)) }},
		mapSpec{name: "Lerp", takes: "abs", formula: func(e *emit, x args) vec { return e.fma(x.s, e.sub(x.b, x.a), x.a) }},
	)

	add(heavy(
		unary("Exp", (*emit).exp),
		unary("Log", (*emit).log),
		unary("Tanh", (*emit).tanh),
		unary("Sigmoid", (*emit).sigmoid),
		unary("Softplus", (*emit).softplus),
		unary("Sign", sign),
	)...)
	add(
		unary("Sqrt", (*emit).sqrt),
		unary("Reciprocal", func(e *emit, a vec) vec { return e.div(e.c(1), a) }),
		unary("Abs", (*emit).abs),
		unary("Square", func(e *emit, a vec) vec { return e.mul(a, a) }),
		unary("Neg", (*emit).neg),
		unary("ReLU", relu),
		mapSpec{name: "Clamp", takes: "ast", formula: func(e *emit, x args) vec { return e.min(x.t, e.max(x.s, x.a)) }},
		mapSpec{name: "LeakyReLU", takes: "as", formula: func(e *emit, x args) vec {
			return e.choose(e.compare(greater, x.a, e.zero()), x.a, e.mul(x.s, x.a))
		}},
	)

	add(gate("ReLU", "ab", func(e *emit, x args) vec { return e.where(e.compare(notLessEqual, x.b, e.zero()), x.a) })...)
	add(heavy(gate("LeakyReLU", "abs", func(e *emit, x args) vec {
		return e.choose(e.compare(greater, x.b, e.zero()), x.a, e.mul(x.s, x.a))
	})...)...)
	add(heavy(gate("Clamp", "abst", func(e *emit, x args) vec {
		in := e.where(e.compare(greaterEqual, x.b, x.s), x.a)
		return e.where(e.compare(lessEqual, x.b, x.t), in)
	})...)...)
	add(gate("Sqrt", "ab", func(e *emit, x args) vec { return e.div(e.mul(e.c(0.5), x.a), x.b) })...)
	add(gradient("Tanh", "ab", func(e *emit, x args) vec { return e.fnma(x.b, x.b, e.c(1)) })...)
	add(gradient("Sigmoid", "ab", func(e *emit, x args) vec { return e.mul(x.b, e.sub(e.c(1), x.b)) })...)
	add(heavy(gradient("Abs", "ab", func(e *emit, x args) vec { return sign(e, x.b) })...)...)
	add(gradient("Square", "ab", func(e *emit, x args) vec { return e.add(x.b, x.b) })...)
	add(gradient("Reciprocal", "ab", func(e *emit, x args) vec { return e.neg(e.mul(x.b, x.b)) })...)
	add(heavy(gradient("Softplus", "ab", func(e *emit, x args) vec { return e.sigmoid(x.b) })...)...)
	add(sideBySide(1, 2, append(
		gradient("GELU", "ab", func(e *emit, x args) vec { return e.geluSlope(x.b) }),
		unary("GELU", (*emit).gelu)))...)

	// Random bits: see package kernel's randTask.
	add(
		mapSpec{name: "BitsUniform", takes: "ast", formula: func(e *emit, x args) vec {
			u := e.mul(e.fromInt(e.shiftRight(x.a, 8)), e.c(0x1p-24))
			return e.add(x.s, e.mul(x.t, u))
		}},
		mapSpec{name: "BitsBernoulli", takes: "ast", formula: func(e *emit, x args) vec {
			// Unsigned order is signed order of numbers with the top bit flipped.
			top := e.bits(0x80000000)
			return e.where(e.lessInt(e.xor(x.a, top), e.xor(x.t, top)), x.s)
		}},
	)
	return list
}

// lessInt compares signed lanes.
func (e *emit) lessInt(a, b vec) mask {
	m := make(mask, e.width)
	for i := range m {
		if e.wide {
			m[i] = K()
			VPCMPGTD(a[i], b[i], m[i])
		} else {
			m[i] = YMM()
			VPCMPGTD(a[i], b[i], m[i])
		}
	}
	return m
}

const mapSignature = "func(n int, dst, a, b *float32, s, t, u float32)"

// generate writes the loop: some vectors side by side, then what is left.
func (s *mapSpec) generate(i *isa) string {
	f := begin(i, s.name, mapSignature, "op"+s.name)
	n := Load(Param("n"), GP64())
	ptr := map[string]reg.Register{"d": Load(Param("dst"), GP64())}
	for _, p := range "ab" {
		if strings.ContainsRune(s.takes, p) {
			ptr[string(p)] = Load(Param(string(p)), GP64())
		}
	}
	scalar := map[string]reg.VecVirtual{}
	for _, p := range "stu" {
		if strings.ContainsRune(s.takes, p) {
			scalar[string(p)] = spreadParam(i, string(p))
		}
	}
	at := counter()

	mem := func(p string, k int) Mem {
		return Mem{Base: ptr[p], Index: at, Scale: 4, Disp: k * i.bytes()}
	}
	body := func(width int, move mover) {
		e := &emit{i, width}
		get := func(p string) vec {
			if !strings.Contains(s.takes, p) {
				return nil
			}
			if r, ok := scalar[p]; ok {
				return e.same(r)
			}
			v := e.new()
			for k := range v {
				move.load(mem(p, k), v[k])
			}
			return v
		}
		y := s.formula(e, args{get("d"), get("a"), get("b"), get("s"), get("t"), get("u")})
		for k := range y {
			move.store(y[k], mem("d", k))
		}
	}
	width := s.side[0]
	if i.wide {
		width = s.side[1]
	}
	if width == 0 {
		width = 4
	}
	loops(i, n, at, width, body)
	finish()
	return f
}

// spreadParam loads a float32 parameter into all lanes.
func spreadParam(i *isa, name string) reg.VecVirtual {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	r := i.reg()
	VBROADCASTSS(p.Addr, r)
	return r
}
