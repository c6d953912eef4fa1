// Package storetest checks that a store keeps to the contract of [fleet.Store].
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack/fleet"
)

// Run checks a store that is empty, or that holds nothing under names that begin with the
// test's.
func Run(t *testing.T, s fleet.Store) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s = patient{s}
	t.Run("log", func(t *testing.T) { logs(ctx, t, s) })
	t.Run("race", func(t *testing.T) { race(ctx, t, s) })
	t.Run("documents", func(t *testing.T) { documents(ctx, t, s) })
	t.Run("contention", func(t *testing.T) { contention(ctx, t, s) })
	t.Run("time", func(t *testing.T) { clock(ctx, t, s) })
}

// patient tries a request again where the store does not know its outcome, such as while
// its servers elect who leads them.
type patient struct{ fleet.Store }

func (p patient) Read(ctx context.Context, log string, after uint64) (frames []fleet.Frame, err error) {
	err = fleet.Surely(ctx, func() error {
		frames, err = p.Store.Read(ctx, log, after)
		return err
	})
	return frames, err
}

func (p patient) Append(ctx context.Context, log string, pos uint64, frame []byte) (at uint64, err error) {
	open := false // an earlier try may have added the frame
	err = fleet.Surely(ctx, func() error {
		at, err = p.Store.Append(ctx, log, pos, frame)
		if open && errors.Is(err, fleet.ErrFenced) {
			after, rerr := p.Store.Read(ctx, log, pos)
			if rerr != nil {
				return rerr
			}
			if len(after) > 0 && bytes.Equal(after[0].Data, frame) {
				at, err = after[0].Pos, nil
			}
		}
		open = err != nil
		return err
	})
	return at, err
}

func (p patient) Trim(ctx context.Context, log string, pos uint64) error {
	return fleet.Surely(ctx, func() error { return p.Store.Trim(ctx, log, pos) })
}

func (p patient) Documents(ctx context.Context, prefix string) (keys []string, err error) {
	err = fleet.Surely(ctx, func() error {
		keys, err = p.Store.Documents(ctx, prefix)
		return err
	})
	return keys, err
}

func (p patient) Now(ctx context.Context) (now time.Time, err error) {
	err = fleet.Surely(ctx, func() error {
		now, err = p.Store.Now(ctx)
		return err
	})
	return now, err
}

