package kernel

import (
	"fmt"
	"math"
	"math/rand"
	"testing"

	"github.com/mettleml/mettle/internal/golden"
)

// A product is a MatMulBatch call with operands of its own.
type product struct {
	count, m, n, k            int
	transA, transB            bool
	ldc, lda, ldb             int
	strideC, strideA, strideB int
	a, b, c                   []float32
	ep                        Epilogue
	guard                     guardedSlice // holds c
}

func (p *product) String() string {
	return fmt.Sprintf("%d x [%d,%d]x[%d,%d] transA=%v transB=%v lda=%d ldb=%d ldc=%d accumulate=%v row=%v col=%v act=%d",
		p.count, p.m, p.k, p.k, p.n, p.transA, p.transB, p.lda, p.ldb, p.ldc,
		p.ep.Accumulate, p.ep.RowBias != nil, p.ep.ColBias != nil, p.ep.Act)
}

// untouched is a NaN that no arithmetic makes; it lies between the rows of C.
var untouched = math.Float32frombits(0x7fc0beef)

func newProduct(rng *rand.Rand, count, m, n, k int) *product {
	p := &product{count: count, m: m, n: n, k: k, transA: rng.Intn(2) == 0, transB: rng.Intn(2) == 0}
	slack := func() int { return rng.Intn(4) * rng.Intn(5) }
	aRows, aCols, bRows, bCols := m, k, k, n
	if p.transA {
		aRows, aCols = k, m
	}
	if p.transB {
		bRows, bCols = n, k
	}
	p.lda, p.ldb, p.ldc = aCols+slack(), bCols+slack(), n+slack()
	p.strideA, p.strideB, p.strideC = aRows*p.lda+slack(), bRows*p.ldb+slack(), m*p.ldc+slack()
	if count > 1 {
		switch rng.Intn(4) {
		case 0:
			p.strideA = 0
		case 1:
			p.strideB = 0
		}
	}
	extent := func(rows, cols, ld, stride int) int {
		if rows == 0 || cols == 0 || count == 0 {
			return 0
		}
		return (count-1)*stride + (rows-1)*ld + cols
	}
	p.a = normal(rng, extent(aRows, aCols, p.lda, p.strideA))
	p.b = normal(rng, extent(bRows, bCols, p.ldb, p.strideB))
	p.guard = guarded(extent(m, n, p.ldc, p.strideC))
	p.c = p.guard.v
	for i := range p.c {
		p.c[i] = untouched
	}
	for q := range count {
		for i := range m {
			for j := range n {
				p.c[q*p.strideC+i*p.ldc+j] = float32(rng.NormFloat64())
			}
		}
	}
	p.ep.Accumulate = rng.Intn(2) == 0
	if rng.Intn(3) == 0 {
		p.ep.RowBias = normal(rng, m)
	}
	if rng.Intn(3) == 0 {
		p.ep.ColBias = normal(rng, n)
	}
	if rng.Intn(3) == 0 {
		p.ep.Act = ActReLU
	}
	return p
}

func (p *product) run(c []float32) {
	MatMulBatch(p.count, c, p.ldc, p.strideC, p.a, p.lda, p.strideA, p.transA,
		p.b, p.ldb, p.strideB, p.transB, p.m, p.n, p.k, p.ep)
}

// at returns the numbers that make c[i,j] of item q in float64 and the sum of the
// absolute values of its terms.
func (p *product) at(q, i, j int) (sum, scale float64) {
	add := func(x float64) { sum += x; scale += math.Abs(x) }
	for l := range p.k {
		ai, bi := q*p.strideA+i*p.lda+l, q*p.strideB+l*p.ldb+j
		if p.transA {
			ai = q*p.strideA + l*p.lda + i
		}
		if p.transB {
			bi = q*p.strideB + j*p.ldb + l
		}
		add(float64(p.a[ai]) * float64(p.b[bi]))
	}
	if p.ep.Accumulate {
		add(float64(p.c[q*p.strideC+i*p.ldc+j]))
	}
	if p.ep.RowBias != nil {
		add(float64(p.ep.RowBias[i]))
	}
	if p.ep.ColBias != nil {
		add(float64(p.ep.ColBias[j]))
	}
	if p.ep.Act == ActReLU && sum < 0 {
		sum = 0
	}
	return sum, scale
}

