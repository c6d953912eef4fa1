package mm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
)

// ErrFormat is wrapped by every *FormatError.
var ErrFormat = errors.New("mm: not LIBSVM text")

// A FormatError names the place where LIBSVM text is malformed.
type FormatError struct {
	// Line and Column are the place, from 1. Column counts bytes.
	Line, Column int
	// Reason says what is wrong.
	Reason string
}

// Error names the place and the reason.
func (e *FormatError) Error() string {
	return fmt.Sprintf("mm: LIBSVM line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// Unwrap returns ErrFormat.
func (e *FormatError) Unwrap() error { return ErrFormat }

// Samples is a labelled data set of sparse rows.
type Samples struct {
	// X has one sample per row.
	X *CSR
	// Y has the labels as they stand in the file, one per row.
	Y []float64
}

// LIBSVMOptions says how LIBSVM text numbers the columns. The zero value is the
// format of LIBSVM itself.
type LIBSVMOptions struct {
	// ZeroBased says that indices start from 0, as scikit-learn's
	// dump_svmlight_file writes them unless it is told otherwise. Without it they
	// start from 1. Nothing is guessed, since a file in which column 0 never occurs
	// looks the same either way. But it is an error if the option contradicts the
	// comment in which dump_svmlight_file says where indices start.
	ZeroBased bool
	// Columns is the number of columns, at most 2³¹−1; an index beyond it is an
	// error. 0 means as many as the largest index, which must then not exceed 2²⁷.
	// Set it to give a test set the width of its training set, and for sets that are
	// wider: a vector of 2²⁷ parameters takes 1 GiB.
	Columns int
}

const (
	defaultColumns = 1 << 27
	maxColumns     = math.MaxInt32 // CSR.Col is []int32
	maxLine        = 1 << 26       // bytes in one line
)

// limit returns the number of columns allowed.
func (o LIBSVMOptions) limit() (int, error) {
	switch {
	case o.Columns == 0:
		return defaultColumns, nil
	case o.Columns < 0 || o.Columns > maxColumns:
		return 0, fmt.Errorf("mm: LIBSVMOptions.Columns is %d, want a number from 1 to %d, or 0", o.Columns, maxColumns)
	}
	return o.Columns, nil
}

// first returns the index of the first column.
func (o LIBSVMOptions) first() int {
	if o.ZeroBased {
		return 0
	}
	return 1
}

// ReadLIBSVM reads a data set in the format of LIBSVM and SVMlight, one sample per
// line:
//
//	label index:value index:value …
//
// Indices ascend within a line, from 1 or 0 (see LIBSVMOptions); missing ones are
// zero. As in LIBSVM, blanks may follow a colon. As in SVMlight, "#" starts a comment
// and "qid:…" is ignored. Blank lines are skipped, and lines may end in CR LF. Text
// compressed by gzip or bzip2 is decompressed, and a UTF-8 byte order mark is
// skipped.
//
// Errors are those of r or a *FormatError. The latter names line and column for an
// index that repeats, descends or is out of range, for a label or a value that is
// not a finite number, and for several labels. It says what the data are instead if
// they are compressed otherwise (xz, zstd, zip), UTF-16, HTML, a Git LFS pointer or
// binary, and it reports a file without samples and a line of more than 64 MiB. The
// data take 12 bytes per entry and 16 per sample.
func ReadLIBSVM(r io.Reader, opt LIBSVMOptions) (*Samples, error) {
	limit, err := opt.limit()
	if err != nil {
		return nil, err
	}
	br, compression, err := openText(r)
	if err != nil {
		return nil, err
	}
	d := libsvmDecoder{opt: opt, limit: limit, s: &Samples{X: &CSR{P: opt.Columns, Ptr: []int{0}}}}
	var long []byte
	for line := 1; ; line++ {
		text, err := br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long[:0], text...)
			for errors.Is(err, bufio.ErrBufferFull) {
				if len(long) > maxLine {
					return nil, &FormatError{line, 1, fmt.Sprintf("the line is longer than %d bytes", maxLine)}
				}
				text, err = br.ReadSlice('\n')
				long = append(long, text...)
			}
			text = long
		}
		if err != nil && err != io.EOF {
			if compression != "" {
				return nil, fmt.Errorf("mm: LIBSVM line %d: the %s data are cut off or damaged: %w", line, compression, err)
			}
			return nil, fmt.Errorf("mm: LIBSVM line %d: %w", line, err)
		}
		if column, reason := d.parse(text); reason != "" {
			return nil, &FormatError{line, column, reason}
		}
		if err == io.EOF {
			if len(d.s.Y) == 0 {
				return nil, &FormatError{line, 1, "the file ends without a sample"}
			}
			return d.s, nil
		}
	}
}

