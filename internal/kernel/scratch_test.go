package kernel

import (
	"sync"
	"testing"
	"unsafe"
)

func TestScratchClass(t *testing.T) {
	last := -1
	for n := 0; n < 1<<14; n++ {
		class, size := scratchClass(n)
		if size < n || size < minScratch || (n > minScratch && 4*size > 5*n+4) {
			t.Fatalf("scratchClass(%d) = size %d", n, size)
		}
		if class < last {
			t.Fatalf("scratchClass(%d) = %d after %d", n, class, last)
		}
		if again, same := scratchClass(size); again != class || same != size {
			t.Fatalf("scratchClass(%d) = %d, %d; of the size: %d, %d", n, class, size, again, same)
		}
		last = class
	}
}

func TestScratchAlignedAndExclusive(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				s := getScratch(1 + 97*(i%50))
				if p := uintptr(unsafe.Pointer(unsafe.SliceData(s.f))); p%scratchAlign != 0 {
					t.Errorf("scratch at %#x", p)
				}
				for j := range s.f {
					s.f[j] = float32(g)
				}
				for _, v := range s.f {
					if v != float32(g) {
						t.Errorf("goroutine %d reads %v", g, v)
						break
					}
				}
				putScratch(s)
			}
		})
	}
	wg.Wait()
}

func TestScratchIsReused(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { putScratch(getScratch(5000)) }); n != 0 {
		t.Errorf("getScratch allocates %v times in steady state", n)
	}
}

// What is made for many workers at once leaves room for what is there.
func TestScratchAheadIsBounded(t *testing.T) {
	withWorkers(t, 256)
	p := &scratchPool
	empty := func() { p.free, p.retained = [scratchUsers][4 * 64]*scratch{}, 0 }
	empty()
	defer empty()
	other := getScratch(1)
	putScratch(other)
	putScratch(partScratch(1 << 20))
	if p.retained > maxRetained/2 {
		t.Errorf("%d floats are retained, of at most %d", p.retained, maxRetained)
	}
	if class, _ := scratchClass(1); p.free[theCall][class] != other {
		t.Error("what was there had to go")
	}
}

func TestFreeList(t *testing.T) {
	var l freeList[[4]int]
	a := l.get()
	a[0] = 7
	l.put(a)
	if b := l.get(); b != a || b[0] != 7 {
		t.Errorf("get = %p %v, put %p", b, *b, a)
	}
	for range 3 * maxFree {
		l.put(new([4]int))
	}
	if len(l.free) != maxFree {
		t.Errorf("the list keeps %d, want %d", len(l.free), maxFree)
	}
}
