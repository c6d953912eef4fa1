package autograd

import (
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// Gradients returns the derivatives of a loss, which must hold exactly one element.
// Without further arguments they are the derivatives with respect to every watched
// input and every parameter that the loss depends on, frozen parameters excepted. With
// arguments they are the derivatives with respect to these sources only, any Vars and
// Params of the tape, and nothing else is computed.
//
// A program may call Gradients several times before Reset, for one loss or several.
// Derivatives are of first order only: the tape does not record how it computed them.
// Gradients panics if the loss does not hold one element, if it or a source is on
// another tape, on an Inference tape, and if a parameter on the way has changed since
// it entered the tape.
func (t *Tape) Gradients(loss Var, wrt ...Source) *Gradients {
	const op = "autograd.Tape.Gradients"
	root := loss.on(op, t)
	if len(root.data) != 1 {
		tensor.Panic(op, "not exactly one element", root.shape())
	}
	return t.differentiate(op, root, nil, wrt)
}

// differentiate returns the gradients of the sum of root's elements weighted by
// weights, or of a scalar root if that is nil.
func (t *Tape) differentiate(op string, root *node, weights []float32, wrt []Source) *Gradients {
	if t.mode == Inference {
		tensor.Panic(op, "an Inference tape records nothing to differentiate")
	}
	g := t.newGradients()
	t.plan(op, root, wrt)
	if !t.need[root.id] {
		return g
	}
	root.grad = t.mem.get(len(root.data))
	root.grad.buf[0] = 1
	copy(root.grad.buf, weights)
	for id := root.id; id >= 0; id-- {
		y := t.nodes[id]
		if y.grad == nil {
			continue
		}
		if t.target[id] {
			g.keep(t, y)
		}
		if y.op != nil && slices.ContainsFunc(y.in, t.wants) { // else y itself is what is wanted
			for _, x := range y.in {
				if x != nil && x.holds != nil && x.holds.Version() != x.version {
					tensor.Panic(op, "a parameter has changed since the forward pass", x.shape())
				}
			}
			y.op.backward(t, y)
		}
		t.mem.put(y.grad)
		y.grad = nil
	}
	g.settle(t)
	return g
}

// plan marks the nodes whose gradients are wanted (target) and those through
// which they are reached (need).
func (t *Tape) plan(op string, root *node, wrt []Source) {
	t.need = append(t.need[:0], make([]bool, root.id+1)...)
	t.target = append(t.target[:0], make([]bool, root.id+1)...)
	for _, s := range wrt {
		if n := s.source(op, t); n != nil && n.id <= root.id {
			t.target[n.id] = true
		}
	}
	for id, n := range t.nodes[:root.id+1] {
		if len(wrt) == 0 {
			t.target[id] = n.needs && n.op == nil
		}
		t.need[id] = t.target[id] || n.op != nil && slices.ContainsFunc(n.in, t.wants)
	}
}

// wants reports whether the pass under way needs the gradient of x. A nil node
// is an absent operand.
func (t *Tape) wants(x *node) bool { return x != nil && t.need[x.id] }

// gradInto returns the memory for the gradient of x: the operation adds to it if
// add, and otherwise writes every element.
func (t *Tape) gradInto(x *node) (dst []float32, add bool) {
	if x.grad == nil {
		x.grad = t.mem.get(len(x.data))
		return x.gradient(), false
	}
	return t.own(x), true
}

// gradIntoWanted is gradInto, or nil if the gradient of x is not needed.
func (t *Tape) gradIntoWanted(x *node) (dst []float32, add bool) {
	if !t.wants(x) {
		return nil, false
	}
	return t.gradInto(x)
}

// own returns the gradient of x for writing, unshared.
func (t *Tape) own(x *node) []float32 {
	if x.grad.refs > 1 {
		b := t.mem.get(len(x.data))
		copy(b.buf, x.gradient())
		t.mem.put(x.grad)
		x.grad = b
	}
	return x.gradient()
}

// give lets fill write a contribution to the gradient of x, which is then added
// to what is there already.
func (t *Tape) give(x *node, fill func(dst []float32)) {
	dst, add := t.gradInto(x)
	if !add {
		fill(dst)
		return
	}
	b := t.mem.get(len(dst))
	fill(b.buf[:len(dst)])
	kernel.Axpy(dst, 1, b.buf[:len(dst)])
	t.mem.put(b)
}

// pass hands the gradient of y on to x, which has as many elements, as it is.
func (t *Tape) pass(x, y *node) {
	if x.grad == nil {
		x.grad = y.grad
		y.grad.refs++
		return
	}
	kernel.Axpy(t.own(x), 1, y.gradient())
}

// adopt makes b, memory with a contribution to the gradient of x, that gradient, or
// adds it to what is there. A nil b is no contribution.
func (t *Tape) adopt(x *node, b *block) {
	switch {
	case b == nil:
	case x.grad == nil:
		x.grad = b
	default:
		dx := t.own(x)
		kernel.Axpy(dx, 1, b.buf[:len(dx)])
		t.mem.put(b)
	}
}
