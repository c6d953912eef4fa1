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
		return Meta{Network: net, Coordinates: 112, Interval: 9, First: 1, LR: 0.0095, TuneLR: 0.005, Mask: true, Proportional: true}, nil
	}
	return Meta{}, fmt.Errorf("attack: no preset %q of the meta attack (there are paper, paper-cifar10, paper-tiny, frugal)", name)
}

// ZOOPreset returns ZOO under named settings, those of the paper's code (Chen et al.,
// 2017) as its examples run it:
//
//   - mnist: 3,000 iterations for each of nine values of c, from 0.01;
//   - cifar10: the same with 1,000 iterations and the tanh box;
//   - imagenet: untargeted, c of 10, 1,500 iterations on a modifier of 32 by 32, the
//     tanh box, importance sampling, and Adam forgetting at the first success;
//   - imagenet-targeted: as imagenet with 50,000 iterations, on modifiers of 64 by 64
//     from 2,000 on and of 128 by 128 from 10,000 on.
//
// An iteration takes 257 queries: give the campaign a budget to match.
func ZOOPreset(name string) (ZOO, error) {
	imagenet := ZOO{C: 10, LR: 2e-3, Iterations: 1500, Box: Tanh, Sizes: []int{32}, Importance: true, Reset: true}
	switch name {
	case "mnist":
		return ZOO{Searches: 9}, nil
	case "cifar10":
		return ZOO{Searches: 9, Iterations: 1000, Box: Tanh}, nil
	case "imagenet":
		return imagenet, nil
	case "imagenet-targeted":
		imagenet.Iterations, imagenet.Sizes, imagenet.Switch = 50000, []int{32, 64, 128}, []int{2000, 10000}
		return imagenet, nil
	}
	return ZOO{}, fmt.Errorf("attack: no preset %q of ZOO (there are mnist, cifar10, imagenet, imagenet-targeted)", name)
}

// AutoZOOMPreset returns AutoZOOM with the bilinear decoder under named settings, those
// of the paper's code (Tu et al., 2019) as its examples run it, the first weight being 10:
//
//   - mnist: codes of 14 by 14, 1,000 iterations, a change of the weight every 100;
//   - cifar10: codes of 8 by 8, 1,000 iterations with one weight, the tanh box;
//   - imagenet: codes of 32 by 32, 100,000 iterations, a change of the weight every
//     1,000, four directions after the first success, the tanh box.
//
// With a Learned decoder in place of the bilinear one they are the settings of
// AutoZOOM-AE.
func AutoZOOMPreset(name string) (AutoZOOM, error) {
	switch name {
	case "mnist":
		return AutoZOOM{Decoder: Bilinear{14}, Weight: 10, Switch: 100}, nil
	case "cifar10":
		return AutoZOOM{Decoder: Bilinear{8}, Weight: 10, Box: Tanh}, nil
	case "imagenet":
		return AutoZOOM{Decoder: Bilinear{32}, Weight: 10, LR: 2e-3, Iterations: 100000, Directions: 4, Box: Tanh}, nil
	}
	return AutoZOOM{}, fmt.Errorf("attack: no preset %q of AutoZOOM (there are mnist, cifar10, imagenet)", name)
}

// BanditsPreset returns Bandits-TD under named settings:
//
//   - imagenet-l2 and imagenet-linf: those of the paper's code (Ilyas et al., 2019), for
//     radii of 5 and 0.05;
//   - mnist-linf and cifar10-linf: those that the code of SignHunter (Al-Dujaili and
//     O'Reilly, 2020) tuned for a comparison, for radii of 0.3 and 12/255.
//
// Tile 0 makes Bandits-T of them.
func BanditsPreset(name string) (Bandits, error) {
	switch name {
	case "imagenet-l2":
		return Bandits{Eps: 5, LR: 0.5, PriorLR: 0.1, Probe: 0.01, Explore: 0.01, Tile: 50}, nil
	case "imagenet-linf":
		return Bandits{Norm: Linf, Eps: 0.05, LR: 0.01, PriorLR: 100, Probe: 0.1, Explore: 1, Tile: 50}, nil
	case "mnist-linf":
		return Bandits{Norm: Linf, Eps: 0.3, LR: 0.03, PriorLR: 0.001, Probe: 0.1, Explore: 0.01, Tile: 8}, nil
	case "cifar10-linf":
		// Theirs are for pixels from 0 to 255. A shorter probe makes the estimate, which is
		// over its length, larger: the prior's rate is divided as well.
		return Bandits{Norm: Linf, Eps: 12. / 255, LR: 5. / 255, PriorLR: 1e-4 / 255, Probe: 2.55 / 255, Explore: 0.1, Tile: 20}, nil
	}
	return Bandits{}, fmt.Errorf("attack: no preset %q of Bandits (there are imagenet-l2, imagenet-linf, mnist-linf, cifar10-linf)", name)
}
