// Package recipes trains classifiers on long-tailed data by the methods of the thesis's
// chapters 4 and 5 and by their rivals: what the programs longtail, ssl and tables share.
//
// A [Job] says what is trained: all that a result needs to be made again, as JSON. A [Lab]
// does jobs. It keeps the result and the network of each, takes up one that was stopped
// at its checkpoint, bit for bit, and begins a second stage with the network that another
// job made.
package recipes

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/mettleml/mettle/longtail"
)

// Methods are the values of [Job.Method].
const (
	CE              = "ce"
	Focal           = "focal"
	ClassBalanced   = "class-balanced" // weights by effective numbers
	Resampled       = "resampled"      // cross-entropy, classes drawn equally often
	LDAM            = "ldam"
	LDAMDRW         = "ldam-drw"
	BalancedSoftmax = "balanced-softmax"
	LogitAdjustment = "logit-adjustment"
	PhaseOne        = "phase-one"
	BBN             = "bbn"   // two branches; two passes per sample
	RIDE            = "ride"  // three experts, 1.5 times the arithmetic
	ProCo           = "proco" // three views of each sample

	// These begin with the network of another job.
	PostHoc       = "post-hoc" // logit adjustment of a trained network
	TauNormalized = "tau-normalized"
	NCM           = "ncm"
	CRT           = "crt"
	LWS           = "lws"
	MiSLAS        = "mislas" // stage two, of a network that was trained with mixup
	PhaseTwo      = "phase-two"

	// Of chapter 5. Joint trainings may begin with the backbone that a Pretrain made.
	Pretrain    = "pretrain"    // self-supervision alone; its report is that of kNN on the features
	Heterotopic = "heterotopic" // self-supervision beside the classifier
)

// A Job is one stage of training with all that determines what comes out of it. Its JSON
// is its name: fields are added to it, with omitempty, and never changed.
type Job struct {
	Data   string `json:"data"`
	Subset string `json:"subset"`
	Digest string `json:"digest"` // of the subset
	Test   string `json:"test"`   // name and digest of what it is tested on
	Model  string `json:"model"`
	Method string `json:"method"`
	Seed   uint64 `json:"seed"`

	Recipe Recipe          `json:"recipe,omitzero"`
	Tau    float64         `json:"tau,omitempty"`   // of logit adjustment and τ-normalisation
	Point  int             `json:"point,omitempty"` // of the two phases: the number of head classes
	Two    *Second         `json:"phase_two,omitempty"`
	SSL    *SelfSupervised `json:"ssl,omitempty"`   // of Pretrain and Heterotopic
	Probe  int             `json:"probe,omitempty"` // measure gradient distortion every so many epochs
	From   *Job            `json:"from,omitempty"`  // the job whose network this one begins with
	Start  string          `json:"start,omitempty"` // of a joint training: the network of a file, as Lab.Start has it
}

// A Recipe is what a fair comparison gives all methods alike.
type Recipe struct {
	Epochs   int     `json:"epochs"`
	Batch    int     `json:"batch"`
	LR       float64 `json:"lr"`
	Momentum float64 `json:"momentum"`
	Decay    float64 `json:"decay"`
	Schedule string  `json:"schedule"`          // multistep: a hundredth after 0.8 and 0.9 of the steps; cosine
	WarmUp   float64 `json:"warm_up,omitempty"` // epochs
	Augment  string  `json:"augment"`           // see [Augmentations]
	Mix      string  `json:"mix,omitempty"`     // mixup or cutmix
}

// A Second is what phase II has to be told beside a [Recipe].
type Second struct {
	Rule       string              `json:"rule,omitempty"`      // of the bank; see [Rules]. "" means herd
	PerClass   int                 `json:"per_class,omitempty"` // exemplars; 0 means as many as the largest tail class has
	Sampler    string              `json:"sampler"`             // balanced, square-root or instance
	Replace    bool                `json:"with_replacement,omitempty"`
	Loss       string              `json:"loss"` // ce or balanced-softmax, with the counts of the pool
	Retention  *longtail.Retention `json:"retention,omitempty"`
	Lambda     float64             `json:"lambda,omitempty"`
	Distill    float64             `json:"distill,omitempty"`    // factor of learning without forgetting, at T = 2
	Rows       string              `json:"rows,omitempty"`       // of the new classes: "" means random; imprint, zero
	Statistics string              `json:"statistics,omitempty"` // of batch normalisation: "" means batch; frozen
	Backbone   float64             `json:"backbone,omitempty"`   // learning rate of the backbone by that of the head; 0 means 1
}

