package motion

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"github.com/mettleml/mettle/tensor"
)

// wheel is the circle of colours of the Middlebury flow benchmark (Baker et al., "A
// database and evaluation methodology for optical flow", IJCV 2011): from red over
// yellow, green, cyan, blue and magenta back to red, with more steps where the eye tells
// more hues apart.
var wheel = func() (w [][3]float64) {
	corners := [][3]float64{{1, 0, 0}, {1, 1, 0}, {0, 1, 0}, {0, 1, 1}, {0, 0, 1}, {1, 0, 1}, {1, 0, 0}}
	for i, steps := range []int{15, 6, 4, 11, 13, 6} {
		from, to := corners[i], corners[i+1]
		for k := range steps {
			f := float64(k) / float64(steps)
			var c [3]float64
			for j := range c {
				c[j] = from[j] + f*(to[j]-from[j])
			}
			w = append(w, c)
		}
	}
	return w
}()

// hue returns the colour of the motion (dx, dy) in units of the longest that is shown:
// white for none, full colour at 1, darker beyond.
func hue(dx, dy float64) color.NRGBA {
	length := math.Hypot(dx, dy)
	if math.IsNaN(length) {
		return color.NRGBA{A: 255}
	}
	angle := math.Atan2(-dy, -dx) // -π to the right, where the wheel begins
	at := (angle/math.Pi + 1) / 2 * float64(len(wheel))
	i := int(at)
	f := at - float64(i)
	a, b := wheel[i%len(wheel)], wheel[(i+1)%len(wheel)]
	var c [3]uint8
	for j := range c {
		v := a[j] + f*(b[j]-a[j])
		if length <= 1 {
			v = 1 - length*(1-v)
		} else {
			v *= 0.75
		}
		c[j] = uint8(v*255 + 0.5)
	}
	return color.NRGBA{c[0], c[1], c[2], 255}
}

// Color returns a picture of the field. The hue of a pixel shows the direction of its
// motion ([ColorWheel] is the key: red to the right, yellow down, cyan to the left, violet
// up). The saturation shows the length: white is no motion, full colour a vector as long as
// longest, and darker ones are longer. If longest is not positive, it is the length of the
// field's longest vector. A NaN is black.
func (f *Field) Color(longest float64) *image.NRGBA {
	f.check("motion.Field.Color")
	if !(longest > 0) {
		longest = f.longest()
	}
	img := image.NewNRGBA(image.Rect(0, 0, f.W, f.H))
	for i, dx := range f.DX {
		img.SetNRGBA(i%f.W, i/f.W, hue(float64(dx)/longest, float64(f.DY[i])/longest))
	}
	return img
}

// longest returns the length of the longest vector, 1 if there is none.
func (f *Field) longest() float64 {
	var most float64
	for i, dx := range f.DX {
		if l := math.Hypot(float64(dx), float64(f.DY[i])); l > most && !math.IsInf(l, 0) {
			most = l
		}
	}
	if most == 0 {
		return 1
	}
	return most
}

// ColorWheel returns the key to the colours of [Field.Color]: a disc with a diameter of
// size pixels. The colour at a place is that of the motion from the centre to it. It panics
// unless size is positive.
func ColorWheel(size int) *image.NRGBA {
	if size < 1 {
		tensor.Panic("motion.ColorWheel", "the size is not positive", []int{size})
	}
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			dx, dy := 2*(float64(x)+0.5)/float64(size)-1, 2*(float64(y)+0.5)/float64(size)-1
			if math.Hypot(dx, dy) <= 1 {
				img.SetNRGBA(x, y, hue(dx, dy))
			}
		}
	}
	return img
}

// Arrows draws the field over a picture, enlarged zoom times (0 means 1): one arrow per
// square of step pixels (0 means 16), from the place of its centre in the reference to its
// present place. A dot means no motion. A nil background is white. It panics if the
// background has another size than the field.
func (f *Field) Arrows(background image.Image, step, zoom int) *image.NRGBA {
	const op = "motion.Field.Arrows"
	f.check(op)
	if step == 0 {
		step = 16
	}
	zoom = max(zoom, 1)
	if step < 1 {
		tensor.Panic(op, "the step is not positive", []int{step})
	}
	img := image.NewNRGBA(image.Rect(0, 0, zoom*f.W, zoom*f.H))
	draw.Draw(img, img.Rect, image.White, image.Point{}, draw.Src)
	if background != nil {
		b := background.Bounds()
		if b.Dx() != f.W || b.Dy() != f.H {
			tensor.Panic(op, "the background has another size", []int{b.Dy(), b.Dx()}, []int{f.H, f.W})
		}
		for y := range img.Rect.Dy() {
			for x := range img.Rect.Dx() {
				img.Set(x, y, background.At(b.Min.X+x/zoom, b.Min.Y+y/zoom))
			}
		}
	}
	for y := step / 2; y < f.H; y += step {
		for x := step / 2; x < f.W; x += step {
			dx, dy := float64(f.DX[y*f.W+x]), float64(f.DY[y*f.W+x])
			if math.IsNaN(dx+dy) || math.IsInf(dx+dy, 0) {
				continue
			}
			z := float64(zoom)
			drawArrow(img, (float64(x)-dx+0.5)*z, (float64(y)-dy+0.5)*z, (float64(x)+0.5)*z, (float64(y)+0.5)*z)
		}
	}
	return img
}

var arrowColor = color.NRGBA{220, 0, 60, 255}

func drawArrow(img *image.NRGBA, x0, y0, x1, y1 float64) {
	length := math.Hypot(x1-x0, y1-y0)
	drawLine(img, x0, y0, x1, y1)
	if length < 2 {
		return
	}
	// Two barbs at 30 degrees, a third of the length but not long.
	barb := min(length/3, 6)
	back := math.Atan2(y0-y1, x0-x1)
	for _, turn := range []float64{-math.Pi / 6, math.Pi / 6} {
		drawLine(img, x1, y1, x1+barb*math.Cos(back+turn), y1+barb*math.Sin(back+turn))
	}
}

func drawLine(img *image.NRGBA, x0, y0, x1, y1 float64) {
	// Vectors may be longer than any picture; what is outside is not drawn.
	n := math.Ceil(max(math.Abs(x1-x0), math.Abs(y1-y0)))
	steps := int(min(max(n, 1), 1<<14))
	for k := range steps + 1 {
		f := float64(k) / float64(steps)
		p := image.Pt(int(math.Floor(x0+f*(x1-x0))), int(math.Floor(y0+f*(y1-y0))))
		if p.In(img.Rect) {
			img.SetNRGBA(p.X, p.Y, arrowColor)
		}
	}
}
