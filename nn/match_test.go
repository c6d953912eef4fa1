package nn

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// wrapped names its network under a prefix.
type wrapped struct {
	prefix string
	m      Tree
}

func (p wrapped) Walk(w *Walker) { w.Child(p.prefix, p.m) }

// pair names two networks.
type pair [2]Tree

func (p pair) Walk(w *Walker) {
	w.Child("0", p[0])
	w.Child("1", p[1])
}

func layers(t *testing.T) *Sequential {
	rng := newRand(t)
	return NewSequential(NewLinear(rng, 3, 4), NewBatchNorm(4), NewLinear(rng, 4, 2))
}

func saved(t *testing.T, m Tree) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := Save(path, m); err != nil {
		t.Fatal(err)
	}
	return path
}

// Counts beyond 2^24, which float32 cannot hold, survive a file, training and copies.
func TestLargeCounts(t *testing.T) {
	for _, n := range []int64{0, 1 << 24, 1<<24 + 1, 20_000_001, 1<<53 + 1, 1<<63 - 1} {
		a, b := NewBatchNorm(1), NewBatchNorm(1)
		*a.Batches = n
		if err := Load(saved(t, a), b); err != nil || *b.Batches != n {
			t.Errorf("%d batches became %d (%v)", n, *b.Batches, err)
		}
		c := Clone(a)
		*a.Batches = 3
		if *c.Batches != n {
			t.Errorf("a clone has %d batches, want %d", *c.Batches, n)
		}
		Copy(a, c)
		if *a.Batches != n || a.Batches == c.Batches {
			t.Errorf("a copy has %d batches, want %d", *a.Batches, n)
		}
	}
	b := NewBatchNorm(1)
	*b.Batches = 1 << 24
	tape := autograd.NewTape(autograd.Training, 0)
	b.Forward(tape.Input(tensor.New(4, 1)))
	if *b.Batches != 1<<24+1 {
		t.Errorf("%d batches after one more than 2^24", *b.Batches)
	}
}

