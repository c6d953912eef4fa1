package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// convLanes draws vectors whose lanes are cut into at most most runs that lie, in
// disjoint places, within width floats of a row. lane[v][l] is the place of a lane
// in floats, or -1.
func convLanes(rng *rand.Rand, vecs, lanes, most, width int) (list []convVec, runs []convRun, lane [][]int) {
	room := width / (vecs * most)
	for v := range vecs {
		place := make([]int, lanes)
		for l := range place {
			place[l] = -1
		}
		list = append(list, convVec{in: int32(4 * rng.IntN(40)), first: len(runs) * convRunSize})
		l := rng.IntN(2)
		for i := 0; i < most && l < lanes; i++ {
			n := 1 + rng.IntN(lanes-l)
			if i == 0 && rng.IntN(4) == 0 {
				l, n = 0, lanes
			}
			at := (v*most+i)*room + rng.IntN(room-n+1)
			for j := range n {
				place[l+j] = at + j
			}
			runs = append(runs, convRun{off: 4 * (at - l), mask: uint32(1<<n-1) << l})
			list[v].count++
			l += n + rng.IntN(2)*rng.IntN(2)
		}
		lane = append(lane, place)
	}
	return list, append(runs, convRun{}), lane
}

// convLoopWidth is the length of a row of results, and of a gradient.
const convLoopWidth = 600

// Every loop of every set does what its struct says, and touches nothing else.
func TestConvLoops(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachSet(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 3))
		b := randoms(rng, 2000)
		for range 6 {
			testConvTiles(t, rng, b)
			testConvDots(t, rng, b)
			testConvPanels(t, rng, b)
		}
	})
}

// convOffsets draws n places within reach of the vectors that convLanes draws.
func convOffsets(rng *rand.Rand, n int) (offs []int32) {
	for range n {
		offs = append(offs, int32(4*rng.IntN(1900)))
	}
	return offs
}

func sameSum(t *testing.T, what string, i int, got float32, want float64, products int) {
	t.Helper()
	if !(math.Abs(float64(got)-want) <= 1e-5*math.Sqrt(float64(products+1))) {
		t.Fatalf("%s: number %d is %g, want %g", what, i, got, want)
	}
}

func testConvTiles(t *testing.T, rng *rand.Rand, b []float32) {
	for _, strip := range Active().conv.strips {
		for i := range 4 * len(strip.tile) {
			vecs, flags := i/4, i%4
			f := strip.tile[vecs]
			if f == nil {
				continue
			}
			k := []int{0, 1, 2, 5, 90}[rng.IntN(5)]
			list, runs, lane := convLanes(rng, vecs, Active().conv.lanes, 4, convLoopWidth)
			a, init, offs := randoms(rng, k*strip.rows+1), randoms(rng, strip.rows), convOffsets(rng, k+1)
			before := randoms(rng, strip.rows*convLoopWidth)
			c := guarded(len(before))
			copy(c.v, before)
			tile := convTile{k, &a[0], &b[0], &offs[0], &list[0], &runs[0], &c.v[0], 4 * convLoopWidth, &init[0], flags}
			f(tile.ptr())
			what := fmt.Sprintf("tile of %d rows, %d vectors, %d products, flags %d", strip.rows, vecs, k, flags)
			c.check(t, what)
			want := widen(before)
			for r := range strip.rows {
				for v := range list {
					for l, at := range lane[v] {
						if at < 0 {
							continue
						}
						sum := &want[r*convLoopWidth+at]
						if flags&convAccumulate == 0 {
							*sum = float64(init[r])
						}
						for p := range k {
							*sum += float64(a[p*strip.rows+r]) * float64(b[(list[v].in+offs[p])/4+int32(l)])
						}
						if flags&convReLU != 0 {
							*sum = max(*sum, 0)
						}
					}
				}
			}
			for i, v := range want {
				sameSum(t, what, i, c.v[i], v, k)
			}
		}
	}
}

func testConvDots(t *testing.T, rng *rand.Rand, b []float32) {
	ops := &Active().conv
	lanes := ops.lanes
	n := 1 + rng.IntN(9)
	list, runs, lane := convLanes(rng, n, lanes, 4, convLoopWidth)
	for rows, dots := range ops.dots {
		if dots == nil {
			continue
		}
		src := randoms(rng, rows*convLoopWidth)
		dy := guarded(n * rows * lanes)
		pack := convRows{n: n, vecs: &list[0], runs: &runs[0], src: &src[0], stride: 4 * convLoopWidth, dst: &dy.v[0]}
		ops.rows[rows](pack.ptr())
		dy.check(t, "packed rows")
		for i, got := range dy.v {
			want := float32(0)
			if at := lane[i/lanes/rows][i%lanes]; at >= 0 {
				want = src[i/lanes%rows*convLoopWidth+at]
			}
			if got != want {
				t.Fatalf("packing %d rows: number %d is %g, want %g", rows, i, got, want)
			}
		}
		for j, f := range dots {
			// Loops of one row may add zeros behind their sums.
			before, offs := randoms(rng, 4*(j+1)), convOffsets(rng, j+1)
			out := guarded(len(before))
			copy(out.v, before)
			dot := convDot{n, &list[0], &b[0], &offs[0], &dy.v[0], &out.v[0]}
			f(dot.ptr())
			what := fmt.Sprintf("dot of %d rows, %d taps, %d vectors", rows, j+1, n)
			out.check(t, what)
			for i, sum := range widen(before) {
				if i < rows*(j+1) {
					for v := range list {
						for l := range lanes {
							sum += float64(dy.v[(v*rows+i%rows)*lanes+l]) * float64(b[(list[v].in+offs[i/rows])/4+int32(l)])
						}
					}
				}
				sameSum(t, what, i, out.v[i], sum, n*lanes)
			}
		}
	}
}

func testConvPanels(t *testing.T, rng *rand.Rand, b []float32) {
	ops := &Active().conv
	for count, f := range ops.panels {
		most := count
		if count == 0 {
			most = ops.lanes
		}
		list, runs, lane := convLanes(rng, 1, ops.lanes, most, convLoopWidth)
		if f == nil || count > 0 && int(list[0].count) != count {
			continue
		}
		index := make([]int32, ops.lanes)
		for l, at := range lane[0] {
			index[l] = int32(4 * max(at, 0))
		}
		k := 1 + rng.IntN(9)
		offs := make([]int32, k)
		for p := range offs {
			offs[p] = int32(4 * (ops.lanes + rng.IntN(700)))
		}
		dst := guarded(k * ops.lanes)
		panel := convPanel{k, &offs[0], &b[0], &dst.v[0], &runs[0], &index[0]}
		f(panel.ptr())
		what := fmt.Sprintf("panel of %d runs", count)
		dst.check(t, what)
		for i, got := range dst.v {
			if at := lane[0][i%ops.lanes]; at >= 0 && got != b[at+int(offs[i/ops.lanes]/4)] {
				t.Fatalf("%s: number %d is %g, want %g", what, i, got, b[at+int(offs[i/ops.lanes]/4)])
			}
		}
	}
}
