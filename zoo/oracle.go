package zoo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// A ScoreKind says what a victim's scores are.
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

// ParseScoreKind is the inverse of String; an unknown kind is an error.
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
	Scores  ScoreKind // what the scores are; a Labeler ignores it
	// Batch is the largest number of samples per call; 0 means any.
	Batch int
	// Digest distinguishes victims with the same description, such as a network with other
	// weights. A campaign resumes a journal only with a victim of the same digest. NewModel
	// and oip.Dial fill it in; set it for a victim of your own. "" means unknown.
	Digest string
}

// Size returns the number of values per sample.
func (i Info) Size() int {
	n := 1
	for _, d := range i.Shape {
		n *= d
	}
	return n
}

// Check returns an error if the description is invalid.
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
// Scores evaluates the n samples of x, shape [n, Info().Shape...], pixels in [0,1], and
// writes n rows of Info().Classes scores to out. It honours ctx, and must be safe for
// concurrent use. A score that it could not obtain is an error; it must set every other.
type Scorer interface {
	Info() Info
	Scores(ctx context.Context, x *tensor.Tensor, out []float64) error
}

// A Labeler is a victim that answers with the predicted class only. Labels writes one class
// in [0, Info().Classes) per sample of x to out.
type Labeler interface {
	Info() Info
	Labels(ctx context.Context, x *tensor.Tensor, out []int) error
}

// A Differentiable victim is a white box: it also returns input gradients. Gradients writes
// to grad, shaped like x, the derivative of each sample's loss with respect to its own
// pixels, and to out the scores of the same forward pass, as Scores would. goals has one
// entry per sample.
type Differentiable interface {
	Scorer
	Gradients(ctx context.Context, x *tensor.Tensor, loss DifferentiableLoss, goals []Goal, out []float64, grad *tensor.Tensor) error
}

// An Evaluation is the loss and the class of a victim's scores for one sample.
type Evaluation struct {
	Loss  float64
	Label int // the class of the largest score, the lowest such class on a tie
}

// An Evaluator is a Scorer that reduces its answers to evaluations itself. A campaign gives
// its attack such a victim: the journal then keeps a loss and a class per sample instead of
// all scores.
type Evaluator interface {
	Scorer
	// Evaluate asks about the samples of x as Scores does and writes one Evaluation per
	// sample to out.
	Evaluate(ctx context.Context, x *tensor.Tensor, loss Loss, g Goal, out []Evaluation) error
}

// Evaluate asks v about the samples of x and writes one evaluation per sample to out. A nil
// loss is 0 everywhere. When the budget ends within the call, Evaluate writes the
// evaluations of the answered samples and returns a *BudgetError.
func Evaluate(ctx context.Context, v Scorer, x *tensor.Tensor, loss Loss, g Goal, out []Evaluation) error {
	if e, ok := v.(Evaluator); ok {
		return e.Evaluate(ctx, x, loss, g, out)
	}
	info := v.Info()
	scores := make([]float64, len(out)*info.Classes)
	err := v.Scores(ctx, x, scores)
	evaluate(info, scores, loss, g, out[:answered(err, len(out))])
	return err
}

// evaluate writes the evaluations of rows of scores to out.
func evaluate(info Info, scores []float64, loss Loss, g Goal, out []Evaluation) {
	for i := range out {
		row := scores[i*info.Classes:][:info.Classes]
		out[i] = Evaluation{Label: Top(row)}
		if loss != nil {
			out[i].Loss = loss.Value(row, info.Scores, g)
		}
	}
}

// ErrBadVictim is wrapped by every error that says that a victim contradicts its own
// description: a score out of range, a NaN, a wrong length.
var ErrBadVictim = errors.New("victim does not keep to its description")

// CheckScores verifies rows of scores against the description: every score is a finite
// number, probabilities lie in [0,1] and log-probabilities are at most 0, to within 1e-3.
// The error wraps ErrBadVictim and names the sample and the class.
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

// ScorerFunc adapts a function to a Scorer. Its answers are checked as [Checked] does.
func ScorerFunc(info Info, f func(ctx context.Context, x *tensor.Tensor, out []float64) error) Scorer {
	return Checked(&funcScorer{info, f})
}

type funcScorer struct {
	info Info
	f    func(context.Context, *tensor.Tensor, []float64) error
}

