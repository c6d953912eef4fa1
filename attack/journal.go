package attack

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// A journal is an append-only file of what a campaign asked its victim and what
// it was answered. It begins with a line of text; then come frames: the length
// and the CRC-32C of a payload, 4 bytes each, little-endian, and the payload.
// The first byte of a payload is its kind:
//
//	H  fingerprint (JSON)
//	R  the campaign was resumed
//	I  intent: sample, call, number of queries (uint32 each), digest [16]
//	A  some queries of a call under way are sent again: sample, call, number of
//	   queries (uint32 each)
//	S  answer in scores: sample, call (uint32 each), float64 each
//	L  answer in labels: sample, call (uint32 each), uint32 each
//	D  a sample is done: sample, length of its Record (uint32 each), the Record
//	   (JSON), its adversarial image (float32 each)
//
// An intent is written before a call, the answer after it; a call that a kill cut
// off is announced once more. A frame cut short at the end of the file is what a kill
// leaves behind, and is dropped.
type journal struct {
	mu   sync.Mutex
	f    *os.File
	sync bool
	buf  []byte
	err  error // of the first failed write; the journal is of no use after it

	intents, answers int // queries, over the life of the file
	resumed          int

	calls map[uint32][]recorded // by sample
	done  map[uint32]*Record
}

// recorded is a call that stands in the journal.
type recorded struct {
	digest   [16]byte
	n        uint32
	answered bool
	scores   []float64
	labels   []int
}

const (
	journalMagic = "mettle journal 1\n"
	frameHead    = 8
	maxFrame     = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// JournalError says that a journal cannot be used, and where.
type JournalError struct {
	Path   string
	Offset int64
	Why    string
}

func (e *JournalError) Error() string {
	return fmt.Sprintf("attack: journal %s, byte %d: %s", e.Path, e.Offset, e.Why)
}

// errLocked says that a journal is in use.
var errLocked = errors.New("another run holds it: wait until that ends, or use another file")

// openJournal opens or creates the journal at path for a campaign with the
// given fingerprint, reads what it holds, and drops a torn end. Until it is closed
// nobody else can open it.
func openJournal(path string, print fingerprint, syncWrites bool) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("attack: journal: %w", err)
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("attack: journal %s: %w", path, err)
	}
	j := &journal{f: f, sync: syncWrites, calls: map[uint32][]recorded{}, done: map[uint32]*Record{}}
	if err := j.load(path, print); err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

func (j *journal) load(path string, print fingerprint) error {
	info, err := j.f.Stat()
	if err != nil {
		return fmt.Errorf("attack: journal: %w", err)
	}
	head, err := json.Marshal(print)
	if err != nil {
		return fmt.Errorf("attack: journal: %w", err)
	}
	r := bufio.NewReaderSize(j.f, 1<<16)
	end, why := j.read(r, info.Size(), func(b []byte) error { return print.matches(b) })
	if why != nil {
		return &JournalError{path, end, why.Error()}
	}
	if err := j.f.Truncate(end); err != nil {
		return fmt.Errorf("attack: journal: %w", err)
	}
	if _, err := j.f.Seek(end, io.SeekStart); err != nil {
		return fmt.Errorf("attack: journal: %w", err)
	}
	if end == 0 {
		if _, err := j.f.WriteString(journalMagic); err != nil {
			return fmt.Errorf("attack: journal: %w", err)
		}
		if err := j.write('H', func(b []byte) []byte { return append(b, head...) }); err != nil || !j.sync {
			return err
		}
		return syncDir(filepath.Dir(path))
	}
	j.resumed++
	return j.write('R', func(b []byte) []byte { return b })
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
func (j *journal) read(r io.Reader, size int64, header func([]byte) error) (int64, error) {
	magic := make([]byte, len(journalMagic))
	if n, err := io.ReadFull(r, magic); err != nil {
		if string(magic[:n]) == journalMagic[:n] {
			return 0, nil // killed while the file was made
		}
		return 0, errors.New("this is no journal")
	}
	if string(magic) != journalMagic {
		return 0, errors.New("this is no journal")
	}
	at, first := int64(len(journalMagic)), true
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
		if crc32.Checksum(b, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
			if next == size {
				break // torn: the length was written, the rest not all
			}
			return at, errors.New("checksum differs: the file is damaged")
		}
		if first != (b[0] == 'H') {
			return at, errors.New("the fingerprint is not the first frame")
		}
		if err := j.take(b, header); err != nil {
			return at, err
		}
		at, first = next, false
	}
	if first {
		return 0, nil
	}
	return at, nil
}

