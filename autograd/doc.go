// Package autograd computes with tensors and differentiates what it computed.
//
// # Tape and Var
//
// A [Tape] records operations. Tensors enter it by [Tape.Input], or by
// [Tape.Watch] if their gradient is wanted, and parameters by [Tape.Param]; each
// becomes a [Var], and operations make Vars from Vars. A Var knows its tape, so
// operations need no context argument.
//
//	tape := autograd.NewTape(autograd.Training, seed)
//	x := tape.Watch(image)
//	loss := autograd.Mean(autograd.Square(autograd.Sub(x, tape.Input(target))))
//	g := tape.Gradients(loss).Of(x)
//
// [Tape.Gradients] returns the derivatives of a scalar, keyed by what they were
// taken with respect to; nothing is stored on a parameter. Several calls before a
// Reset are legal. Derivatives are of first order only.
//
// # Who owns memory
//
// A tape owns the memory of everything it makes, and [Tape.Reset] recycles it all, so
// a loop that repeats its operations allocates nothing. The rule is: what the
// tape made is valid until Reset; Clone to keep. It is policed. Using a Var or
// Gradients after Reset panics. In test binaries recycled memory is filled with
// NaN, which shows where a slice was kept ([SetPoison]). And a parameter counts its
// changes, so that a backward pass through a weight that changed since the forward
// pass panics.
//
// # Modes
//
// A tape has one of three modes: [Training] records operations and makes batch
// normalisation and dropout act as in training; [Eval] records, with running
// statistics and no dropout; [Inference] records nothing.
//
// # Goroutines
//
// A tape belongs to one goroutine at a time. Goroutines with tapes of their own
// may share parameters for inference and input gradients.
//
// # Panics
//
// Shapes that do not fit, a Var after Reset, operands on different tapes and
// impossible arguments are mistakes in the calling program: the call panics with a
// [*github.com/mettleml/mettle/tensor.Error] that names the operation.
package autograd
