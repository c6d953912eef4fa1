package data

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/tensor"
)

// A Named data set knows the names of its classes. The data sets of this package are Named
// if their files or format have names, and so are parts of them.
type Named interface {
	Dataset
	// ClassNames returns the names in the order of the classes, or nil if they are
	// not known. They must not be modified.
	ClassNames() []string
}

// ClassNames returns the names of the classes of d, or nil if they are not known.
func ClassNames(d Dataset) []string {
	if n, ok := d.(Named); ok {
		return n.ClassNames()
	}
	return nil
}

// ClassNumbers returns the numbers from 0 to n-1 as names of classes.
func ClassNumbers(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// Absent returns the names of the classes without samples in d. A class without a name goes
// by its number.
func Absent(d Dataset) []string {
	names := ClassNames(d)
	var absent []string
	for class, n := range ClassCounts(d) {
		switch {
		case n > 0:
		case names != nil:
			absent = append(absent, names[class])
		default:
			absent = append(absent, strconv.Itoa(class))
		}
	}
	return absent
}

// MatchClasses returns d with its classes renumbered to a list of names, those of another
// data set or of a network. Classes of the list that d lacks have no samples ([Absent]
// lists them). It is an error if a class of d has samples and is not in the list. Names
// match as described at [FolderOptions]. A data set without class names is returned
// unchanged.
func MatchClasses(d Dataset, classes []string) (Dataset, error) {
	names := ClassNames(d)
	if names == nil || slices.Equal(names, classes) {
		return d, nil
	}
	used := make([]string, 0, len(names))
	counts := ClassCounts(d)
	for class, name := range names {
		if counts[class] > 0 {
			used = append(used, name)
		}
	}
	numbers, err := matchNames(used, classes, nil)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	m := &matched{Dataset: d, names: slices.Clone(classes), number: make([]int, len(names))}
	for class, name := range names {
		m.number[class] = numbers[name]
	}
	if r, ok := d.(RandomReader); ok {
		return &randomMatched{m, r}, nil
	}
	return m, nil
}

// matched is a data set whose classes have other numbers.
type matched struct {
	Dataset
	names  []string
	number []int // of the classes of the data set
}

func (m *matched) Classes() int         { return len(m.names) }
func (m *matched) ClassNames() []string { return m.names }
func (m *matched) Label(i int) int      { return m.number[m.Dataset.Label(i)] }

// Digest implements [Digester].
func (m *matched) Digest() (string, error) {
	whole, err := Digest(m.Dataset)
	if err != nil {
		return "", err
	}
	return sum(begin("matched "+whole, m)), nil
}

// randomMatched is matched for a data set that can draw.
type randomMatched struct {
	*matched
	reader RandomReader
}

func (m *randomMatched) ReadRandom(i int, dst *tensor.Tensor, rng *rand.Rand) error {
	return m.reader.ReadRandom(i, dst, rng)
}

// matchNames returns the numbers that names have among the classes. A name is first
// looked up in the map.
func matchNames(names, classes []string, m ClassMap) (map[string]int, error) {
	exact, folded := map[string][]int{}, map[string][]int{}
	for i, c := range classes {
		exact[c] = append(exact[c], i)
		folded[fold(c)] = append(folded[fold(c)], i)
	}
	inMap := map[string]string{}
	for _, e := range m {
		inMap[e.Directory] = e.Class
	}
	// Numbers count where every name is one, so that "3" among words is an error.
	numbered := !slices.ContainsFunc(names, func(name string) bool {
		_, ok := inMap[name]
		return !ok && !isNumber(name)
	})
	found, taken := map[string]int{}, map[int]string{}
	for _, name := range names {
		class, given := inMap[name]
		if !given {
			class = name
		}
		at := exact[class]
		if len(at) == 0 {
			at = folded[fold(class)]
		}
		if len(at) == 0 && isNumber(class) && (given || numbered) {
			if n, err := strconv.Atoi(class); err == nil && n < len(classes) {
				at = []int{n}
			}
		}
		switch {
		case len(at) == 0 && given:
			return nil, fmt.Errorf("%q is mapped to %q, which is no class; the %d classes are %s", name, class, len(classes), few(classes))
		case len(at) == 0:
			return nil, fmt.Errorf("there is no class %q; the %d classes are %s", name, len(classes), few(classes))
		case len(at) > 1:
			return nil, fmt.Errorf("%d classes are called %q (%d and %d); map %q to a number", len(at), class, at[0], at[1], name)
		}
		if other, ok := taken[at[0]]; ok && !(given && inMap[other] != "") {
			return nil, fmt.Errorf("%q and %q are both class %d, %q", other, name, at[0], classes[at[0]])
		}
		found[name], taken[at[0]] = at[0], name
	}
	return found, nil
}

// isNumber reports whether a name is a whole number from 0.
func isNumber(name string) bool {
	return name != "" && strings.Trim(name, "0123456789") == ""
}

// fold makes names alike that differ as those of files often do from those they stand
// for: in case, and by what stands for a blank or a slash.
func fold(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune(" _-/", r) }), " ")
}

// few lists names, of many the first and the number of the rest.
func few(names []string) string {
	const most = 12
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most-2], ", "), len(names)-(most-2))
}
