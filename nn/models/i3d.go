package models

import (
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
)

// I3D is the Inception network with all kernels inflated (Carreira and Zisserman, "Quo
// vadis, action recognition?", 2017): 12,697,264 parameters with 400 classes and 1024
// features. The paper's input is [N, 3, 64, 224, 224]; it takes other sizes from 8 frames
// of 32x32 pixels on. Where a stride does not divide a size, padding is TensorFlow's, as in
// the paper's weights. Layers have the names of the common PyTorch port, Conv3d_1a_7x7 and
// so on, and stages those of its end points.
func I3D(seed uint64, classes int) *nn.Classifier { return inceptionI3D(seed, 3, or(classes, 400)) }

// I3DFlow is [I3D] for optical flow [N, 2, T, H, W], the second stream of the paper:
// 12,675,312 parameters with 400 classes.
func I3DFlow(seed uint64, classes int) *nn.Classifier {
	return inceptionI3D(seed, 2, or(classes, 400))
}

func inceptionI3D(seed uint64, channels, classes int) *nn.Classifier {
	r := newRand(seed)
	b := &nn.Backbone{}
	add := func(name string, width int, m nn.Module) {
		b.Stages = append(b.Stages, nn.Stage{Name: name, Width: width, Module: m})
	}
	unit := func(in, out int, kernel, stride [3]int) nn.Module {
		c := conv3D(r, in, out, kernel, stride)
		bn := nn.NewBatchNorm(out)
		bn.Eps, bn.Momentum = 1e-3, 0.01
		var conv nn.Module = c
		if stride != one {
			c.Options.Padding = nil
			conv = samePadded{c}
		}
		return &nn.Sequential{Layers: []nn.Module{conv, bn, nn.ReLU{}}, Names: []string{"conv3d", "bn", "relu"}}
	}
	cube := [3]int{3, 3, 3}
	mixed := func(name string, in int, w [6]int) int {
		m := &inception{
			B0:  unit(in, w[0], one, one),
			B1a: unit(in, w[1], one, one), B1b: unit(w[1], w[2], cube, one),
			B2a: unit(in, w[3], one, one), B2b: unit(w[3], w[4], cube, one),
			B3b: unit(in, w[5], one, one),
		}
		out := w[0] + w[2] + w[4] + w[5]
		add(name, out, m)
		return out
	}
	add("Conv3d_1a_7x7", 64, unit(channels, 64, [3]int{7, 7, 7}, [3]int{2, 2, 2}))
	add("MaxPool3d_2a_3x3", 64, sameMax{[3]int{1, 3, 3}, [3]int{1, 2, 2}})
	add("Conv3d_2b_1x1", 64, unit(64, 64, one, one))
	add("Conv3d_2c_3x3", 192, unit(64, 192, cube, one))
	add("MaxPool3d_3a_3x3", 192, sameMax{[3]int{1, 3, 3}, [3]int{1, 2, 2}})
	in := mixed("Mixed_3b", 192, [6]int{64, 96, 128, 16, 32, 32})
	in = mixed("Mixed_3c", in, [6]int{128, 128, 192, 32, 96, 64})
	add("MaxPool3d_4a_3x3", in, sameMax{cube, [3]int{2, 2, 2}})
	in = mixed("Mixed_4b", in, [6]int{192, 96, 208, 16, 48, 64})
	in = mixed("Mixed_4c", in, [6]int{160, 112, 224, 24, 64, 64})
	in = mixed("Mixed_4d", in, [6]int{128, 128, 256, 24, 64, 64})
	in = mixed("Mixed_4e", in, [6]int{112, 144, 288, 32, 64, 64})
	in = mixed("Mixed_4f", in, [6]int{256, 160, 320, 32, 128, 128})
	add("MaxPool3d_5a_2x2", in, sameMax{[3]int{2, 2, 2}, [3]int{2, 2, 2}})
	in = mixed("Mixed_5b", in, [6]int{256, 160, 320, 32, 128, 128})
	in = mixed("Mixed_5c", in, [6]int{384, 192, 384, 48, 128, 128})
	b.Pool = nn.Stage{Name: "avg_pool", Width: in, Module: nn.NewSequential(averages{}, nn.GlobalAvgPool{}, nn.Dropout{P: 0.5})}
	head := nn.NewConv3D(r, in, classes, 1, nn.ConvOptions{})
	return &nn.Classifier{Backbone: b, Head: &pointwise{head}, HeadName: "logits.conv3d"}
}

var one = [3]int{1, 1, 1}

