package main

import (
	"fmt"
	"image/color"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/mettleml/mettle/mm"
)

// drawBand draws figure 6.1 for a problem of one parameter: the objective, the
// classical majorant at a point, and what SPI-MM has there instead, three steps
// after a refresh with batches of one sample: a random surrogate. Of 2000 draws it
// shows the mean, a few, and the two curves between which nine in ten fall.
func drawBand(file string, seed uint64) error {
	const (
		samples, draws    = 200, 2000
		low, high, points = -2.2, 1.7, 300
	)
	f, err := oneParameter(samples, seed)
	if err != nil {
		return err
	}
	family := &mm.ProxGrad{Sum: f, Step: 1 / f.Lipschitz().MeanSquare}
	path := []float64{-2, -1.6, -1.2, -0.8} // θ at the refresh, …, θ_k
	anchor := path[len(path)-1]

	xs := make([]float64, points)
	for k := range xs {
		xs[k] = low + (high-low)*float64(k)/(points-1)
	}
	mean := func(x, at float64) float64 {
		s := 0.0
		for i := range samples {
			s += mm.SurrogateValue(family, f, i, []float64{x}, []float64{at}) / samples
		}
		return s
	}
	objective, classical := make([]float64, points), make([]float64, points)
	for k, x := range xs {
		objective[k] = mm.Problem{Sum: f}.Value([]float64{x})
		classical[k] = mean(x, anchor)
	}
	// One draw is a parabola of fixed curvature: its values at three points tell
	// it all.
	probe := []float64{low, (low + high) / 2, high}
	rng := rand.New(rand.NewPCG(seed, 61))
	surrogates := make([][]float64, draws)
	for d := range surrogates {
		v := make([]float64, 3)
		for j, x := range probe {
			v[j] = mean(x, path[0])
		}
		for k := 1; k < len(path); k++ {
			i := rng.IntN(samples)
			for j, x := range probe {
				v[j] += mm.SurrogateValue(family, f, i, []float64{x}, path[k:k+1]) -
					mm.SurrogateValue(family, f, i, []float64{x}, path[k-1:k])
			}
		}
		surrogates[d] = make([]float64, points)
		for k, x := range xs {
			surrogates[d][k] = lagrange(probe, v, x)
		}
	}
	lower, upper, average := make([]float64, points), make([]float64, points), make([]float64, points)
	dips := 0
	column := make([]float64, draws)
	for k := range xs {
		for d := range surrogates {
			column[d] = surrogates[d][k]
			average[k] += column[d] / draws
			if column[d] < objective[k] {
				dips++
			}
		}
		slices.Sort(column)
		lower[k], upper[k] = column[draws/20], column[draws-draws/20]
	}
	fmt.Printf("Figure 6.1: of %d random surrogates at %d points, %.1f %% of the values lie below the objective;\n", draws, points, 100*float64(dips)/draws/points)
	fmt.Printf("the mean surrogate is within %.2g of the classical one.\n\n", maxGap(average, classical))

	p := plot.New()
	p.Title.Text = "The classical majorant and SPI-MM's random surrogate"
	p.X.Label.Text = "θ"
	p.Y.Label.Text = "value"
	bottom, top := slices.Min(objective)-0.35, 1.3*slices.Max(objective)
	p.Add(plotter.NewGrid())
	red := color.RGBA{R: 0xc6, G: 0x28, B: 0x28, A: 0xff}
	blue := color.RGBA{R: 0x15, G: 0x65, B: 0xc0, A: 0xff}
	band, err := plotter.NewPolygon(outline(xs, lower, upper, top))
	if err != nil {
		return err
	}
	band.Color = color.NRGBA{R: 0x15, G: 0x65, B: 0xc0, A: 0x26}
	band.LineStyle.Width = 0
	p.Add(band)
	add := func(name string, ys []float64, c color.Color, width vg.Length, dashes ...vg.Length) error {
		l, err := plotter.NewLine(clip(xs, ys, bottom, top))
		if err != nil {
			return err
		}
		l.Color, l.Width, l.Dashes = c, width, dashes
		p.Add(l)
		if name != "" {
			p.Legend.Add(name, l)
		}
		return nil
	}
	faint := color.NRGBA{R: 0x15, G: 0x65, B: 0xc0, A: 0x66}
	for d := range 6 {
		label := ""
		if d == 0 {
			label = "six draws of the surrogate"
		}
		if err := add(label, surrogates[d], faint, vg.Points(0.8)); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		name   string
		ys     []float64
		c      color.Color
		w      vg.Length
		dashes []vg.Length
	}{
		{"nine draws in ten lie between", lower, blue, vg.Points(1.4), []vg.Length{vg.Points(2), vg.Points(3)}},
		{"", upper, blue, vg.Points(1.4), []vg.Length{vg.Points(2), vg.Points(3)}},
		{"classical majorant", classical, red, vg.Points(2), nil},
		{"objective F", objective, color.Black, vg.Points(2.4), nil},
	} {
		if err := add(c.name, c.ys, c.c, c.w, c.dashes...); err != nil {
			return err
		}
	}
	dot, err := plotter.NewScatter(plotter.XYs{{X: anchor, Y: mean(anchor, anchor)}})
	if err != nil {
		return err
	}
	dot.Color, dot.Radius, dot.Shape = red, vg.Points(4), circle
	p.Add(dot)
	p.Legend.Add("the iterate", dot)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = low, high, bottom, top
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs = true, true, 1.7*vg.Inch
	p.Legend.Padding = vg.Points(3)
	return save(file, 7.5*vg.Inch, 5*vg.Inch, p.Draw)
}

// oneParameter is non-convex logistic regression with a single feature of uneven
// size and noisy labels.
func oneParameter(n int, seed uint64) (*mm.Linear, error) {
	rng := rand.New(rand.NewPCG(seed, 60))
	x, y := mm.NewDense(n, 1, nil), make([]float64, n)
	for i := range y {
		x.Data[i] = 0.4 + 2*rng.Float64()
		y[i] = 1
		if rng.Float64() < 0.45 {
			y[i] = -1
		}
	}
	return mm.NewLogistic(x, y, 0.5)
}

// lagrange is the parabola through three points.
func lagrange(x, y []float64, at float64) float64 {
	s := 0.0
	for j := range x {
		l := y[j]
		for k := range x {
			if k != j {
				l *= (at - x[k]) / (x[j] - x[k])
			}
		}
		s += l
	}
	return s
}

func maxGap(a, b []float64) float64 {
	g := 0.0
	for k := range a {
		g = max(g, math.Abs(a[k]-b[k]))
	}
	return g
}

// outline walks along the lower curve and back along the upper one, below top.
func outline(xs, lower, upper []float64, top float64) plotter.XYs {
	var out plotter.XYs
	for k, x := range xs {
		out = append(out, plotter.XY{X: x, Y: min(lower[k], top)})
	}
	for k := len(xs) - 1; k >= 0; k-- {
		out = append(out, plotter.XY{X: xs[k], Y: min(upper[k], top)})
	}
	return out
}

// clip keeps the points inside the frame; a parabola leaves it at its ends only.
func clip(xs, ys []float64, low, high float64) plotter.XYs {
	var out plotter.XYs
	for k, x := range xs {
		if ys[k] >= low && ys[k] <= high {
			out = append(out, plotter.XY{X: x, Y: ys[k]})
		}
	}
	return out
}
