package data

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// A plane a·y + b·x + c that is resized by straight lines has, at the centre of a pixel,
// the plane's value at that place of the original, or at the centre of its border's pixels.
// Neither the input nor the output is square here.
func TestPreprocessResizesRectangles(t *testing.T) {
	for _, c := range []struct {
		shape []int
		p     Preprocess
		want  []int
	}{
		{[]int{1, 4, 7}, Preprocess{Resize: [2]int{5, 3}}, []int{1, 5, 3}},
		{[]int{3, 9, 2}, Preprocess{Resize: [2]int{2, 11}}, []int{3, 2, 11}},
		{[]int{2, 3, 4, 7}, Preprocess{Resize: [2]int{5, 3}, NHWC: true, Scale: 2, BGR: true}, []int{2, 5, 3, 3}},
		{[]int{2, 3, 7, 4}, Preprocess{Resize: [2]int{3, 5}, CTHW: true}, []int{3, 2, 3, 5}},
	} {
		got, err := c.p.OutputShape(c.shape)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v by %+v becomes %v (%v), want %v", c.shape, c.p, got, err, c.want)
			continue
		}
		n := len(c.shape)
		h, w, channels := c.shape[n-2], c.shape[n-1], c.shape[n-3]
		frames := product(c.shape) / (h * w * channels)
		value := func(f, ch int, y, x float64) float64 { return 0.3*y - 0.2*x + float64(10*f+ch) }
		src := tensor.New(c.shape...)
		for i := range src.Data() {
			src.Data()[i] = float32(value(i/(channels*h*w), i/(h*w)%channels, float64(i/w%h), float64(i%w)))
		}
		place := func(i, n, size int) float64 {
			return min(max((float64(i)+0.5)*float64(size)/float64(n)-0.5, 0), float64(size-1))
		}
		dst := tensor.New(got...)
		c.p.Apply(dst.Data(), src.Data(), c.shape)
		oh, ow := c.p.Resize[0], c.p.Resize[1]
		for f := range frames {
			for ch := range channels {
				for y := range oh {
					for x := range ow {
						index := []int{f, ch, y, x}
						from, scale := ch, 1.0
						switch {
						case c.p.NHWC:
							index, from, scale = []int{f, y, x, ch}, channels-1-ch, 2 // and BGR
						case c.p.CTHW:
							index = []int{ch, f, y, x}
						case n == 3:
							index = index[1:]
						}
						want := scale * value(f, from, place(y, oh, h), place(x, ow, w))
						if v := float64(dst.At(index...)); !(math.Abs(v-want) <= 1e-4) {
							t.Fatalf("%v by %+v: %s is %v, want %v", c.shape, c.p, fmt.Sprint(index), v, want)
						}
					}
				}
			}
		}
	}
}