// Set makes the memory-retentive loss the variant of a name. It keeps its factor.
func (s *Second) Set(variant string) error {
	var v longtail.Variant
	if err := v.UnmarshalText([]byte(variant)); err != nil {
		return err
	}
	s.Retention = &longtail.Retention{Variant: v}
	return nil
}

// Check returns an error if a job cannot be done on the data: before anything is trained.
func (j *Job) Check(d *Data) error {
	if j.From != nil {
		if err := j.From.Check(d); err != nil {
			return err
		}
	}
	if !j.trains() {
		return nil
	}
	if _, err := blank(j, d); err != nil {
		return err
	}
	if _, err := d.transform(j.Recipe.Augment); err != nil {
		return err
	}
	if _, err := j.Recipe.rate(1); err != nil {
		return err
	}
	if _, err := j.Recipe.mixer(); err != nil {
		return err
	}
	if j.Method == PhaseOne || j.Method == PhaseTwo {
		if _, err := longtail.SplitByRank(d.Train.Counts, j.Point); err != nil {
			return err
		}
	}
	if j.Method == PhaseTwo {
		return j.Two.check()
	}
	if j.Method == Pretrain || j.Method == Heterotopic {
		if j.SSL == nil {
			return fmt.Errorf("method %s wants settings of self-supervision", j.Method)
		}
		if err := j.SSL.check(j, d); err != nil || j.Method == Pretrain {
			return err
		}
	}
	if j.Recipe.Mix != "" && (j.Method == BBN || j.Method == RIDE || j.Method == ProCo) {
		return fmt.Errorf("method %s takes no %s", j.Method, j.Recipe.Mix)
	}
	_, err := losses(j, d.Train.Counts)
	return err
}

// chain visits the job and those whose networks it goes back to.
func (j *Job) chain(visit func(*Job)) {
	for ; j != nil; j = j.From {
		visit(j)
	}
}

// Label begins the names of a job's files.
func (j *Job) Label() string {
	method := j.Method
	switch s := j.selfSupervised(); {
	case s == nil && j.Start != "":
		method += "-tuned"
	case s == nil:
	case method == Pretrain:
		method += "-" + s.Method
	default:
		method = j.Arrangement() + "-" + s.Method
		if s.Loss != "" {
			method += "-" + s.Loss
		}
		if j.SSL == nil && j.From.Method != Pretrain { // a stage after those of the arrangement
			method += "-" + j.Method
		}
	}
	name := fmt.Sprintf("%s-%s-%d", j.Data, method, j.Seed)
	if strings.HasPrefix(j.Test, HeldOut) {
		name = "val-" + name
	}
	return name
}

// ID is the JSON of a job, which tells it from others.
func (j *Job) ID() string {
	b, _ := json.Marshal(j) // of strings, numbers and structs of them
	return string(b)
}

// Passes is how often a sample passes forward and back in an epoch.
func (j *Job) Passes() int {
	switch j.Method {
	case BBN:
		return 2
	case ProCo:
		return 3
	case Pretrain:
		return j.SSL.passes()
	case Heterotopic:
		if j.SSL.Share {
			return j.SSL.passes()
		}
		return j.SSL.passes() + 1
	}
	return 1
}

// stream is a seed of its own for each stage of a chain.
func (j *Job) stream() uint64 {
	depth := uint64(0)
	j.chain(func(*Job) { depth++ })
	return j.Seed<<8 + depth
}

// trains reports whether a method takes steps.
func (j *Job) trains() bool {
	return !slices.Contains([]string{PostHoc, TauNormalized, NCM}, j.Method)
}
