package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/zoo"
)

// A setup is what the attacks are bound to.
type setup struct {
	victim   zoo.Scorer
	net      nn.Module    // the meta attacker, nil if it does not fit the samples
	start    attack.Start // may find its image later than it is bound
	preset   string
	targeted bool
	budget   int
}

// usual are the attacks of a run that asks for none by name.
const usual = "meta,zoo,autozoom,bandits,square,hopskipjump"

// unfit says why an attack cannot run on these samples, or for this goal.
type unfit string

func (u unfit) Error() string { return string(u) }

// An entry of the catalogue makes the job of an attack.
type entry struct {
	name, what string
	job        func(s setup) (attack.Job, error)
}

// autoZOOM has more iterations than the budget lasts for.
func autoZOOM(s setup, d attack.Decoder) attack.Job {
	return attack.WithScores(attack.AutoZOOM{Decoder: d, Weight: 10, Switch: 100, Directions: 4, Iterations: s.budget}, s.victim)
}

// catalogue lists the attacks by the names of -attack. Those under a ball have
// radius 2 in L2, near the distance at which the others end on MNIST.
var catalogue = []entry{
	{"meta", "Meta Attack: scores, least L2", func(s setup) (attack.Job, error) {
		if s.net == nil {
			return attack.Job{}, unfit("the meta attacker is trained for 28x28 gray images")
		}
		a, err := attack.MetaPreset(s.preset, s.net)
		return attack.WithScores(a, s.victim), err
	}},
	{"zoo", "ZOO: scores, least L2", scores(attack.ZOO{First: true, C: 10})},
	{"autozoom", "AutoZOOM, bilinear: scores, least L2", func(s setup) (attack.Job, error) { return autoZOOM(s, nil), nil }},
	{"autozoom-ae", "AutoZOOM, decoder of an auto-encoder: scores, least L2", func(s setup) (attack.Job, error) {
		if s.net == nil {
			return attack.Job{}, unfit("its auto-encoder is trained for 28x28 gray images")
		}
		d := &attack.Learned{Network: pretrained.AutoZOOMMNIST().Decoder, Code: []int{1, 14, 14}}
		return autoZOOM(s, d), nil
	}},
	{"bandits", "Bandits-TD: scores, L2 ball", scores(attack.Bandits{Eps: 2, Tile: 14})},
	{"nes", "NES: scores, L2 ball", scores(attack.NES{Eps: 2})},
	{"square", "Square: scores, L2 ball", scores(attack.Square{Eps: 2})},
	{"simba", "SimBA: scores, L2 grows", scores(attack.SimBA{})},
	{"simba-dct", "SimBA-DCT: scores, L2 grows", scores(attack.SimBA{DCT: true, Fraction: 0.5})},
	{"signhunter", "SignHunter: scores, L2 ball", scores(attack.SignHunter{Eps: 2})},
	{"boundary", "Boundary: labels, least L2", func(s setup) (attack.Job, error) {
		return attack.WithLabels(attack.Boundary{Start: s.start}, zoo.LabelsOf(s.victim)), nil
	}},
	{"opt", "Opt: labels, least L2", func(s setup) (attack.Job, error) {
		return attack.WithLabels(attack.Opt{Start: s.start}, zoo.LabelsOf(s.victim)), nil
	}},
	{"sign-opt", "Sign-OPT: labels, least L2", func(s setup) (attack.Job, error) {
		return attack.WithLabels(attack.SignOpt{Start: s.start}, zoo.LabelsOf(s.victim)), nil
	}},
	{"hopskipjump", "HopSkipJump: labels, least L2", func(s setup) (attack.Job, error) {
		return attack.WithLabels(attack.HopSkipJump{Start: s.start}, zoo.LabelsOf(s.victim)), nil
	}},
	{"rays", "RayS: labels, least Linf, untargeted only", func(s setup) (attack.Job, error) {
		if s.targeted {
			return attack.Job{}, unfit("it has no image of the wanted class to begin from, and hardly ever finds one")
		}
		return attack.WithLabels(attack.RayS{}, zoo.LabelsOf(s.victim)), nil
	}},
}

func scores(a attack.ScoreAttack) func(setup) (attack.Job, error) {
	return func(s setup) (attack.Job, error) { return attack.WithScores(a, s.victim), nil }
}

// A choice is an attack of a run. One that was not asked for by its own name is left
// out where it does not fit.
type choice struct {
	name   string
	byName bool
}

// chosen are the attacks that -attack asks for, each once.
func chosen(list string) ([]choice, error) {
	var all []string
	for _, a := range catalogue {
		all = append(all, a.name)
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
			add(false, all...)
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
	name string
	job  attack.Job
}

// bind makes the jobs of a run, and tells which attacks it leaves out and why.
func bind(picks []choice, s setup) (tasks []task, left []string, err error) {
	for _, c := range picks {
		i := slices.IndexFunc(catalogue, func(e entry) bool { return e.name == c.name })
		job, err := catalogue[i].job(s)
		var u unfit
		switch {
		case errors.As(err, &u) && !c.byName:
			left = append(left, fmt.Sprintf("%s is left out: %v", c.name, u))
		case errors.As(err, &u):
			return nil, nil, fmt.Errorf("%s: %w; leave it out of -attack", c.name, u)
		case err != nil:
			return nil, nil, err
		default:
			tasks = append(tasks, task{c.name, job})
		}
	}
	return tasks, left, nil
}
