package attack

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// TestHopSkipJumpNormal follows the first iteration: probes of length 0.1 round the
// boundary point, the mean answer taken off, and a step of the full distance along
// what they point at.
func TestHopSkipJumpNormal(t *testing.T) {
	v := newLinear(3, 2, 1, 6, 6)
	s := v.samples(4, 1)[0]
	var single, next []float32 // the last image before the probes, the first after
	var probes [][]float32
	var answers []float64
	spy := zoo.LabelerFunc(v.info, func(ctx context.Context, x *tensor.Tensor, out []int) error {
		if err := zoo.LabelsOf(v).Labels(ctx, x, out); err != nil {
			return err
		}
		for i := range x.Dim(0) {
			row := slices.Clone(x.Index(i).Data())
			hit := out[i] != s.Label
			switch {
			case x.Dim(0) > 1:
				probes = append(probes, row)
				answers = append(answers, map[bool]float64{true: 1, false: -1}[hit])
			case probes == nil && hit:
				single = row
			case probes != nil && next == nil:
				next = row
			}
		}
		return nil
	})
	ledger := &zoo.Ledger{Budget: 10000}
	try := &Try{Clean: s.X, Goal: zoo.Untargeted(s.Label), Seed: 1, norm: L2, ledger: ledger}
	if err := (HopSkipJump{Iterations: 1}).AttackLabels(context.Background(), zoo.MeterLabels(ledger, zoo.AttackAccount, spy), try); err != nil {
		t.Fatal(err)
	}
	if len(probes) != 100 {
		t.Fatalf("%d probes", len(probes))
	}
	var mean float64
	for _, a := range answers {
		mean += a / 100
	}
	if mean == 1 || mean == -1 {
		t.Fatalf("all probes are on one side")
	}
	want := make([]float64, len(single))
	clipped := false
	for k, p := range probes {
		for i, x := range p {
			want[i] += (answers[k] - mean) * (float64(x) - float64(single[i]))
			clipped = clipped || x == 0 || x == 1
		}
		if d := L2.Distance(p, single); !clipped && !(math.Abs(d-0.1) <= 1e-5) {
			t.Fatalf("probe %d is %v away, want 0.1", k, d)
		}
	}
	var dot, aa, bb float64
	for i, x := range next {
		d := float64(x) - float64(single[i])
		dot, aa, bb = dot+d*want[i], aa+d*d, bb+want[i]*want[i]
	}
	if cos := dot / math.Sqrt(aa*bb); !clipped && !(cos > 1-1e-6) {
		t.Errorf("the step has cosine %v with the estimate", cos)
	}
	if d := L2.Distance(single, s.X.Data()); !clipped && !(math.Abs(math.Sqrt(aa)-d) <= 1e-3*d) {
		t.Errorf("the step has length %v, want the distance %v", math.Sqrt(aa), d)
	}
	if clipped {
		t.Error("the sample is too near a bound for this test")
	}
}

// TestHopSkipJumpSchedule: the t-th estimate takes 100·sqrt(t) probes, from the second on
// of a length in proportion to the distance, and the step that follows is first tried
// with the distance over sqrt(t).
func TestHopSkipJumpSchedule(t *testing.T) {
	for _, norm := range []Norm{L2, Linf} {
		v := newLinear(3, 2, 1, 6, 6)
		clean := tensor.New(1, 6, 6)
		clean.Fill(0.5)
		v.b[0] = 1
		var at []float32 // the last success before the probes
		var probes [][]float32
		estimates := 0
		spy := zoo.LabelerFunc(v.info, func(ctx context.Context, x *tensor.Tensor, out []int) error {
			if err := zoo.LabelsOf(v).Labels(ctx, x, out); err != nil {
				return err
			}
			if x.Dim(0) > 1 {
				for i := range x.Dim(0) {
					probes = append(probes, slices.Clone(x.Index(i).Data()))
				}
				return nil
			}
			row := x.Index(0).Data()
			if probes != nil {
				estimates++
				k := float64(estimates)
				dist := norm.Distance(at, clean.Data())
				delta := dist / 36 // sqrt(d)·θ·dist with θ = d^(-3/2), d·θ·dist with θ = 1/d²
				if estimates == 1 {
					delta = 0.1
				}
				if want := int(100 * math.Sqrt(k)); len(probes) != want {
					t.Errorf("%v: estimate %d has %d probes, want %d", norm, estimates, len(probes), want)
				}
				for _, p := range probes {
					if d := L2.Distance(p, at); !(math.Abs(d/delta-1) <= 1e-3) {
						t.Fatalf("%v: estimate %d probes %v away, want %v", norm, estimates, d, delta)
					}
				}
				if step := norm.Distance(row, at); !(math.Abs(step*math.Sqrt(k)/dist-1) <= 1e-3) {
					t.Errorf("%v: step %d has length %v from a distance of %v", norm, estimates, step, dist)
				}
				probes = nil
			}
			if out[0] == 1 {
				at = slices.Clone(row)
			}
			return nil
		})
		ledger := &zoo.Ledger{Budget: 10000}
		try := &Try{Clean: clean, Goal: zoo.Untargeted(0), Seed: 1, norm: norm, ledger: ledger}
		if err := (HopSkipJump{Norm: norm, Iterations: 4}).AttackLabels(context.Background(), zoo.MeterLabels(ledger, zoo.AttackAccount, spy), try); err != nil {
			t.Fatal(err)
		}
		if estimates != 4 {
			t.Errorf("%v: %d estimates", norm, estimates)
		}
	}
}
