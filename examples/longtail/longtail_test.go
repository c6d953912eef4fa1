package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/longtail"
)

// tiny is a run of a few steps on MNIST.
func tiny(t *testing.T) *config {
	t.Helper()
	if _, _, err := datasets.Open("mnist", false); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	c := &config{source: recipes.Source{Data: "mnist", Size: 32, Imbalance: 10, Largest: 60}, methods: "ce, divide-and-retain", seeds: 1, epochs: 2, decay: suits, probe: 1,
		dual: recipes.Literal, variant: "graph", out: filepath.Join(dir, "cells"), report: filepath.Join(dir, "page.html"), json: filepath.Join(dir, "results.json")}
	c.dual.Point = 4
	return c
}

// results reads the records without what a clock says.
func results(t *testing.T, c *config) []longtail.Result {
	t.Helper()
	b, err := os.ReadFile(c.json)
	if err != nil {
		t.Fatal(err)
	}
	list, err := longtail.DecodeResults(b)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A run that was stopped goes on and ends with the same results; the page and the records
// hold all of them.
func TestRun(t *testing.T) {
	c := tiny(t)
	if err := run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	want := results(t, c)
	if len(want) != 2 || want[0].Method != "ce" || want[1].Method != recipes.DivideAndRetain || want[1].Seed != 1 || want[0].Subset != "exp-10/max-60/first" {
		t.Fatalf("records: %+v", want)
	}
	page, err := os.ReadFile(c.report)
	if err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"By groups of classes", "divide-and-retain, phase II", "Confusion", "Reliability", "results.json"} {
		if !strings.Contains(string(page), says) {
			t.Errorf("the page has no %q", says)
		}
	}

	other := tiny(t)
	stops := 0
	for ; stops < 20; stops++ {
		ctx, cancel := context.WithCancel(t.Context())
		steps := 0
		other.onStep = func() {
			if steps++; steps == 6 {
				cancel()
			}
		}
		err := run(ctx, other)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if stops < 2 || stops == 20 {
		t.Fatalf("the run ended after %d stops", stops)
	}
	for i, got := range results(t, other) {
		if got.Acc != want[i].Acc || got.NLL != want[i].NLL || got.Images != want[i].Images {
			t.Errorf("%s, seed %d: %v, %v nats, %d images; not %v, %v, %d", got.Method, got.Seed, got.Acc, got.NLL, got.Images, want[i].Acc, want[i].NLL, want[i].Images)
		}
	}
}

func TestBad(t *testing.T) {
	base := tiny(t)
	for _, b := range []struct {
		say    string
		change func(*config)
	}{
		{"head and tail need a class each", func(c *config) { c.dual.Point = 10 }},
		{"must be at least 1", func(c *config) { c.source.Imbalance = 0.5 }},
		{"without samples", func(c *config) { c.source.Imbalance = 1e6 }},
		{"neither mnist", func(c *config) { c.source.Data = "nowhere" }},
		{`method "best"`, func(c *config) { c.methods = "ce,best" }},
		{"first and cao", func(c *config) { c.source.Draw = "x" }},
		{"no variant", func(c *config) { c.variant = "x" }},
		{"-epochs", func(c *config) { c.epochs = -1 }},
		{"-share", func(c *config) { c.dual.Share = 1 }},
		{"resnet32 alone", func(c *config) { c.methods = "ride" }},
	} {
		c := *base
		b.change(&c)
		if err := run(t.Context(), &c); err == nil || !strings.Contains(err.Error(), b.say) {
			t.Errorf("%s: error %v", b.say, err)
		}
		if entries, _ := os.ReadDir(c.out); len(entries) > 0 {
			t.Errorf("%s: training began", b.say)
		}
	}
}
