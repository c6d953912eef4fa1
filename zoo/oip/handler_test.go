package oip

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

func TestHandlerRefuses(t *testing.T) {
	var calls atomic.Int64
	s := httptest.NewServer(NewHandler(linear(t, &calls), HandlerOptions{MaxSamples: 2}))
	defer s.Close()
	for _, body := range []string{
		``, `{}`, `{"inputs":[]}`, `[1]`,
		`{"inputs":[{"name":"other","datatype":"FP32","shape":[1,1,2,3],"data":[1,2,3,4,5,6]}]}`,
		`{"inputs":[{"name":"image","datatype":"INT8","shape":[1,1,2,3],"data":[1,2,3,4,5,6]}]}`,
		`{"inputs":[{"name":"image","datatype":"FP32","shape":[1,1,3,2],"data":[1,2,3,4,5,6]}]}`,
		`{"inputs":[{"name":"image","datatype":"FP32","shape":[-1,1,2,3],"data":[1,2,3,4,5,6]}]}`,
		`{"inputs":[{"name":"image","datatype":"FP32","shape":[3,1,2,3],"data":[1,2,3,4,5,6]}]}`,
		`{"inputs":[{"name":"image","datatype":"FP32","shape":[1,1,2,3],"data":[1,2,3,4,5]}]}`,
		`{"inputs":[{"name":"image","datatype":"FP32","shape":[1,1,2,3],"data":[1,2,3,4,5,6]}],"outputs":[{"name":"boxes"}]}`,
		`{"inputs":[{"name":"image","datatype":"FP32","shape":[1,1,2,3],"parameters":{"binary_data_size":24}}]}`,
	} {
		res, err := http.Post(s.URL+"/v2/models/lin/infer", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var e ErrorBody
		if err := json.NewDecoder(res.Body).Decode(&e); err != nil || res.StatusCode/100 != 4 || e.Error == "" {
			t.Errorf("%s: status %d, error %q (%v)", body, res.StatusCode, e.Error, err)
		}
		res.Body.Close()
	}
	if calls.Load() != 0 {
		t.Errorf("%d samples of bad requests reached the victim", calls.Load())
	}
}

// TestCompressedRequests: the handler takes them, to the same bound.
func TestCompressedRequests(t *testing.T) {
	h := NewHandler(linear(t, new(atomic.Int64)), HandlerOptions{MaxSamples: 2})
	body := `{"inputs":[{"name":"image","datatype":"FP32","shape":[1,1,2,3],"data":[1,2,3,4,5,6]}]}`
	zip := func(s string) string {
		var b strings.Builder
		z := gzip.NewWriter(&b)
		io.WriteString(z, s)
		z.Close()
		return b.String()
	}
	for _, c := range []struct {
		coding, body string
		code         int
		say          string
	}{
		{"", body, 200, ""}, {"gzip", zip(body), 200, ""}, {"gzip", body, 415, "gzip"}, {"br", body, 415, "br"},
		{"gzip", zip(body)[:30], 400, "cut off"},
		{"", body + strings.Repeat(" ", 1<<17), 413, "2 samples"}, {"gzip", zip(body + strings.Repeat(" ", 1<<17)), 413, "2 samples"},
	} {
		r := httptest.NewRequest("POST", "/v2/models/lin/infer", strings.NewReader(c.body))
		r.Header.Set("Content-Encoding", c.coding)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.say) {
			t.Errorf("%q of %d bytes: status %d, %s; want %d, %q", c.coding, len(c.body), w.Code, w.Body, c.code, c.say)
		}
	}
}

// TestElsewhere: who comes to another path is told the right ones.
func TestElsewhere(t *testing.T) {
	h := NewHandler(linear(t, new(atomic.Int64)), HandlerOptions{})
	for _, c := range []struct {
		method, path string
		code         int
		say          string
	}{
		{"GET", "/v2", 200, "binary_tensor_data"}, {"GET", "/v2/", 200, "binary_tensor_data"}, {"GET", "/", 404, "there are GET /v2/models/lin and POST /v2/models/lin/infer"},
		{"GET", "/v2/models/lin/infer", 404, "POST /v2/models/lin/infer"}, {"GET", "/v2/models/lon", 404, `there is \"lin\"`}, {"GET", "/v2/models/lin/versions/2", 404, "there is 1"},
		{"GET", "/v2/models/lin/versions/1", 200, "image"}, {"GET", "/v2/health/live", 200, ""},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.say) {
			t.Errorf("%s %s: status %d, %s; want %d, %q", c.method, c.path, w.Code, w.Body, c.code, c.say)
		}
	}
}

func TestRepeatedRequestsAreServedOnce(t *testing.T) {
	var calls atomic.Int64
	h := NewHandler(linear(t, &calls), HandlerOptions{Remember: 8})
	// The answer to the first request is lost on the way.
	var lost atomic.Bool
	c := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/infer") && lost.CompareAndSwap(false, true) {
			h.ServeHTTP(httptest.NewRecorder(), r)
			reset(w)
			return
		}
		h.ServeHTTP(w, r)
	}), Options{})
	ctx := zoo.WithRequestID(context.Background(), "s1/7")
	x := images(2)
	out := make([]float64, 8)
	for range 3 {
		if err := c.Scores(ctx, x, out); err != nil {
			t.Fatal(err)
		}
		equal(t, out, want(t, x))
	}
	if calls.Load() != 2 {
		t.Errorf("victim saw %d samples, want 2", calls.Load())
	}
	for i := range 9 { // more ids than are remembered
		if err := c.Scores(zoo.WithRequestID(context.Background(), fmt.Sprint("t", i)), x, out); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Scores(ctx, x, out); err != nil || calls.Load() != 2+18+2 {
		t.Errorf("victim saw %d samples (%v), want 22", calls.Load(), err)
	}
}

