package longtail

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/data"
)

// chiSquare returns the statistic of counts against probabilities, in standard deviations
// from its mean: it has len-1 degrees of freedom.
func chiSquare(counts []int, probability []float64) float64 {
	n := 0
	for _, c := range counts {
		n += c
	}
	x := 0.0
	for i, c := range counts {
		e := probability[i] * float64(n)
		x += (float64(c) - e) * (float64(c) - e) / e
	}
	k := float64(len(counts) - 1)
	return (x - k) / math.Sqrt(2*k)
}

func uniform(n int) []float64 {
	p := make([]float64, n)
	for i := range p {
		p[i] = 1 / float64(n)
	}
	return p
}

// tally counts classes and samples of so many epochs from the first.
func tally(d data.Dataset, order Order, first, epochs int) (classes, samples []int) {
	classes, samples = make([]int, d.Classes()), make([]int, d.Len())
	for e := first; e < first+epochs; e++ {
		for _, i := range order(e) {
			classes[d.Label(i)]++
			samples[i]++
		}
	}
	return classes, samples
}

var samplerCounts = []int{60, 25, 10, 4, 1}

func TestClassProbabilities(t *testing.T) {
	d := labelled(t, mixed(samplerCounts...), 5)
	power := func(q float64) []float64 {
		p := make([]float64, 5)
		sum := 0.0
		for c, n := range samplerCounts {
			p[c] = math.Pow(float64(n), q)
			sum += p[c]
		}
		for c := range p {
			p[c] /= sum
		}
		return p
	}
	half := make([]float64, 5)
	for c := range half {
		half[c] = power(1)[c]/2 + power(0)[c]/2
	}
	const length = 1000
	for _, replace := range []bool{false, true} {
		o := SamplerOptions{Seed: 11, Length: length, WithReplacement: replace}
		for name, c := range map[string]struct {
			make   func() (Order, error)
			first  int
			epochs int
			want   []float64
		}{
			"power 0":     {func() (Order, error) { return Power(d, 0, o) }, 0, 100, power(0)},
			"power 0.3":   {func() (Order, error) { return Power(d, 0.3, o) }, 0, 100, power(0.3)},
			"power 1":     {func() (Order, error) { return Power(d, 1, o) }, 0, 100, power(1)},
			"square root": {func() (Order, error) { return SquareRoot(d, o) }, 0, 100, power(0.5)},
			"reversed":    {func() (Order, error) { return Reversed(d, o) }, 0, 100, power(-1)},
			"start":       {func() (Order, error) { return Progressive(d, 10, o) }, 0, 1, power(1)},
			"middle":      {func() (Order, error) { return Progressive(d, 2, o) }, 1, 1, half},
			"end":         {func() (Order, error) { return Progressive(d, 10, o) }, 10, 50, power(0)},
		} {
			order, err := c.make()
			if err != nil {
				t.Fatal(err)
			}
			classes, _ := tally(d, order, c.first, c.epochs)
			if x := chiSquare(classes, c.want); !(math.Abs(x) < 4) {
				t.Errorf("%s, replacement %v: classes %v, %.1f standard deviations from %v", name, replace, classes, x, c.want)
			}
			if n := len(order(7)); n != length {
				t.Errorf("%s: %d samples", name, n)
			}
		}
	}
}

