package oip

import (
	"context"
	"errors"
	"net/http"
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
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-3": 0, "99999": time.Minute, "later": 0,
		soon.UTC().Format(http.TimeFormat): 30 * time.Second, "Mon, 02 Jan 2006 15:04:05 GMT": 0,
	} {
		if d := retryAfter(header) - want; d > 2*time.Second || d < -2*time.Second {
			t.Errorf("Retry-After %q is %v, want %v", header, retryAfter(header), want)
		}
	}
}

// TestFixedBatch: a model that takes so many samples at most gets no more at a time.
func TestFixedBatch(t *testing.T) {
	var calls, most atomic.Int64
	v := linear(t, &calls)
	spy := zoo.ScorerFunc(info, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		if n := int64(x.Dim(0)); n > most.Load() {
			most.Store(n)
		}
		return v.Scores(ctx, x, out)
	})
	h := NewHandler(spy, HandlerOptions{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/models/lin", func(w http.ResponseWriter, _ *http.Request) {
		reply200(w, ModelMetadata{Name: "lin", Inputs: []TensorMetadata{{"image", "FP32", []int64{2, 1, 2, 3}}},
			Outputs: []TensorMetadata{{"scores", "FP32", []int64{2, 4}}}})
	})
	mux.Handle("/", h)
	c := dial(t, mux, Options{Concurrency: 1})
	x := images(5)
	out := make([]float64, 20)
	if err := c.Scores(context.Background(), x, out); err != nil {
		t.Fatal(err)
	}
	equal(t, out, want(t, x))
	if most.Load() != 2 || calls.Load() != 5 {
		t.Errorf("%d samples in calls of up to %d", calls.Load(), most.Load())
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
	if s := c.Stats(); sum != s.Samples-7 || again[0] != again[2] || again[3] != again[5] {
		t.Errorf("samples sent again %v; the client sent %d", again, s.Samples)
	}
	full := errors.New("the disk is full")
	c = dial(t, faulty(NewHandler(linear(t, &calls), HandlerOptions{}), 1, busy), Options{})
	ctx = zoo.WithResend(context.Background(), func(int, int) error { return full })
	if err := c.Scores(ctx, x, out); !errors.Is(err, full) || c.Stats().Requests != 1 {
		t.Errorf("%v after %d requests", err, c.Stats().Requests)
	}
}
