package datasets

import (
	"bytes"
	_ "embed"

	"github.com/mettleml/mettle/nn/data"
)

// The first images of MNIST's test set: origin and licence stand in digits/README.md.
//
//go:embed digits/t10k-first-images.idx3.gz
var someImages []byte

//go:embed digits/t10k-first-labels.idx1.gz
var someLabels []byte

// Digits returns the first 100 images of MNIST's test set, which programs carry with
// them.
func Digits() (*data.Images, error) {
	px, shape, err := data.ReadIDX(bytes.NewReader(someImages))
	if err != nil {
		return nil, err
	}
	ls, _, err := data.ReadIDX(bytes.NewReader(someLabels))
	if err != nil {
		return nil, err
	}
	labels := make([]int, len(ls))
	for i, l := range ls {
		labels[i] = int(l)
	}
	d, err := data.NewImages(px, labels, []int{1, shape[1], shape[2]}, 10)
	if err != nil {
		return nil, err
	}
	d.Names = data.ClassNumbers(10)
	return d, nil
}
