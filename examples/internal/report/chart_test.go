package report

import (
	"fmt"
	"regexp"
	"testing"
)

// TestLinesAreToldApart: as many lines as there are attacks look different, and each
// like its entry of the legend.
func TestLinesAreToldApart(t *testing.T) {
	c := &Chart{}
	const n = 15
	for i := range n {
		c.Series = append(c.Series, Series{Name: fmt.Sprint(i), X: []float64{0, 1}, Y: []float64{0, 1}})
	}
	drawn := map[string]int{}
	for _, m := range regexp.MustCompile(`stroke="#[0-9a-f]+"(?: stroke-dasharray="[^"]*")?`).FindAllString(c.SVG(), -1) {
		drawn[m]++
	}
	if len(drawn) != n {
		t.Errorf("%d lines are drawn in %d ways", n, len(drawn))
	}
	for s, times := range drawn {
		if times != 2 {
			t.Errorf("%s is used %d times, want once for the line and once for the legend", s, times)
		}
	}
}
