package zoo

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

// A Preflight checks a victim before an attack spends queries on it.
type Preflight struct {
	Step   float64 // the attack's smallest step, such as h of its differences; 0 means 1e-4
	Probes int     // steps tried; 0 means 32
	// Noise is the largest allowed difference of a score between two answers to one sample,
	// for a victim that is noisy by design; 0 allows rounding only.
	Noise float64
	Seed  uint64
}

// rounding is how far two answers to one sample may differ anyway, as a share of
// the range of its scores: the error of half precision.
const rounding = 1e-3

// A PreflightReport is the result of a Preflight.
type PreflightReport struct {
	Queries  int // spent by Run
	Samples  int
	Correct  int     // samples that the victim classifies correctly
	Flat     int     // correct samples whose other classes all score 0: no loss can distinguish such images
	Repeat   float64 // largest difference of a score when the same sample is sent twice
	Batch    float64 // largest difference between a sample alone and among others
	Probes   int     // steps tried
	Seen     int     // steps that changed any score
	Distinct float64 // smallest difference between two scores seen, 0 if none differ
	Warnings []string
}

// preflightRepeat is how many samples are asked again.
const preflightRepeat = 8

// Run asks v about the samples x [N, sample...]. It checks whether v classifies them
// correctly, whether an answer repeats when a sample is sent again or alone, whether a step
// as small as the attack's changes the scores, and whether logits look like probabilities.
// It costs at most N + 24 + Probes queries. A problem that does not prevent an attack is a
// warning.
//
// A victim that contradicts its own description is an error that wraps ErrBadVictim. So is
// a victim whose answers to one sample differ by more than Noise and rounding. This is a
// sign of a model in training mode, with dropout or batch statistics. The report is then
// incomplete.
func (p Preflight) Run(ctx context.Context, v Scorer, x *tensor.Tensor, labels []int) (*PreflightReport, error) {
	info := v.Info()
	if err := info.Check(); err != nil {
		return nil, err
	}
	n := len(labels)
	if n == 0 || x.Rank() == 0 || x.Dim(0) != n {
		return nil, fmt.Errorf("zoo: pre-flight: %d labels for samples of shape %v; at least one sample is needed", n, x.Shape())
	}
	for i, y := range labels {
		if err := Untargeted(y).Check(info.Classes); err != nil {
			return nil, fmt.Errorf("sample %d: %w", i, err)
		}
		for _, v := range x.Index(i).Data() {
			if !(v >= 0 && v <= 1) {
				return nil, fmt.Errorf("zoo: pre-flight: sample %d has a pixel of %g; pixels lie in [0,1] (what the victim wants beyond that is its adapter's to do)", i, v)
			}
		}
	}
	r := &PreflightReport{Samples: n}
	k := info.Classes
	ask := func(x *tensor.Tensor) ([]float64, error) {
		out := make([]float64, x.Dim(0)*k)
		most := x.Dim(0)
		if info.Batch > 0 {
			most = info.Batch
		}
		most = min(most, chunk)
		for lo := 0; lo < x.Dim(0); lo += most {
			hi := min(lo+most, x.Dim(0))
			r.Queries += hi - lo
			if err := v.Scores(ctx, x.Slice(lo, hi), out[lo*k:hi*k]); err != nil {
				return nil, err
			}
		}
		return out, CheckScores(info, out)
	}
	first, err := ask(x)
	if err != nil {
		return nil, err
	}
	for i, y := range labels {
		row := first[i*k : (i+1)*k]
		if Top(row) == y {
			r.Correct++
			if (CrossEntropy{}).Value(row, info.Scores, Untargeted(y)) == 0 {
				r.Flat++
			}
		}
	}
	again := min(n, preflightRepeat)
	company := x.Slice(0, again)
	if again == 1 { // company is its negative
		company = tensor.New(append([]int{2}, x.Shape()[1:]...)...)
		copy(company.Data(), x.Data())
		for i, v := range x.Data() {
			company.Data()[x.Len()+i] = 1 - v
		}
	}
	second, err := ask(company)
	if err != nil {
		return nil, err
	}
	fickle := false
	for i := range again {
		alone, err := ask(x.Slice(i, i+1))
		if err != nil {
			return nil, err
		}
		same, err := ask(x.Slice(i, i+1))
		if err != nil {
			return nil, err
		}
		repeat, batch := widest(alone, same), widest(alone, second[i*k:(i+1)*k])
		r.Repeat, r.Batch = max(r.Repeat, repeat), max(r.Batch, batch)
		fickle = fickle || max(repeat, batch) > max(p.Noise, rounding*spread(alone), 1e-6)
	}
	if fickle {
		return r, fmt.Errorf("zoo: victim %q: the scores of a sample differ by up to %.2g when it is asked twice, and by up to %.2g between alone and in a batch, as those of a model in training mode do: put it in evaluation mode (PyTorch: model.eval()), or, if it is noisy by design, allow that by Preflight.Noise: %w",
			info.Name, r.Repeat, r.Batch, ErrBadVictim)
	}
	if err := p.probe(r, ask, x, first); err != nil {
		return nil, err
	}
	r.judge(cmp.Or(p.Step, 1e-4))
	if info.Scores == Logits && sumToOne(first, k) {
		r.warn("every row of scores lies in [0,1] and sums to 1, but logits are stated: if they are probabilities, say so in Info.Scores (%s), or losses are wrong", Probabilities)
	}
	return r, nil
}

