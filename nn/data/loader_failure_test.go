package data

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mettleml/mettle/tensor"
)

// flaky is a data set with samples that cannot be read.
type flaky struct {
	*Tensors
	bad   []int
	reads atomic.Int64
}

var errBad = errors.New("bad sector")

func (f *flaky) Read(i int, dst *tensor.Tensor) error {
	f.reads.Add(1)
	if slices.Contains(f.bad, i) {
		return errBad
	}
	return f.Tensors.Read(i, dst)
}

// settle waits until no more goroutines run than before a test.
func settle(t *testing.T, before int) {
	t.Helper()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

func TestSlotKeepsFirstFailure(t *testing.T) {
	var s slot
	for _, k := range []int{5, 2, 7} {
		s.fail(k, fmt.Errorf("place %d", k), nil)
	}
	if s.failed != 2 || s.err.Error() != "place 2" {
		t.Errorf("kept %v of place %d, want place 2", s.err, s.failed)
	}
}

// slow is a data set that counts the readers inside it.
type slow struct {
	*Tensors
	inside atomic.Int64
}

func (s *slow) Read(i int, dst *tensor.Tensor) error {
	s.inside.Add(1)
	defer s.inside.Add(-1)
	time.Sleep(2 * time.Millisecond)
	return s.Tensors.Read(i, dst)
}

func TestLoaderWaitsForItsWorkers(t *testing.T) {
	d := &slow{Tensors: numbered(64, 3, 64, 64, 3)}
	l := newLoader(t, d, LoaderOptions{BatchSize: 4, Workers: 4})
	for range 5 {
		for range l.Batches(t.Context()) {
			break
		}
		if n := d.inside.Load(); n != 0 {
			t.Fatalf("%d readers are inside the data set after the loop", n)
		}
	}
}

func TestLoaderReadError(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, workers := range []int{1, 8} {
		d := &flaky{Tensors: numbered(40, 3, 64, 64, 3), bad: []int{19, 13, 17, 31}}
		l := newLoader(t, d, LoaderOptions{BatchSize: 5, Workers: workers, Prefetch: 6})
		n := 0
		for b, err := range l.Batches(t.Context()) {
			if n == 2 {
				if !errors.Is(err, errBad) || !strings.Contains(err.Error(), "sample 13") || b.X != nil {
					t.Errorf("%d workers: error %v, want that of sample 13", workers, err)
				}
			} else if err != nil || n > 2 {
				t.Errorf("batch %d: %v", n, err)
			}
			n++
		}
		if e, b := l.Position(); n != 3 || e != 0 || b != 2 {
			t.Errorf("%d workers: position (%d, %d) after %d bodies", workers, e, b, n)
		}
		d.bad = nil
		if got := trace(t, l, 6); !strings.HasPrefix(got[0], "[10 ") {
			t.Errorf("after the fault was mended the loader goes on with %.20s", got[0])
		}
	}
	settle(t, before)
}

func TestLoaderCancel(t *testing.T) {
	before := runtime.NumGoroutine()
	l := newLoader(t, numbered(400, 1, 4, 4, 3), LoaderOptions{BatchSize: 4, Workers: 8})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for b, err := range l.Batches(ctx) {
		n++
		if n == 3 {
			if !errors.Is(err, context.Canceled) || b.X != nil {
				t.Errorf("error %v after cancel", err)
			}
		} else if err != nil {
			t.Fatal(err)
		}
		if n == 2 {
			cancel()
		}
	}
	if e, b := l.Position(); n != 3 || e != 0 || b != 2 {
		t.Errorf("position (%d, %d) after %d bodies", e, b, n)
	}
	for _, err := range l.Batches(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v from a cancelled context", err)
		}
	}
	// Leaving a loop early ends its goroutines too.
	for range 20 {
		for _, err := range l.Batches(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	settle(t, before)
}

// stuck blocks its first reader until it is let go.
type stuck struct {
	*Tensors
	gate chan struct{}
}

func (s *stuck) Read(i int, dst *tensor.Tensor) error {
	<-s.gate
	return s.Tensors.Read(i, dst)
}

func TestLoaderCancelWhileWaiting(t *testing.T) {
	before := runtime.NumGoroutine()
	d := &stuck{numbered(8, 1, 2, 2, 2), make(chan struct{})}
	l := newLoader(t, d, LoaderOptions{BatchSize: 4})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	go func() {
		<-ctx.Done()
		time.Sleep(20 * time.Millisecond)
		close(d.gate)
	}()
	for _, err := range l.Batches(ctx) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the deadline", err)
		}
	}
	settle(t, before)
}

