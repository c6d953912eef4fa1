package ssl

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// small is an encoder of 3x8x8 to 8 features.
type small struct{ *nn.Sequential }

func (small) Width() int { return 8 }

func newSmall(seed uint64) small {
	rng := rand.New(rand.NewPCG(seed, 0))
	flat := nn.ConvOptions{Padding: 1, NoBias: true}
	half := nn.ConvOptions{Padding: 1, Stride: 2, NoBias: true}
	return small{nn.NewSequential(
		nn.NewConv2D(rng, 3, 4, 3, flat), nn.NewBatchNorm(4), nn.ReLU{},
		nn.NewConv2D(rng, 4, 8, 3, half), nn.NewBatchNorm(8), nn.ReLU{}, nn.GlobalAvgPool{})}
}

// whole is an encoder and a method, as steps.py names them.
type whole struct {
	encoder nn.Tree
	method  Method
}

func (w whole) Walk(k *nn.Walker) {
	k.Child("encoder", w.encoder)
	k.Child("", w.method)
}

// noise and pixels are those of steps.py.
func noise(stream, i int) int {
	h := uint32(i)*2654435761 + uint32(stream*40503) + 12345
	h ^= h >> 15
	h *= 2246822519
	h ^= h >> 13
	h *= 3266489917
	return int(h >> 24)
}

func pixels(step int) data.Batch {
	const n = 16
	b := data.Batch{X: tensor.New(2*n, 3, 8, 8), Y: make([]int, n), Indices: upTo(n)}
	count := b.X.Len() / 2
	for i := range b.X.Data() {
		plane, y, x := i%count/64, i/8%8, i%8
		b.X.Data()[i] = float32(3*noise(3*step, plane*4+y/4*2+x/4)+noise(3*step+1+i/count, i%count)) / 1020
	}
	return b
}

// TestSteps does the 20 steps of testdata/steps.py.
func TestSteps(t *testing.T) {
	for name, make := range map[string]func(e Encoder) Method{
		"simclr": func(e Encoder) Method { return NewSimCLR(e, SimCLROptions{Hidden: 16, Out: 8}) },
		"moco2": func(e Encoder) Method {
			return NewMoCo(e, MoCoOptions{Hidden: 16, Out: 8, Queue: 48, Momentum: optim.Constant(0.9)})
		},
		"byol": func(e Encoder) Method {
			return NewBYOL(e, BYOLOptions{Hidden: 16, Out: 8, Momentum: CosineMomentum(0.9, 40)})
		},
		"simsiam": func(e Encoder) Method { return NewSimSiam(e, SimSiamOptions{Hidden: 16, Predictor: 4}) },
		"barlow":  func(e Encoder) Method { return NewBarlow(e, BarlowOptions{Hidden: 16}) },
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", "steps_"+name+".safetensors")
			want, _, err := tensor.LoadSafetensors(file)
			if err != nil {
				t.Fatal(err)
			}
			e := newSmall(1)
			m := make(e)
			all := whole{e, m}
			if err := nn.LoadWith(file, all, nn.LoadOptions{Prefix: "start.", Partial: true}); err != nil {
				t.Fatal(err)
			}
			opt := optim.NewSGD(Trainable(all), optim.SGDOptions{LR: 0.05, Momentum: 0.9, WeightDecay: 1e-4})
			tape := autograd.NewTape(autograd.Training, 0)
			for step, loss := range want["losses"].Data() {
				out, err := Step(tape, m, opt, pixels(step))
				if err != nil {
					t.Fatal(err)
				}
				if got := out.Loss.Scalar(); math.Abs(got-float64(loss)) > 1e-3 {
					t.Fatalf("step %d: loss %v, PyTorch has %v", step, got, loss)
				}
			}
			compared := 0
			for entry := range nn.State(all) {
				ours := entry.Value()
				if ours == nil {
					continue
				}
				theirs := want["end."+entry.Name]
				if theirs == nil {
					t.Fatalf("%s is not in the file", entry.Name)
				}
				compared++
				// A mean that is 0 but for rounding has no relative difference.
				if d := ours.Sub(theirs).Norm(2) / max(theirs.Norm(2), 1e-3); !(d < 1e-3) {
					t.Errorf("%s differs by %v", entry.Name, d)
				}
			}
			for name := range want {
				if strings.HasPrefix(name, "end.") {
					compared--
				}
			}
			if compared != 0 {
				t.Errorf("%d tensors of the file were not compared", -compared)
			}
		})
	}
}
