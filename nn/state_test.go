package nn

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

func TestNames(t *testing.T) {
	rng := newRand(t)
	m := NewSequential(NewBasicBlock(rng, 4, 8, 2, Projection), NewLinear(rng, 8, 2))
	var names []string
	for e := range State(m) {
		names = append(names, e.Name)
	}
	bn := func(prefix string) []string {
		return []string{prefix + "weight", prefix + "bias", prefix + "running_mean", prefix + "running_var", prefix + "num_batches_tracked"}
	}
	want := slices.Concat([]string{"0.conv1.weight"}, bn("0.bn1."), []string{"0.conv2.weight"}, bn("0.bn2."),
		[]string{"0.downsample.0.weight"}, bn("0.downsample.1."), []string{"1.weight", "1.bias"})
	if !slices.Equal(names, want) {
		t.Errorf("names %v, want %v", names, want)
	}
	if err := tensor.Try(func() error { Params(twin{m}); return nil }); err == nil || !strings.Contains(err.Error(), "are called") {
		t.Errorf("two of a name: %v", err)
	}
}

// twin names its child twice.
type twin struct{ m Tree }

func (d twin) Walk(w *Walker) { w.Child("a", d.m); w.Child("a", d.m) }

// A loop over the state may end early, inside a subtree.
func TestStateStops(t *testing.T) {
	m := NewSequential(NewSequential(NewLinear(nil, 2, 2), NewLinear(nil, 2, 2)), NewLinear(nil, 2, 2))
	var names []string
	for e := range State(m) {
		if names = append(names, e.Name); len(names) == 2 {
			break
		}
	}
	if !slices.Equal(names, []string{"0.0.weight", "0.0.bias"}) {
		t.Errorf("names %v", names)
	}
}

func TestSaveAndLoad(t *testing.T) {
	rng := newRand(t)
	a, b := everything(rng), everything(rng)
	path := filepath.Join(t.TempDir(), "w.safetensors")
	*a.Layers[1].(*BatchNorm).Batches = 1<<53 + 1 // which neither float32 nor float64 can hold
	if err := Save(path, a); err != nil {
		t.Fatal(err)
	}
	if err := Load(path, b); err != nil {
		t.Fatal(err)
	}
	equalState(t, a, b)
	f, err := tensor.OpenSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, e := range f.Entries() {
		if strings.HasSuffix(e.Name, "num_batches_tracked") && (e.DType != tensor.I64 || len(e.Shape) != 0) {
			t.Errorf("%s is stored as %s %v", e.Name, e.DType, e.Shape)
		}
	}
}

func equalState(t *testing.T, a, b Tree) {
	t.Helper()
	var sb []Entry
	for e := range State(b) {
		sb = append(sb, e)
	}
	i := 0
	for e := range State(a) {
		switch {
		case e.Counter != nil:
			if *e.Counter != *sb[i].Counter {
				t.Errorf("%s is %d and %d", e.Name, *e.Counter, *sb[i].Counter)
			}
		case !slices.Equal(e.Value().Data(), sb[i].Value().Data()):
			t.Errorf("%s differs", e.Name)
		}
		i++
	}
}

// In half precision weights take two bytes and counters stay what they are.
func TestSaveInHalfPrecision(t *testing.T) {
	rng := newRand(t)
	path := filepath.Join(t.TempDir(), "w.safetensors")
	m := NewSequential(NewLinear(rng, 3, 4), NewBatchNorm(4))
	*m.Layers[1].(*BatchNorm).Batches = 70001 // which half precision cannot hold
	if err := SaveWith(path, m, SaveOptions{DType: tensor.F16, Metadata: map[string]string{"model": "x"}}); err != nil {
		t.Fatal(err)
	}
	s, err := tensor.OpenSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Metadata()["model"] != "x" {
		t.Errorf("metadata %v", s.Metadata())
	}
	for _, e := range s.Entries() {
		want := tensor.F16
		if strings.HasSuffix(e.Name, "num_batches_tracked") {
			want = tensor.I64
		}
		if e.DType != want {
			t.Errorf("%s is stored as %s, want %s", e.Name, e.DType, want)
		}
	}
	back := NewSequential(NewLinear(nil, 3, 4), NewBatchNorm(4))
	if err := Load(path, back); err != nil {
		t.Fatal(err)
	}
	close(t, "weights", back.Layers[0].(*Linear).Weight.Value().Data(), m.Layers[0].(*Linear).Weight.Value().Data(), 1e-3)
	if n := *back.Layers[1].(*BatchNorm).Batches; n != 70001 {
		t.Errorf("%v batches", n)
	}
}

// Two tensors of a file cannot become one of the network.
func TestRenameClashes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := Save(path, NewSequential(NewLinear(nil, 2, 2), NewLinear(nil, 2, 2))); err != nil {
		t.Fatal(err)
	}
	first := func(name string) string { return "0" + name[1:] }
	if err := LoadWith(path, NewSequential(NewLinear(nil, 2, 2)), LoadOptions{Rename: first}); err == nil || !strings.Contains(err.Error(), "both renamed") {
		t.Errorf("error %v", err)
	}
}

