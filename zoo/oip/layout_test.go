package oip

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// metadataOf describes a model lin of one input and one output.
func metadataOf(datatype, input, output string) string {
	return fmt.Sprintf(`{"name":"lin","inputs":[{"name":"x","datatype":%q,"shape":%s}],"outputs":[{"name":"y","datatype":"FP32","shape":%s}]}`, datatype, input, output)
}

// shaped is a server whose input and output have shapes of their own. It answers class k
// of a sample with its first pixel plus k, and keeps what it saw.
type shaped struct {
	input, output string
	answer        string // the shape of an answer, %d stands for the samples; "": [n, classes]
	classes       int
	mu            sync.Mutex
	seen          []Tensor
	values        [][]float64
}

func (s *shaped) handler(t *testing.T) http.Handler {
	return foreign(metadataOf("FP32", s.input, s.output), func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var req Request
		if err := decode(body, r.Header.Get(HeaderLength), &req, func() []Tensor { return req.Inputs }); err != nil {
			t.Error(err)
		}
		in := req.Inputs[0]
		v, err := in.Values(1 << 20)
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.seen, s.values = append(s.seen, in), append(s.values, v)
		s.mu.Unlock()
		var metadata Shape
		json.Unmarshal([]byte(s.input), &metadata)
		n := 1
		if len(in.Shape) != len(metadata) {
			fail(w, 400, "rank %d, not %d", len(in.Shape), len(metadata))
			return
		}
		for i, d := range metadata {
			if d >= 0 && d != in.Shape[i] {
				fail(w, 400, "shape %v does not fit %v", in.Shape, metadata)
				return
			}
		}
		if metadata[0] < 0 {
			n = int(in.Shape[0])
		}
		scores := make([]float32, n*s.classes)
		for i := range scores {
			scores[i] = float32(v[i/s.classes*len(v)/n]) + float32(i%s.classes)
		}
		out := newTensor("y", "FP32", nil, scores, false)
		answer := s.answer
		if answer == "" {
			answer = fmt.Sprintf("[%%d,%d]", s.classes)
		}
		if strings.Contains(answer, "%d") {
			answer = fmt.Sprintf(answer, n)
		}
		fmt.Fprintf(w, `{"model_name":"lin","outputs":[{"name":"y","datatype":"FP32","shape":%s,"data":%s}]}`, answer, out.Data)
	})
}

// ramp is n samples of a shape with different pixels.
func ramp(n int, shape ...int) *tensor.Tensor {
	x := tensor.New(append([]int{n}, shape...)...)
	for i := range x.Data() {
		x.Data()[i] = float32(i%251) / 255
	}
	return x
}

