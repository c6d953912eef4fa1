package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/tensor"
)

// A simCampaign is a campaign without attacks: each unit has calls of so many queries.
type simCampaign struct {
	store Store
	calls [][]int // of each unit
	limit int64

	exclusive bool // a unit is handed to one worker at a time

	mu   sync.Mutex
	paid int64 // by the victim's count
	held []bool
}

const simName = "sim"

func newSim(t testing.TB, s Store, limit int64, calls [][]int) *simCampaign {
	t.Helper()
	err := s.Update(context.Background(), moneyKey(simName), func([]byte) ([]byte, error) {
		return json.Marshal(Money{Limit: limit, Units: len(calls)})
	})
	if err != nil {
		t.Fatal(err)
	}
	return &simCampaign{store: s, calls: calls, limit: limit}
}

func simUnit(i int) unitID {
	return unitID{campaign: simName, index: i, ordinal: i, key: fmt.Sprint("0.", i)}
}

func (c *simCampaign) need() (n int64) {
	for _, u := range c.calls {
		for _, k := range u {
			n += int64(k)
		}
	}
	return n
}

// run is a worker's way through a unit.
func (c *simCampaign) run(ctx context.Context, s Store, random io.Reader, worker string, i int) error {
	id := simUnit(i)
	l, done, err := takeOver(ctx, s, &MemoryObjects{}, nil, random, id, worker)
	if err != nil {
		return err
	}
	if done == nil {
		entries, err := l.Entries(ctx)
		if err != nil {
			return err
		}
		answered := 0
		for _, e := range entries {
			if e.Kind == attack.EntryLabels {
				answered = e.Call + 1
			}
		}
		for k := answered; k < len(c.calls[i]); k++ {
			n := c.calls[i][k]
			if err := l.Append(ctx, attack.Entry{Kind: attack.EntryIntent, Call: k, N: n, Digest: 1}); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return context.Cause(ctx) // killed before it was sent
			}
			c.mu.Lock()
			c.paid += int64(n)
			c.mu.Unlock()
			if err := l.Append(ctx, attack.Entry{Kind: attack.EntryLabels, Call: k, N: n, Labels: make([]int, n)}); err != nil {
				return err
			}
		}
		rec := &attack.Record{Index: i}
		if err := l.Append(ctx, attack.Entry{Kind: attack.EntryDone, Done: rec}); err != nil {
			return err
		}
		done = &doneUnit{record: rec, sent: int(l.spent), answered: int(l.answered)}
	}
	_, err = updateMoney(ctx, s, simName, func(m *Money) (bool, error) { return m.settle(id, done), nil })
	if err != nil {
		return err
	}
	return s.Trim(ctx, id.log(), l.pos)
}

// A flaky store loses requests and acknowledgements by lot.
type flaky struct {
	Store
	share float64
	mu    sync.Mutex
	r     *rand.Rand
}

var errLostOnTheWay = errors.New("no answer")

// lot says whether a request is lost, and whether its acknowledgement is.
func (f *flaky) lot() (request, ack bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.r.Float64() < f.share, f.r.Float64() < f.share
}

func (f *flaky) Append(ctx context.Context, log string, pos uint64, frame []byte) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	request, ack := f.lot()
	if request {
		return 0, errLostOnTheWay
	}
	at, err := f.Store.Append(ctx, log, pos, frame)
	if ack {
		return 0, errLostOnTheWay
	}
	return at, err
}

// Update calls change again after a lost acknowledgement, as stores do.
func (f *flaky) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		request, ack := f.lot()
		if request {
			continue
		}
		if err := f.Store.Update(ctx, key, change); err != nil || !ack {
			return err
		}
	}
}

// intents reads the logs and the settled sums.
func (c *simCampaign) intents(t testing.TB) (sent, answered int64) {
	t.Helper()
	ctx := context.Background()
	for i := range c.calls {
		frames, err := c.store.Read(ctx, simUnit(i).log(), 0)
		if err != nil {
			t.Fatal(err)
		}
		l := &unitLog{objects: &MemoryObjects{}, id: simUnit(i)}
		if _, err := l.replay(ctx, frames); err != nil {
			t.Fatal(err)
		}
		sent += l.spent
		answered += l.answered
	}
	return sent, answered
}

