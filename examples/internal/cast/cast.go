// Package cast says which networks play which part in the experiments of chapter 2,
// and in which files they are kept.
package cast

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/mettleml/mettle/attack"
)

// A Cast is the networks of one kind of pictures, by their names in package models.
type Cast struct {
	Sources  []string // teach the meta attacker by their gradients
	Victim   string   // is attacked, and was never seen by the meta attacker
	Attacker string   // the meta attacker
	StandIn  string   // is attacked where the victim must not be: in the search for settings; "" if there is none
	Decoder  string   // the auto-encoder of AutoZOOM; "" if there is none
	Preset   string   // of the Meta Attack, as the thesis has it for these pictures
}

// For returns the cast for pictures of a shape: those of MNIST, CIFAR or Tiny
// ImageNet (thesis section 2.4.1).
func For(shape []int) (Cast, error) {
	switch {
	case slices.Equal(shape, []int{1, 28, 28}):
		return Cast{[]string{"lenet5", "net2", "net3"}, "net4", "meta-mnist", "net1", "autozoom-mnist", Preset(shape)}, nil
	case slices.Equal(shape, []int{3, 32, 32}):
		return Cast{[]string{"vgg13-32", "vgg16-32", "vgg19-32"}, "resnet18-small", "meta-cifar", "", "autozoom-cifar", Preset(shape)}, nil
	case slices.Equal(shape, []int{3, 64, 64}):
		return Cast{[]string{"vgg13-64", "vgg16-64", "resnet18-small"}, "resnet34-small", "meta-cifar", "", "", Preset(shape)}, nil
	}
	return Cast{}, fmt.Errorf("the Meta Attack's networks take pictures of 1x28x28, 3x32x32 and 3x64x64; these are %v", shape)
}

// Preset is the settings of the Meta Attack for pictures of any shape [C, H, W]:
// those of the pictures of the thesis that they are most like.
func Preset(shape []int) string {
	switch {
	case shape[0] == 1:
		return "paper"
	case len(shape) == 3 && shape[1] < 64:
		return "paper-cifar10"
	}
	return "paper-tiny"
}

// TargetedSteps are what the paper's code gives the targeted Meta Attack, on any
// pictures; its presets have the steps of the untargeted one.
const TargetedSteps = 300

// A Ball is what attacks that want one are given, and the space in which others move.
type Ball struct {
	L2, Linf, L1 float64    // radii
	Tile         int        // side of the prior of Bandits
	Box          attack.Box // of attacks on scores that look for the least distance
}

// BallFor has for gray pictures the radii of MNIST, near the distances at which attacks
// without a ball end there, and for colour those that are common.
func BallFor(shape []int) Ball {
	b := Ball{L2: 1, Linf: 8.0 / 255, L1: 12, Box: attack.Tanh}
	if shape[0] == 1 {
		b = Ball{L2: 2, Linf: 0.3, L1: 10, Box: attack.Clip}
	}
	if n := len(shape); n >= 2 {
		b.Tile = min(shape[n-2], shape[n-1]) / 2
	}
	return b
}

// ZOO is ZOO stopped at its first success. With the c of 0.5 and the step of 0.01 of its
// code for MNIST it took 60 % of 40 training images from the stand-in within 50,000
// queries, and 22 % where they were to become a certain class. With a c of 5 to 30 it
// took all of them, and 10 of 12. With steps of 0.02 it took 24 of 24 either way, in half
// the queries, 5 % farther away.
func ZOO(box attack.Box) attack.ZOO { return attack.ZOO{First: true, C: 10, LR: 0.02, Box: box} }

// AutoZOOM is AutoZOOM with a decoder, nil for the bilinear one, as its code's examples
// run it, but for more directions once there is a success, and iterations that outlast
// the budget.
func AutoZOOM(d attack.Decoder, box attack.Box, budget int) attack.AutoZOOM {
	return attack.AutoZOOM{Decoder: d, Weight: 10, Switch: 100, Directions: 4, Iterations: budget, Box: box}
}

// Directory is where the networks for a data set are kept unless told otherwise.
func Directory(data string) string { return "meta-" + filepath.Base(data) }

// File is where a network is kept.
func File(dir, name string) string { return filepath.Join(dir, name+".safetensors") }

// Victim is the name of the file of the victim trained from a seed.
func Victim(name string, seed int) string {
	if seed == 1 {
		return name
	}
	return fmt.Sprintf("%s-s%d", name, seed)
}

// Steadiness is how much slower than they learned the meta attacker's convolutions are
// fine-tuned (zoo.Steady). It was found for digits, on 400 training images and on networks
// that are neither sources nor victim. On one like Net1 with tanh, targeted attacks need
// 0.98, 0.97, 0.96 and 0.95 of the queries at factors 2, 4, 8 and 16, and untargeted ones
// 0.98, 0.99 and 0.99 at 4, 8 and 16. At 8, Net1 itself needs 0.96 and 0.98, and one like
// Net4 of other widths 0.96 and 0.99.
const Steadiness = 8

// The names of the attackers for the ablations (thesis section 2.4.5) are made of the
// attacker's own.

// Vanilla is trained without inner and outer loop.
func Vanilla(attacker string) string { return attacker + "-vanilla" }

// Estimated is trained on gradients estimated on n images a source.
func Estimated(attacker string, n int) string { return fmt.Sprintf("%s-estimated%d", attacker, n) }

// Fewer is trained on true gradients on n images a source.
func Fewer(attacker string, n int) string { return fmt.Sprintf("%s-images%d", attacker, n) }
