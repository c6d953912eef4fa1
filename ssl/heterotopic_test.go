package ssl

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/checkpoint"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// smallNet is a classifier of 3x8x8 into 4 classes with stages stem, one and two.
func smallNet() *nn.Classifier {
	rng := seeded(1)
	flat := nn.ConvOptions{Padding: 1, NoBias: true}
	half := nn.ConvOptions{Padding: 1, Stride: 2, NoBias: true}
	stage := func(name string, in, out int, o nn.ConvOptions) nn.Stage {
		return nn.Stage{Name: name, Width: out, Module: nn.NewSequential(nn.NewConv2D(rng, in, out, 3, o), nn.NewBatchNorm(out), nn.ReLU{})}
	}
	return &nn.Classifier{
		Backbone: &nn.Backbone{
			Stages: []nn.Stage{stage("stem", 3, 4, flat), stage("one", 4, 6, half), stage("two", 6, 8, half)},
			Pool:   nn.Stage{Name: "pool", Width: 8, Module: nn.GlobalAvgPool{}},
		},
		Head: nn.NewLinear(rng, 8, 4), HeadName: "fc",
	}
}

// threeViews is a batch of a weak view and two others.
func threeViews(step int) data.Batch {
	b, weak := pixels(step), pixels(step+100)
	x := tensor.New(48, 3, 8, 8)
	copy(x.Data(), weak.X.Data()[:x.Len()/3])
	copy(x.Data()[x.Len()/3:], b.X.Data())
	for i := range b.Y {
		b.Y[i] = i % 4
	}
	b.X = x
	return b
}

