package attack

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"unsafe"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/internal/parallel"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A campaign returns an error that wraps ErrTotal when its budget for all samples together
// (Campaign.Total) is spent.
var ErrTotal = errors.New("the campaign's query budget is exhausted")

// A till counts what a campaign sends to its victim, and keeps to the campaign's budget.
type till struct {
	limit   int64        // 0 means none
	intents atomic.Int64 // queries sent, those of earlier runs and repetitions among them
	answers atomic.Int64
}

// take books n queries that are about to be sent.
func (t *till) take(n int) error {
	for {
		sent := t.intents.Load()
		if t.limit > 0 && sent+int64(n) > t.limit {
			return fmt.Errorf("attack: %w: %d of %d queries were sent, and the next call has %d", ErrTotal, sent, t.limit, n)
		}
		if t.intents.CompareAndSwap(sent, sent+int64(n)) {
			return nil
		}
	}
}

// A line carries the calls of one sample to the victim: it numbers and counts them,
// writes them to the log if there is one, and answers from the log those that were
// answered in an earlier run. A nil line passes calls on.
type line struct {
	call   int
	till   *till      // of the campaign
	unit   *till      // of the sample
	log    Log        // nil means none
	replay []replayed // what the log held of this sample
	name   string     // of the unit, for the names of calls
	gathers
}

// take books n queries that are about to be sent.
func (q *line) take(n int) error {
	if err := q.till.take(n); err != nil {
		return err
	}
	return q.unit.take(n)
}

// got books n answers.
func (q *line) got(n int) {
	q.till.answers.Add(int64(n))
	q.unit.answers.Add(int64(n))
}

// scorer is v behind the line.
func (q *line) scorer(v zoo.Scorer) zoo.Scorer {
	if q == nil {
		return v
	}
	return &lineScorer{q, v}
}

func (q *line) labeler(v zoo.Labeler) zoo.Labeler {
	if q == nil {
		return v
	}
	return &lineLabeler{q, v}
}

func (q *line) whiteBox(v zoo.Differentiable) zoo.Differentiable {
	if q == nil {
		return v
	}
	return &lineGradients{lineScorer{q, v}, v}
}

type lineScorer struct {
	q *line
	v zoo.Scorer // checked
}

func (s *lineScorer) Info() zoo.Info { return s.v.Info() }

// ask asks the victim, alone or among others.
func (s *lineScorer) ask(ctx context.Context, x *tensor.Tensor, out []float64) error {
	if s.q.scores != nil {
		return s.q.scores.ask(ctx, x, out, nil)
	}
	return s.v.Scores(ctx, x, out)
}

func (s *lineScorer) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	return s.q.send(ctx, x, func(e *Entry) bool {
		return len(e.Scores) == len(out) && copy(out, e.Scores) == len(out)
	}, func(ctx context.Context) (Entry, error) {
		return Entry{Kind: EntryScores, Scores: out}, s.ask(ctx, x, out)
	})
}

// Evaluate implements zoo.Evaluator: the log gets the evaluations only.
func (s *lineScorer) Evaluate(ctx context.Context, x *tensor.Tensor, loss zoo.Loss, g zoo.Goal, out []zoo.Evaluation) error {
	return s.q.send(ctx, x, func(e *Entry) bool {
		return len(e.Evaluations) == len(out) && copy(out, e.Evaluations) == len(out)
	}, func(ctx context.Context) (Entry, error) {
		asker := askFunc{s.v.Info(), s.ask}
		return Entry{Kind: EntryEvaluations, Evaluations: out}, zoo.Evaluate(ctx, asker, x, loss, g, out)
	})
}

// askFunc is a Scorer and no more.
type askFunc struct {
	info zoo.Info
	ask  func(context.Context, *tensor.Tensor, []float64) error
}

func (a askFunc) Info() zoo.Info { return a.info }

func (a askFunc) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	return a.ask(ctx, x, out)
}

type lineLabeler struct {
	q *line
	v zoo.Labeler // checked
}

