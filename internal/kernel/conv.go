package kernel

// Generated on any machine, compiled on arm64 only.
//go:generate sh -c "go run -C _asm ./convneon > conv_arm64.s"
//go:generate sh -c "go run -C _asm ./convneon go > conv_stubs_arm64.go"

import (
	"fmt"
)

// A ConvShape describes a convolution of N images, or volumes, with C channels
// into O channels. Sizes stand in the order depth, height, width; a 2-D
// convolution has depth 1, kernel depth 1, stride 1 and no padding there.
//
// The layouts are x [N, C, In...], y [N, O, Out...] and w [O, C/Groups, Kernel...].
//
// A transposed convolution is described by the convolution whose gradient to
// data it is: its input is y, its result x, its weights, [O, C/Groups, Kernel...],
// are laid out as the transposed layer has them, input channels first.
type ConvShape struct {
	N, C, O, Groups int

	In, Kernel, Stride, Pad, Dilation, Out [3]int
}

// Resolve fills Out from the other sizes, after turning a zero in Groups, Stride
// or Dilation into 1. It panics if an argument is negative, the channels are no
// multiple of Groups, or the kernel does not fit into the padded input.
func (s *ConvShape) Resolve() {
	s.defaults()
	for d := range 3 {
		span := s.span(d)
		if room := s.In[d] + 2*s.Pad[d] - span; room < 0 {
			panic(fmt.Sprintf("kernel: Conv: a kernel of %v with dilation %v spans %d in dimension %d, more than the input %v with padding %v",
				s.Kernel, s.Dilation, span, d, s.In, s.Pad))
		} else {
			s.Out[d] = room/s.Stride[d] + 1
		}
	}
}

// ResolveTransposed fills In, the size of a transposed convolution's result, from
// Out, the size of its input, and the output padding, after turning a zero in
// Groups, Stride or Dilation into 1. It panics if an argument is negative, the
// channels are no multiple of Groups, an output padding reaches both stride and
// dilation, or nothing is left of the result.
func (s *ConvShape) ResolveTransposed(outPad [3]int) {
	s.defaults()
	for d := range 3 {
		if outPad[d] < 0 || outPad[d] > 0 && outPad[d] >= max(s.Stride[d], s.Dilation[d]) {
			panic(fmt.Sprintf("kernel: ConvTranspose: output padding %v with stride %v and dilation %v", outPad, s.Stride, s.Dilation))
		}
		s.In[d] = (s.Out[d]-1)*s.Stride[d] - 2*s.Pad[d] + s.span(d) + outPad[d]
		if s.In[d] < 0 || s.Out[d] == 0 {
			panic(fmt.Sprintf("kernel: ConvTranspose: input %v, kernel %v, stride %v, padding %v, dilation %v and output padding %v leave nothing",
				s.Out, s.Kernel, s.Stride, s.Pad, s.Dilation, outPad))
		}
	}
}

// span is the extent of the dilated kernel in dimension d.
func (s *ConvShape) span(d int) int { return (s.Kernel[d]-1)*s.Dilation[d] + 1 }

func (s *ConvShape) defaults() {
	if s.Groups == 0 {
		s.Groups = 1
	}
	for d := range 3 {
		if s.Stride[d] == 0 {
			s.Stride[d] = 1
		}
		if s.Dilation[d] == 0 {
			s.Dilation[d] = 1
		}
		if s.In[d] < 0 || s.Out[d] < 0 || s.Kernel[d] < 1 || s.Stride[d] < 1 || s.Pad[d] < 0 || s.Dilation[d] < 1 {
			panic(fmt.Sprintf("kernel: Conv: input %v, kernel %v, stride %v, padding %v, dilation %v",
				s.In, s.Kernel, s.Stride, s.Pad, s.Dilation))
		}
	}
	if s.N < 0 || s.C < 0 || s.O < 0 || s.Groups < 1 || s.C%s.Groups != 0 || s.O%s.Groups != 0 {
		panic(fmt.Sprintf("kernel: Conv: %d images, %d to %d channels in %d groups", s.N, s.C, s.O, s.Groups))
	}
}

