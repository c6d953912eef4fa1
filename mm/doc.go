// Package mm minimises composite finite sums,
//
//	F(θ) = f(θ) + h(θ),   f(θ) = (1/n) Σ_i f_i(θ),   θ ∈ R^p,
//
// where each f_i is smooth and may be non-convex, and h may be non-smooth and
// non-convex but has a proximal operator. Typical problems are regression and
// classification with a sparse or non-convex penalty, sparse PCA and dictionary
// learning.
//
// The package holds majorization-minimization (MM), its incremental and stochastic
// forms MISO and SMM, and SPI-MM, the method of chapter 6 of the thesis that this
// library implements. It also holds the rivals of SPI-MM: SGD, SVRG, L-SVRG, SAGA,
// SCSG, SARAH, SPIDER, SpiderBoost, ProxSARAH and PAGE. It computes in float64 and
// depends on gonum alone, whose vocabulary it shares (Settings, Result, Recorder).
//
// # A complete program
//
// Sparse logistic regression with a non-convex regulariser, on generated data:
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//
//		"github.com/mettleml/mettle/mm"
//	)
//
//	func main() {
//		x, y := mm.OneHot(2000, 1) // or mm.ReadLIBSVMFile
//		f, err := mm.NewLogistic(x, y, 0.001)
//		if err != nil {
//			log.Fatal(err)
//		}
//		problem := mm.Problem{Sum: f, Reg: mm.L1{Lambda: 1e-3}}
//		settings := &mm.Settings{Seed: 7, IFO: 50 * 2000} // 50 passes
//		res, err := mm.Minimize(context.Background(), problem, nil, settings, mm.SPIMM{})
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Printf("F = %.4f, ‖G‖ = %.0e, %d component gradients\n", res.F, res.Stationarity, res.IFO)
//		// prints: F = 0.5173, ‖G‖ = 9e-04, 100060 component gradients
//	}
//
// # The parts
//
// A Problem is a FiniteSum and a Regularizer. Minimize runs a Method on it under
// Settings and returns a Result.
//
//   - Sums: Linear (NewLogistic, NewClassifier, NewLeastSquares, NewPCA) over Dense or
//     CSR rows, Components, Factorization, Poisson. A sum of your own needs the four
//     methods of FiniteSum.
//   - Regularisers: norms (L1, Ridge, ElasticNet, GroupLasso, LInf, FusedLasso,
//     Nuclear), non-convex penalties (L0, MCP, SCAD, LogSum, CappedL1), and sets (Box,
//     Ball, Sphere, BallL1, Simplex, L1Ball, L1Sphere, NonNegBall, KSparse, MaxRank,
//     Stiefel). One of your own needs the three methods of Regularizer.
//   - Surrogate families, for MM, MISO, SMM and SPIMM: ProxGrad (the default),
//     Quadratic, JaakkolaJordan, IRLS, DC, Reweighted, PoissonEM, FactorMM. One of your
//     own implements Surrogate.
//   - Data: ReadLIBSVM and the generators OneHot, SparseBinary, Gaussian, Text and
//     Spiked, which stand in for public sets.
//   - Batch hands a smooth problem to gonum's full-batch methods, such as L-BFGS.
//
// # Which method when
//
// Start with SPIMM{}. Its zero value needs no tuning if the sum knows its smoothness
// constants, it allows any regulariser, and its bound is the best known for the worst
// case. Then:
//
//   - For a linear model on sparse rows with an l1, l2 or elastic-net regulariser, take
//     SAGA{}: it costs the non-zeros of one row per step.
//   - For few passes over benign data, single-sample steps are often fastest: SAGA{},
//     SARAH{}, or SPIMM{Batch: 1, Period: n}.
//   - For a rough answer in one or two passes, take SGD{} or SMM{}. They stall at a
//     noise floor.
//   - For a regulariser whose proximal operator is costly (Nuclear, Stiefel), take
//     large batches: SPIMM{}, SVRG{} or MM{}. Stats.Prox counts the operators.
//   - For a surrogate that fits the problem better than a parabola, take MM or SPIMM
//     with that family. MISO and SMM need a family that majorises every component.
//   - For small n, or to check another method, take MM{}: its objective never
//     increases. MM{LineSearch: true} adapts its step to the curvature it meets.
//   - For a smooth problem of small n, L-BFGS through Batch.
//   - For a stream, whose n is as good as infinite, take SPIMM or SPIDER with
//     RefreshBatch, or SGD, and set Settings.Evaluate.
//
// At the steps of theory, SPIMM, SpiderBoost, SPIDER, ProxSARAH and PAGE, which share
// an estimator, need fewer passes than MM, MISO and SVRG. With tuned steps the
// differences shrink. The README of examples/mm has the measurements, with spreads.
//
// # What is random
//
// MM is deterministic. The other methods draw batches, and LSVRG, SCSG, PAGE and
// SPIMM with RefreshProb also toss coins for their refreshes; OutputRandom draws the
// iterate returned. Every draw is a function of Settings.Seed and its number. Sums are
// cut into chunks by size and added in order. So equal seeds give equal bits for any
// Settings.Concurrent, on one architecture and Go version; there is no global state.
// Batches are drawn with replacement, except where an option says otherwise.
//
// # How component gradients are counted
//
// One IFO is one gradient ∇f_i (or one statistic of component i) at one point.
//
//	full gradient, refresh, snapshot        n   (RefreshBatch, where it is set)
//	batch of SGD, SMM, MISO or SAGA         b
//	batch at two points (SVRG and its kin,
//	SARAH, SPIDER, PAGE, SPIMM)             2b, though one visit of the data serves both
//	first iteration of MISO and SAGA        n
//	line search                             its values are counted in Stats.Values
//
// Stats.Prox counts proximal operators and Stats.Refresh full gradients. What is
// computed for records, exact checks and certificates counts in Stats.DiagnosticIFO
// only, and the clock stands still meanwhile. Settings.IFO is the budget; a pass is n.
//
// # Conventions
//
// Vectors are []float64. A destination comes first; it is overwritten, or added to if
// the name begins with Add. The slices dst and u of a proximal operator may be the
// same. Matrices of parameters are flattened row-major. L is Lipschitz.MeanSquare.
// Step lengths η have the unit of 1/L. Stationarity is a norm, not its square. If the
// comment of a field states a default, 0 means that default.
//
// Data, options and files that cannot be served come back as errors that name the
// field, the row or the line. Vectors of the wrong length, nil arguments and other
// bugs of the caller panic with an Error.
//
// # What is known and what is reconstructed
//
// The source of SPI-MM is Zhang, Zhou, Yang and Feng, "Generalized
// majorization-minimization for non-convex optimization", IJCAI 2019, doi
// 10.24963/ijcai.2019/591. Only its statement of the problem, its idea and its rate
// were available here. The idea is a surrogate that majorises in expectation instead
// of everywhere, with the variance reduced along the path as in SPIDER. The rate is
// of order n + √n/ε² component gradients. The definition of the generalised
// surrogate, the details of the algorithm, the theorems below with their constants,
// and the experiments are reconstructions of ours. Comments say "ours" or "derived
// here" where that matters.
//
// # Assumptions
//
// A1: (1/n) Σ ‖∇f_i(x) − ∇f_i(y)‖² ≤ L²‖x−y‖² (Lipschitz.MeanSquare). A2: F is bounded
// below; D0 = F(θ_0) − inf F. A3: the proximal operator of h can be computed, and
// h + ‖·‖²/(2η) is bounded below.
//
// # The generalised surrogate (ours)
//
// A family of surrogates g_i(θ;κ) is additive if it is linear in a statistic of fixed
// length (see Surrogate). SPI-MM keeps a mean statistic. It is exact every q
// iterations, and in between
//
//	ḡ_k = ḡ_{k−1} + (1/b) Σ_{i∈S_k} [g_i(·;θ_k) − g_i(·;θ_{k−1})].
//
// The next iterate is θ_{k+1} = argmin ḡ_k + h. Let e_k be the error of the gradient of
// ḡ_k at θ_k, and ρ = 1/η the curvature of ḡ_k.
//
// Proposition 1. For a quadratic family with a fixed metric, ḡ_k is the quadratic at
// θ_k with SPIDER's gradient estimator. SPI-MM is then Prox-SpiderBoost, step by step.
//
// Proposition 2. If ρ ≥ L + c, then ḡ_k(θ) + ‖e_k‖²/(2c) ≥ f(θ) for all θ: surely a
// majorant, up to a slack. "In expectation" needs the slack too, because θ_k depends
// on the path; without it only E[e_k | past] = e_{k−1} and E[e_k] = 0 hold. At a refresh
// e_k = 0, and ḡ_k is a classical majorant.
//
// Proposition 3. Let k0 be the last refresh and Δ_j = θ_{j+1} − θ_j. With replacement,
// E‖e_k‖² ≤ E‖e_k0‖² + (L²/b) Σ_{k0≤j<k} E‖Δ_j‖². Without replacement the sum has the
// factor (n−b)/(n−1).
//
// # Theorems (derived here)
//
// Let refreshes be full and q ≤ b, let R be uniform on the first K iterations
// (OutputRandom), and let G be the gradient mapping at η.
//
// Theorem A. If h is convex and η = 1/(2L), then Σ E‖Δ_k‖² ≤ 2·D0/L and
// E‖G(θ_R)‖² ≤ 20·L·D0/K. Any η < 2/(3L) will do, with other constants.
//
// Theorem B. If h = 0 and η ≤ (√5−1)/(2L), then E‖∇f(θ_R)‖² ≤ 2·D0/(ηK).
//
// Theorem C. For any h of A3 and η = 1/(4L), Σ E‖Δ_k‖² ≤ 2·D0/L, and the mean over k of
// E dist(0, ∂F(θ_{k+1}))² is at most 108·L·D0/K.
//
// Theorem D. Take an additive family whose g_i majorise and whose ḡ + h is ρ-strongly
// convex. Let κ ↦ ∇g_i(θ;κ) have the mean-square Lipschitz constant L_κ, uniformly in θ.
// If ρ > 2L_κ, then (1/K) Σ E‖Δ_k‖² ≤ 2·D0/((ρ−2L_κ)K). Families whose curvature moves
// with the anchor (JaakkolaJordan, IRLS, PoissonEM, FactorMM, Reweighted) satisfy this
// on bounded sets at best; their comments say so.
//
// Count. With q = b = ⌈√n⌉ an epoch of q iterations costs at most 3n component
// gradients, and K iterations cost 3n + 3√n·K. So theorem A reaches E‖G‖ ≤ ε within
// 3n + 60·L·D0·√n/ε², which is the order that the source states. MM needs n per
// iteration.
//
// # The proof in seven steps
//
//  1. Martingale: E[e_k | past] = e_{k−1}, since both points see the same batch.
//  2. Variance along the path: add up the martingale's increments, each at most
//     (L²/b)‖Δ‖² (Proposition 3).
//  3. Descent with slack: smoothness, the optimality of the proximal step and Young's
//     inequality give, surely and for any c > 0,
//     F(θ_{k+1}) ≤ F(θ_k) + ‖e_k‖²/(2c) − (1/η − L/2 − c/2)‖Δ_k‖².
//     If h is not convex, 1/(2η) takes the place of 1/η.
//  4. Within an epoch: Σ E‖e_k‖² ≤ L²(q−1)/b · Σ E‖Δ_k‖² ≤ L² Σ E‖Δ_k‖². So with c = L
//     the slack costs half of what is left of the descent.
//  5. Across epochs: refreshes have no error, so the sums telescope to D0.
//  6. From moves to stationarity: ‖G‖² ≤ 2‖Δ‖²/η² + 2‖e‖² for a convex h, and the
//     optimality condition of the proximal step for any other.
//  7. Count: n per refresh and 2b per inner step.
//
// # Certificate
//
// Step 3 holds at every step of every run, whatever was drawn. So does its form for
// general families, F(θ⁺) ≤ F(θ) + D(θ) − D(θ⁺) − (ρ/2)‖Δ‖², where D is the difference
// between the surrogate carried along and the exact one. Settings.Certify checks it
// while the run goes on. It finds wrong gradients, wrong proximal operators, constants
// that are too small, and surrogates that do not majorise.
package mm
