package fleet_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack/fleet"
	"github.com/mettleml/mettle/attack/fleet/server"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/models/pretrained"
)

// samples is how many a test takes, by default and in full.
func samples(short, full int) int {
	if long() {
		return full
	}
	return short
}

// TestSameRecords: whatever the number of workers, the servers, the encoding of a remote
// victim and whether calls are joined, the records are those of one process to the byte,
// and the victim counts the queries of one process.
func TestSameRecords(t *testing.T) {
	first, _ := undisturbed(t, campaign(t, samples(4, 12), startVictim(t, victimArgs{}).url()))
	for _, c := range []struct {
		name     string
		workers  int
		servers  int // 0: embedded, without any process
		encoding string
		gather   int
	}{
		{"one worker, embedded, binary", 1, 0, "binary", 0},
		{"two workers, embedded, JSON", 2, 0, "json", 0},
		{"seven workers, embedded, joined calls", 7, 0, "binary", 16},
		{"one worker, three servers, JSON", 1, 3, "json", 0},
		{"two workers, three servers, joined calls", 2, 3, "", 32},
		{"seven workers, three servers, binary", 7, 3, "binary", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := startVictim(t, victimArgs{})
			file := campaign(t, samples(4, 12), v.url(), func(f *fleet.File) { f.Victim.Encoding, f.Gather = c.encoding, c.gather })
			before := v.paid()
			want, queries := undisturbed(t, file)
			if counted := v.paid() - before; counted != queries {
				t.Fatalf("in one process the victim counts %d queries, the campaign %d", counted, queries)
			}
			if !slices.Equal(want, first) {
				t.Error("the records of one process follow from the encoding, or from joining calls")
			}
			ctx := context.Background()
			var conn fleet.Connection
			if c.servers == 0 {
				s, err := server.Start(server.Options{Dir: t.TempDir(), Name: "here"})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if s.URL() != "" {
					t.Errorf("the embedded server listens at %s", s.URL())
				}
				conn.InProcess = s
			} else {
				conn.URL = startServers(t, c.servers).url
			}
			f, err := fleet.Open(ctx, fleet.OpenOptions{Connection: conn, Create: true, Log: say(t)})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.Submit(ctx, file); err != nil {
				t.Fatal(err)
			}
			before = v.paid()
			journals := t.TempDir()
			var wg sync.WaitGroup
			for i := range c.workers {
				wg.Go(func() {
					mine, err := fleet.Open(ctx, fleet.OpenOptions{Connection: conn, Log: say(t)})
					if err != nil {
						t.Error(err)
						return
					}
					defer mine.Close()
					err = mine.Work(ctx, fleet.WorkOptions{
						Name: fmt.Sprint("w", i), Units: 2, Journal: filepath.Join(journals, fmt.Sprint(i)), Log: say(t), Strict: true,
						Until: mine.Over("test"),
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			finish(t, f, 10*time.Second)
			intents, answers := same(t, f, want)
			if paid := v.paid() - before; paid != queries || intents != queries || answers != queries {
				t.Errorf("%d intents, %d answers, %d paid by the victim's count; one process needs %d", intents, answers, paid, queries)
			}
		})
	}
}

// TestObjects: a worker needs nothing but the address: the victim's weights, the networks
// of attacks and the samples come from the object store, to which large records go too.
func TestObjects(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join("..", "..", "examples", "internal", "datasets", "digits")
	for name, what := range map[string]struct {
		net   nn.Tree
		model string
	}{"victim": {pretrained.Net4(), "net4"}, "attacker": {pretrained.MetaAttackerMNIST(), "meta-mnist"}, "decoder": {pretrained.AutoZOOMMNIST(), "autozoom-mnist"}} {
		if err := models.Save(filepath.Join(dir, name+".safetensors"), what.net, models.Info{Model: what.model, Classes: 10}, nn.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"images.idx3", "labels.idx1"} {
		b, err := os.ReadFile(filepath.Join(data, "t10k-first-"+name+".gz"))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".gz"), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	file, err := fleet.ParseFile([]byte(`{"name": "test", "budget": 120, "seed": 3,
		"victim": {"file": "victim.safetensors", "shape": [1, 28, 28]},
		"samples": {"images": "images.idx3.gz", "labels": "labels.idx1.gz", "n": 2},
		"networks": {"mine": "attacker.safetensors", "half": "decoder.safetensors", "theirs": "mnist-attacker"},
		"attacks": [{"attack": "meta", "options": {"Network": "mine"}}, {"attack": "meta", "preset": "frugal", "options": {"Network": "theirs"}},
			{"attack": "autozoom", "options": {"Decoder": {"learned": {"Network": "half", "Code": [1, 14, 14]}}}},
			{"attack": "pgd", "options": {"Norm": "Linf", "Eps": 0.3}}]}`), dir)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := undisturbed(t, file)
	_, f := embedded(t)
	ctx := context.Background()
	if _, err := f.Submit(ctx, file); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	err = f.Work(ctx, fleet.WorkOptions{Name: "w", Strict: true, Log: say(t), Until: f.Over("test")})
	if err != nil {
		t.Fatal(err)
	}
	same(t, f, want)
	c, err := f.Contents(ctx, "test")
	if err != nil || c.Victim.Name != "net4" || c.Victim.Classes != 10 || len(c.File.Attacks) != 4 {
		t.Errorf("contents: %+v, %v", c, err)
	}
	samples, err := f.Samples(ctx, "test")
	if err != nil || len(samples) != 2 || !slices.Equal(samples[1].X.Shape(), []int{1, 28, 28}) || samples[0].Label != 7 {
		t.Errorf("%d samples, %v", len(samples), err)
	}
}
