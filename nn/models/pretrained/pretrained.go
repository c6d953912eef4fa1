// Package pretrained holds a few trained networks, as float16, for examples and first
// steps. examples/train trained them; see LICENSE.md beside them for the data.
package pretrained

import (
	"bytes"
	_ "embed"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
)

//go:embed net4-mnist.safetensors
var net4 []byte

//go:embed meta-mnist.safetensors
var metaMNIST []byte

//go:embed autozoom-mnist.safetensors
var autozoomMNIST []byte

//go:embed tiny3d-moving.safetensors
var tiny3D []byte

// Net4 returns the victim of the MNIST experiments: [N, 1, 28, 28] in [0,1] to
// logits [N, 10].
func Net4() *nn.Classifier { return load(net4, models.Net4(0, 10)) }

// MetaAttackerMNIST returns a meta attacker that was not trained on Net4: [N, 1, 28, 28] to
// a map of that shape. LICENSE.md names its training data.
func MetaAttackerMNIST() *nn.Sequential { return load(metaMNIST, models.MetaAttackerMNIST(0)) }

// AutoZOOMMNIST returns the auto-encoder whose second half is a decoder for AutoZOOM: codes
// [N, 1, 14, 14] to [N, 1, 28, 28].
func AutoZOOMMNIST() *models.AutoEncoder { return load(autozoomMNIST, models.AutoZOOMMNIST(0)) }

// Tiny3D returns a network that classifies how a digit moves, for any digit at any place:
// clips [N, 3, 16, 32, 32] in [0,1] to logits [N, 8] of the motions right, left, up, down,
// clockwise, anticlockwise, sideways and upright (to and fro). A single frame does not show
// the motion. For a victim that takes clips [T, C, H, W], use data.Preprocess{CTHW: true}.
func Tiny3D() *nn.Classifier { return load(tiny3D, models.Tiny3D(0, 8)) }

func load[M nn.Module](b []byte, net M) M {
	if err := nn.Read(bytes.NewReader(b), int64(len(b)), net, nn.LoadOptions{}); err != nil {
		panic("pretrained: " + err.Error()) // the embedded file does not fit the code: a test would have said so
	}
	return net
}
