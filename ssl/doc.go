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
// Heads have the sizes of the papers for encoders of 512 features or more, and smaller ones,
// which are ours, for narrower encoders. An option that is 0 has the default that its comment
// states.
//
// # Is it learning
//
// The loss says little: it depends on temperature, batch and queue, and a method that has
// collapsed may have a very good one. [MeasureCollapse] looks at what the method makes: its
// spread, its effective rank, how alike two samples are. [KNN] and [LinearProbe] judge the
// features by labels and state their protocol, which moves the number as much as the method
// does; [OnlineKNN] and [OnlineProbe] do so during training at next to no cost, and read
// lower. [Reconstruction] shows what features hold: a decoder learns to make the samples of
// them again (figure 5.1), of those before a projector or behind it ([Projecting]).
//
// # Heterotopic ensembling: what is known, and what is ours
//
// Of the chapter only headings, captions and the abstract are known. They state: features of
// an early layer of a self-supervised network and those after its projector differ (figure
// 5.1); the generic one shares a space with the classification, the specific one enters by a
// regulariser of mutual information, and at test time the backbone and the classifier alone
// remain (figure 5.2); there are four arrangements (figure 5.3), a Filter for each family of
// backbones (tables 5.1 to 5.3), a factor λ (figure 5.4), and "dagger", one more training of
// the classifier by cRT. [Heterotopic] is our reconstruction:
//
//	f = backbone(x_0), z = head(f)               x_0 is a weak view
//	r = mean of Filter(trunk(x_v)), s = MLP(r)   x_1, x_2 are strong views
//	L = L_cls(z, y) + λ·L_ssl(s_1, s_2) + β·L_MI(f, s)
//
// Ours are the filter's layers and place, the method, λ = 0.5 and β = 0.1, that the
// information is raised and not lowered, that f is paired with s of another view (s of the
// same view is a function of f, and their information is infinite), that no gradient flows
// through s, and that the running statistics are those of the weak view. No number of ours
// is the thesis's.
//
// Dagger is longtail's: longtail.Retrain(h.Strip(), newHead, longtail.RetrainOptions{}), with
// samples balanced over classes.
//
// # Mutual information
//
// A [LowerBound] may be maximised and an [UpperBound] minimised; [Maximize] and [Minimize]
// take one each, so the wrong direction does not compile, and [NewRegularizer], which takes
// names, returns an error. [InfoNCEBound], [VID], [JSD] and [MINE] bound from below, [VCLUB]
// from above.
package ssl
