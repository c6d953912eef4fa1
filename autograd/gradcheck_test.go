package autograd

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// away moves every element at least d from 0.
func away(x *tensor.Tensor, d float32) *tensor.Tensor {
	for i, v := range x.Data() {
		if v >= 0 {
			x.Data()[i] = v + d
		} else {
			x.Data()[i] = v - d
		}
	}
	return x
}

// positive makes every element at least d.
func positive(x *tensor.Tensor, d float32) *tensor.Tensor {
	for i, v := range x.Data() {
		x.Data()[i] = max(v, -v) + d
	}
	return x
}

// spread returns numbers at least 0.1 apart, in random order, so that a maximum is
// clear.
func spread(rng *rand.Rand, shape ...int) *tensor.Tensor {
	x := tensor.New(shape...)
	for i, p := range rng.Perm(x.Len()) {
		x.Data()[i] = 0.1 * float32(p-x.Len()/2)
	}
	return x
}

func TestGradCheckOfEveryOperation(t *testing.T) {
	rng := newRand(t)
	r := func(shape ...int) *tensor.Tensor { return randn(rng, shape...) }
	ones := func(f func(x Var) Var) func(x ...Var) Var { return func(x ...Var) Var { return f(x[0]) } }
	twos := func(f func(a, b Var) Var) func(x ...Var) Var { return func(x ...Var) Var { return f(x[0], x[1]) } }
	bn := func(o BatchNormOptions) func(x ...Var) Var {
		return func(x ...Var) Var {
			o := o
			o.Eps = 1e-5
			if len(x) > 3 {
				o.Residual = x[3]
			}
			return BatchNorm(x[0], x[1], x[2], o)
		}
	}
	for _, c := range []struct {
		name string
		f    func(x ...Var) Var
		c    Check
		x    []*tensor.Tensor
	}{
		{"relu", ones(ReLU), Check{}, []*tensor.Tensor{away(r(3, 5), .05)}},
		{"tanh", ones(Tanh), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"sigmoid", ones(Sigmoid), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"exp", ones(Exp), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"log", ones(Log), Check{Step: 3e-3}, []*tensor.Tensor{positive(r(3, 5), .5)}},
		{"sqrt", ones(Sqrt), Check{}, []*tensor.Tensor{positive(r(3, 5), .5)}},
		{"softplus", ones(Softplus), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"gelu", ones(GELU), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"abs", ones(Abs), Check{}, []*tensor.Tensor{away(r(3, 5), .05)}},
		{"square", ones(Square), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"reciprocal", ones(Reciprocal), Check{Step: 3e-3}, []*tensor.Tensor{away(r(3, 5), .7)}},
		{"neg", ones(Neg), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"affine", ones(func(x Var) Var { return Affine(x, -1.5, 2) }), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"affine twice", ones(func(x Var) Var { return Add(Scale(x, 2), AddScalar(x, 1)) }), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"leaky relu", ones(func(x Var) Var { return LeakyReLU(x, .2) }), Check{}, []*tensor.Tensor{away(r(3, 5), .05)}},
		{"clamp", ones(func(x Var) Var { return Clamp(x, -9, 0) }), Check{}, []*tensor.Tensor{away(r(3, 5), .05)}},
		{"add", twos(Add), Check{}, []*tensor.Tensor{r(2, 1, 4), r(3, 1)}},
		{"sub", twos(Sub), Check{}, []*tensor.Tensor{r(2, 3, 4), r(3, 1)}},
		{"mul", twos(Mul), Check{}, []*tensor.Tensor{r(4, 1), r(1, 5)}},
		{"mul by itself", ones(func(x Var) Var { return Mul(x, x) }), Check{}, []*tensor.Tensor{r(4)}},
		{"div", twos(Div), Check{Step: 3e-3}, []*tensor.Tensor{r(2, 3), away(r(3), .7)}},
		{"maximum", twos(Maximum), Check{}, []*tensor.Tensor{spread(rng, 3, 4), tensor.Scalar(.05)}},
		{"minimum", twos(Minimum), Check{}, []*tensor.Tensor{spread(rng, 3, 4), tensor.Scalar(.05)}},
		{"sum", ones(Sum), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"mean", ones(Mean), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"sum twice", ones(func(x Var) Var { return Add(Sum(x), Sum(Square(x))) }), Check{}, []*tensor.Tensor{r(3)}},
		{"sum axes", ones(func(x Var) Var { return SumAxes(x, 0, -1) }), Check{}, []*tensor.Tensor{r(2, 3, 4)}},
		{"mean axes", ones(func(x Var) Var { return Mul(MeanAxes(x, 1), SumAxes(x, 1)) }), Check{}, []*tensor.Tensor{r(2, 3, 4)}},
		{"log sum exp", ones(LogSumExp), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"softmax", ones(Softmax), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"log softmax", ones(LogSoftmax), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"normalize rows", ones(func(x Var) Var { return NormalizeRows(x, 1e-12) }), Check{}, []*tensor.Tensor{away(r(3, 5), .2)}},
		{"cosine similarity", twos(func(a, b Var) Var { return CosineSimilarity(a, b, 1e-8) }), Check{}, []*tensor.Tensor{away(r(3, 5), .2), away(r(3, 5), .2)}},
		{"mse", twos(MSE), Check{}, []*tensor.Tensor{r(3, 5), r(3, 5)}},
		{"l1", twos(L1), Check{}, []*tensor.Tensor{away(r(3, 5), .05), tensor.New(3, 5)}},
		{"normalize short rows", ones(func(x Var) Var { return NormalizeRows(x, 100) }), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"kl", twos(KLDiv), Check{Step: 2e-3}, []*tensor.Tensor{r(3, 5), positive(r(3, 5), .3)}},
		{"cross entropy", ones(func(x Var) Var {
			return CrossEntropy(x, []int{1, 0, 4}, CrossEntropyOptions{Weights: []float32{1, 2, 3, 1, .5}, Smoothing: .1})
		}), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"cross entropy rows", ones(func(x Var) Var {
			return CrossEntropy(x, []int{1, 0, 4}, CrossEntropyOptions{Reduction: ReduceNone})
		}), Check{}, []*tensor.Tensor{r(3, 5)}},
		{"soft cross entropy", ones(func(x Var) Var {
			target := x.Tape().Input(tensor.FromSlice([]float32{.2, .8, 0, 1, .5, .5}, 3, 2))
			return SoftCrossEntropy(x, target, ReduceSum)
		}), Check{}, []*tensor.Tensor{r(3, 2)}},
		{"linear", func(x ...Var) Var { return Linear(x[0], x[1], x[2], false) }, Check{}, []*tensor.Tensor{r(4, 3), r(5, 3), r(5)}},
		{"linear twice", func(x ...Var) Var { return Linear(Linear(x[0], x[1], Var{}, false), x[1], Var{}, false) }, Check{}, []*tensor.Tensor{r(4, 3), r(3, 3)}},
		{"matmul", twos(MatMul), Check{}, []*tensor.Tensor{r(3, 4), r(4, 2)}},
		{"matmul batch", twos(MatMul), Check{}, []*tensor.Tensor{r(2, 3, 4), r(2, 4, 2)}},
		{"matmulT", twos(MatMulT), Check{}, []*tensor.Tensor{r(3, 4), r(2, 4)}},
		{"gram", ones(func(x Var) Var { return MatMulT(x, x) }), Check{}, []*tensor.Tensor{r(3, 4)}},
		{"matmulT batch", twos(MatMulT), Check{}, []*tensor.Tensor{r(2, 3, 4), r(2, 5, 4)}},
		{"conv", func(x ...Var) Var { return Conv(x[0], x[1], x[2], ConvOptions{Stride: []int{2, 1}, Padding: []int{1}}) }, Check{},
			[]*tensor.Tensor{r(2, 3, 6, 5), r(4, 3, 3, 2), r(4)}},
		{"conv twice", func(x ...Var) Var {
			o := ConvOptions{Padding: []int{1}}
			return Conv(Conv(x[0], x[1], x[2], o), x[1], x[2], o)
		}, Check{}, []*tensor.Tensor{r(1, 2, 4, 4), r(2, 2, 3, 3), r(2)}},
		{"conv 1d", func(x ...Var) Var { return Conv(x[0], x[1], Var{}, ConvOptions{Dilation: []int{2}}) }, Check{},
			[]*tensor.Tensor{r(2, 4, 9), r(4, 4, 3)}},
		{"conv 3d groups", func(x ...Var) Var { return Conv(x[0], x[1], Var{}, ConvOptions{Groups: 2}) }, Check{},
			[]*tensor.Tensor{r(1, 4, 3, 4, 4), r(4, 2, 2, 3, 3)}},
		{"conv transpose", func(x ...Var) Var {
			return ConvTranspose(x[0], x[1], x[2], ConvOptions{Stride: []int{2}, Padding: []int{1}, OutputPadding: []int{1}})
		}, Check{}, []*tensor.Tensor{r(2, 3, 4, 4), r(3, 2, 3, 3), r(2)}},
		{"max pool", ones(func(x Var) Var { return MaxPool(x, PoolOptions{Kernel: []int{3}, Stride: []int{2}, Padding: []int{1}}) }), Check{}, []*tensor.Tensor{spread(rng, 1, 2, 6, 6)}},
		{"avg pool", ones(func(x Var) Var { return AvgPool(x, PoolOptions{Kernel: []int{2}}) }), Check{}, []*tensor.Tensor{r(1, 2, 4, 6, 4)}},
		{"avg pool without padding", ones(func(x Var) Var {
			return AvgPool(x, PoolOptions{Kernel: []int{3}, Padding: []int{1}, ExcludePadding: true})
		}), Check{}, []*tensor.Tensor{r(1, 2, 6)}},
		{"avg pool rounded up", ones(func(x Var) Var {
			return AvgPool(x, PoolOptions{Kernel: []int{3}, Stride: []int{2}, Ceil: true})
		}), Check{}, []*tensor.Tensor{r(1, 2, 6, 6)}},
		{"global avg pool", ones(GlobalAvgPool), Check{}, []*tensor.Tensor{r(2, 3, 4, 5)}},
		{"batch norm", bn(BatchNormOptions{}), Check{Tol: 2e-3}, []*tensor.Tensor{r(4, 3, 3), r(3), r(3)}},
		{"batch norm + residual", bn(BatchNormOptions{}), Check{Tol: 2e-3}, []*tensor.Tensor{r(4, 3, 3), r(3), r(3), r(4, 3, 3)}},
		{"batch norm of itself", func(x ...Var) Var { return BatchNorm(x[0], x[1], Var{}, BatchNormOptions{Residual: x[0], Eps: 1e-5}) },
			Check{Tol: 2e-3}, []*tensor.Tensor{r(4, 3, 3), r(3)}},
		{"batch norm, running", bn(BatchNormOptions{UseRunning: true, Mean: r(3), Var: positive(r(3), .5)}), Check{}, []*tensor.Tensor{r(4, 3, 3), r(3), r(3), r(4, 3, 3)}},
		{"layer norm", func(x ...Var) Var { return LayerNorm(x[0], x[1], x[2], 1e-5) }, Check{Tol: 2e-3}, []*tensor.Tensor{r(4, 6), r(6), r(6)}},
		{"reshape", ones(func(x Var) Var { return Square(Reshape(x, 3, -1)) }), Check{}, []*tensor.Tensor{r(2, 3, 2)}},
		{"flatten", ones(func(x Var) Var { return Square(Flatten(x)) }), Check{}, []*tensor.Tensor{r(2, 3, 2)}},
		{"permute", ones(func(x Var) Var { return PermuteCopy(x, 2, 0, -2) }), Check{}, []*tensor.Tensor{r(2, 3, 4)}},
		{"transpose", ones(func(x Var) Var { return MatMul(TransposeCopy(x), x) }), Check{}, []*tensor.Tensor{r(2, 3)}},
		{"narrow", ones(func(x Var) Var { return Add(NarrowCopy(x, 1, 0, 5, 2), NarrowCopy(x, 1, 2, 5, 1)) }), Check{}, []*tensor.Tensor{r(2, 5)}},
		{"subsample", ones(func(x Var) Var { return SubsampleCopy(x, 2) }), Check{}, []*tensor.Tensor{r(2, 5, 4)}},
		{"flip", ones(func(x Var) Var { return Mul(x, FlipCopy(x, 0, 1)) }), Check{}, []*tensor.Tensor{r(2, 5)}},
		{"rot90", ones(func(x Var) Var { return Rot90Copy(x, 1) }), Check{}, []*tensor.Tensor{r(2, 2, 3)}},
		{"rot270", ones(func(x Var) Var { return Rot90Copy(x, -1) }), Check{}, []*tensor.Tensor{r(2, 2, 3)}},
		{"roll", ones(func(x Var) Var { return Mul(x, RollCopy(x, 1, -7)) }), Check{}, []*tensor.Tensor{r(2, 5)}},
		{"pad", ones(func(x Var) Var { return PadConstant(x, 2, 1, 2, 0, 1) }), Check{}, []*tensor.Tensor{r(2, 3, 2)}},
		{"crop", ones(func(x Var) Var { return PadConstant(x, 2, -1, 0) }), Check{}, []*tensor.Tensor{r(2, 3)}},
		{"concat", twos(func(a, b Var) Var { return Square(ConcatCopy(1, a, b, a)) }), Check{}, []*tensor.Tensor{r(2, 3, 2), r(2, 1, 2)}},
		{"gather", ones(func(x Var) Var { return Square(GatherCopy(x, []int{2, 0, 2})) }), Check{}, []*tensor.Tensor{r(3, 4)}},
		{"pick", ones(func(x Var) Var { return Pick(x, []int{2, 0}) }), Check{}, []*tensor.Tensor{r(2, 4)}},
		{"max row", ones(func(x Var) Var { return MaxRow(x, []int{2, 0}) }), Check{}, []*tensor.Tensor{spread(rng, 2, 4)}},
		{"dropout", ones(func(x Var) Var { return Add(x, Dropout(x, .4)) }), Check{}, []*tensor.Tensor{r(5, 5)}},
		{"grid sample", twos(func(x, g Var) Var { return GridSample(x, g, GridBorder, false) }), Check{Step: 1e-3, Tol: 3e-3},
			[]*tensor.Tensor{r(1, 2, 3, 3), tensor.FromSlice([]float32{-.5, .4, .1, -.3, .45, .2, -.15, .35}, 1, 2, 2, 2)}},
		{"resize bilinear", ones(func(x Var) Var { return ResizeBilinear(x, 5, 3, true) }), Check{}, []*tensor.Tensor{r(1, 2, 3, 4)}},
		{"resize nearest", ones(func(x Var) Var { return ResizeNearest(x, 5, 3) }), Check{}, []*tensor.Tensor{r(1, 2, 3, 4)}},
		{"function", func(x ...Var) Var { return Add(Apply(product{}, x...), x[0]) }, Check{}, []*tensor.Tensor{r(3), r(3)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := GradCheck(c.f, c.c, c.x...); err != nil {
				t.Error(err)
			}
		})
	}
}

