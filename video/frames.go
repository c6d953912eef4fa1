package video

import (
	"bufio"
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/internal/jpeg"
	"github.com/mettleml/mettle/tensor"
)

// frameExtensions are those of files that are frames.
var frameExtensions = []string{".png", ".jpg", ".jpeg", ".ppm", ".pgm", ".pnm"}

// A frameFile is a picture with a number in its name.
type frameFile struct {
	path, prefix string
	number       int
}

// OpenFrames reads the pictures of a directory as a video: files that end in .png,
// .jpg, .jpeg, .ppm, .pgm or .pnm, in any case, with a number in the name. The last
// number in the name counts, so that frame2.png comes before frame10.png. What starts
// with a dot does not count.
//
// path may also be a directory and a pattern in it, such as DIR/flow_x_%05d.jpg, with
// one of %d, %5d and %05d (any width) in the place of the number. The pattern
// is needed where a directory has several series.
//
// A file alone is a video of one frame.
//
// The numbers must have one step, such as 1 or 5: a gap is an error that names the
// frame that is missing. Two names with the same number, names without a number, two
// series, and pictures of different sizes are errors as well. The first picture
// decides whether frames are gray (one channel) or coloured. The rate is unknown.
func OpenFrames(path string) (Source, error) {
	files, err := listFrames(path)
	if err != nil {
		return nil, err
	}
	var first *tensor.Tensor
	k := 0
	read := func() (*tensor.Tensor, error) {
		f := files[k].path
		x, err := readPicture(f)
		if err != nil {
			return nil, err
		}
		if x, err = sameShape(first, x); err != nil {
			return nil, &tensor.FormatError{Format: "frames", File: f, Place: fmt.Sprintf("frame %d", k), Reason: err.Error()}
		}
		return x, nil
	}
	if first, err = read(); err != nil {
		return nil, err
	}
	return &source{
		info: Info{Format: "frames", C: first.Dim(0), H: first.Dim(1), W: first.Dim(2)},
		next: func(dst *tensor.Tensor) error {
			if k == len(files) {
				return io.EOF
			}
			if dst != nil {
				x := first
				if k > 0 {
					var err error
					if x, err = read(); err != nil {
						return err
					}
				}
				dst.CopyFrom(x)
			}
			k++
			return nil
		},
	}, nil
}

// isFrame reports whether a name ends as that of a picture.
func isFrame(name string) bool {
	return slices.Contains(frameExtensions, strings.ToLower(filepath.Ext(name))) && !strings.HasPrefix(name, ".")
}

// listFrames returns the files of a series in order.
func listFrames(path string) ([]frameFile, error) {
	dir := path
	match := isFrame
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return []frameFile{{path: path}}, nil
	} else if err == nil {
		// A directory, whatever its name.
	} else if prefix, suffix, ok := framePattern(filepath.Base(path)); ok {
		dir = filepath.Dir(path)
		match = func(name string) bool {
			digits, ok := strings.CutPrefix(name, prefix)
			if ok {
				digits, ok = strings.CutSuffix(digits, suffix)
			}
			return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
		}
	}
	fail := func(place, reason string) ([]frameFile, error) {
		return nil, &tensor.FormatError{Format: "frames", File: path, Place: place, Reason: reason}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []frameFile
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !match(name) {
			continue
		}
		prefix, number, ok := frameNumber(name)
		if !ok {
			return fail(name, "no number in the name of a frame")
		}
		files = append(files, frameFile{filepath.Join(dir, name), prefix, number})
	}
	if len(files) == 0 {
		return fail("", "no frames: no PNG, JPEG, PPM or PGM file")
	}
	slices.SortStableFunc(files, func(a, b frameFile) int { return a.number - b.number })
	for _, f := range files {
		if f.prefix != files[0].prefix {
			return fail("", fmt.Sprintf("two series, %s and %s; name one by a pattern such as %s",
				filepath.Base(files[0].path), filepath.Base(f.path), filepath.Join(dir, f.prefix+"%d"+filepath.Ext(f.path))))
		}
	}
	for i := 1; i < len(files); i++ {
		a, b := files[i-1], files[i]
		if a.number == b.number {
			return fail(filepath.Base(b.path), fmt.Sprintf("the number of %s again", filepath.Base(a.path)))
		}
	}
	// The step is the smallest difference: what differs has a gap.
	step := 0
	for i := 1; i < len(files); i++ {
		if d := files[i].number - files[i-1].number; step == 0 || d < step {
			step = d
		}
	}
	for i := 1; i < len(files); i++ {
		if files[i].number-files[i-1].number != step {
			return fail(filepath.Base(files[i].path), fmt.Sprintf("number %d is missing before it", files[i-1].number+step))
		}
	}
	return files, nil
}

// framePattern takes apart a name with %d, %5d or %05d in it.
func framePattern(name string) (prefix, suffix string, ok bool) {
	prefix, rest, ok := strings.Cut(name, "%")
	if !ok {
		return "", "", false
	}
	width, suffix, ok := strings.Cut(rest, "d")
	return prefix, suffix, ok && strings.Trim(width, "0123456789") == ""
}

// frameNumber finds the last number in a name before its extension. What precedes it
// is the name of the series.
func frameNumber(name string) (prefix string, number int, ok bool) {
	stem := strings.TrimSuffix(name, filepath.Ext(name))
	end := strings.LastIndexAny(stem, "0123456789") + 1
	start := len(strings.TrimRight(stem[:end], "0123456789"))
	number, err := strconv.Atoi(stem[start:end])
	return stem[:start], number, err == nil
}

// readPicture decodes a PNG, JPEG, PPM or PGM file to [C, H, W].
func readPicture(path string) (*tensor.Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 8)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	head = head[:n]
	fail := func(format string, err error) (*tensor.Tensor, error) {
		return nil, &tensor.FormatError{Format: format, File: path, Reason: err.Error(), Err: err}
	}
	format, config, decode := "JPEG", jpeg.DecodeConfig, jpeg.Decode
	switch {
	case len(head) > 1 && head[0] == 'P' && head[1] >= '1' && head[1] <= '7':
		return readPNM(newInput("PNM", f))
	case bytes.HasPrefix(head, []byte("\x89PNG")):
		format, config, decode = "PNG", png.DecodeConfig, png.Decode
	case !bytes.HasPrefix(head, []byte{0xff, 0xd8}):
		return fail("frames", fmt.Errorf("begins with % x, which is neither PNG nor JPEG nor PNM", head))
	}
	c, err := config(bufio.NewReader(f))
	if err != nil {
		return fail(format, err)
	}
	if reason := checkSize(c.Width, c.Height); reason != "" {
		return nil, &tensor.FormatError{Format: format, File: path, Reason: reason}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var img image.Image
	if img, err = decode(bufio.NewReader(f)); err != nil {
		return fail(format, err)
	}
	return tensor.FromImage(img), nil
}