func newHeterotopic(t *testing.T, net *nn.Classifier, name string, mi bool, o HeterotopicOptions) *Heterotopic {
	t.Helper()
	var r *Regularizer
	if mi {
		r = Maximize(NewInfoNCEBound(8, 8, 1), RegularizerOptions{})
	}
	h, err := NewHeterotopic(net, func(e Encoder) (Method, error) { return New(name, e, modest(64)) }, r, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func train(t *testing.T, h *Heterotopic, opt optim.Optimizer, tape *autograd.Tape, from, to int) {
	t.Helper()
	for step := from; step < to; step++ {
		tape.ResetTo(uint64(step))
		b := threeViews(step)
		if h.Options.ShareView {
			b.X = b.X.Slice(16, 48)
		}
		out, err := h.Loss(tape, b)
		if err != nil {
			t.Fatal(err)
		}
		if err := opt.Step(tape.Gradients(out.Loss)); err != nil {
			t.Fatal(err)
		}
		h.Update()
	}
}

// TestArrangements: what takes part in the loss of each, and that its parts train.
func TestArrangements(t *testing.T) {
	for _, name := range Names() {
		for a, parts := range map[Arrangement]string{GenericSpecific: "class ssl mi", Generic: "class ssl", Shared: "class ssl", Initial: "ssl"} {
			net := smallNet()
			h := newHeterotopic(t, net, name, a == GenericSpecific, HeterotopicOptions{Arrangement: a, InitSteps: 2})
			tape := autograd.NewTape(autograd.Training, 0)
			out, err := h.Loss(tape, threeViews(0))
			if err != nil {
				t.Fatalf("%s, %v: %v", name, a, err)
			}
			var got []string
			sum := 0.0
			if !out.Class.IsZero() {
				got, sum = append(got, "class"), sum+out.Class.Scalar()
			}
			if !out.SSL.Loss.IsZero() {
				weight := 0.5
				if a == Initial {
					weight = 1
				}
				got, sum = append(got, "ssl"), sum+weight*out.SSL.Loss.Scalar()
			}
			if !out.MI.IsZero() {
				got, sum = append(got, "mi"), sum+0.1*out.MI.Scalar()
			}
			if strings.Join(got, " ") != parts {
				t.Errorf("%s, %v: the loss has %v, want %v", name, a, got, parts)
			}
			near(t, "the sum of the parts", out.Loss.Scalar(), sum, 1e-4)
			g := tape.Gradients(out.Loss)
			for e := range nn.State(h) {
				if e.Param == nil || e.Param.Frozen() {
					continue
				}
				if d := g.Of(e.Param); (d == nil) != (a == Initial && strings.HasPrefix(e.Name, "fc.")) {
					t.Errorf("%s, %v: a gradient of %s: %v", name, a, e.Name, d != nil)
				}
			}
			if filter := nn.Count(h.Branch.Filter); (filter > 0) != (a == GenericSpecific || a == Generic) {
				t.Errorf("%v has a filter of %d parameters", a, filter)
			}
			// Initial goes on with the classification alone.
			if a == Initial {
				h.Update()
				h.Update()
				tape.Reset()
				if out, err = h.Loss(tape, threeViews(1)); err != nil || out.Class.IsZero() || !out.SSL.Loss.IsZero() {
					t.Errorf("%s: after the first steps the loss is not the classifier's: %v", name, err)
				}
			}
		}
	}
}

// TestStrip: the classifier that is left has the same logits, bit for bit, the parameters of a
// plain network, and a file without a trace of the rest.
func TestStrip(t *testing.T) {
	for _, name := range []string{"simclr", "moco2", "byol"} {
		net := smallNet()
		h := newHeterotopic(t, net, name, true, HeterotopicOptions{})
		train(t, h, optim.NewSGD(Trainable(h), optim.SGDOptions{LR: 0.05, Momentum: 0.9}), autograd.NewTape(autograd.Training, 0), 0, 4)
		x := threeViews(9).X
		tape := autograd.NewTape(autograd.Eval, 0)
		want := h.Net.Head.Forward(h.Net.Backbone.Forward(tape.Input(x))).Value().Clone()
		path := filepath.Join(t.TempDir(), "net.safetensors")
		if err := nn.Save(path, h.Strip()); err != nil {
			t.Fatal(err)
		}
		plain := smallNet()
		if err := nn.Load(path, plain); err != nil { // no other names are there
			t.Fatal(err)
		}
		tape.Reset()
		compare(t, name, plain.Forward(tape.Input(x)).Data(), want.Data())
		if nn.Count(h.Strip()) != nn.Count(smallNet()) || nn.Count(h) <= nn.Count(smallNet()) {
			t.Errorf("%s: %d parameters of %d are left", name, nn.Count(h.Strip()), nn.Count(h))
		}
		for e := range nn.State(h.Strip()) {
			if strings.Contains(e.Name, "ssl") || strings.Contains(e.Name, "filter") {
				t.Errorf("%s is left", e.Name)
			}
		}
		// Dagger: cRT on top trains the new head alone.
		params := longtail.Retrain(h.Strip(), nn.NewLinear(seeded(2), 8, 4), longtail.RetrainOptions{})
		if len(params) != 2 {
			t.Errorf("cRT trains %d parameters", len(params))
		}
	}
}

// TestWeakStatistics: the running statistics of the trunk are those of what the classifier
// sees, unless they are to be mixed.
func TestWeakStatistics(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		net, plain := smallNet(), smallNet()
		h := newHeterotopic(t, net, "simclr", true, HeterotopicOptions{MixStatistics: mixed})
		b := threeViews(0)
		if _, err := h.Loss(autograd.NewTape(autograd.Training, 0), b); err != nil {
			t.Fatal(err)
		}
		plain.Forward(autograd.NewTape(autograd.Training, 0).Input(b.X.Slice(0, 16)))
		stat := func(n *nn.Classifier) []float32 {
			return n.Backbone.Stages[0].Module.(*nn.Sequential).Layers[1].(*nn.BatchNorm).RunningMean.Data()
		}
		if slices.Equal(stat(net), stat(plain)) == mixed {
			t.Errorf("mixed %v: %v, by the weak view alone %v", mixed, stat(net), stat(plain))
		}
	}
}

// TestShareView: the classifier's features are those of the first strong view.
func TestShareView(t *testing.T) {
	for _, attach := range []string{"last", "penultimate", "stem"} {
		for _, name := range []string{"simclr", "byol", "rotation"} {
			net, plain := smallNet(), smallNet()
			h := newHeterotopic(t, net, name, false, HeterotopicOptions{Arrangement: Generic, ShareView: true, Attach: attach})
			b := threeViews(0)
			b.X = b.X.Slice(16, 48)
			tape := autograd.NewTape(autograd.Training, 0)
			out, err := h.Loss(tape, b)
			if err != nil {
				t.Fatal(err)
			}
			want := plain.Forward(tape.Input(b.X.Slice(0, 16)))
			if name == "byol" { // it passes a view by itself, with the same batch statistics
				compare(t, name+" at "+attach, out.Logits.Data(), want.Data())
			} else if out.Logits.Dim(0) != 16 {
				t.Errorf("%s: logits %v", name, out.Logits.Shape())
			}
		}
	}
	h := newHeterotopic(t, smallNet(), "jigsaw", false, HeterotopicOptions{Arrangement: Generic, ShareView: true})
	b := threeViews(0)
	if _, err := h.Loss(autograd.NewTape(autograd.Training, 0), b); err == nil {
		t.Error("the tiles of a jigsaw are taken for the view")
	}
	h = newHeterotopic(t, smallNet(), "rotation", true, HeterotopicOptions{ShareView: true})
	if _, err := h.Loss(autograd.NewTape(autograd.Training, 0), b); err == nil || !strings.Contains(err.Error(), "pair") {
		t.Errorf("a feature is paired with one of its own view: %v", err)
	}
}

// TestSharedPairs: with one strong view for both, f is paired with the specific feature of
// the other view alone.
func TestSharedPairs(t *testing.T) {
	net, plain := smallNet(), smallNet()
	h := newHeterotopic(t, net, "byol", true, HeterotopicOptions{ShareView: true})
	b := threeViews(0)
	b.X = b.X.Slice(16, 48)
	tape := autograd.NewTape(autograd.Training, 0)
	out, err := h.Loss(tape, b)
	if err != nil {
		t.Fatal(err)
	}
	want, err := h.MI.Loss(plain.Backbone.Forward(tape.Input(b.X.Slice(0, 16))), out.SSL.Specific[1])
	if err != nil {
		t.Fatal(err)
	}
	near(t, "the term of information", out.MI.Scalar(), want.Scalar(), 1e-6)
}

// TestTermsLeftOut: a negative weight leaves its term out, and the loss of the classifier is
// the caller's.
func TestTermsLeftOut(t *testing.T) {
	half := func(logits autograd.Var, labels []int) autograd.Var {
		return autograd.Scale(nn.CrossEntropy(logits, labels), 0.5)
	}
	for what, o := range map[string]HeterotopicOptions{"lambda": {Lambda: -1}, "beta": {Beta: -1}, "loss": {Lambda: -1, Loss: half}} {
		h := newHeterotopic(t, smallNet(), "simclr", true, o)
		out, err := h.Loss(autograd.NewTape(autograd.Training, 0), threeViews(0))
		if err != nil {
			t.Fatal(err)
		}
		if !out.MI.IsZero() || out.SSL.Loss.IsZero() != (what != "beta") {
			t.Errorf("%s: a term that is left out was computed", what)
		}
		want := nn.CrossEntropy(out.Logits, threeViews(0).Y).Scalar()
		switch what {
		case "beta":
			want += 0.5 * out.SSL.Loss.Scalar()
		case "loss":
			want /= 2
		}
		near(t, "the loss without "+what, out.Loss.Scalar(), want, 1e-5)
	}
}

// TestHeterotopicUpdates: the method's own updates follow the steps it had a part in.
func TestHeterotopicUpdates(t *testing.T) {
	for a, want := range map[Arrangement]int64{Generic: 5, Initial: 3} {
		h := newHeterotopic(t, smallNet(), "moco2", false, HeterotopicOptions{Arrangement: a, InitSteps: 3})
		train(t, h, optim.NewSGD(Trainable(h), optim.SGDOptions{LR: 0.01}), autograd.NewTape(autograd.Training, 0), 0, 5)
		if m := h.Method.(*MoCo); m.Steps != want || m.Next != 16*want%48 {
			t.Errorf("%v: %d updates and the queue at %d after 5 steps, want %d updates", a, m.Steps, m.Next, want)
		}
	}
}

func TestHeterotopicResumes(t *testing.T) {
	for _, bound := range []string{"infonce", "mine", "vclub"} {
		for _, name := range []string{"moco2", "byol"} {
			begin := func() (*Heterotopic, *optim.SGD) {
				r, err := NewRegularizer(bound, bound != "vclub", 8, 8, 1, RegularizerOptions{})
				if err != nil {
					t.Fatal(err)
				}
				h, err := NewHeterotopic(smallNet(), func(e Encoder) (Method, error) { return New(name, e, modest(64)) }, r, HeterotopicOptions{})
				if err != nil {
					t.Fatal(err)
				}
				return h, optim.NewSGD(Trainable(h), optim.SGDOptions{LR: 0.05, Momentum: 0.9})
			}
			state := func(h *Heterotopic) []byte {
				var b bytes.Buffer
				if err := nn.Write(&b, h, nn.SaveOptions{}); err != nil {
					t.Fatal(err)
				}
				return b.Bytes()
			}
			tape := autograd.NewTape(autograd.Training, 0)
			whole, opt := begin()
			train(t, whole, opt, tape, 0, 6)
			first, opt1 := begin()
			train(t, first, opt1, tape, 0, 3)
			path := filepath.Join(t.TempDir(), "run")
			run := checkpoint.Run{Trees: map[string]nn.Tree{"net": first, "opt": opt1}}
			if err := run.Save(path); err != nil {
				t.Fatal(err)
			}
			second, opt2 := begin()
			run = checkpoint.Run{Trees: map[string]nn.Tree{"net": second, "opt": opt2}}
			if err := run.Load(path); err != nil {
				t.Fatal(err)
			}
			train(t, second, opt2, tape, 3, 6)
			if !bytes.Equal(state(whole), state(second)) {
				t.Errorf("%s with %s: the resumed run differs", name, bound)
			}
		}
	}
}

// TestFilters: shapes and parameters for the backbones of the thesis.
func TestFilters(t *testing.T) {
	for _, c := range []struct {
		net      *nn.Classifier
		attach   string
		channels int
		params   int
	}{
		{models.ResNet32(1, 10), "", 64, 2*64*64*9 + 4*64},
		{models.ResNet32(1, 10), "penultimate", 64, 32*64*9 + 64*64*9 + 4*64},
		{models.ResNet10(1, 10), "", 512, 2*512*256 + 256*256*9 + 2*(512+2*256)},
		{models.ResNet50(1, 10), "layer4", 2048, 2*2048*512 + 512*512*9 + 2*(2048+2*512)},
	} {
		h, err := NewHeterotopic(c.net, func(e Encoder) (Method, error) { return NewSimCLR(e, SimCLROptions{}), nil }, nil, HeterotopicOptions{Arrangement: Generic, Attach: c.attach})
		if err != nil {
			t.Fatal(err)
		}
		if h.Branch.Width() != c.channels || nn.Count(h.Branch.Filter) != c.params {
			t.Errorf("at %q: %d channels and %d parameters, want %d and %d", c.attach, h.Branch.Width(), nn.Count(h.Branch.Filter), c.channels, c.params)
		}
	}
	h, err := NewHeterotopic(models.ResNet32(1, 10), func(e Encoder) (Method, error) { return NewSimCLR(e, SimCLROptions{}), nil }, nil, HeterotopicOptions{Arrangement: Generic, Attach: "penultimate"})
	if err != nil {
		t.Fatal(err)
	}
	tape := autograd.NewTape(autograd.Inference, 0)
	if r := h.Branch.Forward(tape.Input(tensor.New(2, 3, 32, 32))); !slices.Equal(r.Shape(), []int{2, 64}) {
		t.Errorf("features %v", r.Shape())
	}
}

func TestHeterotopicErrors(t *testing.T) {
	simclr := func(e Encoder) (Method, error) { return New("simclr", e, modest(0)) }
	for what, o := range map[string]HeterotopicOptions{
		"a stage that is not there":  {Arrangement: Generic, Attach: "layer7"},
		"no regulariser":             {},
		"no InitSteps":               {Arrangement: Initial},
		"sharing at an early stage":  {Arrangement: Shared, Attach: "one"},
		"an identity in mid-network": {Arrangement: Generic, Attach: "penultimate", Filter: IdentityFilter},
	} {
		if _, err := NewHeterotopic(smallNet(), simclr, nil, o); err == nil || !strings.HasPrefix(err.Error(), "ssl: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	h := newHeterotopic(t, smallNet(), "simclr", true, HeterotopicOptions{})
	if _, err := h.Loss(autograd.NewTape(autograd.Training, 0), pixels(0)); err == nil || !strings.Contains(err.Error(), "2 views") {
		t.Errorf("two views for three: %v", err)
	}
	for _, text := range []string{"generic-specific", "generic", "shared", "initial"} {
		var a Arrangement
		if err := a.UnmarshalText([]byte(text)); err != nil || a.String() != text {
			t.Errorf("%q is read as %v: %v", text, a, err)
		}
	}
	var a Arrangement
	if a.UnmarshalText([]byte("mixed")) == nil {
		t.Error("an unknown arrangement is read")
	}
}

// TestSharedSpace: without a filter the method's features are the classifier's, also where
// these are more than a mean over positions.
func TestSharedSpace(t *testing.T) {
	net := models.LeNet5(1, 10)
	h, err := NewHeterotopic(net, func(e Encoder) (Method, error) { return NewSimCLR(e, SimCLROptions{}), nil }, nil, HeterotopicOptions{Arrangement: Shared})
	if err != nil {
		t.Fatal(err)
	}
	tape := autograd.NewTape(autograd.Eval, 0)
	x := tape.Input(normal(1, 3, 1, 28, 28))
	compare(t, "the features", h.Branch.Forward(x).Data(), net.Backbone.Forward(x).Data())
	if h.Branch.Width() != 84 {
		t.Errorf("%d features", h.Branch.Width())
	}
	// The average of BYOL holds all of it.
	h, err = NewHeterotopic(net, func(e Encoder) (Method, error) { return NewBYOL(e, BYOLOptions{}), nil }, nil, HeterotopicOptions{Arrangement: Shared})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := nn.Count(h.Method.(*BYOL).Target.Model.Encoder), nn.Count(net.Backbone); got != want {
		t.Errorf("the average has %d parameters of the encoder's %d", got, want)
	}
}
