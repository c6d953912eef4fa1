package longtail

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
)

var variants = []Variant{Graph, Attended, Relation, Distances, Features}

// retention returns the loss, and its gradient to the current features.
func retention(r Retention, old, current *tensor.Tensor) (float64, []float64) {
	tape := autograd.NewTape(autograd.Training, 0)
	g := tape.Watch(current)
	loss := r.Loss(tape.Input(old), g)
	return loss.Scalar(), floats64(tape.Gradients(loss).Of(g).Data())
}

// reference computes the loss by the formulas in float64.
func reference(r Retention, old, current []float64, b, d int) float64 {
	o, g := slices.Clone(old), slices.Clone(current)
	norm := func(x []float64) {
		for i := range b {
			n := math.Sqrt(inner(x[i*d:(i+1)*d], x[i*d:(i+1)*d]))
			for j := range d {
				x[i*d+j] /= n
			}
		}
	}
	if !r.Raw {
		norm(o)
		norm(g)
	}
	row := func(x []float64, i int) []float64 { return x[i*d : (i+1)*d] }
	dist := func(x, y []float64) float64 { return inner(x, x) - 2*inner(x, y) + inner(y, y) }
	coefficients := func(x []float64, symmetric bool) [][]float64 {
		a := make([][]float64, b)
		for i := range a {
			a[i] = make([]float64, b)
			sum := 0.0
			for j := range b {
				if r.ExcludeSelf && i == j {
					continue
				}
				s := inner(row(x, i), row(x, j)) / math.Sqrt(inner(row(x, i), row(x, i))*inner(row(x, j), row(x, j)))
				if r.Distance {
					s = -dist(row(x, i), row(x, j))
				}
				a[i][j] = math.Exp(s / r.Tau)
				sum += a[i][j]
			}
			for j := range b {
				a[i][j] /= sum
			}
		}
		if symmetric {
			c := make([][]float64, b)
			for i := range c {
				c[i] = make([]float64, b)
				for j := range b {
					c[i][j] = (a[i][j] + a[j][i]) / 2
				}
			}
			a = c
		}
		return a
	}
	a := coefficients(o, r.Symmetric)
	sum := 0.0
	for i := range b {
		switch r.Variant {
		case Graph:
			for j := range b {
				sum += a[i][j] * dist(row(o, i), row(g, j))
			}
		case Attended:
			diff := slices.Clone(row(o, i))
			for j := range b {
				for k := range d {
					diff[k] -= a[i][j] * g[j*d+k]
				}
			}
			sum += inner(diff, diff)
		case Relation:
			a, c := coefficients(o, false), coefficients(g, false)
			for j := range b {
				if a[i][j] > 0 {
					sum += a[i][j] * math.Log(a[i][j]/c[i][j])
				}
			}
		case Distances:
			for j := range b {
				e := dist(row(o, i), row(g, j)) - dist(row(o, i), row(o, j))
				sum += a[i][j] * e * e
			}
		case Features:
			sum += dist(row(o, i), row(g, i))
		}
	}
	return sum / float64(b)
}

func inner(x, y []float64) float64 {
	s := 0.0
	for i := range x {
		s += x[i] * y[i]
	}
	return s
}

var (
	toyOld = tensor.FromSlice([]float32{1, 0, 0, 1, 1, 1}, 3, 2)
	toyNew = tensor.FromSlice([]float32{1, .5, 0, 1, .5, 1}, 3, 2)
)

