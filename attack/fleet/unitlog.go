package fleet

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mettleml/mettle/attack"
)

// A unitLog is the [attack.Log] of a unit that this worker has taken over: until another
// does, it alone can append, and so announce queries.
type unitLog struct {
	store   Store
	objects Objects
	journal *Journal // nil: none
	random  io.Reader
	id      unitID

	entries   []attack.Entry // what was there
	takeovers int            // that were there

	mu       sync.Mutex
	pos      uint64
	epoch    uint64 // position of our takeover record
	known    bool   // whether the money document knows the epoch
	granted  int64
	spent    int64
	answered int64

	inherited int64        // of spent, what stood there at the takeover
	shown     atomic.Int64 // spent, for who must not wait
	err       error        // of the first append that failed: the log is of no use after it
}

// A doneUnit is a unit whose record is stored.
type doneUnit struct {
	record         *attack.Record
	seconds        float64
	sent, answered int
}

// errNoMoney says that a unit has to wait for money.
var errNoMoney = errors.New("no queries are left for now")

// takeOver makes this worker the owner of a unit. It returns done instead if the unit's
// record is there.
func takeOver(ctx context.Context, s Store, o Objects, j *Journal, random io.Reader, id unitID, worker string) (l *unitLog, done *doneUnit, err error) {
	l = &unitLog{store: s, objects: o, journal: j, random: random, id: id}
	if l.random == nil {
		l.random = rand.Reader
	}
	var frames []Frame
	var remembered memories
	for try := 0; ; try++ {
		more, err := readAll(ctx, s, id.log(), l.pos)
		if err != nil {
			return nil, nil, err
		}
		frames = append(frames, more...)
		remembered = j.recall(id.log())
		if len(frames) > 0 {
			l.pos = frames[len(frames)-1].Pos
		}
		if ended(frames) {
			break
		}
		l.epoch, err = l.append(ctx, kindTakeover, []byte(worker))
		if err == nil {
			break
		}
		if !errors.Is(err, ErrFenced) || ctx.Err() != nil {
			return nil, nil, err
		}
		if err := Pause(ctx, try); err != nil {
			return nil, nil, err
		}
	}
	// Only now: a server that has fallen behind may not show all that is there, but then
	// nobody can append behind what it shows.
	if err := remembered.compare(id.log(), frames); err != nil {
		return nil, nil, err
	}
	if done, err = l.replay(ctx, frames); err != nil {
		return nil, nil, err
	}
	l.inherited = l.spent
	return l, done, nil
}

// replay takes in the frames that the log consists of. It returns the unit's record if
// they end with it.
func (l *unitLog) replay(ctx context.Context, frames []Frame) (done *doneUnit, err error) {
	parts, err := chain(frames)
	for i := 0; err == nil && i < len(parts); i++ {
		if done != nil {
			err = errors.New("something follows the record")
			break
		}
		if parts[i].kind == kindTakeover {
			l.takeovers++
		}
		done, err = l.take(ctx, &parts[i])
	}
	if err != nil {
		return nil, fmt.Errorf("fleet: log %s: %w", l.id.log(), err)
	}
	if done != nil {
		l.spent, l.answered = int64(done.sent), int64(done.answered)
	}
	return done, nil
}

// take takes in a frame that is there.
func (l *unitLog) take(ctx context.Context, f *logFrame) (*doneUnit, error) {
	payload := f.payload
	if f.kind&kindSpilled != 0 {
		var err error
		if payload, err = l.objects.Get(ctx, string(payload)); err != nil {
			return nil, err
		}
	}
	switch f.kind &^ kindSpilled {
	case kindEntry:
		var e attack.Entry
		if err := e.UnmarshalBinary(payload); err != nil {
			return nil, err
		}
		l.count(&e)
		l.entries = append(l.entries, e)
	case kindDone:
		return decodeDone(payload)
	}
	return nil, nil
}

// count books what an entry tells of.
func (l *unitLog) count(e *attack.Entry) {
	l.spent += e.Sent()
	l.shown.Store(l.spent)
	l.answered += e.Answered()
}

func decodeDone(b []byte) (*doneUnit, error) {
	if len(b) < 16 {
		return nil, errFrame
	}
	var e attack.Entry
	if err := e.UnmarshalBinary(b[16:]); err != nil {
		return nil, err
	}
	if e.Kind != attack.EntryDone {
		return nil, errFrame
	}
	e.Done.Seconds = e.Seconds
	return &doneUnit{record: e.Done, seconds: e.Seconds, sent: int(binary.LittleEndian.Uint64(b)), answered: int(binary.LittleEndian.Uint64(b[8:]))}, nil
}

// Entries implements attack.Log.
func (l *unitLog) Entries(context.Context) ([]attack.Entry, error) {
	e := l.entries
	l.entries = nil
	return e, nil
}

