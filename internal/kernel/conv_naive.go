package kernel

import "github.com/mettleml/mettle/internal/parallel"

// A naiveConv is a convolution done one output at a time.
type naiveConv struct {
	s           *ConvShape
	y, x, w, b  []float32
	act         Act
	data, dwPas bool
}

func naiveForward(s *ConvShape, y, x, w, bias []float32, act Act) {
	parallel.Run(s.N*s.O, &naiveConv{s: s, y: y, x: x, w: w, b: bias, act: act})
}

func naiveBackwardData(s *ConvShape, dx, dy, w, bias []float32, act Act) {
	parallel.Run(s.N*s.C, &naiveConv{s: s, y: dy, x: dx, w: w, b: bias, act: act, data: true})
}

func naiveBackwardWeights(s *ConvShape, dw, dy, x []float32) {
	parallel.Run(s.O, &naiveConv{s: s, y: dy, x: x, w: dw, dwPas: true})
}

func (t *naiveConv) finish(v []float32, ch int) {
	for i := range v {
		if t.b != nil {
			v[i] += t.b[ch]
		}
		if t.act == ActReLU && v[i] < 0 {
			v[i] = 0
		}
	}
}

// run calls f for every row of taps: y row, x row and the weight between them,
// with columns [lo, hi) of y that meet x.
func (t *naiveConv) run(n, o, c int, f func(yr, xr []float32, x0 int, wi int)) {
	s := t.s
	cg := s.C / s.Groups
	T := volume(s.Kernel)
	yp := t.y[(n*s.O+o)*volume(s.Out):][:volume(s.Out)]
	xp := t.x[(n*s.C+c)*volume(s.In):][:volume(s.In)]
	for k := range T {
		kx, ky, kz := k%s.Kernel[2], k/s.Kernel[2]%s.Kernel[1], k/s.Kernel[2]/s.Kernel[1]
		for oz := range s.Out[0] {
			iz := oz*s.Stride[0] - s.Pad[0] + kz*s.Dilation[0]
			if iz < 0 || iz >= s.In[0] {
				continue
			}
			for oy := range s.Out[1] {
				iy := oy*s.Stride[1] - s.Pad[1] + ky*s.Dilation[1]
				if iy < 0 || iy >= s.In[1] {
					continue
				}
				f(yp[(oz*s.Out[1]+oy)*s.Out[2]:][:s.Out[2]], xp[(iz*s.In[1]+iy)*s.In[2]:][:s.In[2]],
					kx*s.Dilation[2]-s.Pad[2], (o*cg+c%cg)*T+k)
			}
		}
	}
}

func (t *naiveConv) Part(i int) {
	s := t.s
	cg, og := s.C/s.Groups, s.O/s.Groups
	st := s.Stride[2]
	switch {
	case t.dwPas:
		o := i
		clear(t.w[o*cg*volume(s.Kernel):][:cg*volume(s.Kernel)])
		for n := range s.N {
			for c := range cg {
				t.run(n, o, o/og*cg+c, func(yr, xr []float32, x0, wi int) {
					var sum float32
					for j, v := range yr {
						if q := j*st + x0; q >= 0 && q < len(xr) {
							sum += float32(v * xr[q])
						}
					}
					t.w[wi] += sum
				})
			}
		}
	case t.data:
		n, c := i/s.C, i%s.C
		out := t.x[i*volume(s.In):][:volume(s.In)]
		clear(out)
		for o := c / cg * og; o < (c/cg+1)*og; o++ {
			t.run(n, o, c, func(yr, xr []float32, x0, wi int) {
				for j, v := range yr {
					if q := j*st + x0; q >= 0 && q < len(xr) {
						xr[q] += float32(v * t.w[wi])
					}
				}
			})
		}
		t.finish(out, c)
	default:
		n, o := i/s.O, i%s.O
		out := t.y[i*volume(s.Out):][:volume(s.Out)]
		clear(out)
		for c := o / og * cg; c < (o/og+1)*cg; c++ {
			t.run(n, o, c, func(yr, xr []float32, x0, wi int) {
				for j := range yr {
					if q := j*st + x0; q >= 0 && q < len(xr) {
						yr[j] += float32(xr[q] * t.w[wi])
					}
				}
			})
		}
		t.finish(out, o)
	}
}
