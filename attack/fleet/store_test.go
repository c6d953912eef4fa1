package fleet_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack/fleet"
	"github.com/mettleml/mettle/attack/fleet/internal/pgtest"
	"github.com/mettleml/mettle/attack/fleet/server"
	"github.com/mettleml/mettle/attack/fleet/storetest"
)

// TestStores: the stores keep to their contract. PostgreSQL's is tested beside it.
func TestStores(t *testing.T) {
	t.Run("memory", func(t *testing.T) { storetest.Run(t, &fleet.Memory{}) })
	t.Run("embedded", func(t *testing.T) {
		s, err := server.Start(server.Options{Dir: t.TempDir(), Name: "here"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		f, err := fleet.Open(context.Background(), fleet.OpenOptions{Connection: fleet.Connection{InProcess: s}, Create: true, Log: say(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		storetest.Run(t, f.Store)
	})
	t.Run("three servers", func(t *testing.T) {
		if testing.Short() {
			t.Skip("starts processes; not in -short")
		}
		f, err := fleet.Open(context.Background(), fleet.OpenOptions{Connection: fleet.Connection{URL: startServers(t, 3).url}, Create: true, Log: say(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		storetest.Run(t, f.Store)
	})
}

// TestPostgres: a campaign whose logs and documents are in PostgreSQL has the records of
// one process, though the database is stopped at once, and a worker killed, while it is
// under way.
func TestPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not in -short")
	}
	pg := pgtest.Start(t)
	v := startVictim(t, victimArgs{Delay: 5 * time.Millisecond})
	file := campaign(t, 5, v.url(), slowly, func(f *fleet.File) { f.Limit = 100000 })
	local := *file
	local.Victim.URL, local.Victim.Identity = startVictim(t, victimArgs{}).url(), v.url()
	want, need := undisturbed(t, &local)
	s := startServers(t, 1)
	dir := t.TempDir()
	arg := func(i int) workerArgs {
		return workerArgs{URL: s.url, Name: fmt.Sprint("w", i), Journal: filepath.Join(dir, fmt.Sprint(i)), Units: 2, AckWait: chaosAckWait, Postgres: pg.URL()}
	}
	a := arg(9)
	f, err := a.open(context.Background(), say(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Submit(context.Background(), file); err != nil {
		t.Fatal(err)
	}
	procs := []*process{start(t, "worker0", "worker", arg(0)), start(t, "worker1", "worker", arg(1))}
	rounds := 3
	if long() {
		rounds = 20
	}
	for i := range rounds {
		time.Sleep(time.Duration(200+100*(i%5)) * time.Millisecond)
		if i%3 == 1 {
			procs[0].kill()
			procs[0] = start(t, "worker0", "worker", arg(0))
			continue
		}
		pg.Kill()
		time.Sleep(100 * time.Millisecond)
		pg.Restart()
	}
	finish(t, f, 2*time.Minute)
	intents, answers := same(t, f, want)
	paid := v.paid()
	t.Logf("%d intents, %d answers, %d paid; one process needs %d", intents, answers, paid, need)
	if answers != need || paid < answers || intents < paid {
		t.Errorf("%d intents, %d answers, %d paid; one process needs %d", intents, answers, paid, need)
	}
	if _, err := f.Audit(context.Background(), "test"); err != nil {
		t.Error(err)
	}
}
