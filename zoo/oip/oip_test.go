package oip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

var info = zoo.Info{Name: "lin", Shape: []int{1, 2, 3}, Classes: 4}

// linear answers class k with the sum of pixel·(k+1) plus k.
func linear(t *testing.T, calls *atomic.Int64) zoo.Scorer {
	return zoo.ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		calls.Add(int64(x.Dim(0)))
		for i := range x.Dim(0) {
			var s float64
			for _, v := range x.Data()[i*6 : i*6+6] {
				s += float64(v)
			}
			for k := range 4 {
				out[i*4+k] = s*float64(k+1) + float64(k)
			}
		}
		return nil
	})
}

func images(n int) *tensor.Tensor {
	x := tensor.New(n, 1, 2, 3)
	for i := range x.Data() {
		x.Data()[i] = float32(i%17) / 32
	}
	return x
}

func dial(t *testing.T, h http.Handler, opt Options) *Client {
	t.Helper()
	c, err := tryDial(t, h, opt)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tryDial(t *testing.T, h http.Handler, opt Options) (*Client, error) {
	return tryDialAt(t, h, "/v2/models/lin", opt)
}

// tryDialAt serves h and dials it at a path.
func tryDialAt(t *testing.T, h http.Handler, path string, opt Options) (*Client, error) {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	if opt.Backoff == 0 {
		opt.Backoff = time.Millisecond
	}
	return Dial(context.Background(), s.URL+path, opt)
}

// post sends h a request for inference.
func post(h http.Handler, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/v2/models/lin/infer", strings.NewReader(body)))
	return w
}

func want(t *testing.T, x *tensor.Tensor) []float64 {
	var calls atomic.Int64
	out := make([]float64, x.Dim(0)*4)
	if err := linear(t, &calls).Scores(context.Background(), x, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func equal(t *testing.T, got, want []float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-5) {
			t.Fatalf("score %d = %v, want %v", i, got[i], want[i])
		}
	}
}

func TestBothEnds(t *testing.T) {
	for _, enc := range []Encoding{Auto, Binary, JSON} {
		for _, batch := range []int{0, 1, 3} {
			var calls atomic.Int64
			h := NewHandler(linear(t, &calls), HandlerOptions{Token: "secret"})
			c := dial(t, h, Options{Encoding: enc, Batch: batch, Token: "secret"})
			got := c.Info()
			got.Digest = "" // the server's address is in it
			if fmt.Sprint(got) != fmt.Sprint(info) {
				t.Fatalf("Info = %v, want %v", got, info)
			}
			x := images(7)
			out := make([]float64, 28)
			if err := c.Scores(context.Background(), x, out); err != nil {
				t.Fatal(err)
			}
			equal(t, out, want(t, x))
			if calls.Load() != 7 || h.Served() != 7 || c.Stats().Sent != 7 {
				t.Errorf("victim saw %d, handler %d, client sent %d; want 7", calls.Load(), h.Served(), c.Stats().Sent)
			}
			labels := make([]int, 7)
			if err := c.Labels(context.Background(), x, labels); err != nil || labels[0] != 3 {
				t.Errorf("Labels: %v, %v", labels, err)
			}
		}
	}
}

func TestPreprocessingReachesTheModel(t *testing.T) {
	var seen []float32
	wire := zoo.Info{Name: "lin", Shape: []int{2, 3, 1}, Classes: 2}
	v := zoo.ScorerFunc(wire, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		seen = append([]float32(nil), x.Data()...)
		clear(out)
		return nil
	})
	c := dial(t, NewHandler(v, HandlerOptions{}), Options{
		Preprocess: data.Preprocess{Scale: 255, Mean: []float32{10}, Std: []float32{2}, NHWC: true}})
	if got := fmt.Sprint(c.Info().Shape); got != "[1 2 3]" {
		t.Fatalf("sample shape %v, want [1 2 3]", got)
	}
	x := images(1)
	if err := c.Scores(context.Background(), x, make([]float64, 2)); err != nil {
		t.Fatal(err)
	}
	for i, v := range x.Data() {
		if w := (v*255 - 10) / 2; !(math.Abs(float64(seen[i]-w)) <= 1e-4) {
			t.Fatalf("pixel %d reached the model as %v, want %v", i, seen[i], w)
		}
	}
}

