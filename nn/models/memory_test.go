package models

import (
	"runtime"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// trainer returns a training step of m on noise.
func trainer(t *testing.T, m nn.Module, shape ...int) func() {
	x := tensor.New(shape...)
	r := newRand(1)
	labels := make([]int, shape[0])
	for i := range x.Data() {
		x.Data()[i] = float32(r.NormFloat64())
	}
	for i := range labels {
		labels[i] = r.IntN(10)
	}
	opt := optim.NewSGD(nn.Params(m), optim.SGDOptions{LR: 1e-3, Momentum: .9})
	tape := autograd.NewTape(autograd.Training, 1)
	return func() {
		tape.Reset()
		if err := opt.Step(tape.Gradients(nn.CrossEntropy(m.Forward(tape.Input(x)), labels))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestResNet32StepAllocatesLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("training steps of ResNet-32 at batch 128")
	}
	batch := 128
	if kernel.Active().Name == "generic" {
		batch = 8 // plain Go takes half a minute for the full one
	}
	step := trainer(t, ResNet32(1, 10), batch, 3, 32, 32)
	step()
	step()
	// On a busy machine it takes more steps until scratch has grown to what as many
	// workers as ever meet need.
	const steps, rounds = 2, 6
	var n uint64
	for range rounds {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range steps {
			step()
		}
		runtime.ReadMemStats(&after)
		if n = (after.TotalAlloc - before.TotalAlloc) / steps; n < 64<<10 {
			return
		}
	}
	t.Errorf("a step allocates %d bytes", n)
}

func TestHeapIsFlat(t *testing.T) {
	heap := func() int64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	step := trainer(t, LeNet5(1, 10), 4, 1, 28, 28)
	for range 10 {
		step()
	}
	early := heap()
	for range 990 {
		step()
	}
	if late := heap(); late-early > 64<<10 {
		t.Errorf("the heap grew from %d to %d bytes between steps 10 and 1000", early, late)
	}
}
