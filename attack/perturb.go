package attack

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A Perturber is the inner loop of adversarial training (Madry et al., 2018): it perturbs
// all samples of a batch at once, within a ball, against the network in training. It counts
// no queries and verifies nothing; [PGD] is the attack. Only one goroutine at a time may
// use a Perturber.
//
// One step of length 1.25·Eps is the inner loop of fast adversarial training (Wong, Rice
// and Kolter, 2020).
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

// Perturb moves the samples x, [N, sample...] with values in [0,1], in place, to lower the
// network's confidence in their labels. They stay within the given radius and in [0,1]. net
// maps samples to logits [N, classes] and runs in Eval mode. A radius of 0 means Eps; a
// training may begin with a smaller one. The randomness follows from Seed and from call,
// the number of the call in the training loop. It panics if there are not as many labels as
// samples, or if a label is out of range.
func (p *Perturber) Perturb(net nn.Module, x *tensor.Tensor, labels []int, radius float64, call uint64) {
	const op = "attack.Perturber.Perturb"
	if x.Rank() < 2 || x.Dim(0) != len(labels) {
		tensor.Panic(op, fmt.Sprintf("%d labels", len(labels)), x.Shape())
	}
	eps := p.radius(radius)
	clean := x.Clone()
	if !p.NoRandom {
		r := rand.New(rand.NewPCG(p.Seed, call))
		for i := range labels {
			scatter(x.Index(i).Data(), p.Norm, eps, r)
			p.Norm.Project(x.Index(i).Data(), clean.Index(i).Data(), eps)
		}
	}
	loss := orLoss[zoo.DifferentiableLoss](p.Loss, zoo.CrossEntropy{})
	var scratch []float64
	p.descend(op, net, x, clean, eps, func(i int, dst []float32, logits []float64) {
		y := labels[i]
		if y < 0 || y >= len(logits) {
			tensor.Panic(op, fmt.Sprintf("label %d of %d classes", y, len(logits)))
		}
		if scratch == nil {
			scratch = make([]float64, len(logits))
		}
		zoo.Cotangent(dst, scratch, loss, logits, zoo.Untargeted(y))
	})
}

// nudge is the standard deviation of the noise with which Diverge begins: at the sample
// itself the divergence is flat.
const nudge = 1e-3

// Diverge moves the samples x as Perturb does, but to increase the Kullback-Leibler
// divergence between the network's class distribution for x and that for the clean samples.
// It starts with Gaussian noise of standard deviation 0.001 round each sample. It is the
// inner loop of TRADES (Zhang et al., 2019, algorithm 1). It uses no labels, and ignores
// Loss and NoRandom.
func (p *Perturber) Diverge(net nn.Module, x *tensor.Tensor, radius float64, call uint64) {
	const op = "attack.Perturber.Diverge"
	if x.Rank() < 2 {
		tensor.Panic(op, "want samples [N, sample...]", x.Shape())
	}
	eps := p.radius(radius)
	clean := x.Clone()
	var was []float64 // distributions, a row for each sample
	if x.Dim(0) > 0 {
		p.resetTape()
		z := p.logits(op, net, p.tape.Input(x), x.Dim(0))
		was = make([]float64, z.Len())
		k := z.Dim(1)
		for i, v := range z.Data() {
			was[i] = float64(v)
		}
		for i := range x.Dim(0) {
			softmax(was[i*k : (i+1)*k])
		}
	}
	r := rand.New(rand.NewPCG(p.Seed, call))
	for i, v := range x.Data() {
		x.Data()[i] = clip01(float64(v) + nudge*r.NormFloat64())
	}
	p.descend(op, net, x, clean, eps, func(i int, dst []float32, logits []float64) {
		softmax(logits)
		var top float64
		row := was[i*len(logits) : (i+1)*len(logits)]
		for j, q := range logits {
			top = max(top, math.Abs(row[j]-q))
		}
		for j, q := range logits {
			dst[j] = 0
			if top > 0 {
				dst[j] = float32((row[j] - q) / top)
			}
		}
	})
}

// softmax makes a distribution of logits, in place.
func softmax(z []float64) {
	top := z[0]
	for _, v := range z {
		top = max(top, v)
	}
	var sum float64
	for i, v := range z {
		z[i] = math.Exp(v - top)
		sum += z[i]
	}
	for i := range z {
		z[i] /= sum
	}
}

func (p *Perturber) radius(r float64) float64 {
	return cmp.Or(r, PGD{Norm: p.Norm, Eps: p.Eps}.defaults().Eps)
}

// descend takes the steps. slope writes to dst the derivative, up to a positive factor, of
// what is to fall with respect to the logits of sample i, which it may overwrite.
func (p *Perturber) descend(op string, net nn.Module, x, clean *tensor.Tensor, eps float64, slope func(i int, dst []float32, logits []float64)) {
	steps := cmp.Or(p.Steps, 7)
	size := cmp.Or(p.Step, 2.5*eps/float64(steps))
	wide := make([]float64, x.Len()/max(x.Dim(0), 1))
	step := make([]func(x []float32, g []float64), x.Dim(0))
	for i := range step {
		step[i] = BallStep(p.Norm, eps, &size, clean.Index(i).Data())
	}
	for range steps {
		g := p.gradient(op, net, x, slope)
		if g == nil {
			return // the network does not look at its input
		}
		for i, move := range step {
			for j, v := range g.Index(i).Data() {
				wide[j] = float64(v)
			}
			move(x.Index(i).Data(), wide)
		}
	}
}

func (p *Perturber) resetTape() {
	if p.tape == nil {
		p.tape = autograd.NewTape(autograd.Eval, p.Seed)
	}
	p.tape.Reset()
}

func (p *Perturber) logits(op string, net nn.Module, in autograd.Var, n int) autograd.Var {
	z := net.Forward(in)
	if z.Rank() != 2 || z.Dim(0) != n {
		tensor.Panic(op, "the network does not answer with logits", z.Shape())
	}
	return z
}

// gradient is that of each sample, up to a positive factor, valid until the next call; nil
// if there is none.
func (p *Perturber) gradient(op string, net nn.Module, x *tensor.Tensor, slope func(i int, dst []float32, logits []float64)) *tensor.Tensor {
	p.resetTape()
	in := p.tape.Watch(x)
	n := x.Dim(0)
	z := p.logits(op, net, in, n)
	k := z.Dim(1)
	dz := tensor.New(n, k)
	logits := make([]float64, k)
	for i := range n {
		for j, v := range z.Data()[i*k : (i+1)*k] {
			logits[j] = float64(v)
		}
		slope(i, dz.Data()[i*k:(i+1)*k], logits)
	}
	return p.tape.Gradients(autograd.Sum(autograd.Mul(z, p.tape.Input(dz))), in).Of(in)
}
