package oip

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mettleml/mettle/zoo"
)

// TestServerWithoutMetadata: a server that does not describe its tensors is used when
// the options say what it takes, and an error says what is missing.
func TestServerWithoutMetadata(t *testing.T) {
	none := `{"name":"lin","versions":[],"platform":"","inputs":[],"outputs":[]}`
	told := Options{Input: "x", Output: "y", Shape: []int{1, 2, 3}, Classes: 3}
	flat := told
	flat.InputShape, flat.Datatype = []int64{-1, 6}, "UINT8"
	many := told
	many.Batch = 8
	for name, c := range map[string]struct {
		metadata string
		opt      Options
		sent     string // shape of the first of two samples, or of both
		datatype string
	}{
		"nothing":       {none, told, "[1 1 2 3]", "FP32"},
		"no lists":      {`{"name":"lin"}`, told, "[1 1 2 3]", "FP32"},
		"flat":          {none, flat, "[2 6]", "UINT8"},
		"a batch":       {none, many, "[2 1 2 3]", "FP32"},
		"names":         {`{"inputs":[{"name":"x"}],"outputs":[{"name":"y"}]}`, Options{Shape: told.Shape, Classes: 3}, "[1 1 2 3]", "FP32"},
		"input":         {`{"inputs":[{"name":"x","datatype":"FP16","shape":[-1,1,2,3]}]}`, Options{Output: "y", Classes: 3}, "[2 1 2 3]", "FP16"},
		"output":        {`{"outputs":[{"name":"y","datatype":"FP32","shape":[-1,3]}]}`, Options{Input: "x", Shape: told.Shape}, "[1 1 2 3]", "FP32"},
		"wrong":         {metadataOf("BYTES", "[-1]", "[-1]"), Options{Datatype: "FP32", InputShape: []int64{-1, 1, 2, 3}, Classes: 3}, "[2 1 2 3]", "FP32"},
		"not there":     {"404", told, "[1 1 2 3]", "FP32"},
		"not allowed":   {"405", told, "[1 1 2 3]", "FP32"},
		"not ready yet": {"501", told, "[1 1 2 3]", "FP32"},
	} {
		var shape, datatype atomic.Value
		h := http.NewServeMux()
		h.Handle("/", foreign(c.metadata, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			var req Request
			if err := decode(body, r.Header.Get(HeaderLength), &req, func() []Tensor { return req.Inputs }); err != nil {
				t.Error(err)
			}
			in := req.Inputs[0]
			if in.Name != "x" || req.Outputs[0].Name != "y" {
				fail(w, 400, "no input %q", in.Name)
				return
			}
			shape.CompareAndSwap(nil, fmt.Sprint(in.Shape))
			datatype.Store(in.Datatype)
			n := in.Shape[0]
			reply200(w, Response{Outputs: []Tensor{newTensor("y", "FP32", []int64{n, 3}, make([]float32, 3*n), false)}})
		}))
		if len(c.metadata) == 3 {
			h.HandleFunc("GET /v2/models/lin", func(w http.ResponseWriter, _ *http.Request) {
				var code int
				fmt.Sscan(c.metadata, &code)
				w.WriteHeader(code)
			})
		}
		c.opt.Concurrency = 1
		v, err := tryDial(t, h, c.opt)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := v.Scores(context.Background(), images(2), make([]float64, 6)); err != nil || shape.Load() != c.sent || datatype.Load() != c.datatype {
			t.Errorf("%s: sent as %v of shape %v, want %s %s (%v)", name, datatype.Load(), shape.Load(), c.datatype, c.sent, err)
		}
		if got := fmt.Sprint(v.Notes()); strings.Contains(got, "does not describe") != (!strings.Contains(c.metadata, "inputs\":[{")) {
			t.Errorf("%s: notes %s", name, got)
		}
	}
	for say, opt := range map[string]Options{
		"say the input's name in Options.Input, a sample's shape [C, H, W] in Options.Shape, the output's name in Options.Output, the number of classes in Options.Classes (": {},
		"say the output's name in Options.Output (": {Input: "x", Shape: told.Shape, Classes: 3},
		"Options.Datatype":                          {Input: "x", Classes: 3, Output: "y"},
	} {
		if _, err := tryDial(t, foreign(none, says(200, "")), opt); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%+v: %v; want an error that says %q", opt, err, say)
		}
	}
}

