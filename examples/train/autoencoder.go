package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/examples/internal/cast"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// autoencoder trains the auto-encoder of AutoZOOM to give back the training images,
// by their mean squared error.
func autoencoder(ctx context.Context, c *config) error {
	p, train, dir, err := players(c)
	if err != nil {
		return err
	}
	spec, ok := models.Find(p.Decoder)
	if !ok {
		return fmt.Errorf("there is no auto-encoder for pictures of %v", train.Shape())
	}
	if c.limit > 0 && c.limit < train.Len() {
		train = data.Subset(train, rand.New(rand.NewPCG(c.seed, 1)).Perm(train.Len())[:c.limit])
	}
	loader, err := data.NewLoader(train, data.LoaderOptions{BatchSize: cmp.Or(c.batch, 100), Shuffle: true, Seed: c.seed})
	if err != nil {
		return err
	}
	net := spec.New(c.seed, 0)
	epochs, lr := cmp.Or(c.epochs, 4), cmp.Or(c.lr, 0.003)
	opt := optim.NewAdam(nn.Params(net), optim.AdamOptions{LR: lr})
	rate := optim.Cosine(lr, 0, epochs*loader.Len())
	tape := autograd.NewTape(autograd.Training, c.seed)
	fmt.Printf("%s on %s: %d parameters, %d images, %d epochs\n", spec.Name, c.data, nn.Count(net), train.Len(), epochs)
	start, last := time.Now(), 0.0
	for epoch := range epochs {
		var sum float64
		for batch, err := range loader.Batches(ctx) {
			if err != nil {
				return err
			}
			opt.SetLR(rate(int(tape.Step())))
			x := tape.Input(batch.X)
			loss := autograd.MSE(net.Forward(x), x)
			sum += loss.Scalar() / float64(loader.Len())
			if err := opt.Step(tape.Gradients(loss)); err != nil {
				return err
			}
			tape.Reset()
		}
		last = sum
		fmt.Printf("epoch %d/%d  mean squared error %.6f  %v\n", epoch+1, epochs, sum, time.Since(start).Round(time.Second))
	}
	dtype := tensor.F32
	if c.half {
		dtype = tensor.F16
	}
	path := cast.File(dir, p.Decoder)
	info := models.Info{Model: p.Decoder, Data: c.data, Accuracy: "training MSE " + strconv.FormatFloat(last, 'g', 4, 64)}
	if err := models.Save(path, net, info, nn.SaveOptions{DType: dtype}); err != nil {
		return err
	}
	fmt.Println("wrote", path)
	return nil
}
