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
// times SAGA on three LIBSVM files instead; see runSAGA. And
//
//	go run ./internal/bench -case campaign
//
// tells what an attack's loop, the ledger and the journal cost beside the victim;
// see runCampaign.
//
// # Matrix products: what was measured and tried
//
// Two vCPUs of an AMD EPYC (Zen 5, AVX-512), Go 1.26.8, November 2026; PyTorch
// 1.13 with OpenBLAS 0.3.21 (SKYLAKEX kernels) run in turn with ours on an
// otherwise idle machine, two rounds, the lesser minimum in milliseconds:
//
//	              1 thread             2 threads
//	         ours  OpenBLAS  share   ours  OpenBLAS
//	 128    0.018     0.020    88%  0.010     0.013
//	 512    1.099     1.081    94%  0.561     0.578
//	1024    9.137     9.066    92%  4.605     4.566
//	2048   74.85     72.32     88% 37.69     37.23
//
// All but 2048 at one thread (3.5 % behind) are within 3 %. What helped: asking
// for packed A 4 KB ahead inside the tile (76 to 90 % of the peak at 2048, where
// the third-level cache is shared with strangers), stretches of 512 rather than
// 256 (1-2 %), copying B to all strips of a part 32 rows at a time (4-5 %). What
// did not: asking for B ahead, packing all of B beforehand, transposing by
// masked loads instead of shuffles, unmasked stores in the packing.
//
// One row times a transposed matrix (extra/matmul/linear_1x128x1600) takes
// twice OpenBLAS's time: rows must have the same bits in any batch, so the sum
// runs along k in order and the matrix is transposed on the way.
//
// # 3x3 convolutions of stride 1: what was measured and tried
//
// The same machine and month, one window for each number of threads (ours,
// PyTorch, ours), least times in milliseconds; fwdbwd is the sum of the three
// passes' minima:
//
//	                        1 thread                         2 threads
//	               fwd  PyTorch   fwdbwd  PyTorch    fwd  PyTorch   fwdbwd  PyTorch
//	16x32x32      1.65     4.54     4.75    14.6     .81     2.17     2.36     6.73
//	32x16x16       .97     2.88     2.93     9.47    .49     1.34     1.47     4.72
//	64x8x8         .78     2.48     2.42     8.11    .40     1.26     1.23     3.99
//	64x56x56      2.63     8.40     8.27    25.4    1.27     4.15     3.90    13.3
//	256x14x14     3.11     8.02     9.73    24.9    1.46     3.94     4.48    12.2
//	64x8x28x28    3.12    10.45    10.1      -      1.57     5.91     5.19     -
//
// All are Winograd F(4x4,3x3). What helped: an odd number of cache lines between
// the 36 positions (256x14x14 at two threads from 3.05 to 2.02), computing both
// transforms of a weight gradient before its blocks where channels are many (7.6
// to 3.7), transforming filters for 32 results at a time where they outgrow the
// second-level cache, fetching the next run of pixels at its exact distance
// (5-12 %). What did not: other chunk sizes (within 5-10 %), copying rows that two
// runs share, multiplying all column blocks of a chunk at once (20 % slower at 256
// channels). F(2x2) for images that 4 does not divide was reckoned and not built:
// a sixth fewer multiplications, and filters 2.8 times as large.
package main
