package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/cast"
	"github.com/mettleml/mettle/examples/internal/meter"
	"github.com/mettleml/mettle/examples/internal/weights"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/zoo"
)

// A setup is what the attacks are bound to.
type setup struct {
	victim   zoo.Scorer
	white    zoo.Differentiable // the victim with its gradients, nil if it has none
	attacker nn.Module          // of the meta attack, nil if there is none for the samples
	preset   string             // of the meta attack
	decoder  *attack.Learned    // of AutoZOOM, nil if there is none for the samples
	ball     cast.Ball
	norm     *attack.Norm // of balls; nil: L2, and Linf for attacks with gradients
	eps      float64      // radius that was given, or 0
	targeted bool
	budget   int
	step     float64                    // of finite differences, 0 for that of the attacks
	options  map[string]json.RawMessage // that were given for attacks by name
}

// newSetup opens what the flags name for a victim.
func newSetup(c *config, v zoo.Scorer) (s setup, err error) {
	shape := v.Info().Shape
	s = setup{victim: v, preset: cmp.Or(c.preset, cast.Preset(shape)), ball: cast.BallFor(shape), targeted: c.goal == "targeted", budget: c.budget, step: c.step}
	s.eps = c.eps
	if c.norm != "" {
		s.norm = new(attack.Norm)
		if err := s.norm.UnmarshalText([]byte(c.norm)); err != nil {
			return s, fmt.Errorf("-norm %s: L2, Linf or L1", c.norm)
		}
	}
	if m, ok := v.(*meter.Victim); ok {
		if w, ok := m.White(); ok {
			s.white = w
		}
	}
	if c.options != "" {
		if err := json.Unmarshal([]byte(c.options), &s.options); err != nil {
			return s, fmt.Errorf("-options: %w", err)
		}
	}
	gray28 := slices.Equal(shape, []int{1, 28, 28})
	switch {
	case c.attacker != "":
		if s.attacker, err = weights.Attacker(c.attacker, shape); err != nil {
			return s, err
		}
	case gray28:
		s.attacker = pretrained.MetaAttackerMNIST()
	}
	switch {
	case c.decoder != "":
		s.decoder, err = weights.Decoder(c.decoder, shape)
	case gray28:
		s.decoder = &attack.Learned{Network: pretrained.AutoZOOMMNIST().Decoder, Code: []int{1, 14, 14}}
	}
	return s, err
}

// usual are the attacks of a run that asks for none by name.
const usual = "meta,zoo,autozoom,bandits,square,hopskipjump"

// unfit says why an attack cannot run on these samples, or for this goal.
type unfit string

func (u unfit) Error() string { return string(u) }

// An entry of the catalogue makes an attack with the settings that suit a setup.
type entry struct {
	name, what string
	white      bool // it needs gradients
	make       func(s setup) (attack.Attack, error)
}

// whatever is an attack that fits any samples.
func whatever(name, what string, make func(s setup) attack.Attack) entry {
	return entry{name, what, false, func(s setup) (attack.Attack, error) { return make(s), nil }}
}

// radius is the ball for an attack, whose norm is usual unless another was asked for.
func (s setup) radius(usual attack.Norm) (attack.Norm, float64) {
	n := usual
	if s.norm != nil {
		n = *s.norm
	}
	r := map[attack.Norm]float64{attack.L2: s.ball.L2, attack.Linf: s.ball.Linf, attack.L1: s.ball.L1}[n]
	return n, cmp.Or(s.eps, r)
}

// inBall is one that stays in a ball.
func inBall(name, what string, make func(n attack.Norm, eps float64, b cast.Ball) attack.Attack) entry {
	return entry{name, what + ": scores, ball", false, func(s setup) (attack.Attack, error) {
		n, eps := s.radius(attack.L2)
		return fits(make(n, eps, s.ball), n)
	}}
}