func TestLoadIsStrict(t *testing.T) {
	rng := newRand(t)
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := Save(path, NewSequential(NewLinear(rng, 3, 4), ReLU{}, NewLinear(rng, 4, 2))); err != nil {
		t.Fatal(err)
	}
	other := NewSequential(NewLinear(rng, 3, 4), NewBatchNorm(4), NewLinear(rng, 4, 5))
	before := Clone(other)
	var e *StateError
	err := Load(path, other)
	if !errors.As(err, &e) {
		t.Fatalf("error %v", err)
	}
	if want := []string{"1.weight", "1.bias", "1.running_mean", "1.running_var"}; !slices.Equal(e.Missing, want) {
		t.Errorf("missing %v, want %v (a counter may be absent)", e.Missing, want)
	}
	if len(e.Unexpected) != 0 || len(e.Misshapen) != 2 || !strings.Contains(err.Error(), "2.weight: have [2 4], want [5 4]") {
		t.Errorf("error %v", err)
	}
	equalState(t, before, other)
	if err := LoadWith(path, other, LoadOptions{Partial: true}); err != nil {
		t.Fatal(err)
	}
	if slices.Equal(other.Layers[0].(*Linear).Weight.Value().Data(), before.Layers[0].(*Linear).Weight.Value().Data()) {
		t.Error("what fits was not loaded")
	}
	stranger := NewSequential(ReLU{}, NewLinear(rng, 3, 4))
	if err := LoadWith(path, stranger, LoadOptions{Partial: true}); !errors.As(err, &e) {
		t.Errorf("a file of which nothing fits was loaded in part: %v", err)
	}
	one := NewSequential(NewLinear(rng, 3, 4))
	if err := Load(path, one); !errors.As(err, &e) || !slices.Equal(e.Unexpected, []string{"2.bias", "2.weight"}) {
		t.Errorf("error %v", err)
	}
	drop := func(name string) string {
		if strings.HasPrefix(name, "2.") {
			return ""
		}
		return name
	}
	if err := LoadWith(path, one, LoadOptions{Rename: drop}); err != nil {
		t.Error(err)
	}
}

func TestLoadRejectsDamagedFiles(t *testing.T) {
	rng := newRand(t)
	m := NewSequential(NewLinear(rng, 3, 4), NewBatchNorm(4))
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := Save(path, m); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before := Clone(m)
	for _, n := range []int{0, 7, 8, 20, len(whole) - 1} {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Load(path, m); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%d of %d bytes: error %v", n, len(whole), err)
		}
	}
	equalState(t, before, m)
}

// A save that fails leaves the file that was there.
func TestFailedSaveKeepsTheOldFile(t *testing.T) {
	rng := newRand(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "w.safetensors")
	if err := Save(path, NewLinear(rng, 2, 2)); err != nil {
		t.Fatal(err)
	}
	old, _ := os.ReadFile(path)
	bad := NewLinear(rng, 2, 2)
	Constant(bad.Weight, 1e9) // beyond half precision: fails in the middle
	if err := SaveWith(path, bad, SaveOptions{DType: tensor.F16}); err == nil {
		t.Error("no error")
	}
	now, _ := os.ReadFile(path)
	if !slices.Equal(old, now) {
		t.Error("the old file is gone")
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 1 {
		t.Errorf("%d files are left", len(files))
	}
	if err := Save(filepath.Join(dir, "none", "w"), bad); err == nil {
		t.Error("no error for a missing directory")
	}
}

func TestClone(t *testing.T) {
	rng := newRand(t)
	shared := NewLinear(rng, 4, 4)
	m := NewSequential(shared, everything(rng), shared)
	c := Clone(m)
	equalState(t, m, c)
	if c.Layers[0] != c.Layers[2] {
		t.Error("a layer used twice became two")
	}
	Constant(shared.Weight, 3)
	if c.Layers[0].(*Linear).Weight.Value().Data()[0] == 3 {
		t.Error("the copy shares a parameter")
	}
	captured := Walked{func(w *Walker) { w.Child("l", shared) }}
	for say, m := range map[string]Tree{
		`"l.weight" cannot be copied: it is held by the unexported field l of nn.hidden`:   hidden{shared},
		`"0.l.weight" cannot be copied: it is held by the unexported field l of nn.hidden`: NewSequential(hidden{shared}),
		"held by a function": captured,
	} {
		if err := tensor.Try(func() error { Clone(m); return nil }); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("hidden parameters: %v, want %q", err, say)
		}
	}
	Copy(m, c)
	equalState(t, m, c)
}

type hidden struct{ l *Linear }

// Walked is a tree by what a function names.
type Walked struct{ F func(w *Walker) }

func (k Walked) Walk(w *Walker) { k.F(w) }

func (h hidden) Walk(w *Walker)                      { w.Child("l", h.l) }
func (h hidden) Forward(x autograd.Var) autograd.Var { return h.l.Forward(x) }