func logs(ctx context.Context, t *testing.T, s fleet.Store) {
	if frames, err := s.Read(ctx, "a.0.0", 0); err != nil || len(frames) > 0 {
		t.Fatalf("an empty log: %v, %v", frames, err)
	}
	var want []fleet.Frame
	var pos uint64
	for i := range 40 { // more than a store may read one by one
		b := bytes.Repeat([]byte{byte(i)}, i*i)
		at, err := s.Append(ctx, "a.0.0", pos, b)
		if err != nil {
			t.Fatal(err)
		}
		if at <= pos {
			t.Fatalf("position %d follows %d", at, pos)
		}
		pos = at
		want = append(want, fleet.Frame{Pos: at, Data: b})
		if i%7 == 0 { // other logs have positions of their own
			if _, err := s.Append(ctx, "a.0."+strconv.Itoa(i+1), 0, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, wrong := range []uint64{0, want[38].Pos, pos + 1, pos + 1000} {
		if _, err := s.Append(ctx, "a.0.0", wrong, []byte("wrong")); !errors.Is(err, fleet.ErrFenced) {
			t.Errorf("append behind %d, where the log ends at %d: %v", wrong, pos, err)
		}
	}
	for _, from := range []int{0, 1, 20, 35, 39, 40} {
		var after uint64
		if from > 0 {
			after = want[from-1].Pos
		}
		same(ctx, t, s, after, want[from:])
	}
	if err := s.Trim(ctx, "a.0.0", want[39].Pos); err != nil {
		t.Fatal(err)
	}
	same(ctx, t, s, 0, want[39:])
	if at, err := s.Append(ctx, "a.0.0", pos, []byte("more")); err != nil || at <= pos {
		t.Errorf("append to a trimmed log: %d, %v", at, err)
	}
	if frames, err := s.Read(ctx, "a.0.1", 0); err != nil || len(frames) != 1 {
		t.Errorf("another log: %d frames, %v", len(frames), err)
	}
}

func same(ctx context.Context, t *testing.T, s fleet.Store, after uint64, want []fleet.Frame) {
	t.Helper()
	got, err := s.Read(ctx, "a.0.0", after)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("behind %d: %d frames, want %d", after, len(got), len(want))
	}
	for i := range want {
		if got[i].Pos != want[i].Pos || !bytes.Equal(got[i].Data, want[i].Data) {
			t.Fatalf("behind %d: frame %d is at %d with %d bytes, want %d with %d", after, i, got[i].Pos, len(got[i].Data), want[i].Pos, len(want[i].Data))
		}
	}
}

// race: of those that append at one position, one succeeds.
func race(ctx context.Context, t *testing.T, s fleet.Store) {
	for round := range 10 {
		log := fmt.Sprintf("race.0.%d", round)
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 8 {
			wg.Go(func() {
				_, err := s.Append(ctx, log, 0, []byte{byte(i)})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case !errors.Is(err, fleet.ErrFenced):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		frames, err := s.Read(ctx, log, 0)
		if err != nil || won != 1 || len(frames) != 1 {
			t.Fatalf("%d of 8 appended at one position, and %d frames are there: %v", won, len(frames), err)
		}
	}
}

func documents(ctx context.Context, t *testing.T, s fleet.Store) {
	set := func(key, v string) {
		t.Helper()
		if err := s.Update(ctx, key, func([]byte) ([]byte, error) { return []byte(v), nil }); err != nil {
			t.Fatal(err)
		}
	}
	get := func(key string) (v string) {
		t.Helper()
		if err := s.Update(ctx, key, func(old []byte) ([]byte, error) { v = string(old); return nil, nil }); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if got := get("doc.a"); got != "" {
		t.Errorf("a document that is not there: %q", got)
	}
	set("doc.a", "1")
	set("doc.a", "2")
	set("doc.b", "3")
	set("dog.c", "4")
	if a, b := get("doc.a"), get("doc.b"); a != "2" || b != "3" {
		t.Errorf("documents %q, %q", a, b)
	}
	keys, err := s.Documents(ctx, "doc.")
	if err != nil || fmt.Sprint(keys) != "[doc.a doc.b]" {
		t.Errorf("documents: %v, %v", keys, err)
	}
	no := errors.New("no")
	if err := s.Update(ctx, "doc.a", func([]byte) ([]byte, error) { return []byte("5"), no }); !errors.Is(err, no) || get("doc.a") != "2" {
		t.Errorf("a change that fails: %v, and the document is %q", err, get("doc.a"))
	}
}

// contention: no change of many writers is lost, and none starves.
func contention(ctx context.Context, t *testing.T, s fleet.Store) {
	const writers, each = 6, 15
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				err := s.Update(ctx, "count", func(old []byte) ([]byte, error) {
					n, _ := strconv.Atoi(string(old))
					return []byte(strconv.Itoa(n + 1)), nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	var got string
	if err := s.Update(ctx, "count", func(old []byte) ([]byte, error) { got = string(old); return nil, nil }); err != nil || got != strconv.Itoa(writers*each) {
		t.Errorf("%d writers counted %d times each to %s: %v", writers, each, got, err)
	}
}

func clock(ctx context.Context, t *testing.T, s fleet.Store) {
	a, err := s.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	b, err := s.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if d := b.Sub(a); d < 20*time.Millisecond || d > 10*time.Second {
		t.Errorf("the clock went %v in 20 ms and two requests", d)
	}
}
