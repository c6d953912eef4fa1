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
//	package main
//
//	import (
//		"fmt"
//		"image"
//		"log"
//		"os"
//
//		_ "image/png"
//
//		"github.com/mettleml/mettle/tensor"
//	)
//
//	func main() {
//		f, err := os.Open("cat.png")
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer f.Close()
//		img, _, err := image.Decode(f)
//		if err != nil {
//			log.Fatal(err)
//		}
//		x := tensor.FromImage(img)           // [3, H, W] in [0,1]
//		brighter := x.Scale(1.2).Clamp(0, 1) // x is as it was
//		fmt.Println(brighter.Sub(x).Norm(2)) // how far that is
//		fmt.Println(x.Index(0))              // the red channel
//		if err := tensor.SaveNPY("cat.npy", x, tensor.F32); err != nil {
//			log.Fatal(err)
//		}
//	}
//
// # Arithmetic
//
// The methods return new tensors and leave their operands alone, so that they
// can be chained; operands are broadcast as in numpy. They are for code around a
// model. A loop that must not allocate works on [Tensor.Data], and what needs
// gradients on a tape (package autograd). Sums are carried in float64.
//
// # Files
//
// [ReadNPY] and [WriteNPY] speak numpy's npy format; [OpenSafetensors],
// [NewSafetensorsWriter] and their shorter relatives speak safetensors, tensor by
// tensor. In files elements may have other types, see [DType]: integers that
// float32 cannot hold are an error and never rounded. A file is not trusted:
// decoding takes at most 4 times the data, 32 times the header and 1 MiB of
// memory, whatever the header claims, and what is wrong is a [*FormatError] that
// says where. (ReadNPY on a stream that cannot tell its length may take 5 times
// the data if the elements are single bytes.) What is written to a path appears
// whole or not at all.
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
// A tensor may be read by many goroutines. Writing needs it alone. Operations
// share their work among goroutines, at most [Workers] of them; results have the
// same bits whatever their number.
package tensor
