package attack

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// TestJournalTellsVictimsAndNetworksApart: what an attack's options and the victim's
// description do not show is in the fingerprint too, and each difference is named.
func TestJournalTellsVictimsAndNetworksApart(t *testing.T) {
	victim := func(seed uint64, pre data.Preprocess) *zoo.Model {
		v, err := zoo.NewModel(models.LeNet5(seed, 10), zoo.Info{Name: "lenet5", Shape: []int{1, 28, 28}, Classes: 10}, pre)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	meta := func(v *zoo.Model, seed uint64) Job {
		return WithScores(Meta{Network: models.MetaAttackerMNIST(seed), Tune: 1}, v)
	}
	auto := func(v *zoo.Model, seed uint64) Job {
		return WithScores(AutoZOOM{Decoder: &Learned{Network: models.AutoZOOMMNIST(seed).Decoder, Code: []int{1, 14, 14}}}, v)
	}
	begin := func(v *zoo.Model, a func(Start) LabelAttack, value float32) Job {
		x := tensor.New(1, 28, 28)
		x.Fill(value)
		return WithLabels(a(func(zoo.Goal) *tensor.Tensor { return x }), zoo.LabelsOf(v))
	}
	boundary := func(s Start) LabelAttack { return Boundary{Start: s} }
	opt := func(s Start) LabelAttack { return Opt{Start: s} }
	signOpt := func(s Start) LabelAttack { return SignOpt{Start: s} }
	jump := func(s Start) LabelAttack { return HopSkipJump{Start: s} }
	same := victim(1, data.Preprocess{})
	other, scaled := victim(2, data.Preprocess{}), victim(1, data.Preprocess{Scale: 2})
	sample := Sample{X: tensor.New(1, 28, 28)}
	sample.X.Fill(0.5)
	var label [1]int
	if err := zoo.LabelsOf(same).Labels(context.Background(), sample.X.Reshape(1, 1, 28, 28), label[:]); err != nil {
		t.Fatal(err)
	}
	sample.Label = label[0]
	for _, c := range []struct {
		name, say string
		was, is   Job
	}{
		{"weights", "victim digest", meta(same, 1), meta(other, 1)},
		{"preprocessing", "Scale:2", meta(same, 1), meta(scaled, 1)},
		{"attacker", "attack network", meta(same, 1), meta(same, 2)},
		{"decoder", "attack network", auto(same, 1), auto(same, 2)},
		{"boundary", "attack start", begin(same, boundary, 0), begin(same, boundary, 1)},
		{"opt", "attack start", begin(same, opt, 0), begin(same, opt, 1)},
		{"sign-opt", "attack start", begin(same, signOpt, 0), begin(same, signOpt, 1)},
		{"hopskipjump", "attack start", begin(same, jump, 0), begin(same, jump, 1)},
	} {
		path := filepath.Join(t.TempDir(), "j")
		run := func(job Job) error {
			_, err := (&Campaign{Job: job, Budget: 20, Journal: path}).Run(context.Background(), []Sample{sample})
			return err
		}
		if err := run(c.was); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := run(c.was); err != nil {
			t.Errorf("%s: the same campaign: %v", c.name, err)
		}
		if err := run(c.is); err == nil || !strings.Contains(err.Error(), "another campaign") || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v; want an error that says %q", c.name, err, c.say)
		}
	}
}

// TestDigestOfAFunction: a function that says which it is, is told from others.
func TestDigestOfAFunction(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	path := filepath.Join(t.TempDir(), "j")
	for _, c := range []struct{ digest, say string }{{"monday", ""}, {"monday", ""}, {"tuesday", `"monday" then, "tuesday" now`}} {
		v.info.Digest = c.digest
		_, err := (&Campaign{Job: WithScores(Square{}, v), Budget: 5, Journal: path}).Run(context.Background(), v.samples(1, 2))
		if c.say == "" && err != nil || c.say != "" && (err == nil || !strings.Contains(err.Error(), c.say)) {
			t.Errorf("%s: %v; want an error that says %q", c.digest, err, c.say)
		}
	}
}

// TestJournalOfGradients: finished samples are taken from the journal, one that was
// under way is attacked anew, and the table is that of an undisturbed run.
func TestJournalOfGradients(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	samples := v.samples(2, 6)
	job := WithGradients(PGD{Eps: 2}, v)
	want, err := (&Campaign{Job: job, Budget: 100}).Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	c := Campaign{Job: job, Budget: 100, Workers: 1, Journal: filepath.Join(t.TempDir(), "j")}
	ctx, cancel := context.WithCancel(context.Background())
	c.Progress = func(done, _ int, _ *Record) {
		if done == 3 {
			cancel()
		}
	}
	if _, err := c.Run(ctx, samples); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	v.count.Store(0)
	got, err := c.Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	if table(got) != table(want) {
		t.Errorf("resumed:\n%swant\n%s", table(got), table(want))
	}
	queries := 0
	for _, r := range want.Records[3:] {
		queries += r.Queries + r.Clean + r.Verify
	}
	if n := int(v.count.Load()); n != queries {
		t.Errorf("the second run asked %d queries; its samples need %d", n, queries)
	}
}

