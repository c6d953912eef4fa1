// Package longtail trains classifiers on data of which a few classes, the head, have most
// samples, and many, the tail, have few. It has the method Divide and Retain of chapter 4
// of H. Zhang's thesis (University of Technology Sydney, 2021; H. Zhang, L. Zhu, X. Wang
// and Y. Yang, "Divide and Retain", IEEE TNNLS, 2023), the rivals that it is compared
// with, and what a fair comparison takes: named subsets, samplers, groups by shot.
//
// The parts are small and the training loop is the caller's: losses are functions of
// logits and labels, samplers are orders of a data.Loader, classifiers are modules that
// serve as the head of an nn.Classifier. See the example for a whole run in two phases.
//
// # What is known of the method, and what is ours
//
// The text of the chapter and its numbers were not to be had. What the sections below call
// stated is stated by the thesis's headings, captions and abstract, or by the abstract of
// an earlier version ("Asynchronous modeling: a dual-phase perspective for long-tailed
// recognition", 2020). The rest is our reconstruction. It is an option wherever it could
// be otherwise, and no number of ours is the thesis's.
//
// # Divide: gradient distortion
//
// Stated: where all classes are trained at once, the gradients of head and tail are
// summed. The sum is drawn towards the head's, and the tail's makes it fluctuate (figures
// 4.1 and 4.2). With n samples in a batch, n_h of the head and n_t of the tail, and the
// loss l_i of sample i,
//
//	g_h = 1/n Σ_head ∇l_i,   g_t = 1/n Σ_tail ∇l_i,   g = g_h + g_t
//	cos θ1 = <g_h, g>/‖g_h‖‖g‖,   cos θ2 = <g_t, g>/‖g_t‖‖g‖
//
// are what [Probe] measures, for parameters that the caller chooses. Ours: which
// parameters, and that the norms are those of g_h and g_t; [Distortion] has those of the
// means n/n_h·g_h and n/n_t·g_t too, since the two conventions can disagree.
//
// Stated: phase I trains on the head alone, and a network that knows the head alone is
// better on it than one that knows all (table 4.1; [CompareHead]). Where head and tail part
// is swept (figure 4.6). Ours: the parting is by number of samples, and many-shot classes
// are the head ([SplitByCount], [SplitByRank]).
//
// # Retain: the bank
//
// Stated: an exemplar bank keeps a few samples of the head. For each class a prototype is
// estimated; then two steps alternate: select samples with the prototype fixed, update the
// prototype (figure 4.4). Ours: features x of length 1, the class's mean μ as the first
// prototype, the nearest sample as the selected, and
//
//	p = (k+1)·μ - Σ selected
//
// after k selections, which makes the rule that of iCaRL ([Herd], with two more readings;
// [Nearest], [Random], [KCenter] and [KMedoids] are baselines for table 4.8). Ours too: as
// many samples for each head class as the largest tail class has ([BankOptions]).
//
// # Retain: growth and the loss
//
// Stated: phase II adds the tail, the classifier grows, and prediction is over all classes
// at once. [Grow] copies the rows of the head bit for bit; how new rows begin is ours.
//
// Stated: bank and tail go together through a memory-retentive loss, which matches graphs:
// coefficients a_ij between a node and the others among the features of phase I, and
// distances from the node to all current features weighted by them (figure 4.5). A factor
// λ balances it with the classification loss (figure 4.8). [Retention] is
//
//	o_i = f_old(x_i)/‖f_old(x_i)‖,   g_j = f(x_j)/‖f(x_j)‖
//	a_ij = exp(<o_i, o_j>/τ) / Σ_k exp(<o_i, o_k>/τ)
//	L_mr = 1/B Σ_i Σ_j a_ij ‖o_i - g_j‖²
//	L = cross-entropy over all classes + λ·L_mr
//
// Ours: the lengths of 1, the cosine, τ = 0.1, the factor 1/B, self among the nodes, and
// λ = 1. The gradient of L_mr to g_j is 2/B Σ_i a_ij (g_j - o_i), before that of the
// length. So L_mr alone draws g_j to Σ_i a_ij o_i / Σ_i a_ij, which is smoother than the
// old features, and it is not 0 where nothing has changed. [Variant] lists other readings
// and baselines, [Distill] holds logits instead. The old features are a [Teacher]'s, in
// eval mode and of the same pixels.
//
// # The rivals
//
// Losses: [CrossEntropy] with [EffectiveWeights], [Focal], [LDAM] with [DRW],
// [BalancedSoftmax], [LogitAdjustment], [LabelAwareSmoothing]; [Mixed] makes any of them
// one for mixup and CutMix. Samplers: [Instance], [ClassBalanced], [ClassAware], [Power],
// [SquareRoot], [Reversed], [Progressive]. After training: [PostHoc], [TauNormalized],
// [NCM]. In a second stage: cRT and [LWS] by [Retrain]; MiSLAS is mixup in stage one, then
// label-aware smoothing, LWS and moving batch statistics, as the example of Retrain shows.
// Networks of several branches ([Branched]): [BBN] with cumulative learning, and the
// experts of [RIDE]. Each states its formula, source and settings.
//
// [ProCo] stands for the strongest recipes of today that train one network of the usual
// size in one stage: its authors report 52.8 % on CIFAR100-LT of imbalance 100 with
// ResNet-32 and 200 epochs, of the epoch that is best on the test set. GLMC (Du et al., 2023) reports 58 %, and is not here: the
// network that its program calls ResNet-32 has 64, 128 and 256 channels where ResNet-32
// has 16, 32 and 64, which is 16 times the arithmetic, and the numbers do not compare.
// ProCo costs three passes per sample; the loss itself takes less than a hundredth of
// their time.
//
// # Which to take
//
// Begin with [BalancedSoftmax]: it costs nothing, has nothing to tune, and is hard to beat
// at the same budget. With a network that is already trained, try [PostHoc] first, which
// needs no training, and then cRT, which needs little. Where probabilities matter, measure
// the calibration, and smooth labels in the second stage, as MiSLAS does. [LDAM] wants the
// full schedule and a [Cosine] head. With time for three passes and strong augmentation,
// take [ProCo]; where prediction may cost half as much again, [RIDE]'s experts, which
// serve head and tail alike. [BBN] is here for comparison: its equal weights for the two
// branches at the test are hard to get right. Divide and Retain is for tail classes that come when the head has
// been learned, and for head data that cannot all be kept. It has the most to choose: the
// size of the bank, the length and the rate of phase II, its losses and whether batch
// statistics are frozen in it (nn.SetStatistics) matter more than the variant of the
// loss. Choose on validation data ([Subset.Hold]).
//
// # Fair comparisons
//
// Results in this field differ by subset, split of groups, sampler, schedule and the epoch
// that is reported as much as by method. So [Subset] has a name and a digest, [ShotRule]
// names its rule, samplers deal without replacement unless told otherwise, and everything
// drawn follows from a seed.
//
// A [Result] is the record of a run: its [Recipe], which says all that it follows from; the
// [Report] of the last epoch with the rule of its groups; the mean over the last five
// epochs; the best epoch, called best since it was chosen on the samples that it is
// measured on; what training cost; and the [Stamp] of the process. [Summarize] gathers the
// runs of a method with several seeds, and gives a range for two of them and a deviation
// for more:
//
//	recipe := longtail.Recipe{Method: "balanced softmax", Data: "cifar100", Test: "test", ...}.On(subset)
//	var history longtail.History
//	// After each epoch:
//	report := longtail.Measure(outputs, longtail.Shots.Groups(subset.Counts))
//	history.Add(longtail.Epoch{Epoch: epoch + 1, Loss: loss, Acc: report.Acc})
//	// In the end:
//	result, err := recipe.Finish(report, history, longtail.Cost{Steps: steps, Images: images, Seconds: seconds})
package longtail
