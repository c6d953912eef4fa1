package video

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func TestWindow(t *testing.T) {
	for _, c := range []struct {
		w    Window
		n    int
		want []int // nil: too short
	}{
		{Window{Frames: 3}, 3, []int{0, 1, 2}},
		{Window{Frames: 3}, 4, []int{1, 2, 3}},
		{Window{Frames: 3}, 5, []int{1, 2, 3}},
		{Window{Frames: 3}, 2, nil},
		{Window{Frames: 3, Stride: 2}, 9, []int{2, 4, 6}},
		{Window{Frames: 3, Stride: 4}, 8, nil},
		// Temporal segment networks: the middles of 3 parts of 9 frames; of 8 frames at
		// 8/6, 24/6 and 40/6.
		{Window{Frames: 1, Segments: 3}, 9, []int{1, 4, 7}},
		{Window{Frames: 1, Segments: 3}, 8, []int{1, 4, 6}},
		{Window{Frames: 1, Segments: 8}, 8, []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{Window{Frames: 1, Segments: 8}, 7, nil},
		// Two segments of 16 frames with stride 2: 31 frames each, of 90 there are 60
		// places, and the middles of the halves are 15 and 45.
		{Window{Frames: 2, Stride: 30, Segments: 2}, 90, []int{15, 45, 45, 75}},
		{Window{Frames: 16, Stride: 2, Segments: 2}, 31, nil},
		// Short videos.
		{Window{Frames: 5, Short: Loop}, 3, []int{0, 1, 2, 0, 1}},
		{Window{Frames: 5, Short: Hold}, 3, []int{0, 1, 2, 2, 2}},
		{Window{Frames: 3, Stride: 2, Short: Loop}, 3, []int{0, 2, 1}},
		{Window{Frames: 3, Stride: 2, Short: Hold}, 1, []int{0, 0, 0}},
		{Window{Frames: 2, Segments: 2, Short: Hold}, 1, []int{0, 0, 0, 0}},
		{Window{Frames: 1, Segments: 4, Short: Loop}, 2, []int{0, 0, 1, 1}},
		{Window{Frames: 1, Short: Loop}, 0, nil},
	} {
		got, err := c.w.Sample(c.n, nil)
		if c.want == nil {
			if !errors.Is(err, ErrShort) {
				t.Errorf("%+v of %d: %v, %v; want ErrShort", c.w, c.n, got, err)
			}
			continue
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%+v of %d: %v (%v), want %v", c.w, c.n, got, err, c.want)
		}
	}
}

// TestWindowRandom checks that every place in every part is drawn about equally often.
func TestWindowRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	w := Window{Frames: 3, Stride: 2, Segments: 2}
	counts := map[int]int{}
	const draws, n = 6000, 20 // 16 places, 8 for each segment
	for range draws {
		index, err := w.Sample(n, rng)
		if err != nil || len(index) != 6 || index[1]-index[0] != 2 || index[2]-index[1] != 2 || index[5]-index[3] != 4 {
			t.Fatal(index, err)
		}
		if index[0] >= 8 || index[3] < 8 || index[5] >= n {
			t.Fatalf("segments out of place: %v", index)
		}
		counts[index[0]]++
		counts[index[3]]++
	}
	for place := range 16 {
		if k := counts[place]; k < draws/8*8/10 || k > draws/8*12/10 {
			t.Errorf("place %d: %d times, want about %d", place, k, draws/8)
		}
	}
	// The same seed draws the same.
	a, _ := w.Sample(100, rand.New(rand.NewPCG(3, 4)))
	b, _ := w.Sample(100, rand.New(rand.NewPCG(3, 4)))
	if !slices.Equal(a, b) {
		t.Error(a, b)
	}
}

func TestWindowSettings(t *testing.T) {
	for _, w := range []Window{{}, {Frames: 1, Stride: -1}, {Frames: 1, Segments: -1}, {Frames: 1, Short: 3}} {
		var e *tensor.Error
		if err := tensor.Try(func() error { _, err := w.Sample(10, nil); return err }); !errors.As(err, &e) {
			t.Errorf("%+v: %v, want a panic", w, err)
		}
	}
	w := Window{Frames: 16, Stride: 2, Segments: 2, Short: Hold}
	b, err := json.Marshal(w)
	if err != nil || string(b) != `{"Frames":16,"Stride":2,"Segments":2,"Short":"hold"}` {
		t.Errorf("%s, %v", b, err)
	}
	var back Window
	if err := json.Unmarshal(b, &back); err != nil || back != w {
		t.Errorf("%+v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"Short":"mirror"}`), &back); err == nil || !strings.Contains(err.Error(), "mirror") {
		t.Error(err)
	}
	if s := fmt.Sprint(Refuse, Loop, Hold, Short(7)); s != "refuse loop hold Short(7)" {
		t.Error(s)
	}
}
