package attack

import (
	"context"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/zoo"
)

// TestDefaultsAreShown: the options in a result are the documented defaults in place
// of the zeros given, and running with them asks the same queries.
func TestDefaultsAreShown(t *testing.T) {
	v := newLinear(4, 3, 1, 28, 28)
	samples, l := v.samples(1, 2), zoo.LabelsOf(v)
	ce := zoo.CrossEntropy{}
	for _, c := range []struct{ given, want any }{
		{Meta{}, Meta{Coordinates: 128, Interval: 5, First: 5, LR: 0.01, Steps: 300, H: 1e-4, Tune: 20, TuneLR: 0.01, Loss: zoo.Hinge{Scale: 0.5}}},
		{Meta{Interval: 9}, Meta{Coordinates: 128, Interval: 9, First: 9, LR: 0.01, Steps: 300, H: 1e-4, Tune: 20, TuneLR: 0.01, Loss: zoo.Hinge{Scale: 0.5}}},
		{ZOO{}, ZOO{Coordinates: 128, H: 1e-4, LR: 0.01, Iterations: 3000, C: 0.5, Searches: 1}},
		{ZOO{Searches: 2}, ZOO{Coordinates: 128, H: 1e-4, LR: 0.01, Iterations: 3000, C: 0.01, Searches: 2}},
		{AutoZOOM{}, AutoZOOM{Directions: 1, LR: 0.01, Iterations: 1000, Switch: 1000, Weight: 1}},
		{Bandits{}, Bandits{Eps: 2, LR: 0.1, PriorLR: 0.1, Probe: 0.01, Explore: 0.01, Loss: ce}},
		{Bandits{Norm: Linf, Tile: 4}, Bandits{Norm: Linf, Tile: 4, Eps: 0.05, LR: 0.01, PriorLR: 100, Probe: 0.1, Explore: 1, Loss: ce}},
		{NES{}, NES{Eps: 2, Queries: 50, Sigma: 1e-3, LR: 0.1, MinLR: 0.1 / 200, Momentum: 0.9, Loss: ce}},
		{NES{Norm: Linf, LR: 1}, NES{Norm: Linf, Eps: 0.05, Queries: 50, Sigma: 1e-3, LR: 1, MinLR: 1. / 200, Momentum: 0.9, Loss: ce}},
		{Square{}, Square{Eps: 2, P: 0.1}},
		{Square{Norm: Linf}, Square{Norm: Linf, Eps: 0.05, P: 0.05}},
		{SimBA{}, SimBA{Eps: 0.2, Loss: ce}},
		{SimBA{DCT: true}, SimBA{Eps: 0.2, DCT: true, Fraction: 0.125, Stride: 7, Loss: ce}},
		{SignHunter{}, SignHunter{Eps: 2, Loss: ce}},
		{SignHunter{Norm: Linf}, SignHunter{Norm: Linf, Eps: 0.05, Loss: ce}},
		{Boundary{}, Boundary{Steps: 25000, Sphere: 0.01, Source: 0.01, Adapt: 1.5}},
		{Opt{}, Opt{Iterations: 1500, Directions: 10, Smoothing: 1e-3, LR: 0.2, Tries: 100}},
		{SignOpt{}, SignOpt{Iterations: 1000, Directions: 200, Smoothing: 1e-3, LR: 0.2, Tries: 100}},
		{HopSkipJump{}, HopSkipJump{Probes: 100, MaxProbes: 10000, Gamma: 1}},
		{RayS{}, RayS{}}, // its tolerance follows from the sample's size
		{FGSM{}, FGSM{Eps: 2}},
		{FGSM{Norm: Linf}, FGSM{Norm: Linf, Eps: 0.3}},
		{PGD{}, PGD{Eps: 2, Step: 2.5 * 2 / 40, Iterations: 40, Loss: ce}},
		{PGD{Norm: Linf, Iterations: 10}, PGD{Norm: Linf, Eps: 0.3, Step: 2.5 * 0.3 / 10, Iterations: 10, Loss: ce}},
		{CarliniWagner{}, CarliniWagner{C: 0.01, Searches: 9, Iterations: 1000, LR: 0.01}},
	} {
		run := func(a any) *Result {
			var job Job
			switch a := a.(type) {
			case Meta:
				a.Network = models.MetaAttackerMNIST(1)
				job = WithScores(a, v)
			case ScoreAttack:
				job = WithScores(a, v)
			case LabelAttack:
				job = WithLabels(a, l)
			case GradientAttack:
				job = WithGradients(a, v)
			}
			res, err := (&Campaign{Job: job, Budget: 300}).Run(context.Background(), samples)
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		res := run(c.given)
		want := c.want
		if m, ok := want.(Meta); ok {
			m.Network = models.MetaAttackerMNIST(1)
			want = m
		}
		wantJSON, err := EncodeOptions(want)
		if err != nil {
			t.Fatal(err)
		}
		if string(res.Options) != string(wantJSON) {
			t.Errorf("%T shows %s, want %s", c.given, res.Options, wantJSON)
		}
		again := run(c.want)
		// And what a result shows can be read back into the attack it came from.
		back, err := res.Reopen(NamedNetworks(map[string]nn.Module{"mine": models.MetaAttackerMNIST(1)}))
		if err != nil {
			t.Errorf("%T: %v", c.given, err)
		} else if b, err := EncodeOptions(back); err != nil || string(b) != string(res.Options) || back.About().Name != res.Attack {
			t.Errorf("%T comes back as %T with %s (%v), want %s", c.given, back, b, err, res.Options)
		}
		if string(again.Options) != string(wantJSON) || table(again) != table(res) {
			t.Errorf("%T with the options shown, %s:\n%swant\n%s", c.given, wantJSON, table(again), table(res))
		}
	}
}

// TestZOORefusesSizes: sizes and switches that do not fit are an error before the
// attack's first query.
func TestZOORefusesSizes(t *testing.T) {
	v := newLinear(1, 4, 1, 6, 6)
	s := v.samples(1, 1)[0]
	for say, a := range map[string]ZOO{
		"2 Sizes and 0 iterations": {Sizes: []int{3, 6}},
		"0 Sizes and 1 iterations": {Switch: []int{5}},
		"at least 1":               {Sizes: []int{0}},
		"increase":                 {Sizes: []int{2, 3, 6}, Switch: []int{9, 9}},
	} {
		v.count.Store(0)
		job := WithScores(a, v)
		_, err := job.Attack(context.Background(), s, zoo.Untargeted(s.Label), 100, 1)
		if err == nil || !strings.Contains(err.Error(), say) || v.count.Load() > 1 {
			t.Errorf("%v after %d queries; want an error that says %q", err, v.count.Load(), say)
		}
	}
	job := WithScores(ZOO{Sizes: []int{3}, Iterations: 2}, v)
	if _, err := job.Attack(context.Background(), s, zoo.Untargeted(s.Label), 2000, 1); err != nil {
		t.Errorf("one size: %v", err)
	}
}
