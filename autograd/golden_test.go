package autograd

import (
	"strings"
	"testing"

	"github.com/mettleml/mettle/internal/golden"
	"github.com/mettleml/mettle/tensor"
)

const goldenTol = 2e-5

func asTensor(g golden.Tensor) *tensor.Tensor {
	return tensor.FromSlice(append([]float32(nil), g.Data...), g.Shape...)
}

func labelsOf(g golden.Tensor) []int {
	labels := make([]int, len(g.Data))
	for i, v := range g.Data {
		labels[i] = int(v)
	}
	return labels
}

func convOptions(c *golden.Case) ConvOptions {
	return ConvOptions{Stride: c.Ints("stride"), Padding: c.Ints("padding"), Dilation: c.Ints("dilation"),
		OutputPadding: c.Ints("output_padding"), Groups: int(c.Float("groups", 1))}
}

func poolOptions(c *golden.Case) PoolOptions {
	return PoolOptions{Kernel: c.Ints("kernel"), Stride: c.Ints("stride"), Padding: c.Ints("padding")}
}

// goldenOps computes each operation of the golden file from its operands by name.
var goldenOps = map[string]func(c *golden.Case, in map[string]Var) Var{
	"conv2d": func(c *golden.Case, in map[string]Var) Var { return Conv(in["x"], in["w"], in["b"], convOptions(c)) },
	"conv3d": func(c *golden.Case, in map[string]Var) Var { return Conv(in["x"], in["w"], in["b"], convOptions(c)) },
	"conv_transpose2d": func(c *golden.Case, in map[string]Var) Var {
		return ConvTranspose(in["x"], in["w"], in["b"], convOptions(c))
	},
	"max_pool2d":        func(c *golden.Case, in map[string]Var) Var { return MaxPool(in["x"], poolOptions(c)) },
	"avg_pool2d":        func(c *golden.Case, in map[string]Var) Var { return AvgPool(in["x"], poolOptions(c)) },
	"max_pool3d":        func(c *golden.Case, in map[string]Var) Var { return MaxPool(in["x"], poolOptions(c)) },
	"avg_pool3d":        func(c *golden.Case, in map[string]Var) Var { return AvgPool(in["x"], poolOptions(c)) },
	"global_avg_pool2d": func(c *golden.Case, in map[string]Var) Var { return GlobalAvgPool(in["x"]) },
	"batch_norm_train": func(c *golden.Case, in map[string]Var) Var {
		return BatchNorm(in["x"], in["w"], in["b"], BatchNormOptions{Eps: c.Float("eps", 0)})
	},
	"batch_norm_eval": func(c *golden.Case, in map[string]Var) Var {
		return BatchNorm(in["x"], in["w"], in["b"], BatchNormOptions{Eps: c.Float("eps", 0), UseRunning: true,
			Mean: asTensor(c.Extra["running_mean"]), Var: asTensor(c.Extra["running_var"])})
	},
	"layer_norm": func(c *golden.Case, in map[string]Var) Var {
		return LayerNorm(in["x"], in["w"], in["b"], c.Float("eps", 0))
	},
	"linear":          func(c *golden.Case, in map[string]Var) Var { return Linear(in["x"], in["w"], in["b"], false) },
	"matmul":          func(c *golden.Case, in map[string]Var) Var { return MatMul(in["a"], in["b"]) },
	"relu":            func(c *golden.Case, in map[string]Var) Var { return ReLU(in["x"]) },
	"tanh":            func(c *golden.Case, in map[string]Var) Var { return Tanh(in["x"]) },
	"sigmoid":         func(c *golden.Case, in map[string]Var) Var { return Sigmoid(in["x"]) },
	"exp":             func(c *golden.Case, in map[string]Var) Var { return Exp(in["x"]) },
	"softplus":        func(c *golden.Case, in map[string]Var) Var { return Softplus(in["x"]) },
	"gelu":            func(c *golden.Case, in map[string]Var) Var { return GELU(in["x"]) },
	"leaky_relu_0.01": func(c *golden.Case, in map[string]Var) Var { return LeakyReLU(in["x"], 0.01) },
	"abs":             func(c *golden.Case, in map[string]Var) Var { return Abs(in["x"]) },
	"square":          func(c *golden.Case, in map[string]Var) Var { return Square(in["x"]) },
	"log":             func(c *golden.Case, in map[string]Var) Var { return Log(in["x"]) },
	"sqrt":            func(c *golden.Case, in map[string]Var) Var { return Sqrt(in["x"]) },
	"softmax":         func(c *golden.Case, in map[string]Var) Var { return Softmax(in["x"]) },
	"log_softmax":     func(c *golden.Case, in map[string]Var) Var { return LogSoftmax(in["x"]) },
	"add":             func(c *golden.Case, in map[string]Var) Var { return Add(in["a"], in["b"]) },
	"sub":             func(c *golden.Case, in map[string]Var) Var { return Sub(in["a"], in["b"]) },
	"mul":             func(c *golden.Case, in map[string]Var) Var { return Mul(in["a"], in["b"]) },
	"div":             func(c *golden.Case, in map[string]Var) Var { return Div(in["a"], in["b"]) },
	"cross_entropy": func(c *golden.Case, in map[string]Var) Var {
		o := CrossEntropyOptions{Smoothing: c.Float("label_smoothing", 0)}
		if c.Bool("weight") {
			o.Weights = c.Extra["weight"].Data
		}
		switch c.String("reduction") {
		case "sum":
			o.Reduction = ReduceSum
		case "none":
			o.Reduction = ReduceNone
		}
		return CrossEntropy(in["logits"], labelsOf(c.Extra["target"]), o)
	},
	"mse":     func(c *golden.Case, in map[string]Var) Var { return MSE(in["a"], in["b"]) },
	"l1_loss": func(c *golden.Case, in map[string]Var) Var { return L1(in["a"], in["b"]) },
	"kl_div":  func(c *golden.Case, in map[string]Var) Var { return KLDiv(in["logp"], in["q"]) },
	"cosine_similarity": func(c *golden.Case, in map[string]Var) Var {
		return CosineSimilarity(in["a"], in["b"], 1e-8)
	},
	"grid_sample": func(c *golden.Case, in map[string]Var) Var {
		padding := map[string]GridPadding{"zeros": GridZeros, "border": GridBorder, "reflection": GridReflection}
		return GridSample(in["x"], in["grid"], padding[c.String("padding_mode")], c.Bool("align_corners"))
	},
	"upsample_bilinear2d": func(c *golden.Case, in map[string]Var) Var {
		return ResizeBilinear(in["x"], c.Ints("size")[0], c.Ints("size")[1], c.Bool("align_corners"))
	},
	"upsample_nearest2d": func(c *golden.Case, in map[string]Var) Var {
		return ResizeNearest(in["x"], c.Ints("size")[0], c.Ints("size")[1])
	},
	"normalize_l2": func(c *golden.Case, in map[string]Var) Var { return NormalizeRows(in["x"], 1e-12) },
	"pad2d_constant": func(c *golden.Case, in map[string]Var) Var {
		return PadConstant(in["x"], 0, int(c.Float("left", 0)), int(c.Float("right", 0)), int(c.Float("top", 0)), int(c.Float("bottom", 0)))
	},
}

