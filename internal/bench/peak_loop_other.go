//go:build purego || !amd64

package main

// fmaLoop returns nothing where no measuring loop is written.
func fmaLoop() (loop func(n int), flops int) { return nil, 0 }
