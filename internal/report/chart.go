package report

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/nn/eval"
)

// A Chart is a line chart.
type Chart struct {
	Title  string
	X, Y   string // axis labels
	LogX   bool
	YMax   float64 // top of the y axis, which begins at 0 or below; 0: the largest value
	Series []Series
}

// A Series is a line. Step draws it as a staircase, each value holding until the
// next.
type Series struct {
	Name string
	X, Y []float64
	Step bool
}

// Successes is the share of n attacks with a success against the queries spent, up to a
// budget. at are the queries that successes took, in any order.
func Successes(name string, at []int, n, budget int) Series {
	s := Series{Name: name, Step: true, X: []float64{1}, Y: []float64{0}}
	for i, q := range slices.Sorted(slices.Values(at)) {
		s.X, s.Y = append(s.X, float64(max(q, 1))), append(s.Y, float64(i+1)/float64(n))
	}
	s.X, s.Y = append(s.X, float64(budget)), append(s.Y, s.Y[len(s.Y)-1])
	return s
}

// Calibrated is the accuracy of the bins of a reliability graph over their confidence.
func Calibrated(name string, bins []eval.Bin) Series {
	s := Series{Name: name}
	for _, b := range bins {
		if b.Count > 0 {
			s.X, s.Y = append(s.X, b.Confidence), append(s.Y, b.Accuracy)
		}
	}
	return s
}

// palette is a set of colours that remain apart for most kinds of colour vision and on
// white and on black; dashes tell neighbours apart where colours do not. Their numbers
// have no common divisor, so that each of 35 lines looks different.
var (
	palette = []string{"#3f74d9", "#d95f02", "#1b9e77", "#c2448d", "#a08000", "#7a6ae0", "#858585"}
	dashes  = []string{"", "7 3", "2 3", "10 3 2 3", "14 4"}
)

// stroke is how the i-th series is drawn.
func stroke(i int) string {
	s := fmt.Sprintf(`stroke="%s"`, palette[i%len(palette)])
	if d := dashes[i%len(dashes)]; d != "" {
		s += fmt.Sprintf(` stroke-dasharray="%s"`, d)
	}
	return s
}

// Sizes of the plot and of the margins round it; the right one holds the legend.
const (
	plotW, plotH      = 548, 314
	left, top, bottom = 62, 34, 52
	chartH            = top + plotH + bottom
)

// width is that of the chart, with room for the longest name in the legend.
func (c *Chart) width() int {
	longest := 0
	for _, s := range c.Series {
		longest = max(longest, utf8.RuneCountInString(s.Name))
	}
	return left + plotW + max(150, 46+7*longest)
}

// SVG draws the chart. Series without points are named in the legend all the same.
func (c *Chart) SVG() string {
	e := c.extent()
	px := func(x float64) float64 { return left + plotW*e.x(x) }
	py := func(y float64) float64 { return top + plotH*(1-e.y(y)) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg role="img" aria-label="%s" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, sans-serif" font-size="12">`,
		html.EscapeString(c.Title), c.width(), chartH, c.width(), chartH)
	fmt.Fprintf(&b, `<text x="%d" y="18" font-weight="600">%s</text>`, left, html.EscapeString(c.Title))
	for _, y := range along(e.yMin, e.yMax) {
		fmt.Fprintf(&b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			left, left+plotW, py(y), py(y), left-8, py(y)+4, number(y))
	}
	for _, x := range c.ticks(e.lo, e.hi) {
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`,
			px(x), px(x), top, top+plotH, px(x), top+plotH+18, number(x))
	}
	fmt.Fprintf(&b, `<line class="axis" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, left+plotW, py(0), py(0))
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`, left+plotW/2, chartH-10, html.EscapeString(c.X))
	fmt.Fprintf(&b, `<text transform="translate(14 %d) rotate(-90)" text-anchor="middle">%s</text>`, top+plotH/2, html.EscapeString(c.Y))
	for i, s := range c.Series {
		y := top + 8 + 20*i
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%d" y2="%d" %s stroke-width="2.5"/><text x="%d" y="%d">%s</text>`,
			left+plotW+14, left+plotW+34, y, y, stroke(i), left+plotW+40, y+4, html.EscapeString(s.Name))
		if len(s.X) > 0 {
			fmt.Fprintf(&b, `<path class="series" fill="none" %s stroke-width="2" stroke-linejoin="round" d="%s"/>`, stroke(i), s.path(px, py))
		}
	}
	b.WriteString(`</svg>`)
	return b.String()
}

