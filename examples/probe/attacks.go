package main

import (
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
	victim zoo.Scorer
	net    nn.Module // the meta attacker, nil if it does not fit the samples
	start  attack.Start
	preset string
}

// catalogue lists the attacks by the names of -attack. Those under a ball have
// radius 2 in L2, near the distance at which the others end on MNIST.
var catalogue = []struct {
	name, what string
	job        func(s setup) (attack.Job, error)
}{
	{"meta", "Meta Attack: scores, least L2", func(s setup) (attack.Job, error) {
		if s.net == nil {
			return attack.Job{}, fmt.Errorf("the meta attacker is trained for 28x28 gray images; leave meta out of -attack")
		}
		a, err := attack.MetaPreset(s.preset, s.net)
		return attack.WithScores(a, s.victim), err
	}},
	{"zoo", "ZOO: scores, least L2", scores(attack.ZOO{First: true, C: 10})},
	{"autozoom", "AutoZOOM, bilinear: scores, least L2", scores(attack.AutoZOOM{Weight: 10, Switch: 100, Directions: 4, Iterations: 2000})},
	{"autozoom-ae", "AutoZOOM, decoder of an auto-encoder: scores, least L2", func(s setup) (attack.Job, error) {
		if s.net == nil {
			return attack.Job{}, fmt.Errorf("the auto-encoder is trained for 28x28 gray images; leave autozoom-ae out of -attack")
		}
		d := &attack.Learned{Network: pretrained.AutoZOOMMNIST().Decoder, Code: []int{1, 14, 14}}
		return attack.WithScores(attack.AutoZOOM{Decoder: d, Weight: 10, Switch: 100, Directions: 4, Iterations: 2000}, s.victim), nil
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
	{"rays", "RayS: labels, least Linf", func(s setup) (attack.Job, error) {
		return attack.WithLabels(attack.RayS{}, zoo.LabelsOf(s.victim)), nil
	}},
}

func scores(a attack.ScoreAttack) func(setup) (attack.Job, error) {
	return func(s setup) (attack.Job, error) { return attack.WithScores(a, s.victim), nil }
}

// chosen are the names that -attack asks for.
func chosen(list string) ([]string, error) {
	var all, names []string
	for _, a := range catalogue {
		all = append(all, a.name)
	}
	for name := range strings.SplitSeq(list, ",") {
		switch name = strings.TrimSpace(name); {
		case name == "all":
			names = append(names, all...)
		case !slices.Contains(all, name):
			return nil, fmt.Errorf("-attack %s: there are %s", name, strings.Join(all, ", "))
		default:
			names = append(names, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(names), nil
}

// bind makes the job of a name.
func bind(name string, s setup) (attack.Job, error) {
	i := slices.IndexFunc(catalogue, func(a struct {
		name, what string
		job        func(setup) (attack.Job, error)
	}) bool {
		return a.name == name
	})
	return catalogue[i].job(s)
}
