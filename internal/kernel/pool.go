package kernel

import (
	"fmt"
	"math"
)

// A Pool describes windows sliding over Planes = N·C volumes of In = (depth,
// height, width). Two-dimensional pooling has depth, kernel depth and stride
// depth 1 and no padding in depth.
type Pool struct {
	Planes                  int
	In                      [3]int
	Kernel, Stride, Padding [3]int

	// Ceil counts a window that starts inside the padded input but ends
	// outside, as long as it starts inside the input or the padding before it.
	Ceil bool
	// CountPad lets the zeros of the padding count in an average.
	CountPad bool
}

// Out returns the size of the output (depth, height, width). It panics if a
// kernel or stride is not positive, a padding is negative or exceeds half of
// the kernel, or no window fits.
func (p *Pool) Out() [3]int {
	var out [3]int
	for i := range out {
		in, k, s, pad := p.In[i], p.Kernel[i], p.Stride[i], p.Padding[i]
		if k < 1 || s < 1 || pad < 0 || 2*pad > k || in < 1 || in+2*pad < k {
			panic(fmt.Sprintf("kernel: pooling: no output along axis %d of size %d with kernel %d, stride %d, padding %d", i, in, k, s, pad))
		}
		room := in + 2*pad - k
		out[i] = room/s + 1
		if p.Ceil && room%s != 0 && out[i]*s < in+pad {
			out[i]++
		}
	}
	return out
}

// CodeLen returns the length of the codes that [MaxPool] records.
func (p *Pool) CodeLen() int {
	n := p.Planes * volume(p.Out())
	if p.wide() {
		n *= 2
	}
	return n
}

// wide reports whether a position in the window takes two bytes. It panics if
// it would take more.
func (p *Pool) wide() bool {
	n := volume(p.Kernel)
	if n > 1<<16 {
		panic(fmt.Sprintf("kernel: pooling: a window of %v has more than 65536 elements", p.Kernel))
	}
	return n > 1<<8
}

// window returns the part [lo, hi) of the kernel, along axis i, that lies on
// the input for output o, and the input position of the kernel's first element.
func (p *Pool) window(i, o int) (lo, hi, base int) {
	base = o*p.Stride[i] - p.Padding[i]
	return max(0, -base), min(p.Kernel[i], p.In[i]-base), base
}

// pairs reports whether the windows are 2x2, or 2x2x2, side by side.
func (p *Pool) pairs() bool {
	if p.Kernel[0] > 2 || p.Kernel[1] != 2 || p.Kernel[2] != 2 || p.Stride != p.Kernel || p.Padding != [3]int{} {
		return false
	}
	return !p.Ceil || p.In[0]%p.Kernel[0] == 0 && p.In[1]%2 == 0 && p.In[2]%2 == 0
}

// MaxPool writes the largest element of each window of x to y. Padding never
// wins; NaN does. If codes is not nil it has length [Pool.CodeLen] and receives
// the position in the window of each element chosen: the first of the largest,
// the last of several NaN.
func MaxPool(y []float32, codes []uint8, x []float32, p *Pool) {
	out := p.Out()
	need("MaxPool", "x", len(x), p.Planes*volume(p.In))
	need("MaxPool", "y", len(y), p.Planes*volume(out))
	if codes != nil {
		need("MaxPool", "codes", len(codes), p.CodeLen())
	}
	per, parts := cut(p.Planes, volume(p.In))
	runPooled(&maxPools, parts, maxPoolTask{Pool: *p, out: out, wideCode: p.wide(), op: &Active().nnet, per: per, y: y, x: x, codes: codes})
}

// MaxPoolGrad writes to dx the gradient of a sum of y weighted by dy, where
// codes are those [MaxPool] recorded. Where windows overlap, a plane's
// contributions are added in the order of the outputs.
func MaxPoolGrad(dx, dy []float32, codes []uint8, p *Pool) {
	out := p.Out()
	need("MaxPoolGrad", "dx", len(dx), p.Planes*volume(p.In))
	need("MaxPoolGrad", "dy", len(dy), p.Planes*volume(out))
	need("MaxPoolGrad", "codes", len(codes), p.CodeLen())
	per, parts := cut(p.Planes, volume(p.In))
	runPooled(&maxPools, parts, maxPoolTask{Pool: *p, out: out, wideCode: p.wide(), op: &Active().nnet, per: per, y: dy, x: dx, codes: codes, grad: true})
}

type maxPoolTask struct {
	Pool
	out            [3]int
	wideCode, grad bool
	op             *nnOps
	per            int
	y, x           []float32
	codes          []uint8
}

var maxPools freeList[maxPoolTask]

// Part pools some planes, or sends their gradients back.
func (t *maxPoolTask) Part(part int) {
	in, out := volume(t.In), volume(t.out)
	w := windowScratches.get()
	t.prepare(w)
	for i := part * t.per; i < min((part+1)*t.per, t.Planes); i++ {
		x, y := t.x[i*in:(i+1)*in], t.y[i*out:(i+1)*out]
		var codes []uint8
		if t.codes != nil {
			c := len(t.codes) / t.Planes
			codes = t.codes[i*c : (i+1)*c]
		}
		switch {
		case t.grad && t.pairs():
			t.pairsGrad(x, y, codes)
		case t.grad:
			t.planeGrad(x, y, codes, w.offset)
		case t.pairs():
			t.pairsForward(y, x, codes)
		case t.vector():
			t.planeVector(y, x, codes, w)
		default:
			t.plane(y, x, codes)
		}
	}
	windowScratches.put(w)
}

