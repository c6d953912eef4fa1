package recipes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/internal/filelock"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// A Lab does jobs and keeps what they make in a directory: results in cells, networks in
// nets, and checkpoints of what was stopped beside these. Several processes may work in one
// directory: what one is at is an error with [filelock.ErrHeld] for the others.
type Lab struct {
	Dir    string
	Cached bool                     // do nothing: give what there is, or cells.ErrNotRun
	Tell   func(j *Job, p Progress) // is told after every step; may be nil
	data   []*Data
	starts map[string]*nn.Classifier // by their digests
}

// Progress is how far a job is.
type Progress struct {
	Epoch, Epochs int // Epoch counts from 1
	Step, Steps   int
	Loss, Right   float64 // means of the epoch so far
	Batch         int
}

// Start lets jobs begin with the backbone of a network, and returns what their field Start is for
// that.
func (l *Lab) Start(net *nn.Classifier) string {
	if l.starts == nil {
		l.starts = map[string]*nn.Classifier{}
	}
	digest := nn.Digest(net.Backbone)
	l.starts[digest] = net
	return digest
}

// File is where the network of a job is, or will be.
func (l *Lab) File(j *Job) (string, error) {
	path, _, err := l.files(j)
	return path, err
}

// Shelf returns a lab on the same directory that does nothing.
func (l *Lab) Shelf() *Lab { return &Lab{Dir: l.Dir, Cached: true, data: l.data} }

// Use lets jobs on d be done.
func (l *Lab) Use(d *Data) { l.data = append(l.data, d) }

func (l *Lab) dataOf(j *Job) (*Data, error) {
	for _, d := range l.data {
		if d.Name == j.Data && d.Train.Digest == j.Digest && d.Which == j.Test {
			return d, nil
		}
	}
	return nil, fmt.Errorf("job %s: its data are not open", j.Label())
}

// Store is where results are kept.
func (l *Lab) Store() cells.Store {
	return cells.Store{Dir: filepath.Join(l.Dir, "cells"), Cached: l.Cached}
}

// files are the names of the network of a job and of its checkpoint.
func (l *Lab) files(j *Job) (net, checkpoint string, err error) {
	name, err := cells.Name(j.Label(), *j)
	path := filepath.Join(l.Dir, "nets", name)
	return path + ".safetensors", path + ".checkpoint", err
}

// Done reports whether a job was done.
func (l *Lab) Done(j *Job) bool {
	_, err := l.Kept(j)
	var diverged *DivergedError
	return err == nil || errors.As(err, &diverged)
}

// Result returns the result of a job, which it does first, with those whose networks it
// begins with, where that was not done before. There is a *DivergedError if its numbers
// came to be not finite.
func (l *Lab) Result(ctx context.Context, j *Job) (*Result, error) {
	return get(l.Store(), j, func() (Result, error) { return l.do(ctx, j) })
}

func get(s cells.Store, j *Job, make func() (Result, error)) (*Result, error) {
	r, err := cells.Get(s, j.Label(), *j, make)
	if err == nil && r.Diverged != "" {
		err = &DivergedError{r.Diverged}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.Label(), err)
	}
	return &r, nil
}

// Cost returns the image-steps that the results of jobs still take, with those of the jobs
// before them, each once. A checkpoint does not count.
func (l *Lab) Cost(jobs ...*Job) int64 {
	var sum int64
	seen := map[string]bool{}
	for _, j := range jobs {
		d, err := l.dataOf(j)
		if err != nil || l.Done(j) {
			continue
		}
		j.chain(func(j *Job) {
			if id := j.ID(); j.trains() && !seen[id] && !l.Done(j) {
				seen[id] = true
				sum += int64(j.Recipe.Epochs) * int64(samples(j, d)*j.Passes())
			}
		})
	}
	return sum
}

// samples is the number of samples in an epoch of a job.
func samples(j *Job, d *Data) int {
	n := PoolSize(d.Train.Counts, 1, All)
	switch j.Method {
	case PhaseOne:
		return n - PoolSize(d.Train.Counts, j.Point, 1) + j.Point
	case PhaseTwo:
		return PoolSize(d.Train.Counts, j.Point, j.Two.PerClass)
	}
	return n
}

// Net returns the network that a job made, whose logits count as the job's labels do: by
// rank in both phases of Divide and Retain, by class otherwise.
func (l *Lab) Net(ctx context.Context, j *Job) (nn.Module, error) {
	if _, err := l.Result(ctx, j); err != nil {
		return nil, err
	}
	if !j.trains() {
		return l.Net(ctx, j.From)
	}
	d, err := l.dataOf(j)
	if err != nil {
		return nil, err
	}
	net, err := blank(j, d)
	if err != nil {
		return nil, err
	}
	path, _, err := l.files(j)
	if err != nil {
		return nil, err
	}
	if err := load(path, net); err != nil {
		return nil, fmt.Errorf("%w; delete the cell of %s to make the network again", err, path)
	}
	return net, nil
}