// faulty breaks the first n inference requests.
func faulty(h http.Handler, n int, fault func(w http.ResponseWriter, r *http.Request)) http.Handler {
	var left atomic.Int64
	left.Store(int64(n))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/infer") && left.Add(-1) >= 0 {
			fault(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func TestFaultsThatPass(t *testing.T) {
	faults := map[string]func(w http.ResponseWriter, r *http.Request){
		"500":   func(w http.ResponseWriter, r *http.Request) { fail(w, 500, "tired") },
		"503":   func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Retry-After", "0"); fail(w, 503, "busy") },
		"429":   func(w http.ResponseWriter, r *http.Request) { fail(w, 429, "slow down") },
		"reset": func(w http.ResponseWriter, r *http.Request) { reset(w) },
		"slow":  func(w http.ResponseWriter, r *http.Request) { time.Sleep(400 * time.Millisecond) },
		"cut": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte(`{"outputs":`))
		},
		"reset in the middle": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte(`{"outputs":`))
			w.(http.Flusher).Flush()
			reset(w)
		},
		"ended in the middle of chunks": func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(`{"outputs":`))
			w.(http.Flusher).Flush()
			reset(w)
		},
		"too early": func(w http.ResponseWriter, r *http.Request) { fail(w, 425, "too early") },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			h := NewHandler(linear(t, &calls), HandlerOptions{})
			c := dial(t, faulty(h, 2, fault), Options{Timeout: 150 * time.Millisecond})
			x := images(3)
			out := make([]float64, 12)
			if err := c.Scores(context.Background(), x, out); err != nil {
				t.Fatal(err)
			}
			equal(t, out, want(t, x))
			if s := c.Stats(); s.Retries != 2 || s.Sent != 9 || h.Served() != 3 {
				t.Errorf("%+v, served %d; want 2 retries, 9 samples sent, 3 served", s, h.Served())
			}
		})
	}
}

// reset closes the connection so that the peer sees a reset.
func reset(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

func TestWrongAnswersAreErrors(t *testing.T) {
	answer := func(body string) func(w http.ResponseWriter, r *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(body)) }
	}
	cases := map[string]struct {
		fault func(w http.ResponseWriter, r *http.Request)
		say   string
	}{
		"null":    {answer(`{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,4],"data":[1,null,3,4]}]}`), "null"},
		"string":  {answer(`{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,4],"data":[1,"2",3,4]}]}`), "not a number"},
		"short":   {answer(`{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}`), "need [1, 4]"},
		"miscut":  {answer(`{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,4],"data":[1,2,3]}]}`), "3 values for shape [1 4]"},
		"huge":    {answer(`{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,4000000000000],"data":[1]}]}`), "more than"},
		"other":   {answer(`{"outputs":[{"name":"boxes","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}`), `lacks output "scores"`},
		"foreign": {answer(`{"id":"nobody's","outputs":[{"name":"scores","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}`), "for request"},
		"garbage": {answer(`<html>`), "not a message"},
		"overrun": {answer(`{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,4],"data":[1e999,2,3,4]}]}`), "value"},
		"raw NaN": {func(w http.ResponseWriter, r *http.Request) {
			out := newTensor("scores", "FP32", []int64{1, 4}, []float32{1, float32(math.NaN()), 3, 4}, true)
			b, n, _ := encode(Response{Outputs: []Tensor{out}}, []Tensor{out})
			w.Header().Set(HeaderLength, header(n))
			w.Write(b)
		}, "is NaN"},
		"deep": {answer(`{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,4],"data":` + strings.Repeat("[", 99) + "1,2,3,4" + strings.Repeat("]", 99) + `}]}`), "nested too deep"},
		"raw long": {func(w http.ResponseWriter, r *http.Request) {
			out := newTensor("scores", "FP32", []int64{1, 4}, []float32{1, 2, 3, 4}, true)
			b, n, _ := encode(Response{Outputs: []Tensor{out}}, []Tensor{out})
			w.Header().Set(HeaderLength, header(n))
			w.Write(append(b, 0, 0))
		}, "2 bytes after"},
		"raw short": {func(w http.ResponseWriter, r *http.Request) {
			out := newTensor("scores", "FP32", []int64{1, 4}, []float32{1, 2, 3, 4}, true)
			b, n, _ := encode(Response{Outputs: []Tensor{out}}, []Tensor{out})
			w.Header().Set(HeaderLength, header(n))
			w.Write(b[:len(b)-3])
		}, "raw bytes"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			c := dial(t, faulty(NewHandler(linear(t, &calls), HandlerOptions{}), 1, tc.fault), Options{Retries: -1})
			err := c.Scores(context.Background(), images(1), make([]float64, 4))
			if !errors.Is(err, zoo.ErrBadVictim) || !strings.Contains(err.Error(), tc.say) {
				t.Fatalf("error %v; want one that says %q", err, tc.say)
			}
		})
	}
	t.Run("probabilities that are logits", func(t *testing.T) {
		var calls atomic.Int64
		c := dial(t, NewHandler(linear(t, &calls), HandlerOptions{}), Options{Scores: zoo.Probabilities})
		err := c.Scores(context.Background(), images(1), make([]float64, 4))
		if !errors.Is(err, zoo.ErrBadVictim) || !strings.Contains(err.Error(), "logits") {
			t.Fatalf("error %v; want one that suggests logits", err)
		}
	})
}

