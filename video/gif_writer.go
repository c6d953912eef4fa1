package video

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"io"
	"math"

	"github.com/mettleml/mettle/tensor"
)

// GIFOptions are the options of [WriteGIF].
type GIFOptions struct {
	FPS    float64 // frames per second, at most 50; 0 means the clip's, or 10 if that is unknown
	Scale  int     // enlargement factor; 0 means the smallest that makes both sides at least 96 pixels
	Dither bool    // dither by error diffusion (Floyd and Steinberg)
	Once   bool    // do not repeat the animation
}

// WriteGIF writes a clip as an animated GIF for viewing, with 256 colours for all frames.
// They are exact if the clip has no more, and else chosen by median cut (Heckbert, 1982).
// It panics if c is not a clip or an option is impossible.
func WriteGIF(w io.Writer, c *Clip, opt GIFOptions) error {
	t, _, height, width := c.dims("video.WriteGIF")
	if !(opt.FPS >= 0) || opt.Scale < 0 {
		tensor.Panic("video.WriteGIF", fmt.Sprintf("impossible options %+v", opt), c.X.Shape())
	}
	scale := opt.Scale
	if scale == 0 {
		scale = (95 + min(height, width)) / min(height, width)
	}
	if width*scale > 1<<16-1 || height*scale > 1<<16-1 {
		return &tensor.FormatError{Format: "GIF", Reason: fmt.Sprintf("%d by %d pixels; a side has 65535 at most", width*scale, height*scale)}
	}
	fps := opt.FPS
	if fps == 0 {
		fps = c.FPS
	}
	if fps == 0 {
		fps = 10
	}
	fps = min(fps, 50) // programs that show GIFs take a shorter delay for a long one
	p := newPalette(c.X)
	out := &gif.GIF{Config: image.Config{ColorModel: p.colors, Width: width * scale, Height: height * scale}}
	if opt.Once {
		out.LoopCount = -1
	}
	var before *image.Paletted
	hundredths := func(k int) int { return int(math.Round(float64(k) * 100 / fps)) }
	for k := range t {
		frame := p.picture(c.X.Index(k), opt.Dither)
		part := changed(before, frame)
		before = frame
		out.Image = append(out.Image, enlarge(frame, part, scale))
		out.Delay = append(out.Delay, hundredths(k+1)-hundredths(k))
		out.Disposal = append(out.Disposal, gif.DisposalNone)
	}
	return gif.EncodeAll(w, out)
}

// changed returns the smallest part in which two pictures differ: all if there is only
// one, and one pixel if they do not.
func changed(a, b *image.Paletted) image.Rectangle {
	if a == nil {
		return b.Rect
	}
	r := image.Rectangle{Min: b.Rect.Max}
	for y := range b.Rect.Dy() {
		for x := range b.Rect.Dx() {
			if i := y*b.Stride + x; a.Pix[i] != b.Pix[i] {
				r.Min.X, r.Min.Y = min(r.Min.X, x), min(r.Min.Y, y)
				r.Max.X, r.Max.Y = max(r.Max.X, x+1), max(r.Max.Y, y+1)
			}
		}
	}
	if r.Max == (image.Point{}) {
		return image.Rect(0, 0, 1, 1)
	}
	return r
}

// enlarge returns part of a picture with every pixel repeated.
func enlarge(src *image.Paletted, part image.Rectangle, scale int) *image.Paletted {
	r := image.Rect(part.Min.X*scale, part.Min.Y*scale, part.Max.X*scale, part.Max.Y*scale)
	dst := image.NewPaletted(r, src.Palette)
	for y := range r.Dy() {
		line := src.Pix[(part.Min.Y+y/scale)*src.Stride+part.Min.X:]
		for x := range r.Dx() {
			dst.Pix[y*dst.Stride+x] = line[x/scale]
		}
	}
	return dst
}

// palette is a set of at most 256 colours.
type palette struct {
	colors color.Palette
	index  map[[3]byte]byte // of the colours that were asked for
}

// pixels calls visit for the pixels of frames [..., C, H, W], rounded to 8 bits.
func pixels(x *tensor.Tensor, visit func(i int, c [3]byte)) {
	s := x.Shape()
	ch, n := s[len(s)-3], s[len(s)-2]*s[len(s)-1]
	d := x.Round8().Data()
	for first := 0; first < len(d); first += ch * n {
		for i := range n {
			var c [3]byte
			for k := range c {
				c[k] = byte(d[first+min(k, ch-1)*n+i]*255 + 0.5)
			}
			visit(first/ch+i, c)
		}
	}
}

// newPalette chooses the colours for a clip.
func newPalette(x *tensor.Tensor) *palette {
	counts := map[[3]byte]int{}
	for k := range x.Dim(0) {
		pixels(x.Index(k), func(_ int, c [3]byte) { counts[c]++ })
	}
	p := &palette{index: map[[3]byte]byte{}}
	for _, c := range medianCut(counts, 256) {
		p.colors = append(p.colors, color.RGBA{c[0], c[1], c[2], 255})
	}
	return p
}

// picture converts a frame.
func (p *palette) picture(x *tensor.Tensor, dither bool) *image.Paletted {
	dst := image.NewPaletted(image.Rect(0, 0, x.Dim(2), x.Dim(1)), p.colors)
	if dither {
		draw.FloydSteinberg.Draw(dst, dst.Rect, x.ToImage(), image.Point{})
		return dst
	}
	pixels(x, func(i int, c [3]byte) {
		k, ok := p.index[c]
		if !ok {
			k = byte(p.colors.Index(color.RGBA{c[0], c[1], c[2], 255}))
			p.index[c] = k
		}
		dst.Pix[i] = k
	})
	return dst
}
