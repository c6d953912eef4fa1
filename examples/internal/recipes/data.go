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

// HeldOut begins the name of a test set that is part of the training set.
const HeldOut = "held-out"

// New makes a long-tailed set of a training and a test set. A profile of nil takes the
// training set as it is.
func New(name string, train, test data.Dataset, p longtail.Profile, draw longtail.Draw) (*Data, error) {
	s, err := subset(train, p, draw)
	if err != nil {
		return nil, err
	}
	return newData(name, s, test, "test")
}

// Held is New with a validation set in place of the test set, on which settings may be
// chosen: the last tenth of every class of the training set, in the order of its file. It
// is taken before the profile, so it has as many samples of a class as the whole; the
// largest class of the long-tailed set has a tenth less for it.
func Held(name string, train data.Dataset, p longtail.Profile, draw longtail.Draw) (*Data, error) {
	members := make([][]int, train.Classes())
	for i := range train.Len() {
		members[train.Label(i)] = append(members[train.Label(i)], i)
	}
	var keep, held []int
	for _, list := range members {
		n := len(list) - len(list)/10
		keep, held = append(keep, list[:n]...), append(held, list[n:]...)
	}
	slices.Sort(keep)
	slices.Sort(held)
	s, err := subset(data.Subset(train, keep), p, draw)
	if err != nil {
		return nil, err
	}
	return newData(name, s, data.Subset(train, held), HeldOut)
}

func subset(train data.Dataset, p longtail.Profile, draw longtail.Draw) (*longtail.Subset, error) {
	if p != nil {
		return longtail.NewSubset(train, p, longtail.SubsetOptions{Draw: draw})
	}
	all := make([]int, train.Len())
	for i := range all {
		all[i] = i
	}
	return longtail.SubsetOf(train, "all", all)
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