// sumToOne reports whether all rows of k scores could be probabilities, rounded to a
// few digits perhaps.
func sumToOne(scores []float64, k int) bool {
	for ; len(scores) > 0; scores = scores[k:] {
		var sum float64
		for _, v := range scores[:k] {
			if !(v >= 0 && v <= 1) {
				return false
			}
			sum += v
		}
		if math.Abs(sum-1) > 0.01 {
			return false
		}
	}
	return true
}

func widest(a, b []float64) float64 {
	var d float64
	for i, v := range a {
		if v != b[i] { // the logarithm of a probability may be infinite
			d = max(d, math.Abs(v-b[i]))
		}
	}
	return d
}

// spread is the range of the finite scores.
func spread(scores []float64) float64 {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range scores {
		if !math.IsInf(v, 0) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	return max(hi-lo, 0)
}

// probe moves single values by the step and looks for a change of score.
func (p Preflight) probe(r *PreflightReport, ask func(*tensor.Tensor) ([]float64, error), x *tensor.Tensor, first []float64) error {
	r.Probes = p.Probes
	if r.Probes == 0 {
		r.Probes = 32
	}
	rnd := rand.New(rand.NewPCG(p.Seed, 0))
	n := x.Dim(0)
	k, d := len(first)/n, x.Len()/n
	probes := tensor.New(append([]int{r.Probes}, x.Shape()[1:]...)...)
	from := make([]int, r.Probes)
	diff := Differences{Step: p.Step}
	for i := range r.Probes {
		from[i] = rnd.IntN(n)
		row := probes.Data()[i*d : (i+1)*d]
		copy(row, x.Data()[from[i]*d:(from[i]+1)*d])
		c := rnd.IntN(d)
		row[c] = float32(float64(row[c]) + diff.moves(row[c], true)[0])
	}
	moved, err := ask(probes)
	if err != nil {
		return err
	}
	for i, s := range from {
		if w := widest(moved[i*k:(i+1)*k], first[s*k:(s+1)*k]); w > 0 {
			r.Seen++
			if r.Distinct == 0 || w < r.Distinct {
				r.Distinct = w
			}
		}
	}
	return nil
}

func (r *PreflightReport) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// judge words the warnings.
func (r *PreflightReport) judge(step float64) {
	switch {
	case r.Correct == 0:
		r.warn("the victim gets none of the %d samples right: check its preprocessing, and the order of the classes", r.Samples)
	case 2*r.Correct < r.Samples:
		r.warn("the victim gets only %d of %d samples right: check its preprocessing", r.Correct, r.Samples)
	}
	if r.Flat > 0 {
		r.warn("the victim is so sure of %d of the %d samples it gets right that nothing is left for other classes, in the precision it answers in: a loss is flat there, and attacks on scores see nothing; ask it for logits or more digits, or take an attack on labels", r.Flat, r.Correct)
	}
	if r.Repeat > 0 {
		r.warn("the same sample asked twice gets scores that differ by up to %.2g: finite differences see noise, and a success may not repeat", r.Repeat)
	}
	if r.Batch > r.Repeat {
		r.warn("a sample's scores differ by up to %.2g between alone and in a batch: finite differences see that", r.Batch)
	}
	if 2*r.Seen < r.Probes {
		r.warn("only %d of %d steps of %.2g changed any score: the scores are rounded, or the pixels are; take a larger step or an attack that needs no differences", r.Seen, r.Probes, step)
	}
}
