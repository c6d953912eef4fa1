package video

import (
	"cmp"
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video/motion"
)

// A MapSource makes the motion maps for [Sparked] noise: [Motion], [UniformMap],
// [SequenceMap] and [GivenMaps], or a type of another package.
type MapSource interface {
	// Name returns the source's name. A campaign's options hold the name and the fields.
	Name() string
	// Maps returns the maps of a clip [T, C, H, W], at least one, of the size of its
	// frames. Their randomness follows from r.
	Maps(clip *tensor.Tensor, r *rand.Rand) ([]motion.Map, error)
}

// Motion makes maps of the motion of the clip itself. An estimator or a selector of another
// package needs a method Name (attack.Part).
type Motion struct {
	Estimator motion.Estimator // nil means motion.BlockMatch{}, as an encoder does
	Selector  motion.Selector  // nil means motion.Fixed{}, intervals of 12 frames
}

// UniformMap is the handcrafted map U-Sample: the components of every vector are drawn
// uniformly from [0, Range]. It is the sampler without motion. The range is ours; the
// thesis gives none.
type UniformMap struct {
	Range float64 // in pixels; 0 means 50, or what the frame has if that is less
}

// SequenceMap is the handcrafted map S-Value: values from 0 to Range that rise in raster
// order, in both components. The order is ours; the thesis does not state it.
type SequenceMap struct {
	Range float64 // in pixels; 0 means 50, or what the frame has if that is less
}

// GivenMaps are known maps, such as those of a video's own vectors.
type GivenMaps struct {
	Fields *tensor.Tensor // [N, 2, H, W]: DX and DY (motion.Field); map i serves the i-th of N equal parts of the clip
}

// Name implements MapSource.
func (Motion) Name() string { return "motion" }

// Name implements MapSource.
func (UniformMap) Name() string { return "u-sample" }

// Name implements MapSource.
func (SequenceMap) Name() string { return "s-value" }

// Name implements MapSource.
func (GivenMaps) Name() string { return "given" }

func (m Motion) filled() MapSource {
	if m.Estimator == nil {
		m.Estimator = motion.BlockMatch{}
	}
	if m.Selector == nil {
		m.Selector = motion.Fixed{}
	}
	return m
}

// Maps implements MapSource. Clips that are neither gray nor red, green and blue are an
// error.
func (m Motion) Maps(clip *tensor.Tensor, _ *rand.Rand) ([]motion.Map, error) {
	if c := clip.Dim(1); c != 1 && c != 3 {
		return nil, fmt.Errorf("video: motion is that of brightness, which frames of %d channels do not tell", c)
	}
	f, err := motion.NewFrames(clip)
	if err != nil {
		return nil, err
	}
	m = m.filled().(Motion)
	return motion.NewSequence(f, m.Estimator).Maps(m.Selector), nil
}

// Maps implements MapSource.
func (m UniformMap) Maps(clip *tensor.Tensor, r *rand.Rand) ([]motion.Map, error) {
	return handcrafted(clip, m.Range, func(v []float32) {
		kernel.Uniform(v, 0, 1, r.Uint64(), 0)
	})
}

// Maps implements MapSource.
func (m SequenceMap) Maps(clip *tensor.Tensor, _ *rand.Rand) ([]motion.Map, error) {
	return handcrafted(clip, m.Range, func(v []float32) {
		n := len(v) / 2
		for i := range v {
			v[i] = float32(i%n) / float32(max(n-1, 1))
		}
	})
}

// handcrafted returns one map for all of a clip; fill writes its components, DX and then
// DY, in [0,1].
func handcrafted(clip *tensor.Tensor, size float64, fill func(v []float32)) ([]motion.Map, error) {
	if !(size >= 0) {
		return nil, fmt.Errorf("video: a map whose values go up to %g pixels; 0 means the default", size)
	}
	h, w := clip.Dim(2), clip.Dim(3)
	t := tensor.New(2, h, w)
	fill(t.Data())
	f := motion.FieldOf(t)
	for i := range f.DX {
		f.DX[i] *= float32(min(cmp.Or(size, 50), float64(w-1)))
		f.DY[i] *= float32(min(cmp.Or(size, 50), float64(h-1)))
	}
	return []motion.Map{{Interval: motion.Interval{Start: 0, Len: clip.Dim(0)}, Field: f}}, nil
}

// Maps implements MapSource. Maps of another size than the clip's frames are an error.
func (m GivenMaps) Maps(clip *tensor.Tensor, _ *rand.Rand) (maps []motion.Map, err error) {
	frames, h, w := clip.Dim(0), clip.Dim(2), clip.Dim(3)
	if m.Fields == nil || m.Fields.Rank() != 4 || m.Fields.Dim(1) != 2 || m.Fields.Dim(2) != h || m.Fields.Dim(3) != w {
		var shape []int
		if m.Fields != nil {
			shape = m.Fields.Shape()
		}
		return nil, fmt.Errorf("video: GivenMaps of shape %v for frames of %dx%d; [N, 2, %[2]d, %d] is due", shape, h, w)
	}
	n := m.Fields.Dim(0)
	for i := range n {
		lo, hi := i*frames/n, max((i+1)*frames/n, i*frames/n+1)
		maps = append(maps, motion.Map{Interval: motion.Interval{Start: lo, Len: hi - lo}, Field: motion.FieldOf(m.Fields.Index(i))})
	}
	return maps, nil
}

func init() {
	for _, make := range []func() attack.Part{
		func() attack.Part { return Motion{} },
		func() attack.Part { return UniformMap{} },
		func() attack.Part { return SequenceMap{} },
		func() attack.Part { return GivenMaps{} },
		func() attack.Part { return motion.BlockMatch{} },
		func() attack.Part { return motion.Farneback{} },
		func() attack.Part { return motion.TVL1{} },
		func() attack.Part { return motion.Fixed{} },
		func() attack.Part { return motion.Adapted{} },
	} {
		attack.RegisterPart(make)
	}
}
