package data

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mettleml/mettle/tensor"
)

// numbered returns n images of shape [c, h, w], each value telling where it is.
func numbered(n, c, h, w, classes int) *Tensors {
	x := tensor.New(n, c, h, w)
	for i := range x.Data() {
		x.Data()[i] = float32(i%4001) / 4001
	}
	y := make([]int, n)
	for i := range y {
		y[i] = i * 7 % classes
	}
	d, err := NewTensors(x, y, classes)
	if err != nil {
		panic(err)
	}
	return d
}

// augment is a transform that draws much.
func augment() Transform {
	return Compose(
		PadCrop{2}, Randomly{0.5, Flip{}}, RandomResizedCrop{H: 6, W: 6, MinScale: 0.3},
		Randomly{0.8, ColorJitter{0.4, 0.4, 0.4, 0.1}}, Randomly{0.2, Grayscale{}}, Randomly{0.5, GaussianBlur{}},
		RandomQuarterTurns{}, Normalize{[]float32{0.5}, []float32{0.25}},
	)
}

// trace collects what a loader delivers from its position on, for a number of
// batches.
func trace(t *testing.T, l *Loader, batches int) []string {
	t.Helper()
	var out []string
	for len(out) < batches {
		for b, err := range l.Batches(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprint(b.Indices, b.Y, b.X.Shape(), b.X.Data()))
			if len(out) == batches {
				break
			}
		}
	}
	return out
}

func newLoader(t *testing.T, d Dataset, opt LoaderOptions) *Loader {
	t.Helper()
	l, err := NewLoader(d, opt)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLoaderCoversTheData(t *testing.T) {
	d := numbered(23, 1, 2, 3, 5)
	for _, opt := range []LoaderOptions{{BatchSize: 5}, {BatchSize: 5, Shuffle: true, Seed: 3}, {BatchSize: 5, Shuffle: true, DropLast: true}, {}, {BatchSize: 23}, {BatchSize: 1, Views: []Transform{nil, nil}}} {
		l := newLoader(t, d, opt)
		for epoch := range 3 {
			var seen []int
			batches := 0
			for b, err := range l.Batches(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				views := max(len(opt.Views), 1)
				if b.X.Dim(0) != views*len(b.Y) || len(b.Y) != len(b.Indices) {
					t.Fatalf("shape %v for %d labels", b.X.Shape(), len(b.Y))
				}
				for v := range views {
					for k, i := range b.Indices {
						if b.Y[k] != d.Label(i) || !slices.Equal(b.X.Index(v*len(b.Y)+k).Data(), d.x.Index(i).Data()) {
							t.Fatalf("%+v: entry %d is not sample %d", opt, k, i)
						}
					}
				}
				seen = append(seen, b.Indices...)
				batches++
			}
			want := 23
			if opt.DropLast {
				want = 20
			}
			if batches != l.Len() {
				t.Errorf("%+v: %d batches, Len says %d", opt, batches, l.Len())
			}
			ordered := slices.IsSorted(seen)
			slices.Sort(seen)
			if len(seen) != want || len(slices.Compact(seen)) != want || ordered == opt.Shuffle {
				t.Errorf("%+v: epoch %d had %d samples, %d different, sorted: %v", opt, epoch, len(seen), len(slices.Compact(seen)), ordered)
			}
			if e, b := l.Position(); e != epoch+1 || b != 0 {
				t.Errorf("position (%d, %d) after epoch %d", e, b, epoch)
			}
		}
	}
}

func TestLoaderSameBytesForAnyWorkers(t *testing.T) {
	d := numbered(37, 3, 8, 8, 10)
	opt := LoaderOptions{BatchSize: 8, Shuffle: true, Seed: 11, Views: []Transform{augment(), Resize{6, 6}, augment()}, Workers: 1, Prefetch: 1}
	want := trace(t, newLoader(t, d, opt), 12)
	for _, workers := range []int{2, 3, 8} {
		opt.Workers, opt.Prefetch = workers, workers
		if got := trace(t, newLoader(t, d, opt), 12); !slices.Equal(got, want) {
			t.Errorf("%d workers gave other batches than 1", workers)
		}
	}
	if want[0] == want[5] {
		t.Error("the second epoch repeats the first")
	}
	opt.Seed++
	if got := trace(t, newLoader(t, d, opt), 1); got[0] == want[0] {
		t.Error("another seed gave the same batch")
	}
}

// TestLoaderEpochsDiffer checks order and draws apart.
func TestLoaderEpochsDiffer(t *testing.T) {
	d := numbered(16, 3, 8, 8, 10)
	for name, opt := range map[string]LoaderOptions{"order": {BatchSize: 16, Shuffle: true}, "draws": {BatchSize: 16, Transform: augment()}} {
		got := trace(t, newLoader(t, d, opt), 3)
		if got[0] == got[1] || got[1] == got[2] || got[0] == got[2] {
			t.Errorf("the %s of two epochs are the same", name)
		}
	}
}

// TestLoaderDrawsBelongToSamples checks that a sample is transformed the same in
// a batch of any size.
func TestLoaderDrawsBelongToSamples(t *testing.T) {
	d := numbered(30, 3, 8, 8, 10)
	samples := func(size int) []string {
		out := make([]string, 30)
		for b, err := range newLoader(t, d, LoaderOptions{BatchSize: size, Seed: 5, Shuffle: true, Transform: augment()}).Batches(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			for k, i := range b.Indices {
				out[i] = fmt.Sprint(b.X.Index(k).Data())
			}
		}
		return out
	}
	want := samples(30)
	for _, size := range []int{1, 7} {
		if !slices.Equal(samples(size), want) {
			t.Errorf("batches of %d transform the samples otherwise than batches of 30", size)
		}
	}
}

// TestLoaderViews checks which view is where, and that each draws for itself.
func TestLoaderViews(t *testing.T) {
	d := numbered(9, 3, 8, 8, 3)
	same := newLoader(t, d, LoaderOptions{BatchSize: 4, Views: []Transform{PadCrop{4}, nil, PadCrop{4}, Flip{}}})
	differ := 0
	for b, err := range same.Batches(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n := len(b.Y)
		for k, i := range b.Indices {
			x := d.x.Index(i)
			near(t, "view 1", b.X.Index(n+k), x, 0)
			near(t, "view 3", b.X.Index(3*n+k), apply(t, Flip{}, x, 0), 0)
			if !slices.Equal(b.X.Index(k).Data(), b.X.Index(2*n+k).Data()) {
				differ++
			}
		}
	}
	if differ < 7 {
		t.Errorf("views 0 and 2 differ for %d of 9 samples", differ)
	}
}

func TestLoaderSeek(t *testing.T) {
	d := numbered(37, 3, 8, 8, 10)
	opt := LoaderOptions{BatchSize: 8, Shuffle: true, Seed: 4, Transform: augment()}
	l := newLoader(t, d, opt)
	want := trace(t, l, 15)
	if e, b := l.Position(); e != 3 || b != 0 {
		t.Errorf("position (%d, %d) after 15 batches of 5 an epoch", e, b)
	}
	for _, at := range []int{0, 1, 4, 5, 12} {
		l := newLoader(t, d, opt)
		l.Seek(at/5, at%5)
		if got := trace(t, l, 15-at); !slices.Equal(got, want[at:]) {
			t.Errorf("from batch %d the loader goes on otherwise", at)
		}
		l.Seek(0, 0)
		if got := trace(t, l, 2); !slices.Equal(got, want[:2]) {
			t.Errorf("back from batch %d the loader starts otherwise", at)
		}
	}
	// In a loop: the loop ends, the next goes on from there.
	l = newLoader(t, d, opt)
	n := 0
	for range l.Batches(t.Context()) {
		n++
		l.Seek(2, 3)
	}
	if got := trace(t, l, 2); n != 1 || !slices.Equal(got, want[13:]) {
		t.Errorf("%d bodies ran after Seek", n)
	}
}

func TestLoaderOrder(t *testing.T) {
	d := numbered(10, 3, 8, 8, 3)
	order := func(epoch int) []int { return []int{3, 3, 1 + epoch, 3, 9} }
	l := newLoader(t, d, LoaderOptions{BatchSize: 2, Order: order, Transform: augment()})
	var seen []int
	var threes []string
	for b, err := range l.Batches(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, b.Indices...)
		for k, i := range b.Indices {
			if i == 3 {
				threes = append(threes, fmt.Sprint(b.X.Index(k).Data()))
			}
		}
	}
	if !slices.Equal(seen, order(0)) || l.Len() != 3 {
		t.Errorf("delivered %v in %d batches", seen, l.Len())
	}
	slices.Sort(threes)
	if len(slices.Compact(threes)) != 3 {
		t.Error("a sample that comes again is transformed the same")
	}
	for _, bad := range [][]int{{10}, {-1}, {1, 2}} {
		l := newLoader(t, d, LoaderOptions{Order: func(epoch int) []int {
			if epoch == 0 {
				return []int{0}
			}
			return bad
		}})
		l.Seek(1, 0)
		for _, err := range l.Batches(t.Context()) {
			if err == nil || !strings.Contains(err.Error(), "order of epoch 1") {
				t.Errorf("order %v: error %v", bad, err)
			}
		}
	}
}

