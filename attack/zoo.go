package attack

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/zoo"
)

// A Solver turns coordinate differences into ZOO's steps.
type Solver uint8

// The solvers of ZOO.
const (
	CoordinateAdam   Solver = iota
	CoordinateNewton        // the step g/h, h the second difference, at least 0.1
	CoordinateMixed         // Newton where the second difference is not negative, Adam elsewhere
)

// ZOO is the zeroth-order attack of Chen et al. (2017): it minimises ‖x'-x‖² + c·hinge a
// few coordinates at a time, by central differences. It is a baseline: it reaches a small
// L2 with very many queries. An iteration costs 2·Coordinates + 1 queries.
//
// The zero value is the paper's setting for MNIST with c fixed at 0.5; PresetOf[ZOO] has
// others. For large images give Sizes: the modifier then lives on a coarse grid, is
// enlarged bilinearly, and moves to the next size at the iterations in Switch.
type ZOO struct {
	Coordinates int     // per step (B); 0 means 128
	H           float64 // step of the finite differences; 0 means 1e-4
	LR          float64 // 0 means 0.01
	Solver      Solver
	Iterations  int     // for each c; 0 means 3000
	C           float64 // weight of the hinge, the first one in a search; 0 means 0.5, or 0.01 with a search
	Searches    int     // values of c tried, by binary search; 0 means only C
	Kappa       float64 // confidence: the margin from which an image is a success
	Box         Box
	// Importance draws coordinates in proportion to the largest modifier near them, updated
	// at every step. The paper's code intends this but does not do it. A weight is at least
	// a tenth of the mean, so that every coordinate can be drawn.
	Importance bool
	Sizes      []int // sides of the modifier, coarse to fine; nil means the image's own
	Switch     []int // iterations, from 0 and increasing, at which the next size is taken; one fewer than Sizes
	NoAbort    bool  // do not stop when 100 iterations bring less than 0.01 %
	First      bool  // stop at the first success, instead of bringing it nearer
	Reset      bool  `json:",omitempty"` // reset Adam's moments at the first success with each c, an option of the paper's code
}

// About describes the attack.
func (a ZOO) About() About { return About{"zoo", L2, a.defaults()} }

func (a ZOO) defaults() ZOO {
	a.Coordinates, a.H, a.LR = cmp.Or(a.Coordinates, 128), cmp.Or(a.H, 1e-4), cmp.Or(a.LR, 0.01)
	a.Iterations, a.Searches = cmp.Or(a.Iterations, 3000), max(a.Searches, 1)
	if a.C == 0 && a.Searches > 1 {
		a.C = 0.01
	}
	a.C = cmp.Or(a.C, 0.5)
	return a
}

// AttackScores implements ScoreAttack.
func (a ZOO) AttackScores(ctx context.Context, v zoo.Scorer, t *Try) error {
	a = a.defaults()
	c := newWeightSearch(a.C)
	r := t.Rand(0)
	for range a.Searches {
		won, err := a.minimise(ctx, v, t, c.value, r)
		if err != nil || won && a.First {
			return err
		}
		c.next(won)
	}
	return nil
}

// minimise runs the descent for one value of c.
func (a ZOO) minimise(ctx context.Context, v zoo.Scorer, t *Try, c float64, r *rand.Rand) (won bool, err error) {
	clean := t.Clean.Data()
	obj := newNearHinge(v, t, a.Kappa, c)
	shape := t.Clean.Shape()
	space := newModifier(a.Box, clean, shape)
	level := 0
	var w []float32
	pixels := a.Box == Clip && len(a.Sizes) == 0
	if pixels {
		w = t.start() // differences of pixels know about the bounds
	} else {
		if len(a.Sizes) > 0 {
			space.size(a.Sizes[0])
		}
		obj.Space = space
		w = make([]float32, space.Dim())
	}
	diff := zoo.Differences{Step: a.H, Central: true}
	opt := newAdam(len(w), a.LR)
	q := a.Coordinates
	g, h := make([]float64, q), make([]float64, q)
	last := math.Inf(1)
	for i := range a.Iterations {
		if level < len(a.Switch) && level+1 < len(a.Sizes) && i == a.Switch[level] {
			level++
			w = space.enlarge(w, a.Sizes[level])
			opt = newAdam(len(w), opt.lr)
		}
		loss, hit, err := obj.ask(ctx, w)
		if err != nil {
			return won, err
		}
		if hit && a.First {
			return true, nil
		}
		if hit && !won {
			won = true
			if a.Reset {
				opt.reset()
			}
		}
		if !a.NoAbort && i%100 == 99 {
			if loss > 0.9999*last {
				return won, nil
			}
			last = loss
		}
		coords := a.choose(w, pixels, space, min(q, len(w)), r)
		if err := diff.Along(ctx, obj.Objective, zoo.Point{X: w, Loss: loss}, coords, g, h); err != nil {
			return won, err
		}
		for j, k := range coords {
			w[k] -= float32(a.step(opt, k, g[j], h[j]))
			if pixels {
				w[k] = min(max(w[k], 0), 1)
			}
		}
	}
	return won, nil
}

