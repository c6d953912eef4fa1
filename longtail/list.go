package longtail

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// An Entry is a line of a list: a picture and its class.
type Entry struct {
	Path  string // relative to a root, with slashes
	Label int
}

// maxList bounds the text of a list, compressed or not. The longest published one,
// iNaturalist 2018, has 30 MB.
const maxList = 1 << 28

// ReadList reads lines "path label", as Places-LT, ImageNet-LT and iNaturalist 2018 are
// published, from plain text or gzip. The label follows the last blank, so a path may
// contain blanks. Lines of white space do not count. A line of another form, a path outside
// the root, a negative label or a list without entries is a [*tensor.FormatError].
func ReadList(r io.Reader) ([]Entry, error) {
	fail := func(line int, reason string, err error) ([]Entry, error) {
		e := &tensor.FormatError{Format: "list of pictures", Reason: reason, Err: err}
		if line > 0 {
			e.Place = fmt.Sprintf("line %d", line)
		}
		return nil, e
	}
	b := bufio.NewReaderSize(r, 1<<16)
	r = b
	if head, _ := b.Peek(2); string(head) == "\x1f\x8b" {
		z, err := gzip.NewReader(b)
		if err != nil {
			return fail(0, err.Error(), err)
		}
		r = z
	}
	limited := &io.LimitedReader{R: r, N: maxList}
	scan := bufio.NewScanner(limited)
	var list []Entry
	line := 0
	for scan.Scan() {
		line++
		text := scan.Text()
		if line == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // a byte order mark
		}
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		at := strings.LastIndexAny(text, " \t")
		if at < 0 {
			return fail(line, fmt.Sprintf("%q is not \"path label\"", text), nil)
		}
		path, number := strings.TrimSpace(text[:at]), text[at+1:]
		label, err := strconv.Atoi(number)
		if err != nil {
			return fail(line, fmt.Sprintf("the label %q is not a whole number", number), err)
		}
		if label < 0 {
			return fail(line, fmt.Sprintf("the label is %d", label), nil)
		}
		if !filepath.IsLocal(filepath.FromSlash(path)) {
			return fail(line, fmt.Sprintf("the path %q leaves the root", path), nil)
		}
		list = append(list, Entry{path, label})
	}
	switch err := scan.Err(); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fail(line+1, "the data ends", err)
	case err != nil:
		return fail(line+1, err.Error(), err)
	case limited.N <= 0:
		return fail(line, fmt.Sprintf("more than %d bytes of text", maxList), nil)
	case len(list) == 0:
		return fail(0, "no entries", nil)
	}
	return list, nil
}

// A List is a data set of the PNG and JPEG files that a list names. Read decodes them.
type List struct {
	Entries []Entry // in the order of the file
	Root    string

	paths   []string
	shape   []int
	classes int
	opt     data.ImageOptions
}

// ListOptions are the options of OpenList.
type ListOptions struct {
	// Classes is the number of classes. Set it for a list that may lack some of them, such
	// as a test set. 0 means 1 plus the largest label; every class must then have a
	// picture.
	Classes int

	// Unchecked skips the check that all files exist. The check takes a fraction of a
	// second for 100,000 files on a local disk.
	Unchecked bool

	data.ImageOptions
}

// OpenList opens the list at path, whose pictures are below root and become [C, H, W] as in
// a [data.Folder]. Errors name the line of an invalid entry, of a label that is not below
// Classes, or of a missing picture. It is also an error if Classes is 0 and a class has no
// pictures. It panics if shape is not [3, H, W] or [1, H, W], Classes is negative or Resize
// is below H or W.
//
//	train, err := longtail.OpenList("Places_LT_train.txt.gz", "places", []int{3, 256, 256}, longtail.ListOptions{})
//	test, err := longtail.OpenList("Places_LT_test.txt.gz", "places", []int{3, 256, 256}, longtail.ListOptions{Classes: train.Classes()})
func OpenList(path, root string, shape []int, o ListOptions) (*List, error) {
	const op = "longtail.OpenList"
	o.Check(op, shape)
	if o.Classes < 0 {
		tensor.Panic(op, fmt.Sprintf("%d classes", o.Classes))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d := &List{Root: root, shape: slices.Clone(shape), opt: o.ImageOptions}
	if d.Entries, err = ReadList(f); err != nil {
		var fe *tensor.FormatError
		if errors.As(err, &fe) {
			fe.File = path
		}
		return nil, err
	}
	if err := d.check(path, o); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *List) check(path string, o ListOptions) error {
	fail := func(k int, reason string, err error) error {
		return &tensor.FormatError{Format: "list of pictures", File: path, Place: fmt.Sprintf("entry %d, %s", k+1, d.Entries[k].Path), Reason: reason, Err: err}
	}
	last := 0
	for k, e := range d.Entries {
		if o.Classes > 0 && e.Label >= o.Classes {
			return fail(k, fmt.Sprintf("the label is %d, outside [0, %d)", e.Label, o.Classes), nil)
		}
		if e.Label > d.Entries[last].Label {
			last = k
		}
	}
	d.classes = o.Classes
	if o.Classes == 0 {
		// So many classes need so many pictures: a wild label makes no large array.
		d.classes = d.Entries[last].Label + 1
		if d.classes > len(d.Entries) {
			return fail(last, fmt.Sprintf("the label is %d, and there are %d pictures: some classes have none; say how many classes there are", d.Entries[last].Label, len(d.Entries)), nil)
		}
		seen := make([]bool, d.classes)
		for _, e := range d.Entries {
			seen[e.Label] = true
		}
		if c := slices.Index(seen, false); c >= 0 {
			return &tensor.FormatError{Format: "list of pictures", File: path, Reason: fmt.Sprintf("class %d of %d has no pictures; say how many classes there are if that is meant", c, d.classes)}
		}
	}
	missing, first := 0, -1
	var cause error
	for k, e := range d.Entries {
		name := filepath.Join(d.Root, filepath.FromSlash(e.Path))
		d.paths = append(d.paths, name)
		if o.Unchecked {
			continue
		}
		st, err := os.Stat(name)
		if err == nil && st.IsDir() {
			err = &fs.PathError{Op: "open", Path: name, Err: errors.New("is a directory")}
		}
		if err != nil {
			if missing++; first < 0 {
				first, cause = k, err
			}
		}
	}
	if missing > 0 {
		return fail(first, fmt.Sprintf("%d of %d pictures are missing, this one first: %v", missing, len(d.Entries), cause), cause)
	}
	return nil
}

func (d *List) Len() int        { return len(d.Entries) }
func (d *List) Shape() []int    { return d.shape }
func (d *List) Classes() int    { return d.classes }
func (d *List) Label(i int) int { return d.Entries[i].Label }

// Read decodes picture i; see [data.ReadImage].
func (d *List) Read(i int, dst *tensor.Tensor) error {
	return data.ReadImageFile(d.paths[i], dst, d.opt)
}

// Digest returns a hash of the list, of the sizes of the files and of the shape; see
// [data.Digester].
func (d *List) Digest() (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, "list", d.shape, d.classes)
	if d.opt != (data.ImageOptions{}) {
		fmt.Fprintln(h, "resize", d.opt.Resize, "orient", d.opt.Orient)
	}
	for i, e := range d.Entries {
		st, err := os.Stat(d.paths[i])
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %d %d\n", e.Path, e.Label, st.Size())
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}
