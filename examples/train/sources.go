package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mettleml/mettle/examples/internal/weights"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// heldOut is the victim that the MNIST attacker must not have seen (thesis section
// 2.4.1).
const heldOut = "net4"

// epochsOf are the passes that the larger models make do with.
var epochsOf = map[string]int{"lenet5": 12, "net2": 4, "net3": 2}

// directory is where the stages for the Meta Attack keep their files.
func directory(c *config) (string, error) {
	dir := cmp.Or(c.out, "meta")
	return dir, os.MkdirAll(dir, 0o755)
}

// sources trains the source models and the held-out victim on MNIST.
func sources(ctx context.Context, c *config) error {
	dir, err := directory(c)
	if err != nil {
		return err
	}
	for _, name := range append(strings.Split(c.sources, ","), heldOut) {
		one := *c
		one.data, one.model = "mnist", name
		one.epochs = cmp.Or(c.epochs, epochsOf[name])
		one.out = filepath.Join(dir, name+".safetensors")
		if _, err := os.Stat(one.out); err == nil && c.resume {
			fmt.Println(one.out, "is there")
			continue
		}
		_, err := os.Stat(one.out + ".checkpoint")
		one.resume = c.resume && err == nil
		acc, err := classifier(ctx, &one)
		if err != nil {
			return err
		}
		if acc < 0.985 && c.limit == 0 {
			fmt.Printf("note: %s is below the 98.5 %% that a source should have\n", name)
		}
	}
	return nil
}

// How the training images are shared out: the meta attacker learns on the first
// part of a shuffled list and is judged on the next.
const (
	lessonImages = 10000
	judgeImages  = 1000
)

// metaIterations take about 45 minutes on two cores.
const metaIterations = 4000

// A judged model is a source, or the held-out victim, with its lessons.
type judged struct {
	name  string
	learn zoo.MetaTask
	judge zoo.MetaTask
}

// meta trains the meta attacker on the gradients of the source models.
func meta(ctx context.Context, c *config) error {
	dir, err := directory(c)
	if err != nil {
		return err
	}
	train, _, err := open("mnist", []int{1, 28, 28})
	if err != nil {
		return err
	}
	learn, judge := lessonImages, judgeImages
	if c.limit > 0 {
		learn = min(learn, c.limit)
		judge = min(judge, c.limit)
	}
	order := rand.New(rand.NewPCG(c.seed, 2)).Perm(train.Len())
	var all []judged
	for _, name := range append(strings.Split(c.sources, ","), heldOut) {
		j := judged{name: name}
		path := filepath.Join(dir, name+".safetensors")
		net, _, info, err := weights.Open(path)
		if err != nil {
			return fmt.Errorf("%w (-stage sources -out %s makes it)", err, dir)
		}
		v, err := weights.Victim(net, info, []int{1, 28, 28})
		if err != nil {
			return err
		}
		if name != heldOut {
			if j.learn, err = lesson(ctx, v, train, order[:learn]); err != nil {
				return err
			}
		}
		if j.judge, err = lesson(ctx, v, train, order[learn:learn+judge]); err != nil {
			return err
		}
		all = append(all, j)
	}
	net := models.MetaAttackerMNIST(c.seed)
	random := nn.Clone(net)
	var tasks []zoo.MetaTask
	for _, j := range all[:len(all)-1] {
		tasks = append(tasks, j.learn)
	}
	if err := metaTrain(ctx, c, net, tasks, all); err != nil {
		return err
	}
	fmt.Printf("\nmean squared error on the normalised gradients of %d images not trained on\n%-8s %9s %9s %9s\n", judge, "model", "trained", "random", "zero")
	var mean float64
	for i, j := range all {
		e := mse(net, j.judge)
		note := ""
		if i < len(tasks) {
			mean += e / float64(len(tasks))
		} else {
			note = "  (held out)"
		}
		fmt.Printf("%-8s %9.4f %9.4f %9.4f%s\n", j.name, e, mse(random, j.judge), zeroMSE(j.judge), note)
	}
	fmt.Printf("mean over the sources %.4f\n", mean)
	path := filepath.Join(dir, "meta-mnist.safetensors")
	info := weights.Info{Model: "meta-mnist", Data: "mnist", Accuracy: "source MSE " + strconv.FormatFloat(mean, 'f', 4, 64)}
	dtype := tensor.F32
	if c.half {
		dtype = tensor.F16
	}
	if err := weights.Save(path, net, info, dtype); err != nil {
		return err
	}
	fmt.Println("wrote", path)
	return nil
}

// metaTrain runs Reptile, with the outer step falling to a twentieth.
func metaTrain(ctx context.Context, c *config, net nn.Module, tasks []zoo.MetaTask, all []judged) error {
	total := cmp.Or(c.iterations, metaIterations)
	start := time.Now()
	last := start
	o := zoo.MetaTraining{Batch: cmp.Or(c.batch, 200), Rate: c.rate, InnerLR: cmp.Or(c.lr, 0.003), Iterations: total, Seed: c.seed,
		Schedule: func(i int) float64 { return max(0.05, 1-float64(i)/float64(total)) }}
	fmt.Printf("Reptile on %d models, %d images each, %d iterations\n", len(tasks), tasks[0].X.Dim(0), total)
	err := o.Train(ctx, net, tasks, func(i int, loss float64) error {
		if time.Since(last) > 30*time.Second {
			last = time.Now()
			var mean float64
			for _, j := range all[:len(tasks)] {
				mean += mse(net, j.judge) / float64(len(tasks))
			}
			took := time.Since(start)
			left := time.Duration(float64(took) / float64(i+1) * float64(total-i-1))
			fmt.Printf("iteration %d/%d  error %.4f, on images not trained on %.4f, on %s %.4f  %v left\n",
				i+1, total, loss, mean, heldOut, mse(net, all[len(all)-1].judge), left.Round(time.Second))
		}
		return nil
	})
	if errors.Is(err, context.Canceled) {
		fmt.Println("stopped early; what was learned so far is kept")
		return nil
	}
	return err
}

// lesson is the task of a model on some of the images.
func lesson(ctx context.Context, v *zoo.Model, d data.Dataset, indices []int) (zoo.MetaTask, error) {
	x, y, err := data.Load(d, indices)
	if err != nil {
		return zoo.MetaTask{}, err
	}
	task, _, err := zoo.GradientTask(ctx, v, x, y)
	return task, err
}

// mse is the mean squared error of a network's maps.
func mse(net nn.Module, t zoo.MetaTask) float64 {
	y := tensor.New(t.X.Shape()...)
	zoo.Predict(net, y, t.X, 100)
	var sum float64
	for i, v := range y.Data() {
		d := float64(v) - float64(t.G.Data()[i])
		sum += d * d
	}
	return sum / float64(y.Len())
}

// zeroMSE is the error of predicting 0.
func zeroMSE(t zoo.MetaTask) float64 {
	var sum float64
	for _, v := range t.G.Data() {
		sum += float64(v) * float64(v)
	}
	return sum / float64(t.G.Len())
}
