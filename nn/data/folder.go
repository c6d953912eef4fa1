package data

import (
	"bufio"
	"cmp"
	"fmt"
	"image"
	_ "image/jpeg" // a format of Folder
	_ "image/png"  // a format of Folder
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/tensor"
)

// maxPixels bounds the images that are decoded.
const maxPixels = 1 << 26

// A Folder is a data set of PNG and JPEG files, one directory for each class.
// Images are decoded when they are read.
type Folder struct {
	ClassNames []string // the directories, in the order of the classes
	Paths      []string // the files, by class and then sorted
	labels     []int
	shape      []int
}

// OpenFolder lists the images in the directories of root: files that end in
// .png, .jpg or .jpeg, in any case. Classes are numbered in the sorted order of
// the directories' names: as numbers if every one is a whole number, so that 2
// comes before 10, and else as text. Files in root itself, and what starts with a
// dot, do not count. Every image becomes [C, H, W]: the largest part in its middle that
// has the proportions of H by W is resized as [Resize] does. C is 3, a gray
// image being repeated, or 1, the luma of a coloured one. There is an error if
// root has no directories, or one of them no image. It panics if shape is not
// [3, H, W] or [1, H, W].
func OpenFolder(root string, shape []int) (*Folder, error) {
	if c, h, w := dims("data.OpenFolder", shape); c != 1 && c != 3 || h < 1 || w < 1 {
		tensor.Panic("data.OpenFolder", "not [3, H, W] or [1, H, W]", shape)
	}
	d := &Folder{shape: slices.Clone(shape)}
	classes, err := classDirs(root)
	if err != nil {
		return nil, err
	}
	for _, c := range classes {
		dir := filepath.Join(root, c)
		files, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		before := len(d.Paths)
		for _, f := range files {
			switch strings.ToLower(filepath.Ext(f.Name())) {
			case ".png", ".jpg", ".jpeg":
				if !strings.HasPrefix(f.Name(), ".") && !f.IsDir() {
					d.Paths = append(d.Paths, filepath.Join(dir, f.Name()))
					d.labels = append(d.labels, len(d.ClassNames))
				}
			}
		}
		if len(d.Paths) == before {
			return nil, &tensor.FormatError{Format: "image folder", File: dir, Reason: "no .png, .jpg or .jpeg file for this class"}
		}
		d.ClassNames = append(d.ClassNames, c)
	}
	if len(d.ClassNames) == 0 {
		return nil, &tensor.FormatError{Format: "image folder", File: root, Reason: "no directory for a class"}
	}
	return d, nil
}

// classDirs are the names of the directories of root in the order of the classes.
func classDirs(root string) ([]string, error) {
	entries, err := os.ReadDir(root) // sorted as text
	if err != nil {
		return nil, err
	}
	var names []string
	number := map[string]int{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if info, err := os.Stat(filepath.Join(root, e.Name())); err != nil {
			return nil, err
		} else if !info.IsDir() {
			continue
		}
		names = append(names, e.Name())
		if n, err := strconv.Atoi(e.Name()); err == nil {
			number[e.Name()] = n
		}
	}
	if len(number) == len(names) {
		slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(number[a], number[b]) })
	}
	return names, nil
}

func (d *Folder) Len() int        { return len(d.Paths) }
func (d *Folder) Shape() []int    { return d.shape }
func (d *Folder) Classes() int    { return len(d.ClassNames) }
func (d *Folder) Label(i int) int { return d.labels[i] }

// Read decodes image i. A file that is corrupt, not what its name says, or above
// 2^26 pixels gives a [*tensor.FormatError].
func (d *Folder) Read(i int, dst *tensor.Tensor) error {
	f, err := os.Open(d.Paths[i])
	if err != nil {
		return err
	}
	defer f.Close()
	return named(d.Paths[i], readImage(f, dst))
}

// readImage decodes an image into dst, [C, H, W].
func readImage(r io.ReadSeeker, dst *tensor.Tensor) error {
	fail := func(reason string, err error) error {
		return &tensor.FormatError{Format: "image", Reason: reason, Err: err}
	}
	config, format, err := image.DecodeConfig(bufio.NewReader(r))
	if err != nil {
		return fail(err.Error(), err)
	}
	if format != "png" && format != "jpeg" {
		return fail(fmt.Sprintf("the format is %s, not PNG or JPEG", format), nil)
	}
	if config.Width < 1 || config.Height < 1 || config.Width > maxPixels/config.Height {
		return fail(fmt.Sprintf("%d by %d pixels, the limit is %d in all", config.Width, config.Height, maxPixels), nil)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	img, _, err := image.Decode(bufio.NewReader(r))
	if err != nil {
		return fail(err.Error(), err)
	}
	x := channels(tensor.FromImage(img), dst.Dim(0))
	_, h, w := dims("data.Folder", x.Shape())
	_, oh, ow := dims("data.Folder", dst.Shape())
	ch, cw := h, w
	if int64(w)*int64(oh) > int64(h)*int64(ow) {
		cw = max(1, int(int64(h)*int64(ow)/int64(oh)))
	} else {
		ch = max(1, int(int64(w)*int64(oh)/int64(ow)))
	}
	resize(dst, x, (h-ch)/2, (w-cw)/2, ch, cw)
	return nil
}

// channels converts between one channel and three.
func channels(x *tensor.Tensor, c int) *tensor.Tensor {
	if x.Dim(0) == c {
		return x
	}
	out := tensor.New(c, x.Dim(1), x.Dim(2))
	d, n := x.Data(), x.Dim(1)*x.Dim(2)
	for i := range n {
		if c == 1 {
			out.Data()[i] = luma(d[i], d[n+i], d[2*n+i])
			continue
		}
		out.Data()[i], out.Data()[n+i], out.Data()[2*n+i] = d[i], d[i], d[i]
	}
	return out
}
