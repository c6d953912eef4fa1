package video

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"slices"
	"strings"
	"testing"

	libjpeg "github.com/mettleml/mettle/internal/jpeg"
	"github.com/mettleml/mettle/tensor"
)

// chunk is a RIFF chunk; a list has its kind in front of its content.
func chunk(id string, content ...[]byte) []byte {
	c := slices.Concat(content...)
	b := append([]byte(id), binary.LittleEndian.AppendUint32(nil, uint32(len(c)))...)
	b = append(b, c...)
	if len(c)&1 == 1 {
		b = append(b, 0)
	}
	return b
}

func list(kind string, content ...[]byte) []byte {
	return chunk("LIST", append([][]byte{[]byte(kind)}, content...)...)
}

func le32(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

// stream is the list of a video stream's headers.
func stream(codec string, w, h, depth int) []byte {
	strh := slices.Concat([]byte("vids"+codec), le32(0, 0, 0, 1001, 30000, 0, 3, 0, 0, 0), make([]byte, 8))
	strf := slices.Concat(le32(40, uint32(w), uint32(h)), []byte{1, 0, byte(depth), 0}, []byte(codec), make([]byte, 20))
	return list("strl", chunk("strh", strh), chunk("strf", strf), chunk("JUNK", make([]byte, 7)))
}

var audio = list("strl", chunk("strh", []byte("auds"), make([]byte, 52)), chunk("strf", make([]byte, 18)))

// avi is a file with the given header lists and frames.
func aviFile(header []byte, frames ...[]byte) []byte {
	return chunk("RIFF", []byte("AVI "), list("hdrl", chunk("avih", make([]byte, 56)), header), list("movi", frames...))
}

// jpegs are the frames of a clip as JPEG files of Go's encoder, and what they decode to.
func jpegs(t testing.TB, c *Clip) (files [][]byte, x *tensor.Tensor) {
	var values []float32
	for k := range c.X.Dim(0) {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, c.X.Index(k).ToImage(), nil); err != nil {
			t.Fatal(err)
		}
		files = append(files, b.Bytes())
		img, err := libjpeg.Decode(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, tensor.FromImage(img).Data()...)
	}
	return files, tensor.FromSlice(values, c.X.Shape()...)
}

// withoutTables removes the DHT segments of a JPEG.
func withoutTables(b []byte) []byte {
	var out []byte
	for i := 2; ; {
		n := 2 + int(b[i+2])<<8 + int(b[i+3])
		if b[i+1] == 0xda {
			return slices.Concat(b[:2], out, b[i:])
		}
		if b[i+1] != 0xc4 {
			out = append(out, b[i:i+n]...)
		}
		i += n
	}
}

