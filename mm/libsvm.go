package mm

import (
	"bufio"
	"bytes"
	"compress/gzip"
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

// A FormatError names the line where LIBSVM text is malformed.
type FormatError struct {
	Line   int // from 1
	Reason string
}

func (e *FormatError) Error() string {
	return "mm: LIBSVM line " + strconv.Itoa(e.Line) + ": " + e.Reason
}
func (e *FormatError) Unwrap() error { return ErrFormat }

// Samples is a labelled data set of sparse rows.
type Samples struct {
	X *CSR
	Y []float64 // as in the file
}

// maxColumn bounds the column numbers of a file: with 2²⁴ columns one vector of
// parameters takes 128 MB.
const maxColumn = 1 << 24

// ReadLIBSVM reads "label index:value …" lines: indices from 1, ascending within a
// line; "#" starts a comment; "qid:…" is ignored; blank lines are skipped; lines
// may end in CR LF. Input that begins as gzip is decompressed. Columns are as many
// as the largest index. Errors are *FormatError with the line number, or those of
// r.
func ReadLIBSVM(r io.Reader) (*Samples, error) {
	br := bufio.NewReaderSize(r, 1<<16)
	if head, _ := br.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("mm: gzip: %w", err)
		}
		defer z.Close()
		br = bufio.NewReaderSize(z, 1<<16)
	}
	s := &Samples{X: &CSR{Ptr: []int{0}}}
	var long []byte
	for line := 1; ; line++ {
		text, err := br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long[:0], text...)
			for errors.Is(err, bufio.ErrBufferFull) {
				text, err = br.ReadSlice('\n')
				long = append(long, text...)
			}
			text = long
		}
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("mm: LIBSVM line %d: %w", line, err)
		}
		if reason := s.parse(text); reason != "" {
			return nil, &FormatError{line, reason}
		}
		if err == io.EOF {
			return s, nil
		}
	}
}

// ReadLIBSVMFile reads a file, compressed or not.
func ReadLIBSVMFile(name string) (*Samples, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := ReadLIBSVM(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// parse adds one line and returns what is wrong with it.
func (s *Samples) parse(text []byte) string {
	if k := bytes.IndexByte(text, '#'); k >= 0 {
		text = text[:k]
	}
	field, text := nextField(text)
	if field == nil {
		return ""
	}
	y, err := strconv.ParseFloat(string(field), 64)
	if err != nil || !finite(y) {
		return fmt.Sprintf("label %.40q is not a number", field)
	}
	last := 0
	for {
		if field, text = nextField(text); field == nil {
			break
		}
		colon := bytes.IndexByte(field, ':')
		if colon < 0 {
			return fmt.Sprintf("%.40q is not index:value", field)
		}
		if string(field[:colon]) == "qid" {
			continue
		}
		wide, err := strconv.ParseInt(string(field[:colon]), 10, 64)
		switch {
		case err != nil:
			return fmt.Sprintf("index %.40q is not a number", field[:colon])
		case wide < 1 || wide > maxColumn:
			return fmt.Sprintf("index %d is not in 1…%d", wide, maxColumn)
		case int(wide) <= last:
			return fmt.Sprintf("index %d after %d: not ascending", wide, last)
		}
		j := int(wide)
		last = j
		v, err := strconv.ParseFloat(string(field[colon+1:]), 64)
		if err != nil || !finite(v) {
			return fmt.Sprintf("value %.40q of index %d is not a number", field[colon+1:], j)
		}
		if v != 0 {
			s.X.Col = append(s.X.Col, int32(j-1))
			s.X.Val = append(s.X.Val, v)
		}
	}
	s.X.P = max(s.X.P, last)
	s.X.Ptr = append(s.X.Ptr, len(s.X.Col))
	s.Y = append(s.Y, y)
	return ""
}

// nextField splits off the next run of bytes that are not white space; nil at the
// end.
func nextField(text []byte) (field, rest []byte) {
	k := 0
	for k < len(text) && isSpace(text[k]) {
		k++
	}
	if k == len(text) {
		return nil, nil
	}
	e := k
	for e < len(text) && !isSpace(text[e]) {
		e++
	}
	return text[k:e], text[e:]
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// WriteLIBSVM writes s so that ReadLIBSVM returns the same numbers, but for
// columns beyond the last one in use.
func WriteLIBSVM(w io.Writer, s *Samples) error {
	bw := bufio.NewWriter(w)
	var buf []byte
	for i, y := range s.Y {
		buf = strconv.AppendFloat(buf[:0], y, 'g', -1, 64)
		col, val := s.X.Row(i)
		for k, j := range col {
			buf = append(buf, ' ')
			buf = strconv.AppendInt(buf, int64(j)+1, 10)
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

// Signs maps the two labels of s to −1 and +1, the smaller to −1, in a new slice:
// {−1,+1}, {0,1}, {1,2} and any other pair. Any other number of labels is an error
// that names the first sample with a third one.
func (s *Samples) Signs() ([]float64, error) {
	var seen []float64
	for i, v := range s.Y {
		if !slices.Contains(seen, v) {
			if len(seen) == 2 {
				return nil, fmt.Errorf("mm: sample %d: label %g is a third one, after %g and %g", i, v, seen[0], seen[1])
			}
			seen = append(seen, v)
		}
	}
	if len(seen) == 1 && math.Abs(seen[0]) != 1 {
		return nil, fmt.Errorf("mm: all labels are %g", seen[0])
	}
	low := math.Inf(1)
	for _, v := range seen {
		low = min(low, v)
	}
	y := make([]float64, len(s.Y))
	for i, v := range s.Y {
		switch {
		case len(seen) == 1:
			y[i] = v
		case v == low:
			y[i] = -1
		default:
			y[i] = 1
		}
	}
	return y, nil
}
