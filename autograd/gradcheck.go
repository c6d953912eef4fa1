package autograd

import (
	"fmt"
	"math"

	"github.com/mettleml/mettle/tensor"
)

// Check holds the settings of [GradCheck]. The zero value means the defaults below.
type Check struct {
	// Step is the displacement of an element on either side; 0 means 1e-2. GradCheck
	// also takes twice the step. The function is computed in float32, so that much
	// smaller steps drown in rounding.
	Step float64

	// Tol is the largest allowed difference, relative to the largest entry of the
	// derivative; 0 means 1e-3. GradCheck allows for the rounding of float32 on top.
	Tol float64

	// Params are parameters to check besides the operands.
	Params []*Param

	// Entries is the largest number of elements to displace per tensor, drawn by Seed;
	// 0 means 64.
	Entries int

	// Mode is the mode of the tape: Training, the default, or Eval.
	Mode Mode

	// Seed draws the weights of the elements of the result, and what is random in the
	// function.
	Seed uint64
}

// GradCheck compares the derivatives of f at x with central differences. Where they
// differ too much, the error names the operand, the element and both numbers.
// GradCheck differentiates the sum, in float64, of the elements of the result with
// random weights. The function f must compute the same at every call; where it has a
// kink, the operands must keep away from it by more than twice the step. GradCheck
// displaces the elements of x and of the parameters and puts them back. It panics
// where f does, and with an Inference mode.
func GradCheck(f func(x ...Var) Var, c Check, x ...*tensor.Tensor) error {
	if c.Step == 0 {
		c.Step = 1e-2
	}
	if c.Tol == 0 {
		c.Tol = 1e-3
	}
	if c.Entries == 0 {
		c.Entries = 64
	}
	const op = "autograd.GradCheck"
	t := NewTape(c.Mode, c.Seed)
	forward := func() (*node, []Source) {
		t.ResetTo(1)
		vars := make([]Var, len(x))
		sources := make([]Source, 0, len(x)+len(c.Params))
		for i := range x {
			vars[i] = t.Watch(x[i])
			sources = append(sources, vars[i])
		}
		for _, p := range c.Params {
			sources = append(sources, p)
		}
		return f(vars...).on(op, t), sources
	}

	y, sources := forward()
	weights := make([]float32, len(y.data))
	for i := range weights {
		weights[i] = float32(unit(mix(c.Seed^mix(uint64(i)))))*2 - 1
	}
	found := t.differentiate(op, y, weights, sources)
	derivatives := make([][]float32, len(sources))
	for i, s := range sources {
		if d := found.Of(s); d != nil {
			derivatives[i] = d.Clone().Data()
		}
	}
	scalar := func() (sum, size float64) {
		y, _ := forward()
		for i, v := range y.data {
			term := float64(v) * float64(weights[i])
			sum += term
			size += math.Abs(term)
		}
		return sum, size
	}
	// An element of the result carries a few roundings, a difference of two sums of
	// them twice as many.
	_, size := scalar()
	noise := 16 * 0x1p-24 * size / (2 * c.Step)

	for i := range sources {
		name, data := fmt.Sprintf("operand %d", i), []float32(nil)
		var write func(k int, v float32)
		if i < len(x) {
			data = x[i].Data()
			write = func(k int, v float32) { data[k] = v }
		} else {
			p := c.Params[i-len(x)]
			name, data = fmt.Sprintf("parameter %d", i-len(x)), p.Value().Data()
			write = func(k int, v float32) { p.Update(func(d []float32) { d[k] = v }) }
		}
		want := derivatives[i]
		if want == nil {
			want = make([]float32, len(data))
		}
		picks := pick(len(data), c.Entries, c.Seed+uint64(i))
		measured := make([]float64, len(picks))
		largest := 0.0
		for _, d := range want {
			largest = max(largest, math.Abs(float64(d)))
		}
		for j, k := range picks {
			at := data[k]
			// Differences over one and two steps; together their error is of fourth
			// order in the step.
			var slope [2]float64
			for d := range slope {
				step := c.Step * float64(d+1)
				up, down := at+float32(step), at-float32(step)
				write(k, up)
				hi, _ := scalar()
				write(k, down)
				lo, _ := scalar()
				slope[d] = (hi - lo) / (float64(up) - float64(down))
			}
			write(k, at)
			measured[j] = (4*slope[0] - slope[1]) / 3
			largest = max(largest, math.Abs(measured[j]))
		}
		for j, k := range picks {
			if diff := math.Abs(measured[j] - float64(want[k])); !(diff <= c.Tol*largest+noise) {
				return fmt.Errorf("autograd: gradient of %s at element %d: backward gives %g, central differences %g (difference %.2g of the largest, %g)",
					name, k, want[k], measured[j], diff/largest, largest)
			}
		}
	}
	return nil
}

// pick returns all of [0, n), or count of it drawn by seed.
func pick(n, count int, seed uint64) []int {
	if n <= count {
		count = n
	}
	picks := make([]int, count)
	for j := range picks {
		picks[j] = j
		if n > count {
			// one from each of count equal stretches
			lo, hi := j*n/count, (j+1)*n/count
			picks[j] = lo + int(unit(mix(seed^mix(uint64(j))))*float64(hi-lo))
		}
	}
	return picks
}

// unit maps 64 random bits to [0, 1).
func unit(bits uint64) float64 { return float64(bits>>11) / (1 << 53) }