// TestServerWithoutReadiness: the metadata speak for a model that nobody can ask whether
// it is ready; one that says that it is not is not used.
func TestServerWithoutReadiness(t *testing.T) {
	h := NewHandler(linear(t, new(atomic.Int64)), HandlerOptions{})
	for body, say := range map[string]string{"404": "", "405": "", `{"name":"lin","ready":true}`: "", "true": "", "OK": "",
		`{"name":"lin","ready":false}`: "is not ready", "503": "is not ready"} {
		_, err := tryDial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var code int
			switch _, err := fmt.Sscan(body, &code); {
			case !strings.HasSuffix(r.URL.Path, "/ready"):
				h.ServeHTTP(w, r)
			case err == nil:
				w.WriteHeader(code)
			default:
				io.WriteString(w, body)
			}
		}), Options{Retries: -1})
		if (err == nil) != (say == "") || err != nil && !strings.Contains(err.Error(), say) {
			t.Errorf("readiness %s: %v, want %q", body, err, say)
		}
	}
}

// TestMetadataThatIsNone: a page in its place is quoted, and asked for again.
func TestMetadataThatIsNone(t *testing.T) {
	h := NewHandler(linear(t, new(atomic.Int64)), HandlerOptions{})
	var asked atomic.Int64
	page := func(times int64) http.Handler {
		asked.Store(0)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/models/lin" && asked.Add(1) <= times {
				io.WriteString(w, "<html>sign in</html>")
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	if _, err := tryDial(t, page(2), Options{}); err != nil || asked.Load() != 3 {
		t.Errorf("%v after %d requests", err, asked.Load())
	}
	if _, err := tryDial(t, page(99), Options{Retries: 1}); err == nil || !strings.Contains(err.Error(), "<html>sign in") || asked.Load() != 2 {
		t.Errorf("%v after %d requests", err, asked.Load())
	}
	if _, err := tryDial(t, foreign(strings.Replace(linMetadata, `"FP32","shape":[-1,4]`, `"BYTES","shape":[-1,4]`, 1), says(200, "")), Options{}); err == nil || !strings.Contains(err.Error(), "holds BYTES, not numbers") {
		t.Errorf("an output of strings: %v", err)
	}
}

// TestAddresses: every way to write where a model is.
func TestAddresses(t *testing.T) {
	h := NewHandler(linear(t, new(atomic.Int64)), HandlerOptions{})
	for _, c := range []struct {
		address string
		opt     Options
		base    string // "": it is refused
	}{
		{"/v2/models/lin", Options{}, "/v2/models/lin"},
		{"/v2/models/lin/", Options{}, "/v2/models/lin"},
		{"/v2/models/lin//", Options{}, "/v2/models/lin"},
		{"/v2/models/lin/versions/1", Options{}, "/v2/models/lin/versions/1"},
		{"/v2/models/lin/versions/1/", Options{Model: "lin", Version: "1"}, "/v2/models/lin/versions/1"},
		{"/v2/models/lin", Options{Version: "1"}, "/v2/models/lin/versions/1"},
		{"/v2/models/lin/infer", Options{}, "/v2/models/lin"},
		{"/v2/models/lin/versions/1/ready", Options{}, "/v2/models/lin/versions/1"},
		{"", Options{Model: "lin"}, "/v2/models/lin"},
		{"/", Options{Model: "lin"}, "/v2/models/lin"},
		{"/v2", Options{Model: "lin"}, "/v2/models/lin"},
		{"/v2/models/", Options{Model: "lin", Version: "1"}, "/v2/models/lin/versions/1"},
		{"/v2/models/lin", Options{Model: "lin"}, "/v2/models/lin"},
		{"/v2/models/other", Options{Model: "lin"}, ""},
		{"/v2/models/lin/versions/2", Options{Version: "1"}, ""},
		{"/v2/models/lin?key=secret", Options{}, ""},
		{"/v2/models/lin#1", Options{}, ""},
		{"/v2/models/", Options{}, ""},
	} {
		mux := http.NewServeMux()
		mux.Handle("/behind/", http.StripPrefix("/behind", h))
		mux.Handle("/", h)
		for _, prefix := range []string{"", "/behind"} {
			v, err := tryDialAt(t, mux, prefix+c.address, c.opt)
			if c.base == "" {
				if err == nil || strings.Contains(err.Error(), "no answer") || strings.Contains(err.Error(), "secret") {
					t.Errorf("%s, %+v: %v", c.address, c.opt, err)
				}
				continue
			}
			if err != nil || !strings.HasSuffix(v.base, prefix+c.base) || strings.HasSuffix(v.base, "//v2") {
				t.Errorf("%s, %+v: %v", prefix+c.address, c.opt, err)
				continue
			}
			if err := v.Scores(context.Background(), images(1), make([]float64, 4)); err != nil {
				t.Errorf("%s: %v", prefix+c.address, err)
			}
		}
	}
	if _, err := Dial(context.Background(), "http://me:hidden@127.0.0.1:1/v2/models/lin", Options{Retries: -1}); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("the password is told: %v", err)
	}
}