func (l *lineLabeler) Info() zoo.Info { return l.v.Info() }

func (l *lineLabeler) Labels(ctx context.Context, x *tensor.Tensor, out []int) error {
	return l.q.send(ctx, x, func(e *Entry) bool {
		return len(e.Labels) == len(out) && copy(out, e.Labels) == len(out)
	}, func(ctx context.Context) (Entry, error) {
		e := Entry{Kind: EntryLabels, Labels: out}
		if l.q.labels != nil {
			return e, l.q.labels.ask(ctx, x, out, nil)
		}
		return e, l.v.Labels(ctx, x, out)
	})
}

// lineGradients counts gradients and does not write them down.
type lineGradients struct {
	lineScorer
	v zoo.Differentiable
}

func (d *lineGradients) Gradients(ctx context.Context, x *tensor.Tensor, loss zoo.DifferentiableLoss, goals []zoo.Goal, out []float64, grad *tensor.Tensor) error {
	if err := d.q.take(x.Dim(0)); err != nil {
		return err
	}
	var err error
	if d.q.slopes != nil {
		err = d.q.slopes.ask(ctx, x, out, &descended{loss, goals, grad})
	} else {
		err = d.v.Gradients(ctx, x, loss, goals, out, grad)
	}
	if err != nil {
		return err
	}
	d.q.got(x.Dim(0))
	return nil
}

// send takes one call to the victim or answers it from the log: recall takes an answer
// from there, ask asks the victim and returns the answer's entry.
func (q *line) send(ctx context.Context, x *tensor.Tensor, recall func(*Entry) bool, ask func(context.Context) (Entry, error)) error {
	call, n := q.call, x.Dim(0)
	q.call++
	var digest uint64
	if q.log != nil {
		digest = digestPixels(x.Data())
	}
	if call < len(q.replay) {
		r := &q.replay[call]
		if r.digest != digest || r.n != n {
			return fmt.Errorf("attack: %s asks other pixels in call %d than the journal holds: the run cannot be resumed here", q.name, call)
		}
		if r.answer != nil {
			if !recall(r.answer) {
				return fmt.Errorf("attack: the journal's answer to call %d of %s has the wrong length", call, q.name)
			}
			r.answer = nil // is not asked for again
			return nil
		}
	}
	if err := q.take(n); err != nil {
		return err
	}
	if q.log != nil {
		if err := q.log.Append(ctx, Entry{Kind: EntryIntent, Call: call, N: n, Digest: digest}); err != nil {
			return err
		}
		ctx = zoo.WithRequestID(ctx, q.name+"/"+strconv.Itoa(call))
	}
	ctx = zoo.WithResend(ctx, func(lo, hi int) error {
		if err := q.take(hi - lo); err != nil {
			return err
		}
		if q.log == nil {
			return nil
		}
		return q.log.Append(ctx, Entry{Kind: EntryAgain, Call: call, N: hi - lo})
	})
	answer, err := ask(ctx)
	if err != nil {
		return err
	}
	q.got(n)
	if q.log == nil {
		return nil
	}
	answer.Call, answer.N = call, n
	return q.log.Append(ctx, answer)
}

// digestPixels is the CRC-32C of each half of the pixels. It guards a resumed run against
// asking something else than before; nobody forges it.
func digestPixels(x []float32) uint64 {
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
	half := len(b) / 2
	const large = 1 << 20
	if len(b) < large {
		return uint64(kernel.Checksum(b[:half]))<<32 | uint64(kernel.Checksum(b[half:]))
	}
	// The end first: it was written last, and may still be in the cache.
	h := halves{halves: [2][]byte{b[half:], b[:half]}}
	parallel.Run(2, &h)
	return uint64(h.sums[1])<<32 | uint64(h.sums[0])
}

// halves are summed by different workers.
type halves struct {
	halves [2][]byte
	sums   [2]uint32
}

// Part implements parallel.Task.
func (h *halves) Part(k int) { h.sums[k] = kernel.Checksum(h.halves[k]) }
