package zoo

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

func TestNormalize(t *testing.T) {
	g := []float32{1, 2, 3, 6}
	if !Normalize(g) {
		t.Fatal("not normalised")
	}
	var sum, sq float64
	for _, v := range g {
		sum += float64(v) / 4
	}
	for _, v := range g {
		sq += (float64(v) - sum) * (float64(v) - sum) / 4
	}
	if !(math.Abs(sq-1) <= 1e-6) || !(math.Abs(float64(g[3]/g[0])-6) <= 1e-5) {
		t.Errorf("%v has variance %v", g, sq)
	}
	zero := make([]float32, 4)
	if Normalize(zero) || zero[0] != 0 {
		t.Errorf("a gradient of zeros became %v", zero)
	}
}

// TestMetaStep follows an estimator on a linear victim: when it asks, what it
// asks, what it answers.
func TestMetaStep(t *testing.T) {
	net := models.MetaAttackerMNIST(5)
	r := rand.New(rand.NewPCG(1, 1))
	w := normals(r, 784)
	calls := 0
	v := rowsVictim(mnist, [][]float64{w, make([]float64, 784)}, make([]float64, 2), &calls)
	for _, c := range [][2]int{{1, 0}, {3, 0}, {5, 0}, {3, 1}, {4, 2}, {2, 3}} {
		interval, first := c[0], c[1]
		for _, q := range []int{1, 16, 784} {
			est := NewMeta(net)
			est.Coordinates, est.Interval, est.First, est.Tune, est.Step = q, interval, first, 3, 1e-3
			o := NewObjective(v, Untargeted(0), unitMargin)
			x := randomImages(3, 784).Data()
			loss, _, err := o.At(context.Background(), x)
			if err != nil {
				t.Fatal(err)
			}
			g := make([]float64, 784)
			for step := range 6 {
				before := slices.Clone(est.chosen)
				calls = 0
				if err := est.Estimate(context.Background(), o, Point{x, loss}, g); err != nil {
					t.Fatal(err)
				}
				asks := (step+1)%interval == 0
				if first > 0 {
					asks = step+1 >= first && (step+1-first)%interval == 0
				}
				if want := 0; asks && calls != q || !asks && calls != want {
					t.Fatalf("m %d, q %d, step %d: %d queries", interval, q, step, calls)
				}
				if n := nonzero(g); n > q {
					t.Fatalf("m %d, q %d, step %d: %d entries are not 0", interval, q, step, n)
				}
				if !asks {
					continue
				}
				// What was measured points along w, and only where both choices agree.
				ratio := 0.0
				for i, u := range g {
					if u == 0 {
						continue
					}
					if before != nil && !slices.Contains(before, i) || !slices.Contains(est.chosen, i) {
						t.Fatalf("m %d, q %d, step %d: entry %d was not chosen twice", interval, q, step, i)
					}
					if f := float64(u) / w[i]; ratio == 0 {
						ratio = f
					} else if !(math.Abs(f/ratio-1) <= 1e-3) {
						t.Fatalf("m %d, q %d, step %d: entry %d is %v for a gradient of %v, factor %v expected", interval, q, step, i, u, w[i], ratio)
					}
				}
			}
		}
	}
	if got, want := nn.Params(net)[0].Value().Data()[0], nn.Params(models.MetaAttackerMNIST(5))[0].Value().Data()[0]; got != want {
		t.Error("the network handed in was changed")
	}
}

func nonzero(g []float64) int {
	n := 0
	for _, v := range g {
		if v != 0 {
			n++
		}
	}
	return n
}

// TestMetaSurvivesAFlatLoss: differences that are all 0 must not poison the
// network.
func TestMetaSurvivesAFlatLoss(t *testing.T) {
	v := ScorerFunc(Info{Name: "flat", Shape: []int{1, 28, 28}, Classes: 2}, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		for i := range out {
			out[i] = float64(1 - i%2)
		}
		return nil
	})
	est := NewMeta(models.MetaAttackerMNIST(5))
	est.Interval = 1
	o := NewObjective(v, Untargeted(0), unitMargin)
	g := make([]float64, 784)
	for range 3 {
		if err := est.Estimate(context.Background(), o, Point{randomImages(1, 784).Data(), 1}, g); err != nil {
			t.Fatal(err)
		}
		for i, u := range g {
			if math.IsNaN(float64(u)) {
				t.Fatalf("entry %d is NaN", i)
			}
		}
		if nonzero(g) != 128 {
			t.Errorf("%d entries; the prediction was to stand", nonzero(g))
		}
	}
}

