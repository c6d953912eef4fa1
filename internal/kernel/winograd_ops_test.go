package kernel

import (
	"fmt"
	"math"
	"testing"
)

// Every loop of every set agrees with the generic one, and touches nothing else.
func TestWinogradLoops(t *testing.T) {
	const big = 1 << 14
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		ref, ops := &genericWino, &Active().wino
		in := normal(rng, 2*big)
		tmp := normal(rng, winoTmp(8))
		// compare runs f with both sets on the same output, guard cells included.
		compare := func(what string, n int, f func(o *winoOps, out []float32)) {
			t.Helper()
			before := normal(rng, n)
			got, want := misaligned(n, 3), misaligned(n, 5)
			copy(got, before)
			copy(want, before)
			f(ref, want)
			f(ops, got)
			for i, v := range want {
				if v == before[i] && got[i] != v {
					t.Fatalf("%s: wrote %g to entry %d", what, got[i], i)
				}
				if d := math.Abs(float64(got[i] - v)); !(d <= 1e-5*max(1, math.Abs(float64(v)))) {
					t.Fatalf("%s: entry %d is %g, want %g", what, i, got[i], v)
				}
			}
		}
		for _, nch := range []int{1, 3, 8, 11, 16} {
			for _, n := range []int{1, 5, 8, 14, 16, 19, 37, 261} {
				what := fmt.Sprintf("%d pixels of %d channels", n, nch)
				at := make([]int32, n)
				for i, p := range rng.Perm(300)[:n] {
					at[i] = int32(64 * p)
				}
				compare("pack "+what, big, func(o *winoOps, out []float32) {
					o.pack(&out[16], &in[7], &at[0], n+2, n, nch, 100)
				})
				compare("unpack "+what, big, func(o *winoOps, out []float32) {
					o.unpack(&out[7], &in[16], &at[0], n+2, n, nch, 100)
				})
			}
		}
		const pos = 336
		for rows := 1; rows <= 3; rows++ {
			for tiles := 1; tiles <= 5; tiles++ {
				what := fmt.Sprintf("%dx%d tiles", rows, tiles)
				compare("input "+what, big, func(o *winoOps, out []float32) {
					o.input(&out[5], &in[3], &tmp[0], pos, 17, 4*tiles+3, rows, tiles)
				})
				compare("gradient "+what, big, func(o *winoOps, out []float32) {
					o.gradient(&out[5], &in[3], &tmp[0], pos, 17, 4*tiles+3, rows, tiles)
				})
				for _, floor := range []float32{0, float32(math.Inf(-1))} {
					compare("output "+what, big, func(o *winoOps, out []float32) {
						o.output(&out[5], &in[3], &tmp[0], &in[20000], floor, pos, 17, 4*tiles+3, rows, tiles)
					})
				}
			}
		}
		at := []int32{64, 0, 640, 128, 512, 1024, 2048, 320, 1920}
		for _, n := range []int{1, 7, 8, 9, 21} {
			for step := 1; step <= 3; step++ {
				for _, floor := range []float32{0, float32(math.Inf(-1))} {
					got, want := make([]float32, big), make([]float32, big)
					for _, o := range []struct {
						ops *winoOps
						out []float32
					}{{ops, got}, {ref, want}} {
						o.ops.depthwise(&o.out[3], &in[3], &in[500], &in[9], &at[0], floor, step, n, len(at))
					}
					for i, v := range got {
						if e := want[i]; i < 3+16*n && math.Abs(float64(v-e)) > 1e-5*max(1, math.Abs(float64(e))) || i >= 3+16*((n+7)&^7) && v != 0 {
							t.Fatalf("%d pixels, step %d: entry %d is %g, want %g", n, step, i, v, e)
						}
					}
				}
				for taps := 1; taps <= len(at); taps++ {
					compare(fmt.Sprintf("sums of %d taps, %d pixels", taps, n), big, func(o *winoOps, out []float32) {
						o.depthwiseSums[taps-1](&out[5], &in[3], &in[500], &at[0], step, n)
					})
				}
			}
		}
		for n := 1; n <= 3; n++ {
			compare("filter", big, func(o *winoOps, out []float32) {
				o.filter(&out[5], &in[3], &tmp[0], pos, 32, 16, 150, n)
			})
			compare("flipped filter", big, func(o *winoOps, out []float32) {
				o.filter(&out[5], &in[3+8*16], &tmp[0], pos, 32, -16, 150, n)
			})
			for window := range 4 {
				for _, tap := range []int{16, -16} {
					compare(fmt.Sprintf("filter of 2x2 taps %d", window), big, func(o *winoOps, out []float32) {
						o.filterPair[window](&out[5], &in[3+8*16], &tmp[0], pos, 32, tap, 150, n)
					})
				}
			}
			compare("gradient to filter", big, func(o *winoOps, out []float32) {
				o.filterGradient(&out[5], &in[3], &tmp[0], 100, 32, 5000, n, 150, n)
			})
		}
		for i := range max(len(ops.product), len(ops.product2)) {
			for _, k := range []int{1, 3, 4, 11} {
				for wide, list := range [][]func(c, a, b *float32, ldc, lda, ldb, seg, k, segs, blocks, add int){ops.product, ops.product2} {
					if i >= len(list) {
						continue
					}
					for add := range 2 {
						compare(fmt.Sprintf("product of %d rows, %d terms", 2*i+2, k), big, func(o *winoOps, out []float32) {
							if o == ops {
								list[i](&out[9], &in[3], &in[7], 37, 19, 33, 300, k, 3, 2, add)
								return
							}
							for col := range wide + 1 {
								winoProduct(4*(i+1), &out[9+16*col], &in[3], &in[7+16*col], 37, 19, 33, 300, k, 3, add)
							}
						})
					}
				}
				for wide, list := range [][]func(c, a, b *float32, ldc, lda, ldb, k, add int){ops.outer, ops.outer2} {
					for add := range 2 {
						if i >= len(list) {
							continue
						}
						compare(fmt.Sprintf("outer product of %d rows, %d terms", 2*i+2, k), big, func(o *winoOps, out []float32) {
							if o == ops {
								list[i](&out[9], &in[3], &in[7], 37, 19, 33, k, add)
								return
							}
							for col := range wide + 1 {
								winoOuter(2*(i+1), &out[9+16*col], &in[3], &in[7+16*col], 37, 19, 33, k, add)
							}
						})
					}
				}
			}
		}
	})
}