// holdsFrame reports whether a whole frame begins anywhere in b.
func holdsFrame(b []byte) bool {
	for ; len(b) > frameHead; b = b[1:] {
		n := int64(binary.LittleEndian.Uint32(b))
		if n > 0 && n <= int64(len(b)-frameHead) && strings.IndexByte("RIASLD", b[frameHead]) >= 0 &&
			crc32.Checksum(b[frameHead:frameHead+n], castagnoli) == binary.LittleEndian.Uint32(b[4:]) {
			return true
		}
	}
	return false
}

var errFrame = errors.New("a frame's content does not fit its kind")

// take applies one frame.
func (j *journal) take(b []byte, header func([]byte) error) error {
	kind, b := b[0], b[1:]
	switch kind {
	case 'H':
		return header(b)
	case 'R':
		j.resumed++
		return nil
	}
	if len(b) < 8 {
		return errFrame
	}
	le := binary.LittleEndian
	sample, call := le.Uint32(b), le.Uint32(b[4:])
	b = b[8:]
	calls := j.calls[sample]
	switch kind {
	case 'I':
		if len(b) != 20 {
			return errFrame
		}
		c := recorded{n: le.Uint32(b), digest: [16]byte(b[4:])}
		switch {
		case int(call) == len(calls):
			j.calls[sample] = append(calls, c)
		case int(call) == len(calls)-1 && !calls[call].answered:
			// The same call, asked again after a kill.
			if calls[call].digest != c.digest || calls[call].n != c.n {
				return fmt.Errorf("call %d of sample %d was asked twice with different pixels", call, sample)
			}
		default:
			return fmt.Errorf("call %d of sample %d is out of order", call, sample)
		}
		j.intents += int(c.n)
	case 'A':
		if len(b) != 4 || int(call) != len(calls)-1 || calls[call].answered || le.Uint32(b) > calls[call].n {
			return fmt.Errorf("call %d of sample %d is sent again, which was not under way", call, sample)
		}
		j.intents += int(le.Uint32(b))
	case 'S', 'L':
		if int(call) != len(calls)-1 || calls[call].answered {
			return fmt.Errorf("an answer to call %d of sample %d, which was not asked", call, sample)
		}
		c := &calls[call]
		if err := c.fill(kind, b); err != nil {
			return err
		}
		j.answers += int(c.n)
	case 'D':
		n := int64(call) // the frame's second number is the record's length
		if n > int64(len(b)) || (int64(len(b))-n)%4 != 0 {
			return errFrame
		}
		rec := new(Record)
		if err := json.Unmarshal(b[:n], rec); err != nil {
			return fmt.Errorf("record of sample %d: %w", sample, err)
		}
		for b := b[n:]; len(b) > 0; b = b[4:] {
			rec.Adversarial = append(rec.Adversarial, math.Float32frombits(le.Uint32(b)))
		}
		j.done[sample] = rec
		delete(j.calls, sample)
	default:
		return fmt.Errorf("a frame of unknown kind %q", kind)
	}
	return nil
}

// fill reads the values of an answer.
func (c *recorded) fill(kind byte, b []byte) error {
	le := binary.LittleEndian
	c.answered = true
	if kind == 'L' {
		if len(b) != 4*int(c.n) {
			return errFrame
		}
		for ; len(b) > 0; b = b[4:] {
			c.labels = append(c.labels, int(int32(le.Uint32(b))))
		}
		return nil
	}
	if c.n == 0 || len(b)%(8*int(c.n)) != 0 {
		return errFrame
	}
	c.scores = make([]float64, 0, len(b)/8)
	for ; len(b) > 0; b = b[8:] {
		c.scores = append(c.scores, math.Float64frombits(le.Uint64(b)))
	}
	return nil
}