// TestSamplesOfAClass: with replacement a sample of a class comes as chance will; without,
// no sample comes twice before all have come, across epochs for the balanced sampler and
// in an epoch for the others.
func TestSamplesOfAClass(t *testing.T) {
	d := labelled(t, mixed(samplerCounts...), 5)
	spread := func(samples []int, c int) (lo, hi int, list []int) {
		for i, n := range samples {
			if d.Label(i) == c {
				list = append(list, n)
			}
		}
		return slices.Min(list), slices.Max(list), list
	}
	balanced, err := ClassBalanced(d, SamplerOptions{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	for epochs := 1; epochs <= 30; epochs++ {
		classes, samples := tally(d, balanced, 0, epochs)
		if lo, hi := slices.Min(classes), slices.Max(classes); hi-lo > 1 {
			t.Fatalf("after %d epochs the classes came %v times", epochs, classes)
		}
		for c := range 5 {
			if lo, hi, list := spread(samples, c); hi-lo > 1 {
				t.Fatalf("after %d epochs samples of class %d came %v times", epochs, c, list)
			}
		}
	}
	// Visits for four samples each: balanced, and no sample twice before all came once.
	aware, err := ClassAware(d, 4, SamplerOptions{Seed: 5, Length: 70})
	if err != nil {
		t.Fatal(err)
	}
	var run []int
	for e := range 30 {
		run = append(run, aware(e)...)
		classes, samples := tally(d, aware, 0, e+1)
		if lo, hi := slices.Min(classes), slices.Max(classes); hi-lo > 4 {
			t.Fatalf("after %d epochs of visits the classes came %v times", e+1, classes)
		}
		for c := range 5 {
			if lo, hi, list := spread(samples, c); hi-lo > 1 {
				t.Fatalf("after %d epochs of visits samples of class %d came %v times", e+1, c, list)
			}
		}
	}
	var visited []int
	for visit := range slices.Chunk(run, 4) {
		for _, i := range visit {
			if d.Label(i) != d.Label(visit[0]) {
				t.Fatalf("a visit has samples of classes %d and %d", d.Label(visit[0]), d.Label(i))
			}
		}
		visited = append(visited, d.Label(visit[0]))
	}
	if slices.Equal(visited[:5], visited[5:10]) && slices.Equal(visited[:5], visited[10:15]) {
		t.Errorf("rounds visit the classes in one order, %v", visited[:5])
	}
	for round := range slices.Chunk(visited, 5) {
		if slices.Sort(round); len(round) == 5 && !slices.Equal(round, []int{0, 1, 2, 3, 4}) {
			t.Fatalf("a round visits %v", round)
		}
	}
	drawn, err := ClassAware(d, 4, SamplerOptions{Seed: 5, Length: 10000, WithReplacement: true})
	if err != nil {
		t.Fatal(err)
	}
	classes, samples := tally(d, drawn, 0, 10)
	_, _, list := spread(samples, 0)
	if x := chiSquare(list, uniform(60)); !(math.Abs(x) < 4) || slices.Max(classes) != slices.Min(classes) {
		t.Errorf("visits with replacement: classes %v, samples of class 0 %v, %.1f standard deviations from even", classes, list, x)
	}
	power, err := Power(d, 0.5, SamplerOptions{Seed: 5, Length: 500})
	if err != nil {
		t.Fatal(err)
	}
	_, samples = tally(d, power, 3, 1)
	if lo, hi, list := spread(samples, 0); hi-lo > 1 {
		t.Errorf("in an epoch samples came %v times", list)
	}
	of := func(order []int, c int) []int {
		return slices.DeleteFunc(order, func(i int) bool { return d.Label(i) != c })
	}
	if a, b := of(power(0), 0), of(power(1), 0); slices.Equal(a[:20], b[:20]) {
		t.Error("two epochs deal from one pack")
	}
	for name, make := range map[string]func(data.Dataset, SamplerOptions) (Order, error){"balanced": ClassBalanced, "root": SquareRoot, "instance": Instance} {
		drawn, err := make(d, SamplerOptions{Seed: 5, Length: 10000, WithReplacement: true})
		if err != nil {
			t.Fatal(err)
		}
		_, samples = tally(d, drawn, 0, 10)
		_, _, list := spread(samples, 0)
		if x := chiSquare(list, uniform(60)); !(math.Abs(x) < 4) {
			t.Errorf("%s with replacement: samples came %v times, %.1f standard deviations from even", name, list, x)
		}
	}
	instance, err := Instance(d, SamplerOptions{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	if _, samples := tally(d, instance, 4, 1); slices.Min(samples) != 1 || slices.Max(samples) != 1 {
		t.Errorf("instances came %v times", samples)
	}
	part, err := Instance(d, SamplerOptions{Seed: 5, Length: 30})
	if err != nil {
		t.Fatal(err)
	}
	if _, samples := tally(d, part, 0, 10); slices.Min(samples) != 3 || slices.Max(samples) != 3 {
		t.Errorf("in 10 epochs of 30 of 100 samples they came %v times", samples)
	}
}

// TestOrdersAreFunctions: of the epoch and the seed, and of nothing else.
func TestOrdersAreFunctions(t *testing.T) {
	d := labelled(t, mixed(samplerCounts...), 5)
	makers := map[string]func(data.Dataset, SamplerOptions) (Order, error){
		"instance": Instance, "balanced": ClassBalanced, "root": SquareRoot, "reversed": Reversed,
		"progressive": func(d data.Dataset, o SamplerOptions) (Order, error) { return Progressive(d, 4, o) },
		"visits":      func(d data.Dataset, o SamplerOptions) (Order, error) { return ClassAware(d, 4, o) },
	}
	for name, make := range makers {
		for _, replace := range []bool{false, true} {
			o := SamplerOptions{Seed: 1, WithReplacement: replace}
			a, err := make(d, o)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := make(d, o)
			o.Seed = 2
			c, _ := make(d, o)
			late := b(5)
			for e := range 6 { // the later epoch first
				if got := a(e); e == 5 && !slices.Equal(got, late) {
					t.Errorf("%s: epoch 5 depends on what was asked before", name)
				}
			}
			if slices.Equal(a(0), c(0)) || slices.Equal(a(0), a(1)) {
				t.Errorf("%s: seeds or epochs share an order", name)
			}
			if len(a(0)) != d.Len() {
				t.Errorf("%s: %d samples", name, len(a(0)))
			}
		}
	}
	order, err := ClassBalanced(d, SamplerOptions{Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	run := func(workers int) (indices []int, pixels []float32) {
		l, err := data.NewLoader(d, data.LoaderOptions{BatchSize: 7, Order: order, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for b, err := range l.Batches(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				indices, pixels = append(indices, b.Indices...), append(pixels, b.X.Data()...)
			}
		}
		return indices, pixels
	}
	i1, p1 := run(1)
	i4, p4 := run(4)
	if !slices.Equal(i1, i4) || !slices.Equal(p1, p4) || !slices.Equal(i1, slices.Concat(order(0), order(1))) {
		t.Error("batches depend on the workers")
	}
}

func TestBadSamplers(t *testing.T) {
	d := labelled(t, []int{0, 2, 0}, 3)
	for _, f := range []func() (Order, error){
		func() (Order, error) { return ClassBalanced(d, SamplerOptions{}) },
		func() (Order, error) { return Reversed(d, SamplerOptions{}) },
		func() (Order, error) { return Progressive(d, 3, SamplerOptions{}) },
	} {
		if _, err := f(); err == nil || !strings.Contains(err.Error(), "class 1 of 3 has no samples") {
			t.Errorf("%v", err)
		}
	}
	if _, err := Instance(labelled(t, nil, 3), SamplerOptions{}); !errors.Is(err, data.ErrEmpty) {
		t.Errorf("%v", err)
	}
	d = labelled(t, []int{0, 1}, 2)
	panics(t, "-1 samples", func() { Instance(d, SamplerOptions{Length: -1}) })
	panics(t, "power NaN", func() { Power(d, math.NaN(), SamplerOptions{}) })
	panics(t, "0 samples for each visit", func() { ClassAware(d, 0, SamplerOptions{}) })
	panics(t, "0 epochs", func() { Progressive(d, 0, SamplerOptions{}) })
}
