// Package zoo holds what zeroth-order optimisation of a black box is made of:
// victims and their oracles, the ledger that counts queries, goals and losses,
// gradient estimators, and the meta attacker. Package attack composes them. It
// is not a collection of models; those are in package nn/models.
//
// # Victims
//
// A [Scorer] answers with class scores, a [Labeler] with a class, and a
// [Differentiable] victim with gradients too. They are different interfaces, so
// that an attack which needs scores cannot be run against a victim that has
// none. Victims see samples with pixels in [0,1]; what they do to them first
// ([data.Preprocess]) is their adapter's business. [ScorerFunc] and [LabelerFunc]
// adapt a function, [NewModel] one of our networks, and package zoo/oip a server
// that speaks the Open Inference Protocol.
//
// # Queries
//
// One image through the victim is one query, whatever is read from the answer.
// A [Ledger] keeps three accounts (the attack's, the clean check's and the
// verification's), charges before the call and stops hard at the budget.
// [MeterScores], [MeterLabels] and [MeterGradients] put it between an attack and a
// victim. They also check every answer, whatever the type of the victim: one that does not
// keep to its description ([ErrBadVictim]) is no success.
//
// # From queries to gradients
//
// A [Loss] makes a number of a victim's answer, and an [Objective] a function of an image
// of that; an [Estimator] guesses its gradient: finite [Differences], [RandomDirections],
// [NES], the bandit [Prior] with a [Noise] of one's choice, and the meta-learned [Meta].
// Losses, estimators, noises and the spaces that attacks move in ([Space]) are interfaces,
// and a package of your own may add to each.
package zoo
