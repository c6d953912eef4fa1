package kernel

import (
	"fmt"
	"testing"

	"github.com/mettleml/mettle/internal/parallel"
)

// eachWorkers runs f with 1, 2, 3 and 8 workers.
func eachWorkers(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	defer parallel.SetWorkers(parallel.SetWorkers(1))
	for _, w := range []int{1, 2, 3, 8} {
		parallel.SetWorkers(w)
		t.Run(fmt.Sprintf("%d workers", w), f)
	}
}
