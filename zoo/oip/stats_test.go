package oip

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A careless server counts what it is sent and what it serves, and loses answers.
type careless struct {
	h                            *Handler
	mu                           sync.Mutex
	r                            *rand.Rand
	requests, sent, served, lost int // samples but for requests
}

func (s *careless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/infer") {
		s.h.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var req Request
	if err := decode(body, r.Header.Get(HeaderLength), &req, func() []Tensor { return req.Inputs }); err != nil {
		panic(err)
	}
	n := int(req.Inputs[0].Shape[0])
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	answer := httptest.NewRecorder()
	s.mu.Lock()
	fate := s.r.IntN(8)
	s.requests++
	s.sent += n
	if fate != 1 && fate != 2 {
		s.served += n
	}
	if fate > 0 && fate < 6 && fate != 2 {
		s.lost += n
	}
	s.mu.Unlock()
	switch fate {
	case 1: // not served, and nobody is told
		reset(w)
		return
	case 2: // refused
		fail(w, 429, "slow down")
		return
	}
	s.h.ServeHTTP(answer, r)
	switch fate {
	case 3: // the answer is lost
		reset(w)
	case 4: // half of it
		w.Header().Set("Content-Length", "1000")
		w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
		w.(http.Flusher).Flush()
		reset(w)
	case 5: // something else comes
		io.WriteString(w, "<html>")
	default:
		for k, v := range answer.Header() {
			w.Header()[k] = v
		}
		w.Write(answer.Body.Bytes())
	}
}

// TestStats: the client's counts are the server's, however many goroutines ask and
// however many answers are lost, and hold together at every moment.
func TestStats(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for _, fixed := range []int64{-1, 4} {
		s := &careless{h: NewHandler(zoo.ScorerFunc(info, func(_ context.Context, _ *tensor.Tensor, out []float64) error { clear(out); return nil }), HandlerOptions{}), r: rand.New(rand.NewPCG(seed, uint64(fixed+1)))}
		mux := http.NewServeMux()
		mux.HandleFunc("GET /v2/models/lin", func(w http.ResponseWriter, _ *http.Request) {
			reply200(w, ModelMetadata{Name: "lin", Inputs: []TensorMetadata{{"image", "FP32", []int64{fixed, 1, 2, 3}}}, Outputs: []TensorMetadata{{"scores", "FP32", []int64{fixed, 4}}}})
		})
		mux.Handle("/", s)
		c := dial(t, mux, Options{Retries: 60, Backoff: time.Microsecond, Concurrency: 8, Batch: 4, Encoding: Binary})
		var wg sync.WaitGroup
		var mu sync.Mutex
		asked, told := 0, 0
		ctx := zoo.WithResend(context.Background(), func(lo, hi int) error {
			mu.Lock()
			told += hi - lo
			mu.Unlock()
			return nil
		})
		stop := make(chan bool)
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					if s := c.Stats(); s.Answered+s.Lost > s.Sent || s.Resent+s.Copies > s.Sent || s.Retries > s.Requests {
						t.Errorf("%+v", s)
						return
					}
				}
			}
		}()
		for g := range 8 {
			wg.Go(func() {
				for i := range 12 {
					n := 1 + (g+i)%9
					if err := c.Scores(ctx, images(n), make([]float64, 4*n)); err != nil {
						t.Error(err)
					}
					mu.Lock()
					asked += n
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		close(stop)
		got := c.Stats()
		want := Stats{Requests: s.requests, Retries: got.Retries, Sent: s.sent, Copies: got.Copies, Answered: got.Answered, Resent: got.Resent, Lost: s.lost}
		if got != want || got.Answered > s.served || s.served > got.Answered+got.Lost || got.Lost == 0 {
			t.Errorf("the client counts %+v, the server %+v; it served %d", got, want, s.served)
		}
		if fixed < 0 && (got.Copies != 0 || got.Answered != asked || got.Sent != asked+got.Resent || got.Resent != told) {
			t.Errorf("%+v for %d samples, %d of them announced again", got, asked, told)
		}
		if fixed > 0 && (got.Answered%4 != 0 || got.Sent != got.Requests*4 || got.Resent != got.Retries*4 || got.Answered != got.Sent-got.Resent || got.Copies < got.Answered-asked) {
			t.Errorf("%+v for %d samples in fours", got, asked)
		}
	}
}

// TestStatsOfWhatWasNotSent: a request that never left is not lost, one that was
// cancelled on its way is, and one whose announcement failed is not counted.
func TestStatsOfWhatWasNotSent(t *testing.T) {
	h := NewHandler(zoo.ScorerFunc(info, func(_ context.Context, _ *tensor.Tensor, out []float64) error { clear(out); return nil }), HandlerOptions{})
	s := httptest.NewServer(h)
	c, err := Dial(context.Background(), s.URL, Options{Model: "lin", Retries: 2, Backoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	c.http.CloseIdleConnections() // on one of which a request would be lost
	s.Close()
	ask := func(ctx context.Context, c *Client) error {
		return c.Scores(ctx, images(2), make([]float64, 8))
	}
	if err := ask(context.Background(), c); err == nil || (c.Stats() != Stats{Requests: 3, Retries: 2, Sent: 6, Resent: 4}) {
		t.Errorf("a server that is gone: %v, %+v", err, c.Stats())
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	c = dial(t, h, Options{})
	for range 32 { // the slot may be free before the context is looked at
		if err := ask(gone, c); !errors.Is(err, context.Canceled) || c.Stats() != (Stats{}) {
			t.Fatalf("cancelled before: %v, %+v", err, c.Stats())
		}
	}
	under, cancel := context.WithCancel(context.Background())
	c = dial(t, faulty(h, 1, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // before which nobody notices that the client is gone
		cancel()
		<-r.Context().Done()
	}), Options{})
	if err := ask(under, c); !errors.Is(err, context.Canceled) || (c.Stats() != Stats{Requests: 1, Sent: 2, Lost: 2}) {
		t.Errorf("cancelled under way: %v, %+v", err, c.Stats())
	}
	full := errors.New("the disk is full")
	c = dial(t, faulty(h, 1, says(503, "")), Options{})
	if err := ask(zoo.WithResend(context.Background(), func(int, int) error { return full }), c); !errors.Is(err, full) || (c.Stats() != Stats{Requests: 1, Sent: 2, Lost: 2}) {
		t.Errorf("not announced: %v, %+v", err, c.Stats())
	}
}
