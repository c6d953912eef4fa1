package motion

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// counting is an estimator that knows how often it was asked.
type counting struct {
	Estimator
	calls atomic.Int64
}

func (c *counting) Estimate(f *Frames, ref, cur int) *Field {
	c.calls.Add(1)
	return c.Estimator.Estimate(f, ref, cur)
}

// square draws a clip in which a textured square moves by step pixels a frame in frames
// from to to-1, over a background at rest.
func square(t testing.TB, n, size, from, to, step int) *Frames {
	tex := newTexture(fixedRand(), 6)
	return framesOf(t, clipOf(n, size, size, func(t int, x, y float64) float64 {
		left := float64(6 + step*(min(max(t, from), to)-from))
		if x >= left && x < left+16 && y >= 8 && y < 24 {
			return 1 - tex.at(x-left, y)
		}
		return 0.3 * tex.at(x+1000, y)
	}))
}

func TestSequence(t *testing.T) {
	f := square(t, 8, 64, 0, 7, 3)
	c := &counting{Estimator: BlockMatch{Block: 8, Range: 7}}
	s := NewSequence(f, c)
	if c.calls.Load() != 0 || s.Frames() != f {
		t.Error("the motion is estimated before anybody asks")
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() { s.Fields(); s.Maps(Fixed{Len: 4}) })
	}
	group.Wait()
	first := s.Field(3)
	if s.Field(3) != first || c.calls.Load() != 7 {
		t.Errorf("%d estimations of 7 fields", c.calls.Load())
	}
	want := Accumulate(s.Field(3), s.Field(4), s.Field(5))
	if got := s.Accumulate(2, 5); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("Accumulate(2, 5) is not the motion of frames 3 to 5")
	}
	if !s.Accumulate(4, 4).Zero() {
		t.Error("a frame moves against itself")
	}
	// Through a tensor and back.
	g := NewSequence(f, GivenBy(s.Tensor()))
	if got := g.Accumulate(2, 5); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("the motion that was given differs")
	}
	if got := GivenBy(s.Tensor()).Estimate(f, 2, 5); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("motion over several frames that was given differs")
	}
	for _, c := range []struct {
		what string
		run  func()
	}{
		{"no frame -1", func() { s.Field(0) }},
		{"no frame 8", func() { s.Field(8) }},
		{"no frame 8", func() { s.Accumulate(0, 8) }},
		{"after", func() { s.Accumulate(3, 2) }},
		{"another size", func() { NewSequence(f, &Given{[]*Field{NewField(3, 3)}}).Field(1) }},
		{"1 fields", func() { NewSequence(f, &Given{[]*Field{NewField(64, 64)}}).Field(2) }},
		{"not [T-1", func() { GivenBy(tensor.New(2, 3, 4, 4)) }},
		{"5 frames from frame 4", func() { s.Maps(wrong{}) }},
		{"intervals of -1", func() { s.Maps(Fixed{Len: -1}) }},
		{"impossible options", func() { s.Maps(Adapted{MinLen: 1}) }},
		{"impossible options", func() { s.Maps(Adapted{MinLen: 9, MaxLen: 8}) }},
		{"impossible options", func() { s.Maps(Adapted{Score: "beauty"}) }},
		{"impossible options", func() { s.Maps(Adapted{Count: -1}) }},
		{"no maps", func() { MapAt(nil, 3) }},
	} {
		wantPanic(t, c.what, c.run)
	}
	// A panic of the estimator comes again; it does not leave a hole.
	bad := NewSequence(f, &Given{})
	for range 2 {
		wantPanic(t, "0 fields", func() { bad.Field(1) })
	}
}

type wrong struct{ _ []int } // cannot be compared, and selects too much

func (wrong) Select(*Sequence) []Interval { return []Interval{{4, 5}} }

func TestFixedMaps(t *testing.T) {
	f := square(t, 14, 48, 0, 13, 1)
	s := NewSequence(f, BlockMatch{Block: 8, Range: 4})
	intervals := func(sel Selector) string {
		var list []Interval
		for _, m := range s.Maps(sel) {
			list = append(list, m.Interval)
			if want := s.Accumulate(m.Start, m.Start+m.Len-1); fmt.Sprint(m.Field) != fmt.Sprint(want) {
				t.Errorf("the map of %v is not its motion", m.Interval)
			}
		}
		return fmt.Sprint(list)
	}
	for _, c := range []struct {
		len  int
		want string
	}{{0, "[{0 12}]"}, {5, "[{0 5} {5 5}]"}, {7, "[{0 7} {7 7}]"}, {14, "[{0 14}]"}, {15, "[{0 14}]"}, {100, "[{0 14}]"}} {
		if got := intervals(Fixed{c.len}); got != c.want {
			t.Errorf("intervals of %d frames: %s, want %s", c.len, got, c.want)
		}
	}
	maps := s.Maps(Fixed{5})
	if &maps[0] != &s.Maps(Fixed{5})[0] {
		t.Error("the maps are made anew")
	}
	for at, want := range []int{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1} {
		if got := MapAt(maps, at); got.Interval != maps[want].Interval {
			t.Errorf("the map of frame %d is %v", at, got.Interval)
		}
	}
	// One frame has one map, and nothing in it moves.
	one := NewSequence(framesOf(t, tensor.New(1, 3, 9, 9)), BlockMatch{})
	for _, sel := range []Selector{Fixed{}, Adapted{}} {
		if m := one.Maps(sel); len(m) != 1 || m[0].Interval != (Interval{0, 1}) || !m[0].Zero() || m[0].Distinct() != 1 {
			t.Errorf("%T: maps of one frame: %v", sel, m)
		}
	}
}

