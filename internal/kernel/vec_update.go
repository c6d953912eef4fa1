package kernel

import (
	"math"

	"github.com/mettleml/mettle/internal/parallel"
)

// An sgdKind names a loop of stochastic gradient descent.
type sgdKind uint8

const (
	sgdPlain    sgdKind = iota // p -= lr*g
	sgdMomentum                // v = m*v + d*g; p -= lr*v
	sgdNesterov                // v = m*v + d*g; p -= lr*(g + m*v)

	numSGDKinds
)

// updateCoeffs are the numbers of an update, in an order that the assembly
// relies on.
type updateCoeffs struct {
	weightDecay float32 // g += weightDecay*p comes first
	momentum    float32
	dampened    float32 // 1 - dampening
	rate        float32 // SGD's learning rate; Adam's, over the first bias correction

	beta1, oneMinusBeta1 float32
	beta2, oneMinusBeta2 float32
	rootBias2            float32 // 1/sqrt of the second bias correction
	eps                  float32
	decay                float32 // p is multiplied by it
}

// An updateLoop updates n parameters p from gradients g and velocities v.
type updateLoop func(n int, p, g, v *float32, k *updateCoeffs)

// SGD are the settings of one step of stochastic gradient descent, as PyTorch
// defines them.
type SGD struct {
	LR          float64
	Momentum    float64
	Dampening   float64
	WeightDecay float64 // L2 penalty, added to the gradient
	Nesterov    bool
	First       bool // velocity is started with the gradient itself, undampened
}

// SGDStep updates parameters p by gradients g. velocity has the length of p if
// Momentum is not 0, else it is not used; before the first step it is zero. It
// panics with a LengthError if lengths differ.
func SGDStep(p, g, velocity []float32, o SGD) {
	checkLen("SGDStep", len(p), len(g))
	kind := sgdPlain
	if o.Momentum != 0 {
		checkLen("SGDStep", len(p), len(velocity))
		kind = sgdMomentum
		if o.Nesterov {
			kind = sgdNesterov
		}
	} else {
		velocity = p
	}
	if len(p) == 0 {
		return
	}
	damp := 1 - o.Dampening
	if o.First {
		damp = 1
	}
	t := updateTasks.get()
	t.loop, t.adam = Active().vec.sgd[kind], nil
	t.p, t.g, t.v = p, g, velocity
	t.k = updateCoeffs{
		weightDecay: float32(o.WeightDecay),
		momentum:    float32(o.Momentum),
		dampened:    float32(damp),
		rate:        float32(o.LR),
	}
	t.run()
}

// Adam are the settings of one step of Adam or AdamW, as PyTorch defines them.
type Adam struct {
	LR           float64
	Beta1, Beta2 float64
	Eps          float64
	WeightDecay  float64
	Decoupled    bool    // AdamW: p shrinks by LR*WeightDecay; else the decay is added to the gradient
	Bias1, Bias2 float64 // bias corrections of this step t: 1-Beta1^t, 1-Beta2^t
}

// AdamStep updates parameters p by gradients g, with the moving averages m of
// gradients and v of their squares, which are zero before the first step. It
// panics with a LengthError if lengths differ.
func AdamStep(p, g, m, v []float32, o Adam) {
	checkLen("AdamStep", len(p), len(g), len(m), len(v))
	if len(p) == 0 {
		return
	}
	t := updateTasks.get()
	t.loop, t.adam = nil, Active().vec.adam
	t.p, t.g, t.m, t.v = p, g, m, v
	t.k = updateCoeffs{
		rate:          float32(o.LR / o.Bias1),
		beta1:         float32(o.Beta1),
		oneMinusBeta1: float32(1 - o.Beta1),
		beta2:         float32(o.Beta2),
		oneMinusBeta2: float32(1 - o.Beta2),
		rootBias2:     float32(1 / math.Sqrt(o.Bias2)),
		eps:           float32(o.Eps),
		decay:         1,
	}
	if o.Decoupled {
		t.k.decay = float32(1 - o.LR*o.WeightDecay)
	} else {
		t.k.weightDecay = float32(o.WeightDecay)
	}
	t.run()
}

type updateTask struct {
	loop       updateLoop
	adam       func(n int, p, g, m, v *float32, k *updateCoeffs)
	p, g, m, v []float32
	k          updateCoeffs
}

var updateTasks freeList[updateTask]

// run does the update and gives t back.
func (t *updateTask) run() {
	parallel.Run(ceilDiv(len(t.p), lightChunk), t)
	*t = updateTask{}
	updateTasks.put(t)
}

func (t *updateTask) Part(i int) {
	lo := i * lightChunk
	n := min(lightChunk, len(t.p)-lo)
	if t.adam != nil {
		t.adam(n, &t.p[lo], &t.g[lo], &t.m[lo], &t.v[lo], &t.k)
	} else {
		t.loop(n, &t.p[lo], &t.g[lo], &t.v[lo], &t.k)
	}
}
