package kernel

import "math"

// AvgPool writes the mean of each window of x to y. With p.CountPad the mean
// is over the window clipped to the padded input, otherwise over the elements
// of x in it.
func AvgPool(y, x []float32, p *Pool) {
	out := p.Out()
	need("AvgPool", "x", len(x), p.Planes*volume(p.In))
	need("AvgPool", "y", len(y), p.Planes*volume(out))
	per, parts := cut(p.Planes, volume(p.In))
	runPooled(&avgPools, parts, avgPoolTask{Pool: *p, out: out, set: Active(), per: per, y: y, x: x})
}

// AvgPoolGrad writes to dx the gradient of a sum of y weighted by dy.
func AvgPoolGrad(dx, dy []float32, p *Pool) {
	out := p.Out()
	need("AvgPoolGrad", "dx", len(dx), p.Planes*volume(p.In))
	need("AvgPoolGrad", "dy", len(dy), p.Planes*volume(out))
	per, parts := cut(p.Planes, volume(p.In))
	runPooled(&avgPools, parts, avgPoolTask{Pool: *p, out: out, set: Active(), per: per, y: dy, x: dx, grad: true})
}

type avgPoolTask struct {
	Pool
	out  [3]int
	set  *Set
	grad bool
	per  int
	y, x []float32
}

var avgPools freeList[avgPoolTask]

// Part averages over some planes, or sends their gradients back.
func (t *avgPoolTask) Part(part int) {
	in, out := volume(t.In), volume(t.out)
	w := avgColumnLists.get()
	w.fill(t)
	line := partScratch(t.In[2])
	for i := part * t.per; i < min((part+1)*t.per, t.Planes); i++ {
		x, y := t.x[i*in:(i+1)*in], t.y[i*out:(i+1)*out]
		if t.grad {
			clear(x)
		}
		t.plane(y, x, line.f, w.columns)
	}
	putScratch(line)
	avgColumnLists.put(w)
}

// An avgColumn is the extent of a window along the last axis and the number of
// elements that count there.
type avgColumn struct{ lo, hi, count int }

type avgColumns struct{ columns []avgColumn }

var avgColumnLists freeList[avgColumns]

func (w *avgColumns) fill(t *avgPoolTask) {
	w.columns = grow(w.columns, t.out[2])
	for o := range w.columns {
		lo, hi, base := t.window(2, o)
		w.columns[o] = avgColumn{base + lo, base + hi, t.counted(2, o)}
	}
}

// counted returns how many elements of a window count along axis i for output o.
func (t *avgPoolTask) counted(i, o int) int {
	if t.CountPad {
		return t.span(i, o)
	}
	lo, hi, _ := t.window(i, o)
	return hi - lo
}

// span returns how many elements a window has along axis i for output o when
// padding counts.
func (p *Pool) span(i, o int) int {
	base := o*p.Stride[i] - p.Padding[i]
	return min(p.Kernel[i], p.In[i]+p.Padding[i]-base)
}

// plane adds up, for each row of windows, the rows that they cover, and then
// along the sum; a backward pass goes the other way.
func (t *avgPoolTask) plane(y, x, line []float32, columns []avgColumn) {
	for od := range t.out[0] {
		d0, d1, db := t.window(0, od)
		for oh := range t.out[1] {
			h0, h1, hb := t.window(1, oh)
			y := y[(od*t.out[1]+oh)*t.out[2]:][:t.out[2]]
			count := t.counted(0, od) * t.counted(1, oh)
			clear(line)
			if t.grad {
				for i, c := range columns {
					share := y[i] / float32(count*c.count)
					for j := range line[c.lo:c.hi] {
						line[c.lo+j] += share
					}
				}
			}
			for d := db + d0; d < db+d1; d++ {
				for h := hb + h0; h < hb+h1; h++ {
					row := x[(d*t.In[1]+h)*t.In[2]:][:t.In[2]]
					if t.grad {
						t.set.rowMap(opAdd, row, row, line, 0, 0)
					} else {
						t.set.rowMap(opAdd, line, line, row, 0, 0)
					}
				}
			}
			if !t.grad {
				for i, c := range columns {
					var sum float32
					for _, v := range line[c.lo:c.hi] {
						sum += v
					}
					y[i] = sum / float32(count*c.count)
				}
			}
		}
	}
}

// GlobalAvgPool writes the mean of each plane of size elements of x to y,
// summing in float64; NaN if size is 0.
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
	if lo < hi && t.size > 0 {
		t.op.rowSums(t.y[lo:hi], t.x[lo*t.size:hi*t.size], t.size, 1/float64(t.size))
	} else {
		fill(t.y[lo:hi], float32(math.NaN()))
	}
}

// rowSumsGeneric writes the sums of rows of x, n long, times scale to y, of
// which there is at least one.
func rowSumsGeneric(y, x []float32, n int, scale float64) {
	for i := range y {
		var sum float64
		for _, v := range x[i*n:][:n] {
			sum += float64(v)
		}
		y[i] = float32(sum * scale)
	}
}
