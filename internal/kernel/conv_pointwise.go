package kernel

// A convolution with a 1x1 kernel is a matrix product for every image, all with the
// same weights. From pointwiseLeast positions on the product is the faster way;
// below it, packing the positions of several images together is.
const pointwiseLeast = 32

// pointwiseSuits reports whether s is best done as a matrix product. The answer
// does not depend on N.
func pointwiseSuits(s *ConvShape) bool {
	one := [3]int{1, 1, 1}
	return s.Kernel == one && s.Stride == one && s.Pad == [3]int{} && s.Groups == 1 &&
		volume(s.Out) >= pointwiseLeast && min(s.C, s.O) >= 8 && s.In == s.Out
}

func pointwiseForward(s *ConvShape, y, x, w, bias []float32, act Act) {
	p := volume(s.Out)
	MatMulBatch(s.N, y, p, s.O*p, w, s.C, 0, false, x, p, s.C*p, false, s.O, p, s.C, Epilogue{RowBias: bias, Act: act})
}

func pointwiseBackwardData(s *ConvShape, dx, dy, w, bias []float32, act Act) {
	p := volume(s.Out)
	MatMulBatch(s.N, dx, p, s.C*p, w, s.C, 0, true, dy, p, s.O*p, false, s.C, p, s.O, Epilogue{RowBias: bias, Act: act})
}

func pointwiseWeights(s *ConvShape, dw, dy, x []float32) {
	p := volume(s.Out)
	if s.N == 0 {
		clear(dw)
	}
	for n := range s.N {
		MatMul(dw, s.C, dy[n*s.O*p:], p, false, x[n*s.C*p:], p, true, s.O, s.C, p, Epilogue{Accumulate: n > 0})
	}
}
