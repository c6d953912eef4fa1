package video

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video/motion"
	"github.com/mettleml/mettle/zoo"
)

// A Warp says how a motion map rearranges a frame of noise.
type Warp string

const (
	// IndexLookup reads the noise at a place given by the vector: its components minus the
	// least component of the map are a column and a row. Pixels with equal motion get the
	// same noise, as in the released code.
	IndexLookup Warp = "index"
	// Displace reads the noise at the pixel to which the vector points.
	Displace Warp = "displace"
	// DisplaceChained displaces frame after frame: the noise of a frame is that of the
	// frame before it, displaced by the frame's own map; the first frame is not displaced.
	// The maps are those of PerInterval. It is the reading in the code of GEO-TRAP (Li et
	// al., 2021).
	DisplaceChained Warp = "displace-chained"
)

// Sparked is the noise of the Motion-Excited Sampler (Zhang et al., ECCV 2020; thesis
// chapter 3): one frame of Gaussian noise, rearranged by the motion of the clip. The zero
// value is that of the released code, except for clips at rest (Least): index look-up by
// one motion map after the other, the same in all frames.
//
// Regions with equal motion get equal noise, which leaves few directions to search. This
// helps if the victim is sensitive to such regions as a whole. If it is not, the attack
// fails; then Mix in one-noise.
type Sparked struct {
	Map  MapSource // nil means Motion{}; for DisplaceChained, the motion of each frame against the one before
	Warp Warp      // "" means IndexLookup
	// PerInterval gives every frame the map of its own interval (motion.MapAt). By default
	// all frames get the same map, and the maps take turns.
	PerInterval bool
	Every       int     // draws per map before the next one takes its turn; 0 means 10
	Pad         Pad     // "" means PadZero
	Unaligned   bool    // PyTorch's grid_sample default since 1.3 (align_corners=False); the released code is older
	ShiftEach   bool    // IndexLookup subtracts each component's own minimum, instead of the minimum of both
	Least       int     // a map with fewer different vectors, in whole pixels, gives one-noise; 0 means 2. With 1, as in the released code, a clip at rest gets frames of one colour
	Mix         float64 // weight of an added frame of one-noise; 0 means none
}

// Name implements Noise.
func (Sparked) Name() string { return "sparked" }

func (s Sparked) defaults() Sparked {
	s.Warp, s.Pad = cmp.Or(s.Warp, IndexLookup), cmp.Or(s.Pad, PadZero)
	s.Every, s.Least = cmp.Or(s.Every, 10), cmp.Or(s.Least, 2)
	if s.Map == nil && s.Warp == DisplaceChained {
		s.Map = Motion{Selector: EachFrame{}}
	} else if s.Map == nil {
		s.Map = Motion{}
	}
	if m, ok := s.Map.(interface{ filled() MapSource }); ok {
		s.Map = m.filled()
	}
	return s
}

func (s Sparked) check() error {
	var err error
	switch s.Warp {
	case "", IndexLookup, Displace, DisplaceChained:
	default:
		err = fmt.Errorf("video: unknown warp %q (have %q, %q and %q)", string(s.Warp), IndexLookup, Displace, DisplaceChained)
	}
	if s.Every < 0 || s.Least < 0 || !(s.Mix >= 0) || math.IsInf(s.Mix, 1) {
		err = errors.Join(err, fmt.Errorf("video: Sparked with Every %d, Least %d, Mix %g; none is negative, and 0 means the default", s.Every, s.Least, s.Mix))
	}
	return errors.Join(err, s.Pad.check())
}

// For implements Noise. Its errors are those of the options and of the maps.
func (s Sparked) For(clip *tensor.Tensor, r *rand.Rand) (zoo.Noise, int, error) {
	if err := s.check(); err != nil {
		return nil, 0, err
	}
	s = s.defaults()
	maps, err := s.Map.Maps(clip, r)
	if err != nil {
		return nil, 0, err
	}
	if len(maps) == 0 {
		return nil, 0, fmt.Errorf("video: %s makes no motion map of a clip of %d frames", s.Map.Name(), clip.Dim(0))
	}
	n := &sparked{Sparked: s, maps: maps, grids: map[gridKey]*grid{}}
	if s.PerInterval || s.Warp == DisplaceChained {
		return n, clip.Dim(0), nil
	}
	return n, 1, nil
}

// sparked is the source for one clip.
type sparked struct {
	Sparked
	maps []motion.Map
	normal
	draws int
	grids map[gridKey]*grid
	frame []float32
	last  []float32 // DisplaceChained: the noise of the frame before
}

