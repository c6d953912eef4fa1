package longtail

import (
	"cmp"
	"fmt"
	"math"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// A Rule selects representative samples of a class.
type Rule interface {
	// Select returns the indices of m of the n rows of x [n, d], the features of one class,
	// in the order of selection; 1 <= m <= n. Of equally good rows it takes the first. The
	// result depends on the arguments alone.
	Select(x *tensor.Tensor, m int, seed uint64) []int

	// String returns a name of the rule, such as "herd".
	String() string
}

// A Prototype says how the prototype of a class is updated after each selection.
type Prototype uint8

const (
	// Herding is p = (k+1)·μ - Σ selected, with the mean μ of the class and k selected
	// samples: U-herd. As in iCaRL (Rebuffi et al., "iCaRL: Incremental classifier and
	// representation learning", 2017) it selects the sample that brings the mean of the
	// selected nearest to μ. It is Welling's herding (2009).
	Herding Prototype = iota

	// Remaining is the mean of the samples that are not selected: U-remain.
	Remaining

	// Selected moves p towards the mean of the selected: p = η·p + (1-η)·mean. U-select.
	Selected
)

// Herd begins with the class's mean as the prototype and alternates two steps: select the
// sample nearest to the prototype, then update the prototype. The thesis states this much
// (figure 4.4). The update is not known, and the three readings are ours. The default fits
// the figure and equals iCaRL.
//
// Close choices are made in float64, so a bank does not depend on the machine.
type Herd struct {
	Prototype Prototype
	Eta       float64 // η of Selected; 0 means 0.5
	Batch     int     // samples selected before each update; 0 means 1
}

func (h Herd) String() string {
	var s string
	switch h.Prototype {
	case Herding:
		s = "herd"
	case Remaining:
		s = "herd-remaining"
	case Selected:
		s = fmt.Sprintf("herd-selected-%g", cmp.Or(h.Eta, 0.5))
	default:
		tensor.Panic("longtail.Herd", fmt.Sprintf("Prototype(%d)", h.Prototype))
	}
	if h.Batch > 1 {
		s += fmt.Sprintf("-batch-%d", h.Batch)
	}
	return s
}

// Select implements [Rule]. To select m of n samples with d features costs about n²·d
// multiplications, or n·m·d if m is below n/8. It panics if an option is out of range.
func (h Herd) Select(x *tensor.Tensor, m int, _ uint64) []int {
	n := checkRule("longtail.Herd", x, m)
	eta := cmp.Or(h.Eta, 0.5)
	if !(eta >= 0 && eta <= 1) || h.Batch < 0 || h.Prototype > Selected {
		tensor.Panic("longtail.Herd", fmt.Sprintf("Prototype %d, Eta %v, Batch %d", h.Prototype, h.Eta, h.Batch))
	}
	s := newSearch(x, m)
	for k := 0; k < m; k++ {
		if k%max(h.Batch, 1) == 0 && k > 0 {
			switch k := float64(k); h.Prototype {
			case Herding:
				s.update(0, k+1, -1)
			case Remaining:
				s.update(0, float64(n)/(float64(n)-k), -1/(float64(n)-k))
			case Selected:
				s.update(eta, 0, (1-eta)/k)
			}
		}
		s.pick(s.nearest())
	}
	return s.picked
}

// Nearest selects the samples nearest to the mean: Herd without updates of the prototype.
type Nearest struct{}

func (Nearest) String() string { return "nearest" }

// Select implements [Rule].
func (Nearest) Select(x *tensor.Tensor, m int, _ uint64) []int {
	checkRule("longtail.Nearest", x, m)
	s := newSearch(x, 0)
	for range m {
		s.pick(s.nearest())
	}
	return s.picked
}

// Random draws samples by the seed.
type Random struct{}

func (Random) String() string { return "random" }

// Select implements [Rule].
func (Random) Select(x *tensor.Tensor, m int, seed uint64) []int {
	n := checkRule("longtail.Random", x, m)
	return stream(seed, drawBank).Perm(n)[:m]
}

// checkRule returns the number of rows. It panics for op if there are not m of them.
func checkRule(op string, x *tensor.Tensor, m int) int {
	if x.Rank() != 2 || m < 1 || m > x.Dim(0) {
		tensor.Panic(op, fmt.Sprintf("%d of the rows", m), x.Shape())
	}
	return x.Dim(0)
}

// A search looks for the rows of x nearest to a prototype that is a combination of the
// rows' mean, the sum of picked rows and former prototypes. Then its inner products with
// all rows follow from those of the picked rows, and a step costs no product of a matrix.
type search struct {
	x    *tensor.Tensor
	n, d int

	picked []int

	// In float64: the prototype, the rows' mean, the sum of the picked rows, and the inner
	// products of all three with every row, the last one's from float32 products.
	p, mu, sum    []float64
	px, mux, sumx []float64
	square        []float64 // of the rows' lengths; infinite once picked
	largest       float64   // of these

	gram []float32 // all products of rows, or nil
	row  []float32 // those of one row
}

// newSearch returns a search that will pick about updates rows before its last update.
func newSearch(x *tensor.Tensor, updates int) *search {
	n, d := x.Dim(0), x.Dim(1)
	s := &search{x: x, n: n, d: d}
	s.p, s.mu, s.sum = make([]float64, d), make([]float64, d), make([]float64, d)
	s.px, s.mux, s.sumx, s.square = make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		for j, v := range s.at(i) {
			s.mu[j] += float64(v)
		}
	}
	for j := range s.mu {
		s.mu[j] /= float64(n)
	}
	copy(s.p, s.mu)
	for i := range n {
		dot, square := 0.0, 0.0
		for j, v := range s.at(i) {
			dot += s.mu[j] * float64(v)
			square += float64(v) * float64(v)
		}
		s.mux[i], s.square[i] = dot, square
		s.largest = max(s.largest, square)
	}
	copy(s.px, s.mux)
	switch {
	case updates == 0:
	case updates > n/8 && n <= 1<<13:
		// One product of matrices is about nine times as fast as its rows one by one.
		s.gram = make([]float32, n*n)
		kernel.MatMul(s.gram, n, x.Data(), d, false, x.Data(), d, true, n, n, d, kernel.Epilogue{})
	default:
		s.row = make([]float32, n)
	}
	return s
}

