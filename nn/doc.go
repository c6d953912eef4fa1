// Package nn builds networks: layers, initialisers, losses, and the naming, saving
// and copying of parameters.
//
// A network is a [Module]: it maps a [autograd.Var] to another and names what it
// holds. The mode of a forward pass is the tape's, not the network's, so one
// network serves a training loop, an attack and an evaluation without being
// switched:
//
//	rng := rand.New(rand.NewPCG(seed, 0))
//	model := nn.NewSequential(
//		nn.NewConv2D(rng, 1, 16, 3, nn.ConvOptions{Padding: 1}), nn.NewBatchNorm(16), nn.ReLU{}, nn.MaxPool{Kernel: []int{2}},
//		nn.Flatten{}, nn.NewLinear(rng, 16*14*14, 10))
//	tape := autograd.NewTape(autograd.Training, seed)
//	loss := nn.CrossEntropy(model.Forward(tape.Input(images)), labels)
//
// # Making layers
//
// What has parameters is made by a constructor, New and the name. Its first argument
// draws the weights, as PyTorch does by default; a nil generator leaves them 0, for an
// initialiser to follow. Sizes that must be given are arguments, what has a default is
// in one struct of options, and exported fields may be changed before first use. What
// has no parameters is a struct literal, such as ReLU{} or Dropout{P: 0.5}.
//
// # Classifiers
//
// A [Classifier] is a [Backbone], which makes features, and a head, which makes logits
// of them. Code that needs features, the feature map, an earlier stage or the width of
// either takes a Backbone and need not know the network; any module serves as a head.
// All classifiers of package models are of this type:
//
//	net := models.ResNet32(seed, 100)
//	maps := net.Backbone.Maps(x, "layer2", "layer3") // [N, 32, 16, 16] and [N, 64, 8, 8]
//	features := net.Backbone.Pool.Module.Forward(maps[1]) // [N, 64]
//	logits := net.Head.Forward(features)
//
// # Names
//
// [State] lists parameters, buffers and counters by dotted names, which for the networks
// of this library are those of the same network's PyTorch state_dict. [Save] and
// [Load] use them in safetensors files, so weights travel both ways. Load also reads a
// network in several files by their index, and strips what a wrapper such as
// DataParallel puts before all names. [Select] and
// [Except] choose parameters by name.
//
// # Fusion
//
// [Sequential] and the residual blocks see several layers at once and merge what
// can be computed in one pass (convolution, batch normalisation, the residual sum
// and ReLU), or in a cheaper order (an increasing activation after a maximum). In
// Inference mode they free what nobody can need, and cut large batches into pieces. No
// value that the caller can reach changes by it, and an example has the same bits in any
// batch. A layer of another package takes part if it promises what that takes: see
// [Promiser].
//
// # Goroutines
//
// Goroutines with tapes of their own may share a network for inference and for
// gradients in Eval mode. A forward pass in Training mode updates batch statistics
// and needs the network to itself.
package nn
