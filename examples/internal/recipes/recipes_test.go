package recipes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn/data"
)

// pictures are 28x28, with a bright bar that tells the class, at another place each time.
func pictures(t *testing.T, perClass int, seed uint64) data.Dataset {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	const classes = 6
	var pixels []byte
	var labels []int
	for i := range perClass * classes {
		img := make([]byte, 28*28)
		for k := range img {
			img[k] = byte(rng.IntN(60))
		}
		at := rng.IntN(16)
		for k := range 12 {
			img[(4+3*(i%classes))*28+at+k] = 255
		}
		pixels, labels = append(pixels, img...), append(labels, i%classes)
	}
	d, err := data.NewImages(pixels, labels, []int{1, 28, 28}, classes)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func small(t *testing.T) *Data {
	t.Helper()
	d, err := whole("bars", pictures(t, 60, 1), pictures(t, 10, 2), &cut{profile: longtail.Exponential{Imbalance: 10}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var quick = Recipe{Epochs: 3, Batch: 16, LR: 0.02, Momentum: 0.9, Decay: 1e-4, Schedule: "multistep", WarmUp: 0.5, Augment: "crop"}

func lab(t *testing.T, d *Data) *Lab {
	t.Helper()
	l := &Lab{Dir: t.TempDir()}
	l.Use(d)
	return l
}

// state is what a job left: its network's bytes and its result but for the time.
func state(t *testing.T, l *Lab, j *Job, r *Result) string {
	t.Helper()
	path, _, err := l.files(j)
	if err != nil {
		t.Fatal(err)
	}
	net, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := *r
	c.Seconds = 0
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + string(net)
}

// Every method trains, tests and makes a record.
func TestMethods(t *testing.T) {
	d := small(t)
	l := lab(t, d)
	for _, name := range Comparison {
		j, err := Named(d, name, "lenet5", 1, quick, Literal)
		if err != nil {
			t.Fatal(err)
		}
		if name == DivideAndRetain {
			j = Dual{Share: 0.5, Point: 3, Schedule: "cosine", Two: Literal.Two}.Jobs(d, "lenet5", 1, quick)
			j.Probe = 1
		}
		cost := l.Cost(j)
		r, err := l.Result(t.Context(), j)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rec, err := l.Record(j, r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out, err := l.Outputs(t.Context(), j)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if out.Accuracy() != r.Report.Acc {
			t.Errorf("%s: its outputs have accuracy %v, its result %v", name, out.Accuracy(), r.Report.Acc)
		}
		if rec.Images > int64(3*d.Train.Data.Len()+10*d.Train.Data.Len()) || cost > 0 && rec.Images == 0 {
			t.Errorf("%s: %d image-steps, planned %d", name, rec.Images, cost)
		}
		if j.Probe > 0 && r.Curve[0].Distortion == nil {
			t.Errorf("%s: no distortion was measured", name)
		}
	}
}

// A run that is stopped in an epoch, or killed and put back to the end of the epoch
// before, ends with the same bits, in either phase.
func TestResume(t *testing.T) {
	d := small(t)
	dual := Dual{Share: 0.5, Point: 3, Schedule: "cosine", Two: Literal.Two}
	dual.Two.Distill = 0.5
	recipe := quick
	recipe.Epochs = 6
	j := dual.Jobs(d, "lenet5", 1, recipe)
	j.Probe = 2
	l := lab(t, d)
	r, err := l.Result(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	one, err := l.Result(t.Context(), j.From)
	if err != nil {
		t.Fatal(err)
	}
	want := state(t, l, j, r) + state(t, l, j.From, one)
	for _, stage := range []*Job{j.From, j} {
		_, file, err := l.files(stage)
		if err != nil {
			t.Fatal(err)
		}
		for _, kill := range []bool{false, true} {
			other := lab(t, d)
			saved := filepath.Join(other.Dir, "nets", filepath.Base(file))
			ctx, cancel := context.WithCancel(t.Context())
			var before []byte
			steps := 0
			other.Tell = func(at *Job, p Progress) {
				if at.Method != stage.Method {
					return
				}
				if p.Epoch == 2 && before == nil {
					before, _ = os.ReadFile(saved)
				}
				if steps++; p.Epoch == 2 && p.Step*at.Recipe.Epochs%p.Steps != 0 {
					cancel()
				}
			}
			if _, err := other.Result(ctx, j); !errors.Is(err, context.Canceled) {
				t.Fatalf("%s: stopped with %v", stage.Method, err)
			}
			if before == nil {
				t.Fatalf("%s: no checkpoint after the first epoch", stage.Method)
			}
			if kill {
				if err := os.WriteFile(saved, before, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			other.Tell = nil
			got, err := other.Result(t.Context(), j)
			if err != nil {
				t.Fatal(err)
			}
			first, err := other.Result(t.Context(), j.From)
			if err != nil {
				t.Fatal(err)
			}
			if state(t, other, j, got)+state(t, other, j.From, first) != want {
				t.Errorf("stopped in %s after %d steps (killed: %v), the run ended otherwise", stage.Method, steps, kill)
			}
			if _, err := os.Stat(saved); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: the checkpoint is still there: %v", stage.Method, err)
			}
		}
	}
}

// A loss that is not a number stops the run.
func TestDiverges(t *testing.T) {
	d := small(t)
	l := lab(t, d)
	r := quick
	r.LR, r.WarmUp = 1e30, 0
	j := d.Job("lenet5", CE, 1, r)
	net, _, err := l.files(&j)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Result(t.Context(), &j)
	var diverged *DivergedError
	if !errors.As(err, &diverged) || !strings.Contains(err.Error(), "smaller learning rate") {
		t.Fatalf("error %v", err)
	}
	if _, again := l.Result(t.Context(), &j); again == nil || again.Error() != err.Error() {
		t.Errorf("asked again: %v", again)
	}
	if _, err := os.Stat(net); err == nil {
		t.Error("a network of a run that diverged was kept")
	}
}

func TestCached(t *testing.T) {
	d := small(t)
	l := lab(t, d)
	l.Cached = true
	j := d.Job("lenet5", CE, 1, quick)
	if _, err := l.Result(t.Context(), &j); !errors.Is(err, cells.ErrNotRun) {
		t.Errorf("error %v", err)
	}
}

// What cannot be done is refused before anything is trained.
func TestCheck(t *testing.T) {
	d := small(t)
	change := func(f func(*Job)) *Job {
		j := Dual{Share: 0.5, Point: 3, Schedule: "cosine", Two: Literal.Two}.Jobs(d, "lenet5", 1, quick)
		two := *j.Two
		j.Two = &two
		f(j)
		return j
	}
	for _, c := range []struct {
		say string
		job *Job
	}{
		{"point", change(func(j *Job) { j.Point = 6 })},
		{"rule", change(func(j *Job) { j.Two.Rule = "best" })},
		{"sampler", change(func(j *Job) { j.Two.Sampler = "all" })},
		{"loss", change(func(j *Job) { j.Two.Loss = "mse" })},
		{"rows", change(func(j *Job) { j.Two.Rows = "one" })},
		{"statistics", change(func(j *Job) { j.Two.Statistics = "none" })},
		{"schedule", change(func(j *Job) { j.Recipe.Schedule = "linear" })},
		{"augmentation", change(func(j *Job) { j.Recipe.Augment = "all" })},
		{"mixing", change(func(j *Job) { j.Recipe.Mix = "all" })},
		{"model", change(func(j *Job) { j.Model = "alexnet" })},
	} {
		if err := c.job.Check(d); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: error %v", c.say, err)
		}
	}
	if err := change(func(*Job) {}).Check(d); err != nil {
		t.Error(err)
	}
	if _, err := Named(d, "best", "lenet5", 1, quick, Literal); err == nil {
		t.Error("an unknown method is taken")
	}
}

// The validation set has as many samples of each class, none of them in the training set.
func TestHeld(t *testing.T) {
	all := pictures(t, 60, 1)
	d, err := held("bars", all, &cut{profile: longtail.Exponential{Imbalance: 10}})
	if err != nil {
		t.Fatal(err)
	}
	for c, n := range data.ClassCounts(d.Test) {
		if n != 6 {
			t.Errorf("class %d has %d validation samples, not 6", c, n)
		}
	}
	seen := map[string]bool{}
	add := func(part data.Dataset) {
		for i := range part.Len() {
			x, _, err := data.Load(part, []int{i})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			for _, v := range x.Data() {
				b.WriteByte(byte(v*255 + 0.5))
			}
			if seen[b.String()] {
				t.Fatalf("sample %d is in both", i)
			}
			seen[b.String()] = true
		}
	}
	add(d.Test)
	add(d.Train.Data)
	if !strings.HasPrefix(d.Which, HeldOut) || d.Train.Counts[0] != 54 {
		t.Errorf("%s with counts %v", d.Which, d.Train.Counts)
	}
}

// Both phases take as many image-steps as a joint training.
func TestBudget(t *testing.T) {
	d := small(t)
	r := quick
	r.Epochs = 60
	n := int64(d.Train.Data.Len())
	for _, share := range []float64{0.3, 0.5, 0.8} {
		dual := Dual{Share: share, Point: 3, Schedule: "cosine", Two: Literal.Two}
		l := lab(t, d)
		got := l.Cost(dual.Jobs(d, "lenet5", 1, r))
		if got > 60*n || got < 58*n {
			t.Errorf("share %v: %d image-steps, not %d", share, got, 60*n)
		}
	}
}
