// Package nn builds networks: layers, initialisers, losses, and the naming, saving
// and copying of parameters.
//
// A network is a [Module]: it maps an [autograd.Var] to another and names its parameters.
// The tape sets the mode of a forward pass, not the network, so one network serves a
// training loop, an attack and an evaluation without a switch:
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
// A layer with parameters has a constructor: New and the layer's name. The first argument
// is a generator that draws the weights from PyTorch's default distribution; a nil
// generator leaves them 0, for an initialiser to set. Required sizes are arguments;
// settings with a default are in one struct of options. Exported fields may be changed
// before the first use. A layer without parameters is a struct literal, such as ReLU{} or
// Dropout{P: 0.5}.
//
// # Classifiers
//
// A [Classifier] is a [Backbone], which computes features, and a head, which turns them
// into logits. Code that needs features, feature maps or widths takes a [Backbone] and need
// not know the network. Any module may be the head. All classifiers of package models are
// of this type:
//
//	net := models.ResNet32(seed, 100)
//	maps := net.Backbone.Maps(x, "layer2", "layer3") // [N, 32, 16, 16] and [N, 64, 8, 8]
//	features := net.Backbone.Pool.Module.Forward(maps[1]) // [N, 64]
//	logits := net.Head.Forward(features)
//
// # Names
//
// [State] lists parameters, buffers and counters by dotted names. For the networks of this
// library these are the names in PyTorch's state_dict. [Save] and [Load] use them in
// safetensors files, so weights can be exchanged with PyTorch. [Load] also reads sharded
// files by their index, and strips a common prefix such as DataParallel's. [Select] and
// [Except] choose parameters by name.
//
// # Fusion
//
// [Sequential] and the residual blocks compute several layers in one pass (convolution,
// batch normalisation, the residual sum and ReLU), or in a cheaper order (an increasing
// activation after a maximum). In Inference mode they free intermediate results early,
// split large batches, and scale the weights of a convolution in place of a normalisation
// behind it (autograd.ConvBatchNorm). The last changes results by rounding; else no value
// changes that the caller can see. An example has the same bits in any batch. Layers of other
// packages take part through [Promiser].
//
// # Goroutines
//
// Goroutines with tapes of their own may share a network for inference and for gradients in
// Eval mode. A forward pass in Training mode updates batch statistics, so nothing else may
// use the network meanwhile.
package nn
