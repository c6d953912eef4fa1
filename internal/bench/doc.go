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
// turn; those under extra/ are done by peers/extras.py. In fwdbwd both gradients follow
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
//
// # Everything, on a smaller machine
//
// Two vCPUs of an AMD EPYC (Zen 4: AVX-512 at half width, 118 GFLOP/s a core, 1 MB
// of second-level cache), Go 1.26.8, November 2026; PyTorch 1.13 and OpenBLAS
// 0.3.21 (SKYLAKEX kernels) set up as peers/extras.py says. For each number of
// threads one window, both sides in turn family by family, two rounds: the least
// time of ours in milliseconds, and its ratio to PyTorch's. What the script times has
// its own names; the other lines are those under extra/.
//
// The machine was not otherwise idle: programs of lower priority shared memory and
// cache, and now and then had the second core for the length of a line. PyTorch's
// threads, which wait for each other in every layer, suffer more: ratios at two
// threads far below those at one flatter us. Of ours, lines that take as long with two threads
// as with one were hit; an earlier window has .569 (.77) and 2.14 (.82) for
// meta/mnist_b100/conv4x4s2_64x7x7, 1.01 (.66) and 3.81 (.67) for the layer before
// it, .404 (.90) for depthwise_64x56x56, and .233 (.70) and .978 (1.05) for
// meta/cifar_b1/conv4x4s2_128x8x8. The 10.1 of conv2d/4x4s2_64x16x16 is such an
// accident too: meta/cifar_b64/conv4x4s2_64x16x16 is the same layer, and right after
// the window it took 6.1.
//
//	                                                 1 thread                 2 threads
//	                                             fwd      fwdbwd          fwd      fwdbwd
//	conv2d/16x32x32                             2.94  .34   9.64  .39    1.58  .36   4.82  .39
//	conv2d/32x16x16                             2.06  .38   6.90  .38    1.04  .39   3.71  .41
//	conv2d/64x8x8                               1.66  .36   5.45  .35    .877  .36   2.81  .34
//	conv2d/64x56x56                             5.51  .32   17.6  .32    2.74  .33   9.10  .33
//	conv2d/256x14x14                            6.33  .43   21.8  .45    3.29  .44   11.6  .45
//	conv2d/256x56x56_1x1                        4.88 1.10   14.9  .95    2.32  .79   7.83  .90
//	conv2d/3x224x224_7x7s2                      17.4  .92   55.8  .41    8.80  .90   29.9  .42
//	conv3d/64x8x28x28                           7.08  .33      -         3.56  .33      -
//	conv2d/depthwise_64x56x56                   .822  .68   3.53  .66    .499 1.17   1.55  .58
//	conv2d/depthwise_128x14x14                  .100  .76   .303  .74    .059  .68   .197  .70
//	conv2d/depthwise_256x7x7                    .058  .65   .191  .66    .033  .52   .124  .58
//	conv2d/depthwise_s2_64x56x56                .374  .86   2.31  .83    .220 1.05   1.10  .88
//	conv2d/3x3s2_32x32x32                       8.02  .68   25.5  .72    4.32  .63   14.7  .66
//	conv2d/5x5s2_32x32x32                       3.15  .42   11.0  .46    1.85  .47   7.40  .55
//	conv2d/4x4s2_64x16x16                       10.1 1.09   28.0  .96    2.90  .53   11.7  .71
//	conv2d/1x1s2_64x56x56                       1.08  .70   4.55  .82    .521  .76   2.37  .96
//	conv2d/1x1_512x7x7                          .598 1.02   1.77  .90    .331  .89   1.07  .91
//	conv2d/1x1_512x7x7_b1                       .080 1.04   .240  .90    .046  .51   .182  .60
//	conv2d/batch1_64x56x56                      .662  .32   2.10  .32    .399  .33   1.30  .33
//	conv2d/batch1_16x32x32                      .024  .24   .073  .18    .024  .06   .073  .13
//	conv2d/odd_17x31x31                         .688  .25   2.14  .25    .383  .28   1.19  .28
//	conv2d/transposed4x4s2_128x8x8              5.60  .35   22.6  .46    2.92  .06   13.0  .22
//	conv3d/64x8x28x28                           7.09  .32   23.9  .35    4.61  .42   14.9  .43
//	conv3d/3x16x112x112                         21.0  .70   72.9  .38    12.3  .81   41.3  .42
//	meta/mnist_b100/conv4x4s2_16x28x28          2.40  .76   9.33  .85    1.39  .83   4.78  .90
//	meta/mnist_b100/conv4x4s2_32x14x14          1.98  .72   7.87  .90    1.20  .89   4.84 1.14
//	meta/mnist_b100/conv4x4s2_64x7x7            1.02  .75   3.98  .97    1.07 1.46   4.05 1.88
//	meta/mnist_b100/transposed3x3s2_64x3x3      .450  .55   1.48  .53    .449  .54   1.48  .56
//	meta/mnist_b100/transposed4x4s2_32x7x7      .584  .34   1.90  .29    .349  .20   .995  .16
//	meta/mnist_b100/transposed4x4s2_16x14x14    .984  .44   2.94  .28    .522  .23   1.65  .18
//	meta/mnist_b1/conv4x4s2_16x28x28            .029  .55   .094  .52    .029  .63   .094  .59
//	meta/mnist_b1/conv4x4s2_32x14x14            .037  .66   .137  .71    .024  .51   .108  .64
//	meta/mnist_b1/conv4x4s2_64x7x7              .055  .57   .199  .73    .035  .51   .124  .58
//	meta/mnist_b1/transposed3x3s2_64x3x3        .029 2.42   .065 1.41    .017 1.42   .053 1.20
//	meta/mnist_b1/transposed4x4s2_32x7x7        .012  .57   .043  .52    .012  .57   .041  .44
//	meta/mnist_b1/transposed4x4s2_16x14x14      .017  .65   .041  .34    .016  .62   .037  .31
//	meta/cifar_b64/conv4x4s2_32x32x32           5.79  .55   18.5  .56    3.29  .60   11.2  .62
//	meta/cifar_b64/conv4x4s2_64x16x16           6.42  .69   22.8  .78    4.91  .92   14.0  .88
//	meta/cifar_b64/conv4x4s2_128x8x8            5.20  .55   17.9  .60    3.65  .75   11.2  .71
//	meta/cifar_b64/transposed4x4s2_256x4x4      5.19  .24   17.9  .32    3.52  .13   11.2  .14
//	meta/cifar_b64/transposed4x4s2_128x8x8      5.50  .35   23.1  .47    4.85  .04   14.4  .25
//	meta/cifar_b64/transposed4x4s2_64x16x16     5.65  .34   18.8  .31    3.27  .19   10.6  .13
//	meta/cifar_b1/conv4x4s2_32x32x32            .094  .54   .310  .56    .076  .51   .310  .69
//	meta/cifar_b1/conv4x4s2_64x16x16            .140  .51   .509  .64    .140  .77   .509  .86
//	meta/cifar_b1/conv4x4s2_128x8x8             .423  .68   1.53  .91    .426 1.25   1.52 1.28
//	meta/cifar_b1/transposed4x4s2_256x4x4       .488 1.47   1.56 1.69    .298  .71   1.48 1.19
//	meta/cifar_b1/transposed4x4s2_128x8x8       .143  .58   .510  .66    .101  .03   .511  .03
//	meta/cifar_b1/transposed4x4s2_64x16x16      .097  .38   .309  .34    .076  .02   .311  .32
//	pool/max3s2_64x112x112                      3.27  .07   8.51  .19    1.80  .09   5.12  .23
//	pool/avg2_64x56x56                          1.20  .40   2.73  .45    .620  .43   1.40  .48
//	pool/avg3s1_64x56x56                        4.51  .32   11.0  .39    2.30  .34   5.50  .40
//	grid/16x112x112                             5.00  .74   19.0  .79    2.36  .60   10.1  .92
//	resize/bilinear2_64x56x56                   4.60  .54   20.0  .72    2.65  .63   11.2  .83
//	norm/batch_64x32x32                         .848  .17   3.00  .37    .251  .12   .847  .27
//	rows/softmax_128x1000                       .115 1.06      -         .058 1.00      -
//	rows/logsoftmax_128x1000                    .121 1.19      -         .062  .61      -
//
//	                                     1 thread    2 threads
//	matmul/128                          .040  .93    .022  .47
//	matmul/512                          2.43  .98    1.28  .98
//	matmul/1024                         20.2  .98    10.4  .99
//	matmul/2048                        162.6 1.00    82.0  .98
//	train/smallcnn_b64                  4.48  .33    2.46  .33
//	train/net4_b100                     41.8  .29    23.0  .30
//	train/resnet32_b128                337.5  .44   196.6  .48
//	train/meta_mnist_b100               34.9  .54    19.1  .38
//	train/meta_cifar_b64               140.0  .46    78.0  .30
//	train/meta_mnist_b1                 .739  .32    .702  .22
//	train/tiny3d_b8_16x32x32            25.6  .36    13.3  .35
//	infer/net4_b256                     30.8  .14    15.6  .13
//	infer/net4_b1                       .162  .19    .117  .29
//	infer/resnet32_b256                171.5  .37    90.6  .37
//	infer/tiny3d_b4_16x112x112          63.2  .31    41.1  .39
//	matmul/linear_1x128x1600            .024 1.85    .023 1.77
//	matmul/linear_1x10x128              .000         .000
//	matmul/linear_dx_1x1600x128         .009  .82    .005  .45
//	matmul/linear_dw_128x1600x1         .021 1.50    .013  .93
//	matmul/linear_8x128x1600            .046  .61    .027  .40
//	matmul/linear_8x10x128              .001  .33    .001  .33
//	matmul/linear_dx_8x1600x128         .031  .60    .020  .47
//	matmul/linear_dw_128x1600x8         .048  .87    .029  .48
//	matmul/linear_100x128x1600          .396  .93    .230  .59
//	matmul/linear_100x10x128            .007 1.17    .007 1.17
//	matmul/linear_dx_100x1600x128       .391  .98    .211  .80
//	matmul/linear_dw_128x1600x100       .393  .98    .220  .82
//	matmul/square_64x64x64              .005  .71    .005  .71
//	matmul/narrow_4096x16x64            .139 1.31    .068  .28
//	matmul/gram_256x256x4096            5.48  .89    2.77  .73
//	matmul/transA_1024x1024x1024        21.3  .98    10.9  .89
//	matmul/transB_1024x1024x1024        20.8  .95    10.5  .86
//	matmul/odd_1023x1021x1019           20.9  .97    10.7  .90
//	rows/crossentropy_128x1000/fwdbwd   .124  .56    .064  .35
//	array/add                           3.19  .79    2.13 1.06
//	array/relu                          2.09  .81    1.39 1.30
//	array/exp                           2.19  .45    1.77  .73
//	array/sum                           .922 1.16    .414 1.64
//
// What this machine was made faster by, with the ratio before and after at one
// thread: convolutions of stride 2 by Winograd (4x4 taps 1.0-1.45, now .55-.97; 5x5
// 1.0, now .42; 3x3 .87, now .68; the step of the CIFAR meta attacker .72, now .46);
// depthwise layers 16 channels side by side (1.1-1.64, now .65-.86); matrix products
// for 1x1 layers down to 32 positions, A packed once for all images (1.54 for one
// image, now 1.04); big pages for arrays above 2 MB (add 1.13, now .79); enlarging
// along rows once (1.49, now .54); looking for grid points once for all channels
// (2.5, now .79).
//
// What did not help: big pages for the packed operands and the matrices of a
// product (1 % at 2048); fetching the next rows of B while packing; other
// stretches, panels and parts of a product (not to be told apart); software prefetch,
// 1 or 4 KB ahead, and staggered arrays in elementwise loops; chunks of 56 or 112
// tiles instead of 28 with stride 2, and chunks instead of column blocks for few
// tiles.
//
// What still loses at one thread, and why. linear_1x128x1600: see above.
// linear_dw_128x1600x1 writes 819 KB, one product a number, by tiles made for many.
// narrow_4096x16x64 packs A for 16 columns. transposed3x3s2_64x3x3 and
// transposed4x4s2_256x4x4 for one image spend their time on transforming filters
// for one tile; a batch has to have the same bits, and gains from them (.55 and
// .24). softmax, log-softmax and sum carry sums in double precision. 1x1 layers of
// 7x7 positions compute 64 for 49, and 256x56x56_1x1 copies its input once for only
// 64 results; in a quieter window it was level. At two threads arithmetic on arrays
// loses by more than memory explains (relu 1.3, sum 1.6); why was not found out.
package main
