package longtail

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mettleml/mettle/tensor"
)

var rules = []Rule{Herd{}, Herd{Prototype: Remaining}, Herd{Prototype: Selected}, Herd{Prototype: Selected, Eta: 0.2}, Herd{Batch: 3}, Nearest{}, Random{}, KCenter{}, KMedoids{}}

// prefixes says of which rules a prefix of a selection is a smaller selection.
func prefixes(r Rule) bool { return r != (KMedoids{}) }

// icarl selects by the definition: the k-th choice brings the mean of all k nearest to the
// mean of the class.
func icarl(x *tensor.Tensor, m int) []int {
	n, d := x.Dim(0), x.Dim(1)
	mu, sum := make([]float64, d), make([]float64, d)
	for i, v := range x.Data() {
		mu[i%d] += float64(v) / float64(n)
	}
	var picked []int
	for k := 1; k <= m; k++ {
		best, least := -1, 0.0
		for i := range n {
			if slices.Contains(picked, i) {
				continue
			}
			e := 0.0
			for j, v := range x.Index(i).Data() {
				diff := mu[j] - (sum[j]+float64(v))/float64(k)
				e += diff * diff
			}
			if best < 0 || e < least {
				best, least = i, e
			}
		}
		picked = append(picked, best)
		for j, v := range x.Index(best).Data() {
			sum[j] += float64(v)
		}
	}
	return picked
}

// naive alternates selection and update as the rules are written.
func naive(x *tensor.Tensor, m int, h Herd) []int {
	n, d := x.Dim(0), x.Dim(1)
	mean := func(rows []int) []float64 {
		v := make([]float64, d)
		for _, i := range rows {
			for j, w := range x.Index(i).Data() {
				v[j] += float64(w) / float64(len(rows))
			}
		}
		return v
	}
	var all, picked []int
	for i := range n {
		all = append(all, i)
	}
	p := mean(all)
	for len(picked) < m {
		best, least := -1, 0.0
		for _, i := range all {
			e := 0.0
			for j, v := range x.Index(i).Data() {
				e += (p[j] - float64(v)) * (p[j] - float64(v))
			}
			if !slices.Contains(picked, i) && (best < 0 || e < least) {
				best, least = i, e
			}
		}
		picked = append(picked, best)
		if len(picked) == n {
			break
		}
		switch h.Prototype {
		case Remaining:
			p = mean(slices.DeleteFunc(slices.Clone(all), func(i int) bool { return slices.Contains(picked, i) }))
		case Selected:
			for j, v := range mean(picked) {
				p[j] = 0.5*p[j] + 0.5*v
			}
		}
	}
	return picked
}

// TestHerdingToy: worked out by hand from the definitions.
func TestHerdingToy(t *testing.T) {
	x := tensor.FromSlice([]float32{0, 0, 1, 0, 0, 1, 4, 4, 4.2, 3.8, .5, .4, 1.1, 1.2, 3, .2}, 8, 2)
	for _, c := range []struct {
		rule Rule
		want []int
	}{
		{Herd{}, []int{6, 7, 2, 3}},
		{Herd{Prototype: Remaining}, []int{6, 1, 7, 5}},
		{Nearest{}, []int{6, 1, 5, 7}},
	} {
		if got := c.rule.Select(x, 4, 0); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.rule, got, c.want)
		}
	}
	// The moving prototypes.
	s := newSearch(x, 4)
	for k, want := range [][]float64{{1.725, 1.325}, {2.35, 1.45}, {1.075, 2.575}, {2.8, 2.9}} {
		if k > 0 {
			s.update(0, float64(k)+1, -1)
		}
		closeTo(t, "prototype", s.p, want, 1e-6)
		s.pick(s.nearest())
	}
	if got := (KCenter{}).Select(x, 3, 0); !slices.Equal(got, []int{6, 4, 7}) {
		t.Errorf("k-center: %v", got)
	}
}

