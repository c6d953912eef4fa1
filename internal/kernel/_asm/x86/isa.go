// Package x86 has what generators for AVX2 and AVX-512 share.
package x86

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/reg"
)

// An ISA is an instruction set.
type ISA struct {
	Name  string // ends the names of functions
	Lanes int    // floats in a vector
}

// The instruction sets.
var (
	AVX2   = ISA{"AVX2", 8}
	AVX512 = ISA{"AVX512", 16}
)

// Wide tells AVX-512.
func (v ISA) Wide() bool { return v.Lanes == 16 }

// Vec returns a new vector register.
func (v ISA) Vec() reg.VecVirtual {
	if v.Wide() {
		return ZMM()
	}
	return YMM()
}

// Half returns a new register of half the width.
func (v ISA) Half() reg.VecVirtual {
	if v.Wide() {
		return YMM()
	}
	return XMM()
}

// Clear sets a vector to 0.
func (v ISA) Clear(r reg.Register) {
	if v.Wide() {
		VPXORD(r, r, r)
	} else {
		VXORPS(r, r, r)
	}
}

// Broadcast loads a float32 parameter into every lane of a new register.
func (v ISA) Broadcast(name string) reg.VecVirtual {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	r := v.Vec()
	VBROADCASTSS(p.Addr, r)
	return r
}
