package oip

import (
	"context"
	"errors"
	"net/http"
	"slices"
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
		if !slices.Equal(got, c.want) || client.Stats().Samples != int(calls.Load()) {
			t.Errorf("%d samples with Batch %d went in requests of %v, want %v; %d are counted", c.samples, c.batch, got, c.want, client.Stats().Samples)
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
