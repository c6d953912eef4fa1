package longtail

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// A Recipe determines a run: two runs with the same Recipe and [Stamp] have the same bits.
// Use it as the Settings of a checkpoint.Run, which then refuses the state of another run.
type Recipe struct {
	Method string `json:"method"` // "LDAM-DRW"
	Data   string `json:"data"`   // "cifar100"

	// Of the training set: see [Recipe.On].
	Subset    string  `json:"subset"`    // "exp-100/first"
	Digest    string  `json:"digest"`    // of the subset's samples
	Imbalance float64 `json:"imbalance"` // the largest class divided by the smallest

	// The samples of the accuracies: "test", or the name of a validation part.
	Test       string `json:"test"`
	TestDigest string `json:"test_digest"`

	Model     string `json:"model"` // "ResNet-32"
	Seed      uint64 `json:"seed"`
	Epochs    int    `json:"epochs"`
	BatchSize int    `json:"batch_size"`

	// Options are all other settings of the run: learning rate and its schedule, weight
	// decay, transforms, sampler, the settings of the method. They are written as JSON. Do
	// not put the seed here, or [Summarize] cannot group the runs of one method.
	Options any `json:"options"`
}

// On returns the recipe with the name, the digest and the imbalance of a training set.
func (r Recipe) On(s *Subset) Recipe {
	r.Subset, r.Digest, r.Imbalance = s.Name, s.Digest, 0
	if len(s.Counts) > 0 && slices.Min(s.Counts) > 0 {
		r.Imbalance = Imbalance(s.Counts)
	}
	return r
}

// A Stamp is what determines the bits of a run beside its recipe.
type Stamp struct {
	Kernel string `json:"kernel"`  // the set of kernels: "avx2"
	Arch   string `json:"arch"`    // GOARCH
	Go     string `json:"go"`      // the version of the compiler
	Module string `json:"version"` // of this library, "(devel)" where it is not known
}

// Here returns the stamp of this process.
func Here() Stamp {
	const path = "github.com/mettleml/mettle"
	s := Stamp{kernel.Active().Name, runtime.GOARCH, runtime.Version(), "(devel)"}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
			if m.Path == path && m.Version != "" {
				s.Module = m.Version
			}
		}
	}
	return s
}

// An Epoch holds the measurements after an epoch of training.
type Epoch struct {
	Epoch int     `json:"epoch"` // from 1
	Loss  float64 `json:"loss"`  // mean over the steps of the epoch
	Acc   float64 `json:"acc"`   // on the samples of Recipe.Test
}

// A History holds the measurements of a run, in the order of the epochs. Measure at least
// after each of the last five epochs.
type History []Epoch

// Add appends an epoch. It first removes this epoch and later ones, because a run that
// resumes from an earlier checkpoint repeats them.
func (h *History) Add(e Epoch) {
	at, _ := slices.BinarySearchFunc(*h, e.Epoch, func(e Epoch, n int) int { return cmp.Compare(e.Epoch, n) })
	*h = append((*h)[:at], e)
}

// Last returns the mean accuracy of epochs epochs-n+1 to epochs, or of all epochs if there
// are fewer than n. ok is false if one of them was not measured.
func (h History) Last(n, epochs int) (mean float64, ok bool) {
	n = min(n, epochs)
	have := 0
	for _, e := range h {
		if e.Epoch > epochs-n && e.Epoch <= epochs {
			mean += e.Acc
			have++
		}
	}
	return mean / float64(max(have, 1)), have == n && n > 0
}

// Best returns the epoch with the largest accuracy, the first of equal ones, and the zero
// Epoch if there is none.
func (h History) Best() Epoch {
	var best Epoch
	for _, e := range h {
		if best.Epoch == 0 || e.Acc > best.Acc {
			best = e
		}
	}
	return best
}

// A Result is the record of one run, with everything needed to repeat it. In JSON it is one
// flat object. The Report is of the last epoch, and its accuracy is the one to compare. The
// best epoch was chosen on the samples that it is measured on, so its accuracy is
// optimistic.
type Result struct {
	Recipe
	Report

	// AccLast5 is the mean over the last five epochs, nil if one was not measured.
	AccLast5  *float64 `json:"acc_last5"`
	AccBest   float64  `json:"acc_best"`   // the largest among the epochs measured
	BestEpoch int      `json:"best_epoch"` // the first with AccBest
	History   History  `json:"history"`

	Cost
	Stamp Stamp `json:"stamp"`
}