func TestHerdingIsICaRL(t *testing.T) {
	trials := 1000
	if testing.Short() {
		trials = 100
	}
	rng := rand.New(rand.NewPCG(2, 3))
	for trial := range trials {
		n, d := 2+rng.IntN(40), 1+rng.IntN(12)
		x := tensor.New(n, d)
		x.FillNormal(rng, 0.3, 1)
		if trial%2 == 0 {
			x = unitRows(x)
		}
		if d == 1 && trial%2 == 0 {
			continue // rows of 1 and -1 are all alike
		}
		m := 1 + rng.IntN(n)
		if got, want := (Herd{}).Select(x, m, 0), icarl(x, m); !slices.Equal(got, want) {
			t.Fatalf("trial %d: %d of %d rows of %d: %v, want %v", trial, m, n, d, got, want)
		}
		if trial%10 > 0 {
			continue
		}
		for _, h := range []Herd{{Prototype: Remaining}, {Prototype: Selected}} {
			if got, want := h.Select(x, m, 0), naive(x, m, h); !slices.Equal(got, want) {
				t.Fatalf("trial %d, %v: %v, want %v", trial, h, got, want)
			}
		}
	}
}

// TestRules: no row twice, the rows asked for, a prefix where promised, and the same rows
// whatever their order.
func TestRules(t *testing.T) {
	x := unitRows(random(12, 60, 7))
	perm := rand.New(rand.NewPCG(1, 1)).Perm(60)
	y := tensor.New(60, 7)
	for i, k := range perm {
		y.Index(i).CopyFrom(x.Index(k))
	}
	names := map[string]bool{}
	for _, r := range rules {
		names[r.String()] = true
		long := r.Select(x, 60, 5)
		if sorted := slices.Sorted(slices.Values(long)); len(sorted) != 60 || sorted[0] != 0 || sorted[59] != 59 || len(slices.Compact(sorted)) != 60 {
			t.Errorf("%v: of 60 rows %v", r, long)
		}
		for _, m := range []int{1, 7, 30} {
			short := r.Select(x, m, 5)
			if len(short) != m {
				t.Fatalf("%v: %d rows, want %d", r, len(short), m)
			}
			if prefixes(r) && !slices.Equal(short, long[:m]) {
				t.Errorf("%v: %v is not a prefix of %v", r, short, long)
			}
			if !slices.Equal(short, r.Select(x, m, 5)) {
				t.Errorf("%v: another choice the second time", r)
			}
			if _, drawn := r.(Random); drawn || r == (KMedoids{}) {
				continue
			}
			other := r.Select(y, m, 5)
			for k := range other {
				other[k] = perm[other[k]]
			}
			if !slices.Equal(other, short) {
				t.Errorf("%v: %v of permuted rows, want %v", r, other, short)
			}
		}
		for want, f := range map[string]func(){"0 of the rows": func() { r.Select(x, 0, 0) }, "61 of the rows": func() { r.Select(x, 61, 0) }} {
			panics(t, want, f)
		}
	}
	if len(names) != len(rules) {
		t.Errorf("names %v", names)
	}
	if slices.Equal((Random{}).Select(x, 20, 1), (Random{}).Select(x, 20, 2)) {
		t.Error("two seeds draw the same rows")
	}
	// Equal rows: the first.
	if got := (Herd{}).Select(tensor.New(5, 3), 3, 0); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("of equal rows %v", got)
	}
	// A batch selects by one prototype.
	if a, b := (Herd{Batch: 60}).Select(x, 20, 0), (Nearest{}).Select(x, 20, 0); !slices.Equal(a, b) {
		t.Errorf("one batch %v, nearest %v", a, b)
	}
	panics(t, "Eta 2", func() { Herd{Eta: 2}.Select(x, 1, 0) })
	panics(t, "Prototype 9", func() { Herd{Prototype: 9}.Select(x, 1, 0) })
}

// TestMedoids: one sample of each of three clumps, that of the largest first.
func TestMedoids(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	x := tensor.New(60, 2)
	clump := make([]int, 60)
	for i := range 60 {
		clump[i] = min(i%6, 3) % 3 // 40, 10, 10
		for j := range 2 {
			x.Data()[2*i+j] = float32(0.1 * rng.NormFloat64())
		}
		x.Data()[2*i] += float32(10 * clump[i])
		x.Data()[2*i+1] += float32(10 * (clump[i] % 2))
	}
	var central [3]int // the sample nearest to the mean of each clump
	for c := range central {
		var members []int
		for i := range clump {
			if clump[i] == c {
				members = append(members, i)
			}
		}
		part := tensor.New(len(members), 2)
		for k, i := range members {
			part.Index(k).CopyFrom(x.Index(i))
		}
		central[c] = members[Nearest{}.Select(part, 1, 0)[0]]
	}
	for seed := range uint64(5) {
		picked := KMedoids{}.Select(x, 3, seed)
		if got := []int{clump[picked[0]], clump[picked[1]], clump[picked[2]]}; got[0] != 0 || got[1]+got[2] != 3 {
			t.Errorf("seed %d: clumps %v", seed, got)
		}
		for _, i := range picked {
			if i != central[clump[i]] {
				t.Errorf("seed %d: sample %d of clump %d, want its most central one, %d", seed, i, clump[i], central[clump[i]])
			}
		}
	}
	// k-means++ draws with a probability in proportion to the squared distance.
	line := tensor.FromSlice([]float32{0, 1, 3}, 3, 1)
	var next [2]float64
	for seed := range uint64(3000) {
		if c := plusPlus(line, 2, seed).Data(); c[0] == 0 {
			next[int(c[1])/2]++
		}
	}
	if share := next[1] / (next[0] + next[1]); !(math.Abs(share-0.9) < 0.04) {
		t.Errorf("the farther of two, three times as far, is drawn in a share of %.3f, want 0.9", share)
	}
}

