// Command mm draws the figures of majorization-minimization and compares SPI-MM
// with its rivals.
//
//	go run -C examples/mm . [-out DIR] [-data FILE [-zero-based]] [-n N] [-passes P] [-seed S]
//	go run -C examples/mm . -table [-seeds N]
//
// Without -table it writes figure61, figure62 and figure63 to DIR, each as PNG and as
// SVG, and prints what the methods reached. This takes about ten seconds.
//
//   - Figure 6.1: an objective, its classical majorant at one point, and the random
//     surrogate of SPI-MM there with the band in which it falls.
//   - Figure 6.2, non-convex logistic regression, and figure 6.3, sparse PCA on the unit
//     ball: the gap to the best objective met and the squared norm of the gradient
//     mapping, against passes over the data (component gradients / n) and against time.
//     The step of every method is the best of one grid, 2^−10/L … 2^3/L, by the
//     objective after the last pass.
//
// The data are generated. Option -data takes a LIBSVM file with two labels instead, as
// text or compressed by gzip or bzip2; -zero-based says that its columns are numbered
// from 0, as scikit-learn writes them. Methods that step after every sample are left
// out if n·p is beyond 5e7. The data, steps and baselines of the original experiments
// are not known, so the figures show the same questions and not the same numbers.
//
// With -table it prints, in Markdown, where each method stands after the same number of
// passes, at the step of its theory and at its best step: the median over the seeds,
// with the least and the greatest. Data and draws change with the seed; the best step
// is found on an instance that is not one of them. This takes about a minute.
//
// Relative paths mean the directory from which "go run -C" was called, which the
// program finds in the environment variable PWD. If that is not set, it asks for an
// absolute path.
package main
