package ssl

import (
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// A snapshot keeps the buffers and counters of a tree.
type snapshot struct {
	buffers  []*tensor.Tensor
	counters []*int64
	values   [][]float32
	counts   []int64
}

func newSnapshot(m nn.Tree) *snapshot {
	s := &snapshot{}
	for e := range nn.State(m) {
		switch {
		case e.Buffer != nil:
			s.buffers = append(s.buffers, e.Buffer)
			s.values = append(s.values, make([]float32, e.Buffer.Len()))
		case e.Counter != nil:
			s.counters = append(s.counters, e.Counter)
		}
	}
	s.counts = make([]int64, len(s.counters))
	return s
}

// take keeps the current values.
func (s *snapshot) take() {
	for i, b := range s.buffers {
		copy(s.values[i], b.Data())
	}
	for i, c := range s.counters {
		s.counts[i] = *c
	}
}

// put puts back what was taken.
func (s *snapshot) put() {
	for i, b := range s.buffers {
		copy(b.Data(), s.values[i])
	}
	for i, c := range s.counters {
		*c = s.counts[i]
	}
}

// grouped passes a batch through a network in groups, each with batch statistics of its own.
// The running estimates then move once, towards the mean of the groups, and not once for
// every group.
type grouped struct {
	groups int
	before *snapshot
	sum    [][]float64
}

func newGrouped(m nn.Tree, groups int) grouped {
	g := grouped{groups: groups, before: newSnapshot(m)}
	for _, b := range g.before.buffers {
		g.sum = append(g.sum, make([]float64, b.Len()))
	}
	return g
}

// forward returns f of x, group by group, with the rows in their order.
func (g *grouped) forward(t *autograd.Tape, x *tensor.Tensor, f func(autograd.Var) autograd.Var) autograd.Var {
	if g.groups == 1 {
		return f(t.Input(x))
	}
	g.before.take()
	for _, s := range g.sum {
		clear(s)
	}
	n := x.Dim(0) / g.groups
	parts := make([]autograd.Var, g.groups)
	for k := range parts {
		g.before.put()
		parts[k] = f(t.Input(x.Slice(k*n, (k+1)*n)))
		for i, b := range g.before.buffers {
			for j, v := range b.Data() {
				g.sum[i][j] += float64(v)
			}
		}
	}
	for i, b := range g.before.buffers {
		for j, v := range g.sum[i] {
			b.Data()[j] = float32(v / float64(g.groups))
		}
	}
	return autograd.ConcatCopy(0, parts...)
}
