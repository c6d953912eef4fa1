package ssl

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// An Arrangement says how self-supervision and classification are combined: the four panels
// of figure 5.3 of the thesis.
type Arrangement uint8

const (
	// GenericSpecific is panel (iv), the method: the filter shares the generic feature, and
	// the specific one enters through mutual information.
	GenericSpecific Arrangement = iota

	// Generic is panel (iii): the generic feature alone.
	Generic

	// Shared is panel (ii): both sides have the same feature space, without a filter.
	Shared

	// Initial is panel (i): self-supervision alone for InitSteps steps, then classification
	// alone.
	Initial
)

var arrangementNames = []string{"generic-specific", "generic", "shared", "initial"}

func (a Arrangement) String() string {
	if int(a) < len(arrangementNames) {
		return arrangementNames[a]
	}
	return fmt.Sprintf("Arrangement(%d)", uint8(a))
}

// MarshalText writes the name.
func (a Arrangement) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads a name.
func (a *Arrangement) UnmarshalText(b []byte) error {
	for i, name := range arrangementNames {
		if string(b) == name {
			*a = Arrangement(i)
			return nil
		}
	}
	return fmt.Errorf("ssl: no arrangement %q; there are %q", b, arrangementNames)
}

// HeterotopicOptions are the settings of [Heterotopic]. All defaults are ours.
type HeterotopicOptions struct {
	Arrangement Arrangement `json:"arrangement"`

	// Lambda is the weight of the self-supervised loss, our reading of λ in figure 5.4. 0
	// means 0.5; a negative number leaves the loss out.
	Lambda float64 `json:"lambda,omitempty"`

	// Beta is the weight of the term of mutual information. 0 means 0.1; a negative number
	// leaves the term out.
	Beta float64 `json:"beta,omitempty"`

	// Attach is the stage whose map the filter takes: "" or "last" for the last one,
	// "penultimate" for the one before it (the filter then replaces the last stage), or a
	// name of a stage.
	Attach string `json:"attach,omitempty"`

	Filter FilterKind `json:"filter"`

	// ShareView gives the classifier the first strong view, which saves a pass through the
	// trunk. By default it has a weak view of its own.
	ShareView bool `json:"share_view,omitempty"`

	// MixStatistics lets the strong views update the running statistics of the trunk. By
	// default only the classifier's view does, because tests use these statistics.
	MixStatistics bool `json:"mix_statistics,omitempty"`

	InitSteps int    `json:"init_steps,omitempty"` // steps of self-supervision with Initial; it has no default
	Seed      uint64 `json:"seed"`                 // of the filter's weights

	// Loss is the classification loss; nil means plain cross-entropy.
	Loss longtail.Loss `json:"-"`
}

// Heterotopic trains a classifier with a self-supervised branch beside it.
// [Heterotopic.Strip] removes the branch afterwards.
//
//	f = backbone(x_0), z = head(f)                  the classifier's side
//	r = mean of Filter(trunk(x_1)), s = MLP(r)      the method's, for every view
//	L = L_cls(z, y) + λ·L_ssl + β·L_MI(f, s)
//
// The package documentation says what the thesis states and what is ours.
//
// As an nn.Tree it names all trained parameters, with the classifier's usual names.
type Heterotopic struct {
	Net     *nn.Classifier
	Branch  *Branch
	Method  Method
	MI      *Regularizer // nil without one
	Options HeterotopicOptions
	Steps   int64

	statistics *snapshot
	active     bool // the method has seen the current batch
}

// A HeterotopicOutput holds the results of a step. Unused Vars are zero.
type HeterotopicOutput struct {
	Loss   autograd.Var // the weighted sum
	Class  autograd.Var // L_cls
	MI     autograd.Var // L_MI
	Logits autograd.Var // [n, classes]
	SSL    Output       // of the method
}

// NewHeterotopic adds a method to a classifier. The function method makes the method for
// the encoder it is given. mi is the regulariser, for GenericSpecific only; its bound must
// fit the widths of f and of the specific feature s (option Out of a method):
//
//	h, err := ssl.NewHeterotopic(net,
//		func(e ssl.Encoder) (ssl.Method, error) { return ssl.NewSimCLR(e, ssl.SimCLROptions{}), nil },
//		ssl.Maximize(ssl.NewInfoNCEBound(net.Backbone.Width(), 128, seed), ssl.RegularizerOptions{}),
//		ssl.HeterotopicOptions{})
//
// It is an error if the backbone does not have the stage Attach, the arrangement needs a
// regulariser and there is none, or InitSteps is missing.
func NewHeterotopic(net *nn.Classifier, method func(e Encoder) (Method, error), mi *Regularizer, o HeterotopicOptions) (*Heterotopic, error) {
	o.Lambda, o.Beta = cmp.Or(o.Lambda, 0.5), cmp.Or(o.Beta, 0.1)
	if o.Loss == nil {
		o.Loss = nn.CrossEntropy
	}
	stages := net.Backbone.Stages
	at := len(stages) - 1
	switch o.Attach {
	case "", "last":
	case "penultimate":
		at--
	default:
		var err error
		if at, err = net.Backbone.Stage(o.Attach); err != nil {
			return nil, fmt.Errorf("ssl: option Attach: %w", err)
		}
	}
	kind := o.Filter
	switch o.Arrangement {
	case Shared:
		kind = IdentityFilter
	case Initial:
		kind = IdentityFilter
		if o.InitSteps < 1 {
			return nil, fmt.Errorf("ssl: the arrangement %v wants InitSteps, the steps of self-supervision before classification", o.Arrangement)
		}
	case GenericSpecific:
		if mi == nil && o.Beta > 0 {
			return nil, fmt.Errorf("ssl: the arrangement %v wants a regulariser of mutual information (Maximize or Minimize)", o.Arrangement)
		}
	}
	if at < 0 || kind == IdentityFilter && at < len(stages)-1 {
		return nil, fmt.Errorf("ssl: the arrangement %v cannot attach at %q: the backbone's stages are %d, and without a filter it must be the last", o.Arrangement, o.Attach, len(stages))
	}
	if o.Arrangement != GenericSpecific {
		mi = nil
	}
	filter, channels := newFilter(generator(o.Seed), kind, stages[at].Width, at < len(stages)-1)
	if kind == IdentityFilter {
		channels = net.Backbone.Width()
	}
	h := &Heterotopic{Net: net, MI: mi, Options: o}
	h.Branch = &Branch{Trunk: &nn.Backbone{Stages: stages[:at+1], Pool: net.Backbone.Pool}, Filter: filter, Channels: channels}
	var err error
	if h.Method, err = method(h.Branch); err != nil {
		return nil, err
	}
	h.statistics = newSnapshot(net.Backbone)
	return h, nil
}

