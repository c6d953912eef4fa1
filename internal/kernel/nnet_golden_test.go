package kernel

import (
	"math"
	"testing"

	"github.com/mettleml/mettle/internal/golden"
)

// The golden cases of this family, outputs and gradients, under every set.

const goldenTol = 1e-5

// eachCase runs f for every set and every case of the operations.
func eachCase(t *testing.T, f func(t *testing.T, c *golden.Case), ops ...string) {
	eachSet(t, func(t *testing.T) {
		for _, op := range ops {
			for _, c := range golden.Cases(t, op) {
				t.Run(c.Name, func(t *testing.T) { f(t, c) })
			}
		}
	})
}

// nans returns n NaN, so that what is not written is seen.
func nans(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(math.NaN())
	}
	return v
}

// lastThree returns v with ones (or the given number) before it, up to three.
func lastThree(v []int, fill int) (out [3]int) {
	for i := range out {
		out[i] = fill
	}
	copy(out[3-len(v):], v)
	return out
}

func goldenPool(c *golden.Case) *Pool {
	shape := c.Inputs["x"].Shape
	p := &Pool{Planes: shape[0] * shape[1], In: lastThree(shape[2:], 1), CountPad: true}
	p.Kernel = lastThree(c.Ints("kernel"), 1)
	p.Stride = lastThree(c.Ints("stride"), 1)
	p.Padding = lastThree(c.Ints("padding"), 0)
	return p
}

func TestMaxPoolGolden(t *testing.T) {
	eachCase(t, func(t *testing.T, c *golden.Case) {
		p := goldenPool(c)
		y, codes, dx := nans(len(c.Output.Data)), make([]uint8, p.CodeLen()), nans(len(c.Inputs["x"].Data))
		MaxPool(y, codes, c.Inputs["x"].Data, p)
		golden.Check(t, "y", y, c.Output, goldenTol)
		MaxPoolGrad(dx, c.Cotangent.Data, codes, p)
		golden.Check(t, "dx", dx, c.Grads["x"], goldenTol)
	}, "max_pool2d", "max_pool3d")
}

func TestAvgPoolGolden(t *testing.T) {
	eachCase(t, func(t *testing.T, c *golden.Case) {
		p := goldenPool(c)
		y, dx := nans(len(c.Output.Data)), nans(len(c.Inputs["x"].Data))
		AvgPool(y, c.Inputs["x"].Data, p)
		golden.Check(t, "y", y, c.Output, goldenTol)
		AvgPoolGrad(dx, c.Cotangent.Data, p)
		golden.Check(t, "dx", dx, c.Grads["x"], goldenTol)
	}, "avg_pool2d", "avg_pool3d")
}

func TestGlobalAvgPoolGolden(t *testing.T) {
	eachCase(t, func(t *testing.T, c *golden.Case) {
		y, dx := nans(len(c.Output.Data)), nans(len(c.Inputs["x"].Data))
		GlobalAvgPool(y, c.Inputs["x"].Data, len(dx)/len(y))
		golden.Check(t, "y", y, c.Output, goldenTol)
		GlobalAvgPoolGrad(dx, c.Cotangent.Data, len(dx)/len(y))
		golden.Check(t, "dx", dx, c.Grads["x"], goldenTol)
	}, "global_avg_pool2d")
}

func goldenBatchNorm(c *golden.Case) *BatchNorm {
	shape := c.Inputs["x"].Shape
	b := &BatchNorm{N: shape[0], C: shape[1], S: 1, Eps: c.Float("eps", 0), Momentum: c.Float("momentum", 0)}
	for _, n := range shape[2:] {
		b.S *= n
	}
	b.Gamma, b.Beta = c.Inputs["w"].Data, c.Inputs["b"].Data
	b.RunningMean = append([]float32(nil), c.Extra["running_mean"].Data...)
	b.RunningVar = append([]float32(nil), c.Extra["running_var"].Data...)
	b.Mean, b.InvStd = nans(b.C), nans(b.C)
	return b
}

func TestBatchNormGolden(t *testing.T) {
	eachCase(t, func(t *testing.T, c *golden.Case) {
		b := goldenBatchNorm(c)
		x := c.Inputs["x"].Data
		y := nans(len(x))
		g := &BatchNormGrads{DX: nans(len(x)), DGamma: nans(b.C), DBeta: nans(b.C)}
		if c.Op == "batch_norm_train" {
			b.Train(y, x, nil)
			b.TrainGrad(g, c.Cotangent.Data, x, nil)
			golden.Check(t, "running mean", b.RunningMean, c.Extra["running_mean_after"], goldenTol)
			golden.Check(t, "running variance", b.RunningVar, c.Extra["running_var_after"], goldenTol)
		} else {
			b.Infer(y, x, nil)
			b.InferGrad(g, c.Cotangent.Data, x, nil)
		}
		golden.Check(t, "y", y, c.Output, goldenTol)
		golden.Check(t, "dx", g.DX, c.Grads["x"], goldenTol)
		golden.Check(t, "dgamma", g.DGamma, c.Grads["w"], goldenTol)
		golden.Check(t, "dbeta", g.DBeta, c.Grads["b"], goldenTol)
	}, "batch_norm_train", "batch_norm_eval")
}

