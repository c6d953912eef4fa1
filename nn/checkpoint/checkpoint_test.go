package checkpoint

import (
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

type settings struct {
	Seed    uint64
	LR      float64 `json:"lr"`
	Augment struct{ Padding int }
	Note    string `json:",omitempty"`
}

// training is a run with every kind of state.
type training struct {
	Run
	model   *nn.Sequential
	average *optim.EMA[*nn.Sequential]
	opt     *optim.Joined
	loader  *data.Loader
	tape    *autograd.Tape
	losses  []float64
	best    struct{ Loss float64 }
}

func start(t *testing.T, s settings) *training {
	t.Helper()
	rng := rand.New(rand.NewPCG(s.Seed, 0))
	x := tensor.New(22, 1, 6, 6)
	y := make([]int, 22)
	for i := range x.Data() {
		x.Data()[i] = rng.Float32()
	}
	for i := range y {
		y[i] = rng.IntN(3)
	}
	d, err := data.NewTensors(x, y, 3)
	if err != nil {
		t.Fatal(err)
	}
	m := nn.NewSequential(nn.NewConv2D(rng, 1, 4, 3, nn.ConvOptions{}), nn.NewBatchNorm(4), nn.ReLU{}, nn.Dropout{P: 0.2}, nn.Flatten{}, nn.NewLinear(rng, 64, 3))
	r := &training{model: m, average: optim.NewEMA(m, optim.EMAOptions{Decay: 0.9}), tape: autograd.NewTape(autograd.Training, s.Seed)}
	weights, others := optim.ByDecay(nn.Params(m))
	r.opt = optim.Join(optim.NewSGD(weights, optim.SGDOptions{LR: s.LR, Momentum: 0.9}), optim.NewAdam(others, optim.AdamOptions{LR: s.LR}))
	r.loader, err = data.NewLoader(d, data.LoaderOptions{BatchSize: 5, Shuffle: true, Seed: s.Seed, Transform: data.RandomCrop{Padding: s.Augment.Padding}})
	if err != nil {
		t.Fatal(err)
	}
	r.Run = Run{
		Settings: s,
		Trees:    map[string]nn.Tree{"model": m, "optim": r.opt, "average": r.average},
		Loaders:  map[string]*data.Loader{"train": r.loader},
		Tapes:    map[string]*autograd.Tape{"train": r.tape},
		Values:   map[string]any{"losses": &r.losses, "best": &r.best},
	}
	return r
}

// advance takes steps up to a number of them since the beginning, and returns the
// state.
func (r *training) advance(t *testing.T, steps int) []float32 {
	t.Helper()
	for len(r.losses) < steps {
		for batch, err := range r.loader.Batches(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			pairs := data.Mixup{}.Mix(batch.X, batch.Y, 1, r.tape.Step())
			loss := autograd.SoftCrossEntropy(r.model.Forward(r.tape.Input(batch.X)), r.tape.Input(pairs.Targets(3)), autograd.ReduceMean)
			r.losses = append(r.losses, loss.Scalar())
			r.best.Loss = slices.Min(r.losses)
			if err := r.opt.Step(r.tape.Gradients(loss)); err != nil {
				t.Fatal(err)
			}
			r.average.Update()
			r.tape.Reset()
			if len(r.losses) == steps {
				break
			}
		}
	}
	var all []float32
	for e := range nn.State(r) {
		if e.Counter != nil {
			all = append(all, float32(*e.Counter)) // few
			continue
		}
		all = append(all, e.Value().Data()...)
	}
	return all
}

func standard() settings { return settings{Seed: 3, LR: 0.05} }

func TestResumeBitForBit(t *testing.T) {
	whole := start(t, standard())
	want := whole.advance(t, 13)
	for _, stop := range []int{0, 1, 5, 9, 12} { // epochs have five steps
		path := filepath.Join(t.TempDir(), "c.safetensors")
		first := start(t, standard())
		first.advance(t, stop)
		if err := first.Save(path); err != nil {
			t.Fatal(err)
		}
		second := start(t, standard())
		second.advance(t, 3) // what is there is replaced
		if err := second.Load(path); err != nil {
			t.Fatal(err)
		}
		if got := second.advance(t, 13); !slices.Equal(got, want) {
			t.Errorf("stopped after step %d and resumed: other state", stop)
		}
		if !slices.Equal(second.losses, whole.losses) || second.best != whole.best {
			t.Errorf("stopped after step %d and resumed: losses %v, want %v", stop, second.losses, whole.losses)
		}
	}
}

func TestRefusesAnotherRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.safetensors")
	r := start(t, standard())
	r.advance(t, 2)
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	other := settings{Seed: 3, LR: 0.1, Note: "new"}
	other.Augment.Padding = 1
	o := start(t, other)
	before := o.advance(t, 1)
	err := o.Load(path)
	var e *SettingsError
	if !errors.As(err, &e) {
		t.Fatalf("error %v", err)
	}
	want := []Difference{{"Augment.Padding", "0", "1"}, {"Note", "", `"new"`}, {"lr", "0.05", "0.1"}}
	if !reflect.DeepEqual(e.Differences, want) || e.File != path {
		t.Errorf("%+v, want %+v", e, want)
	}
	for _, say := range []string{path, "of another run", "lr is 0.05 there and 0.1 here", `Note is missing there and "new" here`} {
		if !strings.Contains(err.Error(), say) {
			t.Errorf("%v: does not say %q", err, say)
		}
	}
	if got := o.advance(t, 1); !slices.Equal(got, before) {
		t.Error("the state has changed")
	}
	if err := (&Run{Settings: uint64(1) << 60}).Save(path); err != nil {
		t.Fatal(err)
	}
	if err := (&Run{Settings: uint64(1)<<60 + 1}).Load(path); !errors.As(err, &e) {
		t.Errorf("a seed that differs in its last bit: %v", err)
	}
	if err := (&Run{Settings: 2}).Save(path); err != nil {
		t.Fatal(err)
	}
	if err := (&Run{Settings: 3}).Load(path); !errors.As(err, &e) || len(e.Differences) != 1 {
		t.Errorf("error %v", err)
	}
	if err := (&Run{Settings: standard()}).Load(path); !errors.As(err, &e) {
		t.Errorf("error %v", err)
	}
}

