// Package ssl learns features without labels (self-supervised learning), and combines it
// with the long-tailed classification of package longtail: chapter 5 of H. Zhang's thesis
// (University of Technology Sydney, 2021), "Heterotopic ensembling of self-supervision".
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
// A checkpoint of encoder, method, optimiser, loader and tape continues a run bit for bit;
// the method's tree includes its queues, memories and averages.
//
// Heads have the sizes of the papers for encoders of 512 features or more, and smaller
// ones, which are ours, for narrower encoders. An option of 0 means the default that its
// comment states.
//
// # Is it learning
//
// The loss says little: it depends on temperature, batch and queue, and a collapsed method
// may have a very low loss. [MeasureCollapse] measures the features: their spread, their
// effective rank, and the similarity of two samples. [KNN] and [LinearProbe] evaluate
// features by labels. They state their protocol, because it affects the number as much as
// the method does. [OnlineKNN] and [OnlineProbe] do so during training at little cost, and
// read lower. [Reconstruction] shows what features hold: a decoder is trained to reconstruct the
// samples from features before or after a projector ([Projecting]; figure 5.1).
//
// # Heterotopic ensembling: what is known, and what is ours
//
// Only headings, captions and the abstract of the chapter are known. They state: features
// of an early layer of a self-supervised network (generic) differ from those after its
// projector (specific; figure 5.1). The generic feature shares a space with the
// classification, the specific one enters through a regulariser of mutual information, and
// at test time only the backbone and the classifier remain (figure 5.2). There are four
// arrangements (figure 5.3), a Filter for each family of backbones (tables 5.1 to 5.3), a
// factor λ (figure 5.4), and "dagger", a second training of the classifier by cRT.
// [Heterotopic] is our reconstruction:
//
//	f = backbone(x_0), z = head(f)               x_0 is a weak view
//	r = mean of Filter(trunk(x_v)), s = MLP(r)   x_1, x_2 are strong views
//	L = L_cls(z, y) + λ·L_ssl(s_1, s_2) + β·L_MI(f, s)
//
// Ours are the filter's layers and place, the method, λ = 0.5, β = 0.1, and these choices:
// the information is maximised; f is paired with s of another view, because s of the same
// view is a function of f and their information is infinite; no gradient flows through s;
// the running statistics come from the weak view. None of our numbers is the thesis's.
//
// Dagger is longtail's: longtail.Retrain(h.Strip(), newHead, longtail.RetrainOptions{}), with
// samples balanced over classes.
//
// # Mutual information
//
// A [LowerBound] may be maximised and an [UpperBound] minimised. [Maximize] and [Minimize]
// accept only the right one, so the wrong direction does not compile; [NewRegularizer],
// which takes names, returns an error. [InfoNCEBound], [VID], [JSD] and [MINE] are lower
// bounds, [VCLUB] is an upper bound.
package ssl