// The interval must cover the movement, wherever it is in the clip, and not much more
// than it.
func TestAdaptedMaps(t *testing.T) {
	for _, from := range []int{2, 9, 17} {
		f := square(t, 30, 64, from, from+8, 2)
		s := NewSequence(f, BlockMatch{Block: 8, Range: 7, Search: Full})
		maps := s.Maps(Adapted{Count: 1})
		if len(maps) != 1 {
			t.Fatalf("%d maps", len(maps))
		}
		m := maps[0]
		if m.Start > from+1 || m.Start+m.Len-1 < from+7 {
			t.Errorf("movement in frames %d to %d: the map is of %v", from, from+8, m.Interval)
		}
		if d := m.DX[16*64+6+16+8]; math.Abs(float64(d)-16) > 3 {
			t.Errorf("movement in frames %d to %d: the square moved by %v, want 16", from, from+8, d)
		}
		for _, score := range []Score{Explained, Magnitude, Entropy} {
			end := -1
			list := Adapted{MinLen: 3, MaxLen: 8, Score: score}.Select(s)
			for _, i := range list {
				if i.Start <= end || i.Len < 3 || i.Len > 8 {
					t.Errorf("%s: intervals %v", score, list)
				}
				end = i.Start + i.Len - 1
			}
			if len(list) == 0 {
				t.Errorf("%s: no interval", score)
			}
		}
	}
	// Nothing moves: still one map.
	still := NewSequence(framesOf(t, tensor.New(40, 1, 20, 20)), BlockMatch{})
	if m := still.Maps(Adapted{}); len(m) != 1 || !m[0].Zero() {
		t.Errorf("maps of a static clip: %v", m)
	}
}

func TestAdaptedSameOnAnyWorkers(t *testing.T) {
	f := square(t, 20, 48, 3, 15, 1)
	defer tensor.SetWorkers(tensor.SetWorkers(1))
	want := ""
	for _, n := range []int{1, 2, 5} {
		tensor.SetWorkers(n)
		s := NewSequence(f, BlockMatch{Block: 8})
		var got strings.Builder
		for _, score := range []Score{Explained, Magnitude, Entropy} {
			for _, m := range s.Maps(Adapted{MinLen: 3, Score: score}) {
				fmt.Fprintln(&got, m.Interval, m.DX, m.DY)
			}
		}
		if want == "" {
			want = got.String()
		}
		if got.String() != want {
			t.Errorf("other maps on %d workers", n)
		}
	}
}

func TestCache(t *testing.T) {
	clip := func(v float32) *tensor.Tensor {
		c := tensor.New(2, 1, 10, 10)
		c.Fill(v)
		return c
	}
	var c Cache
	get := func(x *tensor.Tensor, e Estimator) *Sequence {
		s, err := c.Sequence(x, e)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := get(clip(0.1), BlockMatch{})
	if get(clip(0.1), BlockMatch{}) != a {
		t.Error("the same clip twice is estimated twice")
	}
	if get(clip(0.1), BlockMatch{Block: 8}) == a || get(clip(0.2), BlockMatch{}) == a || get(clip(0.1), TVL1{}) == a ||
		get(clip(0.1).Reshape(1, 1, 20, 10), BlockMatch{}) == a {
		t.Error("another clip or estimator has the same motion")
	}
	c = Cache{MaxBytes: 2 * 2600}
	a = get(clip(0.1), BlockMatch{})
	b := get(clip(0.2), BlockMatch{})
	get(clip(0.1), BlockMatch{})
	get(clip(0.3), BlockMatch{}) // the second was used longest ago
	if get(clip(0.1), BlockMatch{}) != a {
		t.Error("what was used last is gone")
	}
	if get(clip(0.2), BlockMatch{}) == b {
		t.Error("more is kept than may be")
	}
	nan := clip(float32(math.NaN()))
	if _, err := c.Sequence(nan, BlockMatch{}); err == nil {
		t.Error("a clip of NaN has motion")
	}
}
