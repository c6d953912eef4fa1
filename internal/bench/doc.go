// Command bench times the library case by case.
//
//	go run ./internal/bench [-threads N] [-case PREFIX] [-seconds S] [-set NAME] [-dump DIR]
//
// It prints a line a case: the name, the least and the median time of one run in
// milliseconds, the rate in GFLOP/s that the least time means, and the share of
// the multiply-add peak that is. The peak is measured just before each case, on
// one core in registers, and multiplied by the number of threads: the clock
// moves, so a peak of another minute means nothing. Rates count the operations
// of the direct algorithm; Winograd's may exceed the peak.
//
// The cases without a prefix of their own do the same work under the same names
// as a PyTorch script kept beside this repository, so that the two can be run in
// turn; those under extra/ are the library's own. In fwdbwd both gradients follow
// the forward pass. Inputs are drawn from N(0,1), nothing is cached between runs
// (weights are packed or transformed anew) and outputs go to memory that was used
// before.
//
// With -dump, every case runs once and writes its arrays as npy files into DIR,
// CASE.ARRAY.npy with the slashes of the case turned into underscores, for a
// checker that computes them again in double precision.
//
//	go run ./internal/bench -case saga -dir DIR
//
// times SAGA on three LIBSVM files instead; see runSAGA.
package main
