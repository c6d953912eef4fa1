package video

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mettleml/mettle/tensor"
)

// A Clip is a run of frames.
type Clip struct {
	X     *tensor.Tensor // [T, C, H, W], values in [0,1]; C is 3 (red, green, blue) or 1 (gray)
	FPS   float64        // frames per second; 0 if unknown
	Name  string         // source of the clip, such as a path; may be empty
	Index []int          // the numbers of the frames in their video, from 0; nil means 0, 1, 2, ...
}

// dims returns the dimensions of the clip's frames. It panics for op if X is not
// [T, C, H, W] with 1 or 3 channels and at least one pixel.
func (c *Clip) dims(op string) (t, ch, h, w int) {
	s := c.X.Shape()
	if len(s) != 4 || s[1] != 1 && s[1] != 3 || c.X.Len() == 0 {
		tensor.Panic(op, "not a clip [T, C, H, W] with 1 or 3 channels", s)
	}
	return s[0], s[1], s[2], s[3]
}

// Info describes a video.
type Info struct {
	Format  string  // "Y4M", "AVI", "GIF", "frames", "npy", "raw", "ffmpeg" or a name of another decoder's
	C, H, W int     // the shape of a frame; C is 3 (red, green, blue) or 1 (gray)
	FPS     float64 // frames per second; 0 if unknown
}

// A Source delivers the frames of a video one after another. Only one goroutine at a time
// may use it.
type Source interface {
	// Info describes the video. All frames have its shape.
	Info() Info
	// Next writes the next frame to dst, [C, H, W], with values in [0,1]. If dst is
	// nil, Next skips the frame, with as little work as the format permits. It
	// returns io.EOF after the last frame. After an error every call returns one.
	Next(dst *tensor.Tensor) error
	// Close frees the source's resources. It may be called at any time, and repeatedly.
	Close() error
}

// source is a Source made of functions. It sees to what all sources have in common.
type source struct {
	info  Info
	next  func(dst *tensor.Tensor) error // not called again after an error
	close func() error                   // called once; may be nil
	err   error                          // what next returned, or errClosed
}

var errClosed = errors.New("video: the source is closed")

func (s *source) Info() Info { return s.info }

func (s *source) Next(dst *tensor.Tensor) error {
	if dst != nil && !slices.Equal(dst.Shape(), []int{s.info.C, s.info.H, s.info.W}) {
		tensor.Panic("video.Source.Next", fmt.Sprintf("frames are [%d, %d, %d]", s.info.C, s.info.H, s.info.W), dst.Shape())
	}
	if s.err == nil {
		s.err = s.next(dst)
	}
	return s.err
}

func (s *source) Close() error {
	s.err = errClosed
	if s.close == nil {
		return nil
	}
	f := s.close
	s.close = nil
	return f()
}

// ErrShort is wrapped by the error of a video with too few frames.
var ErrShort = errors.New("the video is too short")

// maxPixels bounds a frame. It is a variable so that a test can lower it.
var maxPixels = 1 << 26

// checkSize returns why frames of w by h pixels cannot be, or nothing.
func checkSize(w, h int) string {
	if w < 1 || h < 1 || w > maxPixels/h {
		return fmt.Sprintf("%d by %d pixels, a frame has 1 to %d", w, h, maxPixels)
	}
	return ""
}
