package motion

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/mettleml/mettle/internal/parallel"
	"github.com/mettleml/mettle/tensor"
)

// A Sequence is the motion of a clip. It is estimated on first use and then kept. It is
// safe for concurrent use.
type Sequence struct {
	frames *Frames
	fields []func() *Field // of frames 1 and up

	mu   sync.Mutex
	maps map[Selector][]Map
}

// NewSequence returns the motion of a clip by estimator e.
func NewSequence(f *Frames, e Estimator) *Sequence {
	s := &Sequence{frames: f, maps: map[Selector][]Map{}}
	for t := 1; t < f.T; t++ {
		s.fields = append(s.fields, sync.OnceValue(func() *Field {
			d := e.Estimate(f, t-1, t)
			if d.check("motion.Sequence"); d.H != f.H || d.W != f.W {
				tensor.Panic("motion.Sequence", fmt.Sprintf("the field of %T has another size than the frames", e), []int{d.H, d.W}, []int{f.H, f.W})
			}
			return d
		}))
	}
	return s
}

// Frames returns the frames of the clip.
func (s *Sequence) Frames() *Frames { return s.frames }

// Field returns the motion of frame t against the one before, for t from 1 on. The field
// is shared: it must not be modified. It panics if there is no such frame.
func (s *Sequence) Field(t int) *Field {
	s.frames.check("motion.Sequence.Field", t-1, t)
	return s.fields[t-1]()
}

// Accumulate returns the motion of frame last against frame first by [Accumulate]; a
// field without motion if they are the same. It panics unless first is at most last and
// both are frames of the clip.
func (s *Sequence) Accumulate(first, last int) *Field {
	const op = "motion.Sequence.Accumulate"
	s.frames.check(op, first, last)
	if first > last {
		tensor.Panic(op, fmt.Sprintf("frame %d is after frame %d", first, last))
	}
	if first == last {
		return NewField(s.frames.H, s.frames.W)
	}
	return Accumulate(s.Fields()[first:last]...)
}

// Fields returns the motion of every frame but the first, estimated in parallel. The fields
// are shared: they must not be modified.
func (s *Sequence) Fields() []*Field {
	fields := make([]*Field, len(s.fields))
	parallel.Run(len(fields), &fieldsTask{s, fields})
	return fields
}

type fieldsTask struct {
	s      *Sequence
	fields []*Field
}

func (t *fieldsTask) Part(i int) { t.fields[i] = t.s.Field(i + 1) }

// Tensor returns the motion as a tensor [T-1, 2, H, W], for instance to save it.
func (s *Sequence) Tensor() *tensor.Tensor {
	out := tensor.New(len(s.fields), 2, s.frames.H, s.frames.W)
	for t, f := range s.Fields() {
		out.Index(t).CopyFrom(f.Tensor())
	}
	return out
}

// Maps returns the motion maps of the intervals that sel selects, in its order. They are
// kept, and shared: they must not be modified.
func (s *Sequence) Maps(sel Selector) []Map {
	keep := reflect.ValueOf(sel).Comparable()
	if keep {
		s.mu.Lock()
		maps, ok := s.maps[sel]
		s.mu.Unlock()
		if ok {
			return maps
		}
	}
	maps := []Map{}
	for _, i := range sel.Select(s) {
		if i.Start < 0 || i.Len < 1 || i.Start+i.Len > s.frames.T {
			tensor.Panic("motion.Sequence.Maps", fmt.Sprintf("%T selected %d frames from frame %d on; there are %d", sel, i.Len, i.Start, s.frames.T))
		}
		maps = append(maps, Map{i, s.Accumulate(i.Start, i.Start+i.Len-1)})
	}
	if keep {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.maps[sel] = maps
	}
	return maps
}

// Given is an Estimator for known motion: from a file, a video decoder, or computer
// graphics.
type Given struct {
	Fields []*Field // Fields[t] is the motion of frame t+1 against frame t
}

// GivenBy returns the motion in a tensor [T-1, 2, H, W], such as one from
// [Sequence.Tensor]. They share memory. It panics if t has another shape.
func GivenBy(t *tensor.Tensor) *Given {
	if t.Rank() != 4 || t.Dim(1) != 2 {
		tensor.Panic("motion.GivenBy", "not [T-1, 2, H, W]", t.Shape())
	}
	g := &Given{}
	for i := range t.Dim(0) {
		g.Fields = append(g.Fields, FieldOf(t.Index(i)))
	}
	return g
}

// Estimate implements Estimator by Accumulate of the fields between the frames. It panics
// unless ref is at most cur and the fields reach as far.
func (g *Given) Estimate(f *Frames, ref, cur int) *Field {
	const op = "motion.Given.Estimate"
	f.check(op, ref, cur)
	if ref > cur || cur > len(g.Fields) {
		tensor.Panic(op, fmt.Sprintf("%d fields do not say how frame %d moves against frame %d", len(g.Fields), cur, ref))
	}
	if ref == cur {
		return NewField(f.H, f.W)
	}
	return Accumulate(g.Fields[ref:cur]...)
}
