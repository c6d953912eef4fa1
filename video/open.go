package video

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// A Format is a way to read videos. The package's own are Y4M, AVI, GIF, npy and
// numbered pictures; a program adds another, such as a decoder for H.264 in Go, by
// Options.Formats.
type Format struct {
	Name string
	// Match reports whether the format reads the file at path. head is the
	// beginning of the file, up to 512 bytes; it is nil for a directory and for a
	// path where nothing is, such as a pattern.
	Match func(path string, head []byte) bool
	// Open starts to read. The source takes care of ctx if it may take long to
	// deliver a frame. An error with the cause [errors.ErrUnsupported] lets [Open] try
	// ffmpeg.
	Open func(ctx context.Context, path string) (Source, error)
}

// formats are the package's own.
var formats = []Format{
	{"Y4M", startsWith(y4mMagic), reader(NewY4M)},
	{"AVI", func(_ string, head []byte) bool {
		return len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "AVI "
	}, reader(NewAVI)},
	{"GIF", startsWith("GIF8"), reader(NewGIF)},
	{"npy", startsWith(npyMagic), reader(NewNPY)},
	{"frames", matchFrames, func(_ context.Context, path string) (Source, error) { return OpenFrames(path) }},
}

func startsWith(magic string) func(string, []byte) bool {
	return func(_ string, head []byte) bool { return bytes.HasPrefix(head, []byte(magic)) }
}

// reader makes a function that opens files of one that reads them.
func reader(read func(io.Reader) (Source, error)) func(context.Context, string) (Source, error) {
	return func(_ context.Context, path string) (Source, error) { return openFile(path, read) }
}

