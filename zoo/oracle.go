package zoo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/mettleml/mettle/tensor"
)

// ScoreKind says what a victim's numbers are.
type ScoreKind uint8

// The kinds of score a victim may answer with.
const (
	Logits ScoreKind = iota // unbounded, differences are log-odds
	Probabilities
	LogProbabilities
)

var scoreKinds = [...]string{"logits", "probabilities", "log-probabilities"}

// String returns the kind in words.
func (k ScoreKind) String() string {
	if int(k) < len(scoreKinds) {
		return scoreKinds[k]
	}
	return fmt.Sprintf("ScoreKind(%d)", k)
}

// ParseScoreKind is the inverse of String.
func ParseScoreKind(s string) (ScoreKind, error) {
	for i, name := range scoreKinds {
		if s == name {
			return ScoreKind(i), nil
		}
	}
	return 0, fmt.Errorf("zoo: unknown kind of score %q (have %v)", s, scoreKinds)
}

// MarshalText writes the kind in words.
func (k ScoreKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *ScoreKind) UnmarshalText(b []byte) (err error) {
	*k, err = ParseScoreKind(string(b))
	return err
}

// Info describes a victim: what it takes and what it answers.
type Info struct {
	Name    string
	Shape   []int     // of one sample, such as [C, H, W] or [T, C, H, W]; pixels in [0,1]
	Classes int       // length of a score vector
	Scores  ScoreKind // what the scores are; meaningless for a Labeler
	// Batch is the largest number of samples one call may carry; 0 means any.
	Batch int
	// Digest tells the victim from others of the same description, such as the same
	// network with other weights: a campaign's journal is resumed only with a victim of
	// the same digest. NewModel and oip.Dial fill it in; who adapts a function sets it.
	// "" tells nothing.
	Digest string
}

// Size is the number of values in one sample.
func (i Info) Size() int {
	n := 1
	for _, d := range i.Shape {
		n *= d
	}
	return n
}

// Check reports what makes the description unusable, if anything.
func (i Info) Check() error {
	if len(i.Shape) == 0 || i.Size() <= 0 {
		return fmt.Errorf("zoo: victim %q: sample shape %v has no pixels", i.Name, i.Shape)
	}
	if i.Classes < 2 {
		return fmt.Errorf("zoo: victim %q: %d classes; an attack needs at least 2", i.Name, i.Classes)
	}
	if int(i.Scores) >= len(scoreKinds) || i.Batch < 0 {
		return fmt.Errorf("zoo: victim %q: bad description: scores %v, batch limit %d", i.Name, i.Scores, i.Batch)
	}
	return nil
}

// A Scorer is a victim that answers with a score for every class.
//
// Scores evaluates the n samples of x, shape [n, Info().Shape...], pixels in
// [0,1], and writes n rows of Info().Classes scores to out. It honours ctx, and
// must be safe for use by several goroutines at once. A Scorer never leaves a
// score unset: one it could not obtain is an error.
type Scorer interface {
	Info() Info
	Scores(ctx context.Context, x *tensor.Tensor, out []float64) error
}

// A Labeler is a victim that answers with the predicted class only. Labels
// writes one class in [0, Info().Classes) for each of the samples of x.
type Labeler interface {
	Info() Info
	Labels(ctx context.Context, x *tensor.Tensor, out []int) error
}

// A Differentiable victim is a white box: it also returns input gradients.
// Gradients writes to grad, shaped like x, the derivative of each sample's loss
// with respect to its own pixels, and to out the scores of the same forward
// pass, as Scores would. goals has one entry for each sample.
type Differentiable interface {
	Scorer
	Gradients(ctx context.Context, x *tensor.Tensor, loss Loss, goals []Goal, out []float64, grad *tensor.Tensor) error
}

// ErrBadVictim is in the chain of every error that says a victim broke its own
// description: a score out of range, a NaN, a wrong length.
var ErrBadVictim = errors.New("victim does not keep to its description")

