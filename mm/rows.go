package mm

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Rows is a matrix of samples seen by its rows. Dense and CSR implement it.
type Rows interface {
	// Dims returns the number of rows and of columns.
	Dims() (n, p int)
	// Dot returns the product of row i and x.
	Dot(i int, x []float64) float64
	// Dot2 returns the products of row i with a and with b in one visit.
	Dot2(i int, a, b []float64) (float64, float64)
	// AddRow adds scale times row i to dst.
	AddRow(dst []float64, i int, scale float64)
	// Do calls f for each stored entry of row i, by ascending column.
	Do(i int, f func(j int, v float64))
}

// Dense holds n samples of p features, row-major in one slice.
type Dense struct {
	N, P int
	Data []float64 // len N·P
}

// NewDense returns an n×p matrix over data, which it does not copy; a nil data
// allocates zeros. It panics when the length is not n·p.
func NewDense(n, p int, data []float64) *Dense {
	if data == nil {
		data = make([]float64, n*p)
	}
	checkLen("NewDense", len(data), n*p)
	return &Dense{n, p, data}
}

// DenseOf copies any gonum matrix, one sample a row.
func DenseOf(m mat.Matrix) *Dense {
	n, p := m.Dims()
	d := NewDense(n, p, nil)
	for i := range n {
		for j := range p {
			d.Data[i*p+j] = m.At(i, j)
		}
	}
	return d
}

// Row returns row i, not copied.
func (d *Dense) Row(i int) []float64 { return d.Data[i*d.P : (i+1)*d.P : (i+1)*d.P] }

func (d *Dense) Dims() (n, p int) { return d.N, d.P }

func (d *Dense) Dot(i int, x []float64) float64 { return dot(d.Row(i), x) }

func (d *Dense) Dot2(i int, a, b []float64) (float64, float64) {
	r := d.Row(i)
	return dot(r, a), dot(r, b)
}

func (d *Dense) AddRow(dst []float64, i int, scale float64) { axpy(dst, scale, d.Row(i)) }

func (d *Dense) Do(i int, f func(j int, v float64)) {
	for j, v := range d.Row(i) {
		f(j, v)
	}
}

// CSR holds samples as compressed sparse rows: the entries of row i are
// Val[Ptr[i]:Ptr[i+1]] in the ascending columns Col[Ptr[i]:Ptr[i+1]].
type CSR struct {
	P   int
	Ptr []int // len n+1
	Col []int32
	Val []float64
}

func (c *CSR) Dims() (n, p int) { return len(c.Ptr) - 1, c.P }

// Row returns the columns and the values of row i, not copied.
func (c *CSR) Row(i int) ([]int32, []float64) {
	lo, hi := c.Ptr[i], c.Ptr[i+1]
	return c.Col[lo:hi:hi], c.Val[lo:hi:hi]
}

func (c *CSR) Dot(i int, x []float64) float64 {
	col, val := c.Row(i)
	val = val[:len(col)]
	s := 0.0
	for k, j := range col {
		s += val[k] * x[j]
	}
	return s
}

func (c *CSR) Dot2(i int, a, b []float64) (float64, float64) {
	col, val := c.Row(i)
	val = val[:len(col)]
	b = b[:len(a)]
	s, t := 0.0, 0.0
	for k, j := range col {
		s += val[k] * a[j]
		t += val[k] * b[j]
	}
	return s, t
}

func (c *CSR) AddRow(dst []float64, i int, scale float64) {
	col, val := c.Row(i)
	val = val[:len(col)]
	for k, j := range col {
		dst[j] += scale * val[k]
	}
}

func (c *CSR) Do(i int, f func(j int, v float64)) {
	col, val := c.Row(i)
	for k, j := range col {
		f(int(j), val[k])
	}
}

// Dense returns a dense copy.
func (c *CSR) Dense() *Dense {
	n, p := c.Dims()
	d := NewDense(n, p, nil)
	for i := range n {
		c.AddRow(d.Row(i), i, 1)
	}
	return d
}

// NormalizeRows scales each row of x to unit Euclidean norm in place. Zero rows
// stay zero.
func NormalizeRows(x Rows) {
	n, _ := x.Dims()
	for i := range n {
		s := sqRow(x, i)
		if s == 0 {
			continue
		}
		s = 1 / math.Sqrt(s)
		var v []float64
		switch x := x.(type) {
		case *Dense:
			v = x.Row(i)
		case *CSR:
			_, v = x.Row(i)
		default:
			panic(Error("NormalizeRows: rows of a foreign type"))
		}
		for j := range v {
			v[j] *= s
		}
	}
}

// sqRow returns the squared norm of row i.
func sqRow(x Rows, i int) float64 {
	switch x := x.(type) {
	case *Dense:
		return sqNorm(x.Row(i))
	case *CSR:
		_, v := x.Row(i)
		return sqNorm(v)
	}
	s := 0.0
	x.Do(i, func(_ int, v float64) { s += v * v })
	return s
}

// weightedGramNorm returns an upper bound on the largest eigenvalue of
// (1/n) Σ w_i x_i x_iᵀ with w_i = ‖x_i‖²: power iteration from a fixed start until the
// residual ‖Au−ru‖ is 1 % of the Rayleigh quotient r, then r plus the residual
// (an eigenvalue lies that near; the start makes it the largest one but for a
// null set), or the trace where that is smaller.
func weightedGramNorm(x Rows) float64 {
	n, p := x.Dims()
	w := make([]float64, n)
	trace := 0.0
	for i := range w {
		w[i] = sqRow(x, i)
		trace += w[i] * w[i] / float64(n)
	}
	u, au := make([]float64, p), make([]float64, p)
	r := newCounter(1, streamEstimate)
	for j := range u {
		u[j] = 1 + 0.1*r.normal()
	}
	bound := trace
	for it := 0; it < 60 && trace > 0; it++ {
		floats.Scale(1/norm(u), u)
		clear(au)
		for i := range n {
			if d := x.Dot(i, u); d != 0 {
				x.AddRow(au, i, w[i]*d/float64(n))
			}
		}
		value := dot(u, au)
		res := 0.0
		for j := range u {
			d := au[j] - value*u[j]
			res += d * d
		}
		res = math.Sqrt(res)
		if it >= 5 {
			bound = min(bound, value+res)
			if res <= 1e-2*value {
				break
			}
		}
		if value == 0 {
			break
		}
		u, au = au, u
	}
	return bound
}
