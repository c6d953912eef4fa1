package fleet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A log of a unit consists of frames:
//
//	version (1 byte), kind (1 byte), nonce (16 bytes), position of the frame before
//	(8 bytes), payload, CRC-32C of all that (4 bytes)
//
// Numbers are little-endian. The nonce is drawn for each frame, so that who appended it
// knows it again when the acknowledgement was lost. The payload of a takeover is the name
// of the worker, that of an entry is [attack.Entry.AppendBinary]'s, and that of the last
// frame is how many queries were sent and answered (8 bytes each) and the record's entry.
// What is large stands in the object store, and its digest in the payload.
const (
	frameVersion = 1
	frameFixed   = 2 + nonceSize + 8
	nonceSize    = 16
)

type frameKind byte

const (
	kindTakeover frameKind = 'T'
	kindEntry    frameKind = 'E'
	kindDone     frameKind = 'D'
	kindSpilled  frameKind = 0x20 // added to a kind whose payload stands in the object store: its lower case
)

// A logFrame is a frame taken apart.
type logFrame struct {
	kind    frameKind
	nonce   [nonceSize]byte
	prev    uint64
	payload []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (f *logFrame) encode() []byte {
	b := make([]byte, 0, frameFixed+len(f.payload)+4)
	b = append(b, frameVersion, byte(f.kind))
	b = append(b, f.nonce[:]...)
	b = binary.LittleEndian.AppendUint64(b, f.prev)
	b = append(b, f.payload...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var errFrame = errors.New("a frame is damaged")

func decodeFrame(b []byte) (f logFrame, err error) {
	if len(b) < frameFixed+4 {
		return f, errFrame
	}
	if b[0] != frameVersion {
		return f, fmt.Errorf("a frame of version %d; this program reads version %d", b[0], frameVersion)
	}
	end := len(b) - 4
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return f, errFrame
	}
	f.kind = frameKind(b[1])
	copy(f.nonce[:], b[2:])
	f.prev = binary.LittleEndian.Uint64(b[2+nonceSize:])
	f.payload = b[frameFixed:end]
	switch f.kind {
	case kindTakeover, kindEntry, kindDone, kindEntry | kindSpilled, kindDone | kindSpilled:
		return f, nil
	}
	return f, fmt.Errorf("a frame of kind %q, which this program does not know", f.kind)
}

// ended reports whether frames end with a unit's record.
func ended(frames []Frame) bool {
	if len(frames) == 0 {
		return false
	}
	last, err := decodeFrame(frames[len(frames)-1].Data)
	return err == nil && last.kind&^kindSpilled == kindDone
}

// chain takes frames apart and checks that each follows the one before it. Of a log that
// ends with a record it takes the record only: what stood before it may have been trimmed,
// in part while the log was read.
func chain(frames []Frame) ([]logFrame, error) {
	if ended(frames) {
		last, err := decodeFrame(frames[len(frames)-1].Data)
		return []logFrame{last}, err
	}
	out := make([]logFrame, len(frames))
	var after uint64
	for i, f := range frames {
		var err error
		if out[i], err = decodeFrame(f.Data); err != nil {
			return nil, fmt.Errorf("position %d: %w", f.Pos, err)
		}
		if out[i].prev != after {
			return nil, fmt.Errorf("%w: position %d follows %d, and what stands before it is %d", ErrLost, f.Pos, out[i].prev, after)
		}
		after = f.Pos
	}
	return out, nil
}

// ErrLost is in the chain of the error that says that a store has lost what it had
// acknowledged. It stops the campaign.
var ErrLost = errors.New("the store has lost what it had acknowledged")
