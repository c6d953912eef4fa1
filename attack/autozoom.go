package attack

import (
	"cmp"
	"context"

	"github.com/mettleml/mettle/zoo"
)

// A Decoder makes an image-sized modifier of a short code, so that an attack can search in
// few dimensions. Dim returns the length of a code for samples of the given shape. Decode
// fills dst, which is as long as a sample.
//
// Name names the decoder. A campaign's options hold the decoder's name and fields.
type Decoder interface {
	Name() string
	Dim(shape []int) int
	Decode(dst, code []float32, shape []int)
}

// Bilinear is the decoder that enlarges Side x Side planes bilinearly, corners to
// corners. With the image's own side it is the identity.
type Bilinear struct{ Side int }

// Name implements Decoder.
func (Bilinear) Name() string { return "bilinear" }

// Dim implements Decoder.
func (b Bilinear) Dim(shape []int) int { return b.modifier(nil, shape).Dim() }

// Decode implements Decoder.
func (b Bilinear) Decode(dst, code []float32, shape []int) {
	m := b.modifier(dst, shape)
	m.resize(dst, code, m.mh, m.mw, m.h, m.w)
}

func (b Bilinear) modifier(image []float32, shape []int) *modifier {
	n := 1
	for _, d := range shape {
		n *= d
	}
	h, w := shape[len(shape)-2], shape[len(shape)-1]
	m := &modifier{planes: n / (h * w), h: h, w: w}
	m.size(b.Side)
	return m
}

// AutoZOOM is the attack of Tu et al. (2019): gradient estimates from random directions in
// the space of a decoder's codes. It takes one direction until it reaches the goal, and
// then more directions to come nearer. It is the right choice for a small L2 from a victim
// with scores if no meta attacker fits, and on large pictures, where a decoder reduces the
// dimensions of the search. It needs far fewer queries than ZOO for a somewhat larger L2.
// An iteration costs one query per direction and one more. The zero value has the defaults
// of the paper's code; PresetOf[AutoZOOM] has the settings of its examples.
type AutoZOOM struct {
	Decoder    Decoder // nil means Bilinear, half the image's side
	Directions int     // of an estimate once a success is found; 0 means 1
	LR         float64 // of Adam; 0 means 0.01
	Iterations int     // 0 means 1000
	Switch     int     // iterations between changes of the weight; 0 means 1000
	Weight     float64 // first weight of the hinge (λ); 0 means 1
	Kappa      float64 // confidence: the margin from which an image is a success
	Box        Box
	First      bool // stop at the first success
}

// About describes the attack.
func (a AutoZOOM) About() About { return About{"autozoom", L2, a.defaults()} }

func (a AutoZOOM) defaults() AutoZOOM {
	a.Directions, a.LR = cmp.Or(a.Directions, 1), cmp.Or(a.LR, 0.01)
	a.Iterations, a.Switch = cmp.Or(a.Iterations, 1000), cmp.Or(a.Switch, 1000)
	a.Weight = cmp.Or(a.Weight, 1)
	return a
}

// maxWeight is where the weight stops growing.
const maxWeight = 1e8

// AttackScores implements ScoreAttack.
func (a AutoZOOM) AttackScores(ctx context.Context, v zoo.Scorer, t *Try) error {
	a = a.defaults()
	clean := t.Clean.Data()
	shape := t.Clean.Shape()
	dec := a.Decoder
	if dec == nil {
		dec = Bilinear{max(shape[len(shape)-2]/2, 1)}
	}
	weight := newWeightSearch(a.Weight)
	obj := newNearHinge(v, t, a.Kappa, weight.value)
	space := &codeSpace{dec, a.Box, clean, shape, make([]float32, len(clean))}
	obj.Space = space
	d := space.Dim()
	est := &zoo.RandomDirections{Directions: 1, Smoothing: 1 / float64(d), Rand: t.Rand(0)}
	opt := newAdam(d, a.LR)
	code, g := make([]float32, d), make([]float64, d)
	won, ever := false, false
	for i := range a.Iterations {
		loss, hit, err := obj.ask(ctx, code)
		if err != nil {
			return err
		}
		if hit {
			if a.First {
				return nil
			}
			if !ever { // from now on the aim is to come nearer
				opt.reset()
				est.Directions = a.Directions
			}
			won, ever = true, true
		}
		if i > 0 && i%a.Switch == 0 {
			weight.next(won)
			weight.value = min(weight.value, maxWeight)
			obj.Loss = zoo.Hinge{Kappa: a.Kappa, Scale: weight.value}
			won = false
			if ever {
				opt.reset()
			}
			continue // the loss at hand was weighed differently
		}
		if err := est.Estimate(ctx, obj.Objective, zoo.Point{X: code, Loss: loss}, g); err != nil {
			return err
		}
		for j, v := range g {
			code[j] -= float32(opt.step(j, v))
		}
	}
	return nil
}

// codeSpace renders codes by a decoder within a box.
type codeSpace struct {
	dec   Decoder
	box   Box
	clean []float32
	shape []int
	mod   []float32
}

func (s *codeSpace) Dim() int { return s.dec.Dim(s.shape) }

func (s *codeSpace) Render(image, code []float32) {
	s.dec.Decode(s.mod, code, s.shape)
	s.box.Image(image, s.mod, s.clean)
}
