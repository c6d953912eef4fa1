// Package attack finds adversarial examples: changes of an image or a clip, small in
// L2, Linf or L1, that make a classifier answer another class, or a certain one. Most of
// its attacks are black-box: they see what the victim answers, and count how often it
// was asked.
//
// An attack is a struct of options whose zero value is usable but for a network it may
// need. [WithScores], [WithLabels] or [WithGradients] binds it to a victim of package
// zoo that answers as the attack needs, which makes a [Job]; a [Campaign] runs the job
// over many samples and returns a [Result] with a [Record] of each; [Summarize] makes a
// row of a table of them. Pixels and distances are in units of [0,1]. An option of 0
// means its default; [Zero] is one of exactly 0.
//
// Programs build attacks from a name and JSON by the registry ([Kinds], [Spec]), in which
// the presets of papers stand too.
//
// # An attack of your own
//
// A type with the methods About and AttackScores (or AttackLabels, AttackGradients) is an
// attack, and a campaign treats it as ours. What such a method needs is exported: the loop
// of the attacks that estimate gradients ([Descent]), steps in a ball ([BallStep],
// [Norm.Project]), the estimators of package zoo, and [Try], which asks and records
// successes. A loss, a decoder or a noise of your own goes into the options of any attack
// that takes one. What an attack hides must be stated ([Hider]); [Register] and
// [RegisterPart] let programs find it by name.
//
// # A campaign on many machines
//
// [Campaign.Plan] cuts a campaign into units that run anywhere ([Plan.Run], after
// [Campaign.Adopt] on another machine), each with a [Log] of its own such as a [Journal].
// [Plan.Merge] makes the result of theirs, in any order: the records are those of one run
// to the byte.
//
// # Which attack
//
// An attack either stays in a ball of a given radius and stops at its first success
// there, or seeks the least distance. “Batch” is how many queries it sends in a call,
// or the option that says how many, as far as the victim takes them; [Campaign.Gather]
// joins the calls of several samples.
//
//	attack         needs      aim             batch          the right choice
//	Square         scores     ball            1              first under a ball
//	SignHunter     scores     L2, Linf ball   1              a first look under an Linf ball, nothing to tune
//	Bandits        scores     L2, Linf ball   2              under a ball, with a gradient prior; a baseline
//	NES            scores     L2, Linf ball   Queries        under a ball, where calls are dear and queries are not
//	Meta           scores     small L2        Coordinates    small L2, with a network trained for like pictures
//	AutoZOOM       scores     small L2        Directions     small L2 without such a network; large pictures
//	SimBA          scores     L2 grows        1              simple, little to tune
//	ZOO            scores     small L2        2·Coordinates  a baseline, where queries are free
//	HopSkipJump    labels     least L2, Linf  Probes         first for labels
//	RayS           labels     least Linf      1              Linf from labels, untargeted
//	SignOpt        labels     least L2        1              beside HopSkipJump, with a long budget
//	Opt            labels     least L2        1              a baseline
//	Boundary       labels     least L2        1              a baseline
//	AutoAttack     gradients  ball            1              robust accuracy, as papers compare it
//	APGD           gradients  ball            1              what gradients reach under a ball
//	FAB            gradients  least distance  1, classes     least L2, Linf or L1 from gradients, quickly
//	PGD            gradients  L2, Linf ball   1              a quick reference under a ball
//	CarliniWagner  gradients  least L2        1              the least L2 that gradients reach
//	FGSM           gradients  L2, Linf ball   1              one look at a gradient
//
// A ball without a norm is one of L2, Linf or L1.
//
// For a victim with scores and a fixed ball, try Square first. The Meta Attack is not
// the most frugal there: its cost is the finite differences it fine-tunes its network
// by. Its place is a small distance from a start at the clean image, where few
// queries and a small L2 are wanted together. Attacks on labels begin with a success
// far away and come nearer for as long as there is a budget: compare them by distance
// at a number of queries ([Record.At]), the others by queries at the first success. A
// targeted attack on labels needs a [Start].
//
// # Confident victims
//
// Logits times a constant make the same decisions with more confidence. Square, RayS,
// HopSkipJump and the other attacks on labels, Meta, and any attack with [zoo.Margin] for
// a loss find the same then; so do FAB, and APGD on [zoo.DLR]. Cross-entropy, the loss of
// SimBA, SignHunter, FGSM, PGD and APGD,
// weighs the other classes by their probabilities, which changes little. The following
// weigh the loss against something else, and so depend on the scale of the logits: NES its
// gradient against those before it, Bandits against the length of what it explores, and
// ZOO, AutoZOOM and CarliniWagner against the distance. With [zoo.Margin], NES does not.
// [zoo.Loss] says which loss serves a victim that rounds its answers.
//
// Left out are Simulator (Ma, Chen and Yong, 2021) and P-RGF (Cheng et al., 2019):
// they need a surrogate trained for the victim's task.
//
// # Queries
//
// One image through the victim is one query, whatever is read from the answer, and a
// batch of k costs k. A gradient costs one, as its forward pass does. Queries are
// charged before they are sent, checks for success included, and the attack is cut
// off at the budget, within a batch too. The count is strict: papers and their code
// often leave out checks ([Meta.AuthorsCount] converts).
//
// What an attack is charged does not contain the question whether the victim gets the
// clean sample right (Record.Clean, 1; a sample it gets wrong is skipped), nor the
// separate pass that verifies the best success, as it is and rounded to 8 bits
// (Record.Verify, 2). The victim answers those too: who pays for queries adds them.
//
// # Reproducibility
//
// All that is random about a sample follows from the campaign's seed and the sample's
// name, so results depend neither on workers nor on order. A [Campaign.Journal]
// records every query before it is sent and every answer after, but for gradients; a
// campaign that was killed resumes from it without paying for them again.
package attack
