package ssl

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

func matrix(d int, v ...float32) *tensor.Tensor { return tensor.FromSlice(v, len(v)/d, d) }

// normal returns numbers from N(0,1).
func normal(seed uint64, shape ...int) *tensor.Tensor {
	x := tensor.New(shape...)
	kernel.Normal(x.Data(), 0, 1, seed, 0)
	return x
}

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s is %.6f, want %.6f", what, got, want)
	}
}

// TestVectors compares with numbers that were worked out apart from this code.
func TestVectors(t *testing.T) {
	tape := autograd.NewTape(autograd.Training, 0)
	a := tape.Input(matrix(2, 1, 0, 0, 1))
	b := tape.Input(matrix(2, 1, 0.2, 0.3, 1)) // rows get length 1
	near(t, "NT-Xent", NTXent(a, b, 0.5).Scalar(), 0.396154, 1e-6)
	near(t, "NT-Xent of perfect views", NTXent(a, a, 0.5).Scalar(), math.Log(1+2*math.Exp(-2)), 1e-6)
	near(t, "InfoNCE", InfoNCE(a, b, 0.2).Scalar(), 0.026348, 1e-6)
	for i, want := range []float64{0.038839, 0.084347} {
		near(t, "a term of BYOL", CosineLoss(rows(a, i, i+1), rows(b, i, i+1)).Scalar(), want, 1e-6)
	}
	u := tape.Input(matrix(2, 1, 2, 2, 1, 3, 4, 4, 3))
	v := tape.Input(matrix(2, 1.5, 2, 2, 1.5, 2.5, 3.5, 4, 3))
	near(t, "Barlow Twins", BarlowTwins(u, v, 0.005, 0).Scalar(), 0.005664, 1e-6)
	// Two views of two samples: a row of the other class does not count as a positive.
	z := autograd.ConcatCopy(0, a, b)
	near(t, "SupCon of classes of one sample", SupervisedNCE(z, []int{0, 1, 0, 1}, 0.5).Scalar(), NTXent(a, b, 0.5).Scalar(), 1e-6)
	near(t, "SupCon without a positive for one", SupervisedNCE(rows(z, 0, 3), []int{0, 1, 0}, 0.5).Scalar(),
		supervised([][]float64{{1, 0}, {0, 1}, {0.980581, 0.196116}}, []int{0, 1, 0}, 0.5), 1e-5)
	queue := tape.Input(matrix(2, 0, 1, -1, 0))
	near(t, "the loss of MoCo", QueueNCE(rows(a, 0, 1), rows(b, 0, 1), queue, 0.2).Scalar(),
		math.Log(1+math.Exp((0-0.980581)/0.2)+math.Exp((-1-0.980581)/0.2)), 1e-5)
	// u-v is ±0.5 or 0; variances above 1 leave no hinge; covariances by hand.
	near(t, "VICReg", VICReg(u, v, VICRegWeights{}).Scalar(), vicreg(u.Value(), v.Value()), 1e-4)
}

// supervised is SupervisedNCE by its formula.
func supervised(z [][]float64, y []int, temperature float64) float64 {
	dot := func(i, j int) float64 {
		return (z[i][0]*z[j][0] + z[i][1]*z[j][1]) / temperature
	}
	total, anchors := 0.0, 0.0
	for i := range z {
		below, sum, count := 0.0, 0.0, 0.0
		for k := range z {
			if k != i {
				below += math.Exp(dot(i, k))
			}
		}
		for p := range z {
			if p != i && y[p] == y[i] {
				sum -= dot(i, p) - math.Log(below)
				count++
			}
		}
		if count > 0 {
			total, anchors = total+sum/count, anchors+1
		}
	}
	return total / anchors
}

// vicreg is VICReg by its formula with the paper's weights.
func vicreg(u, v *tensor.Tensor) float64 {
	n, d := u.Dim(0), u.Dim(1)
	loss := 0.0
	for i := range u.Data() {
		loss += 25 * math.Pow(float64(u.Data()[i]-v.Data()[i]), 2) / float64(n*d)
	}
	for _, x := range []*tensor.Tensor{u, v} {
		at := func(i, j int) float64 { return float64(x.Data()[i*d+j]) }
		mean := make([]float64, d)
		for i := range n {
			for j := range d {
				mean[j] += at(i, j) / float64(n)
			}
		}
		for j := range d {
			for k := range d {
				c := 0.0
				for i := range n {
					c += (at(i, j) - mean[j]) * (at(i, k) - mean[k]) / float64(n-1)
				}
				if j == k {
					loss += 25 * max(0, 1-math.Sqrt(c+1e-4)) / float64(d) / 2
				} else {
					loss += c * c / float64(d)
				}
			}
		}
	}
	return loss
}

