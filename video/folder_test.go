package video

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// folder makes videos of the given paths, each with frames of its own.
func folder(t *testing.T, paths ...string) (root string, clips map[string]*Clip) {
	t.Helper()
	root = t.TempDir()
	clips = map[string]*Clip{}
	for k, p := range paths {
		c := moving(8+k, 3, 12, 16)
		c.X.Set(unit[k], 0, 0, 0, 0)
		path := filepath.Join(root, p)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := Save(path, c); err != nil {
			t.Fatal(err)
		}
		clips[p] = c
	}
	return root, clips
}

var ucf = []string{
	"Run/v_Run_g01_c01.y4m", "Run/v_Run_g01_c02.y4m", "Run/v_Run_g02_c01.npy", "Run/v_Run_g10_c01.y4m",
	"Walk/v_Walk_g01_c01.y4m", "Walk/v_Walk_g02_c01", "Walk/v_Walk_g10_c01.y4m",
}

func TestFolder(t *testing.T) {
	root, clips := folder(t, ucf...)
	write(t, filepath.Join(root, "README.md"), []byte("not a class"))
	write(t, filepath.Join(root, "Run", "notes.txt"), []byte("not a video"))
	write(t, filepath.Join(root, "Run", ".hidden.y4m"), nil)
	if err := os.MkdirAll(filepath.Join(root, "Run", "empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	d, err := OpenFolder(background, root, []int{4, 3, 12, 16}, FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.Paths, ucf) || fmt.Sprint(d.ClassNames(), d.Groups) != "[Run Walk] [01 01 02 10 01 02 10]" ||
		d.Len() != 7 || d.Classes() != 2 || d.Label(3) != 0 || d.Label(4) != 1 || !slices.Equal(d.Shape(), []int{4, 3, 12, 16}) {
		t.Fatalf("%+v", d)
	}
	x := tensor.New(4, 3, 12, 16)
	for i, p := range d.Paths {
		n := clips[p].X.Dim(0)
		for range 2 { // the second time the frames are counted
			x.Fill(-1)
			if err := d.Read(i, x); err != nil {
				t.Fatal(err)
			}
			first := (n - 3) / 2
			same(t, p, x, clips[p].X.Slice(first, first+4))
		}
		if got, err := d.Frames(i); err != nil || got != n {
			t.Errorf("%s: %d frames, %v", p, got, err)
		}
		// Random windows follow from the generator alone.
		starts := map[int]bool{}
		for seed := range uint64(40) {
			rng := rand.New(rand.NewPCG(seed, 5))
			if err := d.ReadRandom(i, x, rng); err != nil {
				t.Fatal(err)
			}
			first := rand.New(rand.NewPCG(seed, 5)).IntN(n - 3)
			same(t, p, x, clips[p].X.Slice(first, first+4))
			starts[first] = true
		}
		if len(starts) < 4 {
			t.Errorf("%s: %d windows", p, len(starts))
		}
	}
	c, err := d.Clip(1)
	if err != nil || !slices.Equal(c.Index, []int{3, 4, 5, 6}) || c.FPS != 25 || c.Name != d.Path(1) {
		t.Errorf("%+v, %v", c, err)
	}

	// Through a loader, whatever the workers.
	var want *tensor.Tensor
	for _, workers := range []int{1, 3} {
		l, err := data.NewLoader(d, data.LoaderOptions{BatchSize: 7, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		for b, err := range l.Batches(background) {
			if err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = b.X.Clone()
			}
			same(t, "a batch", b.X, want)
		}
	}

	// Sizes, channels, windows and transforms of one's own.
	d, err = OpenFolder(background, root, []int{6, 1, 5, 5}, FolderOptions{
		Window: Window{Frames: 3, Segments: 2}, Video: Options{Start: 1, Frame: data.Compose(data.CenterCrop{H: 10, W: 10}, data.Resize{H: 5, W: 5})}})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = d.Clip(0); err != nil || !slices.Equal(c.X.Shape(), []int{6, 1, 5, 5}) || !slices.Equal(c.Index, []int{2, 3, 4, 4, 5, 6}) {
		t.Errorf("%v %v", c, err)
	}
	d, err = OpenFolder(background, root, []int{6, 1, 5, 5}, FolderOptions{Video: Options{Frame: data.Resize{H: 5, W: 6}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = d.Clip(0); err == nil || !strings.Contains(err.Error(), "shape [6 1 5 6], want [6 1 5 5]") {
		t.Error(err)
	}
	// A window that is too long for one of the videos names it.
	d, err = OpenFolder(background, root, []int{10, 3, 12, 16}, FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = d.Read(1, tensor.New(10, 3, 12, 16))
	if !errors.Is(err, ErrShort) || !strings.Contains(err.Error(), "v_Run_g01_c02.y4m: video: the video is too short: 9 frames, the window needs 10") {
		t.Error(err)
	}
	d, err = OpenFolder(background, root, []int{10, 3, 12, 16}, FolderOptions{Window: Window{Frames: 10, Short: Hold}})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = d.Clip(0); err != nil || !slices.Equal(c.Index, []int{0, 1, 2, 3, 4, 5, 6, 7, 7, 7}) {
		t.Errorf("%v %v", c.Index, err)
	}
	same(t, "the last frame three times", c.X.Slice(7, 10), tensor.FromSlice(slices.Concat(c.X.Index(7).Data(), c.X.Index(7).Data(), c.X.Index(7).Data()), 3, 3, 12, 16))
	if c.X.At(7, 0, 3, 10) == c.X.At(6, 0, 3, 10) {
		t.Error("the last frame is that before it")
	}
	// A video that lost frames since it was counted.
	if err := Save(d.Path(0), moving(3, 3, 12, 16)); err != nil {
		t.Fatal(err)
	}
	if _, err = d.Clip(0); !errors.Is(err, ErrShort) || !strings.Contains(err.Error(), "it had 8 frames and now has 3") {
		t.Error(err)
	}
	// The context ends all reading.
	ctx, cancel := context.WithCancel(background)
	if d, err = OpenFolder(ctx, root, []int{1, 3, 12, 16}, FolderOptions{}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := d.Clip(1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFolderNumbers(t *testing.T) {
	root, _ := folder(t, "10/a.npy", "2/a.npy", "0/a.npy")
	d, err := OpenFolder(background, root, []int{1, 3, 4, 4}, FolderOptions{})
	if err != nil || fmt.Sprint(d.ClassNames()) != "[0 2 10]" {
		t.Errorf("%v, %v", d, err)
	}
}

func TestFolderMalformed(t *testing.T) {
	shape := []int{4, 3, 12, 16}
	_, err := OpenFolder(background, t.TempDir(), shape, FolderOptions{})
	wants(t, err, "no directory for a class")
	root, _ := folder(t, "A/a.npy")
	if err := os.MkdirAll(filepath.Join(root, "B", "frames"), 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = OpenFolder(background, root, shape, FolderOptions{})
	wants(t, err, filepath.Join(root, "B")+": no video for this class")
	_, err = OpenFolder(background, filepath.Join(root, "A"), shape, FolderOptions{})
	wants(t, err, "no directory for a class")
	root, _ = folder(t, "A/a_7.npy", "A/b.npy")
	_, err = OpenFolder(background, root, shape, FolderOptions{Group: `_(\d)$`})
	wants(t, err, filepath.Join("A", "b.npy")+": the pattern of groups")
	for pattern, want := range map[string]string{`_(\d`: "the pattern of groups", `_\d`: "has 0 groups", `(_)(\d)`: "has 2 groups"} {
		if _, err := OpenFolder(background, root, shape, FolderOptions{Group: pattern}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	if d, err := OpenFolder(background, root, shape, FolderOptions{}); err != nil || fmt.Sprint(d.Groups) != "[a_7 b]" {
		t.Errorf("%v", err)
	}
	if d, err := OpenFolder(background, root, shape, FolderOptions{Group: `([ab])`}); err != nil || fmt.Sprint(d.Groups) != "[a b]" {
		t.Errorf("%v", err)
	}
	for _, opt := range []FolderOptions{{Window: Window{Frames: 3}}, {Video: Options{Stride: -1}}} {
		var e *tensor.Error
		if err := tensor.Try(func() error { _, err := OpenFolder(background, root, shape, opt); return err }); !errors.As(err, &e) {
			t.Errorf("%+v: %v, want a panic", opt, err)
		}
	}
	// A format of one's own makes videos of files with other names.
	write(t, filepath.Join(root, "A", "c.own"), []byte("OWN"))
	mine := Format{Name: "mine", Match: func(path string, head []byte) bool { return string(head) == "OWN" }}
	if d, err := OpenFolder(background, root, shape, FolderOptions{Video: Options{Formats: []Format{mine}}}); err != nil || d.Len() != 3 {
		t.Errorf("%v", err)
	}
}

func TestFolderSplit(t *testing.T) {
	root, _ := folder(t, ucf...)
	d, err := OpenFolder(background, root, []int{4, 3, 12, 16}, FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	train, test, err := d.Split("1", "002")
	if err != nil || fmt.Sprint(train.Groups, test.Groups) != "[10 10] [01 01 02 01 02]" || train.Label(1) != 1 || train.Classes() != 2 || test.Paths[2] != ucf[2] {
		t.Errorf("%v: %v %v", err, train, test)
	}
	x := tensor.New(4, 3, 12, 16)
	if err := train.Read(1, x); err != nil || x.At(0, 0, 0, 0) != d.mustClip(t, 6).X.At(0, 0, 0, 0) {
		t.Error(err)
	}
	for want, groups := range map[string][]string{
		"has the group 3":               {"1", "3"},
		"class Run no video to train":   {"1", "2", "10"},
		"leaves class Run no video to ": {},
	} {
		if _, _, err := d.Split(groups...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", groups, err, want)
		}
	}
	none := d.Select(func(i int) bool { return d.Groups[i] == "02" && d.Label(i) == 0 || d.Label(i) == 1 })
	if _, _, err := none.Split("2"); err == nil || !strings.Contains(err.Error(), "class Run no video to train with") {
		t.Error(err)
	}
}

func TestFolderIsNamed(t *testing.T) {
	root, _ := folder(t, ucf...)
	shape := []int{4, 3, 12, 16}
	open := func(opt FolderOptions) *Folder {
		t.Helper()
		d, err := OpenFolder(background, root, shape, opt)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	m, err := data.MatchClasses(open(FolderOptions{}), []string{"Jump", "walk", "run"})
	if err != nil || m.Classes() != 3 || m.Label(0) != 2 || m.Label(6) != 1 {
		t.Errorf("%v", err)
	}
	if _, err := data.MatchClasses(open(FolderOptions{}), []string{"Jump", "Walk"}); err == nil || !strings.Contains(err.Error(), "Run") {
		t.Error(err)
	}

	// The digest tells what samples are made of.
	digests := map[string]string{}
	add := func(what string, d *Folder) string {
		t.Helper()
		sum, err := data.Digest(d)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := digests[sum]; ok {
			t.Errorf("%s has the digest of %s", what, other)
		}
		digests[sum] = what
		return sum
	}
	first := add("the folder", open(FolderOptions{}))
	if again, err := open(FolderOptions{Video: Options{FFmpeg: FFmpeg{Threads: 2}}}).Digest(); err != nil || again != first {
		t.Errorf("%s, then %s (%v)", first, again, err)
	}
	add("a part", open(FolderOptions{}).Select(func(i int) bool { return i != 1 }))
	add("a stride", open(FolderOptions{Video: Options{Stride: 2}}))
	add("a window", open(FolderOptions{Window: Window{Frames: 2, Segments: 2}}))
	add("a transform", open(FolderOptions{Video: Options{Frame: data.CenterCrop{H: 12, W: 16}}}))
	add("another transform", open(FolderOptions{Video: Options{Frame: data.CenterCrop{H: 12, W: 12}}}))
	pictures(t, filepath.Join(root, "Walk", "v_Walk_g02_c01"), moving(1, 3, 12, 16), "frame_00013.png")
	add("a picture more", open(FolderOptions{}))
	if err := Save(filepath.Join(root, "Run", "v_Run_g01_c01.y4m"), moving(5, 3, 12, 16)); err != nil {
		t.Fatal(err)
	}
	add("another file", open(FolderOptions{}))
	d := open(FolderOptions{})
	if err := os.Remove(d.Path(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Digest(); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func (d *Folder) mustClip(t *testing.T, i int) *Clip {
	t.Helper()
	c, err := d.Clip(i)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPack(t *testing.T) {
	root, _ := folder(t, ucf...)
	shape := []int{4, 3, 6, 6}
	d, err := OpenFolder(background, root, shape, FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "packed")
	if err := d.Pack(background, dir); err != nil {
		t.Fatal(err)
	}
	p, err := OpenFolder(background, dir, shape, FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(p.Groups, p.ClassNames(), p.labels) != fmt.Sprint(d.Groups, d.ClassNames(), d.labels) {
		t.Errorf("%v, want %v", p.Paths, d.Paths)
	}
	for i := range d.Len() {
		same(t, d.Paths[i], p.mustClip(t, i).X, d.mustClip(t, i).X.Round8())
		a, b := tensor.New(shape...), tensor.New(shape...)
		if err := errors.Join(p.ReadRandom(i, a, rand.New(rand.NewPCG(1, 1))), d.ReadRandom(i, b, rand.New(rand.NewPCG(1, 1)))); err != nil {
			t.Fatal(err)
		}
		same(t, "random", a, b.Round8())
	}
	// It goes on where it was, and does not mix sizes.
	if err := os.Remove(filepath.Join(dir, "Run", "v_Run_g10_c01.npy")); err != nil {
		t.Fatal(err)
	}
	if err := d.Pack(background, dir); err != nil {
		t.Fatal(err)
	}
	same(t, "packed again", p.mustClip(t, 3).X, d.mustClip(t, 3).X.Round8())
	other, err := OpenFolder(background, root, []int{4, 3, 6, 7}, FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Pack(background, dir); err == nil || !strings.Contains(err.Error(), "pack to another directory") {
		t.Error(err)
	}
	// Failures reach the caller.
	ctx, cancel := context.WithCancel(background)
	cancel()
	if err := d.Pack(ctx, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	write(t, d.Path(2), []byte("YUV4MPEG2 W2"))
	wants(t, d.Pack(background, t.TempDir()), d.Path(2))
	twins, _ := folder(t, "A/a.npy", "A/a.y4m")
	if d, err = OpenFolder(background, twins, shape, FolderOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := d.Pack(background, t.TempDir()); err == nil || !strings.Contains(err.Error(), "A/a.npy and A/a.y4m would both") {
		t.Error(err)
	}
}

func TestList(t *testing.T) {
	var paths []string
	for c := range 3 {
		for k := range 6 - c {
			paths = append(paths, fmt.Sprintf("c%d/clip %d.npy", c, k))
		}
	}
	root, _ := folder(t, paths...)
	d, err := OpenFolder(background, root, []int{4, 3, 12, 16}, FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for seed := range uint64(300) {
		list, err := d.List(2, seed, nil)
		if err != nil || len(list) != 6 {
			t.Fatal(list, err)
		}
		again, _ := d.List(2, seed, nil)
		if !slices.Equal(list, again) {
			t.Fatal("the same seed chose other videos")
		}
		for k, e := range list {
			if e.Label != k/2 || k%2 == 1 && e.Path == list[k-1].Path {
				t.Fatalf("%v", list)
			}
			counts[e.Path]++
		}
	}
	for _, p := range paths {
		n := map[byte]int{'0': 6, '1': 5, '2': 4}[p[1]]
		if want := 600 / n; counts[p] < want*6/10 || counts[p] > want*14/10 {
			t.Errorf("%s was chosen %d times, want about %d", p, counts[p], want)
		}
	}
	// Another class more does not change what is chosen from these.
	one, _ := d.List(1, 7, nil)
	part := d.Select(func(i int) bool { return d.Label(i) < 2 })
	if less, _ := part.List(1, 7, nil); !slices.Equal(less, one[:2]) {
		t.Errorf("%v, want %v", less, one[:2])
	}
	// Classes draw independently: videos of one rank are not chosen together.
	even := d.Select(func(i int) bool { return d.Paths[i][8] < '4' })
	together := 0
	for seed := range uint64(100) {
		list, _ := even.List(1, seed, nil)
		if list[0].Path[2:] == list[1].Path[2:] {
			together++
		}
	}
	if together < 10 || together > 45 {
		t.Errorf("two classes chose the same rank %d times of 100, want about 25", together)
	}
	// Only what is accepted, as far as there is any.
	asked := 0
	list, err := d.List(3, 1, func(i int) (bool, error) { asked++; return d.Label(i) == 0 && i < 2 || d.Label(i) == 2, nil })
	if err != nil || len(list) != 5 || asked > d.Len() {
		t.Errorf("%v, %v; asked %d times", list, err, asked)
	}
	boom := errors.New("boom")
	if _, err := d.List(1, 1, func(int) (bool, error) { return false, boom }); err != boom {
		t.Error(err)
	}

	// Written, read, and found again.
	var b bytes.Buffer
	if err := WriteList(&b, list, "3 videos per class, seed 1", "of\nroot"); err != nil {
		t.Fatal(err)
	}
	back, err := ReadList(bytes.NewReader(b.Bytes()))
	if err != nil || !slices.Equal(back, list) || !strings.HasPrefix(b.String(), "# 3 videos per class, seed 1\n# of root\nc0/clip 0.npy 0\n") {
		t.Errorf("%q, %v", b.String(), err)
	}
	indices, left, err := d.Find(back, nil)
	if err != nil || len(indices) != 5 || left != nil || d.Paths[indices[4]] != list[4].Path {
		t.Errorf("%v %v %v", indices, left, err)
	}
	indices, left, err = d.Find(back, func(i int) (bool, error) { return i != indices[1], nil })
	if err != nil || len(indices) != 4 || len(left) != 1 || left[0] != list[1] {
		t.Errorf("%v %v %v", indices, left, err)
	}
	if _, _, err = d.Find([]Entry{{"c0/none.npy", 0}}, nil); err == nil || !strings.Contains(err.Error(), "c0/none.npy, which is not in "+root) {
		t.Error(err)
	}
	if _, _, err = d.Find([]Entry{{paths[0], 1}}, nil); err == nil || !strings.Contains(err.Error(), "the class 1, in "+root+" it has 0 (c0)") {
		t.Error(err)
	}
	if _, _, err = d.Find(back, func(int) (bool, error) { return false, boom }); err != boom {
		t.Error(err)
	}
	for _, p := range []string{"", " a", "a\nb", "#a"} {
		if err := WriteList(&b, []Entry{{p, 0}}); err == nil {
			t.Errorf("%q was written", p)
		}
	}
}

func TestReadListMalformed(t *testing.T) {
	for want, text := range map[string]string{
		`line 1: "hello" is not a path and a label`:   "hello",
		`line 3: "a/b x" is not a path and a label`:   "# c\n\na/b x\n",
		`line 1: "a/b -1" is not a path and a label`:  "a/b -1\n",
		`line 1: "7" is not a path and a label`:       "7\n",
		"line 2: a/b comes twice":                     "a/b 1\na/b\t1",
		"line 1: longer than 4096 bytes":              strings.Repeat("x", 5000),
		`line 1: "a/b 1e3" is not a path and a label`: "a/b 1e3",
	} {
		_, err := ReadList(strings.NewReader(text))
		wants(t, err, want)
	}
	list, err := ReadList(strings.NewReader("\r\n# x\r\na b/c.mp4\t 3 \r\nd 0"))
	if err != nil || !slices.Equal(list, []Entry{{"a b/c.mp4", 3}, {"d", 0}}) {
		t.Errorf("%v, %v", list, err)
	}
}

func FuzzList(f *testing.F) {
	f.Add("# comment\na/b.mp4 1\n\nc d 2")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadList(strings.NewReader(text))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := WriteList(&b, list); err != nil {
			return // a path with a carriage return
		}
		back, err := ReadList(&b)
		if err != nil || !slices.Equal(back, list) {
			t.Fatalf("%v became %v (%v)", list, back, err)
		}
	})
}
