package fleet

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestJournal: what was added is there when a journal is opened again, and of a finished
// log only its end; a record cut short at the end is dropped, and a damaged one before it
// is an error; a directory holds a journal for each worker.
func TestJournal(t *testing.T) {
	dir := t.TempDir()
	open := func() *Journal {
		t.Helper()
		j, err := OpenJournal(dir)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	j := open()
	path := filepath.Join(dir, "worker-0.journal")
	frame := func(i byte) []byte { return []byte{i, 7} }
	for i := range byte(4) {
		if err := errors.Join(j.add("a.0.0", uint64(i)+1, frame(i), false), j.add("a.0.1", uint64(i)+9, frame(i), i == 3)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || strings.Count(string(b), "a.0.") != 2*(int(i)+1) {
			t.Fatalf("after %d frames of two logs: %q, %v", i+1, b, err)
		}
	}
	other := open()
	if other.path == j.path || len(other.logs()) > 0 {
		t.Errorf("a second worker has the journal at %s with %v", other.path, other.logs())
	}
	if err := errors.Join(other.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	held := j.held
	if len(held["a.0.0"]) != 4 || len(held["a.0.1"]) != 1 {
		t.Fatalf("held: %v", held)
	}
	j = open()
	if j.path != path || !reflect.DeepEqual(j.held, held) {
		t.Errorf("opened again: %v at %s, want %v", j.held, j.path, held)
	}
	j.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, frames := range held {
		n += len(frames)
	}
	for cut := 1; cut < 24; cut++ { // the last record has 24 bytes
		j := &Journal{held: map[string][]journaled{}}
		if err := j.read(whole[:len(whole)-cut]); err != nil {
			t.Errorf("cut short by %d bytes: %v", cut, err)
		}
		got := 0
		for _, frames := range j.held {
			got += len(frames)
		}
		if got != n-1 {
			t.Errorf("cut short by %d bytes: %d frames, want %d", cut, got, n-1)
		}
	}
	for _, at := range []int{0, len(journalMagic) + 4, len(journalMagic) + 12, len(journalMagic) + 16} {
		b := append([]byte(nil), whole...)
		b[at] ^= 1
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if j, err := OpenJournal(dir); err == nil {
			j.Close()
			t.Errorf("byte %d differs, and nothing is said", at)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("byte %d differs: %v", at, err)
		}
	}
}

// TestJournalCompares: a log that lacks a remembered frame, or has another in its place,
// has lost it; one that was trimmed to its record has not.
func TestJournalCompares(t *testing.T) {
	entry := func(n byte) []byte { return (&logFrame{kind: kindEntry, payload: []byte{n}}).encode() }
	done := (&logFrame{kind: kindDone | kindSpilled}).encode()
	dir := t.TempDir()
	j, err := OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := errors.Join(j.add("l", 3, entry(3), false), j.add("l", 5, entry(5), false)); err != nil {
		t.Fatal(err)
	}
	m := j.recall("l")
	for _, c := range []struct {
		name   string
		frames []Frame
		lost   bool
	}{
		{"all", []Frame{{3, entry(3)}, {5, entry(5)}}, false},
		{"more", []Frame{{2, entry(2)}, {3, entry(3)}, {5, entry(5)}, {8, entry(8)}}, false},
		{"nothing", nil, true},
		{"the first only", []Frame{{3, entry(3)}}, true},
		{"the last only", []Frame{{5, entry(5)}}, true},
		{"another", []Frame{{3, entry(3)}, {5, entry(6)}}, true},
		{"trimmed", []Frame{{8, done}}, false},
		{"trimmed in part", []Frame{{5, entry(5)}, {8, done}}, false},
		{"another, trimmed", []Frame{{5, entry(6)}, {8, done}}, true},
		{"a record before what is remembered", []Frame{{4, done}}, true},
	} {
		if err := m.compare("l", c.frames); errors.Is(err, ErrLost) != c.lost || !c.lost && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	var none *Journal
	if err := none.recall("l").compare("l", nil); err != nil {
		t.Error(err)
	}
}

// FuzzJournal: what is read is read again from what is written of it.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(journalMagic))
	f.Add(journaled{5, 6, true}.record(journaled{1, 2, false}.record([]byte(journalMagic), "a.0.0"), "a.0.0"))
	f.Add([]byte("mettle"))
	f.Fuzz(func(t *testing.T, b []byte) {
		j := &Journal{held: map[string][]journaled{}}
		if j.read(b) != nil {
			return
		}
		again := []byte(journalMagic)
		for log, frames := range j.held {
			for _, f := range frames {
				again = f.record(again, log)
			}
		}
		k := &Journal{held: map[string][]journaled{}}
		if err := k.read(again); err != nil || !reflect.DeepEqual(k.held, j.held) {
			t.Errorf("%v became %v, %v", j.held, k.held, err)
		}
	})
}