// A counter may be stored as another type by those who convert files.
func TestCountsOfOtherTypes(t *testing.T) {
	for _, d := range []tensor.DType{tensor.I32, tensor.F32, tensor.U8} {
		path := filepath.Join(t.TempDir(), "w.safetensors")
		one := func(v float32) *tensor.Tensor { return tensor.FromSlice([]float32{v}, 1) }
		var entries []tensor.Entry
		for _, name := range []string{"weight", "bias", "running_mean", "running_var"} {
			entries = append(entries, tensor.Entry{Name: name, Shape: []int{1}})
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w, err := tensor.NewSafetensorsWriter(f, append(entries, tensor.Entry{Name: "num_batches_tracked", DType: d}), nil)
		if err != nil {
			t.Fatal(err)
		}
		for range entries {
			w.Write(one(1))
		}
		if err := errors.Join(w.Write(tensor.Scalar(200)), w.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		b := NewBatchNorm(1)
		if err := Load(path, b); err != nil || *b.Batches != 200 {
			t.Errorf("%s: %d batches (%v)", d, *b.Batches, err)
		}
	}
}

// What a wrapper put before all names is stripped; what it put before some is named.
func TestPrefix(t *testing.T) {
	a := layers(t)
	for _, prefix := range []string{"module", "_orig_mod", "model", "module._orig_mod", "net.0"} {
		b := layers(t)
		if err := Load(saved(t, wrapped{prefix, a}), b); err != nil {
			t.Errorf("%s: %v", prefix, err)
			continue
		}
		equalState(t, a, b)
	}
	// A network that has the prefix itself.
	b := layers(t)
	if err := Load(saved(t, wrapped{"module", a}), wrapped{"module", b}); err != nil {
		t.Error(err)
	}
	equalState(t, a, b)

	// The prefix is stripped and the rest does not fit.
	var e *StateError
	other := NewSequential(NewLinear(nil, 3, 4), NewBatchNorm(4), NewLinear(nil, 4, 7))
	err := Load(saved(t, wrapped{"module", a}), other)
	if !errors.As(err, &e) || len(e.Misshapen) != 2 || len(e.Missing)+len(e.Unexpected) > 0 || !strings.Contains(err.Error(), `without the prefix "module." does not fit`) {
		t.Errorf("error %v", err)
	}
	if err := LoadWith(saved(t, wrapped{"module", a}), other, LoadOptions{Partial: true}); err != nil {
		t.Error(err)
	}
	if !slices.Equal(other.Layers[0].(*Linear).Weight.Value().Data(), a.Layers[0].(*Linear).Weight.Value().Data()) {
		t.Error("what fits was not loaded")
	}

	// A checkpoint of which the network is a part.
	path := saved(t, pair{wrapped{"model", a}, NewLinear(nil, 9, 9)})
	before := Clone(b)
	err = Load(path, b)
	if !errors.As(err, &e) || e.Prefix != "0.model." || !strings.Contains(err.Error(), `without the prefix "0.model."`) {
		t.Errorf("error %v", err)
	}
	equalState(t, before, b)
	fresh := layers(t)
	if err := LoadWith(path, fresh, LoadOptions{Prefix: "0.model."}); err != nil {
		t.Error(err)
	}
	equalState(t, a, fresh)
	err = LoadWith(path, fresh, LoadOptions{Prefix: "nothing."})
	if err == nil || !strings.Contains(err.Error(), `begins with the prefix "nothing."`) {
		t.Errorf("error %v", err)
	}
}

// Of several prefixes the one counts that makes the most tensors fit, in name and shape,
// then in name, and of equal ones the shortest.
func TestBestPrefix(t *testing.T) {
	entries := func(names ...string) (list []tensor.Entry) {
		for _, name := range names {
			name, width, _ := strings.Cut(name, ":")
			list = append(list, tensor.Entry{Name: name, Shape: []int{len(width)}})
		}
		return list
	}
	b := NewBatchNorm(1)
	b.Batches, b.RunningMean, b.RunningVar = nil, nil, nil
	var wanted []Entry
	for e := range State(b) { // weight and bias of one element
		wanted = append(wanted, e)
	}
	for _, c := range []struct {
		there []tensor.Entry
		want  string // of b. no shape agrees
	}{
		{entries("weight:x", "bias:x"), ""},
		{entries("m.weight:x", "m.bias:x"), "m."},
		{entries("a.b.weight:x", "a.b.bias:x"), "a.b."},
		{entries("student.weight:xx", "student.bias:xx", "teacher.weight:x"), "teacher."}, // fewer names, but their shapes
		{entries("a.weight:xx", "b.weight:xx", "b.bias:xx"), "b."},
		{entries("m.m.weight:x", "m.weight:x"), "m."},
		{entries("b.weight:x", "a.weight:x"), "a."},
		{entries("xweight:x", "x.weights:x"), ""},
	} {
		got, more := bestPrefix(c.there, wanted)
		if wantMore := got != "" && got != "b."; got != c.want || more != wantMore {
			t.Errorf("%v: %q (%v), want %q", c.there, got, more, c.want)
		}
	}
	if got, _ := bestPrefix(entries("m.weight:x"), wanted[:1]); got != "m." {
		t.Errorf("one name: %q", got)
	}
}

// A file of another network gives one readable sentence; the fields have every name.
func TestForeignFile(t *testing.T) {
	var list []Module
	for range 100 {
		list = append(list, NewBatchNorm(2))
	}
	path := saved(t, wrapped{"backbone.stages", NewSequential(list...)})
	m := NewSequential(NewLinear(nil, 2, 2))
	m2 := wrapped{"head", m}
	var e *StateError
	err := Load(path, m2)
	if !errors.As(err, &e) || len(e.Unexpected) != 500 || len(e.Missing) != 2 {
		t.Fatalf("error %v", err)
	}
	want := fmt.Sprintf("nn: %s holds another network: none of its 500 tensors (backbone.stages.0.bias, backbone.stages.0.num_batches_tracked, backbone.stages.0.running_mean, ...) is among the 2 of this one (head.0.weight, head.0.bias)", path)
	if err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	// Long names are cut.
	path = filepath.Join(t.TempDir(), "w.safetensors")
	if err := tensor.SaveSafetensors(path, map[string]*tensor.Tensor{strings.Repeat("é", 1<<16): tensor.New(1)}, nil); err != nil {
		t.Fatal(err)
	}
	if err := Load(path, m); err == nil || len(err.Error()) > 500 {
		t.Errorf("%d characters", len(err.Error()))
	}
}

// LoadFrom reads a file whose metadata was asked first.
func TestLoadFrom(t *testing.T) {
	a, b := layers(t), layers(t)
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := SaveWith(path, a, SaveOptions{Metadata: map[string]string{"model": "x"}}); err != nil {
		t.Fatal(err)
	}
	s, err := tensor.OpenSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := LoadFrom(s, b, LoadOptions{}); err != nil || s.Metadata()["model"] != "x" {
		t.Errorf("%v, metadata %v", err, s.Metadata())
	}
	equalState(t, a, b)
	if err := LoadFrom(s, NewLinear(nil, 1, 1), LoadOptions{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v; it does not name the file", err)
	}
}

// A network in several files that an index joins loads by the same call.
func TestLoadShards(t *testing.T) {
	a, b := layers(t), layers(t)
	dir := t.TempDir()
	parts := []map[string]*tensor.Tensor{{}, {}}
	var files []string
	i := 0
	for e := range State(a) {
		if e.Counter == nil {
			parts[i%2][e.Name] = e.Value()
			files = append(files, fmt.Sprintf("%q: \"w-%d.safetensors\"", e.Name, i%2))
			i++
		}
	}
	for i, part := range parts {
		if err := tensor.SaveSafetensors(filepath.Join(dir, fmt.Sprintf("w-%d.safetensors", i)), part, nil); err != nil {
			t.Fatal(err)
		}
	}
	index := filepath.Join(dir, "w.safetensors.index.json")
	if err := os.WriteFile(index, []byte(`{"metadata": {"total_size": 12}, "weight_map": {`+strings.Join(files, ", ")+"}}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Load(index, b); err != nil {
		t.Fatal(err)
	}
	equalState(t, a, b)
}
