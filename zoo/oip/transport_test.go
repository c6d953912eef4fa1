package oip

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// TestBackOff: the pause doubles from try to try.
func TestBackOff(t *testing.T) {
	var calls atomic.Int64
	var at []time.Time
	fault := func(w http.ResponseWriter, r *http.Request) {
		at = append(at, time.Now())
		fail(w, 503, "busy")
	}
	c := dial(t, faulty(NewHandler(linear(t, &calls), HandlerOptions{}), 4, fault), Options{Backoff: 20 * time.Millisecond, Retries: 3})
	if err := c.Scores(context.Background(), images(1), make([]float64, 4)); err == nil || len(at) != 4 {
		t.Fatalf("%v after %d tries, want 4", err, len(at))
	}
	for i, want := range []time.Duration{20, 40, 80} {
		if d := at[i+1].Sub(at[i]); d < want*time.Millisecond {
			t.Errorf("pause %d lasted %v, want %v at least", i+1, d, want*time.Millisecond)
		}
	}
}

// TestRetryAfter: a server that says when to come again is obeyed, within reason.
func TestRetryAfter(t *testing.T) {
	var calls atomic.Int64
	fault := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "1")
		fail(w, 429, "slow down")
	}
	c := dial(t, faulty(NewHandler(linear(t, &calls), HandlerOptions{}), 1, fault), Options{})
	start := time.Now()
	if err := c.Scores(context.Background(), images(1), make([]float64, 4)); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < time.Second {
		t.Errorf("asked again after %v, want a second", d)
	}
	soon := time.Now().Add(30 * time.Second)
	at := func(t time.Time) string { return t.UTC().Format(http.TimeFormat) }
	for _, c := range []struct {
		after, date string
		want        time.Duration
	}{
		{"", "", 0}, {"7", "", 7 * time.Second}, {"-3", "", 0}, {"99999", "", 99999 * time.Second}, {"later", "", 0},
		{at(soon), "", 30 * time.Second}, {"Mon, 02 Jan 2006 15:04:05 GMT", "", 0}, {"9999999999999", "", 1 << 30 * time.Second},
		{at(soon), at(soon.Add(-7 * time.Second)), 7 * time.Second}, // by a clock that is wrong
	} {
		h := http.Header{}
		h.Set("Retry-After", c.after)
		h.Set("Date", c.date)
		if d := retryAfter(h) - c.want; d > 2*time.Second || d < -2*time.Second {
			t.Errorf("Retry-After %q at %q is %v, want %v", c.after, c.date, retryAfter(h), c.want)
		}
	}
	for _, c := range [][3]time.Duration{{1, 0, 1}, {1, 2, 2}, {3, 2, 3}, {1, time.Hour, time.Minute}, {2 * time.Minute, time.Hour, 2 * time.Minute}} {
		if got := pause(c[0], c[1]); got != c[2] {
			t.Errorf("a back-off of %v where the server asks for %v: %v, want %v", c[0], c[1], got, c[2])
		}
	}
}

// TestFixedBatch: a model whose batch is fixed gets exactly that many samples a request,
// or as many as are asked for.
func TestFixedBatch(t *testing.T) {
	for _, c := range []struct {
		batch, samples, fixed int
		want                  []int // samples of each request
	}{{0, 5, 2, []int{2, 2, 2}}, {0, 1, 2, []int{2}}, {8, 4, 2, []int{2, 2}}, {1, 2, 0, []int{1, 1}}} {
		var calls atomic.Int64
		var got []int
		v := linear(t, &calls)
		spy := zoo.ScorerFunc(info, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
			got = append(got, x.Dim(0))
			return v.Scores(ctx, x, out)
		})
		mux := http.NewServeMux()
		mux.HandleFunc("GET /v2/models/lin", func(w http.ResponseWriter, _ *http.Request) {
			reply200(w, ModelMetadata{Name: "lin", Inputs: []TensorMetadata{{"image", "FP32", []int64{2, 1, 2, 3}}},
				Outputs: []TensorMetadata{{"scores", "FP32", []int64{2, 4}}}})
		})
		mux.Handle("/", NewHandler(spy, HandlerOptions{}))
		client := dial(t, mux, Options{Concurrency: 1, Batch: c.batch})
		x := images(c.samples)
		out := make([]float64, 4*c.samples)
		if err := client.Scores(context.Background(), x, out); err != nil {
			t.Fatal(err)
		}
		equal(t, out, want(t, x))
		if client.FixedBatch() != c.fixed {
			t.Errorf("Batch %d: a fixed batch of %d, want %d", c.batch, client.FixedBatch(), c.fixed)
		}
		if !slices.Equal(got, c.want) || client.Stats().Sent != int(calls.Load()) {
			t.Errorf("%d samples with Batch %d went in requests of %v, want %v; %d are counted", c.samples, c.batch, got, c.want, client.Stats().Sent)
		}
	}
}

