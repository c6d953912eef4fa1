package tsne

import (
	"cmp"
	"math"
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/internal/parallel"
	"github.com/mettleml/mettle/tensor"
)

// A graph holds symmetric affinities: point i is joined to to[k], with weight[k], for k from
// from[i] to from[i+1]-1. The weights of all entries add up to 1.
type graph struct {
	from   []int
	to     []int32
	weight []float32
}

// affinities returns p_ij = (p_j|i + p_i|j)/2N among the 3·perplexity nearest neighbours.
func affinities(x *tensor.Tensor, perplexity float64) *graph {
	n, d := x.Dim(0), x.Dim(1)
	k := min(n-1, int(3*perplexity+1))
	t := &nearTask{x: centred(x), n: n, d: d, k: k, perplexity: perplexity,
		to: make([]int32, n*k), p: make([]float64, n*k), norm: make([]float32, n)}
	for i := range n {
		t.norm[i] = float32(kernel.SumSquares(t.x[i*d:][:d]))
	}
	parallel.Run((n+block-1)/block, t)
	return symmetric(t.to, t.p, n, k)
}

// centred returns x minus the mean of each column, which makes inner products small.
func centred(x *tensor.Tensor) []float32 {
	n, d := x.Dim(0), x.Dim(1)
	mean := make([]float64, d)
	for i, v := range x.Data() {
		mean[i%d] += float64(v) / float64(n)
	}
	c := make([]float32, n*d)
	for i, v := range x.Data() {
		c[i] = float32(float64(v) - mean[i%d])
	}
	return c
}

// block is the number of points whose neighbours a part of nearTask finds.
const block = 64

// nearTask finds the nearest neighbours of all points and their p_j|i.
type nearTask struct {
	x          []float32
	norm       []float32 // squared lengths of rows
	n, d, k    int
	perplexity float64
	to         []int32   // [n, k]
	p          []float64 // [n, k]
}

type neighbour struct {
	distance float64 // squared
	at       int32
}

// sortable orders as a distance does, and points of equal distance by their number.
func sortable(distance float32, at int) uint64 {
	b := math.Float32bits(distance)
	if b>>31 != 0 {
		b = ^b
	} else {
		b |= 1 << 31
	}
	return uint64(b)<<32 | uint64(at)
}

// Part finds those of a block of points: by inner products first, with a few to spare, and
// then by distances in float64.
func (t *nearTask) Part(part int) {
	lo := part * block
	rows := min(block, t.n-lo)
	products := make([]float32, rows*t.n)
	kernel.MatMul(products, t.n, t.x[lo*t.d:], t.d, false, t.x, t.d, true, rows, t.n, t.d, kernel.Epilogue{})
	spare := min(t.k+8, t.n-1)
	list := make([]uint64, 0, 4*spare+64)
	near := make([]neighbour, spare)
	for r := range rows {
		i := lo + r
		list = list[:0]
		top := uint64(math.MaxUint64)
		trim := func() {
			slices.Sort(list)
			list = list[:spare]
			top = list[spare-1]
		}
		for j, v := range products[r*t.n:][:t.n] {
			if s := sortable(t.norm[j]-2*v, j); s < top && j != i {
				if list = append(list, s); len(list) == cap(list) {
					trim()
				}
			}
		}
		trim()
		a := t.x[i*t.d:][:t.d]
		for c, s := range list {
			at := int32(uint32(s))
			sum := 0.0
			b := t.x[int(at)*t.d:][:t.d]
			for k, v := range a {
				e := float64(v) - float64(b[k])
				sum += float64(e * e)
			}
			near[c] = neighbour{sum, at}
		}
		slices.SortFunc(near, func(a, b neighbour) int {
			return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.at, b.at))
		})
		for c, v := range near[:t.k] {
			t.to[i*t.k+c] = v.at
			t.p[i*t.k+c] = v.distance
		}
		conditional(t.p[i*t.k:][:t.k], t.perplexity)
	}
}

// conditional turns squared distances into probabilities exp(-β·d)/Σ with the β whose entropy
// is that of so many equal ones. Distances are in ascending order.
func conditional(d []float64, perplexity float64) {
	target := math.Log(perplexity)
	least := d[0]
	scale := 0.0
	for _, v := range d {
		scale += (v - least) / float64(len(d))
	}
	if scale == 0 { // all as far
		for i := range d {
			d[i] = 1 / float64(len(d))
		}
		return
	}
	e := make([]float64, len(d))
	lo, hi := 0.0, math.Inf(1)
	beta := 1 / scale
	for range 100 {
		sum, mean := 0.0, 0.0
		for i, v := range d {
			e[i] = math.Exp(-beta * (v - least))
			sum += e[i]
			mean += float64(e[i] * (v - least))
		}
		entropy := math.Log(sum) + beta*mean/sum
		if math.Abs(entropy-target) < 1e-6 {
			break
		}
		if entropy > target {
			lo = beta
			if beta = 2 * beta; hi < math.Inf(1) {
				beta = (lo + hi) / 2
			}
		} else {
			hi = beta
			beta = (lo + hi) / 2
		}
	}
	sum := 0.0
	for _, v := range e {
		sum += v
	}
	for i := range d {
		d[i] = e[i] / sum
	}
}

// symmetric returns the graph of (p + pᵀ)/2n, with neighbours in ascending order.
func symmetric(to []int32, p []float64, n, k int) *graph {
	type edge struct {
		to int32
		p  float64
	}
	rows := make([][]edge, n)
	for i := range n {
		for c := range k {
			j, v := to[i*k+c], p[i*k+c]/float64(2*n)
			rows[i] = append(rows[i], edge{j, v})
			rows[j] = append(rows[j], edge{int32(i), v})
		}
	}
	g := &graph{from: make([]int, n+1)}
	for i, row := range rows {
		slices.SortStableFunc(row, func(a, b edge) int { return cmp.Compare(a.to, b.to) })
		for c, e := range row {
			if c > 0 && row[c-1].to == e.to {
				g.weight[len(g.weight)-1] = float32(row[c-1].p + e.p)
				continue
			}
			g.to, g.weight = append(g.to, e.to), append(g.weight, float32(e.p))
		}
		g.from[i+1] = len(g.to)
	}
	return g
}

// attract writes Σ_j p_ij (y_i - y_j)/(1 + |y_i - y_j|²) to f.
func (g *graph) attract(f, y [2][]float32) {
	parallel.Run((len(g.from)-1+attractBlock-1)/attractBlock, &attractTask{g, f, y})
}

const attractBlock = 256

type attractTask struct {
	g    *graph
	f, y [2][]float32
}

func (t *attractTask) Part(part int) {
	g, ys, xs := t.g, t.y[1], t.y[0]
	lo := part * attractBlock
	for i := lo; i < min(lo+attractBlock, len(xs)); i++ {
		x, y := xs[i], ys[i]
		var fx, fy float32
		weight := g.weight[g.from[i]:g.from[i+1]]
		for k, j := range g.to[g.from[i]:g.from[i+1]] {
			dx, dy := x-xs[j], y-ys[j]
			w := weight[k] / (1 + float32(dx*dx) + float32(dy*dy))
			fx += float32(w * dx)
			fy += float32(w * dy)
		}
		t.f[0][i], t.f[1][i] = fx, fy
	}
}