func TestDialRefuses(t *testing.T) {
	var calls atomic.Int64
	s := httptest.NewServer(NewHandler(linear(t, &calls), HandlerOptions{}))
	defer s.Close()
	guarded := httptest.NewServer(NewHandler(linear(t, &calls), HandlerOptions{Token: "new"}))
	defer guarded.Close()
	closed := httptest.NewUnstartedServer(s.Config.Handler) // by a certificate that nobody knows
	closed.Config.ErrorLog = log.New(io.Discard, "", 0)
	closed.StartTLS()
	defer closed.Close()
	for _, tc := range []struct {
		url string
		opt Options
		say string
		// once: no other try would mend it, nor what is said of other failures
		once bool
	}{
		{"nonsense", Options{}, "no address", false},
		{s.URL, Options{}, "which model", false},
		{s.URL, Options{Model: "none"}, "not ready", false},
		{s.URL, Options{Model: "lin", Version: "9"}, "not ready", false},
		{s.URL, Options{Model: "lin", Output: "boxes"}, `has ["scores"]`, false},
		{s.URL, Options{Model: "lin", Shape: []int{1, 5, 5}}, "reach it as", false},
		{s.URL, Options{Model: "lin", Classes: 1}, "at least 2", false},
		{"http://127.0.0.1:1/v2/models/lin", Options{Retries: -1}, "is the server running", false},
		{guarded.URL, Options{Model: "lin"}, "Options.Token", true},
		{guarded.URL, Options{Model: "lin", Token: "old"}, "Options.Token", true},
		{strings.Replace(s.URL, "http:", "https:", 1), Options{Model: "lin"}, "write http://", true},
		{closed.URL, Options{Model: "lin"}, "Options.TLS", true},
	} {
		tc.opt.Backoff = time.Millisecond
		_, err := Dial(context.Background(), tc.url, tc.opt)
		if err == nil || !strings.Contains(err.Error(), tc.say) {
			t.Errorf("Dial(%q, %+v): %v; want an error that says %q", tc.url, tc.opt, err, tc.say)
			continue
		}
		for _, wrong := range []string{"tries", "is the server running", "the model's name"} {
			if tc.once && strings.Contains(err.Error(), wrong) {
				t.Errorf("Dial(%q, %+v): %v; which says %q", tc.url, tc.opt, err, wrong)
			}
		}
	}
}

