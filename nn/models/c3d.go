package models

import (
	"fmt"

	"github.com/mettleml/mettle/nn"
)

// C3D has eight 3x3x3 convolutions and three linear layers (Tran et al., "Learning
// spatiotemporal features with 3D convolutional networks", 2015) for clips [N, 3, 16, 112,
// 112] and no others: 79,991,015 parameters with 487 classes, which 0 means, as in
// Sports-1M. Its stages are block1 to block5, each with a pooling at its end; features are
// the 4096 of fc7. Layers are called conv1, conv2, conv3a, conv3b, ..., conv5b, fc6, fc7
// and fc8.
func C3D(seed uint64, classes int) *nn.Classifier {
	r := newRand(seed)
	b := &nn.Backbone{}
	in := 3
	for i, out := range []int{64, 128, 256, 512, 512} {
		names := []string{fmt.Sprintf("conv%d", i+1)}
		if i > 1 {
			names = []string{names[0] + "a", names[0] + "b"}
		}
		p := &plan3D{rng: r}
		for k, name := range names {
			c := nn.NewConv3D(nil, in, out, 3, nn.ConvOptions{Padding: 1})
			nn.KaimingNormal(r, c.Weight)
			p.add(name, c)
			p.add(fmt.Sprintf("relu%d%c", i+1, 'a'+k), nn.ReLU{})
			in = out
		}
		pool := nn.MaxPool{Kernel: []int{2}}
		switch i {
		case 0: // time is kept at first
			pool.Kernel = []int{1, 2, 2}
		case 4: // 7 by 7 become 4 by 4
			pool.Padding = []int{0, 1, 1}
		}
		p.add(fmt.Sprintf("pool%d", i+1), pool)
		b.Stages = append(b.Stages, nn.Stage{Name: fmt.Sprintf("block%d", i+1), Width: out, Module: &p.layers, Inline: true})
	}
	const flat, hidden = 512 * 4 * 4, 4096
	p := &plan3D{rng: r}
	p.add("flatten", nn.Flatten{})
	p.add("fc6", nn.NewLinear(r, flat, hidden))
	p.add("relu6", nn.ReLU{})
	p.add("drop6", nn.Dropout{P: 0.5})
	p.add("fc7", nn.NewLinear(r, hidden, hidden))
	p.add("relu7", nn.ReLU{})
	p.add("drop7", nn.Dropout{P: 0.5})
	b.Pool = nn.Stage{Name: "features", Width: hidden, Module: &p.layers, Inline: true}
	return &nn.Classifier{Backbone: b, Head: nn.NewLinear(r, hidden, or(classes, 487)), HeadName: "fc8"}
}
