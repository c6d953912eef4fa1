package models

import "github.com/mettleml/mettle/nn"

// The networks of this file take [N, 1, 28, 28] and are the classifiers of the meta
// attack's MNIST experiments. Convolutions have no padding and stride 1; layers are
// initialised as PyTorch does by default. classes of 0 means 10.

// LeNet5 has two convolutions and three linear layers: 44,426 parameters.
func LeNet5(seed uint64, classes int) *nn.Sequential {
	r := newRand(seed)
	return nn.NewSequential(
		nn.NewConv2D(r, 1, 6, 5, nn.ConvConfig{}), nn.ReLU{}, nn.MaxPool2D(2),
		nn.NewConv2D(r, 6, 16, 5, nn.ConvConfig{}), nn.ReLU{}, nn.MaxPool2D(2),
		nn.Flatten{}, nn.NewLinear(r, 256, 120), nn.ReLU{}, nn.NewLinear(r, 120, 84), nn.ReLU{},
		nn.NewLinear(r, 84, or(classes, 10)))
}

// Net1 has two convolutions and two linear layers: 431,080 parameters.
func Net1(seed uint64, classes int) *nn.Sequential {
	r := newRand(seed)
	return nn.NewSequential(
		nn.NewConv2D(r, 1, 20, 5, nn.ConvConfig{}), nn.ReLU{}, nn.MaxPool2D(2),
		nn.NewConv2D(r, 20, 50, 5, nn.ConvConfig{}), nn.ReLU{}, nn.MaxPool2D(2),
		nn.Flatten{}, nn.NewLinear(r, 800, 500), nn.ReLU{}, nn.NewLinear(r, 500, or(classes, 10)))
}

// Net2 has two convolutions without pooling, and dropout: 3,382,346 parameters.
func Net2(seed uint64, classes int) *nn.Sequential {
	r := newRand(seed)
	return nn.NewSequential(
		nn.NewConv2D(r, 1, 64, 5, nn.ConvConfig{}), nn.ReLU{},
		nn.NewConv2D(r, 64, 64, 5, nn.ConvConfig{}), nn.ReLU{}, nn.NewDropout(0.25),
		nn.Flatten{}, nn.NewLinear(r, 25600, 128), nn.ReLU{}, nn.NewDropout(0.5),
		nn.NewLinear(r, 128, or(classes, 10)))
}

// Net3 drops pixels of its input and has three convolutions with large kernels:
// 893,258 parameters.
func Net3(seed uint64, classes int) *nn.Sequential {
	r := newRand(seed)
	return nn.NewSequential(
		nn.NewDropout(0.2), nn.NewConv2D(r, 1, 64, 8, nn.ConvConfig{}), nn.ReLU{},
		nn.NewConv2D(r, 64, 128, 6, nn.ConvConfig{}), nn.ReLU{},
		nn.NewConv2D(r, 128, 128, 5, nn.ConvConfig{}), nn.ReLU{}, nn.NewDropout(0.5),
		nn.Flatten{}, nn.NewLinear(r, 18432, or(classes, 10)))
}

// Net4 has two convolutions with tanh; it is the network attacked. 281,290
// parameters.
func Net4(seed uint64, classes int) *nn.Sequential {
	r := newRand(seed)
	return nn.NewSequential(
		nn.NewConv2D(r, 1, 128, 3, nn.ConvConfig{}), nn.Tanh{}, nn.MaxPool2D(2),
		nn.NewConv2D(r, 128, 64, 3, nn.ConvConfig{}), nn.Tanh{}, nn.MaxPool2D(2),
		nn.Flatten{}, nn.NewLinear(r, 1600, 128), nn.ReLU{}, nn.NewLinear(r, 128, or(classes, 10)))
}

// Net5 has five linear layers with dropout: 509,410 parameters.
func Net5(seed uint64, classes int) *nn.Sequential {
	r := newRand(seed)
	return nn.NewSequential(
		nn.Flatten{}, nn.NewLinear(r, 784, 300), nn.Tanh{}, nn.NewDropout(0.5),
		nn.NewLinear(r, 300, 300), nn.Tanh{}, nn.NewDropout(0.5),
		nn.NewLinear(r, 300, 300), nn.ReLU{}, nn.NewDropout(0.5),
		nn.NewLinear(r, 300, 300), nn.ReLU{}, nn.NewDropout(0.5),
		nn.NewLinear(r, 300, or(classes, 10)))
}

// Net6 has four convolutions and three linear layers; it is the MNIST network of
// Carlini and Wagner (2017). 312,202 parameters.
func Net6(seed uint64, classes int) *nn.Sequential {
	r := newRand(seed)
	return nn.NewSequential(
		nn.NewConv2D(r, 1, 32, 3, nn.ConvConfig{}), nn.ReLU{}, nn.NewConv2D(r, 32, 32, 3, nn.ConvConfig{}), nn.ReLU{}, nn.MaxPool2D(2),
		nn.NewConv2D(r, 32, 64, 3, nn.ConvConfig{}), nn.ReLU{}, nn.NewConv2D(r, 64, 64, 3, nn.ConvConfig{}), nn.ReLU{}, nn.MaxPool2D(2),
		nn.Flatten{}, nn.NewLinear(r, 1024, 200), nn.ReLU{}, nn.NewDropout(0.5),
		nn.NewLinear(r, 200, 200), nn.ReLU{}, nn.NewLinear(r, 200, or(classes, 10)))
}
