package video

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video/motion"
	"github.com/mettleml/mettle/zoo"
)

// TestLikeReleased: on the analytic victim of testdata/released.py, which is the released
// code's loop written down a second time, our mean queries are within 5 % of its, at the
// same settings and the same count.
func TestLikeReleased(t *testing.T) {
	b, err := os.ReadFile("testdata/released.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Mean float64 `json:"mean"`
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	shape := []int{4, 3, 8, 10}
	clip := tensor.New(shape...)
	for i := range clip.Data() {
		clip.Data()[i] = float32(0.5 + 0.45*math.Sin(1.7*float64(i)))
	}
	moving := func(y, x int) float64 {
		if y >= 2 && y < 6 && x >= 3 && x < 7 {
			return 1
		}
		return 0
	}
	v := newClipVictim(3, shape, func(c, f, ch, y, x int) float64 {
		fc, fch := float64(c), float64(ch)
		return 0.05 * (0.3*math.Sin(2.1*fc+1.3*fch+3*moving(y, x)) + 0.3*math.Sin(11.3*fc+0.9*fch+2.7*float64(y)+4.1*float64(x)))
	})
	v.margin(t, attack.Sample{X: clip}, 0.25)
	field := tensor.New(1, 2, 8, 10)
	f := motion.FieldOf(field.Index(0))
	for i := range f.DX {
		f.DX[i], f.DY[i] = float32(3*moving(i/10, i%10)), float32(-moving(i/10, i%10))
	}
	for _, c := range []struct {
		noise Noise
		runs  int
	}{{Sparked{Map: GivenMaps{field}, Least: 1}, 8000}, {OneNoise{}, 1500}, {MultiNoise{}, 400}} {
		allowed := 0.05
		if testing.Short() {
			c.runs, allowed = c.runs/8, 0.15
		}
		a := MotionExcited{Noise: c.noise, Accounting: Charged3}
		var sum, squares float64
		for seed := range c.runs {
			r := attacked(t, a, v, attack.Sample{X: clip}, zoo.Untargeted(0), 3000, uint64(seed))
			q := 3000.0
			if r.Success {
				q = float64(r.First.Queries)
			}
			sum, squares = sum+q, squares+q*q
		}
		n := float64(c.runs)
		mean := sum / n
		name := c.noise.Name()
		t.Logf("%s: %.1f queries (standard error %.1f), the other loop %.1f", name, mean, math.Sqrt((squares/n-mean*mean)/n), want[name].Mean)
		if math.Abs(mean/want[name].Mean-1) > allowed {
			t.Errorf("%s: %.1f queries on average, the other loop needs %.1f", name, mean, want[name].Mean)
		}
	}
}
