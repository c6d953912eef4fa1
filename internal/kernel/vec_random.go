package kernel

import (
	"math"

	"github.com/mettleml/mettle/internal/parallel"
)

// Random numbers are counted, not drawn: number i of the stream of a seed is a
// function of seed and i, so that any part of a stream can be made on any
// worker, in any order, again. The function is Philox4x32-10 (Salmon, Moraes,
// Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) with the
// seed as its key.
//
// Sixteen consecutive counters make a group of randGroup numbers: number
// 64g + 16w + l is word w of the block with counter 16g + l, which lets vectors
// of up to 16 lanes compute groups without shuffling. For normal deviates, words
// 0 and 1 (and 2 and 3) of a block make one pair by the Box-Muller transform.
const randGroup = 64

// Uniform fills dst with numbers lo + (hi-lo)*k/2^24, k uniform in [0, 2^24):
// numbers offset, offset+1, ... of the stream of seed.
func Uniform(dst []float32, lo, hi float32, seed, offset uint64) {
	randomize(randTask{dst: dst, seed: seed, offset: offset, kind: randUniform, s: lo, t: hi - lo})
}

// Normal fills dst with mean + std*N(0,1): numbers offset, offset+1, ... of the
// stream of seed. Its bits depend on the kernel set.
func Normal(dst []float32, mean, std float32, seed, offset uint64) {
	randomize(randTask{dst: dst, seed: seed, offset: offset, kind: randNormal, s: mean, t: std})
}

// Bernoulli fills dst with value where number offset+i of the stream of seed
// falls below p, with 0 elsewhere. With value 1/p it is the mask of a dropout
// that keeps with probability p.
func Bernoulli(dst []float32, p float64, value float32, seed, offset uint64) {
	switch {
	case p >= 1:
		for i := range dst {
			dst[i] = value
		}
		return
	case !(p > 0):
		clear(dst)
		return
	}
	threshold := math.Float32frombits(uint32(math.Min(math.Round(p*0x1p32), math.MaxUint32)))
	randomize(randTask{dst: dst, seed: seed, offset: offset, kind: randBernoulli, s: value, t: threshold})
}

type randKind uint8

const (
	randUniform randKind = iota
	randNormal
	randBernoulli
)

// randChunk is a part of a random fill, in numbers.
const randChunk = 1 << 13

type randTask struct {
	dst          []float32
	seed, offset uint64
	kind         randKind
	s, t         float32
}

var randTasks freeList[randTask]

func randomize(r randTask) {
	if len(r.dst) == 0 {
		return
	}
	t := randTasks.get()
	*t = r
	parallel.Run(ceilDiv(len(t.dst), randChunk), t)
	*t = randTask{}
	randTasks.put(t)
}

func (r *randTask) Part(i int) {
	lo := i * randChunk
	dst := r.dst[lo:min(lo+randChunk, len(r.dst))]
	at := r.offset + uint64(lo)
	// A group that dst cuts at either end is made aside.
	if skip := int(at % randGroup); skip != 0 {
		n := r.aside(dst, at-uint64(skip), skip)
		dst, at = dst[n:], at+uint64(n)
	}
	if groups := len(dst) / randGroup; groups > 0 {
		r.fill(dst[:groups*randGroup], at)
		dst, at = dst[groups*randGroup:], at+uint64(groups*randGroup)
	}
	if len(dst) > 0 {
		r.aside(dst, at, 0)
	}
}

// aside makes the group that begins at number at and copies what follows its
// first skip numbers to dst. It returns how many it copied.
func (r *randTask) aside(dst []float32, at uint64, skip int) int {
	s := partScratch(randGroup)
	r.fill(s.f, at)
	n := copy(dst, s.f[skip:])
	putScratch(s)
	return n
}

// fill makes whole groups.
func (r *randTask) fill(dst []float32, at uint64) {
	v := &Active().vec
	n := len(dst)
	d := &dst[0]
	v.philox(n/randGroup, d, r.seed, at/randGroup)
	switch r.kind {
	case randUniform:
		v.maps[opBitsUniform](n, d, d, d, r.s, r.t, 0)
	case randBernoulli:
		v.maps[opBitsBernoulli](n, d, d, d, r.s, r.t, 0)
	case randNormal:
		v.normals(n/randGroup, d, r.s, r.t)
	}
}
