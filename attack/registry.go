package attack

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A Kind is an entry of the registry. Programs find an attack by its name and build it from
// JSON.
type Kind struct {
	Name string // as given on a command line
	What string // a short description
	// Aim is what the attack seeks: a success in a ball, or the least distance.
	Aim Aim
	// New returns the attack with default options, a struct.
	New func() Attack
	// Presets are named options, such as those of a paper.
	Presets []Preset
}

// A Preset is an attack with named options.
type Preset struct {
	Name   string
	What   string // whose settings these are, and for which data
	Attack Attack // without the networks it may need
}

// An An An Aim says what an attack seeks.
type Aim uint8

// The aims.
const (
	InBall        Aim = iota // a success in a ball of radius Eps; it stops at the first
	SmallDistance            // a success near the clean sample
)

// An Attack is a ScoreAttack, a LabelAttack or a GradientAttack.
type Attack interface{ About() About }

// Needs says what a victim has to answer with for an attack.
type Needs uint8

// What an attack may need.
const (
	Scores Needs = iota
	Labels
	Gradients
)

var needsNames = [...]string{"scores", "labels", "gradients"}

// String names what is needed.
func (n Needs) String() string { return needsNames[n] }

// NeedsOf returns what attack a needs. It panics if a has none of the methods AttackScores,
// AttackLabels and AttackGradients.
func NeedsOf(a Attack) Needs {
	switch a.(type) {
	case ScoreAttack:
		return Scores
	case LabelAttack:
		return Labels
	case GradientAttack:
		return Gradients
	}
	tensor.Panic("attack.NeedsOf", fmt.Sprintf("%T has none of the methods AttackScores, AttackLabels and AttackGradients", a))
	return 0
}

// Bind binds an attack to a victim. For an attack on labels, a victim with scores answers
// with the class of its largest score. It is an error if the victim does not answer with
// what the attack needs.
func Bind(a Attack, victim any) (Job, error) {
	scorer, scores := victim.(zoo.Scorer)
	switch a := a.(type) {
	case ScoreAttack:
		if scores {
			return WithScores(a, scorer), nil
		}
	case LabelAttack:
		if v, ok := victim.(zoo.Labeler); ok {
			return WithLabels(a, v), nil
		}
		if scores {
			return WithLabels(a, zoo.LabelsOf(scorer)), nil
		}
	case GradientAttack:
		if v, ok := victim.(zoo.Differentiable); ok {
			return WithGradients(a, v), nil
		}
	}
	return Job{}, fmt.Errorf("attack: %s needs a victim with %v, which %T is not", a.About().Name, NeedsOf(a), victim)
}

var kinds []Kind

// Register adds a kind of attack to the registry. Call it from an init function. It panics
// if the name is taken, or if New does not return a struct that is an attack.
func Register(k Kind) {
	if _, ok := Find(k.Name); ok {
		tensor.Panic("attack.Register", fmt.Sprintf("%s is registered twice", k.Name))
	}
	if a := k.New(); reflect.TypeOf(a).Kind() != reflect.Struct {
		tensor.Panic("attack.Register", fmt.Sprintf("%s: a %T is no struct", k.Name, a))
	} else {
		NeedsOf(a)
	}
	kinds = append(kinds, k)
}

// Kinds returns all registered attacks in the order of their registration.
func Kinds() []Kind { return slices.Clone(kinds) }

// Find returns the registered attack with the given name; ok is false if there is none.
func Find(name string) (k Kind, ok bool) {
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}

// A Spec describes an attack in JSON, to store it or to send it to another machine:
//
//	{"attack": "meta", "preset": "frugal", "options": {"Network": "mine", "Steps": 500}}
//
// Options are fields of the attack's struct ([EncodeOptions]). They override the preset's,
// or the defaults.
type Spec struct {
	Attack  string          `json:"attack"`
	Preset  string          `json:"preset,omitempty"`
	Options json.RawMessage `json:"options,omitempty"`
}

// Build returns the attack that s describes. The function networks finds the networks that
// its options name; it may be nil if there are none.
func (s Spec) Build(networks Networks) (Attack, error) {
	k, ok := Find(s.Attack)
	if !ok {
		var names []string
		for _, k := range kinds {
			names = append(names, k.Name)
		}
		return nil, fmt.Errorf("attack: no attack %q (there are %s)", s.Attack, strings.Join(names, ", "))
	}
	a := k.New()
	if s.Preset != "" {
		var err error
		if a, err = k.Preset(s.Preset); err != nil {
			return nil, err
		}
	}
	return WithOptions(a, s.Options, networks)
}

// WithOptions returns a copy of the attack a with the options that the JSON names
// ([DecodeOptions]). Nil options change nothing.
func WithOptions(a Attack, options json.RawMessage, networks Networks) (Attack, error) {
	if len(options) == 0 {
		return a, nil
	}
	v := reflect.New(reflect.TypeOf(a))
	v.Elem().Set(reflect.ValueOf(a))
	if err := DecodeOptions(options, v.Interface(), networks); err != nil {
		return nil, err
	}
	return v.Elem().Interface().(Attack), nil
}

// Preset returns the attack with the options of the named preset, or an error that lists
// the presets.
func (k Kind) Preset(name string) (Attack, error) {
	var names []string
	for _, p := range k.Presets {
		if p.Name == name {
			return p.Attack, nil
		}
		names = append(names, p.Name)
	}
	return nil, fmt.Errorf("attack: no preset %q of %s (there are %s)", name, k.Name, strings.Join(names, ", "))
}

// Reopen builds the attack of a result from its name and options, through the registry.
func (r *Result) Reopen(networks Networks) (Attack, error) {
	for _, k := range kinds {
		// An attack of one kind may go by several names: bandits-t, bandits-td.
		a, err := Spec{Attack: k.Name, Options: r.Options}.Build(networks)
		if err == nil && a.About().Name == r.Attack {
			return a, nil
		}
		if k.Name == r.Attack {
			return nil, err
		}
	}
	return nil, fmt.Errorf("attack: no registered attack calls itself %q and has these options", r.Attack)
}