// TestRetentionToy: numbers worked out from the formulas.
func TestRetentionToy(t *testing.T) {
	tape := autograd.NewTape(autograd.Eval, 0)
	a := Retention{}.coefficients(autograd.NormalizeRows(tape.Input(toyOld), 0), 0.1)
	closeTo(t, "coefficients", floats64(a.Data()), []float64{.949217, 4.3e-5, .05074, 4.3e-5, .949217, .05074, .048291, .048291, .903417}, 1e-6)
	for _, c := range []struct {
		r            Retention
		value, atOld float64
	}{
		{Retention{}, .131111, .038731},
		{Retention{Tau: 0.1}, .131111, .038731},
		{Retention{ExcludeSelf: true}, .554149, math.NaN()},
		{Retention{Variant: Attended}, .111522, .001275},
		{Retention{Variant: Relation}, .114169, 0},
		{Retention{Variant: Distances}, .027991, 0},
	} {
		got, _ := retention(c.r, toyOld, toyNew)
		closeTo(t, c.r.Variant.String(), []float64{got}, []float64{c.value}, 1e-6)
		if at, _ := retention(c.r, toyOld, toyOld); !math.IsNaN(c.atOld) && !(math.Abs(at-c.atOld) < 1e-6) {
			t.Errorf("%v: %v at the old features, want %v", c.r.Variant, at, c.atOld)
		}
	}
	least := tensor.FromSlice([]float32{.985778, .034274, .034274, .985778, .686192, .686192}, 3, 2)
	unit := unitRows(toyOld)
	r := Retention{Raw: true}
	value, gradient := retention(r, unit, least)
	closeTo(t, "the minimum", []float64{value}, []float64{.037523}, 1e-6)
	closeTo(t, "its gradient", gradient, make([]float64, 6), 1e-6)

	// Gradient descent from the old features ends there.
	g := unit.Clone()
	for range 50 {
		_, gradient := retention(r, unit, g)
		for i, v := range gradient {
			g.Data()[i] -= float32(v)
		}
	}
	closeTo(t, "50 steps", floats64(g.Data()), floats64(least.Data()), 1e-5)
}

// TestRetentionFormulas: all variants and options are what the formulas say, and their
// gradients central differences of these in float64.
func TestRetentionFormulas(t *testing.T) {
	const b, d = 6, 4
	old, current := random(1, b, d), random(2, b, d)
	for i, v := range old.Data() {
		current.Data()[i] = v + 0.5*current.Data()[i]
	}
	for _, v := range variants {
		for bits := range 16 {
			r := Retention{Variant: v, Tau: 0.5, Distance: bits&1 > 0, ExcludeSelf: bits&2 > 0, Symmetric: bits&4 > 0, Raw: bits&8 > 0}
			o, g := floats64(old.Data()), floats64(current.Data())
			want := reference(r, o, g, b, d)
			value, gradient := retention(r, old, current)
			if !(math.Abs(value-want) <= 1e-5*math.Abs(want)+1e-6) {
				t.Errorf("%+v: %v, want %v", r, value, want)
			}
			slope := make([]float64, len(g))
			largest := 0.0
			for i := range g {
				const step = 1e-5
				at := g[i]
				g[i] = at + step
				up := reference(r, o, g, b, d)
				g[i] = at - step
				slope[i] = (up - reference(r, o, g, b, d)) / (2 * step)
				g[i] = at
				largest = max(largest, math.Abs(slope[i]))
			}
			closeTo(t, "gradient", gradient, slope, 2e-5*largest)
		}
	}
}

