// Package filelock lets one process have a file to itself.
package filelock

import "errors"

// ErrHeld says that another process holds the file, or this one by another handle.
var ErrHeld = errors.New("another run holds it: wait until that ends, or use another file")
