package kernel

// A windowScratch describes the windows of a row for the loops that do several
// of them at once, and the places in a window for the backward pass.
type windowScratch struct {
	offset []int // of each place in a window, in the input, from its first

	// For 16 windows after another, and each column of a window, two masks of
	// the elements of the input that lie on it: those of the first 16 that the
	// column passes over, and those of the next.
	masks []uint16
	first []int32 // the first column of each window that lies on the input
	taps  []int   // of a row: the place in the input, the column, the code
}

var windowScratches freeList[windowScratch]

// vector reports whether several windows can be done at once.
func (t *maxPoolTask) vector() bool {
	return t.op.maxPoolRow != nil && t.Stride[2] <= 2 && !t.wideCode
}

// prepare fills w for the task.
func (t *maxPoolTask) prepare(w *windowScratch) {
	switch {
	case t.pairs():
	case t.grad:
		w.offset = grow(w.offset, volume(t.Kernel))
		for i := range w.offset {
			kd, kh, kw := i/(t.Kernel[1]*t.Kernel[2]), i/t.Kernel[2]%t.Kernel[1], i%t.Kernel[2]
			w.offset[i] = (kd*t.In[1]+kh)*t.In[2] + kw
		}
	case t.vector():
		w.fill(&t.Pool, t.out[2])
	}
}

func (w *windowScratch) fill(p *Pool, out int) {
	const lanes = 16
	kw, stride := p.Kernel[2], p.Stride[2]
	blocks := ceilDiv(out, lanes)
	w.masks = grow(w.masks, 2*kw*blocks)
	clear(w.masks)
	w.first = grow(w.first, lanes*blocks)
	for o := range out {
		lo, hi, _ := p.window(2, o)
		w.first[o] = int32(lo)
		for k := lo; k < hi; k++ {
			at := o % lanes * stride // in what the column passes over
			w.masks[2*(o/lanes*kw+k)+at/lanes] |= 1 << (at % lanes)
		}
	}
}

// planeVector is plane, a row of windows at a time.
func (t *maxPoolTask) planeVector(y, x []float32, codes []uint8, w *windowScratch) {
	n := t.out[2]
	for od := range t.out[0] {
		d0, d1, db := t.window(0, od)
		for oh := range t.out[1] {
			h0, h1, hb := t.window(1, oh)
			w.taps = w.taps[:0]
			for kd := d0; kd < d1; kd++ {
				for kh := h0; kh < h1; kh++ {
					row := ((db+kd)*t.In[1]+hb+kh)*t.In[2] - t.Padding[2]
					code := (kd*t.Kernel[1] + kh) * t.Kernel[2]
					for kw := range t.Kernel[2] {
						w.taps = append(w.taps, row+kw, kw, code+kw)
					}
				}
			}
			o := (od*t.out[1] + oh) * n
			var c []uint8
			if codes != nil {
				c = codes[o : o+n]
			}
			base := int32((d0*t.Kernel[1] + h0) * t.Kernel[2])
			t.op.maxPoolRow(y[o:o+n], c, x, w.taps, w.masks, w.first, base, t.Kernel[2], t.Stride[2])
		}
	}
}
