package ssl

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/tensor"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// blobs are n features of so many classes about directions of their own.
func blobs(seed uint64, n, classes, d int, spread float32) *eval.Outputs {
	centres, noise := normal(99, classes, d), normal(seed, n, d)
	out := &eval.Outputs{Y: tensor.New(n, d)}
	for i := range n {
		y := i % classes
		out.Labels = append(out.Labels, y)
		for j := range d {
			out.Y.Data()[i*d+j] = centres.Data()[y*d+j] + spread*noise.Data()[i*d+j]
		}
	}
	return out
}

// TestKNN compares with a sort of all neighbours.
func TestKNN(t *testing.T) {
	bank, queries := blobs(1, 700, 7, 6, 1), blobs(2, 300, 7, 6, 1)
	k := KNN{K: 20, T: 0.1}
	got := k.Votes(bank, queries, 7)
	for q := range 300 {
		a := queries.Y.Index(q)
		cos := make([]float64, 700)
		for i := range cos {
			b := bank.Y.Index(i)
			dot := 0.0
			for j, v := range a.Data() {
				dot += float64(v) * float64(b.Data()[j])
			}
			cos[i] = dot / a.Norm(2) / b.Norm(2)
		}
		want := make([]float64, 7)
		for range 20 {
			best := 0
			for i, c := range cos {
				if c > cos[best] {
					best = i
				}
			}
			want[bank.Labels[best]] += math.Exp((cos[best] - 1) / 0.1)
			cos[best] = math.Inf(-1)
		}
		for c, w := range want {
			near(t, "a vote", float64(got.Y.At(q, c)), w, 1e-4)
		}
	}
	if acc := got.Accuracy(); acc < 0.6 {
		t.Errorf("accuracy %v", acc)
	}
	// More neighbours than there are count all; ties go by the order of the bank.
	small := &eval.Outputs{Y: matrix(2, 1, 0, 1, 0, 0, 1), Labels: []int{2, 1, 0}}
	one := &eval.Outputs{Y: matrix(2, 3, 0), Labels: []int{2}}
	if v := (KNN{K: 1}).Votes(small, one, 3); v.Predictions()[0] != 2 {
		t.Errorf("the nearest is %d", v.Predictions()[0])
	}
	if v := (KNN{}).Votes(small, one, 3); v.Y.At(0, 1) != v.Y.At(0, 2) || v.Y.At(0, 2) < 0.99 {
		t.Errorf("votes %v", v.Y)
	}
	if !strings.Contains(KNN{}.String(), "200 nearest") {
		t.Error(KNN{}.String())
	}
}

func TestOnlineKNN(t *testing.T) {
	o := NewOnlineKNN(KNN{K: 5}, 10, 4)
	train := blobs(1, 16, 2, 4, 0.1)
	o.Add(train.Y.Slice(0, 8), train.Labels[:8])
	o.Add(train.Y.Slice(8, 16), train.Labels[8:]) // over the end
	if o.Next != 16 {
		t.Fatal(o.Next)
	}
	compare(t, "the first row", o.Bank.Index(0).Data(), train.Y.Index(10).Data())
	compare(t, "the last row", o.Bank.Index(9).Data(), train.Y.Index(9).Data())
	if acc := o.Online(blobs(2, 20, 2, 4, 0.1), 2).Accuracy(); acc != 1 {
		t.Errorf("accuracy %v", acc)
	}
}

func TestLinearProbe(t *testing.T) {
	train, test := blobs(1, 400, 4, 8, 0.5), blobs(2, 200, 4, 8, 0.5)
	for i := range train.Y.Data() { // a scale that standardisation must take away
		train.Y.Data()[i] *= 1e-3
	}
	for i := range test.Y.Data() {
		test.Y.Data()[i] *= 1e-3
	}
	p := LinearProbe{Epochs: 20, Batch: 64}
	head, err := p.Fit(context.Background(), train, 4)
	if err != nil {
		t.Fatal(err)
	}
	if acc := test.Through(head).Accuracy(); acc < 0.95 {
		t.Errorf("accuracy %v", acc)
	}
	again, err := p.Fit(context.Background(), train, 4)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "the same again", nn.Params(again)[0].Value().Data(), nn.Params(head)[0].Value().Data())
	epochs := make(map[int]bool)
	p.Order = func(epoch int) []int { // the samples of one class alone
		epochs[epoch] = true
		list := make([]int, 100)
		for i := range list {
			list[i] = 4*i + 2
		}
		return list
	}
	if head, err = p.Fit(context.Background(), train, 4); err != nil {
		t.Fatal(err)
	}
	if acc := test.Through(head).Accuracy(); acc > 0.5 || len(epochs) < 20 {
		t.Errorf("accuracy %v of a probe that was shown one class of four in %d epochs of 20", acc, len(epochs))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Fit(ctx, train, 4); err == nil {
		t.Error("a context that has ended is of no effect")
	}
}

