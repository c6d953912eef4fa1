package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/mettleml/mettle/examples/internal/cast"
	"github.com/mettleml/mettle/examples/internal/weights"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// How the training images are shared out: the meta attacker learns on the first
// part of a shuffled list and is judged on the next.
const (
	lessonImages = 10000
	judgeImages  = 1000
)

// A judged model is a source, or the held-out victim, with its lessons.
type judged struct {
	name  string
	learn zoo.MetaTask
	judge zoo.MetaTask
}

// meta trains the meta attacker on the gradients of the source models.
func meta(ctx context.Context, c *config) error {
	if c.vanilla && (c.estimated > 0 || c.images > 0) || c.estimated > 0 && c.images > 0 {
		return fmt.Errorf("-vanilla, -estimated and -images are one ablation each; give one at a time")
	}
	p, train, dir, err := players(c)
	if err != nil {
		return err
	}
	learn, judge := cmp.Or(c.estimated, c.images, lessonImages), judgeImages
	if c.limit > 0 {
		learn = min(learn, c.limit)
		judge = min(judge, c.limit)
	}
	learn = min(learn, train.Len()*9/10)
	judge = min(judge, train.Len()-learn)
	order := rand.New(rand.NewPCG(c.seed, 2)).Perm(train.Len())
	var all []judged
	for _, name := range append(p.Sources, p.Victim) {
		j := judged{name: name}
		net, info, err := models.Open(cast.File(dir, name))
		if err != nil {
			return fmt.Errorf("%w (-stage sources -data %s -out %s makes it)", err, c.data, dir)
		}
		if err := weights.Fits(cast.File(dir, name), info, train); err != nil {
			return err
		}
		v, err := weights.Victim(net, info, train.Shape())
		if err != nil {
			return err
		}
		if name != p.Victim {
			if j.learn, err = lesson(ctx, v, train, order[:learn], c.estimated > 0); err != nil {
				return err
			}
		}
		if j.judge, err = lesson(ctx, v, train, order[learn:learn+judge], false); err != nil {
			return err
		}
		all = append(all, j)
	}
	spec, _ := models.Find(p.Attacker)
	net := spec.New(c.seed, 0).(*nn.Sequential)
	random := nn.Clone(net)
	var tasks []zoo.MetaTask
	for _, j := range all[:len(all)-1] {
		tasks = append(tasks, j.learn)
	}
	stopped := metaTrain(ctx, c, net, tasks, all)
	if stopped != nil && !errors.Is(stopped, context.Canceled) {
		return stopped
	}
	zoo.Steady(net, cast.Steadiness)
	mean := judgements(net, random, all)
	file := p.Attacker
	switch {
	case c.vanilla:
		file = cast.Vanilla(file)
	case c.estimated > 0:
		file = cast.Estimated(file, c.estimated)
	case c.images > 0:
		file = cast.Fewer(file, c.images)
	}
	if stopped != nil {
		file += "-stopped" // not to be taken for a whole one
	}
	path := cast.File(dir, file)
	info := models.Info{Model: p.Attacker, Data: c.data, Accuracy: fmt.Sprintf("source MSE %.4f", mean)}
	dtype := tensor.F32
	if c.half {
		dtype = tensor.F16
	}
	if err := models.Save(path, net, info, nn.SaveOptions{DType: dtype}); err != nil {
		return err
	}
	fmt.Println("wrote", path)
	return stopped
}

// metaIterations take some four minutes on two processors for digits. More bring the
// sources no nearer to the held-out victim.
const metaIterations = 300

// innerSteps are the Adam steps that Reptile takes on a batch. Vanilla training, which
// takes one, gets so many times the iterations.
const innerSteps = 5

// metaTrain runs Reptile with the outer step falling to a twentieth, or plain
// training with Adam's.
func metaTrain(ctx context.Context, c *config, net nn.Module, tasks []zoo.MetaTask, all []judged) error {
	total, way := cmp.Or(c.iterations, metaIterations), "Reptile"
	if c.vanilla {
		total, way = innerSteps*total, "vanilla training"
	}
	o := zoo.MetaTraining{Batch: cmp.Or(c.batch, 200), InnerSteps: innerSteps, Rate: c.rate, InnerLR: cmp.Or(c.lr, 0.003), Iterations: total,
		Vanilla: c.vanilla, Seed: c.seed, Schedule: func(i int) float64 { return max(0.05, 1-float64(i)/float64(total)) }}
	fmt.Printf("%s on %d models, %d images each, %d iterations\n", way, len(tasks), tasks[0].X.Dim(0), total)
	start := time.Now()
	last := start
	return o.Train(ctx, net, tasks, func(i int, loss float64) error {
		if time.Since(last) > 30*time.Second {
			last = time.Now()
			sources, held := all[:len(all)-1], all[len(all)-1]
			var mean float64
			for _, j := range sources {
				e, _ := likeness(net, j.judge, together)
				mean += e / float64(len(sources))
			}
			e, _ := likeness(net, held.judge, together)
			left := time.Duration(float64(time.Since(start)) / float64(i+1) * float64(total-i-1))
			fmt.Printf("iteration %d/%d  error %.4f, on images not trained on %.4f, on %s %.4f  %v left\n",
				i+1, total, loss, mean, held.name, e, left.Round(time.Second))
		}
		return nil
	})
}