// TestInputShapes: an input takes samples of a shape however it writes that down.
func TestInputShapes(t *testing.T) {
	for _, c := range []struct {
		input string
		shape []int
		pre   data.Preprocess
		batch int    // samples that a request has at most
		sent  string // shape of a request for two samples, or one
	}{
		{"[-1,784]", []int{1, 28, 28}, data.Preprocess{}, 64, "[2 784]"},
		{"[784]", []int{1, 28, 28}, data.Preprocess{}, 1, "[784]"},
		{"[1,784]", []int{1, 28, 28}, data.Preprocess{}, 1, "[1 784]"},
		{"[-1,28,28]", []int{1, 28, 28}, data.Preprocess{}, 64, "[2 28 28]"},
		{"[-1,28,28]", nil, data.Preprocess{}, 64, "[2 28 28]"},
		{"[1,28,28]", []int{1, 28, 28}, data.Preprocess{}, 1, "[1 28 28]"},
		{"[28,28]", []int{1, 28, 28}, data.Preprocess{}, 1, "[28 28]"},
		{"[-1,28,28,1]", []int{1, 28, 28}, data.Preprocess{}, 64, "[2 28 28 1]"},
		{"[-1,28,28,1]", nil, data.Preprocess{}, 64, "[2 28 28 1]"},
		{"[28,28,1]", nil, data.Preprocess{}, 1, "[28 28 1]"},
		{"[-1,1,784]", []int{1, 28, 28}, data.Preprocess{}, 64, "[2 1 784]"},
		{"[-1,784,1]", []int{1, 28, 28}, data.Preprocess{}, 64, "[2 784 1]"},
		{"[1,1,1,784]", []int{1, 28, 28}, data.Preprocess{}, 1, "[1 1 1 784]"},
		{"[-1,-1]", []int{1, 28, 28}, data.Preprocess{}, 64, "[2 784]"},
		{"[-1,-1,-1]", []int{1, 28, 28}, data.Preprocess{}, 64, "[2 28 28]"},
		{"[-1,-1,-1,-1]", []int{1, 28, 28}, data.Preprocess{}, 64, "[2 1 28 28]"},
		{"[-1,1,-1,-1]", []int{1, 28, 28}, data.Preprocess{}, 64, "[2 1 28 28]"},
		{"[1,1,28,28]", []int{1, 28, 28}, data.Preprocess{}, 1, "[1 1 28 28]"},
		{"[-1,3,64]", []int{3, 8, 8}, data.Preprocess{}, 64, "[2 3 64]"},
		{"[-1,192]", []int{3, 8, 8}, data.Preprocess{}, 64, "[2 192]"},
		{"[3,8,8]", []int{3, 8, 8}, data.Preprocess{}, 1, "[3 8 8]"},
		{"[3,8,8]", nil, data.Preprocess{}, 1, "[3 8 8]"},
		{"[-1,192]", []int{3, 8, 8}, data.Preprocess{NHWC: true}, 64, "[2 192]"},
		{"[-1,3,8,8]", []int{1, 8, 8}, data.Preprocess{Repeat: 3}, 64, "[2 3 8 8]"},
		{"[-1,4,3,8,8]", []int{4, 3, 8, 8}, data.Preprocess{}, 64, "[2 4 3 8 8]"},
		{"[-1,12,8,8]", []int{4, 3, 8, 8}, data.Preprocess{}, 64, "[2 12 8 8]"},
		{`["batch",1,"28",28.0]`, []int{1, 28, 28}, data.Preprocess{}, 64, "[2 1 28 28]"},
		{"[null,28,28]", nil, data.Preprocess{}, 64, "[2 28 28]"},
		{"[-1,20]", nil, data.Preprocess{}, 64, "[2 20]"},
	} {
		for _, enc := range []Encoding{Binary, JSON} {
			s := &shaped{input: c.input, output: "[-1,3]", classes: 3}
			v, err := tryDial(t, s.handler(t), Options{Shape: c.shape, Preprocess: c.pre, Encoding: enc, Concurrency: 1})
			if err != nil {
				t.Errorf("%s, samples of %v: %v", c.input, c.shape, err)
				continue
			}
			x := ramp(2, v.Info().Shape...)
			out := make([]float64, 6)
			if err := v.Scores(context.Background(), x, out); err != nil {
				t.Errorf("%s, samples of %v: %v", c.input, c.shape, err)
				continue
			}
			if c.shape != nil && !slices.Equal(v.Info().Shape, c.shape) || v.opt.Batch != c.batch || fmt.Sprint(s.seen[0].Shape) != c.sent {
				t.Errorf("%s: samples of %v, %d a request, sent as %v; want %v, %d, %s", c.input, v.Info().Shape, v.opt.Batch, s.seen[0].Shape, c.shape, c.batch, c.sent)
			}
			n := v.Info().Size()
			if float32(out[3]) != x.Data()[n] || float32(out[0]) != x.Data()[0] {
				t.Errorf("%s: scores %v of samples that begin with %v and %v", c.input, out, x.Data()[0], x.Data()[n])
			}
			if c.pre.Identity() {
				from := 0
				if float32(s.values[0][0]) != x.Data()[0] { // the second sample came first
					from = n
				}
				for i, p := range x.Data()[from : from+n] {
					if float32(s.values[0][i]) != p {
						t.Fatalf("%s: pixel %d reached the model as %v, want %v", c.input, i, s.values[0][i], p)
					}
				}
			}
		}
	}
}

