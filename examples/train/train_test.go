package main

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/examples/internal/cast"
	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// pictures makes a directory of image folders: class k has a bright column at k.
func pictures(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, part := range []string{"train", "test"} {
		for class := range 4 {
			dir := filepath.Join(root, part, string(rune('a'+class)))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				img := image.NewGray(image.Rect(0, 0, 28, 28))
				for y := range 28 {
					for x := 7 * class; x < 7*class+7; x++ {
						img.SetGray(x, y, color.Gray{uint8(150 + 5*i)})
					}
				}
				var b bytes.Buffer
				if err := png.Encode(&b, img); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".png"), b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return root
}

// TestMissingTestClass: a test part that lacks a class is measured by the names of the
// others, and what is written is right.
func TestMissingTestClass(t *testing.T) {
	c := &config{data: pictures(t), model: "lenet5", epochs: 12, batch: 10, lr: 0.02, momentum: 0.9, decay: 0, seed: 1,
		out: filepath.Join(t.TempDir(), "w.safetensors")}
	if err := os.RemoveAll(filepath.Join(c.data, "test", "b")); err != nil {
		t.Fatal(err)
	}
	acc, err := classifier(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, info, err := models.Open(c.out)
	if err != nil || acc < 0.99 || info.Accuracy < "0.99" || info.Classes != 4 {
		t.Errorf("accuracy %v of %d classes, the file says %s (%v)", acc, info.Classes, info.Accuracy, err)
	}
}

// TestRecipe: what is not set suits the network.
func TestRecipe(t *testing.T) {
	for model, want := range map[string]string{"resnet18-small": "one-cycle", "vgg13-32": "one-cycle", "net4": "cosine", "tiny3d": "cosine"} {
		spec, ok := models.Find(model)
		if !ok {
			t.Fatalf("no network %s", model)
		}
		c := config{model: model, decay: suits}
		recipe(&c, spec)
		if c.schedule != want || c.epochs == 0 || c.batch == 0 || c.lr == 0 || c.decay == suits {
			t.Errorf("%s: schedule %q, want %q; %d epochs, batch %d, rate %g, decay %g", model, c.schedule, want, c.epochs, c.batch, c.lr, c.decay)
		}
		set := config{model: model, schedule: "cosine", epochs: 3, batch: 7, lr: 0.5, decay: 0.25}
		recipe(&set, spec)
		if set.schedule != "cosine" || set.epochs != 3 || set.batch != 7 || set.lr != 0.5 || set.decay != 0.25 {
			t.Errorf("%s: the settings %q, 3, 7, 0.5, 0.25 became %q, %d, %d, %g, %g", model, "cosine", set.schedule, set.epochs, set.batch, set.lr, set.decay)
		}
	}
}

func TestTrainsAndWritesWeights(t *testing.T) {
	c := &config{data: pictures(t), model: "lenet5", epochs: 12, batch: 10, lr: 0.02, momentum: 0.9, decay: 0, seed: 1,
		out: filepath.Join(t.TempDir(), "w.safetensors")}
	acc, err := classifier(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if acc < 0.99 {
		t.Errorf("accuracy %v on columns", acc)
	}
	net, info, err := models.Open(c.out)
	if err != nil {
		t.Fatal(err)
	}
	if info.Model != "lenet5" || info.Classes != 4 || strings.Join(info.ClassNames, "") != "abcd" {
		t.Errorf("the file says %s with %d classes, %v", info.Model, info.Classes, info.ClassNames)
	}
	_, test, err := datasets.Find(c.data, info.Spec().Input)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := accuracy(context.Background(), net, info.Preprocess, test, nil); err != nil || again != acc {
		t.Errorf("accuracy %v when read back, %v before (%v)", again, acc, err)
	}
}

// TestResume stops a run in the middle of an epoch and takes it up again: the
// weights are the same to the bit.
func TestResume(t *testing.T) {
	data := pictures(t)
	for _, how := range []config{{}, {adversarial: "free", steps: 2, eps: 0.1}, {adversarial: "trades", steps: 2, eps: 0.1, beta: 1, average: 0.9}} {
		t.Run(how.adversarial, func(t *testing.T) { testResume(t, data, how) })
	}
}

func testResume(t *testing.T, data string, how config) {
	train := func(stop int) []byte {
		c := &config{data: data, model: "net5", epochs: 3, batch: 10, lr: 0.02, momentum: 0.9, decay: 1e-4, seed: 1, augment: true,
			adversarial: how.adversarial, steps: how.steps, eps: how.eps, beta: how.beta, average: how.average,
			out: filepath.Join(t.TempDir(), "w.safetensors")}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if stop > 0 {
			c.onStep = func(step int) {
				if step >= stop {
					cancel()
				}
			}
			if _, err := classifier(ctx, c); !errors.Is(err, context.Canceled) {
				t.Fatalf("stopped with %v", err)
			}
			c.onStep, c.resume = nil, true
		}
		if _, err := classifier(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(c.out + ".checkpoint"); err == nil {
			t.Error("a complete run left its checkpoint")
		}
		b, err := os.ReadFile(c.out)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	want := train(0)
	for _, stop := range []int{3, 8, 13} {
		if !bytes.Equal(train(stop), want) {
			t.Errorf("stopped after step %d and resumed: other weights", stop)
		}
	}
}

func TestAdversarialTrainingRuns(t *testing.T) {
	pics := pictures(t)
	for _, method := range methods {
		c := &config{stage: "classifier", data: pics, model: "lenet5", epochs: 16, batch: 10, lr: 0.05, momentum: 0.9, decay: 0, seed: 1,
			adversarial: method, eps: 0.1, average: 0.9, out: filepath.Join(t.TempDir(), "w.safetensors")}
		if method == "free" {
			c.epochs, c.steps = 5, 4
		}
		if err := run(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		net, info, err := models.Open(c.out)
		if err != nil {
			t.Fatal(err)
		}
		_, test, err := datasets.Find(c.data, info.Spec().Input)
		if err != nil {
			t.Fatal(err)
		}
		pgd := &attack.Perturber{Norm: attack.Linf, Eps: 0.1, Steps: 10}
		if robust, err := accuracy(context.Background(), net, info.Preprocess, test, pgd); err != nil || robust < 0.9 {
			t.Errorf("%s: accuracy %v under PGD (%v)", method, robust, err)
		}
	}
}

// TestTradesLoss: the loss of TRADES is the cross-entropy of the clean images and beta
// times the divergence of what the network says of the bad ones.
func TestTradesLoss(t *testing.T) {
	net := models.LeNet5(3, 10)
	x := tensor.New(6, 1, 28, 28)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range x.Data() {
		x.Data()[i] = r.Float32()
	}
	labels := []int{0, 1, 2, 3, 4, 5}
	h := newHardening(&config{adversarial: "trades", eps: 0.2, beta: 3, steps: 5, seed: 4}, []int{1, 28, 28}, 1)
	tape := autograd.NewTape(autograd.Training, 1)
	loss, _ := h.loss(net, tape, x, labels, 7)
	got := loss.Scalar()
	bad := x.Clone()
	h.Diverge(net, bad, 0.2, 7)
	rows := func(x *tensor.Tensor) [][]float64 {
		tape := autograd.NewTape(autograd.Inference, 0)
		z := net.Forward(tape.Input(x))
		var out [][]float64
		for i := range labels {
			var row []float64
			var sum float64
			for _, v := range z.Data()[10*i : 10*i+10] {
				sum += math.Exp(float64(v))
			}
			for _, v := range z.Data()[10*i : 10*i+10] {
				row = append(row, math.Exp(float64(v))/sum)
			}
			out = append(out, row)
		}
		return out
	}
	p, q := rows(x), rows(bad)
	var entropy, apart float64
	for i, y := range labels {
		entropy -= math.Log(p[i][y]) / 6
		for k := range p[i] {
			apart += p[i][k] * math.Log(p[i][k]/q[i][k]) / 6
		}
	}
	if want := entropy + 3*apart; apart < 1e-5 || math.Abs(got-want) > 1e-5 {
		t.Errorf("loss %v, want %v + 3·%v", got, entropy, apart)
	}
}

// TestPGD: images stay in the ball and in [0,1] and are worse than random ones of the
// ball; the radius grows to the whole one.
func TestPGD(t *testing.T) {
	const seed = 7
	net := models.LeNet5(seed, 10)
	p := newHardening(&config{adversarial: "pgd", epochs: 2, eps: 0.1, seed: seed}, []int{1, 28, 28}, 4)
	r := rand.New(rand.NewPCG(seed, 0))
	clean := tensor.New(8, 1, 28, 28)
	labels := make([]int, 8)
	for i := range clean.Data() {
		clean.Data()[i] = r.Float32()
	}
	for i := range labels {
		labels[i] = r.IntN(10)
	}
	loss := func(steps int) float64 {
		x := clean.Clone()
		p.Steps = max(steps, 1)
		if steps == 0 { // a random point of the ball
			p.Step = 1e-12
		} else {
			p.Step = 0
		}
		p.Perturb(net, x, labels, 0, 1)
		var up, down int // at the edges of the ball
		for i, v := range x.Data() {
			d := v - clean.Data()[i]
			switch {
			case v < 0 || v > 1 || d > 0.1001 || d < -0.1001:
				t.Fatalf("seed %d: %v has become %v", seed, clean.Data()[i], v)
			case d > 0.0999:
				up++
			case d < -0.0999:
				down++
			}
		}
		if least := x.Len() / 5; steps > 0 && (up < least || down < least) {
			t.Errorf("seed %d: of %d values %d were moved up to the edge and %d down to it", seed, x.Len(), up, down)
		}
		tape := autograd.NewTape(autograd.Inference, 0)
		return nn.CrossEntropy(net.Forward(tape.Input(x)), labels).Scalar()
	}
	if none, seven := loss(0), loss(7); !(seven > none+0.01) {
		t.Errorf("seed %d: the loss is %v after seven steps, %v after none", seed, seven, none)
	}
	for step, want := range []float64{0.025, 0.05, 0.075, 0.1, 0.1} {
		if got := p.radius(step); math.Abs(got-want) > 1e-6 {
			t.Errorf("radius %v at step %d, want %v", got, step, want)
		}
	}
}

// TestAutoencoder: training lowers the error, and the file holds what was trained.
func TestAutoencoder(t *testing.T) {
	c := &config{stage: "autoencoder", data: pictures(t), epochs: 8, batch: 10, seed: 1, out: t.TempDir()}
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	net, info, err := models.Open(filepath.Join(c.out, "autozoom-cifar.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	_, test, err := datasets.Find(c.data, info.Spec().Input)
	if err != nil {
		t.Fatal(err)
	}
	x, _, err := data.Load(test, []int{0, 25, 50, 75})
	if err != nil {
		t.Fatal(err)
	}
	self := zoo.MetaTask{X: x, G: x}
	before, _ := likeness(info.Spec().New(c.seed, 0), self, together)
	after, _ := likeness(net, self, together)
	if !(after < before/4) {
		t.Errorf("the error is %g, %g before training", after, before)
	}
}

// TestMetaAttackerIsSteady: what the stage writes has its convolutions made steady.
func TestMetaAttackerIsSteady(t *testing.T) {
	c := &config{stage: "meta", data: pictures(t), out: t.TempDir(), sources: "vgg11-32", iterations: 1, batch: 4, limit: 20, rate: 1, seed: 1}
	for _, name := range []string{"vgg11-32", "resnet18-small"} {
		spec, _ := models.Find(name) // untrained, with a seed by which they get some pictures right
		if err := models.Save(cast.File(c.out, name), spec.New(2, 4), models.Info{Model: name, Classes: 4}, nn.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	net, info, err := models.Open(cast.File(c.out, "meta-cifar"))
	if err != nil {
		t.Fatal(err)
	}
	size := func(net nn.Module) (sum float64) {
		for _, v := range nn.Params(net)[0].Value().Data() {
			sum += float64(v) * float64(v)
		}
		return math.Sqrt(sum)
	}
	// An iteration turns the weights, and hardly makes them longer.
	if ratio := size(net) / size(info.Spec().New(c.seed, 0)); math.Abs(ratio-cast.Steadiness) > 0.1*cast.Steadiness {
		t.Errorf("the first convolution is %.2f times as large as before training, want about %d", ratio, cast.Steadiness)
	}
}

func TestRefuses(t *testing.T) {
	none := filepath.Join(t.TempDir(), "w")
	for say, c := range map[string]*config{
		"-stage x":         {stage: "x"},
		"no checkpoint; ":  {stage: "meta", resume: true},
		"one at a time":    {stage: "meta", vanilla: true, estimated: 5},
		"(-stage sources":  {stage: "meta", data: pictures(t), out: t.TempDir()},
		"-epochs -1: ":     {stage: "sources", epochs: -1},
		"-batch -1: ":      {stage: "classifier", batch: -1},
		"-lr -1: ":         {stage: "classifier", lr: -1},
		"-schedule step: ": {stage: "classifier", schedule: "step"},
		"-lr NaN: ":        {stage: "classifier", lr: math.NaN()},
		"-momentum 1: ":    {stage: "classifier", momentum: 1},
		"-decay -0.5: ":    {stage: "classifier", decay: -0.5},
		"-limit -3: ":      {stage: "classifier", limit: -3},
		"-threads -2: ":    {stage: "classifier", threads: -2},
		"-eps 8: ":         {stage: "classifier", adversarial: "pgd", eps: 8},
		"-iterations -1: ": {stage: "meta", iterations: -1},
		"-rate -1: ":       {stage: "meta", rate: -1},
		"-estimated -1: ":  {stage: "meta", estimated: -1},
		"-images -1: ":     {stage: "meta", images: -1},
		"there is no checkpoint " + none + ".checkpoint": {stage: "classifier", model: "net5", data: pictures(t), epochs: 1, batch: 10, resume: true, out: none},
		"there are pgd, trades, fast, free":              {stage: "classifier", adversarial: "fgsm"},
		"-average 1: ":                                   {stage: "classifier", average: 1},
		"-beta -1: ":                                     {stage: "classifier", beta: -1},
		"there are lenet5":                               {stage: "classifier", model: "resnet1", data: "mnist"},
		"neither mnist":                                  {stage: "classifier", model: "net4", data: "/nowhere"},
		"diverged":                                       {stage: "classifier", model: "net5", data: pictures(t), lr: 1e30, epochs: 3, batch: 10, out: filepath.Join(t.TempDir(), "w")},
		"is no checkpoint":                               {stage: "classifier", model: "net5", data: pictures(t), epochs: 1, batch: 10, resume: true, out: foreign(t)},
	} {
		err := run(context.Background(), c)
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v; want an error that says %q", err, say)
		}
	}
}

// TestResumesItsOwnRun: a checkpoint made with other settings or data is refused by the
// name of what differs, and the network's weights are not written.
func TestResumesItsOwnRun(t *testing.T) {
	pics := pictures(t)
	base := config{stage: "classifier", data: pics, model: "net5", epochs: 3, batch: 10, lr: 0.02, momentum: 0.9, decay: 1e-4, seed: 1, augment: true,
		out: filepath.Join(t.TempDir(), "w.safetensors")}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stopped := base
	stopped.onStep = func(step int) {
		if step == 11 { // of the second epoch
			cancel()
		}
	}
	if err := run(ctx, &stopped); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for say, change := range map[string]func(c *config){
		"epochs is 3 there and 4 here":                    func(c *config) { c.epochs = 4 },
		"batch is 10 there and 5 here":                    func(c *config) { c.batch = 5 },
		"lr is 0.02 there and 0.03 here":                  func(c *config) { c.lr = 0.03 },
		"momentum is 0.9 there and 0 here":                func(c *config) { c.momentum = 0 },
		"decay is 0.0001 there and 0 here":                func(c *config) { c.decay = 0 },
		"seed is 1 there and 2 here":                      func(c *config) { c.seed = 2 },
		"data (digest) is ":                               func(c *config) { c.limit = 50 },
		`model is "net5" there and "lenet5" here`:         func(c *config) { c.model = "lenet5" },
		"augment is true there and false here, flip is t": func(c *config) { c.augment = false },
		`schedule is missing there and "one-cycle" here`:  func(c *config) { c.schedule = "one-cycle" },
		`adversarial is "" there and "pgd" here, eps is`:  func(c *config) { c.adversarial, c.eps = "pgd", 0.1 },
	} {
		other := base
		other.resume = true
		change(&other)
		if err := run(context.Background(), &other); err == nil || !strings.Contains(err.Error(), say) || !strings.Contains(err.Error(), "of another run") {
			t.Errorf("error %v, want one that says %q", err, say)
		}
		if _, err := os.Stat(base.out); err == nil {
			t.Fatalf("%s: the run went on", say)
		}
	}
	again := base
	again.resume, again.half, again.threads = true, true, 1 // which change no step
	if err := run(context.Background(), &again); err != nil {
		t.Error(err)
	}
}

// TestCheckpointOfEveryEpoch: a run that is killed loses an epoch at most.
func TestCheckpointOfEveryEpoch(t *testing.T) {
	c := &config{data: pictures(t), model: "net5", epochs: 3, batch: 10, lr: 0.02, momentum: 0.9, seed: 1, out: filepath.Join(t.TempDir(), "w.safetensors")}
	c.onStep = func(step int) {
		_, err := os.Stat(c.out + ".checkpoint")
		if there := err == nil; there != (step > 8) { // an epoch has eight steps
			t.Errorf("step %d: a checkpoint is there: %v", step, there)
		}
	}
	if _, err := classifier(context.Background(), c); err != nil {
		t.Fatal(err)
	}
}

// foreign returns a path whose checkpoint is another program's file.
func foreign(t *testing.T) string {
	t.Helper()
	c := &config{data: pictures(t), model: "net5", epochs: 1, batch: 20, out: filepath.Join(t.TempDir(), "w.safetensors")}
	if _, err := classifier(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(c.out, c.out+".checkpoint"); err != nil {
		t.Fatal(err)
	}
	return c.out
}

// TestLikeness: a network that doubles its input, against labels that are its input, is
// wrong by them and points the right way.
func TestLikeness(t *testing.T) {
	x := tensor.FromSlice([]float32{1, 2, 2, 0, 3, 4}, 2, 3, 1, 1)
	double := nn.NewConv2D(rand.New(rand.NewPCG(1, 1)), 3, 3, 1, nn.ConvOptions{NoBias: true})
	nn.Params(double)[0].Update(func(w []float32) {
		for i := range w {
			w[i] = map[bool]float32{true: 2}[i%4 == 0]
		}
	})
	mse, cosine := likeness(double, zoo.MetaTask{X: x, G: x}, 1)
	if math.Abs(mse-34.0/6) > 1e-5 || math.Abs(cosine-1) > 1e-5 {
		t.Errorf("error %v and cosine %v, want %v and 1", mse, cosine, 34.0/6)
	}
	g := tensor.FromSlice([]float32{2, -1, 0, 0, 3, 4}, 2, 3, 1, 1) // one orthogonal, one the same
	if _, cosine := likeness(double, zoo.MetaTask{X: x, G: g}, 2); math.Abs(cosine-0.5) > 1e-5 {
		t.Errorf("mean cosine %v, want 0.5", cosine)
	}
}
