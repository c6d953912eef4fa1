package zoo

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// A Rehearsal goes on with a meta attacker that MetaTraining taught: it is Reptile with
// the attack itself for an inner loop. Each source model is attacked on an image of its
// own by sign steps along Meta's estimates, which look up the model's gradient where an
// attack takes differences of queries; then the network moves by Rate towards the mean
// of what its fine-tuning on each made of it. So it learns to be adapted where attacks
// lead, again and again, and to goals that no lesson had. Its maps then have the scale
// of what Meta tunes it to, measured gradients normalised with zeros at all other
// coordinates, and not that of lessons. The thesis trains on untargeted gradients at
// clean images only.
type Rehearsal struct {
	Attack       Meta    // its settings; of the queries there are none
	LR           float64 // length of a step; 0: 0.01
	Measurements int     // after which an attack ends; 0: 5
	Targeted     float64 // share of attacks whose goal is a random class
	Rate         float64 // ε of the outer step; 0: 0.05
	Iterations   int     // outer iterations, an attack a source in each; 0: 600
	// Schedule, if not nil, multiplies Rate at each iteration.
	Schedule func(iteration int) float64
	Seed     uint64
}

// Train trains net in place, by attacks on images x, [N, C, H, W] in [0,1], whose
// classes the labels are. Images that a source gets wrong are passed over; a source that
// gets all of them wrong is an error. report, if not nil, is told after each iteration
// the share of sources whose attack reached its goal; it may return an error to stop. A
// cancelled ctx stops between iterations; net then holds what was learned so far.
func (o Rehearsal) Train(ctx context.Context, net nn.Module, sources []Differentiable, x *tensor.Tensor, labels []int, report func(iteration int, reached float64) error) error {
	if len(sources) == 0 {
		return fmt.Errorf("zoo: a meta attacker needs at least one source model")
	}
	if x.Rank() == 0 || x.Dim(0) != len(labels) || len(labels) == 0 {
		return fmt.Errorf("zoo: %d labels for images of shape %v", len(labels), x.Shape())
	}
	stages, ends := make([]*stage, len(sources)), make([]nn.Module, len(sources))
	for i, v := range sources {
		stages[i] = newStage(o, v, x, labels, rand.New(rand.NewPCG(o.Seed, uint64(i))))
	}
	step := func(factor float64) (float64, error) {
		reached, err := atOnce(len(sources), func(i int) (reached float64, err error) {
			ends[i], reached, err = stages[i].attack(ctx, net)
			return reached, err
		})
		if err == nil {
			outerStep(net, ends, factor*cmp.Or(o.Rate, 0.05))
		}
		return reached, err
	}
	return iterate(ctx, cmp.Or(o.Iterations, 600), o.Schedule, step, report)
}

// A stage is where a source is attacked.
type stage struct {
	o      Rehearsal
	source Differentiable
	x      *tensor.Tensor
	labels []int
	rand   *rand.Rand
	goal   Goal
	image  *tensor.Tensor // [1, C, H, W], as the attack has made it
	grad   *tensor.Tensor // there
	scores []float64
}

func newStage(o Rehearsal, v Differentiable, x *tensor.Tensor, labels []int, r *rand.Rand) *stage {
	shape := append([]int{1}, x.Shape()[1:]...)
	return &stage{o: o, source: v, x: x, labels: labels, rand: r,
		image: tensor.New(shape...), grad: tensor.New(shape...), scores: make([]float64, v.Info().Classes)}
}

// attack returns what an attack makes of net, and 1 if it reached its goal.
func (s *stage) attack(ctx context.Context, net nn.Module) (end nn.Module, reached float64, err error) {
	if err := s.choose(ctx); err != nil {
		return nil, 0, err
	}
	est, a := NewMeta(net), s.o.Attack
	est.Coordinates, est.Interval, est.First, est.Tune, est.LR, est.Mask = a.Coordinates, a.Interval, a.First, a.Tune, a.LR, a.Mask
	measured := 0
	est.slopes = func(ctx context.Context, _ Point, coords []int, g []float64) error {
		measured++
		for i, c := range coords {
			g[i] = float64(s.grad.Data()[c])
		}
		return nil
	}
	x := s.image.Data()
	obj, g := &Objective{info: s.source.Info()}, make([]float32, len(x))
	lr := float32(cmp.Or(s.o.LR, 0.01))
	for measured < cmp.Or(s.o.Measurements, 5) {
		if err := est.Estimate(ctx, obj, Point{X: x}, g); err != nil {
			return nil, 0, err
		}
		for i, v := range g {
			switch {
			case v > 0:
				x[i] = max(x[i]-lr, 0)
			case v < 0:
				x[i] = min(x[i]+lr, 1)
			}
		}
		if err := s.differentiate(ctx); err != nil {
			return nil, 0, err
		}
		if s.goal.Achieved(Top(s.scores)) {
			return est.net, 1, nil
		}
	}
	return est.net, 0, nil
}

// choose draws an image that the source gets right, and a goal.
func (s *stage) choose(ctx context.Context) error {
	n := s.image.Len()
	for range 100 * len(s.labels) {
		i := s.rand.IntN(len(s.labels))
		copy(s.image.Data(), s.x.Data()[i*n:(i+1)*n])
		s.goal = Untargeted(s.labels[i])
		if k := len(s.scores); s.rand.Float64() < s.o.Targeted {
			s.goal = Targeted(s.labels[i], (s.labels[i]+1+s.rand.IntN(k-1))%k)
		}
		if err := s.differentiate(ctx); err != nil || Top(s.scores) == s.labels[i] {
			return err
		}
	}
	return fmt.Errorf("zoo: source %q gets none of the images right", s.source.Info().Name)
}

// differentiate asks the source about the image.
func (s *stage) differentiate(ctx context.Context) error {
	return s.source.Gradients(ctx, s.image, Loss{}, []Goal{s.goal}, s.scores, s.grad)
}
