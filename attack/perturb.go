package attack

import (
	"cmp"
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A Perturber moves the samples of a batch against the network that is being trained on
// them, all at once and within a ball: the inner loop of adversarial training (Madry et
// al., 2018). It counts no queries and verifies nothing; [PGD] is the attack. A Perturber
// is used by one goroutine at a time.
type Perturber struct {
	Norm     Norm
	Eps      float64                // radius of the ball; 0 means 0.3 for Linf and 2 for L2
	Step     float64                // length of a step; 0 means 2.5·Eps/Steps, where Eps is that of the call
	Steps    int                    // 0 means 7
	NoRandom bool                   // begin at the sample itself, not at a random point of the ball
	Loss     zoo.DifferentiableLoss // what is minimised; nil means cross-entropy
	Seed     uint64

	tape *autograd.Tape
}

// Perturb moves the samples x, [N, sample...] with values in [0,1], in place, within radius
// of where they were and in [0,1], so that net, which maps them to logits [N, classes], is
// less sure of their labels. A radius of 0 means Eps: training may begin with a smaller
// one. net is run in Eval mode. What is random follows from Seed and call, which a
// training loop counts. It panics if there are not as many labels as samples, or if a
// label is out of range.
func (p *Perturber) Perturb(net nn.Module, x *tensor.Tensor, labels []int, radius float64, call uint64) {
	const op = "attack.Perturber"
	if x.Rank() < 2 || x.Dim(0) != len(labels) {
		tensor.Panic(op, fmt.Sprintf("%d labels", len(labels)), x.Shape())
	}
	eps := cmp.Or(radius, PGD{Norm: p.Norm, Eps: p.Eps}.defaults().Eps)
	steps := cmp.Or(p.Steps, 7)
	size := cmp.Or(p.Step, 2.5*eps/float64(steps))
	loss := orLoss[zoo.DifferentiableLoss](p.Loss, zoo.CrossEntropy{})
	if p.tape == nil {
		p.tape = autograd.NewTape(autograd.Eval, p.Seed)
	}
	clean := x.Clone()
	if !p.NoRandom {
		r := rand.New(rand.NewPCG(p.Seed, call))
		for i := range labels {
			scatter(x.Index(i).Data(), p.Norm, eps, r)
			p.Norm.Project(x.Index(i).Data(), clean.Index(i).Data(), eps)
		}
	}
	wide := make([]float64, x.Len()/x.Dim(0))
	for range steps {
		g := p.gradient(op, net, x, labels, loss)
		if g == nil {
			return // the network does not look at its input
		}
		for i := range labels {
			for j, v := range g.Index(i).Data() {
				wide[j] = float64(v)
			}
			BallStep(p.Norm, eps, &size, clean.Index(i).Data())(x.Index(i).Data(), wide)
		}
	}
}

// gradient is that of each sample's loss, up to a positive factor, valid until the next
// call; nil if there is none.
func (p *Perturber) gradient(op string, net nn.Module, x *tensor.Tensor, labels []int, loss zoo.DifferentiableLoss) *tensor.Tensor {
	p.tape.Reset()
	in := p.tape.Watch(x)
	z := net.Forward(in)
	if z.Rank() != 2 || z.Dim(0) != len(labels) {
		tensor.Panic(op, "the network does not answer with logits", z.Shape())
	}
	k := z.Dim(1)
	dz := tensor.New(len(labels), k)
	logits, scratch := make([]float64, k), make([]float64, k)
	for i, y := range labels {
		if y < 0 || y >= k {
			tensor.Panic(op, fmt.Sprintf("label %d of %d classes", y, k))
		}
		for j, v := range z.Data()[i*k : (i+1)*k] {
			logits[j] = float64(v)
		}
		zoo.Cotangent(dz.Data()[i*k:(i+1)*k], scratch, loss, logits, zoo.Untargeted(y))
	}
	return p.tape.Gradients(autograd.Sum(autograd.Mul(z, p.tape.Input(dz))), in).Of(in)
}
