//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package attack

import (
	"errors"
	"os"
	"syscall"
)

// lock takes f for this process until it is closed, by a kill too. It returns
// errLocked if another holds it.
func lock(f *os.File) error {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errLocked
		case !errors.Is(err, syscall.EINTR):
			return err
		}
	}
}
