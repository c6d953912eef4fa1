package neon

// three returns the printer of an instruction on vectors of one shape.
func three(name string, word int, shape string) func(d, n, m int) {
	return func(d, n, m int) {
		Line("WORD $0x%08x // %s V%d.%s, V%d.%s, V%d.%s", word|m<<16|n<<5|d, name, d, shape, n, shape, m, shape)
	}
}

// two is three with one operand, which may have another shape.
func two(name string, word int, to, from string) func(d, n int) {
	return func(d, n int) {
		Line("WORD $0x%08x // %s V%d.%s, V%d.%s", word|n<<5|d, name, d, to, n, from)
	}
}

// element is three with the last operand one lane of four, spread.
func element(name string, word int) func(d, n, m, i int) {
	return func(d, n, m, i int) {
		Line("WORD $0x%08x // %s V%d.4S, V%d.4S, V%d.S[%d]", word|i&1<<21|m<<16|i>>1<<11|n<<5|d, name, d, n, m, i)
	}
}

// element64 is element for doubles.
func element64(name string, word int) func(d, n, m, i int) {
	return func(d, n, m, i int) {
		Line("WORD $0x%08x // %s V%d.2D, V%d.2D, V%d.D[%d]", word|m<<16|i<<11|n<<5|d, name, d, n, m, i)
	}
}

// Four floats: d = n op m; MulAdd and its like add n*m to d or subtract it.
var (
	Add       = three("FADD", 0x4e20d400, "4S")
	Sub       = three("FSUB", 0x4ea0d400, "4S")
	Mul       = three("FMUL", 0x6e20dc00, "4S")
	Div       = three("FDIV", 0x6e20fc00, "4S")
	Max       = three("FMAX", 0x4e20f400, "4S") // NaN if one is
	Min       = three("FMIN", 0x4ea0f400, "4S")
	MaxNumber = three("FMAXNM", 0x4e20c400, "4S") // the other if one is NaN
	AddPairs  = three("FADDP", 0x6e20d400, "4S")  // of neighbours in n, then in m
	MulAdd    = three("FMLA", 0x4e20cc00, "4S")
	MulSub    = three("FMLS", 0x4ea0cc00, "4S")
	MulAddBy  = element("FMLA", 0x4f801000)
	MulSubBy  = element("FMLS", 0x4f805000)
	MulBy     = element("FMUL", 0x4f809000)
	Sqrt      = two("FSQRT", 0x6ea1f800, "4S", "4S")
	Abs       = two("FABS", 0x4ea0f800, "4S", "4S")
	Neg       = two("FNEG", 0x6ea0f800, "4S", "4S")
	Equal     = three("FCMEQ", 0x4e20e400, "4S") // comparisons give ones or zeros, with NaN zeros
	AtLeast   = three("FCMGE", 0x6e20e400, "4S")
	Above     = three("FCMGT", 0x6ea0e400, "4S")
	SameBits  = three("CMEQ", 0x6ea08c00, "4S")
)

// Two doubles.
var (
	Wide       = two("FCVTL", 0x0e617800, "2D", "2S")
	WideUpper  = two("FCVTL2", 0x4e617800, "2D", "4S")
	Short      = two("FCVTN", 0x0e616800, "2S", "2D")
	ShortUpper = two("FCVTN2", 0x4e616800, "4S", "2D") // the lower lanes stay
	Add64      = three("FADD", 0x4e60d400, "2D")
	Sub64      = three("FSUB", 0x4ee0d400, "2D")
	Mul64      = three("FMUL", 0x6e60dc00, "2D")
	Max64      = three("FMAX", 0x4e60f400, "2D")
	Min64      = three("FMIN", 0x4ee0f400, "2D")
	MulAdd64   = three("FMLA", 0x4e60cc00, "2D")
	Above64    = three("FCMGT", 0x6ee0e400, "2D")
	MulBy64    = element64("FMUL", 0x4fc09000)
	MulSubBy64 = element64("FMLS", 0x4fc05000)
	Round64    = two("FRINTN", 0x4e618800, "2D", "2D")
	Int64      = two("FCVTNS", 0x4e61a800, "2D", "2D")
)