// simulate runs the campaign with workers that are killed by lot, on a store that loses
// requests and acknowledgements, with units that are handed to several workers at a time.
func (c *simCampaign) simulate(t testing.TB, seed uint64, kills int) (stopped string) {
	ctx := context.Background()
	var wg sync.WaitGroup
	var mu sync.Mutex
	left := kills
	c.held = make([]bool, len(c.calls))
	for w := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(w)))
			for {
				m, err := readMoney(ctx, c.store, simName)
				if err != nil {
					t.Error(err)
					return
				}
				if m.Done.count() == m.Units || m.Stopped != "" {
					return
				}
				i := r.IntN(len(c.calls))
				if m.Done.has(i) {
					continue
				}
				mu.Lock()
				if c.exclusive && c.held[i] {
					mu.Unlock()
					time.Sleep(100 * time.Microsecond)
					continue
				}
				c.held[i] = true
				mine, cancel := context.WithCancelCause(ctx)
				if left > 0 {
					left--
					at := r.IntN(60)
					s := &killing{Store: c.store, left: at, kill: func() { cancel(errKilled) }}
					mu.Unlock()
					err = c.run(mine, &flaky{Store: s, share: 0.1, r: r}, nil, fmt.Sprint("w", w), i)
				} else {
					mu.Unlock()
					err = c.run(mine, &flaky{Store: c.store, share: 0.1, r: r}, nil, fmt.Sprint("w", w), i)
				}
				cancel(nil)
				mu.Lock()
				c.held[i] = false
				mu.Unlock()
				switch {
				case err == nil, errors.Is(err, ErrFenced), errors.Is(err, errKilled), errors.Is(err, context.Canceled):
				case errors.Is(err, errNoMoney):
					_, err := updateMoney(ctx, c.store, simName, func(m *Money) (bool, error) {
						if !m.Exhausted() || m.Stopped != "" {
							return false, nil
						}
						m.Stopped = exhausted
						return true, nil
					})
					if err != nil {
						t.Error(err)
						return
					}
				default:
					var s *StoppedError
					if !errors.As(err, &s) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	m, err := readMoney(ctx, c.store, simName)
	if err != nil {
		t.Fatal(err)
	}
	return m.Stopped
}

var errKilled = errors.New("killed")

// killing ends its worker after so many operations.
type killing struct {
	Store
	mu   sync.Mutex
	left int
	kill func()
}

func (k *killing) step() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.left--; k.left <= 0 {
		k.kill()
	}
}

func (k *killing) Append(ctx context.Context, log string, pos uint64, frame []byte) (uint64, error) {
	defer k.step()
	return k.Store.Append(ctx, log, pos, frame)
}

func (k *killing) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	defer k.step()
	return k.Store.Update(ctx, key, change)
}

var long = flag.Bool("long", false, "run the tests that take minutes in full")

// sized is the size of a test, by default and in full.
func sized(short, full uint64) uint64 {
	if *long {
		return full
	}
	return short
}

// simCalls are the calls of units by lot.
func simCalls(r *rand.Rand) [][]int {
	calls := make([][]int, 3+r.IntN(6))
	for i := range calls {
		calls[i] = make([]int, r.IntN(12))
		for k := range calls[i] {
			calls[i][k] = 1 + r.IntN(9)
		}
	}
	calls[0] = append(calls[0], 3)
	return calls
}

// TestSimulated: campaigns whose workers are killed, whose units are handed out twice
// and whose store loses requests and acknowledgements end with every call answered once,
// and answers <= paid <= intents <= limit.
func TestSimulated(t *testing.T) {
	seed := rand.Uint64() >> 32
	t.Logf("seed %d", seed)
	for i := range sized(100, 300) {
		r := rand.New(rand.NewPCG(seed, i))
		c := newSim(t, &Memory{}, 0, simCalls(r))
		if i%2 == 1 { // more than any kills waste
			c = newSim(t, c.store, c.need()+5000, c.calls)
		}
		if why := c.simulate(t, r.Uint64(), 20); why != "" {
			t.Fatalf("campaign %d is stopped: %s", i, why)
		}
		sent, answered := c.intents(t)
		if answered != c.need() || answered > c.paid || c.paid > sent || c.limit > 0 && sent > c.limit {
			t.Fatalf("campaign %d: %d answers, %d paid, %d intents, limit %d; %d are needed", i, answered, c.paid, sent, c.limit, c.need())
		}
		m, err := readMoney(context.Background(), c.store, simName)
		if err != nil {
			t.Fatal(err)
		}
		if m.Settled != sent || m.committed() != sent || len(m.Reserved)+len(m.Waiting) > 0 {
			t.Fatalf("campaign %d: settled %d, committed %d, reserved %v, waiting %v; %d intents", i, m.Settled, m.committed(), m.Reserved, m.Waiting, sent)
		}
	}
}

