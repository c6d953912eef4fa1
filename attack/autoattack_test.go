package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// masked is a victim whose gradients say nothing, as those of a quantised network.
type masked struct{ *linear }

func (m masked) Gradients(ctx context.Context, x *tensor.Tensor, loss zoo.DifferentiableLoss, goals []zoo.Goal, out []float64, grad *tensor.Tensor) error {
	grad.Fill(0)
	return m.linear.Scores(ctx, x, out)
}

// TestAutoAttackStages: a sample counts for the attack that broke it, those after it do
// not see it, and where gradients say nothing Square is left, of which Robustness warns.
func TestAutoAttackStages(t *testing.T) {
	v := newLinear(2, 5, 1, 8, 8)
	samples := v.samples(6, 30)
	var edges []float64
	for _, s := range samples {
		edges = append(edges, v.edgeLinf(s.X.Data(), s.Label))
	}
	eps := median(edges)
	a := AutoAttack{Norm: Linf, Eps: eps}
	wrong := Sample{X: samples[0].X, Label: (samples[0].Label + 1) % 5}
	run := func(v zoo.Differentiable) Robustness {
		res, err := (&Campaign{Job: WithGradients(a, v), Budget: 30000, Workers: 8, Gather: 8}).Run(context.Background(), append(samples, wrong))
		if err != nil {
			t.Fatal(err)
		}
		return a.Robustness(res, "made up", 5, 9)
	}
	r := run(v)
	// The victim is linear: what is nearer than eps falls, nearly all to the first attack.
	nearer := 0
	for _, e := range edges {
		if e <= eps*(1-1e-6) {
			nearer++
		}
	}
	if r.Samples != 40 || r.Clean != 30./40 || r.Robust != float64(30-nearer)/40 || len(r.Attacks) != 4 || len(r.Warnings) > 0 {
		t.Errorf("%+v with %d of 30 nearer than %v", r, nearer, eps)
	}
	standing := 30
	for i, name := range []string{"apgd-ce", "apgd-t", "fab-t", "square"} {
		s := r.Attacks[i]
		if s != (Stage{name, standing, s.Broken, float64(standing-s.Broken) / 40}) || i == 0 && s.Broken < nearer-3 {
			t.Errorf("stage %d: %+v after %d standing", i, s, standing)
		}
		standing -= s.Broken
	}
	r = run(masked{v})
	if s := r.Attacks[3]; s.Attack != "square" || s.Attacked < 25 || s.Broken == 0 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "Square broke") {
		t.Errorf("without gradients: %+v", r)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"model":"linear"`, `"dataset":"made up"`, `"norm":"Linf"`, `"eps":`, `"clean":0.75`, `"robust":`, `"attacks":[{"attack":"apgd-ce"`} {
		if !bytes.Contains(b, []byte(key)) {
			t.Errorf("%s lacks %s", b, key)
		}
	}
	// A budget that ends the attacks early is said.
	res, err := (&Campaign{Job: WithGradients(a, masked{v}), Budget: 150}).Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	if r := a.Robustness(res, "", 5, 0); len(r.Warnings) == 0 || !strings.Contains(r.Warnings[len(r.Warnings)-1], "budget of 150") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

// TestAutoAttackGathered: on a network, campaigns with calls joined and not, on any number
// of workers, find the same to the bit: the gradient of a sample does not depend on what
// else is in the call.
func TestAutoAttackGathered(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	net := nn.NewSequential(nn.NewConv2D(r, 1, 8, 3, nn.ConvOptions{}), nn.ReLU{}, nn.MaxPool{Kernel: []int{2}}, nn.NewConv2D(r, 8, 16, 3, nn.ConvOptions{}), nn.Tanh{},
		nn.Flatten{}, nn.NewLinear(r, 144, 10))
	v, err := zoo.NewModel(net, zoo.Info{Name: "small", Shape: []int{1, 12, 12}, Classes: 10}, data.Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	var samples []Sample
	for range 12 {
		x := tensor.New(1, 12, 12)
		for i := range x.Data() {
			x.Data()[i] = r.Float32()
		}
		var label [1]int
		if err := zoo.LabelsOf(v).Labels(context.Background(), x.Reshape(1, 1, 12, 12), label[:]); err != nil {
			t.Fatal(err)
		}
		samples = append(samples, Sample{X: x, Label: label[0]})
	}
	for _, a := range []Attack{AutoAttack{Norm: Linf, Eps: 0.01}, APGD{Eps: 0.1, Iterations: 30}, FAB{Norm: L1, Iterations: 10}} {
		job, err := Bind(a, v)
		if err != nil {
			t.Fatal(err)
		}
		var want string
		for _, c := range []Campaign{{Workers: 1}, {Workers: 3}, {Workers: 5, Gather: 4}, {Workers: 12, Gather: 64}} {
			c.Job, c.Budget = job, 1500
			res, err := c.Run(context.Background(), samples)
			if err != nil {
				t.Fatal(err)
			}
			if got := table(res); want == "" {
				want = got
			} else if got != want {
				t.Fatalf("%s: %d workers, gather %d:\n%s\nwant\n%s", a.About().Name, c.Workers, c.Gather, got, want)
			}
		}
	}
}

// dies is a white box that fails after so many gradients.
type dies struct {
	*linear
	left atomic.Int64
}

func (d *dies) Gradients(ctx context.Context, x *tensor.Tensor, loss zoo.DifferentiableLoss, goals []zoo.Goal, out []float64, grad *tensor.Tensor) error {
	if d.left.Add(-1) < 0 {
		return errKilled
	}
	return d.linear.Gradients(ctx, x, loss, goals, out, grad)
}

// TestAutoAttackResumes: a campaign that was killed goes on by its journal, does not attack
// finished samples again, and ends with the same records.
func TestAutoAttackResumes(t *testing.T) {
	v := newLinear(2, 5, 1, 6, 6)
	samples := v.samples(6, 10)
	a := AutoAttack{Norm: Linf, Eps: 0.02}
	campaign := func(v zoo.Differentiable, journal string) (*Result, error) {
		return (&Campaign{Job: WithGradients(a, v), Budget: 1200, Seed: 2, Journal: journal, Workers: 1}).Run(context.Background(), samples)
	}
	want, err := campaign(v, "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "j")
	kills := 0
	for {
		d := &dies{linear: v}
		d.left.Store(2500)
		v.count.Store(0)
		res, err := campaign(d, path)
		if err == nil {
			if table(res) != table(want) || kills == 0 {
				t.Errorf("after %d kills:\n%s\nwant\n%s", kills, table(res), table(want))
			}
			if by := slices.IndexFunc(res.Records, func(r Record) bool { return r.Success && r.By == "" }); by >= 0 {
				t.Errorf("record %d does not say which attack succeeded", by)
			}
			return
		}
		if !errors.Is(err, errKilled) || kills > 20 {
			t.Fatal(err)
		}
		kills++
	}
}

// TestInspect: each of the signs that robust accuracy is unreliable is seen, and a plain
// victim shows none.
func TestInspect(t *testing.T) {
	x := tensor.New(6, 1, 5, 5)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range x.Data() {
		x.Data()[i] = r.Float32()
	}
	labels := []int{0, 1, 2, 3, 4, 5}
	plain := newLinear(1, 12, 1, 5, 5)
	softmaxed, err := zoo.NewModel(nn.NewSequential(nn.Flatten{}, nn.NewLinear(r, 25, 12), softmaxLayer{}), zoo.Info{Name: "soft", Shape: []int{1, 5, 5}, Classes: 12}, data.Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		v   zoo.Differentiable
		a   AutoAttack
		say string
	}{
		{plain, AutoAttack{}, ""},
		{&jitter{linear: plain}, AutoAttack{}, "seems to be random"},
		{&jitter{linear: plain}, AutoAttack{Version: "rand"}, ""},
		{softmaxed, AutoAttack{}, "look like probabilities"},
		{masked{plain}, AutoAttack{}, "0 for 6 of 6 samples"},
		{newLinear(1, 6, 1, 5, 5), AutoAttack{}, "5 wrong classes"},
	} {
		seen, err := c.a.Inspect(context.Background(), c.v, x, labels)
		if err != nil {
			t.Fatal(err)
		}
		if seen.Queries != 36 || seen.Samples != 6 {
			t.Errorf("%+v", seen)
		}
		if all := strings.Join(seen.Warnings, "; "); (c.say == "") != (all == "") || !strings.Contains(all, c.say) {
			t.Errorf("%T: warnings %q, want %q", c.v, all, c.say)
		}
	}
	if _, err := (AutoAttack{}).Inspect(context.Background(), plain, x, []int{0}); err == nil {
		t.Error("a label for six samples was accepted")
	}
	if _, err := (AutoAttack{}).Inspect(context.Background(), plain, x, []int{0, 1, 2, 3, 4, 12}); err == nil {
		t.Error("class 12 of 12 was accepted")
	}
}

// jitter answers differently every time.
type jitter struct {
	*linear
	calls atomic.Int64
}

func (j *jitter) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	err := j.linear.Scores(ctx, x, out)
	n := float64(j.calls.Add(1))
	for i := range out {
		out[i] += 0.01 * n * float64(i%3)
	}
	return err
}

type softmaxLayer struct{}

func (softmaxLayer) Forward(x autograd.Var) autograd.Var { return autograd.Softmax(x) }
func (softmaxLayer) Walk(*nn.Walker)                     {}

// TestMembers: the ensemble leaves out what the victim has too few classes for.
func TestMembers(t *testing.T) {
	for _, c := range []struct {
		a       AutoAttack
		classes int
		want    string
	}{
		{AutoAttack{}, 10, "apgd-ce apgd-t fab-t square"}, {AutoAttack{}, 3, "apgd-ce fab-t square"}, {AutoAttack{Version: "plus"}, 2, "apgd-ce fab square fab-t"},
		{AutoAttack{Version: "plus"}, 10, "apgd-ce apgd-dlr fab square apgd-t fab-t"}, {AutoAttack{Version: "rand"}, 100, "apgd-ce apgd-dlr"},
	} {
		var names []string
		for _, m := range c.a.Members(c.classes) {
			names = append(names, m.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%+v with %d classes: %s, want %s", c.a, c.classes, got, c.want)
		}
	}
	if m := (AutoAttack{Norm: L1}).Members(10); m[0].Attack.(APGD).Restarts != 5 || m[1].Attack.(APGD).Targets != 5 || m[2].Attack.(FAB).Targets != 9 {
		t.Errorf("in L1: %+v", m)
	}
}

// TestDiverge: samples stay in the ball and in [0,1], what the network says of them moves
// away from what it said, more than by a random point of the ball, and no labels are asked
// for.
func TestDiverge(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	net := nn.NewSequential(nn.Flatten{}, nn.NewLinear(r, 36, 20), nn.Tanh{}, nn.NewLinear(r, 20, 4))
	x := tensor.New(8, 1, 6, 6)
	for i := range x.Data() {
		x.Data()[i] = r.Float32()
	}
	divergence := func(y *tensor.Tensor) float64 {
		tape := autograd.NewTape(autograd.Inference, 0)
		return nn.KL(net.Forward(tape.Input(y)), autograd.Softmax(net.Forward(tape.Input(x)))).Scalar()
	}
	for _, p := range []Perturber{{Norm: Linf, Eps: 0.1}, {Norm: L2, Eps: 0.7}} {
		y, random := x.Clone(), x.Clone()
		p.Diverge(net, y, 0, 3)
		for i := range 8 {
			scatter(random.Index(i).Data(), p.Norm, p.Eps, r)
			p.Norm.Project(random.Index(i).Data(), x.Index(i).Data(), p.Eps)
			if d := p.Norm.Distance(y.Index(i).Data(), x.Index(i).Data()); d > p.Eps {
				t.Errorf("%v: sample %d is moved by %v", p.Norm, i, d)
			}
		}
		if slices.Min(y.Data()) < 0 || slices.Max(y.Data()) > 1 {
			t.Error("a value outside [0,1]")
		}
		if a, b := divergence(y), divergence(random); a < 5*b {
			t.Errorf("%v: divergence %v, of random points %v", p.Norm, a, b)
		}
		again := x.Clone()
		p.Diverge(net, again, 0, 3)
		if !slices.Equal(again.Data(), y.Data()) {
			t.Errorf("%v: the same call moves elsewhere", p.Norm)
		}
	}
	(&Perturber{}).Diverge(net, tensor.New(0, 1, 6, 6), 0, 0)
	if err := tensor.Try(func() error { (&Perturber{}).Diverge(net, tensor.New(3), 0, 0); return nil }); err == nil {
		t.Error("a vector was accepted")
	}
}
