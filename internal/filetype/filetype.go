// Package filetype names files that are not what they were taken for: an archive, a web
// page or a placeholder where a decoder looked for weights or images.
package filetype

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Head is the number of bytes at the start of a file that Describe looks at.
const Head = 512

// bom is the byte order mark that some programs write before UTF-8.
const bom = "\xef\xbb\xbf"

// magic are the formats that a few bytes at a fixed place give away.
var magic = []struct {
	at    int
	bytes string
	what  string
}{
	{0, "\x1f\x8b", "a gzip archive"},
	{0, "BZh", "a bzip2 archive"},
	{0, "\xfd7zXZ\x00", "an xz archive"},
	{0, "\x28\xb5\x2f\xfd", "a zstd archive"},
	{0, "7z\xbc\xaf\x27\x1c", "a 7z archive"},
	{0, "Rar!\x1a\x07", "a RAR archive"},
	{257, "ustar", "a tar archive"},
	{0, "\x93NUMPY", "a numpy array (.npy)"},
	{0, "\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes (.h5)"},
	{0, "GGUF", "a GGUF file"},
	{4, "TFL3", "a TensorFlow Lite model"},
	{0, "MATLAB 5.0 MAT-file", "a MATLAB file (.mat)"},
	{0, "PAR1", "a Parquet file"},
	{0, "%PDF-", "a PDF document"},
	{0, "\x89PNG\r\n\x1a\n", "a PNG image"},
	{0, "\xff\xd8\xff", "a JPEG image"},
	{0, "GIF8", "a GIF image"},
	{0, "BM", "a BMP image"},
	{0, "II*\x00", "a TIFF image"},
	{0, "MM\x00*", "a TIFF image"},
	{8, "WEBP", "a WebP image"},
	{4, "ftypavif", "an AVIF image"},
	{4, "ftypheic", "a HEIC image"},
	{4, "ftypmif1", "a HEIC image"},
	{0, "\xff\xfe", "text in UTF-16; save it as UTF-8"},
	{0, "\xfe\xff", "text in UTF-16; save it as UTF-8"},
}

// Binary is [Describe] for a decoder of binary files, to which plain text is foreign too.
func Binary(head []byte) string {
	if what := Describe(head); what != "" || !isText(head) {
		return what
	}
	line, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(string(head), bom)), "\n")
	return fmt.Sprintf("text that begins %.40q", strings.TrimSpace(line))
}

// Describe says what a file is that begins with head, the first [Head] bytes or all of
// them: "a Git LFS pointer, ...". It is empty if the beginning says nothing, and for
// plain text.
func Describe(head []byte) string {
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte(bom)), " \t\r\n")
	lower := strings.ToLower(string(text[:min(len(text), 64)]))
	switch {
	case len(head) == 0:
		return "an empty file"
	case bytes.HasPrefix(head, []byte("version https://git-lfs.github.com/spec/")):
		return "a Git LFS pointer, not the file that it stands for: run git lfs pull"
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return describeZip(head)
	case Torch(head):
		return "a Python pickle, as old versions of torch.save write (.pt, .pth)"
	case len(head) > 9 && string(head[8:10]) == `{"` && binary.LittleEndian.Uint64(head) < 1<<40:
		return "a safetensors file"
	}
	for _, m := range magic {
		if len(head) >= m.at && strings.HasPrefix(string(head[m.at:]), m.bytes) && !isText(head) {
			return m.what
		}
	}
	switch {
	case strings.HasPrefix(lower, "<!doctype html"), strings.HasPrefix(lower, "<html"), strings.HasPrefix(lower, "<head"):
		return "an HTML page, perhaps of a server that refused the download"
	case strings.HasPrefix(lower, "<?xml"):
		return "an XML document, perhaps of a server that refused the download"
	case JSON(head):
		return "JSON text"
	}
	return ""
}

// describeZip tells archives apart by the name of their first file.
func describeZip(head []byte) string {
	name := ""
	if len(head) > 30 {
		n := int(binary.LittleEndian.Uint16(head[26:]))
		name = string(head[30:min(len(head), 30+n)])
	}
	switch {
	case strings.HasSuffix(name, "data.pkl"), strings.HasSuffix(name, "/.format_version"), strings.HasSuffix(name, "/byteorder"):
		return "a zip archive as torch.save writes (.pt, .pth, .bin)"
	case strings.HasSuffix(name, ".npy"):
		return "a zip archive of numpy arrays (.npz)"
	case name == "[Content_Types].xml":
		return "an Office document, such as .xlsx"
	}
	return "a zip archive"
}

// Torch reports whether head begins what torch.save writes: a zip archive with a
// pickle, or a pickle alone.
func Torch(head []byte) bool {
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		return strings.Contains(describeZip(head), "torch.save")
	}
	return len(head) > 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5 && slices.Contains([]byte("\x8a\x95}c]("), head[2])
}

// JSON reports whether head is text that begins as an object or array does.
func JSON(head []byte) bool {
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte(bom)), " \t\r\n")
	return isText(head) && len(text) > 0 && (text[0] == '{' || text[0] == '[')
}

// isText reports whether head is UTF-8 without control characters.
func isText(head []byte) bool {
	for i := 0; i < len(head); {
		r, n := utf8.DecodeRune(head[i:])
		if r == utf8.RuneError && n == 1 {
			return len(head) == Head && len(head)-i < utf8.UTFMax // cut in a character
		}
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' {
			return false
		}
		i += n
	}
	return true
}
