package zoo

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// Meta is the estimator of the Meta Attack (Du, Zhang, Zhou, Yang and Feng, ICLR 2020;
// thesis section 2.3): a network that predicts normalised input gradients. It was trained
// on other models, and finite differences of a few coordinates of the victim fine-tune it
// every few steps.
//
// Each call is one step t = 1, 2, ... of an attack. At step First, and every Interval steps
// after it, the estimator measures differences along the coordinates where the last
// prediction was largest, and fine-tunes the network on them. This costs as many queries as
// option Coordinates says, or Groups, and twice as many with Central. The estimate then is
// what was measured, on those coordinates that the network still predicts to be among the
// largest.
// Any other step costs no queries: the estimate is the network's prediction. All entries
// but the Coordinates largest are 0.
//
// A Meta serves one image. It changes a copy of the given network.
type Meta struct {
	Coordinates int     // q; 0 means 128
	Interval    int     // m; 0 means 5
	First       int     // first step that measures; 0 means Interval, as in the paper
	Step        float64 // h of the differences; 0 means 1e-4
	Central     bool
	Tune        int     // fine-tuning steps (F); 0 means 20
	LR          float64 // of the fine-tuning's Adam; 0 means 0.01
	// Mask leaves out coordinates at a bound of [0,1] that the predicted step would not
	// move.
	Mask bool
	// Groups, if not 0, makes so many groups of neighbours of the coordinates and measures
	// along the prediction on each: one query for a group. Ours; not with Central.
	Groups int
	// Nearest makes an estimator choose the class to go to whenever it measures: the nearest
	// by what was measured, for which it reads the scores of all classes (Objective.Keep).
	// The loss then only says when the goal is reached. If the last image that was asked
	// about is not the point, a measurement costs one query more. Targeted, it does nothing.
	// Ours; not with Central.
	Nearest bool

	net    nn.Module
	tape   *autograd.Tape
	t      int
	chosen []int     // S
	fresh  bool      // the last estimate was measured
	map32  []float32 // the last prediction
	wide   []float64
	target *tensor.Tensor
	mask   *tensor.Tensor
}

// NewMeta returns an estimator that begins with a copy of net, a network that maps a batch
// of samples to their predicted gradients. Predict and Estimate return an error for images
// with a side of less than 16 pixels: the narrowest layer would hold one value per channel,
// and batch normalisation over one image would make it 0.
func NewMeta(net nn.Module) *Meta {
	return &Meta{net: nn.Clone(net), tape: autograd.NewTape(autograd.Eval, 0)}
}

// Predict writes the prediction of the fine-tuned network at the image x to g, all entries
// of it.
func (m *Meta) Predict(shape []int, x, g []float32) error {
	if n := len(shape); n < 3 || min(shape[n-2], shape[n-1]) < 16 {
		return fmt.Errorf("zoo: the meta attacker needs images of at least 16 pixels a side, not samples of shape %v", shape)
	}
	m.tape.Reset()
	return tensor.Try(func() error {
		y := m.forward(shape, x)
		if y.Len() != len(x) {
			return fmt.Errorf("zoo: the meta attacker answers with shape %v for a sample of shape %v", y.Shape(), shape)
		}
		copy(g, y.Data())
		return nil
	})
}

func (m *Meta) forward(shape []int, x []float32) autograd.Var {
	return m.net.Forward(m.tape.Input(tensor.FromSlice(x, append([]int{1}, shape...)...)))
}

// Estimate implements Estimator.
func (m *Meta) Estimate(ctx context.Context, o *Objective, p Point, g []float64) error {
	shape := o.Info().Shape
	q := min(cmp.Or(m.Coordinates, 128), len(g))
	interval := cmp.Or(m.Interval, 5)
	if m.map32 == nil {
		m.map32 = make([]float32, len(g))
	}
	m.t++
	since := m.t - cmp.Or(m.First, interval)
	measures := since >= 0 && since%interval == 0
	if err := m.checkGroups(o); err != nil {
		return err
	}
	m.fresh = false
	if !measures || m.chosen == nil || m.grouped() { // else the last prediction says where to measure
		if err := m.Predict(shape, p.X, m.map32); err != nil {
			return err
		}
		m.choose(p.X, m.map32, q)
	}
	answer := m.map32
	if measures {
		measured, err := m.measure(ctx, o, p, q)
		if err != nil {
			return err
		}
		if m.fresh = measured; measured { // else nothing was learned here: the prediction stands
			answer = m.target.Data()
		}
	}
	clear(g)
	for _, c := range m.chosen {
		g[c] = float64(answer[c])
	}
	return nil
}