func (s *funcScorer) Info() Info { return s.info }

func (s *funcScorer) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	return s.f(ctx, x, out)
}

// Checked returns v with every call checked: the samples have the shape that v takes, v
// sets every score, and the scores keep to the description ([CheckScores]). MeterScores,
// MeterLabels and MeterGradients include this check.
func Checked(v Scorer) Scorer {
	if c, ok := v.(*checkedScorer); ok {
		return c
	}
	return &checkedScorer{v, v.Info()}
}

type checkedScorer struct {
	v    Scorer
	info Info
}

func (s *checkedScorer) Info() Info { return s.info }

func (s *checkedScorer) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	if err := checkBatch(s.info, x, len(out), s.info.Classes); err != nil {
		return err
	}
	for i := range out {
		out[i] = math.NaN()
	}
	if err := s.v.Scores(ctx, x, out); err != nil {
		return err
	}
	return CheckScores(s.info, out)
}

// LabelerFunc adapts a function to a Labeler. Its answers are checked as [CheckedLabels]
// does.
func LabelerFunc(info Info, f func(ctx context.Context, x *tensor.Tensor, out []int) error) Labeler {
	return CheckedLabels(&funcLabeler{info, f})
}

type funcLabeler struct {
	info Info
	f    func(context.Context, *tensor.Tensor, []int) error
}

func (l *funcLabeler) Info() Info { return l.info }

func (l *funcLabeler) Labels(ctx context.Context, x *tensor.Tensor, out []int) error {
	return l.f(ctx, x, out)
}

// CheckedLabels is [Checked] for a Labeler: a label that is not set or out of range is an
// error that wraps ErrBadVictim.
func CheckedLabels(v Labeler) Labeler {
	if c, ok := v.(*checkedLabeler); ok {
		return c
	}
	return &checkedLabeler{v, v.Info()}
}

type checkedLabeler struct {
	v    Labeler
	info Info
}

func (l *checkedLabeler) Info() Info { return l.info }

func (l *checkedLabeler) Labels(ctx context.Context, x *tensor.Tensor, out []int) error {
	if err := checkBatch(l.info, x, len(out), 1); err != nil {
		return err
	}
	for i := range out {
		out[i] = -1
	}
	if err := l.v.Labels(ctx, x, out); err != nil {
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

// CheckedGradients is [Checked] for a white box: a gradient that is not finite is an error
// that wraps ErrBadVictim.
func CheckedGradients(v Differentiable) Differentiable {
	if c, ok := v.(*checkedGradients); ok {
		return c
	}
	return &checkedGradients{checkedScorer{v, v.Info()}, v}
}

type checkedGradients struct {
	checkedScorer
	v Differentiable
}

func (d *checkedGradients) Gradients(ctx context.Context, x *tensor.Tensor, loss DifferentiableLoss, goals []Goal, out []float64, grad *tensor.Tensor) error {
	if err := checkBatch(d.info, x, len(out), d.info.Classes); err != nil {
		return err
	}
	if len(goals) != x.Dim(0) || grad.Len() != x.Len() {
		return fmt.Errorf("zoo: %d goals and a gradient of shape %v for a batch of shape %v", len(goals), grad.Shape(), x.Shape())
	}
	for i := range out {
		out[i] = math.NaN()
	}
	if err := d.v.Gradients(ctx, x, loss, goals, out, grad); err != nil {
		return err
	}
	if sum := kernel.SumSquares(grad.Data()); math.IsNaN(sum) || math.IsInf(sum, 0) {
		return fmt.Errorf("zoo: victim %q: a gradient is not finite: %w", d.info.Name, ErrBadVictim)
	}
	return CheckScores(d.info, out)
}

// LabelsOf turns a Scorer into a Labeler that answers with the class of the
// largest score, the lowest such class on a tie.
func LabelsOf(s Scorer) Labeler { return &topLabel{s} }

type topLabel struct{ s Scorer }

func (t *topLabel) Info() Info { return t.s.Info() }

func (t *topLabel) Labels(ctx context.Context, x *tensor.Tensor, out []int) error {
	evals := make([]Evaluation, len(out))
	err := Evaluate(ctx, t.s, x, nil, Goal{}, evals)
	for i := range answered(err, len(out)) {
		out[i] = evals[i].Label
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