// TestRequestsUnderWayAreNotForgotten: however few are remembered, one that comes again
// while it is being served waits for its answer.
func TestRequestsUnderWayAreNotForgotten(t *testing.T) {
	var calls atomic.Int64
	entered, goOn := make(chan bool, 3), make(chan bool)
	h := NewHandler(zoo.ScorerFunc(info, func(_ context.Context, _ *tensor.Tensor, out []float64) error {
		calls.Add(1)
		entered <- true
		<-goOn
		clear(out)
		return nil
	}), HandlerOptions{Remember: 1})
	c := dial(t, h, Options{})
	var wg sync.WaitGroup
	ask := func(id string) {
		wg.Go(func() {
			if err := c.Scores(zoo.WithRequestID(context.Background(), id), images(1), make([]float64, 4)); err != nil {
				t.Error(err)
			}
		})
	}
	ask("one")
	<-entered
	ask("two")
	<-entered
	ask("one")
	time.Sleep(20 * time.Millisecond) // the third waits for the first
	close(goOn)
	wg.Wait()
	if calls.Load() != 2 {
		t.Errorf("victim saw %d samples, want 2", calls.Load())
	}
	ask("three") // both are answered now, and one is enough to remember
	wg.Wait()
	if len(h.recent) != 1 || len(h.calls) != 1 {
		t.Errorf("%d requests are remembered, want 1", len(h.recent))
	}
}

// TestAnIDIsOneRequest: an id that comes again with other pixels is refused, not
// answered with what was said of the first.
func TestAnIDIsOneRequest(t *testing.T) {
	var calls atomic.Int64
	c := dial(t, NewHandler(linear(t, &calls), HandlerOptions{Remember: 8}), Options{})
	ctx := zoo.WithRequestID(context.Background(), "same")
	x := images(1)
	out := make([]float64, 4)
	if err := c.Scores(ctx, x, out); err != nil {
		t.Fatal(err)
	}
	x.Data()[0] = 0.75
	if err := c.Scores(ctx, x, out); err == nil || !strings.Contains(err.Error(), "other pixels") || c.Stats().Retries > 0 {
		t.Errorf("other pixels under the same id: %v after %d retries", err, c.Stats().Retries)
	}
}

// TestPanickingVictim: who waits for the answer of a request that panicked is told.
func TestPanickingVictim(t *testing.T) {
	entered, goOn := make(chan bool), make(chan bool)
	var calls atomic.Int64
	h := NewHandler(zoo.ScorerFunc(info, func(context.Context, *tensor.Tensor, []float64) error {
		if calls.Add(1) == 1 {
			close(entered)
			<-goOn
		}
		panic(http.ErrAbortHandler) // which net/http does not log
	}), HandlerOptions{Remember: 8})
	c := dial(t, h, Options{Retries: -1})
	ask := func(done chan<- error) {
		done <- c.Scores(zoo.WithRequestID(context.Background(), "one"), images(1), make([]float64, 4))
	}
	first, second := make(chan error, 1), make(chan error, 1)
	go ask(first)
	<-entered
	go ask(second)
	time.Sleep(20 * time.Millisecond) // the second waits for the first
	close(goOn)
	for _, done := range []chan error{first, second} {
		select {
		case err := <-done:
			if err == nil {
				t.Error("scores of a victim that panicked")
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a request waits for ever")
		}
	}
}

// FuzzHandler: whatever is sent, it is served or refused with a reason.
func FuzzHandler(f *testing.F) {
	f.Add([]byte(`{"id":3,"inputs":[{"name":"image","datatype":"FP32","shape":[1,1,2,3],"data":[1,2,3,4,5,6]}],"outputs":[{"name":"scores"}]}`), "")
	in := newTensor("image", "FP32", []int64{2, 1, 2, 3}, make([]float32, 12), true)
	b, n, _ := encode(Request{Inputs: []Tensor{in}, Parameters: &RequestParams{BinaryOutput: true}}, []Tensor{in})
	f.Add(b, header(n))
	h := NewHandler(zoo.ScorerFunc(info, func(_ context.Context, _ *tensor.Tensor, out []float64) error { clear(out); return nil }), HandlerOptions{MaxSamples: 4, Remember: 4})
	f.Fuzz(func(t *testing.T, body []byte, head string) {
		r := httptest.NewRequest("POST", "/v2/models/lin/infer", bytes.NewReader(body))
		r.Header.Set(HeaderLength, head)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var e ErrorBody
		if w.Code != 200 && (w.Code/100 != 4 || json.Unmarshal(w.Body.Bytes(), &e) != nil || e.Error == "") {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
	})
}
