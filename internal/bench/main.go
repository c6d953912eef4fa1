package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/internal/parallel"
	"github.com/mettleml/mettle/tensor"
)

// A benchCase is something to time. The families of cases stand in a file each
// and are listed in families.
type benchCase struct {
	name  string
	flops float64 // of one run of the direct algorithm, two a multiply-add; 0 if nobody asks

	// setup makes the inputs and returns the work to time and, for -dump, the
	// arrays that one run reads and writes, by name.
	setup func() (run func(), arrays map[string]*tensor.Tensor)
}

var families = [][]benchCase{matmulCases, convCases, netCases, videoCases, longtailCases, extraCases, sslCases}

func main() {
	threads := flag.Int("threads", runtime.GOMAXPROCS(0), "`number` of workers")
	prefix := flag.String("case", "", "run only the cases whose names begin with `prefix`")
	seconds := flag.Float64("seconds", 2, "time to spend on a case")
	set := flag.String("set", "", "`name` of the kernel set (default the best there is)")
	dir := flag.String("dir", "", "`directory` of the LIBSVM files of -case saga")
	dump := flag.String("dump", "", "write the arrays of one run of each case into `dir` instead of timing")
	profile := flag.String("profile", "", "write a processor profile to `file`")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		defer f.Close()
		defer pprof.StopCPUProfile()
	}
	var err error
	switch {
	case *prefix == "saga":
		err = runSAGA(*dir)
	case strings.HasPrefix(*prefix, "campaign"):
		parallel.SetWorkers(*threads)
		err = runCampaign(*prefix, *seconds)
	default:
		err = run(*threads, *prefix, *seconds, *set, *dump)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(threads int, prefix string, seconds float64, set, dump string) error {
	parallel.SetWorkers(threads)
	if set != "" {
		if err := kernel.Use(set); err != nil {
			return err
		}
	}
	fmt.Printf("# %s, %s/%s, kernel set %s, %d threads\n", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		kernel.Active().Name, threads)
	if dump == "" {
		fmt.Printf("# %-44s %10s %10s %9s %9s %6s\n", "case", "min ms", "median ms", "GFLOP/s", "peak", "share")
	}
	for _, family := range families {
		for _, c := range family {
			if !strings.HasPrefix(c.name, prefix) {
				continue
			}
			work, arrays := c.setup()
			if dump == "" {
				measure(c, work, threads, seconds)
				continue
			}
			work()
			for name, x := range arrays {
				file := strings.ReplaceAll(c.name, "/", "_") + "." + name + ".npy"
				if err := tensor.SaveNPY(filepath.Join(dump, file), x, tensor.F32); err != nil {
					return err
				}
			}
			fmt.Println(c.name)
		}
	}
	return nil
}

// measure times a case and prints its line.
func measure(c benchCase, work func(), threads int, seconds float64) {
	work()
	work()
	runtime.GC()
	peak := measurePeak() * float64(threads)
	var times []float64
	for begin := time.Now(); time.Since(begin).Seconds() < seconds || len(times) < 5; {
		start := time.Now()
		work()
		times = append(times, time.Since(start).Seconds()*1e3)
	}
	slices.Sort(times)
	fmt.Printf("%-46s %10.3f %10.3f", c.name, times[0], times[len(times)/2])
	if c.flops > 0 {
		rate := c.flops / times[0] / 1e6
		fmt.Printf(" %9.1f", rate)
		if peak > 0 {
			fmt.Printf(" %9.1f %5.1f%%", peak, 100*rate/peak)
		}
	}
	fmt.Println()
}

// normal returns a tensor of numbers from N(0,1), each name a stream of its own.
func normal(stream uint64, shape ...int) *tensor.Tensor {
	x := tensor.New(shape...)
	kernel.Normal(x.Data(), 0, 1, 1, stream<<40)
	return x
}
