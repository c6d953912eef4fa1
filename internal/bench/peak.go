package main

import "time"

// measurePeak returns the multiply-add rate of one core in GFLOP/s, the best of
// several bursts, or 0 where it is not known.
func measurePeak() float64 {
	loop, flops := fmaLoop()
	if loop == nil {
		return 0
	}
	const n = 1 << 20
	best := time.Hour
	for range 12 {
		start := time.Now()
		loop(n)
		best = min(best, time.Since(start))
	}
	return float64(n) * float64(flops) / float64(best.Nanoseconds())
}
