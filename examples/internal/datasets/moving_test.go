package datasets

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// dot is a data set of one picture with one white pixel.
func dot(t *testing.T) data.Dataset {
	x := tensor.New(1, 1, 28, 28)
	x.Set(1, 0, 0, 0, 0)
	d, err := data.NewTensors(x, []int{0}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dotPath reads clips of the dot and returns where it is in every frame.
func dotPath(t *testing.T, d *Moving, i int) (at [][2]int) {
	x := tensor.New(d.Shape()...)
	if err := d.Read(i, x); err != nil {
		t.Fatal(err)
	}
	// The background is the same in all frames: a pixel that differs from most is the dot.
	for f := range movingFrames {
		most, where := float32(0), [2]int{}
		for y := range movingSize {
			for u := range movingSize {
				var values []float32
				for k := range movingFrames {
					values = append(values, x.At(k, 0, y, u))
				}
				slices.Sort(values)
				if v := float32(math.Abs(float64(x.At(f, 0, y, u) - values[len(values)/2]))); v > most {
					most, where = v, [2]int{u, y}
				}
			}
		}
		at = append(at, where)
	}
	return at
}

// TestMotions: the dot moves as its class says.
func TestMotions(t *testing.T) {
	d := NewMoving(dot(t), 8*4, 5)
	near := func(v int) int { // the shorter way round
		return (v+movingSize+movingSize/2)%movingSize - movingSize/2
	}
	for i := range d.Len() {
		at := dotPath(t, d, i)
		var dx, dy, turn, far int // the sums of steps, of turns, and of lengths
		var lastX, lastY int
		for k := 1; k < len(at); k++ {
			x, y := near(at[k][0]-at[k-1][0]), near(at[k][1]-at[k-1][1])
			dx, dy, far = dx+x, dy+y, far+max(x, -x)+max(y, -y)
			turn += lastX*y - lastY*x
			lastX, lastY = x, y
		}
		straight := max(dx, -dx)+max(dy, -dy) == far
		ok := false
		switch name := Motions[d.Label(i)]; name {
		case "right":
			ok = straight && dy == 0 && dx >= 14 && dx <= 31
		case "left":
			ok = straight && dy == 0 && dx <= -14 && dx >= -31
		case "up":
			ok = straight && dx == 0 && dy <= -14
		case "down":
			ok = straight && dx == 0 && dy >= 14
		case "clockwise": // y points down
			ok = turn > 10
		case "anticlockwise":
			ok = turn < -10
		case "sideways":
			ok = dy == 0 && !straight && far >= 12
		case "upright":
			ok = dx == 0 && !straight && far >= 12
		}
		if !ok {
			t.Errorf("clip %d, %s: the dot is at %v", i, Motions[d.Label(i)], at)
		}
	}
}

// TestAFrameTellsNothing: in the frame that a control freezes, the digit is as often in
// each quarter of the picture in every class.
func TestAFrameTellsNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 0))
	const clips = 4000
	for class := range Motions {
		var count [4]int
		for range clips {
			dx, dy := motion(class, rng)(movingFrames / 2)
			count[2*(wrap(dy)*2/movingSize)+wrap(dx)*2/movingSize]++
		}
		for q, n := range count {
			if math.Abs(float64(n)-clips/4) > 5*math.Sqrt(clips*3.0/16) {
				t.Errorf("%s: %d of %d in quarter %d", Motions[class], n, clips, q)
			}
		}
	}
}

func TestMovingIsRepeatable(t *testing.T) {
	digits, err := Digits()
	if err != nil || digits.Len() != 100 {
		t.Fatalf("%v digits, %v", digits.Len(), err)
	}
	d := NewMoving(digits, 80, 1)
	read := func(d *Moving, i int) *tensor.Tensor {
		x := tensor.New(d.Shape()...)
		if err := d.Read(i, x); err != nil {
			t.Fatal(err)
		}
		return x
	}
	a := read(d, 3)
	if !slices.Equal(a.Data(), read(d, 3).Data()) {
		t.Error("a clip differs when read again")
	}
	if slices.Equal(a.Data(), read(d, 11).Data()) || slices.Equal(a.Data(), read(NewMoving(digits, 80, 2), 3).Data()) {
		t.Error("clips of one class, or of two seeds, are equal")
	}
	for _, v := range a.Data() {
		if v < 0 || v > 1 || v*255 != float32(math.Round(float64(v*255))) {
			t.Fatalf("the value %v", v)
		}
	}
	one, err := data.Digest(d)
	if err != nil {
		t.Fatal(err)
	}
	if two, _ := data.Digest(NewMoving(digits, 80, 2)); one == two {
		t.Error("two seeds have one digest")
	}
	if tensor.Try(func() error { NewMoving(d, 1, 1); return nil }) == nil {
		t.Error("clips as digits")
	}
}
