package video

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

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
		a.fit = fit(opt.Size, info.H, info.W)
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
	fit   data.ResizedCrop
	at    int // frames of s read
	n     int // frames delivered
}

// fit returns what opt.Size does to frames of h by w.
func fit(size [2]int, h, w int) data.ResizedCrop {
	oh, ow := size[0], size[1]
	ch, cw := h, w
	if int64(w)*int64(oh) > int64(h)*int64(ow) {
		cw = max(1, int(int64(h)*int64(ow)/int64(oh)))
	} else {
		ch = max(1, int(int64(w)*int64(oh)/int64(ow)))
	}
	return data.ResizedCrop{Top: (h - ch) / 2, Left: (w - cw) / 2, Height: ch, Width: cw, H: oh, W: ow}
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
		a.fit.Apply(dst, x, nil)
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
