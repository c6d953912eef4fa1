package recipes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/internal/filelock"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
)

// pictures have a bright bar that tells the class, at another place each time.
func pictures(t *testing.T, perClass int, seed uint64, shape ...int) data.Dataset {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	const classes = 6
	side := shape[1]
	var pixels []byte
	var labels []int
	for i := range perClass * classes {
		img := make([]byte, shape[0]*side*side)
		for k := range img {
			img[k] = byte(rng.IntN(60))
		}
		at := rng.IntN(16)
		for k := range 12 {
			img[(4+3*(i%classes))*side+at+k] = 255
		}
		pixels, labels = append(pixels, img...), append(labels, i%classes)
	}
	d, err := data.NewImages(pixels, labels, shape, classes)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// colour is for the networks that take pictures like those of CIFAR.
func colour(t *testing.T) *Data {
	t.Helper()
	d, err := whole("colour", pictures(t, 8, 1, 3, 32, 32), pictures(t, 2, 2, 3, 32, 32), &cut{profile: longtail.Exponential{Imbalance: 4}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func small(t *testing.T) *Data {
	t.Helper()
	d, err := whole("bars", pictures(t, 60, 1, 1, 28, 28), pictures(t, 10, 2, 1, 28, 28), &cut{profile: longtail.Exponential{Imbalance: 10}})
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

// A run that is stopped in an epoch, or killed and put back to the end of the epoch
// before, ends with the same bits: in either phase, with two loaders, and with a loss that
// has a state.
func TestResume(t *testing.T) {
	gray, rgb := small(t), colour(t)
	recipe := quick
	recipe.Epochs = 6
	dual := Dual{Share: 0.5, Point: 3, Schedule: "cosine", Two: Literal.Two}
	dual.Two.Distill = 0.5
	two := dual.Jobs(gray, "lenet5", 1, recipe)
	two.Probe = 2
	recipe.Epochs, recipe.Batch = 3, 8
	bbn := rgb.Job("resnet32", BBN, 1, recipe)
	recipe.Batch = 16
	proco := gray.Job("lenet5", ProCo, 1, recipe)
	var branched []*Job // with an average of weights, or a queue and a critic
	for method, arrangement := range map[string]string{"byol": "generic", "moco2": "generic-specific"} {
		j, err := Arranged(gray, arrangement, Small, 1, gray.SelfSupervised(method, recipe.Batch), recipe, Recipe{})
		if err != nil {
			t.Fatal(err)
		}
		branched = append(branched, j)
	}
	alone, err := Arranged(gray, Initial, Small, 1, gray.SelfSupervised("instdisc", recipe.Batch), recipe, recipe)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		d            *Data
		stopped, job *Job
	}{{gray, two.From, two}, {gray, two, two}, {rgb, &bbn, &bbn}, {gray, &proco, &proco}, {gray, branched[0], branched[0]}, {gray, branched[1], branched[1]}, {gray, alone.From, alone}} {
		whole := lab(t, c.d)
		finish := func(l *Lab) string {
			var all string
			for _, j := range []*Job{c.job, c.stopped} {
				r, err := l.Result(t.Context(), j)
				if err != nil {
					t.Fatal(err)
				}
				all += state(t, l, j, r)
			}
			return all
		}
		want := finish(whole)
		_, file, err := whole.files(c.stopped)
		if err != nil {
			t.Fatal(err)
		}
		for _, kill := range []bool{false, true} {
			l := lab(t, c.d)
			saved := filepath.Join(l.Dir, "nets", filepath.Base(file))
			ctx, cancel := context.WithCancel(t.Context())
			var before []byte
			steps := 0
			l.Tell = func(at *Job, p Progress) {
				if at.Method != c.stopped.Method {
					return
				}
				if p.Epoch == 2 && before == nil {
					before, _ = os.ReadFile(saved)
				}
				if steps++; p.Epoch == 2 && p.Step*at.Recipe.Epochs%p.Steps != 0 {
					cancel()
				}
			}
			if _, err := l.Result(ctx, c.job); !errors.Is(err, context.Canceled) {
				t.Fatalf("%s: stopped with %v", c.stopped.Method, err)
			}
			if before == nil {
				t.Fatalf("%s: no checkpoint after the first epoch", c.stopped.Method)
			}
			if kill {
				if err := os.WriteFile(saved, before, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			l.Tell = nil
			if finish(l) != want {
				t.Errorf("stopped in %s after %d steps (killed: %v), the run ended otherwise", c.stopped.Method, steps, kill)
			}
			if _, err := os.Stat(saved); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: the checkpoint is still there: %v", c.stopped.Method, err)
			}
		}
	}
}

// What another run is at is an error, and what it has done meanwhile is taken.
func TestTwoRuns(t *testing.T) {
	d := small(t)
	l := lab(t, d)
	j := d.Job("lenet5", CE, 1, quick)
	other := lab(t, d)
	other.Dir = l.Dir
	asked := false
	l.Tell = func(*Job, Progress) {
		if asked {
			return
		}
		asked = true
		for _, waits := range []*Job{&j, j.Adjusted(PostHoc, 1), j.After(CRT, quick)} {
			if _, err := other.Result(t.Context(), waits); !errors.Is(err, filelock.ErrHeld) {
				t.Errorf("%s: %v", waits.Method, err)
			}
		}
	}
	r, err := l.Result(t.Context(), &j)
	if err != nil || !asked {
		t.Fatal(err)
	}
	if again, err := other.do(t.Context(), &j); err != nil || again.Seconds != r.Seconds {
		t.Errorf("done again: %v", err)
	}
	if locks, _ := filepath.Glob(filepath.Join(l.Dir, "nets", "*.lock")); locks != nil {
		t.Errorf("left: %v", locks)
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

// A result says what training took, without the tests between, and the last five epochs
// are tested all, others twenty times at most.
func TestTested(t *testing.T) {
	d := small(t)
	l := lab(t, d)
	j := d.Job("lenet5", CE, 1, quick)
	s, err := l.joint(t.Context(), &j, d)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.prepare(nil); err != nil {
		t.Fatal(err)
	}
	const pause = 100 * time.Millisecond
	test, tests := s.test, 0
	s.test = func(ctx context.Context) (*eval.Outputs, error) {
		tests++
		time.Sleep(pause)
		return test(ctx)
	}
	began := time.Now()
	if _, err := s.run(t.Context(), filepath.Join(t.TempDir(), "checkpoint"), func(*lesson) {}); err != nil {
		t.Fatal(err)
	}
	rest := time.Since(began) - time.Duration(tests)*pause
	if tests < quick.Epochs || s.result.Seconds <= 0 || s.result.Seconds > rest.Seconds() {
		t.Errorf("%v s of training, and %v besides %d tests", s.result.Seconds, rest, tests)
	}
	for epochs, want := range map[int][]int{
		3:   {1, 2, 3},
		12:  {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
		50:  {2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46, 47, 48, 49, 50},
		200: {10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160, 170, 180, 190, 196, 197, 198, 199, 200},
	} {
		var got []int
		for e := range epochs {
			if tested(e+1, epochs) {
				got = append(got, e+1)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("of %d epochs %v are tested, want %v", epochs, got, want)
		}
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
		{"resnet32 alone", change(func(j *Job) { j.Method, j.From = RIDE, nil })},
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
	all := pictures(t, 60, 1, 1, 28, 28)
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
		j := dual.Jobs(d, "lenet5", 1, r)
		got := l.Cost(j, j.After(CRT, Recipe{}), j.From) // what they share counts once
		if got > 60*n || got < 58*n {
			t.Errorf("share %v: %d image-steps, not %d", share, got, 60*n)
		}
	}
}

// Labels say what a job of self-supervision is.
func TestLabels(t *testing.T) {
	d := small(t)
	s := d.SelfSupervised("moco2", 16)
	arranged := func(arrangement string) *Job {
		j, err := Arranged(d, arrangement, Small, 1, s, quick, quick)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	initial, generic := arranged(Initial), arranged("generic")
	s.Loss = BalancedSoftmax
	tuned := d.Job(Small, CE, 1, quick)
	tuned.Start = "x"
	for _, c := range []struct {
		job  *Job
		want string
	}{
		{arranged(Base), "bars-balanced-softmax-1"}, {initial, "bars-initial-moco2-1"}, {initial.From, "bars-pretrain-moco2-1"},
		{generic, "bars-generic-moco2-1"}, {generic.After(CRT, quick), "bars-generic-moco2-crt-1"}, {arranged("shared"), "bars-shared-moco2-balanced-softmax-1"},
		{initial.After(CRT, quick), "bars-initial-moco2-crt-1"}, {&tuned, "bars-ce-tuned-1"},
	} {
		if got := c.job.Label(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// Self-supervision by itself is tested after its last epoch alone, since its test votes with
// the whole training set; a classifier also on the way.
func TestPretrainingTestedAtEnd(t *testing.T) {
	d := small(t)
	recipe := quick
	recipe.Epochs = 3
	j, err := Arranged(d, Initial, Small, 1, d.SelfSupervised("instdisc", recipe.Batch), recipe, recipe)
	if err != nil {
		t.Fatal(err)
	}
	l := lab(t, d)
	for want, job := range map[string]*Job{"[false false true]": j.From, "[true true true]": j} {
		r, err := l.Result(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		var tested []bool
		for _, p := range r.Curve {
			tested = append(tested, p.Test != nil)
		}
		if fmt.Sprint(tested) != want {
			t.Errorf("%s: epochs with a test %v, want %s", job.Label(), tested, want)
		}
	}
}
