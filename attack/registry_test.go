package attack

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// TestSpecs: attacks are built from JSON, on top of presets and with named networks, and
// what is wrong is said.
func TestSpecs(t *testing.T) {
	net := models.MetaAttackerMNIST(1)
	nets := NamedNetworks(map[string]nn.Module{"mine": net})
	a, err := Spec{Attack: "meta", Preset: "frugal", Options: json.RawMessage(`{"Network": "mine", "Steps": 500, "Loss": {"cross-entropy": {"Scale": 2}}}`)}.Build(nets)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := PresetOf[Meta]("frugal")
	want.Network, want.Steps, want.Loss = net, 500, zoo.CrossEntropy{Scale: 2}
	if m := a.(Meta); m != want {
		t.Errorf("%+v, want %+v", m, want)
	}
	b, err := Spec{Attack: "autozoom", Options: json.RawMessage(`{"decoder": {"learned": {"Network": "mine", "Code": [1, 4]}}, "Box": "tanh"}`)}.Build(nets)
	if err != nil {
		t.Fatal(err)
	}
	if z := b.(AutoZOOM); z.Box != Tanh || z.Decoder.(*Learned).Network != nn.Module(net) || len(z.Decoder.(*Learned).Code) != 2 {
		t.Errorf("%+v", z)
	}
	if s, err := (Spec{Attack: "square", Options: json.RawMessage(`{"Loss": "margin", "Norm": "Linf", "Eps": 0.1}`)}).Build(nil); err != nil || s != (Square{Loss: zoo.Margin{}, Norm: Linf, Eps: 0.1}) {
		t.Errorf("%+v, %v", s, err)
	}
	for say, s := range map[string]Spec{
		`no attack "squares"`:                            {Attack: "squares"},
		`no preset "x" of zoo (there are mnist`:          {Attack: "zoo", Preset: "x"},
		`has no option "Epsilon" (it has Norm`:           {Attack: "square", Options: json.RawMessage(`{"Epsilon": 1}`)},
		`Square.Eps: json`:                               {Attack: "square", Options: json.RawMessage(`{"Eps": "big"}`)},
		`"hinges" is unknown (there are hinge`:           {Attack: "square", Options: json.RawMessage(`{"Loss": "hinges"}`)},
		`Loss has no option "Kapa"`:                      {Attack: "square", Options: json.RawMessage(`{"Loss": {"hinge": {"Kapa": 1}}}`)},
		`no network "other" is at hand (there are mine)`: {Attack: "meta", Options: json.RawMessage(`{"Network": "other"}`)},
		`an object of options is due`:                    {Attack: "square", Options: json.RawMessage(`[1]`)},
		`something follows`:                              {Attack: "square", Options: json.RawMessage(`{} {}`)},
		`unknown norm "L3"`:                              {Attack: "square", Options: json.RawMessage(`{"Norm": "L3"}`)},
	} {
		if _, err := s.Build(nets); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%+v: %v; want an error that says %q", s, err, say)
		}
	}
	if _, err := Bind(PGD{}, zoo.LabelsOf(newLinear(1, 2, 1, 4, 4))); err == nil || !strings.Contains(err.Error(), "pgd needs a victim with gradients") {
		t.Error(err)
	}
}

// secretive hides what it asks by.
type secretive struct {
	Shown  int
	hidden int
	fn     func() int
	stated map[string]string
}

func (s secretive) Hidden() map[string]string { return s.stated }
func (secretive) About() About                { return About{Name: "secretive"} }
func (s secretive) AttackScores(ctx context.Context, v zoo.Scorer, t *Try) error {
	return nil
}

// nameless is a loss inside an attack that has no name for JSON: it cannot be, since a
// Loss has one; a decoder-like part of another interface can.
type nameless struct {
	Any any
}

func (nameless) About() About { return About{Name: "nameless"} }
func (nameless) AttackScores(ctx context.Context, v zoo.Scorer, t *Try) error {
	return nil
}

// TestWhatHidesIsRefused: an attack that hides something without a digest of it cannot
// run, and one that states a digest is told from others by it.
func TestWhatHidesIsRefused(t *testing.T) {
	v := newLinear(1, 3, 1, 4, 4)
	one := func() int { return 1 }
	for say, a := range map[string]ScoreAttack{
		"hides field hidden":  secretive{hidden: 1, stated: map[string]string{"stated": ""}},
		"hides field fn":      secretive{fn: one, stated: map[string]string{"stated": ""}},
		"hides field stated":  secretive{stated: map[string]string{"other": ""}},
		"has no method Name":  nameless{Any: 3.5},
		"nameless.Any is a *": nameless{Any: &secretive{}},
	} {
		_, err := (&Campaign{Job: WithScores(a, v)}).Run(context.Background(), v.samples(1, 1))
		if err == nil || !strings.Contains(err.Error(), say) || !strings.Contains(err.Error(), "attack.Hider") || v.count.Load() > 0 {
			t.Errorf("%v; want an error that says %q", err, say)
		}
	}
	all := map[string]string{"hidden": "h1", "fn": "f1", "stated": ""}
	b, err := EncodeOptions(secretive{Shown: 2, hidden: 1, fn: one, stated: all})
	if err != nil || string(b) != `{"Shown":2,"hidden":"h1","fn":"f1"}` {
		t.Errorf("%s, %v", b, err)
	}
	// A tensor is shown by its digest.
	type holder struct{ X *tensor.Tensor }
	x, y := tensor.New(2, 2), tensor.New(2, 2)
	y.Fill(1)
	p, err1 := EncodeOptions(holder{x})
	q, err2 := EncodeOptions(holder{y})
	if err1 != nil || err2 != nil || string(p) == string(q) {
		t.Errorf("%s and %s, %v, %v", p, q, err1, err2)
	}
}
