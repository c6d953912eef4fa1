package atomicfile

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFullDisk runs itself in a process that may write 64 KiB to a file, which
// fails at the write as a full disk does.
func TestFullDisk(t *testing.T) {
	if path := os.Getenv("ATOMICFILE_FULL"); path != "" {
		signal.Ignore(syscall.SIGXFSZ)
		limit := syscall.Rlimit{Cur: 1 << 16, Max: 1 << 16}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		err := Write(path, func(w io.Writer) error {
			_, err := w.Write(make([]byte, 1<<20))
			return err
		})
		if err == nil {
			t.Fatal("no error from a full disk")
		}
		return
	}
	path := filepath.Join(t.TempDir(), "a")
	if err := Write(path, write("old")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
	cmd.Env = append(os.Environ(), "ATOMICFILE_FULL="+path)
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.ENOEXEC) {
		t.Skip("the test runs in an emulator and cannot start itself")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	only(t, path, "old")
}
