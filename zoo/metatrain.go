package zoo

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// A MetaTask is training data from one source model: images, and the model's normalised
// input gradients for them.
type MetaTask struct {
	Name string
	X, G *tensor.Tensor // [N, C, H, W] both
}

// labelBatch is how many images are differentiated at a time.
const labelBatch = 100

// GradientTask makes a task from a white box: the gradients of the untargeted Hinge loss,
// each normalised by Normalize (thesis section 2.3). Misclassified images have no gradient;
// they are left out, and wrong is their number.
func GradientTask(ctx context.Context, v Differentiable, x *tensor.Tensor, labels []int) (task MetaTask, wrong int, err error) {
	info := v.Info()
	return makeTask(info, x, labels, func(batch *tensor.Tensor, goals []Goal, g *tensor.Tensor) error {
		out := make([]float64, len(goals)*info.Classes)
		return v.Gradients(ctx, batch, Hinge{}, goals, out, g)
	})
}

// EstimatedTask is GradientTask for a model without gradients. It estimates them by central
// differences along every coordinate, with 2d+1 queries per image of d values (the ablation
// of thesis section 2.4.5).
func EstimatedTask(ctx context.Context, v Scorer, x *tensor.Tensor, labels []int) (task MetaTask, wrong int, err error) {
	n := v.Info().Size()
	wide := make([]float64, n)
	return makeTask(v.Info(), x, labels, func(batch *tensor.Tensor, goals []Goal, g *tensor.Tensor) error {
		for i, goal := range goals {
			o := NewObjective(v, goal, Hinge{Scale: 0.5})
			p := Point{X: batch.Data()[i*n : (i+1)*n]}
			var err error
			if p.Loss, _, err = o.At(ctx, p.X); err != nil {
				return err
			}
			if p.Loss == 0 { // the model gets it wrong
				clear(g.Data()[i*n : (i+1)*n])
				continue
			}
			if err := (Differences{Central: true}).Estimate(ctx, o, p, wide); err != nil {
				return err
			}
			e := exponent(wide)
			for j, v := range wide {
				g.Data()[i*n+j] = float32(math.Ldexp(v, -e))
			}
		}
		return nil
	})
}

func makeTask(info Info, x *tensor.Tensor, labels []int, differentiate func(batch *tensor.Tensor, goals []Goal, g *tensor.Tensor) error) (MetaTask, int, error) {
	if x.Rank() == 0 || x.Dim(0) != len(labels) {
		return MetaTask{}, 0, fmt.Errorf("zoo: %d labels for images of shape %v", len(labels), x.Shape())
	}
	g := tensor.New(x.Shape()...)
	for lo := 0; lo < len(labels); lo += labelBatch {
		hi := min(lo+labelBatch, len(labels))
		goals := make([]Goal, hi-lo)
		for i := range goals {
			goals[i] = Untargeted(labels[lo+i])
			if err := goals[i].Check(info.Classes); err != nil {
				return MetaTask{}, 0, err
			}
		}
		if err := differentiate(x.Slice(lo, hi), goals, g.Slice(lo, hi)); err != nil {
			return MetaTask{}, 0, err
		}
	}
	n, kept := info.Size(), 0
	kx, kg := x.Clone(), g
	for i := range labels {
		if !Normalize(g.Data()[i*n : (i+1)*n]) {
			continue
		}
		copy(kx.Data()[kept*n:(kept+1)*n], x.Data()[i*n:(i+1)*n])
		copy(kg.Data()[kept*n:(kept+1)*n], g.Data()[i*n:(i+1)*n])
		kept++
	}
	return MetaTask{Name: info.Name, X: kx.Slice(0, kept), G: kg.Slice(0, kept)}, len(labels) - kept, nil
}

// MetaTraining are the settings of Train. The zero value is the thesis's for
// MNIST.
type MetaTraining struct {
	Batch      int     // images per inner step; 0 means 800
	InnerSteps int     // steps steps on the same batch; 0 means 5
	InnerLR    float64 // learning rate of Adam, which starts anew for every task; 0 means 0.01
	Rate       float64 // ε of Reptile's outer step; 0 means 0.01
	Iterations int     // outer iterations; 0 means 6000
	// Vanilla trains on the tasks of all models together, with one Adam step per batch and
	// no inner and outer loop (the ablation of thesis section 2.4.5).
	Vanilla bool
	// Schedule, if not nil, multiplies Rate (Vanilla: InnerLR) at each iteration.
	Schedule func(iteration int) float64
	Seed     uint64
}

