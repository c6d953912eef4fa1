package attack

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A Stop says why the attack on a sample ended.
type Stop string

// The reasons to stop.
const (
	StopSuccess    Stop = "success"    // the goal was reached, and the attack asks for no more
	StopBudget     Stop = "budget"     // the query budget was spent
	StopIterations Stop = "iterations" // the attack reached its own limit of steps
	StopConverged  Stop = "converged"  // further steps would change nothing
	StopSkipped    Stop = "skipped"    // the victim misclassifies the clean sample
)

// A Point is a success: the number of queries that the attack had spent, and the distance
// from the clean sample.
type Point struct {
	Queries int     `json:"queries"`
	L0      int     `json:"l0"` // number of number of number of values that differ
	L1      float64 `json:"l1"`
	L2      float64 `json:"l2"`
	Linf    float64 `json:"linf"`
}

// Distance returns the point's distance in a norm.
func (p Point) Distance(n Norm) float64 {
	switch n {
	case Linf:
		return p.Linf
	case L1:
		return p.L1
	}
	return p.L2
}

// A Try is what an attack gets to see of one sample: the clean sample, the goal, the
// randomness, and the place to report successes. It holds neither the victim nor the ledger
// that counts queries.
type Try struct {
	Clean *tensor.Tensor // the sample, [C, H, W] or [T, C, H, W] in [0,1]; read only
	Goal  zoo.Goal
	Start *tensor.Tensor // an image to begin from that should achieve the goal, or nil; read only
	Seed  uint64         // of this sample; every draw of the attack follows from it

	norm   Norm
	ledger *zoo.Ledger
	best   []float32
	label  int    // the victim's answer for best
	part   string // the attack of an ensemble that is at work
	by     string // the one that found best
	trace  []Point
	stop   Stop

	one *tensor.Tensor // room for a batch of one
}

// Rand returns a generator seeded for this sample. The argument stream selects one of
// several independent generators.
func (t *Try) Rand(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(t.Seed, stream)) }

// Budget returns the number of queries that the attack may spend on this sample.
func (t *Try) Budget() int { return t.ledger.Budget }

// Left returns the number of queries that remain of the budget.
func (t *Try) Left() int { return t.ledger.Left() }

// Ask evaluates one parameter vector of an objective and offers its image. It returns
// the loss, penalty included, and whether the image achieves the goal. It costs one
// query.
func (t *Try) Ask(ctx context.Context, o *zoo.Objective, params []float32) (loss float64, won bool, err error) {
	loss, label, err := o.At(ctx, params)
	if err != nil {
		return 0, false, err
	}
	return loss, t.Offer(o.Image(0), label), nil
}

// AskLabel asks for the victim's class of x, offers x, and returns whether it achieves
// the goal. It costs one query.
func (t *Try) AskLabel(ctx context.Context, v zoo.Labeler, x []float32) (won bool, err error) {
	if t.one == nil {
		t.one = tensor.New(append([]int{1}, t.Clean.Shape()...)...)
	}
	copy(t.one.Data(), x)
	var out [1]bool
	err = t.AskLabels(ctx, v, t.one, out[:])
	return out[0], err
}

// AskLabels asks for the victim's classes of the images of x, [N, sample...], offers each
// image, and writes to won whether it achieves the goal. It costs one query per image. On
// an error won is not valid.
func (t *Try) AskLabels(ctx context.Context, v zoo.Labeler, x *tensor.Tensor, won []bool) error {
	n := x.Dim(0)
	most := n
	if b := v.Info().Batch; b > 0 {
		most = b
	}
	labels := make([]int, n)
	for lo := 0; lo < n; lo += most {
		hi := min(lo+most, n)
		if err := v.Labels(ctx, x.Slice(lo, hi), labels[lo:hi]); err != nil {
			return err
		}
		for i := lo; i < hi; i++ {
			won[i] = t.Offer(x.Index(i).Data(), labels[i])
		}
	}
	return nil
}

// Offer reports that the victim answered label for x. If that achieves the goal, and x is
// the nearest success so far in the attack's norm, Offer keeps a copy of x. It returns
// whether x achieves the goal.
func (t *Try) Offer(x []float32, label int) bool {
	if !t.Goal.Achieved(label) {
		return false
	}
	p := distances(x, t.Clean.Data())
	p.Queries = t.ledger.Used(zoo.AttackAccount)
	if n := len(t.trace); n == 0 || p.Distance(t.norm) < t.trace[n-1].Distance(t.norm) {
		t.trace = append(t.trace, p)
		t.best = append(t.best[:0], x...)
		t.label = label
		t.by = t.part
	}
	return true
}

// Success reports whether a success was offered.
func (t *Try) Success() bool { return len(t.trace) > 0 }

// Best returns a copy of the nearest success so far, or nil.
func (t *Try) Best() []float32 { return slices.Clone(t.best) }

// Converged records that the attack ends because further steps would change nothing
// (StopConverged).
func (t *Try) Converged() { t.stop = StopConverged }

// start is a copy of the clean image to begin from.
func (t *Try) start() []float32 { return slices.Clone(t.Clean.Data()) }