// verify runs the product in place and compares it with the reference; numbers
// between the rows must stay.
func (p *product) verify(t *testing.T) {
	t.Helper()
	type number struct{ sum, scale float64 }
	want := make(map[int]number, p.count*p.m*p.n)
	for q := range p.count {
		for i := range p.m {
			for j := range p.n {
				sum, scale := p.at(q, i, j)
				want[q*p.strideC+i*p.ldc+j] = number{sum, scale}
			}
		}
	}
	p.run(p.c)
	p.guard.check(t, p.String())
	for i, got := range p.c {
		w, inside := want[i]
		switch {
		case !inside:
			if math.Float32bits(got) != math.Float32bits(untouched) {
				t.Fatalf("%v: wrote %v between the rows, at %d", p, got, i)
			}
		case math.IsNaN(w.sum) || math.IsInf(w.sum, 0):
			if g := float64(got); g != w.sum && !(math.IsNaN(g) && math.IsNaN(w.sum)) {
				t.Fatalf("%v: number %d is %v, want %v", p, i, got, w.sum)
			}
		case !(math.Abs(float64(got)-w.sum) <= 1e-6*(w.scale+1e-3)):
			t.Fatalf("%v: number %d is %v, want %v", p, i, got, w.sum)
		}
	}
}

func TestMatMulRandomShapes(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		dim := func() int { return []int{rng.Intn(3), rng.Intn(20), rng.Intn(70), rng.Intn(150)}[rng.Intn(4)] }
		for range 200 {
			newProduct(rng, 1, dim(), dim(), dim()).verify(t)
		}
		for range 60 {
			newProduct(rng, rng.Intn(9), 1+rng.Intn(20), 1+rng.Intn(40), 1+rng.Intn(40)).verify(t)
		}
		for range 5 { // several stretches of k, many parts
			newProduct(rng, 1, rng.Intn(50), rng.Intn(80), 500+rng.Intn(700)).verify(t)
		}
		newProduct(rng, 1, 600, 40, 30).verify(t)
		newProduct(rng, 2, 40, 330, 90).verify(t)
	})
}

// A may be packed a stretch at a time.
func TestMatMulSharesAInStretches(t *testing.T) {
	defer func(n int) { sharedFloats = n }(sharedFloats)
	sharedFloats = 1
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for range 4 {
			newProduct(rng, 1, 20+rng.Intn(50), 100+rng.Intn(50), 700+rng.Intn(700)).verify(t)
		}
	})
}

// Every height and width of a tile, with every epilogue.
func TestMatMulTiles(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for m := 1; m <= 15; m++ {
			for n := 1; n <= 66; n++ {
				p := newProduct(rng, 1, m, n, 1+rng.Intn(9))
				p.verify(t)
			}
		}
	})
}

func TestMatMulNaNAndInf(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for range 150 {
			p := newProduct(rng, 1, 1+rng.Intn(30), 1+rng.Intn(70), 1+rng.Intn(30))
			for range 1 + rng.Intn(4) {
				bad := []float32{nan, inf, -inf, 0}[rng.Intn(4)]
				p.a[rng.Intn(len(p.a))] = bad
				p.b[rng.Intn(len(p.b))] = []float32{nan, inf, -inf, 0}[rng.Intn(4)]
			}
			if len(p.c) > 0 && p.ep.Accumulate {
				p.c[0] = inf
			}
			p.verify(t)
		}
	})
}

// What C holds must not matter without Accumulate, not even NaN.
func TestMatMulOverwritesC(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		p := newProduct(newRand(t), 1, 33, 65, 300)
		p.ep.Accumulate = false
		for i := range p.c {
			p.c[i] = untouched
		}
		p.verify(t)
	})
}

func TestMatMulSameBitsOnAnyWorkers(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for _, s := range [][4]int{{1, 130, 170, 300}, {1, 700, 33, 70}, {1, 1, 500, 700}, {1, 600, 1, 300}, {40, 20, 30, 25}, {2, 150, 200, 260}} {
			p := newProduct(rng, s[0], s[1], s[2], s[3])
			start := append([]float32(nil), p.c...)
			checkSameBits(t, p.String(), len(p.c), func(out []float32) {
				copy(out, start)
				p.run(out)
			})
		}
	})
}