func TestGolden(t *testing.T) {
	for _, op := range golden.Ops(t) {
		if goldenOps[op] == nil && !strings.HasPrefix(op, "optim/") { // those are tested with the optimisers
			t.Errorf("%s has reference vectors and no test", op)
		}
	}
	for name, f := range goldenOps {
		t.Run(name, func(t *testing.T) {
			for _, c := range golden.Cases(t, name) {
				tape := NewTape(Training, 0)
				in := make(map[string]Var)
				for k, x := range c.Inputs {
					in[k] = tape.Watch(asTensor(x))
				}
				y := f(c, in)
				golden.Check(t, c.Name, y.Data(), c.Output, goldenTol)
				if len(y.Data()) != len(c.Output.Data) {
					continue
				}
				g := tape.differentiate("test", y.node("test"), c.Cotangent.Data, nil)
				for k, want := range c.Grads {
					got := g.Of(in[k])
					if got == nil {
						t.Errorf("%s: no gradient to %s", c.Name, k)
						continue
					}
					golden.Check(t, c.Name+": gradient to "+k, got.Data(), want, goldenTol)
				}
			}
		})
	}
}

func TestGoldenRunningEstimates(t *testing.T) {
	for _, c := range golden.Cases(t, "batch_norm_train") {
		tape := NewTape(Training, 0)
		mean, variance := asTensor(c.Extra["running_mean"]), asTensor(c.Extra["running_var"])
		BatchNorm(tape.Input(asTensor(c.Inputs["x"])), Var{}, Var{}, BatchNormOptions{
			Eps: c.Float("eps", 0), Momentum: c.Float("momentum", 0), Mean: mean, Var: variance, Update: true})
		golden.Check(t, c.Name+": running mean", mean.Data(), c.Extra["running_mean_after"], goldenTol)
		golden.Check(t, c.Name+": running variance", variance.Data(), c.Extra["running_var_after"], goldenTol)
	}
}
