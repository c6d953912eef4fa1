package video

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// y4mFile has frames of random samples in the given layout.
func y4mFile(rng *rand.Rand, frames, h, w int, layout, extra string) []byte {
	p, ok := y4mLayout(layout)
	if !ok {
		panic(layout)
	}
	p.w, p.h = w, h
	b := fmt.Appendf(nil, "YUV4MPEG2 W%d H%d F30000:1001 Ip A1:1 C%s%s\n", w, h, layout, extra)
	for range frames {
		b = append(b, "FRAME\n"...)
		for i := range p.size() {
			v := rng.UintN(256)
			if p.bits > 8 && i%2 == 1 {
				v = rng.UintN(1 << (p.bits - 8))
			}
			b = append(b, byte(v))
		}
	}
	return b
}

// TestY4MAgainstFormula converts every layout anew from the definition of BT.601, in
// float64, with planes that are indexed as plainly as can be.
func TestY4MAgainstFormula(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		layout     string
		xDiv, yDiv int
		bits       int
	}{
		{"420", 2, 2, 8}, {"420jpeg", 2, 2, 8}, {"420mpeg2", 2, 2, 8}, {"420paldv", 2, 2, 8}, {"411", 4, 1, 8}, {"410", 4, 4, 8},
		{"422", 2, 1, 8}, {"440", 1, 2, 8}, {"444", 1, 1, 8}, {"444alpha", 1, 1, 8}, {"mono", 0, 0, 8},
		{"420p9", 2, 2, 9}, {"420p10", 2, 2, 10}, {"411p12", 4, 1, 12}, {"422p10", 2, 1, 10}, {"422p12", 2, 1, 12},
		{"440p10", 1, 2, 10}, {"444p10", 1, 1, 10}, {"444p12", 1, 1, 12}, {"444p16", 1, 1, 16}, {"mono10", 0, 0, 10}, {"mono12", 0, 0, 12}, {"mono16", 0, 0, 16},
	} {
		for _, size := range [][2]int{{6, 8}, {5, 7}, {1, 1}, {3, 5}} {
			for _, extra := range []string{"", " XCOLORRANGE=LIMITED", " XCOLORRANGE=FULL"} {
				h, w := size[0], size[1]
				file := y4mFile(rng, 2, h, w, c.layout, extra)
				got := decoded(t, NewY4M, file)
				mono := c.xDiv == 0
				full := strings.Contains(extra, "FULL") || mono && extra == ""
				top := float64(int(1)<<c.bits) - 1
				scale := float64(int(1) << (c.bits - 8))
				_, rest, _ := bytes.Cut(file, []byte("\n"))
				for k := range 2 {
					rest = rest[len("FRAME\n"):]
					take := func(n int) []float64 {
						out := make([]float64, n)
						for i := range out {
							if c.bits == 8 {
								out[i], rest = float64(rest[0]), rest[1:]
							} else {
								out[i], rest = float64(rest[0])+256*float64(rest[1]), rest[2:]
							}
						}
						return out
					}
					luma := take(h * w)
					var cb, cr []float64
					cw := 0
					if !mono {
						cw = int(math.Ceil(float64(w) / float64(c.xDiv)))
						n := cw * int(math.Ceil(float64(h)/float64(c.yDiv)))
						cb, cr = take(n), take(n)
					}
					if c.layout == "444alpha" {
						take(h * w)
					}
					for y := range h {
						for x := range w {
							l, b, r := luma[y*w+x]/top, 0.0, 0.0
							if !full {
								l = (luma[y*w+x]/scale - 16) / 219
							}
							if !mono {
								i := y/c.yDiv*cw + x/c.xDiv
								if full {
									b, r = (cb[i]-128*scale)/top, (cr[i]-128*scale)/top
								} else {
									b, r = (cb[i]/scale-128)/224, (cr[i]/scale-128)/224
								}
							}
							want := [3]float64{l + 1.402*r, l - 0.344136286*b - 0.714136286*r, l + 1.772*b}
							for ch := range got.Dim(1) {
								v := min(max(want[ch], 0), 1)
								tolerance := 1e-6
								if c.bits == 8 { // rounded to 1/255
									tolerance = 0.5001 / 255
								}
								if g := float64(got.At(k, ch, y, x)); math.Abs(g-v) > tolerance || c.bits == 8 && math.Abs(g*255-math.Round(g*255)) > 1e-4 {
									t.Fatalf("C%s%s %dx%d: frame %d channel %d at %d, %d is %v, want %v", c.layout, extra, w, h, k, ch, y, x, g*255, v*255)
								}
							}
						}
					}
				}
			}
		}
	}
}

