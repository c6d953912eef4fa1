package main

// Coefficients are minimax fits (Remez exchange by reweighted least squares in
// extended precision), rounded to float32 one by one with the rest refitted.

const (
	log2e = 1.44269504
	ln2Hi = 0.693147182
	ln2Lo = -1.90465421e-9
)

// expm1Coeffs: (e^r - 1 - r)/r² on |r| <= ln2/2; relative error of e^r - 1 2^-31.
var expm1Coeffs = []float32{0.5, 0.16666666, 0.041666493, 0.008333544, 0.0013932342, 0.00019763397}

// expParts splits x = n ln2 + r and returns n, integral, and q = e^r - 1. rest, if
// given, is added to x: a correction too small to change n.
func (e *emit) expParts(x, rest vec) (n, q vec) {
	n = e.round(e.mul(x, e.c(log2e)))
	r := e.fnma(n, e.c(ln2Hi), x)
	e.fnmaInPlace(r, n, e.c(ln2Lo))
	if rest != nil {
		r = e.add(r, rest)
	}
	p := e.poly(r, expm1Coeffs...)
	rr := e.mul(r, r)
	e.fmaInPlace(p, rr, r)
	return n, p
}

// exp of x, which must lie in [-104, 89] or be NaN: beyond, the result is Inf or 0
// already.
func (e *emit) expIn(x vec) vec {
	n, q := e.expParts(x, nil)
	return e.scale(e.add(q, e.c(1)), n)
}

func (e *emit) exp(x vec) vec {
	return e.expIn(e.min(e.c(89), e.max(e.c(-104), x)))
}

// expNeg is e^-|x|.
func (e *emit) expNeg(x vec) vec {
	return e.expIn(e.max(e.c(-104), e.or(x, e.bits(0x80000000))))
}

// tanh is E/(E+2) with E = e^2|x| - 1 = 2^n q + (2^n - 1), signed as x. Beyond 9.1
// it is 1.
func (e *emit) tanh(x vec) vec {
	t := e.min(e.c(9.1), e.abs(x))
	n, q := e.expParts(e.add(t, t), nil)
	s := e.pow2(n)
	E := e.fma(s, q, e.sub(s, e.c(1)))
	return e.withSign(e.div(E, e.add(E, e.c(2))), x)
}

// sigmoid is 1/(1+z) or z/(1+z), z = e^-|x|, so that neither tail cancels.
func (e *emit) sigmoid(x vec) vec {
	z := e.expNeg(x)
	one := e.c(1)
	return e.div(e.choose(e.compare(less, x, e.zero()), z, one), e.add(z, one))
}

// logCoeffs: (log(1+f) - f + f²/2)/f³ on 1/√2 <= 1+f <= √2; relative error of
// log(1+f) 2^-30.
var logCoeffs = []float32{
	0.33333313, -0.2500001, 0.20002072, -0.1666799, 0.14220363,
	-0.12406208, 0.11883471, -0.11670183, 0.06749539,
}

// logNormal is the logarithm of x * 2^lift for positive, finite, normal x; anything
// else gives nonsense. lift may be nil.
func (e *emit) logNormal(x, lift vec) vec {
	const rootHalf = 0x3f3504f3
	k := e.shiftArith(e.subInt(x, e.bits(rootHalf)), 23)
	f := e.sub(e.subInt(x, e.shiftLeft(k, 23)), e.c(1))
	n := e.fromInt(k)
	if lift != nil {
		n = e.add(n, lift)
	}

	p := e.poly(f, logCoeffs...)
	ff := e.mul(f, f)
	// n ln2Hi + (f - (f²/2 - (f³p + n ln2Lo)))
	t := e.mul(e.mul(ff, f), p)
	t = e.fma(n, e.c(ln2Lo), t)
	t = e.fnma(ff, e.c(0.5), t)
	t = e.add(f, t)
	return e.fma(n, e.c(ln2Hi), t)
}

func (e *emit) log(x vec) vec {
	// Subnormal numbers are brought up by 2^23.
	low := e.compare(less, x, e.bits(0x00800000))
	y := e.logNormal(e.choose(low, e.mul(x, e.c(1<<23)), x), e.where(low, e.c(-23)))
	inf := e.bits(0x7f800000)
	y = e.choose(e.compare(equal, x, inf), inf, y)
	y = e.choose(e.compare(notLess, x, e.zero()), y, e.bits(0x7fc00000))
	y = e.choose(e.compare(unordered, x, x), x, y)
	return e.choose(e.compare(equal, x, e.zero()), e.bits(0xff800000), y)
}

// log1pCoeffs: (2 atanh(s) - 2s)/s³ in s², 0 <= s <= 1/3; relative error of
// atanh(s) 2^-27.7.
var log1pCoeffs = []float32{0.6666641, 0.40021735, 0.27998665, 0.28026357}

// softplus is max(x, 0) + log(1+z), z = e^-|x|, with log(1+z) = 2 atanh(z/(2+z)).
func (e *emit) softplus(x vec) vec {
	z := e.expNeg(x)
	s := e.div(z, e.add(z, e.c(2)))
	w := e.mul(s, s)
	p := e.poly(w, log1pCoeffs...)
	p = e.mul(p, w)
	p = e.fma(p, s, e.add(s, s))
	return e.add(e.max(e.zero(), x), p)
}

// The tail of the normal distribution is Φ(-t) = e^(-t²/2) P(t)/Q(t); relative
// error of P/Q 2^-27.2 on [0, 15]. All terms of P and of Q count alike where t is
// large, and Horner's rule would lose three units to them in float32.
var (
	tailP = []float64{0.5000000031474577, 0.4392859483908345, 0.18397098569503514, 0.04088174514402228, 0.00415331978585729}
	tailQ = []float64{1, 1.6764569037504067, 1.2055559929997683, 0.47141356931957507, 0.10248145386682524, 0.010410717167638642}
)

// normalTail returns t = |x|, limited to 15, and q, n with e^(-t²/2) =
// (1+q) 2^n. The square is carried in two numbers: at 10 its rounding would
// be 50 units in the last place of the result.
func (e *emit) normalTail(x vec) (t, q, n vec) {
	t = e.min(e.c(15), e.abs(x))
	half := e.mul(t, e.c(-0.5))
	h := e.mul(half, t)
	n, q = e.expParts(h, e.fms(half, t, h))
	return t, q, n
}

// gelu is max(x, 0) - t Φ(-t), t = |x|. Scaling by 2^n comes last: the product may
// be subnormal.
func (e *emit) gelu(x vec) vec {
	t, q, n := e.normalTail(x)
	wide := e.widen(t)
	p := e.polyWide(wide, tailP)
	g := e.div(e.narrow(e.mulWide(wide, p)), e.narrow(e.polyWide(wide, tailQ)))
	g = e.fma(q, g, g)
	return e.sub(e.max(e.zero(), x), e.scale(g, n))
}

const invRoot2Pi = 0.398942280

// geluSlope is d = Φ(-t) - tφ(t) below 0, 1-d above.
func (e *emit) geluSlope(x vec) vec {
	t, q, n := e.normalTail(x)
	wide := e.widen(t)
	ratio := e.div(e.narrow(e.polyWide(wide, tailP)), e.narrow(e.polyWide(wide, tailQ)))
	d := e.fnma(t, e.c(invRoot2Pi), ratio)
	d = e.scale(e.fma(q, d, d), n)
	return e.choose(e.compare(less, x, e.zero()), d, e.sub(e.c(1), d))
}
