package video

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// Mixture is the sum of two noises, A + Weight·B, to explore moving regions as well as
// single sensitive pixels.
type Mixture struct {
	A, B   Noise
	Weight float64 // 0: 1
}

// Name implements Noise.
func (Mixture) Name() string { return "mixture" }

func (m Mixture) defaults() Mixture {
	m.A, m.B = noiseDefaults(m.A), noiseDefaults(m.B)
	if m.Weight == 0 {
		m.Weight = 1
	}
	return m
}

func (m Mixture) check() error {
	if m.A == nil || m.B == nil {
		return errors.New("video: a Mixture needs two noises, A and B")
	}
	if !(m.Weight >= 0) || math.IsInf(m.Weight, 1) {
		return fmt.Errorf("video: Mixture.Weight is %g; it must not be negative, and 0 means 1", m.Weight)
	}
	return errors.Join(noiseCheck(m.A), noiseCheck(m.B))
}

// For implements Noise.
func (m Mixture) For(clip *tensor.Tensor, r *rand.Rand) (zoo.Noise, int, error) {
	if err := m.check(); err != nil {
		return nil, 0, err
	}
	m = m.defaults()
	a, fa, err := m.A.For(clip, r)
	if err != nil {
		return nil, 0, err
	}
	b, fb, err := m.B.For(clip, r)
	if err != nil {
		return nil, 0, err
	}
	return &mixture{a: a, b: b, fa: fa, fb: fb, weight: m.Weight}, max(fa, fb), nil
}

type mixture struct {
	a, b   zoo.Noise
	fa, fb int // frames of each
	weight float64
	sum    []float64
}

func (m *mixture) Name() string { return Mixture{}.Name() }

// Draw implements zoo.Noise.
func (m *mixture) Draw(dst []float64, shape []int, r *rand.Rand) error {
	if len(m.sum) != len(dst) {
		m.sum = make([]float64, len(dst))
	}
	if err := drawAll(m.a, m.fa, dst, shape, r); err != nil {
		return err
	}
	if err := drawAll(m.b, m.fb, m.sum, shape, r); err != nil {
		return err
	}
	for i, v := range m.sum {
		dst[i] += float64(m.weight * v)
	}
	return nil
}

// drawAll draws noise of one frame for all, or of every frame.
func drawAll(n zoo.Noise, frames int, dst []float64, shape []int, r *rand.Rand) error {
	if frames > 1 || len(shape) < 4 || shape[0] == 1 {
		return n.Draw(dst, shape, r)
	}
	size := len(dst) / shape[0]
	err := n.Draw(dst[:size], append([]int{1}, shape[1:]...), r)
	for lo := size; lo < len(dst); lo += size {
		copy(dst[lo:lo+size], dst[:size])
	}
	return err
}

// noiseDefaults fills in the options of our own noises, to be stated.
func noiseDefaults(n Noise) Noise {
	switch n := n.(type) {
	case nil:
		return Sparked{}.defaults()
	case Sparked:
		return n.defaults()
	case GeoNoise:
		return n.defaults()
	case Mixture:
		if n.check() == nil {
			return n.defaults()
		}
	}
	return n
}

// noiseCheck tells before a campaign begins what else For would.
func noiseCheck(n Noise) error {
	if c, ok := n.(interface{ check() error }); ok {
		return c.check()
	}
	return nil
}

func init() { attack.RegisterPart(func() attack.Part { return Mixture{} }) }
