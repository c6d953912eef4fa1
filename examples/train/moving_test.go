package main

import (
	"context"
	"testing"

	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models/pretrained"
)

// TestShippedVictimUsesMotion: the network that the library ships for moving digits is as
// good as its licence file says, and knows nothing of a frozen frame.
func TestShippedVictimUsesMotion(t *testing.T) {
	digits, err := datasets.Digits()
	if err != nil {
		t.Fatal(err)
	}
	a, err := measure(context.Background(), pretrained.Tiny3D(), data.Preprocess{CTHW: true}, datasets.NewMoving(digits, 160, 0))
	if err != nil {
		t.Fatal(err)
	}
	if a.Clean < 0.98 || a.Frozen > 0.25 || a.Reversed > 0.35 || a.Shuffled > 0.45 {
		t.Errorf("%+v", a)
	}
}
