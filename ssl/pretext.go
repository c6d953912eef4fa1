package ssl

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// RotationOptions are the settings of [Rotation].
type RotationOptions struct {
	// Out is the width of a two-layer projector between the features and the head; its
	// outputs are the specific features. 0 means no projector.
	Out  int    `json:"out,omitempty"`
	Seed uint64 `json:"seed"`

	// Random rotates each sample once, by a random multiple, instead of by all four: a
	// quarter of the work per step.
	Random bool `json:"random,omitempty"`
}

// Rotation predicts by which multiple of 90 degrees a sample was rotated (Gidaris, Singh
// and Komodakis, "Unsupervised representation learning by predicting image rotations",
// 2018): cross-entropy of a linear head over four classes. It takes one view, of square
// samples.
type Rotation struct {
	Tower   *Tower
	Head    *nn.Linear
	Steps   int64
	Options RotationOptions

	turned *tensor.Tensor
	labels []int
}

// NewRotation returns the method for an encoder. It panics if an option is out of range.
func NewRotation(e Encoder, o RotationOptions) *Rotation {
	if o.Out < 0 {
		tensor.Panic("ssl.NewRotation", fmt.Sprintf("Out is %d", o.Out))
	}
	rng := generator(o.Seed)
	var p nn.Module = nn.Identity{}
	width := e.Width()
	if o.Out > 0 {
		p, width = perceptron(rng, noNorm, width, width, o.Out), o.Out
	}
	return &Rotation{Tower: &Tower{e, p}, Head: nn.NewLinear(rng, width, 4), Options: o}
}

// Loss implements [Method].
func (m *Rotation) Loss(t *autograd.Tape, b data.Batch) (Output, error) {
	xs, n, err := viewsOf("Rotation", b, 1, 1)
	if err != nil {
		return Output{}, err
	}
	x := xs[0]
	shape := x.Shape()
	if len(shape) < 3 || shape[len(shape)-1] != shape[len(shape)-2] {
		return Output{}, fmt.Errorf("ssl: Rotation turns square samples and these are %v", shape[1:])
	}
	copies := 4
	if m.Options.Random {
		copies = 1
	}
	if m.turned == nil || m.turned.Len() != copies*x.Len() {
		m.turned = tensor.New(append([]int{copies * n}, shape[1:]...)...)
	}
	m.labels = m.labels[:0]
	side := shape[len(shape)-1]
	size := x.Len() / n
	rng := rand.New(rand.NewPCG(m.Options.Seed, uint64(m.Steps)))
	for k := range copies * n {
		turns := k / n
		if m.Options.Random {
			turns = rng.IntN(4)
		}
		m.labels = append(m.labels, turns)
		kernel.Rot90(m.turned.Data()[k*size:][:size], x.Data()[k%n*size:][:size], size/(side*side), side, side, turns)
	}
	r := m.Tower.Encoder.Forward(t.Input(m.turned))
	s := m.Tower.Projector.Forward(r)
	logits := m.Head.Forward(s)
	return finite("Rotation", Output{
		Loss:     autograd.CrossEntropy(logits, m.labels, autograd.CrossEntropyOptions{}),
		Features: []autograd.Var{rows(r, 0, n)}, // of the upright copies, but with Random
		Specific: []autograd.Var{rows(s, 0, n)},
		Pretext:  nn.Accuracy(logits.Value(), m.labels),
	})
}

// Update counts the step.
func (m *Rotation) Update() { m.Steps++ }

// Walk names projector, head and step.
func (m *Rotation) Walk(w *nn.Walker) {
	w.Child("projector", m.Tower.Projector)
	w.Child("head", m.Head)
	w.Counter("step", &m.Steps)
}

// JigsawOptions are the settings of [Jigsaw].
type JigsawOptions struct {
	Gap    int    `json:"gap,omitempty"`    // pixels by which a tile is smaller than its quarter; 0 means an eighth of the quarter, -1 none
	Hidden int    `json:"hidden,omitempty"` // width of the specific features; 0 means 128
	Seed   uint64 `json:"seed"`
}

// Jigsaw predicts in which of 24 orders the four quarters of a sample were put (after
// Noroozi and Favaro, "Unsupervised learning of visual representations by solving jigsaw
// puzzles", 2016, with nine pieces and a subset of their orders; four pieces, for small
// samples, are ours). A tile is cropped from its quarter at a random place, so that edges
// do not match, and each of its channels is standardised. The encoder sees one tile at a
// time; a hidden layer with ReLU and a linear head take the features of all four. It takes
// one view, with even sides.
type Jigsaw struct {
	Encoder Encoder
	Merge   *nn.Sequential // [n, 4·Width] to [n, Hidden]
	Head    *nn.Linear
	Steps   int64
	Options JigsawOptions

	tiles  *tensor.Tensor
	labels []int
}