// Bits and bytes.
var (
	And        = three("AND", 0x4e201c00, "16B")
	AndNot     = three("BIC", 0x4e601c00, "16B")
	OrNot      = three("ORN", 0x4ee01c00, "16B")
	Select     = three("BIT", 0x6ea01c00, "16B") // d = n where m has ones
	AbsDiff8   = three("UABD", 0x6e207400, "16B")
	Average8   = three("URHADD", 0x6e201400, "16B") // halves rounded up
	PairSums8  = two("UADDLP", 0x6e202800, "8H", "16B")
	AddPairs16 = two("UADALP", 0x6e606800, "4S", "8H") // added to d, as the next
	AddPairs32 = two("UADALP", 0x6ea06800, "2D", "4S")
	Narrow32   = two("XTN", 0x0e612800, "4H", "4S")
	Narrow16   = two("XTN", 0x0e212800, "8B", "8H")
)

// AddPair64 adds up the doubles of n.
func AddPair64(d, n int) { Line("WORD $0x%08x // FADDP D%d, V%d.2D", 0x7e70d800|n<<5|d, d, n) }

func Zero(v int)    { Line("VEOR V%d.B16, V%d.B16, V%d.B16", v, v, v) }
func Move(d, n int) { Line("VORR V%d.B16, V%d.B16, V%d.B16", n, n, d) }

// ReLU sets the lanes of v below 0 to 0. NaN and the sign of zero stay, unlike with
// Max; t is overwritten.
func ReLU(v, t int) {
	Line("WORD $0x%08x // FCMLT V%d.4S, V%d.4S, #0.0", 0x4ea0e800|v<<5|t, t, v)
	AndNot(v, v, t)
}

// Vec reads the vector off bytes behind base.
func Vec(v, base, off int) { Line("FMOVQ %d(R%d), F%d", off, base, v) }

// Put writes one.
func Put(v, base, off int) { Line("FMOVQ F%d, %d(R%d)", v, off, base) }

// VecAt reads the vector as many bytes behind base as the register index says.
func VecAt(v, base, index int) {
	Line("WORD $0x%08x // LDR Q%d, [X%d, X%d]", 0x3ce06800|index<<16|base<<5|v, v, base, index)
}

// PutAt writes one.
func PutAt(v, base, index int) {
	Line("WORD $0x%08x // STR Q%d, [X%d, X%d]", 0x3ca06800|index<<16|base<<5|v, v, base, index)
}

// Few reads n numbers, at most 8, and nothing beyond them into the lanes of vec
// and the vectors after it; r is overwritten.
func Few(vec, n, base, r int) {
	if n == 8 {
		Line("VLD1 (R%d), %s", base, List(vec, 2))
		return
	}
	at := 0
	if n >= 4 {
		Line("VLD1 (R%d), %s", base, List(vec, 1))
		vec, at = vec+1, 16
	}
	switch n % 4 {
	case 1:
		Line("FMOVS %d(R%d), F%d", at, base, vec)
	case 2, 3:
		Line("FMOVD %d(R%d), F%d", at, base, vec)
	}
	if n%4 == 3 {
		Line("ADD $%d, R%d, R%d", at+8, base, r)
		Line("VLD1 (R%d), V%d.S[2]", r, vec)
	}
}

// Transpose turns the four vectors from v on over, by way of those from tmp on.
func Transpose(v, tmp int) {
	for i := 0; i < 4; i += 2 {
		Line("VTRN1 V%d.S4, V%d.S4, V%d.S4", v+i+1, v+i, tmp+i)
		Line("VTRN2 V%d.S4, V%d.S4, V%d.S4", v+i+1, v+i, tmp+i+1)
	}
	for i := range 2 {
		Line("VTRN1 V%d.D2, V%d.D2, V%d.D2", tmp+2+i, tmp+i, v+i)
		Line("VTRN2 V%d.D2, V%d.D2, V%d.D2", tmp+2+i, tmp+i, v+2+i)
	}
}
