package mm

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/mat"
)

var nan, inf = math.NaN(), math.Inf(1)

func second[T any](_ T, err error) error { return err }

// says reports whether err is an error that names every part.
func says(err error, parts string) bool {
	if err == nil {
		return false
	}
	for part := range strings.SplitSeq(parts, "|") {
		if !strings.Contains(err.Error(), part) {
			return false
		}
	}
	return strings.HasPrefix(err.Error(), "mm: ")
}

// Data that cannot be used are an error of the constructor that says what is wrong
// and where.
func TestBadData(t *testing.T) {
	x := NewDense(3, 2, []float64{1, 2, 3, 4, 5, 6})
	zero := NewDense(3, 2, nil)
	with := func(v float64) *Dense { return NewDense(3, 2, []float64{1, 2, 3, v, 5, 6}) }
	csr := func(ptr []int, col []int32, val ...float64) *CSR { return &CSR{P: 2, Ptr: ptr, Col: col, Val: val} }
	y := []float64{1, -1, 1}
	l := must(NewLeastSquares(x, y))
	logit := must(NewLogistic(x, y, 0))
	empty := must(NewLogistic(NewDense(2, 2, []float64{1, 0, 2, 0}), []float64{1, -1}, 0)) // column 1
	wide := &Linear{X: &CSR{P: 70000, Ptr: []int{0, 1}, Col: []int32{5}, Val: []float64{1}}, Y: []float64{1}, Loss: Logistic{}}
	for what, c := range map[string]struct {
		err   error
		parts string
	}{
		"no rows":                {second(NewLogistic(NewDense(0, 2, nil), nil, 0)), "no data|0 rows of 2 columns"},
		"no columns":             {second(NewLogistic(NewDense(3, 0, nil), y, 0)), "no data|3 rows of 0 columns"},
		"NaN entry":              {second(NewLogistic(with(nan), y, 0)), "row 1, column 1|NaN"},
		"infinite entry":         {second(NewLeastSquares(with(inf), y)), "row 1, column 1|+Inf"},
		"NaN in PCA":             {second(NewPCA(with(nan))), "row 1, column 1|NaN"},
		"all-zero data":          {second(NewLogistic(zero, y, 0.1)), "all entries|are 0"},
		"all-zero PCA":           {second(NewPCA(zero)), "all entries|are 0"},
		"no rows in PCA":         {second(NewPCA(NewDense(0, 2, nil))), "no data"},
		"short Dense":            {second(NewPCA(&Dense{N: 3, P: 2, Data: make([]float64, 5)})), "5 entries"},
		"NaN in sparse rows":     {second(NewLogistic(csr([]int{0, 1, 1, 2}, []int32{1, 0}, 1, nan), y, 0)), "row 2, column 0|NaN"},
		"CSR without rows":       {second(NewPCA(&CSR{P: 2})), "CSR|Ptr"},
		"CSR column too large":   {second(NewLogistic(csr([]int{0, 1, 1, 2}, []int32{1, 2}, 1, 1), y, 0)), "CSR|row 2|column 2"},
		"CSR columns descend":    {second(NewLogistic(csr([]int{0, 2, 2, 2}, []int32{1, 0}, 1, 1), y, 0)), "CSR|row 0|column 0 after 1"},
		"CSR negative column":    {second(NewLogistic(csr([]int{0, 1, 1, 2}, []int32{-1, 0}, 1, 1), y, 0)), "CSR|row 0|column -1"},
		"CSR Ptr beyond Val":     {second(NewLogistic(csr([]int{0, 7, 1, 2}, []int32{1, 0}, 1, 1), y, 0)), "CSR|Ptr[1] is 7"},
		"CSR Val without Col":    {second(NewLogistic(csr([]int{0, 1, 1, 2}, []int32{1}, 1, 1), y, 0)), "CSR|Col"},
		"labels 0 and 1":         {second(NewLogistic(x, []float64{0, 1, 1}, 0)), "label 0 of sample 0|Signs"},
		"too few labels":         {second(NewLogistic(x, []float64{1, 1}, 0)), "2 targets for 3 rows"},
		"too many targets":       {second(NewLeastSquares(x, []float64{1, 1, 2, 3})), "4 targets for 3 rows"},
		"NaN target":             {second(NewLeastSquares(x, []float64{0, nan, 1})), "target NaN of sample 1"},
		"negative alpha":         {second(NewLogistic(x, y, -1)), "Alpha is -1"},
		"NaN alpha":              {second(NewClassifier(x, y, Sigmoid{}, nan)), "Alpha is NaN"},
		"infinite alpha":         {second(NewLogistic(x, y, inf)), "Alpha is +Inf"},
		"negative Tanh scale":    {second(NewClassifier(x, y, Tanh{Scale: -1}, 0)), "Tanh.Scale is -1"},
		"negative Huber delta":   {second(newLinear(x, y, Huber{Delta: -1}, 0)), "Huber.Delta is -1"},
		"negative count":         {second(NewPoisson(x, []float64{1, -1, 0})), "Poisson.Y[1] is -1"},
		"infinite count":         {second(NewPoisson(x, []float64{1, 1, inf})), "Poisson.Y[2] is +Inf"},
		"counts too few":         {second(NewPoisson(x, []float64{1})), "1 counts for 3 rows"},
		"Poisson negative entry": {second(NewPoisson(with(-4), []float64{1, 1, 1})), "row 1|negative"},
		"Poisson zero row":       {second(NewPoisson(NewDense(2, 1, []float64{1, 0}), []float64{1, 2})), "row 1|count is 2"},
		"Poisson NaN":            {second(NewPoisson(with(nan), []float64{1, 1, 1})), "row 1, column 1"},
		"JJ of a square":         {second(NewJaakkolaJordan(l)), "logistic loss|Squared"},
		"JJ of a broken model":   {second(NewJaakkolaJordan(&Linear{Loss: Logistic{}})), "without X"},
		"IRLS of a logistic":     {second(NewIRLS(logit)), "Huber loss|Logistic"},
		"IRLS of a broken model": {second(NewIRLS(&Linear{X: x, Loss: Huber{}})), "0 targets for 3 rows"},
		"zero metric":            {second(NewDiagonal(l, []float64{1, 0})), "entry 1|is 0"},
		"NaN metric":             {second(NewDiagonal(l, []float64{nan, 1})), "entry 0|is NaN"},
		"NaN matrix":             {second(NewQuadratic(l, mat.NewSymDense(2, []float64{1, nan, nan, 1}))), "entry (0, 1)|NaN"},
		"indefinite matrix":      {second(NewQuadratic(l, mat.NewSymDense(2, []float64{1, 0, 0, -1}))), "not positive definite|-1"},
		"negative floor":         {second(NewBohning(l, -1)), "floor is -1"},
		"NaN floor":              {second(NewJensen(l, nan)), "floor is NaN"},
		"rank-deficient":         {second(NewBohning(empty, 0)), "not positive definite"},
		"column without data":    {second(NewJensen(empty, 0)), "entry 1|is 0"},
		"too wide for Böhning":   {second(NewBohning(wide, 1)), "NewBohning|numbers"},
	} {
		if !says(c.err, c.parts) {
			t.Errorf("%s: error %v, want one that says %s", what, c.err, c.parts)
		}
	}
}