// A row of C has the same bits alone, in any number of rows and at any position.
func TestMatMulRowsAreIndependent(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for _, s := range [][2]int{{10, 1600}, {128, 300}, {33, 64}, {600, 7}, {1, 50}} {
			n, k := s[0], s[1]
			for _, transB := range []bool{false, true} {
				ldb := n
				if transB {
					ldb = k
				}
				row, b, bias := normal(rng, k), normal(rng, n*k), normal(rng, n)
				ep := Epilogue{ColBias: bias, Act: ActReLU}
				want := make([]float32, n)
				MatMul(want, n, row, k, false, b, ldb, transB, 1, n, k, ep)
				for _, m := range []int{2, 3, 7, 14, 15, 29, 128, 600} {
					a := normal(rng, m*k)
					at := rng.Intn(m)
					copy(a[at*k:], row)
					c := make([]float32, m*n)
					MatMul(c, n, a, k, false, b, ldb, transB, m, n, k, ep)
					if i := sameBits(c[at*n:][:n], want); i >= 0 {
						t.Fatalf("n=%d k=%d transB=%v: row %d of %d has %v at %d, alone %v",
							n, k, transB, at, m, c[at*n+i], i, want[i])
					}
				}
			}
		}
	})
}

func TestMatMulGolden(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, c := range golden.Cases(t, "matmul") {
			a, b, g := c.Inputs["a"], c.Inputs["b"], c.Cotangent
			m, k, n := a.Shape[0], a.Shape[1], b.Shape[1]
			out, da, db := make([]float32, m*n), make([]float32, m*k), make([]float32, k*n)
			MatMul(out, n, a.Data, k, false, b.Data, n, false, m, n, k, Epilogue{})
			MatMul(da, k, g.Data, n, false, b.Data, n, true, m, k, n, Epilogue{})
			MatMul(db, n, a.Data, k, true, g.Data, n, false, k, n, m, Epilogue{})
			golden.Check(t, c.Name, out, c.Output, 1e-5)
			golden.Check(t, c.Name+" da", da, c.Grads["a"], 1e-5)
			golden.Check(t, c.Name+" db", db, c.Grads["b"], 1e-5)
		}
		for _, c := range golden.Cases(t, "linear") {
			x, w, g := c.Inputs["x"], c.Inputs["w"], c.Cotangent
			m, k, n := x.Shape[0], x.Shape[1], w.Shape[0]
			out, dx, dw := make([]float32, m*n), make([]float32, m*k), make([]float32, n*k)
			MatMul(out, n, x.Data, k, false, w.Data, k, true, m, n, k, Epilogue{ColBias: c.Inputs["b"].Data})
			MatMul(dx, k, g.Data, n, false, w.Data, k, false, m, k, n, Epilogue{})
			MatMul(dw, k, g.Data, n, true, x.Data, k, false, n, k, m, Epilogue{})
			golden.Check(t, c.Name, out, c.Output, 1e-5)
			golden.Check(t, c.Name+" dx", dx, c.Grads["x"], 1e-5)
			golden.Check(t, c.Name+" dw", dw, c.Grads["w"], 1e-5)
		}
	})
}

func TestMatMulDoesNotAllocate(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for _, s := range [][4]int{{1, 64, 96, 64}, {1, 1, 64, 64}, {20, 8, 8, 8}} {
			p := newProduct(rng, s[0], s[1], s[2], s[3])
			p.ep.Accumulate = false
			checkNoMallocs(t, p.String(), func() { p.run(p.c) })
		}
	})
}

func TestMatMulPanics(t *testing.T) {
	x := make([]float32, 100)
	for name, f := range map[string]func(){
		"negative":   func() { MatMul(x, 1, x, 1, false, x, 1, false, -1, 1, 1, Epilogue{}) },
		"short C":    func() { MatMul(x[:99], 10, x, 10, false, x, 10, false, 10, 10, 10, Epilogue{}) },
		"short A":    func() { MatMul(x, 10, x[:99], 10, false, x, 10, false, 10, 10, 10, Epilogue{}) },
		"short B":    func() { MatMul(x, 10, x, 10, false, x[:99], 10, true, 10, 10, 10, Epilogue{}) },
		"stride":     func() { MatMul(x, 9, x, 10, false, x, 10, false, 9, 10, 9, Epilogue{}) },
		"row bias":   func() { MatMul(x, 10, x, 10, false, x, 10, false, 10, 10, 10, Epilogue{RowBias: x[:9]}) },
		"col bias":   func() { MatMul(x, 10, x, 10, false, x, 10, false, 10, 10, 10, Epilogue{ColBias: x[:9]}) },
		"batch of C": func() { MatMulBatch(2, x, 7, 52, x, 7, 0, false, x, 7, 0, false, 7, 7, 7, Epilogue{}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			f()
		})
	}
}