// inception is four branches whose results stand one after the other in the channels.
type inception struct{ B0, B1a, B1b, B2a, B2b, B3b nn.Module }

// Forward applies the block.
func (m *inception) Forward(x autograd.Var) autograd.Var {
	pooled := nn.MaxPool{Kernel: []int{3}, Stride: []int{1}, Padding: []int{1}}.Forward(x)
	a, b := m.B1a.Forward(x), m.B2a.Forward(x)
	parts := []autograd.Var{m.B0.Forward(x), m.B1b.Forward(a), m.B2b.Forward(b), m.B3b.Forward(pooled)}
	y := autograd.ConcatCopy(1, parts...)
	for _, v := range append(parts, a, b, pooled) {
		v.Free()
	}
	return y
}

// Promises: see [nn.Promiser].
func (m *inception) Promises(self nn.Module) nn.Promise {
	return nn.Promised[*inception](self, nn.Together(m.B0, m.B1a, m.B1b, m.B2a, m.B2b, m.B3b))
}

// Walk names the branches as the paper's code does.
func (m *inception) Walk(w *nn.Walker) {
	w.Child("b0", m.B0)
	w.Child("b1a", m.B1a)
	w.Child("b1b", m.B1b)
	w.Child("b2a", m.B2a)
	w.Child("b2b", m.B2b)
	w.Child("b3b", m.B3b)
}

// same returns by how much TensorFlow pads an axis of n so that a result has
// ceil(n/stride) entries.
func same(n, kernel, stride int) (before, after int) {
	total := max(((n+stride-1)/stride-1)*stride+kernel-n, 0)
	return total / 2, total - total/2
}

// samePadded is a convolution that pads as TensorFlow does.
type samePadded struct{ *nn.Conv }

// Forward pads and convolves.
func (s samePadded) Forward(x autograd.Var) autograd.Var {
	var pad []int
	kernel := s.Weight.Shape()[2:]
	for d := 2; d >= 0; d-- {
		before, after := same(x.Dim(2+d), kernel[d], s.Options.Stride[d])
		pad = append(pad, before, after)
	}
	wide := autograd.PadConstant(x, 0, pad...)
	y := s.Conv.Forward(wide)
	wide.Free()
	return y
}

// Promises: see [nn.Promiser].
func (s samePadded) Promises(self nn.Module) nn.Promise {
	return nn.Promised[samePadded](self, nn.PerExample)
}

// sameMax is a maximum that pads as TensorFlow does.
type sameMax struct{ kernel, stride [3]int }

// Forward takes the maxima. What is to be added at the far end alone is a window that
// ends outside.
func (m sameMax) Forward(x autograd.Var) autograd.Var {
	p := nn.MaxPool{Kernel: m.kernel[:], Stride: m.stride[:], Padding: make([]int, 3), Ceil: true}
	for d := range 3 {
		p.Padding[d], _ = same(x.Dim(2+d), m.kernel[d], m.stride[d])
	}
	return p.Forward(x)
}

// Promises: see [nn.Promiser].
func (m sameMax) Promises(self nn.Module) nn.Promise {
	return nn.Promised[sameMax](self, nn.PerExample|nn.Maximum)
}

// Walk names nothing.
func (sameMax) Walk(*nn.Walker) {}

// averages are means over 2 frames and 7 by 7 positions, or over as many as there are.
type averages struct{}

// Forward takes the means.
func (averages) Forward(x autograd.Var) autograd.Var {
	return nn.AvgPool{Kernel: []int{min(2, x.Dim(2)), min(7, x.Dim(3)), min(7, x.Dim(4))}, Stride: []int{1}}.Forward(x)
}

// Promises: see [nn.Promiser].
func (averages) Promises(self nn.Module) nn.Promise {
	return nn.Promised[averages](self, nn.PerExample)
}

// Walk names nothing.
func (averages) Walk(*nn.Walker) {}

// pointwise is a linear layer whose weights are those of a convolution by 1x1x1.
type pointwise struct{ *nn.Conv }

// Forward maps [N, in] to [N, out].
func (p *pointwise) Forward(x autograd.Var) autograd.Var {
	y := p.Conv.Forward(autograd.Reshape(x, x.Dim(0), x.Dim(1), 1, 1, 1))
	return autograd.Reshape(y, x.Dim(0), y.Dim(1))
}

// Promises: see [nn.Promiser].
func (p *pointwise) Promises(self nn.Module) nn.Promise {
	return nn.Promised[*pointwise](self, nn.PerExample)
}