// product is a user's operation: a·b·b.
type product struct{}

func (product) Shape(x [][]int) []int { return x[0] }

func (product) Forward(y *tensor.Tensor, x []*tensor.Tensor) {
	for i, a := range x[0].Data() {
		b := x[1].Data()[i]
		y.Data()[i] = a * b * b
	}
}

func (product) Backward(dx []*tensor.Tensor, dy, _ *tensor.Tensor, x []*tensor.Tensor) {
	for i, g := range dy.Data() {
		a, b := x[0].Data()[i], x[1].Data()[i]
		if dx[0] != nil {
			dx[0].Data()[i] = g * b * b
		}
		if dx[1] != nil {
			dx[1].Data()[i] = 2 * g * a * b
		}
	}
}

// wrong is product with a wrong derivative to its second operand.
type wrong struct{ product }

func (wrong) Backward(dx []*tensor.Tensor, dy, y *tensor.Tensor, x []*tensor.Tensor) {
	product{}.Backward(dx, dy, y, x)
	dx[1].Data()[2] *= 1.01
}

func TestGradCheckFindsMistakes(t *testing.T) {
	rng := newRand(t)
	a, b := away(randn(rng, 3), .5), away(randn(rng, 3), .5)
	b.Data()[2] = 3 // the wrong entry is the largest
	a.Data()[2] = 3
	err := GradCheck(func(x ...Var) Var { return Apply(wrong{}, x...) }, Check{}, a, b)
	if err == nil || !strings.Contains(err.Error(), "operand 1 at element 2") {
		t.Errorf("error %v", err)
	}
	p := NewParam(randn(rng, 3))
	f := func(x ...Var) Var { return Mul(x[0], x[0].Tape().Param(p)) }
	if err := GradCheck(f, Check{Params: []*Param{p}}, a); err != nil {
		t.Error(err)
	}
	f = func(x ...Var) Var { return Mul(x[0], Detach(x[0].Tape().Param(p))) }
	if err := GradCheck(f, Check{Params: []*Param{p}}, a); err == nil || !strings.Contains(err.Error(), "parameter 0") {
		t.Errorf("error %v", err)
	}
}
