package video

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// composed is what a GIF shows, frame by frame: a second implementation on top of
// package image/gif, pixel by pixel.
func composed(t *testing.T, file []byte) *tensor.Tensor {
	t.Helper()
	g, err := gif.DecodeAll(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	w, h := g.Config.Width, g.Config.Height
	type pixel = [3]byte
	white := pixel{255, 255, 255}
	ground := white
	if p, ok := g.Config.ColorModel.(color.Palette); ok && len(p) > 0 {
		r, gr, b, _ := p[g.BackgroundIndex].RGBA()
		ground = pixel{byte(r >> 8), byte(gr >> 8), byte(b >> 8)}
	}
	empty := func(p *image.Paletted) pixel {
		for _, c := range p.Palette {
			if _, _, _, a := c.RGBA(); a == 0 {
				return white
			}
		}
		return ground
	}
	canvas := map[image.Point]pixel{}
	for y := range h {
		for x := range w {
			canvas[image.Pt(x, y)] = empty(g.Image[0])
		}
	}
	out := tensor.New(len(g.Image), 3, h, w)
	for k, img := range g.Image {
		saved := map[image.Point]pixel{}
		for p, c := range canvas {
			saved[p] = c
		}
		for y := img.Rect.Min.Y; y < img.Rect.Max.Y; y++ {
			for x := img.Rect.Min.X; x < img.Rect.Max.X; x++ {
				if r, gr, b, a := img.At(x, y).RGBA(); a != 0 {
					canvas[image.Pt(x, y)] = pixel{byte(r >> 8), byte(gr >> 8), byte(b >> 8)}
				}
			}
		}
		for p, c := range canvas {
			for ch := range 3 {
				out.Set(unit[c[ch]], k, ch, p.Y, p.X)
			}
		}
		switch g.Disposal[k] {
		case gif.DisposalBackground:
			for y := img.Rect.Min.Y; y < img.Rect.Max.Y; y++ {
				for x := img.Rect.Min.X; x < img.Rect.Max.X; x++ {
					canvas[image.Pt(x, y)] = empty(img)
				}
			}
		case gif.DisposalPrevious:
			canvas = saved
		}
	}
	return out
}

// randomGIF has pictures of all places, sizes, disposals and transparencies, with the
// file's palette or one of their own.
func randomGIF(rng *rand.Rand, w, h, n int, global bool) []byte {
	palette := func(colors int, transparent bool) color.Palette {
		var p color.Palette
		for range colors {
			p = append(p, color.RGBA{byte(rng.UintN(256)), byte(rng.UintN(256)), byte(rng.UintN(256)), 255})
		}
		if transparent {
			p[rng.IntN(colors)] = color.RGBA{}
		}
		return p
	}
	g := &gif.GIF{Config: image.Config{Width: w, Height: h}, LoopCount: rng.IntN(3) - 1}
	shared := palette(1<<(1+rng.IntN(8)), false)
	if global {
		g.Config.ColorModel = shared
		g.BackgroundIndex = byte(rng.IntN(len(shared)))
	}
	for range n {
		x, y := rng.IntN(w), rng.IntN(h)
		r := image.Rect(x, y, x+1+rng.IntN(w-x), y+1+rng.IntN(h-y))
		p := shared
		if !global || rng.IntN(2) == 0 {
			p = palette(1<<(1+rng.IntN(8)), rng.IntN(2) == 0)
		}
		img := image.NewPaletted(r, p)
		for i := range img.Pix {
			img.Pix[i] = byte(rng.IntN(len(p)))
		}
		g.Image = append(g.Image, img)
		g.Delay = append(g.Delay, 1+rng.IntN(20)) // with 0 a picture may inherit a disposal in package image/gif
		g.Disposal = append(g.Disposal, byte(rng.IntN(4)))
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestGIF(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		file := randomGIF(rng, 1+rng.IntN(9), 1+rng.IntN(9), 1+rng.IntN(6), seed%3 > 0)
		same(t, fmt.Sprintf("seed %d", seed), decoded(t, NewGIF, file), composed(t, file))
		if seed < 5 {
			skips(t, NewGIF, file)
		}
	}
}

func TestGIFInterlaced(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	img := image.NewPaletted(image.Rect(0, 0, 3, 21), color.Palette{color.Black, color.White})
	for i := range img.Pix {
		img.Pix[i] = byte(rng.IntN(2))
	}
	var b bytes.Buffer
	if err := gif.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	file := b.Bytes()
	i := bytes.IndexByte(file[13:], 0x2c) + 13
	file[i+9] |= 0x40
	same(t, "interlaced", decoded(t, NewGIF, file), composed(t, file))
}

func TestGIFRate(t *testing.T) {
	for delay, want := range map[int]float64{0: 10, 1: 10, 2: 50, 4: 25, 10: 10, 100: 1} {
		img := image.NewPaletted(image.Rect(0, 0, 1, 1), color.Palette{color.Black})
		var b bytes.Buffer
		if err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{img}, Delay: []int{delay}}); err != nil {
			t.Fatal(err)
		}
		s, err := NewGIF(&b)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Info().FPS; got != want {
			t.Errorf("delay %d: %v frames per second, want %v", delay, got, want)
		}
	}
}

