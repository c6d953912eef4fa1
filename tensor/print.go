package tensor

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Of a tensor with more than summarise elements, the first and last edge entries
// of every long axis are printed. Lines are at most lineLen characters
// long, unless the brackets and one element need more.
const (
	summarise = 1000
	edge      = 3
	lineLen   = 100
)

// String returns the shape and the elements, in brackets for each axis and in
// aligned columns; of a large tensor only the corners. It is what %v prints.
func (t *Tensor) String() string {
	if t == nil {
		return "<nil>"
	}
	// An empty tensor may have many empty entries.
	p := printer{t: t, all: len(t.data) <= summarise && len(t.data) > 0}
	p.values(0, 0, func(v float32) { p.look(v) })
	p.values(0, 0, func(v float32) { p.width = max(p.width, len(p.format(v))) })
	fmt.Fprintf(&p.b, "tensor %v", t.shape)
	if len(t.shape) == 0 {
		p.b.WriteByte(' ')
	} else {
		p.b.WriteByte('\n')
	}
	p.print(0, 0)
	return p.b.String()
}

// A printer writes a tensor as text.
type printer struct {
	t               *Tensor
	b               strings.Builder
	all             bool // print every element
	width           int  // of a column
	fractions, wide bool // some value is not whole; some is very small or large
}

// entries calls f for every entry of an axis that is printed, and dots where
// some are left out.
func (p *printer) entries(axis int, f func(i int), dots func()) {
	n := p.t.shape[axis]
	if p.all || n <= 2*edge {
		for i := range n {
			f(i)
		}
		return
	}
	for i := range edge {
		f(i)
	}
	dots()
	for i := n - edge; i < n; i++ {
		f(i)
	}
}

// values calls f for every element that is printed, from an axis and a place in
// the data on.
func (p *printer) values(axis, at int, f func(v float32)) {
	if axis == len(p.t.shape) {
		f(p.t.data[at])
		return
	}
	step, _ := elements(p.t.shape[axis+1:])
	p.entries(axis, func(i int) { p.values(axis+1, at+i*step, f) }, func() {})
}

// look notes what format a value needs.
func (p *printer) look(v float32) {
	a := math.Abs(float64(v))
	if a != a || math.IsInf(a, 0) {
		return
	}
	p.fractions = p.fractions || a != math.Trunc(a)
	p.wide = p.wide || a >= 1e7 || a != 0 && a < 1e-4
}

// format writes a value in the format of all.
func (p *printer) format(v float32) string {
	switch {
	case p.wide:
		return strconv.FormatFloat(float64(v), 'e', 4, 32)
	case p.fractions:
		return strconv.FormatFloat(float64(v), 'f', 4, 32)
	}
	return strconv.FormatFloat(float64(v), 'f', 0, 32)
}

// print writes the part of the tensor at a place in the data.
func (p *printer) print(axis, at int) {
	rank := len(p.t.shape)
	if axis == rank {
		fmt.Fprintf(&p.b, "%*s", p.width, p.format(p.t.data[at]))
		return
	}
	step, _ := elements(p.t.shape[axis+1:])
	// The entries of the last axis share lines, those of others are apart, by
	// an empty line for each further axis.
	// A line has room for a bracket of each axis at either end.
	perLine, line := max((lineLen-2*rank+1)/(p.width+1), 1), 0
	next := func() {
		switch {
		case line == 0:
		case axis < rank-1:
			p.b.WriteString(strings.Repeat("\n", rank-1-axis) + strings.Repeat(" ", axis+1))
		case line%perLine == 0:
			p.b.WriteString("\n" + strings.Repeat(" ", rank))
		default:
			p.b.WriteByte(' ')
		}
		line++
	}
	p.b.WriteByte('[')
	p.entries(axis, func(i int) {
		next()
		p.print(axis+1, at+i*step)
	}, func() {
		next()
		p.b.WriteString("...")
	})
	p.b.WriteByte(']')
}
