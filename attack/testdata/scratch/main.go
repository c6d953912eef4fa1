// Scratch is a module outside of the library that adds to it what the library has of its
// own: an attack with a network that it hides, a loss, a source of noise for a prior, and
// a layer. It runs a campaign in one process, or unit by unit, and merges the units.
//
//	scratch run                    prints the records
//	scratch plan                   prints the plan
//	scratch units DIR I N < plan   runs units I, I+N, ... with journals in DIR, and prints their results
//	scratch merge < results        prints the records
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// Swish is a layer. It promises what lets a network cut batches into pieces.
type Swish struct{ Beta float32 }

func (s Swish) Forward(x autograd.Var) autograd.Var {
	return autograd.Mul(x, autograd.Sigmoid(autograd.Scale(x, s.Beta)))
}
func (Swish) Walk(*nn.Walker) {}
func (s Swish) Promises(self nn.Module) nn.Promise {
	return nn.Promised[Swish](self, nn.PerExample)
}

// Second is the loss 1 - p₂ of the second largest probability.
type Second struct{ Power float64 }

func (Second) Name() string { return "second" }

func (l Second) Value(scores []float64, kind zoo.ScoreKind, g zoo.Goal) float64 {
	return (zoo.CrossEntropy{Scale: l.Power}).Value(scores, kind, g)
}

// Blocks is noise that is alike in blocks.
type Blocks struct{ Side int }

func (Blocks) Name() string { return "blocks" }

func (b Blocks) Draw(dst []float64, shape []int, r *rand.Rand) error {
	if b.Side < 1 {
		return errors.New("no side")
	}
	n := len(shape)
	h, w := shape[n-2], shape[n-1]
	for p := 0; p < len(dst); p += h * w {
		for y := 0; y < h; y += b.Side {
			for x := 0; x < w; x += b.Side {
				v := r.NormFloat64()
				for i := y; i < min(y+b.Side, h); i++ {
					for j := x; j < min(x+b.Side, w); j++ {
						dst[p+i*w+j] = v
					}
				}
			}
		}
	}
	return nil
}

// Guided is an attack: a prior whose steps are signed by a network it hides.
type Guided struct {
	Eps   float64
	Loss  zoo.Loss
	Noise zoo.Noise

	guide nn.Module
}

func (Guided) About() attack.About { return attack.About{Name: "guided", Norm: attack.Linf} }

// Hidden tells guides apart.
func (a Guided) Hidden() map[string]string {
	return map[string]string{"guide": nn.Digest(a.guide)}
}

func (a Guided) AttackScores(ctx context.Context, v zoo.Scorer, t *attack.Try) error {
	tape := autograd.NewTape(autograd.Inference, 0)
	bias := make([]float64, t.Clean.Len())
	y := a.guide.Forward(tape.Input(t.Clean.Reshape(append([]int{1}, t.Clean.Shape()...)...)))
	for i := range bias {
		bias[i] = float64(y.Data()[i%y.Len()])
	}
	lr := 0.02
	step := attack.BallStep(attack.Linf, a.Eps, &lr, t.Clean.Data())
	d := attack.Descent{
		Objective: zoo.NewObjective(v, t.Goal, a.Loss),
		Estimator: &zoo.Prior{Probe: 0.1, Explore: 0.1, Noise: a.Noise, Rand: t.Rand(0)},
		Step: func(x []float32, g []float64) {
			for i := range g {
				g[i] += 1e-3 * bias[i]
			}
			step(x, g)
		},
	}
	return d.Run(ctx, t)
}

func campaign(guide uint64) (*attack.Campaign, []attack.Sample, error) {
	r := rand.New(rand.NewPCG(1, 1))
	net := nn.NewSequential(nn.Flatten{}, nn.NewLinear(r, 64, 20), Swish{1.5}, nn.NewLinear(r, 20, 4))
	v, err := zoo.NewModel(net, zoo.Info{Name: "swish", Shape: []int{1, 8, 8}, Classes: 4}, data.Preprocess{})
	if err != nil {
		return nil, nil, err
	}
	var samples []attack.Sample
	for range 12 {
		x := tensor.New(1, 8, 8)
		for i := range x.Data() {
			x.Data()[i] = r.Float32()
		}
		var label [1]int
		if err := zoo.LabelsOf(v).Labels(context.Background(), x.Reshape(1, 1, 8, 8), label[:]); err != nil {
			return nil, nil, err
		}
		samples = append(samples, attack.Sample{X: x, Label: label[0]})
	}
	g := rand.New(rand.NewPCG(guide, 2))
	a := Guided{Eps: 0.1, Loss: Second{Power: 2}, Noise: Blocks{Side: 2}, guide: nn.NewSequential(nn.Flatten{}, nn.NewLinear(g, 64, 64))}
	return &attack.Campaign{Job: attack.WithScores(a, v), Budget: 400, Seed: 5}, samples, nil
}

func main() {
	log.SetFlags(0)
	guide := uint64(7)
	if s := os.Getenv("GUIDE"); s != "" {
		guide, _ = strconv.ParseUint(s, 10, 64)
	}
	c, samples, err := campaign(guide)
	if err == nil {
		err = do(c, samples, os.Args[1:])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func do(c *attack.Campaign, samples []attack.Sample, args []string) error {
	ctx := context.Background()
	p, err := c.Plan(samples)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	switch args[0] {
	case "run":
		res, err := c.Run(ctx, samples)
		if err != nil {
			return err
		}
		return out.Encode(res.Records)
	case "plan":
		return out.Encode(p)
	case "units":
		wire, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		if p, err = c.Adopt(wire, func(u attack.Unit) (attack.Sample, error) { return samples[u.Index], nil }); err != nil {
			return err
		}
		first, _ := strconv.Atoi(args[2])
		step, _ := strconv.Atoi(args[3])
		for i := first; i < len(p.Units); i += step {
			j, err := attack.OpenJournal(filepath.Join(args[1], fmt.Sprint(i)), p, false)
			if err != nil {
				return err
			}
			u, err := p.Run(ctx, i, j.Log(i))
			if err := errors.Join(err, j.Close()); err != nil {
				return err
			}
			if err := out.Encode(u); err != nil {
				return err
			}
		}
		return nil
	case "merge":
		var units []*attack.UnitResult
		for d := json.NewDecoder(os.Stdin); d.More(); {
			u := new(attack.UnitResult)
			if err := d.Decode(u); err != nil {
				return err
			}
			units = append(units, u)
		}
		res, err := p.Merge(units...)
		if err != nil {
			return err
		}
		return out.Encode(res.Records)
	}
	return fmt.Errorf("%q is unknown", args[0])
}