// Measured reports whether the last estimate was measured, and not only predicted.
func (m *Meta) Measured() bool { return m.fresh }

// measure asks for differences, tunes the network by them and predicts anew. It reports
// whether the differences told anything; they are then in m.target.
func (m *Meta) measure(ctx context.Context, o *Objective, p Point, q int) (bool, error) {
	shape := o.Info().Shape
	m.wide = grow(m.wide, len(m.chosen))
	if m.grouped() {
		if err := m.measureGroups(ctx, o, p); err != nil {
			return false, err
		}
	} else {
		diff := Differences{Step: m.Step, Central: m.Central}
		if err := diff.Along(ctx, o, p, m.chosen, m.wide, nil); err != nil {
			return false, err
		}
	}
	if m.target == nil {
		m.target, m.mask = tensor.New(len(p.X)), tensor.New(len(p.X))
	}
	clear(m.target.Data())
	clear(m.mask.Data())
	e := exponent(m.wide) // the scale is normalised away
	for i, c := range m.chosen {
		m.target.Data()[c] = float32(math.Ldexp(m.wide[i], -e))
		m.mask.Data()[c] = 1
	}
	measured := Normalize(m.target.Data())
	if measured {
		if err := m.tune(shape, p.X); err != nil {
			return false, err
		}
	}
	if err := m.Predict(shape, p.X, m.map32); err != nil {
		return false, err
	}
	m.choose(p.X, m.map32, q)
	return measured, nil
}

// tune fits the network to the target on the masked coordinates.
func (m *Meta) tune(shape []int, x []float32) error {
	opt := optim.NewAdam(nn.Params(m.net), optim.AdamOptions{LR: cmp.Or(m.LR, 0.01)})
	for range cmp.Or(m.Tune, 20) {
		m.tape.Reset()
		y := autograd.Reshape(m.forward(shape, x), len(x))
		miss := autograd.Mul(autograd.Sub(y, m.tape.Input(m.target)), m.tape.Input(m.mask))
		loss := autograd.Scale(autograd.Sum(autograd.Square(miss)), 1/float32(len(m.chosen)))
		if err := opt.Step(m.tape.Gradients(loss)); err != nil {
			return fmt.Errorf("zoo: fine-tuning the meta attacker: %w", err)
		}
	}
	return nil
}

// choose makes m.chosen the q coordinates of the largest |g|, ties to the lower
// index.
func (m *Meta) choose(x, g []float32, q int) {
	if m.Mask {
		for i, v := range g {
			if x[i] <= 0 && v > 0 || x[i] >= 1 && v < 0 {
				g[i] = 0
			}
		}
	}
	if len(m.chosen) != q {
		m.chosen = make([]int, q)
	}
	kernel.TopKAbs(m.chosen, g, q)
}

// Normalize divides g by its standard deviation over all entries, as the meta attacker's
// labels are (thesis section 2.3): the deviation is about the mean, but g itself is not
// centred. A gradient without variation is not changed, and the result is false.
func Normalize(g []float32) bool {
	var sum, sq float64
	for _, v := range g {
		sum += float64(v)
	}
	mean := sum / float64(len(g))
	for _, v := range g {
		d := float64(v) - mean
		sq += d * d
	}
	std := math.Sqrt(sq / float64(len(g)))
	if !(std > 0) || math.IsInf(std, 1) {
		return false
	}
	for i, v := range g {
		g[i] = float32(float64(v) / (std + 1e-23))
	}
	return true
}
