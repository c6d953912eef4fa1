// Package models has the named networks of the library, randomly initialised from a seed.
// For images these are the MNIST classifiers and the auto-encoders of the meta attack, the
// auto-encoders of AutoZOOM, residual networks for CIFAR and ImageNet, and VGG with batch
// normalisation. For clips there are C3D, I3D, residual networks with 3-D convolutions, and
// temporal segment networks ([TSN]) over any network for images. [All] lists them with
// their input, parameter count and multiply-adds. [Inflate] converts weights for images
// into weights for clips.
//
// Classifiers take preprocessed pixels and return logits; none normalises its input. All
// are of type [nn.Classifier]: field Backbone gives features, feature maps and stages, and
// field Head can be replaced for other classes.
package models

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/nn"
)

// A Spec describes a network.
type Spec struct {
	Name         string // as given on a command line
	Input        []int  // shape of one example: [C, H, W], or [C, T, H, W] for a clip
	Classes      int    // for which Params and MultiplyAdds hold; 0 for an auto-encoder
	Params       int
	MultiplyAdds int64 // per example, in convolutions and matrix products

	// New returns the network with the given number of classes; 0 means Classes.
	New func(seed uint64, classes int) nn.Module
}

// All lists the networks of this package.
var All = []Spec{
	{"lenet5", mnist, 10, 44_426, 281_640, of(LeNet5)},
	{"net1", mnist, 10, 431_080, 2_293_000, of(Net1)},
	{"net2", mnist, 10, 3_382_346, 45_159_680, of(Net2)},
	{"net3", mnist, 10, 893_258, 136_470_528, of(Net3)},
	{"net4", mnist, 10, 281_290, 9_905_920, of(Net4)},
	{"net5", mnist, 10, 509_410, 508_200, of(Net5)},
	{"net6", mnist, 10, 312_202, 9_952_400, of(Net6)},
	{"meta-mnist", mnist, 0, 136_081, 4_939_136, func(seed uint64, _ int) nn.Module { return MetaAttackerMNIST(seed) }},
	{"meta-cifar", cifar, 0, 1_380_099, 52_101_120, func(seed uint64, _ int) nn.Module { return MetaAttackerCIFAR(seed) }},
	{"autozoom-mnist", mnist, 0, 610, 282_240, func(seed uint64, _ int) nn.Module { return AutoZOOMMNIST(seed) }},
	{"autozoom-cifar", cifar, 0, 6_406, 2_119_680, func(seed uint64, _ int) nn.Module { return AutoZOOMCIFAR(seed) }},
	{"resnet20", cifar, 10, 269_722, 40_551_040, of(ResNet20)},
	{"resnet32", cifar, 10, 464_154, 68_862_592, of(ResNet32)},
	{"resnet44", cifar, 10, 658_586, 97_174_144, of(ResNet44)},
	{"resnet56", cifar, 10, 853_018, 125_485_696, of(ResNet56)},
	{"resnet10", imagenet, 1000, 5_418_792, 889_229_312, of(ResNet10)},
	{"resnet18", imagenet, 1000, 11_689_512, 1_814_073_344, of(ResNet18)},
	{"resnet34", imagenet, 1000, 21_797_672, 3_663_761_408, of(ResNet34)},
	{"resnet50", imagenet, 1000, 25_557_032, 4_089_184_256, of(ResNet50)},
	{"resnet152", imagenet, 1000, 60_192_808, 11_513_626_624, of(ResNet152)},
	{"resnet18-small", cifar, 10, 11_173_962, 555_422_720, of(ResNet18Small)},
	{"resnet34-small", cifar, 10, 21_282_122, 1_159_402_496, of(ResNet34Small)},
	{"vgg11-32", cifar, 10, 9_231_114, 152_769_536, vgg(VGG11, 32)},
	{"vgg13-32", cifar, 10, 9_416_010, 228_267_008, vgg(VGG13, 32)},
	{"vgg16-32", cifar, 10, 14_728_266, 313_201_664, vgg(VGG16, 32)},
	{"vgg19-32", cifar, 10, 20_040_522, 398_136_320, vgg(VGG19, 32)},
	{"vgg11-64", tinyImageNet, 200, 9_635_784, 611_467_264, vgg(VGG11, 64)},
	{"vgg13-64", tinyImageNet, 200, 9_820_680, 913_457_152, vgg(VGG13, 64)},
	{"vgg16-64", tinyImageNet, 200, 15_132_936, 1_253_195_776, vgg(VGG16, 64)},
	{"vgg19-64", tinyImageNet, 200, 20_445_192, 1_592_934_400, vgg(VGG19, 64)},
	{"tiny3d", clips, 10, 18_370, 31_850_816, of(Tiny3D)},
	{"tiny2plus1d", clips, 10, 10_562, 18_481_472, of(Tiny2Plus1D)},
	{"tinytsn", clips, 10, 6_418, 12_976_448, of(TinyTSN)},
	{"tinyflow", flows, 10, 18_154, 28_311_872, of(TinyFlow)},
	{"r3d18-small", smallClips, 5, 2_077_173, 259_392_128, of(R3D18Small)},
	{"tsn18-small", smallClips, 5, 701_589, 158_073_472, of(TSN18Small)},
	{"tsn-resnet20", smallClips, 10, 269_722, 2_595_226_240, tsn(ResNet20)},
	{"r3d18", kinetics, 400, 33_371_472, 40_696_553_472, of(R3D18)},
	{"mc318", kinetics, 400, 11_695_440, 43_342_635_008, of(MC318)},
	{"c3d", kinetics, 487, 79_991_015, 38_548_959_232, of(C3D)},
	{"i3d", []int{3, 64, 224, 224}, 400, 12_697_264, 111_150_686_208, of(I3D)},
	{"i3d-flow", []int{2, 64, 224, 224}, 400, 12_675_312, 102_338_977_792, of(I3DFlow)},
	{"i3d-resnet50", []int{3, 32, 224, 224}, 400, 28_043_472, 33_128_218_624, of(I3DResNet50)},
	{"flow-resnet18", []int{2, 10, 224, 224}, 101, 11_281_637, 2_482_358_784, func(seed uint64, classes int) nn.Module { return FlowResNet18(seed, 0, classes) }},
	{"r2plus1d18", kinetics, 400, 31_505_325, 40_519_080_960, of(R2Plus1D18)},
}

