package attack

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A line carries the calls of one sample to the victim: it numbers them, writes
// them to the journal if there is one, and answers from the journal those that
// were answered in an earlier run. A nil line passes calls on.
type line struct {
	sample  int
	call    int
	journal *journal
	replay  []recorded // what the journal holds of this sample
	print   string     // of the campaign, for the names of calls
	scores  *gather[float64]
	labels  *gather[int]
	pixels  []byte
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

type lineScorer struct {
	q *line
	v zoo.Scorer
}

func (s *lineScorer) Info() zoo.Info { return s.v.Info() }

func (s *lineScorer) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	return send(s.q, ctx, x, func(r *recorded) bool {
		return len(r.scores) == len(out) && copy(out, r.scores) == len(out)
	}, func(ctx context.Context) error {
		if s.q.scores != nil {
			return s.q.scores.ask(ctx, x, out)
		}
		return s.v.Scores(ctx, x, out)
	}, func(call int) error {
		return s.q.journal.answer(s.q.sample, call, x.Dim(0), out, nil)
	})
}

type lineLabeler struct {
	q *line
	v zoo.Labeler
}

func (l *lineLabeler) Info() zoo.Info { return l.v.Info() }

func (l *lineLabeler) Labels(ctx context.Context, x *tensor.Tensor, out []int) error {
	return send(l.q, ctx, x, func(r *recorded) bool {
		return len(r.labels) == len(out) && copy(out, r.labels) == len(out)
	}, func(ctx context.Context) error {
		if l.q.labels != nil {
			return l.q.labels.ask(ctx, x, out)
		}
		return l.v.Labels(ctx, x, out)
	}, func(call int) error {
		return l.q.journal.answer(l.q.sample, call, x.Dim(0), nil, out)
	})
}

// send takes one call through the journal: recall answers it from there, ask
// asks the victim, and keep writes the answer down.
func send(q *line, ctx context.Context, x *tensor.Tensor, recall func(*recorded) bool, ask func(context.Context) error, keep func(call int) error) error {
	call := q.call
	q.call++
	if q.journal == nil {
		return ask(ctx)
	}
	digest := q.digest(x)
	if call < len(q.replay) {
		r := &q.replay[call]
		if r.digest != digest || int(r.n) != x.Dim(0) {
			return fmt.Errorf("attack: sample %d asks other pixels in call %d than the journal holds: the run cannot be resumed here", q.sample, call)
		}
		if r.answered {
			if !recall(r) {
				return fmt.Errorf("attack: the journal's answer to call %d of sample %d has the wrong length", call, q.sample)
			}
			return nil
		}
	}
	if err := q.journal.intent(q.sample, call, x.Dim(0), digest); err != nil {
		return err
	}
	name := q.print + "/" + strconv.Itoa(q.sample) + "/" + strconv.Itoa(call)
	ctx = zoo.WithResend(zoo.WithRequestID(ctx, name), func(lo, hi int) error {
		return q.journal.again(q.sample, call, hi-lo)
	})
	if err := ask(ctx); err != nil {
		return err
	}
	return keep(call)
}

// digest is the beginning of the SHA-256 of the pixels.
func (q *line) digest(x *tensor.Tensor) [16]byte {
	q.pixels = appendFloats(q.pixels[:0], x.Data())
	sum := sha256.Sum256(q.pixels)
	return [16]byte(sum[:16])
}