// TestClipWithoutBatch: four dimensions are one sample if samples are said to have four.
func TestClipWithoutBatch(t *testing.T) {
	c := &Client{opt: Options{Model: "clips", Shape: []int{3, 8, 4, 4}}}
	err := c.describe(&ModelMetadata{Inputs: []TensorMetadata{{"x", "FP32", []int64{3, 8, 4, 4}}}, Outputs: []TensorMetadata{{"y", "FP32", []int64{5}}}})
	if err != nil || c.batched || !slices.Equal(c.wire, []int64{3, 8, 4, 4}) {
		t.Errorf("%v, batched %v, wire %v", err, c.batched, c.wire)
	}
}

// TestResendIsAnnounced: what is sent again is told before, as samples of the call,
// and is not sent if that fails.
func TestResendIsAnnounced(t *testing.T) {
	var calls atomic.Int64
	busy := func(w http.ResponseWriter, r *http.Request) { fail(w, 503, "busy") }
	c := dial(t, faulty(NewHandler(linear(t, &calls), HandlerOptions{}), 3, busy), Options{Batch: 3, Concurrency: 1})
	again := make([]int, 7)
	ctx := zoo.WithResend(context.Background(), func(lo, hi int) error {
		for i := lo; i < hi; i++ {
			again[i]++
		}
		return nil
	})
	x, out := images(7), make([]float64, 28)
	if err := c.Scores(ctx, x, out); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, n := range again {
		sum += n
	}
	if s := c.Stats(); sum != s.Sent-7 || again[0] != again[2] || again[3] != again[5] {
		t.Errorf("samples sent again %v; the client sent %d", again, s.Sent)
	}
	full := errors.New("the disk is full")
	c = dial(t, faulty(NewHandler(linear(t, &calls), HandlerOptions{}), 1, busy), Options{})
	ctx = zoo.WithResend(context.Background(), func(int, int) error { return full })
	if err := c.Scores(ctx, x, out); !errors.Is(err, full) || c.Stats().Requests != 1 {
		t.Errorf("%v after %d requests", err, c.Stats().Requests)
	}
}

// compressed answers inference in an encoding of HTTP whether it is asked for or not.
func compressed(h http.Handler, coding string, pack func(io.Writer) io.WriteCloser) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		plain := httptest.NewRecorder()
		h.ServeHTTP(plain, r)
		if k := plain.Header().Get(HeaderLength); k != "" {
			w.Header().Set(HeaderLength, k)
		}
		w.Header().Set("Content-Encoding", coding)
		w.WriteHeader(plain.Code)
		p := pack(w)
		p.Write(plain.Body.Bytes())
		p.Close()
	})
}

