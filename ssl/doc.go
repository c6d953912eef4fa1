// Package ssl learns features without labels, and joins that learning to the long-tailed
// classification of package longtail: chapter 5 of H. Zhang's thesis (University of
// Technology Sydney, 2021), "Heterotopic ensembling of self-supervision".
//
// # Methods
//
// A [Method] trains an [Encoder], such as the backbone of a classifier: [Rotation],
// [Jigsaw], [InstDisc], [SimCLR], [MoCo] (versions 1 and 2), [BYOL], [SimSiam], [Barlow]
// (Barlow Twins), [Variance] (VICReg) and, with labels, [SupCon]. [New] makes one by its
// name. Their losses are functions too: [NTXent], [InfoNCE], [QueueNCE], [SupervisedNCE],
// [BarlowTwins], [VICReg], [CosineLoss]. A loader with [Views] makes the batches:
//
//	net := models.ResNet32(seed, 10)
//	m := ssl.NewSimCLR(net.Backbone, ssl.SimCLROptions{})
//	loader, err := data.NewLoader(train, data.LoaderOptions{
//		BatchSize: 128, Shuffle: true, DropLast: true, Views: ssl.CIFARViews().Transforms(3, 2)})
//	opt := optim.NewSGD(ssl.Trainable(net.Backbone, m), optim.SGDOptions{LR: 0.15, Momentum: 0.9})
//	tape := autograd.NewTape(autograd.Training, seed)
//	for batch, err := range loader.Batches(ctx) {
//		...
//		out, err := ssl.Step(tape, m, opt, batch)
//	}
//
// Encoder, method, optimiser, loader and tape are what a checkpoint holds; queues, memories
// and averages are in the method's tree. The run then goes on bit for bit.
//
// # Is it learning
//
// The loss says little: it depends on temperature, batch and queue, and a method that has
// collapsed may have a very good one. [MeasureCollapse] looks at the features themselves.
package ssl
