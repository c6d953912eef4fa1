package zoo

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func TestPreflight(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	w := normals(r, 64)
	calls := 0
	good := dotVictim(w, &calls)
	x := tensor.New(20, 1, 1, 64)
	labels := make([]int, 20)
	for i := range x.Data() {
		x.Data()[i] = r.Float32()
	}
	if err := LabelsOf(good).Labels(context.Background(), x, labels); err != nil {
		t.Fatal(err)
	}
	company := ScorerFunc(good.Info(), func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		err := good.Scores(ctx, x, out)
		out[0] += 0.1 * float64(x.Dim(0))
		return err
	})
	turn := 0
	moody := ScorerFunc(good.Info(), func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		err := good.Scores(ctx, x, out)
		turn++
		out[0] += 1e-3 * float64(turn)
		return err
	})
	off := make([]int, 20)
	for i, y := range labels {
		off[i] = 1 - y
	}
	for name, c := range map[string]struct {
		v      Scorer
		labels []int
		say    string
	}{
		"good":    {good, labels, ""},
		"wrong":   {good, off, "none of the 20"},
		"rounded": {DegradeScores(good, Degrade{Digits: 1}), labels, "changed any score"},
		"batch":   {company, labels, "training mode"},
		"moody":   {moody, labels, "asked twice"},
	} {
		calls = 0
		rep, err := Preflight{}.Run(context.Background(), c.v, x, c.labels)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(rep.Warnings, "; "); c.say == "" && got != "" || !strings.Contains(got, c.say) {
			t.Errorf("%s: warnings %q, want %q", name, got, c.say)
		}
		if rep.Queries != calls || calls > 20+24+32 {
			t.Errorf("%s: report has %d queries, the victim saw %d", name, rep.Queries, calls)
		}
	}
	bright := x.Clone()
	bright.Set(1.5, 3, 0, 0, 2)
	calls = 0
	if _, err := (Preflight{}).Run(context.Background(), good, bright, labels); err == nil || !strings.Contains(err.Error(), "sample 3 has a pixel of 1.5") || calls > 0 {
		t.Errorf("a pixel outside [0,1]: %v after %d queries", err, calls)
	}
	if _, err := (Preflight{}).Run(context.Background(), good, tensor.New(0, 1, 1, 64), nil); err == nil {
		t.Error("no samples were accepted")
	}
}