// TestOnlineProbe: it learns, and leaves the gradient of the method alone.
func TestOnlineProbe(t *testing.T) {
	probe := NewOnlineProbe(8, 4, 1)
	tape := autograd.NewTape(autograd.Training, 0)
	train := blobs(1, 64, 4, 8, 0.3)
	var right float64
	for range 60 {
		tape.Reset()
		f := tape.Watch(train.Y)
		loss := autograd.Mean(autograd.Square(f))
		var err error
		if right, err = probe.Step(f, train.Labels); err != nil {
			t.Fatal(err)
		}
		if g := tape.Gradients(loss).Of(f); g == nil || math.Abs(g.Norm(2)-2*train.Y.Norm(2)/float64(train.Y.Len())) > 1e-5 {
			t.Fatalf("the gradient of the method has length %v", g.Norm(2))
		}
	}
	if right < 0.95 {
		t.Errorf("%v right", right)
	}
}

func TestCollapse(t *testing.T) {
	// Directions that are spread evenly.
	c := MeasureCollapse(normal(1, 500, 16))
	near(t, "the spread", c.Std, c.Healthy, 0.01)
	near(t, "the mean cosine", c.Cosine, 0, 0.01)
	if c.Healthy != 0.25 || c.MaxRank != 16 || c.Rank < 15.8 || c.Rank > 16 || c.Warning() != "" {
		t.Errorf("%+v: %s", c, c.Warning())
	}
	// All alike.
	one := normal(2, 100, 16)
	for i := range 100 {
		copy(one.Index(i).Data(), one.Index(0).Data())
		one.Index(i).Data()[0] += float32(i) * 1e-5
	}
	if c := MeasureCollapse(one); c.Std > 1e-3 || c.Cosine < 0.999 || !strings.Contains(c.Warning(), "collapse") {
		t.Errorf("%+v: %s", c, c.Warning())
	}
	// Two dimensions of 64: the spread alone does not show it.
	flat := tensor.New(400, 64)
	for i := range 400 {
		a, b := math.Sincos(float64(i))
		for j := range 64 {
			x, y := math.Sincos(float64(j * j))
			flat.Data()[i*64+j] = float32(a*x + b*y)
		}
	}
	c = MeasureCollapse(flat)
	near(t, "the effective rank", c.Rank, 2, 0.1)
	if !strings.Contains(c.Warning(), "dimensions") {
		t.Errorf("%+v: %s", c, c.Warning())
	}
	// More columns than rows: the other Gram matrix.
	if c := MeasureCollapse(normal(3, 8, 30)); c.MaxRank != 7 || c.Rank < 6.5 || c.Rank > 7 {
		t.Errorf("%+v", c)
	}
	bad := normal(4, 4, 4)
	bad.Data()[3] = float32(math.NaN())
	if err := tensor.Try(func() error { MeasureCollapse(bad); return nil }); err == nil {
		t.Error("NaN is measured")
	}
}

// TestMeasureQuality: an encoder that passes the class through is found good.
func TestMeasureQuality(t *testing.T) {
	set := func(seed uint64) data.Dataset {
		b := blobs(seed, 120, 3, 5, 0.2)
		d, err := data.NewTensors(b.Y, b.Labels, 3)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	q, err := MeasureQuality(context.Background(), nn.Identity{}, set(1), set(2), KNN{K: 20}, LinearProbe{Epochs: 10, Batch: 32}, eval.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if q.KNN < 0.97 || q.Linear < 0.97 || !strings.Contains(q.Protocol, "20 nearest") || !strings.Contains(q.Protocol, "10 epochs") {
		t.Errorf("%+v", q)
	}
}