func (s *search) at(i int) []float32 { return s.x.Data()[i*s.d : (i+1)*s.d] }

// nearest returns the row nearest to the prototype, of equally near ones the first, that
// is not taken.
func (s *search) nearest() int {
	first, best, second := 0, math.Inf(1), math.Inf(1)
	square := s.square[:len(s.px)]
	for i, px := range s.px {
		if v := square[i] - 2*px; v < second {
			if second = v; v < best {
				first, best, second = i, v, best
			}
		}
	}
	// What rounding of float32 can have moved is measured again.
	doubt := best + 0x1p-20*s.largest*math.Sqrt(float64(len(s.picked)+1))
	if second > doubt {
		return first
	}
	exact := math.Inf(1)
	for i, px := range s.px {
		if square[i]-2*px > doubt {
			continue
		}
		v := 0.0
		for j, w := range s.at(i) {
			v += (s.p[j] - float64(w)) * (s.p[j] - float64(w))
		}
		if v < exact {
			first, exact = i, v
		}
	}
	return first
}

// pick takes a row.
func (s *search) pick(i int) {
	s.picked = append(s.picked, i)
	s.square[i] = math.Inf(1) // it is never near again
	for j, v := range s.at(i) {
		s.sum[j] += float64(v)
	}
	products := s.row
	switch {
	case s.gram != nil:
		products = s.gram[i*s.n : (i+1)*s.n]
	case s.row != nil:
		kernel.MatMul(s.row, s.n, s.at(i), s.d, false, s.x.Data(), s.d, true, 1, s.n, s.d, kernel.Epilogue{})
	}
	sumx := s.sumx[:len(products)]
	for j, v := range products {
		sumx[j] += float64(v)
	}
}

// update makes the prototype a·p + b·mean + c·sum of the picked.
func (s *search) update(a, b, c float64) {
	for j := range s.p {
		s.p[j] = a*s.p[j] + b*s.mu[j] + c*s.sum[j]
	}
	px, mux, sumx := s.px, s.mux[:len(s.px)], s.sumx[:len(s.px)]
	for i := range px {
		px[i] = a*px[i] + b*mux[i] + c*sumx[i]
	}
}
