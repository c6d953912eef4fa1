package report

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
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

func TestRoundValues(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		want   string
	}{
		{0, 1, "[0 0.2 0.4 0.6 0.8 1]"}, {0, 5.866, "[0 1 2 3 4 5]"}, {0, 2, "[0 0.5 1 1.5 2]"},
		{-0.31, 0.4, "[-0.3 -0.2 -0.1 0 0.1 0.2 0.3 0.4]"}, {3, 47, "[10 20 30 40]"}, {0, 0.04, "[0 0.01 0.02 0.03 0.04]"}, {0, 1700, "[0 200 400 600 800 1000 1200 1400 1600]"},
	} {
		var got []float64
		for _, v := range along(c.lo, c.hi) {
			got = append(got, math.Round(v*1e6)/1e6)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("from %g to %g: %v, want %s", c.lo, c.hi, got, c.want)
		}
	}
}

// TestLegendFits: the chart is as wide as its longest name asks.
func TestLegendFits(t *testing.T) {
	short := Chart{Series: []Series{{Name: "meta"}}}
	long := Chart{Series: []Series{{Name: "meta"}, {Name: "meta-frugal (3000 images)"}}}
	if short.width() != 760 || long.width() < 760+50 || !strings.Contains(long.SVG(), fmt.Sprintf(`viewBox="0 0 %d 400"`, long.width())) {
		t.Errorf("widths %d and %d", short.width(), long.width())
	}
}

func TestSuccesses(t *testing.T) {
	for _, c := range []struct {
		at   []int
		x, y []float64
	}{
		{[]int{30, 0, 10}, []float64{1, 1, 10, 30, 100}, []float64{0, 0.25, 0.5, 0.75, 0.75}},
		{nil, []float64{1, 100}, []float64{0, 0}},
	} {
		s := Successes("a", c.at, 4, 100)
		if s.Name != "a" || !s.Step || !slices.Equal(s.X, c.x) || !slices.Equal(s.Y, c.y) {
			t.Errorf("successes at %v: %+v, want %v and %v", c.at, s, c.x, c.y)
		}
	}
}
