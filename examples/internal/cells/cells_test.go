package cells

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mettleml/mettle/internal/kernel"
)

type key struct {
	Name string
	N    int
}

func TestGet(t *testing.T) {
	s := Store{Dir: filepath.Join(t.TempDir(), "cells")}
	made := 0
	get := func(s Store, k key, fail error) (int, error) {
		return Get(s, k.Name, k, func() (int, error) {
			made++
			return 10 * k.N, fail
		})
	}
	one := key{"one", 1}
	if _, err := get(Store{Dir: s.Dir, Cached: true}, one, nil); !errors.Is(err, ErrNotRun) || made > 0 {
		t.Fatalf("cached: %v after %d", err, made)
	}
	failed := errors.New("failed")
	if _, err := get(s, one, failed); !errors.Is(err, failed) {
		t.Fatalf("error %v", err)
	}
	for range 2 { // a failure is not kept, a value is
		if v, err := get(s, one, nil); v != 10 || err != nil {
			t.Fatalf("%v, %v", v, err)
		}
	}
	if v, err := get(s, key{"one", 2}, nil); v != 20 || err != nil || made != 3 {
		t.Fatalf("another key: %v, %v after %d", v, err, made)
	}
	if v, err := get(Store{Dir: s.Dir, Cached: true}, one, nil); v != 10 || err != nil || made != 3 {
		t.Fatalf("cached: %v, %v after %d", v, err, made)
	}
	name, err := Name(one.Name, one)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Dir, name+".json")
	if err := os.WriteFile(path, []byte(`{"Value"`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := get(s, one, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a broken file: %v", err)
	}
	// The names of cells that experiments keep.
	text := fmt.Sprintf(`{"Kernel":%q,"Arch":%q,"Go":%q,"Key":{"Name":"one","N":1}}`, kernel.Active().Name, runtime.GOARCH, runtime.Version())
	if want := fmt.Sprintf("one-%x", sha256.Sum256([]byte(text)))[:20]; name != want {
		t.Errorf("a cell is called %s, was %s", name, want)
	}
	if _, err := Name("f", func() {}); err == nil {
		t.Error("a key without JSON has a name")
	}
}
