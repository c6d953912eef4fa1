package checkpoint_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/checkpoint"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// Options are what a user of the program chooses.
type Options struct {
	Seed   uint64
	Epochs int
	LR     float64
}

// train runs until the epoch stop, and takes up what an earlier call left in path.
func train(path string, o Options, stop int) error {
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	model := nn.NewLinear(rng, 4, 2)
	opt := optim.NewSGD(nn.Params(model), optim.SGDOptions{LR: o.LR, Momentum: 0.9})
	samples, err := data.NewTensors(tensor.New(10, 4), make([]int, 10), 2)
	if err != nil {
		return err
	}
	loader, err := data.NewLoader(samples, data.LoaderOptions{BatchSize: 5, Shuffle: true, Seed: o.Seed})
	if err != nil {
		return err
	}
	tape := autograd.NewTape(autograd.Training, o.Seed)
	rate := optim.Cosine(o.LR, 0, o.Epochs*loader.Len())
	var history []string
	run := checkpoint.Run{
		Settings: o,
		Trees:    map[string]nn.Tree{"model": model, "optim": opt},
		Loaders:  map[string]*data.Loader{"train": loader},
		Tapes:    map[string]*autograd.Tape{"train": tape},
		Values:   map[string]any{"history": &history},
	}
	if err := run.Load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for {
		epoch, _ := loader.Position()
		if epoch >= min(o.Epochs, stop) {
			fmt.Println(history)
			return nil
		}
		for batch, err := range loader.Batches(context.Background()) {
			if err != nil {
				return err
			}
			opt.SetLR(rate(int(tape.Step())))
			loss := nn.CrossEntropy(model.Forward(tape.Input(batch.X)), batch.Y)
			if err := opt.Step(tape.Gradients(loss)); err != nil {
				return err
			}
			tape.Reset()
		}
		history = append(history, fmt.Sprintf("epoch %d ends with step %d", epoch, tape.Step()))
		if err := run.Save(path); err != nil {
			return err
		}
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "checkpoint")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "run.checkpoint")

	options := Options{Seed: 1, Epochs: 3, LR: 0.1}
	if err := train(path, options, 2); err != nil { // stopped after two epochs
		log.Fatal(err)
	}
	if err := train(path, options, 3); err != nil {
		log.Fatal(err)
	}
	options.LR = 0.2
	var other *checkpoint.SettingsError
	fmt.Println("another run is refused:", errors.As(train(path, options, 3), &other))
	fmt.Println(other.Differences[0].Name, "was", other.Differences[0].File)
	// Output:
	// [epoch 0 ends with step 2 epoch 1 ends with step 4]
	// [epoch 0 ends with step 2 epoch 1 ends with step 4 epoch 2 ends with step 6]
	// another run is refused: true
	// LR was 0.1
}
