package kernel

import "math"

// A BatchNorm normalises the channels of x [N, C, S], where S is the number of
// positions (1, H·W or D·H·W), with a ReLU before or after and a residual r that
// is added in between:
//
//	y = post((pre(x) - mean) · invStd · Gamma + Beta + r)
//
// (Ioffe and Szegedy 2015). Mean and variance are taken of the batch by [BatchNorm.Train],
// from the running estimates by [BatchNorm.Infer].
type BatchNorm struct {
	N, C, S  int
	PreReLU  bool // pre is max(·, 0)
	PostReLU bool // post is max(·, 0)
	Eps      float64

	Gamma, Beta             []float32 // [C]; nil stands for 1 and 0
	RunningMean, RunningVar []float32 // [C]; Train leaves nil alone

	// Momentum is the weight of the new in the running estimates.
	Momentum float64

	// Mean and InvStd [C] are the batch's mean and 1/sqrt(variance + Eps):
	// Train writes, TrainGrad reads them.
	Mean, InvStd []float32
}

// BatchNormGrads receive the results of a backward pass. All but DX may be nil.
type BatchNormGrads struct {
	DX            []float32 // [N, C, S]
	DGamma, DBeta []float32 // [C]

	// DR is the gradient to the residual [N, C, S], and may be DY. With a
	// residual and PostReLU it is required, and so is Y.
	DR []float32
}

// Train computes y from the statistics of the batch, the biased variance, and
// moves the running estimates, the unbiased one (of a single value, the biased
// one). r is nil or the residual. y may be x or r, but a backward pass needs x.
func (b *BatchNorm) Train(y, x, r []float32) {
	b.check("BatchNorm.Train", y, x, r)
	need("BatchNorm.Train", "Mean", len(b.Mean), b.C)
	need("BatchNorm.Train", "InvStd", len(b.InvStd), b.C)
	b.run(bnTask{y: y, x: x, r: r, kind: bnTrain})
}

// Infer computes y from the running estimates. r is nil or the residual; y may
// be x or r.
func (b *BatchNorm) Infer(y, x, r []float32) {
	b.check("BatchNorm.Infer", y, x, r)
	need("BatchNorm.Infer", "RunningMean", len(b.RunningMean), b.C)
	need("BatchNorm.Infer", "RunningVar", len(b.RunningVar), b.C)
	b.run(bnTask{y: y, x: x, r: r, kind: bnInfer})
}

// TrainGrad computes the gradients of a sum, weighted by dy, of what Train
// computed. y is needed only with PostReLU and a residual, and otherwise nil. DX may be dy.
func (b *BatchNorm) TrainGrad(g *BatchNormGrads, dy, x, y []float32) {
	need("BatchNorm.TrainGrad", "Mean", len(b.Mean), b.C)
	need("BatchNorm.TrainGrad", "InvStd", len(b.InvStd), b.C)
	b.grad("BatchNorm.TrainGrad", g, dy, x, y, bnTrainGrad)
}

// InferGrad computes the gradients of a sum, weighted by dy, of what Infer
// computed: the statistics are constants. See TrainGrad.
func (b *BatchNorm) InferGrad(g *BatchNormGrads, dy, x, y []float32) {
	need("BatchNorm.InferGrad", "RunningMean", len(b.RunningMean), b.C)
	need("BatchNorm.InferGrad", "RunningVar", len(b.RunningVar), b.C)
	b.grad("BatchNorm.InferGrad", g, dy, x, y, bnInferGrad)
}

func (b *BatchNorm) grad(op string, g *BatchNormGrads, dy, x, y []float32, kind bnKind) {
	b.check(op, dy, x, y)
	need(op, "DX", len(g.DX), len(x))
	if g.DR != nil {
		need(op, "DR", len(g.DR), len(x))
	} else if y != nil && b.PostReLU {
		panic("kernel: " + op + ": a residual before a ReLU needs DR")
	}
	if y == nil && g.DR != nil && b.PostReLU {
		panic("kernel: " + op + ": a residual before a ReLU needs y")
	}
	if g.DGamma != nil {
		need(op, "DGamma", len(g.DGamma), b.C)
	}
	if g.DBeta != nil {
		need(op, "DBeta", len(g.DBeta), b.C)
	}
	b.run(bnTask{g: *g, y: dy, x: x, r: y, kind: kind})
}

func (b *BatchNorm) check(op string, y, x, r []float32) {
	n := b.N * b.C * b.S
	need(op, "x", len(x), n)
	need(op, "y", len(y), n)
	if r != nil {
		need(op, "the residual", len(r), n)
	}
	if b.Gamma != nil {
		need(op, "Gamma", len(b.Gamma), b.C)
	}
	if b.Beta != nil {
		need(op, "Beta", len(b.Beta), b.C)
	}
	if b.RunningMean != nil {
		need(op, "RunningMean", len(b.RunningMean), b.C)
	}
	if b.RunningVar != nil {
		need(op, "RunningVar", len(b.RunningVar), b.C)
	}
}

type bnKind uint8

const (
	bnTrain bnKind = iota
	bnInfer
	bnTrainGrad
	bnInferGrad
)

// A bnTask is a pass of a BatchNorm. In a backward pass y is dy, and r is y.
type bnTask struct {
	BatchNorm
	g       BatchNormGrads
	y, x, r []float32
	kind    bnKind
	op      *nnOps
	per     int
}

var bnTasks freeList[bnTask]

