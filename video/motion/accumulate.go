package motion

import (
	"github.com/mettleml/mettle/internal/parallel"
	"github.com/mettleml/mettle/tensor"
)

// Accumulate returns the motion over several frames: fields[k] is the motion of frame
// k+1 against frame k, and the result that of the last frame against frame 0.
//
// It follows each pixel back to frame 0, frame by frame. Where a vector points out of the
// picture, the pixel keeps its place for that step. On whole pixels this is the tracing to
// the key frame in compressed video: with src₀(p) = p and, for each frame, srcₖ(p) =
// srcₖ₋₁(p-d) if p-d is inside and srcₖ₋₁(p) if not, the result is p - srcₙ(p) (Wu et al.,
// "Compressed video action recognition", CVPR 2018). Fractions of pixels are added up
// exactly. The vector at a fractional place is that of the nearest pixel, so moving and
// resting pixels are never mixed.
//
// It panics if there are no fields, or if their sizes differ.
func Accumulate(fields ...*Field) *Field {
	const op = "motion.Accumulate"
	if len(fields) == 0 {
		tensor.Panic(op, "no fields")
	}
	for _, f := range fields {
		f.check(op)
		if f.H != fields[0].H || f.W != fields[0].W {
			tensor.Panic(op, "the sizes differ", []int{fields[0].H, fields[0].W}, []int{f.H, f.W})
		}
	}
	a := fields[len(fields)-1].Clone()
	inside(a)
	for k := len(fields) - 2; k >= 0; k-- {
		follow(a, fields[k])
	}
	return a
}

// inside sets to 0 the vectors that point out of the picture.
func inside(a *Field) {
	still := NewField(a.H, a.W)
	follow(still, a)
	*a = *still
}

// follow extends the motion a of some frame against frame k by the motion of frame k
// against k-1.
func follow(a, motion *Field) {
	parallel.Run((a.H+rowsPerPart-1)/rowsPerPart, &followTask{a, motion})
}

const rowsPerPart = 16

type followTask struct{ a, motion *Field }

func (t *followTask) Part(i int) {
	a := t.a
	for y := i * rowsPerPart; y < min((i+1)*rowsPerPart, a.H); y++ {
		for x := range a.W {
			p := y*a.W + x
			dx, dy := t.motion.back(float32(x)-a.DX[p], float32(y)-a.DY[p])
			a.DX[p] += dx
			a.DY[p] += dy
		}
	}
}

// back returns the vector of the pixel nearest to (x, y), a place inside the picture, or 0
// if it leads out of it.
func (f *Field) back(x, y float32) (dx, dy float32) {
	q := round(y)*f.W + round(x)
	dx, dy = f.DX[q], f.DY[q]
	if x, y = x-dx, y-dy; !(x >= 0 && x <= float32(f.W-1) && y >= 0 && y <= float32(f.H-1)) {
		return 0, 0
	}
	return dx, dy
}
