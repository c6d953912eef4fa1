package nn

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mettleml/mettle/tensor"
)

// A StateError says how the tensors of a source differ from those of a network.
type StateError struct {
	Source     string   // the file, or another source of the tensors
	Missing    []string // in the network, but not in the source
	Unexpected []string // in the source, but not in the network
	Misshapen  []string // "name: have [..], want [..]"
	Fitting    int      // tensors whose name and shape agree

	// Prefix is the [LoadOptions.Prefix] with which more tensors would fit, or "".
	Prefix string
}

// Error returns one sentence with the number of names of each kind and a few of them. The
// fields hold all of them.
func (e *StateError) Error() string {
	var b strings.Builder
	there, wanted := e.Fitting+len(e.Unexpected)+len(e.Misshapen), e.Fitting+len(e.Missing)+len(e.Misshapen)
	if e.Fitting+len(e.Misshapen) == 0 && there > 0 && wanted > 0 {
		fmt.Fprintf(&b, "nn: %s holds another network: none of its %d tensors (%s) is among the %d of this one (%s)",
			e.Source, there, some(e.Unexpected), wanted, some(e.Missing))
	} else {
		fmt.Fprintf(&b, "nn: %s does not fit the network", e.Source)
		sep := ": "
		for _, part := range []struct {
			what  string
			names []string
			of    int
		}{{"missing", e.Missing, wanted}, {"unexpected", e.Unexpected, there}, {"of another shape", e.Misshapen, there}} {
			if n := len(part.names); n > 0 {
				fmt.Fprintf(&b, "%s%d of %d %s (%s)", sep, n, part.of, part.what, some(part.names))
				sep = ", "
			}
		}
	}
	if e.Prefix != "" {
		fmt.Fprintf(&b, "; more fit without the prefix %.64q, which LoadOptions.Prefix strips", e.Prefix)
	}
	return b.String()
}

// some lists the first of some names.
func some(names []string) string {
	const few, long = 3, 64
	var list []string
	for _, name := range names[:min(len(names), few)] {
		if len(name) > long {
			name = strings.ToValidUTF8(name[:long], "") + "..."
		}
		list = append(list, name)
	}
	if len(names) > few {
		list = append(list, "...")
	}
	return strings.Join(list, ", ")
}

// A match pairs the tensors of a file with the entries of a network.
type match struct {
	fits   []Entry                 // of the network, with a tensor of their name and shape
	stored map[string]tensor.Entry // of the file, by the name in the network
}

// matching pairs the tensors of s with the entries of m, or says why it cannot.
func matching(s *tensor.Safetensors, m Tree, o LoadOptions) (*match, error) {
	there := s.Entries()
	var wanted []Entry
	for e := range State(m) {
		wanted = append(wanted, e)
	}
	bad := &StateError{Source: cmp.Or(s.Path(), "the safetensors data")}
	if o.Prefix == "" && o.Rename == nil {
		switch p, more := bestPrefix(there, wanted); {
		case p != "" && shared(there, p):
			o.Prefix = p
			bad.Source += fmt.Sprintf(" without the prefix %q", p)
		case more:
			bad.Prefix = p
		}
	}
	f := &match{stored: make(map[string]tensor.Entry)}
	for _, e := range there {
		name, ok := strings.CutPrefix(e.Name, o.Prefix)
		if ok && o.Rename != nil {
			name = o.Rename(name)
		}
		if !ok || name == "" {
			continue
		}
		if other, ok := f.stored[name]; ok {
			return nil, fmt.Errorf("nn: %s: %s and %s are both renamed to %s", bad.Source, other.Name, e.Name, name)
		}
		f.stored[name] = e
	}
	if o.Prefix != "" && len(f.stored) == 0 {
		return nil, fmt.Errorf("nn: %s: none of its %d tensors (%s) begins with the prefix %q", bad.Source, len(there), some(namesOf(there)), o.Prefix)
	}
	known := make(map[string]bool)
	for _, e := range wanted {
		known[e.Name] = true
		switch have, ok := f.stored[e.Name]; {
		case ok && slices.Equal(have.Shape, e.Shape()):
			f.fits = append(f.fits, e)
		case ok:
			bad.Misshapen = append(bad.Misshapen, fmt.Sprintf("%s: have %v, want %v", e.Name, have.Shape, e.Shape()))
		case !strings.HasSuffix(e.Name, "num_batches_tracked"):
			bad.Missing = append(bad.Missing, e.Name)
		}
	}
	for name := range f.stored {
		if !known[name] {
			bad.Unexpected = append(bad.Unexpected, name)
		}
	}
	slices.Sort(bad.Unexpected)
	bad.Fitting = len(f.fits)
	if differ := len(bad.Missing) + len(bad.Unexpected) + len(bad.Misshapen); differ > 0 && (!o.Partial || len(f.fits) == 0) {
		return nil, bad
	}
	return f, nil
}

// bestPrefix returns what the names of a file have to lose in front, up to a dot, for
// the most of them to fit the entries, "" if nothing helps: the most in name and shape,
// and of several the most in name, the shortest, the first. more says whether more agree
// in shape than without it.
func bestPrefix(there []tensor.Entry, wanted []Entry) (best string, more bool) {
	type count struct{ names, shapes int } // that agree
	shapes, longest := make(map[string][]int, len(wanted)), 0
	for _, e := range wanted {
		shapes[e.Name] = e.Shape()
		longest = max(longest, len(e.Name))
	}
	fits := make(map[string]count)
	for _, e := range there {
		for at := len(e.Name); at >= 0 && len(e.Name)-at <= longest; at-- {
			if at > 0 && e.Name[at-1] != '.' {
				continue
			}
			shape, ok := shapes[e.Name[at:]]
			if !ok {
				continue
			}
			n := fits[e.Name[:at]]
			n.names++
			if slices.Equal(shape, e.Shape) {
				n.shapes++
			}
			fits[e.Name[:at]] = n
		}
	}
	for p, n := range fits {
		b := fits[best]
		if d := cmp.Or(n.shapes-b.shapes, n.names-b.names, len(best)-len(p), strings.Compare(best, p)); d > 0 {
			best = p
		}
	}
	return best, fits[best].shapes > fits[""].shapes
}

// shared reports whether all names begin with the prefix.
func shared(there []tensor.Entry, prefix string) bool {
	return !slices.ContainsFunc(there, func(e tensor.Entry) bool { return !strings.HasPrefix(e.Name, prefix) })
}

func namesOf(there []tensor.Entry) []string {
	list := make([]string, len(there))
	for i, e := range there {
		list[i] = e.Name
	}
	return list
}