func (b *BatchNorm) run(t bnTask) {
	if b.C == 0 {
		return
	}
	t.BatchNorm = *b
	t.op = &Active().nnet
	var parts int
	t.per, parts = cut(b.C, b.N*b.S)
	runPooled(&bnTasks, parts, t)
}

// Part does some channels from end to end, so that the second pass over a
// channel finds it in the cache.
func (t *bnTask) Part(part int) {
	for c := part * t.per; c < min((part+1)*t.per, t.C); c++ {
		switch t.kind {
		case bnTrain:
			t.train(c)
		case bnInfer:
			mean, invStd := t.running(c)
			t.apply(c, mean, invStd)
		case bnTrainGrad:
			t.gradient(c, t.Mean[c], t.InvStd[c])
		case bnInferGrad:
			mean, invStd := t.running(c)
			t.gradient(c, mean, invStd)
		}
	}
}

// from returns a slice beginning at channel c; a nil slice stays nil.
func (t *bnTask) from(v []float32, c int) []float32 {
	if v == nil {
		return nil
	}
	return v[min(c*t.S, len(v)):]
}

// running returns the statistics that the running estimates stand for.
func (t *bnTask) running(c int) (mean, invStd float32) {
	return t.RunningMean[c], float32(1 / math.Sqrt(float64(t.RunningVar[c])+t.Eps))
}

// train computes the statistics of channel c and applies them. The sums are of
// differences from the channel's first value, so that a constant channel has a
// variance of exactly 0 and a mean far from 0 costs no digits.
func (t *bnTask) train(c int) {
	m := float64(t.N * t.S)
	var mean, variance float64
	if m > 0 {
		x := t.from(t.x, c)
		pivot := x[0]
		if t.PreReLU && pivot < 0 {
			pivot = 0
		}
		sum, squares := t.op.bnStats(x, t.N, t.C*t.S, t.S, pivot, reluFloor(t.PreReLU))
		mean = float64(pivot) + sum/m
		variance = squares/m - (sum/m)*(sum/m)
		if variance < 0 {
			variance = 0
		}
	}
	t.Mean[c] = float32(mean)
	t.InvStd[c] = float32(1 / math.Sqrt(variance+t.Eps))
	if t.RunningMean != nil {
		t.RunningMean[c] = float32((1-t.Momentum)*float64(t.RunningMean[c]) + t.Momentum*mean)
	}
	if t.RunningVar != nil {
		if m > 1 {
			variance *= m / (m - 1)
		}
		t.RunningVar[c] = float32((1-t.Momentum)*float64(t.RunningVar[c]) + t.Momentum*variance)
	}
	t.apply(c, t.Mean[c], t.InvStd[c])
}

// affine returns the scale and the shift of channel c. The backward pass
// recomputes the sign of the ReLU's argument from them: they are functions of
// what is stored.
func (t *bnTask) affine(c int, mean, invStd float32) (scale, shift float32) {
	gamma, beta := 1.0, 0.0
	if t.Gamma != nil {
		gamma = float64(t.Gamma[c])
	}
	if t.Beta != nil {
		beta = float64(t.Beta[c])
	}
	s := gamma * float64(invStd)
	return float32(s), float32(beta - float64(float64(mean)*s))
}

func (t *bnTask) apply(c int, mean, invStd float32) {
	if t.N*t.S == 0 {
		return
	}
	scale, shift := t.affine(c, mean, invStd)
	t.op.bnApply(t.from(t.y, c), t.from(t.x, c), t.from(t.r, c), t.N, t.C*t.S, t.S, scale, shift,
		reluFloor(t.PreReLU), reluFloor(t.PostReLU))
}

// gradient does channel c in two passes: one for the sums (and the gradient
// that passes the second ReLU, if the residual wants it), one for dx.
func (t *bnTask) gradient(c int, mean, invStd float32) {
	m := float64(t.N * t.S)
	if m == 0 {
		t.sums(c, 0, 0)
		return
	}
	scale, shift := t.affine(c, mean, invStd)
	pre, post := reluFloor(t.PreReLU), reluFloor(t.PostReLU)
	rows, stride := t.N, t.C*t.S
	dx, dy, x := t.from(t.g.DX, c), t.from(t.y, c), t.from(t.x, c)

	var y []float32
	if t.PostReLU {
		y = t.from(t.r, c)
	}
	dr := t.from(t.g.DR, c)
	var sum, dot float64
	if t.kind == bnTrainGrad || t.g.DGamma != nil || t.g.DBeta != nil || dr != nil {
		sum, dot = t.op.bnSums(dr, dy, x, y, rows, stride, t.S, mean, scale, shift, pre, post)
		t.sums(c, sum, dot*float64(invStd))
	}
	if dr != nil {
		dy, post = dr, noReLU
	}
	a, b, k := scale, float32(0), float32(0)
	if t.kind == bnTrainGrad {
		b = float32(-float64(scale) * float64(invStd) * float64(invStd) * dot / m)
		k = float32(-float64(scale) * sum / m)
	}
	t.op.bnGrad(dx, dy, x, rows, stride, t.S, a, b, k, mean, scale, shift, pre, post)
}

func (t *bnTask) sums(c int, beta, gamma float64) {
	if t.g.DBeta != nil {
		t.g.DBeta[c] = float32(beta)
	}
	if t.g.DGamma != nil {
		t.g.DGamma[c] = float32(gamma)
	}
}
