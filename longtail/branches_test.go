package longtail

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
)

func pictures(n int) *tensor.Tensor {
	x := tensor.New(n, 3, 32, 32)
	x.FillNormal(rand.New(rand.NewPCG(4, 4)), 0, 1)
	return x
}

func names(m nn.Tree) (list []string) {
	for e := range nn.State(m) {
		list = append(list, e.Name)
	}
	return list
}

func TestBBNResNet32(t *testing.T) {
	net := BBNResNet32(5, 100)
	plain := models.ResNet32(5, 100)
	if n, block, head := nn.Count(net), 2*64*64*9+4*64, 64*100+100; n != nn.Count(plain)+block+head {
		t.Errorf("%d parameters, want those of a ResNet-32, a block and a head", n)
	}
	// A branch behind the trunk is the network that was forked.
	branch := net.Branch(0)
	if !slices.Equal(names(branch), names(plain)) {
		t.Errorf("branch 0 holds %v", names(branch))
	}
	tape := autograd.NewTape(autograd.Inference, 0)
	x := pictures(5)
	list := net.Logits(tape.Input(x))
	if a, b := branch.Forward(tape.Input(x)), plain.Forward(tape.Input(x)); !slices.Equal(a.Data(), b.Data()) || !slices.Equal(a.Data(), list[0].Data()) {
		t.Error("branch 0 has other logits than the network that was forked")
	}
	if slices.Equal(list[0].Data(), list[1].Data()) {
		t.Error("the branches are one")
	}
	mean := net.Forward(tape.Input(x))
	for i, v := range mean.Data() {
		if want := (list[0].Data()[i] + list[1].Data()[i]) / 2; v != want {
			t.Fatalf("logit %v, want %v", v, want)
		}
	}
	// A picture has the same bits alone, and by a copy.
	one := nn.Clone(net).Forward(tape.Input(tensor.FromSlice(slices.Clone(x.Index(3).Data()), 1, 3, 32, 32)))
	if !slices.Equal(one.Data(), mean.Data()[300:400]) {
		t.Error("a picture has other bits alone")
	}
	// Both batches of a step reach the trunk, and each its branch.
	train := autograd.NewTape(autograd.Training, 0)
	z1, z2 := net.Branch(0).Forward(train.Input(x)), net.Branch(1).Forward(train.Input(pictures(5)))
	y := []int{0, 1, 2, 3, 4}
	g := train.Gradients(BBN(nn.CrossEntropy, 0.7, z1, y, z2, y))
	if g.Len() != len(nn.Params(net)) {
		t.Errorf("%d gradients for %d parameters", g.Len(), len(nn.Params(net)))
	}
}

func TestRIDEResNet32(t *testing.T) {
	macs := func(m nn.Module) int64 {
		tape := autograd.NewTape(autograd.Training, 0)
		m.Forward(tape.Input(pictures(1)))
		return tape.MultiplyAdds()
	}
	plain := macs(models.ResNet32(1, 100))
	for experts := 2; experts <= 4; experts++ {
		net := RIDEResNet32(5, experts, 100)
		if len(net.Branches) != experts || net.Branches[0].Head.(*Cosine).Scale != 30 || net.Branches[0].Backbone.Width() != 48 {
			t.Errorf("%d experts: %d branches of %d features", experts, len(net.Branches), net.Branches[0].Backbone.Width())
		}
		ratio := float64(macs(net)) / float64(plain)
		t.Logf("%d experts: %d parameters, %.2f times the arithmetic of ResNet-32", experts, nn.Count(net), ratio)
		if want := 0.34 + 0.38*float64(experts); !(ratio > want-0.05 && ratio < want+0.05) {
			t.Errorf("%d experts take %.2f times the arithmetic of ResNet-32, want about %.2f", experts, ratio, want)
		}
	}
	net := RIDEResNet32(5, 3, 10)
	weights := func(i int) []float32 { return nn.Params(net.Branches[i])[0].Value().Data() }
	if slices.Equal(weights(0), weights(1)) || slices.Equal(weights(1), weights(2)) {
		t.Error("two experts begin alike")
	}
	if again := RIDEResNet32(5, 3, 10); !slices.Equal(nn.Params(again.Branches[2])[0].Value().Data(), weights(2)) {
		t.Error("the seed does not make the network")
	}
	tape := autograd.NewTape(autograd.Training, 0)
	loss := RIDE([]int{9, 8, 7, 6, 5, 4, 3, 2, 1, 1}, RIDEOptions{})(net.Logits(tape.Input(pictures(4))), []int{0, 1, 2, 9})
	if g := tape.Gradients(loss); g.Len() != len(nn.Params(net)) {
		t.Errorf("%d gradients for %d parameters", g.Len(), len(nn.Params(net)))
	}
	panics(t, "5 experts", func() { RIDEResNet32(1, 5, 10) })
	panics(t, "1 experts", func() { RIDEResNet32(1, 1, 10) })
}

func TestFork(t *testing.T) {
	a, b := models.ResNet20(1, 10), models.ResNet20(2, 10)
	net := Fork(ForkPoint{Stage: "layer2", Blocks: 1}, a, b)
	for _, want := range []string{"trunk.layer2.0.conv1.weight", "branch0.layer2.1.conv1.weight", "branch1.layer3.0.conv1.weight", "branch1.linear.bias"} {
		if !slices.Contains(names(net), want) {
			t.Errorf("no %s among %v", want, names(net))
		}
	}
	if net.Trunk.Width() != 32 || len(net.Branch(1).Backbone.Stages) != 5 {
		t.Errorf("%d channels, %d stages", net.Trunk.Width(), len(net.Branch(1).Backbone.Stages))
	}
	// A whole stage is not cut; the trunk may even be all of them.
	if n := len(Fork(ForkPoint{Stage: "layer2", Blocks: 3}, a, b).Branch(0).Backbone.Stages); n != 4 {
		t.Errorf("%d stages", n)
	}
	heads := Fork(ForkPoint{Stage: "layer3"}, a, b)
	tape := autograd.NewTape(autograd.Eval, 0)
	if z := heads.Forward(tape.Input(pictures(2))); z.Dim(1) != 10 || nn.Count(heads) != nn.Count(a)+650 {
		t.Errorf("logits %v, %d parameters", z.Shape(), nn.Count(heads))
	}
	narrow := models.ResNet20(1, 10)
	narrow.Backbone.Stages[1].Width = 8
	odd := models.ResNet20(1, 10)
	odd.Backbone.Stages[1].Module = nn.ReLU{}
	for want, f := range map[string]func(){
		"1 networks":             func() { Fork(ForkPoint{Stage: "layer1"}, a) },
		`no stage "layer9"`:      func() { Fork(ForkPoint{Stage: "layer9"}, a, b) },
		"4 blocks of stage":      func() { Fork(ForkPoint{Stage: "layer1", Blocks: 4}, a, b) },
		"-1 blocks of stage":     func() { Fork(ForkPoint{Stage: "layer1", Blocks: -1}, a, b) },
		"network 1 has 8":        func() { Fork(ForkPoint{Stage: "layer1"}, a, narrow) },
		"only an nn.Sequential":  func() { Fork(ForkPoint{Stage: "layer1", Blocks: 1}, odd, b) },
		"longtail.Fork: network": func() { Fork(ForkPoint{Stage: "layer1"}, narrow, a) },
	} {
		panics(t, want, f)
	}
	if s := fmt.Sprint(names(a)); strings.Contains(s, "trunk") {
		t.Error("a network that was forked has other names")
	}
}
