package attack

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/zoo"
)

// TestPresets: the names that an error lists are there, and what they stand for runs on
// pictures like those it is for; an unknown name is an error.
func TestPresets(t *testing.T) {
	for of, preset := range map[string]func(name string) (ScoreAttack, error){
		"the meta attack": func(name string) (ScoreAttack, error) { return MetaPreset(name, models.MetaAttackerMNIST(1)) },
		"ZOO":             func(name string) (ScoreAttack, error) { return ZOOPreset(name) },
		"AutoZOOM":        func(name string) (ScoreAttack, error) { return AutoZOOMPreset(name) },
		"Bandits":         func(name string) (ScoreAttack, error) { return BanditsPreset(name) },
	} {
		_, err := preset("none")
		if err == nil {
			t.Errorf("%s has a preset none", of)
			continue
		}
		list := regexp.MustCompile(`\((?:there are )(.*)\)`).FindStringSubmatch(err.Error())
		if list == nil || !strings.Contains(err.Error(), of) {
			t.Errorf("%s: %v", of, err)
			continue
		}
		for _, name := range strings.Split(list[1], ", ") {
			a, err := preset(name)
			if err != nil {
				t.Errorf("%s: %v", of, err)
				continue
			}
			shape := []int{3, 64, 64}
			if strings.HasPrefix(name, "mnist") || of == "the meta attack" {
				shape = []int{1, 28, 28}
			}
			v := newLinear(3, 2, shape...)
			v.b[0] = 1e4
			s := v.samples(1, 1)[0]
			job := WithScores(a, v)
			rec, err := job.Attack(context.Background(), s, zoo.Untargeted(0), 300, 1)
			if err != nil {
				t.Errorf("%s of %s: %v", name, of, err)
			} else if rec.Queries != 300 || rec.Stop != StopBudget || v.bad.Load() > 0 {
				t.Errorf("%s of %s: %d queries, stop %q, %d values not in [0,1]", name, of, rec.Queries, rec.Stop, v.bad.Load())
			}
		}
	}
}

// TestBanditsPresetScale: the preset that its source has for pixels from 0 to 255 takes
// the same steps, and moves the prior by as much for the same difference of losses.
func TestBanditsPresetScale(t *testing.T) {
	a, err := BanditsPreset("cifar10-linf")
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
