package video

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/tensor"
)

// All delivers the remaining frames of s; an error comes as the last pair. The sequence
// reuses the tensor, [C, H, W]: it is valid in the body of the loop only. All does not
// close s.
func All(s Source) iter.Seq2[*tensor.Tensor, error] {
	return func(yield func(*tensor.Tensor, error) bool) {
		i := s.Info()
		frame := tensor.New(i.C, i.H, i.W)
		for {
			err := s.Next(frame)
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(frame, nil) {
				return
			}
		}
	}
}

// Windows delivers clips of the given number of consecutive frames of s; a clip begins
// every hop frames. It holds one clip at a time. Frames after the last whole clip are not
// delivered. A video shorter than one clip is an error that wraps [ErrShort]. The sequence
// reuses the clip's memory. Windows does not close s. It panics if frames or hop is below
// 1.
func Windows(s Source, frames, hop int) iter.Seq2[*Clip, error] {
	if frames < 1 || hop < 1 {
		tensor.Panic("video.Windows", fmt.Sprintf("%d frames, a hop of %d", frames, hop))
	}
	return func(yield func(*Clip, error) bool) {
		i := s.Info()
		c := &Clip{X: tensor.New(frames, i.C, i.H, i.W), FPS: i.FPS, Index: make([]int, frames)}
		for first := 0; ; first += hop {
			keep := 0
			if first > 0 {
				keep = max(frames-hop, 0)
				copy(c.X.Data(), c.X.Slice(frames-keep, frames).Data())
				for range max(hop-frames, 0) {
					if err := s.Next(nil); err == io.EOF {
						return
					} else if err != nil {
						yield(nil, err)
						return
					}
				}
			}
			for k := keep; k < frames; k++ {
				err := s.Next(c.X.Index(k))
				if err == io.EOF && first == 0 {
					err = fmt.Errorf("video: %w: %d frames, a clip has %d", ErrShort, k, frames)
				}
				if err == io.EOF {
					return
				}
				if err != nil {
					yield(nil, err)
					return
				}
			}
			for k := range c.Index {
				c.Index[k] = first + k
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// Count returns the number of frames of the video at path, as [Open] would deliver
// them with the same options. It reads the video to its end.
func Count(ctx context.Context, path string, opt Options) (int, error) {
	s, err := open(ctx, path, opt, 0)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	for n := 0; ; n++ {
		if err := s.Next(nil); err == io.EOF {
			return n, nil
		} else if err != nil {
			return 0, err
		}
	}
}

// maxClip bounds the memory of a clip that Read and Sample make.
const maxClip = 4 << 30

// Read reads all frames of the video at path that [Open] delivers with the same options. A
// clip of more than 4 GiB is an error: read part of it, at a smaller size, or frame by
// frame with [Open].
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

// Sample reads the frames of the video at path that w chooses; see [Sampler]. opt applies
// first: w chooses among the frames that its Start, Stop and Stride leave. The clip's Index
// holds numbers in the whole video. With a nil rng the choice and the draws of opt.Frame
// are fixed. Sample reads the video twice, once to count its frames.
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
	c := &Clip{X: x, FPS: i.FPS, Name: path}
	for _, k := range index {
		c.Index = append(c.Index, opt.Start+k*max(opt.Stride, 1))
	}
	return c, nil
}
