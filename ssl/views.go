package ssl

import (
	"fmt"
	"strings"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// An Augment says how a view is made of a sample: in this order a random part of it, colour
// jitter, gray, blur, solarisation, a flip and normalisation. A probability of 0 leaves a
// step out. A sample of one channel has no colours: jitter and gray are left out for it.
type Augment struct {
	Size     int     `json:"size"`                // height and width of the view
	MinScale float64 `json:"min_scale,omitempty"` // least area of the part; 0 means 0.08
	MaxScale float64 `json:"max_scale,omitempty"` // 0 means 1

	Jitter    data.ColorJitter `json:"jitter,omitzero"`
	JitterP   float64          `json:"jitter_p,omitempty"`
	Gray      float64          `json:"gray,omitempty"`       // probability
	GrayFirst bool             `json:"gray_first,omitempty"` // gray comes before jitter
	Blur      float64          `json:"blur,omitempty"`       // probability of a blur by 0.1 to 2 pixels
	Solarize  float64          `json:"solarize,omitempty"`   // probability
	Flip      float64          `json:"flip,omitempty"`       // probability

	// Padding, if above 0, is a weak view: the sample is surrounded by so many zeros
	// and a window of Size is cut from that, in place of the part of random area.
	Padding int `json:"padding,omitempty"`

	Mean []float32 `json:"mean,omitempty"` // see data.Normalize; nil: none
	Std  []float32 `json:"std,omitempty"`
}

// Transform returns the view as a transform of samples with so many channels. It panics if a
// probability is not in [0, 1] or Size is not positive.
func (a Augment) Transform(channels int) data.Transform {
	positive("ssl.Augment", "Size", a.Size)
	var list []data.Transform
	sometimes := func(p float64, t data.Transform) {
		switch {
		case !(p >= 0 && p <= 1):
			tensor.Panic("ssl.Augment", fmt.Sprintf("probability %v of %T", p, t))
		case p == 1:
			list = append(list, t)
		case p > 0:
			list = append(list, data.RandomApply{Transform: t, P: p})
		}
	}
	if a.Padding > 0 {
		list = append(list, data.RandomCrop{H: a.Size, W: a.Size, Padding: a.Padding})
	} else {
		list = append(list, data.RandomResizedCrop{H: a.Size, W: a.Size, MinScale: a.MinScale, MaxScale: a.MaxScale})
	}
	if channels == 3 {
		if a.GrayFirst {
			sometimes(a.Gray, data.Grayscale{})
		}
		sometimes(a.JitterP, a.Jitter)
		if !a.GrayFirst {
			sometimes(a.Gray, data.Grayscale{})
		}
	}
	sometimes(a.Blur, data.GaussianBlur{})
	sometimes(a.Solarize, data.Solarize{})
	sometimes(a.Flip, data.HorizontalFlip{})
	if a.Mean != nil {
		list = append(list, data.Normalize{Mean: a.Mean, Std: a.Std})
	}
	return data.Compose(list...)
}

// Views are the augmentations of the first and the second view.
type Views [2]Augment

// Transforms returns the first n views, one or two, for LoaderOptions.Views.
func (v Views) Transforms(channels, n int) []data.Transform {
	list := make([]data.Transform, n)
	for i := range list {
		list[i] = v[i].Transform(channels)
	}
	return list
}

// Normalized returns the views with a normalisation at their end.
func (v Views) Normalized(mean, std []float32) Views {
	for i := range v {
		v[i].Mean, v[i].Std = mean, std
	}
	return v
}

// twice returns views that are made alike.
func twice(a Augment) Views { return Views{a, a} }

func jitter(b, c, s, h float32) data.ColorJitter {
	return data.ColorJitter{Brightness: b, Contrast: c, Saturation: s, Hue: h}
}

// SimCLRViews are those of SimCLR (appendix A): jitter of the given strength, the paper's 1.
// The window of its blur is a tenth of Size.
func SimCLRViews(size int, strength float32) Views {
	return twice(Augment{Size: size, Jitter: jitter(0.8*strength, 0.8*strength, 0.8*strength, 0.2*strength), JitterP: 0.8, Gray: 0.2, Blur: 0.5, Flip: 0.5})
}

// MoCo1Views are those of MoCo's first version, and of InstDisc.
func MoCo1Views(size int) Views {
	return twice(Augment{Size: size, MinScale: 0.2, Jitter: jitter(0.4, 0.4, 0.4, 0.4), JitterP: 1, Gray: 0.2, GrayFirst: true, Flip: 0.5})
}

// MoCo2Views are those of MoCo's second version, and of SimSiam. Their program blurs by
// PIL's filter, which has no window; here a window of a tenth of Size cuts the tails off.
func MoCo2Views(size int) Views {
	return twice(Augment{Size: size, MinScale: 0.2, Jitter: jitter(0.4, 0.4, 0.4, 0.1), JitterP: 0.8, Gray: 0.2, Blur: 0.5, Flip: 0.5})
}

// BYOLViews are those of BYOL, and of Barlow Twins: the first is always blurred, the second
// rarely, and sometimes solarised.
func BYOLViews(size int) Views {
	a := Augment{Size: size, Jitter: jitter(0.4, 0.4, 0.2, 0.1), JitterP: 0.8, Gray: 0.2, Blur: 1, Flip: 0.5}
	b := a
	b.Blur, b.Solarize = 0.1, 0.2
	return Views{a, b}
}

// VICRegViews are those of VICReg: as BYOL's, but both views alike.
func VICRegViews(size int) Views {
	return twice(Augment{Size: size, Jitter: jitter(0.4, 0.4, 0.2, 0.1), JitterP: 0.8, Gray: 0.2, Blur: 0.5, Solarize: 0.1, Flip: 0.5})
}

// CIFARViews are for images of 32 pixels: parts of a fifth of the area and more, jitter of
// half SimCLR's strength, no blur. What papers and programs do for CIFAR differs in details.
func CIFARViews() Views {
	v := SimCLRViews(32, 0.5)
	for i := range v {
		v[i].MinScale, v[i].Blur = 0.2, 0
	}
	return v
}

// DigitViews are for gray digits, which neither flips nor colours suit: parts of more than
// a third of the area, and a blur of half of them. They are ours.
func DigitViews(size int) Views {
	return twice(Augment{Size: size, MinScale: 0.35, Blur: 0.5})
}

// WeakView is what classifiers are trained with: a window after padding by an eighth of the
// size, and a flip.
func WeakView(size int) Augment {
	return Augment{Size: size, Padding: max(size/8, 1), Flip: 0.5}
}

// PaperViews returns the views of the paper of a method, by its name (see [New]), for images
// of a size. Those of rotation and jigsaw are weak. There is an error if no method has the
// name.
func PaperViews(name string, size int) (Views, error) {
	switch name {
	case "simclr", "supcon":
		return SimCLRViews(size, 1), nil
	case "moco1", "instdisc":
		return MoCo1Views(size), nil
	case "moco2", "simsiam":
		return MoCo2Views(size), nil
	case "byol", "barlow":
		return BYOLViews(size), nil
	case "vicreg":
		return VICRegViews(size), nil
	case "rotation", "jigsaw":
		return twice(WeakView(size)), nil
	}
	return Views{}, fmt.Errorf("ssl: no method %q; there are %s", name, strings.Join(Names(), ", "))
}
