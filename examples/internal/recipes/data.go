package recipes

import (
	"fmt"
	"slices"

	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn/data"
)

// Data is a long-tailed training set and what networks are tested on.
type Data struct {
	Name  string // "cifar100"
	Train *longtail.Subset
	Test  data.Dataset
	Which string // the test set's name and digest
	Pre   data.Preprocess
	Flip  bool // mirrored pictures are as good as others
}

// Suit is what suits the data: one value for gray pictures, another for coloured ones.
func Suit[T any](d *Data, gray, colour T) T {
	if d.Test.Shape()[0] == 1 {
		return gray
	}
	return colour
}

// HeldOut begins the name of a test set that is part of the training set.
const HeldOut = "held-out"

// A cut says which part of a training set is taken; nil is all of it.
type cut struct {
	profile longtail.Profile
	options longtail.SubsetOptions
}

func (c *cut) subset(train data.Dataset) (*longtail.Subset, error) {
	if c != nil {
		return longtail.NewSubset(train, c.profile, c.options)
	}
	all := make([]int, train.Len())
	for i := range all {
		all[i] = i
	}
	return longtail.SubsetOf(train, "all", all)
}

// whole is a long-tailed set of a training and a test set.
func whole(name string, train, test data.Dataset, c *cut) (*Data, error) {
	s, err := c.subset(train)
	if err != nil {
		return nil, err
	}
	return newData(name, s, test, "test")
}

// held has a validation set in place of the test set, on which settings may be chosen:
// the last samples of each class of the training set, in the order of its file, as many of
// every class. They are a tenth of the largest class, or four fifths of the smallest if
// that is less, and are taken before the profile: 40 per class of a CIFAR-100 whose
// smallest class has 50.
func held(name string, train data.Dataset, c *cut) (*Data, error) {
	members := make([][]int, train.Classes())
	for i := range train.Len() {
		members[train.Label(i)] = append(members[train.Label(i)], i)
	}
	bySize := func(a, b []int) int { return len(a) - len(b) }
	n := min(len(slices.MaxFunc(members, bySize))/10, len(slices.MinFunc(members, bySize))*4/5)
	if n == 0 {
		return nil, fmt.Errorf("%s: its smallest class is too small for a validation set", name)
	}
	var keep, back []int
	for _, list := range members {
		keep, back = append(keep, list[:len(list)-n]...), append(back, list[len(list)-n:]...)
	}
	slices.Sort(keep)
	slices.Sort(back)
	s, err := c.subset(data.Subset(train, keep))
	if err != nil {
		return nil, err
	}
	return newData(name, s, data.Subset(train, back), HeldOut)
}

func newData(name string, s *longtail.Subset, test data.Dataset, which string) (*Data, error) {
	digest, err := data.Digest(test)
	if err != nil {
		return nil, err
	}
	d := &Data{Name: name, Train: s, Test: test, Which: which + "-" + digest[:16], Flip: true}
	switch shape := test.Shape(); {
	case shape[0] == 1:
		d.Flip = name != "mnist"
	case shape[1] <= 64: // as the programs of LDAM-DRW and others have it for both CIFARs
		d.Pre = data.Preprocess{Mean: []float32{0.4914, 0.4822, 0.4465}, Std: []float32{0.2023, 0.1994, 0.2010}}
	default:
		d.Pre = data.Preprocess{Mean: []float32{0.485, 0.456, 0.406}, Std: []float32{0.229, 0.224, 0.225}}
	}
	return d, nil
}

// Job returns a job on the data, to be filled in.
func (d *Data) Job(model, method string, seed uint64, r Recipe) Job {
	return Job{Data: d.Name, Subset: d.Train.Name, Digest: d.Train.Digest, Test: d.Which, Model: model, Method: method, Seed: seed, Recipe: r}
}

// Augmentations are the values of [Recipe.Augment].
var Augmentations = []string{"none", "crop", "crop-flip", "autoaugment"}

// transform is what is done to the pictures that a recipe trains on.
func (d *Data) transform(augment string) (data.Transform, error) {
	size := d.Test.Shape()[1]
	crop := data.RandomCrop{Padding: max(size/8, 1)}
	var list []data.Transform
	switch augment {
	case "none":
	case "crop":
		list = append(list, crop)
	case "crop-flip":
		list = append(list, crop, data.RandomHorizontalFlip{})
	case "autoaugment":
		list = append(list, crop, data.RandomHorizontalFlip{}, data.AutoAugment{}, d.Pre.Transform(), data.Cutout{})
		return data.Compose(list...), nil
	default:
		return nil, fmt.Errorf("augmentation %q: there are %v", augment, Augmentations)
	}
	if !d.Pre.Identity() {
		list = append(list, d.Pre.Transform())
	}
	if list == nil {
		return nil, nil
	}
	return data.Compose(list...), nil
}