// TestJournalIsLocked: who opens a journal in use is refused and changes nothing; when
// it is closed it can be opened again. TestKilledProcess shows that a kill closes it.
func TestJournalIsLocked(t *testing.T) {
	if runtime.GOOS == "js" {
		t.Skip("no locks on this system")
	}
	path := filepath.Join(t.TempDir(), "j")
	j, err := openJournal(path, fingerprint{}, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.intent(0, 0, 1, [16]byte{}); err != nil {
		t.Fatal(err)
	}
	v := newLinear(1, 4, 1, 5, 5)
	_, err = (&Campaign{Job: WithScores(Square{}, v), Budget: 5, Journal: path}).Run(context.Background(), v.samples(1, 2))
	if !errors.Is(err, errLocked) || !strings.Contains(err.Error(), path) || v.count.Load() > 0 {
		t.Errorf("a second run: %v after %d queries; want an error that names the file and says that another run holds it", err, v.count.Load())
	}
	if err := j.answer(0, 0, 1, []float64{1}, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if j, err = openJournal(path, fingerprint{}, false); err != nil {
		t.Fatal(err)
	}
	defer j.close()
	if j.intents != 1 || j.answers != 1 {
		t.Errorf("%d intents and %d answers are left, want 1 and 1", j.intents, j.answers)
	}
}

// TestPanicClosesTheJournal: who catches the victim's panic can resume.
func TestPanicClosesTheJournal(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	left := 5
	bad := zoo.ScorerFunc(v.info, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		if left--; left == 0 {
			tensor.Panic("victim", "boom")
		}
		return v.Scores(ctx, x, out)
	})
	c := Campaign{Job: WithScores(Square{}, bad), Budget: 20, Workers: 1, Journal: filepath.Join(t.TempDir(), "j")}
	for i, say := range []string{"boom", ""} {
		err := tensor.Try(func() error { _, err := c.Run(context.Background(), v.samples(1, 2)); return err })
		if say == "" && err != nil || say != "" && (err == nil || !strings.Contains(err.Error(), say)) {
			t.Errorf("run %d: %v", i, err)
		}
	}
}

// TestJournalSyncsItsDirectory: once, when the file is made, if asked for.
func TestJournalSyncsItsDirectory(t *testing.T) {
	defer func(f func(string) error) { syncDir = f }(syncDir)
	really := syncDir
	var synced []string
	syncDir = func(dir string) error { synced = append(synced, dir); return really(dir) }
	dir := t.TempDir()
	for _, c := range []struct {
		name  string
		fsync bool
		want  int
	}{{"a", false, 0}, {"b", true, 1}, {"b", true, 1}} {
		j, err := openJournal(filepath.Join(dir, c.name), fingerprint{}, c.fsync)
		if err != nil {
			t.Fatal(err)
		}
		j.close()
		if len(synced) != c.want || c.want > 0 && synced[0] != dir {
			t.Errorf("%s, fsync %v: synced %q", c.name, c.fsync, synced)
		}
	}
}

// TestFingerprint: every part of it tells campaigns apart, and names itself.
func TestFingerprint(t *testing.T) {
	base := fingerprint{Options: json.RawMessage("1")}
	fields := reflect.TypeFor[fingerprint]()
	for i := range fields.NumField() {
		path := filepath.Join(t.TempDir(), "j")
		open := func(p fingerprint) error {
			j, err := openJournal(path, p, false)
			if err != nil {
				return err
			}
			return j.close()
		}
		if err := errors.Join(open(base), open(base)); err != nil {
			t.Fatal(err)
		}
		other, name := base, fields.Field(i).Tag.Get("json")
		switch f := reflect.ValueOf(&other).Elem().Field(i); f.Kind() {
		case reflect.String:
			f.SetString("other")
		case reflect.Int:
			f.SetInt(7)
		case reflect.Uint64:
			f.SetUint(7)
		default:
			f.SetBytes([]byte("2"))
		}
		if err := open(other); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "j")
	v := newLinear(1, 4, 1, 5, 5)
	if _, err := (&Campaign{Job: WithScores(Square{}, v), Budget: 5, Journal: path}).Run(context.Background(), v.samples(1, 2)); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{kernel.Active().Name, runtime.GOARCH, runtime.Version(), journalVersion} {
		if !strings.Contains(string(file), strconv.Quote(want)) {
			t.Errorf("the journal does not hold %q", want)
		}
	}
}

// wayward asks about the clean image twice, and then with another first pixel.
type wayward struct{ pixel float32 }

func (wayward) About() About { return About{Name: "wayward", Options: "the same"} }

func (a wayward) AttackScores(ctx context.Context, v zoo.Scorer, t *Try) error {
	x := t.Clean.Reshape(append([]int{1}, t.Clean.Shape()...)...).Clone()
	out := make([]float64, v.Info().Classes)
	for _, p := range []float32{x.Data()[0], x.Data()[0], a.pixel} {
		x.Data()[0] = p
		if err := v.Scores(ctx, x, out); err != nil {
			return err
		}
	}
	return errors.New("stopped")
}

// TestReplayOfOtherPixels: a resumed attack that asks what it did not ask before is
// stopped, and asks the victim nothing.
func TestReplayOfOtherPixels(t *testing.T) {
	v := newLinear(1, 4, 1, 5, 5)
	samples := v.samples(2, 1)
	path := filepath.Join(t.TempDir(), "j")
	run := func(pixel float32) error {
		_, err := (&Campaign{Job: WithScores(wayward{pixel}, v), Budget: 20, Journal: path}).Run(context.Background(), samples)
		return err
	}
	if err := run(0.25); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Fatal(err)
	}
	v.count.Store(0)
	if err := run(0.25); err == nil || !strings.Contains(err.Error(), "stopped") || v.count.Load() > 0 {
		t.Errorf("the same again: %v after %d queries", err, v.count.Load())
	}
	if err := run(0.75); err == nil || !strings.Contains(err.Error(), "other pixels") || v.count.Load() > 0 {
		t.Errorf("other pixels: %v after %d queries", err, v.count.Load())
	}
}