// openFile opens a file for a source and closes it with the source.
func openFile(path string, read func(io.Reader) (Source, error)) (Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s, err := read(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &source{info: s.Info(), next: s.Next, close: func() error { return errors.Join(s.Close(), f.Close()) }}, nil
}

// matchFrames reports whether path is a directory, a pattern of names, or a picture. A
// JPEG that is not called one may be a stream of them.
func matchFrames(path string, head []byte) bool {
	if head == nil {
		return true
	}
	return isFrame(filepath.Base(path)) && (bytes.HasPrefix(head, []byte("\x89PNG")) || bytes.HasPrefix(head, []byte{0xff, 0xd8}) || head[0] == 'P')
}

// Options say how a video is read. The zero value reads all of it as it is.
type Options struct {
	Start  int `json:",omitempty"` // the first frame that is read
	Stop   int `json:",omitempty"` // the frame before which reading ends; 0 means the end of the video
	Stride int `json:",omitempty"` // read every Stride-th frame; 0 means 1

	// Channels is the number of channels of frames: 3, with a gray frame repeated, or
	// 1, the luma of ITU-R BT.601; 0 means those of the video.
	Channels int `json:",omitempty"`

	// Size is the height and the width of frames. Of every frame the largest part in
	// its middle that has these proportions is resized, bilinearly, as
	// [data.OpenFolder] does with images. The zero value leaves the size as it is.
	Size [2]int `json:",omitzero"`

	// Frame, if not nil, is applied to every frame, [C, H, W], in the place of Size.
	// What it draws is the same for all frames of a clip.
	Frame data.Transform `json:"-"`

	Formats []Format `json:"-"` // tried before the package's own
	FFmpeg  FFmpeg   `json:",omitzero"`
}

// check panics for op if the options are impossible.
func (o *Options) check(op string) {
	bad := o.Start < 0 || o.Stride < 0 || o.Stop < 0 || o.Stop > 0 && o.Stop <= o.Start ||
		o.Channels != 0 && o.Channels != 1 && o.Channels != 3 ||
		o.Size != [2]int{} && (o.Size[0] < 1 || o.Size[1] < 1 || o.Frame != nil)
	if bad {
		tensor.Panic(op, fmt.Sprintf("impossible options: frames %d to %d by %d, %d channels, size %v, transform %T",
			o.Start, o.Stop, o.Stride, o.Channels, o.Size, o.Frame))
	}
}

// Open starts to read the video at path: a file, a directory of numbered pictures, or
// a pattern for their names (see [OpenFrames]). The content of a file decides how it
// is read, not its name: the first of opt.Formats that matches, then Y4M, AVI with
// Motion JPEG or uncompressed, GIF, npy and single pictures; everything else is for
// ffmpeg (see [FFmpeg]), and so is what one of these finds unsupported, such as another
// codec in an AVI file.
//
// The frames that Next delivers are chosen and changed as opt says. A video that ends
// before Stop, or at or before Start, gives an error with the cause [ErrShort]. What is
// wrong with the content gives a [*tensor.FormatError]. If ctx is cancelled, Next
// returns its error. Open panics if an option is impossible.
func Open(ctx context.Context, path string, opt Options) (Source, error) {
	return open(ctx, path, opt, 0)
}

// open is Open with a seed for what opt.Frame draws.
func open(ctx context.Context, path string, opt Options, seed uint64) (Source, error) {
	opt.check("video.Open")
	s, err := decode(ctx, path, opt)
	if err != nil {
		return nil, err
	}
	adapted, err := adapt(ctx, path, s, opt, seed)
	if err != nil {
		s.Close()
	}
	return adapted, err
}

// decode finds a decoder.
func decode(ctx context.Context, path string, opt Options) (Source, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	head, err := readHead(path)
	if err != nil {
		return nil, err
	}
	var unsupported error
	for _, f := range slices.Concat(opt.Formats, formats) {
		if !f.Match(path, head) {
			continue
		}
		s, err := f.Open(ctx, path)
		if err == nil || !errors.Is(err, errors.ErrUnsupported) || head == nil {
			return s, err
		}
		unsupported = err
		break
	}
	if unsupported == nil {
		unsupported = &tensor.FormatError{Format: "video", File: path, Reason: "neither Y4M, AVI, GIF, npy nor a picture", Err: errors.ErrUnsupported}
	}
	if opt.FFmpeg.Never {
		return nil, unsupported
	}
	s, err := opt.FFmpeg.Open(ctx, path)
	if err != nil {
		var fe *tensor.FormatError
		if !errors.As(err, &fe) && ctx.Err() == nil {
			err = fmt.Errorf("%w; %w", unsupported, err)
		}
		return nil, err
	}
	return s, nil
}

// readHead returns the beginning of a file, or nil for a directory or a pattern.
func readHead(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		if _, _, ok := framePattern(filepath.Base(path)); ok {
			return nil, nil
		}
		return nil, err
	}
	if info.IsDir() {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if n == 0 && (err == io.EOF || err == io.ErrUnexpectedEOF) {
		return nil, &tensor.FormatError{Format: "video", File: path, Reason: "the file is empty", Err: io.ErrUnexpectedEOF}
	}
	if err != nil && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	return head[:n], nil
}

// adapt chooses and changes the frames of a source as opt says.
func adapt(ctx context.Context, path string, s Source, opt Options, seed uint64) (Source, error) {
	a := &adapter{ctx: ctx, path: path, s: s, opt: opt, seed: seed}
	a.opt.Stride = max(opt.Stride, 1)
	info := s.Info()
	raw := []int{info.C, info.H, info.W}
	info.FPS /= float64(a.opt.Stride)
	if opt.Channels != 0 {
		info.C = opt.Channels
	}
	if opt.Size != [2]int{} {
		a.fit(info.H, info.W)
		info.H, info.W = opt.Size[0], opt.Size[1]
	}
	if opt.Frame != nil {
		var shape []int
		err := tensor.Try(func() error {
			shape = opt.Frame.Shape([]int{info.C, info.H, info.W})
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err) // the size is the file's
		}
		if len(shape) != 3 || shape[0] != 1 && shape[0] != 3 {
			tensor.Panic("video.Open", fmt.Sprintf("transform %T gives no frame [C, H, W]", opt.Frame), shape)
		}
		info.C, info.H, info.W = shape[0], shape[1], shape[2]
	}
	a.plain = slices.Equal(raw, []int{info.C, info.H, info.W}) && opt.Frame == nil
	if !a.plain {
		a.raw = tensor.New(raw...)
	}
	return &source{info: info, next: a.next, close: s.Close}, nil
}

// adapter is what a source of adapt is made of.
type adapter struct {
	ctx   context.Context
	path  string
	s     Source
	opt   Options
	seed  uint64
	plain bool           // frames stay as they are
	raw   *tensor.Tensor // a frame of s
	crop  data.Transform // the part with the proportions of opt.Size, nil if it is all
	part  *tensor.Tensor
	at    int // frames of s read
	n     int // frames delivered
}

// fit prepares opt.Size for frames of h by w.
func (a *adapter) fit(h, w int) {
	oh, ow := a.opt.Size[0], a.opt.Size[1]
	ch, cw := h, w
	if int64(w)*int64(oh) > int64(h)*int64(ow) {
		cw = max(1, int(int64(h)*int64(ow)/int64(oh)))
	} else {
		ch = max(1, int(int64(w)*int64(oh)/int64(ow)))
	}
	if ch != h || cw != w {
		a.crop = data.CenterCrop{H: ch, W: cw}
	}
}

func (a *adapter) next(dst *tensor.Tensor) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	want := a.opt.Start + a.n*a.opt.Stride
	if a.opt.Stop > 0 && want >= a.opt.Stop {
		return io.EOF
	}
	for a.at < want {
		if err := a.skip(); err != nil {
			return a.ended(err)
		}
	}
	if dst == nil {
		if err := a.skip(); err != nil {
			return a.ended(err)
		}
		a.n++
		return nil
	}
	frame := a.raw
	if a.plain {
		frame = dst
	}
	if err := a.s.Next(frame); err != nil {
		return a.ended(err)
	}
	a.at++
	a.n++
	if !a.plain {
		a.change(dst, frame)
	}
	return nil
}

