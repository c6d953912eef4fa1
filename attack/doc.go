// Package attack finds adversarial examples: changes of an image or a clip, small in L2,
// Linf or L1, that make a classifier answer another class (untargeted) or a given one
// (targeted). The classifier under attack is the victim. Most attacks here are black-box:
// they see only the victim's answers, and their queries are counted.
//
// An attack is a struct of options. Its zero value is usable, except that some attacks need
// a network. [WithScores], [WithLabels] or [WithGradients] binds it to a victim of package
// zoo and makes a [Job]. A [Campaign] runs the job over many samples and returns a [Result]
// with one [Record] per sample. [Summarize] turns records into a row of a table. Pixels and
// distances are in units of [0,1]. An option of 0 means its default; the constant [Zero]
// stands for exactly 0.
//
// Programs build attacks from a name and JSON through the registry ([Kinds], [Spec]). It
// also holds presets, such as the settings of papers.
//
// # An attack of your own
//
// A type with the methods About and AttackScores (or AttackLabels, AttackGradients) is an
// attack, and a campaign treats it as ours. The building blocks are exported: the loop of
// the attacks that estimate gradients ([Descent]), steps in a ball ([BallStep],
// [Norm.Project]), the estimators of package zoo, and [Try], which asks the victim and
// records successes. A loss, a decoder or a noise of your own goes into the options of any
// attack that takes one. An attack with unexported state must declare it ([Hider]).
// [Register] and [RegisterPart] let programs find an attack and its parts by name.
//
// # A campaign on many machines
//
// [Campaign.Plan] cuts a campaign into units, one per sample. A unit runs anywhere
// ([Plan.Run], after [Campaign.Adopt] on another machine), with a [Log] of its own such as
// a [Journal]. [Plan.Merge] combines the units' results in any order. The merged records
// equal those of a single run, byte for byte.
//
// # Which attack
//
// An attack either stays in a ball of a given radius and stops at its first success there,
// or seeks the least distance. “Batch” is the number of queries per call, or the option
// that sets it; the victim may limit it. [Campaign.Gather] joins the calls of several
// samples.
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
// A “ball” without a norm may be one of L2, Linf or L1.
//
// For a victim with scores and a fixed ball, try Square first. The Meta Attack needs more
// queries there, because it measures finite differences to fine-tune its network. Take it
// where few queries and a small L2 are wanted together. Attacks on labels begin with a
// success far away and come nearer until the budget ends. Compare them by the distance
// after a number of queries ([Record.At]), and the others by the queries at the first
// success. A targeted attack on labels needs a start image (Campaign.Start, Sample.Start).
//
// # Confident victims
//
// A victim whose logits are multiplied by a constant makes the same decisions with more
// confidence. The following attacks do not depend on that scale: all attacks on labels,
// untargeted Square, Meta, FAB, APGD on [zoo.DLR], and SimBA, SignHunter, PGD and NES with
// [zoo.Margin] as their loss. Cross-entropy is the default loss of SimBA, SignHunter, FGSM,
// PGD and APGD. It weighs the other classes by their probabilities, so that the scale
// matters little. The following depend on the scale, because they weigh the loss against
// something else: NES on cross-entropy weighs its gradient against earlier ones, Bandits
// against the length of its exploration, and ZOO, AutoZOOM and CarliniWagner against the
// distance. [zoo.Loss] says which loss serves a victim that rounds its answers.
//
// Simulator (Ma, Chen and Yong, 2021) and P-RGF (Cheng et al., 2019) are not here, because
// they need a surrogate that was trained for the victim's task.
//
// # Queries
//
// One image through the victim is one query, whatever the attack reads from the answer. A
// batch of k images costs k queries. A gradient costs one query, together with its forward
// pass. The campaign charges queries before it sends them, including checks for success,
// and stops the attack at the budget, even within a batch. This count is strict: papers and
// their code often leave out the checks ([Meta.AuthorsCount] converts).
//
// Two kinds of queries are not charged to the attack. One query asks whether the victim
// classifies the clean sample correctly (Record.Clean); a sample that it misclassifies is
// skipped. Two queries verify the best success, as it is and rounded to 8 bits
// (Record.Verify). If you pay for queries, add them.
//
// # Reproducibility
//
// All randomness of a sample follows from the campaign's seed and the sample's name, so
// results depend neither on the number of workers nor on the order. A journal
// ([Campaign.Journal]) records every query before it is sent and every answer after it
// came, except gradients. A campaign that was killed resumes from its journal without
// sending these queries again.
package attack
