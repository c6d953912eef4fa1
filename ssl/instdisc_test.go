package ssl

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mettleml/mettle/autograd"
)

// TestInstDiscFormula computes the loss by noise-contrastive estimation, Z and the new memory
// from projections and memory.
func TestInstDiscFormula(t *testing.T) {
	const n, total, k, d, temperature, keep = 16, 40, 24, 8, 0.5, 0.75
	m := NewInstDisc(newSmall(1), InstDiscOptions{Samples: total, Temperature: temperature, Out: d, Negatives: k, Keep: keep, Seed: 3})
	memory := m.Memory.Clone()
	tape := autograd.NewTape(autograd.Training, 0)
	b := pixels(0)
	for i := range b.Indices {
		b.Indices[i] = 2*i + 1
	}
	out, err := m.Loss(tape, b)
	if err != nil {
		t.Fatal(err)
	}
	u := autograd.NormalizeRows(out.Specific[0], tiny).Value()
	score := func(i, j int) float64 { // exp(u_i·m_j/T)
		dot := 0.0
		for c := range d {
			dot += float64(u.At(i, c)) * float64(memory.At(j, c))
		}
		return math.Exp(dot / temperature)
	}
	rng := rand.New(rand.NewPCG(3, 0))
	var drawn [k]int
	z := 0.0
	for j := range drawn {
		drawn[j] = rng.IntN(total)
		for i := range n {
			z += score(i, drawn[j]) / (n * k) * total
		}
	}
	near(t, "Z", float64(m.Z.Data()[0]), z, 1e-4*z)
	h := func(i, j int) float64 {
		p := score(i, j) / z
		return p / (p + k/float64(total))
	}
	loss := 0.0
	for i := range n {
		loss -= math.Log(h(i, b.Indices[i])) / n
		for _, j := range drawn {
			loss -= math.Log(1-h(i, j)) / n
		}
	}
	near(t, "the loss", out.Loss.Scalar(), loss, 1e-3)

	m.Update()
	for i, at := range b.Indices {
		row, length := make([]float64, d), 0.0
		for c := range row {
			row[c] = keep*float64(memory.At(at, c)) + (1-keep)*float64(u.At(i, c))
			length += row[c] * row[c]
		}
		for c, v := range row {
			near(t, "the memory", float64(m.Memory.At(at, c)), v/math.Sqrt(length), 1e-5)
		}
		compare(t, "the memory of another sample", m.Memory.Index(at-1).Data(), memory.Index(at-1).Data())
	}
}
