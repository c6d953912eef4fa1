// Command mm draws the figures of majorization-minimization and compares SPI-MM
// with its rivals.
//
//	go run -C examples/mm . [-out DIR] [-data FILE] [-n N] [-passes P] [-seed S]
//	go run -C examples/mm . -table [-seeds N]
//
// Without -table it writes figure61, figure62 and figure63 to DIR, each as PNG and
// as SVG, and prints what the methods reached:
//
//   - 6.1: an objective, its classical majorant at one point, and the random
//     surrogate of SPI-MM there with the band in which it falls;
//   - 6.2: non-convex logistic regression, and 6.3: sparse PCA on the unit ball: the
//     gap to the best objective met and the squared norm of the gradient mapping,
//     against passes over the data (component gradients / n) and against time. The
//     step of every method is the best of one grid, 2^−10/L … 2^3/L, by the
//     objective after the last pass.
//
// The data are generated; -data takes any LIBSVM file instead, compressed or not,
// with two labels; methods that step after every sample are left out where n·p is
// beyond 5e7. The original experiments' data, steps and baselines are not
// known, so the figures show the same questions, not the same numbers.
//
// With -table it prints, in Markdown, where each method stands after the same
// number of passes at the step of its theory and at its best step: the median over
// the seeds, with the least and the greatest. Data and draws change with the seed;
// the best step is found on an instance that is not one of them.
package main
