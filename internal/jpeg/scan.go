package jpeg

import "errors"

// A scan is one pass over some of the components.
type scan struct {
	bitReader
	d          *decoder
	parts      []part
	start, end int // coefficients, of a progressive picture
	high, low  int // bits: what was known before, and what is after
	run        int // blocks to come without a coefficient of this band
}

// A part is a component in a scan.
type part struct {
	*component
	dc, ac *huffman
	last   int32 // the DC value before
}

var errScan = errors.New("jpeg: a scan header that cannot be")

// scan reads a scan header, T.81, B.2.3, and the scan behind it.
func (d *decoder) scan(s []byte) error {
	if d.comps == nil {
		return errors.New("jpeg: a scan before the frame")
	}
	if len(s) < 1 || len(s) != 4+2*int(s[0]) || s[0] < 1 || int(s[0]) > len(d.comps) {
		return errScan
	}
	sc := scan{bitReader: bitReader{src: d.rest}, d: d, end: 63}
	units := 0
	for i := range int(s[0]) {
		name, tables := s[1+2*i], s[2+2*i]
		var p part
		for k := range d.comps {
			if d.comps[k].id == name {
				p.component = &d.comps[k]
			}
		}
		if p.component == nil || tables>>4 > 3 || tables&15 > 3 {
			return errScan
		}
		for _, other := range sc.parts {
			if other.component == p.component {
				return errScan
			}
		}
		p.dc, p.ac = &d.dc[tables>>4], &d.ac[tables&15]
		p.seen = true
		units += p.h * p.v
		sc.parts = append(sc.parts, p)
	}
	if len(sc.parts) > 1 && units > 10 { // T.81, B.2.3
		return errScan
	}
	if d.progressive {
		tail := s[len(s)-3:]
		sc.start, sc.end = int(tail[0]), int(tail[1])
		sc.high, sc.low = int(tail[2]>>4), int(tail[2]&15)
		switch {
		case sc.start > sc.end || sc.end > 63 || sc.low > 13,
			sc.start == 0 && sc.end > 0,
			sc.start > 0 && len(sc.parts) > 1,
			sc.high > 0 && sc.high != sc.low+1:
			return errScan
		}
	}
	for _, p := range sc.parts {
		needDC, needAC := sc.start == 0 && sc.high == 0, sc.end > 0
		if needDC && p.dc.values == nil || needAC && p.ac.values == nil {
			return errors.New("jpeg: a scan without its table of codes")
		}
		if !d.progressive && !d.quantKnown[p.quant] {
			return errors.New("jpeg: a scan without its table of steps")
		}
	}
	if err := sc.blocks(); err != nil {
		return err
	}
	d.rest = sc.src
	return nil
}

// blocks reads all blocks of the scan. A scan of one component has just the blocks that
// the picture needs; a scan of several has them in units, T.81, A.2.
func (s *scan) blocks() error {
	nx, ny := s.d.mcuX, s.d.mcuY
	single := len(s.parts) == 1
	if single {
		nx, ny = s.parts[0].cols, s.parts[0].rows
	}
	restarts := 0
	for unit := range nx * ny {
		if s.d.restart > 0 && unit > 0 && unit%s.d.restart == 0 {
			if err := s.restart(restarts % 8); err != nil {
				return err
			}
			restarts++
			s.run = 0
			for i := range s.parts {
				s.parts[i].last = 0
			}
		}
		ux, uy := unit%nx, unit/nx
		for i := range s.parts {
			p := &s.parts[i]
			w, h := p.h, p.v
			if single {
				w, h = 1, 1
			}
			for k := range w * h {
				if err := s.block(p, (uy*h+k/w)*p.stride+ux*w+k%w); err != nil {
					return err
				}
			}
		}
		if s.fake > 0 {
			if err := s.ended(); err != nil {
				return err
			}
		}
	}
	return nil
}