// Everything that Minimize is given by fields of structs is an error that names the
// field, before anything is computed.
func TestBadOptions(t *testing.T) {
	f := nonconvexLogistic(20, 3, 98)
	other := nonconvexLogistic(20, 4, 98)
	longer := nonconvexLogistic(21, 3, 98)
	l1 := L1{Lambda: 0.1}
	mcp := MCP{Lambda: 0.1, Gamma: 0.5}
	poisson := must(NewPoisson(positives(20, 3, 1)))
	zero := &Linear{X: NewDense(4, 3, nil), Y: []float64{1, 1, -1, 1}, Loss: Logistic{}}
	holed := &Linear{X: NewDense(1, 3, []float64{1, nan, 1}), Y: []float64{1}, Loss: Logistic{}}
	wide := &Linear{X: &CSR{P: 70000, Ptr: []int{0, 1}, Col: []int32{5}, Val: []float64{1}}, Y: []float64{1}, Loss: Logistic{}}
	type row struct {
		what  string
		sum   FiniteSum
		reg   Regularizer
		set   Settings
		m     Method
		parts string
	}
	rows := []row{
		// Sums made as literals.
		{"targets", &Linear{X: f.X, Y: f.Y[1:], Loss: Logistic{}}, nil, Settings{}, MM{}, "19 targets for 20 rows"},
		{"no loss", &Linear{X: f.X, Y: f.Y}, nil, Settings{}, MM{}, "Loss"},
		{"ridge", &Linear{X: f.X, Y: f.Y, Loss: Logistic{}, Ridge: -1}, nil, Settings{}, MM{}, "Linear.Ridge is -1"},
		{"K", &Components{Z: f.X, K: 1, Lambda: -1}, nil, Settings{}, MM{}, "Components.Lambda is -1"},
		{"delta", &Components{Z: f.X, K: 1, Delta: nan}, nil, Settings{}, MM{}, "Components.Delta is NaN"},
		{"mu", &Factorization{Z: f.X, K: 2}, nil, Settings{}, MM{Step: 1}, "Factorization.Mu is 0"},
		{"power", &Tail{A: []float64{1}}, nil, Settings{}, MM{}, "Tail.Power is 0"},
		{"tail weight", &Tail{A: []float64{-1}, Power: 1}, nil, Settings{}, MM{}, "Tail.A[0] is -1"},
		{"data of zeros", zero, nil, Settings{}, MM{}, "are 0|zeros"},
		{"NaN data", holed, nil, Settings{}, SPIMM{}, "NaN|finite"},

		// Settings.
		{"IFO", f, l1, Settings{IFO: -1}, MM{}, "Settings.IFO is -1"},
		{"iterations", f, l1, Settings{MajorIterations: -3}, MM{}, "Settings.MajorIterations is -3"},
		{"runtime", f, l1, Settings{Runtime: -time.Second}, MM{}, "Settings.Runtime"},
		{"records", f, l1, Settings{RecordEvery: -1}, MM{}, "Settings.RecordEvery is -1"},
		{"evaluate", f, l1, Settings{Evaluate: -1}, MM{}, "Settings.Evaluate is -1"},
		{"concurrent", f, l1, Settings{Concurrent: -1}, MM{}, "Settings.Concurrent is -1"},
		{"threshold", f, l1, Settings{GradientThreshold: -1}, MM{}, "Settings.GradientThreshold is -1"},
		{"NaN threshold", f, l1, Settings{GradientThreshold: nan}, MM{}, "Settings.GradientThreshold is NaN"},
		{"mapping step", f, l1, Settings{MappingStep: -1}, MM{}, "Settings.MappingStep is -1"},
		{"negative L", f, l1, Settings{Lipschitz: Lipschitz{MeanSquare: -1}}, SPIMM{}, "Settings.Lipschitz.MeanSquare is -1"},
		{"infinite L", f, l1, Settings{Lipschitz: Lipschitz{Max: inf}}, SPIMM{}, "Settings.Lipschitz.Max is +Inf"},
		{"measure", f, l1, Settings{Measure: 7}, MM{}, "Settings.Measure is 7"},
		{"output", f, l1, Settings{Output: -1}, MM{}, "Settings.Output is -1"},
		{"residual of SVRG", f, l1, Settings{Measure: MeasureResidual}, SVRG{}, "MeasureResidual|SVRG"},
		{"residual of SAGA", f, l1, Settings{Measure: MeasureResidual}, SAGA{}, "MeasureResidual|SAGA"},

		// Constants that are unknown.
		{"no L", plainSum{f}, nil, Settings{}, SPIMM{}, "Lipschitz|EstimateLipschitz"},
		{"no maximum", plainSum{f}, nil, Settings{Lipschitz: Lipschitz{MeanSquare: 1}}, SGD{}, "Lipschitz.Max"},
		{"no L for a rule", plainSum{f}, nil, Settings{}, SPIMM{Step: 1, Rule: Normalized{Eps: 1}}, "Lipschitz"},

		// Methods.
		{"line search of a family", f, l1, Settings{}, MM{Surrogate: &ProxGrad{f, 1}, LineSearch: true}, "LineSearch"},
		{"line search with MCP", f, mcp, Settings{}, MM{LineSearch: true, Step: 0.1}, "LineSearch|MCP"},
		{"two steps", f, l1, Settings{}, MM{Surrogate: &ProxGrad{f, 1}, Step: 1}, "Surrogate|Step"},
		{"K0", f, l1, Settings{}, SMM{K0: -1}, "K0 is -1"},
		{"NaN K0", f, l1, Settings{}, SMM{K0: nan}, "K0 is NaN"},
		{"N0", f, l1, Settings{}, SPIDER{N0: -1}, "N0 is -1"},
		{"small N0", f, l1, Settings{}, SPIDER{N0: 0.5}, "N0 is 0.5"},
		{"large N0", f, l1, Settings{}, SPIDER{N0: 5}, "N0 is 5"},
		{"NaN N0", f, l1, Settings{}, SPIDER{N0: nan}, "N0 is NaN"},
		{"ε", f, l1, Settings{}, SPIDER{Eps: -1}, "Eps is -1"},
		{"gamma", f, l1, Settings{}, ProxSARAH{Gamma: 1.5}, "Gamma is 1.5"},
		{"negative gamma", f, l1, Settings{}, ProxSARAH{Gamma: -0.5}, "Gamma is -0.5"},
		{"refresh batch", f, l1, Settings{}, SPIMM{RefreshBatch: 21}, "RefreshBatch is 21|20"},
		{"negative refresh batch", f, l1, Settings{}, SPIDER{RefreshBatch: -1}, "RefreshBatch is -1"},
		{"refresh batch of SCSG", f, l1, Settings{}, SCSG{RefreshBatch: 21}, "RefreshBatch is 21"},
		{"period and probability", f, l1, Settings{}, SPIMM{Period: 3, RefreshProb: 0.1}, "Period 3|RefreshProb 0.1"},
		{"distinct indices", f, l1, Settings{}, SPIMM{Batch: 21, WithoutReplacement: true}, "Batch is 21|20"},
		{"table", stream{5}, nil, Settings{}, MISO{Step: 1}, "MISO's table"},
		{"table of SAGA", stream{5}, nil, Settings{}, SAGA{Step: 1}, "SAGA's table"},

		// Step rules.
		{"damping 0", f, l1, Settings{}, SPIMM{Rule: Damped{}}, "Damped.Gamma is 0"},
		{"normalised ε = 0", f, l1, Settings{}, SPIMM{Rule: Normalized{}}, "Normalized.Eps is 0"},
		{"normalised N0", f, l1, Settings{}, SPIMM{Rule: Normalized{Eps: 1, N0: -1}}, "Normalized.N0 is -1"},
		{"averages on the sphere", f, Sphere{}, Settings{}, SPIMM{Rule: Damped{0.5}}, "Damped|Sphere"},
		{"normalised on the sphere", f, Sphere{}, Settings{}, SPIDER{}, "Normalized|Sphere"},
		{"foreign rule", f, l1, Settings{}, SPIMM{Rule: stubborn(2)}, "stubborn|factor 2"},
		{"foreign rule of 0", f, l1, Settings{}, SPIMM{Rule: stubborn(0)}, "stubborn|factor 0"},

		// Surrogate families.
		{"dimension", f, l1, Settings{}, MM{Surrogate: &ProxGrad{other, 1}}, "20 components in 4 parameters|20 in 3"},
		{"number", f, l1, Settings{}, MM{Surrogate: &ProxGrad{longer, 1}}, "21 components in 3 parameters|20 in 3"},
		{"no sum", f, l1, Settings{}, MM{Surrogate: &ProxGrad{Step: 1}}, "ProxGrad has no sum"},
		{"no step", f, l1, Settings{}, SPIMM{Surrogate: &ProxGrad{Sum: f}}, "ProxGrad.Step is 0"},
		{"metric", f, l1, Settings{}, MM{Surrogate: must(NewDiagonal(other, []float64{1, 1, 1, 1}))}, "4 parameters"},
		{"Böhning", f, l1, Settings{}, MM{Surrogate: must(NewBohning(longer, 1))}, "21 components"},
		{"metric with a sphere", f, Sphere{}, Settings{}, MM{Surrogate: must(NewBohning(f, 0))}, "Sphere"},
		{"diagonal metric with MCP", f, mcp, Settings{}, MM{Surrogate: must(NewDiagonal(f, []float64{1, 1, 1}))}, "MCP|0.5"},
		{"JJ", f, l1, Settings{}, MM{Surrogate: must(NewJaakkolaJordan(other))}, "4 parameters"},
		{"JJ not made", f, l1, Settings{}, MM{Surrogate: &JaakkolaJordan{}}, "NewJaakkolaJordan"},
		{"JJ with L0", f, L0{1}, Settings{}, MM{Surrogate: must(NewJaakkolaJordan(f))}, "L0"},
		{"JJ too wide", wide, nil, Settings{}, MM{Surrogate: must(NewJaakkolaJordan(wide))}, "numbers"},
		{"DC", f, l1, Settings{}, MM{Surrogate: &DC{}}, "DC has no sum"},
		{"linear surrogate", f, l1, Settings{}, MM{Surrogate: &DC{Sum: f}}, "LinearMaximizer|L1"},
		{"EM without a sum", f, nil, Settings{}, MM{Surrogate: &PoissonEM{}}, "PoissonEM has no sum"},
		{"EM of another problem", f, nil, Settings{}, MM{Surrogate: &PoissonEM{must(NewPoisson(positives(19, 3, 1)))}}, "19 components"},
		{"EM with a regulariser", poisson, l1, Settings{}, MM{Surrogate: &PoissonEM{poisson}}, "PoissonEM|regulariser"},
		{"factorisation", f, nil, Settings{}, MM{Surrogate: &FactorMM{}}, "FactorMM has no sum"},
		{"penalty", f, l1, Settings{}, MM{Surrogate: &Reweighted{Sum: f, Step: 1}}, "Reweighted has no Penalty"},
		{"other penalty", f, l1, Settings{}, MM{Surrogate: &Reweighted{f, 1, MCP{1, 2}}}, "Reweighted majorises"},
		{"reweighted step", f, MCP{1, 2}, Settings{}, MM{Surrogate: &Reweighted{f, -1, MCP{1, 2}}}, "Reweighted.Step is -1"},
	}
	// Steps, batches, periods and probabilities of every method.
	methods := func(step float64, batch, period int, prob float64) map[string][]Method {
		return map[string][]Method{
			"Step": {MM{Step: step}, MISO{Step: step}, SMM{Step: step}, SPIMM{Step: step}, SGD{Step: step}, SVRG{Step: step}, LSVRG{Step: step}, SCSG{Step: step},
				SAGA{Step: step}, SARAH{Step: step}, SPIDER{Step: step}, SpiderBoost{Step: step}, ProxSARAH{Step: step}, PAGE{Step: step}},
			"Batch": {MISO{Batch: batch}, SMM{Batch: batch}, SPIMM{Batch: batch}, SGD{Batch: batch}, SVRG{Batch: batch}, LSVRG{Batch: batch}, SCSG{Batch: batch},
				SAGA{Batch: batch}, SARAH{Batch: batch}, SPIDER{Batch: batch}, SpiderBoost{Batch: batch}, ProxSARAH{Batch: batch}, PAGE{Batch: batch}},
			"Period": {SPIMM{Period: period}, SVRG{Period: period}, SARAH{Period: period}, SPIDER{Period: period}, SpiderBoost{Period: period}, ProxSARAH{Period: period}},
			"Prob":   {SPIMM{RefreshProb: prob}, LSVRG{RefreshProb: prob}, PAGE{RefreshProb: prob}},
		}
	}
	for _, c := range []struct {
		kind  string
		m     map[string][]Method
		parts string
	}{
		{"Step", methods(-1, 0, 0, 0), "Step is -1"}, {"Step", methods(nan, 0, 0, 0), "Step is NaN"}, {"Step", methods(inf, 0, 0, 0), "Step is +Inf"},
		{"Batch", methods(0, -1, 0, 0), "Batch is -1"}, {"Batch", methods(0, 21, 0, 0), "Batch is 21|20 components"},
		{"Period", methods(0, 0, -2, 0), "Period is -2"},
		{"Prob", methods(0, 0, 0, -0.1), "RefreshProb is -0.1"}, {"Prob", methods(0, 0, 0, 1.5), "RefreshProb is 1.5"}, {"Prob", methods(0, 0, 0, nan), "RefreshProb is NaN"},
	} {
		for _, m := range c.m[c.kind] {
			rows = append(rows, row{m.String() + " " + c.kind, f, l1, Settings{}, m, c.parts})
		}
	}
	for _, m := range methods(1, 0, 0, 0)["Step"] {
		if m.String() != "SPIDER" && m.String() != "ProxSARAH" { // which refuse MCP altogether
			rows = append(rows, row{m.String() + " beyond MCP's step", f, mcp, Settings{}, m, "step 1|MCP|0.5"})
		}
	}
	for _, c := range badRegularizers() {
		rows = append(rows, row{"regulariser", f, c.h, Settings{}, SPIMM{Step: 0.1}, c.parts})
	}
	for _, c := range rows {
		res, err := Minimize(context.Background(), Problem{c.sum, c.reg}, nil, &c.set, c.m)
		if !says(err, c.parts) {
			t.Errorf("%s: error %v, want one that says %s", c.what, err, c.parts)
		}
		if res == nil || len(res.X) != c.sum.Dim() {
			t.Errorf("%s: no result beside the error", c.what)
		}
	}
	if _, err := Minimize(context.Background(), Problem{f, nil}, []float64{0, nan, 0}, nil, MM{}); !says(err, "entry 1 of x0 is NaN") {
		t.Errorf("NaN start: %v", err)
	}
	// At the origin no rate is positive: the message names the start.
	if _, err := Minimize(context.Background(), Problem{poisson, nil}, nil, nil, MM{Surrogate: &PoissonEM{poisson}}); !says(err, "iteration 0|start") {
		t.Errorf("Poisson regression from the origin: %v", err)
	}
	if _, err := Residual(&ProxGrad{other, 1}, Problem{f, nil}, make([]float64, 3)); !says(err, "4 parameters") {
		t.Errorf("residual of another problem's family: %v", err)
	}
	if _, err := Residual(&DC{Sum: f}, Problem{f, l1}, make([]float64, 3)); !says(err, "LinearMaximizer") {
		t.Errorf("residual of a family that cannot be minimised: %v", err)
	}
	// What is wrong with one thing is right with another.
	if _, err := Minimize(context.Background(), Problem{plainSum{f}, nil}, nil, &Settings{IFO: 100, Lipschitz: Lipschitz{MeanSquare: 1}}, SPIMM{}); err != nil {
		t.Errorf("SPI-MM needs MeanSquare alone, but: %v", err)
	}
	if _, err := Minimize(context.Background(), Problem{zero, nil}, nil, &Settings{IFO: 100, MappingStep: 1}, SPIMM{Step: 1}); err != nil {
		t.Errorf("data of zeros with a step: %v", err)
	}
	if err := second(Minimize(context.Background(), Problem{plainSum{f}, nil}, nil, nil, MM{})); !errors.Is(err, ErrNoLipschitz) {
		t.Errorf("%v is not ErrNoLipschitz", err)
	}
}

