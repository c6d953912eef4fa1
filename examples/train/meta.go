package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/mettleml/mettle/attack"
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
	model *zoo.Model
	learn zoo.MetaTask
	judge zoo.MetaTask
}

// meta trains the meta attacker on the gradients of the source models.
func meta(ctx context.Context, c *config) error {
	ablations := 0
	for _, is := range []bool{c.lessons, c.vanilla, c.images > 0, c.estimated > 0} {
		if is {
			ablations++
		}
	}
	if ablations > 1 {
		return fmt.Errorf("-lessons, -vanilla, -images and -estimated are one ablation each; give one at a time")
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
		net, _, info, err := weights.Open(cast.File(dir, name))
		if err != nil {
			return fmt.Errorf("%w (-stage sources -data %s -out %s makes it)", err, c.data, dir)
		}
		v, err := weights.Victim(net, info, train.Shape())
		if err != nil {
			return err
		}
		j.model = v
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
	net := spec.New(c.seed, 0)
	random := nn.Clone(net)
	var tasks []zoo.MetaTask
	var sources []zoo.Differentiable
	for _, j := range all[:len(all)-1] {
		tasks, sources = append(tasks, j.learn), append(sources, j.model)
	}
	stopped := teach(ctx, c, net, tasks, all)
	if stopped != nil && !errors.Is(stopped, context.Canceled) {
		return stopped
	}
	mean := judgements(net, random, all)
	note := fmt.Sprintf("source MSE %.4f after %d iterations", mean, cmp.Or(c.iterations, metaIterations))
	if stopped == nil && ablations == 0 {
		x, y, err := data.Load(train, order[:learn])
		if err != nil {
			return err
		}
		stopped = rehearse(ctx, c, p, net, sources, x, y, all)
		if stopped != nil && !errors.Is(stopped, context.Canceled) {
			return stopped
		}
		judgements(net, random, all)
		note += ", then a rehearsal"
	}
	file := p.Attacker
	switch {
	case c.lessons:
		file = cast.Lessons(file)
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
	info := weights.Info{Model: p.Attacker, Data: c.data, Accuracy: note}
	dtype := tensor.F32
	if c.half {
		dtype = tensor.F16
	}
	if err := weights.Save(path, net, info, dtype); err != nil {
		return err
	}
	fmt.Println("wrote", path)
	return stopped
}

// The outer iterations of the lessons and of the rehearsal. More lessons bring the
// sources no nearer to the held-out victim. The rehearsal, three quarters of it attacks
// towards a certain class, took 8 % of the queries from such attacks on two networks that
// are neither source nor victim, Net1 and Net6, and none from others.
const (
	metaIterations = 300
	rehearsals     = 700
)

// innerSteps are the Adam steps that Reptile takes on a batch. Vanilla training, which
// takes one, gets so many times the iterations.
const innerSteps = 5

// falling is a schedule that ends at a twentieth.
func falling(iterations int) func(i int) float64 {
	return func(i int) float64 { return max(0.05, 1-float64(i)/float64(iterations)) }
}

// teach gives the network its lessons.
func teach(ctx context.Context, c *config, net nn.Module, tasks []zoo.MetaTask, all []judged) error {
	o := zoo.MetaTraining{Batch: cmp.Or(c.batch, 200), InnerSteps: innerSteps, Rate: c.rate, InnerLR: cmp.Or(c.lr, 0.003),
		Iterations: cmp.Or(c.iterations, metaIterations), Vanilla: c.vanilla, Seed: c.seed}
	way := "Reptile"
	if c.vanilla {
		o.Iterations *= innerSteps
		way = "vanilla training"
	}
	o.Schedule = falling(o.Iterations)
	fmt.Printf("%s on %d models, %d images each, %d iterations\n", way, len(tasks), tasks[0].X.Dim(0), o.Iterations)
	show := judgement(o.Iterations, net, all)
	return o.Train(ctx, net, tasks, func(i int, loss float64) error {
		show(i, fmt.Sprintf("error %.4f", loss))
		return nil
	})
}

// rehearse lets the network take part in attacks on the sources.
func rehearse(ctx context.Context, c *config, p cast.Cast, net nn.Module, sources []zoo.Differentiable, x *tensor.Tensor, y []int, all []judged) error {
	preset, err := attack.MetaPreset(p.Preset, net)
	if err != nil {
		return err
	}
	n := max(cmp.Or(c.iterations, metaIterations)*rehearsals/metaIterations, 1)
	o := zoo.Rehearsal{Attack: zoo.Meta{Coordinates: preset.Coordinates, Interval: preset.Interval}, Measurements: 10, Targeted: 0.75,
		Iterations: n, Seed: c.seed, Schedule: falling(n)}
	fmt.Printf("rehearsal: %d attacks on each model\n", n)
	show, reached := judgement(n, net, all), 0.0
	return o.Train(ctx, net, sources, x, y, func(i int, r float64) error {
		reached += r
		show(i, fmt.Sprintf("%.0f %% of the attacks reached their goal", 100*reached/float64(i+1)))
		return nil
	})
}

// judgement tells every so often how near the network's maps are to those of images
// it does not learn from.
func judgement(total int, net nn.Module, all []judged) func(i int, so string) {
	start := time.Now()
	last := start
	return func(i int, so string) {
		if time.Since(last) < 30*time.Second {
			return
		}
		last = time.Now()
		sources, held := all[:len(all)-1], all[len(all)-1]
		var mean float64
		for _, j := range sources {
			_, cosine := likeness(net, j.judge, 1)
			mean += cosine / float64(len(sources))
		}
		left := time.Duration(float64(time.Since(start)) / float64(i+1) * float64(total-i-1))
		_, cosine := likeness(net, held.judge, 1)
		fmt.Printf("iteration %d/%d  %s  cosine on images not trained on %.3f, on %s %.3f  %v left\n",
			i+1, total, so, mean, held.name, cosine, left.Round(time.Second))
	}
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
// does not learn from, and returns the mean squared error over sources, for batches as
// in the lessons. After a rehearsal the error is no measure: the network then predicts as
// large as what an attack measures on the few coordinates it asks about.
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
