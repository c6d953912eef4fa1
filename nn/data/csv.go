package data

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/mettleml/mettle/tensor"
)

// CSVOptions says what the columns of a CSV file mean.
type CSVOptions struct {
	Shape   []int   // of a sample; nil means [n] for n columns beside the label
	Label   int     // the column of the label, from 0; negative counts from the end
	Header  bool    // the first line holds names
	Scale   float64 // values are multiplied by it; 0 means 1
	Classes int     // 0 means one more than the largest label
}

// ReadCSV reads a data set with one sample to a line: a label, which is a whole
// number from 0, and the values in row-major order, separated by commas. It
// takes at most 1 GiB. What is wrong with the content is a
// [*tensor.FormatError] that names line and column.
func ReadCSV(r io.Reader, opt CSVOptions) (*Tensors, error) {
	r, err := unzipped(r)
	if err != nil {
		return nil, broken("CSV", "byte 0", err)
	}
	limited := &io.LimitedReader{R: r, N: maxBytes + 1}
	c := csv.NewReader(limited)
	c.ReuseRecord = true
	c.TrimLeadingSpace = true
	place := func(column int) string {
		line, col := c.FieldPos(column)
		return fmt.Sprintf("line %d, column %d", line, col)
	}
	fail := func(place, reason string, err error) (*Tensors, error) {
		return nil, &tensor.FormatError{Format: "CSV", Place: place, Reason: reason, Err: err}
	}
	if opt.Header {
		if _, err := c.Read(); err != nil && err != io.EOF {
			return nil, csvError(err)
		}
	}
	scale := opt.Scale
	if scale == 0 {
		scale = 1
	}
	classes := opt.Classes
	if classes == 0 {
		classes = 1 << 31 >> 1
	}
	var values []float32
	var labels []int
	width, label, top := 0, 0, 0
	for {
		record, err := c.Read()
		if limited.N == 0 {
			return fail("end", fmt.Sprintf("more than %d bytes", maxBytes), nil)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, csvError(err)
		}
		if labels == nil {
			width = len(record) - 1
			if label = opt.Label; label < 0 {
				label += len(record)
			}
			if label < 0 || label > width || width == 0 {
				return fail(place(0), fmt.Sprintf("%d columns, and the label is to be column %d", len(record), opt.Label), nil)
			}
			if opt.Shape != nil && product(opt.Shape) != width {
				return fail(place(0), fmt.Sprintf("%d values in a line, the shape %v needs %d", width, opt.Shape, product(opt.Shape)), nil)
			}
		}
		for i, s := range record {
			if i == label {
				y, err := strconv.Atoi(s)
				if err != nil || y < 0 || y >= classes {
					return fail(place(i), fmt.Sprintf("the label %.20q is not a whole number in [0, %d)", s, classes), nil)
				}
				labels = append(labels, y)
				top = max(top, y)
				continue
			}
			v, err := strconv.ParseFloat(s, 32)
			if err != nil {
				return fail(place(i), fmt.Sprintf("%.20q is not a number that float32 holds", s), err)
			}
			values = append(values, float32(v*scale))
		}
	}
	if len(labels) == 0 {
		return fail("end", "no samples", io.ErrUnexpectedEOF)
	}
	if opt.Classes == 0 {
		classes = top + 1
	}
	shape := opt.Shape
	if shape == nil {
		shape = []int{width}
	}
	return NewTensors(tensor.FromSlice(values, append([]int{len(labels)}, shape...)...), labels, classes)
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
