package kernel

import (
	"math"
	"unsafe"
)

// winoLanes is the number of channels in a block: what stands side by side in
// the layouts of this algorithm, whatever the width of the machine's vectors.
const winoLanes = 16

// winoOps are the innermost loops of Winograd convolution. A pixel, and a
// position of a transformed tile, is a block of 16 neighbouring channels. Strides
// count floats, but dstRow and srcRow count pixels where a row is made of pixels.
// tmp has room for what a set cannot hold in registers, see winoTmp.
//
// The sets differ only in how they round: the generic one rounds every product.
type winoOps struct {
	// pack gathers n pixels of up to 16 planes: pixel p has plane c's src[c*plane+p],
	// or 0 if c >= nch, and goes at[p] bytes behind dst. What stands ahead floats
	// further on in the planes will be needed soon; only AVX-512 makes use of that.
	pack func(dst, src *float32, at *int32, plane, n, nch, ahead int)

	// unpack is the way back: pixel p lies at[p] bytes behind src. Channels from nch
	// on are dropped.
	unpack func(dst, src *float32, at *int32, plane, n, nch, ahead int)

	// input computes Bᵀ d B for rows x tiles tiles of 6x6 pixels, each 4 pixels
	// from the one before. Tile t, counted through all rows, goes to v[t*vTile:],
	// position i of it pos*i further on.
	input func(v, src, tmp *float32, pos, vTile, srcRow, rows, tiles int)

	// output computes max(floor, Aᵀ m A + bias), 4x4 pixels a tile.
	output func(dst, m, tmp, bias *float32, floor float32, pos, mTile, dstRow, rows, tiles int)

	// gradient computes A y Aᵀ for tiles of 4x4 pixels, the adjoint of output.
	gradient func(m, src, tmp *float32, pos, mTile, srcRow, rows, tiles int)

	// filter computes G f Gᵀ for n filters, srcStep apart, whose nine taps are
	// srcTap apart.
	filter func(u, src, tmp *float32, pos, uStep, srcTap, srcStep, n int)

	// filterPair computes the same for filters of which only 2x2 taps, from src on,
	// are not 0: 2*row+col is the window of those. What is 0 then is not written.
	filterPair [4]func(u, src, tmp *float32, pos, uStep, srcTap, srcStep, n int)

	// filterGradient computes Gᵀ u G, nine pixels in a row, for the n sums over
	// parts of u, part apart: the adjoint of filter.
	filterGradient func(dst, u, tmp *float32, pos, uStep, part, parts, dstStep, n int)

	// product[i] and product2[i] multiply blocks of 2*(i+1) rows with 16 or 32
	// columns:
	//
	//	c[r,j] = sum over s < segs, p < k of a[s*seg + r*lda + p] * b[(s*k+p)*ldb + j]
	//
	// in the order of s, then p, whatever the number of rows, and on top of c if add
	// is not 0. product2 may be empty.
	product, product2 []func(c, a, b *float32, ldc, lda, ldb, seg, k, segs, blocks, add int)

	// outer[i] and outer2[i] sum k outer products of 2*(i+1) by 16 or 32 entries,
	// on top of c if add is not 0:
	//
	//	c[i,j] += sum over p < k of a[p*lda+i] * b[p*ldb+j]
	outer, outer2 []func(c, a, b *float32, ldc, lda, ldb, k, add int)

	// depthwise convolves every channel of n pixels by itself: pixel i is
	//
	//	max(floor, bias + sum over t < taps of w[t] * src[i*step, and at[t] bytes on])
	//
	// in the order of t. Pixels are computed in blocks of eight; those behind the
	// last may be overwritten.
	depthwise func(dst, src, w, bias *float32, at *int32, floor float32, step, n, taps int)

	// depthwiseSums[t-1] adds to each of t pixels of sums the sum over n > 0 pixels
	// of dy[i] * src[i*step, and at[t] bytes on].
	depthwiseSums [9]func(sums, src, dy *float32, at *int32, step, n int)
}

// winoTmp returns the floats of tmp that rows of so many tiles need.
func winoTmp(tiles int) int { return max(72, 6*(4*tiles+2)) * winoLanes }

