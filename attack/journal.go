package attack

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/mettleml/mettle/internal/filelock"
	"github.com/mettleml/mettle/internal/kernel"
)

// A Journal is an append-only file that keeps the logs of a campaign's samples. It
// begins with a line of text; then come frames: the length and the CRC-32C of a payload,
// 4 bytes each, little-endian, and the payload. The first byte of a payload is its kind:
//
//	H  the fingerprint of the plan (JSON)
//	R  the campaign was resumed
//	T  totals of what was dropped: queries sent and answered, resumptions (uint64 each)
//	U  an entry of a sample: its number (uint32), and the entry ([Entry.AppendBinary])
//
// A kill may leave an incomplete frame at the end of the file; it is dropped. Once a sample
// is finished only its record is needed. When the other entries make up most of a large
// file, the journal rewrites the file without them.
type Journal struct {
	path string
	sync bool

	mu   sync.Mutex
	f    *os.File
	size int64
	buf  []byte
	err  error // of the first failed write; the journal is of no use after it

	total totals
	logs  map[int][]Entry // what the file held when it was opened, until it is asked for
	live  map[int]totals  // of the entries of samples that are not finished
	dead  int64           // bytes of the entries of finished samples but for their records
}

// totals are what entries come to.
type totals struct{ sent, answered, resumed, bytes int64 }

func (t totals) plus(u totals) totals {
	return totals{t.sent + u.sent, t.answered + u.answered, t.resumed + u.resumed, t.bytes + u.bytes}
}

const (
	journalMagic = "mettle journal 2\n"
	frameHead    = 8
	maxFrame     = 1 << 30
	// compactAt is the least number of useless bytes for which a journal is written anew.
	compactAt = 4 << 20
)

// A JournalError says why and at which byte a journal cannot be used.
type JournalError struct {
	Path   string
	Offset int64
	Why    string
}

func (e *JournalError) Error() string {
	return fmt.Sprintf("attack: journal %s, byte %d: %s", e.Path, e.Offset, e.Why)
}

// OpenJournal opens or creates the journal at path for a plan, reads its entries, and drops
// an incomplete last frame. It is an error if the file was written for a plan of another
// fingerprint; the error names what differs. The file is locked until Close (except on js,
// wasip1, plan9, aix and solaris). With fsync the file is flushed to the disk at every
// entry, and its directory when the file is created.
func OpenJournal(path string, p *Plan, fsync bool) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("attack: journal: %w", err)
	}
	if err := filelock.Lock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("attack: journal %s: %w", path, err)
	}
	j := newJournal(path, f, fsync)
	if err := j.load(p.Fingerprint); err != nil {
		j.f.Close()
		return nil, err
	}
	return j, nil
}

func newJournal(path string, f *os.File, fsync bool) *Journal {
	return &Journal{path: path, f: f, sync: fsync, logs: map[int][]Entry{}, live: map[int]totals{}}
}

func (j *Journal) load(print Fingerprint) error {
	info, err := j.f.Stat()
	if err != nil {
		return fmt.Errorf("attack: journal: %w", err)
	}
	head, err := json.Marshal(print)
	if err != nil {
		return fmt.Errorf("attack: journal: %w", err)
	}
	end, why := j.read(bufio.NewReaderSize(j.f, 1<<16), info.Size(), print.matches)
	if why != nil {
		return &JournalError{j.path, end, why.Error()}
	}
	if err := j.f.Truncate(end); err != nil {
		return fmt.Errorf("attack: journal: %w", err)
	}
	if _, err := j.f.Seek(end, io.SeekStart); err != nil {
		return fmt.Errorf("attack: journal: %w", err)
	}
	j.size = end
	if end == 0 {
		if _, err := j.f.WriteString(journalMagic); err != nil {
			return fmt.Errorf("attack: journal: %w", err)
		}
		j.size = int64(len(journalMagic))
		if err := j.write(append([]byte{'H'}, head...)); err != nil || !j.sync {
			return err
		}
		return syncDir(filepath.Dir(j.path))
	}
	j.total.resumed++
	return j.write([]byte{'R'})
}

// syncDir makes the names in a directory outlast a loss of power, where the system
// lets a directory be flushed. It is a variable for tests.
var syncDir = func(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("attack: journal: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("attack: journal: %w", err)
	}
	return nil
}

