package autograd

import (
	"sync"

	"github.com/mettleml/mettle/internal/parallel"
	"github.com/mettleml/mettle/tensor"
)

// pieceFloats is how much memory for intermediate results the pieces of a batch
// should need each, in floats: a few megabytes, so that what one operation wrote is
// still in a near cache when the next reads it.
const pieceFloats = 5 << 18

// PerExample returns f(x) for a batch x [N, ...]. On an Inference tape and for four
// examples or more it computes f in pieces along the first axis, several at a time,
// because a piece stays in a processor's cache. An example's result has the same bits
// either way. The function f must treat examples independently, keep the first axis,
// use no Var but its argument and the parameters it enters on that Var's tape, and
// allow calls by several goroutines. PerExample panics if f does not keep the first
// axis.
func PerExample(x Var, f func(x Var) Var) Var {
	const op = "autograd.PerExample"
	n := x.node(op)
	t := x.tape
	if t.mode != Inference || t.piece || n.rank == 0 || n.dims[0] < 4 {
		return f(x)
	}
	// The first example tells the shape of the result and the memory it takes.
	p := pieces{t: t, x: n, f: f, examples: n.dims[0]}
	p.row = len(n.data) / p.examples
	kid := p.kid()
	first := f(p.enter(kid, 0, 1)).node(op)
	if first.rank == 0 || first.dims[0] != 1 {
		tensor.Panic(op, "the function does not keep the first axis", first.shape())
	}
	dims := first.dims
	dims[0] = p.examples
	p.y = t.newNode(dims[:first.rank]...)
	copy(p.y.data, first.data)
	size := max(1, pieceFloats/max(kid.mem.peak, 1))
	p.put(kid)

	rest := p.examples - 1
	parts := (rest + size - 1) / size
	p.size = (rest + parts - 1) / parts
	parallel.Run(parts, &p)
	return p.y.v(t)
}

// pieces is a batch cut into pieces of so many examples, but for the first example.
type pieces struct {
	t         *Tape
	x, y      *node
	f         func(x Var) Var
	examples  int
	row, size int

	mu sync.Mutex // guards t.kids
}

// kid returns an empty tape for a piece.
func (p *pieces) kid() *Tape {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.t.kids); n > 0 {
		k := p.t.kids[n-1]
		p.t.kids = p.t.kids[:n-1]
		return k
	}
	k := NewTape(Inference, p.t.seed)
	k.piece = true
	return k
}

func (p *pieces) put(k *Tape) {
	k.Reset()
	p.mu.Lock()
	p.t.kids = append(p.t.kids, k)
	p.mu.Unlock()
}

// enter enters examples lo to hi-1 on a piece's tape.
func (p *pieces) enter(k *Tape, lo, hi int) Var {
	dims := p.x.dims
	dims[0] = hi - lo
	n := k.bareNode(dims[:p.x.rank])
	n.data = p.x.data[lo*p.row : hi*p.row : hi*p.row]
	return n.v(k)
}

// Part computes one piece.
func (p *pieces) Part(i int) {
	lo := 1 + i*p.size
	hi := min(lo+p.size, p.examples)
	if lo >= hi {
		return
	}
	k := p.kid()
	y := p.f(p.enter(k, lo, hi)).node("autograd.PerExample")
	out := len(p.y.data) / p.examples
	if len(y.data) != (hi-lo)*out {
		tensor.Panic("autograd.PerExample", "the function does not treat examples alike", p.enter(k, lo, hi).Shape(), y.shape())
	}
	copy(p.y.data[lo*out:hi*out], y.data)
	p.put(k)
}
