package kernel

import "testing"

// The strip after the last one of a part's stretch is the next stretch's first, after
// the last stretch the next part's first.
func TestNextB(t *testing.T) {
	args := gemmArgs{n: 10, k: 12, ldb: 10, items: 1}
	for i := range 120 {
		args.b = append(args.b, float32(i))
	}
	task := gemmTask{gemmArgs: args, cols: 4, itemCols: 3, colStrips: 3, kLen: 4, k0: 4, k1: 12}
	for _, c := range []struct {
		j, j0, j1, p0, row, col int
	}{
		{0, 0, 2, 4, 4, 4},
		{1, 0, 2, 4, 8, 0},
		{0, 0, 2, 8, 8, 4},
		{1, 0, 2, 8, 4, 8},
		{2, 2, 3, 4, 8, 8},
	} {
		if b := task.nextB(c.j, c.j0, c.j1, c.p0); b[0] != float32(10*c.row+c.col) {
			t.Errorf("after strip %d of [%d, %d) from %d on comes number %v, want row %d, column %d", c.j, c.j0, c.j1, c.p0, b[0], c.row, c.col)
		}
	}
	if b := task.nextB(2, 2, 3, 8); b != nil {
		t.Errorf("after the last strip comes %v", b)
	}
}

// TestPackTransposeKeepsToItsLanes: rows of dst that lie apart keep what is
// between them.
func TestPackTransposeKeepsToItsLanes(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		ops := &Active().gemm
		for lanes := 1; lanes <= ops.transposeLanes; lanes++ {
			for _, k := range []int{0, 1, 7, 8, 9, 16, 25, 40} {
				for _, gap := range []int{0, 1, 5, 16} {
					ds, ss := lanes+gap, k+rng.Intn(4)
					src := normal(rng, lanes*ss+16)
					dst := normal(rng, k*ds+16)
					want := append([]float32(nil), dst...)
					for p := range k {
						for l := range lanes {
							want[p*ds+l] = src[l*ss+p]
						}
					}
					ops.packTranspose(dst, ds, src, ss, lanes, k)
					if i := sameBits(dst, want); i >= 0 {
						t.Fatalf("%d lanes %d apart, %d numbers: element %d is %v, want %v", lanes, ds, k, i, dst[i], want[i])
					}
				}
			}
		}
	})
}
