package attack_test

import (
	"context"
	"fmt"
	"log"

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
