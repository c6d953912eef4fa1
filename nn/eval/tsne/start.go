package tsne

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// spreadOfStart is the standard deviation of the points at the start.
const spreadOfStart = 1e-4

// random draws the points.
func random(y [2][]float32, seed uint64) {
	for k := range y {
		kernel.Normal(y[k], 0, spreadOfStart, seed, uint64(k)<<40)
	}
}

// principal puts the points at their first two principal components, scaled so that the first
// has a standard deviation of 1e-4. The components come from subspace iteration, and the sign
// of each makes its largest loading positive.
func principal(y [2][]float32, x *tensor.Tensor, seed uint64) {
	n, d := x.Dim(0), x.Dim(1)
	c := centred(x)
	width := min(8, d) // of the subspace: more than two, so that two converge fast
	v := make([]float32, d*width)
	kernel.Normal(v, 0, 1, seed, 1<<41)
	projected, back := make([]float32, n*width), make([]float32, d*width)
	q := mat.NewDense(d, width, nil)
	for range 30 {
		kernel.MatMul(projected, width, c, d, false, v, width, false, n, width, d, kernel.Epilogue{})
		kernel.MatMul(back, width, c, d, true, projected, width, false, d, width, n, kernel.Epilogue{})
		for i, b := range back {
			q.Set(i/width, i%width, float64(b))
		}
		orthonormal(q)
		for i := range v {
			v[i] = float32(q.At(i/width, i%width))
		}
	}
	// Within the subspace the components are those of the small covariance.
	kernel.MatMul(projected, width, c, d, false, v, width, false, n, width, d, kernel.Epilogue{})
	s := mat.NewSymDense(width, nil)
	for i := range n {
		row := projected[i*width:][:width]
		for a := range row {
			for b := a; b < width; b++ {
				s.SetSym(a, b, s.At(a, b)+float64(row[a])*float64(row[b]))
			}
		}
	}
	var eigen mat.EigenSym
	var vectors mat.Dense
	if !eigen.Factorize(s, true) {
		random(y, seed) // finite symmetric matrices factorise
		return
	}
	eigen.VectorsTo(&vectors)
	scale := 0.0
	for k := range y {
		clear(y[k])
		if k >= width {
			continue
		}
		column := width - 1 - k
		sign, largest := 1.0, 0.0
		for j := range d {
			loading := 0.0
			for a := range width {
				loading += q.At(j, a) * vectors.At(a, column)
			}
			if math.Abs(loading) > math.Abs(largest) {
				largest = loading
			}
		}
		if largest < 0 {
			sign = -1
		}
		if k == 0 {
			if value := eigen.Values(nil)[column]; value > 0 {
				scale = spreadOfStart / math.Sqrt(value/float64(n))
			}
		}
		for i := range n {
			sum := 0.0
			for a := range width {
				sum += float64(projected[i*width+a]) * vectors.At(a, column)
			}
			y[k][i] = float32(scale * sign * sum)
		}
	}
	if scale == 0 { // all points are one
		random(y, seed)
	}
}

// orthonormal makes the columns of q orthonormal (Gram and Schmidt, twice); one that depends
// on those before it becomes 0.
func orthonormal(q *mat.Dense) {
	d, width := q.Dims()
	for k := range width {
		for range 2 {
			for j := range k {
				dot := 0.0
				for i := range d {
					dot += q.At(i, k) * q.At(i, j)
				}
				for i := range d {
					q.Set(i, k, q.At(i, k)-dot*q.At(i, j))
				}
			}
		}
		length := 0.0
		for i := range d {
			length += q.At(i, k) * q.At(i, k)
		}
		if length = math.Sqrt(length); length > 1e-30 {
			length = 1 / length
		} else {
			length = 0
		}
		for i := range d {
			q.Set(i, k, q.At(i, k)*length)
		}
	}
}
