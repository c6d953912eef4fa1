package attack

import (
	"context"
	"math"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/zoo"
)

// times multiplies logits, which changes no decision.
type times struct{ F float32 }

func (s times) Forward(x autograd.Var) autograd.Var { return autograd.Scale(x, s.F) }
func (times) Walk(*nn.Walker)                       {}

// TestScaledLogits: a victim whose logits are multiplied by a constant decides the same,
// and is not a harder victim for the attacks that do not weigh the loss against
// something else. With a cross-entropy that is 0 from some margin on, it would be.
func TestScaledLogits(t *testing.T) {
	if !*slow {
		t.Skip("hundreds of attacks on a network: needs -slow")
	}
	_, samples := digits(t)
	factors := []float32{1, 1. / 6, 6, 30}
	var victims []*zoo.Model
	for _, f := range factors {
		v, err := zoo.NewModel(nn.NewSequential(pretrained.Net4(), times{f}), zoo.Info{Name: "net4", Shape: []int{1, 28, 28}, Classes: 10}, data.Preprocess{})
		if err != nil {
			t.Fatal(err)
		}
		victims = append(victims, v)
	}
	for _, c := range []struct {
		a    Attack
		n    int
		free float64 // how far the success rate and the mean L2 may move, as shares
	}{
		{Square{Eps: 3}, 6, 0.01}, {Square{Norm: Linf, Eps: 0.2}, 6, 0.01}, {HopSkipJump{}, 2, 0.01}, {RayS{}, 2, 0.01},
		{PGD{Norm: Linf, Iterations: 10}, 6, 0.02}, {PGD{Eps: 2.5}, 6, 0.04}, {FGSM{Norm: Linf}, 6, 0.02},
		{SimBA{Eps: .5}, 6, 0.2}, {SignHunter{Norm: Linf, Eps: 0.2}, 6, 0.02},
		{NES{Eps: 4, LR: 0.4, Loss: zoo.Margin{}}, 4, 0.05}, {Meta{Network: pretrained.MetaAttackerMNIST()}, 2, 0.08},
		// These weigh the loss against something else, as the package documentation says, but
		// do not fail because the victim is confident.
		{Bandits{Eps: 3, Tile: 14}, 6, 0.7}, {AutoZOOM{Weight: 10, Switch: 100}, 4, 0.2},
	} {
		var rate, near []float64
		for _, v := range victims {
			job, err := Bind(c.a, v)
			if err != nil {
				t.Fatal(err)
			}
			res, err := (&Campaign{Job: job, Budget: 600, Seed: 1}).Run(context.Background(), samples[:c.n])
			if err != nil {
				t.Fatal(err)
			}
			rate, near = append(rate, res.Summary().SuccessRate), append(near, res.Summary().L2Mean)
		}
		t.Logf("%-12s %-4v success %.2f, L2 %.3f", c.a.About().Name, c.a.About().Norm, rate, near)
		for i, r := range rate {
			if !(math.Abs(r/rate[0]-1) <= c.free) || !(math.Abs(near[i]/near[0]-1) <= c.free) {
				t.Errorf("%s %v: success %.2f, L2 %.3f with the logits times %.2g", c.a.About().Name, c.a.About().Norm, rate, near, factors)
				break
			}
		}
	}
}
