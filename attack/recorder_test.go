package attack

import (
	"context"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// recorder shows every sample and its scores to see.
type recorder struct {
	zoo.Scorer
	see func(x []float32, scores []float64)
}

func (r recorder) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	if err := r.Scorer.Scores(ctx, x, out); err != nil {
		return err
	}
	n, k := r.Info().Size(), r.Info().Classes
	for i := range x.Dim(0) {
		r.see(x.Data()[i*n:(i+1)*n], out[i*k:(i+1)*k])
	}
	return nil
}
