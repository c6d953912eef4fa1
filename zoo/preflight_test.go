package zoo

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
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
	// company's scores follow what else is in the call, moody's are never the same.
	company := func(by float64) Scorer {
		return ScorerFunc(good.Info(), func(ctx context.Context, x *tensor.Tensor, out []float64) error {
			err := good.Scores(ctx, x, out)
			out[0] += by * float64(x.Dim(0))
			return err
		})
	}
	moody := func(by float64) Scorer {
		turn := 0
		return ScorerFunc(good.Info(), func(ctx context.Context, x *tensor.Tensor, out []float64) error {
			err := good.Scores(ctx, x, out)
			turn++
			out[0] += by * float64(turn)
			return err
		})
	}
	off := make([]int, 20)
	for i, y := range labels {
		off[i] = 1 - y
	}
	for name, c := range map[string]struct {
		v       Scorer
		labels  []int
		noise   float64
		say     string
		refused bool
	}{
		"good":           {good, labels, 0, "", false},
		"wrong":          {good, off, 0, "none of the 20", false},
		"digits":         {DegradeScores(good, Degrade{Digits: 1}), labels, 0, "changed any score", false},
		"noise":          {DegradeScores(good, Degrade{Noise: 0.1}), labels, 0, "", false}, // the same at every call
		"batch":          {company(0.1), labels, 0, "up to 0.7 between alone and in a batch", true},
		"batch, allowed": {company(0.1), labels, 1, "between alone and in a batch", false},
		"batch, rounded": {company(1e-6), labels, 0, "between alone and in a batch", false},
		"moody":          {moody(0.1), labels, 0, "model.eval()", true},
		"moody, allowed": {moody(0.1), labels, 5, "asked twice", false},
		"moody, rounded": {moody(1e-6), labels, 0, "asked twice", false},
	} {
		calls = 0
		rep, err := Preflight{Noise: c.noise}.Run(context.Background(), c.v, x, c.labels)
		if c.refused {
			if !errors.Is(err, ErrBadVictim) || !strings.Contains(err.Error(), c.say) || rep == nil || rep.Queries != calls {
				t.Errorf("%s: %v; want an error that says %q, and a report", name, err, c.say)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
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

// TestPreflightOfProbabilities: probabilities that are stated as logits are noticed,
// rounded ones too, and nothing else is.
func TestPreflightOfProbabilities(t *testing.T) {
	x := randomImages(5, 20, 1, 8, 8)
	for name, c := range map[string]struct {
		stated ScoreKind
		softly bool
		digits int
		add    float64 // to the last class's score
		warn   bool
	}{
		"stated so":       {Probabilities, true, 0, 0, false},
		"stated as logit": {Logits, true, 0, 0, true},
		"rounded":         {Logits, true, 4, 0, true},
		"beyond 1":        {Logits, true, 0, 0.1, false},
		"below 0":         {Logits, true, 0, -0.1, false},
		"logits":          {Logits, false, 0, 0, false},
	} {
		v := ScorerFunc(Info{Name: "net", Shape: []int{1, 8, 8}, Classes: 3, Scores: c.stated}, func(_ context.Context, x *tensor.Tensor, out []float64) error {
			for i := range x.Dim(0) {
				row := out[3*i : 3*i+3]
				for k := range row {
					row[k] = float64(x.Index(i).Data()[k]) * 4
				}
				if c.softly {
					(&Model{info: Info{Classes: 3, Scores: Probabilities}}).convert(row)
				}
				row[2] += c.add
			}
			return nil
		})
		rep, err := Preflight{}.Run(context.Background(), DegradeScores(v, Degrade{Digits: c.digits}), x, make([]int, 20))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(rep.Warnings, "; "); strings.Contains(got, "say so in Info.Scores (probabilities)") != c.warn {
			t.Errorf("%s: warnings %q", name, got)
		}
	}
}

// TestPreflightOfTrainingMode: networks run as in training are refused, whether it is
// dropout or batch statistics that shows, and whatever kind of score they answer with.
func TestPreflightOfTrainingMode(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for name, layer := range map[string]nn.Module{"dropout": nn.Dropout{P: 0.5}, "batch statistics": nn.NewBatchNorm(64), "none": nn.Identity{}} {
		net := nn.NewSequential(nn.Flatten{}, nn.NewLinear(rng, 64, 64), layer, nn.NewLinear(rng, 64, 3))
		for _, kind := range []ScoreKind{Logits, Probabilities, LogProbabilities} {
			calls := uint64(0)
			v := ScorerFunc(Info{Name: "net", Shape: []int{1, 8, 8}, Classes: 3, Scores: kind}, func(_ context.Context, x *tensor.Tensor, out []float64) error {
				calls++
				z := net.Forward(autograd.NewTape(autograd.Training, calls).Input(x))
				for i, v := range z.Data() {
					out[i] = float64(v)
				}
				(&Model{info: Info{Classes: 3, Scores: kind}}).convert(out)
				return nil
			})
			for _, n := range []int{1, 20} {
				_, err := Preflight{}.Run(context.Background(), v, randomImages(5, n, 1, 8, 8), make([]int, n))
				if refused := errors.Is(err, ErrBadVictim) && strings.Contains(err.Error(), "training mode"); refused != (name != "none") {
					t.Errorf("%s, %v, %d samples: %v", name, kind, n, err)
				}
			}
		}
	}
}

// A victim that rounds its probabilities says 1 and 0: the loss is flat.
func TestPreflightWarnsOfAFlatLoss(t *testing.T) {
	info := Info{Name: "sure", Shape: []int{1, 2, 2}, Classes: 2, Scores: Probabilities}
	for digits, flat := range map[int]int{2: 3, 0: 0} {
		v := DegradeScores(ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
			for i := range x.Dim(0) {
				out[2*i+1] = 1e-5 * float64(x.Index(i).Data()[0])
				out[2*i] = 1 - out[2*i+1]
			}
			return nil
		}), Degrade{Digits: digits})
		x := tensor.New(3, 1, 2, 2)
		x.Fill(.5)
		r, err := Preflight{}.Run(context.Background(), v, x, []int{0, 0, 0})
		if err != nil {
			t.Fatal(err)
		}
		if warned := strings.Contains(strings.Join(r.Warnings, "\n"), "a loss is flat"); r.Flat != flat || warned != (flat > 0) {
			t.Errorf("%d digits: %d of 3 samples are flat, want %d; warned: %v", digits, r.Flat, flat, warned)
		}
	}
}
