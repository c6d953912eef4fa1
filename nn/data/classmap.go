package data

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/internal/filetype"
	"github.com/mettleml/mettle/tensor"
)

// A ClassMap gives the classes of directories whose names are not class names, such as
// ImageNet's n01440764.
type ClassMap []ClassEntry

// A ClassEntry names the class of a directory: by its name, or by its number from 0.
type ClassEntry struct {
	Directory, Class string
}

// maxClassMap bounds the file of a ClassMap.
const maxClassMap = 16 << 20

// LoadClassMap reads a ClassMap from a file. It may have one line per directory with
// the directory and its class (n01440764 tench), separated by a tab, a comma or, if the
// directory's name has none, blanks; or the names of all classes in their order, one per
// line. As JSON it may be an object of classes by directory ({"n01440764": "tench"} or
// {"n01440764": 0}) or by number ({"0": "tench"} or {"0": ["n01440764", "tench"]}), or
// an array of the names. What is wrong with the content is a [*tensor.FormatError].
func LoadClassMap(path string) (ClassMap, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := ReadClassMap(f)
	return m, named(path, err)
}

// ReadClassMap is [LoadClassMap] for an open file.
func ReadClassMap(r io.Reader) (ClassMap, error) {
	text, err := readMost(r, maxClassMap+1)
	if err != nil {
		return nil, err
	}
	fail := func(reason string) (ClassMap, error) {
		return nil, &tensor.FormatError{Format: "class map", Reason: reason}
	}
	head := text[:min(len(text), filetype.Head)]
	what := filetype.Describe(head)
	switch {
	case len(text) > maxClassMap:
		return fail(fmt.Sprintf("more than %d bytes", maxClassMap))
	case what != "" && !filetype.JSON(head):
		return fail(what)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	parse := parseLines
	if filetype.JSON(head) {
		parse = parseJSON
	}
	m, err := parse(text)
	if err != nil {
		return fail(err.Error())
	}
	seen := map[string]string{}
	for _, e := range m {
		if other, ok := seen[e.Directory]; ok && other != e.Class {
			return fail(fmt.Sprintf("%.64q is %.64q and %.64q", e.Directory, other, e.Class))
		}
		seen[e.Directory] = e.Class
	}
	if len(m) == 0 {
		return fail("no classes")
	}
	return m, nil
}

// parseLines reads a line for each directory or, if a line has one word, each class.
func parseLines(text []byte) (m ClassMap, err error) {
	var lines []string
	pairs := true
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			_, _, ok := cutColumn(line)
			pairs = pairs && ok
			lines = append(lines, line)
		}
	}
	for i, line := range lines {
		e := ClassEntry{line, strconv.Itoa(i)}
		if pairs {
			e.Directory, e.Class, _ = cutColumn(line)
		}
		m = append(m, e)
	}
	return m, nil
}

// cutColumn takes the first column from a line, which has no blanks at its ends.
func cutColumn(line string) (first, rest string, ok bool) {
	at := strings.IndexByte(line, '\t')
	if at < 0 {
		at = strings.IndexAny(line, " ,")
	}
	if at < 1 {
		return "", "", false
	}
	rest = strings.TrimLeft(line[at:], " \t,")
	return strings.TrimSpace(line[:at]), rest, rest != ""
}

// parseJSON reads one of the forms that JSON may have.
func parseJSON(text []byte) (m ClassMap, err error) {
	var names []string
	if json.Unmarshal(text, &names) == nil {
		for i, name := range names {
			m = append(m, ClassEntry{name, strconv.Itoa(i)})
		}
		return m, nil
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("neither an object nor an array of names: %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		e := ClassEntry{Directory: key}
		switch v := object[key].(type) {
		case float64:
			e.Class = strconv.FormatFloat(v, 'f', -1, 64)
		case string:
			if e.Class = v; isNumber(key) && !isNumber(v) {
				e = ClassEntry{v, key}
			}
		case []any:
			directory, ok := "", len(v) > 0 && isNumber(key)
			if ok {
				directory, ok = v[0].(string)
			}
			if !ok {
				return nil, fmt.Errorf("%.64q: an array must begin with a directory's name, and its key be a class's number", key)
			}
			e = ClassEntry{directory, key}
		default:
			return nil, fmt.Errorf("%.64q is neither a number, a name nor an array", key)
		}
		m = append(m, e)
	}
	return m, nil
}

// Classes returns the classes in their order, from the map alone. If all classes are
// numbers, these are the directories at their numbers; else the names in the order of their
// first entries. A number above 65535 is an error.
func (m ClassMap) Classes() ([]string, error) {
	var names []string
	seen, top := map[string]bool{}, 0
	for _, e := range m {
		if !seen[e.Class] {
			seen[e.Class] = true
			names = append(names, e.Class)
		}
	}
	if slices.ContainsFunc(names, func(name string) bool { return !isNumber(name) }) {
		return names, nil
	}
	for _, name := range names {
		n, err := strconv.Atoi(name)
		if err != nil || n >= maxImplied {
			return nil, fmt.Errorf("data: a class map has class %.20s, the limit is %d", name, maxImplied-1)
		}
		top = max(top, n)
	}
	classes := ClassNumbers(top + 1)
	for _, e := range slices.Backward(m) {
		n, _ := strconv.Atoi(e.Class)
		classes[n] = e.Directory
	}
	return classes, nil
}