// TestMetaRefuses: samples that the network cannot serve are an error, also where
// its result would have the right shape.
func TestMetaRefuses(t *testing.T) {
	mnist, cifar := NewMeta(models.MetaAttackerMNIST(5)), NewMeta(models.MetaAttackerCIFAR(5))
	for _, c := range []struct {
		m     *Meta
		shape []int
		say   string
	}{
		{cifar, []int{3, 8, 8}, "at least 16"}, {cifar, []int{3, 16, 15}, "at least 16"}, {mnist, []int{784}, "at least 16"},
		{cifar, []int{3, 20, 20}, "answers with shape"}, {mnist, []int{3, 28, 28}, "channels"}, {cifar, []int{3, 16, 16}, ""},
	} {
		n := (Info{Shape: c.shape}).Size()
		err := c.m.Predict(c.shape, make([]float32, n), make([]float32, n))
		if c.say == "" && err != nil || c.say != "" && (err == nil || !strings.Contains(err.Error(), c.say)) {
			t.Errorf("%v: %v; want an error that says %q", c.shape, err, c.say)
		}
	}
}

func TestPredictRefuses(t *testing.T) {
	net, x := models.MetaAttackerMNIST(5), tensor.New(2, 1, 28, 28)
	for _, c := range []struct {
		dst   *tensor.Tensor
		batch int
	}{{tensor.New(2, 1, 28, 28), 0}, {tensor.New(2, 1, 27, 28), 2}} {
		if err := tensor.Try(func() error { Predict(net, c.dst, x, c.batch); return nil }); err == nil {
			t.Errorf("predicted %d at a time into %v", c.batch, c.dst.Shape())
		}
	}
}