func TestRateAndConcurrency(t *testing.T) {
	var inFlight, most atomic.Int64
	v := zoo.ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		n := inFlight.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		inFlight.Add(-1)
		clear(out)
		return nil
	})
	c := dial(t, NewHandler(v, HandlerOptions{}), Options{Batch: 1, Concurrency: 3, Rate: 200})
	start := time.Now()
	if err := c.Scores(context.Background(), images(21), make([]float64, 84)); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < 95*time.Millisecond {
		t.Errorf("21 samples at 200 a second took %v", d)
	}
	if most.Load() > 3 {
		t.Errorf("%d requests in flight, at most 3 asked for", most.Load())
	}
}

func TestCancel(t *testing.T) {
	block := make(chan struct{})
	h := NewHandler(linear(t, new(atomic.Int64)), HandlerOptions{})
	c := dial(t, faulty(h, 1, func(w http.ResponseWriter, r *http.Request) { <-block }), Options{})
	t.Cleanup(func() { close(block) })
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { time.Sleep(20 * time.Millisecond); cancel() })
	err := c.Scores(ctx, images(1), make([]float64, 4))
	wg.Wait()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":"a","outputs":[{"name":"s","datatype":"FP32","shape":[1,2],"data":[[1,2]]}]}`), "")
	out := newTensor("s", "FP32", []int64{1, 2}, []float32{1, 2}, true)
	b, n, _ := encode(Response{Outputs: []Tensor{out}}, []Tensor{out})
	f.Add(b, header(n))
	f.Fuzz(func(t *testing.T, body []byte, head string) {
		var res Response
		if decode(bytes.Clone(body), head, &res, func() []Tensor { return res.Outputs }) != nil {
			return
		}
		for i := range res.Outputs {
			if v, err := res.Outputs[i].Values(1 << 16); err == nil {
				if m, _ := elements(res.Outputs[i].Shape, 1<<16); len(v) != m {
					t.Fatalf("%d values for shape %v", len(v), res.Outputs[i].Shape)
				}
			}
		}
	})
}

func TestTLS(t *testing.T) {
	var calls atomic.Int64
	s := httptest.NewTLSServer(NewHandler(linear(t, &calls), HandlerOptions{}))
	defer s.Close()
	if _, err := Dial(context.Background(), s.URL, Options{Model: "lin", Retries: -1}); err == nil {
		t.Error("a certificate of unknown origin was accepted")
	}
	c, err := Dial(context.Background(), s.URL, Options{Model: "lin", TLS: s.Client().Transport.(*http.Transport).TLSClientConfig})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, 4)
	if err := c.Scores(context.Background(), images(1), out); err != nil {
		t.Fatal(err)
	}
	equal(t, out, want(t, images(1)))
}

// TestDigest: models are told apart by where they are and by what they are sent,
// without telling the password.
func TestDigest(t *testing.T) {
	var calls atomic.Int64
	s := httptest.NewServer(NewHandler(linear(t, &calls), HandlerOptions{}))
	defer s.Close()
	digest := func(address string, opt Options) string {
		c, err := Dial(context.Background(), address, opt)
		if err != nil {
			t.Fatal(err)
		}
		return c.Info().Digest
	}
	want := digest(s.URL+"/v2/models/lin", Options{})
	secret := strings.Replace(s.URL, "://", "://me:secret@", 1)
	for _, same := range []string{digest(s.URL, Options{Model: "lin", Token: "secret", Batch: 2}), digest(secret, Options{Model: "lin"})} {
		if same != want || strings.Contains(same, "secret") {
			t.Errorf("digest %q, want %q", same, want)
		}
	}
	other := httptest.NewServer(NewHandler(linear(t, &calls), HandlerOptions{}))
	defer other.Close()
	for _, differs := range []string{digest(other.URL, Options{Model: "lin"}), digest(s.URL, Options{Model: "lin", Version: "1"}),
		digest(s.URL, Options{Model: "lin", Preprocess: data.Preprocess{Scale: 255}})} {
		if differs == want {
			t.Errorf("another victim has the same digest %q", differs)
		}
	}
}
