package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const packSignature = "func(dst []float32, ds int, src []float32, ss int, lanes, k int)"

// copyAVX512 generates the packing of rows that are contiguous already.
func copyAVX512() {
	TEXT("packCopyAVX512", NOSPLIT, packSignature)
	Doc("packCopyAVX512 copies up to 32 lanes; see gemmOps.packCopy.")
	Pragma("noescape")
	dst, ds, src, ss, k := reg.RDI, reg.RDX, reg.RSI, reg.R8, reg.R9
	Load(Param("dst").Base(), dst)
	Load(Param("ds"), ds)
	Load(Param("src").Base(), src)
	Load(Param("ss"), ss)
	Load(Param("k"), k)
	Load(Param("lanes"), reg.RCX)
	SHLQ(Imm(2), ds)
	SHLQ(Imm(2), ss)
	TESTQ(k, k)
	JEQ(LabelRef("done"))
	CMPQ(reg.RCX, Imm(32))
	JEQ(LabelRef("full"))
	MOVQ(I32(-1), reg.RAX)
	SHLQ(reg.CL, reg.RAX)
	NOTQ(reg.RAX)
	KMOVW(reg.EAX, reg.K1)
	SHRQ(Imm(16), reg.RAX)
	KMOVW(reg.EAX, reg.K2)
	Label("part")
	VMOVUPS_Z(Mem{Base: src}, reg.K1, reg.Z0)
	VMOVUPS_Z(Mem{Base: src, Disp: 64}, reg.K2, reg.Z1)
	VMOVUPS(reg.Z0, reg.K1, Mem{Base: dst})
	VMOVUPS(reg.Z1, reg.K2, Mem{Base: dst, Disp: 64})
	ADDQ(ss, src)
	ADDQ(ds, dst)
	DECQ(k)
	JNE(LabelRef("part"))
	VZEROUPPER()
	RET()

	Label("full")
	VMOVUPS(Mem{Base: src}, reg.Z0)
	VMOVUPS(Mem{Base: src, Disp: 64}, reg.Z1)
	VMOVUPS(reg.Z0, Mem{Base: dst})
	VMOVUPS(reg.Z1, Mem{Base: dst, Disp: 64})
	ADDQ(ss, src)
	ADDQ(ds, dst)
	DECQ(k)
	JNE(LabelRef("full"))
	Label("done")
	VZEROUPPER()
	RET()
}

// transposeAVX512 generates the packing of columns: blocks of 16 x 16 turned
// round in registers.
func transposeAVX512() {
	TEXT("packTransposeAVX512", NOSPLIT, packSignature)
	Doc("packTransposeAVX512 transposes up to 16 lanes; see gemmOps.packTranspose.")
	Pragma("noescape")
	dst, ds, src, ss, k := reg.RDI, reg.RDX, reg.RSI, reg.R8, reg.R9
	lanes, row, ds3 := reg.R10, reg.RAX, reg.R11
	Load(Param("dst").Base(), dst)
	Load(Param("ds"), ds)
	Load(Param("src").Base(), src)
	Load(Param("ss"), ss)
	Load(Param("k"), k)
	Load(Param("lanes"), lanes)
	SHLQ(Imm(2), ds)
	SHLQ(Imm(2), ss)
	LEAQ(Mem{Base: ds, Index: ds, Scale: 2}, ds3)

	// Pointers to the 16 rows of a block, the last one repeated if there are
	// fewer: what is read twice is not stored.
	frame := AllocLocal(16 * 8)
	MOVQ(src, row)
	for r := range 16 {
		MOVQ(row, frame.Offset(8*r))
		if r < 15 {
			ADDQ(ss, row)
			CMPQ(lanes, Imm(uint64(r+1)))
			JGT(LabelRef(fmt.Sprintf("row%d", r+1)))
			SUBQ(ss, row)
			Label(fmt.Sprintf("row%d", r+1))
		}
	}
	MOVQ(lanes, reg.RCX)
	MOVQ(I32(-1), reg.RAX)
	SHLQ(reg.CL, reg.RAX)
	NOTQ(reg.RAX)
	KMOVW(reg.EAX, reg.K1)

	at := reg.RBX // bytes into the rows
	XORQ(at, at)
	CMPQ(k, Imm(16))
	JLT(LabelRef("tail"))
	Label("block")
	for r := range 16 {
		MOVQ(frame.Offset(8*r), row)
		VMOVUPS(Mem{Base: row, Index: at, Scale: 1}, zmm[r])
	}
	out := transpose16()
	for j := range 16 {
		VMOVUPS(out[j], reg.K1, []Mem{
			{Base: dst},
			{Base: dst, Index: ds, Scale: 1},
			{Base: dst, Index: ds, Scale: 2},
			{Base: dst, Index: ds3, Scale: 1},
		}[j%4])
		if j%4 == 3 {
			LEAQ(Mem{Base: dst, Index: ds, Scale: 4}, dst)
		}
	}
	ADDQ(Imm(64), at)
	SUBQ(Imm(16), k)
	CMPQ(k, Imm(16))
	JGE(LabelRef("block"))

	Label("tail")
	TESTQ(k, k)
	JEQ(LabelRef("done"))
	MOVQ(k, reg.RCX)
	MOVQ(I32(-1), reg.RAX)
	SHLQ(reg.CL, reg.RAX)
	NOTQ(reg.RAX)
	KMOVW(reg.EAX, reg.K2)
	for r := range 16 {
		MOVQ(frame.Offset(8*r), row)
		VMOVUPS_Z(Mem{Base: row, Index: at, Scale: 1}, reg.K2, zmm[r])
	}
	out = transpose16()
	for j := range 15 {
		VMOVUPS(out[j], reg.K1, Mem{Base: dst})
		ADDQ(ds, dst)
		DECQ(k)
		JEQ(LabelRef("done"))
	}
	Label("done")
	VZEROUPPER()
	RET()
}

