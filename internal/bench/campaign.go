package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video"
	"github.com/mettleml/mettle/zoo"
)

// A stubborn victim times its own work and never lets go of class 0.
type stubborn struct {
	*zoo.Model
	spent atomic.Int64 // nanoseconds
}

func (s *stubborn) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	start := time.Now()
	err := s.Model.Scores(ctx, x, out)
	s.spent.Add(int64(time.Since(start)))
	for i := 0; i < len(out); i += s.Info().Classes {
		out[i] += 1e3
	}
	return err
}

// runCampaign tells what an attack's loop, the ledger and the journal cost beside
// the victim's own time: for batches of 128 queries and for single ones. It prints
// "case queries ms/query overhead", overhead being the rest of the campaign's time
// as a share of the victim's.
func runCampaign(prefix string, seconds float64) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Println("# case queries ms/query overhead")
	for _, c := range []struct {
		name  string
		net   nn.Module
		shape []int
		a     attack.ScoreAttack
		first int // queries of a campaign to start with
	}{
		{"campaign/nes_resnet32_b128", resNet32(), []int{3, 32, 32}, attack.NES{Queries: 128}, 516},
		{"campaign/square_net4_b1", net4(), []int{1, 28, 28}, attack.Square{}, 1000},
		{"campaign/motion-excited_tiny3d", models.Tiny3D(1, 10), []int{16, 3, 112, 112}, video.MotionExcited{}, 600},
		{"campaign/multi-noise_tiny3d", models.Tiny3D(1, 10), []int{16, 3, 112, 112}, video.MotionExcited{Noise: video.MultiNoise{}}, 300},
		{"campaign/geo-trap_tiny3d", models.Tiny3D(1, 10), []int{16, 3, 112, 112}, video.MotionExcited{Noise: video.GeoNoise{}}, 300},
	} {
		if !strings.HasPrefix(c.name, prefix) {
			continue
		}
		m, err := zoo.NewModel(c.net, zoo.Info{Name: c.name, Shape: c.shape, Classes: 10}, data.Preprocess{CTHW: len(c.shape) == 4})
		if err != nil {
			return err
		}
		v := &stubborn{Model: m}
		x := tensor.New(c.shape...)
		for i := range x.Data() {
			x.Data()[i] = float32(i%17) / 16
		}
		if len(c.shape) == 4 { // of three equal channels
			moving := movingClip(c.shape[0], c.shape[2], c.shape[3])
			for f := range c.shape[0] {
				for ch := range c.shape[1] {
					copy(x.Index(f).Index(ch).Data(), moving.Index(f).Data())
				}
			}
		}
		least := 1e9
		var perQuery float64
		for i, begin := 0, time.Now(); i < 3 || time.Since(begin).Seconds() < seconds; i++ {
			v.spent.Store(0)
			run := attack.Campaign{Job: attack.WithScores(c.a, v), Budget: c.first, Workers: 1,
				Journal: filepath.Join(dir, fmt.Sprintf("%s-%d.journal", filepath.Base(c.name), i))}
			start := time.Now()
			res, err := run.Run(context.Background(), []attack.Sample{{X: x}})
			if err != nil {
				return err
			}
			total, spent := time.Since(start).Seconds(), time.Duration(v.spent.Load()).Seconds()
			if i > 0 && total/spent-1 < least { // the first warms up
				least = total/spent - 1
				perQuery = spent / float64(res.Records[0].Queries) * 1e3
			}
		}
		fmt.Printf("%-34s %6d %8.4f %6.2f%%\n", c.name, c.first, perQuery, 100*least)
	}
	return nil
}
