package data

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/tensor"
)

// [NewLoader] returns ErrEmpty for a data set without samples for a batch.
var ErrEmpty = errors.New("data: the data set has no samples for a batch")

// LoaderOptions say how to make batches. The zero value gives batches of 32 in the order of
// the data set.
type LoaderOptions struct {
	BatchSize int    // samples in a batch; 0 means 32
	Shuffle   bool   // draw a new order for every epoch
	Seed      uint64 // of the order and of the transforms
	DropLast  bool   // drop the last batch if it is not full

	// Order, if not nil, returns the indices of an epoch's samples in their order, in place
	// of the whole data set; Shuffle is then ignored. Indices may repeat. The result must
	// depend on the epoch alone, and every epoch must have the same length.
	Order func(epoch int) []int `json:"-"`

	// Transform, if not nil, is applied to every sample. Its draws depend on the seed, the
	// epoch, the index of the sample, the number of earlier occurrences of the index in the
	// epoch, and the view.
	Transform Transform `json:"-"`

	// Views, if not empty, replaces Transform and delivers every sample once per view, each
	// with draws of its own; a nil transform leaves the sample unchanged. With V views a
	// batch of n samples has V·n entries, view after view.
	Views []Transform `json:"-"`

	// Fixed reads every sample with Read, even from a [RandomReader]: for evaluation.
	Fixed bool

	Workers  int // goroutines that prepare batches; 0 means tensor.Workers()
	Prefetch int // batches prepared ahead of the one in use; 0 means 2
}

// A Batch is a number of samples and their labels. The loader reuses its memory: a batch is
// valid in the body of its loop only. Clone what you keep.
type Batch struct {
	X       *tensor.Tensor // [V·n, ...shape]: entry v·n+k is view v of sample k
	Y       []int          // the n labels
	Indices []int          // of the n samples in the data set
}

// A Loader cuts a data set into batches, epoch after epoch, and prepares them in advance.
// The batches depend on the data set and the options, not on the number of workers. Only
// one goroutine at a time may use a Loader.
type Loader struct {
	data    Dataset
	random  RandomReader // data, if its samples are drawn
	opt     LoaderOptions
	views   []Transform
	samples int   // in an epoch
	batches int   // in an epoch
	out     []int // the shape of a transformed sample
	rate    int   // samples prepared at a time by one worker

	epoch, batch int  // what comes next
	running      bool // in a loop
	order        []int
	repeats      []int32 // how often the index at this place came before; nil if never
	ordered      int     // the epoch that order is for, -1 if none
	slots        []*slot
	scratch      []*scratch
}

// NewLoader returns a loader at the start of epoch 0. It is an error if a label of the data
// set is out of range, or if there is no sample for a batch ([ErrEmpty]). It panics if an
// option is negative, a transform does not fit the samples, or views differ in shape.
func NewLoader(d Dataset, opt LoaderOptions) (*Loader, error) {
	if opt.BatchSize < 0 || opt.Workers < 0 || opt.Prefetch < 0 {
		tensor.Panic("data.NewLoader", fmt.Sprintf("a negative option: batch size %d, workers %d, prefetch %d", opt.BatchSize, opt.Workers, opt.Prefetch))
	}
	if opt.Transform != nil && len(opt.Views) > 0 {
		tensor.Panic("data.NewLoader", "both Transform and Views")
	}
	defaults := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	defaults(&opt.BatchSize, 32)
	defaults(&opt.Prefetch, 2)
	for i := range d.Len() {
		if c := d.Label(i); c < 0 || c >= d.Classes() {
			return nil, fmt.Errorf("data: sample %d has label %d, outside [0, %d)", i, c, d.Classes())
		}
	}
	l := &Loader{data: d, opt: opt, samples: d.Len(), ordered: -1, views: opt.Views}
	if r, ok := d.(RandomReader); ok && !opt.Fixed {
		l.random = r
	}
	if len(l.views) == 0 {
		l.views = []Transform{opt.Transform}
	}
	if opt.Order != nil {
		l.samples = len(opt.Order(0))
	}
	l.batches = l.samples / opt.BatchSize
	if !opt.DropLast && l.samples%opt.BatchSize > 0 {
		l.batches++
	}
	if l.batches == 0 {
		return nil, ErrEmpty
	}
	for v, t := range l.views {
		shape := d.Shape()
		if t != nil {
			shape = t.Shape(shape)
		}
		if v == 0 {
			l.out = slices.Clone(shape)
		}
		if !slices.Equal(shape, l.out) {
			tensor.Panic("data.NewLoader", fmt.Sprintf("view %d has another shape than view 0", v), l.out, shape)
		}
	}
	// A job is worth the hand-over, and small enough to share a batch.
	l.rate = min(max(1<<14/max(product(l.out)*len(l.views), 1), 1), opt.BatchSize)
	return l, nil
}