// stubborn is a step rule that returns what it likes.
type stubborn float64

func (s stubborn) Factor(_, _ float64) float64 { return float64(s) }

type badRegularizer struct {
	h     Regularizer
	parts string
}

// badRegularizers is every field of every regulariser out of range, for three
// parameters.
func badRegularizers() []badRegularizer {
	var all []badRegularizer
	add := func(parts string, hs ...Regularizer) {
		for _, h := range hs {
			all = append(all, badRegularizer{h, parts})
		}
	}
	for v, is := range map[float64]string{-0.5: " is -0.5", inf: " is +Inf"} {
		add("Lambda"+is, L1{Lambda: v}, Ridge{v}, GroupLasso{Lambda: v}, LInf{v}, L1Ball{Lambda: v}, L1Sphere{v}, Nuclear{v, 3, 1}, L0{v}, MCP{v, 1}, SCAD{v, 3}, LogSum{v, 1}, CappedL1{v, 1})
		add("L1"+is, ElasticNet{L1: v}, GroupLasso{L1: v}, FusedLasso{L1: v})
		add("L2"+is, ElasticNet{L2: v})
		add("TV"+is, FusedLasso{TV: v})
		add("Radius"+is, Ball{v}, Sphere{v}, BallL1{v}, L1Ball{Radius: v})
		add("Sum"+is, Simplex{v})
		add("Gamma"+is, MCP{1, v})
		add("SCAD.A"+is, SCAD{1, v})
		add("Eps"+is, LogSum{1, v})
		add("CappedL1.A"+is, CappedL1{1, v})
		add("L1.Weights[1]"+is, L1{1, []float64{1, v, 1}})
		add("GroupLasso.Weights[0]"+is, GroupLasso{Lambda: 1, Groups: [][]int{{0, 1}}, Weights: []float64{v}})
	}
	add("Lambda is NaN", L1{Lambda: nan}, Ridge{nan}, L0{nan}, MCP{nan, 1}, L1Ball{Lambda: nan})
	add("Radius is NaN", Ball{nan}, Sphere{nan}, BallL1{nan})
	add("Gamma is 0", MCP{Lambda: 1})
	add("A is 2", SCAD{1, 2})
	add("Eps is 0", LogSum{Lambda: 1})
	add("A is 0", CappedL1{Lambda: 1})
	add("L1.Weights has 2 entries for 3 parameters", L1{1, []float64{1, 1}})
	add("L1.Weights has 4 entries for 3 parameters", L1{1, make([]float64, 4)})
	add("L1.Weights[2] is NaN", L1{1, []float64{1, 1, nan}})
	add("Weights has 1 entries for 2 groups", GroupLasso{Lambda: 1, Groups: [][]int{{0}, {1}}, Weights: []float64{1}})
	add("Weights has 1 entries for 0 groups", GroupLasso{Lambda: 1, Weights: []float64{1}})
	add("Groups[1] holds index 3 of 3", GroupLasso{Lambda: 1, Groups: [][]int{{0}, {3}}})
	add("Groups[0] holds index -1", GroupLasso{Lambda: 1, Groups: [][]int{{-1}}})
	add("Groups[0] and [1] share index 1", GroupLasso{Lambda: 1, Groups: [][]int{{0, 1}, {1, 2}}})
	add("is empty", Box{1, 0}, Box{nan, 1}, Box{0, nan}, Box{inf, inf}, Box{-inf, -inf})
	add("KSparse.K is 0", KSparse{})
	add("MaxRank.K is 0", MaxRank{0, 3, 1})
	add("2×2 matrices|3 parameters", Nuclear{1, 2, 2}, MaxRank{1, 2, 2}, Stiefel{2, 2})
	add("-3×-1 matrices", Nuclear{1, -3, -1}, MaxRank{1, -3, -1})
	add("more columns than rows", Stiefel{1, 3})
	return all
}

