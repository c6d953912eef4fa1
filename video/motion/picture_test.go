package motion

import (
	"image"
	"image/color"
	"math"
	"testing"
)

func TestColor(t *testing.T) {
	f := NewField(2, 3)
	f.DX = []float32{2, 0, 0, 1, 4, float32(math.NaN())}
	f.DY = []float32{0, 0, 2, 0, 0, 0}
	img := f.Color(2)
	for i, want := range []color.NRGBA{{255, 0, 0, 255}, {255, 255, 255, 255}, {255, 234, 0, 255}, {255, 128, 128, 255}, {191, 0, 0, 255}, {0, 0, 0, 255}} {
		if got := img.NRGBAAt(i%3, i/3); got != want {
			t.Errorf("pixel %d is %v, want %v", i, got, want)
		}
	}
	// Without a limit the longest vector has full colour.
	if got := f.Color(0).NRGBAAt(1, 1); got != (color.NRGBA{255, 0, 0, 255}) {
		t.Errorf("the longest vector is %v", got)
	}
	if got := NewField(1, 1).Color(0).NRGBAAt(0, 0); got != (color.NRGBA{255, 255, 255, 255}) {
		t.Errorf("no motion is %v", got)
	}
}

// The wheel must show at each place the colour of the motion that leads there.
func TestColorWheel(t *testing.T) {
	const size = 41
	wheel := ColorWheel(size)
	if got := wheel.NRGBAAt(0, 0).A; got != 0 {
		t.Errorf("the corner has alpha %d", got)
	}
	if got := wheel.NRGBAAt(20, 20); got != (color.NRGBA{255, 255, 255, 255}) {
		t.Errorf("the middle is %v", got)
	}
	f := NewField(1, 1)
	for _, p := range []image.Point{{40, 20}, {20, 40}, {0, 20}, {20, 0}, {30, 10}, {7, 25}} {
		f.DX[0], f.DY[0] = float32(2*(float64(p.X)+0.5)/size-1), float32(2*(float64(p.Y)+0.5)/size-1)
		if got, want := f.Color(1).NRGBAAt(0, 0), wheel.NRGBAAt(p.X, p.Y); got != want {
			t.Errorf("motion to %v is %v, the wheel has %v", p, got, want)
		}
	}
	// No two of its main directions look alike.
	seen := map[color.NRGBA]bool{}
	for k := range 12 {
		s, c := math.Sincos(float64(k) * math.Pi / 6)
		seen[hue(c, s)] = true
	}
	if len(seen) != 12 {
		t.Errorf("%d colours for 12 directions", len(seen))
	}
	wantPanic(t, "not positive", func() { ColorWheel(0) })
}

func TestArrows(t *testing.T) {
	f := NewField(32, 48)
	for i := range f.DX {
		f.DX[i] = 6
	}
	f.DY[8*48+40] = float32(math.Inf(1)) // not drawn
	back := image.NewGray(image.Rect(3, 4, 51, 36))
	img := f.Arrows(back, 16, 2)
	if img.Rect != image.Rect(0, 0, 96, 64) {
		t.Fatalf("the picture is %v", img.Rect)
	}
	at := func(x, y int) bool { return img.NRGBAAt(x, y) == arrowColor }
	// From (2.5, 8.5) to (8.5, 8.5), twice as large.
	if !at(5, 17) || !at(11, 17) || !at(17, 17) || at(3, 17) || at(19, 17) || at(11, 14) {
		t.Error("the first arrow is not where it should be")
	}
	if !at(14, 15) || !at(14, 18) || at(7, 15) {
		t.Error("the first arrow has no head, or at the wrong end")
	}
	if at(81, 17) {
		t.Error("an infinite vector is drawn")
	}
	if img.NRGBAAt(30, 3) != (color.NRGBA{0, 0, 0, 255}) || NewField(8, 8).Arrows(nil, 0, 0).NRGBAAt(0, 0) != (color.NRGBA{255, 255, 255, 255}) {
		t.Error("the background is missing")
	}
	if NewField(20, 20).Arrows(nil, 0, 0).NRGBAAt(8, 8) != arrowColor {
		t.Error("what does not move is not a dot")
	}
	wantPanic(t, "another size", func() { f.Arrows(image.NewGray(image.Rect(0, 0, 3, 3)), 0, 0) })
	wantPanic(t, "step", func() { f.Arrows(nil, -1, 0) })
}
