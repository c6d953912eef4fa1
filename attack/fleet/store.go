package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// A Store keeps what a campaign must not lose: logs, to which frames are appended at a
// known position, and documents, which are replaced if nobody else did in the meantime.
// Both orders are total. What a method reports as done outlasts the loss of any machine
// that the store says it survives.
//
// There are three: [JetStream], package postgres, and [Memory] for tests.
type Store interface {
	// Read returns the frames of a log behind position after, in order. Of those that are
	// trimmed meanwhile any may be missing.
	Read(ctx context.Context, log string, after uint64) ([]Frame, error)

	// Append adds a frame behind position pos, which must be that of the last, and
	// returns its position, which is larger. If another frame stands there the error
	// wraps ErrFenced and nothing is added. Any other error leaves open whether the frame
	// was added.
	Append(ctx context.Context, log string, pos uint64, frame []byte) (uint64, error)

	// Trim drops the frames of a log before position pos.
	Trim(ctx context.Context, log string, pos uint64) error

	// Update replaces a document by what change makes of it; old is nil if there is
	// none, and so is the result of a change that leaves it as it is. Where another
	// update came first, change is called again with what that left. It is also called
	// again after a failure that leaves open whether the document was replaced: a change
	// must do no harm when it finds its own work done. An error of change is returned.
	Update(ctx context.Context, key string, change func(old []byte) ([]byte, error)) error

	// Documents returns the keys that begin with a prefix.
	Documents(ctx context.Context, prefix string) ([]string, error)

	// Now is the time by the store's clock, at some moment during the call.
	Now(ctx context.Context) (time.Time, error)
}

// A Frame is an entry of a log in a [Store].
type Frame struct {
	Pos  uint64
	Data []byte
}

// ErrFenced is in the chain of the error of who appends to a log that another has
// appended to.
var ErrFenced = errors.New("another worker has taken over")

// ErrRefused is in the chain of an error of a store that another try will not mend, such as
// wrong credentials or a full disk.
var ErrRefused = errors.New("the store refuses")

// transient reports whether another try may help.
func transient(err error) bool {
	return !errors.Is(err, ErrFenced) && !errors.Is(err, ErrRefused) && !errors.Is(err, ErrLost)
}

// jitter is a random time below most: writers that wait as long as each other meet again.
func jitter(most time.Duration) time.Duration { return rand.N(most) + 1 }

// Objects keep what is too large for a frame or a document, under the digest of its
// content: samples, networks, plans, records.
type Objects interface {
	// Put stores b, unless it is there, and returns its name.
	Put(ctx context.Context, b []byte) (name string, err error)
	// Get returns an object, checked against its name.
	Get(ctx context.Context, name string) ([]byte, error)
}

// objectName is the name of an object.
func objectName(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// checkObject verifies that b is the object of a name.
func checkObject(name string, b []byte) error {
	if got := objectName(b); got != name {
		return fmt.Errorf("fleet: object %.16s... has the content of %.16s...: %w", name, got, ErrLost)
	}
	return nil
}
