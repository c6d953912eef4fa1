package video

import (
	"context"
	"errors"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/zoo"
)

// A shrinker carries a clip of a wanted class towards the clean one, in an Linf ball that
// shrinks whenever the class is kept: the targeted attack of V-BAD (Jiang et al., 2019).
type shrinker struct {
	t      *attack.Try
	o      *zoo.Objective
	x      []float32 // the clip that is reached
	radius float64   // of the ball that it lies in
	goal   float64   // the radius that is wanted

	shrink  float64    // by how much the next round tries to shrink the ball
	failed  int        // rounds since the last that shrank it
	lr      [2]float64 // the longest and the shortest step
	resting []bool     // which of the last rounds that did not shrink the ball kept the class
}

func newShrinker(t *attack.Try, o *zoo.Objective, goal float64) (*shrinker, error) {
	if !t.Goal.Targeted || t.Start == nil {
		return nil, errors.New("video: an attack that begins at a clip of the wanted class needs one: attack.Sample.Start or attack.Campaign.Start, and a targeted goal")
	}
	return &shrinker{t: t, o: o, x: append([]float32(nil), t.Start.Data()...), radius: 1, goal: goal,
		shrink: 0.5, lr: [2]float64{1e-2, 1e-3}}, nil
}

// try asks about y and reports whether the class is kept. Only in the ball that is wanted
// is it a success.
func (s *shrinker) try(ctx context.Context, y []float32, radius float64) (bool, error) {
	_, label, err := s.o.At(ctx, y)
	if err != nil || !s.t.Goal.Achieved(label) {
		return false, err
	}
	if radius <= s.goal {
		s.t.Offer(y, label)
	}
	return true, nil
}

// run goes on until a success or the end of the budget; it fails at once if the victim does
// not say the wanted class of the clip to begin from. direction returns the signs of a
// guess of the gradient at x.
func (s *shrinker) run(ctx context.Context, direction func(ctx context.Context, x []float32) ([]float32, error)) error {
	switch kept, err := s.try(ctx, s.x, s.radius); {
	case err != nil || s.t.Success():
		return err
	case !kept:
		return nil
	}
	clean, y := s.t.Clean.Data(), make([]float32, len(s.x))
	for {
		d, err := direction(ctx, s.x)
		if err != nil {
			return err
		}
		tries := []float64{s.shrink, 0}
		if s.shrink == 0 {
			tries = tries[1:]
		}
		for _, by := range tries {
			radius := max(s.radius-by, s.goal)
			kept := false
			for lr := s.lr[0]; lr >= s.lr[1]*(1-1e-9) && !kept; lr /= 2 {
				for i, x := range s.x {
					y[i] = x - float32(lr)*d[i]
				}
				attack.Linf.Project(y, clean, radius)
				if kept, err = s.try(ctx, y, radius); err != nil || s.t.Success() {
					return err
				}
			}
			s.learn(by, kept)
			if kept {
				copy(s.x, y)
				s.radius = radius
				break
			}
		}
	}
}

// learn adapts by how much the ball is to shrink, and the steps, to how a try went.
func (s *shrinker) learn(by float64, kept bool) {
	if by > 0 {
		if kept {
			s.failed = 0
			return
		}
		s.failed++
		for _, stage := range []struct {
			above    float64
			patience int
			factor   float64
		}{{0.01, 1, 2}, {0.003, 10, 1.5}, {0.001, 100, 1.5}, {0, 100, 1.5}} {
			if s.shrink > stage.above {
				if s.failed >= stage.patience {
					s.shrink, s.failed = max(s.shrink/stage.factor, stage.above), 0
				}
				return
			}
		}
		return
	}
	const window = 5
	if s.resting = append(s.resting, kept); len(s.resting) < window {
		return
	}
	good := 0
	for _, k := range s.resting[len(s.resting)-window:] {
		if k {
			good++
		}
	}
	if 2*good < window {
		s.lr[0], s.lr[1] = s.lr[0]/2, s.lr[1]/2
		s.resting = s.resting[:0]
	}
}

// shrink is the attack in a ball that shrinks.
func (l *excitedLoop) shrink(ctx context.Context, a MotionExcited) error {
	s, err := newShrinker(l.t, l.o, a.Eps)
	if err != nil {
		return err
	}
	d := make([]float32, len(l.x))
	n := len(d) / l.t.Clean.Dim(0)
	var g []float64 // with Tile
	if a.Tile > 0 {
		g = make([]float64, len(d))
	}
	return s.run(ctx, func(ctx context.Context, x []float32) ([]float32, error) {
		copy(l.x, x)
		if err := l.improve(ctx); err != nil {
			return nil, err
		}
		if a.Tile > 0 {
			l.prior.Gradient(g)
			kernel.SignSteps(d, g, 1)
			return d, nil
		}
		for t := range l.t.Clean.Dim(0) {
			kernel.SignSteps(d[t*n:][:n], l.prior.Guess(t), 1)
		}
		return d, nil
	})
}