// Append implements attack.Log: a query is announced only if there is money for it.
func (l *unitLog) Append(ctx context.Context, e attack.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if n := e.Sent(); n > 0 {
		if err := l.reserve(ctx, n); err != nil {
			return err
		}
	}
	var payload []byte
	kind := kindEntry
	if e.Kind == attack.EntryDone {
		kind = kindDone
		payload = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(payload, uint64(l.spent)), uint64(l.answered))
	}
	payload, err := e.AppendBinary(payload)
	if err != nil {
		return fmt.Errorf("fleet: log %s: %w", l.id.log(), err)
	}
	if len(payload) > spillAt {
		name, err := l.objects.Put(ctx, payload)
		if err != nil {
			return err
		}
		kind, payload = kind|kindSpilled, []byte(name)
	}
	if _, err := l.append(ctx, kind, payload); err != nil {
		l.err = err
		return err
	}
	l.count(&e)
	return nil
}

// spillAt is the size from which a payload goes to the object store: a message of NATS
// holds 1 MiB by default.
const spillAt = 256 << 10

// reserve makes sure that n queries may be announced.
func (l *unitLog) reserve(ctx context.Context, n int64) error {
	if l.known && l.granted >= l.spent+n {
		return nil
	}
	var granted int64
	m, err := updateMoney(ctx, l.store, l.id.campaign, func(m *Money) (changed bool, err error) {
		if m.Stopped != "" {
			return false, &StoppedError{l.id.campaign, m.Stopped}
		}
		granted, changed, err = m.reserve(l.id, l.epoch, l.spent, n)
		return changed, err
	})
	if err != nil {
		return err
	}
	if granted == 0 {
		l.known = false
		return fmt.Errorf("unit %s needs %d of %d: %w", l.id.key, n, m.Limit, errNoMoney)
	}
	l.known, l.granted = true, granted
	return nil
}

// StoppedError says why a campaign was stopped.
type StoppedError struct{ Campaign, Why string }

func (e *StoppedError) Error() string {
	return fmt.Sprintf("fleet: campaign %s is stopped: %s", e.Campaign, e.Why)
}

// append appends a frame and keeps it in the journal. A frame whose acknowledgement was
// lost is known again by its nonce.
func (l *unitLog) append(ctx context.Context, kind frameKind, payload []byte) (uint64, error) {
	f := logFrame{kind: kind, prev: l.pos, payload: payload}
	if _, err := io.ReadFull(l.random, f.nonce[:]); err != nil {
		return 0, err
	}
	b := f.encode()
	pos, err := appendSurely(ctx, l.store, l.id.log(), l.pos, b)
	if err != nil {
		return 0, err
	}
	if l.journal != nil {
		if err := l.journal.add(l.id.log(), pos, b, kind&^kindSpilled == kindDone); err != nil {
			return 0, err
		}
	}
	l.pos = pos
	return pos, nil
}

// appendSurely appends a frame, as often as it takes to know whether it stands there.
func appendSurely(ctx context.Context, s Store, log string, pos uint64, frame []byte) (uint64, error) {
	var since time.Time // the log has seemed to end before pos
	for try := 0; ; try++ {
		at, err := s.Append(ctx, log, pos, frame)
		if err == nil {
			return at, nil
		}
		if errors.Is(err, ErrFenced) { // by another, or by this frame, sent before
			after, rerr := s.Read(ctx, log, pos)
			switch {
			case rerr != nil:
				err = rerr
			case len(after) > 0 && bytes.Equal(after[0].Data, frame):
				return after[0].Pos, nil
			case len(after) > 0:
				return 0, err
			case since.IsZero():
				since = time.Now()
			case time.Since(since) > behind:
				return 0, fmt.Errorf("fleet: log %s ends before position %d, which was acknowledged: %w", log, pos, ErrLost)
			}
		}
		if !transient(err) && !errors.Is(err, ErrFenced) {
			return 0, err
		}
		if perr := Pause(ctx, try); perr != nil {
			return 0, fmt.Errorf("fleet: log %s: %w", log, errors.Join(perr, err))
		}
	}
}

// readAll reads a log, as often as it takes.
func readAll(ctx context.Context, s Store, log string, after uint64) (frames []Frame, err error) {
	err = Surely(ctx, func() error {
		frames, err = s.Read(ctx, log, after)
		return err
	})
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("fleet: log %s: %w", log, err)
	}
	return frames, err
}

// Surely calls f until it succeeds or fails in a way that another try does not mend, with
// pauses in between. It is for requests to a [Store] that may be made twice.
func Surely(ctx context.Context, f func() error) error {
	for try := 0; ; try++ {
		err := f()
		if err == nil || !transient(err) {
			return err
		}
		if perr := Pause(ctx, try); perr != nil {
			return errors.Join(perr, err)
		}
	}
}

// Pause waits before try number try+1 of what failed: longer each time, up to half a second,
// and never as long as others do. It is for stores.
func Pause(ctx context.Context, try int) error {
	most := min(2*time.Millisecond<<min(try, 10), 500*time.Millisecond)
	select {
	case <-time.After(jitter(most)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sent is how many queries were sent, in all and since the takeover.
func (l *unitLog) sent() (all, fresh int64) {
	n := l.shown.Load()
	return n, n - l.inherited
}