var genericWino = winoOps{
	pack:           winoPack,
	unpack:         winoUnpack,
	input:          winoInput,
	output:         winoOutput,
	gradient:       winoGradient,
	filter:         winoFilter,
	filterGradient: winoFilterGradient,
	filterPair:     winoFilterPairs,
	depthwise:      winoDepthwise,
	depthwiseSums:  winoSumsOf(winoDepthwiseSums),
	product:        winoRows(winoProduct),
	outer:          winoOuterRows(winoOuter),
}

// The points are 0, ±√½, ±√2 and infinity, so the polynomial with the finite
// points as roots is x⁵ - 5/2 x³ + x. A row of Bᵀ holds the coefficients of that
// polynomial divided by x minus the row's point, a column of Aᵀ the powers of the
// point, and a row of G its powers over the value there of the first polynomial.
const (
	winoS float32 = math.Sqrt2 / 2
	winoT float32 = math.Sqrt2
)

// A winoVec is one pixel or position.
type winoVec = [winoLanes]float32

// winoInput1 is Bᵀ d for one channel.
func winoInput1(d [6]float32) [6]float32 {
	es, os := d[4]-float32(2*d[2]), d[3]-float32(2*d[1])
	et, ot := d[4]-float32(0.5*d[2]), d[3]-float32(0.5*d[1])
	return [6]float32{
		d[4] - float32(2.5*d[2]) + d[0],
		es + float32(winoS*os),
		es - float32(winoS*os),
		et + float32(winoT*ot),
		et - float32(winoT*ot),
		d[5] - float32(2.5*d[3]) + d[1],
	}
}

// winoOutput1 is Aᵀ m.
func winoOutput1(m [6]float32) [6]float32 {
	p, q, u, v := m[1]+m[2], m[1]-m[2], m[3]+m[4], m[3]-m[4]
	return [6]float32{
		m[0] + p + u,
		float32(winoS*q) + float32(winoT*v),
		float32(0.5*p) + float32(2*u),
		float32(winoS/2*q) + m[5] + float32(2*winoT*v),
	}
}

// winoGradient1 is A y, four values of y to six.
func winoGradient1(y [6]float32) [6]float32 {
	es, os := y[0]+float32(0.5*y[2]), y[1]+float32(0.5*y[3])
	et, ot := y[0]+float32(2*y[2]), y[1]+float32(2*y[3])
	return [6]float32{
		y[0],
		es + float32(winoS*os),
		es - float32(winoS*os),
		et + float32(winoT*ot),
		et - float32(winoT*ot),
		y[3],
	}
}

// winoFilter1 is G f, three values of f to six.
func winoFilter1(f [6]float32) [6]float32 {
	third := float32(1. / 3 * f[2])
	es := -(float32(2./3*f[0]) + third)
	os := float32(2 * winoS / 3 * f[1])
	et := float32(1./6*f[0]) + third
	ot := float32(winoT / 6 * f[1])
	return [6]float32{f[0], es - os, es + os, et + ot, et - ot, f[2]}
}

// winoFilterGradient1 is Gᵀ u, six values to three.
func winoFilterGradient1(u [6]float32) [6]float32 {
	p, q, v, w := u[1]+u[2], u[1]-u[2], u[3]+u[4], u[3]-u[4]
	return [6]float32{
		u[0] - float32(2./3*p) + float32(1./6*v),
		float32(winoT/6*w) - float32(2*winoS/3*q),
		u[5] + float32(1./3*(v-p)),
	}
}

// winoSandwich applies f to the columns and then to the rows of the rows x cols
// values x, once a channel. byRow turns the two steps round.
func winoSandwich(y, x *[36]winoVec, rows, cols, outRows, outCols int, byRow bool, f func([6]float32) [6]float32) {
	var in [6]float32
	for l := range winoLanes {
		var mid [6][6]float32
		if byRow {
			for i := range rows {
				for j := range cols {
					in[j] = x[i*cols+j][l]
				}
				mid[i] = f(in)
			}
			for j := range outCols {
				for i := range rows {
					in[i] = mid[i][j]
				}
				for i, v := range f(in) {
					if i < outRows {
						y[i*outCols+j][l] = v
					}
				}
			}
			continue
		}
		for j := range cols {
			for i := range rows {
				in[i] = x[i*cols+j][l]
			}
			for i, v := range f(in) {
				mid[i][j] = v
			}
		}
		for i := range outRows {
			r := f(mid[i])
			for j := range outCols {
				y[i*outCols+j][l] = r[j]
			}
		}
	}
}

