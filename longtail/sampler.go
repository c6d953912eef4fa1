package longtail

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// An Order returns the indices of an epoch's samples in their order, for
// [data.LoaderOptions.Order]. It depends on the epoch alone, so the batches do not depend
// on the number of workers, and a run that resumes (Loader.Seek) continues with the same
// samples.
type Order func(epoch int) []int

// SamplerOptions are the options of all samplers. The zero value draws as many samples per
// epoch as the data set has, without replacement.
type SamplerOptions struct {
	Seed   uint64
	Length int // samples per epoch; 0 means as many as the data set has

	// WithReplacement draws each sample of a class independently, as a weighted random
	// sampler does. By default a class goes through all its samples in random order before
	// it repeats one. The two differ by up to two points of accuracy if classes are small.
	WithReplacement bool
}

// Instance is the usual order: every sample comes once per epoch, in random order. It is an
// error if d is empty.
func Instance(d data.Dataset, o SamplerOptions) (Order, error) {
	if d.Len() == 0 {
		return nil, data.ErrEmpty
	}
	all := make([]int, d.Len())
	for i := range all {
		all[i] = i
	}
	p := newPacks("longtail.Instance", [][]int{all}, o)
	return func(epoch int) []int {
		if o.WithReplacement {
			return p.draw(epoch, []float64{1})
		}
		order := make([]int, p.o.Length)
		dealer := p.deal(0)
		for k := range order {
			order[k] = dealer.card(0, epoch*len(order)+k)
		}
		return order
	}, nil
}

// ClassBalanced draws every class equally often. Without replacement the classes come in
// rounds: each class once per round, in random order. Each class goes through all its
// samples in random order before it repeats one, across epochs too. With replacement both
// the class and the sample are drawn independently each time. It is an error if a class has
// no samples or a label is out of range.
func ClassBalanced(d data.Dataset, o SamplerOptions) (Order, error) {
	if o.WithReplacement {
		return Power(d, 0, o)
	}
	return ClassAware(d, 1, o)
}

// ClassAware is class-aware sampling (Shen, Lin and Huang, "Relay backpropagation for
// effective learning of deep convolutional neural networks", 2016). Rounds visit the
// classes in random order and take visit samples of each in a row, so a batch has some
// classes several times and others not at all. The program of Kang et al. (2020) takes 4
// samples per visit, and a Length of C·max n_c. With 1 it is [ClassBalanced]. Samples
// within a class are drawn as SamplerOptions say. It is an error if a class has no samples
// or a label is out of range. It panics unless visit is positive.
func ClassAware(d data.Dataset, visit int, o SamplerOptions) (Order, error) {
	const op = "longtail.ClassAware"
	if visit < 1 {
		tensor.Panic(op, fmt.Sprintf("%d samples for each visit of a class", visit))
	}
	p, err := packsOf(op, d, o)
	if err != nil {
		return nil, err
	}
	classes := len(p.members)
	return func(epoch int) []int {
		order := make([]int, p.o.Length)
		var round []int
		dealer := p.deal(0)
		rng := stream(o.Seed, drawClass, epoch)
		for k := range order {
			at := epoch*len(order) + k // since the run began
			number := at / visit
			if k == 0 || at%(visit*classes) == 0 {
				round = stream(o.Seed, drawRound, number/classes).Perm(classes)
			}
			c := round[number%classes]
			if o.WithReplacement {
				order[k] = p.members[c][rng.IntN(len(p.members[c]))]
				continue
			}
			order[k] = dealer.card(c, number/classes*visit+at%visit)
		}
		return order
	}, nil
}

// Power draws class c with a probability proportional to n_c^q, where n_c is its number of
// samples. A q of 1 is the distribution of Instance, 0.5 the square root (Mahajan et al.,
// "Exploring the limits of weakly supervised pretraining", 2018), 0 balanced, and -1 the
// reversed sampler of BBN (Zhou et al., 2020; see [Reversed]). Samples within a class are
// drawn as SamplerOptions say, anew in each epoch. It is an error if a class has no
// samples. It panics if q is not finite.
func Power(d data.Dataset, q float64, o SamplerOptions) (Order, error) {
	const op = "longtail.Power"
	if math.IsNaN(q) || math.IsInf(q, 0) {
		tensor.Panic(op, fmt.Sprintf("power %v", q))
	}
	p, err := packsOf(op, d, o)
	if err != nil {
		return nil, err
	}
	probability := p.power(q)
	return func(epoch int) []int { return p.draw(epoch, probability) }, nil
}

