package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The numbers of package kernel's updateCoeffs, in its order.
const (
	weightDecay = iota
	momentum
	dampened
	rate
	beta1
	oneMinusBeta1
	beta2
	oneMinusBeta2
	rootBias2
	eps
	decay
)

// An update writes a loop over parallel arrays, the first of them the parameters.
// step gets their vectors and the spread coefficients and returns, by name, those
// that change.
func update(i *isa, name, doc string, arrays []string, coeffs []int, step func(e *emit, x map[string]vec, k map[int]vec) map[string]vec) string {
	params := ""
	for _, a := range arrays {
		params += a + ", "
	}
	params = params[:len(params)-2] + " *float32, "
	f := begin(i, name, "func(n int, "+params+"k *float32)", doc)
	n := pointer("n")
	ptr := map[string]reg.GPVirtual{}
	for _, a := range arrays {
		ptr[a] = pointer(a)
	}
	k := pointer("k")
	spread := map[int]reg.VecVirtual{}
	for _, c := range coeffs {
		spread[c] = i.reg()
		VBROADCASTSS(Mem{Base: k, Disp: 4 * c}, spread[c])
	}
	at := counter()
	width := 1
	if i.wide {
		width = 2
	}
	loops(i, n, at, width, func(count int, move mover) {
		e := &emit{i, count}
		mem := func(a string, j int) Mem {
			return Mem{Base: ptr[a], Index: at, Scale: 4, Disp: j * i.bytes()}
		}
		x, same := map[string]vec{}, map[int]vec{}
		for _, a := range arrays {
			x[a] = e.new()
			for j := range x[a] {
				move.load(mem(a, j), x[a][j])
			}
		}
		for c, r := range spread {
			same[c] = e.same(r)
		}
		y := step(e, x, same)
		for _, a := range arrays {
			for j := range y[a] {
				move.store(y[a][j], mem(a, j))
			}
		}
	})
	finish()
	return f
}

func generateUpdates(i *isa) {
	// step is the gradient with the penalty's.
	step := func(e *emit, x map[string]vec, k map[int]vec) vec { return e.fma(k[weightDecay], x["p"], x["dp"]) }
	update(i, "SGD", "genericSGD", []string{"p", "dp"}, []int{weightDecay, rate},
		func(e *emit, x map[string]vec, k map[int]vec) map[string]vec {
			return map[string]vec{"p": e.fnma(k[rate], step(e, x, k), x["p"])}
		})
	velocity := func(e *emit, g vec, x map[string]vec, k map[int]vec) vec {
		return e.fma(k[momentum], x["v"], e.mul(k[dampened], g))
	}
	update(i, "SGDMomentum", "genericSGDMomentum", []string{"p", "dp", "v"}, []int{weightDecay, rate, momentum, dampened},
		func(e *emit, x map[string]vec, k map[int]vec) map[string]vec {
			v := velocity(e, step(e, x, k), x, k)
			return map[string]vec{"p": e.fnma(k[rate], v, x["p"]), "v": v}
		})
	update(i, "SGDNesterov", "genericSGDNesterov", []string{"p", "dp", "v"}, []int{weightDecay, rate, momentum, dampened},
		func(e *emit, x map[string]vec, k map[int]vec) map[string]vec {
			g := step(e, x, k)
			v := velocity(e, g, x, k)
			return map[string]vec{"p": e.fnma(k[rate], e.fma(k[momentum], v, g), x["p"]), "v": v}
		})
	update(i, "Adam", "genericAdam", []string{"p", "dp", "m", "v"},
		[]int{weightDecay, rate, beta1, oneMinusBeta1, beta2, oneMinusBeta2, rootBias2, eps, decay},
		func(e *emit, x map[string]vec, k map[int]vec) map[string]vec {
			g := step(e, x, k)
			m := e.fma(k[beta1], x["m"], e.mul(k[oneMinusBeta1], g))
			v := e.fma(k[beta2], x["v"], e.mul(e.mul(k[oneMinusBeta2], g), g))
			denom := e.fma(e.sqrt(v), k[rootBias2], k[eps])
			p := e.sub(e.mul(k[decay], x["p"]), e.div(e.mul(k[rate], m), denom))
			return map[string]vec{"p": p, "m": m, "v": v}
		})
}