// block reads a block, by its place in the component.
func (s *scan) block(p *part, at int) error {
	if !s.d.progressive {
		return s.sequential(p, at)
	}
	b := (*[64]int16)(p.coef[64*at:])
	switch {
	case s.start == 0 && s.high == 0:
		return s.firstDC(p, b)
	case s.start == 0:
		b[0] |= int16(s.bits(1) << s.low)
		return nil
	case s.high == 0:
		return s.firstAC(p, b)
	}
	return s.refineAC(p, b)
}

// sequential reads a whole block and transforms it, T.81, F.2.2.
func (s *scan) sequential(p *part, at int) error {
	var b [64]int16
	if err := s.firstDC(p, &b); err != nil {
		return err
	}
	for k := 1; k < 64; k++ {
		symbol, err := s.symbol(p.ac)
		if err != nil {
			return err
		}
		zeros, size := int(symbol>>4), int(symbol&15)
		if size == 0 {
			if zeros < 15 {
				break
			}
			k += 15
			continue
		}
		if k += zeros; k > 63 {
			return errCode
		}
		b[zigzag[k]] = int16(s.extended(size))
	}
	x, y := at%p.stride, at/p.stride
	inverse(p.plane[64*y*p.stride+8*x:], 8*p.stride, &b, &s.d.quant[p.quant])
	return nil
}

// firstDC reads the difference of a DC value to the one before.
func (s *scan) firstDC(p *part, b *[64]int16) error {
	size, err := s.symbol(p.dc)
	if err != nil {
		return err
	}
	if size > 15 {
		return errCode
	}
	p.last += s.extended(int(size))
	b[0] = int16(p.last << s.low)
	return nil
}

// firstAC reads the upper bits of a band, T.81, G.1.2.2.
func (s *scan) firstAC(p *part, b *[64]int16) error {
	if s.run > 0 {
		s.run--
		return nil
	}
	for k := s.start; k <= s.end; k++ {
		symbol, err := s.symbol(p.ac)
		if err != nil {
			return err
		}
		zeros, size := int(symbol>>4), int(symbol&15)
		if size == 0 {
			if zeros < 15 {
				s.run = 1<<zeros + int(s.bits(zeros)) - 1
				return nil
			}
			k += 15
			continue
		}
		if k += zeros; k > s.end {
			return errCode
		}
		b[zigzag[k]] = int16(s.extended(size) << s.low)
	}
	return nil
}

// refineAC reads one more bit of a band, T.81, G.1.2.3: of every coefficient that is not
// 0, and where new ones appear.
func (s *scan) refineAC(p *part, b *[64]int16) error {
	bit := int16(1) << s.low
	refine := func(c *int16) {
		switch {
		case s.bits(1) == 0:
		case *c > 0:
			*c += bit
		default:
			*c -= bit
		}
	}
	k := s.start
	for s.run == 0 && k <= s.end {
		symbol, err := s.symbol(p.ac)
		if err != nil {
			return err
		}
		zeros, size := int(symbol>>4), int(symbol&15)
		var value int16
		switch {
		case size > 1:
			return errCode
		case size == 1:
			value = -bit
			if s.bits(1) == 1 {
				value = bit
			}
		case zeros < 15:
			s.run = 1<<zeros + int(s.bits(zeros))
		}
		if s.run > 0 {
			break
		}
		// Over that many coefficients that stay 0, refining those that are not.
		for ; k <= s.end; k++ {
			c := &b[zigzag[k]]
			if *c != 0 {
				refine(c)
				continue
			}
			if zeros == 0 {
				*c = value
				k++
				break
			}
			zeros--
		}
	}
	if s.run > 0 {
		for ; k <= s.end; k++ {
			if c := &b[zigzag[k]]; *c != 0 {
				refine(c)
			}
		}
		s.run--
	}
	return nil
}

// transform makes the plane of a progressive picture.
func (d *decoder) transform(c *component) error {
	if !d.quantKnown[c.quant] {
		return errors.New("jpeg: a component without its table of steps")
	}
	for i := range len(c.coef) / 64 {
		x, y := i%c.stride, i/c.stride
		inverse(c.plane[64*y*c.stride+8*x:], 8*c.stride, (*[64]int16)(c.coef[64*i:]), &d.quant[c.quant])
	}
	return nil
}
