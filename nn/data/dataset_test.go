package data

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func TestConstructorsRefuse(t *testing.T) {
	for want, f := range map[string]func() error{
		"2 labels for samples of shape [3 1 2 2]": func() error { _, err := NewTensors(tensor.New(3, 1, 2, 2), []int{0, 1}, 2); return err },
		"0 labels for samples of shape []":        func() error { _, err := NewTensors(tensor.Scalar(1), nil, 2); return err },
		"sample 1 has label 2, outside [0, 2)":    func() error { _, err := NewTensors(tensor.New(2, 3), []int{0, 2}, 2); return err },
		"sample 0 has label -1, outside [0, 2)":   func() error { _, err := NewImages(make([]byte, 4), []int{-1}, []int{1, 2, 2}, 2); return err },
		"5 bytes for 1 images of shape [1 2 2]":   func() error { _, err := NewImages(make([]byte, 5), []int{0}, []int{1, 2, 2}, 2); return err },
		"4 bytes for 1 images of shape [-1 -2 2]": func() error { _, err := NewImages(make([]byte, 4), []int{0}, []int{-1, -2, 2}, 2); return err },
		"4 bytes for 1 images of shape [1 1 1 2 2]": func() error {
			_, err := NewImages(make([]byte, 4), []int{0}, []int{1, 1, 1, 2, 2}, 2)
			return err
		},
		"4 bytes for 1 images of shape [4]": func() error { _, err := NewImages(make([]byte, 4), []int{0}, []int{4}, 2); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestSubset(t *testing.T) {
	d := numbered(10, 1, 2, 2, 3)
	s := Subset(d, []int{7, 0, 7})
	x, y, err := Load(s, nil)
	if err != nil || s.Len() != 3 || s.Classes() != 3 || !slices.Equal(y, []int{d.Label(7), 0, d.Label(7)}) {
		t.Errorf("labels %v of %d (%v)", y, s.Len(), err)
	}
	for k, i := range []int{7, 0, 7} {
		if !slices.Equal(x.Index(k).Data(), d.x.Index(i).Data()) {
			t.Errorf("entry %d is not sample %d", k, i)
		}
	}
	if !slices.Equal(ClassCounts(s), []int{1, 2, 0}) {
		t.Errorf("class counts %v", ClassCounts(s))
	}
	err = tensor.Try(func() error { Subset(d, []int{10}); return nil })
	var e *tensor.Error
	if !errors.As(err, &e) {
		t.Errorf("error %v, want a panic", err)
	}
}

// indices returns where the samples of a part are in the whole.
func indices(d Dataset) []int { return d.(*subset).indices }

func TestSplit(t *testing.T) {
	// 100 samples of class 0, 50 of class 1, 7 of class 2.
	y := slices.Concat(make([]int, 100), slices.Repeat([]int{1}, 50), slices.Repeat([]int{2}, 7))
	d, err := NewTensors(tensor.New(len(y), 1), y, 4)
	if err != nil {
		t.Fatal(err)
	}
	for name, split := range map[string]func(Dataset, float64, uint64) (Dataset, Dataset){"Split": Split, "SplitStratified": SplitStratified} {
		for _, fraction := range []float64{0, 0.1, 0.8, 1} {
			a, b := split(d, fraction, 5)
			all := slices.Concat(indices(a), indices(b))
			slices.Sort(all)
			if len(slices.Compact(all)) != len(y) || !slices.IsSorted(indices(a)) || !slices.IsSorted(indices(b)) {
				t.Errorf("%s: not a division: %v and %v", name, indices(a), indices(b))
			}
			if want := int(fraction*157 + 0.5); name == "Split" && a.Len() != want {
				t.Errorf("%s: %d samples, want %d", name, a.Len(), want)
			}
			again, _ := split(d, fraction, 5)
			if !slices.Equal(indices(a), indices(again)) {
				t.Errorf("%s: the same seed divides otherwise", name)
			}
			if other, _ := split(d, fraction, 6); fraction == 0.8 && slices.Equal(indices(a), indices(other)) {
				t.Errorf("%s: another seed divides the same", name)
			}
		}
		if err := tensor.Try(func() error { split(d, 1.5, 0); return nil }); err == nil {
			t.Errorf("%s: a fraction of 1.5 was accepted", name)
		}
	}
	a, b := SplitStratified(d, 0.8, 1)
	if got := ClassCounts(a); !slices.Equal(got, []int{80, 40, 6, 0}) {
		t.Errorf("first part has %v of the classes", got)
	}
	if got := ClassCounts(b); !slices.Equal(got, []int{20, 10, 1, 0}) {
		t.Errorf("second part has %v of the classes", got)
	}
}

// Clips are samples like images.
func TestClipsInMemory(t *testing.T) {
	pixels := make([]byte, 2*3*1*2*2)
	for i := range pixels {
		pixels[i] = byte(i)
	}
	images, err := NewImages(pixels, []int{0, 1}, []int{3, 1, 2, 2}, 2)
	if err != nil {
		t.Fatal(err)
	}
	x, y, err := Load(images, nil)
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := NewTensors(x, y, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []Dataset{images, tensors} {
		clip := tensor.New(d.Shape()...)
		if err := d.Read(1, clip); err != nil || !slices.Equal(clip.Shape(), []int{3, 1, 2, 2}) {
			t.Fatalf("shape %v, error %v", clip.Shape(), err)
		}
		for i, v := range clip.Data() {
			if want := float32(12+i) / 255; v != want {
				t.Errorf("%T: value %d is %v, want %v", d, i, v, want)
			}
		}
	}
}
