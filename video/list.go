package video

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/tensor"
)

// An Entry is a line of an attack list: a video and its class.
type Entry struct {
	Path  string // under the folder's root, with slashes
	Label int
}

// List chooses up to n videos of each class to attack, at random: what is chosen for a
// class depends on its number, its videos and the seed alone. If accept is not nil, only
// videos count for which it is true, such as those that the victim classifies correctly;
// it is called in the order of the draws until a class has n. A class may have fewer.
//
// The code of the Motion-Excited Sampler comes with a list of one clip per class that
// the victim classifies correctly; this makes such a list for n of 1. It panics if n is
// below 1.
func (d *Folder) List(n int, seed uint64, accept func(i int) (bool, error)) ([]Entry, error) {
	if n < 1 {
		tensor.Panic("video.Folder.List", fmt.Sprintf("%d videos per class", n))
	}
	byClass := make([][]int, d.Classes())
	for i, c := range d.labels {
		byClass[c] = append(byClass[c], i)
	}
	var list []Entry
	for c, videos := range byClass {
		rng := rand.New(rand.NewPCG(seed, uint64(c)))
		rng.Shuffle(len(videos), func(i, j int) { videos[i], videos[j] = videos[j], videos[i] })
		var chosen []int
		for _, i := range videos {
			if len(chosen) == n {
				break
			}
			ok := true
			if accept != nil {
				var err error
				if ok, err = accept(i); err != nil {
					return nil, err
				}
			}
			if ok {
				chosen = append(chosen, i)
			}
		}
		slices.Sort(chosen)
		for _, i := range chosen {
			list = append(list, Entry{d.Paths[i], c})
		}
	}
	return list, nil
}

// Find returns the indices of a list's videos in d. It is an error if d lacks one of them,
// or has it in another class. If accept is not nil, videos for which it is false are left
// out and their entries are returned in left: another victim may misclassify videos of the
// list, and those must not be attacked.
func (d *Folder) Find(list []Entry, accept func(i int) (bool, error)) (indices []int, left []Entry, err error) {
	at := map[string]int{}
	for i, p := range d.Paths {
		at[p] = i
	}
	for _, e := range list {
		i, ok := at[e.Path]
		if !ok {
			return nil, nil, fmt.Errorf("video: the list has %s, which is not in %s", e.Path, d.Root)
		}
		if e.Label != d.labels[i] {
			return nil, nil, fmt.Errorf("video: the list gives %s the class %d, in %s it has %d (%s)", e.Path, e.Label, d.Root, d.labels[i], d.names[d.labels[i]])
		}
		ok = true
		if accept != nil {
			if ok, err = accept(i); err != nil {
				return nil, nil, err
			}
		}
		if ok {
			indices = append(indices, i)
		} else {
			left = append(left, e)
		}
	}
	return indices, left, nil
}

// WriteList writes one line "path label" per entry. The comment lines, to be given without
// #, come first: state how the list was made.
func WriteList(w io.Writer, list []Entry, comment ...string) error {
	b := bufio.NewWriter(w)
	for _, c := range comment {
		fmt.Fprintf(b, "# %s\n", strings.ReplaceAll(c, "\n", " "))
	}
	for _, e := range list {
		if strings.ContainsAny(e.Path, "\r\n") || e.Path != strings.TrimSpace(e.Path) || e.Path == "" || e.Path[0] == '#' {
			return fmt.Errorf("video: the path %q cannot be in a list", e.Path)
		}
		fmt.Fprintf(b, "%s %d\n", e.Path, e.Label)
	}
	return b.Flush()
}

// ReadList reads what WriteList writes. The label follows the last space, so a path may
// contain spaces. Empty lines and lines that begin with # do not count. It reads up to a
// million entries.
func ReadList(r io.Reader) ([]Entry, error) {
	const most = 1 << 20
	in := newInput("attack list", r)
	seen := map[string]bool{}
	var list []Entry
	for n := 1; ; n++ {
		line, err := in.line(maxLine)
		place := fmt.Sprintf("line %d", n)
		if err == errLongLine {
			return nil, in.fail(place, fmt.Sprintf("longer than %d bytes", maxLine), nil)
		}
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, in.ends(place, err)
		}
		if text := strings.TrimSpace(line); text != "" && text[0] != '#' {
			i := strings.LastIndexAny(text, " \t")
			label, bad := strconv.Atoi(text[i+1:])
			if i < 0 || bad != nil || label < 0 {
				return nil, in.fail(place, fmt.Sprintf("%.40q is not a path and a label", text), nil)
			}
			e := Entry{strings.TrimSpace(text[:i]), label}
			if seen[e.Path] {
				return nil, in.fail(place, fmt.Sprintf("%.100s comes twice", e.Path), nil)
			}
			if len(list) == most {
				return nil, in.fail(place, fmt.Sprintf("more than %d entries", most), nil)
			}
			seen[e.Path] = true
			list = append(list, e)
		}
		if err != nil {
			return list, nil
		}
	}
}
