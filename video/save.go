package video

import (
	"bufio"
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/tensor"
)

// Save writes a clip in the format of the name:
//
//   - NAME.npy: the values as they are, float32 (see [tensor.SaveNPY]);
//   - NAME.y4m: 8 bits per value without further loss (see [WriteY4M]);
//   - NAME.gif: to look at (see [WriteGIF]);
//   - a name without a dot, or one that ends in a slash: a directory of PNG files, 8
//     bits per value (see [SavePNG]).
//
// Every other name is an error. There is no way to write JPEG or another lossy format: it
// would destroy an adversarial clip. Files and directories are written atomically. 8-bit
// formats hold [tensor.Tensor.Round8] of the clip: verify that one on the victim.
func Save(path string, c *Clip) error {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".npy":
		c.dims("video.Save")
		return tensor.SaveNPY(path, c.X, tensor.F32)
	case ".y4m":
		return atomicfile.Write(path, func(w io.Writer) error { return WriteY4M(w, c, Y4MOptions{}) })
	case ".gif":
		return atomicfile.Write(path, func(w io.Writer) error { return WriteGIF(w, c, GIFOptions{}) })
	case "":
		return SavePNG(path, c)
	default:
		return fmt.Errorf("%s: clips are written as .npy, .y4m, .gif or a directory of PNG files, not as %s", path, ext)
	}
}

// SavePNG writes the frames of a clip to the directory dir, as frame_00000.png and so on,
// with 8 bits per value, gray if the clip is. [OpenFrames] reads them. The directory must
// be empty or not exist; it is written atomically. It panics if c is not a clip.
func SavePNG(dir string, c *Clip) (err error) {
	t, _, _, _ := c.dims("video.SavePNG")
	dir = filepath.Clean(dir)
	switch old, err := os.ReadDir(dir); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case len(old) > 0:
		return fmt.Errorf("%s: the directory is not empty", dir)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".tmp*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(temporary)
		}
	}()
	for k := range t {
		if err := savePNG(filepath.Join(temporary, fmt.Sprintf("frame_%05d.png", k)), c.X.Index(k)); err != nil {
			return err
		}
	}
	if err := os.Chmod(temporary, 0o755); err != nil { // MkdirTemp gives 0700
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(temporary, dir)
}

func savePNG(path string, frame *tensor.Tensor) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	return errors.Join(png.Encode(w, frame.ToImage()), w.Flush(), f.Close())
}
