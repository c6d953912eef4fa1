package longtail

import "math"

// vonMises returns, for the modified Bessel function I of the first kind and of order ν,
//
//	g = log I_ν(x) - ν·log x,   a = I_{ν+1}(x)/I_ν(x) = dg/dx,
//
// the logarithm, but for a constant, of the inverse of the factor that normalises a von
// Mises-Fisher distribution of concentration x in 2ν+2 dimensions, and its derivative,
// which is the length of that distribution's mean. x and ν are not negative. Both have
// nine digits for any x up to 1e8.
func vonMises(nu, x float64) (g, a float64) {
	// The uniform expansion needs a large order. From there down, recurrences are stable.
	steps := max(math.Ceil(24-nu), 0)
	top := nu + steps
	g = debye(top, x)
	a = x * math.Exp(debye(top+1, x)-g)
	for m := top; m > nu; m-- {
		d := 2*m + x*a
		g += math.Log(d)
		a = x / d
	}
	return g, a
}

// debye returns log I_ν(x) - ν·log x by Debye's uniform expansion (Abramowitz and Stegun,
// 9.7.7) to ν^-4.
func debye(nu, x float64) float64 {
	w := math.Sqrt(nu*nu + x*x)
	p := nu / w
	q := p * p
	v := 1 / w // p/ν
	u1 := (3 - 5*q) / 24
	u2 := (81 + q*(-462+q*385)) / 1152
	u3 := (30375 + q*(-369603+q*(765765-q*425425))) / 414720
	u4 := (4465125 + q*(-94121676+q*(349922430+q*(-446185740+q*185910725)))) / 39813120
	series := v * (u1 + v*(u2+v*(u3+v*u4)))
	return w - nu*math.Log(nu+w) - math.Log(2*math.Pi*w)/2 + math.Log1p(series)
}
