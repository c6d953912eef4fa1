package nn

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// A Classifier is a backbone, which computes features, and a head, which turns them into
// logits. Any module that takes [N, Width] may be the head: replace it for other classes, a
// cosine classifier, or a projection.
type Classifier struct {
	Backbone *Backbone
	Head     Module // [N, Backbone.Width()] to logits [N, classes]
	HeadName string // name of the head in a state, such as "fc"
}

// Forward returns the logits of x.
func (c *Classifier) Forward(x autograd.Var) autograd.Var { return c.chain().Forward(x) }

func (c *Classifier) chain() *Sequential {
	return NewSequential(append(c.Backbone.modules(), c.Head)...)
}

// Promises: see [Promiser].
func (c *Classifier) Promises(self Module) Promise {
	return Promised[*Classifier](self, promises(c.chain()))
}

// Walk names the contents of the backbone, without a prefix, and the head.
func (c *Classifier) Walk(w *Walker) {
	w.Child("", c.Backbone)
	w.Child(c.HeadName, c.Head)
}

// A Backbone is a network without its head: stages one after the other, and a pooling that
// turns the last stage's map into features. It is a module that maps samples to features
// [N, Width]. A part of a backbone is a backbone: &Backbone{Stages: b.Stages[2:], Pool:
// b.Pool} takes the output of stage 1.
type Backbone struct {
	Stages []Stage
	Pool   Stage // turns the last stage's map into features
}

// A Stage is a part of a [Backbone].
type Stage struct {
	Name   string // as in a state, such as "layer3"
	Width  int    // number of channels of its output, or of features
	Module Module

	// Inline leaves Name out of the dotted names of the module's contents.
	Inline bool
}

func (s *Stage) walk(w *Walker) {
	if s.Inline {
		w.Child("", s.Module)
	} else {
		w.Child(s.Name, s.Module)
	}
}

// Width returns the number of features.
func (b *Backbone) Width() int { return b.Pool.Width }

// Forward returns the features [N, Width] of x.
func (b *Backbone) Forward(x autograd.Var) autograd.Var {
	return NewSequential(b.modules()...).Forward(x)
}

// FeatureMap returns the output of the last stage for x: [N, channels, ...].
func (b *Backbone) FeatureMap(x autograd.Var) autograd.Var {
	all := b.modules()
	return NewSequential(all[:len(all)-1]...).Forward(x)
}

// Maps returns the outputs of the named stages for x, in the order of the names, from one
// forward pass. The pass ends at the last of these stages; Pool and Head can go on from
// there. It panics if a name is unknown; see [Backbone.Stage].
func (b *Backbone) Maps(x autograd.Var, names ...string) []autograd.Var {
	at := make([]int, len(names))
	last := -1
	for i, name := range names {
		k, err := b.Stage(name)
		if err != nil {
			tensor.Panic("nn.Backbone.Maps", err.Error())
		}
		at[i], last = k, max(last, k)
	}
	maps := make([]autograd.Var, len(names))
	all := b.modules()
	from := 0
	for k := range last + 1 {
		wanted := false
		for i := range at {
			wanted = wanted || at[i] == k
		}
		if !wanted {
			continue
		}
		// What is wanted is the end of a chain, and so kept; the rest is freed.
		x = NewSequential(all[from : k+1]...).Forward(x)
		from = k + 1
		for i := range at {
			if at[i] == k {
				maps[i] = x
			}
		}
	}
	return maps
}

// Stage returns the position in Stages of the stage called name, or an error that
// lists the names.
func (b *Backbone) Stage(name string) (int, error) {
	var names []string
	for i, s := range b.Stages {
		if s.Name == name {
			return i, nil
		}
		names = append(names, s.Name)
	}
	return 0, fmt.Errorf("nn: the backbone has no stage %q; it has %q", name, names)
}

// modules returns the stages and the pooling.
func (b *Backbone) modules() []Module {
	list := make([]Module, 0, len(b.Stages)+2)
	for _, s := range b.Stages {
		list = append(list, s.Module)
	}
	return append(list, b.Pool.Module)
}

// Promises: see [Promiser].
func (b *Backbone) Promises(self Module) Promise {
	return Promised[*Backbone](self, Together(b.modules()...))
}

// Walk names what the stages and the pooling hold.
func (b *Backbone) Walk(w *Walker) {
	for i := range b.Stages {
		b.Stages[i].walk(w)
	}
	b.Pool.walk(w)
}
