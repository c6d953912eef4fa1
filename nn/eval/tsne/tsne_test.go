package tsne

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/internal/parallel"
	"github.com/mettleml/mettle/tensor"
)

func normal(seed uint64, shape ...int) *tensor.Tensor {
	x := tensor.New(shape...)
	kernel.Normal(x.Data(), 0, 1, seed, 0)
	return x
}

// blobs are n points about ten centres in 64 dimensions, as those of testdata/reference.py.
func blobs(n int) *tensor.Tensor {
	centres, x := normal(1, 10, 64), normal(2, n, 64)
	for i := range x.Data() {
		x.Data()[i] += 2 * centres.Data()[i/64%10*64+i%64]
	}
	return x
}

func embed(t *testing.T, x *tensor.Tensor, o Options) *Result {
	t.Helper()
	r, err := Embed(context.Background(), x, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAgainstScikitLearn: the divergence is within 2 % of the one that reference.py wrote down,
// exact and with the tree.
func TestAgainstScikitLearn(t *testing.T) {
	x, err := tensor.LoadNPY(filepath.Join("testdata", "blobs.npy"))
	if err != nil {
		t.Fatal(err)
	}
	// As reference.py prints: its exact method, and that of Barnes and Hut.
	for theta, theirs := range map[float64]float64{0: 0.339, 0.5: 0.3434} {
		if r := embed(t, x, Options{Theta: theta}); r.KL > 1.02*theirs {
			t.Errorf("theta %v: the divergence is %v, scikit-learn's %v", theta, r.KL, theirs)
		}
	}
}

// TestForces compares both ways to sum with a sum by the formula.
func TestForces(t *testing.T) {
	const n = 700
	p := normal(5, 2, n).Scale(20)
	y := [2][]float32{p.Index(0).Data(), p.Index(1).Data()}
	for i := range 40 { // some lie on each other
		y[0][i], y[1][i] = y[0][600], y[1][600]
	}
	var want [2][]float64
	want[0], want[1] = make([]float64, n), make([]float64, n)
	z := 0.0
	for i := range n {
		for j := range n {
			if i == j {
				continue
			}
			dx, dy := float64(y[0][i]-y[0][j]), float64(y[1][i]-y[1][j])
			q := 1 / (1 + dx*dx + dy*dy)
			z += q
			want[0][i] += q * q * dx
			want[1][i] += q * q * dy
		}
	}
	for theta, tol := range map[float64]float64{0: 1e-5, 1e-3: 1e-5, 0.5: 0.01} {
		f := [2][]float32{make([]float32, n), make([]float32, n)}
		var got float64
		if theta == 0 {
			got = new(exact).repel(f, y)
		} else {
			quad := new(tree)
			got = quad.repel(f, y, theta)
			if !slices.IsSorted(quad.codes) {
				t.Errorf("theta %v: the points do not follow the curve", theta)
			}
		}
		if math.Abs(got-z)/z > tol {
			t.Errorf("theta %v: Z is %v, want %v", theta, got, z)
		}
		off, size := 0.0, 0.0
		for k := range f {
			for i := range f[k] {
				off += math.Pow(float64(f[k][i])-want[k][i], 2)
				size += want[k][i] * want[k][i]
			}
		}
		if r := math.Sqrt(off / size); r > tol {
			t.Errorf("theta %v: the forces differ by %v", theta, r)
		}
	}
}

// TestGradient: a step follows the derivative of the divergence.
func TestGradient(t *testing.T) {
	x := normal(1, 60, 5)
	l := newLayout(60, 0, affinities(x, 10))
	copy(l.y[0], normal(2, 60).Data())
	copy(l.y[1], normal(3, 60).Data())
	l.forces()
	for _, i := range []int{0, 7, 31} {
		for k := range l.y {
			g := 4 * (float64(l.attract[k][i]) - float64(l.repel[k][i])/l.z)
			at := l.y[k][i]
			const h = 1e-2
			l.y[k][i] = at + h
			up := l.divergence()
			l.y[k][i] = at - h
			down := l.divergence()
			l.y[k][i] = at
			l.forces()
			if d := (up - down) / (2 * h); math.Abs(d-g) > 1e-3*math.Abs(g)+1e-5 {
				t.Errorf("point %d: the gradient is %v, by differences %v", i, g, d)
			}
		}
	}
}

// TestSortable: integers are in the order of distances, which rounding may bring below 0, and
// points of equal distance in that of their numbers.
func TestSortable(t *testing.T) {
	last := uint64(0)
	for _, d := range []float32{float32(math.Inf(-1)), -3, -1e-6, 0, 1e-45, 0.5, 2, float32(math.Inf(1))} {
		for _, at := range []int{0, 7, 1 << 20} {
			if got := sortable(d, at); got <= last || int(uint32(got)) != at {
				t.Errorf("%v, point %d: %x after %x", d, at, got, last)
			} else {
				last = got
			}
		}
	}
}

// TestFirstStep: from points that the seed draws, along the exaggerated gradient.
func TestFirstStep(t *testing.T) {
	const n, lr, exaggerate = 60, 50, 7
	x := normal(1, n, 5)
	o := Options{Perplexity: 10, Iterations: 1, LR: lr, Exaggerate: exaggerate, Random: true, Seed: 4}
	got := embed(t, x, o)
	l := newLayout(n, 0, affinities(x, 10))
	random(l.y, 4)
	l.forces()
	for i := range n {
		for k := range l.y {
			g := exaggerate*float64(l.attract[k][i]) - float64(l.repel[k][i])/l.z
			want := float64(l.y[k][i]) - lr*0.8*g // the gains begin with a step down
			if d := math.Abs(float64(got.Y.At(i, k)) - want); d > 1e-3*math.Abs(want)+1e-9 {
				t.Fatalf("coordinate %d of point %d is %v, want %v", k, i, got.Y.At(i, k), want)
			}
		}
	}
	o.Seed = 5
	if slices.Equal(embed(t, x, o).Y.Data(), got.Y.Data()) {
		t.Error("another seed gives the same points")
	}
}

func TestDefaults(t *testing.T) {
	for _, c := range []struct {
		theta float64
		n     int
		want  float64
	}{{0, 2000, 0}, {0, 2001, 0.5}, {-1, 3000, 0}, {0.3, 100, 0.3}} {
		if got := (Options{Theta: c.theta}).withDefaults(c.n).Theta; got != c.want {
			t.Errorf("theta %v for %d points is %v, want %v", c.theta, c.n, got, c.want)
		}
	}
	if few, many := (Options{}).withDefaults(100).LR, (Options{}).withDefaults(12000).LR; few != 200 || many != 1000 {
		t.Errorf("learning rates %v and %v, want 200 and 1000", few, many)
	}
}

func TestAffinities(t *testing.T) {
	x := blobs(300)
	g := affinities(x, 20)
	sum := 0.0
	for _, w := range g.weight {
		sum += float64(w)
	}
	if math.Abs(sum-1) > 1e-5 {
		t.Errorf("they add up to %v", sum)
	}
	at := func(i, j int) float32 {
		for k := g.from[i]; k < g.from[i+1]; k++ {
			if int(g.to[k]) == j {
				return g.weight[k]
			}
		}
		return 0
	}
	for i := range 300 {
		for k := g.from[i]; k < g.from[i+1]; k++ {
			if j := int(g.to[k]); j == i || at(j, i) != g.weight[k] {
				t.Fatalf("p(%d, %d) is %v and back %v", i, j, g.weight[k], at(j, i))
			}
		}
	}
	d := []float64{1, 2, 3, 5, 8, 13, 21, 34}
	conditional(d, 3)
	entropy, total := 0.0, 0.0
	for _, p := range d {
		entropy -= p * math.Log(p)
		total += p
	}
	if math.Abs(math.Exp(entropy)-3) > 1e-4 || math.Abs(total-1) > 1e-9 {
		t.Errorf("perplexity %v, sum %v", math.Exp(entropy), total)
	}
	same := []float64{2, 2, 2, 2}
	if conditional(same, 2); same[0] != 0.25 {
		t.Errorf("equal distances give %v", same)
	}
}

// TestPrincipal compares the start with the eigenvectors of the covariance.
func TestPrincipal(t *testing.T) {
	x := normal(1, 200, 12)
	for i := range x.Data() {
		x.Data()[i] *= float32(1 + 3/float64(1+i%12))
	}
	y := [2][]float32{make([]float32, 200), make([]float32, 200)}
	principal(y, x, 1)
	c := centred(x)
	s := mat.NewSymDense(12, nil)
	for i := range 200 {
		for a := range 12 {
			for b := a; b < 12; b++ {
				s.SetSym(a, b, s.At(a, b)+float64(c[i*12+a])*float64(c[i*12+b]))
			}
		}
	}
	var eigen mat.EigenSym
	eigen.Factorize(s, true)
	var v mat.Dense
	eigen.VectorsTo(&v)
	scale := 1e-4 / math.Sqrt(eigen.Values(nil)[11]/200)
	for k := range y {
		dot, own, other := 0.0, 0.0, 0.0
		for i := range 200 {
			sum := 0.0
			for a := range 12 {
				sum += float64(c[i*12+a]) * v.At(a, 11-k) * scale
			}
			dot += sum * float64(y[k][i])
			own += float64(y[k][i]) * float64(y[k][i])
			other += sum * sum
		}
		largest := 0.0 // loading, which is to be positive
		for a := range 12 {
			if l := v.At(a, 11-k); math.Abs(l) > math.Abs(largest) {
				largest = l
			}
		}
		if cos := math.Copysign(1, largest) * dot / math.Sqrt(own*other); cos < 0.9999 || math.Abs(own/other-1) > 1e-3 {
			t.Errorf("component %d: cosine %v, size %v", k, cos, own/other)
		}
	}
}

func TestWorkers(t *testing.T) {
	x := blobs(400)
	defer parallel.SetWorkers(parallel.SetWorkers(1))
	for _, theta := range []float64{0, 0.5} {
		var first *Result
		for _, workers := range []int{1, 2, 5} {
			parallel.SetWorkers(workers)
			r := embed(t, x, Options{Iterations: 60, Theta: theta})
			if first == nil {
				first = r
			}
			for i, v := range r.Y.Data() {
				if v != first.Y.Data()[i] {
					t.Fatalf("theta %v: %d workers give other points", theta, workers)
				}
			}
		}
	}
}

// TestClusters: points of a cluster stay together, from either start.
func TestClusters(t *testing.T) {
	x := blobs(300)
	for _, random := range []bool{false, true} {
		r := embed(t, x, Options{Iterations: 400, Random: random, Seed: 3})
		wrong := 0
		for i := range 300 {
			best, at := math.Inf(1), 0
			for j := range 300 {
				dx, dy := float64(r.Y.At(i, 0)-r.Y.At(j, 0)), float64(r.Y.At(i, 1)-r.Y.At(j, 1))
				if d := dx*dx + dy*dy; j != i && d < best {
					best, at = d, j
				}
			}
			if at%10 != i%10 {
				wrong++
			}
		}
		if wrong > 0 {
			t.Errorf("random %v: %d of 300 points are next to another cluster's", random, wrong)
		}
	}
}

func TestErrors(t *testing.T) {
	ctx := context.Background()
	if _, err := Embed(ctx, normal(1, 50, 3), Options{}); err == nil || !strings.Contains(err.Error(), "perplexity") {
		t.Errorf("50 points for a perplexity of 30: %v", err)
	}
	x := normal(1, 100, 3)
	x.Data()[7] = float32(math.Inf(1))
	if _, err := Embed(ctx, x, Options{}); err == nil || !strings.Contains(err.Error(), "point 2") {
		t.Errorf("an infinite feature: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Embed(cancelled, normal(1, 100, 3), Options{}); err == nil {
		t.Error("a context that has ended is of no effect")
	}
	if err := tensor.Try(func() error { _, err := Embed(ctx, normal(1, 100, 3), Options{Perplexity: -1}); return err }); err == nil {
		t.Error("a perplexity of -1")
	}
	same := tensor.New(100, 3)
	same.Fill(1)
	r := embed(t, same, Options{Iterations: 50})
	for _, v := range r.Y.Data() {
		if math.IsNaN(float64(v)) {
			t.Fatal("points that are all one give NaN")
		}
	}
}

// BenchmarkEmbed is for comparisons with scikit-learn on the same points: see
// testdata/reference.py.
func BenchmarkEmbed(b *testing.B) {
	file := os.Getenv("TSNE_POINTS")
	if file == "" {
		b.Skip("TSNE_POINTS names an npy file [N, d]")
	}
	x, err := tensor.LoadNPY(file)
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		r, err := Embed(context.Background(), x, Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(r.KL, "KL")
	}
}