// transpose16 transposes the matrix in Z0-Z15, using Z16-Z31 as well, and
// returns the registers that hold its columns.
func transpose16() []reg.VecPhysical {
	a, b := zmm[:16], zmm[16:]
	for i := 0; i < 16; i += 2 { // pairs of numbers
		VUNPCKLPS(a[i+1], a[i], b[i])
		VUNPCKHPS(a[i+1], a[i], b[i+1])
	}
	for i := 0; i < 16; i += 4 { // fours: column 4l+j of rows i..i+3 in lane l of a[i+j]
		VUNPCKLPD(b[i+2], b[i], a[i])
		VUNPCKHPD(b[i+2], b[i], a[i+1])
		VUNPCKLPD(b[i+3], b[i+1], a[i+2])
		VUNPCKHPD(b[i+3], b[i+1], a[i+3])
	}
	for j := range 4 { // lanes 0 and 2, or 1 and 3, of eight rows
		VSHUFF32X4(Imm(0x88), a[4+j], a[j], b[j])
		VSHUFF32X4(Imm(0xdd), a[4+j], a[j], b[4+j])
		VSHUFF32X4(Imm(0x88), a[12+j], a[8+j], b[8+j])
		VSHUFF32X4(Imm(0xdd), a[12+j], a[8+j], b[12+j])
	}
	for j := range 4 {
		VSHUFF32X4(Imm(0x88), b[8+j], b[j], a[j])      // lane 0 of all: columns 0..3
		VSHUFF32X4(Imm(0x88), b[12+j], b[4+j], a[4+j]) // lane 1: columns 4..7
		VSHUFF32X4(Imm(0xdd), b[8+j], b[j], a[8+j])    // lane 2
		VSHUFF32X4(Imm(0xdd), b[12+j], b[4+j], a[12+j])
	}
	return a
}

// transposeAVX2 generates the packing of columns by blocks of 8 x 8. Without
// masks it stores eight lanes whatever there are.
func transposeAVX2() {
	TEXT("packTransposeAVX2", NOSPLIT, packSignature)
	Doc("packTransposeAVX2 transposes up to 8 lanes of whole blocks of 8 numbers, storing 8 lanes",
		"in any case; see gemmOps.packTranspose.")
	Pragma("noescape")
	dst, ds, src, ss, k := reg.RDI, reg.RDX, reg.RSI, reg.R8, reg.R9
	lanes, row, ds3 := reg.R10, reg.RAX, reg.R11
	Load(Param("dst").Base(), dst)
	Load(Param("ds"), ds)
	Load(Param("src").Base(), src)
	Load(Param("ss"), ss)
	Load(Param("k"), k)
	Load(Param("lanes"), lanes)
	SHLQ(Imm(2), ds)
	SHLQ(Imm(2), ss)
	LEAQ(Mem{Base: ds, Index: ds, Scale: 2}, ds3)
	SHRQ(Imm(3), k)
	JEQ(LabelRef("done"))
	Label("block")
	// Rows beyond the last repeat it.
	MOVQ(src, row)
	for r := range 8 {
		VMOVUPS(Mem{Base: row}, ymm[r])
		if r < 7 {
			CMPQ(lanes, Imm(uint64(r+1)))
			JLE(LabelRef(fmt.Sprintf("row%d", r+1)))
			ADDQ(ss, row)
			Label(fmt.Sprintf("row%d", r+1))
		}
	}
	for j, v := range transpose8() {
		VMOVUPS(v, []Mem{
			{Base: dst},
			{Base: dst, Index: ds, Scale: 1},
			{Base: dst, Index: ds, Scale: 2},
			{Base: dst, Index: ds3, Scale: 1},
		}[j%4])
		if j%4 == 3 {
			LEAQ(Mem{Base: dst, Index: ds, Scale: 4}, dst)
		}
	}
	ADDQ(Imm(32), src)
	DECQ(k)
	JNE(LabelRef("block"))
	Label("done")
	VZEROUPPER()
	RET()
}

// transpose8 transposes the matrix in Y0-Y7, using Y8-Y15 as well, and returns
// the registers that hold its columns.
func transpose8() []reg.VecPhysical {
	a, b := ymm[:8], ymm[8:]
	for i := 0; i < 8; i += 2 {
		VUNPCKLPS(a[i+1], a[i], b[i])
		VUNPCKHPS(a[i+1], a[i], b[i+1])
	}
	for i := 0; i < 8; i += 4 {
		VUNPCKLPD(b[i+2], b[i], a[i])
		VUNPCKHPD(b[i+2], b[i], a[i+1])
		VUNPCKLPD(b[i+3], b[i+1], a[i+2])
		VUNPCKHPD(b[i+3], b[i+1], a[i+3])
	}
	for j := range 4 {
		VPERM2F128(Imm(0x20), a[4+j], a[j], b[j])
		VPERM2F128(Imm(0x31), a[4+j], a[j], b[4+j])
	}
	return b
}
