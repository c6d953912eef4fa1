package pretrained

import (
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

func TestWeightsFitTheirNetworks(t *testing.T) {
	if n := nn.Count(Net4()); n != 281290 {
		t.Errorf("Net4 has %d parameters", n)
	}
	tape := autograd.NewTape(autograd.Inference, 0)
	y := MetaAttackerMNIST().Forward(tape.Input(tensor.New(1, 1, 28, 28)))
	if y.Len() != 784 {
		t.Errorf("the meta attacker answers with shape %v", y.Shape())
	}
	if y := AutoZOOMMNIST().Decoder.Forward(tape.Input(tensor.New(1, 1, 14, 14))); y.Len() != 784 {
		t.Errorf("AutoZOOM's decoder answers with shape %v", y.Shape())
	}
	if y := Tiny3D().Forward(tape.Input(tensor.New(2, 3, 16, 32, 32))); y.Dim(0) != 2 || y.Dim(1) != 8 {
		t.Errorf("the network for moving digits answers with shape %v", y.Shape())
	}
}
