package tensor

import (
	"fmt"
	"slices"
	"strings"
)

// The library panics with an *Error when the calling program made a mistake: shapes that do
// not fit, an axis that does not exist, an argument out of range.
type Error struct {
	Op     string  // the operation, with its package: "tensor.MatMul"
	Reason string  // what is wrong
	Shapes [][]int // the shapes of its operands, in order; may be empty
}

// Error returns "op: shapes: reason".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	b.WriteString(": ")
	for i, s := range e.Shapes {
		if i > 0 {
			b.WriteString(" and ")
		}
		fmt.Fprint(&b, s)
	}
	if len(e.Shapes) > 0 {
		b.WriteString(": ")
	}
	b.WriteString(e.Reason)
	return b.String()
}

// Panic panics with an [*Error] for the operation op on operands of the given
// shapes, which it copies. It is how this package and those above it report a
// mistake of the calling program.
func Panic(op, reason string, shapes ...[]int) {
	e := &Error{Op: op, Reason: reason}
	for _, s := range shapes {
		e.Shapes = append(e.Shapes, slices.Clone(s))
	}
	panic(e)
}

// Try calls f and returns its error. If f panics with an [*Error], Try returns
// that; every other panic goes on. Programs use it where shapes come from
// outside, such as a file or a request.
func Try(f func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			err = r
		default:
			panic(r)
		}
	}()
	return f()
}
