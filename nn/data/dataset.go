package data

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/tensor"
)

// A Dataset is a finite list of labelled samples, all of one shape. Several goroutines may
// call its methods at once. A data set that can read random windows is also a
// [RandomReader].
type Dataset interface {
	// Len returns the number of samples.
	Len() int
	// Shape returns the shape of a sample: [C, H, W] for images, [T, C, H, W] for
	// clips. The caller must not modify it.
	Shape() []int
	// Classes returns the number of classes; labels are below it.
	Classes() int
	// Label returns the class of sample i.
	Label(i int) int
	// Read writes sample i to dst, which has the shape of a sample. Images have
	// values in [0,1].
	Read(i int, dst *tensor.Tensor) error
}

// A RandomReader is a [Dataset] that can read a random part of a sample, such as a window
// of a long video. A [Loader] calls ReadRandom in place of Read, unless its option Fixed is
// set.
type RandomReader interface {
	Dataset
	// ReadRandom writes a part of sample i, drawn by rng, to dst, which has the shape of a
	// sample.
	ReadRandom(i int, dst *tensor.Tensor, rng *rand.Rand) error
}

// A Tensors is a data set held in memory as float32.
type Tensors struct {
	x       *tensor.Tensor
	y       []int
	classes int
}

// NewTensors returns a data set whose sample i is entry i of x along the first axis, with
// label y[i]. It keeps both and does not copy them. It is an error if the lengths differ or
// a label is not in [0, classes).
func NewTensors(x *tensor.Tensor, y []int, classes int) (*Tensors, error) {
	if x.Rank() == 0 || x.Dim(0) != len(y) {
		return nil, fmt.Errorf("data: %d labels for samples of shape %v", len(y), x.Shape())
	}
	if err := checkLabels(y, classes); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return &Tensors{x, y, classes}, nil
}

// checkLabels returns an error if a label is not in [0, classes).
func checkLabels(y []int, classes int) error {
	for i, c := range y {
		if c < 0 || c >= classes {
			return fmt.Errorf("sample %d has label %d, outside [0, %d)", i, c, classes)
		}
	}
	return nil
}

func (d *Tensors) Len() int        { return len(d.y) }
func (d *Tensors) Shape() []int    { return d.x.Shape()[1:] }
func (d *Tensors) Classes() int    { return d.classes }
func (d *Tensors) Label(i int) int { return d.y[i] }

// Read copies sample i.
func (d *Tensors) Read(i int, dst *tensor.Tensor) error {
	n := len(dst.Data())
	copy(dst.Data(), d.x.Data()[i*n:(i+1)*n])
	return nil
}

// An Images is a data set of images or clips held in memory with one byte per value, as in
// IDX and CIFAR files. Read divides by 255.
type Images struct {
	Pixels []byte // the samples one after another, each [C, H, W] or [T, C, H, W]
	Labels []int
	Names  []string // of the classes; nil means unknown

	shape   []int
	classes int
}

// NewImages returns a data set of images of shape [C, H, W] or clips of shape [T, C, H, W].
// It keeps the slices and does not copy them. It is an error if their lengths do not fit
// the shape or a label is not in [0, classes).
func NewImages(pixels []byte, labels []int, shape []int, classes int) (*Images, error) {
	if len(shape) != 3 && len(shape) != 4 || slices.Min(shape) < 1 || len(pixels) != product(shape)*len(labels) {
		return nil, fmt.Errorf("data: %d bytes for %d images of shape %v", len(pixels), len(labels), shape)
	}
	if err := checkLabels(labels, classes); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return &Images{Pixels: pixels, Labels: labels, shape: slices.Clone(shape), classes: classes}, nil
}

func (d *Images) Len() int        { return len(d.Labels) }
func (d *Images) Shape() []int    { return d.shape }
func (d *Images) Classes() int    { return d.classes }
func (d *Images) Label(i int) int { return d.Labels[i] }

// ClassNames returns Names.
func (d *Images) ClassNames() []string { return d.Names }

// newNamed is NewImages for classes with names.
func newNamed(pixels []byte, labels []int, shape []int, names []string) (*Images, error) {
	d, err := NewImages(pixels, labels, shape, len(names))
	if err == nil {
		d.Names = slices.Clone(names)
	}
	return d, err
}

// unit[b] is b/255.
var unit = func() (t [256]float32) {
	for b := range t {
		t[b] = float32(b) / 255
	}
	return t
}()

// Read converts sample i to [0,1].
func (d *Images) Read(i int, dst *tensor.Tensor) error {
	out := dst.Data()
	pixels := d.Pixels[i*len(out):][:len(out)]
	for j, b := range pixels {
		out[j] = unit[b]
	}
	return nil
}

// ClassCounts returns the number of samples of each class.
func ClassCounts(d Dataset) []int {
	counts := make([]int, d.Classes())
	for i := range d.Len() {
		counts[d.Label(i)]++
	}
	return counts
}

// Load reads the samples at the given indices, all of them if indices is nil,
// into one tensor, [N, C, H, W] for images, and their labels.
func Load(d Dataset, indices []int) (x *tensor.Tensor, y []int, err error) {
	if indices == nil {
		indices = make([]int, d.Len())
		for i := range indices {
			indices[i] = i
		}
	}
	x = tensor.New(append([]int{len(indices)}, d.Shape()...)...)
	y = make([]int, len(indices))
	for k, i := range indices {
		if err := d.Read(i, x.Index(k)); err != nil {
			return nil, nil, err
		}
		y[k] = d.Label(i)
	}
	return x, y, nil
}

// product returns the number of elements of a shape.
func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
