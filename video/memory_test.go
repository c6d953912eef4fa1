package video

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A glance looks at a few values of a clip and is not convinced.
type glance struct{ info zoo.Info }

func (g glance) Info() zoo.Info { return g.info }

func (g glance) Scores(_ context.Context, x *tensor.Tensor, out []float64) error {
	for i := range x.Dim(0) {
		d := x.Index(i).Data()
		out[2*i], out[2*i+1] = 10, float64(d[0]+d[len(d)/2]-d[len(d)-1])
	}
	return nil
}

// TestLargeClip: an attack of 60,000 queries on a clip of 32x3x224x224 with a journal would
// hold less than 600 MB and write less than 5 MB: memory does not grow with the queries,
// and the journal does in proportion.
func TestLargeClip(t *testing.T) {
	if testing.Short() {
		t.Skip("a large clip")
	}
	shape := []int{32, 3, 224, 224}
	clip := movingSquare(shape, 1)
	info := zoo.Info{Name: "glance", Shape: shape, Classes: 2, Digest: "glance"}
	for _, a := range []MotionExcited{{}, {Noise: MultiNoise{}}} {
		const queries = 45
		debug.FreeOSMemory()
		stop, peak := make(chan struct{}), make(chan uint64)
		go func() {
			sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
			var most uint64
			for {
				metrics.Read(sample)
				most = max(most, sample[0].Value.Uint64()-sample[1].Value.Uint64())
				select {
				case <-stop:
					peak <- most
					return
				case <-time.After(2 * time.Millisecond):
				}
			}
		}()
		path := filepath.Join(t.TempDir(), "journal")
		c := attack.Campaign{Job: attack.WithScores(a, glance{info}), Budget: queries, Workers: 1, Journal: path}
		if _, err := c.Run(context.Background(), []attack.Sample{{X: clip}}); err != nil {
			t.Fatal(err)
		}
		close(stop)
		most := <-peak
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		written := float64(st.Size()) / queries * 60000
		t.Logf("%s, %s: %d MB, %.1f MB of journal for 60,000 queries", a.About().Name, a.defaults().Accounting, most>>20, written/1e6)
		if most > 600<<20 || written > 5e6 {
			t.Errorf("%s: %d MB held, %.1f MB written for 60,000 queries", a.About().Name, most>>20, written/1e6)
		}
	}
	runtime.KeepAlive(clip)
}