// TestCompressedAnswers: what a server or a proxy compresses is read, asked for or not,
// and its failures too.
func TestCompressedAnswers(t *testing.T) {
	h := NewHandler(linear(t, new(atomic.Int64)), HandlerOptions{})
	none := &http.Client{Transport: &http.Transport{DisableCompression: true}} // asks for nothing, and gets it
	for name, pack := range map[string]func(io.Writer) io.WriteCloser{
		"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"x-gzip":  func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
		"DEFLATE": func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 6); return f },
	} {
		for _, client := range []*http.Client{nil, none} {
			for _, enc := range []Encoding{Binary, JSON} {
				c := dial(t, compressed(h, name, pack), Options{Encoding: enc, Client: client, Retries: -1})
				x, out := images(3), make([]float64, 12)
				if err := c.Scores(context.Background(), x, out); err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				equal(t, out, want(t, x))
			}
			c := dial(t, foreign(linMetadata, compressed(says(400, `{"error":"shown"}`), name, pack).ServeHTTP), Options{Client: client})
			if err := c.Scores(context.Background(), images(1), make([]float64, 4)); err == nil || !strings.HasSuffix(err.Error(), "shown") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	c := dial(t, foreign(linMetadata, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		io.WriteString(w, "what?")
	}), Options{})
	if err := c.Scores(context.Background(), images(1), make([]float64, 4)); err == nil || !strings.Contains(err.Error(), `"br"`) || c.Stats().Requests != 1 {
		t.Errorf("br: %v, %+v", err, c.Stats())
	}
	broken := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, "no gzip")
	}
	c = dial(t, faulty(h, 1, broken), Options{})
	if err := c.Scores(context.Background(), images(1), make([]float64, 4)); err != nil || c.Stats().Retries != 1 {
		t.Errorf("a broken stream: %v, %+v", err, c.Stats())
	}
}

// TestLongAnswers: an answer is read to a bound, compressed or not, and so is a failure.
func TestLongAnswers(t *testing.T) {
	spaces := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for range n {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<10)); err != nil {
					return
				}
				if f, ok := w.(http.Flusher); ok { // in chunks
					f.Flush()
				}
			}
			io.WriteString(w, `{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}`)
		}
	}
	pack := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	for n, say := range map[int]string{40: "", 70: "more than 65536 bytes", 1 << 30: "more than 65536 bytes"} {
		endless := spaces(n)
		packed := compressed(spaces(min(n, 1<<14)), "gzip", pack).ServeHTTP // 16 MB in 16 kB
		for _, h := range []http.HandlerFunc{endless, packed} {
			c := dial(t, foreign(linMetadata, h), Options{Timeout: 5 * time.Second})
			c.most = 1 << 16
			err := c.Scores(context.Background(), images(1), make([]float64, 4))
			if (err == nil) != (say == "") || err != nil && !strings.Contains(err.Error(), say) || c.Stats().Requests != 1 {
				t.Errorf("%d kB: %v after %d requests", n, err, c.Stats().Requests)
			}
		}
	}
	read := make(chan int, 1)
	c := dial(t, foreign(linMetadata, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		n := 0
		for {
			k, err := w.Write(bytes.Repeat([]byte("very long "), 1<<10))
			if n += k; err != nil || n > 1<<26 {
				break
			}
		}
		read <- n
	}), Options{})
	if err := c.Scores(context.Background(), images(1), make([]float64, 4)); err == nil || len(err.Error()) > 400 {
		t.Errorf("%v", err)
	}
	if n := <-read; n > 1<<26 {
		t.Errorf("%d bytes of a failure were read", n)
	}
}

// TestHTTP2: a server that speaks it is asked by it, also under a tls.Config of the
// user's, which stays as it was.
func TestHTTP2(t *testing.T) {
	var protocol atomic.Int64
	h := NewHandler(linear(t, new(atomic.Int64)), HandlerOptions{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol.Store(int64(r.ProtoMajor))
		h.ServeHTTP(w, r)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	mine := &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	c, err := Dial(context.Background(), s.URL, Options{Model: "lin", TLS: mine, Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	x, out := images(9), make([]float64, 36)
	if err := c.Scores(context.Background(), x, out); err != nil {
		t.Fatal(err)
	}
	equal(t, out, want(t, x))
	if protocol.Load() != 2 || len(mine.NextProtos) > 0 {
		t.Errorf("HTTP/%d, protocols %v", protocol.Load(), mine.NextProtos)
	}
}

// TestOtherTransport: a program may have replaced http.DefaultTransport.
func TestOtherTransport(t *testing.T) {
	was := http.DefaultTransport
	http.DefaultTransport = http.NewFileTransport(http.Dir("/"))
	defer func() { http.DefaultTransport = was }()
	h := httpClient(&Options{Concurrency: 3})
	if tr, ok := h.Transport.(*http.Transport); !ok || tr.MaxIdleConnsPerHost != 3 || !tr.ForceAttemptHTTP2 || tr.Proxy == nil {
		t.Errorf("transport %+v", h.Transport)
	}
}
