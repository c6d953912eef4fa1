package nn

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// A Classifier is a backbone, which makes features of a sample, and a head, which
// makes logits of the features. Any module that maps [N, Width] serves as a head: put
// another in its place for other classes, a cosine classifier, or a projection.
type Classifier struct {
	Backbone *Backbone
	Head     Module // [N, Backbone.Width()] to logits [N, classes]
	HeadName string // of the head in a state: "fc"
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

// Walk names what the backbone holds as that does, and the head.
func (c *Classifier) Walk(w *Walker) {
	w.Child("", c.Backbone)
	w.Child(c.HeadName, c.Head)
}

// A Backbone is a network without its head: stages one after the other, and what
// makes features of the last one's map. It is a module that maps samples to features
// [N, Width]. A part of one is another: &Backbone{Stages: b.Stages[2:], Pool: b.Pool}
// takes what stage 1 made.
type Backbone struct {
	Stages []Stage
	Pool   Stage // of the last stage's map, to features
}

// A Stage is a part of a [Backbone].
type Stage struct {
	Name   string // as in a state: "layer3"
	Width  int    // the channels of what it makes, or the number of features
	Module Module

	// Inline says that the names of what the module holds are whole: in a state they
	// stand without Name before them.
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

// FeatureMap returns what the last stage makes of x: [N, channels, ...].
func (b *Backbone) FeatureMap(x autograd.Var) autograd.Var {
	all := b.modules()
	return NewSequential(all[:len(all)-1]...).Forward(x)
}

// Maps returns what the named stages make of x, in one pass and in the order of the
// names. The last of the stages is where it ends: Pool and Head can go on from there.
// It panics if a name is unknown; see [Backbone.Stage].
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
