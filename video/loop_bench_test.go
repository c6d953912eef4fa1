package video

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/zoo"
)

// BenchmarkLoop is an attack without the victim's time: three queries of a clip of
// 16x3x112x112 per iteration.
func BenchmarkLoop(b *testing.B) {
	shape := []int{16, 3, 112, 112}
	clip := movingSquare(shape, 1)
	v := glance{zoo.Info{Name: "glance", Shape: shape, Classes: 2, Digest: "glance"}}
	for _, a := range []MotionExcited{{}, {Noise: OneNoise{}}, {Noise: MultiNoise{}}, {Noise: GeoNoise{}}} {
		for _, journal := range []string{"", filepath.Join(b.TempDir(), "journal")} {
			name := a.About().Name
			if journal != "" {
				name += "/journal"
			}
			b.Run(name, func(b *testing.B) {
				b.SetBytes(3 * 4 * int64(clip.Len()))
				journal := journal
				if journal != "" {
					journal = filepath.Join(b.TempDir(), "journal")
				}
				c := attack.Campaign{Job: attack.WithScores(a, v), Budget: 3 * b.N, Workers: 1, Journal: journal}
				if _, err := c.Run(context.Background(), []attack.Sample{{X: clip}}); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
