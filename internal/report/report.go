// Package report writes self-contained HTML pages: tables, charts and pictures in
// one file that needs nothing else.
package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"image/png"
	"slices"

	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video"
)

// A Page is a report, top to bottom.
type Page struct {
	Title    string
	Lead     string   // a paragraph under the title: what, how many, when
	Summary  []string // what came out, in words
	Files    []File   // offered for download
	Sections []Section
}

// A File is data that the page carries along.
type File struct {
	Name string
	URI  template.URL
}

// NewFile makes a file of a media type, such as application/json.
func NewFile(name, mediaType string, content []byte) File {
	return File{name, template.URL("data:" + mediaType + ";base64," + base64.StdEncoding.EncodeToString(content))}
}

// A Section is a heading and what stands under it, in this order; empty parts are
// left out.
type Section struct {
	Title  string
	Folded bool     // only the title shows until a reader unfolds it
	Text   []string // paragraphs
	Table  *Table
	Chart  *Chart
	Tiles  []Tile
	Facts  []Fact
}

// A Table has a row of column heads and rows of cells. Columns whose head begins
// with a space hold text; the others are numbers, and set flush right. A reader of the
// page can sort it by a column.
type Table struct {
	Head []string
	Rows [][]string

	// Help explains columns by their heads: where the pointer rests, and in a list
	// below the table.
	Help map[string]string
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

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"css":   func() template.CSS { return template.CSS(pageCSS) },
	"js":    func() template.JS { return template.JS(pageJS) },
	"chart": func(c *Chart) template.HTML { return template.HTML(c.HTML()) },
	"text":  func(t *Table, i int) bool { return t.text(i) },
	"help":  func(t *Table, i int) string { return t.Help[trim(t.Head[i])] },
	"first": func(t *Table, i int) bool { return slices.Index(t.Head, t.Head[i]) == i },
	"head":  func(s string) string { return trim(s) },
}).Parse(pageHTML))

func (t *Table) text(i int) bool { return i < len(t.Head) && len(t.Head[i]) > 0 && t.Head[i][0] == ' ' }

func trim(s string) string {
	if len(s) > 0 && s[0] == ' ' {
		return s[1:]
	}
	return s
}