// A Cost is the cost of training, over all stages and phases.
type Cost struct {
	Steps   int     `json:"steps"`   // of optimisers
	Images  int64   `json:"images"`  // samples that passed through the network
	Seconds float64 `json:"seconds"` // without evaluation
}

// Finish returns the record of a run of the recipe by this process. The report is that of
// the last epoch. It is an error if the history does not end with that epoch and the
// report's accuracy, or if the recipe is incomplete.
func (r Recipe) Finish(report Report, h History, c Cost) (Result, error) {
	out := Result{Recipe: r, Report: report, History: h, Cost: c, Stamp: Here()}
	if len(h) == 0 {
		return out, fmt.Errorf("longtail: a result of %s without a history", r.Method)
	}
	if mean, ok := h.Last(5, r.Epochs); ok {
		out.AccLast5 = &mean
	}
	best := h.Best()
	out.AccBest, out.BestEpoch = best.Acc, best.Epoch
	return out, out.check()
}

// check returns what is wrong with a result.
func (r *Result) check() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("longtail: the result of %q, seed %d: %s", r.Method, r.Seed, fmt.Sprintf(format, args...))
	}
	for _, f := range []struct{ name, value string }{
		{"method", r.Method}, {"data", r.Data}, {"subset", r.Subset}, {"digest", r.Digest},
		{"test", r.Test}, {"test_digest", r.TestDigest}, {"model", r.Model},
	} {
		if f.value == "" {
			return wrong("%s is missing", f.name)
		}
	}
	if r.Epochs < 1 || r.BatchSize < 1 || r.Steps < 0 || r.Images < 0 || !(r.Seconds >= 0) {
		return wrong("%d epochs, batches of %d, %d steps, %d images, %g seconds", r.Epochs, r.BatchSize, r.Steps, r.Images, r.Seconds)
	}
	type share struct {
		name  string
		value *float64
	}
	shares := []share{
		{"acc", &r.Acc}, {"balanced", &r.Balanced}, {"many", r.Many}, {"medium", r.Medium}, {"few", r.Few}, {"ece", &r.ECE},
		{"acc_last5", r.AccLast5}, {"acc_best", &r.AccBest},
	}
	for c := range r.PerClass {
		shares = append(shares, share{fmt.Sprintf("per_class of class %d", c), &r.PerClass[c]})
	}
	for k := range r.History {
		e := &r.History[k]
		if e.Epoch < 1 || k > 0 && e.Epoch <= r.History[k-1].Epoch {
			return wrong("epoch %d of its history is out of order", e.Epoch)
		}
		shares = append(shares, share{fmt.Sprintf("acc of epoch %d", e.Epoch), &e.Acc})
	}
	for _, s := range shares {
		// Sums of shares may pass 1 by their rounding.
		if s.value != nil && !(*s.value >= 0 && *s.value <= 1+1e-9) {
			return wrong("%s is %v, no share in [0, 1]", s.name, *s.value)
		}
	}
	if n := len(r.History); n == 0 || r.History[n-1].Epoch != r.Epochs || r.History[n-1].Acc != r.Acc {
		return wrong("its history does not end with epoch %d and accuracy %v", r.Epochs, r.Acc)
	}
	if b := r.History.Best(); r.AccBest != b.Acc || r.BestEpoch != b.Epoch {
		return wrong("epoch %d with %v is called best, the history has epoch %d with %v", r.BestEpoch, r.AccBest, b.Epoch, b.Acc)
	}
	return nil
}

// EncodeResults returns results as a JSON array with one object per result. It is an error
// if one is not complete.
func EncodeResults(list []Result) ([]byte, error) {
	for i := range list {
		if err := list[i].check(); err != nil {
			return nil, err
		}
	}
	b, err := json.MarshalIndent(append([]Result{}, list...), "", " ")
	if err != nil {
		return nil, fmt.Errorf("longtail: results: %w", err)
	}
	return append(b, '\n'), nil
}

// DecodeResults reads the output of [EncodeResults]. It is an error if b is not such an
// array or an entry is not complete. Options are decoded into Go's generic JSON types.
func DecodeResults(b []byte) ([]Result, error) {
	var list []Result
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("longtail: results: %w", err)
	}
	if d.More() {
		return nil, fmt.Errorf("longtail: results: there is more after the array")
	}
	for i := range list {
		if err := list[i].check(); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return list, nil
}

