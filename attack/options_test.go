package attack

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/zoo"
)

// TestDefaultsAreShown: the options in a result are those the attack ran with, not the
// zeros that stand for them, and running with them asks the same queries.
func TestDefaultsAreShown(t *testing.T) {
	v := newLinear(4, 3, 1, 28, 28)
	samples, l := v.samples(1, 2), zoo.LabelsOf(v)
	for _, a := range []any{
		Meta{}, ZOO{}, ZOO{Searches: 2}, AutoZOOM{}, Bandits{}, Bandits{Norm: Linf, Tile: 4}, NES{}, NES{Norm: Linf}, Square{},
		Square{Norm: Linf}, SimBA{}, SimBA{DCT: true}, SignHunter{}, SignHunter{Norm: Linf}, Boundary{}, Opt{}, SignOpt{},
		HopSkipJump{}, RayS{}, FGSM{}, FGSM{Norm: Linf}, PGD{}, PGD{Norm: Linf}, CarliniWagner{},
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
		res := run(a)
		given, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if string(given) == string(res.Options) {
			t.Errorf("%T: shown as given: %s", a, res.Options)
		}
		filled := reflect.New(reflect.TypeOf(a))
		if err := json.Unmarshal(res.Options, filled.Interface()); err != nil {
			t.Fatal(err)
		}
		again := run(filled.Elem().Interface())
		if string(again.Options) != string(res.Options) || table(again) != table(res) {
			t.Errorf("%T: with the options shown, %s:\n%swant\n%s", a, res.Options, table(again), table(res))
		}
	}
	var shown Meta
	if err := json.Unmarshal(WithScores(Meta{Interval: 9}, v).options, &shown); err != nil {
		t.Fatal(err)
	}
	want := Meta{Coordinates: 128, Interval: 9, First: 9, LR: 0.01, Steps: 300, H: 1e-4, Tune: 20, TuneLR: 0.01, Loss: zoo.Loss{Scale: 0.5}}
	if !reflect.DeepEqual(shown, want) {
		t.Errorf("the Meta Attack shows %+v, want %+v", shown, want)
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
