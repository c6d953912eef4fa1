package attack

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// bare is a victim of one's own type that answers well for the clean sample, and with
// what it is told for others.
type bare struct {
	info   zoo.Info
	scores []float64
	label  int
	grad   float32
}

func (v *bare) Info() zoo.Info { return v.info }

func clean(x []float32) bool {
	for _, p := range x {
		if p != .5 {
			return false
		}
	}
	return true
}

func (v *bare) Scores(_ context.Context, x *tensor.Tensor, out []float64) error {
	for i := range x.Dim(0) {
		if clean(x.Index(i).Data()) {
			copy(out[3*i:], []float64{0, 1, 0})
		} else {
			copy(out[3*i:3*i+3], v.scores)
		}
	}
	return nil
}

func (v *bare) Labels(_ context.Context, x *tensor.Tensor, out []int) error {
	for i := range out {
		if out[i] = 1; !clean(x.Index(i).Data()) {
			out[i] = v.label
		}
	}
	return nil
}

func (v *bare) Gradients(ctx context.Context, x *tensor.Tensor, _ zoo.DifferentiableLoss, _ []zoo.Goal, out []float64, grad *tensor.Tensor) error {
	grad.Fill(v.grad)
	return v.Scores(ctx, x, out)
}

// TestBadAnswersAreNoSuccesses: whatever the type of the victim, an answer that does not
// keep to its description ends the campaign, with a journal and without, and does not
// get into the journal.
func TestBadAnswersAreNoSuccesses(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	x := tensor.New(1, 8, 8)
	x.Fill(.5)
	samples := []Sample{{X: x, Label: 1}}
	for name, c := range map[string]struct {
		v    bare
		kind zoo.ScoreKind
		a    Attack
		say  string
	}{
		"NaN":                  {bare{scores: []float64{nan, nan, nan}}, zoo.Logits, Square{}, "NaN"},
		"NaN for NES":          {bare{scores: []float64{nan, nan, nan}}, zoo.Logits, NES{}, "NaN"},
		"infinity":             {bare{scores: []float64{inf, 0, 0}}, zoo.Logits, Square{}, "infinite"},
		"no probability":       {bare{scores: []float64{2, -1, 0}}, zoo.Probabilities, Square{}, "no probability"},
		"unset scores":         {bare{}, zoo.Logits, Square{}, "NaN"},
		"label -1":             {bare{label: -1}, zoo.Logits, HopSkipJump{}, "label -1"},
		"label 3 of 3":         {bare{label: 3}, zoo.Logits, Boundary{}, "label 3"},
		"a gradient of NaN":    {bare{scores: []float64{0, 1, 0}, grad: float32(nan)}, zoo.Logits, PGD{}, "not finite"},
		"an infinite one":      {bare{scores: []float64{0, 1, 0}, grad: float32(inf)}, zoo.Logits, PGD{NoRandom: true}, "not finite"},
		"scores of a gradient": {bare{scores: []float64{nan, 1, 0}}, zoo.Logits, PGD{}, "NaN"},
	} {
		v := c.v
		v.info = zoo.Info{Name: "mine", Shape: []int{1, 8, 8}, Classes: 3, Scores: c.kind}
		var job Job
		switch a := c.a.(type) {
		case ScoreAttack:
			job = WithScores(a, &v)
		case LabelAttack:
			job = WithLabels(a, &v)
		case GradientAttack:
			job = WithGradients(a, &v)
		}
		path := filepath.Join(t.TempDir(), "j")
		for range 2 { // and a journal can be taken up again
			res, err := (&Campaign{Job: job, Budget: 100, Journal: path}).Run(context.Background(), samples)
			if !errors.Is(err, zoo.ErrBadVictim) || !strings.Contains(err.Error(), c.say) || res.Records[0].Success {
				t.Errorf("%s: %v; want an error that says %q", name, err, c.say)
			}
		}
	}
}