// CheckScores verifies n rows of scores against the description: every score is
// a number, probabilities lie in [0,1] and log-probabilities at or below 0, to
// within 1e-3. The error wraps ErrBadVictim and names the sample and the class.
func CheckScores(info Info, scores []float64) error {
	const slack = 1e-3
	for i, s := range scores {
		var what string
		switch {
		case math.IsNaN(s):
			what = "is NaN"
		case math.IsInf(s, 1) || math.IsInf(s, -1) && info.Scores != LogProbabilities:
			what = "is infinite"
		case info.Scores == Probabilities && (s < -slack || s > 1+slack):
			what = fmt.Sprintf("= %g is no probability; if the victim answers with logits, say so in Info.Scores", s)
		case info.Scores == LogProbabilities && s > slack:
			what = fmt.Sprintf("= %g is no log-probability; if the victim answers with logits, say so in Info.Scores", s)
		default:
			continue
		}
		return fmt.Errorf("zoo: victim %q: score of class %d, sample %d of the call, %s: %w",
			info.Name, i%info.Classes, i/info.Classes, what, ErrBadVictim)
	}
	return nil
}

// checkBatch verifies x and the length of out before a call.
func checkBatch(info Info, x *tensor.Tensor, out, perSample int) error {
	if x.Rank() == 0 || !slices.Equal(x.Shape()[1:], info.Shape) {
		return fmt.Errorf("zoo: victim %q takes samples of shape %v; got a batch of shape %v", info.Name, info.Shape, x.Shape())
	}
	if n := x.Dim(0); out != n*perSample {
		return fmt.Errorf("zoo: victim %q: room for %d answers, need %d for %d samples", info.Name, out, n*perSample, n)
	}
	return nil
}

// ScorerFunc makes a Scorer of a function. The scores it writes are checked
// against info at every call.
func ScorerFunc(info Info, f func(ctx context.Context, x *tensor.Tensor, out []float64) error) Scorer {
	return &funcScorer{info, f}
}

type funcScorer struct {
	info Info
	f    func(context.Context, *tensor.Tensor, []float64) error
}

func (s *funcScorer) Info() Info { return s.info }

func (s *funcScorer) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	if err := checkBatch(s.info, x, len(out), s.info.Classes); err != nil {
		return err
	}
	for i := range out {
		out[i] = math.NaN()
	}
	if err := s.f(ctx, x, out); err != nil {
		return err
	}
	return CheckScores(s.info, out)
}

// LabelerFunc makes a Labeler of a function. A label out of range is an error.
func LabelerFunc(info Info, f func(ctx context.Context, x *tensor.Tensor, out []int) error) Labeler {
	return &funcLabeler{info, f}
}

type funcLabeler struct {
	info Info
	f    func(context.Context, *tensor.Tensor, []int) error
}

func (l *funcLabeler) Info() Info { return l.info }

func (l *funcLabeler) Labels(ctx context.Context, x *tensor.Tensor, out []int) error {
	if err := checkBatch(l.info, x, len(out), 1); err != nil {
		return err
	}
	for i := range out {
		out[i] = -1
	}
	if err := l.f(ctx, x, out); err != nil {
		return err
	}
	return checkLabels(l.info, out)
}

func checkLabels(info Info, labels []int) error {
	for i, c := range labels {
		if c < 0 || c >= info.Classes {
			return fmt.Errorf("zoo: victim %q: label %d of sample %d of the call is outside [0,%d): %w",
				info.Name, c, i, info.Classes, ErrBadVictim)
		}
	}
	return nil
}

// LabelsOf turns a Scorer into a Labeler that answers with the class of the
// largest score, the lowest such class on a tie.
func LabelsOf(s Scorer) Labeler { return &topLabel{s} }

type topLabel struct{ s Scorer }

func (t *topLabel) Info() Info { return t.s.Info() }

func (t *topLabel) Labels(ctx context.Context, x *tensor.Tensor, out []int) error {
	k := t.s.Info().Classes
	scores := make([]float64, len(out)*k)
	err := t.s.Scores(ctx, x, scores)
	n := answered(err, len(out))
	for i := range n {
		out[i] = Top(scores[i*k : (i+1)*k])
	}
	return err
}

// Top returns the class of the largest score, the lowest such class on a tie.
func Top(scores []float64) int {
	best := 0
	for i, s := range scores {
		if s > scores[best] {
			best = i
		}
	}
	return best
}
