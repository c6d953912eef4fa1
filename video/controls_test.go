package video

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// TestControls: which frames a control shows, by the first value of each.
func TestControls(t *testing.T) {
	const frames = 7
	src := tensor.New(frames, 3, 2, 2)
	for i := range src.Data() {
		src.Data()[i] = float32(i)
	}
	size := 3 * 2 * 2
	shown := func(c data.Transform, seed uint64) (order []int) {
		dst := tensor.New(c.Shape(src.Shape())...)
		c.Apply(dst, src, rand.New(rand.NewPCG(seed, 0)))
		for k := range frames {
			v := dst.Index(k).Data()
			at := int(v[0]) / size
			if !slices.Equal(v, src.Index(at).Data()) {
				t.Errorf("%T: frame %d is none of the clip's", c, k)
			}
			order = append(order, at)
		}
		return order
	}
	if got := shown(Freeze{}, 1); !slices.Equal(got, []int{3, 3, 3, 3, 3, 3, 3}) {
		t.Errorf("Freeze shows %v", got)
	}
	if got := shown(Reverse{}, 1); !slices.Equal(got, []int{6, 5, 4, 3, 2, 1, 0}) {
		t.Errorf("Reverse shows %v", got)
	}
	a, b := shown(Shuffle{}, 1), shown(Shuffle{}, 2)
	if slices.Equal(a, b) || !slices.Equal(a, shown(Shuffle{}, 1)) {
		t.Errorf("Shuffle shows %v with seed 1 and %v with seed 2", a, b)
	}
	if slices.Sort(a); !slices.Equal(a, []int{0, 1, 2, 3, 4, 5, 6}) {
		t.Errorf("Shuffle does not show every frame once: %v", a)
	}
	for _, c := range []data.Transform{Freeze{}, Shuffle{}, Reverse{}} {
		if tensor.Try(func() error { c.Shape([]int{3, 2, 2}); return nil }) == nil {
			t.Errorf("%T takes an image", c)
		}
	}
}