// Dataset returns the data set.
func (l *Loader) Dataset() Dataset { return l.data }

// Len returns the number of batches in an epoch.
func (l *Loader) Len() int { return l.batches }

// Position returns the epoch and the number in it of the next batch. In the body of a loop
// that is the batch after the one in use, as a checkpoint at the end of the body needs it.
func (l *Loader) Position() (epoch, batch int) { return l.epoch, l.batch }

// Seek makes the given batch of the given epoch the next one. In the body of a loop over
// [Loader.Batches] it ends that loop after the body. It panics if there is no such batch.
func (l *Loader) Seek(epoch, batch int) {
	if epoch < 0 || batch < 0 || batch >= l.batches {
		tensor.Panic("data.Loader.Seek", fmt.Sprintf("no batch %d of %d in epoch %d", batch, l.batches, epoch))
	}
	l.epoch, l.batch = epoch, batch
}

// mix hashes counters into a seed (Steele, Lea and Flood, "Fast splittable
// pseudorandom number generators", 2014, the finaliser).
func mix(seed uint64, counters ...uint64) uint64 {
	for _, c := range counters {
		seed += 0x9e3779b97f4a7c15 * (c + 1)
		seed = (seed ^ seed>>30) * 0xbf58476d1ce4e5b9
		seed = (seed ^ seed>>27) * 0x94d049bb133111eb
		seed ^= seed >> 31
	}
	return seed
}

// prepareOrder makes l.order the order of the current epoch.
func (l *Loader) prepareOrder() error {
	if l.ordered == l.epoch {
		return nil
	}
	l.ordered = -1
	if l.opt.Order != nil {
		l.order = append(l.order[:0], l.opt.Order(l.epoch)...)
		if len(l.order) != l.samples {
			return fmt.Errorf("data: the order of epoch %d has %d samples, that of epoch 0 has %d", l.epoch, len(l.order), l.samples)
		}
		seen := make([]int32, l.data.Len())
		l.repeats = append(l.repeats[:0], make([]int32, l.samples)...)
		for k, i := range l.order {
			if i < 0 || i >= len(seen) {
				return fmt.Errorf("data: the order of epoch %d has sample %d of %d", l.epoch, i, len(seen))
			}
			l.repeats[k] = seen[i]
			seen[i]++
		}
	} else {
		if l.order == nil {
			l.order = make([]int, l.samples)
		}
		for i := range l.order {
			l.order[i] = i
		}
		if l.opt.Shuffle {
			rng := rand.New(rand.NewPCG(mix(l.opt.Seed, uint64(l.epoch)), 0x6f72646572))
			rng.Shuffle(len(l.order), func(i, j int) { l.order[i], l.order[j] = l.order[j], l.order[i] })
		}
	}
	l.ordered = l.epoch
	return nil
}

// Batches delivers the remaining batches of the current epoch: all at first, and the
// following ones after a loop that was left early. The position then moves to the next
// epoch.
//
// An error of the data set or of the context ends the sequence. The position is then before
// the batch of the error. All goroutines of the loop have ended when the loop ends. A panic
// in a worker, such as a transform's, reaches the caller. Batches panics inside a loop over
// the batches of the same loader.
func (l *Loader) Batches(ctx context.Context) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		if l.running {
			tensor.Panic("data.Loader.Batches", "a loop over the batches of this loader is running")
		}
		if err := l.prepareOrder(); err != nil {
			yield(Batch{}, err)
			return
		}
		l.running = true
		r := l.start()
		defer func() {
			r.stop()
			l.running = false
		}()
		for {
			s, err := r.receive(ctx)
			if err != nil {
				yield(Batch{}, err)
				return
			}
			if l.batch++; l.batch == l.batches {
				l.epoch, l.batch = l.epoch+1, 0
			}
			epoch, batch := l.epoch, l.batch
			if !yield(s.batch, nil) || batch == 0 || epoch != l.epoch || batch != l.batch {
				return
			}
			r.release(s)
		}
	}
}
