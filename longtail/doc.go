// Package longtail trains classifiers on long-tailed data: a few classes, the head, have
// most samples, and many classes, the tail, have few. It has the method Divide and Retain
// of chapter 4 of H. Zhang's thesis (University of Technology Sydney, 2021; H. Zhang, L.
// Zhu, X. Wang and Y. Yang, "Divide and Retain", IEEE TNNLS, 2023), its rivals, and the
// means of a fair comparison: named subsets, samplers, groups of classes by shot.
//
// The training loop is the caller's, and the package has its parts: losses are functions of
// logits and labels, samplers are orders of a data.Loader, and classifiers are heads of an
// nn.Classifier. The example of the package is a whole run in two phases.
//
// # What is known of the method, and what is ours
//
// The text of the chapter and its numbers were not available. In the sections below,
// "stated" refers to the thesis's headings, captions and abstract, or to the abstract of an
// earlier version ("Asynchronous modeling: a dual-phase perspective for long-tailed
// recognition", 2020). The rest is our reconstruction, with options where other readings
// are possible. None of our numbers is the thesis's.
//
// # Divide: gradient distortion
//
// Stated: when all classes are trained at once, the gradients of head and tail are summed.
// The head's gradient dominates the sum, and the tail's makes it fluctuate (figures 4.1 and
// 4.2). With n samples in a batch, n_h of the head and n_t of the tail, and the loss l_i of
// sample i,
//
//	g_h = 1/n Σ_head ∇l_i,   g_t = 1/n Σ_tail ∇l_i,   g = g_h + g_t
//	cos θ1 = <g_h, g>/‖g_h‖‖g‖,   cos θ2 = <g_t, g>/‖g_t‖‖g‖
//
// are measured by [Probe], for parameters of the caller's choice. Ours are the parameters,
// and the norms of g_h and g_t; [Distortion] also has the norms of the means n/n_h·g_h and
// n/n_t·g_t, because the two conventions can disagree.
//
// Stated: phase I trains on the head alone; such a network is better on the head than one
// trained on all classes (table 4.1; [CompareHead]). The point that divides head and tail
// is varied (figure 4.6). Ours: the division is by number of samples, and the many-shot
// classes are the head ([SplitByCount], [SplitByRank]).
//
// # Retain: the bank
//
// Stated: an exemplar bank keeps a few samples of the head. A prototype is estimated per
// class; then two steps alternate: select samples with the prototype fixed, update the
// prototype (figure 4.4). Ours: features x of length 1, the class's mean μ as the first
// prototype, the selection of the nearest sample, and
//
//	p = (k+1)·μ - Σ selected
//
// after k selections. This is the rule of iCaRL ([Herd], with two more readings; [Nearest],
// [Random], [KCenter] and [KMedoids] are baselines for table 4.8). Ours too: the bank has
// as many samples per head class as the largest tail class ([BankOptions]).
//
// # Retain: growth and the loss
//
// Stated: phase II adds the tail, the classifier grows, and prediction is over all classes
// at once. [Grow] copies the rows of the head bit for bit; the initialisation of new rows
// is ours.
//
// Stated: samples of the bank and the tail go through a memory-retentive loss, which
// matches graphs. Coefficients a_ij between a node and the others come from the features of
// phase I. They weigh the distances from the node to all current features (figure 4.5). A
// factor λ balances this loss with the classification loss (figure 4.8). [Retention] is
//
//	o_i = f_old(x_i)/‖f_old(x_i)‖,   g_j = f(x_j)/‖f(x_j)‖
//	a_ij = exp(<o_i, o_j>/τ) / Σ_k exp(<o_i, o_k>/τ)
//	L_mr = 1/B Σ_i Σ_j a_ij ‖o_i - g_j‖²
//	L = cross-entropy over all classes + λ·L_mr
//
// Ours: the lengths of 1, the cosine, τ = 0.1, the factor 1/B, j = i among the nodes, and λ
// = 1. The gradient of L_mr with respect to g_j is 2/B Σ_i a_ij (g_j - o_i), without the
// normalisation of its length. So L_mr alone moves g_j to Σ_i a_ij o_i / Σ_i a_ij, which is
// smoother than the old features, and it is not 0 when nothing has changed. [Variant] lists
// other readings and baselines; [Distill] retains logits instead. A [Teacher] makes the old
// features, in eval mode and from the same pixels.
//
// # The rivals
//
// Losses: [CrossEntropy] with [EffectiveWeights], [Focal], [LDAM] with [DRW],
// [BalancedSoftmax], [LogitAdjustment], [LabelAwareSmoothing]; [Mixed] adapts each of them
// to mixup and CutMix. Samplers: [Instance], [ClassBalanced], [ClassAware], [Power],
// [SquareRoot], [Reversed], [Progressive]. After training: [PostHoc], [TauNormalized],
// [NCM]. In a second stage: cRT and [LWS] by [Retrain]. MiSLAS is mixup in stage one, then
// label-aware smoothing, [LWS] and updated batch statistics; see the example of [Retrain].
// Networks with several branches ([Branched]): [BBN] with cumulative learning, and the
// experts of [RIDE].
//
// [ProCo] is one of today's strongest recipes for one network of the usual size in one
// stage. Its authors report 52.8 % on CIFAR100-LT of imbalance 100 with ResNet-32 and 200
// epochs, at the epoch that is best on the test set. GLMC (Du et al., 2023) reports 58 %
// and is not here: its network has 64, 128 and 256 channels where ResNet-32 has 16, 32 and
// 64. This is 16 times the arithmetic, so the numbers do not compare. ProCo costs three
// passes per sample; the loss itself takes less than a hundredth of their time.
//
// # Which to take
//
// Begin with [BalancedSoftmax]: it costs nothing, has nothing to tune, and is hard to beat
// at the same budget. For a trained network, try [PostHoc] first, which needs no training,
// and then cRT, which needs little. If probabilities matter, measure the calibration, and
// smooth labels in the second stage as MiSLAS does. [LDAM] needs the full schedule and a
// [Cosine] head. With time for three passes and strong augmentation, take [ProCo]. If
// prediction may take half as long again, take [RIDE]'s experts. [BBN] is here for
// comparison: it is hard to make its equal weights for the two branches work at test time.
// Divide and Retain is for tail classes that arrive after the head was learned, and for
// head data that cannot all be kept. It has the most to tune: the size of the bank, the
// length and the learning rate of phase II, its losses and frozen or updated batch
// statistics (nn.SetStatistics) matter more than the variant of the loss. Tune on
// validation data ([Subset.Hold]).
//
// # Fair comparisons
//
// Results in this field differ as much by subset, grouping, sampler, schedule and reported
// epoch as by method. So a [Subset] has a name and a digest, a [ShotRule] has a name,
// samplers draw without replacement by default, and all randomness follows from a seed.
//
// A [Result] is the record of a run: its [Recipe], which determines it; the [Report] of the
// last epoch with the rule of its groups; the mean over the last five epochs; the best
// epoch, chosen on the samples that it is measured on; the cost of training; and the
// [Stamp] of the process. [Summarize] combines the runs of a method with several seeds,
// with a range for two seeds and a standard deviation for more:
//
//	recipe := longtail.Recipe{Method: "balanced softmax", Data: "cifar100", Test: "test", ...}.On(subset)
//	var history longtail.History
//	// After each epoch:
//	report := longtail.Measure(outputs, longtail.Shots.Groups(subset.Counts))
//	history.Add(longtail.Epoch{Epoch: epoch + 1, Loss: loss, Acc: report.Acc})
//	// In the end:
//	result, err := recipe.Finish(report, history, longtail.Cost{Steps: steps, Images: images, Seconds: seconds})
package longtail
