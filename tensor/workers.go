package tensor

import "github.com/mettleml/mettle/internal/parallel"

// SetWorkers caps the number of goroutines that share the work of one operation
// anywhere in the library. A value below 1 restores the default,
// runtime.GOMAXPROCS. It returns the previous cap, 0 if none was set. Results
// do not depend on it.
func SetWorkers(n int) int { return parallel.SetWorkers(n) }

// Workers reports how many goroutines one operation uses at most.
func Workers() int { return parallel.Workers() }
