package recipes

import (
	"fmt"
	"slices"

	"github.com/mettleml/mettle/longtail"
)

// Standard is the recipe of all methods of a comparison, that of the program of LDAM-DRW
// (Cao et al., 2019) scaled to so many epochs: steps of a hundredth after 0.8 and 0.9 of
// them, and a fortieth to warm up.
func Standard(epochs int, decay float64) Recipe {
	return Recipe{Epochs: epochs, Batch: 128, LR: 0.1, Momentum: 0.9, Decay: decay, Schedule: "multistep", WarmUp: float64(epochs) / 40, Augment: "crop-flip"}
}

// StageTwo is the recipe of a new classifier on a trained backbone: ten epochs along a
// cosine.
func (r Recipe) StageTwo() Recipe {
	r.Epochs, r.Schedule, r.WarmUp, r.Mix = 10, "cosine", 0, ""
	return r
}

// After is a job that begins with the network of another: without training unless it is
// given a recipe.
func (j *Job) After(method string, r Recipe) *Job {
	return &Job{Data: j.Data, Subset: j.Subset, Digest: j.Digest, Test: j.Test, Model: j.Model, Method: method, Seed: j.Seed, Recipe: r, From: j}
}

// Adjusted is After of a method that has a τ.
func (j *Job) Adjusted(method string, tau float64) *Job {
	a := j.After(method, Recipe{})
	a.Tau = tau
	return a
}

// A Dual is all that is chosen for Divide and Retain.
type Dual struct {
	Share    float64 // of the image-steps that go to phase I
	Point    int     // head classes; 0 means the many-shot ones
	Two      Second
	LR       float64 // of phase II; 0 means that of phase I
	Schedule string  // of phase II
}

// All is a bank with every sample of the head.
const All = 1 << 20

// Literal is the method as the thesis's figures describe it. What they leave open has
// package longtail's defaults, but for the phases' shares and the rate.
var Literal = Dual{Share: 0.5, Schedule: "cosine", Two: Second{PerClass: 20, Sampler: "balanced", Loss: CE, Retention: &longtail.Retention{}, Lambda: 1}}

// Jobs are both phases of Divide and Retain, the second one, which goes on from the first.
// They take as many image-steps as r for all classes.
func (c Dual) Jobs(d *Data, model string, seed uint64, r Recipe) *Job {
	counts := d.Train.Counts
	if c.Point == 0 {
		c.Point = d.Head()
	}
	head := samples(&Job{Method: PhaseOne, Point: c.Point}, d)
	budget := r.Epochs * PoolSize(counts, 1, All)
	first := r
	first.Epochs = max(int(c.Share*float64(budget))/head, 1)
	first.WarmUp *= float64(first.Epochs) / float64(max(r.Epochs, 1))
	return c.PhaseTwo(d, c.PhaseOne(d, model, seed, first), r, budget-first.Epochs*head)
}

// PhaseOne trains the head with a recipe.
func (c Dual) PhaseOne(d *Data, model string, seed uint64, r Recipe) *Job {
	one := d.Job(model, PhaseOne, seed, r)
	one.Point = c.Point
	return &one
}

// PhaseTwo goes on from phase I for so many image-steps, with the batches and decay of r.
func (c Dual) PhaseTwo(d *Data, one *Job, r Recipe, images int) *Job {
	if c.LR > 0 {
		r.LR = c.LR
	}
	r.Schedule, r.WarmUp = c.Schedule, 0
	r.Epochs = max(images/PoolSize(d.Train.Counts, one.Point, c.Two.PerClass), 1)
	j := one.After(PhaseTwo, r)
	j.Point, j.Two = one.Point, &c.Two
	return j
}

// PoolSize is the number of samples of phase II, with k head classes and so many samples of
// each in the bank, 0 for as many as the largest tail class has.
func PoolSize(counts []int, k, perClass int) int {
	n := slices.SortedFunc(slices.Values(counts), func(a, b int) int { return b - a })
	if perClass == 0 {
		perClass = n[k]
	}
	sum := 0
	for rank, c := range n {
		if rank < k {
			c = min(c, perClass)
		}
		sum += c
	}
	return sum
}

// Comparison are the methods that a program compares, by name.
var Comparison = []string{CE, Focal, ClassBalanced, Resampled, LDAMDRW, BalancedSoftmax, LogitAdjustment, PostHoc, TauNormalized, NCM, CRT, LWS,
	MiSLAS, BBN, RIDE, ProCo, DivideAndRetain}

// DivideAndRetain is the name of the whole method among [Comparison].
const DivideAndRetain = "divide-and-retain"

// Named is the job of one of [Comparison].
func Named(d *Data, method, model string, seed uint64, r Recipe, dual Dual) (*Job, error) {
	joint := func(method string) *Job {
		j := d.Job(model, method, seed, r)
		return &j
	}
	switch method {
	case PostHoc, TauNormalized:
		return joint(CE).Adjusted(method, 1), nil
	case NCM:
		return joint(CE).After(method, Recipe{}), nil
	case CRT, LWS:
		return joint(CE).After(method, r.StageTwo()), nil
	case MiSLAS:
		mixed := joint(CE)
		mixed.Recipe.Mix = "mixup"
		return mixed.After(method, r.StageTwo()), nil
	case LogitAdjustment:
		j := joint(method)
		j.Tau = 1.5
		return j, nil
	case DivideAndRetain:
		return dual.Jobs(d, model, seed, r), nil
	}
	if !slices.Contains(Comparison, method) {
		return nil, fmt.Errorf("method %q: there are %v", method, Comparison)
	}
	return joint(method), nil
}