// TestInputsThatDoNotFit: the error says what to give.
func TestInputsThatDoNotFit(t *testing.T) {
	for _, c := range []struct {
		input string
		opt   Options
		say   string
	}{
		{"[-1,784]", Options{Shape: []int{1, 28, 27}}, "does not fit"},
		{"[784,27]", Options{Shape: []int{1, 28, 28}}, "does not fit"},
		{"[-1,27,28]", Options{Shape: []int{1, 28, 28}}, "does not fit"},
		{"[-1,28,28]", Options{Shape: []int{3, 28, 28}}, "reach it as [3 28 28], which does not fit"},
		{"[-1,8,3,8]", Options{Shape: []int{3, 8, 8}}, "does not fit"},
		{"[-1,1,784]", Options{}, "Options.Shape"},
		{"[28,28]", Options{}, "Options.Shape"},
		{"[-1,3,-1,-1]", Options{}, "Options.Shape"},
		{"[]", Options{}, "Options.Shape"},
		{"[-1,1,2,3,4,5]", Options{}, "Options.Shape"},
		{"[-1,3,8,8]", Options{Preprocess: data.Preprocess{Resize: [2]int{8, 8}}}, "Options.Shape"},
		{"[-1,3,8,8]", Options{Shape: []int{1, 8, 8}}, "with Preprocess.Repeat 3 they would fit"},
		{"[-1,3,16,16]", Options{Shape: []int{3, 8, 8}}, "with Preprocess.Resize to the input's size they would fit"},
		{"[-1,16,16,3]", Options{Shape: []int{3, 8, 8}}, "with Preprocess.Resize to the input's size they would fit"},
		{"[-1,3,16,16]", Options{Shape: []int{1, 8, 8}}, "with Preprocess.Repeat 3 and Preprocess.Resize"},
		{"[-1,3,8,8]", Options{Shape: []int{3, 8, 8}, Preprocess: data.Preprocess{NHWC: true}}, "without Preprocess.NHWC they would fit"},
		{"[-1,3,8,8]", Options{Preprocess: data.Preprocess{NHWC: true}}, "leave Preprocess.NHWC out"},
		{"[-1,3,8,8]", Options{Shape: []int{3, -8, -8}}, "at least 1"},
		{"[-1,4000000000,4000000000]", Options{}, "more than"},
		{"[4000000000,3,8,8]", Options{}, "does not fit"},
	} {
		s := &shaped{input: c.input, output: "[-1,3]", classes: 3}
		if _, err := tryDial(t, s.handler(t), c.opt); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s, %+v: %v; want an error that says %q", c.input, c.opt, err, c.say)
		}
	}
}

