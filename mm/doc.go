// Package mm minimises composite finite sums,
//
//	F(θ) = (1/n) Σ_i f_i(θ) + h(θ),
//
// by majorization-minimization: MM, MISO, SMM and SPI-MM over one interface of
// surrogates, and their rivals, the stochastic gradient methods with and without
// variance reduction.
package mm
