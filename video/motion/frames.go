package motion

import (
	"fmt"
	"math"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// Frames is the brightness of a clip, from which motion is estimated.
type Frames struct {
	T, H, W int

	luma  []float32
	bytes []uint8
}

// NewFrames returns the brightness of a clip [T, C, H, W] with values in [0,1], where C is
// 1 (gray) or 3 (red, green, blue, weighted by .299, .587 and .114 as in ITU-R BT.601). It
// copies the values. The error names a value that is not finite. It panics if the clip has
// another shape or no pixels.
func NewFrames(clip *tensor.Tensor) (*Frames, error) {
	const op = "motion.NewFrames"
	if clip.Rank() != 4 || clip.Dim(1) != 1 && clip.Dim(1) != 3 {
		tensor.Panic(op, "not a clip [T, C, H, W] with 1 or 3 channels", clip.Shape())
	}
	if clip.Len() == 0 {
		tensor.Panic(op, "the clip has no pixels", clip.Shape())
	}
	f := &Frames{T: clip.Dim(0), H: clip.Dim(2), W: clip.Dim(3)}
	n, channels, data := f.H*f.W, clip.Dim(1), clip.Data()
	f.luma, f.bytes = make([]float32, f.T*n), make([]uint8, f.T*n)
	for t := range f.T {
		frame, luma := data[t*channels*n:][:channels*n], f.luma[t*n:][:n]
		if channels == 1 {
			kernel.Scale(luma, frame, 255)
		} else {
			kernel.Combine(luma, .299*255, frame[:n], .587*255, frame[n:2*n], 0)
			kernel.Axpy(luma, .114*255, frame[2*n:])
		}
		if sum := kernel.Sum(luma); math.IsNaN(sum) || math.IsInf(sum, 0) {
			for i, v := range frame {
				if v := float64(v); math.IsNaN(v) || math.IsInf(v, 0) {
					return nil, fmt.Errorf("motion: frame %d, channel %d, row %d, column %d is %v; pixels must be finite", t, i/n, i%n/f.W, i%f.W, v)
				}
			}
			return nil, fmt.Errorf("motion: the values of frame %d are too large; pixels are expected in [0,1]", t)
		}
	}
	for i, v := range f.luma {
		f.bytes[i] = uint8(min(max(v, 0), 255) + 0.5)
	}
	return f, nil
}

// Luma returns the brightness of frame t, H rows of W, in units of 1/255: a clip in
// [0,1] gives values in [0,255]. It is the memory of f and must not be modified.
func (f *Frames) Luma(t int) []float32 {
	f.check("motion.Frames.Luma", t)
	return f.luma[t*f.H*f.W:][:f.H*f.W]
}

// Bytes returns Luma limited to [0,255] and rounded, halves up.
func (f *Frames) Bytes(t int) []uint8 {
	f.check("motion.Frames.Bytes", t)
	return f.bytes[t*f.H*f.W:][:f.H*f.W]
}

func (f *Frames) check(op string, frames ...int) {
	for _, t := range frames {
		if t < 0 || t >= f.T {
			tensor.Panic(op, fmt.Sprintf("no frame %d", t), []int{f.T, f.H, f.W})
		}
	}
}