// TestOutputShapes: a row of scores may have dimensions of 1 about it.
func TestOutputShapes(t *testing.T) {
	for _, c := range []struct {
		input, output, answer string
		classes               int
	}{
		{"[-1,1,2,3]", "[-1,3]", "", 3},
		{"[-1,1,2,3]", "[-1,3,1,1]", "[%d,3,1,1]", 3},
		{"[-1,1,2,3]", "[-1,1,10]", "[%d,1,10]", 10},
		{"[-1,1,2,3]", "[-1,1,1,10]", "[%d,1,1,10]", 10},
		{"[-1,1,2,3]", "[10]", "", 10},
		{"[-1,1,2,3]", "[-1,-1,10]", "[%d,1,10]", 10},
		{"[-1,1,2,3]", "[1,10]", "", 10},
		{"[1,1,2,3]", "[1,10,1,1]", "[1,10,1,1]", 10},
		{"[1,1,2,3]", "[1,10]", "[1,10]", 10},
		{"[1,2,3]", "[10]", "[10]", 10},
		{"[1,2,3]", "[1,10]", "[1,10]", 10},
		{"[6]", "[10,1]", "[10,1]", 10},
		{"[-1,1,2,3]", `["batch","10"]`, `["%d","10"]`, 10},
	} {
		s := &shaped{input: c.input, output: c.output, answer: c.answer, classes: c.classes}
		v, err := tryDial(t, s.handler(t), Options{Shape: []int{1, 2, 3}})
		if err != nil || v.Info().Classes != c.classes {
			t.Errorf("%s to %s: %v", c.input, c.output, err)
			continue
		}
		out := make([]float64, 2*c.classes)
		if err := v.Scores(context.Background(), ramp(2, 1, 2, 3), out); err != nil || out[c.classes] != float64(float32(6)/255) {
			t.Errorf("%s to %s: %v (%v)", c.input, c.output, out, err)
		}
	}
	for output, say := range map[string]string{
		"[-1,-1]": "Options.Classes", "[-1]": "Options.Classes", "[]": "Options.Classes",
		"[-1,10,7,7]": "not one row of scores", "[-1,1,1,1]": "at least 2", "[1]": "at least 2", "[-1,4000000000]": "more than 1048576 classes", "[-1,2000000]": "say in Options.Classes",
	} {
		s := &shaped{input: "[-1,1,2,3]", output: output, classes: 3}
		if _, err := tryDial(t, s.handler(t), Options{}); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("output %s: %v; want an error that says %q", output, err, say)
		}
	}
	// A fixed batch is no class.
	if k, err := classes([]int64{4, 10}, []int64{4, 3, 8, 8}); k != 10 || err != nil {
		t.Errorf("%d classes (%v) of four rows of 10", k, err)
	}
}

// TestChannelsLast: an input whose shape has the channels last gets them there, and the
// client says so; the victim is the same as if it had been told.
func TestChannelsLast(t *testing.T) {
	for _, c := range []struct {
		input string
		shape []int
		want  []int
		say   string
	}{
		{"[-1,8,9,3]", nil, []int{3, 8, 9}, "NHWC"},
		{"[8,9,3]", nil, []int{3, 8, 9}, "NHWC"},
		{"[-1,-1,-1,3]", []int{3, 8, 9}, []int{3, 8, 9}, "NHWC"},
		{"[-1,8,9,3]", []int{3, 8, 9}, []int{3, 8, 9}, "NHWC"},
		{"[-1,6,8,9,3]", nil, []int{6, 3, 8, 9}, "NHWC"},
		{"[-1,3,6,8,9]", nil, []int{6, 3, 8, 9}, "CTHW"},
		{"[-1,3,6,8,9]", []int{6, 3, 8, 9}, []int{6, 3, 8, 9}, "CTHW"},
		{"[-1,3,8,9]", nil, []int{3, 8, 9}, ""},
		{"[-1,8,9,1]", nil, []int{1, 8, 9}, ""},
		{"[-1,8,9,1]", []int{1, 8, 9}, []int{1, 8, 9}, ""},
		{"[-1,6,3,8,9]", nil, []int{6, 3, 8, 9}, ""},
	} {
		s := &shaped{input: c.input, output: "[-1,3]", classes: 3}
		v, err := tryDial(t, s.handler(t), Options{Shape: c.shape})
		if err != nil {
			t.Errorf("%s: %v", c.input, err)
			continue
		}
		notes := strings.Join(v.Notes(), " ")
		if !slices.Equal(v.Info().Shape, c.want) || (notes == "") != (c.say == "") || !strings.Contains(notes, c.say) {
			t.Errorf("%s: samples of %v, notes %q; want %v and %q", c.input, v.Info().Shape, notes, c.want, c.say)
		}
		pre := data.Preprocess{NHWC: c.say == "NHWC", CTHW: c.say == "CTHW"}
		x := ramp(1, c.want...)
		if err := v.Scores(context.Background(), x, make([]float64, 3)); err != nil {
			t.Errorf("%s: %v", c.input, err)
			continue
		}
		wire := make([]float32, x.Len())
		pre.Apply(wire, x.Data(), c.want)
		for i, p := range wire {
			if float32(s.values[0][i]) != p {
				t.Fatalf("%s: value %d reached the model as %v, want %v", c.input, i, s.values[0][i], p)
			}
		}
		if c.want[len(c.want)-3] == 1 {
			continue // two ways to say the same
		}
		told := &Client{base: v.base, opt: Options{Model: "lin", Preprocess: pre, Shape: c.want}}
		var meta ModelMetadata
		json.Unmarshal([]byte(metadataOf("FP32", c.input, "[-1,3]")), &meta)
		if err := told.describe(&meta); err != nil || told.info.Digest != v.info.Digest || len(told.notes) > 0 {
			t.Errorf("%s: told of it, %v, digest %s, want %s", c.input, err, told.info.Digest, v.info.Digest)
		}
	}
	s := &shaped{input: "[-1,28,28]", output: "[-1,3]", classes: 3}
	if v := dial(t, s.handler(t), Options{}); !slices.Equal(v.Info().Shape, []int{1, 28, 28}) || !strings.Contains(fmt.Sprint(v.Notes()), "gray") {
		t.Errorf("samples of %v, notes %q", v.Info().Shape, v.Notes())
	}
	v := dial(t, foreign(metadataOf("UINT8", "[-1,3,8,8]", "[-1,3]"), says(200, "")), Options{})
	if notes := v.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "times 255") {
		t.Errorf("of 8 bits: %q", notes)
	}
}

