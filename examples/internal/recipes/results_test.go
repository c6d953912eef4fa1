package recipes

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/results.json anew: what recipes compute has changed, and cells that were kept before are of other methods")

// aRun is a job with a name for it.
type aRun struct {
	name string
	data *Data
	job  *Job
}

// runs are the methods of [Comparison], and the settings that they do not show.
func runs(t *testing.T, gray, rgb *Data) (list []aRun) {
	t.Helper()
	dual := Dual{Share: 0.5, Point: 3, Schedule: "cosine", Two: Literal.Two}
	quick := quick // that learns something
	quick.Epochs, quick.Batch, quick.LR, quick.Augment = 4, 8, 0.01, "none"
	calm := quick
	calm.Epochs, calm.LR = 2, 0.001
	for _, name := range Comparison {
		d, model, r := gray, "lenet5", quick
		if name == BBN || name == RIDE {
			d, model, r = rgb, "resnet32", calm
		}
		if name == ProCo {
			r = calm
		}
		j, err := Named(d, name, model, 1, r, dual)
		if err != nil {
			t.Fatal(err)
		}
		if name == DivideAndRetain {
			j.Probe = 1
		}
		list = append(list, aRun{name, d, j})
	}
	for name, change := range map[string]func(*Dual){
		"phase II, square-root":      func(c *Dual) { c.Two.Sampler, c.Two.Replace = "square-root", true },
		"phase II, balanced softmax": func(c *Dual) { c.Two.Sampler, c.Two.Loss = "instance", BalancedSoftmax },
		"phase II, all that holds":   func(c *Dual) { c.Two.Lambda, c.Two.Distill = 3, 2 },
		"phase II, nothing that holds": func(c *Dual) {
			c.Two.Retention, c.Two.Lambda = nil, 0
		},
		"phase II, imprinted rows":    func(c *Dual) { c.Two.Rows = "imprint" },
		"phase II, rows of zeros":     func(c *Dual) { c.Two.Rows = "zero" },
		"phase II, a slow backbone":   func(c *Dual) { c.Two.Backbone = 0.1 },
		"phase II, its own rate":      func(c *Dual) { c.LR = 0.002 },
		"phase II, a bank by default": func(c *Dual) { c.Two.PerClass, c.Two.Rule = 0, "nearest" },
	} {
		c := dual
		change(&c)
		list = append(list, aRun{name, gray, c.Jobs(gray, "lenet5", 1, quick)})
	}
	two := dual.Jobs(gray, "lenet5", 1, quick)
	list = append(list, aRun{"cRT of phase II", gray, two.After(CRT, two.Recipe.StageTwo())})
	ce := gray.Job("lenet5", CE, 1, quick)
	list = append(list, aRun{"post hoc, tau 0.5", gray, ce.Adjusted(PostHoc, 0.5)}, aRun{"tau 0.5", gray, ce.Adjusted(TauNormalized, 0.5)})
	for name, change := range map[string]func(*Recipe){
		"cosine":      func(r *Recipe) { r.Schedule = "cosine" },
		"autoaugment": func(r *Recipe) { r.Augment = "autoaugment" },
		"crop-flip":   func(r *Recipe) { r.Augment = "crop-flip" },
		"cutmix":      func(r *Recipe) { r.Mix = "cutmix" },
	} {
		j := ce
		change(&j.Recipe)
		list = append(list, aRun{name, gray, &j})
	}
	for name, change := range map[string]func(*SelfSupervised){
		"generic-specific":                   func(*SelfSupervised) {},
		"generic-specific, mutual minimised": func(s *SelfSupervised) { s.MI, s.Minimize = "vclub", true },
		"generic-specific, LDAM-DRW":         func(s *SelfSupervised) { s.Loss = LDAMDRW },
		"generic":                            func(s *SelfSupervised) { s.Attach = "penultimate" },
		"shared":                             func(s *SelfSupervised) { s.Random, s.Share = false, true },
		"initial":                            func(*SelfSupervised) {},
	} {
		s := rgb.SelfSupervised("rotation", calm.Batch)
		change(&s)
		arrangement, _, _ := strings.Cut(name, ",")
		j, err := Arranged(rgb, arrangement, "resnet20", 1, s, calm, calm)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, aRun{name, rgb, j})
		if name == "generic" {
			list = append(list, aRun{"cRT of generic", rgb, j.After(CRT, calm.StageTwo())})
		}
	}
	list = append(list, aRun{"moco2 alone", rgb, Pretrained(rgb, "resnet20", 1, rgb.SelfSupervised("moco2", calm.Batch), calm)})
	frozen := dual
	frozen.Two.Statistics = "frozen"
	return append(list, aRun{"phase II, frozen statistics", rgb, frozen.Jobs(rgb, "resnet20", 1, calm)})
}

// numbers are what a result is known by: one of another method has others.
type numbers struct {
	Images int64   `json:"images"` // of all stages
	NLL    float64 `json:"nll"`    // on the test set
	Loss   float64 `json:"loss"`   // of the last epoch of training
}

// TestResults: every method trains, tests and makes a record, and what comes out is what
// came out when testdata/results.json was written. The name of a cell does not follow from
// the code, so after a change here cells that were kept are of other methods. Sets of
// kernels round differently, so numbers are compared to three or four digits.
func TestResults(t *testing.T) {
	gray, rgb := small(t), colour(t)
	l := lab(t, gray)
	l.Use(rgb)
	const file = "testdata/results.json"
	want, got := map[string]numbers{}, map[string]numbers{}
	if b, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range runs(t, gray, rgb) {
		t.Run(c.name, func(t *testing.T) {
			r, err := l.Result(t.Context(), c.job)
			if err != nil {
				t.Fatal(err)
			}
			rec, err := l.Record(c.job, r)
			if err != nil {
				t.Fatal(err)
			}
			out, err := l.Outputs(t.Context(), c.job)
			if err != nil {
				t.Fatal(err)
			}
			if out.Accuracy() != r.Report.Acc {
				t.Errorf("its outputs have accuracy %v, its result %v", out.Accuracy(), r.Report.Acc)
			}
			if c.job.Probe > 0 && r.Curve[0].Distortion == nil {
				t.Error("no distortion was measured")
			}
			n := numbers{Images: rec.Images, NLL: rec.NLL}
			if len(r.Curve) > 0 {
				n.Loss = r.Curve[len(r.Curve)-1].Loss
			}
			got[c.name] = n
			tol := 2e-4
			if c.data == rgb { // batch normalisation of so few samples carries roundings far
				tol = 1e-3
			}
			near := func(a, b float64) bool { return math.Abs(a-b) <= tol*math.Abs(b) }
			if w := want[c.name]; n.Images != w.Images || !near(n.NLL, w.NLL) || !near(n.Loss, w.Loss) {
				t.Errorf("%+v, want %+v", n, w)
			}
		})
	}
	if *update {
		b, err := json.MarshalIndent(got, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
