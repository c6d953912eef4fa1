package zoo_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// bright tells dark pictures (class 0) from bright ones by the sum of two pixels.
func bright() zoo.Scorer {
	info := zoo.Info{Name: "bright", Shape: []int{1, 1, 2}, Classes: 2}
	return zoo.ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		for i := range x.Dim(0) {
			p := x.Index(i).Data()
			out[2*i+1] = float64(p[0]) + 3*float64(p[1]) - 2
			out[2*i] = -out[2*i+1]
		}
		return nil
	})
}

// A ledger charges every query before it is sent, and stops at the budget, within a call
// too.
func Example() {
	ledger := &zoo.Ledger{Budget: 3}
	victim := zoo.MeterScores(ledger, zoo.AttackAccount, bright())
	batch := tensor.New(2, 1, 1, 2)
	scores := make([]float64, 4)
	for range 2 {
		err := victim.Scores(context.Background(), batch, scores)
		var short *zoo.BudgetError
		if errors.As(err, &short) {
			fmt.Println("answered", short.Answered, "of", short.Asked)
		} else if err != nil {
			log.Fatal(err)
		}
		fmt.Println(ledger.Used(zoo.AttackAccount), "queries,", ledger.Left(), "left")
	}
	// Output:
	// 2 queries, 1 left
	// answered 1 of 2
	// 3 queries, 0 left
}

// An objective is a loss as a function of one image; finite differences tell its gradient
// from queries alone.
func ExampleDifferences() {
	o := zoo.NewObjective(bright(), zoo.Untargeted(0), zoo.Margin{})
	x := []float32{0.25, 0.25}
	loss, label, err := o.At(context.Background(), x)
	if err != nil {
		log.Fatal(err)
	}
	g := make([]float64, len(x))
	if err := (zoo.Differences{Step: 1. / 64}).Estimate(context.Background(), o, zoo.Point{X: x, Loss: loss}, g); err != nil {
		log.Fatal(err)
	}
	fmt.Println("class", label, "loss", loss, "gradient", g)
	// Output:
	// class 0 loss 2 gradient [-2 -6]
}

// secondBest is a loss of one's own: 1 less the second largest probability.
type secondBest struct{}

func (secondBest) Name() string { return "second-best" }

func (secondBest) Value(scores []float64, kind zoo.ScoreKind, g zoo.Goal) float64 {
	if kind != zoo.Probabilities {
		return 0 // this one wants probabilities
	}
	top := zoo.Top(scores)
	second := 0.0
	for i, p := range scores {
		if i != top {
			second = max(second, p)
		}
	}
	return 1 - second
}

func ExampleLoss() {
	scores := []float64{0.7, 0.2, 0.1}
	for _, l := range []zoo.Loss{zoo.Margin{}, zoo.Hinge{Kappa: 1}, zoo.CrossEntropy{}, secondBest{}} {
		fmt.Printf("%-13s %.3f\n", l.Name(), l.Value(scores, zoo.Probabilities, zoo.Untargeted(0)))
	}
	// Output:
	// margin        1.253
	// hinge         2.253
	// cross-entropy -0.357
	// second-best   0.800
}
