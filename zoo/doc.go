// Package zoo holds the parts of zeroth-order optimisation of a black box: victims, the
// ledger that counts their queries, goals and losses, gradient estimators, and the meta
// attacker. Package attack composes them. It is not a collection of models; those are in
// package nn/models.
//
// # Victims
//
// A [Scorer] answers with class scores, a [Labeler] with a class, and a [Differentiable]
// victim with gradients too. They are different interfaces, so an attack on scores cannot
// run against a victim without scores. Victims take samples with pixels in [0,1]; their
// adapters do the preprocessing ([data.Preprocess]). [ScorerFunc] and [LabelerFunc] adapt a
// function, [NewModel] one of our networks, and package zoo/oip a server that speaks the
// Open Inference Protocol.
//
// # Queries
//
// One image through the victim is one query, whatever is read from the answer. A [Ledger]
// keeps three accounts (the attack's, the clean check's and the verification's), charges
// before the call and stops hard at the budget. [MeterScores], [MeterLabels] and
// [MeterGradients] put it between an attack and a victim. They also check every answer of
// any victim: an answer that contradicts the victim's description is an error
// ([ErrBadVictim]), never a success.
//
// # From queries to gradients
//
// A [Loss] turns a victim's answer into a number. An [Objective] is that number as a
// function of an image. An [Estimator] estimates its gradient: finite [Differences],
// [RandomDirections], [NES], the bandit [Prior] with a [Noise] of one's choice, and the
// meta-learned [Meta]. Losses, estimators, noises and the spaces that attacks move in
// ([Space]) are interfaces, and a package of your own may add to each.
package zoo
