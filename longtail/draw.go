package longtail

import (
	"fmt"
	"math/bits"
	"slices"
)

// A Draw chooses the samples of a long-tailed subset.
type Draw interface {
	// Draw returns counts[c] of members[c], the indices of the samples of class c, for each
	// class, in ascending order. The result depends on the arguments alone. It may change
	// members.
	Draw(members [][]int, counts []int) [][]int

	// String returns a name of the draw, such as "first".
	String() string
}

// First takes the first samples of each class in the order of the data set. A subset of
// more imbalance is then part of one of less, so runs with several imbalances are
// comparable. It uses no randomness.
type First struct{}

// Draw implements [Draw].
func (First) Draw(members [][]int, counts []int) [][]int {
	for c := range members {
		members[c] = members[c][:counts[c]]
	}
	return members
}

func (First) String() string { return "first" }

// Cao takes the same images as the program of Cao et al. (LDAM-DRW, 2019): it shuffles
// class after class by one Mersenne Twister, as numpy's RandomState(Seed).shuffle does, and
// keeps the first samples. Their seed is 0. The shuffles do not depend on the counts, so a
// subset of more imbalance is part of one of less, if the data set is whole.
type Cao struct {
	Seed uint32
}

// Draw implements [Draw].
func (c Cao) Draw(members [][]int, counts []int) [][]int {
	rng := newTwister(c.Seed)
	for k, list := range members {
		rng.shuffle(list)
		members[k] = list[:counts[k]]
		slices.Sort(members[k])
	}
	return members
}

func (c Cao) String() string { return fmt.Sprintf("cao-%d", c.Seed) }

// A twister is MT19937 (Matsumoto and Nishimura, 1998).
type twister struct {
	state [624]uint32
	next  int
}

func newTwister(seed uint32) *twister {
	t := &twister{next: 624}
	for i := range t.state {
		t.state[i] = seed
		seed = 1812433253*(seed^seed>>30) + uint32(i) + 1
	}
	return t
}

func (t *twister) uint32() uint32 {
	if t.next == len(t.state) {
		for i := range t.state {
			y := t.state[i]&0x80000000 | t.state[(i+1)%624]&0x7fffffff
			t.state[i] = t.state[(i+397)%624] ^ y>>1 ^ y&1*0x9908b0df
		}
		t.next = 0
	}
	y := t.state[t.next]
	t.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// shuffle is numpy's: from the end, with numbers found by rejection under a mask.
func (t *twister) shuffle(list []int) {
	for i := len(list) - 1; i > 0; i-- {
		mask := uint32(1)<<bits.Len(uint(i)) - 1
		j := t.uint32() & mask
		for j > uint32(i) {
			j = t.uint32() & mask
		}
		list[i], list[j] = list[j], list[i]
	}
}
