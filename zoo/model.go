package zoo

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// A Model is a victim that runs one of our networks. It is a white box; pass it on as a
// Scorer, or by LabelsOf, to hide that. Several goroutines may use it at once, but not
// while the network is trained.
type Model struct {
	net  nn.Module
	info Info
	pre  data.Preprocess
	wire []int // the shape of a sample as the network takes it

	mu   sync.Mutex
	idle []*modelRun
}

// A modelRun is what one forward pass needs.
type modelRun struct {
	infer, grad *autograd.Tape
	x           []float32 // preprocessed
	cotangent   []float64
}

// NewModel returns the victim that preprocesses samples by pre and gives them to net, which
// maps a batch to logits [N, info.Classes]. If info.Scores asks for probabilities or their
// logarithms, the victim computes them from the logits in float64. A network with an output
// of another shape is an error.
//
// NewModel sets info.Digest from pre and the network's present parameters and buffers: make
// a new Model after further training.
func NewModel(net nn.Module, info Info, pre data.Preprocess) (*Model, error) {
	if err := info.Check(); err != nil {
		return nil, err
	}
	wire, err := pre.OutputShape(info.Shape)
	if err != nil {
		return nil, err
	}
	info.Digest = fmt.Sprintf("%s %+v", nn.Digest(net), pre)
	m := &Model{net: net, info: info, pre: pre, wire: wire}
	out := make([]float64, info.Classes)
	err = tensor.Try(func() error {
		return m.Scores(context.Background(), tensor.New(append([]int{1}, info.Shape...)...), out)
	})
	if err != nil {
		return nil, fmt.Errorf("zoo: network %q cannot take samples of shape %v: %w", info.Name, info.Shape, err)
	}
	return m, nil
}

// Info implements Scorer.
func (m *Model) Info() Info { return m.info }

// Net returns the network.
func (m *Model) Net() nn.Module { return m.net }

func (m *Model) take() *modelRun {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.idle); n > 0 {
		r := m.idle[n-1]
		m.idle = m.idle[:n-1]
		return r
	}
	return &modelRun{infer: autograd.NewTape(autograd.Inference, 0), grad: autograd.NewTape(autograd.Eval, 0)}
}

func (m *Model) give(r *modelRun) {
	m.mu.Lock()
	m.idle = append(m.idle, r)
	m.mu.Unlock()
}

// batch is x as the network takes it.
func (m *Model) batch(r *modelRun, x *tensor.Tensor) *tensor.Tensor {
	if m.pre.Identity() {
		return x
	}
	count := x.Dim(0)
	n, w := m.info.Size(), 1
	for _, d := range m.wire {
		w *= d
	}
	if len(r.x) < count*w {
		r.x = make([]float32, count*w)
	}
	for i := range count {
		m.pre.Apply(r.x[i*w:(i+1)*w], x.Data()[i*n:(i+1)*n], m.info.Shape)
	}
	return tensor.FromSlice(r.x[:count*w], append([]int{count}, m.wire...)...)
}

// Scores implements Scorer.
func (m *Model) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	if err := checkBatch(m.info, x, len(out), m.info.Classes); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r := m.take()
	defer m.give(r)
	r.infer.Reset()
	z := m.net.Forward(r.infer.Input(m.batch(r, x)))
	if err := m.logits(z, x.Dim(0), out); err != nil {
		return err
	}
	m.convert(out)
	return CheckScores(m.info, out)
}

func (m *Model) logits(z autograd.Var, n int, out []float64) error {
	if z.Rank() != 2 || z.Dim(0) != n || z.Dim(1) != m.info.Classes {
		return fmt.Errorf("zoo: network %q answers with shape %v, need [%d, %d]: %w", m.info.Name, z.Shape(), n, m.info.Classes, ErrBadVictim)
	}
	for i, v := range z.Data() {
		out[i] = float64(v)
	}
	return nil
}

// convert turns logits into the kind of score that was promised.
func (m *Model) convert(out []float64) {
	if m.info.Scores == Logits {
		return
	}
	k := m.info.Classes
	for lo := 0; lo < len(out); lo += k {
		row := out[lo : lo+k]
		lse := logSumExp(row)
		for i, z := range row {
			row[i] = z - lse
			if m.info.Scores == Probabilities {
				row[i] = math.Exp(row[i])
			}
		}
	}
}

// Gradients implements Differentiable.
func (m *Model) Gradients(ctx context.Context, x *tensor.Tensor, loss DifferentiableLoss, goals []Goal, out []float64, grad *tensor.Tensor) error {
	if err := checkBatch(m.info, x, len(out), m.info.Classes); err != nil {
		return err
	}
	if len(goals) != x.Dim(0) || grad.Len() != x.Len() {
		return fmt.Errorf("zoo: %d goals and a gradient of shape %v for a batch of shape %v", len(goals), grad.Shape(), x.Shape())
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r := m.take()
	defer m.give(r)
	r.grad.Reset()
	in := r.grad.Watch(m.batch(r, x))
	z := m.net.Forward(in)
	if err := m.logits(z, x.Dim(0), out); err != nil {
		return err
	}
	// The loss is differentiated with respect to the logits in float64; the tape
	// carries that on to the pixels.
	k := m.info.Classes
	dz := tensor.New(x.Dim(0), k)
	r.cotangent = grow(r.cotangent, k)
	for i, g := range goals {
		Cotangent(dz.Data()[i*k:(i+1)*k], r.cotangent, loss, out[i*k:(i+1)*k], g)
	}
	dx := r.grad.Gradients(autograd.Sum(autograd.Mul(z, r.grad.Input(dz))), in).Of(in)
	m.convert(out)
	if dx == nil { // the network does not look at its input
		clear(grad.Data())
		return CheckScores(m.info, out)
	}
	n, w := m.info.Size(), dx.Len()/max(x.Dim(0), 1)
	for i := range x.Dim(0) {
		m.pre.Adjoint(grad.Data()[i*n:(i+1)*n], dx.Data()[i*w:(i+1)*w], m.info.Shape)
	}
	return CheckScores(m.info, out)
}