// winoPixel returns the pixel at bytes behind p.
func winoPixel(p *float32, at int) *winoVec {
	return (*winoVec)(unsafe.Add(unsafe.Pointer(p), at))
}

func winoPack(dst, src *float32, at *int32, plane, n, nch, ahead int) {
	s := unsafe.Slice(src, (nch-1)*plane+n)
	for p, to := range unsafe.Slice(at, n) {
		px := winoPixel(dst, int(to))
		*px = winoVec{}
		for c := range nch {
			px[c] = s[c*plane+p]
		}
	}
}

func winoUnpack(dst, src *float32, at *int32, plane, n, nch, ahead int) {
	d := unsafe.Slice(dst, (nch-1)*plane+n)
	for p, from := range unsafe.Slice(at, n) {
		px := winoPixel(src, int(from))
		for c := range nch {
			d[c*plane+p] = px[c]
		}
	}
}

func winoInput(v, src, tmp *float32, pos, vTile, srcRow, rows, tiles int) {
	s := unsafe.Slice(src, ((4*rows+1)*srcRow+4*tiles+2)*winoLanes)
	d := unsafe.Slice(v, 35*pos+(rows*tiles-1)*vTile+winoLanes)
	var x, y [36]winoVec
	for t := range rows * tiles {
		at := (t/tiles*4*srcRow + t%tiles*4) * winoLanes
		for i := range x {
			x[i] = winoVec(s[at+(i/6*srcRow+i%6)*winoLanes:])
		}
		winoSandwich(&y, &x, 6, 6, 6, 6, false, winoInput1)
		for i := range y {
			copy(d[i*pos+t*vTile:], y[i][:])
		}
	}
}

func winoOutput(dst, m, tmp, bias *float32, floor float32, pos, mTile, dstRow, rows, tiles int) {
	s := unsafe.Slice(m, 35*pos+(rows*tiles-1)*mTile+winoLanes)
	d := unsafe.Slice(dst, ((4*rows-1)*dstRow+4*tiles)*winoLanes)
	b := unsafe.Slice(bias, winoLanes)
	var x, y [36]winoVec
	for t := range rows * tiles {
		for i := range x {
			x[i] = winoVec(s[i*pos+t*mTile:])
		}
		winoSandwich(&y, &x, 6, 6, 4, 4, true, winoOutput1)
		at := (t/tiles*4*dstRow + t%tiles*4) * winoLanes
		for i := range 16 {
			p := d[at+(i/4*dstRow+i%4)*winoLanes:][:winoLanes]
			for l := range p {
				p[l] = y[i][l] + b[l]
				if p[l] < floor {
					p[l] = floor
				}
			}
		}
	}
}

func winoGradient(m, src, tmp *float32, pos, mTile, srcRow, rows, tiles int) {
	s := unsafe.Slice(src, ((4*rows-1)*srcRow+4*tiles)*winoLanes)
	d := unsafe.Slice(m, 35*pos+(rows*tiles-1)*mTile+winoLanes)
	var x, y [36]winoVec
	for t := range rows * tiles {
		at := (t/tiles*4*srcRow + t%tiles*4) * winoLanes
		for i := range 16 {
			x[i] = winoVec(s[at+(i/4*srcRow+i%4)*winoLanes:])
		}
		winoSandwich(&y, &x, 4, 4, 6, 6, false, winoGradient1)
		for i := range y {
			copy(d[i*pos+t*mTile:], y[i][:])
		}
	}
}

func winoFilter(u, src, tmp *float32, pos, uStep, srcTap, srcStep, n int) {
	low := min(0, 8*srcTap) // the taps of a flipped filter run backwards
	first := (*float32)(unsafe.Add(unsafe.Pointer(src), 4*low))
	s := unsafe.Slice(first, max(8*srcTap, -low)+(n-1)*srcStep+winoLanes)
	d := unsafe.Slice(u, 35*pos+(n-1)*uStep+winoLanes)
	var x, y [36]winoVec
	for f := range n {
		for i := range 9 {
			x[i] = winoVec(s[f*srcStep+i*srcTap-low:])
		}
		winoSandwich(&y, &x, 3, 3, 6, 6, false, winoFilter1)
		for i := range y {
			copy(d[i*pos+f*uStep:], y[i][:])
		}
	}
}