// TestY4MAgainstFFmpeg compares with ffmpeg's conversion to RGB: its default where that
// repeats samples of chroma as NewY4M does (8 bits, even size, 4:2:0 or 4:2:2, or chroma
// of full size), and otherwise one that is told to.
func TestY4MAgainstFFmpeg(t *testing.T) {
	needFFmpeg(t)
	for _, c := range []struct {
		format, layout string
		h, w           int
		how            string // a filter for the source, or flags of the scaler
	}{
		{"yuv420p", "C420jpeg", 48, 64, ""}, {"yuvj420p", "C420jpeg", 48, 64, ""}, {"yuv422p", "C422", 48, 64, ""},
		{"yuv444p", "C444", 35, 51, ""}, {"gray", "Cmono", 35, 51, ""}, {"yuv444p10le", "C444p10", 48, 64, ""}, {"gray12le", "Cmono12", 48, 64, ""},
		{"yuv411p", "C411", 48, 64, "neighbor"}, {"yuv420p10le", "C420p10", 48, 64, "neighbor"}, {"yuv422p12le", "C422p12", 48, 64, "neighbor"},
		// With odd sizes ffmpeg stretches chroma a little, and what it writes itself is
		// far off in the last columns and rows: only a blurred picture can be compared,
		// and not closely.
		{"yuv420p", "C420jpeg", 35, 51, ",gblur=8"},
	} {
		source := fmt.Sprintf("testsrc2=s=80x60:r=10:d=0.2,format=rgb24,crop=%d:%d:4:8", c.w, c.h)
		args := []string{"-f", "yuv4mpegpipe", "-i", "-"}
		if strings.HasPrefix(c.how, ",") {
			source += c.how
		} else if c.how != "" {
			args = append(args, "-sws_flags", c.how+"+full_chroma_int+accurate_rnd")
		}
		file := ffmpeg(t, nil, "-f", "lavfi", "-i", source,
			"-pix_fmt", c.format, "-strict", "-1", "-f", "yuv4mpegpipe", "-")
		if !bytes.Contains(file[:200], []byte(c.layout+" ")) {
			t.Fatalf("%s: %.100q", c.format, file)
		}
		got := decoded(t, NewY4M, file)
		args = append(args, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
		theirs := rgb24(t, ffmpeg(t, file, args...), c.h, c.w)
		if got.Dim(1) == 1 {
			red := tensor.New(got.Shape()...)
			for k := range got.Dim(0) {
				copy(red.Index(k).Data(), theirs.Index(k).Data())
			}
			theirs = red
		}
		mean, most := difference(t, got, theirs)
		t.Logf("%s %dx%d %s: mean difference %.3f, largest %.0f of 255", c.format, c.w, c.h, c.how, mean, most)
		wantMean, wantMost := 1.0, 4.01
		if strings.HasPrefix(c.how, ",") {
			wantMean, wantMost = 4, 100
		}
		if mean > wantMean || most > wantMost {
			t.Errorf("%s %dx%d %s: mean difference %v of 255, largest %v, want at most %v and %v", c.format, c.w, c.h, c.how, mean, most, wantMean, wantMost)
		}
	}
}

func TestY4MMalformed(t *testing.T) {
	frame := "FRAME\n" + strings.Repeat("x", 6)
	for _, c := range []struct{ want, file string }{
		{"header: the data ends at byte 0", ""},
		{"header: the data ends at byte 6", "YUV4MP"},
		{`begins with "YUV4MPEG3 ", not YUV4MPEG2`, "YUV4MPEG3 W2 H2\n" + frame},
		{"header: begins with", "\n"},
		{"longer than 4096 bytes", "YUV4MPEG2 X" + strings.Repeat("a", 5000) + "\n"},
		{"W or H is missing", "YUV4MPEG2 W2\n" + frame},
		{`"W0": not a size`, "YUV4MPEG2 W0 H2\n" + frame},
		{`"H-2": not a size`, "YUV4MPEG2 W2 H-2\n" + frame},
		{`"W2x": not a size`, "YUV4MPEG2 W2x H2\n" + frame},
		{"pixels, a frame has 1 to 67108864", "YUV4MPEG2 W100000 H100000\n" + frame},
		{`"F25": not a rate`, "YUV4MPEG2 W2 H2 F25\n" + frame},
		{`"F25:x": not a rate`, "YUV4MPEG2 W2 H2 F25:x\n" + frame},
		{`"It": the video is interlaced`, "YUV4MPEG2 W2 H2 It\n" + frame},
		{`"Im": the video is interlaced`, "YUV4MPEG2 W2 H2 Im\n" + frame},
		{`"Iq": an unknown kind of frames`, "YUV4MPEG2 W2 H2 Iq\n" + frame},
		{"the layout C420p8", "YUV4MPEG2 W2 H2 C420p8\n" + frame},
		{"the layout C420p17", "YUV4MPEG2 W2 H2 C420p17\n" + frame},
		{"the layout C333", "YUV4MPEG2 W2 H2 C333\n" + frame},
		{"the layout C444alphap10", "YUV4MPEG2 W2 H2 C444alphap10\n" + frame},
		{"the layout Cmono8", "YUV4MPEG2 W2 H2 Cmono8\n" + frame},
		{"Y4M: no frames", "YUV4MPEG2 W2 H2\n"},
		{"frame 0: the data ends", "YUV4MPEG2 W2 H2\nFRA"},
		{"frame 0: the data ends", "YUV4MPEG2 W2 H2\nFRAME\n"},
		{"frame 0: the data ends at byte 27", "YUV4MPEG2 W2 H2\nFRAME\nxxxxx"},
		{"frame 0: the data ends", "YUV4MPEG2 W4096 H4096\nFRAME\nxxxxx"},
		{`frame 0: begins with "FRAMES", not FRAME`, "YUV4MPEG2 W2 H2\nFRAMES\n" + frame},
		{`frame 1: begins with "junk", not FRAME`, "YUV4MPEG2 W2 H2\n" + frame + "junk\n"},
		{`frame 1: begins with "xxxxx`, "YUV4MPEG2 W2 H2\n" + frame + strings.Repeat("x", 5000)},
		{"frame 1: the data ends", "YUV4MPEG2 W2 H2\n" + frame + "junk"},
	} {
		s, err := NewY4M(strings.NewReader(c.file))
		if err == nil {
			_, err = collect(s)
		}
		wants(t, err, c.want)
		if strings.Contains(c.want, "the layout") != errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%v: whether its cause is ErrUnsupported is wrong", err)
		}
	}
	// What may vary does no harm.
	for _, header := range []string{"YUV4MPEG2 W2 H2", "YUV4MPEG2 H2 W2 F0:0 I? A0:0 XYSCSS=420MPEG2 XJUNK", "YUV4MPEG2 W2 H2 C420 "} {
		x := decoded(t, NewY4M, []byte(header+"\nFRAME Ip XJUNK\n\x80\x80\x80\x80\x80\x80"))
		if x.Dim(0) != 1 || x.At(0, 0, 0, 0) != 130.0/255 {
			t.Errorf("%s: %v", header, x)
		}
	}
}