// meanError is the distance of the mean of some rows from that of all.
func meanError(x *tensor.Tensor, rows []int) float64 {
	n, d := x.Dim(0), x.Dim(1)
	diff := make([]float64, d)
	for i, v := range x.Data() {
		diff[i%d] += float64(v) / float64(n)
	}
	for _, r := range rows {
		for j, v := range x.Index(r).Data() {
			diff[j] -= float64(v) / float64(len(rows))
		}
	}
	sum := 0.0
	for _, v := range diff {
		sum += v * v
	}
	return math.Sqrt(sum)
}

// TestHerdingError: the error of the mean falls like 1/m under herding, like 1/sqrt(m) at
// random, and hardly for the samples nearest to the mean. The numbers are those of a
// simulation of this setting.
func TestHerdingError(t *testing.T) {
	const trials = 40
	sizes := []int{1, 2, 5, 10, 20, 40}
	for _, c := range []struct {
		rule Rule
		want []float64
	}{
		{Herd{}, []float64{.797, .429, .163, .081, .041, .021}},
		{Random{}, []float64{.946, .670, .430, .285, .192, .126}},
		{Nearest{}, []float64{.797, .652, .514, .434, .353, .265}},
	} {
		got := make([]float64, len(sizes))
		for trial := range uint64(trials) {
			x := unitRows(random(100+trial, 120, 16))
			picked := c.rule.Select(x, 40, trial)
			for i, m := range sizes {
				got[i] += meanError(x, picked[:m]) / trials
			}
		}
		for i := range sizes {
			if !(math.Abs(got[i]/c.want[i]-1) < 0.2) {
				t.Errorf("%v: errors %.3f, want about %.3f", c.rule, got, c.want)
				break
			}
		}
	}
}

// TestHerdingManyRows: the products of all rows at once and one by one give one selection,
// and float64's.
func TestHerdingManyRows(t *testing.T) {
	x := unitRows(random(9, 300, 24))
	long := Herd{}.Select(x, 300, 0)
	if short := (Herd{}).Select(x, 30, 0); !slices.Equal(short, long[:30]) {
		t.Errorf("%v, want %v", short, long[:30])
	}
	if want := icarl(x, 300); !slices.Equal(long, want) {
		t.Errorf("%v, want %v", long, want)
	}
	// Pairs of rows that differ by a last bit: float32 cannot tell which one is nearer.
	for i := range 150 {
		a, b := x.Index(2*i), x.Index(2*i+1)
		b.CopyFrom(a)
		b.Data()[i%24] = math.Nextafter32(a.Data()[i%24], float32(2*(i%2)-1))
	}
	if got, want := (Herd{}).Select(x, 60, 0), icarl(x, 60); !slices.Equal(got, want) {
		t.Errorf("of pairs %v, want %v", got, want)
	}
}

func BenchmarkHerd(b *testing.B) {
	for name, c := range map[string][3]int{
		"500x64/20": {500, 64, 20}, "500x64/all": {500, 64, 500}, "5000x512/20": {5000, 512, 20}, "5000x512/all": {5000, 512, 5000},
	} {
		b.Run(name, func(b *testing.B) {
			x := unitRows(random(1, c[0], c[1]))
			start := time.Now()
			for b.Loop() {
				Herd{}.Select(x, c[2], 0)
			}
			b.ReportMetric(float64(time.Since(start).Milliseconds())/float64(b.N), "ms")
		})
	}
}
