package tensor

import (
	"fmt"
	"strconv"
	"strings"
)

// npyHeader is the dictionary in front of the data of an npy file.
type npyHeader struct {
	dtype   DType
	big     bool // big-endian
	fortran bool // the first index moves fastest
	shape   []int
}

// maxRank bounds the dimensions a file may claim; numpy's own limit is 64.
const maxRank = 64

// npyTypes maps what follows the byte-order mark of a descr to a type.
var npyTypes = map[string]DType{
	"f2": F16, "f4": F32, "f8": F64,
	"i1": I8, "i2": I16, "i4": I32, "i8": I64,
	"u1": U8, "u2": U16, "u4": U32, "u8": U64,
	"b1": Bool,
}

// literal parses the Python literal that numpy writes as a header: a dictionary
// with a string, a boolean and a tuple of integers.
type literal struct {
	text string
	pos  int
}

func (l *literal) space() {
	for l.pos < len(l.text) && strings.IndexByte(" \t\r\n", l.text[l.pos]) >= 0 {
		l.pos++
	}
}

// take skips white space and then the token, if it is next.
func (l *literal) take(token string) bool {
	l.space()
	if strings.HasPrefix(l.text[l.pos:], token) {
		l.pos += len(token)
		return true
	}
	return false
}

// quoted reads a string between single or double quotes. The strings of a
// header that can be read have no escapes.
func (l *literal) quoted() (string, bool) {
	l.space()
	if l.pos == len(l.text) || l.text[l.pos] != '\'' && l.text[l.pos] != '"' {
		return "", false
	}
	s, _, ok := strings.Cut(l.text[l.pos+1:], l.text[l.pos:l.pos+1])
	if ok {
		l.pos += len(s) + 2
	}
	return s, ok
}

// tuple reads "(2, 3)", "(2,)" or "()". Python 2 wrote longs, as in "(2L, 3L)".
func (l *literal) tuple() ([]int, error) {
	if !l.take("(") {
		return nil, fmt.Errorf("no tuple")
	}
	var dims []int
	for !l.take(")") {
		if len(dims) == maxRank {
			return nil, fmt.Errorf("more than %d dimensions", maxRank)
		}
		l.space()
		start := l.pos
		for l.pos < len(l.text) && '0' <= l.text[l.pos] && l.text[l.pos] <= '9' {
			l.pos++
		}
		d, err := strconv.Atoi(l.text[start:l.pos])
		if err != nil {
			return nil, fmt.Errorf("dimension %d is not a number that fits", len(dims))
		}
		dims = append(dims, d)
		l.take("L")
		if !l.take(",") {
			if !l.take(")") {
				return nil, fmt.Errorf("the tuple does not end")
			}
			break
		}
	}
	return dims, nil
}

// parseNPYHeader reads the dictionary. The error is a *FormatError.
func parseNPYHeader(text string) (h npyHeader, err error) {
	l := &literal{text: text}
	fail := func(reason string, cause error) (npyHeader, error) {
		return npyHeader{}, &FormatError{Format: "npy", Place: fmt.Sprintf("header, byte %d", l.pos), Reason: reason, Err: cause}
	}
	if !l.take("{") {
		return fail("no dictionary", nil)
	}
	seen := map[string]bool{}
	for !l.take("}") {
		key, ok := l.quoted()
		if !ok {
			return fail("no key in quotes", nil)
		}
		if seen[key] {
			return fail(fmt.Sprintf("the key %.20q appears twice", key), nil)
		}
		seen[key] = true
		if !l.take(":") {
			return fail("no colon after a key", nil)
		}
		switch key {
		case "descr":
			if l.take("[") {
				return fail("a record of several fields", errUnsupported)
			}
			descr, ok := l.quoted()
			if !ok || descr == "" {
				return fail("the element type is not a string", nil)
			}
			h.dtype = npyTypes[descr[1:]]
			h.big = descr[0] == '>'
			if strings.IndexByte("<>|", descr[0]) < 0 || h.dtype == "" || descr[0] == '|' && h.dtype.Size() > 1 {
				return fail(fmt.Sprintf("element type %.20q", descr), errUnsupported)
			}
		case "fortran_order":
			if h.fortran = l.take("True"); !h.fortran && !l.take("False") {
				return fail("fortran_order is neither True nor False", nil)
			}
		case "shape":
			if h.shape, err = l.tuple(); err != nil {
				return fail("shape: "+err.Error(), nil)
			}
		default:
			return fail(fmt.Sprintf("an unknown key %.20q", key), nil)
		}
		if !l.take(",") {
			if !l.take("}") {
				return fail("the dictionary does not end", nil)
			}
			break
		}
	}
	if l.space(); l.pos != len(l.text) {
		return fail("text after the dictionary", nil)
	}
	if len(seen) != 3 {
		return fail("descr, fortran_order or shape is missing", nil)
	}
	return h, nil
}
