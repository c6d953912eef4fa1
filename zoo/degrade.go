package zoo

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/tensor"
)

// Degrade makes a victim answer as public services do: with noise, rounded, and for the
// leading classes only. The steps are applied in the order of the fields; the zero value
// changes nothing.
type Degrade struct {
	Noise  float64 // standard deviation of Gaussian noise added to every score
	Seed   uint64  // of the noise, which depends on the seed and the pixels only: a repeated query gets the same answer
	Digits int     // decimals kept; 0 keeps all
	Top    int     // number of leading classes that are answered; 0 means all
}

// DegradeScores returns v with its answers degraded. Probabilities stay in [0,1]. A class
// left out by option Top gets a probability of 0, a log-probability of log 1e-30, or a
// logit of 1 less than the lowest reported one.
func DegradeScores(v Scorer, d Degrade) Scorer {
	info := v.Info()
	info.Digest += fmt.Sprintf(" %+v", d)
	return &degraded{v, d, info}
}

type degraded struct {
	v    Scorer
	d    Degrade
	info Info
}

func (s *degraded) Info() Info { return s.info }

func (s *degraded) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	if err := s.v.Scores(ctx, x, out); err != nil {
		return err
	}
	k, size := s.info.Classes, s.info.Size()
	for i := range len(out) / k {
		s.row(out[i*k:(i+1)*k], x.Data()[i*size:(i+1)*size])
	}
	return nil
}

func (s *degraded) row(scores []float64, pixels []float32) {
	if s.d.Noise > 0 {
		r := rand.New(rand.NewPCG(s.d.Seed, hashPixels(pixels)))
		for i := range scores {
			scores[i] += s.d.Noise * r.NormFloat64()
		}
	}
	if s.d.Digits > 0 {
		unit := math.Pow10(s.d.Digits)
		for i, v := range scores {
			scores[i] = math.Round(v*unit) / unit
		}
	}
	for i, v := range scores {
		switch s.info.Scores {
		case Probabilities:
			scores[i] = min(max(v, 0), 1)
		case LogProbabilities:
			scores[i] = min(v, 0)
		}
	}
	if s.d.Top > 0 && s.d.Top < len(scores) {
		keepTop(scores, s.d.Top, s.info.Scores)
	}
}

// keepTop leaves the n largest scores, ties to the lower class, and sets the
// others to the least that can be said.
func keepTop(scores []float64, n int, kind ScoreKind) {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	least := 0.0
	switch kind {
	case Logits:
		least = scores[order[n-1]] - 1
	case LogProbabilities:
		least = math.Log(tiny)
	}
	for _, c := range order[n:] {
		scores[c] = least
	}
}

func hashPixels(p []float32) uint64 {
	h := fnv.New64a()
	var b [4]byte
	for _, v := range p {
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
		h.Write(b[:])
	}
	return h.Sum64()
}
