package motion

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"sync"

	"github.com/mettleml/mettle/tensor"
)

// A Cache keeps the motion of the most recently used clips, so that several attacks on a
// clip estimate it once. The zero Cache is ready to use. It is safe for concurrent use.
type Cache struct {
	MaxBytes int64 // memory limit for all clips together; 0 means 256 MB. A single clip may take more

	mu    sync.Mutex
	bytes int64
	order list.List // of *cacheEntry, the last used first
	known map[cacheKey]*list.Element
}

type cacheKey struct {
	clip [sha256.Size]byte
	est  Estimator
}

type cacheEntry struct {
	key   cacheKey
	bytes int64
	seq   *Sequence
}

// Sequence returns the motion of a clip [T, C, H, W] by estimator e. For the same values
// and an equal e it returns the same Sequence while the cache keeps it. The estimator's
// type must be comparable, such as a struct of plain options or a pointer. Errors and
// panics are those of [NewFrames].
func (c *Cache) Sequence(clip *tensor.Tensor, e Estimator) (*Sequence, error) {
	key := cacheKey{digest(clip), e}
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.known[key]; ok {
		c.order.MoveToFront(el)
		return el.Value.(*cacheEntry).seq, nil
	}
	f, err := NewFrames(clip)
	if err != nil {
		return nil, err
	}
	// Brightness twice and a vector for each pixel; maps come on top, one for many frames.
	entry := &cacheEntry{key, int64(f.T) * int64(f.H) * int64(f.W) * 13, NewSequence(f, e)}
	if c.known == nil {
		c.known = map[cacheKey]*list.Element{}
	}
	c.known[key] = c.order.PushFront(entry)
	c.bytes += entry.bytes
	limit := c.MaxBytes
	if limit == 0 {
		limit = 256 << 20
	}
	for c.bytes > limit && c.order.Len() > 1 {
		old := c.order.Remove(c.order.Back()).(*cacheEntry)
		delete(c.known, old.key)
		c.bytes -= old.bytes
	}
	return entry.seq, nil
}

// digest tells clips apart by shape and values.
func digest(clip *tensor.Tensor) (sum [sha256.Size]byte) {
	h := sha256.New()
	var buf []byte
	for _, d := range clip.Shape() {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(d))
	}
	for _, v := range clip.Data() {
		if buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v)); len(buf) >= 4096 {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	h.Write(buf)
	return [sha256.Size]byte(h.Sum(nil))
}
