package mm

import (
	"fmt"
	"math"
	"strings"
)

// A Validator is a part of a problem or of a method that can say what is wrong
// with its own fields: a sum, a loss, a regulariser, a surrogate family or a step
// rule. Minimize asks every part that implements it, those of other packages
// included, before the first iteration, and returns the error.
type Validator interface {
	// Validate returns an error that names the field and its value if the receiver
	// cannot serve a sum of n components in p parameters, and nil otherwise.
	Validate(n, p int) error
}

// validate asks v, if it is a Validator.
func validate(v any, n, p int) error {
	if c, ok := v.(Validator); ok {
		return c.Validate(n, p)
	}
	return nil
}

// firstError returns the first of errs that is not nil.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func nonNegative(what string, v float64) error {
	if v >= 0 && !math.IsInf(v, 1) {
		return nil
	}
	return fmt.Errorf("mm: %s is %g, want a finite number ≥ 0", what, v)
}

func positive(what string, v float64) error {
	if v > 0 && !math.IsInf(v, 1) {
		return nil
	}
	return fmt.Errorf("mm: %s is %g, want a finite number > 0", what, v)
}

func atLeast(what string, v, low int) error {
	if v >= low {
		return nil
	}
	return fmt.Errorf("mm: %s is %d, want at least %d", what, v, low)
}

// sameSum refuses a surrogate family whose sum has other dimensions than the
// problem's.
func sameSum(family string, f FiniteSum, n, p int) error {
	if f == nil {
		return fmt.Errorf("mm: %s has no sum", family)
	}
	if f.Len() != n || f.Dim() != p {
		return fmt.Errorf("mm: %s is for %d components in %d parameters, the problem has %d in %d", family, f.Len(), f.Dim(), n, p)
	}
	return nil
}

// maxNumbers bounds the tables and statistics that a method allocates: 1 TiB of
// float64, or what the platform can address.
const maxNumbers = min(1<<37, math.MaxInt/8)

// maxStatistic bounds the statistic of one component: 16 GiB.
const maxStatistic = min(1<<31, math.MaxInt/8)

// fits returns an error if there are more numbers than the limit. The number is a
// float64 because products of dimensions may overflow an int.
func fits(what string, numbers, limit float64) error {
	if numbers <= limit {
		return nil
	}
	return fmt.Errorf("mm: %s would hold %.3g numbers, more than %.3g", what, numbers, limit)
}

// mustBe panics with Error if err is not nil: where an argument is checked that only
// a bug of the caller makes wrong.
func mustBe(err error) {
	if err != nil {
		panic(Error(strings.TrimPrefix(err.Error(), "mm: ")))
	}
}

// checkProx is the first line of every Prox: it panics with Error for slices of
// different lengths, a step that is not positive, and options that are invalid.
func checkProx(dst, u []float64, t float64, options error) {
	checkLen("Prox", len(dst), len(u))
	mustBe(options)
	if !(t > 0) || math.IsInf(t, 1) {
		panic(Error(fmt.Sprintf("Prox: step t is %g, want a finite number > 0", t)))
	}
}
