package kernel

// AvgPool writes the mean of each window of x to y. With p.CountPad the mean
// is over the window clipped to the padded input, otherwise over the elements
// of x in it.
func AvgPool(y, x []float32, p *Pool) {
	out := p.Out()
	need("AvgPool", "x", len(x), p.Planes*volume(p.In))
	need("AvgPool", "y", len(y), p.Planes*volume(out))
	per, parts := cut(p.Planes, volume(p.In))
	runPooled(&avgPools, parts, avgPoolTask{Pool: *p, out: out, per: per, y: y, x: x})
}

// AvgPoolGrad writes to dx the gradient of a sum of y weighted by dy.
func AvgPoolGrad(dx, dy []float32, p *Pool) {
	out := p.Out()
	need("AvgPoolGrad", "dx", len(dx), p.Planes*volume(p.In))
	need("AvgPoolGrad", "dy", len(dy), p.Planes*volume(out))
	per, parts := cut(p.Planes, volume(p.In))
	runPooled(&avgPools, parts, avgPoolTask{Pool: *p, out: out, per: per, y: dy, x: dx, grad: true})
}

type avgPoolTask struct {
	Pool
	out  [3]int
	grad bool
	per  int
	y, x []float32
}

var avgPools freeList[avgPoolTask]

// Part averages over some planes, or sends their gradients back.
func (t *avgPoolTask) Part(part int) {
	in, out := volume(t.In), volume(t.out)
	for i := part * t.per; i < min((part+1)*t.per, t.Planes); i++ {
		x, y := t.x[i*in:(i+1)*in], t.y[i*out:(i+1)*out]
		if t.grad {
			clear(x)
		}
		t.plane(y, x)
	}
}

// span returns how many elements a window has along axis i for output o when
// padding counts.
func (p *Pool) span(i, o int) int {
	base := o*p.Stride[i] - p.Padding[i]
	return min(p.Kernel[i], p.In[i]+p.Padding[i]-base)
}

func (t *avgPoolTask) plane(y, x []float32) {
	h, w := t.In[1], t.In[2]
	o := 0
	for od := range t.out[0] {
		d0, d1, db := t.window(0, od)
		for oh := range t.out[1] {
			h0, h1, hb := t.window(1, oh)
			for ow := range t.out[2] {
				w0, w1, wb := t.window(2, ow)
				count := (d1 - d0) * (h1 - h0) * (w1 - w0)
				if t.CountPad {
					count = t.span(0, od) * t.span(1, oh) * t.span(2, ow)
				}
				var sum float32
				share := y[o] / float32(count)
				for kd := d0; kd < d1; kd++ {
					for kh := h0; kh < h1; kh++ {
						at := ((db+kd)*h+hb+kh)*w + wb
						row := x[at+w0 : at+w1]
						if t.grad {
							for j := range row {
								row[j] += share
							}
						} else {
							for _, v := range row {
								sum += v
							}
						}
					}
				}
				if !t.grad {
					y[o] = sum / float32(count)
				}
				o++
			}
		}
	}
}

// GlobalAvgPool writes the mean of each plane of size elements of x to y,
// summing in float64.
func GlobalAvgPool(y, x []float32, size int) {
	need("GlobalAvgPool", "x", len(x), len(y)*size)
	per, parts := cut(len(y), size)
	runPooled(&globalPools, parts, globalPoolTask{op: &Active().nnet, per: per, size: size, y: y, x: x})
}

// GlobalAvgPoolGrad writes dy, divided by size, to every element of its plane
// of dx.
func GlobalAvgPoolGrad(dx, dy []float32, size int) {
	need("GlobalAvgPoolGrad", "dx", len(dx), len(dy)*size)
	per, parts := cut(len(dy), size)
	runPooled(&globalPools, parts, globalPoolTask{op: &Active().nnet, per: per, size: size, y: dy, x: dx, grad: true})
}

type globalPoolTask struct {
	op        *nnOps
	per, size int
	grad      bool
	y, x      []float32
}

var globalPools freeList[globalPoolTask]

// Part averages some planes, or spreads their gradients.
func (t *globalPoolTask) Part(part int) {
	lo, hi := part*t.per, min((part+1)*t.per, len(t.y))
	if t.grad {
		for i, g := range t.y[lo:hi] {
			g /= float32(t.size)
			x := t.x[(lo+i)*t.size:][:t.size]
			for j := range x {
				x[j] = g
			}
		}
		return
	}
	w := getBNScratch(hi - lo)
	clear(w.coef)
	if t.size > 0 {
		t.op.bnStats(w.coef, w.sums, t.x[lo*t.size:], 1, hi-lo, t.size, 0, noReLU)
	}
	for i := range t.y[lo:hi] {
		t.y[lo+i] = float32(bnSum(w.sums, i, 0) / float64(t.size))
	}
	bnScratches.put(w)
}
