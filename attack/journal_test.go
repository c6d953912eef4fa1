package attack

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// TestJournalTellsVictimsAndNetworksApart: what an attack's options and the victim's
// description do not show is in the fingerprint too, and each difference is named.
func TestJournalTellsVictimsAndNetworksApart(t *testing.T) {
	victim := func(seed uint64, pre zoo.Preprocess) *zoo.Model {
		v, err := zoo.NewModel(models.LeNet5(seed, 10), zoo.Info{Name: "lenet5", Shape: []int{1, 28, 28}, Classes: 10}, pre)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	meta := func(v *zoo.Model, seed uint64) Job {
		return WithScores(Meta{Network: models.MetaAttackerMNIST(seed), Tune: 1}, v)
	}
	auto := func(v *zoo.Model, seed uint64) Job {
		return WithScores(AutoZOOM{Decoder: &Learned{Network: models.AutoZOOMMNIST(seed).Decoder, Code: []int{1, 14, 14}}}, v)
	}
	begin := func(v *zoo.Model, a func(Start) LabelAttack, value float32) Job {
		x := tensor.New(1, 28, 28)
		x.Fill(value)
		return WithLabels(a(func(zoo.Goal) *tensor.Tensor { return x }), zoo.LabelsOf(v))
	}
	boundary := func(s Start) LabelAttack { return Boundary{Start: s} }
	opt := func(s Start) LabelAttack { return Opt{Start: s} }
	signOpt := func(s Start) LabelAttack { return SignOpt{Start: s} }
	jump := func(s Start) LabelAttack { return HopSkipJump{Start: s} }
	same := victim(1, zoo.Preprocess{})
	other, scaled := victim(2, zoo.Preprocess{}), victim(1, zoo.Preprocess{Scale: 2})
	sample := Sample{X: tensor.New(1, 28, 28)}
	sample.X.Fill(0.5)
	var label [1]int
	if err := zoo.LabelsOf(same).Labels(context.Background(), sample.X.Reshape(1, 1, 28, 28), label[:]); err != nil {
		t.Fatal(err)
	}
	sample.Label = label[0]
	for _, c := range []struct {
		name, say string
		was, is   Job
	}{
		{"weights", "victim digest", meta(same, 1), meta(other, 1)},
		{"preprocessing", "Scale:2", meta(same, 1), meta(scaled, 1)},
		{"attacker", "attack network", meta(same, 1), meta(same, 2)},
		{"decoder", "attack network", auto(same, 1), auto(same, 2)},
		{"boundary", "attack start", begin(same, boundary, 0), begin(same, boundary, 1)},
		{"opt", "attack start", begin(same, opt, 0), begin(same, opt, 1)},
		{"sign-opt", "attack start", begin(same, signOpt, 0), begin(same, signOpt, 1)},
		{"hopskipjump", "attack start", begin(same, jump, 0), begin(same, jump, 1)},
	} {
		path := filepath.Join(t.TempDir(), "j")
		run := func(job Job) error {
			_, err := (&Campaign{Job: job, Budget: 20, Journal: path}).Run(context.Background(), []Sample{sample})
			return err
		}
		if err := run(c.was); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := run(c.was); err != nil {
			t.Errorf("%s: the same campaign: %v", c.name, err)
		}
		if err := run(c.is); err == nil || !strings.Contains(err.Error(), "another campaign") || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v; want an error that says %q", c.name, err, c.say)
		}
	}
}

// TestDigestOfAFunction: a function that says which it is, is told from others.
func TestDigestOfAFunction(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	path := filepath.Join(t.TempDir(), "j")
	for _, c := range []struct{ digest, say string }{{"monday", ""}, {"monday", ""}, {"tuesday", `"monday" then, "tuesday" now`}} {
		v.info.Digest = c.digest
		_, err := (&Campaign{Job: WithScores(Square{}, v), Budget: 5, Journal: path}).Run(context.Background(), v.samples(1, 2))
		if c.say == "" && err != nil || c.say != "" && (err == nil || !strings.Contains(err.Error(), c.say)) {
			t.Errorf("%s: %v; want an error that says %q", c.digest, err, c.say)
		}
	}
}

// TestJournalOfGradients: finished samples are taken from the journal, one that was
// under way is attacked anew, and the table is that of an undisturbed run.
func TestJournalOfGradients(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	samples := v.samples(2, 6)
	job := WithGradients(PGD{Eps: 2}, v)
	want, err := (&Campaign{Job: job, Budget: 100}).Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	c := Campaign{Job: job, Budget: 100, Workers: 1, Journal: filepath.Join(t.TempDir(), "j")}
	ctx, cancel := context.WithCancel(context.Background())
	c.Progress = func(done, _ int, _ *Record) {
		if done == 3 {
			cancel()
		}
	}
	if _, err := c.Run(ctx, samples); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	v.count.Store(0)
	got, err := c.Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	if table(got) != table(want) {
		t.Errorf("resumed:\n%swant\n%s", table(got), table(want))
	}
	queries := 0
	for _, r := range want.Records[3:] {
		queries += r.Queries + r.Clean + r.Verify
	}
	if n := int(v.count.Load()); n != queries {
		t.Errorf("the second run asked %d queries; its samples need %d", n, queries)
	}
}