// plane pools one volume.
func (t *maxPoolTask) plane(y, x []float32, codes []uint8) {
	h, w := t.In[1], t.In[2]
	o := 0
	for od := range t.out[0] {
		d0, d1, db := t.window(0, od)
		for oh := range t.out[1] {
			h0, h1, hb := t.window(1, oh)
			for ow := range t.out[2] {
				w0, w1, wb := t.window(2, ow)
				best := float32(math.Inf(-1))
				code := (d0*t.Kernel[1]+h0)*t.Kernel[2] + w0
				for kd := d0; kd < d1; kd++ {
					for kh := h0; kh < h1; kh++ {
						at := ((db+kd)*h+hb+kh)*w + wb
						row := x[at+w0 : at+w1]
						for j, v := range row {
							if v > best || v != v {
								best = v
								code = (kd*t.Kernel[1]+kh)*t.Kernel[2] + w0 + j
							}
						}
					}
				}
				y[o] = best
				if codes != nil {
					if t.wideCode {
						codes[2*o], codes[2*o+1] = uint8(code), uint8(code>>8)
					} else {
						codes[o] = uint8(code)
					}
				}
				o++
			}
		}
	}
}

// planeGrad sends the gradients of one volume back to the elements chosen;
// offset says where each place of a window lies from its first.
func (t *maxPoolTask) planeGrad(dx, dy []float32, codes []uint8, offset []int) {
	clear(dx)
	h, w := t.In[1], t.In[2]
	n := t.out[2]
	for od := range t.out[0] {
		for oh := range t.out[1] {
			o := (od*t.out[1] + oh) * n
			at := ((od*t.Stride[0]-t.Padding[0])*h+oh*t.Stride[1]-t.Padding[1])*w - t.Padding[2]
			if t.wideCode {
				for i, g := range dy[o : o+n] {
					dx[at+offset[int(codes[2*(o+i)])|int(codes[2*(o+i)+1])<<8]] += g
					at += t.Stride[2]
				}
				continue
			}
			for i, g := range dy[o : o+n] {
				dx[at+offset[codes[o+i]]] += g
				at += t.Stride[2]
			}
		}
	}
}

// slice returns the sizes of a slice of the input and of the output, and the
// distance between the slices that windows of depth 2 combine, or 0.
func (t *maxPoolTask) slice() (in, out, dz int) {
	in, out = t.In[1]*t.In[2], t.out[1]*t.out[2]
	if t.Kernel[0] == 2 {
		dz = in
	}
	return in, out, dz
}

// pairsForward is plane for windows of 2x2 or 2x2x2, side by side.
func (t *maxPoolTask) pairsForward(y, x []float32, codes []uint8) {
	in, out, dz := t.slice()
	for d := range t.out[0] {
		var c []uint8
		if codes != nil {
			c = codes[d*out : (d+1)*out]
		}
		t.op.maxPool2(y[d*out:(d+1)*out], x[d*t.Kernel[0]*in:], c, t.out[1], t.out[2], t.In[2], dz)
	}
}

// pairsGrad is planeGrad where every element belongs to one window at most.
func (t *maxPoolTask) pairsGrad(dx, dy []float32, codes []uint8) {
	in, out, dz := t.slice()
	for d := range t.out[0] {
		t.op.maxPool2Grad(dx[d*t.Kernel[0]*in:], dy[d*out:(d+1)*out], codes[d*out:(d+1)*out], t.out[1], t.out[2], t.In[2], dz)
	}
	used := t.out[0] * t.Kernel[0]
	clear(dx[used*in:])
	for d := range used {
		dx := dx[d*in : (d+1)*in]
		if t.In[2]%2 != 0 {
			for r := t.In[2] - 1; r < in; r += t.In[2] {
				dx[r] = 0
			}
		}
		clear(dx[2*t.out[1]*t.In[2]:])
	}
}

// maxPool2Generic pools oh rows of ow windows of 2x2 elements, and if dz is not
// 0, 2x2 more that begin dz further. Rows of x are xw apart.
func maxPool2Generic(y, x []float32, codes []uint8, oh, ow, xw, dz int) {
	for r := range oh {
		rows := [4]int{2 * r * xw, (2*r + 1) * xw, 2*r*xw + dz, (2*r+1)*xw + dz}
		n := 4
		if dz == 0 {
			n = 2
		}
		out := y[r*ow:][:ow]
		for i := range out {
			best, code := x[rows[0]+2*i], uint8(0)
			for k, at := range rows[:n] {
				for j, v := range x[at+2*i : at+2*i+2] {
					if v > best || v != v {
						best, code = v, uint8(2*k+j)
					}
				}
			}
			out[i] = best
			if codes != nil {
				codes[r*ow+i] = code
			}
		}
	}
}

// maxPool2GradGeneric writes dy to the elements chosen, and 0 to the others of
// the windows of maxPool2Generic.
func maxPool2GradGeneric(dx, dy []float32, codes []uint8, oh, ow, xw, dz int) {
	for r := range oh {
		rows := [4]int{2 * r * xw, (2*r + 1) * xw, 2*r*xw + dz, (2*r+1)*xw + dz}
		for _, at := range rows {
			clear(dx[at : at+2*ow])
		}
		for i, g := range dy[r*ow:][:ow] {
			code := codes[r*ow+i] & 7
			dx[rows[code/2]+2*i+int(code&1)] = g
		}
	}
}
