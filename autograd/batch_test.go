package autograd

import (
	"math"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func TestPerExample(t *testing.T) {
	defer tensor.SetWorkers(tensor.SetWorkers(3))
	rng := newRand(t)
	p := NewParam(randn(rng, 40000))
	x := randn(rng, 37, 40000)
	calls := make(chan int, 100)
	f := func(x Var) Var {
		calls <- x.Dim(0)
		return MeanAxes(Exp(Mul(x, x.Tape().Param(p))), 1)
	}
	tape := NewTape(Inference, 0)
	for range 2 { // afresh, and with recycled tapes
		tape.Reset()
		got := PerExample(tape.Input(x), f).Data()
		pieces, examples := len(calls), 0
		for range pieces {
			examples += <-calls
		}
		if pieces < 3 || examples != 37 {
			t.Errorf("%d pieces of %d examples", pieces, examples)
		}
		whole := NewTape(Eval, 0) // not cut
		want := PerExample(whole.Input(x), f).Data()
		if n := <-calls; n != 37 {
			t.Errorf("a tape that records was cut: %d examples", n)
		}
		for i := range want {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
				t.Fatalf("example %d: %v in a piece, %v in the batch", i, got[i], want[i])
			}
		}
	}
	wantPanic(t, "first axis", func() { PerExample(tape.Input(x), Sum) })
	outer := tape.Input(x)
	wantPanic(t, "different tapes", func() { PerExample(outer, func(x Var) Var { return Add(x, outer) }) })
}
