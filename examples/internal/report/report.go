// Package report writes self-contained HTML pages: tables, charts and pictures in
// one file that needs nothing else.
package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image/png"

	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video"
)

// A Page is a report, top to bottom.
type Page struct {
	Title    string
	Lead     string // a paragraph under the title
	Sections []Section
}

// A Section is a heading and what stands under it, in this order; empty parts are
// left out.
type Section struct {
	Title string
	Text  []string // paragraphs
	Table *Table
	Chart *Chart
	Tiles []Tile
	Facts []Fact
}

// A Table has a row of column heads and rows of cells. Columns whose head begins
// with a space hold text; the others are numbers, and set flush right.
type Table struct {
	Head []string
	Rows [][]string
}

// A Fact is a name and a value.
type Fact struct{ Name, Value string }

// A Tile is a group of pictures with captions, such as an image, what was added to
// it and the sum.
type Tile struct {
	Title    string
	Pictures []Picture
}

// A Picture is an image with a caption.
type Picture struct {
	Caption string
	URI     template.URL
}

// NewPicture makes a picture of pixels in [0,1], [C, H, W] with one or three
// channels.
func NewPicture(caption string, x *tensor.Tensor) (Picture, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, x.ToImage()); err != nil {
		return Picture{}, err
	}
	return Picture{caption, template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))}, nil
}

// NewAnimation makes a picture of a clip in [0,1], [T, C, H, W] with one or three channels,
// that shows its frames one after the other, eight in a second.
func NewAnimation(caption string, x *tensor.Tensor) (Picture, error) {
	var b bytes.Buffer
	if err := video.WriteGIF(&b, &video.Clip{X: x, FPS: 8}, video.GIFOptions{Scale: 1}); err != nil {
		return Picture{}, err
	}
	return Picture{caption, template.URL("data:image/gif;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))}, nil
}

// Write writes the page to a file.
func (p *Page) Write(path string) error {
	var b bytes.Buffer
	if err := page.Execute(&b, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return atomicfile.WriteFile(path, b.Bytes())
}

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"svg":  func(c *Chart) template.HTML { return template.HTML(c.SVG()) },
	"text": func(t *Table, i int) bool { return t.text(i) },
	"head": func(s string) string { return trim(s) },
}).Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title><link rel="icon" href="data:,">
<style>
:root { --ink: #1c2430; --soft: #5b6675; --line: #d9dee5; --back: #ffffff; --band: #f5f7fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --line: #364150; --back: #141a22; --band: #1c242f; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); max-width: 1340px; margin: 2.5rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.4rem; }
p { max-width: 46rem; } .lead { color: var(--soft); margin-top: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .5rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } td.t, th.t { text-align: left; }
tbody tr:nth-child(even) { background: var(--band); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1.2rem; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem; }
.tile { border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem; } .tile h3 { font-size: .9rem; margin: 0 0 .4rem; }
.pics { display: flex; gap: .6rem; } figure { margin: 0; text-align: center; } figcaption { font-size: .78rem; color: var(--soft); }
figure img { width: 84px; height: 84px; image-rendering: pixelated; border: 1px solid var(--line); }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); } .grid { stroke: var(--line); } .axis { stroke: var(--soft); }
</style></head><body>
<h1>{{.Title}}</h1><p class="lead">{{.Lead}}</p>
{{range .Sections}}<section><h2>{{.Title}}</h2>
{{range .Text}}<p>{{.}}</p>{{end}}
{{with .Table}}{{$t := .}}<div class="scroll"><table><thead><tr>{{range $i, $h := .Head}}<th{{if text $t $i}} class="t"{{end}}>{{head $h}}</th>{{end}}</tr></thead>
<tbody>{{range .Rows}}<tr>{{range $i, $c := .}}<td{{if text $t $i}} class="t"{{end}}>{{$c}}</td>{{end}}</tr>{{end}}</tbody></table></div>{{end}}
{{with .Chart}}<div class="scroll">{{svg .}}</div>{{end}}
{{if .Tiles}}<div class="tiles">{{range .Tiles}}<div class="tile"><h3>{{.Title}}</h3><div class="pics">{{range .Pictures}}<figure><img src="{{.URI}}" alt="{{.Caption}}"><figcaption>{{.Caption}}</figcaption></figure>{{end}}</div></div>{{end}}</div>{{end}}
{{if .Facts}}<dl>{{range .Facts}}<dt>{{.Name}}</dt><dd>{{.Value}}</dd>{{end}}</dl>{{end}}
</section>{{end}}
</body></html>
`))

func (t *Table) text(i int) bool { return i < len(t.Head) && len(t.Head[i]) > 0 && t.Head[i][0] == ' ' }

func trim(s string) string {
	if len(s) > 0 && s[0] == ' ' {
		return s[1:]
	}
	return s
}
