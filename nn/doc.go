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
//		nn.NewConv2D(rng, 1, 16, 3, nn.ConvConfig{Padding: 1}), nn.NewBatchNorm(16), nn.ReLU{}, nn.MaxPool2D(2),
//		nn.Flatten{}, nn.NewLinear(rng, 16*14*14, 10))
//	tape := autograd.NewTape(autograd.Training, seed)
//	loss := nn.CrossEntropy(model.Forward(tape.Input(images)), labels)
//
// # Names
//
// [State] lists parameters and buffers by dotted names, which for the networks of
// this library are those of the same network's PyTorch state_dict. [Save] and
// [Load] use them in safetensors files, so weights travel both ways.
//
// # Fusion
//
// [Sequential] and the residual blocks see several layers at once and merge what
// can be computed in one pass (convolution, batch normalisation, the residual sum
// and ReLU), or in a cheaper order (an increasing activation after a maximum). No
// value that the caller can reach changes by it.
//
// # Goroutines
//
// Goroutines with tapes of their own may share a network for inference and for
// gradients in Eval mode. A forward pass in Training mode updates batch statistics
// and needs the network to itself.
package nn
