package datasets

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// The size of clips of moving digits.
const (
	movingFrames = 16
	movingSize   = 32
)

// Motions are the classes of moving digits.
var Motions = []string{"right", "left", "up", "down", "clockwise", "anticlockwise", "sideways", "upright"}

// Moving is a data set of clips [16, 3, 32, 32] in which a digit moves over a still
// background. The class is how it moves: see [Motions]. Sideways and upright are to and
// fro. What leaves the picture on one side enters it on the other, and a clip begins
// anywhere; so the digit is at each place with the same probability in every frame of
// every class, and one frame says nothing about the class. Neither do the digit, its
// colour, its speed and the background.
//
// Clip i has class i mod 8. Read makes the same clip each time; a loader that draws gets
// a new one ([data.RandomReader]). Values are multiples of 1/255.
type Moving struct {
	Digits data.Dataset // [1, 28, 28]
	N      int          // clips
	Seed   uint64
}

var (
	_ data.RandomReader = (*Moving)(nil)
	_ data.Named        = (*Moving)(nil)
	_ data.Digester     = (*Moving)(nil)
)

// NewMoving returns n clips of digits [1, 28, 28]. It panics at samples of another shape.
func NewMoving(digits data.Dataset, n int, seed uint64) *Moving {
	if s := digits.Shape(); len(s) != 3 || s[0] != 1 || s[1] > movingSize || s[2] > movingSize {
		tensor.Panic("datasets.NewMoving", "want gray pictures of at most 32 by 32", s)
	}
	return &Moving{digits, n, seed}
}

func (d *Moving) Len() int             { return d.N }
func (d *Moving) Shape() []int         { return []int{movingFrames, 3, movingSize, movingSize} }
func (d *Moving) Classes() int         { return len(Motions) }
func (d *Moving) Label(i int) int      { return i % len(Motions) }
func (d *Moving) ClassNames() []string { return Motions }

// Digest is that of the digits, with the settings.
func (d *Moving) Digest() (string, error) {
	digest, err := data.Digest(d.Digits)
	return fmt.Sprintf("moving-1 %d %d %s", d.N, d.Seed, digest), err
}

// Read makes clip i from the seed.
func (d *Moving) Read(i int, dst *tensor.Tensor) error {
	return d.ReadRandom(i, dst, rand.New(rand.NewPCG(d.Seed, uint64(i))))
}

// ReadRandom makes a clip of the class of i.
func (d *Moving) ReadRandom(i int, dst *tensor.Tensor, rng *rand.Rand) error {
	shape := d.Digits.Shape()
	digit := tensor.New(shape...)
	if err := d.Digits.Read(rng.IntN(d.Digits.Len()), digit); err != nil {
		return err
	}
	background := texture(rng)
	var color [3]float32
	sign := float32(1 - 2*rng.IntN(2)) // lighter than the background, or darker
	for c := range color {
		color[c] = 0.5 + sign*(0.25+0.25*rng.Float32())
	}
	path := motion(d.Label(i), rng)
	h, w := shape[1], shape[2]
	for t := range movingFrames {
		frame := dst.Index(t)
		dx, dy := path(float64(t))
		for y := range movingSize {
			for x := range movingSize {
				alpha := float32(0)
				if u, v := wrap(y-dy), wrap(x-dx); u < h && v < w {
					alpha = digit.Data()[u*w+v]
				}
				for c := range 3 {
					k := (c*movingSize+y)*movingSize + x
					v := background[k] + alpha*(color[c]-background[k])
					frame.Data()[k] = float32(int(v*255+0.5)) / 255
				}
			}
		}
	}
	return nil
}

// motion draws a path of a class: by how many pixels a digit is displaced in frame t.
func motion(class int, rng *rand.Rand) func(t float64) (dx, dy int) {
	x0, y0 := rng.IntN(movingSize), rng.IntN(movingSize)
	speed := 1 + rng.Float64()              // of straight motion, pixels per frame
	radius := 4 + 2*rng.Float64()           // of a circle
	period := 12 + 4*rng.Float64()          // of a circle, frames
	swing := 3 + 2*rng.Float64()            // to either side
	back := 8 + 2*rng.Float64()             // to and fro, frames
	phase := 2 * math.Pi * rng.Float64()    // of a circle or a swing
	at := func(x, y float64) (dx, dy int) { // y points down
		return x0 + int(math.Round(x)), y0 + int(math.Round(y))
	}
	return func(t float64) (dx, dy int) {
		turn, shake := phase+2*math.Pi*t/period, swing*math.Sin(phase+2*math.Pi*t/back)
		switch Motions[class] {
		case "right":
			return at(speed*t, 0)
		case "left":
			return at(-speed*t, 0)
		case "up":
			return at(0, -speed*t)
		case "down":
			return at(0, speed*t)
		case "clockwise":
			return at(radius*math.Cos(turn), radius*math.Sin(turn))
		case "anticlockwise":
			return at(radius*math.Cos(turn), -radius*math.Sin(turn))
		case "sideways":
			return at(shake, 0)
		default:
			return at(0, shake)
		}
	}
}

func wrap(v int) int { return ((v % movingSize) + movingSize) % movingSize }

// texture is a still background [3, 32, 32]: random colours at 5 by 5 points, and between
// them by bilinear interpolation.
func texture(rng *rand.Rand) []float32 {
	const points = 5
	out := make([]float32, 3*movingSize*movingSize)
	var grid [points][points]float32
	for c := range 3 {
		for i := range grid {
			for j := range grid[i] {
				grid[i][j] = 0.35 + 0.3*rng.Float32()
			}
		}
		for y := range movingSize {
			for x := range movingSize {
				u, v := float32(y*(points-1))/(movingSize-1), float32(x*(points-1))/(movingSize-1)
				i, j := min(int(u), points-2), min(int(v), points-2)
				a, b := u-float32(i), v-float32(j)
				top := grid[i][j] + b*(grid[i][j+1]-grid[i][j])
				low := grid[i+1][j] + b*(grid[i+1][j+1]-grid[i+1][j])
				out[(c*movingSize+y)*movingSize+x] = top + a*(low-top)
			}
		}
	}
	return out
}