func TestLayerNormGolden(t *testing.T) {
	eachCase(t, func(t *testing.T, c *golden.Case) {
		x, gamma, beta := c.Inputs["x"].Data, c.Inputs["w"].Data, c.Inputs["b"].Data
		n, rows := len(gamma), len(x)/len(gamma)
		y, dx, dgamma, dbeta := nans(len(x)), nans(len(x)), nans(n), nans(n)
		mean, invStd := nans(rows), nans(rows)
		LayerNorm(y, x, gamma, beta, mean, invStd, n, c.Float("eps", 0))
		LayerNormGrad(dx, dgamma, dbeta, c.Cotangent.Data, x, gamma, mean, invStd, n)
		golden.Check(t, "y", y, c.Output, goldenTol)
		golden.Check(t, "dx", dx, c.Grads["x"], goldenTol)
		golden.Check(t, "dgamma", dgamma, c.Grads["w"], goldenTol)
		golden.Check(t, "dbeta", dbeta, c.Grads["b"], goldenTol)
	}, "layer_norm")
}

func TestSoftmaxGolden(t *testing.T) {
	eachCase(t, func(t *testing.T, c *golden.Case) {
		x := c.Inputs["x"]
		y, dx, n := nans(len(x.Data)), nans(len(x.Data)), x.Shape[1]
		if c.Op == "softmax" {
			Softmax(y, x.Data, n)
			SoftmaxGrad(dx, c.Cotangent.Data, y, n)
		} else {
			LogSoftmax(y, x.Data, n)
			LogSoftmaxGrad(dx, c.Cotangent.Data, y, n)
		}
		golden.Check(t, "y", y, c.Output, goldenTol)
		golden.Check(t, "dx", dx, c.Grads["x"], goldenTol)
	}, "softmax", "log_softmax")
}

func TestCrossEntropyGolden(t *testing.T) {
	eachCase(t, func(t *testing.T, c *golden.Case) {
		logits := c.Inputs["logits"]
		rows, k := logits.Shape[0], logits.Shape[1]
		ce := &CrossEntropy{Classes: k, Smoothing: c.Float("label_smoothing", 0)}
		for _, y := range c.Extra["target"].Data {
			ce.Labels = append(ce.Labels, int(y))
		}
		if c.Bool("weight") {
			ce.Weights = c.Extra["weight"].Data
		}
		loss, cot := make([]float64, rows), make([]float64, rows)
		prob := nans(rows * k)
		ce.Forward(loss, prob, logits.Data)
		out := make([]float32, len(c.Output.Data))
		for i, l := range loss {
			switch c.String("reduction") {
			case "none":
				out[i], cot[i] = float32(l), float64(c.Cotangent.Data[i])
			case "sum":
				out[0], cot[i] = out[0]+float32(l), float64(c.Cotangent.Data[0])
			default:
				w := ce.Weight(rows)
				out[0], cot[i] = out[0]+float32(l/w), float64(c.Cotangent.Data[0])/w
			}
		}
		golden.Check(t, "loss", out, c.Output, goldenTol)
		ce.Grad(prob, prob, cot)
		golden.Check(t, "gradient", prob, c.Grads["logits"], goldenTol)
	}, "cross_entropy")
}

func TestGridSampleGolden(t *testing.T) {
	modes := map[string]GridPadding{"zeros": GridZeros, "border": GridBorder, "reflection": GridReflection}
	eachCase(t, func(t *testing.T, c *golden.Case) {
		x, grid := c.Inputs["x"], c.Inputs["grid"]
		g := &GridSample{N: x.Shape[0], C: x.Shape[1], H: x.Shape[2], W: x.Shape[3], OutH: grid.Shape[1], OutW: grid.Shape[2],
			AlignCorners: c.Bool("align_corners"), Padding: modes[c.String("padding_mode")]}
		y, dx, dgrid := nans(len(c.Output.Data)), nans(len(x.Data)), nans(len(grid.Data))
		g.Forward(y, x.Data, grid.Data)
		g.GradInput(dx, c.Cotangent.Data, grid.Data)
		g.GradGrid(dgrid, c.Cotangent.Data, x.Data, grid.Data)
		golden.Check(t, "y", y, c.Output, goldenTol)
		golden.Check(t, "dx", dx, c.Grads["x"], goldenTol)
		golden.Check(t, "dgrid", dgrid, c.Grads["grid"], goldenTol)
	}, "grid_sample")
}

func TestResizeGolden(t *testing.T) {
	eachCase(t, func(t *testing.T, c *golden.Case) {
		x, size := c.Inputs["x"], c.Ints("size")
		r := &Resize{Planes: x.Shape[0] * x.Shape[1], H: x.Shape[2], W: x.Shape[3], OutH: size[0], OutW: size[1],
			AlignCorners: c.Bool("align_corners"), Nearest: c.Op == "upsample_nearest2d"}
		y, dx := nans(len(c.Output.Data)), nans(len(x.Data))
		r.Forward(y, x.Data)
		r.Grad(dx, c.Cotangent.Data)
		golden.Check(t, "y", y, c.Output, goldenTol)
		golden.Check(t, "dx", dx, c.Grads["x"], goldenTol)
	}, "upsample_bilinear2d", "upsample_nearest2d")
}

func TestPadGolden(t *testing.T) {
	eachCase(t, func(t *testing.T, c *golden.Case) {
		x := c.Inputs["x"]
		attr := func(name string) int { return int(c.Float(name, 0)) }
		before, after := []int{0, 0, attr("top"), attr("left")}, []int{0, 0, attr("bottom"), attr("right")}
		y, dx := nans(len(c.Output.Data)), nans(len(x.Data))
		Pad(y, x.Data, x.Shape, before, after, 0)
		golden.Check(t, "y", y, c.Output, 0)
		for i := range before {
			before[i], after[i] = -before[i], -after[i]
		}
		Pad(dx, c.Cotangent.Data, c.Output.Shape, before, after, 0)
		golden.Check(t, "dx", dx, c.Grads["x"], 0)
	}, "pad2d_constant")
}