func TestGIFMalformed(t *testing.T) {
	const head = "GIF89a\x02\x00\x02\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
	picture := func(x, y, w, h byte) string {
		return string([]byte{0x2c, x, 0, y, 0, w, 0, h, 0, 0})
	}
	const data = "\x02\x03\x44\x02\x05\x00" // four pixels, 0 or 1
	good := head + picture(0, 0, 2, 2) + data + ";"
	decoded(t, NewGIF, []byte(good))
	for _, c := range []struct{ want, file string }{
		{"header: the data ends at byte 0", ""},
		{"not as GIF does", "GIF88a\x02\x00\x02\x00\x80\x00\x00"},
		{"0 by 2 pixels", "GIF89a\x00\x00\x02\x00\x80\x00\x00"},
		{"65535 by 65535 pixels", "GIF89a\xff\xff\xff\xff\x80\x00\x00"},
		{"palette: the data ends", head[:15]},
		{"GIF: no pictures", head + ";"},
		{"frame 0: the data ends", head},
		{"frame 0: an unknown block 0x77 at byte 19", head + "w"},
		{"frame 0: a graphic control of 3 bytes", head + "\x21\xf9\x03abc\x00"},
		{"frame 0: a picture of 2 by 2 pixels at 1, 0 on a canvas of 2 by 2", head + picture(1, 0, 2, 2) + data},
		{"frame 0: a picture of 0 by 2", head + picture(0, 0, 0, 2) + data},
		{"frame 0: no palette", "GIF89a\x02\x00\x02\x00\x00\x00\x00" + picture(0, 0, 2, 2) + data},
		{"frame 0: codes that begin with 9 bits", head + picture(0, 0, 2, 2) + "\x09" + data[1:]},
		{"frame 0: codes that begin with 1 bits", head + picture(0, 0, 2, 2) + "\x01" + data[1:]},
		{"frame 0: the picture has 0 of 4 pixels", head + picture(0, 0, 2, 2) + "\x02\x00;"},
		{"frame 0: the picture has 2 of 4 pixels", head + picture(0, 0, 2, 2) + "\x02\x02\x44\x0a\x00;"},
		{"frame 1: the data ends", good[:len(good)-1]},
		{"frame 0: colour 2 of 2", head + picture(0, 0, 1, 1) + "\x02\x02\x54\x01\x00;"},
	} {
		s, err := NewGIF(strings.NewReader(c.file))
		if err == nil {
			_, err = collect(s)
		}
		wants(t, err, c.want)
	}
}

func TestGIFTruncated(t *testing.T) {
	file := randomGIF(rand.New(rand.NewPCG(8, 1)), 7, 6, 3, true)
	truncated(t, NewGIF, file, len(file))
}

