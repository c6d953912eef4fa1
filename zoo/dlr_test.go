package zoo

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// TestDLR: value and gradient are those of PyTorch, in direction and relative size.
func TestDLR(t *testing.T) {
	b, err := os.ReadFile("../attack/testdata/autoattack/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	type rows struct {
		Logits, Gradient [][]float64
		Label, Target    []int
		Value            []float64
	}
	var g map[string]json.RawMessage
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dlr", "dlr-targeted"} {
		var r rows
		if err := json.Unmarshal(g[name], &r); err != nil {
			t.Fatal(err)
		}
		for i, z := range r.Logits {
			goal := Untargeted(r.Label[i])
			if r.Target != nil {
				goal = Targeted(r.Label[i], r.Target[i])
			}
			for kind, shift := range map[ScoreKind]float64{Logits: 0, LogProbabilities: -logSumExp(z)} {
				scores := make([]float64, len(z))
				for k, v := range z {
					scores[k] = v + shift
				}
				if kind == LogProbabilities && i >= 4 && i < 6 {
					continue // beyond what logarithms of probabilities hold
				}
				if got, want := (DLR{}).Value(scores, kind, goal), -r.Value[i]; math.Abs(got-want) > 1e-9*(1+math.Abs(want)) {
					t.Errorf("%s row %d, %v: %v, want %v", name, i, kind, got, want)
				}
			}
			got := make([]float64, len(z))
			DLR{}.Gradient(got, z, goal)
			var dot, a, w float64
			for k := range got {
				d := -r.Gradient[i][k]
				dot += got[k] * d
				a += got[k] * got[k]
				w += d * d
			}
			if cos := dot / math.Sqrt(a*w); !(cos > 1-1e-9) && w > 1e-20 {
				t.Errorf("%s row %d: cosine %v of %v with PyTorch's %v", name, i, cos, got, r.Gradient[i])
			}
		}
	}
}

// TestDLRIsScaleFree: neither a shift nor a factor on the logits changes it, and it is
// below 0 exactly if another class leads.
func TestDLRIsScaleFree(t *testing.T) {
	z := []float64{3, -1, 2.5, 0, 7}
	w := make([]float64, len(z))
	for i, v := range z {
		w[i] = 1000*v - 5
	}
	for y := range z {
		for _, g := range []Goal{Untargeted(y), Targeted(y, (y+1)%5)} {
			a, b := (DLR{}).Value(z, Logits, g), (DLR{}).Value(w, Logits, g)
			if math.Abs(a-b) > 1e-9 {
				t.Errorf("%v: %v, and %v of scaled logits", g, a, b)
			}
			if !g.Targeted && (a < 0) != (y != 4) {
				t.Errorf("class %d of %v: %v", y, z, a)
			}
		}
	}
	if v := (DLR{Scale: 3}).Value(z, Logits, Untargeted(4)); math.Abs(v-3*(7-3)/(7-2.5)) > 1e-9 {
		t.Errorf("with a factor of 3: %v", v)
	}
	for _, short := range [][]float64{{1, 2}, {1, 2, 0.5}} { // what is missing does not hurt
		if v := (DLR{}).Value(short, Logits, Targeted(0, 1)); math.IsNaN(v) {
			t.Errorf("%v of %v", v, short)
		}
	}
}
