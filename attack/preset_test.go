package attack

import (
	"context"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/zoo"
)

// TestPresets: what the registry's presets stand for runs on pictures like those they are
// for; an unknown name is an error that lists the others.
func TestPresets(t *testing.T) {
	for _, k := range Kinds() {
		if _, err := k.Preset("none"); err == nil || !strings.Contains(err.Error(), k.Name) {
			t.Errorf("%s: preset none: %v", k.Name, err)
		}
		for _, p := range k.Presets {
			a, err := k.Preset(p.Name)
			if err != nil || p.What == "" {
				t.Errorf("%s %s: %q, %v", k.Name, p.Name, p.What, err)
			}
			shape := []int{3, 64, 64}
			if strings.HasPrefix(p.Name, "mnist") || k.Name == "meta" {
				shape = []int{1, 28, 28}
			}
			if m, ok := a.(Meta); ok {
				m.Network = models.MetaAttackerMNIST(1)
				a = m
			}
			classes, budget := 2, 300
			if NeedsOf(a) == Gradients { // which end by themselves
				classes, budget = 5, 90
			}
			v := newLinear(3, classes, shape...)
			v.b[0] = 1e4
			s := v.samples(1, 1)[0]
			job, err := Bind(a, v)
			if err != nil {
				t.Fatal(err)
			}
			rec, err := job.Attack(context.Background(), s, zoo.Untargeted(0), budget, 1)
			if err != nil {
				t.Errorf("%s of %s: %v", p.Name, k.Name, err)
			} else if rec.Queries != budget || rec.Stop != StopBudget || v.bad.Load() > 0 {
				t.Errorf("%s of %s: %d queries, stop %q, %d values not in [0,1]", p.Name, k.Name, rec.Queries, rec.Stop, v.bad.Load())
			}
		}
	}
}

// TestBanditsPresetScale: the preset that its source has for pixels from 0 to 255 takes
// the same steps, and moves the prior by as much for the same difference of losses.
func TestBanditsPresetScale(t *testing.T) {
	a, err := PresetOf[Bandits]("cifar10-linf")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ got, theirs float64 }{
		"Eps": {a.Eps * 255, 12}, "LR": {a.LR * 255, 5}, "Probe": {a.Probe * 255, 2.55},
		// of lr·(l1-l2)/(η·δ)
		"PriorLR": {a.PriorLR / (a.Probe * a.Explore), 1e-4 / (2.55 * 0.1)},
	} {
		if d := c.got/c.theirs - 1; d > 1e-9 || d < -1e-9 {
			t.Errorf("%s comes to %v, want %v", name, c.got, c.theirs)
		}
	}
}
