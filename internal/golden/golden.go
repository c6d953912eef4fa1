// Package golden gives tests the reference vectors of every operation: inputs,
// outputs and gradients computed by PyTorch in float64 and rounded to float32.
//
// The files in testdata were written by a script that runs each operation on
// float32 inputs in double precision; the gradients are those of
// sum(output * cotangent).
package golden

import (
	"embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
)

//go:embed testdata/ops.json testdata/ops.safetensors
var testdata embed.FS

// A Tensor is a row-major array. A scalar has an empty shape and one number.
type Tensor struct {
	Shape []int
	Data  []float32
}

// A Case is one application of an operation. Tensors are shared by all tests of
// the process: copy before writing.
type Case struct {
	Name      string
	Op        string
	Attrs     map[string]any    // as in JSON: numbers are float64
	Inputs    map[string]Tensor // by argument
	Output    Tensor
	Cotangent Tensor            // of the output; no data if the case has no gradients
	Grads     map[string]Tensor // by argument
	Extra     map[string]Tensor // statistics, targets and the like
}

// Ints returns an attribute that is a list of integers, or nil if it is absent.
func (c *Case) Ints(attr string) []int {
	list, _ := c.Attrs[attr].([]any)
	var v []int
	for _, x := range list {
		v = append(v, int(x.(float64)))
	}
	return v
}

// Float returns an attribute that is a number, or def if it is absent.
func (c *Case) Float(attr string, def float64) float64 {
	if x, ok := c.Attrs[attr].(float64); ok {
		return x
	}
	return def
}

// Bool reports whether an attribute is present and true.
func (c *Case) Bool(attr string) bool {
	x, _ := c.Attrs[attr].(bool)
	return x
}

// String returns an attribute that is a string, or "" if it is absent.
func (c *Case) String(attr string) string {
	x, _ := c.Attrs[attr].(string)
	return x
}

// Cases returns the cases of one operation in the order of the file. It fails
// the test if there are none.
func Cases(t testing.TB, op string) []*Case {
	t.Helper()
	all, err := load()
	if err != nil {
		t.Fatalf("golden: %v", err)
	}
	var cases []*Case
	for _, c := range all {
		if c.Op == op {
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 {
		t.Fatalf("golden: no case of %q", op)
	}
	return cases
}

// Ops returns the names of all operations, so that a test of all of them can find
// out whether it is.
func Ops(t testing.TB) []string {
	t.Helper()
	all, err := load()
	if err != nil {
		t.Fatalf("golden: %v", err)
	}
	var ops []string
	for _, c := range all {
		if !slices.Contains(ops, c.Op) {
			ops = append(ops, c.Op)
		}
	}
	return ops
}

// RelErr returns the largest absolute difference between got and want, relative
// to the largest absolute entry of want; +Inf if the lengths differ or a number
// is NaN on one side alone.
func RelErr(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var diff, largest float64
	for i, w := range want {
		g, w := float64(got[i]), float64(w)
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			if !math.IsNaN(w) && !math.IsInf(w, 0) { // else nothing else would count beside it
				largest = max(largest, math.Abs(w))
			}
			continue
		}
		d := math.Abs(g - w)
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		diff, largest = max(diff, d), max(largest, math.Abs(w))
	}
	if diff == 0 {
		return 0
	}
	return diff / largest
}

// Check fails the test if got differs from want by more than tol in the sense of
// [RelErr]. The library's promise is 1e-5.
func Check(t testing.TB, what string, got []float32, want Tensor, tol float64) {
	t.Helper()
	if len(got) != len(want.Data) {
		t.Errorf("%s: %d numbers, want shape %v", what, len(got), want.Shape)
	} else if e := RelErr(got, want.Data); !(e <= tol) {
		t.Errorf("%s: relative error %.3g, want at most %.3g", what, e, tol)
	}
}

var load = sync.OnceValues(func() ([]*Case, error) {
	tensors, err := readTensors()
	if err != nil {
		return nil, fmt.Errorf("ops.safetensors: %w", err)
	}
	list, err := testdata.ReadFile("testdata/ops.json")
	if err != nil {
		return nil, err
	}
	var entries []struct {
		Name, Op          string
		Attrs             map[string]any
		Inputs            map[string]string
		Output, Cotangent string
		Grads, Extra      map[string]string
	}
	if err := json.Unmarshal(list, &entries); err != nil {
		return nil, fmt.Errorf("ops.json: %w", err)
	}
	var missing error
	one := func(key string) Tensor {
		t, ok := tensors[key]
		if !ok && key != "" {
			missing = fmt.Errorf("ops.json: no tensor %q", key)
		}
		return t
	}
	byName := func(keys map[string]string) map[string]Tensor {
		m := make(map[string]Tensor, len(keys))
		for name, key := range keys {
			m[name] = one(key)
		}
		return m
	}
	var cases []*Case
	for _, e := range entries {
		cases = append(cases, &Case{
			Name: e.Name, Op: e.Op, Attrs: e.Attrs, Inputs: byName(e.Inputs), Output: one(e.Output),
			Cotangent: one(e.Cotangent), Grads: byName(e.Grads), Extra: byName(e.Extra),
		})
	}
	return cases, missing
})

// readTensors reads the float32 tensors of the embedded safetensors file. The
// reader for everybody's files is the tensor package's; this one is below it.
func readTensors() (map[string]Tensor, error) {
	b, err := testdata.ReadFile("testdata/ops.safetensors")
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(b)
	header, data := b[8:8+n], b[8+n:]
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(header, &raw); err != nil {
		return nil, err
	}
	tensors := make(map[string]Tensor)
	for key, v := range raw {
		if key == "__metadata__" {
			continue
		}
		var e struct {
			DType   string
			Shape   []int
			Offsets [2]int `json:"data_offsets"`
		}
		if err := json.Unmarshal(v, &e); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if e.DType != "F32" {
			return nil, fmt.Errorf("%s: type %s", key, e.DType)
		}
		values := make([]float32, (e.Offsets[1]-e.Offsets[0])/4)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[e.Offsets[0]+4*i:]))
		}
		tensors[key] = Tensor{e.Shape, values}
	}
	return tensors, nil
}
