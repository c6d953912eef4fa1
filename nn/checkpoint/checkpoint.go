// Package checkpoint saves the state of a training run in a file, and resumes the run so
// that it continues bit for bit.
//
// A [Run] names the parts of the state: networks, optimisers, averages and any other
// [nn.Tree]; the positions of loaders; the steps of tapes; and values saved as JSON, such
// as a history. All randomness of this library follows from a seed and one of these
// positions, so no random generator needs saving. Learning rates are not part of the state
// either: set them from a schedule and the step.
//
//	run := checkpoint.Run{
//		Settings: options, // any struct: a checkpoint of another run is refused by it
//		Trees:    map[string]nn.Tree{"model": model, "optim": opt},
//		Loaders:  map[string]*data.Loader{"train": loader},
//		Tapes:    map[string]*autograd.Tape{"train": tape},
//		Values:   map[string]any{"history": &history},
//	}
//	if err := run.Load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
//		return err
//	}
//	// ... and after every epoch:
//	err := run.Save(path)
//
// The file is in the safetensors format, so other programs can read its tensors:
// "model.fc.weight" is the parameter "fc.weight" of the tree "model".
package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// A Run is the state of a training run. The keys of its maps are names in the file.
type Run struct {
	// Settings identifies the run: seed, data digest ([data.Digest]), learning rate, batch
	// size, epochs. It is written as JSON. [Run.Load] returns an error if a file's settings
	// differ.
	Settings any

	Trees   map[string]nn.Tree
	Loaders map[string]*data.Loader
	Tapes   map[string]*autograd.Tape
	Values  map[string]any // pointers to values that are written as JSON
}

// A SettingsError says how the run that wrote a checkpoint differs from this one.
type SettingsError struct {
	File        string
	Differences []Difference // in the order of their names, at least one
}

// A Difference is a setting that differs between two runs. Values are JSON, or "" if a run
// does not have the setting.
type Difference struct {
	Name string // "lr", or "augment.padding" of a struct in the settings
	File string // the value in the checkpoint
	Run  string // the value of this run
}

// Error lists the differences.
func (e *SettingsError) Error() string {
	var list []string
	for _, d := range e.Differences {
		list = append(list, fmt.Sprintf("%s is %s there and %s here", d.Name, value(d.File), value(d.Run)))
	}
	return fmt.Sprintf("checkpoint: %s is of another run: %s", e.File, strings.Join(list, ", "))
}

func value(s string) string {
	if s == "" {
		return "missing"
	}
	return s
}

// key is where the metadata of a file hold its state.
const key = "checkpoint"

// state is what a file holds beside tensors.
type state struct {
	Settings json.RawMessage
	Loaders  map[string]position
	Tapes    map[string]uint64
	Values   map[string]json.RawMessage
}

// position is that of a loader.
type position struct{ Epoch, Batch int }

// Walk names the trees.
func (r *Run) Walk(w *nn.Walker) {
	for _, name := range slices.Sorted(maps.Keys(r.Trees)) {
		w.Child(name, r.Trees[name])
	}
}

// Save writes the state. In a loop over batches, call it after the weights are updated and
// the tape is reset. It writes the file atomically: after a failure an earlier file is
// unchanged.
func (r *Run) Save(path string) error {
	s := state{Loaders: map[string]position{}, Tapes: map[string]uint64{}, Values: map[string]json.RawMessage{}}
	var err error
	if s.Settings, err = json.Marshal(r.Settings); err != nil {
		return fmt.Errorf("checkpoint: settings: %w", err)
	}
	for name, l := range r.Loaders {
		epoch, batch := l.Position()
		s.Loaders[name] = position{epoch, batch}
	}
	for name, t := range r.Tapes {
		s.Tapes[name] = t.Step()
	}
	for name, v := range r.Values {
		if s.Values[name], err = json.Marshal(v); err != nil {
			return fmt.Errorf("checkpoint: value %s: %w", name, err)
		}
	}
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nn.SaveWith(path, r, nn.SaveOptions{Metadata: map[string]string{key: string(b)}})
}

