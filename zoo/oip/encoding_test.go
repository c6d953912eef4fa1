package oip

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
	"github.com/x448/float16"
)

// A peer is a server that is not ours: its input has a type and a shape of its own, it
// lists extensions or does not, and refuses raw bytes with a status or does not.
type peer struct {
	datatype   string
	shape      []int64
	extensions []string // nil: there is no GET /v2
	refuse     int
	requests   []string // "raw" or "JSON", for inference
	seen       []float64
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/v2":
		if p.extensions == nil {
			fail(w, 404, "not here")
			return
		}
		reply200(w, ServerMetadata{Name: "peer", Extensions: p.extensions})
	case "/v2/models/lin":
		reply200(w, ModelMetadata{Name: "lin", Inputs: []TensorMetadata{{"x", p.datatype, p.shape}}, Outputs: []TensorMetadata{{"y", "FP32", []int64{-1, 2}}}})
	case "/v2/models/lin/infer":
		p.infer(w, r)
	}
}

func (p *peer) infer(w http.ResponseWriter, r *http.Request) {
	head := r.Header.Get(HeaderLength)
	if head == "" {
		p.requests = append(p.requests, "JSON")
	} else {
		p.requests = append(p.requests, "raw")
		if p.refuse > 0 {
			fail(w, p.refuse, "what is this?")
			return
		}
	}
	body, _ := io.ReadAll(r.Body)
	var req Request
	err := decode(body, head, &req, func() []Tensor { return req.Inputs })
	if err == nil {
		p.seen, err = req.Inputs[0].Values(1 << 20)
	}
	in := req.Inputs[0]
	if err != nil || in.Datatype != p.datatype || len(in.Shape) != len(p.shape) {
		fail(w, 500, "%v: %s of shape %v", err, in.Datatype, in.Shape)
		return
	}
	n := in.Shape[0]
	reply200(w, Response{ID: req.ID, Outputs: []Tensor{newTensor("y", "FP32", []int64{n, 2}, make([]float32, 2*n), false)}})
}

// shades are n images of values above and below the steps of 8 bits.
func shades(n int) *tensor.Tensor {
	x := images(n)
	for i := range x.Data() {
		x.Data()[i] = float32(min(float64(i)+[]float64{0.4, -0.4}[i%2], 255) / 255)
	}
	return x
}

// TestDatatypes: what reaches a model is the pixel rounded to what it takes, in either
// encoding, and for 8 bits that is what tensor.Round8 makes of it.
func TestDatatypes(t *testing.T) {
	x := shades(43) // all 8-bit values
	out := make([]float64, 2*43)
	round8 := x.Round8().Data()
	for datatype, want := range map[string]func(i int, v float32) float64{
		"FP32":  func(_ int, v float32) float64 { return float64(v) },
		"FP64":  func(_ int, v float32) float64 { return float64(v) },
		"FP16":  func(_ int, v float32) float64 { return float64(float16.Fromfloat32(v).Float32()) },
		"UINT8": func(i int, _ float32) float64 { return math.Round(float64(round8[i]) * 255) },
	} {
		for _, enc := range []Encoding{Binary, JSON} {
			p := &peer{datatype: datatype, shape: []int64{-1, 1, 2, 3}}
			c := dial(t, p, Options{Encoding: enc})
			if err := c.Scores(context.Background(), x, out); err != nil {
				t.Errorf("%s, encoding %d: %v", datatype, enc, err)
				continue
			}
			for i, v := range x.Data() {
				// Numbers in JSON are as short as the type allows.
				if w := want(i, v); p.seen[i] != w && (datatype == "FP64" || float32(p.seen[i]) != float32(w)) {
					t.Errorf("%s, encoding %d: pixel %v reached the model as %v, want %v", datatype, enc, v, p.seen[i], want(i, v))
				}
			}
		}
	}
	p := &peer{datatype: "UINT8", shape: []int64{-1, 1, 2, 3}}
	if err := dial(t, p, Options{Preprocess: data.Preprocess{Scale: 255}}).Scores(context.Background(), x, out); err != nil || p.seen[2] != math.Round(float64(round8[2])*255) {
		t.Errorf("scale 255 to 8 bits: %v, pixel %v reached the model as %v", err, x.Data()[2], p.seen[2])
	}
	for say, c := range map[string]struct {
		datatype string
		pre      data.Preprocess
	}{
		"BYTES; only":       {"BYTES", data.Preprocess{}},
		"a mean":            {"UINT8", data.Preprocess{Mean: []float32{10}}},
		"another scale (2)": {"UINT8", data.Preprocess{Scale: 2}},
	} {
		s := httptest.NewServer(&peer{datatype: c.datatype, shape: []int64{-1, 1, 2, 3}})
		if _, err := Dial(context.Background(), s.URL, Options{Model: "lin", Preprocess: c.pre}); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s, %+v: %v; want an error that says %q", c.datatype, c.pre, err, say)
		}
		s.Close()
	}
}

