// Package tensor holds arrays of float32, and reads and writes them as files, images
// and text.
//
// # What a tensor is
//
// A [Tensor] is a shape and a slice of float32. The elements are contiguous and
// row-major: the last index moves fastest. A tensor of rank 0 holds one number. Any
// dimension may be 0, and the tensor is then empty.
//
// A view shares the memory of the tensor it came from. Views exist along the first axis
// only ([Tensor.Slice], [Tensor.Index]), because only there are they contiguous.
// [Tensor.Reshape] and [FromSlice] share memory too; [Tensor.Clone] copies.
//
// Comments give shapes in brackets: [N, C, H, W] are N examples of C channels, H rows
// and W columns, and [..., K] has any number of axes before one of length K.
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
// The methods return new tensors and do not change their operands, so calls can be chained.
// Operations on two tensors broadcast as numpy does; [Tensor.Add] states the rule. Sums are
// accumulated in float64.
//
// These methods are for code around a model. A loop that must not allocate works on
// [Tensor.Data]; a computation that needs gradients uses a tape (package autograd).
//
// # Files
//
// [ReadNPY] and [WriteNPY] read and write numpy's npy format. [OpenSafetensors] and
// [NewSafetensorsWriter] read and write safetensors, one tensor at a time;
// [LoadSafetensors] and [SaveSafetensors] take all at once. Open sharded files by their
// index. Elements may have other types in a file ([DType]). An integer that float32 cannot
// hold is an error, and never rounded; [Safetensors.LoadInts] reads it.
//
// The decoders do not trust a file. Whatever the header claims, decoding takes at most 4
// times the size of the data, plus 32 times that of the header, plus 1 MiB of memory. (If
// the elements are single bytes, ReadNPY on a stream that cannot tell its length may take 5
// times the data, and LoadInts 8 times.) A [*FormatError] says what is wrong, and where. If
// the file is of another kind, it names the kind. Files are written atomically: a failure
// leaves no partial file.
//
// # When it panics
//
// A wrong shape or an impossible argument is a mistake in the calling program. The call
// panics with an [*Error] that names the operation and the shapes. All packages above this
// one panic with the same type, and [Try] turns such panics, and no others, into errors at
// a boundary. A call whose success depends on files or data returns an error.
//
// # Concurrency
//
// Any number of goroutines may read a tensor at the same time; a goroutine that writes
// needs it alone. An operation shares its work among at most [Workers] goroutines. The
// results have the same bits on any number of them.
package tensor
