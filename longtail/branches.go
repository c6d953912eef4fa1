package longtail

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
)

// A Branched is a network with shared early stages, the trunk, and several branches, each
// with late stages, a pooling and a head of its own: the two branches of [BBN], the experts
// of [RIDE]. As a module it returns the mean of the branches' logits, which is the
// prediction of both methods. In a state the trunk's names begin with "trunk", those of the
// branches with "branch0", "branch1" and so on.
type Branched struct {
	Trunk    *nn.Backbone // its pooling is the identity
	Branches []*nn.Classifier
}

// A ForkPoint says where the branches begin: after the named stage or, with Blocks, after
// that number of its blocks. Blocks needs a stage whose module is an nn.Sequential, as in
// the residual networks of package models.
type ForkPoint struct {
	Stage  string
	Blocks int // 0 means all
}

// Fork combines several networks of the same architecture into one: the trunk is the first
// network up to the fork, and the branches are the remainders of all networks after it,
// with their heads. The parts are shared with the networks, not copied. It panics if there
// are fewer than two networks, the fork does not fit them, or their widths differ there.
func Fork(at ForkPoint, nets ...*nn.Classifier) *Branched {
	const op = "longtail.Fork"
	if len(nets) < 2 {
		tensor.Panic(op, fmt.Sprintf("%d networks; a fork wants two at least", len(nets)))
	}
	b := &Branched{}
	for i, net := range nets {
		early, late := cut(op, net.Backbone, at)
		if i == 0 {
			b.Trunk = &nn.Backbone{Stages: early, Pool: nn.Stage{Name: "fork", Width: early[len(early)-1].Width, Module: nn.NewSequential()}}
		}
		if w := early[len(early)-1].Width; w != b.Trunk.Width() {
			tensor.Panic(op, fmt.Sprintf("network %d has %d channels at the fork, network 0 has %d", i, w, b.Trunk.Width()))
		}
		b.Branches = append(b.Branches, &nn.Classifier{
			Backbone: &nn.Backbone{Stages: late, Pool: net.Backbone.Pool},
			Head:     net.Head, HeadName: net.HeadName,
		})
	}
	return b
}

// cut divides the stages of a backbone.
func cut(op string, b *nn.Backbone, at ForkPoint) (early, late []nn.Stage) {
	k, err := b.Stage(at.Stage)
	if err != nil {
		tensor.Panic(op, err.Error())
	}
	early, late = slices.Clone(b.Stages[:k+1]), slices.Clone(b.Stages[k+1:])
	if at.Blocks == 0 {
		return early, late
	}
	stage := b.Stages[k]
	s, ok := stage.Module.(*nn.Sequential)
	if !ok {
		tensor.Panic(op, fmt.Sprintf("stage %s is a %T; only an nn.Sequential can be cut", at.Stage, stage.Module))
	}
	if at.Blocks < 0 || at.Blocks > len(s.Layers) {
		tensor.Panic(op, fmt.Sprintf("%d blocks of stage %s, which has %d", at.Blocks, at.Stage, len(s.Layers)))
	}
	names := s.Names
	for i := len(names); s.Names == nil && i < len(s.Layers); i++ {
		names = append(names, strconv.Itoa(i))
	}
	part := func(from, to int) nn.Stage {
		p := stage
		p.Module = &nn.Sequential{Layers: slices.Clone(s.Layers[from:to]), Names: slices.Clone(names[from:to])}
		return p
	}
	early[k] = part(0, at.Blocks)
	if at.Blocks < len(s.Layers) {
		late = slices.Insert(late, 0, part(at.Blocks, len(s.Layers)))
	}
	return early, late
}

// Branch returns trunk and branch i as a network of the original architecture, with its
// names in a state. It shares its parts with b.
func (b *Branched) Branch(i int) *nn.Classifier {
	own := b.Branches[i]
	return &nn.Classifier{
		Backbone: &nn.Backbone{Stages: slices.Concat(b.Trunk.Stages, own.Backbone.Stages), Pool: own.Backbone.Pool},
		Head:     own.Head, HeadName: own.HeadName,
	}
}

// Logits returns the logits [N, C] of every branch, from one pass through the trunk.
func (b *Branched) Logits(x autograd.Var) []autograd.Var {
	x = b.Trunk.FeatureMap(x)
	list := make([]autograd.Var, len(b.Branches))
	for i, branch := range b.Branches {
		list[i] = branch.Forward(x)
	}
	return list
}

// Forward returns the mean of the branches' logits.
func (b *Branched) Forward(x autograd.Var) autograd.Var { return meanOf(b.Logits(x)) }

// meanOf returns the mean of Vars of one shape.
func meanOf(list []autograd.Var) autograd.Var {
	sum := list[0]
	for _, v := range list[1:] {
		sum = autograd.Add(sum, v)
	}
	return autograd.Scale(sum, 1/float32(len(list)))
}

// Promises: see [nn.Promiser].
func (b *Branched) Promises(self nn.Module) nn.Promise {
	parts := []nn.Module{b.Trunk}
	for _, branch := range b.Branches {
		parts = append(parts, branch)
	}
	return nn.Promised[*Branched](self, nn.Together(parts...))
}

// Walk names the trunk and the branches.
func (b *Branched) Walk(w *nn.Walker) {
	w.Child("trunk", b.Trunk)
	for i, branch := range b.Branches {
		w.Child("branch"+strconv.Itoa(i), branch)
	}
}

// BBNResNet32 is the ResNet-32 of [BBN] for [N, 3, 32, 32]: the two branches share all
// residual blocks but the last. 0 classes means 10.
func BBNResNet32(seed uint64, classes int) *Branched {
	return Fork(ForkPoint{Stage: "layer3", Blocks: 4}, models.ResNet32(seed, classes), models.ResNet32(^seed, classes))
}

// RIDEResNet32 is the ResNet-32 of [RIDE] for [N, 3, 32, 32]: stem and layer1 are shared,
// and every expert has a layer2 of 24 and a layer3 of 48 channels, three quarters of the
// usual ones, and a [Cosine] head of scale 30. A pass takes 1.1, 1.5 and 1.8 times the
// arithmetic of ResNet-32 with 2, 3 and 4 experts. 0 classes means 10. It panics unless
// there are 2 to 4 experts.
func RIDEResNet32(seed uint64, experts, classes int) *Branched {
	if experts < 2 || experts > 4 {
		tensor.Panic("longtail.RIDEResNet32", fmt.Sprintf("%d experts; 2 to 4 are known to pay", experts))
	}
	nets := make([]*nn.Classifier, experts)
	for i := range nets {
		net := models.ResNet32(seed, classes)
		rng := rand.New(rand.NewPCG(seed, 0x72696465<<8+uint64(i)))
		in := 16
		for k, width := range []int{24, 48} {
			s := nn.NewSequential()
			for block := range 5 {
				s.Layers = append(s.Layers, nn.NewBasicBlock(nil, in, width, 2-min(block, 1), nn.ZeroPad))
				in = width
			}
			for _, p := range nn.Params(s) {
				if len(p.Shape()) > 1 {
					nn.KaimingNormal(rng, p)
				}
			}
			net.Backbone.Stages[2+k].Width, net.Backbone.Stages[2+k].Module = width, s
		}
		net.Backbone.Pool.Width = in
		head := NewCosine(rng, in, cmp.Or(classes, 10))
		head.Scale = 30
		net.Head = head
		nets[i] = net
	}
	return Fork(ForkPoint{Stage: "layer1"}, nets...)
}
