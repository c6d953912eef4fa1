package main

import "github.com/mettleml/mettle/examples/internal/recipes"

// modelFor is the network that suits the data, unless one is named.
func modelFor(name string, d *recipes.Data) string {
	shape := d.Test.Shape()
	switch {
	case name != "":
		return name
	case shape[0] == 1:
		return recipes.Small
	case shape[1] <= 64:
		return "resnet20"
	}
	return "resnet10"
}
