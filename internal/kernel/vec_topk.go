package kernel

import (
	"math"
	"slices"
)

// TopKAbs sets idx[:k] to the indices of the k elements of x that are largest in
// magnitude, in falling order, the lower index first among equals. A NaN counts
// as larger than any number, and as equal to any other NaN. It takes time in
// O(len(x)), and panics with a LengthError unless k = len(idx) <= len(x).
func TopKAbs(idx []int, x []float32, k int) {
	checkLen("TopKAbs", k, len(idx))
	if k > len(x) {
		panic(LengthError{"TopKAbs", k, len(x)})
	}
	if k == 0 {
		return
	}
	t := topTasks.get()
	t.run(idx, x)
	topTasks.put(t)
}

// A magnitude orders like the absolute value it came from.
func magnitude(x float32) uint32 {
	return min(math.Float32bits(x)&^(1<<31), 0x7f800001)
}

const (
	digitBits = 11
	digits    = 1 << digitBits
)

// A topTask selects by radix: three passes narrow down the magnitude of the
// k-th element, a fourth collects, and a counting sort orders what was found.
type topTask struct {
	count [digits]int
	keys  []uint64 // magnitude complemented in the upper half, index in the lower
	spare []uint64
}

var topTasks freeList[topTask]

func (t *topTask) run(idx []int, x []float32) {
	k := len(idx)
	threshold, equal := t.threshold(x, k)
	t.keys = grow(t.keys, k)[:0]
	for i, v := range x {
		m := magnitude(v)
		if m < threshold {
			continue
		}
		if m == threshold {
			if equal == 0 {
				continue
			}
			equal--
		}
		t.keys = append(t.keys, uint64(^m)<<32|uint64(i))
	}
	if k <= 256 {
		slices.Sort(t.keys)
	} else {
		t.sort()
	}
	for i, key := range t.keys {
		idx[i] = int(uint32(key))
	}
}

// threshold returns the k-th largest magnitude and how many of those that equal
// it belong to the k.
func (t *topTask) threshold(x []float32, k int) (m uint32, equal int) {
	var known uint32 // the digits of m found so far, and which bits they are
	var bits uint32
	for shift := 2 * digitBits; shift >= 0; shift -= digitBits {
		clear(t.count[:])
		for _, v := range x {
			if m := magnitude(v); m&bits == known {
				t.count[m>>shift%digits]++
			}
		}
		d := digits - 1
		for ; t.count[d] < k; d-- {
			k -= t.count[d]
		}
		known |= uint32(d) << shift
		bits |= (digits - 1) << shift
	}
	return known, k
}

// sort orders the keys by their upper halves, stably, lowest digit first.
func (t *topTask) sort() {
	t.spare = grow(t.spare, len(t.keys))
	for shift := 32; shift < 64; shift += digitBits {
		clear(t.count[:])
		for _, key := range t.keys {
			t.count[key>>shift%digits]++
		}
		at := 0
		for d, c := range t.count {
			t.count[d] = at
			at += c
		}
		for _, key := range t.keys {
			d := key >> shift % digits
			t.spare[t.count[d]] = key
			t.count[d]++
		}
		t.keys, t.spare = t.spare[:len(t.keys)], t.keys
	}
}
