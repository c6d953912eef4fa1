// Package autograd computes with tensors and differentiates the results.
//
// # Tape and Var
//
// A [Tape] records operations. A tensor enters it by [Tape.Input], or by [Tape.Watch]
// if its gradient is wanted; a parameter enters by [Tape.Param]. Each becomes a [Var],
// and operations make Vars from Vars. A Var knows its tape, so that operations need no
// context argument.
//
//	tape := autograd.NewTape(autograd.Training, seed)
//	x := tape.Watch(image)
//	loss := autograd.Mean(autograd.Square(autograd.Sub(x, tape.Input(target))))
//	g := tape.Gradients(loss).Of(x)
//
// [Tape.Gradients] returns the derivatives of a scalar, keyed by their sources. It
// stores nothing on a parameter, and a program may call it several times per forward
// pass. Derivatives are of first order only.
//
// # Shapes
//
// A Var has up to [MaxRank] axes; without any it is a scalar. Comments give shapes in
// brackets. In [N, C, H, W] the letters mean examples, channels, height and width, and D
// is the depth of a volume or the frames of a clip. The dots in [..., K] stand for any
// number of axes, and the K elements along the last one are a row. An axis argument may
// be negative and then counts from the end: -1 is the last axis.
//
// # Broadcasting
//
// [Add], [Sub], [Mul], [Div], [Maximum] and [Minimum] broadcast as numpy and PyTorch do.
// The shapes of the operands are lined up at their last axes. Two axes fit if they have
// the same length or one of them has length 1, and an axis that is missing counts as one
// of length 1. An operand repeats along the axes on which it has length 1 and the other
// has not. Three examples:
//
//	[N, C, H, W] with [C, 1, 1] gives [N, C, H, W]
//	[N, K]       with [K]       gives [N, K]
//	[N, 1]       with [M]       gives [N, M]
//
// The gradient of a repeated operand is the sum over its repetitions. No other operation
// broadcasts unless its comment says so.
//
// # Precision
//
// Elements are float32. Sums, means, losses and the statistics of normalisation are
// accumulated in float64, and [Var.Scalar] returns a loss before it is rounded to float32.
// Results have the same bits on any number of workers.
//
// # Who owns memory
//
// A tape owns the memory of everything it makes, and [Tape.Reset] recycles it all. So a
// loop that repeats its operations allocates nothing. What the tape made is valid until
// Reset, and Clone keeps it. The package checks this rule. A Var or Gradients panics when
// it is used after Reset. In test binaries the tape fills recycled memory with NaN, which
// shows where a program kept a slice ([SetPoison]). And a parameter counts its changes: a
// backward pass panics if a weight on its way has changed since the forward pass.
//
// # Modes
//
// A tape has one of three modes. [Training] records operations, and batch normalisation
// and dropout act as in training. [Eval] records too, with running statistics and without
// dropout. [Inference] records nothing.
//
// # Goroutines
//
// One goroutine uses a tape at a time. Goroutines with tapes of their own may share
// parameters for inference and input gradients.
//
// # Panics
//
// A mistake in the calling program panics with a [*tensor.Error] that names the operation
// and the shapes; [tensor.Try] turns such panics into errors. Every operation panics if an
// operand is used after Reset or Free, lies on another tape than the first operand, or is
// the zero Var where that does not stand for an absent operand. Comments give the reasons
// beyond these.
package autograd
