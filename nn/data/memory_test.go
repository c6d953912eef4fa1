package data

import (
	"bytes"
	"encoding/binary"
	"image"
	"io"
	"runtime"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// TestDecoderMemory checks that what a file claims costs nothing until the data
// is there, and that data costs a few times its size at most.
func TestDecoderMemory(t *testing.T) {
	huge := encoded(t, "a.png", image.NewGray(image.Rect(0, 0, 1, 1)))
	binary.BigEndian.PutUint32(huge[16:], 1<<13)
	binary.BigEndian.PutUint32(huge[20:], 1<<14)
	binary.BigEndian.PutUint32(huge[29:], crc(huge[12:29]))
	idx := func(r io.Reader) error {
		_, _, err := ReadIDX(r)
		return err
	}
	const n = 1 << 22
	for _, c := range []struct {
		name  string
		file  []byte
		read  func(r io.Reader) error
		fails bool
		limit uint64
	}{
		{"IDX that claims 1 GiB", idxFile(make([]byte, 10), 1<<10, 1<<10, 1<<10), idx, true, 1 << 18},
		{"IDX of a byte that unpacks to 4 MiB", zip(idxFile(make([]byte, n), 1)), idx, true, 1 << 18},
		{"IDX of 4 MiB", idxFile(make([]byte, n), n), idx, false, 8 * n},
		{"CIFAR of 3 MiB", make([]byte, 1024*3073), func(r io.Reader) error { _, err := ReadCIFAR10(r); return err }, false, 16 * 1024 * 3073},
		{"CSV with a label of 900 million", []byte("900000000,1\n"), func(r io.Reader) error { _, err := ReadCSV(r, CSVOptions{}); return err }, true, 1 << 18},
		{"a split of 900 million classes", []byte("900000000,1\n3,2\n"), func(r io.Reader) error {
			d, err := ReadCSV(r, CSVOptions{Classes: 1e9})
			if err == nil {
				SplitStratified(d, 0.5, 1)
			}
			return err
		}, false, 1 << 18},
		{"image of 2^27 pixels", huge, func(r io.Reader) error { return ReadImage(r.(io.ReadSeeker), tensor.New(1, 2, 2), ImageOptions{}) }, true, 1 << 18},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := c.read(bytes.NewReader(c.file))
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > c.limit || (err != nil) != c.fails {
			t.Errorf("%s: %d bytes, the limit is %d (%v)", c.name, got, c.limit, err)
		}
	}
}
