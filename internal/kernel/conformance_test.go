package kernel

import (
	"fmt"
	"math"
	"math/rand"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/mettleml/mettle/internal/parallel"
)

// Helpers that every kernel's tests share. What is tested is tested once per
// available set.

// eachSet runs f as a subtest under every available set.
func eachSet(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	old := Active().Name
	defer func() {
		if err := Use(old); err != nil {
			t.Fatal(err)
		}
	}()
	for _, s := range Sets() {
		if !s.Available {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			if err := Use(s.Name); err != nil {
				t.Fatal(err)
			}
			f(t)
		})
	}
}

// withWorkers sets the number of workers for the length of the test.
func withWorkers(t testing.TB, n int) {
	old := parallel.SetWorkers(n)
	t.Cleanup(func() { parallel.SetWorkers(old) })
}

// newRand returns a generator whose seed the test logs.
func newRand(t testing.TB) *rand.Rand {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewSource(seed))
}

// normal returns n numbers from N(0,1), deliberately off the 64-byte grid.
func normal(rng *rand.Rand, n int) []float32 {
	x := misaligned(n, rng.Intn(16))
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// misaligned returns n zeros that begin off floats after a 64-byte boundary.
func misaligned(n, off int) []float32 {
	x := alignedFloats(n + off)
	return x[off : off+n : off+n]
}

// sameBits reports the first index where x and y differ in bits, or -1.
func sameBits(x, y []float32) int {
	for i := range x {
		if math.Float32bits(x[i]) != math.Float32bits(y[i]) {
			return i
		}
	}
	return -1
}

// checkNoMallocs fails the test if f allocates in steady state at 1, 2 or 8
// workers: more than 1 % of 1,000 calls. testing.AllocsPerRun would hide what
// other goroutines do, since it sets GOMAXPROCS to 1.
func checkNoMallocs(t *testing.T, what string, f func()) {
	t.Helper()
	if testing.Short() {
		return // thousands of calls, and an emulator's threads come and go
	}
	for _, workers := range []int{1, 2, 8} {
		withWorkers(t, workers)
		for range 20 {
			f()
		}
		// Scratch grows to what as many parts as ever ran at once have needed. On a busy
		// machine that takes a while; what allocates at every call never settles.
		const calls, rounds = 1000, 5
		var n uint64
		for range rounds {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range calls {
				f()
			}
			runtime.ReadMemStats(&after)
			if n = after.Mallocs - before.Mallocs; n < calls/100 {
				break
			}
		}
		if n >= calls/100 {
			t.Errorf("%s: %d allocations in %d calls at %d workers", what, n, calls, workers)
		}
	}
}

// checkSameBits fails the test unless f fills out with the same bits at 1, 2, 3
// and 8 workers and when repeated.
func checkSameBits(t *testing.T, what string, n int, f func(out []float32)) {
	t.Helper()
	var want []float32
	for _, workers := range []int{1, 2, 3, 8, 8, 1} {
		withWorkers(t, workers)
		got := make([]float32, n)
		f(got)
		if want == nil {
			want = got
		} else if i := sameBits(got, want); i >= 0 {
			t.Fatalf("%s: number %d is %v at %d workers, %v at 1", what, i, got[i], workers, want[i])
		}
	}
}

func TestSetsAreComplete(t *testing.T) {
	names := map[string]bool{}
	for _, s := range Sets() {
		if names[s.Name] {
			t.Errorf("two sets are called %q", s.Name)
		}
		names[s.Name] = true
	}
	if !names["generic"] || Sets()[0].Name != "generic" || !Sets()[0].Available {
		t.Errorf("the reference is not first and available: %v", names)
	}
	if err := Use("abacus"); err == nil {
		t.Error("Use accepted a set that does not exist")
	}
	if p := uintptr(unsafe.Pointer(unsafe.SliceData(misaligned(5, 3)))) % 64; p != 12 {
		t.Errorf("misaligned(5, 3) begins %d bytes after a boundary", p)
	}
	t.Logf("active: %s of %v", Active().Name, fmt.Sprint(names))
}
