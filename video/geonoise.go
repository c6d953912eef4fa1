package video

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/parallel"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A Family is a family of geometric transformations of the plane.
type Family string

// The families of GEO-TRAP, and how many parameters each has.
const (
	Translation         Family = "translation"          // 2: right and down, in halves of the frame
	Dilation            Family = "dilation"             // 1: the factor
	Rigid               Family = "rigid"                // 3: the angle in radians, and a translation
	TranslationDilation Family = "translation-dilation" // 3
	Similarity          Family = "similarity"           // 4: angle, factor, translation
	Affine              Family = "affine"               // 6: the two rows of the matrix
	Projective          Family = "projective"           // 8: the three rows but for the last value, which is 1
	NoTransformation    Family = "none"                 // 0 means one-noise
)

var families = []Family{Translation, Dilation, Rigid, TranslationDilation, Similarity, Affine, Projective, NoTransformation}

// GeoNoise is the noise of GEO-TRAP (Li et al., NeurIPS 2021): one frame of Gaussian noise,
// transformed in every frame of the clip by parameters drawn from N(0,1). Coordinates are
// from -1 to 1 in both directions, as in PyTorch; values from outside the frame are 0. It
// does not depend on the clip.
//
// The released code drops the third row of projective matrices, which makes them affine;
// here they are projective.
type GeoNoise struct {
	Family Family // "" means TranslationDilation
}

// Name implements Noise.
func (GeoNoise) Name() string { return "geo-trap" }

func (g GeoNoise) defaults() GeoNoise {
	g.Family = cmp.Or(g.Family, TranslationDilation)
	return g
}

func (g GeoNoise) check() error {
	if g.Family != "" && !slices.Contains(families, g.Family) {
		return fmt.Errorf("video: unknown family %q (have %q)", string(g.Family), families)
	}
	return nil
}

// For implements Noise.
func (g GeoNoise) For(clip *tensor.Tensor, _ *rand.Rand) (zoo.Noise, int, error) {
	if err := g.check(); err != nil {
		return nil, 0, err
	}
	g = g.defaults()
	if g.Family == NoTransformation {
		return &normal{name: g.Name()}, 1, nil
	}
	return &geo{GeoNoise: g}, clip.Dim(0), nil
}

// geo is the source for one clip.
type geo struct {
	GeoNoise
	normal
	task geoTask
}

func (g *geo) Name() string { return g.GeoNoise.Name() }

// Draw implements zoo.Noise.
func (g *geo) Draw(dst []float64, shape []int, r *rand.Rand) error {
	frames := 1
	if len(shape) == 4 {
		frames = shape[0]
	}
	t := &g.task
	t.h, t.w, t.frame = shape[len(shape)-2], shape[len(shape)-1], len(dst)/frames
	t.noise, t.dst = g.draw(t.frame, r), dst
	t.matrices = t.matrices[:0]
	for range frames {
		t.matrices = append(t.matrices, g.Family.matrix(r.NormFloat64))
	}
	parallel.Run(frames, t)
	t.dst = nil
	return nil
}

// matrix returns the matrix, row by row, of parameters that are drawn in their order.
func (f Family) matrix(draw func() float64) [9]float64 {
	m := [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}
	turn := func(angle, factor float64) {
		sin, cos := math.Sincos(angle)
		m[0], m[1], m[3], m[4] = factor*cos, -factor*sin, factor*sin, factor*cos
	}
	move := func() { m[2], m[5] = draw(), draw() }
	switch f {
	case Translation:
		move()
	case Dilation:
		turn(0, draw())
	case Rigid:
		turn(draw(), 1)
		move()
	case TranslationDilation:
		turn(0, draw())
		move()
	case Similarity:
		angle := draw()
		turn(angle, draw())
		move()
	case Affine, Projective:
		n := 6
		if f == Projective {
			n = 8
		}
		for i := range n {
			m[i] = draw()
		}
	}
	return m
}

// A geoTask moves the noise in each frame.
type geoTask struct {
	h, w, frame int
	noise       []float32
	dst         []float64
	matrices    [][9]float64
}

// Part implements parallel.Task.
func (t *geoTask) Part(k int) {
	m, n := &t.matrices[k], t.h*t.w
	dst := t.dst[k*t.frame:][:t.frame]
	sx, sy := float64(t.w-1)/2, float64(t.h-1)/2
	for i := range n {
		x, y := 0.0, 0.0
		if t.w > 1 {
			x = float64(i%t.w)/sx - 1
		}
		if t.h > 1 {
			y = float64(i/t.w)/sy - 1
		}
		z := m[6]*x + m[7]*y + m[8]
		fx := ((m[0]*x+m[1]*y+m[2])/z + 1) * sx
		fy := ((m[3]*x+m[4]*y+m[5])/z + 1) * sy
		if !(fx > -1 && fx < float64(t.w) && fy > -1 && fy < float64(t.h)) {
			for at := i; at < t.frame; at += n {
				dst[at] = 0
			}
			continue
		}
		x0, y0 := int(math.Floor(fx)), int(math.Floor(fy))
		ax, ay := fx-float64(x0), fy-float64(y0)
		for at := 0; at < t.frame; at += n {
			plane := t.noise[at : at+n]
			top := t.value(plane, x0, y0)*(1-ax) + t.value(plane, x0+1, y0)*ax
			low := t.value(plane, x0, y0+1)*(1-ax) + t.value(plane, x0+1, y0+1)*ax
			dst[at+i] = top*(1-ay) + low*ay
		}
	}
}

// value is that of a pixel, 0 outside of the frame.
func (t *geoTask) value(plane []float32, x, y int) float64 {
	if x < 0 || y < 0 || x >= t.w || y >= t.h {
		return 0
	}
	return float64(plane[y*t.w+x])
}

func init() { attack.RegisterPart(func() attack.Part { return GeoNoise{} }) }
