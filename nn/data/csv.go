package data

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/internal/filetype"
	"github.com/mettleml/mettle/tensor"
)

// CSVOptions say what the columns of a CSV file mean.
type CSVOptions struct {
	Shape   []int   // of a sample; nil means [n] for n columns beside the label
	Label   int     // the column of the label, from 0; negative counts from the end
	Header  bool    // the first line holds names and is skipped
	Scale   float64 // values are multiplied by it; 0 means 1
	Classes int     // 0 means one more than the largest label, which is then below 65536
}

// maxImplied bounds the number of classes that a label alone may claim: what counts or
// learns classes takes memory for each.
const maxImplied = 1 << 16

// ReadCSV reads a data set with one sample per line: a label, a whole number from 0 (3 or
// 3.0), and the values in row-major order, separated by commas. Blanks around a field,
// empty lines and a byte order mark do not count. It reads at most 1 GiB. Invalid content,
// such as a value that is not finite before or after scaling, is a [*tensor.FormatError]
// that names line and column. It panics if a dimension of Shape is below 1.
func ReadCSV(r io.Reader, opt CSVOptions) (*Tensors, error) {
	if len(opt.Shape) > 0 && slices.Min(opt.Shape) < 1 {
		tensor.Panic("data.ReadCSV", "a dimension below 1", opt.Shape)
	}
	r, err := unzipped(r)
	if err != nil {
		return nil, broken("CSV", "byte 0", err)
	}
	limited := &io.LimitedReader{R: r, N: maxBytes + 1}
	text := bufio.NewReader(limited)
	head, _ := text.Peek(filetype.Head)
	if what := filetype.Describe(head); what != "" && len(head) > 0 {
		return nil, &tensor.FormatError{Format: "CSV", Place: "byte 0", Reason: what}
	}
	if strings.HasPrefix(string(head), "\xef\xbb\xbf") {
		text.Discard(3)
	}
	c := csvReader{Reader: csv.NewReader(text), opt: opt, scale: cmp.Or(opt.Scale, 1)}
	c.ReuseRecord, c.TrimLeadingSpace, c.FieldsPerRecord = true, true, -1
	for {
		record, err := c.Read()
		switch {
		case limited.N == 0:
			return nil, &tensor.FormatError{Format: "CSV", Place: "end", Reason: fmt.Sprintf("more than %d bytes", maxBytes)}
		case err == io.EOF:
			return c.done()
		case err != nil:
			return nil, csvError(err)
		}
		if err := c.add(record); err != nil {
			return nil, err
		}
	}
}

// A csvReader collects the samples of a file.
type csvReader struct {
	*csv.Reader
	opt    CSVOptions
	scale  float64
	width  int // columns, 0 before the first line
	label  int // the column of the label
	values []float32
	labels []int
}

// fail is an error about a column of the last record.
func (c *csvReader) fail(column int, err error, format string, args ...any) error {
	line, col := c.FieldPos(column)
	reason := fmt.Sprintf(format, args...)
	if line == 1 && !c.opt.Header && strings.Contains(reason, "not a") {
		reason += "; if the first line holds names, set Header"
	}
	return &tensor.FormatError{Format: "CSV", Place: fmt.Sprintf("line %d, column %d", line, col), Reason: reason, Err: err}
}

// add takes a record in.
func (c *csvReader) add(record []string) error {
	for i, s := range record {
		record[i] = strings.TrimSpace(s)
	}
	if len(record) == 1 && record[0] == "" {
		return nil // a line of blanks
	}
	switch {
	case c.width == 0:
		if err := c.begin(record); err != nil {
			return err
		}
		if c.opt.Header {
			return nil
		}
	case len(record) != c.width:
		return c.fail(0, csv.ErrFieldCount, "%d fields, but the first line has %d", len(record), c.width)
	}
	for i, s := range record {
		if i == c.label {
			y, err := c.class(s)
			if err != nil {
				return c.fail(i, nil, "%v", err)
			}
			c.labels = append(c.labels, y)
			continue
		}
		v, err := strconv.ParseFloat(s, 32)
		scaled := float32(v * c.scale)
		switch {
		case err != nil:
			return c.fail(i, err, "%.20q is not a number that float32 holds", s)
		case math.IsNaN(v) || math.IsInf(v, 0):
			return c.fail(i, nil, "%.20q is not a finite number", s)
		case !(math.Abs(float64(scaled)) <= math.MaxFloat32):
			return c.fail(i, nil, "%.20q times %g is not a number that float32 holds", s, c.scale)
		}
		c.values = append(c.values, scaled)
	}
	return nil
}

// begin learns from the first line what the columns are.
func (c *csvReader) begin(record []string) error {
	n := len(record)
	if c.label = c.opt.Label; c.label < 0 {
		c.label += n
	}
	if n == 1 && strings.ContainsAny(record[0], ";\t") {
		return c.fail(0, nil, "the columns are separated by semicolons or tabs, not by commas")
	}
	if c.label < 0 || c.label >= n || n == 1 {
		return c.fail(0, nil, "%d columns, and the label is to be column %d", n, c.opt.Label)
	}
	if s := c.opt.Shape; s != nil && product(s) != n-1 {
		return c.fail(0, nil, "%d values in a line, the shape %v needs %d", n-1, s, product(s))
	}
	c.width = n
	return nil
}

// class reads a label.
func (c *csvReader) class(s string) (int, error) {
	limit := cmp.Or(c.opt.Classes, math.MaxInt32)
	y, err := strconv.Atoi(s)
	if err != nil {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || v != math.Trunc(v) || !(v >= 0 && v < float64(limit)) {
			y = -1
		} else {
			y = int(v)
		}
	}
	if y < 0 || y >= limit {
		return 0, fmt.Errorf("the label %.20q is not a whole number in [0, %d)", s, limit)
	}
	if c.opt.Classes == 0 && y >= maxImplied {
		return 0, fmt.Errorf("the label %d would make more than %d classes; set Classes if it is meant, and else Label to the column of the labels", y, maxImplied)
	}
	return y, nil
}

// done makes the data set.
func (c *csvReader) done() (*Tensors, error) {
	if len(c.labels) == 0 {
		return nil, &tensor.FormatError{Format: "CSV", Place: "end", Reason: "no samples", Err: io.ErrUnexpectedEOF}
	}
	classes, shape := c.opt.Classes, c.opt.Shape
	if classes == 0 {
		classes = slices.Max(c.labels) + 1
	}
	if shape == nil {
		shape = []int{c.width - 1}
	}
	return NewTensors(tensor.FromSlice(c.values, append([]int{len(c.labels)}, shape...)...), c.labels, classes)
}

// csvError turns an error of encoding/csv into a *FormatError.
func csvError(err error) error {
	var pe *csv.ParseError
	if errors.As(err, &pe) {
		return &tensor.FormatError{Format: "CSV", Place: fmt.Sprintf("line %d, column %d", pe.Line, pe.Column), Reason: pe.Err.Error(), Err: pe.Err}
	}
	return broken("CSV", "", err)
}

// LoadCSV reads the CSV file at path, compressed by gzip or not. See [ReadCSV].
func LoadCSV(path string, opt CSVOptions) (*Tensors, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d, err := ReadCSV(f, opt)
	return d, named(path, err)
}