// TestFlatInput: a model that takes rows of values gets images of the shape stated.
func TestFlatInput(t *testing.T) {
	x := shades(2)
	for _, enc := range []Encoding{Binary, JSON} {
		p := &peer{datatype: "FP32", shape: []int64{-1, 6}}
		c := dial(t, p, Options{Shape: []int{1, 2, 3}, Encoding: enc})
		if err := c.Scores(context.Background(), x, make([]float64, 4)); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(c.Info().Shape); got != "[1 2 3]" || len(p.seen) != 12 || float32(p.seen[7]) != x.Data()[7] {
			t.Errorf("samples of shape %s, the model saw %v", got, p.seen)
		}
	}
	s := httptest.NewServer(&peer{datatype: "FP32", shape: []int64{-1, 6}})
	defer s.Close()
	if _, err := Dial(context.Background(), s.URL, Options{Model: "lin", Shape: []int{1, 2, 2}}); err == nil || !strings.Contains(err.Error(), "reach it as") {
		t.Errorf("images of 4 pixels for rows of 6: %v", err)
	}
}

// TestEncodingIsNegotiated: raw bytes go only where they are understood, unless they
// are asked for, and a request that was refused for them is repeated, and told.
func TestEncodingIsNegotiated(t *testing.T) {
	listed := []string{"model_repository", "binary_tensor_data"}
	for name, c := range map[string]struct {
		extensions []string
		refuse     int
		enc        Encoding
		want       string // of two calls
		err        bool
	}{
		"listed":               {listed, 0, Auto, "[raw raw]", false},
		"not listed":           {[]string{"model_repository"}, 0, Auto, "[JSON JSON]", false},
		"no list":              {nil, 0, Auto, "[JSON JSON]", false},
		"refused":              {listed, 400, Auto, "[raw JSON JSON]", false},
		"type refused":         {listed, 415, Auto, "[raw JSON JSON]", false},
		"not processable":      {listed, 422, Auto, "[raw JSON JSON]", false},
		"not acceptable":       {listed, 406, Auto, "[raw JSON JSON]", false},
		"status 501":           {listed, 501, Auto, "[raw JSON JSON]", false},
		"asked for, 422":       {listed, 422, Binary, "[raw raw]", true},
		"forbidden":            {listed, 403, Auto, "[raw raw]", true},
		"asked for, unlisted":  {nil, 0, Binary, "[raw raw]", false},
		"asked for, refused":   {listed, 400, Binary, "[raw raw]", true},
		"JSON though it lists": {listed, 0, JSON, "[JSON JSON]", false},
	} {
		p := &peer{datatype: "FP32", shape: []int64{-1, 1, 2, 3}, extensions: c.extensions, refuse: c.refuse}
		v := dial(t, p, Options{Encoding: c.enc})
		again := ""
		ctx := zoo.WithResend(context.Background(), func(lo, hi int) error { again += fmt.Sprintf("%d-%d ", lo, hi); return nil })
		for range 2 {
			if err := v.Scores(ctx, images(2), make([]float64, 4)); (err != nil) != c.err {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := fmt.Sprint(p.requests); got != c.want {
			t.Errorf("%s: requests %s, want %s", name, got, c.want)
		}
		if s := v.Stats(); (again == "0-2 ") != (len(p.requests) == 3) || s.Retries != len(p.requests)-2 {
			t.Errorf("%s: told of %q, %+v", name, again, s)
		}
	}
	// Once it was understood, a refusal has another reason.
	p := &peer{datatype: "FP32", shape: []int64{-1, 1, 2, 3}, extensions: listed}
	v := dial(t, p, Options{})
	if err := v.Scores(context.Background(), images(1), make([]float64, 2)); err != nil {
		t.Fatal(err)
	}
	p.refuse = 400
	if err := v.Scores(context.Background(), images(1), make([]float64, 2)); err == nil || len(p.requests) != 2 {
		t.Errorf("%v after %v", err, p.requests)
	}
}

// TestBinaryOutputParameter: an answer is raw if its output's parameter says so, or, if
// that says nothing, the request's.
func TestBinaryOutputParameter(t *testing.T) {
	h := NewHandler(zoo.ScorerFunc(info, func(_ context.Context, _ *tensor.Tensor, out []float64) error { clear(out); return nil }), HandlerOptions{})
	for rest, raw := range map[string]bool{
		``: false,
		`"outputs":[{"name":"scores"}],"parameters":{"binary_data_output":true}`:                                    true,
		`"parameters":{"binary_data_output":true}`:                                                                  true,
		`"parameters":{"binary_data_output":false,"priority":3}`:                                                    false,
		`"outputs":[{"name":"scores","parameters":{"binary_data":true}}]`:                                           true,
		`"outputs":[{"name":"scores","parameters":{"binary_data":false}}],"parameters":{"binary_data_output":true}`: false,
		`"outputs":[{"name":"scores","parameters":{"binary_data":true}}],"parameters":{"binary_data_output":false}`: true,
		`"outputs":[{"name":"scores","parameters":{"classification":0}}],"parameters":{"binary_data_output":true}`:  true,
	} {
		body := `{"inputs":[{"name":"image","datatype":"FP32","shape":[1,1,2,3],"data":[1,2,3,4,5,6]}]`
		if rest != "" {
			body += "," + rest
		}
		w := post(h, body+"}")
		if got := w.Header().Get(HeaderLength) != ""; w.Code != 200 || got != raw {
			t.Errorf("%s: status %d, raw %v, want %v", rest, w.Code, got, raw)
		}
	}
}