// fits says which attacks have no L1.
func fits(a attack.Attack, n attack.Norm) (attack.Attack, error) {
	if n == attack.L1 {
		switch a.(type) {
		case attack.Square, attack.APGD, attack.FAB, attack.AutoAttack:
		default:
			return nil, unfit("it is for L2 and Linf, and -norm is L1")
		}
	}
	return a, nil
}

// withGradients is one that needs a white box.
func withGradients(name, what string, make func(n attack.Norm, eps float64) attack.Attack) entry {
	return entry{name, what + ": gradients", true, func(s setup) (attack.Attack, error) {
		if s.white == nil {
			return nil, unfit("it needs gradients, which the victim does not give")
		}
		n, eps := s.radius(attack.Linf)
		return fits(make(n, eps), n)
	}}
}

// catalogue lists the attacks by the names of -attack.
var catalogue = []entry{
	{"meta", "Meta Attack: scores, least L2", false, func(s setup) (attack.Attack, error) {
		if s.attacker == nil {
			return nil, unfit("the meta attacker that comes with the library is trained for 28x28 gray images; give another by -attacker")
		}
		a, err := attack.PresetOf[attack.Meta](s.preset)
		a.Network = s.attacker
		if s.targeted {
			a.Steps = cast.TargetedSteps
		}
		a.H = s.step
		return a, err
	}},
	whatever("zoo", "ZOO: scores, least L2", func(s setup) attack.Attack {
		a := cast.ZOO(s.ball.Box)
		a.H = s.step
		return a
	}),
	whatever("autozoom", "AutoZOOM, bilinear: scores, least L2", func(s setup) attack.Attack { return cast.AutoZOOM(nil, s.ball.Box, s.budget) }),
	{"autozoom-ae", "AutoZOOM, decoder of an auto-encoder: scores, least L2", false, func(s setup) (attack.Attack, error) {
		if s.decoder == nil {
			return nil, unfit("the auto-encoder that comes with the library is trained for 28x28 gray images; give another by -decoder")
		}
		return cast.AutoZOOM(s.decoder, s.ball.Box, s.budget), nil
	}},
	inBall("bandits", "Bandits-TD", func(n attack.Norm, eps float64, b cast.Ball) attack.Attack {
		return attack.Bandits{Norm: n, Eps: eps, Tile: b.Tile}
	}),
	inBall("nes", "NES", func(n attack.Norm, eps float64, _ cast.Ball) attack.Attack { return attack.NES{Norm: n, Eps: eps} }),
	inBall("square", "Square", func(n attack.Norm, eps float64, _ cast.Ball) attack.Attack { return attack.Square{Norm: n, Eps: eps} }),
	whatever("simba", "SimBA: scores, L2 grows", func(setup) attack.Attack { return attack.SimBA{} }),
	whatever("simba-dct", "SimBA-DCT: scores, L2 grows", func(setup) attack.Attack { return attack.SimBA{DCT: true} }),
	inBall("signhunter", "SignHunter", func(n attack.Norm, eps float64, _ cast.Ball) attack.Attack {
		return attack.SignHunter{Norm: n, Eps: eps}
	}),
	whatever("boundary", "Boundary: labels, least L2", func(setup) attack.Attack { return attack.Boundary{} }),
	whatever("opt", "Opt: labels, least L2", func(setup) attack.Attack { return attack.Opt{} }),
	whatever("sign-opt", "Sign-OPT: labels, least L2", func(setup) attack.Attack { return attack.SignOpt{} }),
	whatever("hopskipjump", "HopSkipJump: labels, least L2", func(setup) attack.Attack { return attack.HopSkipJump{} }),
	{"rays", "RayS: labels, least Linf, untargeted only", false, func(s setup) (attack.Attack, error) {
		if s.targeted {
			return nil, unfit("it has no image of the wanted class to begin from, and hardly ever finds one")
		}
		return attack.RayS{}, nil
	}},
	withGradients("pgd", "PGD, ball", func(n attack.Norm, eps float64) attack.Attack { return attack.PGD{Norm: n, Eps: eps} }),
	withGradients("apgd", "APGD on cross-entropy, ball", func(n attack.Norm, eps float64) attack.Attack { return attack.APGD{Norm: n, Eps: eps} }),
	withGradients("fab", "FAB towards nine classes, least distance", func(n attack.Norm, _ float64) attack.Attack { return attack.FAB{Norm: n, Targets: 9} }),
	withGradients("carlini-wagner", "Carlini-Wagner, least L2", func(attack.Norm, float64) attack.Attack { return attack.CarliniWagner{} }),
	withGradients(ensemble, "AutoAttack, ball", func(n attack.Norm, eps float64) attack.Attack { return attack.AutoAttack{Norm: n, Eps: eps} }),
}

