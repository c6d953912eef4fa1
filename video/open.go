package video

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// A Format reads one kind of video. The package has Y4M, AVI, GIF, npy and numbered
// pictures. Add another, such as a decoder for H.264 in Go, by Options.Formats.
type Format struct {
	Name string
	// Match reports whether the format reads the file at path. head is the
	// beginning of the file, up to 512 bytes; it is nil for a directory and for a
	// path where nothing is, such as a pattern.
	Match func(path string, head []byte) bool
	// Open starts to read. A source that may take long to deliver a frame must honour ctx.
	// After an error that wraps [errors.ErrUnsupported], [Open] tries ffmpeg.
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

// Options say how to read a video. The zero value reads all frames unchanged.
type Options struct {
	Start  int `json:",omitempty"` // number of the first frame to read
	Stop   int `json:",omitempty"` // number of the frame before which reading ends; 0 means the end of the video
	Stride int `json:",omitempty"` // read every Stride-th frame; 0 means 1

	// Channels is the number of channels of frames: 3, with a gray frame repeated, or
	// 1, the luma of ITU-R BT.601; 0 means those of the video.
	Channels int `json:",omitempty"`

	// Size is the height and the width of frames. The largest part in the middle of a frame
	// with these proportions is resized bilinearly, as by [data.OpenFolder]. The zero value
	// keeps the size.
	Size [2]int `json:",omitzero"`

	// Frame, if not nil, is applied to every frame, [C, H, W], instead of Size. Its draws
	// are the same for all frames of a video. They are fixed, except in Sample and
	// ReadRandom with a generator.
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

// Open starts to read the video at path: a file, a directory of numbered pictures, or a
// pattern for their names (see [OpenFrames]). The content of a file, not its name, decides
// the decoder: the first of opt.Formats that matches, then Y4M, AVI with Motion JPEG or
// uncompressed, GIF, npy and single pictures. ffmpeg (see [FFmpeg]) gets all other files,
// and those that a decoder does not support, such as an AVI file with another codec.
//
// opt selects and changes the frames. A video that ends before Stop, or at or before Start,
// is an error that wraps [ErrShort]. Invalid content is a [*tensor.FormatError]. If ctx is
// cancelled, Next returns its error. Open panics if an option is impossible.
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

// IsVideo reports whether a file name has the extension of a video that [Open] may read,
// directly or by ffmpeg.
func IsVideo(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return slices.Contains(videoExtensions, ext) && !strings.HasPrefix(filepath.Base(name), ".")
}

var videoExtensions = []string{
	".y4m", ".avi", ".gif", ".npy",
	".3gp", ".asf", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv",
}