func (a *adapter) skip() error {
	err := a.s.Next(nil)
	if err == nil {
		a.at++
	}
	return err
}

// ended makes an error of an end that comes too early.
func (a *adapter) ended(err error) error {
	if err != io.EOF || a.n > 0 && a.opt.Stop == 0 {
		return err
	}
	if a.opt.Stop == 0 {
		return fmt.Errorf("%s: %w: %d frames, the first to read is number %d", a.path, ErrShort, a.at, a.opt.Start)
	}
	return fmt.Errorf("%s: %w: %d frames, they were to be read up to %d", a.path, ErrShort, a.at, a.opt.Stop)
}

// change applies the options to one frame.
func (a *adapter) change(dst, x *tensor.Tensor) {
	x = withChannels(x, a.opt.Channels)
	switch {
	case a.opt.Frame != nil:
		rng := rand.New(rand.NewPCG(a.seed, 0x6672616d65))
		a.opt.Frame.Apply(dst, x, rng)
	case a.opt.Size != [2]int{}:
		if a.crop != nil {
			if a.part == nil || a.part.Dim(0) != x.Dim(0) {
				a.part = tensor.New(a.crop.Shape(x.Shape())...)
			}
			a.crop.Apply(a.part, x, nil)
			x = a.part
		}
		data.Resize{H: a.opt.Size[0], W: a.opt.Size[1]}.Apply(dst, x, nil)
	default:
		dst.CopyFrom(x)
	}
}

// withChannels converts between one channel and three; c of 0 changes nothing.
func withChannels(x *tensor.Tensor, c int) *tensor.Tensor {
	switch {
	case c == 0 || c == x.Dim(0):
		return x
	case c == 3:
		return repeat(x)
	}
	gray := tensor.New(x.Shape()...)
	data.Grayscale{}.Apply(gray, x, nil)
	return gray.Slice(0, 1)
}

// maxClip bounds the memory of a clip that Read and Sample make.
const maxClip = 4 << 30

