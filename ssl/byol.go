package ssl

import (
	"cmp"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// CosineMomentum is the momentum of BYOL's target at step t of total (Grill et al., 2020):
// 1 - (1-base)·(cos(πt/total)+1)/2. It rises from base to 1 and stays there. It panics
// unless base is in [0, 1] and total is positive.
func CosineMomentum(base float64, total int) optim.Schedule {
	if !(base >= 0 && base <= 1) || total < 1 {
		tensor.Panic("ssl.CosineMomentum", "want a base in [0, 1] and a positive number of steps")
	}
	rest := optim.Cosine(1-base, 0, total)
	return func(t int) float64 { return 1 - rest(t) }
}

// BYOLOptions are the settings of [BYOL].
type BYOLOptions struct {
	Hidden int    `json:"hidden,omitempty"` // of projector and predictor; 0 means 4096, or 512 for an encoder below 512
	Out    int    `json:"out,omitempty"`    // 0 means 256, or 128 for an encoder below 512
	Seed   uint64 `json:"seed"`

	// Momentum gives the weight of the old target per step; nil means 0.996. The paper has
	// CosineMomentum(0.996, steps of the whole run).
	Momentum optim.Schedule `json:"-"`
}

// BYOL predicts the output of a slow copy of the network for the other view (Grill et al.,
// "Bootstrap your own latent", 2020): the mean over samples of
//
//	2 - 2·cos(h(z_1), z'_2) + 2 - 2·cos(h(z_2), z'_1)
//
// where h is the predictor. The target z' comes from a moving average of the weights of
// encoder and projector, with batch statistics of its own. No gradient flows into it. It
// takes two views.
type BYOL struct {
	Tower     *Tower
	Predictor nn.Module
	Target    *optim.EMA[*Tower]
	Options   BYOLOptions
	Steps     int64 // updates so far
}

// NewBYOL returns the method for an encoder. The target begins as a copy of it
// ([nn.Clone]). It panics if an option is out of range.
func NewBYOL(e Encoder, o BYOLOptions) *BYOL {
	o.Hidden, o.Out = sized(o.Hidden, e, 4096, 512), sized(o.Out, e, 256, 128)
	positive("ssl.NewBYOL", "Hidden", o.Hidden, "Out", o.Out)
	if o.Momentum == nil {
		o.Momentum = optim.Constant(0.996)
	}
	rng := generator(o.Seed)
	t := &Tower{e, perceptron(rng, inside, e.Width(), o.Hidden, o.Out)}
	return &BYOL{
		Tower:     t,
		Predictor: perceptron(rng, inside, o.Out, o.Hidden, o.Out),
		Target:    newTarget(t, o.Momentum),
		Options:   o,
	}
}

// newTarget returns an average of a tower with batch statistics of its own.
func newTarget(t *Tower, momentum optim.Schedule) *optim.EMA[*Tower] {
	return optim.NewEMA(t, optim.EMAOptions{Decay: momentum(0), Buffers: optim.OwnBuffers})
}

// Loss implements [Method].
func (m *BYOL) Loss(t *autograd.Tape, b data.Batch) (Output, error) {
	xs, _, err := viewsOf("BYOL", b, 2, 2)
	if err != nil {
		return Output{}, err
	}
	out := m.Tower.apart(t, xs)
	var target [2]autograd.Var
	for v, x := range xs {
		target[v] = autograd.Detach(m.Target.Model.Forward(t.Input(x)))
	}
	z := out.Specific
	out.Loss = autograd.Add(CosineLoss(m.Predictor.Forward(z[0]), target[1]), CosineLoss(m.Predictor.Forward(z[1]), target[0]))
	return finite("BYOL", out)
}

// Update moves the target.
func (m *BYOL) Update() {
	m.Target.Decay = m.Options.Momentum(int(m.Steps))
	m.Target.Update()
	m.Steps++
}

// Walk names projector, predictor, target and step.
func (m *BYOL) Walk(w *nn.Walker) {
	w.Child("projector", m.Tower.Projector)
	w.Child("predictor", m.Predictor)
	w.Child("target", m.Target)
	w.Counter("step", &m.Steps)
}

// MoCoOptions are the settings of [MoCo].
type MoCoOptions struct {
	Version     int     `json:"version,omitempty"`     // 1 or 2; 0 means 2. They differ in projector, temperature and augmentations
	Queue       int     `json:"queue,omitempty"`       // keys kept, a multiple of the batch; 0 means 65,536, or 4,096 for an encoder below 512
	Temperature float64 `json:"temperature,omitempty"` // 0 means 0.07 in version 1 and 0.2 in version 2
	Hidden      int     `json:"hidden,omitempty"`      // of version 2's projector; 0 means the encoder's width
	Out         int     `json:"out,omitempty"`         // 0 means 128
	Seed        uint64  `json:"seed"`

	// Groups is the number of groups of a batch with separate batch statistics, as on
	// several devices. With one group, query and key of a sample share their batch with the
	// same samples, and the network can recognise the key by the statistics. 0 means 1.
	Groups int `json:"groups,omitempty"`

	// Shuffle distributes the keys over the groups in a new random order for each batch
	// (shuffling batch normalisation).
	Shuffle bool `json:"shuffle,omitempty"`

	// Momentum gives the weight of the old key encoder per step; nil means 0.999, or 0.99
	// for an encoder below 512 features.
	Momentum optim.Schedule `json:"-"`
}

// MoCo distinguishes the key of a sample from a queue of earlier keys (He et al., "Momentum
// contrast for unsupervised visual representation learning", 2020; version 2: Chen et al.,
// "Improved baselines with momentum contrastive learning", 2020): [QueueNCE]. Queries come
// from the encoder and the first view; keys come from a moving average of its weights, with
// batch statistics of its own, and the second view. It takes two views.
type MoCo struct {
	Tower   *Tower
	Keys    *optim.EMA[*Tower]
	Queue   *tensor.Tensor // [K, d], rows of length 1
	Next    int64          // row of the queue that is replaced next
	Steps   int64          // updates so far
	Options MoCoOptions

	keys     autograd.Var // of the current step
	groups   [2]grouped
	shuffled *tensor.Tensor
}

// NewMoCo returns the method for an encoder. It panics if an option is out of range.
func NewMoCo(e Encoder, o MoCoOptions) *MoCo {
	const op = "ssl.NewMoCo"
	o.Version, o.Groups = cmp.Or(o.Version, 2), cmp.Or(o.Groups, 1)
	if o.Version != 1 && o.Version != 2 {
		tensor.Panic(op, "Version must be 1 or 2")
	}
	o.Queue = sized(o.Queue, e, 65536, 4096)
	o.Hidden, o.Out = cmp.Or(o.Hidden, e.Width()), cmp.Or(o.Out, 128)
	o.Temperature = cmp.Or(o.Temperature, []float64{1: 0.07, 2: 0.2}[o.Version])
	positive(op, "Queue", o.Queue, "Temperature", o.Temperature, "Hidden", o.Hidden, "Out", o.Out, "Groups", o.Groups)
	if o.Momentum == nil {
		o.Momentum = optim.Constant(0.99)
		if wide(e) {
			o.Momentum = optim.Constant(0.999)
		}
	}
	rng := generator(o.Seed)
	widths := []int{e.Width(), o.Hidden, o.Out}
	if o.Version == 1 {
		widths = []int{e.Width(), o.Out}
	}
	t := &Tower{e, perceptron(rng, noNorm, widths...)}
	m := &MoCo{Tower: t, Keys: newTarget(t, o.Momentum), Queue: unitRows(o.Seed, o.Queue, o.Out), Options: o}
	m.groups = [2]grouped{newGrouped(t, o.Groups), newGrouped(m.Keys.Model, o.Groups)}
	return m
}

// Loss implements [Method].
func (m *MoCo) Loss(t *autograd.Tape, b data.Batch) (Output, error) {
	xs, n, err := viewsOf("MoCo", b, 2, 2)
	if err != nil {
		return Output{}, err
	}
	o := m.Options
	if err := divides("MoCo", "the queue", o.Queue, n); err != nil {
		return Output{}, err
	}
	if n%o.Groups != 0 || n == o.Groups {
		return Output{}, groupError(n, o.Groups)
	}
	r := m.groups[0].forward(t, xs[0], m.Tower.Encoder.Forward)
	q := m.Tower.Projector.Forward(r) // which has no batch statistics
	m.keys = m.forwardKeys(t, xs[1])
	out := Output{Features: []autograd.Var{r}, Specific: []autograd.Var{q, m.keys}}
	out.Loss = QueueNCE(q, m.keys, t.Input(m.Queue), o.Temperature)
	return finite("MoCo", out)
}

// forwardKeys returns the keys of x in its order.
func (m *MoCo) forwardKeys(t *autograd.Tape, x *tensor.Tensor) autograd.Var {
	forward := m.Keys.Model.Forward
	if !m.Options.Shuffle || m.Options.Groups == 1 { // one group has the same statistics in any order
		return autograd.Detach(m.groups[1].forward(t, x, forward))
	}
	n := x.Dim(0)
	order := permutation(n, m.Options.Seed, uint64(m.Steps))
	back := make([]int, n)
	if m.shuffled == nil || m.shuffled.Len() != x.Len() {
		m.shuffled = tensor.New(x.Shape()...)
	}
	size := x.Len() / n
	for i, from := range order {
		back[from] = i
		copy(m.shuffled.Data()[i*size:][:size], x.Data()[from*size:][:size])
	}
	return autograd.Detach(autograd.GatherCopy(m.groups[1].forward(t, m.shuffled, forward), back))
}

// Update updates the key encoder and replaces the oldest keys of the queue by those of the
// step.
func (m *MoCo) Update() {
	m.Keys.Decay = m.Options.Momentum(int(m.Steps))
	m.Keys.Update()
	m.Steps++
	if m.keys.IsZero() {
		return
	}
	m.Push(m.keys.Value())
	m.keys = autograd.Var{}
}

// Push replaces the oldest n keys of the queue by keys [n, d], with rows divided by their
// lengths. It panics if the width differs or n is more than the queue.
func (m *MoCo) Push(keys *tensor.Tensor) {
	n, d := keys.Dim(0), m.Queue.Dim(1)
	if keys.Rank() != 2 || keys.Dim(1) != d || n > m.Queue.Dim(0) {
		tensor.Panic("ssl.MoCo.Push", "the keys do not fit the queue", keys.Shape(), m.Queue.Shape())
	}
	for i := range n {
		unit(m.Queue.Data()[int(m.Next)*d:][:d], keys.Data()[i*d:][:d])
		m.Next = (m.Next + 1) % int64(m.Queue.Dim(0))
	}
}

// Walk names projector, keys (the averaged encoder and projector), queue, queue_ptr and
// step.
func (m *MoCo) Walk(w *nn.Walker) {
	w.Child("projector", m.Tower.Projector)
	w.Child("keys", m.Keys)
	w.Buffer("queue", m.Queue)
	w.Counter("queue_ptr", &m.Next)
	w.Counter("step", &m.Steps)
}
