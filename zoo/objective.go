package zoo

import (
	"context"
	"fmt"
	"slices"

	"github.com/mettleml/mettle/tensor"
)

// A Space maps the parameters that an attack moves to an image in [0,1]. It
// must be defined for every parameter vector.
type Space interface {
	Dim() int
	Render(image, params []float32)
}

// An Objective is an attack's loss as a function of one image, or of the parameters of a
// Space. It reuses its batches, so repeated evaluations allocate nothing. It is not safe
// for concurrent use.
type Objective struct {
	Victim Scorer
	Goal   Goal
	Loss   Loss
	// Space, if not nil, turns parameters into images. Without it the parameters are the
	// pixels, and must lie in [0,1].
	Space Space
	// Penalty, if not nil, is added to the loss of an image. An example is the squared
	// distance to the clean image.
	Penalty func(image []float32) float64
	// Keep makes an objective ask for the scores of all classes, which Scores then returns,
	// where the loss and the class of an image would do.
	Keep bool

	info   Info
	size   int
	images *tensor.Tensor // [capacity, sample...]
	params []float32      // with a Space: [capacity, Dim]
	evals  []Evaluation
	scores []float64 // with Keep: [answered, Classes]
}

// NewObjective returns an objective over pixels, with the given victim, goal and loss.
func NewObjective(victim Scorer, goal Goal, loss Loss) *Objective {
	info := victim.Info()
	return &Objective{Victim: victim, Goal: goal, Loss: loss, info: info, size: info.Size()}
}

// Info describes the victim.
func (o *Objective) Info() Info { return o.info }

// Dim returns the number of parameters.
func (o *Objective) Dim() int {
	if o.Space != nil {
		return o.Space.Dim()
	}
	return o.size
}

// Batch returns a buffer for n parameter vectors, [n, Dim]; fill it before a call of
// Losses. Its content is undefined, and it is valid until the next call of Batch or At.
func (o *Objective) Batch(n int) []float32 {
	if o.images == nil || o.images.Dim(0) < n {
		o.images = tensor.New(append([]int{n}, o.info.Shape...)...)
		o.evals = make([]Evaluation, n)
	}
	if o.Space != nil {
		need := n * o.Dim() // which may have grown since the last call
		if cap(o.params) < need {
			o.params = make([]float32, need)
		}
		return o.params[:need]
	}
	return o.images.Data()[:n*o.size]
}

// Losses evaluates the first n vectors of the buffer that Batch returned and writes their
// losses, penalties included. It returns one Evaluation, the class and the loss without the
// penalty, per answered vector; they are valid until the next call. When the budget ends
// within the batch, it writes the losses of the answered vectors and the error wraps
// ErrBudget.
func (o *Objective) Losses(ctx context.Context, n int, loss []float64) ([]Evaluation, error) {
	if o.Space != nil {
		d := o.Dim()
		for i := range n {
			o.Space.Render(o.Image(i), o.params[i*d:(i+1)*d])
		}
	}
	most := n
	if o.info.Batch > 0 {
		most = o.info.Batch
	}
	evals := o.evals[:n]
	got := 0
	var err error
	for got < n && err == nil {
		end := min(got+most, n)
		if o.Keep {
			err = o.keep(ctx, got, evals[got:end])
		} else {
			err = Evaluate(ctx, o.Victim, o.images.Slice(got, end), o.Loss, o.Goal, evals[got:end])
		}
		got += answered(err, end-got)
	}
	for i, e := range evals[:got] {
		loss[i] = e.Loss
		if o.Penalty != nil {
			loss[i] += o.Penalty(o.Image(i))
		}
	}
	return evals[:got], err
}

// keep is Evaluate on images from at on, but for the scores, which it keeps.
func (o *Objective) keep(ctx context.Context, at int, out []Evaluation) error {
	k := o.info.Classes
	o.scores = slices.Grow(o.scores[:at*k], len(out)*k)[:(at+len(out))*k]
	scores := o.scores[at*k:]
	err := o.Victim.Scores(ctx, o.images.Slice(at, at+len(out)), scores)
	evaluate(o.info, scores, o.Loss, o.Goal, out[:answered(err, len(out))])
	return err
}

// Scores returns the victim's scores for the i-th image of the last batch, after Losses with
// Keep. They are valid until the next call.
func (o *Objective) Scores(i int) []float64 {
	k := o.info.Classes
	return o.scores[i*k : (i+1)*k]
}

// Image returns the i-th image of the last batch, after Losses.
func (o *Objective) Image(i int) []float32 {
	return o.images.Data()[i*o.size : (i+1)*o.size]
}

// At evaluates one parameter vector: its loss and the victim's class of its image, which is
// Image(0). It costs one query. It panics if params does not have Dim values.
func (o *Objective) At(ctx context.Context, params []float32) (loss float64, label int, err error) {
	if len(params) != o.Dim() {
		tensor.Panic("zoo.Objective.At", fmt.Sprintf("%d parameters where %d are due", len(params), o.Dim()))
	}
	copy(o.Batch(1), params)
	var l [1]float64
	e, err := o.Losses(ctx, 1, l[:])
	if err != nil {
		return 0, 0, err
	}
	return l[0], e[0].Label, nil
}