// A Spread summarises a number over runs with different seeds.
type Spread struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`

	// Std is the standard deviation with the divisor N-1. It is nil for one run; for two
	// runs it only restates their difference.
	Std *float64 `json:"std"`
}

// SpreadOf returns the spread of numbers. It panics if there are none.
func SpreadOf(v ...float64) Spread {
	if len(v) == 0 {
		tensor.Panic("longtail.SpreadOf", "no numbers")
	}
	n := float64(len(v))
	s := Spread{N: len(v), Min: slices.Min(v), Max: slices.Max(v)}
	for _, x := range v {
		s.Mean += x / n
	}
	if len(v) > 1 {
		sum := 0.0
		for _, x := range v {
			sum += (x - s.Mean) * (x - s.Mean)
		}
		std := math.Sqrt(sum / (n - 1))
		s.Std = &std
	}
	return s
}

// Percent returns the spread in percent, for a table: "43.2" for one run, "43.2 (42.9 to
// 43.5)" for two, and "43.2 ± 0.3" for more.
func (s Spread) Percent() string {
	switch {
	case s.N < 2:
		return fmt.Sprintf("%.1f", 100*s.Mean)
	case s.N == 2:
		return fmt.Sprintf("%.1f (%.1f to %.1f)", 100*s.Mean, 100*s.Min, 100*s.Max)
	}
	return fmt.Sprintf("%.1f ± %.1f", 100*s.Mean, 100**s.Std)
}

// A Summary is the result of one recipe over several seeds.
type Summary struct {
	Recipe          // with the Seed of the first run
	Seeds  []uint64 `json:"seeds"`

	Acc      Spread  `json:"acc"`       // of the last epochs
	AccLast5 *Spread `json:"acc_last5"` // nil if a run lacks it
	AccBest  Spread  `json:"acc_best"`
	Balanced Spread  `json:"balanced"`
	Many     *Spread `json:"many"` // nil if there is no such class
	Medium   *Spread `json:"medium"`
	Few      *Spread `json:"few"`
	Rule     string  `json:"rule"`
	ECE      Spread  `json:"ece"`
	Seconds  Spread  `json:"seconds"`
}

// Summarize returns a summary for every recipe in the list, in the order of their first
// results. Results belong together if their recipes differ in the seed only; stamps may
// differ. It is an error if two such results have the same seed, or different rules for
// their groups.
func Summarize(list []Result) ([]Summary, error) {
	groups := make(map[string][]Result)
	var order []string
	for _, r := range list {
		key, err := r.Recipe.key()
		if err != nil {
			return nil, fmt.Errorf("longtail: the options of %s: %w", r.Method, err)
		}
		if _, ok := groups[key]; !ok {
			order = append(order, key)
		}
		groups[key] = append(groups[key], r)
	}
	var out []Summary
	for _, key := range order {
		s, err := summarize(groups[key])
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// key is the same for recipes that differ in their seed alone, whether their options are
// a struct or were read from JSON.
func (r Recipe) key() (string, error) {
	r.Seed = 0
	b, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	var sorted any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&sorted); err != nil {
		return "", err
	}
	b, err = json.Marshal(sorted)
	return string(b), err
}

func summarize(runs []Result) (Summary, error) {
	s := Summary{Recipe: runs[0].Recipe, Rule: runs[0].Rule}
	for _, r := range runs {
		if slices.Contains(s.Seeds, r.Seed) {
			return s, fmt.Errorf("longtail: two results of %s with %s have seed %d", r.Method, r.Subset, r.Seed)
		}
		if r.Rule != s.Rule {
			return s, fmt.Errorf("longtail: results of %s group classes by %q and by %q", r.Method, s.Rule, r.Rule)
		}
		s.Seeds = append(s.Seeds, r.Seed)
	}
	maybe := func(of func(Result) *float64) *Spread {
		var v []float64
		for _, r := range runs {
			if x := of(r); x != nil {
				v = append(v, *x)
			}
		}
		if len(v) < len(runs) {
			return nil
		}
		spread := SpreadOf(v...)
		return &spread
	}
	all := func(of func(Result) float64) Spread {
		return *maybe(func(r Result) *float64 { x := of(r); return &x })
	}
	s.Acc = all(func(r Result) float64 { return r.Acc })
	s.AccLast5 = maybe(func(r Result) *float64 { return r.AccLast5 })
	s.AccBest = all(func(r Result) float64 { return r.AccBest })
	s.Balanced = all(func(r Result) float64 { return r.Balanced })
	s.Many = maybe(func(r Result) *float64 { return r.Many })
	s.Medium = maybe(func(r Result) *float64 { return r.Medium })
	s.Few = maybe(func(r Result) *float64 { return r.Few })
	s.ECE = all(func(r Result) float64 { return r.ECE })
	s.Seconds = all(func(r Result) float64 { return r.Seconds })
	return s, nil
}
