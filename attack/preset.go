package attack

import (
	"fmt"

	"github.com/mettleml/mettle/nn"
)

// MetaPreset returns the Meta Attack under named settings, with the given network:
//
//   - paper: the settings for MNIST (thesis section 2.4), which are the zero
//     value's;
//   - paper-cifar10 and paper-tiny: those of the authors' code for CIFAR-10 and Tiny
//     ImageNet, untargeted and with the tanh box;
//   - frugal: for MNIST, found on another victim and training images; it measures
//     at once and then more rarely, steps along the estimate, and needs about half
//     the queries of paper at about the same distance.
func MetaPreset(name string, net nn.Module) (Meta, error) {
	switch name {
	case "paper":
		return Meta{Network: net}, nil
	case "paper-cifar10":
		return Meta{Network: net, Coordinates: 125, Interval: 3, Box: Tanh, Steps: 100}, nil
	case "paper-tiny":
		return Meta{Network: net, Coordinates: 500, Interval: 3, Box: Tanh, Steps: 100, Central: true}, nil
	case "frugal":
		return Meta{Network: net, Coordinates: 112, Interval: 9, First: 1, TuneLR: 0.002, Mask: true, Proportional: true}, nil
	}
	return Meta{}, fmt.Errorf("attack: no preset %q of the meta attack (there are paper, paper-cifar10, paper-tiny, frugal)", name)
}
