package mm

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Rows is a matrix of samples, n rows of p features, seen by its rows. Dense and CSR
// implement it. The methods are called in inner loops and need not check their
// arguments.
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
	// N and P are the numbers of rows and of columns.
	N, P int
	// Data holds the entries: row i is Data[i·P : (i+1)·P]. Its length is N·P.
	Data []float64
}

// NewDense returns an n×p matrix over data, which it does not copy. If data is nil,
// it allocates zeros. It panics if n or p is negative, if n·p overflows, or if data
// has another length than n·p.
func NewDense(n, p int, data []float64) *Dense {
	if n < 0 || p < 0 || p > 0 && n > math.MaxInt/8/p {
		panic(Error(fmt.Sprintf("NewDense: %d rows of %d columns", n, p)))
	}
	if data == nil {
		data = make([]float64, n*p)
	}
	checkLen("NewDense", len(data), n*p)
	return &Dense{n, p, data}
}

// DenseOf copies any gonum matrix, one sample per row.
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

// Dims returns N and P.
func (d *Dense) Dims() (n, p int) { return d.N, d.P }

// Dot returns the product of row i and x.
func (d *Dense) Dot(i int, x []float64) float64 { return dot(d.Row(i), x) }

// Dot2 returns the products of row i with a and with b.
func (d *Dense) Dot2(i int, a, b []float64) (float64, float64) {
	r := d.Row(i)
	return dot(r, a), dot(r, b)
}

// AddRow adds scale times row i to dst.
func (d *Dense) AddRow(dst []float64, i int, scale float64) { axpy(dst, scale, d.Row(i)) }

// Do calls f for each entry of row i, zeros included.
func (d *Dense) Do(i int, f func(j int, v float64)) {
	for j, v := range d.Row(i) {
		f(j, v)
	}
}

// CSR holds samples as compressed sparse rows: the entries of row i are
// Val[Ptr[i]:Ptr[i+1]], in the columns Col[Ptr[i]:Ptr[i+1]].
type CSR struct {
	// P is the number of columns.
	P int
	// Ptr has n+1 entries that do not decrease, from 0 to len(Val).
	Ptr []int
	// Col holds the column of each entry, from 0 and ascending within a row.
	Col []int32
	// Val holds the entries.
	Val []float64
}

// check returns an error if the fields contradict each other.
func (c *CSR) check() error {
	n := len(c.Ptr) - 1
	if n < 0 || c.Ptr[0] != 0 || c.Ptr[n] != len(c.Val) || len(c.Col) != len(c.Val) {
		return errors.New("mm: CSR: Ptr must lead from 0 to len(Val), and Col have the same length as Val")
	}
	for i := range n {
		if c.Ptr[i] > c.Ptr[i+1] || c.Ptr[i+1] > len(c.Val) {
			return fmt.Errorf("mm: CSR: Ptr[%d] is %d after %d, with %d entries", i+1, c.Ptr[i+1], c.Ptr[i], len(c.Val))
		}
		last := int32(-1)
		for _, j := range c.Col[c.Ptr[i]:c.Ptr[i+1]] {
			if j <= last || int(j) >= c.P {
				return fmt.Errorf("mm: CSR: row %d has column %d after %d of %d columns", i, j, last, c.P)
			}
			last = j
		}
	}
	return nil
}

// Dims returns the number of rows and P.
func (c *CSR) Dims() (n, p int) { return len(c.Ptr) - 1, c.P }

// Row returns the columns and the values of row i, not copied.
func (c *CSR) Row(i int) ([]int32, []float64) {
	lo, hi := c.Ptr[i], c.Ptr[i+1]
	return c.Col[lo:hi:hi], c.Val[lo:hi:hi]
}

// Dot returns the product of row i and x.
func (c *CSR) Dot(i int, x []float64) float64 {
	col, val := c.Row(i)
	val = val[:len(col)]
	s := 0.0
	for k, j := range col {
		s += val[k] * x[j]
	}
	return s
}

// Dot2 returns the products of row i with a and with b in one visit.
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

// AddRow adds scale times row i to dst.
func (c *CSR) AddRow(dst []float64, i int, scale float64) {
	col, val := c.Row(i)
	val = val[:len(col)]
	for k, j := range col {
		dst[j] += scale * val[k]
	}
}

// Do calls f for each stored entry of row i, by ascending column.
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

// NormalizeRows scales each row of x to unit Euclidean norm in place. Rows of zeros
// stay as they are. It panics if x is neither a *Dense nor a *CSR.
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
			panic(Error(fmt.Sprintf("NormalizeRows: %T is neither *Dense nor *CSR", x)))
		}
		for j := range v {
			v[j] *= s
		}
	}
}

// checkRows returns an error unless x has rows and columns, all entries are finite
// and one is not zero.
func checkRows(x Rows) error {
	if c, ok := x.(*CSR); ok {
		if err := c.check(); err != nil {
			return err
		}
	}
	n, p := x.Dims()
	if n <= 0 || p <= 0 {
		return fmt.Errorf("mm: no data: %d rows of %d columns", n, p)
	}
	if d, ok := x.(*Dense); ok && (len(d.Data) < n*p) {
		return fmt.Errorf("mm: Dense: %d entries for %d rows of %d columns", len(d.Data), n, p)
	}
	var err error
	zero := true
	for i := range n {
		x.Do(i, func(j int, v float64) {
			zero = zero && v == 0
			if !finite(v) && err == nil {
				err = fmt.Errorf("mm: row %d, column %d of the data is %g (both counted from 0)", i, j, v)
			}
		})
	}
	if err == nil && zero {
		err = fmt.Errorf("mm: all entries of the data are 0: %d rows of %d columns", n, p)
	}
	return err
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
