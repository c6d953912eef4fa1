package mm

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"fmt"
	"io"
)

// foreign lists what users pass by mistake where text is wanted, by first bytes.
var foreign = []struct{ magic, what string }{
	{"\xfd7zXZ\x00", "compressed by xz: decompress the file first (xz -d)"},
	{"\x28\xb5\x2f\xfd", "compressed by zstd: decompress the file first (zstd -d)"},
	{"PK\x03\x04", "a zip archive: unpack it first"},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"},
	{"\xff\xfe", "UTF-16 text: save it as UTF-8"},
	{"\xfe\xff", "UTF-16 text: save it as UTF-8"},
	{"version https://git-lfs", "a Git LFS pointer, not the file itself: run git lfs pull"},
	{"<!doctype", "an HTML page: was the download refused?"},
	{"<html", "an HTML page: was the download refused?"},
}

// openText returns r as text: decompressed if it begins as gzip or bzip2, which it
// names, and without a byte order mark. What is recognised as something else is a
// *FormatError.
func openText(r io.Reader) (text *bufio.Reader, compression string, err error) {
	br := bufio.NewReaderSize(r, 1<<16)
	// A failure to read shows again, with its line, when the text is read.
	head, _ := br.Peek(10)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, "", fmt.Errorf("mm: gzip: %w", err)
		}
		br, compression = bufio.NewReaderSize(z, 1<<16), "gzip"
	case len(head) == 10 && string(head[:3]) == "BZh" && (string(head[4:]) == "1AY&SY" || string(head[4:]) == "\x17rE8P\x90"):
		br, compression = bufio.NewReaderSize(bzip2.NewReader(br), 1<<16), "bzip2"
	}
	head, _ = br.Peek(512)
	if k := min(len(head), 64); k > 0 {
		low := bytes.ToLower(head[:k])
		for _, f := range foreign {
			if bytes.HasPrefix(head, []byte(f.magic)) || bytes.HasPrefix(low, []byte(f.magic)) {
				return nil, "", &FormatError{1, 1, "the data are " + f.what}
			}
		}
	}
	if k := bytes.IndexByte(head, 0); k >= 0 {
		line := 1 + bytes.Count(head[:k], []byte{'\n'})
		return nil, "", &FormatError{line, k - bytes.LastIndexByte(head[:k], '\n'), "a zero byte: the data are binary, not text"}
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		_, _ = br.Discard(3) // cannot fail: the bytes are buffered
	}
	return br, compression, nil
}