// TestOptionsThatCannotBe: samples that an attack cannot take and options that can only
// be a mistake are an error before the first query, which names the option.
func TestOptionsThatCannotBe(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	vector := []int{20}
	image := []int{1, 8, 8}
	for _, c := range []struct {
		a     Attack
		shape []int
		say   string
	}{
		{Square{Norm: Linf, Eps: .3}, vector, "Square needs images"}, {ZOO{}, vector, "ZOO needs images"},
		{AutoZOOM{}, vector, "AutoZOOM needs images"}, {SimBA{DCT: true}, vector, "SimBA needs images"}, {Bandits{}, vector, "Bandits needs images"},
		{Meta{}, image, "Meta has no Network"}, {AutoZOOM{Decoder: Bilinear{}}, image, "Bilinear.Side is 0"}, {AutoZOOM{Decoder: &Learned{}}, image, "Learned has no Network"},
		{ZOO{Coordinates: -1}, image, "ZOO.Coordinates is -1"}, {SimBA{DCT: true, Stride: -3}, image, "SimBA.Stride is -3"},
		{Square{Norm: Linf, Eps: 8}, image, "Square.Eps is 8 in Linf"}, {Square{Norm: Linf, Eps: -.3}, image, "Square.Eps is -0.3"},
		{Square{Eps: 8.1}, image, "Square.Eps is 8.1 in L2"}, {PGD{Norm: Linf, Eps: 1.5}, image, "PGD.Eps is 1.5"}, {FGSM{Eps: math.NaN()}, image, "FGSM.Eps is NaN"},
		{NES{Queries: 5}, image, "NES.Queries is 5"}, {NES{Momentum: -1}, image, "NES.Momentum is -1"}, {Square{P: 2}, image, "Square.P is 2"},
		{Boundary{Steps: -1}, image, "Boundary.Steps"}, {Opt{Tries: -1}, image, "Opt.Tries"}, {SignOpt{LR: -1}, image, "SignOpt.LR"},
		{HopSkipJump{Gamma: -1}, image, "HopSkipJump.Gamma"}, {RayS{Eps: -1}, image, "RayS.Eps"}, {CarliniWagner{C: math.Inf(1)}, image, "CarliniWagner.C"},
		{SignHunter{Eps: -1}, image, "SignHunter.Eps"}, {Bandits{Tile: -1}, image, "Bandits.Tile"}, {Meta{Interval: -1}, image, "Meta.Interval"},
		{PGD{Norm: L1}, image, "PGD is for L2 and Linf"}, {HopSkipJump{Norm: L1}, image, "HopSkipJump is for L2 and Linf"}, {Bandits{Norm: L1}, image, "Bandits is for L2"},
		{APGD{Norm: Linf, Eps: 8}, image, "APGD.Eps is 8 in Linf"}, {APGD{Norm: L1, Eps: 65}, image, "APGD.Eps is 65 in L1"}, {APGD{Rho: 1.5}, image, "APGD.Rho is 1.5"},
		{FAB{Beta: -1}, image, "FAB.Beta"}, {AutoAttack{Version: "best"}, image, `AutoAttack.Version is "best"`}, {AutoAttack{Version: "plus", Norm: L1}, image, "version plus is for"},
		{Square{Norm: 7}, image, "there is no Norm(7)"},
	} {
		net := nn.NewSequential(nn.Flatten{}, nn.NewLinear(r, size(c.shape), 3))
		v, err := zoo.NewModel(net, zoo.Info{Name: "small", Shape: c.shape, Classes: 3}, data.Preprocess{})
		if err != nil {
			t.Fatal(err)
		}
		job, err := Bind(c.a, v)
		if err != nil {
			t.Fatal(err)
		}
		x := tensor.New(c.shape...)
		_, err = (&Campaign{Job: job, Budget: 300}).Run(context.Background(), []Sample{{X: x}})
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%T: %v; want an error that says %q", c.a, err, c.say)
		}
	}
	// Attacks that need no images take vectors.
	v, err := zoo.NewModel(nn.NewLinear(r, 20, 3), zoo.Info{Name: "tabular", Shape: vector, Classes: 3}, data.Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	x := tensor.New(20)
	x.Fill(.5)
	var label [1]int
	if err := zoo.LabelsOf(v).Labels(context.Background(), x.Reshape(1, 20), label[:]); err != nil {
		t.Fatal(err)
	}
	for _, a := range []Attack{NES{}, SimBA{}, SignHunter{}, HopSkipJump{}, RayS{}, PGD{}} {
		job, err := Bind(a, v)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&Campaign{Job: job, Budget: 100}).Run(context.Background(), []Sample{{X: x, Label: label[0]}}); err != nil {
			t.Errorf("%T: %v", a, err)
		}
	}
}

