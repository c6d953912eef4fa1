package ssl

import (
	"cmp"
	"fmt"
	"math"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// A LowerBound bounds the mutual information I(u; v) from below, so it may be maximised. u
// is [n, du] and v is [n, dv], of the same n samples; the result is a scalar in nats. Train
// its parameters with the same loss: a better critic is a tighter bound.
type LowerBound interface {
	nn.Tree
	Lower(u, v autograd.Var) autograd.Var
}

// An UpperBound bounds the mutual information from above, so it may be minimised, if its
// model of v given u is good. Fit returns the loss that fits the model; minimise it between
// steps. Upper sends no gradient into the model.
type UpperBound interface {
	nn.Tree
	Upper(u, v autograd.Var) autograd.Var
	Fit(u, v autograd.Var) autograd.Var
}

// InfoNCEBound is log n minus [InfoNCE] of two linear maps to a common space (van den Oord
// et al., 2018). It is at most log n and has a low variance.
type InfoNCEBound struct {
	U, V        *nn.Linear
	Temperature float64
}

// NewInfoNCEBound returns a bound for u of width du and v of width dv with maps to 128
// dimensions and a temperature of 0.2.
func NewInfoNCEBound(du, dv int, seed uint64) *InfoNCEBound {
	positive("ssl.NewInfoNCEBound", "du", du, "dv", dv)
	rng := generator(seed)
	b := &InfoNCEBound{nn.NewLinear(rng, du, 128), nn.NewLinear(rng, dv, 128), 0.2}
	b.U.Bias, b.V.Bias = nil, nil
	return b
}

// Lower implements [LowerBound].
func (b *InfoNCEBound) Lower(u, v autograd.Var) autograd.Var {
	loss := InfoNCE(b.U.Forward(u), b.V.Forward(v), b.Temperature)
	return autograd.Affine(loss, -1, float32(math.Log(float64(u.Dim(0)))))
}

// Walk names u and v.
func (b *InfoNCEBound) Walk(w *nn.Walker) {
	w.Child("u", b.U)
	w.Child("v", b.V)
}

// VID is the variational bound of Barber and Agakov (2003), as in variational information
// distillation (Ahn et al., 2019): H(v) + E log q(v|u). q is normal, with a mean from a
// two-layer perceptron and variances softplus(ρ) + 1e-3 that do not depend on u. It has the
// lowest variance on small batches.
type VID struct {
	Mean *nn.Sequential
	Rho  *autograd.Param // [dv]

	// Entropy is H(v) in nats, if known; 0 leaves it out of Lower. It does not affect
	// gradients if none flows into v.
	Entropy float64
}

// NewVID returns a bound for u of width du and v of width dv.
func NewVID(du, dv int, seed uint64) *VID {
	positive("ssl.NewVID", "du", du, "dv", dv)
	return &VID{Mean: perceptron(generator(seed), noNorm, du, max(du, dv), dv), Rho: autograd.NewParam(tensor.New(dv))}
}

// Lower implements [LowerBound].
func (b *VID) Lower(u, v autograd.Var) autograd.Var {
	pairs("ssl.VID", u, v)
	variance := autograd.AddScalar(autograd.Softplus(u.Tape().Param(b.Rho)), 1e-3)
	square := autograd.Div(autograd.Square(autograd.Sub(v, b.Mean.Forward(u))), variance)
	// -log q = Σ_k 1/2 log(2π) + 1/2 log σ² + (v-μ)²/2σ²
	nll := autograd.Add(autograd.Scale(autograd.Sum(square), 1/float32(2*u.Dim(0))), autograd.Scale(autograd.Sum(autograd.Log(variance)), 0.5))
	return autograd.Affine(nll, -1, float32(b.Entropy-0.5*float64(v.Dim(1))*math.Log(2*math.Pi)))
}

// Walk names mean and rho.
func (b *VID) Walk(w *nn.Walker) {
	w.Child("mean", b.Mean)
	w.Param("rho", b.Rho)
}

// A Critic scores pairs of rows of u and v: w·ReLU(A·u + B·v + c) + e.
type Critic struct {
	U, V, Out *nn.Linear
}

// NewCritic returns a critic with the given number of hidden units, for u of width du and v
// of width dv.
func NewCritic(du, dv, hidden int, seed uint64) *Critic {
	positive("ssl.NewCritic", "du", du, "dv", dv, "hidden", hidden)
	rng := generator(seed)
	c := &Critic{nn.NewLinear(rng, du, hidden), nn.NewLinear(rng, dv, hidden), nn.NewLinear(rng, hidden, 1)}
	c.V.Bias = nil
	return c
}

// Scores returns the scores of all pairs, [n, n]: entry (i, j) is that of u_i and v_j.
func (c *Critic) Scores(u, v autograd.Var) autograd.Var {
	n, m, h := u.Dim(0), v.Dim(0), c.Out.Weight.Shape()[1]
	a := autograd.Reshape(c.U.Forward(u), n, 1, h)
	b := autograd.Reshape(c.V.Forward(v), 1, m, h)
	return autograd.Reshape(c.Out.Forward(autograd.Reshape(autograd.ReLU(autograd.Add(a, b)), n*m, h)), n, m)
}

// Walk names u, v and out.
func (c *Critic) Walk(w *nn.Walker) {
	w.Child("u", c.U)
	w.Child("v", c.V)
	w.Child("out", c.Out)
}

// JSD is the Jensen-Shannon form of Deep InfoMax (Hjelm et al., 2019): with the scores T of
// a critic, E_p[-softplus(-T)] - E_q[softplus(T)] over pairs p from one sample and q from
// two. It grows with the mutual information, but is not an estimate of its value: it is at
// most 0.
type JSD struct{ Critic *Critic }

// NewJSD returns the estimator with a critic of 128 hidden units.
func NewJSD(du, dv int, seed uint64) *JSD { return &JSD{NewCritic(du, dv, 128, seed)} }

// Lower implements [LowerBound].
func (b *JSD) Lower(u, v autograd.Var) autograd.Var {
	pairs("ssl.JSD", u, v)
	t := b.Critic.Scores(u, v)
	own := autograd.Mean(autograd.Softplus(autograd.Neg(autograd.Pick(t, upTo(u.Dim(0))))))
	return autograd.Neg(autograd.Add(own, autograd.Mean(autograd.Softplus(offDiagonal(t)))))
}

// Walk names what the critic holds.
func (b *JSD) Walk(w *nn.Walker) { w.Child("", b.Critic) }

// MINE is the bound of Donsker and Varadhan, E_p[T] - log E_q[e^T], with a moving average
// of E_q[e^T] in the gradient in place of the batch's (Belghazi et al., "Mutual information
// neural estimation", 2018). Its variance is high.
type MINE struct {
	Critic  *Critic
	Rate    float64        // weight of the new batch in the average; 0 means 0.01
	Average *tensor.Tensor // [1]: logarithm of the moving average of E_q[e^T]
	Seen    int64          // batches in the average
}

// NewMINE returns the bound with a critic of 128 hidden units.
func NewMINE(du, dv int, seed uint64) *MINE {
	return &MINE{Critic: NewCritic(du, dv, 128, seed), Average: tensor.New(1)}
}

// Lower implements [LowerBound]. On a Training tape it updates the average.
func (b *MINE) Lower(u, v autograd.Var) autograd.Var {
	pairs("ssl.MINE", u, v)
	n := u.Dim(0)
	t := b.Critic.Scores(u, v)
	own := autograd.Mean(autograd.Pick(t, upTo(n)))
	others := autograd.Reshape(offDiagonal(t), 1, n*(n-1))
	logMean := autograd.AddScalar(autograd.Reshape(autograd.LogSumExp(others)), float32(-math.Log(float64(n*(n-1)))))
	average := float64(b.Average.Data()[0])
	if u.Tape().Mode() == autograd.Training {
		now := logMean.Scalar()
		if b.Seen == 0 {
			average = now
		} else { // in logarithms, lest it overflow
			rate := cmp.Or(b.Rate, 0.01)
			top := max(average, now)
			average = top + math.Log((1-rate)*math.Exp(average-top)+rate*math.Exp(now-top))
		}
		b.Average.Data()[0] = float32(average)
		b.Seen++
	}
	// The gradient of E[e^T]/average, with the value of the bound.
	moved := autograd.Sub(own, autograd.Exp(autograd.AddScalar(logMean, float32(-average))))
	return autograd.Add(moved, autograd.Detach(autograd.Sub(autograd.Sub(own, logMean), moved)))
}

// Walk names what the critic holds, average and seen.
func (b *MINE) Walk(w *nn.Walker) {
	w.Child("", b.Critic)
	w.Buffer("average", b.Average)
	w.Counter("seen", &b.Seen)
}

// VCLUB is an upper bound: E_p log q(v|u) - E_q log q(v|u) over pairs p from one sample and
// q from all (Cheng et al., "CLUB: a contrastive log-ratio upper bound of mutual
// information", 2020). q is normal; two-layer perceptrons give its mean and, with a final
// tanh, its log variance. With the true q this is a bound, with another an estimate.
type VCLUB struct {
	Mean, LogVar *nn.Sequential
}

// NewVCLUB returns the estimator for u of width du and v of width dv.
func NewVCLUB(du, dv int, seed uint64) *VCLUB {
	positive("ssl.NewVCLUB", "du", du, "dv", dv)
	rng := generator(seed)
	b := &VCLUB{perceptron(rng, noNorm, du, max(du, dv), dv), perceptron(rng, noNorm, du, max(du, dv), dv)}
	b.LogVar.Layers = append(b.LogVar.Layers, nn.Tanh{})
	nn.SetFrozen(b, true) // Fit alone trains it
	return b
}

// Upper implements [UpperBound].
func (b *VCLUB) Upper(u, v autograd.Var) autograd.Var {
	return CLUB(b.Mean.Forward(u), b.LogVar.Forward(u), v)
}

// CLUB is the bound of [VCLUB] for a normal q with the given mean and log variance [n, dv]
// per u_i:
//
//	1/n Σ_i log q(v_i|u_i) - 1/n² Σ_ij log q(v_j|u_i)
func CLUB(mean, logVar, v autograd.Var) autograd.Var {
	pairs("ssl.CLUB", mean, v)
	// The normalisers of both terms are those of u_i and cancel. The mean over j of
	// (v_j - μ_i)² is that of (v_j - m)² plus (m - μ_i)², with the mean m of v.
	m := autograd.MeanAxes(v, 0)
	spread := autograd.MeanAxes(autograd.Square(autograd.Sub(v, m)), 0)
	others := autograd.Add(autograd.Square(autograd.Sub(mean, m)), spread)
	d := autograd.Sub(others, autograd.Square(autograd.Sub(v, mean)))
	return autograd.Scale(autograd.Sum(autograd.Mul(d, autograd.Exp(autograd.Neg(logVar)))), 1/float32(2*v.Dim(0)))
}

// Fit implements [UpperBound]: the negative log-likelihood of v given u, up to a constant.
func (b *VCLUB) Fit(u, v autograd.Var) autograd.Var {
	mean, logVar := b.Mean.Forward(u), b.LogVar.Forward(u)
	square := autograd.Mul(autograd.Square(autograd.Sub(v, mean)), autograd.Exp(autograd.Neg(logVar)))
	return autograd.Scale(autograd.Sum(autograd.Add(square, logVar)), 1/float32(2*v.Dim(0)))
}

// Walk names mean and log_var.
func (b *VCLUB) Walk(w *nn.Walker) {
	w.Child("mean", b.Mean)
	w.Child("log_var", b.LogVar)
}

// pairs panics for op unless u and v have the same number of rows, at least 2.
func pairs(op string, u, v autograd.Var) {
	if u.Rank() != 2 || v.Rank() != 2 || u.Dim(0) != v.Dim(0) || u.Dim(0) < 2 {
		tensor.Panic(op, "want [n, du] and [n, dv] with n at least 2", u.Shape(), v.Shape())
	}
}

// RegularizerOptions are the settings of a [Regularizer].
type RegularizerOptions struct {
	// Through lets gradients flow into v too. By default they flow into u alone: the
	// classifier's feature learns from the self-supervised one, but not the reverse.
	Through bool `json:"through,omitempty"`

	Inner int     `json:"inner,omitempty"` // steps per use that fit an upper bound's model; 0 means 1
	LR    float64 `json:"lr,omitempty"`    // learning rate of Adam in these steps; 0 means 1e-3
}

// A Regularizer is a term of a loss that raises or lowers mutual information. [Maximize]
// and [Minimize] make one from a bound of the right side. Minimising a lower bound would
// not lower the information, so it does not compile.
type Regularizer struct {
	Bound nn.Tree
	Opt   *optim.Adam // for an upper bound's model; nil otherwise

	lower LowerBound
	upper UpperBound
	o     RegularizerOptions
	tape  *autograd.Tape
}

// Maximize returns a term that raises a lower bound.
func Maximize(b LowerBound, o RegularizerOptions) *Regularizer {
	return &Regularizer{Bound: b, lower: b, o: o}
}

// Minimize returns a term that lowers an upper bound. It fits the bound's model by Adam.
func Minimize(b UpperBound, o RegularizerOptions) *Regularizer {
	o.Inner, o.LR = cmp.Or(o.Inner, 1), cmp.Or(o.LR, 1e-3)
	positive("ssl.Minimize", "Inner", o.Inner, "LR", o.LR)
	return &Regularizer{Bound: b, upper: b, o: o, tape: autograd.NewTape(autograd.Training, 0), Opt: optim.NewAdam(nn.Params(b), optim.AdamOptions{LR: o.LR})}
}

// Loss returns the term: the mean, over pairs of u and each v, of the negative lower bound,
// or of the upper bound after a fit of its model to the same rows.
func (r *Regularizer) Loss(u autograd.Var, vs ...autograd.Var) (autograd.Var, error) {
	if len(vs) == 0 {
		tensor.Panic("ssl.Regularizer.Loss", "nothing to pair u with")
	}
	if r.upper != nil {
		if err := r.fit(u, vs); err != nil {
			return autograd.Var{}, err
		}
	}
	var sum autograd.Var
	for i, v := range vs {
		if !r.o.Through {
			v = autograd.Detach(v)
		}
		var term autograd.Var
		if r.upper != nil {
			term = r.upper.Upper(u, v)
		} else {
			term = autograd.Neg(r.lower.Lower(u, v))
		}
		if i == 0 {
			sum = term
		} else {
			sum = autograd.Add(sum, term)
		}
	}
	return autograd.Scale(sum, 1/float32(len(vs))), nil
}

// fit fits the model of the upper bound, and leaves it frozen: no gradient of the term flows
// into it.
func (r *Regularizer) fit(u autograd.Var, vs []autograd.Var) error {
	nn.SetFrozen(r.upper, false)
	defer nn.SetFrozen(r.upper, true)
	for range r.o.Inner {
		for _, v := range vs {
			r.tape.Reset()
			loss := r.upper.Fit(r.tape.Input(u.Value()), r.tape.Input(v.Value()))
			if err := r.Opt.Step(r.tape.Gradients(loss)); err != nil {
				return fmt.Errorf("ssl: fitting the upper bound: %w", err)
			}
		}
	}
	return nil
}

// Walk names bound and, for an upper bound, opt.
func (r *Regularizer) Walk(w *nn.Walker) {
	w.Child("bound", r.Bound)
	if r.Opt != nil {
		w.Child("opt", r.Opt)
	}
}

// Bounds are the names for [NewRegularizer].
var Bounds = []string{"infonce", "vid", "jsd", "mine", "vclub"}

// NewRegularizer returns the term of the named bound for u of width du and v of width dv:
// maximised if maximize is set, else minimised. It is an error if no bound has the name, or
// if it bounds from the wrong side.
func NewRegularizer(name string, maximize bool, du, dv int, seed uint64, o RegularizerOptions) (*Regularizer, error) {
	var bound nn.Tree
	switch name {
	case "infonce":
		bound = NewInfoNCEBound(du, dv, seed)
	case "vid":
		bound = NewVID(du, dv, seed)
	case "jsd":
		bound = NewJSD(du, dv, seed)
	case "mine":
		bound = NewMINE(du, dv, seed)
	case "vclub":
		bound = NewVCLUB(du, dv, seed)
	default:
		return nil, fmt.Errorf("ssl: no bound %q of mutual information; there are %q", name, Bounds)
	}
	switch b := bound.(type) {
	case LowerBound:
		if maximize {
			return Maximize(b, o), nil
		}
		return nil, fmt.Errorf("ssl: %s bounds mutual information from below, and minimising that would say nothing of the information: minimise vclub", name)
	case UpperBound:
		if !maximize {
			return Minimize(b, o), nil
		}
		return nil, fmt.Errorf("ssl: %s bounds mutual information from above, and maximising that would say nothing of the information: maximise infonce, vid, jsd or mine", name)
	}
	return nil, fmt.Errorf("ssl: %s bounds neither side", name)
}
