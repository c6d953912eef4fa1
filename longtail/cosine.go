package longtail

import (
	"cmp"
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// tiny is the norm below which a vector is divided by this in place of its norm, as
// PyTorch's normalize has it.
const tiny = 1e-12

// A Cosine is a classifier whose logits are Scale times the cosines of the angles between
// features and the rows of Weight: no class gains by a long row, as head classes of a
// linear classifier do.
type Cosine struct {
	Weight *autograd.Param // [classes, in]
	Scale  float64         // 0 means 1, which [LDAM] needs
}

// NewCosine returns a classifier of scale 1. Its rows have length 1 and are drawn from
// the cube [-1, 1] as those of LDAM-DRW; with a nil generator they are 0.
func NewCosine(rng *rand.Rand, in, classes int) *Cosine {
	c := &Cosine{Weight: autograd.NewParam(tensor.New(classes, in))}
	if rng != nil {
		nn.Uniform(rng, c.Weight, -1, 1)
		c.Weight.Update(func(w []float32) {
			for r := range classes {
				row := w[r*in : (r+1)*in]
				kernel.Scale(row, row, float32(1/max(kernel.Norm2(row), tiny)))
			}
		})
	}
	return c
}

// Forward returns logits [N, classes] of features [N, in].
func (c *Cosine) Forward(x autograd.Var) autograd.Var {
	w := autograd.NormalizeRows(x.Tape().Param(c.Weight), tiny)
	z := autograd.MatMulT(autograd.NormalizeRows(x, tiny), w)
	if s := cmp.Or(c.Scale, 1); s != 1 {
		z = autograd.Scale(z, float32(s))
	}
	return z
}

// Promises: see [nn.Promiser].
func (c *Cosine) Promises(self nn.Module) nn.Promise {
	return nn.Promised[*Cosine](self, nn.PerExample)
}

// Walk names weight.
func (c *Cosine) Walk(w *nn.Walker) { w.Param("weight", c.Weight) }

// A Growth is an initialisation of the rows of new classes.
type Growth uint8

const (
	// RandomRows draws them like those of a new classifier.
	RandomRows Growth = iota

	// ImprintRows takes the direction of the class's mean feature and the mean length of
	// the old rows (Qi, Brown and Lowe, "Low-shot learning with imprinted weights", 2018).
	// Biases are 0.
	ImprintRows

	// ZeroRows leaves rows and biases 0.
	ZeroRows
)

func (g Growth) String() string {
	switch g {
	case RandomRows:
		return "random"
	case ImprintRows:
		return "imprint"
	case ZeroRows:
		return "zero"
	}
	return fmt.Sprintf("Growth(%d)", uint8(g))
}

// GrowOptions are the settings of [Grow].
type GrowOptions struct {
	Rows  Growth
	Seed  uint64         // of RandomRows
	Means *tensor.Tensor // [new, in], for ImprintRows: the mean feature of each new class; see [ClassMeans]
}

// Grow returns a classifier with the given number of classes. Its first rows and biases are
// those of l, bit for bit, so the logits of the old classes do not change. All rows are new
// parameters, so they need a new optimiser. It panics if classes is not above l's, or the
// options do not fit.
func Grow(l *nn.Linear, classes int, o GrowOptions) *nn.Linear {
	in := l.Weight.Shape()[1]
	grown := nn.NewLinear(o.rng(), in, classes)
	o.rows("longtail.Grow", grown.Weight, l.Weight)
	if l.Bias == nil {
		grown.Bias = nil
		return grown
	}
	old := l.Bias.Value().Data()
	grown.Bias.Update(func(b []float32) { copy(b, old) })
	return grown
}

// Grow is [Grow] for a cosine classifier.
func (c *Cosine) Grow(classes int, o GrowOptions) *Cosine {
	grown := NewCosine(o.rng(), c.Weight.Shape()[1], classes)
	grown.Scale = c.Scale
	o.rows("longtail.Cosine.Grow", grown.Weight, c.Weight)
	return grown
}

// rng draws RandomRows.
func (o GrowOptions) rng() *rand.Rand {
	if o.Rows != RandomRows {
		return nil
	}
	return rand.New(rand.NewPCG(o.Seed, 0x67726f77))
}

// rows copies the old rows into grown, and makes those of the new classes.
func (o GrowOptions) rows(op string, grown, old *autograd.Param) {
	classes, in := grown.Shape()[0], grown.Shape()[1]
	have := old.Shape()[0]
	if classes <= have {
		tensor.Panic(op, fmt.Sprintf("from %d classes to %d", have, classes))
	}
	if o.Rows > ZeroRows {
		tensor.Panic(op, fmt.Sprintf("%v says nothing about new rows", o.Rows))
	}
	if imprint := o.Rows == ImprintRows; imprint != (o.Means != nil) || imprint && (o.Means.Rank() != 2 || o.Means.Dim(0) != classes-have || o.Means.Dim(1) != in) {
		shapes := [][]int{}
		if o.Means != nil {
			shapes = append(shapes, o.Means.Shape())
		}
		tensor.Panic(op, fmt.Sprintf("means [%d, %d] go with ImprintRows, and with that alone", classes-have, in), shapes...)
	}
	grown.Update(func(w []float32) {
		v := old.Value().Data()
		copy(w, v)
		if o.Rows != ImprintRows {
			return
		}
		length := 0.0
		for r := range have {
			length += kernel.Norm2(v[r*in:(r+1)*in]) / float64(have)
		}
		for r := have; r < classes; r++ {
			mean := o.Means.Index(r - have).Data()
			kernel.Scale(w[r*in:(r+1)*in], mean, float32(length/max(kernel.Norm2(mean), tiny)))
		}
	})
}