// SquareRoot is Power with q = 0.5.
func SquareRoot(d data.Dataset, o SamplerOptions) (Order, error) { return Power(d, 0.5, o) }

// Reversed is Power with q = -1: the rarer a class, the more often it comes.
func Reversed(d data.Dataset, o SamplerOptions) (Order, error) { return Power(d, -1, o) }

// Progressive goes from Instance to ClassBalanced over the given number T of epochs: in
// epoch t class c has the probability (1 - t/T) n_c/N + (t/T)/C, with t/T at most 1 (Kang
// et al., "Decoupling representation and classifier for long-tailed recognition", 2020). It
// is an error if a class has no samples. It panics unless epochs is positive.
func Progressive(d data.Dataset, epochs int, o SamplerOptions) (Order, error) {
	const op = "longtail.Progressive"
	if epochs < 1 {
		tensor.Panic(op, fmt.Sprintf("over %d epochs", epochs))
	}
	p, err := packsOf(op, d, o)
	if err != nil {
		return nil, err
	}
	instance, balanced := p.power(1), p.power(0)
	return func(epoch int) []int {
		t := min(float64(epoch)/float64(epochs), 1)
		mixed := make([]float64, len(instance))
		for c := range mixed {
			mixed[c] = (1-t)*instance[c] + t*balanced[c]
		}
		return p.draw(epoch, mixed)
	}, nil
}

// What a stream of random numbers is for.
const (
	drawRound = iota
	drawPack
	drawClass
	drawBank
	drawProbe
	drawProjection
)

// stream is a generator whose numbers follow from its arguments: seed, purpose and up to
// three more.
func stream(seed uint64, purpose int, counters ...int) *rand.Rand {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint32(key[8:], uint32(purpose))
	for i, c := range counters {
		binary.LittleEndian.PutUint32(key[12+4*i:], uint32(c))
	}
	return rand.New(rand.NewChaCha8(key))
}

// packs are the samples of each class, to be dealt.
type packs struct {
	members [][]int
	o       SamplerOptions
}

func newPacks(op string, members [][]int, o SamplerOptions) *packs {
	if o.Length < 0 {
		tensor.Panic(op, fmt.Sprintf("%d samples in an epoch", o.Length))
	}
	if o.Length == 0 {
		for _, m := range members {
			o.Length += len(m)
		}
	}
	return &packs{members, o}
}

// packsOf returns the packs of the classes, none of which is empty.
func packsOf(op string, d data.Dataset, o SamplerOptions) (*packs, error) {
	members, err := filled(d)
	if err != nil {
		return nil, err
	}
	return newPacks(op, members, o), nil
}

// power returns probabilities of the classes.
func (p *packs) power(q float64) []float64 {
	list := make([]float64, len(p.members))
	sum := 0.0
	for c, m := range p.members {
		list[c] = math.Pow(float64(len(m)), q)
		sum += list[c]
	}
	for c := range list {
		list[c] /= sum
	}
	return list
}

// draw returns an epoch of samples, whose classes have the given probabilities.
func (p *packs) draw(epoch int, probability []float64) []int {
	upTo := make([]float64, len(probability))
	sum := 0.0
	for c, v := range probability {
		sum += v
		upTo[c] = sum
	}
	rng := stream(p.o.Seed, drawClass, epoch)
	dealer := p.deal(epoch + 1) // 0 is the whole run
	dealt := make([]int, len(probability))
	order := make([]int, p.o.Length)
	for k := range order {
		u := rng.Float64() * sum
		c := min(sort.Search(len(upTo), func(c int) bool { return upTo[c] > u }), len(upTo)-1)
		if p.o.WithReplacement {
			order[k] = p.members[c][rng.IntN(len(p.members[c]))]
			continue
		}
		order[k] = dealer.card(c, dealt[c])
		dealt[c]++
	}
	return order
}

// A dealer knows the last pack of each class that it shuffled.
type dealer struct {
	*packs
	series int
	pack   [][]int
	number []int
}

func (p *packs) deal(series int) *dealer {
	return &dealer{p, series, make([][]int, len(p.members)), make([]int, len(p.members))}
}

// card returns the k-th sample that class c deals in the series.
func (d *dealer) card(c, k int) int {
	n := len(d.members[c])
	number := k / n
	if d.pack[c] == nil || d.number[c] != number {
		d.pack[c] = stream(d.o.Seed, drawPack, d.series, number, c).Perm(n)
		d.number[c] = number
	}
	return d.members[c][d.pack[c][k%n]]
}
