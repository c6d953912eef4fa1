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

// Fold writes to w and bias those of a convolution whose result is Infer of the one with
// fromW [C, ...] and fromBias [C], which may be nil: a normalisation by the running estimates
// scales and shifts each channel.
func (b *BatchNorm) Fold(w, bias, fromW, fromBias []float32) {
	checkLen("BatchNorm.Fold", len(w), len(fromW))
	need("BatchNorm.Fold", "bias", len(bias), b.C)
	need("BatchNorm.Fold", "RunningMean", len(b.RunningMean), b.C)
	need("BatchNorm.Fold", "RunningVar", len(b.RunningVar), b.C)
	t := bnTask{BatchNorm: *b, kind: bnInfer}
	for c := range b.C {
		var coef [bnCoefs]float32
		t.affine(coef[:], c)
		add := -coef[bnMean]
		if fromBias != nil {
			add += fromBias[c]
		}
		bias[c] = float32(add*coef[bnScale]) + coef[bnShift]
		per := len(w) / b.C
		Scale(w[c*per:][:per], fromW[c*per:][:per], coef[bnScale])
	}
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

// bnRow is the least number of neighbouring elements of a sample that a part
// should have: a page of memory.
const bnRow = 1 << 10

func (b *BatchNorm) run(t bnTask) {
	if b.C == 0 {
		return
	}
	t.BatchNorm = *b
	t.op = &Active().nnet
	t.per, _ = cut(b.C, b.N*b.S)
	t.per = max(t.per, bnRow/max(b.S, 1))
	runPooled(&bnTasks, (b.C+t.per-1)/t.per, t)
}

// A bnScratch holds the numbers of a part's channels.
type bnScratch struct {
	coef []float32
	sums []float64
}

var bnScratches freeList[bnScratch]

// getBNScratch returns room for so many channels, sums cleared.
func getBNScratch(channels int) *bnScratch {
	w := bnScratches.get()
	w.coef = grow(w.coef, bnCoefs*channels)
	w.sums = grow(w.sums, 2*bnLanes*channels)
	clear(w.sums)
	return w
}

// Part does some channels from end to end, so that the second pass over them
// finds much of them in the cache.
func (t *bnTask) Part(part int) {
	lo, hi := part*t.per, min((part+1)*t.per, t.C)
	w := getBNScratch(hi - lo)
	if t.S == 1 && t.N >= bnColumns {
		t.columns(w, lo, hi)
	} else {
		t.channels(w, lo, hi)
	}
	bnScratches.put(w)
}

func (t *bnTask) channels(w *bnScratch, lo, hi int) {
	if t.kind == bnTrain || t.kind == bnInfer {
		t.forward(w, lo, hi)
	} else {
		t.backward(w, lo, hi)
	}
}

// bnColumns is the least number of rows of a matrix [N, C] that are worth
// transposing: normalised in place, every channel is a column of single numbers.
const bnColumns = 8

// columns does the channels lo to hi of matrices [N, C] on transposed copies,
// which are one sample of N positions.
func (t *bnTask) columns(w *bnScratch, lo, hi int) {
	n, c := t.N, hi-lo
	size := n * c
	room := partScratch(5 * size)
	turn := &copyTask{op: &Active().gemm}
	in := func(v []float32, k int) []float32 {
		if v == nil {
			return nil
		}
		packed := room.f[k*size : (k+1)*size]
		turn.transpose(packed, n, v[lo:], t.C, n, c)
		return packed
	}
	out := func(v, packed []float32) {
		if v != nil {
			turn.transpose(v[lo:], t.C, packed, n, c, n)
		}
	}
	p := *t
	p.N, p.C, p.S = 1, c, n
	for _, v := range []*[]float32{&p.Gamma, &p.Beta, &p.RunningMean, &p.RunningVar, &p.Mean, &p.InvStd, &p.g.DGamma, &p.g.DBeta} {
		if *v != nil {
			*v = (*v)[lo:hi]
		}
	}
	p.x, p.r = in(t.x, 0), in(t.r, 1)
	if t.kind == bnTrain || t.kind == bnInfer {
		p.y = room.f[2*size : 3*size]
		p.channels(w, 0, c)
		out(t.y, p.y)
	} else {
		p.y, p.g.DX = in(t.y, 2), room.f[3*size:4*size]
		if t.g.DR != nil {
			p.g.DR = room.f[4*size : 5*size]
		}
		p.channels(w, 0, c)
		out(t.g.DX, p.g.DX)
		out(t.g.DR, p.g.DR)
	}
	putScratch(room)
}

// from returns a slice beginning at channel c; a nil slice stays nil.
func (t *bnTask) from(v []float32, c int) []float32 {
	if v == nil {
		return nil
	}
	return v[c*t.S:]
}

func (t *bnTask) forward(w *bnScratch, lo, hi int) {
	pre, post := reluFloor(t.PreReLU), reluFloor(t.PostReLU)
	n, channels, stride := t.N, hi-lo, t.C*t.S
	empty := n*t.S == 0
	if t.kind == bnTrain {
		if !empty {
			for i := range channels {
				w.coef[i*bnCoefs+bnPivot] = t.pivot(lo + i)
			}
			t.op.bnStats(w.coef, w.sums, t.from(t.x, lo), n, channels, t.S, stride, pre)
		}
		for i := range channels {
			t.estimate(lo+i, float64(w.coef[i*bnCoefs+bnPivot]), bnSum(w.sums, i, 0), bnSum(w.sums, i, 1))
		}
	}
	if empty {
		return
	}
	for i := range channels {
		t.affine(w.coef[i*bnCoefs:], lo+i)
	}
	t.op.bnApply(w.coef, t.from(t.y, lo), t.from(t.x, lo), t.from(t.r, lo), n, channels, t.S, stride, pre, post)
}

// pivot returns a value of channel c: statistics are taken of differences from
// it, so that a constant channel has a variance of exactly 0 and a mean far
// from 0 costs no digits.
func (t *bnTask) pivot(c int) float32 {
	v := t.x[c*t.S]
	if t.PreReLU && v < 0 {
		v = 0
	}
	return v
}

// estimate turns the sums of differences from the pivot, and of their squares,
// into the statistics of channel c.
func (t *bnTask) estimate(c int, pivot, sum, squares float64) {
	m := float64(t.N * t.S)
	var mean, variance float64
	if m > 0 {
		mean, variance = moments(m, pivot, sum, squares)
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
}

// moments returns the mean and the biased variance of m values whose
// differences from the pivot have these sums.
func moments(m, pivot, sum, squares float64) (mean, variance float64) {
	d := sum / m
	variance = squares/m - float64(d*d)
	if variance < 0 {
		variance = 0
	}
	return pivot + d, variance
}

// affine fills in the mean, scale and shift of channel c and returns 1/σ. The
// backward pass recomputes the sign of the ReLU's argument from them: they are
// functions of what is stored.
func (t *bnTask) affine(coef []float32, c int) (invStd float32) {
	if t.kind == bnInfer || t.kind == bnInferGrad {
		coef[bnMean] = t.RunningMean[c]
		invStd = float32(1 / math.Sqrt(float64(t.RunningVar[c])+t.Eps))
	} else {
		coef[bnMean], invStd = t.Mean[c], t.InvStd[c]
	}
	coef[bnScale], coef[bnShift] = invStd, 0
	if t.Gamma != nil {
		coef[bnScale] *= t.Gamma[c]
	}
	if t.Beta != nil {
		coef[bnShift] = t.Beta[c]
	}
	return invStd
}

// backward takes two passes: one for the sums (and the gradient that passes the
// second ReLU, if the residual wants it), one for dx.
func (t *bnTask) backward(w *bnScratch, lo, hi int) {
	pre, post := reluFloor(t.PreReLU), reluFloor(t.PostReLU)
	n, channels, stride := t.N, hi-lo, t.C*t.S
	m := float64(n * t.S)
	dy, x := t.from(t.y, lo), t.from(t.x, lo)
	dr := t.from(t.g.DR, lo)
	for i := range channels {
		t.affine(w.coef[i*bnCoefs:], lo+i)
	}
	if m > 0 && (t.kind == bnTrainGrad || t.g.DGamma != nil || t.g.DBeta != nil || dr != nil) {
		var y []float32
		if t.PostReLU {
			y = t.from(t.r, lo)
		}
		t.op.bnSums(w.coef, w.sums, dr, dy, x, y, n, channels, t.S, stride, pre, post)
	}
	for i := range channels {
		k := w.coef[i*bnCoefs:][:bnCoefs]
		invStd := float64(t.affine(k, lo+i))
		sum, dot := bnSum(w.sums, i, 0), bnSum(w.sums, i, 1)*invStd
		if t.g.DBeta != nil {
			t.g.DBeta[lo+i] = float32(sum)
		}
		if t.g.DGamma != nil {
			t.g.DGamma[lo+i] = float32(dot)
		}
		k[bnA], k[bnB], k[bnC] = k[bnScale], 0, 0
		if t.kind == bnTrainGrad {
			k[bnB] = float32(-float64(k[bnScale]) * invStd * dot / m)
			k[bnC] = float32(-float64(k[bnScale]) * sum / m)
		}
	}
	if m == 0 {
		return
	}
	if dr != nil {
		dy, post = dr, noReLU
	}
	t.op.bnGrad(w.coef, t.from(t.g.DX, lo), dy, x, n, channels, t.S, stride, pre, post)
}