func TestY4MTruncated(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, layout := range []string{"420jpeg", "444p10", "mono"} {
		file := y4mFile(rng, 3, 3, 5, layout, "")
		header := bytes.IndexByte(file, '\n') + 1
		frame := (len(file) - header) / 3
		skips(t, NewY4M, file)
		// Between frames the file may end: there is no count and no trailer.
		want := decoded(t, NewY4M, file)
		for n := range file {
			s, err := NewY4M(bytes.NewReader(file[:n]))
			var x *tensor.Tensor
			if err == nil {
				x, err = collect(s)
			}
			if k := n - header; k > 0 && k%frame == 0 {
				if err != nil || x.Dim(0) != k/frame {
					t.Fatalf("%d frames: %v", k/frame, err)
				}
				same(t, layout, x, want.Slice(0, k/frame))
			} else {
				wants(t, err, "")
			}
			// The same for a reader that only skips.
			if s, err := NewY4M(bytes.NewReader(file[:n])); err == nil {
				for err == nil {
					err = s.Next(nil)
				}
				if (err == io.EOF) != ((n-header)%frame == 0) {
					t.Fatalf("%d bytes: skipping ends with %v", n, err)
				}
			}
		}
	}
}

// TestY4MLossless writes all colours and reads them.
func TestY4MLossless(t *testing.T) {
	step := 5
	if testing.Short() {
		step = 17
	}
	var worst [2]float64
	for _, opt := range []Y4MOptions{{}, {Bits: 8}} {
		for red := 0; red < 256; red += step {
			c := &Clip{X: tensor.New(1, 3, 256, 256)}
			for i := range 1 << 16 {
				d := c.X.Data()
				d[i], d[1<<16+i], d[2<<16+i] = unit[red], unit[i>>8], unit[i&255]
			}
			var file bytes.Buffer
			if err := WriteY4M(&file, c, opt); err != nil {
				t.Fatal(err)
			}
			got := decoded(t, NewY4M, file.Bytes())
			_, most := difference(t, got, c.X)
			worst[min(opt.Bits, 1)] = max(worst[min(opt.Bits, 1)], most)
		}
	}
	if math.Round(worst[1]) != 2 && step == 5 || worst[1] > 2.01 || worst[0] != 0 {
		t.Errorf("the largest differences are %v of 255 with 10 bits and %v with 8, want 0 and 2", worst[0], worst[1])
	}
}

