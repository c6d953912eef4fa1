package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transpose turns a square of rows, one a register, over. It reuses the registers
// and returns them in their new order.
func (g *gen) transpose(r []reg.VecVirtual) []reg.VecVirtual {
	a := [4]reg.VecVirtual{g.vec(), g.vec(), g.vec(), g.vec()}
	// Within 128 bits: 4x4 blocks.
	for i := 0; i < len(r); i += 4 {
		q := r[i : i+4]
		VUNPCKLPS(q[1], q[0], a[0])
		VUNPCKHPS(q[1], q[0], a[1])
		VUNPCKLPS(q[3], q[2], a[2])
		VUNPCKHPS(q[3], q[2], a[3])
		VUNPCKLPD(a[2], a[0], q[0])
		VUNPCKHPD(a[2], a[0], q[1])
		VUNPCKLPD(a[3], a[1], q[2])
		VUNPCKHPD(a[3], a[1], q[3])
	}
	if !g.wide() {
		for j := range 4 {
			VPERM2F128(Imm(0x20), r[j+4], r[j], a[j])
			VPERM2F128(Imm(0x31), r[j+4], r[j], r[j+4])
		}
		return append(a[:], r[4:]...)
	}
	// Blocks of 128 bits: a 4x4 transposition for each of the four rows in a block.
	for j := range 4 {
		VSHUFF32X4(Imm(0x44), r[j+4], r[j], a[0])
		VSHUFF32X4(Imm(0xee), r[j+4], r[j], a[1])
		VSHUFF32X4(Imm(0x44), r[j+12], r[j+8], a[2])
		VSHUFF32X4(Imm(0xee), r[j+12], r[j+8], a[3])
		VSHUFF32X4(Imm(0x88), a[2], a[0], r[j])
		VSHUFF32X4(Imm(0xdd), a[2], a[0], r[4+j])
		VSHUFF32X4(Imm(0x88), a[3], a[1], r[8+j])
		VSHUFF32X4(Imm(0xdd), a[3], a[1], r[12+j])
	}
	return r
}

// A window selects the first n floats of a vector.
type window struct {
	g *gen
	k reg.OpmaskVirtual
	v reg.VecVirtual
}

// newWindow returns the window of min(n, vector) floats.
func (g *gen) newWindow(n reg.Register) window {
	m, full := GP64(), GP64()
	MOVQ(n, m)
	MOVQ(U32(uint32(g.bytes/4)), full)
	CMPQ(m, full)
	CMOVQGT(full, m)
	if g.wide() {
		all, k := GP32(), K()
		MOVL(U32(0xffff), all)
		BZHIL(m.As32(), all, all)
		KMOVW(all, k)
		return window{g: g, k: k}
	}
	base := GP64()
	LEAQ(tailMask, base)
	NEGQ(m)
	v := YMM()
	VMOVUPS(Mem{Base: base, Index: m, Scale: 4, Disp: 32}, v)
	return window{g: g, v: v}
}

var tailMask Mem

func (w window) load(m Mem, r reg.VecVirtual) {
	if w.g.wide() {
		VMOVUPS_Z(m, w.k, r)
	} else {
		VMASKMOVPS(m, w.v, r)
	}
}

func (w window) store(r reg.VecVirtual, m Mem) {
	if w.g.wide() {
		VMOVUPS(r, w.k, m)
	} else {
		VMASKMOVPS(r, w.v, m)
	}
}

// channels are the addresses of neighbouring planes of an image.
type channels struct {
	base          []reg.GPVirtual // every fourth
	plane, plane3 reg.Register
}

func newChannels(count int) channels {
	c := channels{plane: param("plane", 2)}
	c.plane3 = times(3, c.plane)
	for range count / 4 {
		c.base = append(c.base, GP64())
	}
	return c
}

func (c channels) start(at reg.Register) {
	MOVQ(at, c.base[0])
	for i := 1; i < len(c.base); i++ {
		LEAQ(Mem{Base: c.base[i-1], Index: c.plane, Scale: 4}, c.base[i])
	}
}

func (c channels) advance(bytes int) {
	for _, b := range c.base {
		ADDQ(U32(uint32(bytes)), b)
	}
}

// prefetch asks for the numbers that stand ahead bytes further on in every plane,
// which the next call will need: moving planes is all waiting for memory.
func (c channels) prefetch(ahead Op) {
	at := GP64()
	for _, b := range c.base {
		MOVQ(ahead, at)
		ADDQ(b, at)
		for i := range 4 {
			PREFETCHT0(strided(at, c.plane, c.plane3, nil, i, 0))
		}
	}
}

func (c channels) at(i int) Mem { return strided(c.base[i/4], c.plane, c.plane3, nil, i%4, 0) }

