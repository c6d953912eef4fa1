//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package filelock

import "os"

// Lock does nothing where the system has no lock that ends with its holder.
func Lock(*os.File) error { return nil }
