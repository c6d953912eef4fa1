package attack

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/zoo"
)

// Square is the Square Attack of Andriushchenko et al. (2020): random search by squares at
// the corners of the ball. It is the first choice for a victim with scores under a fixed
// Linf or L2 ball. An iteration takes one query.
//
// The defaults of P are those of the paper's code. The query count includes the first
// point, as there. [AutoAttack] sets P to 0.8, because robust victims need larger squares,
// Iterations to 5,000 and Schedule to 10,000. In Linf a square that would change nothing is
// drawn again without a query. The paper has no L1 attack; here it is the L2 attack with
// sums of sizes in place of roots of sums of squares.
type Square struct {
	Norm       Norm
	Eps        float64  // radius of the ball; 0 means 2 for L2, 0.05 for Linf, 10 for L1
	P          float64  // share of the pixels in the first squares; 0 means 0.05 for Linf, else 0.1; take 0.3 to 0.8 for robust victims
	Iterations int      // after the first point; 0 means no limit but the budget
	Schedule   int      // iterations over which the squares shrink to P/512 of the pixels; 0 means the budget
	Loss       zoo.Loss // nil means the paper's: margin untargeted, cross-entropy targeted
}

// About describes the attack.
func (a Square) About() About { return About{"square", a.Norm, a.defaults()} }

// defaults leaves a nil Loss, whose meaning follows from the goal.
func (a Square) defaults() Square {
	if a.Norm == Linf {
		a.Eps, a.P = cmp.Or(a.Eps, 0.05), cmp.Or(a.P, 0.05)
	}
	a.Eps, a.P = cmp.Or(a.Eps, radiusOf(a.Norm)), cmp.Or(a.P, 0.1)
	return a
}

// AttackScores implements ScoreAttack. In a clip all frames have the same square.
func (a Square) AttackScores(ctx context.Context, v zoo.Scorer, t *Try) error {
	a = a.defaults()
	loss := orLoss[zoo.Loss](a.Loss, zoo.Margin{})
	if a.Loss == nil && t.Goal.Targeted {
		loss = zoo.CrossEntropy{}
	}
	shape := t.Clean.Shape()
	s := squareSearch{
		clean: t.Clean.Data(), rand: t.Rand(0),
		h: shape[len(shape)-2], w: shape[len(shape)-1],
		norm: a.Norm, eps: a.Eps, p: a.P,
	}
	s.planes = len(s.clean) / (s.h * s.w)
	begin, propose := s.beginBumps, s.proposeBump
	if a.Norm == Linf {
		begin, propose = s.beginLinf, s.proposeLinf
	}
	obj := zoo.NewObjective(v, t.Goal, loss)
	x := make([]float32, len(s.clean))
	begin(x)
	best, won, err := t.Ask(ctx, obj, x)
	if err != nil || won {
		return err
	}
	next := make([]float32, len(x))
	for i := 0; a.Iterations == 0 || i < a.Iterations; i++ {
		copy(next, x)
		propose(next, s.share(i, cmp.Or(a.Schedule, t.Budget())))
		loss, won, err := t.Ask(ctx, obj, next)
		if err != nil || won {
			return err
		}
		if loss < best {
			best = loss
			x, next = next, x
		}
	}
	return nil
}

type squareSearch struct {
	norm         Norm
	clean        []float32
	rand         *rand.Rand
	planes, h, w int
	eps, p       float64
}

// share is p after i iterations: it halves at these iterations of 10,000,
// scaled to the schedule.
func (s *squareSearch) share(i, schedule int) float64 {
	p := s.p
	for _, at := range []int{10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000} {
		if i > at*schedule/10000 {
			p /= 2
		}
	}
	return p
}

func (s *squareSearch) side(p float64, least int) int {
	n := int(math.Round(math.Sqrt(p * float64(s.h*s.w))))
	return max(min(max(n, least), min(s.h, s.w)-1), 1)
}

func (s *squareSearch) sign() float64 { return float64(2*s.rand.IntN(2) - 1) }

func (s *squareSearch) corner(side int) (top, left int) {
	return s.rand.IntN(s.h - side + 1), s.rand.IntN(s.w - side + 1)
}

// set writes pixel i as the clean one displaced by d, no farther, and clipped.
func (s *squareSearch) set(x []float32, i int, d float64) { x[i] = displaced(s.clean[i], d) }

func clip01(v float64) float32 { return float32(min(max(v, 0), 1)) }

// beginLinf displaces every column of every plane by ±eps.
func (s *squareSearch) beginLinf(x []float32) {
	for c := range s.planes {
		for col := range s.w {
			d := s.eps * s.sign()
			for row := range s.h {
				s.set(x, (c*s.h+row)*s.w+col, d)
			}
		}
	}
}