// TestLimitSwept: with a limit of what is needed a campaign finishes, with one less it
// does not, and it never spends more. After kills it has wasted some; with the limit
// raised by that it finishes, and nothing is stranded: what is left when it stops is less
// than any call that waits needs.
func TestLimitSwept(t *testing.T) {
	seed := rand.Uint64() >> 32
	t.Logf("seed %d", seed)
	ctx := context.Background()
	for i := range sized(25, 150) {
		r := rand.New(rand.NewPCG(seed, i))
		calls := simCalls(r)
		need := (&simCampaign{calls: calls}).need()
		for _, d := range []int64{-need / 2, -1, 0, 1} {
			for _, kills := range []int{0, 10} {
				limit := max(need+d, 1)
				c := newSim(t, &Memory{}, limit, calls)
				c.exclusive = kills == 0
				why := c.simulate(t, r.Uint64(), kills)
				m, err := readMoney(ctx, c.store, simName)
				if err != nil {
					t.Fatal(err)
				}
				sent, _ := c.intents(t)
				if sent > limit || m.committed() > limit || c.paid > sent {
					t.Fatalf("campaign %d: %d paid, %d intents, %d committed, limit %d", i, c.paid, sent, m.committed(), limit)
				}
				if kills == 0 && (why == "") != (limit >= need) {
					t.Fatalf("campaign %d: limit %d, %d are needed: stopped %q", i, limit, need, why)
				}
				if why == "" {
					continue
				}
				left := limit - m.committed()
				for unit, n := range m.Waiting {
					if n <= left {
						t.Fatalf("campaign %d: it is stopped with %d left, and unit %s waits for %d", i, left, unit, n)
					}
				}
				if m.committed() != sent {
					t.Fatalf("campaign %d: it is stopped with %d committed and %d announced: the rest is stranded", i, m.committed(), sent)
				}
				// With as much more as is missing it goes on, and ends exactly there.
				_, answered := c.intents(t)
				c.limit = sent + need - answered
				_, err = updateMoney(ctx, c.store, simName, func(m *Money) (bool, error) {
					m.Limit, m.Stopped, m.Waiting = c.limit, "", nil
					return true, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				c.exclusive = true
				if why := c.simulate(t, r.Uint64(), 0); why != "" {
					t.Fatalf("campaign %d: limit %d after %d were sent and %d answered of %d: %s", i, c.limit, sent, answered, need, why)
				}
				if sent, answered := c.intents(t); sent > c.limit || answered != need {
					t.Fatalf("campaign %d: %d intents, limit %d, %d answers of %d", i, sent, c.limit, answered, need)
				}
			}
		}
	}
}

// Stores that lack what the design rests on, to show that the scenarios below see it.
type (
	// noExpectation appends wherever the log ends.
	noExpectation struct{ Store }
	// noTakeover does not write takeover records.
	noTakeover struct{ Store }
	// lostOnce performs its first append and loses the acknowledgement.
	lostOnce struct {
		Store
		done bool
	}
)

func (s noExpectation) Append(ctx context.Context, log string, pos uint64, frame []byte) (uint64, error) {
	frames, err := s.Read(ctx, log, 0)
	if err != nil {
		return 0, err
	}
	if len(frames) > 0 {
		pos = frames[len(frames)-1].Pos
	}
	return s.Store.Append(ctx, log, pos, frame)
}

func (s noTakeover) Append(ctx context.Context, log string, pos uint64, frame []byte) (uint64, error) {
	if f, err := decodeFrame(frame); err == nil && f.kind == kindTakeover {
		return pos, nil
	}
	return s.Store.Append(ctx, log, pos, frame)
}

func (s *lostOnce) Append(ctx context.Context, log string, pos uint64, frame []byte) (uint64, error) {
	at, err := s.Store.Append(ctx, log, pos, frame)
	if !s.done {
		s.done = true
		return 0, errLostOnTheWay
	}
	return at, err
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func intent(call, n int) attack.Entry {
	return attack.Entry{Kind: attack.EntryIntent, Call: call, N: n, Digest: 9}
}

func answer(call, n int) attack.Entry {
	return attack.Entry{Kind: attack.EntryLabels, Call: call, N: n, Labels: make([]int, n)}
}

// paused: a worker is paused in the middle of a unit, another takes over, and the first
// goes on. It must not announce anything more.
func paused(t *testing.T, s Store, random io.Reader) error {
	ctx := context.Background()
	newSim(t, s, 0, [][]int{{4, 4}})
	a, _, err := takeOver(ctx, s, nil, nil, random, simUnit(0), "a")
	if err != nil {
		return err
	}
	if err := errors.Join(a.Append(ctx, intent(0, 4)), a.Append(ctx, answer(0, 4))); err != nil {
		return err
	}
	b, _, err := takeOver(ctx, s, nil, nil, random, simUnit(0), "b")
	if err != nil {
		return err
	}
	if err := a.Append(ctx, intent(1, 4)); !errors.Is(err, ErrFenced) {
		return fmt.Errorf("the worker that was paused announces a call: %v", err)
	}
	return b.Append(ctx, intent(1, 4))
}

// givesBack: the money of a unit that another worker has taken over is not given back by
// the worker before it, which knows less of what was spent.
func givesBack(t *testing.T, s Store, random io.Reader) error {
	ctx := context.Background()
	const limit = 20
	newSim(t, s, limit, [][]int{{5, 5, 30}, {10}})
	a, _, err := takeOver(ctx, s, nil, nil, random, simUnit(0), "a")
	if err != nil {
		return err
	}
	if err := errors.Join(a.Append(ctx, intent(0, 5)), a.Append(ctx, answer(0, 5))); err != nil {
		return err
	}
	b, _, err := takeOver(ctx, s, nil, nil, random, simUnit(0), "b")
	if err != nil {
		return err
	}
	if err := errors.Join(b.Append(ctx, intent(1, 9)), b.Append(ctx, answer(1, 9))); err != nil {
		return err
	}
	a.Append(ctx, intent(1, 30)) // finds no money, and must not give back what b has spent
	c, _, err := takeOver(ctx, s, nil, nil, random, simUnit(1), "c")
	if err != nil {
		return err
	}
	if err := c.Append(ctx, intent(0, 10)); err == nil {
		return fmt.Errorf("%d queries were announced of %d", 5+9+10, limit)
	}
	return nil
}

// twice: a unit is handed twice to workers of one name, and an acknowledgement is lost.
// Only one may announce.
func twice(t *testing.T, s Store, random io.Reader) error {
	ctx := context.Background()
	newSim(t, s, 0, [][]int{{4}})
	id := simUnit(0)
	// b appends its takeover at the position that a found, before a learns that its own
	// stands there.
	a, _, err := takeOver(ctx, &lostOnce{Store: s}, nil, nil, random, id, "w")
	if err != nil {
		return err
	}
	b := &unitLog{store: s, random: random, id: id}
	if b.random == nil {
		b.random = a.random
	}
	if b.epoch, err = b.append(ctx, kindTakeover, []byte("w")); err == nil {
		err1, err2 := a.Append(ctx, intent(0, 4)), b.Append(ctx, intent(0, 4))
		if err1 == nil && err2 == nil {
			return errors.New("two workers announce the same call, and one announcement is written down")
		}
	} else if !errors.Is(err, ErrFenced) {
		return err
	}
	return nil
}

// TestMutants: the scenarios pass, and each part of the design is missed by one of them.
func TestMutants(t *testing.T) {
	scenarios := map[string]func(*testing.T, Store, io.Reader) error{"paused": paused, "gives back": givesBack, "twice": twice}
	for name, run := range scenarios {
		if err := run(t, &Memory{}, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, m := range []struct {
		name   string
		store  Store
		random io.Reader
		by     string
	}{
		{"without the expected position", noExpectation{&Memory{}}, nil, "paused"},
		{"without the takeover record", noTakeover{&Memory{}}, nil, "paused"},
		{"without the nonce", &Memory{}, zeros{}, "twice"},
	} {
		if err := scenarios[m.by](t, m.store, m.random); err == nil {
			t.Errorf("%s, %q sees nothing", m.name, m.by)
		} else {
			t.Logf("%s: %v", m.name, err)
		}
	}
}

// FuzzFrame: what is no frame is an error, and what is one is encoded as it was.
func FuzzFrame(f *testing.F) {
	f.Add((&logFrame{kind: kindEntry, prev: 7, payload: []byte("payload")}).encode())
	f.Add((&logFrame{kind: kindDone | kindSpilled}).encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := decodeFrame(b)
		if err != nil {
			return
		}
		if again := fr.encode(); !bytes.Equal(again, b) {
			t.Errorf("%x became %x", b, again)
		}
		if fr.kind == kindDone {
			decodeDone(fr.payload)
		}
	})
}

// FuzzSample: what is no sample is an error.
func FuzzSample(f *testing.F) {
	f.Add([]byte("{\"shape\":[1,1,2],\"start\":true}\n0123456701234567"))
	f.Add([]byte("{\"shape\":[4611686018427387904,4]}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decodeSample(b); err == nil {
			again, err := encodeSample(s)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := decodeSample(again); err != nil || back.Label != s.Label {
				t.Errorf("%q: %v", again, err)
			}
		}
	})
}

// TestChain: a log that lacks a frame in the middle, or its beginning, is found out.
func TestChain(t *testing.T) {
	var frames []Frame
	var prev uint64
	for i := range uint64(5) {
		frames = append(frames, Frame{10 * (i + 1), (&logFrame{kind: kindEntry, prev: prev}).encode()})
		prev = 10 * (i + 1)
	}
	if _, err := chain(frames); err != nil {
		t.Error(err)
	}
	for i := range len(frames) - 1 {
		rest := append(append([]Frame{}, frames[:i]...), frames[i+1:]...)
		if _, err := chain(rest); !errors.Is(err, ErrLost) {
			t.Errorf("without frame %d: %v", i, err)
		}
	}
	frames[2].Data[9] ^= 1
	if _, err := chain(frames); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
}

// halfTrimmed shows logs as a reader may see them that is overtaken by a trim: without a
// frame in the middle.
type halfTrimmed struct{ Store }

func (s halfTrimmed) Read(ctx context.Context, log string, after uint64) ([]Frame, error) {
	frames, err := s.Store.Read(ctx, log, after)
	if ended(frames) && len(frames) > 2 {
		frames = slices.Delete(frames, 1, 2)
	}
	return frames, err
}

// TestTrimmedWhileRead: a finished unit whose log is trimmed while somebody reads it has
// lost nothing.
func TestTrimmedWhileRead(t *testing.T) {
	ctx := context.Background()
	s := halfTrimmed{&Memory{}}
	newSim(t, s, 0, [][]int{{4}})
	id := simUnit(0)
	l, _, err := takeOver(ctx, s, nil, nil, nil, id, "w")
	if err != nil {
		t.Fatal(err)
	}
	rec := &attack.Record{Index: 0, Name: "x"}
	if err := errors.Join(l.Append(ctx, intent(0, 4)), l.Append(ctx, answer(0, 4)), l.Append(ctx, attack.Entry{Kind: attack.EntryDone, Done: rec})); err != nil {
		t.Fatal(err)
	}
	f := &Fleet{Store: s}
	if done, err := f.readRecord(ctx, id); err != nil || done.record.Name != "x" || done.sent != 4 || done.answered != 4 {
		t.Errorf("the record: %+v, %v", done, err)
	}
	var a Audit
	if err := f.auditUnit(ctx, id, &a); err != nil || a != (Audit{Intents: 4, Answers: 4, Done: 1}) {
		t.Errorf("audit: %+v, %v", a, err)
	}
	if _, done, err := takeOver(ctx, s, nil, nil, nil, id, "v"); err != nil || done == nil {
		t.Errorf("taken over: %v, %v", done, err)
	}
}

// TestLargeRecords: an adversarial clip that is larger than a message of the servers comes
// back from the object store, and without its object the record counts as lost.
func TestLargeRecords(t *testing.T) {
	ctx := context.Background()
	s, o := &Memory{}, &MemoryObjects{}
	newSim(t, s, 0, [][]int{{4}})
	id := simUnit(0)
	l, _, err := takeOver(ctx, s, o, nil, nil, id, "w")
	if err != nil {
		t.Fatal(err)
	}
	x := tensor.New(16, 3, 112, 112)
	for i := range x.Data() {
		x.Data()[i] = float32(i%251) / 250
	}
	rec := &attack.Record{Name: "x"}
	if rec.Adversarial, err = attack.NewPixels(x, tensor.F32); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Append(ctx, intent(0, 4)), l.Append(ctx, answer(0, 4)), l.Append(ctx, attack.Entry{Kind: attack.EntryDone, Done: rec})); err != nil {
		t.Fatal(err)
	}
	frames, err := s.Read(ctx, id.log(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fr := range frames {
		if len(fr.Data) > spillAt+100 {
			t.Errorf("a frame of %d bytes", len(fr.Data))
		}
	}
	done, err := (&Fleet{Store: s, Objects: o}).readRecord(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(done.record.Adversarial.Data, rec.Adversarial.Data) || done.record.Name != "x" || done.sent != 4 {
		t.Errorf("another record came back: %s, %d sent, %d bytes", done.record.Name, done.sent, len(done.record.Adversarial.Data))
	}
	if _, err := (&Fleet{Store: s, Objects: &MemoryObjects{}}).readRecord(ctx, id); !errors.Is(err, ErrLost) {
		t.Errorf("without the object: %v", err)
	}
}