func TestRetentionProperties(t *testing.T) {
	const b, d = 12, 5
	old, current := random(3, b, d), random(4, b, d)
	tape := autograd.NewTape(autograd.Training, 0)
	for _, r := range []Retention{{}, {ExcludeSelf: true}, {Distance: true, Tau: 2}, {Tau: 1e-3}} {
		o := autograd.NormalizeRows(tape.Input(old), tiny)
		a := r.coefficients(o, max(r.Tau, 0.1)).Value()
		for i := range b {
			sum := 0.0
			for j := range b {
				sum += float64(a.At(i, j))
			}
			if !(math.Abs(sum-1) < 1e-6) || r.ExcludeSelf && a.At(i, i) != 0 {
				t.Errorf("%+v: row %d sums to %v, with %v for itself", r, i, sum, a.At(i, i))
			}
		}
	}
	// Nothing flows to the old features.
	for _, v := range variants {
		o := tape.Watch(old)
		loss := Retention{Variant: v}.Loss(o, tape.Watch(current))
		if g := tape.Gradients(loss, o).Of(o); g != nil && slices.ContainsFunc(g.Data(), func(v float32) bool { return v != 0 }) {
			t.Errorf("%v: a gradient to the old features", v)
		}
		if same, _ := retention(Retention{Variant: v}, old, old); v >= Relation && !(math.Abs(same) < 1e-6) {
			t.Errorf("%v: %v at the old features", v, same)
		}
	}
	// A sharp softmax leaves each node to itself, a flat one to all.
	sharp, gs := retention(Retention{Tau: 1e-3}, old, current)
	plain, gp := retention(Retention{Variant: Features}, old, current)
	closeTo(t, "tau to 0", append(gs, sharp), append(gp, plain), 1e-5)
	flat, _ := retention(Retention{Tau: 1e6}, old, current)
	o, g := floats64(unitRows(old).Data()), floats64(unitRows(current).Data())
	want := 0.0
	for i := range b {
		for j := range b {
			want += (2 - 2*inner(o[i*d:(i+1)*d], g[j*d:(j+1)*d])) / (b * b)
		}
	}
	closeTo(t, "tau to infinity", []float64{flat}, []float64{want}, 1e-5)

	// The order of the batch does not matter. A common rotation of the current features
	// matters to all but Relation.
	perm := rand.New(rand.NewPCG(1, 1)).Perm(b)
	po, pc, turned := tensor.New(b, d), tensor.New(b, d), current.Clone()
	for i, k := range perm {
		po.Index(i).CopyFrom(old.Index(k))
		pc.Index(i).CopyFrom(current.Index(k))
	}
	for i := range b {
		row := turned.Index(i).Data()
		x, y := row[0], row[1]
		row[0], row[1] = float32(.6*x)-float32(.8*y), float32(.8*x)+float32(.6*y)
	}
	for _, v := range variants {
		r := Retention{Variant: v}
		value, _ := retention(r, old, current)
		permuted, _ := retention(r, po, pc)
		rotated, _ := retention(r, old, turned)
		if !(math.Abs(permuted-value) < 1e-5*max(1, value)) {
			t.Errorf("%v: %v for a permuted batch, was %v", v, permuted, value)
		}
		if same := math.Abs(rotated-value) < 1e-5*max(1, value); same != (v == Relation) {
			t.Errorf("%v: %v for turned features, was %v", v, rotated, value)
		}
	}
}

func TestDistill(t *testing.T) {
	old, current := random(5, 4, 3), random(6, 4, 5)
	value := func(temperature float64) float64 {
		tape := autograd.NewTape(autograd.Training, 0)
		return Distill(tape.Input(old), tape.Input(current), temperature).Scalar()
	}
	for _, temperature := range []float64{1, 2} {
		want := 0.0
		for k := range 4 {
			soft := func(z []float32) []float64 {
				p, sum := make([]float64, 3), 0.0
				for c := range p {
					p[c] = math.Exp(float64(z[c]) / temperature)
					sum += p[c]
				}
				for c := range p {
					p[c] /= sum
				}
				return p
			}
			p, q := soft(old.Index(k).Data()), soft(current.Index(k).Data())
			for c := range p {
				want += p[c] * math.Log(p[c]/q[c]) * temperature * temperature / 4
			}
		}
		if got := value(temperature); !(math.Abs(got-want) < 1e-5) {
			t.Errorf("temperature %v: %v, want %v", temperature, got, want)
		}
	}
	tape := autograd.NewTape(autograd.Training, 0)
	o, c := tape.Watch(old), tape.Watch(current)
	g := tape.Gradients(Distill(o, c, 2))
	if g.Of(o) != nil && slices.ContainsFunc(g.Of(o).Data(), func(v float32) bool { return v != 0 }) {
		t.Error("a gradient to the old logits")
	}
	if d := g.Of(c); d == nil || d.At(0, 0) == 0 || d.At(0, 4) != 0 {
		t.Errorf("gradient %v", d)
	}
	if err := autograd.GradCheck(func(x ...autograd.Var) autograd.Var { return Distill(x[0].Tape().Input(old), x[0], 2) }, autograd.Check{}, current); err != nil {
		t.Error(err)
	}
	if v := Distill(c, c, 2).Scalar(); !(math.Abs(v) < 1e-6) {
		t.Errorf("%v for equal logits", v)
	}
}

