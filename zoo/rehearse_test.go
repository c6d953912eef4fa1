package zoo

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
)

// A watched source keeps what it was asked.
type watched struct {
	*Model
	images [][]float32
	goals  []Goal
}

func (w *watched) Gradients(ctx context.Context, x *tensor.Tensor, loss Loss, goals []Goal, out []float64, grad *tensor.Tensor) error {
	w.images = append(w.images, slices.Clone(x.Data()))
	w.goals = append(w.goals, goals...)
	return w.Model.Gradients(ctx, x, loss, goals, out, grad)
}

// newSource is a linear model with the answers that it gives for n images.
func newSource(t *testing.T, n int) (*watched, *tensor.Tensor, []int) {
	rng := rand.New(rand.NewPCG(5, 5))
	net := nn.NewSequential(nn.Flatten{}, nn.NewLinear(rng, 784, 10))
	m, err := NewModel(net, Info{Name: "linear", Shape: []int{1, 28, 28}, Classes: 10}, Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	x, labels := randomImages(6, n, 1, 28, 28), make([]int, n)
	if err := LabelsOf(m).Labels(context.Background(), x, labels); err != nil {
		t.Fatal(err)
	}
	return &watched{Model: m}, x, labels
}

// TestRehearsalIsTheAttack: with one source and rate 1 the network ends as an attack
// by queries leaves it. One step of fine-tuning at a time: an untrained network makes of
// rounding in the first much in the next.
func TestRehearsalIsTheAttack(t *testing.T) {
	v, x, labels := newSource(t, 1)
	net := models.MetaAttackerMNIST(1)
	settings := Meta{Coordinates: 40, Interval: 2, Tune: 1}
	o := Rehearsal{Attack: settings, LR: 0.001, Measurements: 3, Rate: 1, Iterations: 1}
	if err := o.Train(context.Background(), net, []Differentiable{v}, x, labels, nil); err != nil {
		t.Fatal(err)
	}
	if len(v.images) != 7 {
		t.Fatalf("%d steps, want 6", len(v.images)-1)
	}
	est := NewMeta(models.MetaAttackerMNIST(1))
	est.Coordinates, est.Interval, est.Tune, est.Central, est.Step = 40, 2, 1, true, 0.1
	obj := NewObjective(v, Untargeted(labels[0]), Loss{})
	g := make([]float32, 784)
	var at []float32
	for k := range 6 {
		at = v.images[k]
		loss, _, err := obj.At(context.Background(), at)
		if err != nil {
			t.Fatal(err)
		}
		if err := est.Estimate(context.Background(), obj, Point{X: at, Loss: loss}, g); err != nil {
			t.Fatal(err)
		}
		// Rounding may choose other coordinates where two are nearly equal.
		other := 0
		for i, u := range g {
			step := float32(0)
			switch {
			case u > 0:
				step = max(-0.001, -at[i])
			case u < 0:
				step = min(0.001, 1-at[i])
			}
			if math.Abs(float64(v.images[k+1][i]-at[i]-step)) > 1e-6 {
				other++
			}
		}
		if other > 4 {
			t.Errorf("step %d moves %d of 40 coordinates otherwise than the attack", k, other)
		}
	}
	before, want, got := make([]float32, 784), make([]float32, 784), make([]float32, 784)
	if err := NewMeta(models.MetaAttackerMNIST(1)).Predict([]int{1, 28, 28}, at, before); err != nil {
		t.Fatal(err)
	}
	if err := est.Predict([]int{1, 28, 28}, at, want); err != nil {
		t.Fatal(err)
	}
	if err := NewMeta(net).Predict([]int{1, 28, 28}, at, got); err != nil {
		t.Fatal(err)
	}
	moved, missed := distance(before, want), distance(got, want)
	t.Logf("the attack moves the map by %.3f, the rehearsal's is %.5f away", moved, missed)
	if !(missed < 0.1*moved) {
		t.Errorf("the map is %v away from the attack's, which moved it by %v", missed, moved)
	}
}

func distance(a, b []float32) float64 {
	var sum float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return math.Sqrt(sum)
}

// TestRehearsalGoals: goals are as asked for, images that the source gets wrong are
// passed over, and an attack ends at its goal.
func TestRehearsalGoals(t *testing.T) {
	v, x, labels := newSource(t, 8)
	right := slices.Clone(labels)
	labels[3] = (labels[3] + 1) % 10
	const attacks = 60
	o := Rehearsal{Attack: Meta{Coordinates: 200, Interval: 1, Tune: 1}, LR: 0.1, Measurements: 4, Targeted: 0.5, Iterations: attacks}
	reached := 0.0
	if err := o.Train(context.Background(), models.MetaAttackerMNIST(1), []Differentiable{v}, x, labels, func(_ int, r float64) error {
		reached += r
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	clean := func(image []float32) int {
		for i := range right {
			if slices.Equal(image, x.Data()[i*784:(i+1)*784]) {
				return i
			}
		}
		return -1
	}
	begun, targeted, ended, classes := 0, 0, 0, map[int]bool{}
	answer := make([]int, 1)
	for k, image := range v.images {
		g := v.goals[k]
		if i := clean(image); i >= 0 {
			if i == 3 {
				continue
			}
			begun++
			if g.Label != right[i] {
				t.Errorf("image %d of class %d has the goal %v", i, right[i], g)
			}
			if g.Targeted {
				targeted++
				classes[(g.Target-g.Label+10)%10] = true
			}
			continue
		}
		if slices.Min(image) < 0 || slices.Max(image) > 1 {
			t.Errorf("step %d leaves [0,1]", k)
		}
		if err := LabelsOf(v.Model).Labels(context.Background(), tensor.FromSlice(image, 1, 1, 28, 28), answer); err != nil {
			t.Fatal(err)
		}
		if g.Achieved(answer[0]) {
			ended++
			if k+1 < len(v.images) && clean(v.images[k+1]) < 0 {
				t.Errorf("the attack goes on after step %d reached %v", k, g)
			}
		}
	}
	t.Logf("%d attacks, %d targeted at %d classes, %d reached their goals", begun, targeted, len(classes), ended)
	if begun != attacks || targeted < attacks/4 || targeted > attacks*3/4 || len(classes) < 6 || classes[0] {
		t.Errorf("%d attacks, %d of them targeted, at classes %v after the true one", begun, targeted, classes)
	}
	if ended == 0 || ended == attacks || math.Abs(reached-float64(ended)) > 1e-9 {
		t.Errorf("%d attacks reached their goal, %v reported", ended, reached)
	}
}

func TestRehearsalRefuses(t *testing.T) {
	v, x, labels := newSource(t, 3)
	train := func(sources []Differentiable, labels []int) error {
		return Rehearsal{Iterations: 1}.Train(context.Background(), models.MetaAttackerMNIST(1), sources, x, labels, nil)
	}
	if train(nil, labels) == nil {
		t.Error("no sources were accepted")
	}
	if train([]Differentiable{v}, labels[:2]) == nil {
		t.Error("a label is missing and was not missed")
	}
	for i := range labels {
		labels[i] = (labels[i] + 1) % 10
	}
	if train([]Differentiable{v}, labels) == nil {
		t.Error("a source that gets nothing right was accepted")
	}
}