// orders are the 24 permutations of four tiles, in lexicographic order.
var orders = func() (list [][4]int) {
	for k := range 256 {
		p := [4]int{k >> 6 & 3, k >> 4 & 3, k >> 2 & 3, k & 3}
		if 1<<p[0]|1<<p[1]|1<<p[2]|1<<p[3] == 15 {
			list = append(list, p)
		}
	}
	return list
}()

// NewJigsaw returns the method for an encoder. It panics if an option is out of range.
func NewJigsaw(e Encoder, o JigsawOptions) *Jigsaw {
	if o.Hidden == 0 {
		o.Hidden = 128
	}
	positive("ssl.NewJigsaw", "Hidden", o.Hidden)
	if o.Gap < -1 {
		tensor.Panic("ssl.NewJigsaw", fmt.Sprintf("Gap is %d", o.Gap))
	}
	rng := generator(o.Seed)
	return &Jigsaw{
		Encoder: e,
		Merge:   nn.NewSequential(nn.NewLinear(rng, 4*e.Width(), o.Hidden), nn.ReLU{}),
		Head:    nn.NewLinear(rng, o.Hidden, len(orders)),
		Options: o,
	}
}

// Loss implements [Method].
func (m *Jigsaw) Loss(t *autograd.Tape, b data.Batch) (Output, error) {
	xs, n, err := viewsOf("Jigsaw", b, 1, 1)
	if err != nil {
		return Output{}, err
	}
	x := xs[0]
	shape := x.Shape()
	if len(shape) != 4 || shape[2]%2 != 0 || shape[3]%2 != 0 {
		return Output{}, fmt.Errorf("ssl: Jigsaw cuts images with even sides into quarters and these are %v", shape[1:])
	}
	m.cut(x)
	r := m.Encoder.Forward(t.Input(m.tiles)) // [4·n, Width], place after place
	w := r.Dim(1)
	all := autograd.Reshape(autograd.PermuteCopy(autograd.Reshape(r, 4, n, w), 1, 0, 2), n, 4*w)
	s := m.Merge.Forward(all)
	logits := m.Head.Forward(s)
	return finite("Jigsaw", Output{
		Loss:     autograd.CrossEntropy(logits, m.labels, autograd.CrossEntropyOptions{}),
		Features: []autograd.Var{autograd.MeanAxes(autograd.Reshape(r, 4, n, w), 0)},
		Specific: []autograd.Var{s},
		Pretext:  nn.Accuracy(logits.Value(), m.labels),
	})
}

// cut fills tiles and labels: entry p·n+k is what stands at place p of sample k.
func (m *Jigsaw) cut(x *tensor.Tensor) {
	n, c, h, w := x.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3)
	gap := func(cell int) int {
		switch m.Options.Gap {
		case -1:
			return 0
		case 0:
			return cell / 8
		}
		return min(m.Options.Gap, cell-1)
	}
	gh, gw := gap(h/2), gap(w/2)
	th, tw := h/2-gh, w/2-gw
	if m.tiles == nil || m.tiles.Len() != 4*n*c*th*tw {
		m.tiles = tensor.New(4*n, c, th, tw)
	}
	m.labels = m.labels[:0]
	rng := rand.New(rand.NewPCG(m.Options.Seed, uint64(m.Steps)))
	for k := range n {
		label := rng.IntN(len(orders))
		m.labels = append(m.labels, label)
		for place, from := range orders[label] {
			top, left := from/2*(h/2)+rng.IntN(gh+1), from%2*(w/2)+rng.IntN(gw+1)
			for ch := range c {
				tile := m.tiles.Data()[((place*n+k)*c+ch)*th*tw:][:th*tw]
				for y := range th {
					copy(tile[y*tw:][:tw], x.Data()[((k*c+ch)*h+top+y)*w+left:])
				}
				standardize(tile)
			}
		}
	}
}

// standardize makes mean 0 and variance 1 of x; a constant becomes 0.
func standardize(x []float32) {
	mean := kernel.Mean(x)
	sum := 0.0
	for _, v := range x {
		sum += (float64(v) - mean) * (float64(v) - mean)
	}
	scale := 1 / math.Sqrt(sum/float64(len(x))+1e-5)
	kernel.Affine(x, float32(scale), x, float32(-mean*scale))
}

// Update counts the step.
func (m *Jigsaw) Update() { m.Steps++ }

// Walk names merge, head and step.
func (m *Jigsaw) Walk(w *nn.Walker) {
	w.Child("merge", m.Merge)
	w.Child("head", m.Head)
	w.Counter("step", &m.Steps)
}
