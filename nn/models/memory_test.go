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
	const steps = 4
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range steps {
		step()
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / steps; n >= 64<<10 {
		t.Errorf("a step allocates %d bytes", n)
	}
}

// TestHeapIsFlat: the heap is as large after a thousand steps as after ten.
func TestHeapIsFlat(t *testing.T) {
	heap := func() int64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	for _, c := range []struct {
		name  string
		step  func()
		steps int
	}{
		{"LeNet5", trainer(t, LeNet5(1, 10), 4, 1, 28, 28), 1000},
		{"ResNet-32", trainer(t, ResNet32(1, 10), 4, 3, 32, 32), 60},
	} {
		if testing.Short() && c.name != "LeNet5" {
			continue
		}
		for range 10 {
			c.step()
		}
		early := heap()
		for range c.steps - 10 {
			c.step()
		}
		if late := heap(); late-early >= 64<<10 {
			t.Errorf("%s: the heap grew from %d bytes at step 10 to %d at step %d", c.name, early, late, c.steps)
		}
	}
}