// Train trains net, in place, to predict the gradients of the tasks by Reptile (thesis
// algorithm 1). From the same weights, each task takes a few Adam steps on one batch of its
// own. The weights then move by Rate towards the mean of the tasks' end points. After each
// iteration report, if not nil, gets the mean over tasks of the loss before the inner
// steps; an error of report stops the training. A cancelled ctx stops between iterations;
// net then holds what was learned so far. [Steady] prepares net for attacks.
func (o MetaTraining) Train(ctx context.Context, net nn.Module, tasks []MetaTask, report func(iteration int, loss float64) error) error {
	if len(tasks) == 0 {
		return fmt.Errorf("zoo: a meta attacker needs at least one source model")
	}
	for _, t := range tasks {
		if t.X.Len() == 0 || t.X.Len() != t.G.Len() {
			return fmt.Errorf("zoo: task %q has images of shape %v and gradients of shape %v", t.Name, t.X.Shape(), t.G.Shape())
		}
	}
	r := &metaRun{o: o, net: net, tape: autograd.NewTape(autograd.Training, o.Seed)}
	for i, t := range tasks {
		r.tasks = append(r.tasks, newStream(t, cmp.Or(o.Batch, 800), o.Seed, uint64(i)))
	}
	step := r.reptile
	if o.Vanilla {
		r.opt = optim.NewAdam(nn.Params(net), optim.AdamOptions{LR: cmp.Or(o.InnerLR, 0.01)})
		step = r.vanilla
	} else {
		r.work = nn.Clone(net)
		for _, p := range nn.Params(net) {
			r.sum = append(r.sum, make([]float32, p.Len()))
		}
	}
	for i := range cmp.Or(o.Iterations, 6000) {
		if err := ctx.Err(); err != nil {
			return err
		}
		factor := 1.0
		if o.Schedule != nil {
			factor = o.Schedule(i)
		}
		loss, err := step(factor)
		if err == nil && report != nil {
			err = report(i, loss)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type metaRun struct {
	o     MetaTraining
	net   nn.Module
	work  nn.Module
	tape  *autograd.Tape
	tasks []*stream
	opt   *optim.Adam
	sum   [][]float32 // of the parameters that the tasks end with
}

// fit takes one Adam step on a batch and returns the loss before it.
func (r *metaRun) fit(net nn.Module, opt *optim.Adam, x, g *tensor.Tensor) (float64, error) {
	r.tape.Reset()
	loss := autograd.MSE(net.Forward(r.tape.Input(x)), r.tape.Input(g))
	value := loss.Scalar()
	return value, opt.Step(r.tape.Gradients(loss))
}

func (r *metaRun) vanilla(factor float64) (float64, error) {
	r.opt.SetLR(factor * cmp.Or(r.o.InnerLR, 0.01))
	var mean float64
	for _, t := range r.tasks {
		x, g := t.next()
		loss, err := r.fit(r.net, r.opt, x, g)
		if err != nil {
			return 0, err
		}
		mean += loss / float64(len(r.tasks))
	}
	return mean, nil
}

func (r *metaRun) reptile(factor float64) (float64, error) {
	for _, s := range r.sum {
		clear(s)
	}
	var mean float64
	for _, t := range r.tasks {
		x, g := t.next()
		nn.Copy(r.work, r.net)
		opt := optim.NewAdam(nn.Params(r.work), optim.AdamOptions{LR: cmp.Or(r.o.InnerLR, 0.01)})
		for k := range cmp.Or(r.o.InnerSteps, 5) {
			loss, err := r.fit(r.work, opt, x, g)
			if err != nil {
				return 0, err
			}
			if k == 0 {
				mean += loss / float64(len(r.tasks))
			}
		}
		for i, p := range nn.Params(r.work) {
			for j, v := range p.Value().Data() {
				r.sum[i][j] += v
			}
		}
	}
	eps, n := factor*cmp.Or(r.o.Rate, 0.01), float64(len(r.tasks))
	for i, p := range nn.Params(r.net) {
		p.Update(func(v []float32) {
			for j, old := range v {
				v[j] = float32(float64(old) + eps*(float64(r.sum[i][j])/n-float64(old)))
			}
		})
	}
	return mean, nil
}

// A stream deals a task's images in batches, shuffled anew in each pass.
type stream struct {
	task  MetaTask
	rand  *rand.Rand
	order []int
	at    int
	x, g  *tensor.Tensor
}

func newStream(t MetaTask, batch int, seed, index uint64) *stream {
	n := t.X.Dim(0)
	s := &stream{task: t, rand: rand.New(rand.NewPCG(seed, index))}
	shape := append([]int{min(batch, n)}, t.X.Shape()[1:]...)
	s.x, s.g = tensor.New(shape...), tensor.New(shape...)
	s.order = s.rand.Perm(n)
	return s
}

// next returns a batch, valid until the next call.
func (s *stream) next() (x, g *tensor.Tensor) {
	b := s.x.Dim(0)
	if s.at+b > len(s.order) {
		s.rand.Shuffle(len(s.order), func(i, j int) { s.order[i], s.order[j] = s.order[j], s.order[i] })
		s.at = 0
	}
	n := s.x.Len() / b
	for i, k := range s.order[s.at : s.at+b] {
		copy(s.x.Data()[i*n:(i+1)*n], s.task.X.Data()[k*n:(k+1)*n])
		copy(s.g.Data()[i*n:(i+1)*n], s.task.G.Data()[k*n:(k+1)*n])
	}
	s.at += b
	return s.x, s.g
}

// Predict writes the maps that net predicts for the images x, [N, C, H, W], to dst of the
// same shape, batch images at a time. A network with batch statistics answers differently
// for a batch of 1, as in an attack, than for a larger one. It panics if batch is not
// positive or net answers with other shapes.
func Predict(net nn.Module, dst, x *tensor.Tensor, batch int) {
	if batch < 1 {
		tensor.Panic("zoo.Predict", fmt.Sprintf("%d images at a time", batch), x.Shape())
	}
	tape := autograd.NewTape(autograd.Inference, 0)
	for lo := 0; lo < x.Dim(0); lo += batch {
		hi := min(lo+batch, x.Dim(0))
		tape.Reset()
		dst.Slice(lo, hi).CopyFrom(net.Forward(tape.Input(x.Slice(lo, hi))).Value())
	}
}