// lesson is the task of a model on some of the images, with its gradients or with
// what queries tell of them.
func lesson(ctx context.Context, v *zoo.Model, d data.Dataset, indices []int, estimated bool) (zoo.MetaTask, error) {
	x, y, err := data.Load(d, indices)
	if err != nil {
		return zoo.MetaTask{}, err
	}
	if !estimated {
		task, _, err := zoo.GradientTask(ctx, v, x, y)
		return some(task, len(y), err)
	}
	name, start := v.Info().Name, time.Now()
	fmt.Printf("%s: estimating the gradients of %d images by %d queries each\n", name, len(y), 2*v.Info().Size()+1)
	task, _, err := zoo.EstimatedTask(ctx, v, x, y)
	fmt.Printf("%s: took %v\n", name, time.Since(start).Round(time.Second))
	return some(task, len(y), err)
}

// some is the task unless it is empty.
func some(t zoo.MetaTask, of int, err error) (zoo.MetaTask, error) {
	if err == nil && t.X.Dim(0) == 0 {
		err = fmt.Errorf("%s gets none of %d training images right, and can teach nothing: train it longer", t.Name, of)
	}
	return t, err
}

// together is how many images are shown to a network at once where that is compared
// with one image at a time: batch normalisation takes the statistics of what it sees.
const together = 100

// judgements prints how near the network's maps are to the gradients of images that it
// does not learn from, and returns the mean squared error over sources for batches.
func judgements(net, random nn.Module, all []judged) float64 {
	fmt.Printf("\nnormalised gradients of %d images not trained on, one image at a time and %d\n%-14s %9s %9s %9s %9s %9s %9s\n",
		all[0].judge.X.Dim(0), together, "model", "MSE", "", "cosine", "", "random", "zero")
	fmt.Printf("%-14s %9d %9d %9d %9d %9d\n", "", 1, together, 1, together, 1)
	var mean [4]float64
	for i, j := range all {
		var v [4]float64
		v[0], v[2] = likeness(net, j.judge, 1)
		v[1], v[3] = likeness(net, j.judge, together)
		note := "  (held out)"
		if i < len(all)-1 {
			note = ""
			for k := range v {
				mean[k] += v[k] / float64(len(all)-1)
			}
		}
		guess, _ := likeness(random, j.judge, 1)
		fmt.Printf("%-14s %9.4f %9.4f %9.4f %9.4f %9.4f %9.4f%s\n", j.name, v[0], v[1], v[2], v[3], guess, zeroMSE(j.judge), note)
	}
	fmt.Printf("%-14s %9.4f %9.4f %9.4f %9.4f\n\n", "source mean", mean[0], mean[1], mean[2], mean[3])
	return mean[1]
}

// likeness compares a network's maps, for so many images at a time, with the labels: the
// mean squared error, and the mean over images of the cosine.
func likeness(net nn.Module, t zoo.MetaTask, batch int) (mse, cosine float64) {
	y := tensor.New(t.X.Shape()...)
	zoo.Predict(net, y, t.X, batch)
	n, images := y.Len()/y.Dim(0), y.Dim(0)
	for k := range images {
		a, b := y.Index(k).Data(), t.G.Index(k).Data()
		var ab, aa, bb float64
		for i := range n {
			u, v := float64(a[i]), float64(b[i])
			mse += (u - v) * (u - v) / float64(y.Len())
			ab, aa, bb = ab+u*v, aa+u*u, bb+v*v
		}
		if aa > 0 && bb > 0 {
			cosine += ab / math.Sqrt(aa*bb) / float64(images)
		}
	}
	return mse, cosine
}

// zeroMSE is the error of predicting 0.
func zeroMSE(t zoo.MetaTask) float64 {
	var sum float64
	for _, v := range t.G.Data() {
		sum += float64(v) * float64(v)
	}
	return sum / float64(t.G.Len())
}
