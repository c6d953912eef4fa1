package main

import (
	"image/color"
	"io"
	"math"

	"github.com/mettleml/mettle/internal/atomicfile"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

var circle = draw.CircleGlyph{}

// style gives the methods of one kind one hue.
type style struct {
	c      color.RGBA
	width  float64
	dashes []vg.Length
}

func dashes(pt ...float64) []vg.Length {
	var d []vg.Length
	for _, v := range pt {
		d = append(d, vg.Points(v))
	}
	return d
}

func rgb(v uint32) color.RGBA {
	return color.RGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 0xff}
}

var styles = map[string]style{
	"MM":          {rgb(0x000000), 1.6, nil},
	"MISO":        {rgb(0x616161), 1.4, dashes(6, 3)},
	"SMM":         {rgb(0x9e9e9e), 1.4, dashes(2, 2)},
	"SGD":         {rgb(0xbf9000), 1.4, nil},
	"SVRG":        {rgb(0x1565c0), 1.4, nil},
	"L-SVRG":      {rgb(0x42a5f5), 1.4, dashes(6, 3)},
	"SCSG":        {rgb(0x1565c0), 1.4, dashes(2, 2)},
	"SAGA":        {rgb(0x00838f), 1.4, nil},
	"SAGA b=1":    {rgb(0x00acc1), 1.4, dashes(6, 3)},
	"SARAH b=1":   {rgb(0x7b1fa2), 1.4, nil},
	"SPIDER":      {rgb(0x2e7d32), 1.4, nil},
	"SpiderBoost": {rgb(0x66bb6a), 2.4, dashes(1, 4)},
	"ProxSARAH":   {rgb(0x827717), 1.4, dashes(6, 3)},
	"PAGE":        {rgb(0xef6c00), 1.4, nil},
	"SPI-MM":      {rgb(0xd50000), 2.4, nil},
	"SPI-MM b=1":  {rgb(0xd50000), 2, dashes(7, 3)},
}

// drawComparison draws two rows of panels, gap and stationarity, against passes and
// against time.
func drawComparison(file string, in instance, curves []curve, best float64) error {
	n := float64(in.f.Len())
	// The time axis ends where most methods have ended.
	var ends []float64
	for _, c := range curves {
		ends = append(ends, last(c.trace).Time.Seconds()*1e3)
	}
	panels := make([][]*plot.Plot, 2)
	var legend plot.Legend
	for row := range panels {
		for col := range 2 {
			p := plot.New()
			p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades{}
			p.Add(plotter.NewGrid())
			if row == 0 {
				p.Y.Label.Text = "F − F*"
			} else {
				p.Y.Label.Text = "‖gradient mapping‖²"
			}
			if col == 0 {
				p.X.Label.Text = "passes over the data"
			} else {
				p.X.Label.Text = "milliseconds, diagnostics excluded"
			}
			low, high := math.Inf(1), 0.0
			for _, c := range curves {
				var xy plotter.XYs
				for _, q := range c.trace {
					x := float64(q.IFO) / n
					if col == 1 {
						x = q.Time.Seconds() * 1e3
					}
					y := q.F - best
					if row == 1 {
						y = q.Stationarity * q.Stationarity
					}
					if math.IsInf(y, 0) || math.IsNaN(y) {
						continue
					}
					y = max(y, 1e-16)
					low, high = min(low, y), max(high, y)
					xy = append(xy, plotter.XY{X: x, Y: y})
				}
				l, err := plotter.NewLine(xy)
				if err != nil {
					return err
				}
				s := styles[c.name]
				l.Color, l.Width, l.Dashes = s.c, vg.Points(s.width), s.dashes
				p.Add(l)
				if row == 0 && col == 0 {
					legend = addEntry(legend, c, l)
				}
			}
			p.Y.Min, p.Y.Max = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
			p.X.Min = 0
			if col == 1 {
				p.X.Max = quantile(ends, 0.7)
			}
			panels[row] = append(panels[row], p)
		}
	}
	return save(file, 13*vg.Inch, 8*vg.Inch, func(c draw.Canvas) {
		c.SetColor(color.White)
		c.Fill(c.Rectangle.Path())
		title := plot.New().Title.TextStyle
		title.Font.Size = vg.Points(14)
		title.XAlign, title.YAlign = draw.XCenter, draw.YTop
		text := in.title + "; steps tuned on one grid"
		c.FillText(title, vg.Point{X: c.Center().X, Y: c.Max.Y - vg.Points(6)}, text)
		body := draw.Crop(c, vg.Points(6), -2.15*vg.Inch, vg.Points(6), -vg.Points(30))
		tiles := draw.Tiles{Rows: 2, Cols: 2, PadX: vg.Points(16), PadY: 0}
		for row, line := range plot.Align(panels, tiles, body) {
			for col, cell := range line {
				panels[row][col].Draw(cell)
			}
		}
		side := draw.Crop(c, c.Max.X-c.Min.X-2.05*vg.Inch, 0, 0, -vg.Points(36))
		legend.Draw(side)
	})
}

func addEntry(legend plot.Legend, c curve, l *plotter.Line) plot.Legend {
	if legend.ThumbnailWidth == 0 {
		legend = plot.NewLegend()
		legend.Top, legend.Left = true, true
		legend.ThumbnailWidth = vg.Points(30)
		legend.XOffs = 0
		legend.Padding = vg.Points(3)
	}
	legend.Add(c.name+", "+stepName(c.step)+"/L", l)
	return legend
}

func quantile(v []float64, q float64) float64 {
	s := append([]float64(nil), v...)
	for i := range s {
		for j := i; j > 0 && s[j] < s[j-1]; j-- {
			s[j], s[j-1] = s[j-1], s[j]
		}
	}
	return s[int(q*float64(len(s)-1))]
}

// decades labels every second or third power of ten, so that long axes stay
// readable.
type decades struct{}

func (decades) Ticks(low, high float64) []plot.Tick {
	a, b := int(math.Round(math.Log10(low))), int(math.Round(math.Log10(high)))
	every := 1 + (b-a)/8
	var t []plot.Tick
	for k := a; k <= b; k++ {
		label := ""
		if (b-k)%every == 0 {
			label = "1e" + power(k)
		}
		t = append(t, plot.Tick{Value: math.Pow(10, float64(k)), Label: label})
	}
	return t
}

func power(k int) string {
	s := ""
	if k < 0 {
		s, k = "−", -k
	}
	if k >= 10 {
		s += string(rune('0' + k/10))
	}
	return s + string(rune('0'+k%10))
}

// save draws into a PNG and an SVG file.
func save(file string, w, h vg.Length, picture func(draw.Canvas)) error {
	img := vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(110))
	picture(draw.New(img))
	svg := vgsvg.New(w, h)
	picture(draw.New(svg))
	for path, canvas := range map[string]io.WriterTo{file + ".png": vgimg.PngCanvas{Canvas: img}, file + ".svg": svg} {
		err := atomicfile.Write(path, func(w io.Writer) error {
			_, err := canvas.WriteTo(w)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
