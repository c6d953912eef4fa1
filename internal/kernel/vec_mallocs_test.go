package kernel

import "testing"

func TestVecMallocs(t *testing.T) {
	const n = 2*lightChunk + 100
	rng := newRand(t)
	x, y, z := normal(rng, n), make([]float32, n), make([]float32, n)
	rows, row := []int{n / 100, 100}, []int{100}
	out := make([]float32, n/100)
	halves := make([]uint16, n)
	idx := make([]int, 500)
	for name, f := range map[string]func(){
		"Add":       func() { Add(y, x, x) },
		"short Add": func() { Add(y[:100], x[:100], x[:100]) },
		"Tanh":      func() { Tanh(y, x) },
		"Broadcast": func() { Broadcast(OpMul, y[:n/100*100], rows, x[:n/100*100], rows, z[:100], row) },
		"two numbers broadcast": func() {
			one := [1]int{1}
			Broadcast(OpMul, y[:300], []int{300}, x[:1], one[:], z[:1], one[:])
		},
		"SumTo":     func() { SumTo(y[:100], row, x[:n/100*100], rows, true) },
		"SumAxis":   func() { SumAxis(out, x[:n/100*100], n/100, 100, 1) },
		"Sum":       func() { Sum(x) },
		"Norm2":     func() { Norm2(x[:1000]) },
		"ArgMax":    func() { ArgMax(x) },
		"ExpSum":    func() { ExpSum(y[:1000], x[:1000], 1) },
		"SGDStep":   func() { SGDStep(y, x, z, SGD{LR: 1e-6, Momentum: 0.9}) },
		"AdamStep":  func() { AdamStep(y, x, z, z, Adam{LR: 1e-6, Beta1: 0.9, Beta2: 0.9, Bias1: 1, Bias2: 1}) },
		"ToFloat16": func() { ToFloat16(halves, x) },
		"Normal":    func() { Normal(y, 0, 1, 2, 3) },
		"Bernoulli": func() { Bernoulli(y[:999], 0.5, 2, 2, 3) },
		"TopKAbs":   func() { TopKAbs(idx, x[:2000], 500) },
	} {
		checkNoMallocs(t, name, f)
	}
}