// read takes in a journal of size bytes. It returns where the last whole frame
// ends, 0 if there is not even a header.
func (j *Journal) read(r io.Reader, size int64, header func([]byte) error) (int64, error) {
	magic := make([]byte, len(journalMagic))
	if n, err := io.ReadFull(r, magic); err != nil {
		if string(magic[:n]) == journalMagic[:n] {
			return 0, nil // killed while the file was made
		}
		return 0, errors.New("this is no journal")
	}
	if string(magic) != journalMagic {
		if strings.HasPrefix(string(magic), "mettle journal ") {
			return 0, errors.New("it was written by another version of this library, whose attacks ask other queries; use another file")
		}
		return 0, errors.New("this is no journal")
	}
	end, first := int64(len(journalMagic)), true
	at, err := frames(r, end, size, func(b []byte) error {
		if first != (b[0] == 'H') {
			return errors.New("the fingerprint is not the first frame")
		}
		first = false
		if b[0] == 'H' {
			return header(b[1:])
		}
		return j.take(b)
	})
	if first && err == nil {
		return 0, nil
	}
	return at, err
}

// frames hands the payloads of the frames from byte at of a file of size bytes to take,
// and returns where the last whole frame that it took ends.
func frames(r io.Reader, at, size int64, take func([]byte) error) (int64, error) {
	var head [frameHead]byte
	for at+frameHead <= size {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return at, err
		}
		n := int64(binary.LittleEndian.Uint32(head[:]))
		if n == 0 || n > maxFrame {
			return at, fmt.Errorf("a frame of %d bytes: the file is damaged", n)
		}
		next := at + frameHead + n
		if next > size { // torn, unless it is the length that is wrong
			rest, err := io.ReadAll(r)
			if err != nil {
				return at, err
			}
			if holdsFrame(rest) {
				return at, fmt.Errorf("a frame of %d bytes, which are not there, is followed by others: the file is damaged", n)
			}
			break
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			return at, err
		}
		if kernel.Checksum(b) != binary.LittleEndian.Uint32(head[4:]) {
			if next == size {
				break // torn: the length was written, the rest not all
			}
			return at, errors.New("checksum differs: the file is damaged")
		}
		if err := take(b); err != nil {
			return at, err
		}
		at = next
	}
	return at, nil
}

// holdsFrame reports whether a whole frame begins anywhere in b.
func holdsFrame(b []byte) bool {
	for ; len(b) > frameHead; b = b[1:] {
		n := int64(binary.LittleEndian.Uint32(b))
		if n > 0 && n <= int64(len(b)-frameHead) && strings.IndexByte("RTU", b[frameHead]) >= 0 &&
			kernel.Checksum(b[frameHead:frameHead+n]) == binary.LittleEndian.Uint32(b[4:]) {
			return true
		}
	}
	return false
}

// take applies one frame.
func (j *Journal) take(b []byte) error {
	le := binary.LittleEndian
	switch {
	case b[0] == 'R' && len(b) == 1:
		j.total.resumed++
		return nil
	case b[0] == 'T' && len(b) == 25:
		j.total = j.total.plus(totals{sent: int64(le.Uint64(b[1:])), answered: int64(le.Uint64(b[9:])), resumed: int64(le.Uint64(b[17:]))})
		return nil
	case b[0] != 'U' || len(b) < 5:
		return fmt.Errorf("a frame of kind %q does not hold what it should", b[0])
	}
	unit := int(le.Uint32(b[1:]))
	var e Entry
	if err := e.UnmarshalBinary(b[5:]); err != nil {
		return fmt.Errorf("sample %d: %w", unit, err)
	}
	if e.Kind == EntryDone {
		j.logs[unit] = j.logs[unit][:0]
	}
	j.logs[unit] = append(j.logs[unit], e)
	j.book(unit, &e, int64(len(b))+frameHead)
	return nil
}

// book accounts for an entry that takes so many bytes of the file.
func (j *Journal) book(unit int, e *Entry, bytes int64) {
	t := totals{sent: e.Sent(), answered: e.Answered(), bytes: bytes}
	j.total = j.total.plus(t)
	if e.Kind == EntryDone {
		j.dead += j.live[unit].bytes
		delete(j.live, unit)
		return
	}
	j.live[unit] = j.live[unit].plus(t)
}

