package video

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// saved writes a clip to a file in a new directory and returns its path.
func saved(t testing.TB, name string, c *Clip) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := Save(path, c); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOpenSniffs gives every format a name that lies about it.
func TestOpenSniffs(t *testing.T) {
	c := moving(3, 3, 12, 16)
	c.X = c.X.Apply(func(v float32) float32 { return float32(int(v*3)) / 3 }).Round8()
	files, jpegValues := jpegs(t, c)
	var frames [][]byte
	for _, f := range files {
		frames = append(frames, chunk("00dc", f))
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(saved(t, name, c))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var picture bytes.Buffer
	pnm(&picture, c.X.Index(0), 255, false, "")
	for _, k := range []struct {
		format, name string
		file         []byte
		want         *tensor.Tensor
	}{
		{"Y4M", "a.mp4", read("a.y4m"), c.X},
		{"npy", "a.gif", read("a.npy"), c.X},
		{"AVI", "a.y4m", aviFile(stream("MJPG", 16, 12, 24), frames...), jpegValues},
		{"frames", "a1.png", picture.Bytes(), c.X.Slice(0, 1)},
		{"frames", "a.jpg", files[1], jpegValues.Slice(1, 2)},
	} {
		path := write(t, filepath.Join(t.TempDir(), k.name), k.file)
		s, err := Open(background, path, Options{FFmpeg: FFmpeg{Never: true}})
		if err != nil {
			t.Errorf("%s in %s: %v", k.format, k.name, err)
			continue
		}
		if s.Info().Format != k.format {
			t.Errorf("%s in %s was read as %s", k.format, k.name, s.Info().Format)
		}
		x, err := collect(s)
		if err != nil {
			t.Fatal(err)
		}
		same(t, k.format, x, k.want)
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		if fds, err := filepath.Glob("/proc/self/fd/*"); err == nil {
			for _, fd := range fds {
				if target, _ := os.Readlink(fd); target == path {
					t.Errorf("%s is still open", path)
				}
			}
		}
	}
	gif, err := Read(background, write(t, filepath.Join(t.TempDir(), "a.npy"), read("a.gif")), Options{})
	if err != nil || gif.X.Dim(0) != 3 || gif.FPS != 25 {
		t.Errorf("GIF: %v", err)
	}
	dir := saved(t, "clip", c)
	if x, err := Read(background, dir, Options{}); err != nil {
		t.Error(err)
	} else {
		same(t, "directory", x.X, c.X)
	}
	// An error names the file.
	path := write(t, filepath.Join(t.TempDir(), "a.y4m"), []byte("YUV4MPEG2 W2\n"))
	_, err = Open(background, path, Options{})
	wants(t, err, "Y4M: "+path+": header: W or H is missing")
	if _, err := Open(background, filepath.Join(t.TempDir(), "no"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	_, err = Open(background, t.TempDir(), Options{})
	wants(t, err, "no frames")
}

// TestFormats adds a decoder of another package.
func TestFormats(t *testing.T) {
	c := moving(2, 3, 4, 4)
	unsupported := errors.New("not today")
	opened := ""
	mine := Format{
		Name:  "mine",
		Match: func(path string, head []byte) bool { return bytes.HasPrefix(head, []byte("MINE")) },
		Open: func(ctx context.Context, path string) (Source, error) {
			opened = path
			k := 0
			return &foreign{info: Info{Format: "mine", C: 3, H: 4, W: 4}, next: func(dst *tensor.Tensor) error {
				if k == 2 {
					return io.EOF
				}
				if dst != nil {
					dst.CopyFrom(c.X.Index(k))
				}
				k++
				return nil
			}}, nil
		},
	}
	path := write(t, filepath.Join(t.TempDir(), "a.bin"), []byte("MINE and more"))
	clip, err := Read(background, path, Options{Formats: []Format{mine}})
	if err != nil || opened != path {
		t.Fatal(err)
	}
	same(t, "mine", clip.X, c.X)
	// It comes before the package's own.
	y4m := saved(t, "a.y4m", c)
	mine.Match = func(string, []byte) bool { return true }
	if s, err := Open(background, y4m, Options{Formats: []Format{mine}}); err != nil || s.Info().Format != "mine" {
		t.Error(err)
	}
	mine.Open = func(context.Context, string) (Source, error) { return nil, unsupported }
	if _, err := Open(background, y4m, Options{Formats: []Format{mine}}); err != unsupported {
		t.Error(err)
	}
}

// foreign is a Source that is not of this package's making.
type foreign struct {
	info Info
	next func(dst *tensor.Tensor) error
}

func (f *foreign) Info() Info                    { return f.info }
func (f *foreign) Next(dst *tensor.Tensor) error { return f.next(dst) }
func (f *foreign) Close() error                  { return nil }

func TestOptions(t *testing.T) {
	c := moving(10, 3, 12, 20)
	path := saved(t, "a.npy", c)
	pick := func(index ...int) *tensor.Tensor {
		x := tensor.New(len(index), 3, 12, 20)
		for k, i := range index {
			x.Index(k).CopyFrom(c.X.Index(i))
		}
		return x
	}
	for _, k := range []struct {
		opt   Options
		index []int
	}{
		{Options{}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{Options{Start: 7}, []int{7, 8, 9}},
		{Options{Stop: 3}, []int{0, 1, 2}},
		{Options{Stop: 10}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{Options{Start: 2, Stop: 7, Stride: 2}, []int{2, 4, 6}},
		{Options{Start: 2, Stop: 6, Stride: 2}, []int{2, 4}},
		{Options{Start: 1, Stride: 4}, []int{1, 5, 9}},
		{Options{Start: 9}, []int{9}},
	} {
		got, err := Read(background, path, k.opt)
		if err != nil {
			t.Errorf("%+v: %v", k.opt, err)
			continue
		}
		same(t, fmt.Sprintf("%+v", k.opt), got.X, pick(k.index...))
		index := got.Index
		if index == nil {
			for i := range got.X.Dim(0) {
				index = append(index, i)
			}
		}
		if !slices.Equal(index, k.index) {
			t.Errorf("%+v: frames %v, want %v", k.opt, index, k.index)
		}
		if got.FPS != 0 {
			t.Errorf("%v frames per second, npy does not tell", got.FPS)
		}
		if n, err := Count(background, path, k.opt); err != nil || n != len(k.index) {
			t.Errorf("%+v: %d frames counted (%v)", k.opt, n, err)
		}
	}
	for want, opt := range map[string]Options{
		"10 frames, the first to read is number 10": {Start: 10},
		"10 frames, they were to be read up to 11":  {Stop: 11},
		"10 frames, they were to be read up to 20":  {Start: 15, Stop: 20},
	} {
		_, err := Read(background, path, opt)
		if !errors.Is(err, ErrShort) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%+v: %v, want ErrShort and %q", opt, err, want)
		}
	}

	// Channels.
	gray, err := Read(background, path, Options{Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 * 20 {
		d := c.X.Index(3).Data()
		if got, want := gray.X.Index(3).Data()[i], 0.299*d[i]+0.587*d[240+i]+0.114*d[480+i]; got-want > 1e-6 || want-got > 1e-6 {
			t.Fatalf("luma %v, want %v", got, want)
		}
	}
	grayPath := saved(t, "g.npy", gray)
	back, err := Read(background, grayPath, Options{Channels: 3})
	if err != nil || back.X.Dim(1) != 3 || back.X.At(2, 2, 3, 4) != gray.X.At(2, 0, 3, 4) {
		t.Errorf("%v", err)
	}

	// Size: the middle 12x16 of 12x20 pixels, then a resize, as for images.
	sized, err := Read(background, path, Options{Size: [2]int{6, 8}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(t.TempDir(), "x"), 0o777); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	var b bytes.Buffer
	if err := png.Encode(&b, c.X.Index(4).ToImage()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "class", "a.png"), b.Bytes())
	folder, err := data.OpenFolder(root, []int{3, 6, 8}, data.FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := tensor.New(3, 6, 8)
	if err := folder.Read(0, want); err != nil {
		t.Fatal(err)
	}
	same(t, "size, as data.OpenFolder", sized.X.Index(4), want)
	tall, err := Read(background, path, Options{Size: [2]int{12, 4}}) // exactly a part
	if err != nil || tall.X.At(1, 2, 5, 0) != c.X.At(1, 2, 5, 8) {
		t.Errorf("%v", err)
	}
	wide, err := Read(background, path, Options{Size: [2]int{4, 20}})
	if err != nil || wide.X.At(1, 2, 0, 7) != c.X.At(1, 2, 4, 7) {
		t.Errorf("%v", err)
	}

	// The rate is that of the frames that are left, and the numbers are the video's.
	y4m := saved(t, "a.y4m", c)
	part, err := Sample(background, y4m, Window{Frames: 2}, nil, Options{Start: 1, Stride: 3})
	if err != nil || part.FPS != 25.0/3 || !slices.Equal(part.Index, []int{4, 7}) {
		t.Errorf("frames %v at %v per second, %v", part.Index, part.FPS, err)
	}
	same(t, "every third", part.X, pick(4, 7))

	// A transform of frames; what it draws is the same for all.
	flipped, err := Read(background, path, Options{Frame: data.Compose(data.Resize{H: 12, W: 10}, data.CenterCrop{H: 8, W: 8}), Stop: 2})
	if err != nil || !slices.Equal(flipped.X.Shape(), []int{2, 3, 8, 8}) {
		t.Errorf("%v", err)
	}
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 0))
		got, err := Sample(background, path, Window{Frames: 6}, rng, Options{Frame: data.RandomResizedCrop{H: 5, W: 5}})
		if err != nil {
			t.Fatal(err)
		}
		// All frames of the clip are cut from the same place: found by trying.
		rng = rand.New(rand.NewPCG(seed, 0))
		index, _ := Window{Frames: 6}.Sample(10, rng)
		draws := rng.Uint64()
		for k, i := range index {
			want := tensor.New(3, 5, 5)
			data.RandomResizedCrop{H: 5, W: 5}.Apply(want, c.X.Index(i), rand.New(rand.NewPCG(draws, 0x6672616d65)))
			same(t, fmt.Sprintf("seed %d, frame %d", seed, i), got.X.Index(k), want)
		}
	}
	// A transform that does not fit the file is the file's fault.
	if _, err := Read(background, path, Options{Frame: data.CenterCrop{H: 13, W: 13}}); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	for _, opt := range []Options{{Start: -1}, {Stride: -1}, {Stop: -1}, {Start: 3, Stop: 3}, {Channels: 2}, {Size: [2]int{4, 0}}, {Size: [2]int{4, 4}, Frame: data.Resize{H: 4, W: 4}}} {
		var e *tensor.Error
		if err := tensor.Try(func() error { _, err := Open(background, path, opt); return err }); !errors.As(err, &e) {
			t.Errorf("%+v: %v, want a panic", opt, err)
		}
	}
}

func TestCancel(t *testing.T) {
	path := saved(t, "a.npy", moving(5, 1, 4, 4))
	ctx, cancel := context.WithCancel(background)
	s, err := Open(ctx, path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Next(nil); err != nil {
		t.Fatal(err)
	}
	cancel()
	for range 2 {
		if err := s.Next(nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	if _, err := Read(ctx, path, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestWindows(t *testing.T) {
	for n := 1; n < 12; n++ {
		c := moving(n, 1, 3, 4)
		path := saved(t, "a.npy", c)
		for frames := 1; frames < 6; frames++ {
			for hop := 1; hop < 8; hop++ {
				s, err := Open(background, path, Options{})
				if err != nil {
					t.Fatal(err)
				}
				first := 0
				for w, err := range Windows(s, frames, hop) {
					if n < frames {
						if !errors.Is(err, ErrShort) {
							t.Fatalf("%v, want ErrShort", err)
						}
						first += hop
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					same(t, fmt.Sprintf("%d frames from %d of %d, hop %d", frames, first, n, hop), w.X, c.X.Slice(first, first+frames))
					if w.Index[0] != first || w.Index[frames-1] != first+frames-1 {
						t.Fatalf("frames %v", w.Index)
					}
					first += hop
				}
				if first+frames <= n {
					t.Fatalf("%d frames of %d, hop %d: the last window began at %d", frames, n, hop, first-hop)
				}
				s.Close()
			}
		}
	}
	// An error in the middle arrives.
	file := npyFile(t, moving(6, 1, 3, 4).X, tensor.F32)
	binary.LittleEndian.PutUint32(file[len(file)-4:], 0x7fc00000) // NaN
	s, err := NewNPY(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err = range Windows(s, 2, 2) {
		n++
	}
	wants(t, err, "NaN")
	if n != 3 {
		t.Errorf("%d pairs, want 3", n)
	}
}

// TestMemory checks that what a file claims costs nothing until the data is there, and
// that reading frame by frame does not keep them.
func TestMemory(t *testing.T) {
	huge := func() []byte {
		var b bytes.Buffer
		if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}()
	binary.BigEndian.PutUint32(huge[16:], 1<<13)
	binary.BigEndian.PutUint32(huge[20:], 1<<14)
	long := npyFile(t, tensor.New(2000, 3, 32, 32), tensor.U8) // 6 MB, 24 MB as floats
	streamed := func(read func(io.Reader) (Source, error)) func(io.Reader) (Source, error) {
		return func(r io.Reader) (Source, error) { return read(io.MultiReader(r)) }
	}
	raw := func(r io.Reader) (Source, error) { return NewRaw(r, Raw{W: 8000, H: 8000}) }
	for _, c := range []struct {
		name  string
		file  []byte
		read  func(io.Reader) (Source, error)
		limit uint64
	}{
		{"Y4M of 8000x8000", []byte("YUV4MPEG2 W8000 H8000\nFRAME\nxxx"), NewY4M, 1 << 18},
		{"Y4M of 8000x8000 in a stream", []byte("YUV4MPEG2 W8000 H8000\nFRAME\nxxx"), streamed(NewY4M), 1 << 18},
		{"raw of 8000x8000 in a stream", []byte("xxx"), streamed(raw), 1 << 18},
		{"AVI with a chunk of 200 MB in a stream", aviFile(stream("MJPG", 8, 8, 24), append([]byte("00dc"), le32(200<<20)...)), streamed(NewAVI), 1 << 18},
		{"GIF of 8000x8000 without a picture", []byte("GIF89a\x40\x1f\x40\x1f\x80\x00\x00\x00\x00\x00\xff\xff\xff\x2c\x00\x00\x00\x00\x40\x1f\x40\x1f\x00\x02\x01"), NewGIF, 1 << 18},
		{"npy of 8000x8000 in a stream", []byte("\x93NUMPY\x01\x00\x40\x00{'descr': '|u1', 'fortran_order': False, 'shape': (1,8000,8000)}     x"), streamed(NewNPY), 1 << 19},
		{"npy of 2000 frames, read one by one", long, NewNPY, 4 * 6 << 20},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var live uint64
		s, err := c.read(bytes.NewReader(c.file))
		if err == nil {
			for _, err = range All(s) {
				if err != nil {
					break
				}
			}
			runtime.GC()
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			live = now.HeapAlloc
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; s == nil && (err == nil || got > c.limit) {
			t.Errorf("%s: %d bytes, the limit is %d (%v)", c.name, got, c.limit, err)
		} else if s != nil && live > before.HeapAlloc+1<<20 {
			t.Errorf("%s: %d bytes live (%v)", c.name, live-before.HeapAlloc, err)
		}
	}
	_, err := readPicture(write(t, filepath.Join(t.TempDir(), "a.png"), huge))
	wants(t, err, "") // the check sum, or the size
	if err := checkClip("a", 1<<20, Info{C: 3, H: 1 << 10, W: 1 << 10}); err == nil || !strings.Contains(err.Error(), "more than 4 GiB") {
		t.Error(err)
	}
}