// TestLoaderLeavesBatchesAlone reads a batch again after the workers had time to
// prepare all that they may.
func TestLoaderLeavesBatchesAlone(t *testing.T) {
	d := numbered(60, 1, 8, 8, 10)
	l := newLoader(t, d, LoaderOptions{BatchSize: 4, Workers: 8, Prefetch: 1, Shuffle: true})
	for b, err := range l.Batches(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		x, y, at := b.X.Clone(), slices.Clone(b.Y), slices.Clone(b.Indices)
		time.Sleep(2 * time.Millisecond)
		if !slices.Equal(b.X.Data(), x.Data()) || !slices.Equal(b.Y, y) || !slices.Equal(b.Indices, at) {
			t.Fatal("a batch changed while it was in use")
		}
	}
}

// TestLoaderRecycles counts the memory that an epoch takes once the loader is
// warm.
func TestLoaderRecycles(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	d := numbered(512, 3, 32, 32, 10)
	l := newLoader(t, d, LoaderOptions{BatchSize: 16, Shuffle: true, Workers: 2, Transform: Compose(PadCrop{4}, Randomly{0.5, Flip{}})})
	epoch := func() {
		for _, err := range l.Batches(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	epoch()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 4 {
		epoch()
	}
	runtime.ReadMemStats(&after)
	// Channels and goroutines of four epochs; a batch is 196,608 bytes.
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<16 {
		t.Errorf("four epochs of 32 batches allocate %d bytes", got)
	}
}
