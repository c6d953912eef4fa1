package optim

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

func TestEMA(t *testing.T) {
	for _, c := range []struct {
		o             EMAOptions
		weight, scale float32 // of parameters that were 0 and 1 and are to be 4
		mean, v       float32 // of buffers that were 0 and 1 and are to be 4
		counter       int64   // that was 0 and is to be 2^24 + 1
	}{
		{EMAOptions{Decay: .75}, 1, 1.75, 4, 4, 1<<24 + 1},
		{EMAOptions{Decay: .75, Buffers: AverageBuffers}, 1, 1.75, 1, 1.75, 1<<24 + 1},
		{EMAOptions{Decay: .75, Buffers: OwnBuffers}, 1, 1.75, 0, 1, 0},
		{EMAOptions{Decay: 0, Buffers: AverageBuffers}, 4, 4, 4, 4, 1<<24 + 1},
		{EMAOptions{Decay: 1, Buffers: AverageBuffers}, 0, 1, 0, 1, 1<<24 + 1},
	} {
		m := nn.NewSequential(nn.NewLinear(nil, 1, 1), nn.NewBatchNorm(1))
		e := NewEMA(m, c.o)
		for _, p := range nn.Params(m) {
			nn.Constant(p, 4)
		}
		b := m.Layers[1].(*nn.BatchNorm)
		b.RunningMean.Fill(4)
		b.RunningVar.Fill(4)
		*b.Batches = 1<<24 + 1
		e.Update()
		want := map[string]float32{"0.weight": c.weight, "0.bias": c.weight, "1.weight": c.scale, "1.bias": c.weight,
			"1.running_mean": c.mean, "1.running_var": c.v}
		for s := range nn.State(e) {
			if s.Counter != nil {
				if *s.Counter != c.counter {
					t.Errorf("%+v: %s = %d, want %d", c.o, s.Name, *s.Counter, c.counter)
				}
				continue
			}
			if got := s.Value().Data()[0]; got != want[s.Name] {
				t.Errorf("%+v: %s = %v, want %v", c.o, s.Name, got, want[s.Name])
			}
			if s.Param != nil && !s.Param.Frozen() {
				t.Errorf("%s is not frozen", s.Name)
			}
		}
	}
	for _, o := range []EMAOptions{{Decay: 1.5}, {Decay: -1}, {Buffers: 3}} {
		if err := tensor.Try(func() error { NewEMA(nn.NewLinear(nil, 1, 1), o); return nil }); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

// A decay of 0 gives the very bits, which an average with weights 0 and 1 does not.
func TestEMACopies(t *testing.T) {
	m := nn.NewLinear(rand.New(rand.NewPCG(1, 2)), 30, 40)
	e := NewEMA(m, EMAOptions{})
	nn.Uniform(rand.New(rand.NewPCG(3, 4)), m.Weight, -1e-3, 1e3)
	e.Update()
	if !slices.Equal(e.Model.Weight.Value().Data(), m.Weight.Value().Data()) {
		t.Error("the average differs from what it copies")
	}
}

// What two layers share moves once in an update.
func TestEMAOfSharedParameters(t *testing.T) {
	l := nn.NewLinear(nil, 1, 1)
	m := nn.NewSequential(l, l)
	e := NewEMA(m, EMAOptions{Decay: .5})
	nn.Constant(l.Weight, 4)
	e.Update()
	if got := e.Model.Layers[0].(*nn.Linear).Weight.Value().Data()[0]; got != 2 {
		t.Errorf("the average is %v after one update, want 2", got)
	}
}

// With OwnBuffers forward passes of the average gather its statistics.
func TestEMAOwnsItsStatistics(t *testing.T) {
	m := nn.NewSequential(nn.NewBatchNorm(1))
	e := NewEMA(m, EMAOptions{Decay: .9, Buffers: OwnBuffers})
	tape := autograd.NewTape(autograd.Training, 0)
	e.Model.Forward(tape.Input(tensor.FromSlice([]float32{9, 11}, 2, 1)))
	e.Update()
	if got := e.Model.Layers[0].(*nn.BatchNorm).RunningMean.Item(); got != 1 {
		t.Errorf("the running mean is %v after a batch of mean 10, want 1", got)
	}
}
