package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Fields of convDot.
const dotN, dotVecs, dotB, dotOffs, dotDY, dotOut = 0, 8, 16, 24, 32, 40

// dot generates the products of rows gradients with cols taps, summed over
// positions: rows x cols sums of vectors, each added up across at the end.
func dot(s isa, rows, cols int) {
	t := argument(fmt.Sprintf("convDot%dx%d%s", rows, cols, s.name),
		fmt.Sprintf("does %d channels and %d taps; t is a *convDot.", rows, cols))

	acc := make([][]reg.VecVirtual, cols)
	for j := range acc {
		for range rows {
			acc[j] = append(acc[j], s.zeroed())
		}
	}
	offs := field(t, dotOffs)
	x := make([]reg.GPVirtual, cols)
	for j := range x {
		x[j] = GP64()
		MOVLQSX(Mem{Base: offs, Disp: 4 * j}, x[j])
		ADDQ(Mem{Base: t, Disp: dotB}, x[j])
	}
	dy, list, n, in := field(t, dotDY), field(t, dotVecs), field(t, dotN), GP64()
	align64()
	Label("loop")
	MOVLQSX(Mem{Base: list, Disp: vecIn}, in)
	held := rows
	if s.lanes == 8 && rows == 4 {
		held = 3 // no register for the last
	}
	g := make([]reg.VecVirtual, held)
	for r := range g {
		g[r] = s.vec()
		VMOVUPS(Mem{Base: dy, Disp: r * s.bytes()}, g[r])
	}
	for j := range x {
		at := Mem{Base: x[j], Index: in, Scale: 1}
		if rows == 1 {
			VFMADD231PS(at, g[0], acc[j][0])
			continue
		}
		v := s.vec()
		VMOVUPS(at, v)
		for r := range rows {
			if r < held {
				VFMADD231PS(v, g[r], acc[j][r])
			} else {
				VFMADD231PS(Mem{Base: dy, Disp: r * s.bytes()}, v, acc[j][r])
			}
		}
	}
	ADDQ(Imm(vecSize), list)
	ADDQ(U32(uint32(rows*s.bytes())), dy)
	DECQ(n)
	JNE(LabelRef("loop"))

	out := field(t, dotOut)
	if rows == 4 {
		for j := range acc {
			sum4(s, acc[j], Mem{Base: out, Disp: 16 * j})
		}
	} else {
		for j := 0; j < cols; j += 4 {
			four := make([]reg.VecVirtual, 4)
			for i := range four {
				if j+i < cols {
					four[i] = acc[j+i][0]
				} else {
					four[i] = s.zeroed()
				}
			}
			sum4(s, four, Mem{Base: out, Disp: 4 * j})
		}
	}
	return_()
}

// sum4 adds the sums of four vectors' lanes to the four numbers at m.
func sum4(s isa, v []reg.VecVirtual, m Mem) {
	// Pairs of vectors side by side, then all four, in every 128 bits.
	t := s.vec()
	for i := 0; i < 4; i += 2 {
		VUNPCKHPS(v[i+1], v[i], t)
		VUNPCKLPS(v[i+1], v[i], v[i])
		VADDPS(t, v[i], v[i])
	}
	VUNPCKHPD(v[2], v[0], t)
	VUNPCKLPD(v[2], v[0], v[0])
	VADDPS(t, v[0], v[0])
	x, y := XMM(), v[0].AsY()
	if s.lanes == 16 {
		VEXTRACTF64X4(Imm(1), v[0], t.AsY())
		VADDPS(y, t.AsY(), t.AsY())
		VEXTRACTF32X4(Imm(1), t.AsY(), x)
		VADDPS(t.AsX(), x, x)
	} else {
		VEXTRACTF128(Imm(1), y, x)
		VADDPS(v[0].AsX(), x, x)
	}
	VADDPS(m, x, x)
	VMOVUPS(x, m)
}