// write appends one frame, in a single write.
func (j *journal) write(kind byte, body func([]byte) []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	b := append(j.buf[:0], make([]byte, frameHead)...)
	b = body(append(b, kind))
	j.buf = b
	binary.LittleEndian.PutUint32(b, uint32(len(b)-frameHead))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[frameHead:], castagnoli))
	_, err := j.f.Write(b)
	if err == nil && j.sync {
		err = j.f.Sync()
	}
	if err != nil {
		j.err = fmt.Errorf("attack: journal: %w", err)
	}
	return j.err
}

func ids(b []byte, sample, second int) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(sample))
	return binary.LittleEndian.AppendUint32(b, uint32(second))
}

// announce writes that n queries are about to be sent.
func (j *journal) announce(kind byte, n int, body func([]byte) []byte) error {
	err := j.write(kind, body)
	if err == nil {
		j.mu.Lock()
		j.intents += n
		j.mu.Unlock()
	}
	return err
}

func (j *journal) intent(sample, call, n int, digest [16]byte) error {
	return j.announce('I', n, func(b []byte) []byte {
		b = binary.LittleEndian.AppendUint32(ids(b, sample, call), uint32(n))
		return append(b, digest[:]...)
	})
}

func (j *journal) again(sample, call, n int) error {
	return j.announce('A', n, func(b []byte) []byte {
		return binary.LittleEndian.AppendUint32(ids(b, sample, call), uint32(n))
	})
}

func (j *journal) answer(sample, call, n int, scores []float64, labels []int) error {
	kind := byte('S')
	if labels != nil {
		kind = 'L'
	}
	err := j.write(kind, func(b []byte) []byte {
		b = ids(b, sample, call)
		for _, v := range scores {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		for _, v := range labels {
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		}
		return b
	})
	if err == nil {
		j.mu.Lock()
		j.answers += n
		j.mu.Unlock()
	}
	return err
}

func (j *journal) finish(sample int, r *Record) error {
	js, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("attack: journal: %w", err)
	}
	return j.write('D', func(b []byte) []byte {
		return appendFloats(append(ids(b, sample, len(js)), js...), r.Adversarial)
	})
}

func (j *journal) close() error { return j.f.Close() }

// A fingerprint is everything that the queries of a campaign follow from. A
// journal is replayed only under the same one.
type fingerprint struct {
	Attack  string          `json:"attack"`
	Options json.RawMessage `json:"options"`
	Goal    string          `json:"goal"`
	Budget  int             `json:"budget"`
	Seed    uint64          `json:"seed"`
	Data    string          `json:"data"` // digest of the samples and their labels
	Victim  string          `json:"victim"`
	Digest  string          `json:"victim digest"`
	Network string          `json:"attack network"` // digest of it
	Start   string          `json:"attack start"`   // digest of the images to begin from
	Kernel  string          `json:"kernel"`
	Arch    string          `json:"arch"`
	Go      string          `json:"go"`
	Version string          `json:"version"` // of this library's attacks
}

// matches compares with the fingerprint in a journal, and names what differs.
func (p fingerprint) matches(old []byte) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if bytes.Equal(b, old) {
		return nil
	}
	var was, is map[string]json.RawMessage
	if err := json.Unmarshal(old, &was); err != nil {
		return fmt.Errorf("the fingerprint: %w", err)
	}
	if err := json.Unmarshal(b, &is); err != nil {
		return err
	}
	var differ []string
	for k := range was {
		if !bytes.Equal(is[k], was[k]) {
			differ = append(differ, fmt.Sprintf("%s (%s then, %s now)", k, was[k], is[k]))
		}
	}
	slices.Sort(differ)
	return fmt.Errorf("it belongs to another campaign: %s; use another file, or the same settings", strings.Join(differ, ", "))
}
