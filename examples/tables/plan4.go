package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/mettleml/mettle/examples/internal/recipes"
)

// A part is some cells of the plan. Which they are may follow from cells that came
// before.
type part struct {
	name string
	jobs func(context.Context) ([]*recipes.Job, error)
}

// plan is what chapter 4 takes, in the order in which the parts are worth most: the
// harness is proved first, then settings are chosen on held-out data, then come the rows
// of the tables. Parts that share a network share its training.
func (s *study) plan() []part {
	fixed := func(list func(decay float64) []*recipes.Job) func(context.Context) ([]*recipes.Job, error) {
		return func(ctx context.Context) ([]*recipes.Job, error) {
			decay, err := s.decay(ctx)
			if err != nil {
				return nil, err
			}
			return list(decay), nil
		}
	}
	rows := func(d *recipes.Data, seed uint64) func(context.Context) ([]*recipes.Job, error) {
		return fixed(func(decay float64) []*recipes.Job { return s.rivals(d, seed, decay) })
	}
	ablations := func(seed uint64) func(context.Context) ([]*recipes.Job, error) {
		return func(ctx context.Context) ([]*recipes.Job, error) { return s.ablations(ctx, seed) }
	}
	list := []part{
		{"weight decay", s.pilot},
		{"rivals seed 1", rows(s.main, 1)},
		{"phase I seed 1", fixed(func(decay float64) []*recipes.Job {
			return []*recipes.Job{s.phaseOne(s.main, 1, decay)}
		})},
	}
	list = append(list, part{"reference of the search", fixed(s.reference)})
	for i := range searches {
		list = append(list, part{fmt.Sprintf("search %d", i+1), func(ctx context.Context) ([]*recipes.Job, error) {
			arms, err := s.search(ctx, i)
			var jobs []*recipes.Job
			for _, a := range arms {
				jobs = append(jobs, a.job)
			}
			return jobs, err
		}})
	}
	list = append(list,
		part{"Divide and Retain seed 1", s.ours(s.main, 1)},
		part{"rivals seed 2", rows(s.main, 2)},
		part{"Divide and Retain seed 2", s.ours(s.main, 2)},
		part{"ablations seed 1", ablations(1)},
		part{"points", s.points},
		part{"modern augmentations", s.modern},
		part{"ablations seed 2", ablations(2)})
	for _, d := range s.others {
		list = append(list, part{"Divide and Retain " + d.Train.Name, s.ours(d, 1)}, part{"rivals " + d.Train.Name, rows(d, 1)})
	}
	return append(list, part{"further rivals", fixed(s.further)})
}

// epochs are those of a joint training, and pilot and proxy the ones of runs that only
// rank settings.
func (s *study) epochs() int      { return cmp.Or(s.c.epochs, 200) }
func (s *study) pilotEpochs() int { return max(s.epochs()*3/20, 1) }
func (s *study) proxyEpochs() int { return max(s.epochs()/5, 1) }

// The weight decays and the τ that are tried on held-out data.
var (
	decays = []float64{2e-4, 5e-4}
	taus   = []float64{0.5, 1, 1.5, 2}
)

// pilot compares weight decays on held-out data: of cross-entropy, and of its network
// adjusted to balance.
func (s *study) pilot(context.Context) ([]*recipes.Job, error) {
	var list []*recipes.Job
	for _, decay := range decays {
		j := s.held.Job(s.model, recipes.CE, 1, recipes.Standard(s.pilotEpochs(), decay))
		list = append(list, &j)
		for _, tau := range taus {
			list = append(list, j.Adjusted(recipes.PostHoc, tau))
		}
	}
	return list, nil
}

// decay is the weight decay whose network is best on held-out data, as the mean of what
// it is as trained and of its best adjustment.
func (s *study) decay(ctx context.Context) (float64, error) {
	jobs, err := s.pilot(ctx)
	if err != nil {
		return 0, err
	}
	each := len(jobs) / len(decays)
	var best, most float64
	for i, decay := range decays {
		group := jobs[i*each : (i+1)*each]
		plain, err := s.lab.Result(ctx, group[0])
		if err != nil {
			return 0, err
		}
		_, adjusted, err := s.best(ctx, group[1:])
		if err != nil {
			return 0, err
		}
		if v := plain.Report.Balanced + adjusted.Report.Balanced; i == 0 || v > most {
			best, most = decay, v
		}
	}
	return best, nil
}

// best is the job with the largest mean of the classes' accuracies, of equal ones the
// first.
func (s *study) best(ctx context.Context, jobs []*recipes.Job) (*recipes.Job, *recipes.Result, error) {
	var best *recipes.Job
	var most *recipes.Result
	for _, j := range jobs {
		r, err := s.lab.Result(ctx, j)
		var diverged *recipes.DivergedError
		if errors.As(err, &diverged) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if best == nil || r.Report.Balanced > most.Report.Balanced {
			best, most = j, r
		}
	}
	if best == nil {
		return nil, nil, errors.New("all of the runs to choose from have diverged")
	}
	return best, most, nil
}

// rivals are the methods that Divide and Retain is compared with, on one recipe. τ is
// chosen by the pilot's networks, which are trained on less and for a shorter time, so the
// neighbours are shown too.
func (s *study) rivals(d *recipes.Data, seed uint64, decay float64) []*recipes.Job {
	joint := func(method string) *recipes.Job {
		j := d.Job(s.model, method, seed, recipes.Standard(s.epochs(), decay))
		return &j
	}
	ce := joint(recipes.CE)
	ce.Probe = 5
	list := []*recipes.Job{ce}
	for _, tau := range taus {
		list = append(list, ce.Adjusted(recipes.PostHoc, tau))
	}
	list = append(list, ce.Adjusted(recipes.TauNormalized, 1), ce.After(recipes.NCM, recipes.Recipe{}),
		ce.After(recipes.CRT, ce.Recipe.StageTwo()), ce.After(recipes.LWS, ce.Recipe.StageTwo()))
	list = append(list, joint(recipes.BalancedSoftmax))
	if d == s.main {
		list = append(list, joint(recipes.LDAMDRW))
	}
	return list
}

// further are rivals that take another number of image-steps or other networks, each as its
// recipe allows: MiSLAS, BBN, the experts of RIDE, and ProCo with its strong augmentation.
func (s *study) further(decay float64) []*recipes.Job {
	var list []*recipes.Job
	for _, method := range []string{recipes.MiSLAS, recipes.BBN, recipes.RIDE, recipes.ProCo} {
		r := recipes.Standard(s.epochs(), decay)
		if method == recipes.ProCo {
			r.Augment = "autoaugment"
		}
		if j, err := recipes.Named(s.main, method, s.model, 1, r, recipes.Literal); err == nil && j.Check(s.main) == nil { // not all networks have all forms
			list = append(list, j)
		}
	}
	return list
}

// phaseOne is the network of the head classes alone, as long a training as any other.
func (s *study) phaseOne(d *recipes.Data, seed uint64, decay float64) *recipes.Job {
	return recipes.Dual{Point: d.Head()}.PhaseOne(d, s.model, seed, recipes.Standard(s.epochs(), decay))
}