// TestTeacher: its outputs are the network's in eval mode as it was, and stay so.
func TestTeacher(t *testing.T) {
	net := models.ResNet20(1, 3)
	x := random(7, 2, 3, 32, 32)
	before := forward(net.Backbone, x)
	teacher := NewTeacher(net.Backbone)
	tape := autograd.NewTape(autograd.Training, 0)
	net.Forward(tape.Input(x)) // moves running statistics
	for _, p := range nn.Params(net) {
		p.Update(func(w []float32) { w[0]++ })
	}
	if got := teacher.Of(x).Data(); !slices.Equal(got, before) {
		t.Error("the teacher changed with the network")
	}
	if got := teacher.Of(x).Data(); !slices.Equal(got, before) || slices.Equal(before, forward(net.Backbone, x)) {
		t.Error("the second time it makes other features, or the network did not change")
	}
	for _, p := range nn.Params(teacher) {
		if !p.Frozen() {
			t.Error("a parameter is not frozen")
		}
	}
}

// TestRetentionAllocatesNothing in steady state, backward pass included.
func TestRetentionAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget")
	}
	old, current := random(8, 32, 16), random(9, 32, 16)
	for _, v := range variants {
		for _, r := range []Retention{{Variant: v}, {Variant: v, Distance: true, ExcludeSelf: true, Symmetric: true}} {
			tape := autograd.NewTape(autograd.Training, 0)
			step := func() {
				tape.Reset()
				g := tape.Watch(current)
				tape.Gradients(r.Loss(tape.Input(old), g))
			}
			watch := func() {
				tape.Reset()
				g := tape.Watch(current)
				tape.Gradients(autograd.Sum(g))
			}
			for range 3 {
				step()
			}
			got := testing.AllocsPerRun(20, step)
			for range 3 {
				watch()
			}
			if base := testing.AllocsPerRun(20, watch); got > base {
				t.Errorf("%+v: %v allocations in a step, %v without the loss", r, got, base)
			}
		}
	}
}

func TestVariantNames(t *testing.T) {
	for _, v := range append(variants, 77) {
		b, err := json.Marshal(Retention{Variant: v})
		var back Retention
		if err == nil {
			err = json.Unmarshal(b, &back)
		}
		if (err == nil) != (v != 77) || err == nil && back.Variant != v {
			t.Errorf("%v: %s, %v", v, b, err)
		}
	}
	var r Retention
	if err := json.Unmarshal([]byte(`{"variant": "grph"}`), &r); err == nil {
		t.Error("a variant of no name")
	}
	tape := autograd.NewTape(autograd.Training, 0)
	x, y := tape.Input(toyOld), tape.Input(tensor.New(3, 3))
	one := tape.Input(tensor.New(1, 2))
	panics(t, "Variant(77)", func() { Retention{Variant: 77}.Loss(x, x) })
	panics(t, "want two [B, d]", func() { Retention{}.Loss(x, y) })
	panics(t, "tau -1", func() { Retention{Tau: -1}.Loss(x, x) })
	panics(t, "no others", func() { Retention{ExcludeSelf: true}.Loss(one, one) })
	panics(t, "want logits", func() { Distill(y, x, 2) })
	panics(t, "temperature 0", func() { Distill(x, y, 0) })
}
