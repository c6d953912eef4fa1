package video

import (
	"compress/lzw"
	"fmt"
	"io"
	"slices"

	"github.com/mettleml/mettle/tensor"
)

// gifSource reads a GIF picture after picture. (Package image/gif holds all pictures
// at once and takes memory for what they claim.)
type gifSource struct {
	in         *input
	w, h       int
	global     []byte // the palette, three bytes per colour; nil if there is none
	background [3]byte
	canvas     []byte // what is shown, three bytes per pixel
	saved      []byte // the canvas before the last picture, if that is to be restored
	last       gifPicture
	waiting    bool
	n          int
	indices    []byte
}

// gifPicture is the place of a picture and what is to happen to it.
type gifPicture struct {
	x, y, w, h  int
	disposal    byte
	transparent int // an index, -1 if there is none
	delay       int // in hundredths of a second
}

var white = [3]byte{255, 255, 255}

// NewGIF reads a GIF, animated or not: every picture gives a frame, which shows all of
// the canvas. A picture may cover part of it, have transparent pixels, and be left,
// cleared or undone before the next one. What no picture has painted, or one has
// cleared, has the file's background colour; it is white where the picture has a
// transparent colour or the file no palette of its own, as in ffmpeg. The rate is that
// of the first picture's delay; below 2 hundredths of a second it is 10 per second, as
// programs that show GIFs have it. All frames have three channels.
func NewGIF(r io.Reader) (Source, error) {
	g := &gifSource{in: newInput("GIF", r), background: white}
	if err := g.header(); err != nil {
		return nil, err
	}
	switch err := g.read(); err {
	case nil:
		g.waiting = true
	case io.EOF:
		return nil, g.in.fail("", "no pictures", nil)
	default:
		return nil, err
	}
	fps := 10.0
	if g.last.delay > 1 {
		fps = 100 / float64(g.last.delay)
	}
	return &source{info: Info{Format: g.in.format, C: 3, H: g.h, W: g.w, FPS: fps}, next: g.next}, nil
}

// header reads what precedes the blocks.
func (g *gifSource) header() error {
	var b [13]byte
	if err := g.in.full(b[:]); err != nil {
		return g.in.ends("header", err)
	}
	if v := string(b[:6]); v != "GIF87a" && v != "GIF89a" {
		return g.in.fail("header", fmt.Sprintf("begins with %q, not as GIF does", v), nil)
	}
	g.w, g.h = int(b[6])|int(b[7])<<8, int(b[8])|int(b[9])<<8
	if reason := checkSize(g.w, g.h); reason != "" {
		return g.in.fail("header", reason, nil)
	}
	if b[10]&0x80 == 0 {
		return nil
	}
	var err error
	if g.global, err = g.palette(b[10]); err != nil {
		return g.in.ends("palette", err)
	}
	if i := 3 * int(b[11]); i < len(g.global) {
		g.background = [3]byte(g.global[i:])
	}
	return nil
}

