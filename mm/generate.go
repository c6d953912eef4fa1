package mm

import (
	"fmt"
	"math"
	"slices"
)

// The generators below stand in for public sets that are too big to ship. Equal
// arguments give equal data. Rows have unit norm. Labels are ±1, drawn from a
// logistic model whose margins have standard deviation 2, along a random direction.

// OneHot returns n samples that imitate the set a9a: 14 categorical fields in 123
// binary columns, with one active column per field and frequencies that fall as
// 1/rank. Entries are 1/√14, so rows have unit norm. The labels ±1 come from a
// logistic model with margins of standard deviation 2. It panics unless n ≥ 1.
func OneHot(n int, seed uint64) (*CSR, []float64) {
	mustBe(atLeast("OneHot: n", n, 1))
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

// SparseBinary returns n samples of p binary features that imitate the set w8a
// (p = 300, density 0.04): each entry is present with probability density. Rows are
// scaled to unit norm; a row may be empty. The labels ±1 are drawn as OneHot's. It
// panics unless n, p ≥ 1 and density is in [0, 1].
func SparseBinary(n, p int, density float64, seed uint64) (*CSR, []float64) {
	mustBe(firstError(atLeast("SparseBinary: n", n, 1), atLeast("SparseBinary: p", p, 1), nonNegative("SparseBinary: density", density)))
	if density > 1 {
		panic(Error(fmt.Sprintf("SparseBinary: density is %g, want at most 1", density)))
	}
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

// Gaussian returns n samples of p independent normal features, scaled to unit norm:
// dense rows, like those of the set ijcnn1 (p = 22). The labels ±1 are drawn as
// OneHot's. It panics unless n, p ≥ 1.
func Gaussian(n, p int, seed uint64) (*Dense, []float64) {
	mustBe(firstError(atLeast("Gaussian: n", n, 1), atLeast("Gaussian: p", p, 1)))
	r := newCounter(seed, streamData)
	x := NewDense(n, p, nil)
	for k := range x.Data {
		x.Data[k] = r.normal()
	}
	NormalizeRows(x)
	return x, labels(&r, x)
}

// Text returns n samples that imitate the set rcv1: word counts by Zipf's law over a
// vocabulary of p words, weighted by term frequency times log inverse document
// frequency. A row has terms words on average, repetitions included, and unit norm.
// The labels ±1 are drawn as OneHot's. It panics unless n, p, terms ≥ 1.
func Text(n, p, terms int, seed uint64) (*CSR, []float64) {
	mustBe(firstError(atLeast("Text: n", n, 1), atLeast("Text: p", p, 1), atLeast("Text: terms", terms, 1)))
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

// Spiked returns data for sparse PCA with a known answer: n rows drawn from
// N(0, I + strength·uuᵀ)/√(p+strength). The spike u, which it returns as well, is a
// unit vector whose first sparse entries are ±1/√sparse. It panics unless n, p ≥ 1,
// 1 ≤ sparse ≤ p and strength ≥ 0.
func Spiked(n, p, sparse int, strength float64, seed uint64) (z *Dense, u []float64) {
	mustBe(firstError(atLeast("Spiked: n", n, 1), atLeast("Spiked: sparse", sparse, 1), atLeast("Spiked: p", p, sparse), nonNegative("Spiked: strength", strength)))
	r := newCounter(seed, streamData)
	u = make([]float64, p)
	for j := range sparse {
		u[j] = 1 / math.Sqrt(float64(sparse))
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

// Tail is the sum f_i(x) = A_i (1+x²)^(−Power/2) of one parameter, a test problem for
// rates. Its gradient falls off so slowly that a descent method from x = 1 needs
// ε^(−(Power+2)/(Power+1)) iterations to reach |f'| ≤ ε. This exponent lies between
// −1 and the worst case, −2 (derived here from the gradient flow).
type Tail struct {
	// A has one positive weight per component.
	A []float64
	// Power > 0 says how fast the tail falls.
	Power float64
}

// NewTail returns n weights drawn from (0.5, 1.5) and scaled to mean 1. It panics
// unless n ≥ 1 and power > 0.
func NewTail(n int, power float64, seed uint64) *Tail {
	mustBe(firstError(atLeast("NewTail: n", n, 1), positive("NewTail: power", power)))
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

// Validate checks both fields.
func (t *Tail) Validate(_, _ int) error {
	return firstError(checkWeights("Tail.A", t.A), positive("Tail.Power", t.Power))
}

// Len returns the number of components.
func (t *Tail) Len() int { return len(t.A) }

// Dim returns 1.
func (t *Tail) Dim() int { return 1 }

// Component returns f_i(x).
func (t *Tail) Component(i int, x []float64) float64 {
	return t.A[i] * math.Pow(1+x[0]*x[0], -t.Power/2)
}

// AddGrad adds scale·∇f_i(x) to dst.
func (t *Tail) AddGrad(dst []float64, i int, x []float64, scale float64) {
	dst[0] -= scale * t.A[i] * t.Power * x[0] * math.Pow(1+x[0]*x[0], -t.Power/2-1)
}

// Lipschitz returns the constants: the second derivative of f_i is largest in
// magnitude at 0, where it is −A_i·Power.
func (t *Tail) Lipschitz() Lipschitz {
	top, sq := 0.0, 0.0
	for _, a := range t.A {
		top = max(top, a)
		sq += a * a / float64(len(t.A))
	}
	return Lipschitz{math.Sqrt(sq) * t.Power, top * t.Power}
}
