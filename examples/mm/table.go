package main

import (
	"fmt"
	"math"
	"slices"
)

// printTables compares all contenders on four problems.
func printTables(o options) error {
	for _, build := range []func(options, uint64) (instance, error){denseLogistic, logistic, sparseLogistic, sparsePCA} {
		if err := printTable(o, build); err != nil {
			return err
		}
	}
	return nil
}

func printTable(o options, build func(options, uint64) (instance, error)) error {
	const tuning = 1000 // the seed of the instance that steps are tuned on
	in, err := build(o, tuning)
	if err != nil {
		return err
	}
	fmt.Printf("### %s\n\n", in.title)
	fmt.Printf("After %d passes, %d seeds; L = %.4g on the tuning instance.\n\n", o.passes, o.seeds, in.lip)
	steps := make([]float64, len(contenders))
	for k, c := range contenders {
		if steps[k], err = tune(in, c, tuning, o.passes); err != nil {
			return err
		}
	}
	// ends[k][tuned] are the outcomes of contender k, one a seed.
	ends := make([][2][]outcome, len(contenders))
	best := make([]float64, o.seeds)
	for seed := range o.seeds {
		if in, err = build(o, uint64(seed)); err != nil {
			return err
		}
		if best[seed], err = reference(in, o.passes); err != nil {
			return err
		}
		for k, c := range contenders {
			for tuned, step := range []float64{0, steps[k] / in.lip} {
				end, err := play(in, c.make(in.f.Len(), step), uint64(seed), o.passes, false)
				if err != nil {
					return err
				}
				ends[k][tuned] = append(ends[k][tuned], end)
				best[seed] = min(best[seed], end.f)
			}
		}
	}
	fmt.Println("| method | F−F* at theory's step | ‖G‖² | best step·L | F−F* at the best step | ‖G‖² |")
	fmt.Println("|---|---|---|---|---|---|")
	for k, c := range contenders {
		fmt.Printf("| %s |", c.name)
		for tuned := range 2 {
			var gaps, squares []float64
			for seed, e := range ends[k][tuned] {
				gaps = append(gaps, e.f-best[seed])
				squares = append(squares, e.square)
			}
			if tuned == 1 {
				fmt.Printf(" %s |", stepName(steps[k]))
			}
			fmt.Printf(" %s | %s |", spread(gaps), spread(squares))
		}
		fmt.Println()
	}
	fmt.Println()
	return nil
}

func stepName(s float64) string {
	if s < 1 {
		return fmt.Sprintf("1/%g", 1/s)
	}
	return fmt.Sprintf("%g", s)
}

// spread prints the median with the least and the greatest value.
func spread(v []float64) string {
	slices.Sort(v)
	m := len(v)
	return fmt.Sprintf("%s (%s … %s)", short((v[(m-1)/2]+v[m/2])/2), short(v[0]), short(v[m-1]))
}

func short(v float64) string {
	switch {
	case v == 0:
		return "0"
	case math.IsInf(v, 1):
		return "diverged"
	}
	return fmt.Sprintf("%.1e", v)
}
