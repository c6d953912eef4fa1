package fleet

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/filelock"
)

// A Journal is a worker's own memory of what the store acknowledged: a file on the
// worker's disk, flushed before a query is sent. It holds positions and checksums, not
// content. When the worker meets a log that lacks what the journal has, the store has
// lost it, and the campaign is stopped: queries may have been paid for that nobody knows
// of any more.
//
// A file is a line of text and then records: the length of a log's name (2 bytes), a flag
// (1 byte: 1 if the frame ends the log), the frame's position (8 bytes) and CRC-32 by
// IEEE's polynomial (4 bytes), the name, and the CRC-32C of all that (4 bytes). Numbers are
// little-endian. A record cut short at the end is what a kill leaves behind. Frames end
// with their own CRC-32C, so all frames of one length have the same by that polynomial.
type Journal struct {
	path string
	lock *os.File

	mu    sync.Mutex
	f     *os.File
	held  map[string][]journaled
	buf   []byte
	wrote uint64 // records written, and of them flushed
	flush uint64
	busy  bool // somebody flushes
	idle  *sync.Cond
	err   error
}

// A journaled frame is what a journal remembers of it.
type journaled struct {
	pos  uint64
	sum  uint32
	last bool
}

const journalMagic = "mettle fleet journal 1\n"

// OpenJournal opens the first journal in a directory that no other worker holds, makes it
// if need be, and drops what is of no more use: all but the ends of finished logs.
func OpenJournal(dir string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("fleet: journal: %w", err)
	}
	for i := 0; ; i++ {
		j := &Journal{path: filepath.Join(dir, fmt.Sprintf("worker-%d.journal", i)), held: map[string][]journaled{}}
		j.idle = sync.NewCond(&j.mu)
		lock, err := os.OpenFile(j.path+".lock", os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, fmt.Errorf("fleet: journal: %w", err)
		}
		if err := filelock.Lock(lock); err != nil {
			lock.Close()
			if errors.Is(err, filelock.ErrHeld) {
				continue
			}
			return nil, fmt.Errorf("fleet: journal %s: %w", j.path, err)
		}
		j.lock = lock
		if err := j.load(); err != nil {
			lock.Close()
			return nil, fmt.Errorf("fleet: journal %s: %w; a journal guards against paying twice: remove it only if no campaign goes on", j.path, err)
		}
		return j, nil
	}
}

// load reads the file and writes it anew, flushed.
func (j *Journal) load() error {
	b, err := os.ReadFile(j.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := j.read(b); err != nil {
		return err
	}
	err = atomicfile.Write(j.path, func(w io.Writer) error {
		out := bufio.NewWriter(w)
		out.WriteString(journalMagic)
		for log, frames := range j.held {
			for _, f := range frames {
				out.Write(f.record(nil, log))
			}
		}
		return out.Flush()
	})
	if err != nil {
		return err
	}
	if j.f, err = os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, 0); err != nil {
		return err
	}
	return j.f.Sync()
}

const journalFixed = 2 + 1 + 8 + 4

// record appends the frame's record to b.
func (f journaled) record(b []byte, log string) []byte {
	start := len(b)
	le := binary.LittleEndian
	b = le.AppendUint16(b, uint16(len(log)))
	var last byte
	if f.last {
		last = 1
	}
	b = le.AppendUint32(le.AppendUint64(append(b, last), f.pos), f.sum)
	b = append(b, log...)
	return le.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// read takes in the content of a file.
func (j *Journal) read(b []byte) error {
	if len(b) < len(journalMagic) {
		if string(b) == journalMagic[:len(b)] {
			return nil
		}
		return errors.New("this is no journal")
	}
	if string(b[:len(journalMagic)]) != journalMagic {
		return errors.New("this is no journal of this version")
	}
	b = b[len(journalMagic):]
	le := binary.LittleEndian
	for len(b) >= journalFixed {
		n := int(le.Uint16(b))
		size := journalFixed + n + 4
		if len(b) < size {
			return nil
		}
		if crc32.Checksum(b[:size-4], castagnoli) != le.Uint32(b[size-4:]) {
			if len(b) == size {
				return nil // torn
			}
			return errors.New("checksum differs: the file is damaged")
		}
		j.hold(string(b[journalFixed:journalFixed+n]), journaled{pos: le.Uint64(b[3:]), sum: le.Uint32(b[11:]), last: b[2] == 1})
		b = b[size:]
	}
	return nil
}

func (j *Journal) hold(log string, f journaled) {
	if f.last {
		j.held[log] = j.held[log][:0]
	}
	j.held[log] = append(j.held[log], f)
}

// add writes down that a frame was acknowledged, and returns when that is on the disk.
// Frames that are added at the same time are flushed together.
func (j *Journal) add(log string, pos uint64, frame []byte, last bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	f := journaled{pos, crc32.ChecksumIEEE(frame), last}
	j.hold(log, f)
	j.buf = f.record(j.buf, log)
	j.wrote++
	mine := j.wrote
	for j.flush < mine && j.err == nil {
		if j.busy {
			j.idle.Wait()
			continue
		}
		j.busy = true
		b, upto := j.buf, j.wrote
		j.buf = nil
		j.mu.Unlock()
		_, err := j.f.Write(b)
		if err == nil {
			err = j.f.Sync()
		}
		j.mu.Lock()
		j.busy = false
		if err != nil {
			j.err = fmt.Errorf("fleet: journal: %w", err)
		} else {
			j.flush = upto
		}
		j.idle.Broadcast()
	}
	return j.err
}

// memories are what a journal remembers of a log.
type memories struct {
	path   string
	frames []journaled
}

// recall is what the journal remembers of a log; a nil journal remembers nothing.
func (j *Journal) recall(log string) memories {
	if j == nil {
		return memories{}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return memories{j.path, slices.Clone(j.held[log])}
}

// compare verifies that the frames of a log are all that is remembered of it, or that the
// log was trimmed to its end.
func (m memories) compare(log string, frames []Frame) error {
	at := map[uint64][]byte{}
	for _, f := range frames {
		at[f.Pos] = f.Data
	}
	ended := ended(frames)
	for _, f := range m.frames {
		b, ok := at[f.pos]
		switch {
		case !ok && ended && f.pos < frames[len(frames)-1].Pos: // trimmed
		case !ok:
			return fmt.Errorf("fleet: log %s: position %d is not there, and this worker was told that it is stored (%s): %w", log, f.pos, m.path, ErrLost)
		case crc32.ChecksumIEEE(b) != f.sum:
			return fmt.Errorf("fleet: log %s: position %d holds another frame than the one that this worker stored (%s): %w", log, f.pos, m.path, ErrLost)
		}
	}
	return nil
}

// logs are the names of the logs that the journal remembers.
func (j *Journal) logs() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var names []string
	for log := range j.held {
		names = append(names, log)
	}
	return names
}

// Close closes the file and lets another worker have it.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.f.Close(), j.lock.Close())
}
