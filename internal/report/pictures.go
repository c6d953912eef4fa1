package report

import (
	"math"

	"github.com/mettleml/mettle/tensor"
)

// colours tell ten classes apart; later ones repeat them, darker.
var colours = [10][3]float32{{.20, .40, .80}, {.85, .37, .01}, {.11, .62, .47}, {.70, .21, .50}, {.54, .42, 0},
	{.37, .73, .90}, {.90, .67, .01}, {.45, .45, .45}, {.78, .12, .12}, {.30, .15, .55}}

// Scatter draws points [N, 2] on white, in colours of their labels.
func Scatter(y *tensor.Tensor, labels []int) *tensor.Tensor {
	const side, dot = 420, 3
	img := tensor.New(3, side, side)
	img.Fill(1)
	lo, hi := y.Data()[0], y.Data()[0]
	for _, v := range y.Data() {
		lo, hi = min(lo, v), max(hi, v)
	}
	scale := float32(side-2*dot-1) / max(hi-lo, 1e-9)
	for i, label := range labels {
		px, py := int((y.At(i, 0)-lo)*scale), int((y.At(i, 1)-lo)*scale)
		shade := 1 / float32(1+label/10)
		for c := range 3 {
			for dy := range dot {
				for dx := range dot {
					img.Data()[(c*side+py+dy+1)*side+px+dx+1] = colours[label%10][c] * shade
				}
			}
		}
	}
	return img
}

// Montage sets rows of pictures [N, C, H, W], with one or three channels, one below the other,
// each pixel as a square of so many.
func Montage(rows []*tensor.Tensor, zoom int) *tensor.Tensor {
	const gap = 2
	n, h, w := rows[0].Dim(0), rows[0].Dim(2)*zoom, rows[0].Dim(3)*zoom
	img := tensor.New(3, len(rows)*(h+gap)-gap, n*(w+gap)-gap)
	img.Fill(1)
	for r, row := range rows {
		for i := range n {
			for c := range 3 {
				for y := range h {
					for x := range w {
						img.Set(row.At(i, c%row.Dim(1), y/zoom, x/zoom), c, r*(h+gap)+y, i*(w+gap)+x)
					}
				}
			}
		}
	}
	return img
}

// Difference shows a - b on grey, from -1 to 1 of its largest value as black to white.
func Difference(a, b *tensor.Tensor) *tensor.Tensor {
	d := tensor.New(a.Shape()...)
	var most float64
	for i, v := range a.Data() {
		most = max(most, math.Abs(float64(v)-float64(b.Data()[i])))
	}
	for i, v := range a.Data() {
		d.Data()[i] = 0.5 + (v-b.Data()[i])/float32(max(2*most, 1e-6))
	}
	return d
}