func (a ZOO) step(opt *adam, k int, g, h float64) float64 {
	if a.Solver == CoordinateNewton || a.Solver == CoordinateMixed && h >= 0 {
		if h < 0 {
			h = 1
		}
		return opt.lr * g / max(h, 0.1)
	}
	return opt.step(k, g)
}

// choose draws q coordinates without replacement.
func (a ZOO) choose(w []float32, pixels bool, m *modifier, q int, r *rand.Rand) []int {
	if !a.Importance {
		return r.Perm(len(w))[:q]
	}
	if pixels {
		w = slices.Clone(w)
		for i, c := range m.clean {
			w[i] -= c
		}
	}
	// Exponential keys: the q least of E/p are a sample without replacement with
	// probabilities proportional to p.
	p := m.importance(w)
	keys := make([]float64, len(w))
	order := make([]int, len(w))
	for i := range keys {
		keys[i] = r.ExpFloat64() / p[i]
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		switch {
		case keys[i] < keys[j]:
			return -1
		case keys[i] > keys[j]:
			return 1
		}
		return i - j
	})
	return order[:q]
}

// A nearHinge is the objective of ZOO and AutoZOOM: ‖x'-x‖² + c·hinge.
type nearHinge struct {
	*zoo.Objective
	t *Try
}

func newNearHinge(v zoo.Scorer, t *Try, kappa, c float64) nearHinge {
	obj := zoo.NewObjective(v, t.Goal, zoo.Hinge{Kappa: kappa, Scale: c})
	clean := t.Clean.Data()
	obj.Penalty = func(x []float32) float64 { d := L2.Distance(x, clean); return d * d }
	return nearHinge{obj, t}
}

// ask evaluates one parameter vector. It offers the image, and returns whether it is a
// success, only if the hinge is 0: the goal is achieved by a margin of kappa.
func (o nearHinge) ask(ctx context.Context, params []float32) (loss float64, hit bool, err error) {
	copy(o.Batch(1), params)
	var l [1]float64
	e, err := o.Losses(ctx, 1, l[:])
	if err != nil {
		return 0, false, err
	}
	return l[0], e[0].Loss == 0 && o.t.Offer(o.Image(0), e[0].Label), nil
}

// A modifier is the space in which ZOO and AutoZOOM move: what is added to the
// clean image, perhaps on a coarser grid, before or within the box.
type modifier struct {
	box          Box
	clean        []float32
	planes, h, w int
	mh, mw       int       // of the modifier
	full         []float32 // the modifier, enlarged
}

func newModifier(box Box, clean []float32, shape []int) *modifier {
	h, w := shape[len(shape)-2], shape[len(shape)-1]
	return &modifier{box, clean, len(clean) / (h * w), h, w, h, w, make([]float32, len(clean))}
}

// size makes the modifier's planes s by s, but no larger than the image.
func (m *modifier) size(s int) { m.mh, m.mw = min(s, m.h), min(s, m.w) }

func (m *modifier) Dim() int { return m.planes * m.mh * m.mw }

// Render adds the modifier to the clean image within the box.
func (m *modifier) Render(image, params []float32) {
	m.resize(m.full, params, m.mh, m.mw, m.h, m.w)
	m.box.Image(image, m.full, m.clean)
}

// resize enlarges bilinearly, corners to corners; equal sizes are copied.
func (m *modifier) resize(dst, src []float32, sh, sw, h, w int) {
	if sh == h && sw == w {
		copy(dst, src)
		return
	}
	r := kernel.Resize{Planes: m.planes, H: sh, W: sw, OutH: h, OutW: w, AlignCorners: true}
	r.Forward(dst, src)
}

// enlarge moves to a finer grid and carries w along.
func (m *modifier) enlarge(w []float32, size int) []float32 {
	sh, sw := m.mh, m.mw
	m.size(size)
	next := make([]float32, m.Dim())
	m.resize(next, w, sh, sw, m.mh, m.mw)
	return next
}

// importance is the largest modifier in the block round each coordinate, blocks being
// an eighth of the side, but at least a tenth of the mean.
func (m *modifier) importance(w []float32) []float64 {
	bh, bw := max(m.mh/8, 1), max(m.mw/8, 1)
	nh, nw := (m.mh+bh-1)/bh, (m.mw+bw-1)/bw
	top := make([]float64, m.planes*nh*nw)
	block := func(i int) int {
		plane, y, x := i/(m.mh*m.mw), i/m.mw%m.mh, i%m.mw
		return (plane*nh+y/bh)*nw + x/bw
	}
	for i, v := range w {
		b := block(i)
		top[b] = max(top[b], math.Abs(float64(v)))
	}
	p := make([]float64, len(w))
	var mean float64
	for i := range p {
		p[i] = top[block(i)]
		mean += p[i] / float64(len(p))
	}
	least := mean / 10
	if mean == 0 {
		least = 1
	}
	for i := range p {
		p[i] = max(p[i], least)
	}
	return p
}