// XLen, YLen and WLen are the lengths of x, y and w.
func (s *ConvShape) XLen() int { return s.N * s.C * volume(s.In) }
func (s *ConvShape) YLen() int { return s.N * s.O * volume(s.Out) }
func (s *ConvShape) WLen() int { return s.O * (s.C / s.Groups) * volume(s.Kernel) }

// check panics unless the slices hold what s says; bias may be nil.
func (s *ConvShape) check(op string, x, y, w, bias []float32, biasLen int) {
	if s.Groups < 1 {
		panic("kernel: " + op + ": the shape was not resolved")
	}
	if len(x) != s.XLen() || len(y) != s.YLen() || len(w) != s.WLen() || bias != nil && len(bias) != biasLen {
		panic(fmt.Sprintf("kernel: %s: %d images, %d to %d channels in %d groups, input %v, output %v, kernel %v, but x has %d floats, y %d, w %d, bias %d",
			op, s.N, s.C, s.O, s.Groups, s.In, s.Out, s.Kernel, len(x), len(y), len(w), len(bias)))
	}
}

// ConvForward computes y = act(conv(x, w) + bias). A nil bias adds nothing. An
// image's result has the same bits whatever N is and wherever in the batch it
// stands. It panics if s was not resolved, a slice has the wrong length or a row of
// results needs 2 GB of padded channels, as all functions of this file do.
func ConvForward(s *ConvShape, y, x, w, bias []float32, act Act) {
	s.check("ConvForward", x, y, w, bias, s.O)
	switch {
	case winogradSuits(s, false):
		winogradForward(s, y, x, w, bias, act)
	case pointwiseSuits(s):
		pointwiseForward(s, y, x, w, bias, act)
	case depthwiseSuits(s, false):
		depthwiseConv(s, y, x, w, bias, act, false)
	default:
		directConv(s, y, x, w, bias, act, false)
	}
}

// ConvBackwardData computes dx, the gradient to x of a convolution whose result
// has the gradient dy.
func ConvBackwardData(s *ConvShape, dx, dy, w []float32) {
	s.check("ConvBackwardData", dx, dy, w, nil, 0)
	convBackwardData(s, dx, dy, w, nil, ActNone)
}

// ConvBackwardWeights computes dw, the gradient to w.
func ConvBackwardWeights(s *ConvShape, dw, dy, x []float32) {
	s.check("ConvBackwardWeights", x, dy, dw, nil, 0)
	switch {
	case winogradWeightsSuits(s):
		winogradBackwardWeights(s, dw, dy, x)
	case pointwiseSuits(s):
		pointwiseWeights(s, dw, dy, x)
	case depthwiseSuits(s, false):
		depthwiseWeights(s, dw, dy, x)
	default:
		directConvWeights(s, dw, dy, x)
	}
}

// ConvTransposeForward computes x = act(convTransposed(y, w) + bias), the
// transposed convolution that s describes; bias has C entries or is nil.
//
// Its gradients are those of the convolution with the roles swapped: to its input
// y, ConvForward(s, dy, dx, w, nil, ActNone); to the weights,
// ConvBackwardWeights(s, dw, y, dx).
func ConvTransposeForward(s *ConvShape, x, y, w, bias []float32, act Act) {
	s.check("ConvTransposeForward", x, y, w, bias, s.C)
	convBackwardData(s, x, y, w, bias, act)
}

func convBackwardData(s *ConvShape, dx, dy, w, bias []float32, act Act) {
	switch {
	case winogradSuits(s, true):
		winogradBackwardData(s, dx, dy, w, bias, act)
	case pointwiseSuits(s):
		pointwiseBackwardData(s, dx, dy, w, bias, act)
	case depthwiseSuits(s, true):
		depthwiseConv(s, dx, dy, w, bias, act, true)
	default:
		directConv(s, dx, dy, w, bias, act, true)
	}
}
