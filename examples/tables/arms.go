package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/cast"
	"github.com/mettleml/mettle/examples/internal/weights"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/zoo"
)

// An arm is an attack with its settings: a row of a table.
type arm struct {
	name   string // as in -rows
	title  string
	budget int
	slow   bool   // few images will do
	n      int    // images, if -rows says so
	net    string // what tells the network it uses from others
	attack attack.Attack
}

// onLabels reports whether the arm's attack sees labels only.
func (a *arm) onLabels() bool { return attack.NeedsOf(a.attack) == attack.Labels }

// The budgets of the rows, in queries an image.
const (
	usual = 10000
	large = 50000 // of the attacks that the thesis gives tens of thousands
)

// baselines are the rows that need no network of their own.
func (b *book) baselines() []arm {
	r := cast.BallFor(b.test.Shape())
	return []arm{
		{name: "zoo", title: "ZOO", budget: large, slow: true, attack: cast.ZOO(r.Box)},
		{name: "boundary", title: "Boundary", budget: large, slow: true, attack: attack.Boundary{Steps: large}},
		{name: "opt", title: "Opt", budget: large, slow: true, attack: attack.Opt{}},
		{name: "autozoom", title: "AutoZOOM, bilinear", budget: usual, attack: cast.AutoZOOM(nil, r.Box, usual)},
		{name: "bandits", title: fmt.Sprintf("Bandits-TD, L2 ≤ %g", r.L2), budget: usual, attack: attack.Bandits{Eps: r.L2, Tile: r.Tile}},
		{name: "square-linf", title: fmt.Sprintf("Square, Linf ≤ %.3g", r.Linf), budget: usual, attack: attack.Square{Norm: attack.Linf, Eps: r.Linf}},
		{name: "square-l2", title: fmt.Sprintf("Square, L2 ≤ %g", r.L2), budget: usual, attack: attack.Square{Eps: r.L2}},
		{name: "hopskipjump", title: "HopSkipJump", budget: usual, attack: attack.HopSkipJump{}},
	}
}

// meta is a row of the Meta Attack.
func meta(name, title, preset string, n *network) (arm, error) {
	a, err := attack.PresetOf[attack.Meta](preset)
	a.Network = n.net
	return arm{name: name, title: title, budget: usual, net: n.hash, attack: a}, err
}

// autoEncoder is the row of AutoZOOM with the decoder that was trained for the
// pictures.
func (b *book) autoEncoder() (arm, error) {
	path := cast.File(b.weights, b.cast.Decoder)
	hash, err := fileDigest(path)
	if err != nil {
		return arm{}, err
	}
	d, err := weights.Decoder(path, b.test.Shape())
	if err != nil {
		return arm{}, err
	}
	return arm{name: "autozoom-ae", title: "AutoZOOM, auto-encoder", budget: usual, net: hash,
		attack: cast.AutoZOOM(d, cast.BallFor(b.test.Shape()).Box, usual)}, nil
}

// A network is a meta attacker.
type network struct {
	net  nn.Module
	hash string
	data string // what it was trained on
	note string // how that went
}

// attacker opens a meta attacker of the weights' directory.
func (b *book) attacker(name string) (*network, error) {
	return openAttacker(cast.File(b.weights, name))
}

func openAttacker(path string) (*network, error) {
	hash, err := fileDigest(path)
	if err != nil {
		return nil, err
	}
	net, info, err := models.Open(path)
	return &network{net, hash, info.Data, info.Accuracy}, err
}

// random is a meta attacker that learned nothing.
func (b *book) random() *network {
	spec, _ := models.Find(b.cast.Attacker)
	return &network{spec.New(b.c.seed, 0), fmt.Sprintf("random %d", b.c.seed), "", ""}
}

// unsteady is the trained meta attacker before its convolutions were made steady.
func (b *book) unsteady() (*network, error) {
	n, err := b.attacker(b.cast.Attacker)
	if err != nil {
		return nil, err
	}
	net, ok := n.net.(*nn.Sequential)
	if !ok {
		return nil, fmt.Errorf("%s is not a meta attacker", b.cast.Attacker)
	}
	zoo.Steady(net, 1.0/cast.Steadiness)
	return &network{net, n.hash + " unsteady", n.data, n.note}, nil
}

// arms are the rows of tables 2.4 and 2.5.
func (b *book) arms() ([]arm, error) {
	list := b.baselines()
	if b.cast.Decoder != "" {
		a, err := b.autoEncoder()
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(list, func(a arm) bool { return a.name == "autozoom" })
		list = slices.Insert(list, i+1, a)
	}
	trained, err := b.attacker(b.cast.Attacker)
	if err != nil {
		return nil, err
	}
	add := func(name, title, preset string, n *network) {
		a, e := meta(name, title, preset, n)
		if e != nil {
			err = e
		}
		list = append(list, a)
	}
	add("meta", "Meta Attack", b.cast.Preset, trained)
	add("meta-random", "Meta Attack, random attacker", b.cast.Preset, b.random())
	if b.cast.Preset == "paper" {
		add("meta-frugal", "Meta Attack, frugal", "frugal", trained)
		add("meta-lean", "Meta Attack, lean", "lean", trained)
	}
	if b.c.transfer != "" {
		other, e := openAttacker(b.c.transfer)
		if e != nil {
			return nil, e
		}
		add("meta-transfer", "Meta Attack, trained on "+filepath.Base(other.data), b.cast.Preset, other)
	}
	return list, err
}