// style is what a chart wants beside itself when it stands alone.
const style = `<style>svg { background: #fff; } text { fill: #1c2430; } .grid { stroke: #d9dee5; } .axis { stroke: #5b6675; }</style>`

// Write writes the chart as an SVG file.
func (c *Chart) Write(path string) error {
	head, rest, _ := strings.Cut(c.SVG(), ">")
	svg := strings.Replace(head, "<svg ", `<svg xmlns="http://www.w3.org/2000/svg" `, 1) + ">" + style + rest + "\n"
	return atomicfile.WriteFile(path, []byte(svg))
}

// path is the series as SVG path data.
func (s *Series) path(px, py func(float64) float64) string {
	var b strings.Builder
	for i := range s.X {
		switch {
		case i == 0:
			fmt.Fprintf(&b, "M%.1f %.1f", px(s.X[i]), py(s.Y[i]))
		case s.Step:
			fmt.Fprintf(&b, "H%.1fV%.1f", px(s.X[i]), py(s.Y[i]))
		default:
			fmt.Fprintf(&b, "L%.1f %.1f", px(s.X[i]), py(s.Y[i]))
		}
	}
	return b.String()
}

// An extent is what the axes show.
type extent struct {
	log        bool
	lo, hi     float64 // of the x axis, in decades if it is logarithmic
	yMin, yMax float64
}

// x and y are where a value lies, from 0 at the beginning of its axis to 1.
func (e extent) x(v float64) float64 {
	if e.log {
		v = math.Log10(v)
	}
	return (v - e.lo) / (e.hi - e.lo)
}

func (e extent) y(v float64) float64 { return (v - e.yMin) / (e.yMax - e.yMin) }

// extent finds what the axes have to show, the y axis between round values unless its
// top was given.
func (c *Chart) extent() extent {
	e := extent{log: c.LogX, lo: math.Inf(1), hi: math.Inf(-1)}
	for _, s := range c.Series {
		for i, x := range s.X {
			if c.LogX {
				x = math.Log10(x)
			}
			e.lo, e.hi = min(e.lo, x), max(e.hi, x)
			e.yMin, e.yMax = min(e.yMin, s.Y[i]), max(e.yMax, s.Y[i])
		}
	}
	if e.yMax == e.yMin {
		e.yMax = 1
	}
	step := spacing(e.yMin, e.yMax)
	e.yMin = math.Floor(e.yMin/step+1e-9) * step
	e.yMax = math.Ceil(e.yMax/step-1e-9) * step
	if c.YMax > 0 {
		e.yMax = c.YMax
	}
	if !(e.lo < e.hi) { // no points, or all at one place
		if math.IsInf(e.lo, 1) {
			e.lo = 0
		}
		e.hi = e.lo + 1
	}
	return e
}

// ticks are the round values on the x axis.
func (c *Chart) ticks(lo, hi float64) []float64 {
	var t []float64
	if c.LogX {
		within := []float64{1, 2, 5}
		if hi-lo < 0.7 { // few of them would be on the axis
			within = []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}
		}
		for d := math.Floor(lo); d <= hi; d++ {
			for _, m := range within {
				if v := d + math.Log10(m); v >= lo-1e-9 && v <= hi+1e-9 {
					t = append(t, m*math.Pow(10, d))
				}
			}
		}
		return t
	}
	return along(lo, hi)
}

// along are the round values from lo to hi.
func along(lo, hi float64) []float64 {
	var t []float64
	step := spacing(lo, hi)
	for k := math.Ceil(lo/step-1e-9) + 0; k*step <= hi+1e-9*step; k++ {
		t = append(t, k*step)
	}
	return t
}

// spacing is a round step of which four to nine go from lo to hi.
func spacing(lo, hi float64) float64 {
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/4)))
	for _, m := range []float64{5, 2} {
		if (hi-lo)/(m*step) >= 4 {
			return m * step
		}
	}
	return step
}

// number is a short form of v.
func number(v float64) string {
	if math.Abs(v) >= 1000 {
		return fmt.Sprintf("%gk", math.Round(v/100)/10)
	}
	return fmt.Sprintf("%g", math.Round(v*1000)/1000)
}
