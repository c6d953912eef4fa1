package attack

import (
	"fmt"
	"reflect"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// PresetOf returns the attack of type A with the options of the named preset, such as
// PresetOf[Meta]("frugal"), without the networks it may need. The presets of an attack are
// listed with the attack. It panics if A is not registered.
func PresetOf[A Attack](name string) (a A, err error) {
	for _, k := range kinds {
		if _, ok := k.New().(A); ok && reflect.TypeOf(k.New()) == reflect.TypeFor[A]() {
			p, err := k.Preset(name)
			if err != nil {
				return a, err
			}
			return p.(A), nil
		}
	}
	tensor.Panic("attack.PresetOf", fmt.Sprintf("%v is not registered", reflect.TypeFor[A]()))
	return a, nil
}

// imagenetZOO is what the code of ZOO's paper runs on ImageNet, untargeted.
var imagenetZOO = ZOO{C: 10, LR: 2e-3, Iterations: 1500, Box: Tanh, Sizes: []int{32}, Importance: true, Reset: true}

func init() {
	targetedZOO := imagenetZOO
	targetedZOO.Iterations, targetedZOO.Sizes, targetedZOO.Switch = 50000, []int{32, 64, 128}, []int{2000, 10000}
	for _, k := range []Kind{
		{"meta", "Meta Attack", SmallDistance, func() Attack { return Meta{} }, []Preset{
			{"paper", "the settings for MNIST (thesis section 2.4), which are the defaults", Meta{}},
			{"paper-cifar10", "those of the authors' code for CIFAR-10, untargeted", Meta{Coordinates: 125, Interval: 3, Box: Tanh, Steps: 100}},
			{"paper-tiny", "those of the authors' code for Tiny ImageNet, untargeted", Meta{Coordinates: 500, Interval: 3, Box: Tanh, Steps: 100, Central: true}},
			{"frugal", "for MNIST, found on another victim and training images: about half the queries of paper at about the same distance",
				Meta{Coordinates: 112, Interval: 9, First: 1, LR: 0.0095, TuneLR: 0.005, Mask: true, Proportional: true}},
			{"lean", "for MNIST, found likewise, with parts of ours: about a third of the queries of paper at a smaller distance",
				Meta{Coordinates: 112, Interval: 6, First: 2, LR: 0.014, H: 0.01, TuneLR: 0.005, Mask: true, Proportional: true,
					Groups: 56, Nearest: true, Turn: 0.6, Approach: 1.1}},
		}},
		{"zoo", "ZOO", SmallDistance, func() Attack { return ZOO{} }, []Preset{
			{"mnist", "the paper's code for MNIST: 3,000 iterations for each of nine values of c", ZOO{Searches: 9}},
			{"cifar10", "the same for CIFAR-10, with 1,000 iterations and the tanh box", ZOO{Searches: 9, Iterations: 1000, Box: Tanh}},
			{"imagenet", "the same for ImageNet, untargeted", imagenetZOO},
			{"imagenet-targeted", "the same for ImageNet, targeted: modifiers of 32, 64 and 128", targetedZOO},
		}},
		{"autozoom", "AutoZOOM", SmallDistance, func() Attack { return AutoZOOM{} }, []Preset{
			{"mnist", "the paper's code for MNIST: codes of 14 by 14", AutoZOOM{Decoder: Bilinear{14}, Weight: 10, Switch: 100}},
			{"cifar10", "the same for CIFAR-10: codes of 8 by 8", AutoZOOM{Decoder: Bilinear{8}, Weight: 10, Box: Tanh}},
			{"imagenet", "the same for ImageNet: codes of 32 by 32", AutoZOOM{Decoder: Bilinear{32}, Weight: 10, LR: 2e-3, Iterations: 100000, Directions: 4, Box: Tanh}},
		}},
		{"bandits", "Bandits", InBall, func() Attack { return Bandits{} }, []Preset{
			{"imagenet-l2", "Bandits-TD by the paper's code, radius 5", Bandits{Eps: 5, LR: 0.5, PriorLR: 0.1, Probe: 0.01, Explore: 0.01, Tile: 50}},
			{"imagenet-linf", "Bandits-TD by the paper's code, radius 0.05", Bandits{Norm: Linf, Eps: 0.05, LR: 0.01, PriorLR: 100, Probe: 0.1, Explore: 1, Tile: 50}},
			{"mnist-linf", "tuned by the code of SignHunter for a comparison, radius 0.3", Bandits{Norm: Linf, Eps: 0.3, LR: 0.03, PriorLR: 0.001, Probe: 0.1, Explore: 0.01, Tile: 8}},
			// Theirs are for pixels from 0 to 255. A shorter probe makes the estimate, which is
			// over its length, larger: the prior's rate is divided as well.
			{"cifar10-linf", "tuned by the code of SignHunter for a comparison, radius 12/255",
				Bandits{Norm: Linf, Eps: 12. / 255, LR: 5. / 255, PriorLR: 1e-4 / 255, Probe: 2.55 / 255, Explore: 0.1, Tile: 20}},
		}},
		{"nes", "NES", InBall, func() Attack { return NES{} }, nil},
		{"square", "Square", InBall, func() Attack { return Square{} }, nil},
		{"simba", "SimBA", SmallDistance, func() Attack { return SimBA{} }, nil},
		{"signhunter", "SignHunter", InBall, func() Attack { return SignHunter{} }, nil},
		{"boundary", "Boundary", SmallDistance, func() Attack { return Boundary{} }, nil},
		{"opt", "Opt", SmallDistance, func() Attack { return Opt{} }, nil},
		{"sign-opt", "Sign-OPT", SmallDistance, func() Attack { return SignOpt{} }, nil},
		{"hopskipjump", "HopSkipJump", SmallDistance, func() Attack { return HopSkipJump{} }, nil},
		{"rays", "RayS", SmallDistance, func() Attack { return RayS{} }, nil},
		{"fgsm", "FGSM", InBall, func() Attack { return FGSM{} }, nil},
		{"pgd", "PGD", InBall, func() Attack { return PGD{} }, nil},
		{"apgd", "APGD", InBall, func() Attack { return APGD{} }, []Preset{
			{"ce", "APGD-CE: on cross-entropy, which is the default", APGD{}},
			{"dlr", "APGD-DLR: on the difference-of-logits ratio", APGD{Loss: zoo.DLR{}}},
			{"targeted", "APGD-T: on the targeted ratio, towards nine classes", APGD{Targets: 9}},
		}},
		{"fab", "FAB", SmallDistance, func() Attack { return FAB{} }, []Preset{
			{"targeted", "FAB-T: towards nine classes, where there are many more", FAB{Targets: 9}},
		}},
		{"autoattack", "AutoAttack", InBall, func() Attack { return AutoAttack{} }, []Preset{
			{"standard", "APGD-CE, APGD-T, FAB-T and Square, which is the default", AutoAttack{}},
			{"plus", "all six attacks, with restarts", AutoAttack{Version: "plus"}},
			{"rand", "for victims that answer at random", AutoAttack{Version: "rand"}},
		}},
		{"carlini-wagner", "Carlini-Wagner", SmallDistance, func() Attack { return CarliniWagner{} }, nil},
	} {
		Register(k)
	}
}
