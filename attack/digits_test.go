package attack

import (
	"context"
	"flag"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

var slow = flag.Bool("slow", false, "run what takes minutes of a core: attackers on a hundred pairs, traces, scaled logits")

// digits are the first MNIST test images, which the examples ship, and the
// pretrained victim for them. The meta attacker has seen neither.
func digits(t *testing.T) (*zoo.Model, []Sample) {
	t.Helper()
	dir := filepath.Join("..", "examples", "internal", "datasets", "digits")
	d, err := data.LoadIDX(filepath.Join(dir, "t10k-first-images.idx3.gz"), filepath.Join(dir, "t10k-first-labels.idx1.gz"), 10)
	if err != nil {
		t.Fatal(err)
	}
	x, y, err := data.Load(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := zoo.NewModel(pretrained.Net4(), zoo.Info{Name: "net4", Shape: []int{1, 28, 28}, Classes: 10}, data.Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	var samples []Sample
	for i, label := range y {
		samples = append(samples, Sample{X: x.Index(i), Label: label})
	}
	return v, samples
}

// angle is the cosine between a and b on the entries of on, or on all if that is nil.
func angle[T float32 | float64](a []T, b []float32, on []int) float64 {
	var dot, aa, bb float64
	add := func(i int) {
		dot += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	for _, i := range on {
		add(i)
	}
	if on == nil {
		for i := range a {
			add(i)
		}
	}
	return dot / max(math.Sqrt(aa*bb), 1e-30)
}

// TestGradientsOfTheMetaAttacker compares predictions with the victim's gradients,
// as thesis table 2.6 does, on a victim that was not among the sources: an untrained
// attacker knows nothing, a trained one something; fine-tuning teaches it what was
// measured; and what was measured is right. The squared error after fine-tuning is
// less if the attacker was trained.
func TestGradientsOfTheMetaAttacker(t *testing.T) {
	v, samples := digits(t)
	samples = samples[:24]
	const q = 128
	type row struct{ before, beforeOn, after, afterOn, measured, miss float64 }
	mean := map[bool]*row{false: {}, true: {}}
	for trained, net := range map[bool]nn.Module{false: models.MetaAttackerMNIST(9), true: pretrained.MetaAttackerMNIST()} {
		m, n := mean[trained], float64(len(samples))
		noise := rand.New(rand.NewPCG(1, 1))
		for _, s := range samples {
			goal := zoo.Untargeted(s.Label)
			// On a flat background the victim's pooling has ties, and a difference sees
			// another of the equal ones than the gradient does.
			s.X = s.X.Clone()
			x := s.X.Data()
			for i := range x {
				x[i] = min(max(x[i]+0.02*noise.Float32(), 0), 1)
			}
			truth, scores := tensor.New(1, 1, 28, 28), make([]float64, 10)
			if err := v.Gradients(context.Background(), s.X.Reshape(1, 1, 28, 28), zoo.Hinge{Scale: 0.5}, []zoo.Goal{goal}, scores, truth); err != nil {
				t.Fatal(err)
			}
			g := truth.Data()
			if !zoo.Normalize(g) { // the noise was too much
				n--
				continue
			}
			est := zoo.NewMeta(net)
			est.First = 1
			map0, map1, measured := make([]float32, 784), make([]float32, 784), make([]float64, 784)
			if err := est.Predict(s.X.Shape(), x, map0); err != nil {
				t.Fatal(err)
			}
			p := zoo.Point{X: x, Loss: zoo.Hinge{Scale: 0.5}.Value(scores, zoo.Logits, goal)}
			if err := est.Estimate(context.Background(), zoo.NewObjective(v, goal, zoo.Hinge{Scale: 0.5}), p, measured); err != nil {
				t.Fatal(err)
			}
			if err := est.Predict(s.X.Shape(), x, map1); err != nil {
				t.Fatal(err)
			}
			on := tensor.FromSlice(slices.Clone(map0), 784).Abs().TopK(q)
			var moved []int // where something was measured and kept
			for i, u := range measured {
				if u != 0 {
					moved = append(moved, i)
				}
			}
			m.before += angle(map0, g, nil)
			m.beforeOn += angle(map0, g, on)
			m.after += angle(map1, g, nil)
			m.afterOn += angle(map1, g, on)
			m.measured += angle(measured, g, moved)
			for i, u := range map1 {
				m.miss += float64(u-g[i]) * float64(u-g[i]) / 784
			}
		}
		for _, v := range []*float64{&m.before, &m.beforeOn, &m.after, &m.afterOn, &m.measured, &m.miss} {
			*v /= n
		}
		t.Logf("trained %v: cosine %.3f before and %.3f after fine-tuning, on the coordinates %.3f and %.3f, of the measured %.4f; error %.3f",
			trained, m.before, m.after, m.beforeOn, m.afterOn, m.measured, m.miss)
		if m.afterOn < m.beforeOn+0.3 || m.after < m.before+0.03 {
			t.Errorf("trained %v: fine-tuning takes the cosine from %.3f to %.3f, on the coordinates from %.3f to %.3f", trained, m.before, m.after, m.beforeOn, m.afterOn)
		}
		if m.measured < 0.99 {
			t.Errorf("trained %v: what was measured has cosine %.4f", trained, m.measured)
		}
	}
	if !(math.Abs(mean[false].before) <= 0.05) || mean[true].before < 0.1 {
		t.Errorf("cosine %.3f untrained and %.3f trained", mean[false].before, mean[true].before)
	}
	if mean[true].miss >= mean[false].miss {
		t.Errorf("error %.3f untrained and %.3f trained, after fine-tuning both", mean[false].miss, mean[true].miss)
	}
}

// TestMetaEndToEnd: on real images the Meta Attack succeeds, a trained attacker
// needs no more queries than a random one (paired, with the interval), and ZOO
// needs more at a like distance. Two attacks by ZOO are what a test has time for: ten take
// a minute of a core. The tables of chapter 2 have both comparisons on many more images.
func TestMetaEndToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("dozens of attacks; those of ZOO take twenty thousand queries each")
	}
	v, samples := digits(t)
	run := func(a ScoreAttack, n, budget int) *Result {
		res, err := (&Campaign{Job: WithScores(a, v), Seed: 1, Budget: budget}).Run(context.Background(), samples[:n])
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	pairs := 20
	if *slow {
		pairs = 100
	}
	trained := run(Meta{Network: pretrained.MetaAttackerMNIST()}, pairs, 10000)
	random := run(Meta{Network: models.MetaAttackerMNIST(9)}, pairs, 10000)
	s := trained.Summary()
	var more []float64
	for i, r := range trained.Records {
		if o := random.Records[i]; r.Success && o.Success {
			more = append(more, float64(o.First.Queries-r.First.Queries))
		}
	}
	extra, ci := meanCI(more)
	t.Logf("trained: %d attacked, success %.2f, %.0f queries at L2 %.3f; random: %.0f at %.3f; %.0f more in %d pairs, 95%% interval [%.0f, %.0f]",
		s.Samples, s.SuccessRate, s.QueriesMean, s.L2Mean, random.Summary().QueriesMean, random.Summary().L2Mean, extra, len(more), ci.Lo, ci.Hi)
	if len(more) < pairs-2 || s.SuccessRate < 0.95 || s.VerifiedRate < 0.95 {
		t.Errorf("%d attacked, success %v, verified %v, %d pairs", s.Samples, s.SuccessRate, s.VerifiedRate, len(more))
	}
	if ci.Lo < 0 {
		t.Errorf("the random attacker needs %.0f more queries, interval [%.0f, %.0f]", extra, ci.Lo, ci.Hi)
	}
	lean, err := PresetOf[Meta]("lean")
	if err != nil {
		t.Fatal(err)
	}
	lean.Network = pretrained.MetaAttackerMNIST()
	l := run(lean, pairs, 10000).Summary()
	t.Logf("preset lean: success %.2f, %.0f queries at L2 %.3f", l.SuccessRate, l.QueriesMean, l.L2Mean)
	if l.SuccessRate < s.SuccessRate || l.QueriesMean > 0.4*s.QueriesMean || l.L2Mean > s.L2Mean {
		t.Errorf("preset lean: success %.2f, %.0f queries at L2 %.3f", l.SuccessRate, l.QueriesMean, l.L2Mean)
	}
	const few = 2
	baseline := run(ZOO{First: true, C: 3}, few, 40000).Summary() // it needs twenty thousand each
	meta := Summarize(About{}, "", DefaultBudget, trained.Records[:few])
	t.Logf("the first %d: Meta %.0f queries at L2 %.3f, ZOO %.0f at %.3f, success %.2f", few, meta.QueriesMean, meta.L2Mean, baseline.QueriesMean, baseline.FirstL2Mean, baseline.SuccessRate)
	if meta.QueriesMean >= baseline.QueriesMean {
		t.Errorf("Meta needs %.0f queries, ZOO %.0f", meta.QueriesMean, baseline.QueriesMean)
	}
	if ratio := meta.L2Mean / baseline.FirstL2Mean; ratio < 0.75 || ratio > 1.25 {
		t.Errorf("Meta ends at L2 %.3f, ZOO at %.3f", meta.L2Mean, baseline.FirstL2Mean)
	}
}