// Read reads all of the video at path, as [Open] with the same options delivers it, to
// a clip. A clip of more than 4 GiB is an error: read part of it, at a smaller size, or
// frame by frame with [Open].
func Read(ctx context.Context, path string, opt Options) (*Clip, error) {
	s, err := Open(ctx, path, opt)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	i := s.Info()
	var values []float32
	t := 0
	for frame, err := range All(s) {
		if err != nil {
			return nil, err
		}
		if err := checkClip(path, t+1, i); err != nil {
			return nil, err
		}
		values = append(values, frame.Data()...)
		t++
	}
	c := &Clip{X: tensor.FromSlice(values, t, i.C, i.H, i.W), FPS: i.FPS, Name: path}
	if opt.Start > 0 || opt.Stride > 1 {
		for k := range t {
			c.Index = append(c.Index, opt.Start+k*max(opt.Stride, 1))
		}
	}
	return c, nil
}

// checkClip returns an error if t frames are too many for a clip.
func checkClip(path string, t int, i Info) error {
	if int64(t)*int64(4*i.C*i.H*i.W) > min(maxClip, math.MaxInt) {
		return fmt.Errorf("%s: a clip of more than %d frames of %d by %d has more than 4 GiB; read part of it, at a smaller size, or frame by frame", path, t-1, i.W, i.H)
	}
	return nil
}

// Sample reads the frames of the video at path that w chooses; see [Sampler]. opt
// applies first, so that its Start, Stop and Stride make a shorter video. Numbers in
// the clip's Index are those of the whole one. With a nil rng the choice and the draws
// of opt.Frame are fixed. The video is read twice, once to count its frames.
func Sample(ctx context.Context, path string, w Sampler, rng *rand.Rand, opt Options) (*Clip, error) {
	n, err := Count(ctx, path, opt)
	if err != nil {
		return nil, err
	}
	return sample(ctx, path, n, w, rng, opt, nil)
}

// sample is Sample for a video of n frames. If x is not nil it receives the frames,
// and must have the shape of the clip.
func sample(ctx context.Context, path string, n int, w Sampler, rng *rand.Rand, opt Options, x *tensor.Tensor) (*Clip, error) {
	index, err := w.Sample(n, rng)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(index) == 0 || slices.Min(index) < 0 || slices.Max(index) >= n {
		tensor.Panic("video.Sample", fmt.Sprintf("%T chose the frames %v of %d", w, index, n))
	}
	seed := uint64(0)
	if rng != nil {
		seed = rng.Uint64()
	}
	s, err := open(ctx, path, opt, seed)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	i := s.Info()
	shape := []int{len(index), i.C, i.H, i.W}
	if x == nil {
		if err := checkClip(path, len(index), i); err != nil {
			return nil, err
		}
		x = tensor.New(shape...)
	} else if !slices.Equal(shape, x.Shape()) {
		return nil, fmt.Errorf("%s: a clip of shape %v, want %v", path, shape, x.Shape())
	}
	for k := 0; k <= slices.Max(index); k++ {
		first := slices.Index(index, k)
		var dst *tensor.Tensor
		if first >= 0 {
			dst = x.Index(first)
		}
		if err := s.Next(dst); err != nil {
			if err == io.EOF {
				err = fmt.Errorf("%s: %w: it had %d frames and now has %d", path, ErrShort, n, k)
			}
			return nil, err
		}
		for j := first + 1; first >= 0 && j < len(index); j++ {
			if index[j] == k {
				x.Index(j).CopyFrom(dst)
			}
		}
	}
	c := &Clip{X: x, FPS: i.FPS, Name: path, Index: index}
	for j, k := range index {
		c.Index[j] = opt.Start + k*max(opt.Stride, 1)
	}
	return c, nil
}

// IsVideo reports whether the name of a file ends as that of a video does that [Open]
// may read, if need be by ffmpeg.
func IsVideo(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return slices.Contains(videoExtensions, ext) && !strings.HasPrefix(filepath.Base(name), ".")
}

var videoExtensions = []string{
	".y4m", ".avi", ".gif", ".npy",
	".3gp", ".asf", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv",
}