// palette reads a table of colours, whose size is in the low bits of flags.
func (g *gifSource) palette(flags byte) ([]byte, error) {
	p := make([]byte, 3<<(flags&7+1))
	err := g.in.full(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return p, err
}

func (g *gifSource) place() string { return fmt.Sprintf("frame %d", g.n) }

// read paints the next picture on the canvas. It returns io.EOF at the trailer.
func (g *gifSource) read() error {
	next := gifPicture{transparent: -1}
	for {
		kind, err := g.byte()
		if err != nil {
			return g.in.ends(g.place(), err)
		}
		switch kind {
		case 0x21:
			label, err := g.byte()
			if err != nil {
				return g.in.ends(g.place(), err)
			}
			var control []byte
			for b := (&blocks{in: g.in}); ; {
				block, err := b.next()
				if err == io.EOF {
					break
				}
				if err != nil {
					return g.in.ends(g.place(), err)
				}
				if label == 0xf9 && control == nil {
					control = slices.Clone(block)
				}
			}
			if label != 0xf9 {
				continue
			}
			if len(control) != 4 {
				return g.in.fail(g.place(), fmt.Sprintf("a graphic control of %d bytes", len(control)), nil)
			}
			next.disposal = control[0] >> 2 & 7
			next.delay = int(control[1]) | int(control[2])<<8
			next.transparent = -1
			if control[0]&1 != 0 {
				next.transparent = int(control[3])
			}
		case 0x2c:
			return g.picture(next)
		case 0x3b:
			return io.EOF
		default:
			return g.in.fail(g.place(), fmt.Sprintf("an unknown block 0x%02x at byte %d", kind, g.in.at-1), nil)
		}
	}
}

func (g *gifSource) byte() (byte, error) {
	var b [1]byte
	err := g.in.full(b[:])
	return b[0], err
}

// picture reads an image and paints it.
func (g *gifSource) picture(p gifPicture) error {
	var b [9]byte
	if err := g.in.full(b[:]); err != nil {
		return g.in.ends(g.place(), err)
	}
	short := func(i int) int { return int(b[i]) | int(b[i+1])<<8 }
	p.x, p.y, p.w, p.h = short(0), short(2), short(4), short(6)
	if p.w == 0 || p.h == 0 || p.x+p.w > g.w || p.y+p.h > g.h {
		return g.in.fail(g.place(), fmt.Sprintf("a picture of %d by %d pixels at %d, %d on a canvas of %d by %d", p.w, p.h, p.x, p.y, g.w, g.h), nil)
	}
	palette := g.global
	if b[8]&0x80 != 0 {
		var err error
		if palette, err = g.palette(b[8]); err != nil {
			return g.in.ends(g.place(), err)
		}
	}
	if palette == nil {
		return g.in.fail(g.place(), "no palette", nil)
	}
	if err := g.decode(p.w * p.h); err != nil {
		return err
	}
	g.dispose(p)
	top := (len(palette) / 3) - 1
	for row := range p.h {
		y := p.y + row
		if b[8]&0x40 != 0 {
			y = p.y + interlaced(row, p.h)
		}
		line := g.canvas[3*(y*g.w+p.x):]
		for x, c := range g.indices[row*p.w:][:p.w] {
			if int(c) == p.transparent {
				continue
			}
			if int(c) > top {
				return g.in.fail(g.place(), fmt.Sprintf("colour %d of %d", c, top+1), nil)
			}
			copy(line[3*x:3*x+3], palette[3*int(c):])
		}
	}
	g.last = p
	return nil
}

// dispose does to the last picture what it asked for, and keeps what p will ask for.
func (g *gifSource) dispose(p gifPicture) {
	switch {
	case g.canvas == nil:
		g.canvas = make([]byte, 3*g.w*g.h)
		g.clear(gifPicture{w: g.w, h: g.h, transparent: p.transparent})
	case g.last.disposal == 2:
		g.clear(g.last)
	case g.last.disposal == 3:
		copy(g.canvas, g.saved)
	}
	if p.disposal == 3 {
		g.saved = append(g.saved[:0], g.canvas...)
	}
}

// clear paints the background.
func (g *gifSource) clear(p gifPicture) {
	c := g.background
	if p.transparent >= 0 {
		c = white
	}
	for y := p.y; y < p.y+p.h; y++ {
		for x := p.x; x < p.x+p.w; x++ {
			copy(g.canvas[3*(y*g.w+x):], c[:])
		}
	}
}

// interlaced returns the row of an image of h rows that comes at place i: every eighth
// row from 0, then from 4, every fourth from 2, every second from 1.
func interlaced(i, h int) int {
	for _, pass := range [4][2]int{{0, 8}, {4, 8}, {2, 4}, {1, 2}} {
		n := (h - pass[0] + pass[1] - 1) / pass[1]
		if i < n {
			return pass[0] + i*pass[1]
		}
		i -= n
	}
	return i
}

// decode unpacks the indices of n pixels.
func (g *gifSource) decode(n int) error {
	width, err := g.byte()
	if err != nil {
		return g.in.ends(g.place(), err)
	}
	if width < 2 || width > 8 {
		return g.in.fail(g.place(), fmt.Sprintf("codes that begin with %d bits", width), nil)
	}
	b := &blocks{in: g.in}
	r := lzw.NewReader(b, lzw.LSB, int(width))
	defer r.Close()
	g.indices = g.indices[:0]
	for len(g.indices) < n {
		// Memory is taken as the data arrives.
		if cap(g.indices) == len(g.indices) {
			g.indices = append(g.indices, make([]byte, min(max(len(g.indices), 4096), n-len(g.indices)))...)[:len(g.indices)]
		}
		m, err := r.Read(g.indices[len(g.indices):min(cap(g.indices), n)])
		g.indices = g.indices[:len(g.indices)+m]
		if b.err != nil && b.err != io.EOF {
			return g.in.ends(g.place(), b.err)
		}
		if err != nil && len(g.indices) < n {
			return g.in.fail(g.place(), fmt.Sprintf("the picture has %d of %d pixels (%v)", len(g.indices), n, err), err)
		}
	}
	for { // the code that ends the data, and what some programs put behind it
		if _, err := b.next(); err == io.EOF {
			return nil
		} else if err != nil {
			return g.in.ends(g.place(), err)
		}
	}
}

// blocks reads a chain of blocks, each with its length in front, that ends with an
// empty one.
type blocks struct {
	in   *input
	room [255]byte
	left []byte
	err  error // io.EOF after the empty block
}

// next returns the next block, valid until the one after it.
func (b *blocks) next() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	n, err := b.in.r.ReadByte()
	if err == nil {
		b.in.at++
		if n > 0 {
			err = b.in.full(b.room[:n])
		}
	}
	switch {
	case err == io.EOF:
		b.err = io.ErrUnexpectedEOF
	case err != nil:
		b.err = err
	case n == 0:
		b.err = io.EOF
	}
	return b.room[:n], b.err
}

func (b *blocks) ReadByte() (byte, error) {
	if len(b.left) == 0 {
		var err error
		if b.left, err = b.next(); err != nil {
			b.left = nil
			return 0, err
		}
	}
	c := b.left[0]
	b.left = b.left[1:]
	return c, nil
}

func (b *blocks) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := b.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}

func (g *gifSource) next(dst *tensor.Tensor) error {
	if !g.waiting {
		if err := g.read(); err != nil {
			return err
		}
	}
	g.waiting = false
	g.n++
	if dst == nil {
		return nil
	}
	out, n := dst.Data(), g.w*g.h
	for i := range n {
		p := g.canvas[3*i:][:3]
		out[i], out[n+i], out[2*n+i] = unit[p[0]], unit[p[1]], unit[p[2]]
	}
	return nil
}
