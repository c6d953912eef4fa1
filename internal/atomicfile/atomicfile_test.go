package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func write(content string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}
}

// only checks that dir holds exactly one file, path, with the given content.
func only(t *testing.T, path, content string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != content {
		t.Errorf("content %q (%v), want %q", got, err, content)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("directory holds %v (%v), want one file", entries, err)
	}
}

func TestWriteJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	if err := WriteJSON(path, map[string]int{"b": 2}); err != nil {
		t.Fatal(err)
	}
	only(t, path, "{\n  \"b\": 2\n}\n")
	if err := WriteJSON(path, func() {}); err == nil {
		t.Error("a function has JSON")
	}
	only(t, path, "{\n  \"b\": 2\n}\n")
}

func TestWriteCreatesAndReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	for _, content := range []string{"first", "second, longer", ""} {
		if err := Write(path, write(content)); err != nil {
			t.Fatal(err)
		}
		only(t, path, content)
	}
}

func TestFailureKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := Write(path, write("old")); err != nil {
		t.Fatal(err)
	}
	want := errors.New("no more")
	err := Write(path, func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 1<<18)); err != nil {
			return err
		}
		return want
	})
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	only(t, path, "old")
}

func TestModeAndLinkSurvive(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "js" {
		t.Skip("permissions and links as on Unix")
	}
	real := filepath.Join(t.TempDir(), "a")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.WriteFile(real, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if err := Write(link, write("new")); err != nil {
		t.Fatal(err)
	}
	only(t, real, "new")
	info, err := os.Stat(real)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v (%v), want 0640", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link became %v (%v)", info.Mode(), err)
	}
}

// A reader that has the old file open keeps it whole.
func TestReadersKeepTheOldFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("open files cannot be replaced")
	}
	path := filepath.Join(t.TempDir(), "a")
	if err := WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := WriteFile(path, []byte("something new")); err != nil {
		t.Fatal(err)
	}
	only(t, path, "something new")
	if b, err := io.ReadAll(f); err != nil || string(b) != "old" {
		t.Errorf("the reader has %q (%v)", b, err)
	}
}

// Devices and pipes are written to and stay what they are; a full disk is an error.
func TestSpecialFiles(t *testing.T) {
	for path, works := range map[string]bool{os.DevNull: true, "/dev/full": false} {
		before, err := os.Stat(path)
		if err != nil {
			continue // not on this system
		}
		if err := WriteFile(path, []byte("x")); (err == nil) != works {
			t.Errorf("%s: %v", path, err)
		}
		if err := Check(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if after, err := os.Stat(path); err != nil || after.Mode() != before.Mode() {
			t.Errorf("%s became %v (%v)", path, after.Mode(), err)
		}
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := Check(path); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("directory holds %v (%v), want nothing", entries, err)
	}
	if err := WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err != nil {
		t.Error(err)
	}
	only(t, path, "old")
	for _, bad := range []string{filepath.Join(dir, "no", "a"), dir, filepath.Join(path, "below")} {
		if err := Check(bad); err == nil {
			t.Errorf("no error for %s", bad)
		}
	}
}

func TestMissingDirectory(t *testing.T) {
	if err := Write(filepath.Join(t.TempDir(), "no", "a"), write("x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one that says the directory is missing", err)
	}
}
