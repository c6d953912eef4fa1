package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// Lock takes f for this process until it is closed, by a kill too. It returns
// ErrHeld if another holds it. Locks are mandatory on this system: the byte locked
// lies far behind the end of the file, so that others may read it.
func Lock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, &windows.Overlapped{OffsetHigh: 1 << 30})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrHeld
	}
	return err
}
