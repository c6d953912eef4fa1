package attack_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A function is a victim: this one tells dark pictures (class 0) from bright ones.
// Square looks for a change of at most 0.1 a pixel that it answers otherwise for.
func Example() {
	info := zoo.Info{Name: "brightness", Shape: []int{1, 8, 8}, Classes: 2, Digest: "1"}
	victim := zoo.ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		for i := range x.Dim(0) {
			var sum float64
			for _, v := range x.Index(i).Data() {
				sum += float64(v)
			}
			out[2*i], out[2*i+1] = 32-sum, sum-32
		}
		return nil
	})
	picture := tensor.New(1, 8, 8)
	picture.Fill(0.45)

	c := attack.Campaign{
		Job:    attack.WithScores(attack.Square{Norm: attack.Linf, Eps: 0.1}, victim),
		Budget: 1000,
		Seed:   1,
	}
	res, err := c.Run(context.Background(), []attack.Sample{{Name: "grey", X: picture, Label: 0}})
	if err != nil {
		log.Fatal(err)
	}
	r := res.Records[0]
	fmt.Printf("success %v, answer %d after %d queries, Linf %.2f, verified %v\n", r.Success, r.Answer, r.First.Queries, r.Best.Linf, r.Verified)
	// Output:
	// success true, answer 1 after 36 queries, Linf 0.10, verified true
}

// drift is an attack of one's own: it steps along an estimate of the gradient, with a
// prior that explores in frames of one colour, until the goal is reached.
type drift struct {
	Eps  float64
	Loss zoo.Loss
}

func (drift) About() attack.About { return attack.About{Name: "drift", Norm: attack.Linf} }

func (a drift) AttackScores(ctx context.Context, v zoo.Scorer, t *attack.Try) error {
	lr := a.Eps / 4
	d := attack.Descent{
		Objective: zoo.NewObjective(v, t.Goal, a.Loss),
		Estimator: &zoo.Prior{Probe: 0.1, Explore: 0.1, Noise: plain{}, Rand: t.Rand(0)},
		Step:      attack.BallStep(attack.Linf, a.Eps, &lr, t.Clean.Data()),
	}
	return d.Run(ctx, t)
}

// plain is noise of one colour for each channel.
type plain struct{}

func (plain) Name() string { return "plain" }

func (plain) Draw(dst []float64, shape []int, r *rand.Rand) error {
	n := shape[len(shape)-2] * shape[len(shape)-1]
	for lo := 0; lo < len(dst); lo += n {
		v := r.NormFloat64()
		for i := range n {
			dst[lo+i] = v
		}
	}
	return nil
}

// An attack of one's own is a struct with two methods. The campaign counts its queries,
// keeps its journal and verifies its successes as it does for ours.
func ExampleScoreAttack() {
	info := zoo.Info{Name: "brightness", Shape: []int{1, 8, 8}, Classes: 2, Digest: "1"}
	victim := zoo.ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		for i := range x.Dim(0) {
			out[2*i+1] = x.Index(i).Mean() - 0.5
			out[2*i] = -out[2*i+1]
		}
		return nil
	})
	picture := tensor.New(1, 8, 8)
	picture.Fill(0.45)
	c := attack.Campaign{Job: attack.WithScores(drift{Eps: 0.1, Loss: zoo.Margin{}}, victim), Seed: 1}
	res, err := c.Run(context.Background(), []attack.Sample{{X: picture, Label: 0}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %s: answer %d after %d queries\n", res.Attack, res.Options, res.Records[0].Answer, res.Records[0].First.Queries)
	// Output:
	// drift {"Eps":0.1,"Loss":{"margin":{"Scale":0}}}: answer 1 after 10 queries
}

// A program builds attacks from names and JSON, and a campaign cut into units runs
// anywhere.
func ExampleCampaign_Plan() {
	info := zoo.Info{Name: "brightness", Shape: []int{1, 8, 8}, Classes: 2, Digest: "1"}
	victim := zoo.ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		for i := range x.Dim(0) {
			out[2*i+1] = x.Index(i).Mean() - 0.5
			out[2*i] = -out[2*i+1]
		}
		return nil
	})
	a, err := attack.Spec{Attack: "square", Options: []byte(`{"Norm": "Linf", "Eps": 0.1}`)}.Build(nil)
	if err != nil {
		log.Fatal(err)
	}
	job, err := attack.Bind(a, victim)
	if err != nil {
		log.Fatal(err)
	}
	var samples []attack.Sample
	for i := range 3 {
		x := tensor.New(1, 8, 8)
		x.Fill(0.42 + 0.02*float32(i))
		samples = append(samples, attack.Sample{X: x, Label: 0})
	}
	c := attack.Campaign{Job: job, Budget: 1000, Seed: 1}
	plan, err := c.Plan(samples)
	if err != nil {
		log.Fatal(err)
	}
	var units []*attack.UnitResult
	for _, i := range []int{2, 0, 1} { // on three machines, perhaps
		u, err := plan.Run(context.Background(), i, nil)
		if err != nil {
			log.Fatal(err)
		}
		units = append(units, u)
	}
	res, err := plan.Merge(units...)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range res.Records {
		fmt.Println(r.Index, r.Stop, r.First.Queries)
	}
	// Output:
	// 0 success 63
	// 1 success 66
	// 2 success 22
}