func TestWriteGIF(t *testing.T) {
	// Few colours: exact, and all frames read again.
	few := moving(5, 3, 40, 50)
	for i, v := range few.X.Data() {
		few.X.Data()[i] = float32(int(v*3)) / 3
	}
	few.X = few.X.Round8()
	gray := moving(3, 1, 40, 50)
	for _, c := range []*Clip{few, gray} {
		for _, scale := range []int{1, 3, 0} {
			var b bytes.Buffer
			if err := WriteGIF(&b, c, GIFOptions{Scale: scale}); err != nil {
				t.Fatal(err)
			}
			got := decoded(t, NewGIF, b.Bytes())
			by := scale
			if by == 0 {
				by = 3 // 40 pixels to 96 at least
			}
			if got.Dim(0) != c.X.Dim(0) || got.Dim(2) != 40*by || got.Dim(3) != 50*by {
				t.Fatalf("scale %d: shape %v", scale, got.Shape())
			}
			for k := range got.Dim(0) {
				for ch := range 3 {
					for y := range 40 * by {
						for x := range 50 * by {
							if got.At(k, ch, y, x) != c.X.At(k, min(ch, c.X.Dim(1)-1), y/by, x/by) {
								t.Fatalf("scale %d: frame %d, channel %d at %d, %d differs", scale, k, ch, y, x)
							}
						}
					}
				}
			}
		}
	}
	// Many colours: near, and nearer on average over an area with dithering.
	many := moving(3, 3, 96, 120)
	for _, dither := range []bool{false, true} {
		var b bytes.Buffer
		if err := WriteGIF(&b, many, GIFOptions{Dither: dither, FPS: 30}); err != nil {
			t.Fatal(err)
		}
		mean, most := difference(t, decoded(t, NewGIF, b.Bytes()), many.X)
		t.Logf("dither %v: mean difference %.2f, largest %.0f of 255; %d bytes", dither, mean, most, b.Len())
		if mean > 6 {
			t.Errorf("dither %v: mean difference %v of 255", dither, mean)
		}
		g, err := gif.DecodeAll(&b)
		if err != nil || g.LoopCount != 0 || fmt.Sprint(g.Delay) != "[3 4 3]" {
			t.Errorf("%v: delays %v, loop %d", err, g.Delay, g.LoopCount)
		}
	}
	// A frame that does not change costs little.
	still := &Clip{X: tensor.New(50, 3, 96, 96)}
	var b bytes.Buffer
	if err := WriteGIF(&b, still, GIFOptions{Once: true}); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 3000 {
		t.Errorf("%d bytes for 50 equal frames", b.Len())
	}
	if g, err := gif.DecodeAll(&b); err != nil || g.LoopCount != -1 || len(g.Image) != 50 || g.Delay[0] != 10 {
		t.Errorf("%v, %+v", err, g)
	}
	wants(t, WriteGIF(&b, &Clip{X: tensor.New(1, 1, 10, 10)}, GIFOptions{Scale: 10000}), "100000 by 100000 pixels")
}

func TestMedianCut(t *testing.T) {
	// Two clouds of colours are told apart by two colours, their means by weight.
	counts := map[[3]byte]int{{10, 0, 0}: 3, {14, 0, 0}: 1, {200, 0, 4}: 2, {200, 0, 0}: 2}
	got := fmt.Sprint(medianCut(counts, 2))
	if got != "[[11 0 0] [200 0 2]]" {
		t.Errorf("colours %v", got)
	}
	if got := medianCut(counts, 4); len(got) != 4 || got[0] != [3]byte{10, 0, 0} {
		t.Errorf("colours %v", got)
	}
	if got := medianCut(counts, 3); len(got) != 3 {
		t.Errorf("colours %v", got)
	}
}

// TestGIFAgainstFFmpeg lets ffmpeg read GIFs with parts, disposal and transparency. What
// is not painted is left out of it: ffmpeg drops the alpha after it has made it.
func TestGIFAgainstFFmpeg(t *testing.T) {
	needFFmpeg(t)
	rng := rand.New(rand.NewPCG(9, 1))
	g := &gif.GIF{Config: image.Config{Width: 24, Height: 20}}
	for k := range 6 {
		r := image.Rect(0, 0, 24, 20)
		p := color.Palette{color.RGBA{200, 10, 30, 255}, color.RGBA{0, 220, 30, 255}, color.RGBA{0, 0, 255, 255}, color.RGBA{90, 90, 90, 255}}
		if k > 0 {
			r = image.Rect(k, 2*k, 12+k, 8+2*k)
			p[3] = color.RGBA{}
		}
		img := image.NewPaletted(r, p)
		for i := range img.Pix {
			img.Pix[i] = byte(rng.IntN(4))
		}
		g.Image = append(g.Image, img)
		g.Delay = append(g.Delay, 10)
		g.Disposal = append(g.Disposal, []byte{1, 1, 3, 1, 3, 1}[k])
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(t.TempDir(), "a.gif"), b.Bytes())
	theirs := rgb24(t, ffmpeg(t, nil, "-i", path, "-vsync", "0", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"), 20, 24)
	same(t, "ffmpeg", decoded(t, NewGIF, b.Bytes()), theirs)
}

func FuzzGIF(f *testing.F) {
	for seed := range uint64(3) {
		f.Add(randomGIF(rand.New(rand.NewPCG(seed, 2)), 5, 4, 3, seed > 0))
	}
	f.Fuzz(func(t *testing.T, file []byte) { fuzz(t, NewGIF, file) })
}
