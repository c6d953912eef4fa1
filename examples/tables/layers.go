package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
)

// table21 lists the layers of the meta attacker.
func (b *book) table21(context.Context) error {
	b.heading("Table 2.1: the meta attacker")
	return b.layers(b.cast.Attacker)
}

// table22 lists those of the classifiers.
func (b *book) table22(context.Context) error {
	b.heading("Table 2.2: the classifiers")
	for _, name := range append(b.cast.Sources, b.cast.Victim) {
		fmt.Fprintf(&b.page, "### %s\n\n", name)
		if err := b.layers(name); err != nil {
			return err
		}
	}
	return nil
}

// layers is the table of a network, read off the network.
func (b *book) layers(name string) error {
	spec, ok := models.Find(name)
	if !ok {
		return fmt.Errorf("package models has no %q", name)
	}
	net := spec.New(0, b.test.Classes())
	t := &report.Table{Head: []string{" layer", " output", "parameters"}}
	x := tensor.New(append([]int{1}, b.test.Shape()...)...)
	for _, l := range flat(net) {
		tape := autograd.NewTape(autograd.Inference, 0)
		y := l.Forward(tape.Input(x))
		x = y.Value().Clone()
		row := []string{describe(l), shape(x.Shape()[1:]), fmt.Sprint(nn.Count(l))}
		if n := len(t.Rows); n > 0 && nn.Count(l) == 0 && t.Rows[n-1][1] == row[1] {
			t.Rows[n-1][0] += ", " + row[0] // an activation stands with its layer
			continue
		}
		t.Rows = append(t.Rows, row)
	}
	b.text(fmt.Sprintf("%s: %d parameters.", name, nn.Count(net)))
	b.table(t)
	return nil
}

func shape(s []int) string {
	return strings.Join(strings.Fields(strings.Trim(fmt.Sprint(s), "[]")), "×")
}

// flat takes chains apart, down to layers and residual blocks.
func flat(m nn.Module) []nn.Module {
	var parts []nn.Module
	switch m := m.(type) {
	case *nn.Sequential:
		for _, l := range m.Layers {
			parts = append(parts, flat(l)...)
		}
	case *nn.Classifier:
		for _, s := range slices.Concat(m.Backbone.Stages, []nn.Stage{m.Backbone.Pool}) {
			parts = append(parts, flat(s.Module)...)
		}
		return append(parts, flat(m.Head)...)
	default:
		return []nn.Module{m}
	}
	return parts
}

// describe says what a layer is.
func describe(m nn.Module) string {
	conv := func(kind string, in, out int, w []int, o autograd.ConvOptions) string {
		s := fmt.Sprintf("%s %d→%d, %d×%d", kind, in, out, w[2], w[3])
		if o.Stride[0] > 1 {
			s += fmt.Sprintf(", stride %d", o.Stride[0])
		}
		if o.Padding[0] > 0 {
			s += fmt.Sprintf(", padding %d", o.Padding[0])
		}
		return s
	}
	switch l := m.(type) {
	case *nn.Conv:
		w := l.Weight.Shape()
		return conv("Conv", w[1], w[0], w, l.Options)
	case *nn.ConvTranspose:
		w := l.Weight.Shape()
		return conv("ConvT", w[0], w[1], w, l.Options)
	case *nn.Linear:
		return fmt.Sprintf("Linear %d→%d", l.Weight.Shape()[1], l.Weight.Shape()[0])
	case *nn.BatchNorm:
		if l.Statistics == nn.Batch {
			return "BatchNorm (statistics of the batch, always)"
		}
		return "BatchNorm"
	case nn.Dropout:
		return fmt.Sprintf("Dropout %g", l.P)
	case nn.MaxPool:
		return fmt.Sprintf("MaxPool %d×%d", l.Kernel[0], l.Kernel[0])
	case *nn.BasicBlock:
		w := l.Conv1.Weight.Shape()
		return fmt.Sprintf("residual block %d→%d, two 3×3, stride %d", w[1], w[0], l.Stride)
	}
	return reflect.TypeOf(m).Name()
}

// table23 measures sources and victims on the test set.
func (b *book) table23(ctx context.Context) error {
	b.heading("Table 2.3: accuracy on the test set")
	t := &report.Table{Head: []string{" network", " part", "right", "of", "accuracy", " thesis"}}
	row := func(c *classifier, part string) {
		t.Rows = append(t.Rows, []string{c.name, part, fmt.Sprint(len(c.right)), fmt.Sprint(len(c.answers)), fmt.Sprintf("%.2f %%", 100*c.accuracy()), ""})
	}
	for _, s := range b.cast.Sources {
		c, err := b.classifier(ctx, s)
		if err != nil {
			return err
		}
		row(c, "source")
	}
	for _, v := range b.victims {
		row(v.classifier, "victim")
	}
	b.table(t)
	return nil
}