// explode panics for one sample.
type explode struct{ value float32 }

func (explode) Shape(in []int) []int { return in }

func (e explode) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	if src.Data()[0] == e.value {
		tensor.Panic("test.explode", "on purpose", src.Shape())
	}
	dst.CopyFrom(src)
}

func TestLoaderPanics(t *testing.T) {
	before := runtime.NumGoroutine()
	d := numbered(40, 1, 2, 2, 3)
	l := newLoader(t, d, LoaderOptions{BatchSize: 4, Workers: 3, Transform: explode{d.x.At(22, 0, 0, 0)}})
	n := 0
	err := tensor.Try(func() error {
		for range l.Batches(t.Context()) {
			n++
		}
		return nil
	})
	var e *tensor.Error
	if !errors.As(err, &e) || e.Op != "test.explode" || n != 5 {
		t.Errorf("error %v after %d batches, want the panic of the transform after 5", err, n)
	}
	settle(t, before)

	// A loop inside a loop over the same loader, and a panic of the body.
	l = newLoader(t, d, LoaderOptions{})
	err = tensor.Try(func() error {
		for range l.Batches(t.Context()) {
			for range l.Batches(t.Context()) {
			}
		}
		return nil
	})
	if !errors.As(err, &e) || e.Op != "data.Loader.Batches" {
		t.Errorf("error %v from a nested loop", err)
	}
	settle(t, before)
	if got := trace(t, l, 2); len(got) != 2 {
		t.Error("the loader does not go on after a panic")
	}

	for op, f := range map[string]func(){
		"data.NewLoader":   func() { NewLoader(d, LoaderOptions{BatchSize: -1}) },
		"data.NewLoader ":  func() { NewLoader(d, LoaderOptions{Views: []Transform{nil, Resize{1, 1}}}) },
		"data.NewLoader  ": func() { NewLoader(d, LoaderOptions{Views: []Transform{nil}, Transform: HorizontalFlip{}}) },
		"data.Grayscale":   func() { NewLoader(d, LoaderOptions{Transform: Grayscale{}}) },
		"data.Loader.Seek": func() { l.Seek(0, 2) },
	} {
		if err := tensor.Try(func() error { f(); return nil }); !errors.As(err, &e) || e.Op != strings.TrimSpace(op) {
			t.Errorf("error %v, want a panic of %s", err, op)
		}
	}
}

func TestLoaderRefuses(t *testing.T) {
	d := numbered(3, 1, 2, 2, 3)
	for name, c := range map[string]struct {
		d   Dataset
		opt LoaderOptions
	}{
		"no samples":     {Subset(d, nil), LoaderOptions{}},
		"no full batch":  {d, LoaderOptions{BatchSize: 4, DropLast: true}},
		"an empty order": {d, LoaderOptions{Order: func(int) []int { return nil }}},
	} {
		if _, err := NewLoader(c.d, c.opt); !errors.Is(err, ErrEmpty) {
			t.Errorf("%s: error %v, want ErrEmpty", name, err)
		}
	}
	if _, err := NewLoader(mislabelled{d}, LoaderOptions{}); err == nil || !strings.Contains(err.Error(), "sample 1 has label 7, outside [0, 3)") {
		t.Errorf("error %v, want one about the label", err)
	}
}

type mislabelled struct{ Dataset }

func (m mislabelled) Label(i int) int { return i * 7 }