// What does not fit is refused as a whole.
func TestRefusesAnotherState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.safetensors")
	r := start(t, standard())
	r.advance(t, 2)
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	small, err := data.NewLoader(r.loader.Dataset(), data.LoaderOptions{BatchSize: 22})
	if err != nil {
		t.Fatal(err)
	}
	var number int
	for say, change := range map[string]func(o *training){
		"it has no tape eval":                         func(o *training) { o.Tapes["eval"] = o.tape },
		"it has a value best, which this run has not": func(o *training) { delete(o.Values, "best") },
		"it has no loader test":                       func(o *training) { o.Loaders["test"] = o.loader },
		"loader train has no batch 2 of 1 in epoch 0": func(o *training) { o.Loaders["train"] = small },
		"value losses: json: cannot unmarshal":        func(o *training) { o.Values["losses"] = &number },
		"missing (critic.weight, critic.bias)":        func(o *training) { o.Trees["critic"] = nn.NewLinear(nil, 1, 1) },
		"unexpected (average.0.bias,":                 func(o *training) { delete(o.Trees, "average") },
	} {
		o := start(t, standard())
		before := o.advance(t, 1)
		tree := maps.Clone(o.Trees)
		change(o)
		if err := o.Load(path); err == nil || !strings.Contains(err.Error(), say) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want one that says %q", err, say)
		}
		o.Trees = tree
		if got := o.advance(t, 1); !slices.Equal(got, before) || len(o.losses) != 1 || o.tape.Step() != 1 {
			t.Errorf("%s: the state has changed", say)
		}
	}
	if err := r.Load(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := nn.Save(path, r.model); err != nil {
		t.Fatal(err)
	}
	if err := r.Load(path); err == nil || !strings.Contains(err.Error(), "no checkpoint") {
		t.Errorf("a file of weights: %v", err)
	}
	if err := nn.SaveWith(path, r, nn.SaveOptions{Metadata: map[string]string{key: "{"}}); err != nil {
		t.Fatal(err)
	}
	if err := r.Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("garbled state: %v", err)
	}
}

// A save that fails leaves the file that was there.
func TestFailedSaveKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.safetensors")
	r := start(t, standard())
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	old, _ := os.ReadFile(path)
	r.Values["bad"] = func() {}
	if err := r.Save(path); err == nil || !strings.Contains(err.Error(), "bad") {
		t.Errorf("error %v", err)
	}
	r.Settings = func() {}
	if err := r.Save(path); err == nil || !strings.Contains(err.Error(), "settings") {
		t.Errorf("error %v", err)
	}
	if now, _ := os.ReadFile(path); !slices.Equal(old, now) {
		t.Error("the old file is gone")
	}
}
