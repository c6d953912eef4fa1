package longtail

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// RIDEOptions are the settings of [RIDE]. The zero value has those of its authors for
// CIFAR100-LT before epoch 160.
type RIDEOptions struct {
	// Weights are those of the classes; nil means 1 and one temperature for all. With
	// weights, such as those of [DRW], there is one temperature per class.
	Weights []float32

	Diversity   float64 // λ; 0 means 0.2
	Independent bool    // omit the term of diversity
	Temperature float64 // α; 0 means 1
	ByClass     float64 // γ, the dependence of temperatures on the counts; 0 means 0.05

	MaxMargin float64 // of the rarest class; 0 means 0.5
	Scale     float64 // s of the experts' heads; 0 means 30
}

// RIDE is the loss of stage one of routed diverse experts (Wang et al., "Long-tailed
// recognition by routing diverse distribution-aware experts", 2021), of the logits [N, C]
// that [Branched.Logits] returns. Each expert has an [LDAM] loss of its own, and a reward
// for differing from the mean z of all logits:
//
//	L = Σ_i LDAM(z_i, y) - λ·T²·1/N Σ KL(softmax(z/T) ‖ softmax(z_i/T))
//
// where T² is the square of the mean of T. No gradient flows to z; it would be 0, because z
// minimises the sum over the experts. Temperatures per class are lower for classes with
// fewer samples:
//
//	T_c = α·β_c/max β,   β_c = γ·C·n_c/N + 1 - γ
//
// The logits are s times cosines, as from [RIDEResNet32]. This is the formula of the
// authors' program; the paper compares the experts in pairs, with nearly the same result.
// The loss of an epoch is
//
//	loss := longtail.RIDE(counts, longtail.RIDEOptions{Weights: longtail.DRW{}.Weights(counts, epoch)})
//
// The authors train for 200 epochs with batches of 128, by SGD with Nesterov's momentum 0.9
// and weight decay 5e-4. The learning rate is 0.1 after a warm-up of 5 epochs, and is
// multiplied by 0.01 at epochs 160 and 180. Stage two, which saves time by routing easy
// samples past some experts, is not here. RIDE panics if an option is out of range or a
// count is not positive; its loss panics unless there are two experts at least.
func RIDE(counts []int, o RIDEOptions) func(logits []autograd.Var, labels []int) autograd.Var {
	const op = "longtail.RIDE"
	scale, lambda := cmp.Or(o.Scale, 30), cmp.Or(o.Diversity, 0.2)
	if !(scale > 0) || !(lambda > 0) || math.IsInf(scale+lambda, 1) || o.Independent && o.Diversity != 0 {
		tensor.Panic(op, fmt.Sprintf("scale %v, diversity %v, independent %v", o.Scale, o.Diversity, o.Independent))
	}
	temperature := Temperatures(counts, o.Temperature, o.ByClass)
	if o.Weights == nil {
		temperature = slices.Repeat([]float32{float32(cmp.Or(o.Temperature, 1))}, len(counts))
	}
	mean := 0.0
	inverse := tensor.New(len(counts))
	for c, t := range temperature {
		mean += float64(t) / float64(len(counts))
		inverse.Data()[c] = 1 / t
	}
	// LDAM of logits that are scaled already: the margins are.
	single := LDAM(counts, LDAMOptions{Scale: 1, MaxMargin: scale * cmp.Or(o.MaxMargin, 0.5), Weights: o.Weights})
	return func(logits []autograd.Var, labels []int) autograd.Var {
		if len(logits) < 2 {
			tensor.Panic(op, fmt.Sprintf("%d experts; diversity is among two at least", len(logits)))
		}
		loss := single(logits[0], labels)
		for _, z := range logits[1:] {
			loss = autograd.Add(loss, single(z, labels))
		}
		if o.Independent {
			return loss
		}
		inverse := loss.Tape().Input(inverse)
		all := autograd.Softmax(autograd.Mul(autograd.Detach(meanOf(logits)), inverse))
		for _, z := range logits {
			kl := autograd.KLDiv(autograd.LogSoftmax(autograd.Mul(z, inverse)), all)
			loss = autograd.Sub(loss, autograd.Scale(kl, float32(lambda*mean*mean)))
		}
		return loss
	}
}

// Temperatures returns T_c of [RIDE]; α and γ of 0 mean 1 and 0.05. It panics if α is not
// positive, γ not in [0, 1], or a count not positive.
func Temperatures(counts []int, alpha, gamma float64) []float32 {
	const op = "longtail.Temperatures"
	_, hi := extent(op, counts)
	alpha, gamma = cmp.Or(alpha, 1), cmp.Or(gamma, 0.05)
	if !(alpha > 0) || math.IsInf(alpha, 1) || !(gamma >= 0 && gamma <= 1) {
		tensor.Panic(op, fmt.Sprintf("alpha %v, gamma %v", alpha, gamma))
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	beta := func(n int) float64 { return gamma*float64(len(counts))*float64(n)/float64(total) + 1 - gamma }
	list := make([]float32, len(counts))
	for c, n := range counts {
		list[c] = float32(alpha * beta(n) / beta(hi))
	}
	return list
}
