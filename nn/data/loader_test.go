package data

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
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
		RandomCrop{Padding: 2}, RandomHorizontalFlip{}, RandomResizedCrop{H: 6, W: 6, MinScale: 0.3},
		RandomApply{ColorJitter{0.4, 0.4, 0.4, 0.1}, 0.8}, RandomGrayscale{0.2}, RandomApply{GaussianBlur{}, 0.5},
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
	same := newLoader(t, d, LoaderOptions{BatchSize: 4, Views: []Transform{RandomCrop{Padding: 4}, nil, RandomCrop{Padding: 4}, HorizontalFlip{}}})
	differ := 0
	for b, err := range same.Batches(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n := len(b.Y)
		for k, i := range b.Indices {
			x := d.x.Index(i)
			near(t, "view 1", b.X.Index(n+k), x, 0)
			near(t, "view 3", b.X.Index(3*n+k), apply(t, HorizontalFlip{}, x, 0), 0)
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
	l := newLoader(t, d, LoaderOptions{BatchSize: 16, Shuffle: true, Workers: 2, Transform: Compose(RandomCrop{Padding: 4}, RandomHorizontalFlip{})})
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

// drawing is a data set whose samples are the index and two draws.
type drawing struct{ *Tensors }

func (d drawing) ReadRandom(i int, dst *tensor.Tensor, rng *rand.Rand) error {
	copy(dst.Data(), []float32{float32(i), rng.Float32(), rng.Float32()})
	return nil
}

// addDraw adds a draw to all values.
type addDraw struct{}

func (addDraw) Shape(in []int) []int { return in }

func (addDraw) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	v := rng.Float32()
	for i, x := range src.Data() {
		dst.Data()[i] = x + v
	}
}

// TestLoaderRandomReader: what a data set draws depends on seed, epoch, sample,
// repeat and view, on nothing else, and leaves the draws of the transforms alone.
func TestLoaderRandomReader(t *testing.T) {
	plain := numbered(9, 1, 1, 3, 3)
	d := drawing{plain}
	all := func(d Dataset, opt LoaderOptions, epoch int) map[string]string { // sample, repeat, view: values
		l := newLoader(t, d, opt)
		l.Seek(epoch, 0)
		out := map[string]string{}
		for b, err := range l.Batches(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			for row := range b.X.Dim(0) {
				v, i := row/len(b.Y), b.Indices[row%len(b.Y)]
				for repeat := 0; ; repeat++ {
					key := fmt.Sprint(i, repeat, v)
					if _, ok := out[key]; !ok {
						out[key] = fmt.Sprint(b.X.Index(row).Data())
						break
					}
				}
			}
		}
		return out
	}
	opt := LoaderOptions{BatchSize: 9, Shuffle: true, Views: []Transform{nil, nil, addDraw{}}, Workers: 1}
	want := all(d, opt, 0)
	different := map[string]bool{}
	for _, v := range want {
		different[v] = true
	}
	if len(want) != 27 || len(different) != 27 {
		t.Errorf("%d values, %d of them different, want 27", len(want), len(different))
	}
	other := opt
	other.BatchSize, other.Workers, other.Shuffle = 2, 3, false
	if got := all(d, other, 0); !maps.Equal(got, want) {
		t.Errorf("other batches and workers change the draws: %v, want %v", got, want)
	}
	other.Seed = 1
	for name, got := range map[string]map[string]string{"seed": all(d, other, 0), "epoch": all(d, opt, 1)} {
		for k, v := range got {
			if v == want[k] {
				t.Errorf("%s: another %s draws the same", k, name)
			}
		}
	}
	subset := all(Subset(d, []int{4}), LoaderOptions{}, 0)
	if v := subset["0 0 0"]; v == fmt.Sprint(plain.x.Index(4).Data()) || v[:2] != "[4" {
		t.Errorf("a subset reads %s", v)
	}
	twice := all(d, LoaderOptions{Order: func(int) []int { return []int{3, 3} }}, 0)
	if twice["3 0 0"] == twice["3 1 0"] {
		t.Error("a sample that comes twice is drawn once")
	}
	fixed := all(d, LoaderOptions{Fixed: true}, 0)
	for i := range plain.Len() {
		if got, want := fixed[fmt.Sprint(i, 0, 0)], fmt.Sprint(plain.x.Index(i).Data()); got != want {
			t.Errorf("Fixed reads %s for sample %d, want %s", got, i, want)
		}
	}
	// A transform draws the same for a data set that draws and for one that does not.
	first := func(s string) (v float64) {
		fmt.Sscan(s[1:], &v)
		return v
	}
	raw, drawn := all(d, LoaderOptions{}, 0), all(d, LoaderOptions{Transform: addDraw{}}, 0)
	still, moved := all(plain, LoaderOptions{}, 0), all(plain, LoaderOptions{Transform: addDraw{}}, 0)
	for k := range raw {
		if got, want := first(drawn[k])-first(raw[k]), first(moved[k])-first(still[k]); !(math.Abs(got-want) < 1e-5) {
			t.Errorf("%s: the transform draws %v, want %v", k, got, want)
		}
	}
}