var (
	mnist        = []int{1, 28, 28}
	cifar        = []int{3, 32, 32}
	tinyImageNet = []int{3, 64, 64}
	imagenet     = []int{3, 224, 224}
	clips        = []int{3, 16, 32, 32}
	flows        = []int{2, 16, 32, 32}
	smallClips   = []int{3, 16, 64, 64}
	kinetics     = []int{3, 16, 112, 112}
)

func of[M nn.Module](f func(seed uint64, classes int) M) func(uint64, int) nn.Module {
	return func(seed uint64, classes int) nn.Module { return f(seed, classes) }
}

func vgg(f func(seed uint64, size, classes int) *nn.Classifier, size int) func(uint64, int) nn.Module {
	return func(seed uint64, classes int) nn.Module { return f(seed, size, classes) }
}

func tsn(f func(seed uint64, classes int) *nn.Classifier) func(uint64, int) nn.Module {
	return func(seed uint64, classes int) nn.Module { return TSN(f(seed, classes)) }
}

// Classifier returns the network with the given number of classes; 0 means Classes. It is
// an error if the network is not a classifier.
func (s Spec) Classifier(seed uint64, classes int) (*nn.Classifier, error) {
	if c, ok := s.New(seed, classes).(*nn.Classifier); ok {
		return c, nil
	}
	return nil, fmt.Errorf("models: %s is no classifier", s.Name)
}

// Find returns the description of the network called name; ok is false if there is none.
func Find(name string) (s Spec, ok bool) {
	i := slices.IndexFunc(All, func(s Spec) bool { return s.Name == name })
	if i < 0 {
		return Spec{}, false
	}
	return All[i], true
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// or returns n, or def if n is 0.
func or(n, def int) int {
	if n == 0 {
		return def
	}
	return n
}