// pack: planes to pixels.
func (g *gen) pack() {
	if !g.wide() {
		tailMask = GLOBL("winoTail", RODATA|NOPTR)
		for i := range 16 {
			v := uint32(0)
			if i < 8 {
				v = 0xffffffff
			}
			DATA(4*i, U32(v))
		}
	}
	g.function("Pack", "func(dst, src *float32, at *int32, plane, n, nch, ahead int)", "gathers 16 channels into pixels.")
	dst, at := param("dst", 0), param("at", 0)
	c := newChannels(g.bytes / 4)
	n, src, nch := param("n", 0), param("src", 0), argument("nch")
	if g.wide() {
		SHLQ(Imm(2), argument("ahead"))
		c.start(src)
	}
	step := g.bytes / 4 // pixels and channels in a square
	align()
	Label("block")
	win := g.newWindow(n)
	if g.wide() {
		c.prefetch(argument("ahead"))
	}
	g.halves(func(off int) {
		name := fmt.Sprintf("half%d", off)
		count := g.half(c, src, nch, off)
		to := GP64()
		for p, r := range g.square(c, count, name, win) {
			if p > 0 {
				CMPQ(n, Imm(uint64(p)))
				JLE(LabelRef(name + "stored"))
			}
			MOVLQSX(Mem{Base: at, Disp: 4 * p}, to)
			VMOVUPS(r, Mem{Base: dst, Index: to, Scale: 1, Disp: off})
		}
		Label(name + "stored")
	})
	ADDQ(Imm(uint64(4*step)), at)
	g.next(c, src)
	SUBQ(Imm(uint64(step)), n)
	JGT(LabelRef("block"))
	finish()
}

// half points c at the channels from off bytes on in a block, whose first channel
// is at at, and returns how many there are. AVX-512 has whole blocks and keeps c
// up to date itself.
func (g *gen) half(c channels, at reg.Register, nch Op, off int) Op {
	if g.wide() {
		return nch
	}
	left := GP64()
	MOVQ(nch, left)
	if off == 0 {
		c.start(at)
	} else {
		half := GP64()
		LEAQ(Mem{Base: at, Index: c.plane, Scale: 8}, half)
		c.start(half)
		SUBQ(Imm(8), left)
	}
	return left
}

// next moves the planes on by a vector.
func (g *gen) next(c channels, at reg.Register) {
	if g.wide() {
		c.advance(g.bytes)
	} else {
		ADDQ(Imm(uint64(g.bytes)), at)
	}
}

// square loads a square of the first count channels, zeros for the others, and
// transposes it.
func (g *gen) square(c channels, count Op, name string, win window) []reg.VecVirtual {
	in := make([]reg.VecVirtual, g.bytes/4)
	for i := range in {
		in[i] = g.vec()
		g.zero(in[i])
	}
	for i := range in {
		CMPQ(count, Imm(uint64(i)))
		JLE(LabelRef(name + "loaded"))
		win.load(c.at(i), in[i])
	}
	Label(name + "loaded")
	return g.transpose(in)
}

// unpack: pixels to planes.
func (g *gen) unpack() {
	g.function("Unpack", "func(dst, src *float32, at *int32, plane, n, nch, ahead int)", "scatters pixels of 16 channels to their planes.")
	src, at := param("src", 0), param("at", 0)
	c := newChannels(g.bytes / 4)
	n, dst, nch := param("n", 0), param("dst", 0), argument("nch")
	if g.wide() {
		SHLQ(Imm(2), argument("ahead"))
		c.start(dst)
	}
	step := g.bytes / 4
	align()
	Label("block")
	win := g.newWindow(n)
	if g.wide() {
		c.prefetch(argument("ahead"))
	}
	g.halves(func(off int) {
		name := fmt.Sprintf("half%d", off)
		count := g.half(c, dst, nch, off)
		in := make([]reg.VecVirtual, step)
		for p := range in {
			in[p] = g.vec()
			g.zero(in[p])
		}
		from := GP64()
		for p := range in {
			if p > 0 {
				CMPQ(n, Imm(uint64(p)))
				JLE(LabelRef(name + "loaded"))
			}
			MOVLQSX(Mem{Base: at, Disp: 4 * p}, from)
			VMOVUPS(Mem{Base: src, Index: from, Scale: 1, Disp: off}, in[p])
		}
		Label(name + "loaded")
		for i, r := range g.transpose(in) {
			CMPQ(count, Imm(uint64(i)))
			JLE(LabelRef(name + "stored"))
			win.store(r, c.at(i))
		}
		Label(name + "stored")
	})
	ADDQ(Imm(uint64(4*step)), at)
	g.next(c, dst)
	SUBQ(Imm(uint64(step)), n)
	JGT(LabelRef("block"))
	finish()
}
