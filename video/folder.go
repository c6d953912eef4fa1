package video

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// FolderOptions say how [OpenFolder] reads. The zero value takes consecutive frames
// from the middle of each video.
type FolderOptions struct {
	// Video says how to read every video. Channels, and Size unless Frame is set, are
	// replaced by the samples' shape.
	Video Options

	// Window chooses the frames of a sample; nil means Window{Frames: T}.
	Window Sampler `json:"-"`

	// Group is a regular expression with one group in parentheses that finds a video's
	// group in its name, without the extension. "" means _g(\d+)_c\d+$, as in
	// UCF50 and UCF101; a name without a match is then a group of its own.
	Group string `json:",omitempty"`
}

// A Folder is a data set of videos, one directory for each class. Videos are read when
// they are asked for. A sample is a clip [T, C, H, W]. It is a [data.RandomReader]: a
// loader draws the window of each clip, unless its option Fixed is set. It tells the
// names of its classes ([data.Named]), so that [data.MatchClasses] gives them the numbers
// that a network has for them.
type Folder struct {
	Root   string
	Paths  []string // the videos under Root, with slashes, by class and then sorted
	Groups []string // the group of each

	ctx    context.Context
	labels []int
	names  []string // of the classes
	shape  []int
	opt    FolderOptions
	frames []*atomic.Int64 // of each video, once they have been counted
}

var (
	_ data.RandomReader = (*Folder)(nil)
	_ data.Named        = (*Folder)(nil)
	_ data.Digester     = (*Folder)(nil)
)

// OpenFolder lists the videos in the directories of root: files whose names [IsVideo]
// knows or one of opt.Video.Formats matches, and directories that hold numbered
// pictures. Classes are numbered as [data.OpenFolder] numbers them: in the sorted order
// of the directories' names, as numbers if every one is a whole number. Other files, and
// what starts with a dot, do not count.
//
// Samples have the shape [T, C, H, W]: opt.Window chooses T frames, which get C channels
// and the size H by W as [Options] describes. All reading ends with an error when ctx is
// cancelled. There is an error if root has no directories, one of them has no video, or
// opt.Group does not match a name. OpenFolder panics if the shape or an option is
// impossible.
func OpenFolder(ctx context.Context, root string, shape []int, opt FolderOptions) (*Folder, error) {
	if len(shape) != 4 || slices.Min(shape) < 1 || shape[1] != 1 && shape[1] != 3 {
		tensor.Panic("video.OpenFolder", "not [T, 3, H, W] or [T, 1, H, W]", shape)
	}
	if opt.Window == nil {
		opt.Window = Window{Frames: shape[0]}
	}
	if index, err := opt.Window.Sample(1<<24, nil); err != nil || len(index) != shape[0] {
		tensor.Panic("video.OpenFolder", fmt.Sprintf("the window %+v chooses %d frames", opt.Window, len(index)), shape)
	}
	opt.Video.Channels = shape[1]
	if opt.Video.Frame == nil {
		opt.Video.Size = [2]int(shape[2:])
	}
	opt.Video.check("video.OpenFolder")
	group, err := groups(opt.Group)
	if err != nil {
		return nil, err
	}
	d := &Folder{Root: root, ctx: ctx, shape: slices.Clone(shape), opt: opt}
	classes, err := data.ClassDirs(root)
	if err != nil {
		return nil, err
	}
	for _, c := range classes {
		names, err := videos(filepath.Join(root, c), opt.Video.Formats)
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, &tensor.FormatError{Format: "video folder", File: filepath.Join(root, c), Reason: "no video for this class"}
		}
		for _, name := range names {
			path := c + "/" + name
			g, err := group(strings.TrimSuffix(name, filepath.Ext(name)))
			if err != nil {
				return nil, &tensor.FormatError{Format: "video folder", File: filepath.Join(root, path), Reason: err.Error()}
			}
			d.Paths = append(d.Paths, path)
			d.Groups = append(d.Groups, g)
			d.labels = append(d.labels, len(d.names))
			d.frames = append(d.frames, new(atomic.Int64))
		}
		d.names = append(d.names, c)
	}
	if len(d.names) == 0 {
		return nil, &tensor.FormatError{Format: "video folder", File: root, Reason: "no directory for a class"}
	}
	return d, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path) // follows links
	return err == nil && info.IsDir()
}

