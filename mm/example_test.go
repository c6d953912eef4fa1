package mm_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math"
	"strings"

	"gonum.org/v1/gonum/optimize"

	"github.com/mettleml/mettle/mm"
)

// The program of the package documentation: sparse logistic regression with a
// non-convex regulariser.
func Example() {
	x, y := mm.OneHot(2000, 1) // or mm.ReadLIBSVMFile
	f, err := mm.NewLogistic(x, y, 0.001)
	if err != nil {
		log.Fatal(err)
	}
	problem := mm.Problem{Sum: f, Reg: mm.L1{Lambda: 1e-3}}
	settings := &mm.Settings{Seed: 7, IFO: 50 * 2000} // 50 passes
	res, err := mm.Minimize(context.Background(), problem, nil, settings, mm.SPIMM{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("F = %.4f, ‖G‖ = %.0e, %d component gradients\n", res.F, res.Stationarity, res.IFO)
	// Output: F = 0.5173, ‖G‖ = 9e-04, 100060 component gradients
}

// A run can stop at an accuracy instead of a budget. A step that is too large is an
// error with a type of its own, beside the last finite iterate.
func ExampleMinimize() {
	x, y := mm.OneHot(2000, 1)
	f, err := mm.NewLogistic(x, y, 0.001)
	if err != nil {
		log.Fatal(err)
	}
	problem := mm.Problem{Sum: f, Reg: mm.L1{Lambda: 1e-3}}
	set := &mm.Settings{GradientThreshold: 1e-4}
	res, err := mm.Minimize(context.Background(), problem, nil, set, mm.SPIMM{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v: F = %.4f, ‖G‖ ≤ 1e-4: %v\n", res.Status, res.F, res.Stationarity <= 1e-4)

	_, err = mm.Minimize(context.Background(), problem, nil, nil, mm.SPIMM{Step: 1e308})
	var tooLarge *mm.NonFiniteError
	fmt.Println(errors.As(err, &tooLarge))

	_, err = mm.Minimize(context.Background(), problem, nil, nil, mm.SPIMM{Batch: 2001})
	fmt.Println(err)
	// Output:
	// GradientThreshold: F = 0.5162, ‖G‖ ≤ 1e-4: true
	// true
	// mm: Batch is 2001, more than the 2000 components
}

// A file that scikit-learn wrote numbers its columns from 0.
func ExampleReadLIBSVM() {
	const file = "1 0:0.5 3:1\n0 1:2\n1 2:1 3:-1\n0 0:-1\n"
	_, err := mm.ReadLIBSVM(strings.NewReader(file), mm.LIBSVMOptions{})
	fmt.Println(err)
	s, err := mm.ReadLIBSVM(strings.NewReader(file), mm.LIBSVMOptions{ZeroBased: true})
	if err != nil {
		log.Fatal(err)
	}
	y, err := s.Signs()
	if err != nil {
		log.Fatal(err)
	}
	n, p := s.X.Dims()
	fmt.Println(n, "samples of", p, "features; labels", s.Y, "become", y)
	// Output:
	// mm: LIBSVM line 1, column 3: index 0, but indices start from 1: a file whose indices start from 0, as scikit-learn writes them, needs LIBSVMOptions.ZeroBased
	// 4 samples of 4 features; labels [1 0 1 0] become [1 -1 1 -1]
}

// Sparse PCA recovers a spike. The start is the coordinate of largest variance: from
// a dense start, a large weight ends at the stationary point 0.
func ExampleNewPCA() {
	z, spike := mm.Spiked(1000, 20, 3, 8, 5)
	f, err := mm.NewPCA(z)
	if err != nil {
		log.Fatal(err)
	}
	start := make([]float64, 20)
	start[0] = 1
	problem := mm.Problem{Sum: f, Reg: mm.L1Sphere{Lambda: 0.01}}
	res, err := mm.Minimize(context.Background(), problem, start, nil, mm.SPIMM{})
	if err != nil {
		log.Fatal(err)
	}
	cos, entries := 0.0, 0
	for j, v := range res.X {
		cos += v * spike[j]
		if v != 0 {
			entries++
		}
	}
	fmt.Printf("%d of 20 entries, |cos| > 0.99: %v\n", entries, math.Abs(cos) > 0.99)
	// Output: 3 of 20 entries, |cos| > 0.99: true
}

// Certify finds a smoothness constant that is too small, which makes the step too
// long, at the first iteration that it harms.
func ExampleSettings_certify() {
	x, y := mm.Gaussian(200, 5, 1)
	f, err := mm.NewLeastSquares(x, y)
	if err != nil {
		log.Fatal(err)
	}
	set := &mm.Settings{Certify: true, Lipschitz: mm.Lipschitz{MeanSquare: 0.02, Max: 0.02}}
	_, err = mm.Minimize(context.Background(), mm.Problem{Sum: f}, nil, set, mm.SPIMM{})
	var wrong *mm.CertificateError
	fmt.Println(errors.As(err, &wrong))
	set.Lipschitz = mm.Lipschitz{} // that of the sum
	_, err = mm.Minimize(context.Background(), mm.Problem{Sum: f}, nil, set, mm.SPIMM{})
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// A surrogate that is tighter than a parabola of fixed curvature needs fewer passes.
func ExampleNewJaakkolaJordan() {
	x, y := mm.Gaussian(400, 6, 3)
	f, err := mm.NewLogistic(x, y, 0)
	if err != nil {
		log.Fatal(err)
	}
	family, err := mm.NewJaakkolaJordan(f)
	if err != nil {
		log.Fatal(err)
	}
	set := &mm.Settings{GradientThreshold: 1e-6}
	var iterations []int
	for _, m := range []mm.MM{{}, {Surrogate: family}} {
		res, err := mm.Minimize(context.Background(), mm.Problem{Sum: f}, nil, set, m)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("F = %.6f\n", res.F)
		iterations = append(iterations, res.MajorIterations)
	}
	fmt.Println("less than half of the iterations:", 2*iterations[1] < iterations[0])
	// Output:
	// F = 0.428787
	// F = 0.428787
	// less than half of the iterations: true
}

// ring is the sum of (‖θ‖² − r_i²)²/4, a circle to fit: four methods make a FiniteSum.
type ring []float64

func (r ring) Len() int { return len(r) }
func (r ring) Dim() int { return 2 }

func (r ring) Component(i int, x []float64) float64 {
	d := x[0]*x[0] + x[1]*x[1] - r[i]*r[i]
	return d * d / 4
}

func (r ring) AddGrad(dst []float64, i int, x []float64, scale float64) {
	d := scale * (x[0]*x[0] + x[1]*x[1] - r[i]*r[i])
	dst[0] += d * x[0]
	dst[1] += d * x[1]
}

// A sum of one's own that knows no Lipschitz constant: estimate one, or set the step.
func ExampleFiniteSum() {
	f := ring{0.8, 1.2, 1.1, 0.9}
	start := []float64{0.6, 0.8}
	_, err := mm.Minimize(context.Background(), mm.Problem{Sum: f}, start, nil, mm.SPIMM{})
	fmt.Println(errors.Is(err, mm.ErrNoLipschitz))
	set := &mm.Settings{IFO: 4000, Lipschitz: mm.EstimateLipschitz(f, start, 1, 100, 1)}
	res, err := mm.Minimize(context.Background(), mm.Problem{Sum: f}, start, set, mm.SPIMM{})
	fmt.Printf("‖θ‖² = %.4f %v\n", res.X[0]*res.X[0]+res.X[1]*res.X[1], err)
	// Output:
	// true
	// ‖θ‖² = 1.0250 <nil>
}

// tangent majorises log cosh(θ − a_i), which is smooth with constant 1, by the
// parabola of curvature tanh(r)/r at r = κ − a_i: tighter than the constant.
// Writing w for that curvature the surrogate is w·θ²/2 − w·a_i·θ, so its statistic
// has two numbers.
type tangent struct{ points }

func (s tangent) StatDim() int     { return 2 }
func (s tangent) Modulus() float64 { return 0 }

func (s tangent) AddStat(dst []float64, i int, anchor []float64, scale float64) {
	w := 1.0
	if r := anchor[0] - s.points[i]; r != 0 {
		w = math.Tanh(r) / r
	}
	dst[0] += scale * w
	dst[1] += scale * w * s.points[i]
}

func (s tangent) Minimize(dst, stat, _ []float64, h mm.Regularizer) error {
	h.Prox(dst, []float64{stat[1] / stat[0]}, 1/stat[0])
	return nil
}

func (s tangent) Eval(stat, x []float64) float64 {
	return stat[0]*x[0]*x[0]/2 - stat[1]*x[0]
}

// points is the sum of log cosh(θ − a_i): a smooth median.
type points []float64

func (a points) Len() int { return len(a) }
func (a points) Dim() int { return 1 }
func (a points) Component(i int, x []float64) float64 {
	return math.Log(math.Cosh(x[0] - a[i]))
}
func (a points) AddGrad(dst []float64, i int, x []float64, scale float64) {
	dst[0] += scale * math.Tanh(x[0]-a[i])
}

// A sum and a surrogate family of one's own. Certify checks the majorisation while
// the method runs.
func ExampleSurrogate() {
	a := points{-3, -1, 0.5, 0.7, 0.9, 12}
	set := &mm.Settings{MajorIterations: 60, Certify: true, MappingStep: 1}
	res, err := mm.Minimize(context.Background(), mm.Problem{Sum: a}, []float64{8}, set, mm.MM{Surrogate: tangent{a}})
	fmt.Printf("%.4f %v\n", res.X[0], err)
	// Output: 0.3897 <nil>
}

// hinged is h(x) = Weight·Σ max(0, −x_j): it discourages negative entries without
// forbidding them.
type hinged struct{ Weight float64 }

func (h hinged) Value(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += max(0, -v)
	}
	return h.Weight * s
}

func (h hinged) Prox(dst, u []float64, t float64) {
	for j, v := range u {
		dst[j] = v + max(0, min(-v, t*h.Weight))
	}
}

func (hinged) Convex() bool { return true }

// A proximal operator of one's own.
func ExampleRegularizer() {
	x := mm.NewDense(4, 2, []float64{1, 0, 0, 1, 1, 1, 1, -1})
	f, err := mm.NewLeastSquares(x, []float64{1, -0.1, 0.8, 1.2})
	if err != nil {
		log.Fatal(err)
	}
	for _, weight := range []float64{0, 0.05, 1} {
		res, err := mm.Minimize(context.Background(), mm.Problem{Sum: f, Reg: hinged{weight}}, nil, nil, mm.SPIMM{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("weight %-4g θ = (%.4f, %.4f)\n", weight, res.X[0], res.X[1])
	}
	// Output:
	// weight 0    θ = (1.0000, -0.1667)
	// weight 0.05 θ = (1.0000, -0.1000)
	// weight 1    θ = (1.0000, 0.0000)
}

// A trace counts component gradients, not iterations, so that methods compare.
func ExampleTrace() {
	z, _ := mm.Spiked(1000, 20, 4, 5, 3)
	start := make([]float64, 20)
	start[0] = 1 // a dense start and a large λ would end at zero
	f, err := mm.NewPCA(z)
	if err != nil {
		log.Fatal(err)
	}
	problem := mm.Problem{Sum: f, Reg: mm.L1Ball{Lambda: 0.01}}
	for _, method := range []mm.Method{mm.MM{}, mm.SVRG{}, mm.SPIMM{}} {
		var trace mm.Trace
		set := &mm.Settings{IFO: 12 * 1000, Recorder: &trace, RecordEvery: 4000}
		if _, err := mm.Minimize(context.Background(), problem, start, set, method); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%-7v", method)
		for _, p := range trace.Points {
			fmt.Printf(" %.5f", p.F)
		}
		fmt.Println()
	}
	// Output:
	// MM      -0.03507 -0.07288 -0.09811 -0.10343
	// SVRG    -0.03507 -0.07744 -0.10248 -0.10416
	// SPI-MM  -0.03507 -0.10419 -0.10432 -0.10432
}

// A smooth problem goes to L-BFGS as it is.
func ExampleBatch() {
	x, y := mm.Gaussian(500, 5, 2)
	f, err := mm.NewLogistic(x, y, 0.05)
	if err != nil {
		log.Fatal(err)
	}
	problem, ok := mm.Batch(mm.Problem{Sum: f, Reg: mm.Ridge{Lambda: 0.01}})
	res, err := optimize.Minimize(problem, make([]float64, 5), &optimize.Settings{GradientThreshold: 1e-6}, &optimize.LBFGS{})
	fmt.Printf("%v %.6f %v %v\n", ok, res.F, res.Status, err)
	// Output: true 0.614095 GradientThreshold <nil>
}
