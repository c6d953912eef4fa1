package tensor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// A headerParser reads the JSON object at the start of a safetensors file. It is
// stricter than encoding/json (duplicate names are errors) and its memory is
// bounded by a small multiple of the text.
type headerParser struct {
	format, where string // for errors: of the file, and what pos counts
	text          []byte
	pos           int
}

func (p *headerParser) fail(reason string) error {
	return &FormatError{Format: p.format, Place: fmt.Sprintf("%s %d", p.where, p.pos), Reason: reason}
}

// next skips white space and returns the next byte without taking it, 0 at the
// end.
func (p *headerParser) next() byte {
	for ; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (p *headerParser) take(c byte) bool {
	if p.next() != c {
		return false
	}
	p.pos++
	return true
}

func (p *headerParser) str() (string, error) {
	if !p.take('"') {
		return "", p.fail("no string")
	}
	start, escaped := p.pos, false
	for ; p.pos < len(p.text) && p.text[p.pos] != '"'; p.pos++ {
		if p.text[p.pos] < ' ' {
			return "", p.fail("a control character in a string")
		}
		if p.text[p.pos] == '\\' {
			escaped = true
			p.pos++
		}
	}
	if p.pos >= len(p.text) {
		return "", p.fail("a string does not end")
	}
	raw := p.text[start:p.pos]
	p.pos++
	if !utf8.Valid(raw) {
		return "", p.fail("a string is not UTF-8")
	}
	if !escaped {
		return string(raw), nil
	}
	var s string
	if err := json.Unmarshal(p.text[start-1:p.pos], &s); err != nil {
		return "", p.fail("a bad escape in a string")
	}
	return s, nil
}

// number reads an integer that is not negative.
func (p *headerParser) number() (int64, error) {
	c := p.next()
	if c < '0' || c > '9' {
		return 0, p.fail("no whole number")
	}
	var n int64
	start := p.pos
	for ; p.pos < len(p.text); p.pos++ {
		d := int64(p.text[p.pos]) - '0'
		if d < 0 || d > 9 {
			break
		}
		if n > (math.MaxInt64-d)/10 {
			return 0, p.fail("a number is too large")
		}
		n = 10*n + d
	}
	if p.text[start] == '0' && p.pos > start+1 {
		return 0, p.fail("a number starts with 0")
	}
	return n, nil
}

// numbers reads an array of at most limit integers.
func (p *headerParser) numbers(limit int) ([]int64, error) {
	if !p.take('[') {
		return nil, p.fail("no array")
	}
	var list []int64
	for sep := byte(']'); !p.take(']'); sep = ',' {
		if sep == ',' && !p.take(',') {
			return nil, p.fail("no comma in an array")
		}
		if len(list) == limit {
			return nil, p.fail(fmt.Sprintf("more than %d numbers in an array", limit))
		}
		n, err := p.number()
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

// object reads an object and calls field for each key, in order, with the parser
// at its value.
func (p *headerParser) object(field func(key string) error) error {
	if !p.take('{') {
		return p.fail("no object")
	}
	for sep := byte('}'); !p.take('}'); sep = ',' {
		if sep == ',' && !p.take(',') {
			return p.fail("no comma in an object")
		}
		key, err := p.str()
		if err != nil {
			return err
		}
		if !p.take(':') {
			return p.fail("no colon after a key")
		}
		if err := field(key); err != nil {
			return err
		}
	}
	return nil
}

// metadata reads an object of strings.
func (p *headerParser) metadata() (map[string]string, error) {
	meta := map[string]string{}
	err := p.object(func(key string) error {
		if _, ok := meta[key]; ok {
			return p.fail(fmt.Sprintf("the metadata key %.64q appears twice", key))
		}
		v, err := p.str()
		meta[key] = v
		return err
	})
	return meta, err
}

// entry reads the description of one tensor.
func (p *headerParser) entry(name string) (e stored, err error) {
	e.Name = name
	var seen [3]bool
	once := func(i int) error {
		if seen[i] {
			return p.fail(fmt.Sprintf("tensor %.64q: a field appears twice", name))
		}
		seen[i] = true
		return nil
	}
	err = p.object(func(key string) error {
		switch key {
		case "dtype":
			d, err := p.str()
			e.DType = DType(d)
			if err == nil && d == "" {
				err = p.fail(fmt.Sprintf("tensor %.64q: an empty dtype", name))
			}
			return cmp.Or(err, once(0))
		case "shape":
			dims, err := p.numbers(maxRank)
			e.Shape = make([]int, len(dims))
			for i, d := range dims {
				if e.Shape[i] = int(d); int64(e.Shape[i]) != d {
					return p.fail(fmt.Sprintf("tensor %.64q: dimension %d is too large", name, d))
				}
			}
			return cmp.Or(err, once(1))
		case "data_offsets":
			off, err := p.numbers(2)
			if err == nil && len(off) != 2 {
				err = p.fail(fmt.Sprintf("tensor %.64q: data_offsets needs two numbers", name))
			}
			if err == nil {
				e.start, e.end = off[0], off[1]
			}
			return cmp.Or(err, once(2))
		}
		return p.fail(fmt.Sprintf("tensor %.64q: an unknown field %.64q", name, key))
	})
	if err == nil && seen != [3]bool{true, true, true} {
		err = p.fail(fmt.Sprintf("tensor %.64q: dtype, shape or data_offsets is missing", name))
	}
	return e, err
}

// parseSafetensorsHeader reads the header and checks it against the number of
// bytes of data that follow. The entries are returned in the order of their
// data.
func parseSafetensorsHeader(text []byte, size int64) (entries []stored, meta map[string]string, err error) {
	p := &headerParser{format: "safetensors", where: "header, byte", text: text}
	if len(text) == 0 || text[0] != '{' {
		return nil, nil, p.fail("does not start with {")
	}
	names := map[string]struct{}{}
	err = p.object(func(key string) error {
		if _, ok := names[key]; ok {
			return p.fail(fmt.Sprintf("the name %.64q appears twice", key))
		}
		names[key] = struct{}{}
		if key == "__metadata__" {
			meta, err = p.metadata()
			return err
		}
		e, err := p.entry(key)
		entries = append(entries, e)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if p.next() != 0 || p.pos != len(text) {
		return nil, nil, p.fail("text after the object")
	}
	// A tensor without elements may share its place with the start of another.
	slices.SortStableFunc(entries, func(a, b stored) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end))
	})
	return entries, meta, checkLayout(entries, size)
}

// checkLayout verifies that the entries, sorted by offset, agree with their
// shapes and cover the data without gaps or overlaps.
func checkLayout(entries []stored, size int64) error {
	fail := func(name, reason string) error {
		return &FormatError{Format: "safetensors", Place: fmt.Sprintf("tensor %.64q", name), Reason: reason}
	}
	at := int64(0)
	for _, e := range entries {
		switch n, ok := elements(e.Shape); {
		case e.end < e.start:
			return fail(e.Name, fmt.Sprintf("ends at byte %d, before its start at %d", e.end, e.start))
		case e.end > size:
			return fail(e.Name, fmt.Sprintf("ends at byte %d of %d bytes of data", e.end, size))
		case !ok:
			return fail(e.Name, fmt.Sprintf("the shape %v is too large", e.Shape))
		case e.DType.Size() > 0 && ((e.end-e.start)%int64(e.DType.Size()) != 0 || (e.end-e.start)/int64(e.DType.Size()) != int64(n)):
			return fail(e.Name, fmt.Sprintf("takes %d bytes, but %s of shape %v does not", e.end-e.start, e.DType, e.Shape))
		case e.start < at:
			return fail(e.Name, fmt.Sprintf("starts at byte %d, inside the tensor before it, which ends at %d", e.start, at))
		case e.start > at:
			return fail(e.Name, fmt.Sprintf("starts at byte %d, leaving a gap after byte %d", e.start, at))
		}
		at = e.end
	}
	if at != size {
		return &FormatError{Format: "safetensors", Place: "data", Reason: fmt.Sprintf("the tensors end at byte %d of %d", at, size)}
	}
	return nil
}