// ensemble is the name of AutoAttack.
const ensemble = "autoattack"

// A choice is an attack of a run. One that was not asked for by its own name is left
// out where it does not fit.
type choice struct {
	name   string
	byName bool
}

// chosen are the attacks that -attack asks for, each once.
func chosen(list string) ([]choice, error) {
	var all, blind []string
	for _, a := range catalogue {
		all = append(all, a.name)
		if !a.white {
			blind = append(blind, a.name)
		}
	}
	var picks []choice
	add := func(byName bool, names ...string) {
		for _, name := range names {
			i := slices.IndexFunc(picks, func(c choice) bool { return c.name == name })
			if i < 0 {
				picks = append(picks, choice{name, byName})
			} else if byName {
				picks[i].byName = true
			}
		}
	}
	if list == "" {
		add(false, strings.Split(usual, ",")...)
		return picks, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		switch name = strings.TrimSpace(name); {
		case name == "all":
			add(false, blind...)
		case !slices.Contains(all, name):
			return nil, fmt.Errorf("-attack %s: there are %s", name, strings.Join(all, ", "))
		default:
			add(true, name)
		}
	}
	return picks, nil
}

// A task is an attack bound to the victim.
type task struct {
	name   string
	job    attack.Job
	attack attack.Attack
	labels bool // rather than scores
}

// smallestStep is the smallest step that an attack takes to see a change of score: the
// difference of a single pixel, or else one of 8 bits, which none goes below.
func smallestStep(tasks []task, difference float64) float64 {
	if slices.ContainsFunc(tasks, func(t task) bool { return t.name == "meta" || t.name == "zoo" }) {
		return cmp.Or(difference, 1e-4)
	}
	return 1. / 255
}

// bind makes the jobs of a run, and tells which attacks it leaves out and why.
func bind(picks []choice, s setup) (tasks []task, left []string, err error) {
	for _, c := range picks {
		i := slices.IndexFunc(catalogue, func(e entry) bool { return e.name == c.name })
		a, err := catalogue[i].make(s)
		var u unfit
		switch {
		case errors.As(err, &u) && !c.byName:
			left = append(left, fmt.Sprintf("%s is left out: %v", c.name, u))
		case errors.As(err, &u):
			return nil, nil, fmt.Errorf("%s: %w; leave it out of -attack", c.name, u)
		case err != nil:
			return nil, nil, err
		default:
			if a, err = attack.WithOptions(a, s.options[c.name], nil); err != nil {
				return nil, nil, fmt.Errorf("-options: %s: %w", c.name, err)
			}
			var victim any = s.victim
			if attack.NeedsOf(a) == attack.Gradients {
				victim = s.white
			}
			job, err := attack.Bind(a, victim)
			if err == nil {
				err = job.Check()
			}
			if err != nil {
				return nil, nil, err
			}
			tasks = append(tasks, task{c.name, job, a, attack.NeedsOf(a) == attack.Labels})
		}
	}
	for name := range s.options {
		if !slices.ContainsFunc(tasks, func(t task) bool { return t.name == name }) {
			return nil, nil, fmt.Errorf("-options names %q, which is not among the attacks", name)
		}
	}
	return tasks, left, nil
}
