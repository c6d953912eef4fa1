package report

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// HTML draws the chart for a page: the lines in a picture that takes the width there is,
// the words beside it, so that they keep their size.
func (c *Chart) HTML() string {
	const side = 1000.0 // of the picture, in its own units
	e := c.extent()
	px := func(x float64) float64 { return side * e.x(x) }
	py := func(y float64) float64 { return side * (1 - e.y(y)) }
	var lines, words strings.Builder
	for _, y := range along(e.yMin, e.yMax) {
		fmt.Fprintf(&lines, `<line class="grid" x1="0" x2="%g" y1="%.2f" y2="%.2f"/>`, side, py(y), py(y))
		fmt.Fprintf(&words, `<span class="y" style="bottom:%.2f%%">%s</span>`, 100*e.y(y), number(y))
	}
	ticks := c.ticks(e.lo, e.hi)
	for k, x := range ticks {
		fmt.Fprintf(&lines, `<line class="grid" x1="%.2f" x2="%.2f" y1="0" y2="%g"/>`, px(x), px(x), side)
		class := "x"
		if minor(ticks, k, c.LogX) {
			class = "x minor"
		}
		fmt.Fprintf(&words, `<span class="%s" style="left:%.2f%%">%s</span>`, class, 100*e.x(x), number(x))
	}
	fmt.Fprintf(&lines, `<line class="axis" x1="0" x2="%g" y1="%.2f" y2="%.2f"/>`, side, py(0), py(0))
	var legend strings.Builder
	for i, s := range c.Series {
		if len(s.X) > 0 {
			fmt.Fprintf(&lines, `<path class="series" data-k="%d" fill="none" %s stroke-width="2.2" stroke-linejoin="round" d="%s"/>`, i, stroke(i), s.path(px, py))
		}
		fmt.Fprintf(&legend, `<li data-k="%d"><svg viewBox="0 0 34 10" aria-hidden="true"><line x2="34" y1="5" y2="5" %s stroke-width="2.5"/></svg>%s</li>`, i, stroke(i), html.EscapeString(s.Name))
	}
	return fmt.Sprintf(`<figure class="chart"><figcaption class="name">%s</figcaption>
<div class="plot"><svg role="img" aria-label="%s" viewBox="0 0 %g %g" preserveAspectRatio="none">%s</svg>%s<span class="xname">%s</span><span class="yname">%s</span></div>
<ul class="legend">%s</ul></figure>`, html.EscapeString(c.Title), html.EscapeString(c.Title), side, side, lines.String(), words.String(),
		html.EscapeString(c.X), html.EscapeString(c.Y), legend.String())
}

// minor reports whether the word at a tick gives way where the page is narrow: every
// other one, or on an axis of several decades those between the powers of ten.
func minor(ticks []float64, k int, log bool) bool {
	power := func(x float64) bool { _, f := math.Modf(math.Log10(x) + 1e-9); return f < 1e-6 }
	if decades := len(slices.DeleteFunc(slices.Clone(ticks), func(x float64) bool { return !power(x) })); log && decades > 1 {
		return !power(ticks[k])
	}
	return k%2 == 1
}