var winoFilterPairs = func() (list [4]func(u, src, tmp *float32, pos, uStep, srcTap, srcStep, n int)) {
	for window := range list {
		list[window] = func(u, src, tmp *float32, pos, uStep, srcTap, srcStep, n int) {
			winoFilterPair(window/2, window%2, u, src, pos, uStep, srcTap, srcStep, n)
		}
	}
	return list
}()

func winoFilterPair(row, col int, u, src *float32, pos, uStep, srcTap, srcStep, n int) {
	for f := range n {
		var x, y [36]winoVec
		for i := range 4 {
			x[(i/2+row)*3+i%2+col] = *winoPixel(src, 4*(f*srcStep+(i/2*3+i%2)*srcTap))
		}
		winoSandwich(&y, &x, 3, 3, 6, 6, false, winoFilter1)
		for i := range 25 {
			p := (i/5+row)*6 + i%5 + col
			*winoPixel(u, 4*(p*pos+f*uStep)) = y[p]
		}
	}
}

func winoFilterGradient(dst, u, tmp *float32, pos, uStep, part, parts, dstStep, n int) {
	s := unsafe.Slice(u, 35*pos+(n-1)*uStep+(parts-1)*part+winoLanes)
	d := unsafe.Slice(dst, (n-1)*dstStep+9*winoLanes)
	var x, y [36]winoVec
	for f := range n {
		for i := range x {
			x[i] = winoVec(s[i*pos+f*uStep:])
			for p := 1; p < parts; p++ {
				for l, v := range winoVec(s[i*pos+f*uStep+p*part:]) {
					x[i][l] += v
				}
			}
		}
		winoSandwich(&y, &x, 6, 6, 3, 3, false, winoFilterGradient1)
		for i := range 9 {
			copy(d[f*dstStep+i*winoLanes:], y[i][:])
		}
	}
}

// winoMaxRows is the largest block of the portable products.
const winoMaxRows = 8

func winoRows(f func(n int, c, a, b *float32, ldc, lda, ldb, seg, k, segs, add int)) []func(c, a, b *float32, ldc, lda, ldb, seg, k, segs, blocks, add int) {
	var list []func(c, a, b *float32, ldc, lda, ldb, seg, k, segs, blocks, add int)
	for rows := 2; rows <= winoMaxRows; rows += 2 {
		list = append(list, func(c, a, b *float32, ldc, lda, ldb, seg, k, segs, blocks, add int) {
			f(rows*blocks, c, a, b, ldc, lda, ldb, seg, k, segs, add)
		})
	}
	return list
}

func winoProduct(n int, c, a, b *float32, ldc, lda, ldb, seg, k, segs, add int) {
	cs := unsafe.Slice(c, (n-1)*ldc+winoLanes)
	as := unsafe.Slice(a, (segs-1)*seg+(n-1)*lda+k)
	bs := unsafe.Slice(b, (segs*k-1)*ldb+winoLanes)
	for r := range n {
		var acc winoVec
		if add != 0 {
			acc = winoVec(cs[r*ldc:])
		}
		for s := range segs {
			for p, v := range as[s*seg+r*lda:][:k] {
				w := bs[(s*k+p)*ldb:][:winoLanes]
				for j := range acc {
					acc[j] += float32(v * w[j])
				}
			}
		}
		copy(cs[r*ldc:], acc[:])
	}
}

func winoOuterRows(f func(n int, c, a, b *float32, ldc, lda, ldb, k, add int)) []func(c, a, b *float32, ldc, lda, ldb, k, add int) {
	var list []func(c, a, b *float32, ldc, lda, ldb, k, add int)
	for rows := 2; rows <= winoMaxRows; rows += 2 {
		list = append(list, func(c, a, b *float32, ldc, lda, ldb, k, add int) {
			f(rows, c, a, b, ldc, lda, ldb, k, add)
		})
	}
	return list
}

func winoOuter(n int, c, a, b *float32, ldc, lda, ldb, k, add int) {
	cs := unsafe.Slice(c, (n-1)*ldc+winoLanes)
	as := unsafe.Slice(a, (k-1)*lda+n)
	bs := unsafe.Slice(b, (k-1)*ldb+winoLanes)
	for i := range n {
		var acc winoVec
		if add != 0 {
			acc = winoVec(cs[i*ldc:])
		}
		for p := range k {
			v, w := as[p*lda+i], bs[p*ldb:][:winoLanes]
			for j := range acc {
				acc[j] += float32(v * w[j])
			}
		}
		copy(cs[i*ldc:], acc[:])
	}
}