func TestWriteY4M(t *testing.T) {
	for _, c := range []*Clip{moving(3, 3, 9, 14), moving(2, 1, 5, 3)} {
		for fps, want := range map[float64]string{0: "F25:1", 25: "F25:1", 30000.0 / 1001: "F30000:1001", 23.976: "F24000:1001", 12.5: "F12500:1000", 1e-9: "F1:1000", math.NaN(): "F25:1"} {
			c.FPS = fps
			var file bytes.Buffer
			if err := WriteY4M(&file, c, Y4MOptions{}); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(file.String()[:60], " "+want+" ") && !(want == "F24000:1001" && strings.Contains(file.String()[:60], "F23976:1000")) {
				t.Errorf("%v frames per second: %.60q, want %s", fps, file.String(), want)
			}
			same(t, "read again", decoded(t, NewY4M, file.Bytes()), c.X)
		}
	}
	// Values that are not of 8 bits are rounded.
	c := moving(1, 3, 4, 4)
	c.X = c.X.AddScalar(0.3 / 255)
	var file bytes.Buffer
	if err := WriteY4M(&file, c, Y4MOptions{}); err != nil {
		t.Fatal(err)
	}
	same(t, "rounded", decoded(t, NewY4M, file.Bytes()), c.X.Round8())
}

// TestY4MForFFmpeg lets ffmpeg read what WriteY4M writes.
func TestY4MForFFmpeg(t *testing.T) {
	c := moving(3, 3, 32, 48)
	for _, opt := range []Y4MOptions{{}, {Bits: 8}} {
		var file bytes.Buffer
		if err := WriteY4M(&file, c, opt); err != nil {
			t.Fatal(err)
		}
		theirs := rgb24(t, ffmpeg(t, file.Bytes(), "-f", "yuv4mpegpipe", "-i", "-", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"), 32, 48)
		mean, most := difference(t, theirs, c.X)
		t.Logf("%+v: mean difference %.3f, largest %.0f of 255", opt, mean, most)
		if mean > 0.8 || most > 4.01 {
			t.Errorf("%+v: mean difference %v, largest %v of 255", opt, mean, most)
		}
	}
}

func FuzzY4M(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, layout := range []string{"420jpeg", "444alpha", "422p10", "mono", "411"} {
		f.Add(y4mFile(rng, 2, 3, 5, layout, ""))
	}
	f.Fuzz(func(t *testing.T, file []byte) { fuzz(t, NewY4M, file) })
}