// Views returns the number of views per sample that a batch must have for a method with the
// given number: one more for the weak view, unless ShareView is set.
func (o HeterotopicOptions) Views(method int) int {
	if o.ShareView {
		return method
	}
	return method + 1
}

// Loss returns the loss of a batch, with the weak view first and then the method's views,
// or with these only under ShareView. It is an error if the method returns one, the loss is
// not finite, or a feature would be paired with one of its own view.
func (h *Heterotopic) Loss(t *autograd.Tape, b data.Batch) (out HeterotopicOutput, err error) {
	n := len(b.Y)
	if _, _, err := viewsOf("Heterotopic", b, h.Options.Views(1), 2); err != nil {
		return out, err
	}
	weak := b.X.Slice(0, n)
	if !h.Options.ShareView {
		b.X = b.X.Slice(n, b.X.Dim(0))
	}
	initial := h.Options.Arrangement == Initial
	pretraining := initial && h.Steps < int64(h.Options.InitSteps)
	h.active = pretraining || !initial && h.Options.Lambda > 0

	var f autograd.Var
	var first passed // what the method passes first, where the classifier shares that
	switch {
	case pretraining:
	case h.Options.ShareView && h.active:
		h.Branch.first = &first
	default:
		f = h.Net.Backbone.Forward(t.Input(weak))
	}
	if h.active {
		if h.Options.MixStatistics || f.IsZero() {
			out.SSL, err = h.Method.Loss(t, b)
		} else {
			h.statistics.take()
			out.SSL, err = h.Method.Loss(t, b)
			h.statistics.put()
		}
		h.Branch.first = nil // a method may pass nothing
		if err != nil {
			return out, err
		}
	}
	if pretraining {
		out.Loss = out.SSL.Loss
		return out, nil
	}
	if f.IsZero() {
		if f, err = h.sharedFeatures(weak, first); err != nil {
			return out, err
		}
	}
	out.Logits = h.Net.Head.Forward(f)
	out.Class = h.Options.Loss(out.Logits, b.Y)
	out.Loss = out.Class
	if h.active {
		out.Loss = autograd.Add(out.Loss, autograd.Scale(out.SSL.Loss, float32(h.Options.Lambda)))
		if h.MI != nil && h.Options.Beta > 0 {
			s := out.SSL.Specific
			if h.Options.ShareView { // f is of the first view
				if s = s[1:]; len(s) == 0 {
					return out, fmt.Errorf("ssl: Heterotopic: ShareView would pair the feature of a view with what is computed from it; this method has one view: give the classifier a weak one")
				}
			}
			if out.MI, err = h.MI.Loss(f, s...); err != nil {
				return out, err
			}
			out.Loss = autograd.Add(out.Loss, autograd.Scale(out.MI, float32(h.Options.Beta)))
		}
	}
	checked, err := finite("Heterotopic", Output{Loss: out.Loss})
	out.Loss = checked.Loss
	return out, err
}

// sharedFeatures returns the classifier's features of the first view x, from the map that the
// branch has made of what it was passed first.
func (h *Heterotopic) sharedFeatures(x *tensor.Tensor, first passed) (autograd.Var, error) {
	n := x.Dim(0)
	if first.x.IsZero() || first.x.Dim(0) < n || first.x.Len() < x.Len() || !slices.Equal(first.x.Data()[:x.Len()], x.Data()) {
		return autograd.Var{}, fmt.Errorf("ssl: Heterotopic: the method does not pass the first view as it is, and so it cannot be shared: leave ShareView out")
	}
	m := rows(first.m, 0, n)
	rest := &nn.Backbone{Stages: h.Net.Backbone.Stages[len(h.Branch.Trunk.Stages):], Pool: h.Net.Backbone.Pool}
	return rest.Forward(m), nil
}

// Update counts the step, and calls the method's Update if the step trained the method.
func (h *Heterotopic) Update() {
	if h.active {
		h.Method.Update()
	}
	h.Steps++
}

// Strip returns the classifier without the branch. Its logits equal those of the training
// network in eval mode, bit for bit, and its names are the usual ones. It is the network
// itself, not a copy.
func (h *Heterotopic) Strip() *nn.Classifier { return h.Net }

// Walk names the contents of the classifier without a prefix, and below ssl: filter,
// method, mi and step.
func (h *Heterotopic) Walk(w *nn.Walker) {
	w.Child("", h.Net)
	w.Child("ssl", added{h})
}

// added is what Strip leaves out.
type added struct{ h *Heterotopic }

func (a added) Walk(w *nn.Walker) {
	w.Child("filter", a.h.Branch.Filter)
	w.Child("method", a.h.Method)
	if a.h.MI != nil {
		w.Child("mi", a.h.MI)
	}
	w.Counter("step", &a.h.Steps)
}
