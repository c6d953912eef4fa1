package video

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Digest returns a hash of the names and sizes of the videos, of their classes, and of
// what the options make of them; see [data.Digest]. Of a video of pictures it takes the
// names and sizes of all files in its directory. The program that stands behind
// ffmpeg's name is no part of it.
func (d *Folder) Digest() (string, error) {
	h := sha256.New()
	video := d.opt.Video
	video.FFmpeg = FFmpeg{Damaged: video.FFmpeg.Damaged}
	opt, err := json.Marshal(video)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "videos %d %v %d %s %T %+v %T %+v\n", d.Len(), d.shape, d.Classes(), opt, video.Frame, video.Frame, d.opt.Window, d.opt.Window)
	for i, name := range d.Paths {
		files := []string{d.Path(i)}
		if isDir(files[0]) {
			entries, err := os.ReadDir(files[0])
			if err != nil {
				return "", err
			}
			files = files[:0]
			for _, e := range entries {
				files = append(files, filepath.Join(d.Path(i), e.Name()))
			}
		}
		fmt.Fprintf(h, "%q %q\n", d.names[d.labels[i]], name)
		for _, f := range files {
			st, err := os.Stat(f)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%q %d\n", filepath.Base(f), st.Size())
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}
