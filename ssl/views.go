package ssl

import (
	"fmt"
	"strings"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// An Augment makes a view of a sample by these steps: a random part of it, colour jitter,
// gray, blur, solarisation, a flip and normalisation. A probability of 0 leaves a step out.
// Samples with one channel skip jitter and gray.
type Augment struct {
	Size     int     `json:"size"`                // height and width of the view
	MinScale float64 `json:"min_scale,omitempty"` // smallest share of the sample's area; 0 means 0.08
	MaxScale float64 `json:"max_scale,omitempty"` // 0 means 1

	Jitter    data.ColorJitter `json:"jitter,omitzero"`
	JitterP   float64          `json:"jitter_p,omitempty"`
	Gray      float64          `json:"gray,omitempty"`       // probability
	GrayFirst bool             `json:"gray_first,omitempty"` // gray comes before jitter
	Blur      float64          `json:"blur,omitempty"`       // probability of a blur by 0.1 to 2 pixels
	Solarize  float64          `json:"solarize,omitempty"`   // probability
	Flip      float64          `json:"flip,omitempty"`       // probability

	// Padding, if above 0, makes a weak view: the sample is padded with this number of
	// zeros on every side and a random window of Size is cropped, in place of a part of
	// random area.
	Padding int `json:"padding,omitempty"`

	Mean []float32 `json:"mean,omitempty"` // see data.Normalize; nil means none
	Std  []float32 `json:"std,omitempty"`
}

// Transform returns the view as a transform of samples with the given number of channels.
// It panics if a probability is not in [0, 1] or Size is not positive.
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

// Normalized returns the views with a final normalisation.
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
// PIL's filter without a window; here the window is a tenth of Size.
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

// VICRegViews are those of VICReg: like BYOL's, but the same for both views.
func VICRegViews(size int) Views {
	return twice(Augment{Size: size, Jitter: jitter(0.4, 0.4, 0.2, 0.1), JitterP: 0.8, Gray: 0.2, Blur: 0.5, Solarize: 0.1, Flip: 0.5})
}

// CIFARViews are for images of 32 pixels: parts of at least a fifth of the area, jitter of
// half SimCLR's strength, no blur. Papers and programs differ in the details for CIFAR.
func CIFARViews() Views {
	v := SimCLRViews(32, 0.5)
	for i := range v {
		v[i].MinScale, v[i].Blur = 0.2, 0
	}
	return v
}

// DigitViews are for gray digits, without flips and colours: parts of more than a third of
// the area, and a blur with probability 1/2. They are ours.
func DigitViews(size int) Views {
	return twice(Augment{Size: size, MinScale: 0.35, Blur: 0.5})
}

// WeakView is the usual augmentation of classifiers: a random window after padding by an
// eighth of the size, and a flip.
func WeakView(size int) Augment {
	return Augment{Size: size, Padding: max(size/8, 1), Flip: 0.5}
}

// PaperViews returns the views in the paper of the named method (see [New]), for images of
// the given size. Those of rotation and jigsaw are weak. It is an error if no method has
// the name.
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
