package autograd

import (
	"fmt"
	"math"
	"slices"

	"github.com/mettleml/mettle/tensor"
)

// A Mode says what a forward pass is for. The zero value is Training.
type Mode uint8

const (
	// Training records operations. Layers of batch normalisation use the statistics of
	// the batch and update the running ones, and dropout drops.
	Training Mode = iota

	// Eval records operations. Layers of batch normalisation use running statistics, and
	// dropout does nothing. It is the mode for the gradient of an attack or a saliency map.
	Eval

	// Inference computes as Eval does, up to rounding ([ConvBatchNorm]), and records nothing.
	Inference
)

// String returns the mode's name.
func (m Mode) String() string {
	if m > Inference {
		return fmt.Sprintf("Mode(%d)", uint8(m))
	}
	return [...]string{"Training", "Eval", "Inference"}[m]
}

// MaxRank is the largest number of axes of a Var.
const MaxRank = 6

// A Tape records the operations on the tensors and parameters that enter it, and owns
// the memory of every result. One goroutine uses a tape at a time; goroutines with
// tapes of their own may share parameters.
type Tape struct {
	mode Mode
	seed uint64
	step uint64
	draw uint64

	gen    uint32 // of the Vars that are valid
	nodes  []*node
	used   int // nodes of this generation
	params map[*Param]*node
	mem    arena

	ins    []*node // backing store of the nodes' inputs
	ops    []any   // operation records, reused by position
	opsUse int

	piece bool    // serves a piece of a batch, see PerExample
	kids  []*Tape // for pieces of batches on this tape

	results      []*derivatives // reused by position
	resultsUse   int
	need, target []bool // scratch of a backward pass
}

// NewTape returns an empty tape at step 0. Seed and step, which [Tape.Reset] counts,
// determine every random draw of an operation such as [Dropout]. NewTape panics if the
// mode is unknown.
func NewTape(mode Mode, seed uint64) *Tape {
	if mode > Inference {
		tensor.Panic("autograd.NewTape", "no such mode: "+mode.String())
	}
	return &Tape{mode: mode, seed: seed, gen: 1, params: make(map[*Param]*node)}
}

// Mode returns the tape's mode.
func (t *Tape) Mode() Mode { return t.mode }

// Reset forgets all operations, takes back all memory and begins the next step. Every
// Var of the tape is invalid afterwards, and so is every tensor and slice that was
// reached through one.
func (t *Tape) Reset() { t.ResetTo(t.step + 1) }

// ResetTo is [Tape.Reset] with a chosen step. A run that resumes at step n calls
// ResetTo(n) where the uninterrupted run called Reset, and draws the same random
// numbers.
func (t *Tape) ResetTo(step uint64) {
	t.step = step
	t.draw = 0
	t.gen++
	for _, n := range t.nodes[:t.used] {
		n.clear()
	}
	t.used = 0
	clear(t.params)
	clear(t.ins)
	t.ins = t.ins[:0]
	t.opsUse = 0
	t.resultsUse = 0
	t.mem.reset()
}

// MemoryBytes returns the number of bytes that the tape holds for results and
// gradients, in use or free for reuse.
func (t *Tape) MemoryBytes() int {
	n := 0
	for _, b := range t.mem.all {
		n += 4 * len(b.buf)
	}
	for _, k := range t.kids {
		n += k.MemoryBytes()
	}
	return n
}

// Step returns the number of the current step: the number of Resets since NewTape, or
// since ResetTo plus its argument.
func (t *Tape) Step() uint64 { return t.step }

// key returns the key of the next random draw. Draws are counted, so a key
// depends on the seed, the step and the draw's place among those of the step.
func (t *Tape) key() uint64 {
	k := mix(t.seed ^ mix(t.step^mix(t.draw)))
	t.draw++
	return k
}

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) after its
// additive step.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Input enters a tensor without a gradient, and returns it as a Var of the same shape.
// The tape does not copy x, which must not change before Reset. Input panics if x has
// more than [MaxRank] axes.
func (t *Tape) Input(x *tensor.Tensor) Var { return t.enter(x).v(t) }

// Watch enters a tensor with a gradient, such as the image of an attack, and returns
// it as a Var of the same shape. The tape does not copy x, which must not change
// before Reset. Watch panics if x has more than [MaxRank] axes.
func (t *Tape) Watch(x *tensor.Tensor) Var {
	n := t.enter(x)
	n.needs = t.mode != Inference
	return n.v(t)
}

