//go:build (amd64 || arm64) && !purego

package parallel

// pause tells the processor that the thread is spinning, which leaves more of a
// shared core to the other one.
func pause()