// load reads the network of a job.
func load(path string, net nn.Tree) error {
	f, err := tensor.OpenSafetensors(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return loadWithout(f, net)
}

// Classifier is Net for what needs features: an error if the network has several branches.
func (l *Lab) Classifier(ctx context.Context, j *Job) (*nn.Classifier, error) {
	net, err := l.Net(ctx, j)
	if err != nil {
		return nil, err
	}
	c, ok := net.(*nn.Classifier)
	if !ok {
		return nil, fmt.Errorf("the network of method %s has several branches, so no classifier can be put on its features", j.Method)
	}
	return c, nil
}

// blank is a network of the form that a job's has.
func blank(j *Job, d *Data) (nn.Module, error) {
	classes := d.Test.Classes()
	switch j.Method {
	case PhaseOne:
		classes = j.Point
	case BBN, RIDE:
		if j.Model != "resnet32" {
			return nil, fmt.Errorf("method %s has a form of resnet32 alone, not of %s", j.Method, j.Model)
		}
		if j.Method == BBN {
			return longtail.BBNResNet32(j.Seed, classes), nil
		}
		return longtail.RIDEResNet32(j.Seed, 3, classes), nil
	}
	c, err := Network(j.Model, j.Seed, classes)
	if err != nil {
		return nil, err
	}
	switch j.classifier() {
	case LDAM, LDAMDRW:
		c.Head = longtail.NewCosine(rand.New(rand.NewPCG(j.Seed, 7)), c.Backbone.Width(), classes)
	case LWS, MiSLAS:
		before, err := blank(j.From, d)
		if err != nil {
			return nil, err
		}
		old, ok := before.(*nn.Classifier)
		if !ok {
			return nil, fmt.Errorf("method %s wants a network with one classifier", j.Method)
		}
		c.Head = longtail.NewLWS(old.Head, classes)
	}
	return c, nil
}

// do does a job.
func (l *Lab) do(ctx context.Context, j *Job) (Result, error) {
	d, err := l.dataOf(j)
	if err != nil {
		return Result{}, err
	}
	if err := j.Check(d); err != nil {
		return Result{}, err
	}
	if !j.trains() {
		return l.withoutTraining(ctx, j, d)
	}
	path, saved, err := l.files(j)
	if err != nil {
		return Result{}, err
	}
	release, err := hold(path + ".lock")
	if err != nil {
		return Result{}, err
	}
	defer release()
	if r, err := cells.Get[Result](l.Shelf().Store(), j.Label(), *j, nil); err == nil {
		return r, nil // another process has just done it
	}
	var s *lesson
	switch {
	case j.Method == PhaseOne:
		s, err = l.phaseOne(j, d)
	case j.Method == PhaseTwo:
		s, err = l.phaseTwo(ctx, j, d)
	case j.Method == CRT, j.Method == LWS, j.Method == MiSLAS:
		s, err = l.retrain(ctx, j, d)
	case j.Method == BBN:
		s, err = l.bbn(ctx, j, d)
	case j.Method == RIDE:
		s, err = l.ride(j, d)
	case j.Method == ProCo:
		s, err = l.proco(j, d)
	case j.Method == Pretrain:
		s, err = l.pretrain(ctx, j, d)
	case j.Method == Heterotopic:
		s, err = l.heterotopic(ctx, j, d)
	default:
		s, err = l.joint(ctx, j, d)
	}
	if err != nil {
		return Result{}, err
	}
	transform, err := d.transform(j.Recipe.Augment)
	if err != nil {
		return Result{}, err
	}
	if err := s.prepare(transform); err != nil {
		return Result{}, err
	}
	out, err := s.run(ctx, saved, l.tell)
	var diverged *DivergedError
	if errors.As(err, &diverged) {
		s.result.Diverged = diverged.What
		return s.result, nil
	}
	if err != nil {
		return Result{}, err
	}
	s.result.Report = longtail.Measure(out, s.group)
	if err := WriteNetwork(path, s.tree(), j.Model, d.Test.Classes()); err != nil {
		return Result{}, err
	}
	if err := os.Remove(saved); err != nil && !errors.Is(err, fs.ErrNotExist) { // the job is complete
		return Result{}, err
	}
	return s.result, nil
}

// hold takes a file for this process until it is released, which removes it.
func hold(path string) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := filelock.Lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return func() {
		os.Remove(path)
		f.Close()
	}, nil
}

func (l *Lab) tell(s *lesson) {
	if l.Tell == nil {
		return
	}
	n := float64(max(s.sums.Steps, 1))
	r := s.job.Recipe
	l.Tell(&s.job, Progress{Epoch: (s.result.Steps-1)/s.loader.Len() + 1, Epochs: r.Epochs, Step: s.result.Steps, Steps: r.Epochs * s.loader.Len(),
		Loss: s.sums.Loss / n, Right: s.sums.Right / n, Batch: r.Batch})
}

// sgd is the optimiser of a recipe.
func (r Recipe) sgd(params []*autograd.Param) *optim.SGD {
	return optim.NewSGD(params, optim.SGDOptions{LR: r.LR, Momentum: r.Momentum, WeightDecay: r.Decay})
}

// scaled are logits times a factor.
type scaled float32

func (f scaled) Forward(x autograd.Var) autograd.Var { return autograd.Scale(x, float32(f)) }
func (scaled) Walk(*nn.Walker)                       {}

// then is what makes the logits of a joint training's network those of its loss: LDAM
// scales cosines, without which they say nothing of confidence.
func (j *Job) then() nn.Module {
	if m := j.classifier(); m == LDAM || m == LDAMDRW {
		return scaled(30)
	}
	return nil
}

// collector tests a network as it is at the time, its logits passed through then.
func collector(net nn.Module, d *Data, test data.Dataset, then nn.Module) func(context.Context) (*eval.Outputs, error) {
	return func(ctx context.Context) (*eval.Outputs, error) {
		out, err := eval.Collect(ctx, net, test, eval.Options{Transform: d.Pre.Transform()})
		if err != nil {
			return nil, err
		}
		for _, v := range out.Y.Data() {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return nil, &DivergedError{"a logit of a test sample is not finite"}
			}
		}
		if then != nil {
			out = out.Through(then)
		}
		return out, nil
	}
}
