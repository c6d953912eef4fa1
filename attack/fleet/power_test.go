//go:build linux

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

	"github.com/mettleml/mettle/attack/fleet/internal/lossyfs"
	"github.com/mettleml/mettle/attack/fleet/server"
)

// TestPowerLoss: the server's disk loses what was not flushed, again and again, while a
// campaign is under way. With our settings the campaign ends as ever. With those that NATS
// has by default it does not, and the workers' journals see that something is lost.
func TestPowerLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not in -short")
	}
	t.Parallel()
	t.Run("sync always", func(t *testing.T) {
		if err := losePower(t, 0); err != nil {
			t.Error(err)
		}
	})
	t.Run("the default of two minutes", func(t *testing.T) {
		err := losePower(t, 2*time.Minute)
		if err == nil {
			t.Fatal("nothing was lost: the test tests nothing")
		}
		t.Log(err)
		if !strings.Contains(err.Error(), "lost") && !strings.Contains(err.Error(), "journal") {
			t.Errorf("the journals did not see it: %v", err)
		}
	})
}

func losePower(t *testing.T, sync time.Duration) error {
	disk := lossyfs.Mount(t)
	v := startVictim(t, victimArgs{Delay: 5 * time.Millisecond})
	file := campaign(t, 4, v.url(), slowly)
	local := *file
	local.Victim.URL, local.Victim.Identity = startVictim(t, victimArgs{}).url(), v.url()
	want, need := undisturbed(t, &local)
	s := startServers(t, 1, func(_ int, o *server.Options) { o.Dir, o.UnsafeSyncInterval = filepath.Join(disk.Dir, "data"), sync })
	dir := t.TempDir()
	arg := func(i int) workerArgs {
		return workerArgs{URL: s.url, Name: fmt.Sprint("w", i), Journal: filepath.Join(dir, fmt.Sprint(i)), Units: 2, AckWait: chaosAckWait, Unsafe: true}
	}
	a := arg(9)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	f, err := a.open(ctx, func(string, ...any) {})
	if err != nil {
		return err
	}
	t.Cleanup(f.Close)
	if _, err := f.Submit(ctx, file); err != nil {
		return err
	}
	disk.Sync() // as the timer did before the power fails
	procs := []*process{start(t, "worker0", "worker", arg(0)), start(t, "worker1", "worker", arg(1))}
	rounds := 4
	if long() {
		rounds = 20
	}
	for i := range rounds {
		time.Sleep(time.Duration(700+150*(i%4)) * time.Millisecond)
		s.procs[0].kill()
		gone, err := disk.LosePower()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d writes are gone", gone)
		s.start(0)
		for k, p := range procs {
			if p.ended(0) {
				return fmt.Errorf("a worker gave up: %s", lastLine(t, fmt.Sprintf("worker%d.log", k)))
			}
		}
	}
	for end := time.Now().Add(40 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		short, cancel := context.WithTimeout(ctx, 10*time.Second)
		done, stopped, err := f.Finished(short, "test")
		cancel()
		if done {
			break
		}
		if stopped != "" {
			return errors.New(stopped)
		}
		for k, p := range procs {
			if p.ended(0) {
				return fmt.Errorf("a worker gave up: %s", lastLine(t, fmt.Sprintf("worker%d.log", k)))
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("the campaign does not end: %v", err)
		}
	}
	results, err := f.Fetch(ctx, "test", false)
	if err != nil {
		return err
	}
	var answers int64
	for i, r := range results {
		if recordsJSON(t, r) != want[i] {
			return fmt.Errorf("%s has other records", r.Attack)
		}
		answers += int64(r.Answers)
	}
	if answers != need || v.paid() < need {
		return fmt.Errorf("%d answers, %d paid; one process needs %d", answers, v.paid(), need)
	}
	_, err = f.Audit(ctx, "test")
	return err
}

// lastLine is the last line that a process wrote.
func lastLine(t *testing.T, log string) string {
	b, err := os.ReadFile(filepath.Join(logs(t), log))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