// write appends one frame, in a single write. The caller holds the lock, if there can be
// others.
func (j *Journal) write(payload []byte) error {
	if j.err != nil {
		return j.err
	}
	b := append(j.buf[:0], make([]byte, frameHead)...)
	b = append(b, payload...)
	j.buf = b
	binary.LittleEndian.PutUint32(b, uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[4:], kernel.Checksum(payload))
	_, err := j.f.Write(b)
	if err == nil && j.sync {
		err = j.f.Sync()
	}
	if err != nil {
		j.err = fmt.Errorf("attack: journal: %w", err)
		return j.err
	}
	j.size += int64(len(b))
	return nil
}

// Log is the log of sample i.
func (j *Journal) Log(i int) Log { return journalLog{j, i} }

type journalLog struct {
	j    *Journal
	unit int
}

// Entries implements Log. They are forgotten here once they were asked for.
func (l journalLog) Entries(context.Context) ([]Entry, error) {
	l.j.mu.Lock()
	defer l.j.mu.Unlock()
	e := l.j.logs[l.unit]
	delete(l.j.logs, l.unit)
	return e, nil
}

// Append implements Log.
func (l journalLog) Append(_ context.Context, e Entry) error {
	b := binary.LittleEndian.AppendUint32([]byte{'U'}, uint32(l.unit))
	b, err := e.AppendBinary(b)
	if err != nil {
		return fmt.Errorf("attack: journal: %w", err)
	}
	j := l.j
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.write(b); err != nil {
		return err
	}
	j.book(l.unit, &e, int64(len(b))+frameHead)
	if e.Kind == EntryDone && j.dead > compactAt && 2*j.dead > j.size {
		return j.compact()
	}
	return nil
}

// Counts returns how many queries the journal says were sent and were answered over all
// runs, and how often it was resumed. The victim may have charged for queries that were
// sent and not answered because a run was killed or a connection failed.
func (j *Journal) Counts() (sent, answered, resumed int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return int(j.total.sent), int(j.total.answered), int(j.total.resumed)
}

// Close closes the file and lets others open it.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.f.Close()
}

// compact writes the file anew without the entries of finished samples but their records,
// and puts it in the place of the old one.
func (j *Journal) compact() error {
	fail := func(err error) error {
		j.err = fmt.Errorf("attack: journal: dropping finished samples: %w", err)
		return j.err
	}
	next, err := os.OpenFile(j.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fail(err)
	}
	abandon := func(err error) error {
		next.Close()
		os.Remove(next.Name())
		return fail(err)
	}
	if err := filelock.Lock(next); err != nil {
		return abandon(err)
	}
	kept := j.total
	for _, t := range j.live {
		kept.sent, kept.answered = kept.sent-t.sent, kept.answered-t.answered
	}
	le := binary.LittleEndian
	total := le.AppendUint64(le.AppendUint64(le.AppendUint64([]byte{'T'}, uint64(kept.sent)), uint64(kept.answered)), uint64(kept.resumed))
	out := &Journal{path: j.path, f: next, sync: false}
	if _, err := next.WriteString(journalMagic); err != nil {
		return abandon(err)
	}
	out.size = int64(len(journalMagic))
	_, err = j.readFrames(func(b []byte) error {
		switch b[0] {
		case 'H':
			return errors.Join(out.write(b), out.write(total))
		case 'U':
			if _, live := j.live[int(le.Uint32(b[1:]))]; live || EntryKind(b[5]) == EntryDone {
				return out.write(b)
			}
		}
		return nil
	})
	if err != nil {
		return abandon(err)
	}
	if err := next.Sync(); err != nil {
		return abandon(err)
	}
	if err := os.Rename(next.Name(), j.path); err != nil {
		return abandon(err)
	}
	j.f.Close()
	j.f, j.size, j.dead = next, out.size, 0
	if j.sync {
		return syncDir(filepath.Dir(j.path))
	}
	return nil
}

// readFrames hands all frames of the file to take.
func (j *Journal) readFrames(take func([]byte) error) (int64, error) {
	at := int64(len(journalMagic))
	if _, err := j.f.Seek(at, io.SeekStart); err != nil {
		return 0, err
	}
	return frames(bufio.NewReaderSize(j.f, 1<<16), at, j.size, take)
}
