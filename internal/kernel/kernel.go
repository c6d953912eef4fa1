// Package kernel holds the numerical loops of the library: plain operations on
// []float32 with explicit shapes, one implementation per instruction set.
//
// # Implementations
//
// A [Set] is one implementation of the innermost loops. The generic set is pure
// Go, always compiled, and the reference for all others. The best available set
// is chosen once at start; the environment variable METTLE_KERNEL forces one by
// name, and the build tag purego leaves only the generic one.
//
// # Same bits
//
// Work is cut by size, never by worker count, and partial results are reduced
// in a fixed order. Forward passes never let the order of summation depend on
// the batch size or on a sample's position in it. A result therefore depends on
// the inputs, the kernel set, GOARCH and the Go version, and on nothing else.
//
// # Memory
//
// Nothing is allocated in steady state: kernels borrow working memory and task
// structs from free lists, as described at the type scratch.
//
// # Assembly
//
// Assembly is generated. Each family has a main package in the nested module
// _asm and, in the Go file that owns it, a go:generate line that writes the
// committed NAME_GOARCH.s and its declarations, mostly NAME_stubs_GOARCH.go:
//
//	go generate ./internal/kernel
//
// The neon set has been tested under emulation only (qemu-aarch64) and never timed:
// its tiles follow from the number of registers, and what decides between
// algorithms is what was measured with AVX-512. Generic in it are the vec loops
// that its table does not name, the copying of matrices, depthwise convolutions,
// the filters of Winograd with stride 2, max pooling with windows other than 2x2,
// the normal equations of dense flow, and the steps of an attack by probes; convolution
// leaves the filling and merging of rows to Go.
package kernel

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
)

// A Set is one implementation of the innermost loops.
type Set struct {
	Name      string
	Available bool // the processor has what the set needs

	gemm gemmOps
	conv convOps
	wino winoOps
	vec  vecOps
	nnet nnOps

	motion motionOps
	flow   flowOps
	probe  probeOps
}

// sets lists every compiled implementation, slowest first.
var sets = append([]*Set{&generic}, archSets...)

var active atomic.Pointer[Set]

func init() {
	for _, s := range sets {
		if s.Available {
			active.Store(s)
		}
	}
	if name := os.Getenv("METTLE_KERNEL"); name != "" {
		if err := Use(name); err != nil {
			panic("kernel: METTLE_KERNEL: " + err.Error())
		}
	}
}

// Sets returns every compiled implementation, available or not, the reference
// first.
func Sets() []*Set { return sets }

// Active returns the implementation in use.
func Active() *Set { return active.Load() }

// Use selects the implementation called name. It must not be called while
// another goroutine is inside a kernel; tests and benchmarks call it, programs
// set METTLE_KERNEL. It returns an error if the set is not compiled in or the
// processor lacks it.
func Use(name string) error {
	var names []string
	for _, s := range sets {
		if s.Name == name && s.Available {
			active.Store(s)
			return nil
		}
		if s.Available {
			names = append(names, s.Name)
		}
	}
	return fmt.Errorf("no kernel set %q here (have %s)", name, strings.Join(names, ", "))
}