// panicText returns what f panics with, if that is an Error.
func panicText(f func()) (text string, ok bool) {
	defer func() {
		if e := recover(); e != nil {
			err, isError := e.(Error)
			text, ok = err.Error(), isError
			if !isError {
				text = "a panic of another type"
			}
		}
	}()
	f()
	return "no panic", false
}

// A bug of the caller panics with an Error that says what it is.
func TestPanics(t *testing.T) {
	f := nonconvexLogistic(20, 3, 98)
	p := Problem{f, L1{Lambda: 0.1}}
	x, short := make([]float64, 3), make([]float64, 2)
	ctx := context.Background()
	family := &ProxGrad{f, 1}
	batch, _ := Batch(Problem{Sum: f})
	type row struct {
		what  string
		f     func()
		parts string
	}
	rows := []row{
		{"nil context", func() { var none context.Context; _, _ = Minimize(none, p, nil, nil, MM{}) }, "nil"},
		{"nil sum", func() { _, _ = Minimize(ctx, Problem{}, nil, nil, MM{}) }, "nil"},
		{"nil method", func() { _, _ = Minimize(ctx, p, nil, nil, nil) }, "nil"},
		{"short start", func() { _, _ = Minimize(ctx, p, short, nil, MM{}) }, "x0|length 2, want 3"},
		{"no components", func() { _, _ = Minimize(ctx, Problem{Sum: &Tail{Power: 1}}, nil, nil, MM{}) }, "0 components"},
		{"no data", func() { _, _ = Minimize(ctx, Problem{Sum: &Linear{Y: f.Y}}, nil, nil, MM{}) }, "without X"},
		{"no factors", func() { _, _ = Minimize(ctx, Problem{Sum: &Factorization{Z: f.X, Mu: 1}}, nil, nil, MM{}) }, "Factorization.K is 0"},
		{"no component", func() { _, _ = Minimize(ctx, Problem{Sum: &Components{Z: f.X}}, nil, nil, MM{}) }, "Components.K is 0"},
		{"no counts", func() { _, _ = Minimize(ctx, Problem{Sum: &Poisson{}}, nil, nil, MM{}) }, "Poisson without X"},
		{"value", func() { p.Value(short) }, "length 2, want 3"},
		{"gradient", func() { FullGrad(x, f, short) }, "length 2, want 3"},
		{"gradient's destination", func() { FullGrad(short, f, x) }, "length 2, want 3"},
		{"mapping", func() { GradientMapping(p, short, 1) }, "length 2, want 3"},
		{"mapping step", func() { GradientMapping(p, x, 0) }, "step is 0"},
		{"mapping step NaN", func() { GradientMapping(p, x, nan) }, "step is NaN"},
		{"subgradient", func() { SubgradientBound(p, short, 1) }, "length 2, want 3"},
		{"subgradient step", func() { SubgradientBound(p, x, -1) }, "step is -1"},
		{"residual", func() { _, _ = Residual(family, p, short) }, "length 2, want 3"},
		{"surrogate", func() { SurrogateValue(family, f, 0, short, x) }, "length 2, want 3"},
		{"surrogate's anchor", func() { SurrogateValue(family, f, 0, x, short) }, "length 2, want 3"},
		{"surrogate's component", func() { SurrogateValue(family, f, 20, x, x) }, "component 20 of 20"},
		{"surrogate's component", func() { SurrogateValue(family, f, -1, x, x) }, "component -1"},
		{"bridge", func() { batch.Func(short) }, "length 2, want 3"},
		{"bridge's gradient", func() { batch.Grad(x, short) }, "length 2, want 3"},
		{"estimate", func() { EstimateLipschitz(f, short, 1, 1, 1) }, "length 2, want 3"},
		{"radius", func() { EstimateLipschitz(f, x, 0, 1, 1) }, "radius 0"},
		{"infinite radius", func() { EstimateLipschitz(f, x, inf, 1, 1) }, "radius +Inf"},
		{"pairs", func() { EstimateLipschitz(f, x, 1, 0, 1) }, "0 pairs"},
		{"dense", func() { NewDense(2, 3, make([]float64, 5)) }, "length 5, want 6"},
		{"negative dense", func() { NewDense(-2, -3, make([]float64, 6)) }, "-2 rows of -3 columns"},
		{"huge dense", func() { NewDense(math.MaxInt/2, 4, nil) }, "rows of 4 columns"},
		{"normalise", func() { NormalizeRows(foreignRows{}) }, "foreignRows"},
		{"nil rows", func() { _, _ = NewLogistic(nil, nil, 0) }, "nil rows"},
		{"nil loss", func() { _, _ = NewClassifier(f.X, f.Y, nil, 0) }, "nil loss"},
		{"nil rows of PCA", func() { _, _ = NewPCA(nil) }, "nil rows"},
		{"nil rows of counts", func() { _, _ = NewPoisson(nil, nil) }, "nil rows"},
		{"nil metric sum", func() { _, _ = NewDiagonal(nil, nil) }, "nil sum"},
		{"metric length", func() { _, _ = NewDiagonal(f, short) }, "length 2, want 3"},
		{"nil matrix", func() { _, _ = NewQuadratic(f, nil) }, "nil"},
		{"matrix order", func() { _, _ = NewQuadratic(f, mat.NewSymDense(2, nil)) }, "length 2, want 3"},
		{"nil Böhning", func() { _, _ = NewBohning(nil, 0) }, "nil model"},
		{"nil Jensen", func() { _, _ = NewJensen(nil, 0) }, "nil model"},
		{"nil JJ", func() { _, _ = NewJaakkolaJordan(nil) }, "nil model"},
		{"nil IRLS", func() { _, _ = NewIRLS(nil) }, "nil model"},
		{"labels", func() { _ = WriteLIBSVM(nil, &Samples{&CSR{P: 1, Ptr: []int{0, 0}}, nil}, LIBSVMOptions{}) }, "labels|length 0, want 1"},
		{"OneHot", func() { OneHot(0, 1) }, "OneHot: n is 0"},
		{"SparseBinary", func() { SparseBinary(5, 0, 0.5, 1) }, "p is 0"},
		{"density", func() { SparseBinary(5, 5, 1.5, 1) }, "density is 1.5"},
		{"NaN density", func() { SparseBinary(5, 5, nan, 1) }, "density is NaN"},
		{"Gaussian", func() { Gaussian(-1, 5, 1) }, "n is -1"},
		{"Text", func() { Text(5, 5, 0, 1) }, "terms is 0"},
		{"sparse", func() { Spiked(5, 3, 4, 1, 1) }, "p is 3, want at least 4"},
		{"dense spike", func() { Spiked(5, 3, 0, 1, 1) }, "sparse is 0"},
		{"strength", func() { Spiked(5, 3, 1, -1, 1) }, "strength is -1"},
		{"NewTail", func() { NewTail(0, 1, 1) }, "n is 0"},
		{"power", func() { NewTail(1, 0, 1) }, "power is 0"},
	}
	for _, h := range regularizers() {
		u := make([]float64, proxDim)
		rows = append(rows,
			row{name(h) + " destination", func() { h.Prox(u[1:], u, 1) }, "Prox|length 5, want 6"},
			row{name(h) + " step 0", func() { h.Prox(u, u, 0) }, "step t is 0"},
			row{name(h) + " step -1", func() { h.Prox(u, u, -1) }, "step t is -1"},
			row{name(h) + " step NaN", func() { h.Prox(u, u, nan) }, "step t is NaN"})
	}
	for _, c := range badRegularizers() {
		if strings.Contains(c.parts, "share index") || strings.Contains(c.parts, "GroupLasso.Weights[") {
			continue // too costly to look for at every call
		}
		rows = append(rows, row{name(c.h), func() { c.h.Prox(make([]float64, 3), make([]float64, 3), 0.1) }, c.parts})
	}
	for _, c := range rows {
		if text, ok := panicText(c.f); !ok || !says(errors.New(text), c.parts) {
			t.Errorf("%s: %s, want a panic with an Error that says %s", c.what, text, c.parts)
		}
	}
}

type foreignRows struct{ Rows }

func (foreignRows) Dims() (n, p int)               { return 1, 1 }
func (foreignRows) Do(_ int, f func(int, float64)) { f(0, 1) }

// NaN in, NaN out: a threshold must not turn a broken gradient into a zero.
func TestProxKeepsNaN(t *testing.T) {
	for _, h := range regularizers() {
		for j := range proxDim {
			u := []float64{0.3, -2, 0.01, 1, -0.2, 0.5}
			u[j] = nan
			h.Prox(u, u, 0.5)
			if allFinite(u) {
				t.Errorf("%s: NaN in entry %d becomes %v", name(h), j, u)
			}
		}
	}
}
