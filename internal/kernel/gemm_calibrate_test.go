package kernel

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mettleml/mettle/internal/parallel"
)

// The calibration prints, over a grid of block sizes, the least time of square
// products and the median of their rate as a share of what one tile in the cache
// reaches at the same moment; the clock moves too much for times alone:
//
//	go test -run GemmCalibrate -calibrate -depths 192,256,384 -rows 256,512 -parts 16,64 ./internal/kernel
var (
	calibrate = flag.Bool("calibrate", false, "print the times that block sizes are chosen by")
	calSizes  = flag.String("sizes", "512,1024,2048", "orders of the matrices")
	calDepths = flag.String("depths", "256,320,384,512", "stretches of k")
	calRows   = flag.String("rows", "256,512", "rows of a panel")
	calParts  = flag.String("parts", "16,64", "most parts")
	calStrips = flag.String("strips", "8", "most strips of B in a part")
	calWork   = flag.Int("workers", 1, "number of workers")
	calRounds = flag.Int("rounds", 5, "runs of each setting")
)

func TestGemmCalibrate(t *testing.T) {
	if !*calibrate {
		t.Skip("prints timings; needs -calibrate")
	}
	list := func(s string) (v []int) {
		for _, f := range strings.Split(s, ",") {
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			v = append(v, n)
		}
		return v
	}
	defer func(r, p, s int) { panelRows, maxParts, partStrips = r, p, s }(panelRows, maxParts, partStrips)
	ops := &Active().gemm
	defer func(d int) { ops.depth = d }(ops.depth)
	defer parallel.SetWorkers(parallel.SetWorkers(*calWork))

	for _, n := range list(*calSizes) {
		a, b, c := alignedFloats(n*n), alignedFloats(n*n), alignedFloats(n*n)
		for i := range a {
			a[i], b[i] = float32(i%7), float32(i%11)
		}
		type setting struct {
			depth, rows, parts, strips int
			best                       time.Duration
			share                      []float64
		}
		var grid []*setting
		for _, d := range list(*calDepths) {
			for _, r := range list(*calRows) {
				for _, p := range list(*calParts) {
					for _, f := range list(*calStrips) {
						grid = append(grid, &setting{d, r, p, f, time.Hour, nil})
					}
				}
			}
		}
		flops := 2 * float64(n) * float64(n) * float64(n)
		for range *calRounds {
			for _, s := range grid {
				ops.depth, panelRows, maxParts, partStrips = s.depth, s.rows, s.parts, s.strips
				ref := tileRate(ops)
				start := time.Now()
				MatMul(c, n, a, n, false, b, n, false, n, n, n, Epilogue{})
				d := time.Since(start)
				ref = (ref + tileRate(ops)) / 2
				s.best = min(s.best, d)
				s.share = append(s.share, flops/d.Seconds()/ref/float64(*calWork))
			}
		}
		for _, s := range grid {
			slices.Sort(s.share)
		}
		slices.SortFunc(grid, func(x, y *setting) int { return cmp.Compare(y.share[len(y.share)/2], x.share[len(x.share)/2]) })
		for _, s := range grid {
			fmt.Printf("%5d  depth %3d  rows %4d  parts %2d  strips %2d  %9.3f ms  %6.1f GFLOP/s  %5.1f%%\n", n, s.depth, s.rows, s.parts, s.strips,
				s.best.Seconds()*1e3, flops/s.best.Seconds()/1e9, 100*s.share[len(s.share)/2])
		}
	}
}

// tileRate returns the operations a second of one tile in the first-level cache,
// at this moment.
func tileRate(ops *gemmOps) float64 {
	const k = 128
	a, b, c := getScratch(ops.rows*k), getScratch(ops.cols*k), getScratch(ops.rows*ops.cols)
	clear(a.f)
	clear(b.f)
	n := 0
	start := time.Now()
	for time.Since(start) < time.Millisecond {
		for range 10 {
			ops.tile(c.f, ops.cols, a.f, ops.rows, b.f, ops.cols, k, ops.rows, ops.cols, 0, nil, nil, &b.f[0], 0)
			n++
		}
	}
	d := time.Since(start)
	putScratch(a)
	putScratch(b)
	putScratch(c)
	return float64(n) * float64(2*k*ops.rows*ops.cols) / d.Seconds()
}
