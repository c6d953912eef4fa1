// Package mm minimises composite finite sums,
//
//	F(θ) = f(θ) + h(θ),   f(θ) = (1/n) Σ_i f_i(θ),   θ ∈ R^p,
//
// where each f_i is smooth and may be non-convex, and h is reached by its proximal
// operator only and may be non-smooth and non-convex as well. It holds
// majorization-minimization (MM), its incremental and stochastic forms MISO and
// SMM, SPI-MM, which is chapter 6 of the thesis this library implements, and their
// rivals: SGD, SVRG, L-SVRG, SAGA, SCSG, SARAH, SPIDER, SpiderBoost, ProxSARAH and
// PAGE. It depends on gonum alone and computes in float64.
//
// # Use
//
// A problem is a FiniteSum and a Regularizer. Minimize runs a Method on it under
// Settings and returns a Result; the vocabulary is that of gonum's optimize
// package.
//
//	x, y := mm.OneHot(4096, 1)                       // or ReadLIBSVM
//	f, err := mm.NewLogistic(x, y, 0.01)             // non-convex regulariser, weight 0.01
//	...
//	p := mm.Problem{Sum: f, Reg: mm.L1{Lambda: 1e-4}}
//	res, err := mm.Minimize(ctx, p, nil, &mm.Settings{IFO: 30 * 4096}, mm.SPIMM{})
//
// The zero value of every method has the parameters of its theory, and the zero
// Settings run 100 passes from seed 0. Ready sums are Linear (logistic and least-
// squares regression, bounded non-convex losses, PCA) over Dense or CSR rows,
// Components, Factorization and Poisson; a sum of one's own needs four methods.
// Batch hands a problem to gonum's full-batch methods.
//
// # Conventions
//
// Vectors are []float64; a destination comes first and is written, or added to
// where the name begins with Add; dst and u of a prox may be the same slice.
// Matrices as parameters are flattened row-major. Stationarity is a norm, not its
// square. Wrong lengths panic with an Error; options, data and budgets that cannot
// be served return errors.
//
// One IFO is one component gradient (or statistic) at one point: a full gradient
// counts n, an inner step of a path-integrated method 2b although one visit of the
// data serves both points. Proximal operators, refreshes and the values of a line
// search are counted apart. What is computed for records, exact checks and
// certificates is in no account but DiagnosticIFO, and the clock stands still.
//
// Every draw is a function of the seed and its number. Sums are cut into chunks by
// size and added in order, so equal seeds give equal bits for any
// Settings.Concurrent.
//
// # What is known and what is reconstructed
//
// Of the source (Zhang, Zhou, Yang and Feng, "Generalized majorization-minimization
// for non-convex optimization", IJCAI 2019, doi 10.24963/ijcai.2019/591) only the
// statement of the problem, the idea and the rate were available here: a surrogate
// that majorises in expectation instead of everywhere, variance reduced along the
// path as in SPIDER, called SPI-MM, with a non-asymptotic bound of order n + √n/ε²
// component gradients. The definition of the
// generalised surrogate, the algorithm's details, the theorems below with all their
// constants, and the experiments are this library's reconstruction, not the
// paper's text. Doc comments say "ours" or "derived here" where that matters.
//
// # Assumptions
//
// A1: (1/n) Σ ‖∇f_i(x) − ∇f_i(y)‖² ≤ L²‖x−y‖² (Lipschitz.MeanSquare). A2: F is
// bounded below; D0 = F(θ_0) − inf F. A3: the prox of h can be computed and
// h + ‖·‖²/(2η) is bounded below.
//
// # The generalised surrogate (ours)
//
// A family of surrogates g_i(θ;κ) is additive when it is linear in a statistic of
// fixed length (Surrogate). SPI-MM keeps a mean statistic, exact every q
// iterations and in between
//
//	ḡ_k = ḡ_{k−1} + (1/b) Σ_{i∈S_k} [g_i(·;θ_k) − g_i(·;θ_{k−1})],
//
// and moves to θ_{k+1} = argmin ḡ_k + h. Let e_k be the error of its gradient at
// θ_k and ρ = 1/η its curvature.
//
// Proposition 1. For a quadratic family with a fixed metric, ḡ_k is the quadratic at
// θ_k with SPIDER's gradient estimator: SPI-MM is then Prox-SpiderBoost, step by
// step.
//
// Proposition 2. If ρ ≥ L + c then ḡ_k(θ) + ‖e_k‖²/(2c) ≥ f(θ) for all θ: a
// majorant up to a slack, surely. "In expectation" needs the slack too, because
// θ_k depends on the path; only E[e_k | past] = e_{k−1} and E[e_k] = 0 hold without.
// At a refresh e_k = 0 and ḡ_k is a classical majorant.
//
// Proposition 3. With replacement, E‖e_k‖² ≤ E‖e_k0‖² + (L²/b) Σ_j E‖Δ_j‖², where
// Δ_j = θ_{j+1} − θ_j are the moves since the refresh k0; without, (n−b)/(n−1) times
// the sum.
//
// # Theorems (derived here, constants ours)
//
// For full refreshes and q ≤ b, R uniform on the first K iterations
// (OutputRandom), and G the gradient mapping at η:
//
// Theorem A, h convex, η = 1/(2L) (any η < 2/(3L) with other constants):
// Σ E‖Δ_k‖² ≤ 2·D0/L and E‖G(θ_R)‖² ≤ 20·L·D0/K.
//
// Theorem B, h = 0, η ≤ (√5−1)/(2L): E‖∇f(θ_R)‖² ≤ 2·D0/(ηK).
//
// Theorem C, any h of A3, η = 1/(4L): Σ E‖Δ_k‖² ≤ 2·D0/L, and the mean of
// E dist(0, ∂F(θ_{k+1}))² is at most 108·L·D0/K.
//
// Theorem D, any additive family whose g_i majorise, whose ḡ + h is ρ-strongly
// convex, and for which κ ↦ ∇g_i(θ;κ) has the mean-square Lipschitz constant L_κ
// uniformly in θ: if ρ > 2L_κ then (1/K) Σ E‖Δ_k‖² ≤ 2·D0/((ρ−2L_κ)K). Families whose
// curvature moves with the anchor (JaakkolaJordan, IRLS, PoissonEM, FactorMM,
// Reweighted) satisfy it on bounded sets at best; their types say so.
//
// Count: with q = b = ⌈√n⌉ an epoch costs at most 3n, K iterations 3n + 3√n·K, so
// theorem A reaches E‖G‖ ≤ ε within 3n + 60·L·D0·√n/ε² component gradients: the order
// that the source states. MM needs n per iteration.
//
// # The proof in seven steps
//
//  1. Martingale: E[e_k | past] = e_{k−1}, since both points see the same batch.
//  2. Variance along the path: add up the martingale's increments, each at most
//     (L²/b)‖Δ‖² (Proposition 3).
//  3. Descent with slack: smoothness, the optimality of the prox step and Young's
//     inequality give, surely and for any c > 0,
//     F(θ_{k+1}) ≤ F(θ_k) + ‖e_k‖²/(2c) − (1/η − L/2 − c/2)‖Δ_k‖²
//     (1/(2η) in place of 1/η for h not convex).
//  4. Within an epoch: Σ E‖e_k‖² ≤ L²(q−1)/b · Σ E‖Δ_k‖² ≤ L² Σ E‖Δ_k‖², so with
//     c = L the slack costs half of what is left of the descent.
//  5. Across epochs: refreshes have no error, so the sums telescope to D0.
//  6. From moves to stationarity: ‖G‖² ≤ 2‖Δ‖²/η² + 2‖e‖² for convex h, the optimality
//     condition of the prox for any other.
//  7. Count: n per refresh and 2b per inner step.
//
// # Certificate
//
// Step 3 holds at every step of every run, whatever was drawn; so does its form for
// general families, F(θ⁺) ≤ F(θ) + D(θ) − D(θ⁺) − (ρ/2)‖Δ‖², D being the difference
// between the carried and the exact surrogate. Settings.Certify checks it as the
// run goes and so finds wrong gradients, wrong proxes, constants that are too small
// and surrogates that do not majorise.
//
// # Which method
//
// At theory's steps SPI-MM, SpiderBoost, SPIDER and PAGE, which share an estimator,
// are ahead of MM, MISO and SVRG in passes, as the count says. The theorems guard
// against the worst case: with tuned steps single-sample methods (SAGA, SARAH,
// SPIMM with Batch 1 and Period n) often need fewer passes on benign data, while
// small batches cost more time a pass. SGD and SMM are often quickest in the first
// pass and stall at a noise floor. Proximal steps of a costly h favour large batches.
// The README of examples/mm has the table, with spreads.
package mm