// TestIdentity: a victim reached by two addresses is one if it is said to be.
func TestIdentity(t *testing.T) {
	h := NewHandler(linear(t, new(atomic.Int64)), HandlerOptions{})
	a, b, c := dial(t, h, Options{Identity: "one"}), dial(t, h, Options{Identity: "one"}), dial(t, h, Options{Identity: "two"})
	if a.Info().Digest != b.Info().Digest || a.Info().Digest == c.Info().Digest {
		t.Errorf("digests %q, %q and %q", a.Info().Digest, b.Info().Digest, c.Info().Digest)
	}
}

// TestNumbersForText: a number stands for a string wherever it decides nothing, on both
// sides.
func TestNumbersForText(t *testing.T) {
	meta := `{"name":7,"versions":[1,2.5],"platform":null,"inputs":[{"name":"x","datatype":"FP32","shape":["-1",1,2,3]}],"outputs":[{"name":"scores","datatype":"FP32","shape":[-1,4]}]}`
	mux := http.NewServeMux()
	mux.Handle("/", foreign(meta, says(200, `{"model_name":7,"model_version":1,"id":3,"parameters":{"x":1},"outputs":[{"name":"scores","datatype":"FP32","shape":["1",4],"parameters":{"content_type":"np"},"data":[1,2,3,4]}]}`)))
	mux.HandleFunc("GET /v2", says(200, `{"name":true,"version":2,"extensions":["binary_tensor_data"]}`))
	v := dial(t, mux, Options{Retries: -1})
	out := make([]float64, 4)
	if err := v.Scores(zoo.WithRequestID(context.Background(), "5"), images(1), out); err != nil || !slices.Equal(out, []float64{1, 2, 3, 4}) || v.mode.Load() != int32(Binary) {
		t.Errorf("%v, %v, encoding %d", err, out, v.mode.Load())
	}
	for in, want := range map[string]Text{`null`: "", `"a"`: "a", `1.5`: "1.5", `true`: "true", `{"a":1}`: `{"a":1}`} {
		var got struct{ V Text }
		if err := json.Unmarshal([]byte(`{"v":`+in+`}`), &got); err != nil || got.V != want {
			t.Errorf("%s is %q (%v), want %q", in, got.V, err, want)
		}
	}
	h := NewHandler(linear(t, new(atomic.Int64)), HandlerOptions{Remember: 2})
	for range 2 {
		res := post(h, `{"id":3,"inputs":[{"name":"image","datatype":"FP32","shape":["1",1,2,3.0],"data":[1,2,3,4,5,6]}]}`)
		if res.Code != 200 || !strings.Contains(res.Body.String(), `"id":"3"`) || h.Served() != 1 {
			t.Errorf("status %d: %s; %d served", res.Code, res.Body, h.Served())
		}
	}
}