// Load restores the state that [Run.Save] wrote. On an error it changes nothing. The error
// wraps [fs.ErrNotExist] if there is no file; it is a [*SettingsError] if a run with other
// settings wrote the file, and a [*nn.StateError] if the trees differ.
func (r *Run) Load(path string) error {
	f, err := tensor.OpenSafetensors(path)
	if err != nil {
		return err
	}
	defer f.Close()
	meta := f.Metadata()[key]
	var s state
	if meta == "" {
		return fmt.Errorf("checkpoint: %s is no checkpoint: its metadata has no entry %q", path, key)
	}
	if err := json.Unmarshal([]byte(meta), &s); err != nil {
		return fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	settings, err := json.Marshal(r.Settings)
	if err != nil {
		return fmt.Errorf("checkpoint: settings: %w", err)
	}
	if d := compare("", parse(s.Settings), parse(settings)); len(d) > 0 {
		return &SettingsError{File: path, Differences: d}
	}
	values, err := r.check(&s)
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	if err := nn.LoadFrom(f, r, nn.LoadOptions{}); err != nil {
		return err
	}
	for name, v := range values {
		reflect.ValueOf(r.Values[name]).Elem().Set(v)
	}
	for name, l := range r.Loaders {
		l.Seek(s.Loaders[name].Epoch, s.Loaders[name].Batch)
	}
	for name, t := range r.Tapes {
		t.ResetTo(s.Tapes[name])
	}
	return nil
}

// check says whether the state fits the run, and reads its values.
func (r *Run) check(s *state) (map[string]reflect.Value, error) {
	if err := errors.Join(names("loader", r.Loaders, s.Loaders), names("tape", r.Tapes, s.Tapes), names("value", r.Values, s.Values)); err != nil {
		return nil, err
	}
	for name, p := range s.Loaders {
		if p.Epoch < 0 || p.Batch < 0 || p.Batch >= r.Loaders[name].Len() {
			return nil, fmt.Errorf("loader %s has no batch %d of %d in epoch %d", name, p.Batch, r.Loaders[name].Len(), p.Epoch)
		}
	}
	values := make(map[string]reflect.Value)
	for name, b := range s.Values {
		p := reflect.ValueOf(r.Values[name])
		if p.Kind() != reflect.Pointer || p.IsNil() {
			tensor.Panic("checkpoint.Run.Load", fmt.Sprintf("value %s is a %T and no pointer", name, r.Values[name]))
		}
		v := reflect.New(p.Type().Elem())
		if err := json.Unmarshal(b, v.Interface()); err != nil {
			return nil, fmt.Errorf("value %s: %w", name, err)
		}
		values[name] = v.Elem()
	}
	return values, nil
}

// names returns an error unless both maps have the same keys.
func names[A, B any](kind string, run map[string]A, file map[string]B) error {
	for _, name := range slices.Sorted(maps.Keys(run)) {
		if _, ok := file[name]; !ok {
			return fmt.Errorf("it has no %s %s", kind, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(file)) {
		if _, ok := run[name]; !ok {
			return fmt.Errorf("it has a %s %s, which this run has not", kind, name)
		}
	}
	return nil
}

// parse reads JSON that [json.Marshal] wrote, with numbers as they stand there.
func parse(b []byte) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return string(b) // of another program: it differs as a whole
	}
	return v
}

// compare lists how two JSON values differ, by the names of the members.
func compare(name string, file, run any) (list []Difference) {
	f, ok1 := file.(map[string]any)
	r, ok2 := run.(map[string]any)
	if !ok1 || !ok2 {
		if reflect.DeepEqual(file, run) {
			return nil
		}
		if name == "" {
			name = "the setting"
		}
		return []Difference{{name, text(file), text(run)}}
	}
	all := maps.Clone(f)
	maps.Copy(all, r)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		full := k
		if name != "" {
			full = name + "." + k
		}
		a, inFile := f[k]
		b, inRun := r[k]
		switch {
		case !inFile:
			list = append(list, Difference{Name: full, Run: text(b)})
		case !inRun:
			list = append(list, Difference{Name: full, File: text(a)})
		default:
			list = append(list, compare(full, a, b)...)
		}
	}
	return list
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
