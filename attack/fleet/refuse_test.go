package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/attack/fleet"
	"github.com/mettleml/mettle/attack/fleet/server"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models/pretrained"
)

// TestBadFiles: what is wrong with a campaign file is said before anything is done.
func TestBadFiles(t *testing.T) {
	const good = `{"victim": {"network": "net4"}, "samples": {"array": "x.npy", "labels": "y.npy"}, "attacks": [{"attack": "square"}]}`
	if _, err := fleet.ParseFile([]byte(good), "."); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"square"`, `"squara"`, `no attack "squara" (there are `},
		{`"attacks"`, `"attack"`, `unknown field "attack"`},
		{`[{"attack": "square"}]`, `[]`, "no attacks"},
		{`}]}`, `}], "goal": "best"}`, "untargeted or targeted"},
		{`}]}`, `}], "limit": -1}`, "negative"},
		{`}]}`, `}]} {}`, "something follows"},
		{`{"network": "net4"}`, `{}`, "exactly one of victim.network"},
		{`{"network": "net4"}`, `{"network": "net4", "url": "http://h"}`, "exactly one of victim.network"},
		{`, "labels": "y.npy"`, ``, "no labels"},
		{`"attacks": [`, "\n\"attacks\": [,", "line 2"},
	} {
		_, err := fleet.ParseFile([]byte(strings.Replace(good, c.old, c.new, 1)), ".")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: %v, want %q", c.new, c.old, err, c.want)
		}
	}
}

// embedded starts a server in this process and opens a fleet on it.
func embedded(t *testing.T, change ...func(o *server.Options)) (*server.Server, *fleet.Fleet) {
	t.Helper()
	o := server.Options{Dir: t.TempDir(), Name: "here"}
	for _, c := range change {
		c(&o)
	}
	s, err := server.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	f, err := fleet.Open(context.Background(), fleet.OpenOptions{Connection: fleet.Connection{InProcess: s, Token: o.Token}, Create: true, Log: say(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return s, f
}

// TestRefusals: servers, workers and campaigns that do not fit are refused in words.
func TestRefusals(t *testing.T) {
	ctx := context.Background()
	port := freePorts(t, 1)[0]
	s, f := embedded(t, func(o *server.Options) { o.Listen, o.Token = fmt.Sprintf("127.0.0.1:%d", port), "secret" })
	open := func(c fleet.Connection) error {
		f, err := fleet.Open(ctx, fleet.OpenOptions{Connection: c})
		if err == nil {
			f.Close()
		}
		return err
	}
	want := func(err error, text string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v; want %q", err, text)
		}
	}
	if err := open(fleet.Connection{URL: s.URL(), Token: "secret"}); err != nil {
		t.Error(err)
	}
	want(open(fleet.Connection{URL: s.URL(), Token: "wrong"}), "does not accept these credentials")
	want(open(fleet.Connection{URL: s.URL(), Credentials: "/nowhere.creds"}), "credentials: stat /nowhere.creds")
	want(open(fleet.Connection{URL: fmt.Sprintf("nats://127.0.0.1:%d", freePorts(t, 1)[0])}), "is the address right")

	lax, err := server.Start(server.Options{Dir: t.TempDir(), Name: "lax", UnsafeSyncInterval: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer lax.Close()
	_, err = fleet.Open(ctx, fleet.OpenOptions{Connection: fleet.Connection{InProcess: lax}, Create: true})
	want(err, "does not flush every write")
	config := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(config, []byte("jetstream { store_dir: "+t.TempDir()+" }"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = server.Start(server.Options{Config: config})
	want(err, "sync_interval: always")

	v := startVictim(t, victimArgs{})
	submit := func(change func(f *fleet.File)) error {
		_, err := f.Submit(ctx, campaign(t, 2, v.url(), change))
		return err
	}
	want(submit(func(f *fleet.File) { f.Attacks[0].Options = []byte(`{"Epsilon": 1}`) }), "Epsilon")
	want(submit(func(f *fleet.File) { f.Victim.URL += "s" }), "victims")
	want(submit(func(f *fleet.File) { f.Samples.N = 99 }), "there are 2")
	if err := submit(func(f *fleet.File) { f.Limit = 50 }); err != nil {
		t.Fatal(err)
	}
	if err := submit(func(f *fleet.File) { f.Limit = 80 }); err != nil {
		t.Errorf("another limit: %v", err)
	}
	want(submit(func(f *fleet.File) { f.Seed = 99 }), "give this one another name")
	_, err = f.Fetch(ctx, "test", false)
	want(err, "0 of 6 units are done")
	_, err = f.Fetch(ctx, "none", false)
	want(err, "no campaign none")

	// The limit of 80 is reached: what is finished can be fetched, and a larger limit goes on.
	work := func(o fleet.WorkOptions) error {
		o.Name, o.Log = "w", say(t)
		o.Until = f.Over("test")
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return f.Work(ctx, o)
	}
	journal := t.TempDir()
	if err := work(fleet.WorkOptions{Journal: journal}); err != nil {
		t.Fatal(err)
	}
	_, stopped, err := f.Finished(ctx, "test")
	if err != nil || !strings.Contains(stopped, "the limit is reached") {
		t.Errorf("stopped %q, %v", stopped, err)
	}
	if a, err := f.Audit(ctx, "test"); err != nil || a.Intents > 80 || v.paid() > 80 {
		t.Errorf("audit %+v, %v; %d paid of 80", a, err, v.paid())
	}
	if _, err := f.Fetch(ctx, "test", true); err != nil {
		t.Error(err)
	}
	if err := submit(func(f *fleet.File) { f.Limit = 0 }); err != nil {
		t.Fatal(err)
	}
	// A victim that has changed, here behind another address, is not asked.
	before := v.paid()
	err = work(fleet.WorkOptions{Journal: journal, Strict: true, Victim: v.base + "/v2/models/other"})
	if err == nil || v.paid() != before {
		t.Errorf("another victim: %v, %d queries", err, v.paid()-before)
	}
	// The same one is, by whatever name this machine reaches it.
	if err := work(fleet.WorkOptions{Journal: journal, Victim: strings.Replace(v.url(), "127.0.0.1", "localhost", 1)}); err != nil {
		t.Fatal(err)
	}
	wantRecords, _ := undisturbed(t, campaign(t, 2, v.url()))
	same(t, f, wantRecords)

	// Servers that know nothing of what a worker's journal holds are not worked for.
	_, empty := embedded(t)
	err = empty.Work(ctx, fleet.WorkOptions{Journal: journal, Log: say(t)})
	want(err, "the journal at")
}

// TestVictimChanges: a victim that is another one in the middle of a campaign is not asked
// any more, and the worker says why. When the old one is back the campaign goes on, and
// ends with the records of one process.
func TestVictimChanges(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not in -short")
	}
	fleet.SetFresh(t, 0)
	address := fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	v := startVictim(t, victimArgs{Addr: address, Delay: 2 * time.Millisecond})
	file := campaign(t, 4, v.url(), func(f *fleet.File) { f.Victim.Retries = -1 })
	want, need := undisturbed(t, file)
	_, f := embedded(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if _, err := f.Submit(ctx, file); err != nil {
		t.Fatal(err)
	}
	work := func(until func(s *fleet.Status) bool) error {
		return f.Work(ctx, fleet.WorkOptions{Name: "w", Units: 1, Strict: true, Log: say(t), AckWait: time.Second, Until: func(ctx context.Context) (bool, error) {
			s, err := f.Status(ctx, "test")
			return err == nil && until(s), err
		}})
	}
	changed := make(chan error, 1)
	go func() { changed <- work(func(s *fleet.Status) bool { return s.Done == s.Units || s.Stopped != "" }) }()
	waitFor(t, time.Minute, "the first units", func() error {
		s, err := f.Status(ctx, "test")
		if err == nil && s.Done < 2 {
			err = errors.New("they are not done")
		}
		return err
	})
	v.proc.kill()
	other := startVictim(t, victimArgs{Addr: address, Classes: 5})
	if err := <-changed; err == nil || !strings.Contains(err.Error(), "victim") {
		t.Errorf("another victim: %v", err)
	}
	if n := other.paid(); n > 90 { // of the unit that was under way, whose answers have a class too many
		t.Errorf("another victim was asked %d queries", n)
	}
	other.proc.kill()
	startVictim(t, victimArgs{Addr: address})
	if _, err := f.Submit(ctx, file); err != nil { // should it have been stopped
		t.Fatal(err)
	}
	if err := work(func(s *fleet.Status) bool { return s.Done == s.Units || s.Stopped != "" }); err != nil {
		t.Fatal(err)
	}
	if _, answers := same(t, f, want); answers < need {
		t.Errorf("%d answers; one process needs %d", answers, need)
	}
}

// TestOtherPlatform: a worker does not take what it cannot reproduce, and says why.
func TestOtherPlatform(t *testing.T) {
	ctx := context.Background()
	_, f := embedded(t)
	v := startVictim(t, victimArgs{})
	if _, err := f.Submit(ctx, campaign(t, 2, v.url())); err != nil {
		t.Fatal(err)
	}
	if err := fleet.ChangePlatform(ctx, f, "test", func(p *attack.Platform) { p.Kernel, p.Go = "sse9", "go1.1" }); err != nil {
		t.Fatal(err)
	}
	w, err := f.NewWorker(fleet.WorkOptions{Name: "w", ExitIdle: time.Second, Log: say(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	why := w.Status().Refused["test"]
	for _, want := range []string{"METTLE_KERNEL=sse9", "Go version go1.1"} {
		if !strings.Contains(why, want) {
			t.Errorf("refused for %q; want %q", why, want)
		}
	}
}

// TestFullDisk: a server whose disk is full makes a clear error, and nothing is lost:
// when there is room again the campaign goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	v := startVictim(t, victimArgs{})
	dir := t.TempDir()
	o := server.Options{Dir: dir, Name: "here", MaxStore: 160 << 10}
	s, err := server.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fleet.Open(ctx, fleet.OpenOptions{Connection: fleet.Connection{InProcess: s}, Create: true, Log: say(t)})
	if err != nil {
		t.Fatal(err)
	}
	file := campaign(t, 4, v.url(), func(f *fleet.File) {
		f.Attacks = f.Attacks[:1]
		f.Budget = 600
		f.Attacks[0].Options = []byte(`{"Eps": 0.02}`)
	})
	if _, err := f.Submit(ctx, file); err != nil {
		t.Fatal(err)
	}
	journal := t.TempDir()
	short, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = f.Work(short, fleet.WorkOptions{Name: "w", Journal: journal, AckWait: 2 * time.Second, Log: say(t)})
	if !errors.Is(err, fleet.ErrRefused) || !strings.Contains(err.Error(), "room") {
		t.Errorf("a full disk: %v", err)
	}
	f.Close()
	s.Close()
	o.MaxStore = 0
	if s, err = server.Start(o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if f, err = fleet.Open(ctx, fleet.OpenOptions{Connection: fleet.Connection{InProcess: s}, Log: say(t)}); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = f.Work(ctx, fleet.WorkOptions{Name: "w", Journal: journal, AckWait: 2 * time.Second, Log: say(t), Until: f.Over("test")})
	if err != nil {
		t.Fatal(err)
	}
	paid := v.paid()
	want, need := undisturbed(t, file)
	_, answers := same(t, f, want)
	if answers != need || paid < need {
		t.Errorf("%d answers, %d paid; one process needs %d", answers, paid, need)
	}
}

// TestExample: the campaign that the README runs is one, and its files are there; the
// campaign file that it shows is right.
func TestExample(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```json\n")
	text, _, _ := strings.Cut(rest, "```")
	shown, err := fleet.ParseFile([]byte(text), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range shown.Attacks {
		if _, err := spec.Build(attack.NamedNetworks(map[string]nn.Module{"mine": pretrained.MetaAttackerMNIST()})); err != nil {
			t.Error(err)
		}
	}
	f, err := fleet.ReadFile(filepath.Join("examples", "digits.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, samples, err := f.Local(context.Background()); err != nil || len(samples) != 8 {
		t.Errorf("%d samples, %v", len(samples), err)
	}
}
