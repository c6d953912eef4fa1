//go:build linux

package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack/fleet/server"
)

// smallDisk mounts a file system of so many bytes on a new directory, or skips the test
// where it may not.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill writes a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, n := range []int{1 << 16, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, n))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}

// TestFullFileSystem: something else fills the disk of a server while a campaign is under
// way. A single server makes the workers end with an error that says so; with room again
// and started anew, it has lost nothing, and the campaign ends with the records of one
// process. Of a cluster of three the two others go on.
func TestFullFileSystem(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not in -short")
	}
	t.Parallel()
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprintf("one of %d", servers), func(t *testing.T) {
			disk := smallDisk(t, 32<<20)
			v := startVictim(t, victimArgs{Delay: 5 * time.Millisecond})
			file := campaign(t, 6, v.url(), slowly)
			local := *file
			local.Victim.URL, local.Victim.Identity = startVictim(t, victimArgs{}).url(), v.url()
			want, need := undisturbed(t, &local)
			s := startServers(t, servers, func(i int, o *server.Options) {
				if i == 0 {
					o.Dir = filepath.Join(disk, "data")
				}
			})
			ctx := context.Background()
			f := submitted(t, s, file)
			dir := t.TempDir()
			worker := func(i int) *process {
				return start(t, fmt.Sprint("worker", i), "worker", workerArgs{URL: s.url, Name: fmt.Sprint("w", i),
					Journal: filepath.Join(dir, fmt.Sprint(i)), Units: chaosUnits, AckWait: chaosAckWait})
			}
			workers := []*process{worker(0), worker(1)}
			time.Sleep(time.Second)
			ballast := filepath.Join(disk, "ballast")
			fill(t, ballast)
			if servers == 1 {
				for i, p := range workers {
					if !p.ended(30 * time.Second) {
						t.Fatal("a worker goes on with a full disk")
					}
					if line := lastLine(t, fmt.Sprintf("worker%d.log", i)); !strings.Contains(line, "server s0 cannot write") || !strings.Contains(line, "no space left") {
						t.Errorf("a worker ended with %q", line)
					}
				}
			} else {
				finish(t, f, 2*time.Minute)
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			s.procs[0].kill()
			s.start(0)
			if servers == 1 {
				worker(0)
				worker(1)
			}
			finish(t, f, 2*time.Minute)
			intents, answers := same(t, f, want)
			paid := v.paid()
			t.Logf("%d intents, %d answers, %d paid; one process needs %d", intents, answers, paid, need)
			if answers != need || paid < answers || intents < paid || paid-need > int64(2*chaosUnits*chaosBudget) {
				t.Errorf("%d intents, %d answers, %d paid; one process needs %d", intents, answers, paid, need)
			}
			if _, err := f.Audit(ctx, "test"); err != nil {
				t.Error(err)
			}
		})
	}
}
