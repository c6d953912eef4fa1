package kernel

import (
	"math"
	"testing"

	"github.com/mettleml/mettle/internal/golden"
)

func TestUnaryGolden(t *testing.T) {
	// The gradient functions take x or y; in tells which.
	const fromX, fromY = false, true
	ops := map[string]struct {
		forward  func(y, x []float32)
		in       bool
		backward func(dx, dy, v []float32, accumulate bool)
	}{
		"relu":     {ReLU, fromY, ReLUGrad},
		"tanh":     {Tanh, fromY, TanhGrad},
		"sigmoid":  {Sigmoid, fromY, SigmoidGrad},
		"exp":      {Exp, fromY, ExpGrad},
		"softplus": {Softplus, fromX, SoftplusGrad},
		"gelu":     {GELU, fromX, GELUGrad},
		"abs":      {Abs, fromX, AbsGrad},
		"square":   {Square, fromX, SquareGrad},
		"log":      {Log, fromX, LogGrad},
		"sqrt":     {Sqrt, fromY, SqrtGrad},
		"leaky_relu_0.01": {
			func(y, x []float32) { LeakyReLU(y, x, 0.01) }, fromX,
			func(dx, dy, v []float32, accumulate bool) { LeakyReLUGrad(dx, dy, v, 0.01, accumulate) },
		},
	}
	eachSet(t, func(t *testing.T) {
		for name, op := range ops {
			for _, c := range golden.Cases(t, name) {
				x, dy := c.Inputs["x"].Data, c.Cotangent.Data
				y := make([]float32, len(x))
				op.forward(y, x)
				golden.Check(t, c.Name, y, c.Output, 1e-5)

				v := x
				if op.in == fromY {
					v = y
				}
				dx := make([]float32, len(x))
				op.backward(dx, dy, v, false)
				golden.Check(t, c.Name+" gradient", dx, c.Grads["x"], 1e-5)
				op.backward(dx, dy, v, true)
				Scale(dx, dx, 0.5)
				golden.Check(t, c.Name+" accumulated gradient", dx, c.Grads["x"], 1e-5)
			}
		}
	})
}

func TestBinaryGolden(t *testing.T) {
	ops := map[string]BinaryOp{"add": OpAdd, "sub": OpSub, "mul": OpMul, "div": OpDiv}
	eachSet(t, func(t *testing.T) {
		for name, op := range ops {
			for _, c := range golden.Cases(t, name) {
				a, b, shape := c.Inputs["a"], c.Inputs["b"], c.Output.Shape
				y := make([]float32, len(c.Output.Data))
				Broadcast(op, y, shape, a.Data, a.Shape, b.Data, b.Shape)
				golden.Check(t, c.Name, y, c.Output, 1e-5)

				dy := c.Cotangent.Data
				da, db := make([]float32, len(dy)), make([]float32, len(dy))
				switch op {
				case OpAdd:
					copy(da, dy)
					copy(db, dy)
				case OpSub:
					copy(da, dy)
					Neg(db, dy)
				case OpMul:
					Broadcast(OpMul, da, shape, dy, shape, b.Data, b.Shape)
					Broadcast(OpMul, db, shape, dy, shape, a.Data, a.Shape)
				case OpDiv:
					Broadcast(OpDiv, da, shape, dy, shape, b.Data, b.Shape)
					Mul(db, dy, y)
					Broadcast(OpDiv, db, shape, db, shape, b.Data, b.Shape)
					Neg(db, db)
				}
				for arg, full := range map[string][]float32{"a": da, "b": db} {
					to := c.Inputs[arg]
					grad := make([]float32, len(to.Data))
					SumTo(grad, to.Shape, full, shape, false)
					golden.Check(t, c.Name+" gradient "+arg, grad, c.Grads[arg], 1e-5)
				}
			}
		}
	})
}

func TestOptimizersGolden(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, c := range golden.Cases(t, "optim/sgd") {
			velocity := make([]float32, len(c.Inputs["p"].Data))
			trajectory(t, c, func(p, g []float32, step int) {
				SGDStep(p, g, velocity, SGD{
					LR: c.Float("lr", 0), Momentum: c.Float("momentum", 0),
					WeightDecay: c.Float("weight_decay", 0), Nesterov: c.Bool("nesterov"), First: step == 1,
				})
			})
		}
		for _, op := range []string{"optim/adam", "optim/adamw"} {
			for _, c := range golden.Cases(t, op) {
				n := len(c.Inputs["p"].Data)
				m, v := make([]float32, n), make([]float32, n)
				betas := c.Attrs["betas"].([]any)
				b1, b2 := betas[0].(float64), betas[1].(float64)
				trajectory(t, c, func(p, g []float32, step int) {
					AdamStep(p, g, m, v, Adam{
						LR: c.Float("lr", 0), Beta1: b1, Beta2: b2, Eps: c.Float("eps", 0),
						WeightDecay: c.Float("weight_decay", 0), Decoupled: op == "optim/adamw",
						Bias1: 1 - math.Pow(b1, float64(step)), Bias2: 1 - math.Pow(b2, float64(step)),
					})
				})
			}
		}
	})
}

// trajectory runs an optimiser over a case's gradients and compares the
// parameters after every step.
func trajectory(t *testing.T, c *golden.Case, step func(p, g []float32, step int)) {
	t.Helper()
	p := append([]float32(nil), c.Inputs["p"].Data...)
	n := len(p)
	grads := c.Inputs["grads"].Data
	var got []float32
	for i := range len(grads) / n {
		step(p, grads[i*n:(i+1)*n], i+1)
		got = append(got, p...)
	}
	golden.Check(t, c.Name, got, c.Output, 1e-6)
}