// TestFloor: the loss of perfect views that are orthogonal to all others.
func TestFloor(t *testing.T) {
	tape := autograd.NewTape(autograd.Training, 0)
	const n = 8
	eye := tensor.New(n, n)
	for i := range n {
		eye.Data()[i*n+i] = 3 // the length does not matter
	}
	for _, temperature := range []float64{0.1, 0.5, 1} {
		a := tape.Input(eye)
		want := math.Log(1 + float64(2*n-2)*math.Exp(-1/temperature))
		near(t, "NT-Xent", NTXent(a, a, temperature).Scalar(), want, 1e-6)
	}
}

func TestGradients(t *testing.T) {
	labels := []int{0, 1, 2, 0, 1, 2, 2, 0}
	for name, f := range map[string]func(x ...autograd.Var) autograd.Var{
		"NTXent":   func(x ...autograd.Var) autograd.Var { return NTXent(x[0], x[1], 0.5) },
		"InfoNCE":  func(x ...autograd.Var) autograd.Var { return InfoNCE(x[0], x[1], 0.5) },
		"QueueNCE": func(x ...autograd.Var) autograd.Var { return QueueNCE(x[0], x[1], autograd.Detach(x[0]), 0.5) },
		"SupervisedNCE": func(x ...autograd.Var) autograd.Var {
			return SupervisedNCE(autograd.ConcatCopy(0, x[0], x[1]), append(labels[:4:4], labels...)[:2*x[0].Dim(0)], 0.5)
		},
		"BarlowTwins": func(x ...autograd.Var) autograd.Var { return BarlowTwins(x[0], x[1], 0.1, 1e-5) },
		"VICReg":      func(x ...autograd.Var) autograd.Var { return VICReg(x[0], x[1], VICRegWeights{}) },
	} {
		t.Run(name, func(t *testing.T) {
			const seed = 7
			x := []*tensor.Tensor{normal(seed, 6, 5), normal(seed+1, 6, 5)}
			if name == "QueueNCE" { // the queue is a constant
				q := normal(seed+2, 9, 5)
				for i := range 9 {
					unit(q.Data()[5*i:][:5], q.Data()[5*i:][:5])
				}
				f = func(x ...autograd.Var) autograd.Var { return QueueNCE(x[0], x[1], x[0].Tape().Input(q), 0.5) }
			}
			if err := autograd.GradCheck(f, autograd.Check{Seed: seed}, x...); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCosineLossStops: nothing flows into the target, exactly.
func TestCosineLossStops(t *testing.T) {
	tape := autograd.NewTape(autograd.Training, 0)
	p, target := tape.Watch(normal(1, 4, 3)), tape.Watch(normal(2, 4, 3))
	g := tape.Gradients(CosineLoss(p, target))
	if g.Of(p) == nil || g.Of(p).Norm(2) == 0 {
		t.Error("no gradient to the prediction")
	}
	if d := g.Of(target); d != nil && d.Norm(2) != 0 {
		t.Errorf("a gradient of length %v to the target", d.Norm(2))
	}
}

func TestOffDiagonal(t *testing.T) {
	tape := autograd.NewTape(autograd.Training, 0)
	x := tape.Input(matrix(3, 0, 1, 2, 3, 4, 5, 6, 7, 8))
	want := []float32{1, 2, 3, 5, 6, 7}
	got := offDiagonal(x)
	for i, v := range want {
		if got.Data()[i] != v || got.Dim(0) != 3 || got.Dim(1) != 2 {
			t.Fatalf("got %v", got.Value())
		}
	}
}

// TestPermutedBatch: a loss does not depend on the order of the samples.
func TestPermutedBatch(t *testing.T) {
	tape := autograd.NewTape(autograd.Training, 0)
	order := rand.New(rand.NewPCG(3, 0)).Perm(10)
	u, v := tape.Input(normal(1, 10, 4)), tape.Input(normal(2, 10, 4))
	pu, pv := autograd.GatherCopy(u, order), autograd.GatherCopy(v, order)
	near(t, "NT-Xent of another order", NTXent(pu, pv, 0.2).Scalar(), NTXent(u, v, 0.2).Scalar(), 1e-6)
	near(t, "InfoNCE of another order", InfoNCE(pu, pv, 0.2).Scalar(), InfoNCE(u, v, 0.2).Scalar(), 1e-6)
	near(t, "Barlow Twins of another order", BarlowTwins(pu, pv, 0.1, 1e-5).Scalar(), BarlowTwins(u, v, 0.1, 1e-5).Scalar(), 1e-5)
}
