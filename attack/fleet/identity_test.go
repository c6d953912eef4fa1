package fleet_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack/fleet"
	"github.com/mettleml/mettle/attack/fleet/server"
)

// TestSameRecords: whatever the number of workers, the servers, the encoding of a remote
// victim and whether calls are joined, the records are those of one process to the byte,
// and the victim counts the queries of one process.
func TestSameRecords(t *testing.T) {
	v := startVictim(t, victimArgs{})
	var first []string // records with calls of their own
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
			n := 4
			if long() {
				n = 12
			}
			file := campaign(t, n, v.url(), func(f *fleet.File) { f.Victim.Encoding, f.Gather = c.encoding, c.gather })
			before := v.paid()
			want, queries := undisturbed(t, file)
			if counted := v.paid() - before; counted != queries {
				t.Fatalf("in one process the victim counts %d queries, the campaign %d", counted, queries)
			}
			if first == nil {
				first = want
			}
			if !slices.Equal(want, first) {
				t.Errorf("by %s the records are not those by %s", c.encoding, "binary")
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
						Until: func(ctx context.Context) (bool, error) {
							done, stopped, err := mine.Finished(ctx, "test")
							return done || stopped != "", err
						},
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