// A gridKey tells the grids of a map apart: a prior in tiles is smaller than the clip.
type gridKey struct {
	field *motion.Field
	h, w  int
}

func (s *sparked) Name() string { return s.Sparked.Name() }

// Draw implements zoo.Noise.
func (s *sparked) Draw(dst []float64, shape []int, r *rand.Rand) error {
	frames := 1
	if len(shape) == 4 {
		frames = shape[0]
	}
	h, w := shape[len(shape)-2], shape[len(shape)-1]
	n := len(dst) / frames
	turn := s.draws / s.Every % len(s.maps)
	s.draws++
	if frames == 1 && s.Mix == 0 && s.Warp == IndexLookup && !s.PerInterval {
		if g := s.grid(s.maps[turn].Field, h, w); g != nil && g.exact != nil {
			g.look(dst, s.drawSome(n, h*w, g.reach, r)) // vectors are short: little of the noise is ever read
			return nil
		}
	}
	room := n
	if s.Mix > 0 {
		room = 2 * n
	}
	noise := s.draw(room, r)
	if len(s.frame) != n {
		s.frame, s.last = make([]float32, n), make([]float32, n)
	}
	source := noise[:n]
	for t := range frames {
		m := s.maps[turn]
		if s.PerInterval || s.Warp == DisplaceChained {
			m = motion.MapAt(s.maps, t)
		}
		switch g := s.grid(m.Field, h, w); {
		case g == nil || s.Warp == DisplaceChained && t == 0:
			copy(s.frame, source)
		default:
			g.apply(s.frame, source)
		}
		if s.Warp == DisplaceChained {
			s.frame, s.last = s.last, s.frame
			source = s.last
			widen(dst[t*n:][:n], s.last)
		} else {
			widen(dst[t*n:][:n], s.frame)
		}
		if s.Mix > 0 {
			for i, v := range noise[n:] {
				dst[t*n+i] += float64(s.Mix * float64(v))
			}
		}
	}
	return nil
}

// grid returns the grid of a map, or nil if the map leaves the noise as it is.
func (s *sparked) grid(f *motion.Field, h, w int) *grid {
	key := gridKey{f, h, w}
	if g, ok := s.grids[key]; ok {
		return g
	}
	var g *grid
	if f.Distinct() >= s.Least {
		if f.H != h || f.W != w {
			f = f.Resize(h, w)
		}
		g = s.place(f)
	}
	s.grids[key] = g
	return g
}

// place makes the grid of a map of the noise's size.
func (s *sparked) place(f *motion.Field) *grid {
	if s.Warp != IndexLookup {
		return newGrid(f.H, f.W, s.Pad, s.Unaligned, func(i int) (x, y float64) {
			return float64(i%f.W) + float64(f.DX[i]), float64(i/f.W) + float64(f.DY[i])
		})
	}
	// The released code shifts both components by one number and keeps them in bytes, which
	// wrap, and what lies beyond the frame it reads as 0. Here the last pixels serve there.
	least := [2]float32{f.DX[0], f.DY[0]}
	for i, dx := range f.DX {
		least[0], least[1] = min(least[0], dx), min(least[1], f.DY[i])
	}
	if !s.ShiftEach {
		both := min(least[0], least[1])
		least = [2]float32{both, both}
	}
	return newGrid(f.H, f.W, s.Pad, s.Unaligned, func(i int) (x, y float64) {
		x = min(float64(f.DX[i]-least[0]), float64(f.W-1))
		y = min(float64(f.DY[i]-least[1]), float64(f.H-1))
		return x, y
	})
}

// EachFrame is a selector of motion maps (motion.Selector): the motion of each frame
// against the one before. A clip of one frame has one map, of a frame at rest.
type EachFrame struct{}

// Name names the selector.
func (EachFrame) Name() string { return "each-frame" }

// Select implements motion.Selector.
func (EachFrame) Select(s *motion.Sequence) (list []motion.Interval) {
	n := s.Frames().T
	if n == 1 {
		return []motion.Interval{{Start: 0, Len: 1}}
	}
	for t := 1; t < n; t++ {
		list = append(list, motion.Interval{Start: t - 1, Len: 2})
	}
	return list
}

func init() {
	attack.RegisterPart(func() attack.Part { return Sparked{} })
	attack.RegisterPart(func() attack.Part { return EachFrame{} })
}
