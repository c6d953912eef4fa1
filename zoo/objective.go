package zoo

import (
	"context"
	"fmt"

	"github.com/mettleml/mettle/tensor"
)

// An Objective is an attack's loss as a function of one image: a victim, a goal
// and a loss. It owns the batches it sends, so that a steady stream of
// evaluations allocates nothing. It is not safe for concurrent use.
type Objective struct {
	Victim Scorer
	Goal   Goal
	Loss   Loss

	info   Info
	size   int
	room   *tensor.Tensor // [capacity, shape...]
	scores []float64
}

// NewObjective returns the objective of reaching goal on the victim.
func NewObjective(victim Scorer, goal Goal, loss Loss) *Objective {
	info := victim.Info()
	return &Objective{Victim: victim, Goal: goal, Loss: loss, info: info, size: info.Size()}
}

// Info describes the victim.
func (o *Objective) Info() Info { return o.info }

// Batch returns a tensor of shape [n, sample...] to be filled and handed to
// Losses. Its content is undefined; it is valid until the next call of Batch.
func (o *Objective) Batch(n int) *tensor.Tensor {
	if o.room == nil || o.room.Dim(0) < n {
		o.room = tensor.New(append([]int{n}, o.info.Shape...)...)
		o.scores = make([]float64, n*o.info.Classes)
	}
	return o.room.Slice(0, n)
}

// Losses evaluates the first n samples of the tensor last returned by Batch and
// writes their losses. It returns their scores too, n rows of Info().Classes,
// valid until the next call. When the budget ends within the batch, the losses
// that were answered are written and the error wraps ErrBudget.
func (o *Objective) Losses(ctx context.Context, n int, loss []float64) ([]float64, error) {
	k := o.info.Classes
	scores := o.scores[:n*k]
	most := n
	if o.info.Batch > 0 {
		most = o.info.Batch
	}
	got := 0
	var err error
	for got < n && err == nil {
		end := min(got+most, n)
		err = o.Victim.Scores(ctx, o.room.Slice(got, end), scores[got*k:end*k])
		got += answered(err, end-got)
	}
	for i := range got {
		loss[i] = o.Loss.Value(scores[i*k:(i+1)*k], o.info.Scores, o.Goal)
	}
	return scores[:got*k], err
}

// At evaluates one image, C·H·W values: its loss and the class the victim
// answers. It costs one query.
func (o *Objective) At(ctx context.Context, x []float32) (loss float64, label int, err error) {
	if len(x) != o.size {
		panic(fmt.Sprintf("zoo: Objective.At: image of %d values for a victim of %d", len(x), o.size))
	}
	copy(o.Batch(1).Data(), x)
	var l [1]float64
	scores, err := o.Losses(ctx, 1, l[:])
	if err != nil {
		return 0, 0, err
	}
	return l[0], Top(scores), nil
}
