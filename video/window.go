package video

import (
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

// A Sampler chooses the frames of a clip. [Window] is one.
type Sampler interface {
	// Sample returns the numbers of frames of a video of n frames, each in [0, n), in the
	// order in which the clip has them. With a nil rng the choice is fixed, otherwise it is
	// drawn from rng. Their number must not depend on n.
	Sample(n int, rng *rand.Rand) ([]int, error)
}

// A Short says what a [Window] does with a video that is too short.
type Short uint8

// The ways to treat a short video.
const (
	Refuse Short = iota // an error with the cause ErrShort
	Loop                // continue with the first frame
	Hold                // repeat the last frame
)

var shortNames = [...]string{"refuse", "loop", "hold"}

// String names the way.
func (s Short) String() string {
	if int(s) < len(shortNames) {
		return shortNames[s]
	}
	return fmt.Sprintf("Short(%d)", s)
}

// MarshalText writes the name.
func (s Short) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Short) UnmarshalText(b []byte) error {
	for i, name := range shortNames {
		if string(b) == name {
			*s = Short(i)
			return nil
		}
	}
	return fmt.Errorf("video: unknown way %q with short videos (have %v)", b, shortNames)
}

// A Window is a [Sampler] that takes Segments windows of Frames frames each, Stride frames
// apart. The possible first frames of a window are divided into Segments equal parts, and
// one window begins in each: at random, or in the middle of the part without a generator
// (Wang et al., "Temporal segment networks", 2016, section 3.1).
//
// One segment is a window in the middle of the video or at random. Temporal segment
// networks take Window{Segments: 8, Frames: 1}; 3-D networks one segment of 16 frames,
// or 2 segments of 16 frames with stride 2.
//
// A video is too short if the windows of two segments would begin at the same frame, or if
// a window has more frames than the video.
type Window struct {
	Frames   int   // per segment
	Stride   int   `json:",omitempty"` // 0 means 1
	Segments int   `json:",omitempty"` // 0 means 1
	Short    Short `json:",omitempty"`
}

// span returns Stride and Segments with their defaults and the number of frames from the
// first of a window to its last.
func (w Window) span() (stride, segments, span int) {
	if w.Frames < 1 || w.Stride < 0 || w.Segments < 0 || int(w.Short) >= len(shortNames) {
		tensor.Panic("video.Window", fmt.Sprintf("impossible settings %+v", w))
	}
	stride, segments = max(w.Stride, 1), max(w.Segments, 1)
	return stride, segments, (w.Frames-1)*stride + 1
}

// Sample returns Segments·Frames numbers. It panics if a setting is impossible.
func (w Window) Sample(n int, rng *rand.Rand) ([]int, error) {
	stride, segments, span := w.span()
	if n < 1 || n < span+segments-1 && w.Short == Refuse {
		return nil, fmt.Errorf("video: %w: %d frames, the window needs %d", ErrShort, n, span+segments-1)
	}
	places := max(n-span+1, 1)
	index := make([]int, 0, segments*w.Frames)
	for k := range segments {
		first := (2*k + 1) * places / (2 * segments)
		if rng != nil {
			lo, hi := k*places/segments, (k+1)*places/segments
			first = lo + rng.IntN(max(hi-lo, 1))
		}
		for i := range w.Frames {
			at := first + i*stride
			if at >= n && w.Short == Loop {
				at %= n
			}
			index = append(index, min(at, n-1))
		}
	}
	return index, nil
}
