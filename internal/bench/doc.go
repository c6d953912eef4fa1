// Command bench times the library case by case.
//
//	go run ./internal/bench [-threads N] [-case PREFIX] [-seconds S] [-set NAME] [-dump DIR]
//
// It prints one line per case: the name, the least and the median time of one run in
// milliseconds, the rate in GFLOP/s at the least time, and the share of the
// multiply-add peak. The peak is measured just before each case, on one core in
// registers, and multiplied by the number of threads. The clock moves, so a peak of
// another minute means nothing. Rates count the operations of the direct algorithm;
// Winograd's may exceed the peak.
//
// peers/video.py does the work of the cases under video/ in FFmpeg and OpenCV, and
// peers/pytorch.py that of all others in PyTorch (those under ssl/ in selfsup.py, with
// torchvision and scikit-learn), under the same names, so that the two
// can be run in turn. Cases under extra/ watch more shapes and layers. In fwdbwd both
// gradients follow the forward pass. Inputs are drawn from N(0,1). Nothing is cached
// between runs: weights are packed or transformed anew. Outputs go to memory that was
// used before.
//
// With -dump, every case runs once and writes its arrays into DIR as npy files, for a
// checker that computes them again in double precision. A file is called
// CASE.ARRAY.npy, with underscores for the slashes of the case.
//
//	go run ./internal/bench -case saga -dir DIR
//
// times SAGA on three LIBSVM files instead; see runSAGA.
//
//	go run ./internal/bench -case campaign
//
// measures what an attack's loop, the ledger and the journal cost beside the victim; see
// runCampaign.
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
// 256 (1-2 %). What did not: packing all of B beforehand, transposing by masked loads
// instead of shuffles, unmasked stores in the packing.
//
// One row times a transposed matrix (extra/matmul/linear_1x128x1600) takes
// twice OpenBLAS's time: rows must have the same bits in any batch, so the sum
// runs along k in order and the matrix is transposed on the way.
//
// # 3x3 convolutions of stride 1: what was measured and tried
//
// The same machine and month, one window per number of threads (ours, PyTorch, ours),
// least times in milliseconds; fwdbwd is the sum of the three passes' minima:
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
// # 3-D convolutions: what was measured and tried
//
// Two vCPUs of an Intel Xeon (AVX-512, 2 MB of second-level cache per core), Go 1.26.8,
// 30 November 2026, one thread, the layers of R3D-18 and C3D for clips of 16x112x112:
// least times in milliseconds for one clip forward, and for two clips with both gradients.
//
//	                                one clip, fwd    two clips, fwdbwd
//	                                ours  PyTorch      ours  PyTorch
//	3x7x7, stride 1,2,2, 3 to 64    18.6     19.6       139      291
//	64 to 64, 16x56x56              25.7     77.5       173      476
//	64 to 128, stride 2             21.0     22.0       159      139
//	128 to 128, 8x28x28             10.9     34.1      68.7      190
//	128 to 256, stride 2            11.2     9.56      79.5     59.4
//	256 to 256, 4x14x14             9.57     20.3      51.0     96.2
//	256 to 512, stride 2            7.12     7.50      54.5     42.7
//	512 to 512, 2x7x7               8.19     15.9      36.9     73.0
//	3 to 64, 16x112x112             14.6     69.6       139      355
//	64 to 128, 16x56x56             51.4      143       315      967
//	256 to 256, 8x28x28             48.4      144       269      857
//	512 to 512, 4x14x14             43.3     69.6       215      403
//
// Kernels are 3x3x3 with stride 1 where nothing else is said. Those, and 1x3x3, are
// Winograd in the plane, with frames summed among the products. Stride 2 in time, 3x1x1
// and the first layers are direct, and 1x1x1 is a matrix product. What helped: reading
// the filters of few tiles from memory once and not once per frame (512 channels from
// 11.2 to 8.2, and from 48.7 to 43.3), and summing gradients to many weights in rounds of
// tiles (256 channels on 8x28x28 from 443 to 98). What did not: blocks of rows through
// all frames for 3x1x1 (0-9 %), and 3x1x1 as three matrix products (the same time).
//
// Afterwards, on the same machine with many other programs at work, where only runs in turn
// can be compared: with stride 2 the gradient to the weights had 66 to 74 GFLOP/s where
// the other passes had 95 to 111. By Winograd in the plane, phases as channels, and with
// chunks four times as large, because every chunk reads and writes all sums, it takes .72
// of the time (64 to 128: 72 to 52 ms; 128 to 256: 45 to 33; 256 to 512: 35 to 26). The
// other two passes were built likewise and gained nothing.
//
// # Everything, on a smaller machine
//
// Two vCPUs of an AMD EPYC (Zen 4: AVX-512 at half width, 118 GFLOP/s per core, 1 MB
// of second-level cache), Go 1.26.8, 25 November 2026; PyTorch 1.13 and OpenBLAS
// 0.3.21 (SKYLAKEX kernels) set up as peers/pytorch.py says, on an otherwise idle
// machine. For each number of threads one window, both sides in turn family by
// family, two rounds of the main cases and one of those under extra/ (written here
// without that prefix): the least time of ours in milliseconds, and its ratio to
// PyTorch's. The machine's neighbours are
// not idle: now and then the second processor is away for the length of a line, which
// hurts PyTorch more, whose threads wait for each other in every layer. One line of
// ours that took as long with two threads as with one was taken again at once.
//
//	                                                 1 thread                 2 threads
//	                                             fwd      fwdbwd          fwd      fwdbwd
//	conv2d/16x32x32                             2.96  .34    9.48  .39      1.51  .34    4.84  .39
//	conv2d/32x16x16                             2.09  .37    7.50  .42      1.04  .39    3.72  .41
//	conv2d/64x8x8                               1.67  .36    5.50  .37      .878  .38    2.79  .35
//	conv2d/64x56x56                             5.51  .33    18.1  .34      2.77  .33    9.00  .33
//	conv2d/256x14x14                            6.26  .42    22.0  .46      3.16  .42    11.1  .45
//	conv2d/256x56x56_1x1                        4.13  .90    14.4  .93      2.05  .85    7.14  .81
//	conv2d/3x224x224_7x7s2                      17.4  .92    56.2  .41      8.63  .88    28.8  .40
//	conv3d/64x8x28x28                           6.86  .32       -           3.50  .32       -
//	conv2d/depthwise_64x56x56                   .803  .66    3.04  .63      .485  .88    1.53  .51
//	conv2d/depthwise_128x14x14                  .100  .75    .301  .74      .058  .68    .198  .72
//	conv2d/depthwise_256x7x7                    .057  .62    .188  .65      .034  .55    .125  .59
//	conv2d/depthwise_s2_64x56x56                .371  .90    1.80  .78      .215 1.01    .946  .77
//	conv2d/3x3s2_32x32x32                       7.57  .69    24.7  .73      4.13  .70    13.7  .74
//	conv2d/5x5s2_32x32x32                       2.88  .41    10.4  .43      1.79  .49    6.27  .51
//	conv2d/4x4s2_64x16x16                       6.40  .72    21.5  .77      4.71 1.02    12.4  .85
//	conv2d/1x1s2_64x56x56                       1.03  .75    3.98  .76      .524  .69    2.51  .81
//	conv2d/1x1_512x7x7                          .600 1.02    1.78  .92      .324 1.14    1.07 1.15
//	conv2d/1x1_512x7x7_b1                       .080 1.04    .241  .90      .046  .69    .180  .75
//	conv2d/batch1_64x56x56                      .663  .33    2.08  .32      .412  .39    1.38  .39
//	conv2d/batch1_16x32x32                      .024  .25    .073  .19      .024  .20    .073  .18
//	conv2d/odd_17x31x31                         .691  .26    2.13  .26      .387  .28    1.17  .27
//	conv2d/transposed4x4s2_128x8x8              5.07  .32    21.5  .43      2.75  .10    11.9  .05
//	conv3d/64x8x28x28                           6.86  .32    23.0  .34      4.39  .40    14.9  .44
//	conv3d/3x16x112x112                         20.7  .71    70.9  .38      12.6  .85    41.5  .43
//	meta/mnist_b100/conv4x4s2_16x28x28          2.35  .79    8.29  .81      1.38  .85    4.92  .94
//	meta/mnist_b100/conv4x4s2_32x14x14          1.92  .74    7.16  .83      1.19  .88    4.42  .98
//	meta/mnist_b100/conv4x4s2_64x7x7            1.00  .74    3.77  .94      .565  .77    1.87  .86
//	meta/mnist_b100/transposed3x3s2_64x3x3      .448  .54    1.48  .53      .257  .31    .798  .30
//	meta/mnist_b100/transposed4x4s2_32x7x7      .591  .35    1.82  .27      .349  .20    1.00  .16
//	meta/mnist_b100/transposed4x4s2_16x14x14    .986  .44    2.85  .27      .520  .23    1.50  .17
//	meta/mnist_b1/conv4x4s2_16x28x28            .030  .57    .095  .54      .030  .67    .093  .60
//	meta/mnist_b1/conv4x4s2_32x14x14            .037  .66    .137  .72      .023  .49    .104  .63
//	meta/mnist_b1/conv4x4s2_64x7x7              .056  .56    .199  .73      .034  .49    .122  .57
//	meta/mnist_b1/transposed3x3s2_64x3x3        .029 2.42    .066 1.47      .017 1.42    .054 1.26
//	meta/mnist_b1/transposed4x4s2_32x7x7        .012  .57    .043  .52      .012  .57    .042  .53
//	meta/mnist_b1/transposed4x4s2_16x14x14      .017  .65    .041  .34      .016  .62    .038  .37
//	meta/cifar_b64/conv4x4s2_32x32x32           5.33  .53    18.3  .57      2.77  .55    10.0  .60
//	meta/cifar_b64/conv4x4s2_64x16x16           5.40  .60    21.0  .74      3.19  .69    12.4  .85
//	meta/cifar_b64/conv4x4s2_128x8x8            4.70  .53    17.7  .63      2.44  .55    8.86  .61
//	meta/cifar_b64/transposed4x4s2_256x4x4      5.02  .23    17.4  .30      2.44  .16    9.35  .06
//	meta/cifar_b64/transposed4x4s2_128x8x8      5.07  .32    21.5  .44      2.76  .15    11.6  .08
//	meta/cifar_b64/transposed4x4s2_64x16x16     5.38  .33    18.4  .31      2.71  .13    9.92  .18
//	meta/cifar_b1/conv4x4s2_32x32x32            .094  .54    .309  .56      .058  .52    .257  .72
//	meta/cifar_b1/conv4x4s2_64x16x16            .141  .51    .507  .65      .084  .53    .294  .62
//	meta/cifar_b1/conv4x4s2_128x8x8             .431  .70    1.54  .91      .233  .70    .907  .97
//	meta/cifar_b1/transposed4x4s2_256x4x4       .495 1.48    1.54 1.65      .262 1.14    .933  .81
//	meta/cifar_b1/transposed4x4s2_128x8x8       .144  .59    .507  .65      .083  .11    .294  .38
//	meta/cifar_b1/transposed4x4s2_64x16x16      .097  .39    .310  .34      .055  .20    .251  .30
//	pool/max3s2_64x112x112                      3.10  .08    8.01  .18      1.74  .07    4.31  .18
//	pool/avg2_64x56x56                          1.23  .42    2.68  .47      .625  .43    1.40  .48
//	pool/avg3s1_64x56x56                        4.50  .32    10.9  .39      2.28  .30    5.51  .40
//	grid/16x112x112                             4.29  .68    18.4  .94      2.72  .67    12.6 1.01
//	resize/bilinear2_64x56x56                   4.54  .55    20.3  .78      3.04  .56    13.3 1.01
//	norm/batch_64x32x32                         .542  .14    2.11  .33      .474  .24    1.26  .41
//	rows/softmax_128x1000                       .115 1.03       -           .061 1.05       -
//	rows/logsoftmax_128x1000                    .121 1.19       -           .068  .66       -
//
//	                                     1 thread    2 threads
//	matmul/128                           .040  .93     .022  .81
//	matmul/512                           2.42  .97     1.27  .99
//	matmul/1024                          20.2  .99     10.3 1.00
//	matmul/2048                         161.2 1.01     80.9 1.00
//	train/smallcnn_b64                   4.14  .34     2.41  .32
//	train/net4_b100                      40.8  .29     22.9  .30
//	train/resnet32_b128                 323.5  .46    196.6  .51
//	train/meta_mnist_b100                33.4  .54     19.1  .43
//	train/meta_cifar_b64                132.4  .45     73.2  .21
//	train/meta_mnist_b1                  .729  .31     .703  .31
//	train/tiny3d_b8_16x32x32             24.8  .36     13.6  .36
//	infer/net4_b256                      29.2  .13     16.4  .14
//	infer/net4_b1                        .162  .19     .117  .26
//	infer/resnet32_b256                 166.6  .36     90.2  .39
//	infer/tiny3d_b4_16x112x112           60.1  .30     40.1  .40
//	matmul/linear_1x128x1600             .024 1.85     .024 1.85
//	matmul/linear_1x10x128               .000          .000
//	matmul/linear_dx_1x1600x128          .010  .91     .006  .55
//	matmul/linear_dw_128x1600x1          .023 1.53     .013  .93
//	matmul/linear_8x128x1600             .047  .63     .026  .49
//	matmul/linear_8x10x128               .001  .33     .001  .33
//	matmul/linear_dx_8x1600x128          .032  .62     .019  .50
//	matmul/linear_dw_128x1600x8          .049  .89     .029  .91
//	matmul/linear_100x128x1600           .395  .92     .233  .88
//	matmul/linear_100x10x128             .007 1.17     .007 1.17
//	matmul/linear_dx_100x1600x128        .391  .98     .213  .94
//	matmul/linear_dw_128x1600x100        .393  .98     .221 1.03
//	matmul/square_64x64x64               .006  .86     .006  .86
//	matmul/narrow_4096x16x64             .139 1.30     .069  .62
//	matmul/gram_256x256x4096             5.27  .91     2.73  .93
//	matmul/transA_1024x1024x1024         20.5  .99     10.7 1.02
//	matmul/transB_1024x1024x1024         20.1  .96     10.3  .85
//	matmul/odd_1023x1021x1019            20.2  .97     10.5  .90
//	rows/crossentropy_128x1000/fwdbwd    .124  .55     .076  .28
//	array/add                            3.10 1.09     2.33 1.03
//	array/relu                           1.59  .89     1.36  .99
//	array/exp                            2.06  .43     2.22  .93
//	array/sum                            .818 1.32     .456 1.37
//
// What this machine was made faster by, with the ratio before and after at one
// thread: convolutions of stride 2 by Winograd (4x4 taps 1.0-1.45, now .51-.94; 5x5
// 1.0, now .41; 3x3 .87, now .69; the step of the CIFAR meta attacker .72, now .45);
// depthwise layers 16 channels side by side (1.1-1.64, now .62-.90); matrix products
// for 1x1 layers down to 32 positions, A packed once for all images (1.54 for one
// image, now 1.04); tiles that ask for the next strip of B, which is packed when it is
// needed (1x1 from 256 to 64 channels 1.02, now .82 to .90); big pages for arrays above
// 2 MB (add 1.13, now .79 to 1.09); enlarging along rows once (1.49, now .55); looking
// for grid points once for all channels (2.5, now .68).
//
// What did not help: big pages for the packed operands and the matrices of a
// product (1 % at 2048); fetching the next rows of B while packing, not in the tiles;
// other stretches, panels and parts of a product (not to be told apart); software
// prefetch, 1 or 4 KB ahead, and staggered arrays in elementwise loops; chunks of 56 or
// 112 tiles instead of 28 with stride 2, and chunks instead of column blocks for few
// tiles.
//
// What still loses at one thread, and why. linear_1x128x1600: see above.
// linear_dw_128x1600x1 writes 819 KB, one product a number, by tiles made for many.
// linear_100x10x128 takes 7 microseconds for 6, told to one.
// narrow_4096x16x64 packs A for 16 columns. transposed3x3s2_64x3x3 and
// transposed4x4s2_256x4x4 for one image spend their time on transforming filters
// for one tile; a batch has to have the same bits, and gains from them (.54 and
// .23). softmax, log-softmax and sum carry sums in double precision. 1x1 layers of
// 7x7 positions compute 64 for 49. add waits for memory, and was at .79 in another
// window.
//
// # Motion
//
// Two vCPUs of an Intel Xeon (AVX-512, 2 MB of second-level cache a core), Go 1.26.8,
// 30 November 2026; FFmpeg 5.1.9, OpenCV 4.6.0 and PyTorch 1.13 of Debian, one window for
// each number of threads with nothing else at work, in the networks' rows the lesser of two
// times of ours: the least time of ours in milliseconds, and its ratio to theirs. FFmpeg's
// filter works in one thread.
//
//	                                   1 thread        2 threads
//	video/block/full16r7_352x288         .450  .012      .235  .006
//	video/block/diamond16r7_352x288      .095  .019      .053  .008
//	video/block/epzs16r7_352x288         .041  .018      .023  .011
//	video/block/full16r7_1280x720        4.62  .014      2.54  .007
//	video/block/diamond16r7_1280x720     1.10  .018      .616  .009
//	video/block/epzs16r7_1280x720        .387  .018      .211  .008
//	video/flow/farneback_640x480         5.54  .116      3.79  .075
//	video/flow/tvl1_640x480               145  .152      94.8  .137
//	video/infer/r3d18_16x112x112          285  .477       164  .435
//	video/infer/c3d_16x112x112            276  .402       153  .348
//	video/infer/tiny3d_16x112x112        6.26  .095      3.62  .082
//	video/train/tiny3d_b8_16x32x32       9.96  .247      6.15  .273
//
// On two clips of synthetic texture with noise the sums of absolute differences of full
// search, diamond and three steps were FFmpeg's to the last unit, EPZS's .013 % above.
// The error of Farnebäck's flow at 640x480, over seven translations, rotations and zooms
// of three textures, was .69 of OpenCV's in the geometric mean and less in all 21; over
// 176 pairs of frames of real clips the compensated picture had 1.3 dB more, and less in
// one pair. That of TV-L1 was .47 of Farnebäck's.
//
// What brought the error down, in the geometric mean: rounding displacements instead of
// interpolating the second expansion (.87, nearly half for small translations, and a
// quarter of the memory read); a Gaussian window instead of a box (.9, and about half a
// decibel on real clips); equations for cells of 2x2 pixels (.95, and an eighth of the
// work of the window). A cost of changes instead of a constant in the determinant did as
// well, and does not depend on the accuracy of a difference. A third iteration made no
// difference. Windows that end at the border were worse than repeating what is there, and
// counting the border fully worse than counting it less.
//
// # Long tails and self-supervision
//
// The same machine and day as for motion; PyTorch 1.13 (OpenBLAS 0.3.21, SKYLAKEX
// kernels; peers/pytorch.py and peers/selfsup.py), torchvision 0.14 and scikit-learn 1.2 in
// turn with ours on an otherwise idle machine: the least time of ours in milliseconds, and
// its ratio to theirs.
//
//	                                   1 thread      2 threads
//	longtail/phase2_resnet32_b128     361   .467    200   .455
//	longtail/retention_128x64/fwdbwd .087   .48    .088   .43
//	longtail/loader_21x128           50.6   .058   29.4   .065
//	longtail/herd_500x64             .813   .14    .847   .14
//	longtail/herd_5000x512            248   .103    161   .112
//	ssl/simclr_resnet32_b128          576   .42     302   .43
//	ssl/moco2_resnet32_b128           386   .44     202   .40
//	ssl/byol_resnet32_b128            780   .43     412   .42
//	ssl/simsiam_resnet32_b128         552   .42     294   .41
//	ssl/barlow_resnet32_b128          603   .44     325   .41
//	ssl/augment_simclr_32_b128       9.66   .113   one thread
//	ssl/augment_simclr_224_b8        48.3   .180   one thread
//	ssl/tsne_2000x250                 688   .43     425   .39
//	ssl/tsne_10000x250               3528   .25    2448   .30
//
// A step of phase II has a student, a frozen teacher and retention. The loader's row is an
// epoch of 2,688 pictures with AutoAugment and Cutout: a core makes 150 times as many as a
// step eats. t-SNE's rows are 250 iterations, of exact sums at 2,000 points and Barnes and Hut's at 10,000;
// at one thread its search for neighbours sorted records through a comparison, and sorting
// integers that order as the distances do took a seventh off at 2,000.
//
// # Beside other programs
//
// The same machine and day. Gorgonia 0.9.18 needs 103.5 ms for train/smallcnn_b64 at one
// thread and 86.3 at two (peers/main.go), 27 and 37 times as long as ours, run in turn.
// The Meta Attack spends .143 s on an image at one thread, and PyTorch .577 with the same
// weights, images and loop (28 November 2026; peers/meta_attack.py; peers/meta_attack.log
// is what both printed), 4.0 times as long; on both processors .080 s, two images at a
// time, and two processes of PyTorch .284, 3.5 times as long. Loop, ledger
// and journal take 2.7 and 4.7 % of the victim's time at one and two threads for
// ResNet-32 at batch 128, and 6.8 and 4.7 % for Net4 at batch 1 (-case campaign).
//
// # An attack on clips, beside its victim
//
// Two vCPUs of an Intel Xeon (AVX-512, 2 MB of second-level cache a core), Go 1.26.8, 30
// November 2026, 16x3x112x112 and Tiny3D, which takes 8.4 ms per query at one thread and 5.0
// at two (-case campaign): loop, sampler, ledger and journal take so much of the victim's
// time, in per cent, least of a few campaigns, before and after what follows:
//
//	                  1 thread     2 threads
//	motion-excited   13.0   8.0    22.3   9.8
//	multi-noise      38.7  25.8    47.6  25.8
//	geo-trap         48.6  37.1    52.1  32.2
//
// The aim is 5 %. A clip has 2.4 MB, an iteration reads and writes a dozen times that, and
// the victim leaves nothing of it in a cache. Of Motion-Excited's 8 % at one thread 2.9 are
// the two probes, 2.2 the digests of what is asked, 1.8 the step, and about 1 all the
// rest, noise included; each of the three runs within twice the time in which memory is read
// and written. What helped: one pass for the two probes and one for the step (before, up to
// three each), asking for memory 2 KB ahead, since the processor looks no further than a page
// (probes on memory that no cache holds from .83 to .48 ms), frames shared among workers,
// CRC-32C by carry-less products (from .18 to .09 ms per clip), noise only where a motion map
// looks, sums of squares of four rows at once. What did not: stores past the cache, asking
// 4 or 8 KB ahead, big pages, the last frames first so that the digest finds the first ones
// in the cache. Digests within the pass that writes the probes would save at most 1.8 points,
// and are left out, since an attack knows nothing of a journal.
package main
