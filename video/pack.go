package video

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mettleml/mettle/tensor"
)

// Pack writes every video of d to dir/CLASS/NAME.npy, all its frames as d reads them,
// rounded to 8 bits. [OpenFolder] reads dir like d, but much faster than videos that have
// to be decoded: do it once where samples are read again and again, as in training. A
// file that is there already is left as it is, so that an interrupted Pack goes on where
// it was. Each video has to fit in memory at its size in d, once for each of the
// [tensor.Workers]. A transform that draws does so with a fixed seed.
func (d *Folder) Pack(ctx context.Context, dir string) error {
	from := map[string]string{}
	for _, p := range d.Paths {
		if other, ok := from[packed(p)]; ok {
			return fmt.Errorf("video: %s and %s would both be packed to %s", other, p, packed(p))
		}
		from[packed(p)] = p
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range tensor.Workers() {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= d.Len() || ctx.Err() != nil {
					return
				}
				if err := d.pack(ctx, i, dir); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (d *Folder) pack(ctx context.Context, i int, dir string) error {
	path := filepath.Join(dir, packed(d.Paths[i]))
	if _, err := os.Stat(path); err == nil {
		return d.checkPacked(path)
	}
	c, err := Read(ctx, d.Path(i), d.opt.Video)
	if err != nil {
		return err
	}
	for k := range c.X.Dim(0) {
		x := c.X.Index(k)
		for i, v := range x.Round8().Data() {
			x.Data()[i] = float32(int(v*255 + 0.5))
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return tensor.SaveNPY(path, c.X, tensor.U8)
}

// packed is the path of a packed video under its root.
func packed(path string) string {
	path = filepath.FromSlash(path)
	return strings.TrimSuffix(path, filepath.Ext(path)) + ".npy"
}

// checkPacked returns an error if the file does not have frames as d reads them.
func (d *Folder) checkPacked(path string) error {
	s, err := openFile(path, NewNPY)
	if err != nil {
		return err
	}
	defer s.Close()
	if i := s.Info(); !slices.Equal(d.shape[1:], []int{i.C, i.H, i.W}) {
		return fmt.Errorf("%s: it has frames of %d by %d with %d channels, which are not those of the data set; pack to another directory", path, i.W, i.H, i.C)
	}
	return nil
}
