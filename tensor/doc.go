// Package tensor holds arrays of float32 and moves them in and out of files,
// images and text.
//
// # What a tensor is
//
// A [Tensor] is a shape and a slice: contiguous, row-major, float32. The last
// index moves fastest. A tensor of rank 0 holds one number. Any dimension may be
// 0, and the tensor is then empty. Views exist along the first axis only
// ([Tensor.Slice], [Tensor.Index]), because there they are contiguous too; they
// share memory with the tensor they came from, as [Tensor.Reshape] and
// [FromSlice] do. [Tensor.Clone] copies.
//
// # When it panics
//
// A wrong shape or an impossible argument is a mistake in the calling program:
// the call panics with an [*Error] that names the operation and the shapes. The
// packages above this one panic with the same type, and [Try] turns such panics,
// and no others, into errors at a boundary. What depends on files or on data
// returns an error.
//
// # Concurrency
//
// A tensor may be read by many goroutines. Writing needs it alone.
package tensor