// Param enters a parameter and returns it as a Var of the same shape. Layers call it
// for their weights. Until Reset, the same parameter gives the same Var. Param panics
// if p has more than [MaxRank] axes.
func (t *Tape) Param(p *Param) Var {
	n := t.params[p]
	if n == nil {
		n = t.enter(p.value)
		n.param, n.holds, n.version = p, p, p.Version()
		n.needs = t.mode != Inference && !p.Frozen()
		t.params[p] = n
	}
	return n.v(t)
}

// Constant enters a single number, a scalar without a gradient.
func (t *Tape) Constant(x float32) Var {
	n := t.newNode()
	n.data[0] = x
	return n.v(t)
}

func (t *Tape) enter(x *tensor.Tensor) *node {
	n := t.bareNode(x.Shape())
	n.data = x.Data()
	return n
}

// A node is one value on a tape.
type node struct {
	id    int
	dims  [MaxRank]int
	rank  int
	data  []float32
	mem   *block // owns data; nil if somebody outside does
	freed bool

	exact   float64 // the value of a scalar before rounding, if isExact
	isExact bool

	needs   bool // a gradient may be asked for
	in      []*node
	op      op
	grad    *block
	param   *Param // that the node is
	holds   *Param // whose elements data are, of this version: param, or a view's
	version uint64
}

// op is how an operation takes part in a backward pass.
type op interface {
	// backward hands the gradient of y (y.gradient()) on to those of y's inputs
	// that want one (t.wants), by t.give, t.gradInto and the like.
	backward(t *Tape, y *node)
}

func (n *node) shape() []int { return n.dims[:n.rank] }

func (n *node) clear() {
	id := n.id
	*n = node{id: id}
}

func (n *node) v(t *Tape) Var { return Var{tape: t, id: n.id, gen: t.gen} }

// gradient returns the elements of n's gradient, for reading.
func (n *node) gradient() []float32 { return n.grad.buf[:len(n.data)] }

// bareNode returns a node of the given shape without memory.
func (t *Tape) bareNode(shape []int) *node {
	if len(shape) > MaxRank {
		tensor.Panic("autograd", fmt.Sprintf("rank above %d", MaxRank), shape)
	}
	if t.used == len(t.nodes) {
		t.nodes = append(t.nodes, &node{id: t.used})
	}
	n := t.nodes[t.used]
	t.used++
	n.rank = copy(n.dims[:], shape)
	return n
}

// newNode returns a node of the given shape with memory of unspecified content.
func (t *Tape) newNode(shape ...int) *node {
	n := t.bareNode(shape)
	size := 1
	for _, d := range shape {
		if d < 0 || d > 0 && size > math.MaxInt/4/d {
			tensor.Panic("autograd", "a dimension is negative or the shape is too large", shape)
		}
		size *= d
	}
	n.mem = t.mem.get(size)
	n.data = n.mem.buf[:size:size]
	return n
}

// like returns a node of the shape of x with memory of unspecified content.
func (t *Tape) like(x *node) *node { return t.newNode(x.shape()...) }

// view returns a node of another shape on the memory of x.
func (t *Tape) view(x *node, shape []int) *node {
	n := t.bareNode(shape)
	n.data = x.data
	n.holds, n.version = x.holds, x.version
	if x.mem != nil {
		n.mem = x.mem
		n.mem.refs++
	}
	return n
}

// records reports whether an operation on these inputs must be recorded. Nil
// inputs are allowed and ignored.
func (t *Tape) records(in ...*node) bool {
	return t.mode != Inference && slices.ContainsFunc(in, func(n *node) bool { return n != nil && n.needs })
}

// record makes y the result of an operation of type T on the given inputs and
// returns the operation's record, zeroed, to be filled in. Records are reused by
// position: a loop that repeats its operations allocates none.
func record[T any, P interface {
	*T
	op
}](t *Tape, y *node, in ...*node) *T {
	y.needs = true
	from := len(t.ins)
	t.ins = append(t.ins, in...)
	y.in = t.ins[from:len(t.ins):len(t.ins)]
	if t.opsUse < len(t.ops) {
		if o, ok := t.ops[t.opsUse].(*T); ok {
			t.opsUse++
			var zero T
			*o = zero
			y.op = P(o)
			return o
		}
		t.ops = t.ops[:t.opsUse]
	}
	o := new(T)
	t.ops = append(t.ops, o)
	t.opsUse++
	y.op = P(o)
	return o
}

// MultiplyAdds returns the number of multiply-adds per forward pass in the
// convolutions and matrix products recorded since Reset. Only operations on the way
// from a parameter or a watched input are recorded, and none on an Inference tape.
func (t *Tape) MultiplyAdds() int64 {
	var sum int64
	for _, n := range t.nodes[:t.used] {
		if o, ok := n.op.(interface{ multiplyAdds(y *node) int64 }); ok {
			sum += o.multiplyAdds(n)
		}
	}
	return sum
}
