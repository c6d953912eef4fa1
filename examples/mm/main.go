package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mettleml/mettle/mm"
)

type options struct {
	out, data string
	zeroBased bool
	n, passes int
	seed      uint64
	table     bool
	seeds     int
}

func main() {
	var o options
	flag.StringVar(&o.out, "out", filepath.Join(os.TempDir(), "mettle-mm"), "`directory` for the figures")
	flag.StringVar(&o.data, "data", "", "LIBSVM `file` to use instead of generated data")
	flag.BoolVar(&o.zeroBased, "zero-based", false, "the columns of the LIBSVM file are numbered from 0, as scikit-learn writes them")
	flag.IntVar(&o.n, "n", 4096, "`number` of generated samples")
	flag.IntVar(&o.passes, "passes", 30, "passes over the data")
	flag.Uint64Var(&o.seed, "seed", 1, "seed")
	flag.BoolVar(&o.table, "table", false, "print the comparison over several seeds instead")
	flag.IntVar(&o.seeds, "seeds", 10, "seeds of the comparison")
	flag.Parse()
	err := error(nil)
	if flag.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q: a data file is given by -data", flag.Arg(0))
	} else {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mm:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.n < 16 || o.passes < 1 || o.seeds < 1 {
		return fmt.Errorf("-n %d, -passes %d or -seeds %d is too small", o.n, o.passes, o.seeds)
	}
	if o.zeroBased && o.data == "" {
		return errors.New("-zero-based is about the file of -data, which is missing")
	}
	if o.data != "" {
		var err error
		if o.data, err = existing("-data", o.data); err != nil {
			return err
		}
	}
	if o.table {
		return printTables(o)
	}
	var err error
	if o.out, err = fromCaller(o.out); err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	if err := drawBand(filepath.Join(o.out, "figure61"), o.seed); err != nil {
		return err
	}
	for _, f := range []struct {
		file string
		make func(options, uint64) (instance, error)
	}{{"figure62", logistic}, {"figure63", sparsePCA}} {
		in, err := f.make(o, o.seed)
		if err != nil {
			return err
		}
		curves, err := tunedCurves(in, o)
		if err != nil {
			return err
		}
		best, err := lowest(in, curves, o)
		if err != nil {
			return err
		}
		printCurves(in, curves, best, o.passes)
		if err := drawComparison(filepath.Join(o.out, f.file), in, curves, best); err != nil {
			return err
		}
	}
	fmt.Printf("figures in %s\n", o.out)
	return nil
}

// An instance is a problem with its start.
type instance struct {
	title string
	f     *mm.Linear
	h     mm.Regularizer
	x0    []float64
	lip   float64 // L of the theory
}

func newInstance(title string, f *mm.Linear, h mm.Regularizer, x0 []float64) instance {
	return instance{title, f, h, x0, f.Lipschitz().MeanSquare}
}

func (in instance) problem() mm.Problem { return mm.Problem{Sum: in.f, Reg: in.h} }

// logistic is figure 6.2's problem: unit rows, α = 0.001, no further regulariser. A
// larger α makes many local minima of one-hot data, in which the methods end by
// chance.
func logistic(o options, seed uint64) (instance, error) {
	if o.data == "" {
		x, y := mm.OneHot(o.n, seed)
		f, err := mm.NewLogistic(x, y, 0.001)
		if err != nil {
			return instance{}, err
		}
		return newInstance(fmt.Sprintf("Non-convex logistic regression, %d×123 one-hot rows, α = 0.001", o.n), f, nil, nil), nil
	}
	s, err := mm.ReadLIBSVMFile(o.data, mm.LIBSVMOptions{ZeroBased: o.zeroBased})
	if err != nil {
		return instance{}, err
	}
	y, err := s.Signs()
	if err != nil {
		return instance{}, err
	}
	mm.NormalizeRows(s.X)
	f, err := mm.NewLogistic(s.X, y, 0.001)
	if err != nil {
		return instance{}, err
	}
	return newInstance("Non-convex logistic regression, "+filepath.Base(o.data)+", α = 0.001", f, nil, nil), nil
}

// denseLogistic has normal rows, whose components are alike.
func denseLogistic(o options, seed uint64) (instance, error) {
	x, y := mm.Gaussian(o.n, 30, seed)
	f, err := mm.NewLogistic(x, y, 0.01)
	if err != nil {
		return instance{}, err
	}
	return newInstance(fmt.Sprintf("Non-convex logistic regression, %d×30 dense, α = 0.01", o.n), f, nil, nil), nil
}

// sparseLogistic is logistic regression on one-hot rows with an l1 penalty.
func sparseLogistic(o options, seed uint64) (instance, error) {
	x, y := mm.OneHot(o.n, seed)
	f, err := mm.NewLogistic(x, y, 0.001)
	if err != nil {
		return instance{}, err
	}
	return newInstance(fmt.Sprintf("Non-convex logistic regression, %d×123 one-hot, α = 0.001, λ = 0.0001", o.n), f, mm.L1{Lambda: 1e-4}, nil), nil
}

// sparsePCA is figure 6.3's problem, −(1/2n)Σ(zᵀθ)² + λ‖θ‖₁ on the unit ball. It starts
// at the coordinate of largest variance: from a dense start, or with a λ beyond that
// variance, every method ends at the stationary point 0. On a file's data λ is a
// twentieth of the variance.
func sparsePCA(o options, seed uint64) (instance, error) {
	name := ""
	var z mm.Rows
	if o.data == "" {
		z, _ = mm.Spiked(o.n, 30, 6, 3, seed)
		name = fmt.Sprintf("%d×30 with a spike", o.n)
	} else {
		s, err := mm.ReadLIBSVMFile(o.data, mm.LIBSVMOptions{ZeroBased: o.zeroBased})
		if err != nil {
			return instance{}, err
		}
		mm.NormalizeRows(s.X)
		z, name = s.X, filepath.Base(o.data)
	}
	n, p := z.Dims()
	variance := make([]float64, p)
	for i := range n {
		z.Do(i, func(j int, v float64) { variance[j] += v * v / float64(n) })
	}
	top := 0
	for j, v := range variance {
		if v > variance[top] {
			top = j
		}
	}
	lambda := 0.002
	if o.data != "" {
		lambda = variance[top] / 20
	}
	x0 := make([]float64, p)
	x0[top] = 1
	f, err := mm.NewPCA(z)
	if err != nil {
		return instance{}, err
	}
	return newInstance(fmt.Sprintf("Sparse PCA, %s, λ = %.2g", name, lambda), f, mm.L1Ball{Lambda: lambda}, x0), nil
}
