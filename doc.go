// Package mettle is the front door of a library that measures and improves how
// visual classifiers behave under strain. It holds no code; the packages below it
// do the work.
//
// # Attacking a black box
//
//   - zoo: victims and their oracles, the ledger that counts queries, losses,
//     gradient estimators, the meta attacker and its training; zoo/oip speaks the
//     Open Inference Protocol to remote victims.
//   - attack: Meta Attack, ZOO, AutoZOOM, Bandits, NES, Square, SimBA, SignHunter,
//     Boundary, Opt, Sign-OPT, HopSkipJump, RayS; FGSM, PGD, Carlini-Wagner, APGD, FAB
//     and AutoAttack for white boxes; campaigns over many samples, with a journal to resume from, that
//     can be cut into units for many machines; a registry of attacks, open to yours.
//     attack/fleet, a module of its own, runs them on many machines.
//
// # Training
//
//   - tensor: float32 arrays, npy and safetensors files.
//   - autograd: a tape that owns its memory.
//   - nn, nn/optim, nn/models, nn/data: layers, optimisers, named networks, data
//     sets and loaders; nn/eval: accuracies, confusion and calibration; nn/checkpoint:
//     runs that go on bit for bit.
//   - longtail: long-tailed data, samplers, losses and classifiers, the parts of
//     Divide and Retain and its rivals.
//   - ssl: methods of self-supervision, their monitors, bounds of mutual information
//     and heterotopic ensembling; nn/eval/tsne: pictures of features.
//   - video: clips, their files and data sets, and the attacks on them; video/motion:
//     block matching, dense flow and motion maps.
//
// # Optimisation
//
//   - mm: majorization-minimization for non-convex finite sums: MM, MISO, SMM,
//     SPI-MM and their variance-reduced rivals, with proximal operators.
//
// The methods are those of Hu Zhang's thesis "Probing into the Robustness of Deep
// Learning Models in Visual Recognition Applications" (University of Technology
// Sydney, 2021) and of what it compares them with. Everything is pure Go with
// assembly kernels for AVX2, AVX-512 and NEON that a plain go build includes.
package mettle
