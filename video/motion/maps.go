package motion

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/mettleml/mettle/internal/parallel"
	"github.com/mettleml/mettle/tensor"
)

// A Map is the motion over an interval of a clip: that of its last frame against its
// first.
type Map struct {
	Interval
	*Field
}

// An Interval is Len frames of a clip from frame Start on.
type Interval struct{ Start, Len int }

// MapAt returns the map whose interval contains frame t, or the nearest one; of two equally
// near ones, the first. It panics if there are no maps.
func MapAt(maps []Map, t int) Map {
	if len(maps) == 0 {
		tensor.Panic("motion.MapAt", "no maps")
	}
	return slices.MinFunc(maps, func(a, b Map) int { return cmp.Compare(a.distance(t), b.distance(t)) })
}

func (i Interval) distance(t int) int { return max(i.Start-t, t-(i.Start+i.Len-1), 0) }

// A Selector chooses the intervals of a clip's motion maps. The same clip must give the
// same intervals. A Sequence keeps the maps of selectors of comparable types.
type Selector interface {
	Select(s *Sequence) []Interval
}

// Fixed selects intervals of fixed length one after the other, like the groups of pictures
// of a compressed video, as the released Motion-Excited Sampler (Zhang et al., ECCV 2020)
// does. Frames after the last whole interval belong to none. A clip shorter than an
// interval is one interval.
type Fixed struct {
	Len int // in frames; 0 means 12: one key frame and eleven predicted ones
}

// Name names the selector among the options of an attack.
func (Fixed) Name() string { return "fixed" }

// Select implements Selector.
func (f Fixed) Select(s *Sequence) (list []Interval) {
	n, frames := cmp.Or(f.Len, 12), s.frames.T
	if n < 1 {
		tensor.Panic("motion.Fixed.Select", fmt.Sprintf("intervals of %d frames", n))
	}
	n = min(n, frames)
	for start := 0; start+n <= frames; start += n {
		list = append(list, Interval{start, n})
	}
	return list
}

// A Score measures the quality of a motion map.
type Score string

const (
	// Explained is the change of brightness between first and last frame that the map
	// explains: the mean absolute difference of the last frame from the first, minus that
	// from the first frame moved by the map. It grows while motion adds up and falls when
	// vectors lose track, so it favours intervals of one whole movement.
	Explained Score = "explained"

	// Magnitude is the mean length of the vectors.
	Magnitude Score = "magnitude"

	// Entropy is the entropy of the distribution of vectors, rounded to whole pixels, in
	// bits.
	Entropy Score = "entropy"
)

// Adapted selects the interval with the best score, then the best one that does not overlap
// it, and so on. It returns them in the order of time.
//
// The thesis adapts start and length to the trajectory (figure 3.5) without saying how; the
// rule is ours.
type Adapted struct {
	MinLen, MaxLen int   // of an interval in frames, at least 2; 0 means 6 and 24. A clip shorter than MinLen is one interval
	Score          Score // "" means Explained
	Count          int   // largest number of intervals; 0 means all that fit and have a score above 0
}

// Name names the selector among the options of an attack.
func (Adapted) Name() string { return "adapted" }

// Select implements Selector.
func (a Adapted) Select(s *Sequence) []Interval {
	a.MinLen, a.MaxLen, a.Score = cmp.Or(a.MinLen, 6), cmp.Or(a.MaxLen, 24), cmp.Or(a.Score, Explained)
	if a.MinLen < 2 || a.MaxLen < a.MinLen || a.Count < 0 || !slices.Contains([]Score{Explained, Magnitude, Entropy}, a.Score) {
		tensor.Panic("motion.Adapted.Select", fmt.Sprintf("impossible options %+v", a))
	}
	frames := s.frames.T
	if frames <= a.MinLen {
		return []Interval{{0, frames}}
	}
	t := &adaptTask{Adapted: a, frames: s.frames, fields: s.Fields(), scored: make([][]scored, frames)}
	parallel.Run(frames, t)
	all := slices.Concat(t.scored...)
	slices.SortStableFunc(all, func(x, y scored) int { return cmp.Compare(y.score, x.score) })
	var list []Interval
	for _, c := range all {
		full := a.Count > 0 && len(list) == a.Count
		if full || len(list) > 0 && c.score <= 0 {
			break
		}
		if !slices.ContainsFunc(list, func(i Interval) bool { return c.Start < i.Start+i.Len && i.Start < c.Start+c.Len }) {
			list = append(list, c.Interval)
		}
	}
	slices.SortFunc(list, func(x, y Interval) int { return cmp.Compare(x.Start, y.Start) })
	return list
}

type scored struct {
	Interval
	score float64
}

// An adaptTask scores all intervals that end with a given frame.
type adaptTask struct {
	Adapted
	frames *Frames
	fields []*Field
	scored [][]scored // by last frame
}

// samples is about how many pixels are followed to score an interval.
const samples = 4096

func (t *adaptTask) Part(last int) {
	f := t.frames
	step := max(1, int(math.Sqrt(float64(f.H*f.W)/samples)))
	var tracks []track
	for y := step / 2; y < f.H; y += step {
		for x := step / 2; x < f.W; x += step {
			tracks = append(tracks, track{y*f.W + x, float32(x), float32(y)})
		}
	}
	for first := last - 1; first >= max(0, last-t.MaxLen+1); first-- {
		for i := range tracks {
			p := &tracks[i]
			dx, dy := t.fields[first].back(p.x, p.y)
			p.x, p.y = p.x-dx, p.y-dy
		}
		if n := last - first + 1; n >= t.MinLen {
			t.scored[last] = append(t.scored[last], scored{Interval{first, n}, t.score(tracks, first, last)})
		}
	}
}

// A track is a pixel of the last frame and where it was in the first.
type track struct {
	pixel int
	x, y  float32
}

func (t *adaptTask) score(tracks []track, first, last int) (sum float64) {
	f := t.frames
	if t.Score == Entropy {
		counts := map[[2]int]int{}
		for _, p := range tracks {
			counts[[2]int{round(float32(p.pixel%f.W) - p.x), round(float32(p.pixel/f.W) - p.y)}]++
		}
		list := []int{}
		for _, n := range counts {
			list = append(list, n)
		}
		slices.Sort(list) // a sum in the order of a map would differ from run to run
		for _, n := range list {
			share := float64(n) / float64(len(tracks))
			sum -= share * math.Log2(share)
		}
		return sum
	}
	a, b := f.Luma(first), f.Luma(last)
	for _, p := range tracks {
		if t.Score == Magnitude {
			sum += math.Hypot(float64(p.pixel%f.W)-float64(p.x), float64(p.pixel/f.W)-float64(p.y))
			continue
		}
		now := float64(b[p.pixel])
		sum += math.Abs(now-float64(a[p.pixel])) - math.Abs(now-float64(sample(a, f.H, f.W, p.x, p.y)))
	}
	return sum / float64(len(tracks))
}
