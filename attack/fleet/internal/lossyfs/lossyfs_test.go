//go:build linux

package lossyfs

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLosePower: what was flushed is there after a loss of power, and nothing else.
func TestLosePower(t *testing.T) {
	f := Mount(t)
	path := filepath.Join(f.Dir, "a")
	write := func(flags int, off int64, s string, sync bool) {
		t.Helper()
		h, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|flags, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.WriteAt([]byte(s), off); err != nil {
			t.Fatal(err)
		}
		if sync {
			if err := h.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want string) {
		t.Helper()
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Fatalf("the file holds %q, %v; want %q", b, err, want)
		}
	}
	lose := func(want int) {
		t.Helper()
		if n, err := f.LosePower(); err != nil || n != want {
			t.Fatalf("%d writes are gone, %v; want %d", n, err, want)
		}
	}
	write(0, 0, "hello", false)
	check("hello")
	lose(1)
	check("")
	write(0, 0, "hello", true)
	write(0, 3, "p me", false)
	write(0, 0, "H", false)
	check("Help me")
	lose(2)
	check("hello")
	write(os.O_SYNC, 0, "J", false)
	lose(0)
	check("Jello")
	if err := os.Truncate(path, 2); err != nil {
		t.Fatal(err)
	}
	check("Je")
	lose(1)
	check("Jello")
}
