package ssl

import (
	"cmp"
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// InstDiscOptions are the settings of [InstDisc].
type InstDiscOptions struct {
	Samples     int     `json:"samples"`               // of the data set; it has no default
	Temperature float64 `json:"temperature,omitempty"` // 0 means 0.07
	Out         int     `json:"out,omitempty"`         // 0 means 128
	Keep        float64 `json:"keep,omitempty"`        // weight of the old memory; 0 means 0.5
	Seed        uint64  `json:"seed"`

	// Negatives is the number of negatives per batch for noise-contrastive estimation; 0
	// means 4096. Full instead takes the softmax over the whole memory, which is affordable
	// for some ten thousand samples and needs no estimate of Z.
	Negatives int  `json:"negatives,omitempty"`
	Full      bool `json:"full,omitempty"`
}

// InstDisc treats every sample as a class of its own, with a memory of its feature as the
// class's weight vector (Wu et al., "Unsupervised feature learning via non-parametric
// instance discrimination", 2018). With u the projection of sample i and m the memory, both
// of length 1,
//
//	P(j|u) = exp(u·m_j/T) / Z
//
// The loss is -log P(i|u) with the exact Z (option Full), or by noise-contrastive
// estimation with K negatives from a uniform noise,
//
//	-log h(P(i|u)) - Σ_k log(1 - h(P(k|u))),   h(P) = P / (P + K/N)
//
// with Z estimated once, from the first batch. After each step the memory of the samples
// becomes Keep·m + (1-Keep)·u, scaled to length 1. It takes one view.
type InstDisc struct {
	Tower   *Tower
	Memory  *tensor.Tensor // [Samples, d], rows of length 1
	Z       *tensor.Tensor // [1]: estimate of Z; 0 before the first batch
	Steps   int64
	Options InstDiscOptions

	current autograd.Var
	indices []int
}

// NewInstDisc returns the method for an encoder. It panics if an option is out of range.
func NewInstDisc(e Encoder, o InstDiscOptions) *InstDisc {
	const op = "ssl.NewInstDisc"
	o.Temperature, o.Out = cmp.Or(o.Temperature, 0.07), cmp.Or(o.Out, 128)
	o.Keep, o.Negatives = cmp.Or(o.Keep, 0.5), cmp.Or(o.Negatives, 4096)
	positive(op, "Samples", o.Samples, "Temperature", o.Temperature, "Out", o.Out, "Negatives", o.Negatives)
	if !(o.Keep > 0 && o.Keep < 1) {
		tensor.Panic(op, fmt.Sprintf("Keep is %v and must be in (0, 1)", o.Keep))
	}
	return &InstDisc{
		Tower:   &Tower{e, perceptron(generator(o.Seed), noNorm, e.Width(), o.Out)},
		Memory:  unitRows(o.Seed, o.Samples, o.Out),
		Z:       tensor.New(1),
		Options: o,
	}
}

// Loss implements [Method].
func (m *InstDisc) Loss(t *autograd.Tape, b data.Batch) (Output, error) {
	xs, n, err := viewsOf("InstDisc", b, 1, 2)
	if err != nil {
		return Output{}, err
	}
	if len(b.Indices) != n {
		return Output{}, fmt.Errorf("ssl: InstDisc: %d indices for %d samples", len(b.Indices), n)
	}
	for _, i := range b.Indices {
		if i < 0 || i >= m.Options.Samples {
			return Output{}, fmt.Errorf("ssl: InstDisc: the batch has sample %d and the memory is for %d (option Samples)", i, m.Options.Samples)
		}
	}
	r := m.Tower.Encoder.Forward(t.Input(xs[0]))
	z := m.Tower.Projector.Forward(r)
	u := autograd.NormalizeRows(z, tiny)
	out := Output{Features: []autograd.Var{r}, Specific: []autograd.Var{z}}
	memory := t.Input(m.Memory)
	inverse := float32(1 / m.Options.Temperature)
	m.indices = append(m.indices[:0], b.Indices...)
	if m.Options.Full {
		out.Loss = autograd.CrossEntropy(autograd.Scale(autograd.MatMulT(u, memory), inverse), m.indices, autograd.CrossEntropyOptions{})
	} else {
		out.Loss = m.estimate(u, memory, inverse)
	}
	m.current = u
	return finite("InstDisc", out)
}

// estimate is the loss by noise-contrastive estimation.
func (m *InstDisc) estimate(u, memory autograd.Var, inverse float32) autograd.Var {
	n, k, total := u.Dim(0), m.Options.Negatives, m.Options.Samples
	rng := rand.New(rand.NewPCG(m.Options.Seed, uint64(m.Steps)))
	drawn := make([]int, k)
	for i := range drawn {
		drawn[i] = rng.IntN(total)
	}
	own := autograd.Reshape(autograd.SumAxes(autograd.Mul(u, autograd.GatherCopy(memory, m.indices)), 1), n, 1)
	scores := autograd.Scale(autograd.ConcatCopy(1, own, autograd.MatMulT(u, autograd.GatherCopy(memory, drawn))), inverse) // [n, 1+k]
	if m.Z.Data()[0] == 0 {
		sum := 0.0
		for i, s := range scores.Data() {
			if i%(k+1) > 0 { // the negatives are drawn from all samples
				sum += bounded(float64(s))
			}
		}
		m.Z.Data()[0] = float32(sum / float64(n*k) * float64(total))
	}
	// With l = log P - log(K/N), h = sigmoid(l): -log h = softplus(-l) and
	// -log(1-h) = softplus(l).
	l := autograd.AddScalar(scores, float32(-logOf(float64(m.Z.Data()[0]))-logOf(float64(k)/float64(total))))
	loss := autograd.Sum(autograd.Softplus(autograd.Neg(autograd.NarrowCopy(l, 1, 0, 1, 1))))
	loss = autograd.Add(loss, autograd.Sum(autograd.Softplus(autograd.NarrowCopy(l, 1, 1, k+1, 1))))
	return autograd.Scale(loss, 1/float32(n))
}

// Update updates the memory of the samples of the step.
func (m *InstDisc) Update() {
	m.Steps++
	if m.current.IsZero() {
		return
	}
	d, keep := m.Options.Out, float32(m.Options.Keep)
	for k, i := range m.indices {
		row := m.Memory.Data()[i*d:][:d]
		for j, v := range m.current.Data()[k*d:][:d] {
			row[j] = keep*row[j] + float32((1-keep)*v)
		}
		unit(row, row)
	}
	m.current = autograd.Var{}
}

// Walk names projector, memory, z and step.
func (m *InstDisc) Walk(w *nn.Walker) {
	w.Child("projector", m.Tower.Projector)
	w.Buffer("memory", m.Memory)
	w.Buffer("z", m.Z)
	w.Counter("step", &m.Steps)
}