// ReadLIBSVMFile reads a file by ReadLIBSVM. Its errors name the file.
func ReadLIBSVMFile(name string, opt LIBSVMOptions) (*Samples, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := ReadLIBSVM(f, opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// libsvmDecoder adds lines to a data set.
type libsvmDecoder struct {
	opt   LIBSVMOptions
	limit int // columns allowed
	s     *Samples
	text  []byte
	at    int // position in text
}

// parse adds one line and returns what is wrong with it, and where, from 1.
func (d *libsvmDecoder) parse(text []byte) (column int, reason string) {
	if k := bytes.IndexByte(text, '#'); k >= 0 {
		if reason := d.comment(text[k:]); reason != "" {
			return k + 1, reason
		}
		text = text[:k]
	}
	d.text, d.at = text, 0
	field, start := d.field()
	if field == nil {
		return 0, ""
	}
	y, err := strconv.ParseFloat(string(field), 64)
	if err != nil || !finite(y) {
		switch {
		case bytes.IndexByte(field, ':') >= 0:
			return start, fmt.Sprintf("the line begins with %.40q, want a label", field)
		case bytes.IndexByte(field, ',') >= 0:
			return start, fmt.Sprintf("%.40q is a list: want one label per sample", field)
		}
		return start, fmt.Sprintf("label %.40q is not a finite number", field)
	}
	x := d.s.X
	last := d.opt.first() - 1
	for {
		if field, start = d.field(); field == nil {
			break
		}
		colon := bytes.IndexByte(field, ':')
		if colon < 0 {
			return start, fmt.Sprintf("%.40q is not index:value", field)
		}
		key, value, at := field[:colon], field[colon+1:], start+colon+1
		if len(value) == 0 { // LIBSVM's reader takes the value from behind the blanks
			value, at = d.field()
		}
		if string(key) == "qid" {
			continue
		}
		wide, err := strconv.ParseInt(string(key), 10, 64)
		switch {
		case err != nil && !errors.Is(err, strconv.ErrRange):
			return start, fmt.Sprintf("index %.40q is not a whole number", key)
		case wide == 0 && !d.opt.ZeroBased:
			return start, "index 0, but indices start from 1: a file whose indices start from 0, as scikit-learn writes them, needs LIBSVMOptions.ZeroBased"
		case wide < 0:
			return start, fmt.Sprintf("index %.40s is negative", key)
		case wide >= int64(d.limit)+int64(d.opt.first()):
			if d.opt.Columns == 0 {
				return start, fmt.Sprintf("index %.40s means more than %d columns: set LIBSVMOptions.Columns if that is meant", key, d.limit)
			}
			return start, fmt.Sprintf("index %.40s is beyond the %d columns of LIBSVMOptions.Columns", key, d.limit)
		case int(wide) == last:
			return start, fmt.Sprintf("index %d occurs twice", wide)
		case int(wide) < last:
			return start, fmt.Sprintf("index %d after %d: indices must ascend", wide, last)
		case value == nil:
			return start, fmt.Sprintf("index %d has no value", wide)
		}
		last = int(wide)
		v, err := strconv.ParseFloat(string(value), 64)
		if err != nil || !finite(v) {
			return at, fmt.Sprintf("value %.40q of index %d is not a finite number", value, last)
		}
		if v != 0 {
			x.Col = append(x.Col, int32(last-d.opt.first()))
			x.Val = append(x.Val, v)
		}
	}
	if d.opt.Columns == 0 {
		x.P = max(x.P, last+1-d.opt.first())
	}
	x.Ptr = append(x.Ptr, len(x.Col))
	d.s.Y = append(d.s.Y, y)
	return 0, ""
}

// comment heeds the line by which scikit-learn says how it numbered the columns.
func (d *libsvmDecoder) comment(text []byte) string {
	switch {
	case !d.opt.ZeroBased && bytes.Contains(text, []byte("Column indices are zero-based")):
		return "the comment says that indices start from 0: set LIBSVMOptions.ZeroBased"
	case d.opt.ZeroBased && bytes.Contains(text, []byte("Column indices are one-based")):
		return "the comment says that indices start from 1: do not set LIBSVMOptions.ZeroBased"
	}
	return ""
}

// field returns the next run of bytes that are not white space and its place, from
// 1; nil at the end of the line.
func (d *libsvmDecoder) field() (field []byte, column int) {
	k := d.at
	for k < len(d.text) && isSpace(d.text[k]) {
		k++
	}
	e := k
	for e < len(d.text) && !isSpace(d.text[e]) {
		e++
	}
	d.at = e
	if k == e {
		return nil, k + 1
	}
	return d.text[k:e], k + 1
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// WriteLIBSVM writes s so that ReadLIBSVM with the same options returns the same
// numbers. Only LIBSVMOptions.Columns tells the reader of columns beyond the last one
// in use. It returns an error for labels and values that are not finite and for more
// columns than opt.Columns. It panics unless there is one label per row.
func WriteLIBSVM(w io.Writer, s *Samples, opt LIBSVMOptions) error {
	limit, err := opt.limit()
	if err != nil {
		return err
	}
	if err := s.X.check(); err != nil {
		return err
	}
	n, p := s.X.Dims()
	checkLen("WriteLIBSVM: labels", len(s.Y), n)
	if p > limit {
		return fmt.Errorf("mm: %d columns are more than the %d of LIBSVMOptions.Columns", p, limit)
	}
	bw := bufio.NewWriter(w)
	var buf []byte
	for i, y := range s.Y {
		if !finite(y) {
			return fmt.Errorf("mm: the label of sample %d is %g", i, y)
		}
		buf = strconv.AppendFloat(buf[:0], y, 'g', -1, 64)
		col, val := s.X.Row(i)
		for k, j := range col {
			if !finite(val[k]) {
				return fmt.Errorf("mm: sample %d has %g in column %d, counted from 0", i, val[k], j)
			}
			buf = append(buf, ' ')
			buf = strconv.AppendInt(buf, int64(j)+int64(opt.first()), 10)
			buf = append(buf, ':')
			buf = strconv.AppendFloat(buf, val[k], 'g', -1, 64)
		}
		buf = append(buf, '\n')
		if _, err := bw.Write(buf); err != nil {
			return err
		}
	}
	return bw.Flush()
}

// Signs maps the two labels of s to −1 and +1 in a new slice: the smaller becomes −1,
// the larger +1. The pairs {−1,+1}, {0,1} and {1,2} are usual; any other will do. It
// returns an error if there is any other number of labels: for a third one it names
// the first sample that has it.
func (s *Samples) Signs() ([]float64, error) {
	var seen []float64
	for i, v := range s.Y {
		if !slices.Contains(seen, v) {
			if len(seen) == 2 {
				return nil, fmt.Errorf("mm: two labels are needed: sample %d, counted from 0, has label %g after %g and %g", i, v, seen[0], seen[1])
			}
			seen = append(seen, v)
		}
	}
	switch len(seen) {
	case 0:
		return nil, errors.New("mm: two labels are needed: there are no samples")
	case 1:
		return nil, fmt.Errorf("mm: two labels are needed: all %d samples have label %g", len(s.Y), seen[0])
	}
	low := min(seen[0], seen[1])
	y := make([]float64, len(s.Y))
	for i, v := range s.Y {
		y[i] = 1
		if v == low {
			y[i] = -1
		}
	}
	return y, nil
}