// proposeLinf gives a random square a new displacement of ±eps, one for each
// plane, drawn again until something changes.
func (s *squareSearch) proposeLinf(x []float32, p float64) {
	side := s.side(p, 1)
	top, left := s.corner(side)
	for try := 0; try < 20; try++ { // where clipping lets nothing move, give up
		changed := false
		for c := range s.planes {
			d := s.eps * s.sign()
			for row := top; row < top+side; row++ {
				for i := (c*s.h+row)*s.w + left; i < (c*s.h+row)*s.w+left+side; i++ {
					old := x[i]
					s.set(x, i, d)
					changed = changed || x[i] != old
				}
			}
		}
		if changed {
			return
		}
	}
}

// bump is the pattern of the attack in L2 and L1, side by side values of unit length together:
// two halves of opposite sign, one above the other or side by side, each peaked in its
// middle.
func (s *squareSearch) bump(side int) []float64 {
	b := make([]float64, side*side)
	half := side / 2
	peak(b[:half*side], half, side, 1)
	peak(b[half*side:], side-half, side, -1)
	if s.rand.IntN(2) == 1 {
		for r := range side {
			for c := range r {
				b[r*side+c], b[c*side+r] = b[c*side+r], b[r*side+c]
			}
		}
	}
	s.unit(b)
	return b
}

// peak fills rows by cols values, of unit length together, with nested squares about
// the middle: square k, of side 2k+1 and cut off at the edges, adds sign/(k+1)².
func peak(b []float64, rows, cols int, sign float64) {
	squares := max(rows, cols)/2 + 1
	for r := range rows {
		for c := range cols {
			first := max(r-rows/2, rows/2-r, c-cols/2, cols/2-c)
			for k := first; k < squares; k++ {
				b[r*cols+c] += sign / float64((k+1)*(k+1))
			}
		}
	}
	normalise(b)
}

// part is what a value adds to the length of a perturbation, to the power by which lengths
// add up; whole makes a length of the sum, and power undoes that.
func (s *squareSearch) part(v float64) float64 {
	if s.norm == L1 {
		return math.Abs(v)
	}
	return v * v
}

func (s *squareSearch) whole(sum float64) float64 {
	if s.norm == L1 {
		return sum
	}
	return math.Sqrt(sum)
}

func (s *squareSearch) power(length float64) float64 {
	if s.norm == L1 {
		return length
	}
	return length * length
}

// unit gives d the length 1.
func (s *squareSearch) unit(d []float64) {
	if s.norm == L2 {
		normalise(d)
		return
	}
	sum := max(length(L1, d), 1e-10)
	for i := range d {
		d[i] /= sum
	}
}

// scale clips clean + d to [0,1] after giving d the length eps.
func (s *squareSearch) scale(x []float32, d []float64) {
	s.unit(d)
	for i, v := range d {
		x[i] = clip01(float64(s.clean[i]) + s.eps*v)
	}
	if s.norm == L1 { // what rounding added
		s.norm.shorten(x, s.clean, s.eps)
	}
}

// beginBumps tiles the middle of the image with bumps of random signs, about five to a
// side.
func (s *squareSearch) beginBumps(x []float32) {
	d := make([]float64, len(x))
	side := max(min(s.h, s.w)/5, 1)
	for top := s.h % side / 2; top+side <= s.h; top += side {
		for left := s.w % side / 2; left+side <= s.w; left += side {
			b := s.bump(side)
			for c := range s.planes {
				sign := s.sign()
				for r := range side {
					for k := range side {
						d[(c*s.h+top+r)*s.w+left+k] += sign * b[r*side+k]
					}
				}
			}
		}
	}
	s.scale(x, d)
}

// proposeBump moves the length that lies in one window, and what the ball leaves
// unused, into a bump in another window.
func (s *squareSearch) proposeBump(x []float32, p float64) {
	side := s.side(p, 3)
	if side%2 == 0 {
		side++
	}
	d := make([]float64, len(x))
	var used float64
	for i, v := range x {
		d[i] = float64(v) - float64(s.clean[i])
		used += s.part(d[i])
	}
	spare := max(s.power(s.eps)-used, 0) / float64(s.planes)
	top, left := s.corner(side)
	fromTop, fromLeft := s.corner(side)
	b := s.bump(side)
	for c := range s.planes {
		at := func(top, left, r, k int) *float64 { return &d[(c*s.h+top+r)*s.w+left+k] }
		var inside float64 // length, to its power, in the window and, once, in the other
		for r := range side {
			for k := range side {
				inside += s.part(*at(top, left, r, k))
			}
		}
		length := s.whole(inside)
		for r := range side {
			for k := range side {
				y, z := fromTop+r, fromLeft+k
				v := *at(fromTop, fromLeft, r, k)
				if y < top || y >= top+side || z < left || z >= left+side {
					inside += s.part(v)
					*at(fromTop, fromLeft, r, k) = 0
				}
			}
		}
		sign := s.sign()
		var sum float64
		for r := range side {
			for k := range side {
				v := at(top, left, r, k)
				*v = sign*b[r*side+k] + *v/max(length, 1e-10)
				sum += s.part(*v)
			}
		}
		f := s.whole(inside+spare) / max(s.whole(sum), 1e-10)
		for r := range side {
			for k := range side {
				*at(top, left, r, k) *= f
			}
		}
	}
	s.scale(x, d)
}
