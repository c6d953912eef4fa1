package mm

import (
	"math"
	"slices"
)

// The generators below stand in for public sets that are too big to ship. Equal
// arguments give equal data. Rows have unit norm; labels are ±1, drawn from a
// logistic model at margins of standard deviation 2 from a random direction.

// OneHot imitates a9a: 14 categorical fields in 123 binary columns, one active
// column a field, with frequencies falling as 1/rank.
func OneHot(n int, seed uint64) (*CSR, []float64) {
	fields := []int{5, 8, 5, 16, 5, 7, 14, 6, 5, 2, 2, 2, 5, 41}
	r := newCounter(seed, streamData)
	x := &CSR{Ptr: make([]int, 1, n+1)}
	for _, g := range fields {
		x.P += g
	}
	for range n {
		base := 0
		for _, g := range fields {
			x.Col = append(x.Col, int32(base+harmonic(&r, g, 1)))
			x.Val = append(x.Val, 1/math.Sqrt(float64(len(fields))))
			base += g
		}
		x.Ptr = append(x.Ptr, len(x.Col))
	}
	return x, labels(&r, x)
}

// harmonic draws a rank in [0, g) with probability ∝ 1/(rank+1)^power.
func harmonic(r *counter, g int, power float64) int {
	total := 0.0
	for k := range g {
		total += math.Pow(float64(k+1), -power)
	}
	u := r.float() * total
	for k := range g {
		if u -= math.Pow(float64(k+1), -power); u < 0 {
			return k
		}
	}
	return g - 1
}

// SparseBinary imitates w8a: binary entries, each present with the given density
// (0.04 there, with p = 300).
func SparseBinary(n, p int, density float64, seed uint64) (*CSR, []float64) {
	r := newCounter(seed, streamData)
	x := &CSR{P: p, Ptr: make([]int, 1, n+1)}
	for range n {
		for j := range p {
			if r.float() < density {
				x.Col = append(x.Col, int32(j))
				x.Val = append(x.Val, 1)
			}
		}
		x.Ptr = append(x.Ptr, len(x.Col))
	}
	NormalizeRows(x)
	return x, labels(&r, x)
}

// Gaussian imitates ijcnn1 (p = 22): dense normal rows.
func Gaussian(n, p int, seed uint64) (*Dense, []float64) {
	r := newCounter(seed, streamData)
	x := NewDense(n, p, nil)
	for k := range x.Data {
		x.Data[k] = r.normal()
	}
	NormalizeRows(x)
	return x, labels(&r, x)
}

// Text imitates rcv1: about terms words a row, drawn by Zipf's law from p, weighted
// by term frequency times log inverse document frequency.
func Text(n, p, terms int, seed uint64) (*CSR, []float64) {
	r := newCounter(seed, streamData)
	cumulative := make([]float64, p)
	total := 0.0
	for j := range cumulative {
		total += 1 / float64(j+1)
		cumulative[j] = total
	}
	x := &CSR{P: p, Ptr: make([]int, 1, n+1)}
	docs := make([]float64, p)
	words := make([]int, 0, 2*terms)
	for range n {
		words = words[:0]
		for range terms/2 + r.intn(terms+1) {
			j, _ := slices.BinarySearch(cumulative, r.float()*total)
			words = append(words, min(j, p-1))
		}
		slices.Sort(words)
		for k := 0; k < len(words); {
			e := k
			for e < len(words) && words[e] == words[k] {
				e++
			}
			x.Col = append(x.Col, int32(words[k]))
			x.Val = append(x.Val, 1+math.Log(float64(e-k)))
			docs[words[k]]++
			k = e
		}
		x.Ptr = append(x.Ptr, len(x.Col))
	}
	for k, j := range x.Col {
		x.Val[k] *= math.Log(float64(n+1) / docs[j])
	}
	NormalizeRows(x)
	return x, labels(&r, x)
}

// labels draws ±1 from a logistic model.
func labels(r *counter, x Rows) []float64 {
	n, p := x.Dims()
	w := make([]float64, p)
	for j := range w {
		w[j] = r.normal()
	}
	m := make([]float64, n)
	mean, sq := 0.0, 0.0
	for i := range m {
		m[i] = x.Dot(i, w)
		mean += m[i] / float64(n)
	}
	for _, v := range m {
		sq += (v - mean) * (v - mean) / float64(n)
	}
	scale := 2 / max(math.Sqrt(sq), 1e-300)
	y := make([]float64, n)
	for i, v := range m {
		y[i] = -1
		if r.float() < sigmoid(scale*v) {
			y[i] = 1
		}
	}
	return y
}

// Spiked draws n rows of N(0, I + strength·uuᵀ)/√(p+strength), whose spike u, returned,
// is a unit vector with sparse non-zeros: data for sparse PCA with a known answer.
func Spiked(n, p, sparse int, strength float64, seed uint64) (z *Dense, u []float64) {
	r := newCounter(seed, streamData)
	u = make([]float64, p)
	for j := range min(sparse, p) {
		u[j] = 1 / math.Sqrt(float64(min(sparse, p)))
		if r.next()&1 == 0 {
			u[j] = -u[j]
		}
	}
	z = NewDense(n, p, nil)
	s := 1 / math.Sqrt(float64(p)+strength)
	for i := range n {
		row := z.Row(i)
		c := math.Sqrt(strength) * r.normal()
		for j := range row {
			row[j] = s * (r.normal() + c*u[j])
		}
	}
	return z, u
}

// Tail is the one-dimensional sum f_i(x) = a_i (1+x²)^(−Power/2) with a_i > 0 of mean
// 1. Its gradient falls off so slowly that a descent method from x = 1 needs
// ε^(−(Power+2)/(Power+1)) iterations, an exponent between −1 and the worst case −2
// that a test can look for (derived here by gradient flow).
type Tail struct {
	A     []float64
	Power float64
}

// NewTail draws n weights in (0.5, 1.5) and makes their mean 1.
func NewTail(n int, power float64, seed uint64) *Tail {
	r := newCounter(seed, streamData)
	t := &Tail{make([]float64, n), power}
	mean := 0.0
	for i := range t.A {
		t.A[i] = 0.5 + r.float()
		mean += t.A[i] / float64(n)
	}
	for i := range t.A {
		t.A[i] /= mean
	}
	return t
}

func (t *Tail) Len() int { return len(t.A) }
func (t *Tail) Dim() int { return 1 }

func (t *Tail) Component(i int, x []float64) float64 {
	return t.A[i] * math.Pow(1+x[0]*x[0], -t.Power/2)
}

func (t *Tail) AddGrad(dst []float64, i int, x []float64, scale float64) {
	dst[0] -= scale * t.A[i] * t.Power * x[0] * math.Pow(1+x[0]*x[0], -t.Power/2-1)
}

// Lipschitz: the second derivative is largest at 0, where it is −a·Power.
func (t *Tail) Lipschitz() Lipschitz {
	top, sq := 0.0, 0.0
	for _, a := range t.A {
		top = max(top, a)
		sq += a * a / float64(len(t.A))
	}
	return Lipschitz{math.Sqrt(sq) * t.Power, top * t.Power}
}