// TestMetaMask: no chosen coordinate is one that the box would not let move.
func TestMetaMask(t *testing.T) {
	v, err := NewModel(models.LeNet5(1, 10), Info{Name: "m", Shape: []int{1, 28, 28}, Classes: 10}, data.Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	x := randomImages(1, 784).Data()
	for i := range x {
		switch {
		case i%3 == 0:
			x[i] = 0
		case i%3 == 1:
			x[i] = 1
		}
	}
	est := NewMeta(models.MetaAttackerMNIST(5))
	est.Mask = true
	g := make([]float64, 784)
	if err := est.Estimate(context.Background(), NewObjective(v, Untargeted(0), Hinge{Scale: .5}), Point{x, 1}, g); err != nil {
		t.Fatal(err)
	}
	for i, u := range g {
		if x[i] == 0 && u > 0 || x[i] == 1 && u < 0 {
			t.Errorf("entry %d of %v at a pixel of %v", i, u, x[i])
		}
	}
	if nonzero(g) != 128 {
		t.Errorf("%d entries", nonzero(g))
	}
}

// lessons makes tasks of two source models on random images.
func lessons(t *testing.T, n int) []MetaTask {
	t.Helper()
	var tasks []MetaTask
	for seed := range uint64(2) {
		m, err := NewModel(models.LeNet5(seed, 10), Info{Name: "src", Shape: []int{1, 28, 28}, Classes: 10}, data.Preprocess{})
		if err != nil {
			t.Fatal(err)
		}
		x := randomImages(7, n, 1, 28, 28)
		labels := make([]int, n)
		if err := LabelsOf(m).Labels(context.Background(), x, labels); err != nil {
			t.Fatal(err)
		}
		labels[0] = (labels[0] + 1) % 10 // one the model gets wrong
		task, wrong, err := GradientTask(context.Background(), m, x, labels)
		if err != nil {
			t.Fatal(err)
		}
		if wrong != 1 || task.X.Dim(0) != n-1 || task.G.Dim(0) != n-1 {
			t.Fatalf("%d wrong, images %v", wrong, task.X.Shape())
		}
		tasks = append(tasks, task)
	}
	return tasks
}

// TestEstimatedLabelsAgree: differences along every coordinate give the white
// box's labels, nearly.
func TestEstimatedLabelsAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	net := nn.NewSequential(nn.NewConv2D(rng, 1, 4, 3, nn.ConvOptions{}), nn.Tanh{}, nn.Flatten{}, nn.NewLinear(rng, 4*64, 5))
	m, err := NewModel(net, Info{Name: "small", Shape: []int{1, 10, 10}, Classes: 5}, data.Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	x := randomImages(7, 6, 1, 10, 10)
	labels := make([]int, 6)
	if err := LabelsOf(m).Labels(context.Background(), x, labels); err != nil {
		t.Fatal(err)
	}
	labels[2] = (labels[2] + 1) % 5
	exact, wrong, err := GradientTask(context.Background(), m, x, labels)
	if err != nil {
		t.Fatal(err)
	}
	est, wrong2, err := EstimatedTask(context.Background(), m, x, labels)
	if err != nil || wrong != wrong2 || est.G.Dim(0) != 5 {
		t.Fatal(wrong, wrong2, est.G.Shape(), err)
	}
	for i, v := range exact.G.Data() {
		if !(math.Abs(float64(v-est.G.Data()[i])) <= 0.05) {
			t.Errorf("entry %d: %v by gradient, %v by differences", i, v, est.G.Data()[i])
		}
	}
}

// TestReptileAlgebra: one task with rate 1 ends where the task ended, rate 0
// leaves the weights, and two equal tasks are as one.
func TestReptileAlgebra(t *testing.T) {
	tasks := lessons(t, 21)
	run := func(o MetaTraining, tasks ...MetaTask) []float32 {
		net := models.MetaAttackerMNIST(1)
		o.Batch, o.Iterations, o.InnerSteps = 20, 1, 2
		if err := o.Train(context.Background(), net, tasks, nil); err != nil {
			t.Fatal(err)
		}
		var all []float32
		for _, p := range nn.Params(net) {
			all = append(all, p.Value().Data()...)
		}
		return all
	}
	start := run(MetaTraining{Rate: 1e-30}, tasks[0])
	moved := run(MetaTraining{Rate: 1}, tasks[0])
	half := run(MetaTraining{Rate: 0.5}, tasks[0])
	twice := run(MetaTraining{Rate: 1}, tasks[0], tasks[0])
	other := run(MetaTraining{Rate: 1}, tasks[1])
	both := run(MetaTraining{Rate: 1}, tasks[0], tasks[1])
	for _, p := range nn.Params(models.MetaAttackerMNIST(1)) {
		for i, v := range p.Value().Data() {
			if !(math.Abs(float64(start[i]-v)) <= 1e-20) {
				t.Fatalf("rate 0 moved a weight from %v to %v", v, start[i])
			}
		}
		start = start[p.Len():]
	}
	start = run(MetaTraining{Rate: 1e-30}, tasks[0])
	// The tasks of one run draw their batches from streams of their own, so that of
	// 20 images out of 20 only the order differs, and rounding with it.
	var changed int
	for i, v := range start {
		if d := math.Abs(float64(half[i]) - (float64(v)+float64(moved[i]))/2); !(d <= 1e-6) {
			t.Fatalf("weight %d: %v half-way between %v and %v", i, half[i], v, moved[i])
		}
		if !(math.Abs(float64(twice[i]-moved[i])) <= 2e-2) {
			t.Fatalf("weight %d: %v from one task, %v from two equal ones", i, moved[i], twice[i])
		}
		if !(math.Abs(float64(both[i])-(float64(moved[i])+float64(other[i]))/2) <= 2e-2) {
			t.Fatalf("weight %d: %v from two tasks that end at %v and %v", i, both[i], moved[i], other[i])
		}
		if moved[i] != v {
			changed++
		}
	}
	if changed < len(start)/2 {
		t.Errorf("only %d of %d weights moved", changed, len(start))
	}
}

// TestReptileIsExact: with one image a task there is no order of summation, and the
// outer step is exact: rate 1 ends at the weights that Adam reaches by itself, and two
// equal tasks are one.
func TestReptileIsExact(t *testing.T) {
	task := lessons(t, 2)[0] // one of its two images is wrong
	weights := func(net nn.Module) (all []float32) {
		for _, p := range nn.Params(net) {
			all = append(all, p.Value().Data()...)
		}
		return all
	}
	run := func(tasks ...MetaTask) []float32 {
		net := models.MetaAttackerMNIST(1)
		if err := (MetaTraining{Rate: 1, Batch: 1, Iterations: 1, InnerSteps: 3}).Train(context.Background(), net, tasks, nil); err != nil {
			t.Fatal(err)
		}
		return weights(net)
	}
	net := models.MetaAttackerMNIST(1)
	opt := optim.NewAdam(nn.Params(net), optim.AdamOptions{LR: 0.01})
	tape := autograd.NewTape(autograd.Training, 0)
	for range 3 {
		tape.Reset()
		if err := opt.Step(tape.Gradients(autograd.MSE(net.Forward(tape.Input(task.X)), tape.Input(task.G)))); err != nil {
			t.Fatal(err)
		}
	}
	want := weights(net)
	if got := run(task); !slices.Equal(got, want) {
		t.Error("rate 1 and one task do not end where Adam does")
	}
	if got := run(task, task); !slices.Equal(got, want) {
		t.Error("two equal tasks do not end where one does")
	}
}

// TestZeroPredictor: predicting nothing has an error of 1 + mean²/std² on a
// normalised label, nearly 1.
func TestZeroPredictor(t *testing.T) {
	for _, task := range lessons(t, 5) {
		for i := range task.G.Dim(0) {
			var mean, sq float64
			g := task.G.Index(i).Data()
			for _, v := range g {
				mean += float64(v) / 784
				sq += float64(v) * float64(v) / 784
			}
			if want := 1 + mean*mean; !(math.Abs(sq-want) <= 1e-5) || sq > 1.2 {
				t.Errorf("image %d: error %v, want %v", i, sq, want)
			}
		}
	}
}

// TestMetaNetworks: the map has the image's shape, also at a size that the network
// was not made for, and a transposed convolution is the adjoint of the convolution
// with the same weights.
func TestMetaNetworks(t *testing.T) {
	tape := autograd.NewTape(autograd.Inference, 0)
	for _, c := range []struct {
		net   nn.Module
		shape []int
	}{{models.MetaAttackerMNIST(1), []int{2, 1, 28, 28}}, {models.MetaAttackerCIFAR(1), []int{1, 3, 32, 32}}, {models.MetaAttackerCIFAR(1), []int{2, 3, 64, 64}}} {
		if got := c.net.Forward(tape.Input(randomImages(1, c.shape...))).Shape(); !slices.Equal(got, c.shape) {
			t.Errorf("images %v give maps %v", c.shape, got)
		}
	}
	o := autograd.ConvOptions{Stride: []int{2}, Padding: []int{1}}
	w := randomImages(2, 5, 3, 4, 4)
	x, y := randomImages(3, 2, 3, 12, 12), randomImages(4, 2, 5, 6, 6)
	left := autograd.Sum(autograd.Mul(autograd.Conv(tape.Input(x), tape.Input(w), autograd.Var{}, o), tape.Input(y))).Scalar()
	right := autograd.Sum(autograd.Mul(autograd.ConvTranspose(tape.Input(y), tape.Input(w), autograd.Var{}, o), tape.Input(x))).Scalar()
	if !(math.Abs(left/right-1) <= 1e-5) {
		t.Errorf("<Conv x, y> = %v, <x, ConvT y> = %v", left, right)
	}
}

// TestTrainingLearns: the error on the lessons falls, by Reptile and by vanilla
// training, and is the same for the same seed.
func TestTrainingLearns(t *testing.T) {
	tasks := lessons(t, 33)
	for _, vanilla := range []bool{false, true} {
		var runs [2][]float64
		for k := range runs {
			net := models.MetaAttackerMNIST(2)
			o := MetaTraining{Batch: 16, Iterations: 6, Rate: 0.5, Vanilla: vanilla, Seed: 3}
			if err := o.Train(context.Background(), net, tasks, func(_ int, loss float64) error {
				runs[k] = append(runs[k], loss)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(runs[0], runs[1]) {
			t.Errorf("vanilla=%v: two runs with one seed differ: %v, %v", vanilla, runs[0], runs[1])
		}
		first, last := runs[0][0], runs[0][5]
		t.Logf("vanilla=%v: error %.3f to %.3f", vanilla, first, last)
		if !(last < 0.97*first) {
			t.Errorf("vanilla=%v: error went from %v to %v", vanilla, first, last)
		}
	}
}

func TestTrainingStops(t *testing.T) {
	tasks := lessons(t, 9)
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	err := MetaTraining{Batch: 8, InnerSteps: 1}.Train(ctx, models.MetaAttackerMNIST(2), tasks, func(int, float64) error {
		if n++; n == 3 {
			cancel()
		}
		return nil
	})
	if err != context.Canceled || n != 3 {
		t.Errorf("stopped after %d iterations with %v", n, err)
	}
	if err := (MetaTraining{}).Train(context.Background(), models.MetaAttackerMNIST(2), nil, nil); err == nil {
		t.Error("no tasks were accepted")
	}
}