func TestAVI(t *testing.T) {
	clip := moving(4, 3, 18, 21)
	files, want := jpegs(t, clip)
	var frames, bare [][]byte
	for _, f := range files {
		frames = append(frames, chunk("00dc", f))
		bare = append(bare, chunk("00dc", withoutTables(f)))
	}
	mjpeg := stream("MJPG", 21, 18, 24)
	unfinished := func(b []byte, size uint32) []byte { // as a program that cannot seek leaves it
		b = slices.Clone(b)
		binary.LittleEndian.PutUint32(b[4:], size)
		binary.LittleEndian.PutUint32(b[bytes.Index(b, []byte("movi"))-4:], size)
		return b
	}
	idx := chunk("idx1", make([]byte, 64))
	second := chunk("RIFF", []byte("AVIX"), list("movi", frames[2], frames[3], chunk("ix00", make([]byte, 24))), idx)
	for name, file := range map[string][]byte{
		"plain":             aviFile(mjpeg, frames...),
		"lower case":        aviFile(stream("mjpg", 21, 18, 24), frames...),
		"no Huffman tables": aviFile(mjpeg, bare...),
		"groups":            aviFile(mjpeg, list("rec ", frames[0], frames[1]), list("rec ", frames[2:]...)),
		"audio":             aviFile(slices.Concat(mjpeg, audio), frames[0], chunk("01wb", make([]byte, 11)), frames[1], frames[2], chunk("01wb"), frames[3]),
		"audio first":       aviFile(slices.Concat(audio, mjpeg), chunk("00wb", make([]byte, 11)), chunk("01db", files[0]), chunk("01dc", files[1]), chunk("01dc", files[2]), chunk("01dc", files[3])),
		"two videos":        aviFile(slices.Concat(mjpeg, stream("H264", 8, 8, 24)), frames[0], chunk("01dc", make([]byte, 3)), frames[1], frames[2], frames[3]),
		"index":             slices.Concat(aviFile(mjpeg, frames...), idx),
		"OpenDML":           slices.Concat(aviFile(mjpeg, chunk("ix00", make([]byte, 24)), frames[0], frames[1]), second),
		"unfinished, 0":     unfinished(aviFile(mjpeg, frames...), 0),
		"unfinished, -1":    unfinished(aviFile(mjpeg, frames...), 1<<32-1),
		"something behind":  slices.Concat(aviFile(mjpeg, frames...), make([]byte, 100)),
		"text behind":       slices.Concat(aviFile(mjpeg, frames...), []byte("this is no chunk")),
	} {
		s, err := NewAVI(bytes.NewReader(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if i := s.Info(); i != (Info{"AVI", 3, 18, 21, 30000.0 / 1001}) {
			t.Errorf("%s: %+v", name, i)
		}
		got, err := collect(s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same(t, name, got, want)
		skips(t, NewAVI, file)
	}
	// A frame of no bytes repeats the one before; before the first it is nothing.
	nothing := chunk("00dc")
	got := decoded(t, NewAVI, aviFile(mjpeg, nothing, frames[0], nothing, frames[1]))
	for k, from := range []int{0, 0, 1} {
		same(t, "with empty frames", got.Index(k), want.Index(from))
	}
	if got.Dim(0) != 3 {
		t.Errorf("%d frames, want 3", got.Dim(0))
	}
	skips(t, NewAVI, aviFile(mjpeg, frames[0], nothing, frames[1], nothing))

	// Gray frames have one channel, and three among coloured ones.
	gray, wantGray := jpegs(t, moving(2, 1, 18, 21))
	same(t, "gray", decoded(t, NewAVI, aviFile(mjpeg, chunk("00dc", gray[0]), chunk("00dc", gray[1]))), wantGray)
	got = decoded(t, NewAVI, aviFile(mjpeg, frames[0], chunk("00dc", gray[0])))
	same(t, "gray after colour", got.Index(1), repeat(wantGray.Index(0)))
}

// TestAVIUncompressed has rows that are padded, in both directions.
func TestAVIUncompressed(t *testing.T) {
	clip := moving(2, 3, 4, 5)
	for _, depth := range []int{24, 32} {
		for _, h := range []int{4, -4} {
			var frames [][]byte
			for k := range 2 {
				var raw []byte
				for y := range 4 {
					if h > 0 {
						y = 3 - y
					}
					for x := range 5 {
						for ch := range 3 {
							raw = append(raw, byte(clip.X.At(k, 2-ch, y, x)*255+0.5))
						}
						if depth == 32 {
							raw = append(raw, 99)
						}
					}
					if depth == 24 {
						raw = append(raw, 88)
					}
				}
				frames = append(frames, chunk("00db", raw))
			}
			file := aviFile(stream("\x00\x00\x00\x00", 5, h, depth), frames...)
			same(t, fmt.Sprint(depth, h), decoded(t, NewAVI, file), clip.X)
			truncated(t, NewAVI, file, len(file))
		}
	}
}

func TestAVIMalformed(t *testing.T) {
	files, _ := jpegs(t, moving(2, 3, 18, 21))
	other, _ := jpegs(t, moving(1, 3, 18, 22))
	gray, _ := jpegs(t, moving(1, 1, 18, 21))
	half, _ := jpegs(t, moving(1, 3, 9, 21))
	frame := chunk("00dc", files[0])
	mjpeg := stream("MJPG", 21, 18, 24)
	field := slices.Concat(half[0][:2], []byte{0xff, 0xe0, 0, 16}, []byte("AVI1\x01"), make([]byte, 9), half[0][2:])
	size := bytes.Index(files[0], []byte{0xff, 0xc0})
	huge := slices.Clone(files[0])
	copy(huge[size+5:], "\xff\xff\xff\xff")
	for _, c := range []struct {
		want string
		file []byte
	}{
		{"header: the data ends at byte 0", nil},
		{"not as AVI does", []byte("RIFF\x00\x00\x00\x00WAVEfmt ")},
		{"AVI: no frames", aviFile(mjpeg)},
		{"AVI: byte 24: the data ends at byte 60", aviFile(mjpeg)[:60]},
		{"AVI: no frames", aviFile(mjpeg, chunk("00dc"))},
		{"AVI: no video stream", aviFile(audio, chunk("00wb"))},
		{"a frame before the format of its stream", aviFile(list("strl", chunk("strh", []byte("vids"), make([]byte, 52))), frame)},
		{"a stream header of 4 bytes", aviFile(list("strl", chunk("strh", []byte("vids"))), frame)},
		{"a video format of 8 bytes", aviFile(list("strl", chunk("strh", []byte("vids"), make([]byte, 52)), chunk("strf", make([]byte, 8))), frame)},
		{`the codec "H264"`, aviFile(stream("H264", 21, 18, 24), frame)},
		{"uncompressed pixels of 8 bits", aviFile(stream("\x00\x00\x00\x00", 21, 18, 8), frame)},
		{"0 by 18 pixels", aviFile(stream("MJPG", 0, 18, 24), frame)},
		{"bytes for 4 by 4 pixels of 24 bits", aviFile(stream("\x00\x00\x00\x00", 4, 4, 24), chunk("00db", make([]byte, 47)))},
		{"a list of 3 bytes", chunk("RIFF", []byte("AVI LIST\x03\x00\x00\x00abcd"))},
		{"is not the name of a chunk", aviFile(mjpeg, frame, chunk("\x00\x01\x02\x03"), frame)},
		{"a chunk of", aviFile(mjpeg, slices.Concat([]byte("00dc"), le32(1<<31)))},
		{"frame 0: not a JPEG image", aviFile(mjpeg, chunk("00dc", []byte("abc")))},
		{"frame 0: the JPEG image ends in its header", aviFile(mjpeg, chunk("00dc", files[0][:100]))},
		{"frame 0: the JPEG image ends in its header", aviFile(mjpeg, chunk("00dc", []byte("\xff\xd8\xff\xc0\x00\x03\x00")))},
		{"frame 0: a JPEG image without a size", aviFile(mjpeg, chunk("00dc", []byte("\xff\xd8\xff\xda\x00\x02")))},
		{"frame 0: 65535 by 65535 pixels", aviFile(mjpeg, chunk("00dc", huge))},
		{"frame 1: jpeg: the picture ends early", aviFile(mjpeg, frame, chunk("00dc", files[1][:len(files[1])-50]))},
		{"frame 1: 22 by 18 pixels, the first frame has 21 by 18", aviFile(mjpeg, frame, chunk("00dc", other[0]))},
		{"frame 1: a frame in colour, the first frame is gray", aviFile(mjpeg, chunk("00dc", gray[0]), frame)},
		{"frame 0: the video is interlaced", aviFile(mjpeg, chunk("00dc", field))},
	} {
		s, err := NewAVI(bytes.NewReader(c.file))
		if err == nil {
			_, err = collect(s)
		}
		wants(t, err, c.want)
		if (strings.Contains(c.want, "codec") || strings.Contains(c.want, "8 bits")) != errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%v: whether its cause is ErrUnsupported is wrong", err)
		}
	}
}

func TestAVITruncated(t *testing.T) {
	files, _ := jpegs(t, moving(2, 1, 8, 8))
	file := aviFile(stream("MJPG", 8, 8, 24), chunk("00dc", files[0]), chunk("ix00", make([]byte, 5)), chunk("00dc", files[1]))
	truncated(t, NewAVI, file, len(file))
	// Behind the frames nothing is missed.
	whole := len(file)
	file = slices.Concat(file, chunk("idx1", make([]byte, 33)))
	truncated(t, NewAVI, file, whole)
}

// TestStandardTables compares the tables with those that Go's encoder writes.
func TestStandardTables(t *testing.T) {
	split := func(b []byte) map[byte]string {
		tables := map[byte]string{}
		for b = b[4:]; len(b) > 0; {
			n := 17
			for _, k := range b[1:17] {
				n += int(k)
			}
			tables[b[0]] = string(b[1:n])
			b = b[n:]
		}
		return tables
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewNRGBA(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b.Bytes(), []byte{0xff, 0xc4})
	n := 2 + int(b.Bytes()[i+2])<<8 + int(b.Bytes()[i+3])
	want, got := split(b.Bytes()[i:i+n]), split(standardTables)
	if len(got) != 4 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("tables %x, want %x", got, want)
	}
}

// TestAVIAgainstFFmpeg reads Motion JPEG and pixels that ffmpeg wrote, as ffmpeg does.
func TestAVIAgainstFFmpeg(t *testing.T) {
	needFFmpeg(t)
	dir := t.TempDir()
	for _, c := range []struct {
		codec, format string
		mean          float64
	}{{"mjpeg", "yuvj444p", 1}, {"mjpeg", "yuvj422p", 1}, {"mjpeg", "yuvj420p", 5}, {"rawvideo", "bgr24", 0}, {"rawvideo", "bgra", 0}} {
		path := fmt.Sprintf("%s/%s-%s.avi", dir, c.codec, c.format)
		ffmpeg(t, nil, "-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=0.5", "-c:v", c.codec, "-q:v", "2", "-pix_fmt", c.format, path)
		clip, err := Read(background, path, Options{FFmpeg: FFmpeg{Never: true}})
		if err != nil {
			t.Errorf("%s %s: %v", c.codec, c.format, err)
			continue
		}
		// Chroma is interpolated as libjpeg does.
		theirs := rgb24(t, ffmpeg(t, nil, "-i", path, "-vf", "scale=flags=bilinear+accurate_rnd+full_chroma_int+full_chroma_inp", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"), 48, 64)
		mean, most := difference(t, clip.X, theirs)
		t.Logf("%s %s: mean difference %.3f, largest %.0f of 255", c.codec, c.format, mean, most)
		if mean > c.mean || clip.FPS != 10 {
			t.Errorf("%s %s: mean difference %v of 255, want at most %v; %v frames per second", c.codec, c.format, mean, c.mean, clip.FPS)
		}
	}
}

func FuzzAVI(f *testing.F) {
	files, _ := jpegs(f, moving(2, 3, 8, 9))
	f.Add(aviFile(stream("MJPG", 9, 8, 24), chunk("00dc", files[0]), chunk("00dc", withoutTables(files[1]))))
	f.Add(aviFile(stream("\x00\x00\x00\x00", 2, 2, 24), chunk("00db", make([]byte, 16)), chunk("00db")))
	f.Add(slices.Concat(aviFile(slices.Concat(audio, stream("MJPG", 9, 8, 24)), chunk("01dc", files[0])), chunk("RIFF", []byte("AVIX"), list("movi", chunk("01dc", files[1])))))
	f.Fuzz(func(t *testing.T, file []byte) { fuzz(t, NewAVI, file) })
}