// FuzzDescribe: whatever a server says of its tensors, a client that takes it sends as
// many values as it says. in and out are dimensions, 255 one of any size.
func FuzzDescribe(f *testing.F) {
	f.Add([]byte(linMetadata), []byte{}, []byte{}, 0, 0, 0, false)
	f.Add([]byte(metadataOf("UINT8", "[-1,8,8,3]", "[-1,3,1,1]")), []byte{}, []byte{}, 3, 8, 8, false)
	f.Add([]byte(metadataOf("FP32", "[2,null,64]", `["batch",10]`)), []byte{}, []byte{}, 3, 8, 8, true)
	f.Add([]byte(`{"name":1,"versions":[1],"inputs":[],"outputs":[]}`), []byte{}, []byte{}, 1, 2, 2, false)
	f.Add([]byte(linMetadata), []byte{255, 28, 28, 1}, []byte{255, 10, 1, 1}, 1, 28, 28, false)
	f.Add([]byte(linMetadata), []byte{2, 1, 255}, []byte{2, 10}, 3, 8, 8, true)
	f.Fuzz(func(t *testing.T, b, in, out []byte, channels, h, w int, last bool) {
		var meta ModelMetadata
		if json.Unmarshal(b, &meta) != nil || max(channels, h, w) > 64 {
			return
		}
		dims := func(all []TensorMetadata, of []byte) {
			if len(of) > 0 && len(all) > 0 {
				all[0].Shape = nil
				for _, d := range of {
					all[0].Shape = append(all[0].Shape, int64(d)-256*int64(d/255))
				}
			}
		}
		dims(meta.Inputs, in)
		dims(meta.Outputs, out)
		c := &Client{base: "http://h/v2/models/lin", opt: Options{Model: "lin", Preprocess: data.Preprocess{NHWC: last}}}
		if channels > 0 {
			c.opt.Shape = []int{channels, h, w}
		}
		if c.describe(&meta) != nil {
			return
		}
		if err := c.info.Check(); err != nil || int64(c.info.Size()) != product(c.wire) || c.opt.Batch < 1 || c.fixed < 0 {
			t.Fatalf("%v: samples of %v sent as %v, %d per request", err, c.info.Shape, c.wire, c.opt.Batch)
		}
		takes := meta.Inputs[slices.IndexFunc(meta.Inputs, func(m TensorMetadata) bool { return m.Name == c.opt.Input })]
		sent := c.wire
		if c.batched {
			sent = append([]int64{int64(max(c.fixed, 1))}, sent...)
		}
		for i, d := range takes.Shape {
			if len(sent) != len(takes.Shape) || d >= 0 && d != sent[i] && !(i == 0 && c.batched) {
				t.Fatalf("%v goes to an input of %v", sent, takes.Shape)
			}
		}
	})
}