// TestZeroRadius: a radius of exactly 0 can be asked for, and leaves the sample as it is.
func TestZeroRadius(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	s := v.samples(1, 1)
	for _, a := range []Attack{Square{Norm: Linf, Eps: Zero}, Square{Eps: Zero}, Bandits{Norm: Linf, Eps: Zero}, SignHunter{Norm: Linf, Eps: Zero},
		PGD{Norm: Linf, Eps: Zero}, PGD{Eps: Zero}, NES{Eps: Zero},
		APGD{Norm: Linf, Eps: Zero}, APGD{Eps: Zero}, APGD{Norm: L1, Eps: Zero}, FAB{Eps: Zero}, Square{Norm: L1, Eps: Zero}} {
		job, err := Bind(a, v)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&Campaign{Job: job, Budget: 40}).Run(context.Background(), s)
		if err != nil || res.Records[0].Success || !strings.Contains(string(res.Options), "5e-324") {
			t.Errorf("%T: %+v, %v, options %s", a, res.Records[0].Success, err, res.Options)
		}
	}
}

// TestStartsAreChecked: start images are checked as samples are.
func TestStartsAreChecked(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	s := v.samples(1, 1)[0]
	bad := func(value float32, shape ...int) *tensor.Tensor {
		x := tensor.New(shape...)
		x.Data()[1] = value
		return x
	}
	for say, start := range map[string]*tensor.Tensor{
		"start image: value 1 is NaN": bad(float32(math.NaN()), 1, 5, 5), "start image: value 1 is 255": bad(255, 1, 5, 5),
		"start image has shape [5 5]": bad(0, 5, 5),
	} {
		for _, c := range []Campaign{{Start: func(zoo.Goal) *tensor.Tensor { return start }}, {}} {
			c.Job = WithLabels(Boundary{}, zoo.LabelsOf(v))
			q := s
			if c.Start == nil {
				q.Start = start
			}
			if _, err := c.Run(context.Background(), []Sample{q}); err == nil || !strings.Contains(err.Error(), say) {
				t.Errorf("%v; want an error that says %q", err, say)
			}
		}
	}
}

// TestGoalsOfSamples: a sample's own goal goes before the campaign's.
func TestGoalsOfSamples(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	s := v.samples(1, 3)
	g := zoo.Targeted(s[1].Label, (s[1].Label+2)%4)
	s[1].Goal = &g
	res, err := (&Campaign{Job: WithScores(Square{Eps: 4}, v), Budget: 2000}).Run(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if r := res.Records[1]; r.Target != g.Target || r.Success && r.Answer != g.Target || res.Records[0].Target != -1 {
		t.Errorf("targets %d and %d, answer %d", res.Records[0].Target, r.Target, r.Answer)
	}
	g.Label++
	if _, err := (&Campaign{Job: WithScores(Square{}, v)}).Run(context.Background(), s); err == nil || !strings.Contains(err.Error(), "its goal says") {
		t.Error(err)
	}
}

// TestExactBall: no pixel of a success in an Linf ball is farther than the radius,
// computed in float64, and Square proposes on images with a side of 1.
func TestExactBall(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		eps := math.Exp(-8 * r.Float64())
		c, x := make([]float32, 30), make([]float32, 30)
		for i := range c {
			c[i], x[i] = r.Float32(), 2*r.Float32()-.5
		}
		for _, n := range []Norm{Linf, L2, L1} {
			y, z := append([]float32(nil), x...), append([]float32(nil), x...)
			n.Project(y, c, eps)
			n.ProjectBox(z, c, eps)
			if n.Distance(y, c) > eps || n.Distance(z, c) > eps {
				t.Fatalf("%v: %v and %v outside %v", n, n.Distance(y, c), n.Distance(z, c), eps)
			}
		}
	}
	for _, shape := range [][]int{{1, 6, 6}, {3, 1, 9}, {2, 9, 1}} {
		v := newLinear(3, 3, shape...)
		samples := v.samples(1, 12)
		for _, a := range []Attack{Square{Norm: Linf, Eps: .1234}, Bandits{Norm: Linf, Eps: .1234}, NES{Norm: Linf, Eps: .1234}, SignHunter{Norm: Linf, Eps: .1234}, PGD{Norm: Linf, Eps: .1234}, FGSM{Norm: Linf, Eps: .1234},
			APGD{Norm: Linf, Eps: .1234}, FAB{Norm: Linf, Eps: .1234}} {
			job, err := Bind(a, v)
			if err != nil {
				t.Fatal(err)
			}
			res, err := (&Campaign{Job: job, Budget: 300, Seed: 1}).Run(context.Background(), samples)
			if err != nil {
				t.Fatal(err)
			}
			won := 0
			for _, rec := range res.Records {
				if rec.Success {
					won++
					if rec.Best.Linf > .1234 {
						t.Errorf("%s on %v: Linf %v", rec.Name, shape, rec.Best.Linf)
					}
				}
			}
			if won == 0 {
				t.Errorf("%T on %v: no success", a, shape)
			}
		}
	}
}
