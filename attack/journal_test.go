package attack

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/mettleml/mettle/internal/filelock"
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
		start     float32 // of the second campaign
	}{
		{"weights", "victim digest", meta(same, 1), meta(other, 1), 0},
		{"preprocessing", "Scale:2", meta(same, 1), meta(scaled, 1), 0},
		{"attacker", "options", meta(same, 1), meta(same, 2), 0},
		{"decoder", "options", auto(same, 1), auto(same, 2), 0},
		{"start", "data", WithLabels(Boundary{}, zoo.LabelsOf(same)), WithLabels(Boundary{}, zoo.LabelsOf(same)), 1},
	} {
		path := filepath.Join(t.TempDir(), "j")
		run := func(job Job, start float32) error {
			x := tensor.New(1, 28, 28)
			x.Fill(start)
			_, err := (&Campaign{Job: job, Budget: 20, Journal: path, Start: func(zoo.Goal) *tensor.Tensor { return x }}).Run(context.Background(), []Sample{sample})
			return err
		}
		if err := run(c.was, 0); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := run(c.was, 0); err != nil {
			t.Errorf("%s: the same campaign: %v", c.name, err)
		}
		if err := run(c.is, c.start); err == nil || !strings.Contains(err.Error(), "another campaign") || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v; want an error that says %q", c.name, err, c.say)
		}
	}
}

// TestDigestPixels: the digest is that of the halves, one after the other or beside each other.
func TestDigestPixels(t *testing.T) {
	for _, n := range []int{784, 300001} { // below and above what is shared among workers
		x := make([]float32, n)
		b := make([]byte, 0, 4*n)
		for i := range x {
			x[i] = float32(i%251) / 250
			b = binary.NativeEndian.AppendUint32(b, math.Float32bits(x[i]))
		}
		castagnoli := crc32.MakeTable(crc32.Castagnoli)
		half := len(b) / 2
		if got, want := digestPixels(x), uint64(crc32.Checksum(b[:half], castagnoli))<<32|uint64(crc32.Checksum(b[half:], castagnoli)); got != want {
			t.Errorf("%d pixels: %x, want %x", n, got, want)
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
	j, err := OpenJournal(path, new(Plan), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Log(0).Append(context.Background(), Entry{Kind: EntryIntent, N: 1}); err != nil {
		t.Fatal(err)
	}
	v := newLinear(1, 4, 1, 5, 5)
	_, err = (&Campaign{Job: WithScores(Square{}, v), Budget: 5, Journal: path}).Run(context.Background(), v.samples(1, 2))
	if !errors.Is(err, filelock.ErrHeld) || !strings.Contains(err.Error(), path) || v.count.Load() > 0 {
		t.Errorf("a second run: %v after %d queries; want an error that names the file and says that another run holds it", err, v.count.Load())
	}
	if err := j.Log(0).Append(context.Background(), Entry{Kind: EntryScores, N: 1, Scores: []float64{1}}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = OpenJournal(path, new(Plan), false); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if sent, answered, resumed := j.Counts(); sent != 1 || answered != 1 || resumed != 1 {
		t.Errorf("%d intents and %d answers are left, resumed %d times; want 1, 1 and 1", sent, answered, resumed)
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
		j, err := OpenJournal(filepath.Join(dir, c.name), new(Plan), c.fsync)
		if err != nil {
			t.Fatal(err)
		}
		j.Close()
		if len(synced) != c.want || c.want > 0 && synced[0] != dir {
			t.Errorf("%s, fsync %v: synced %q", c.name, c.fsync, synced)
		}
	}
}

// TestFingerprint: every part of it tells campaigns apart, and names itself.
func TestFingerprint(t *testing.T) {
	base := Fingerprint{Options: json.RawMessage("1")}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Fingerprint]()) {
		if field.Anonymous {
			continue
		}
		path := filepath.Join(t.TempDir(), "j")
		open := func(p Fingerprint) error {
			j, err := OpenJournal(path, &Plan{Fingerprint: p}, false)
			if err != nil {
				return err
			}
			return j.Close()
		}
		if err := errors.Join(open(base), open(base)); err != nil {
			t.Fatal(err)
		}
		other, name := base, strings.Split(field.Tag.Get("json"), ",")[0]
		switch f := reflect.ValueOf(&other).Elem().FieldByIndex(field.Index); f.Kind() {
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
	for _, want := range []string{kernel.Active().Name, runtime.GOARCH, runtime.Version(), attackVersion} {
		if !strings.Contains(string(file), strconv.Quote(want)) {
			t.Errorf("the journal does not hold %q", want)
		}
	}
}

// wayward asks about the clean image twice, and then with another first pixel, which it
// hides.
type wayward struct{ pixel float32 }

func (wayward) Hidden() map[string]string { return map[string]string{"pixel": ""} }

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
