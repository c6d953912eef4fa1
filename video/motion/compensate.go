package motion

import (
	"math"

	"github.com/mettleml/mettle/internal/parallel"
	"github.com/mettleml/mettle/tensor"
)

// Compensate predicts a later frame from frame ref [C, H, W] and the motion f of the later
// frame against it: pixel (x, y) of the result is ref at (x-DX, y-DY), interpolated
// bilinearly. Places outside the picture take the nearest edge pixel.
//
// The field belongs to the predicted frame, not to ref, and its vectors are subtracted. If
// the [PSNR] is below that of ref itself, the field is probably that of the opposite
// direction.
//
// It panics if the sizes of the field and the frame differ.
func Compensate(ref *tensor.Tensor, f *Field) *tensor.Tensor {
	const op = "motion.Compensate"
	f.check(op)
	if ref.Rank() != 3 || ref.Dim(1) != f.H || ref.Dim(2) != f.W {
		tensor.Panic(op, "the frame is not [C, H, W] of the field's size", ref.Shape(), []int{f.H, f.W})
	}
	out := tensor.New(ref.Shape()...)
	t := &compensateTask{out.Data(), ref.Data(), f, (f.H + rowsPerPart - 1) / rowsPerPart}
	parallel.Run(ref.Dim(0)*t.parts, t)
	return out
}

type compensateTask struct {
	out, ref []float32
	f        *Field
	parts    int // of a channel
}

func (t *compensateTask) Part(i int) {
	f, n := t.f, t.f.H*t.f.W
	out, ref := t.out[i/t.parts*n:][:n], t.ref[i/t.parts*n:][:n]
	i %= t.parts
	for y := i * rowsPerPart; y < min((i+1)*rowsPerPart, f.H); y++ {
		for x := range f.W {
			p := y*f.W + x
			out[p] = sample(ref, f.H, f.W, float32(x)-f.DX[p], float32(y)-f.DY[p])
		}
	}
}

// sample interpolates a plane at (x, y), moved into the picture if it is outside.
func sample(plane []float32, h, w int, x, y float32) float32 {
	x, y = min(max(x, 0), float32(w-1)), min(max(y, 0), float32(h-1))
	if x != x || y != y {
		return float32(math.NaN())
	}
	x0, y0 := int(x), int(y)
	x1, y1 := min(x0+1, w-1), min(y0+1, h-1)
	fx, fy := x-float32(x0), y-float32(y0)
	top, bottom := plane[y0*w:], plane[y1*w:]
	a := top[x0] + float32(fx*(top[x1]-top[x0]))
	b := bottom[x0] + float32(fx*(bottom[x1]-bottom[x0]))
	return a + float32(fy*(b-a))
}

// PSNR returns the peak signal-to-noise ratio of two images or clips of the same shape
// with values in [0,1], in decibels: -10·log₁₀ of the mean squared difference, +Inf if
// there is none. It panics if the shapes differ.
func PSNR(a, b *tensor.Tensor) float64 {
	d := a.Sub(b)
	if d.Len() != a.Len() || d.Len() != b.Len() {
		tensor.Panic("motion.PSNR", "the shapes differ", a.Shape(), b.Shape())
	}
	return -10 * math.Log10(d.Norm(2)*d.Norm(2)/float64(d.Len()))
}