// videos are the names of the videos in a directory, sorted.
func videos(dir string, formats []Format) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(dir, name)
		switch {
		case strings.HasPrefix(name, "."):
		case isDir(path):
			frames, err := os.ReadDir(path)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(frames, func(f os.DirEntry) bool { return isFrame(f.Name()) }) {
				names = append(names, name)
			}
		case IsVideo(name):
			names = append(names, name)
		case len(formats) > 0:
			head, err := readHead(path)
			if err == nil && slices.ContainsFunc(formats, func(f Format) bool { return f.Match(path, head) }) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// groups returns the function that finds a video's group in its name.
func groups(pattern string) (func(name string) (string, error), error) {
	re, err := regexp.Compile(cmp.Or(pattern, `_g(\d+)_c\d+$`))
	if err != nil {
		return nil, fmt.Errorf("video: the pattern of groups: %w", err)
	}
	if re.NumSubexp() != 1 {
		return nil, fmt.Errorf("video: the pattern of groups %q has %d groups in parentheses, it needs 1", pattern, re.NumSubexp())
	}
	return func(name string) (string, error) {
		m := re.FindStringSubmatch(name)
		switch {
		case m != nil:
			return m[1], nil
		case pattern == "":
			return name, nil
		}
		return "", fmt.Errorf("the pattern of groups %q does not match the name", pattern)
	}, nil
}

func (d *Folder) Len() int        { return len(d.Paths) }
func (d *Folder) Shape() []int    { return d.shape }
func (d *Folder) Classes() int    { return len(d.names) }
func (d *Folder) Label(i int) int { return d.labels[i] }

// ClassNames returns the names of the directories in the order of the classes.
func (d *Folder) ClassNames() []string { return d.names }

// Path returns the path of video i, for [Open].
func (d *Folder) Path(i int) string { return filepath.Join(d.Root, filepath.FromSlash(d.Paths[i])) }

// Read reads the frames of video i that the window chooses without a generator.
func (d *Folder) Read(i int, dst *tensor.Tensor) error {
	_, err := d.clip(i, nil, dst)
	return err
}

// ReadRandom reads from video i frames that the window draws from rng. Of rng it takes
// what the window takes, and one value for what the option Frame draws.
func (d *Folder) ReadRandom(i int, dst *tensor.Tensor, rng *rand.Rand) error {
	_, err := d.clip(i, rng, dst)
	return err
}

// Clip reads the frames of Read, with their numbers, the rate and the path.
func (d *Folder) Clip(i int) (*Clip, error) { return d.clip(i, nil, nil) }

func (d *Folder) clip(i int, rng *rand.Rand, x *tensor.Tensor) (*Clip, error) {
	n, err := d.Frames(i)
	if err != nil {
		return nil, err
	}
	if x == nil {
		x = tensor.New(d.shape...)
	}
	return sample(d.ctx, d.Path(i), n, d.opt.Window, rng, d.opt.Video, x)
}

// Frames returns the number of frames of video i under option Video. The first call, or the
// first Read of the video, reads it to its end.
func (d *Folder) Frames(i int) (int, error) {
	if n := d.frames[i].Load(); n > 0 {
		return int(n), nil
	}
	n, err := Count(d.ctx, d.Path(i), d.opt.Video)
	if err == nil {
		d.frames[i].Store(int64(n))
	}
	return n, err
}

// Select returns the videos for which keep is true. Classes keep their numbers.
func (d *Folder) Select(keep func(i int) bool) *Folder {
	s := *d
	s.Paths, s.Groups, s.labels, s.frames = nil, nil, nil, nil
	for i := range d.Paths {
		if keep(i) {
			s.Paths = append(s.Paths, d.Paths[i])
			s.Groups = append(s.Groups, d.Groups[i])
			s.labels = append(s.labels, d.labels[i])
			s.frames = append(s.frames, d.frames[i])
		}
	}
	return &s
}

// Split divides the videos by group: test gets those of the given groups, train the others.
// Videos of one group show the same scene, so a split that ignores groups tests on training
// scenes. Names that are whole numbers are compared as such: "1" is the group 01. There is
// an error if no video has one of the groups, or a class has no video on one of the sides.
func (d *Folder) Split(test ...string) (train, rest *Folder, err error) {
	wanted := map[string]bool{}
	for _, g := range test {
		wanted[canonical(g)] = false
	}
	in := func(i int) bool {
		_, ok := wanted[canonical(d.Groups[i])]
		return ok
	}
	for i := range d.Groups {
		if in(i) {
			wanted[canonical(d.Groups[i])] = true
		}
	}
	for _, g := range slices.Sorted(maps.Keys(wanted)) {
		if !wanted[g] {
			return nil, nil, fmt.Errorf("video: no video of %s has the group %s", d.Root, g)
		}
	}
	train, rest = d.Select(func(i int) bool { return !in(i) }), d.Select(in)
	for _, side := range []struct {
		name string
		*Folder
	}{{"train with", train}, {"test", rest}} {
		for c, n := range data.ClassCounts(side) {
			if n == 0 {
				return nil, nil, fmt.Errorf("video: the split leaves class %s no video to %s", d.names[c], side.name)
			}
		}
	}
	return train, rest, nil
}

// canonical drops zeros in front of a number.
func canonical(group string) string {
	if n, err := strconv.Atoi(group); err == nil {
		return strconv.Itoa(n)
	}
	return group
}
