package oip

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mettleml/mettle/nn/data"
)

// fit returns the shape in which a preprocessed sample goes to an input that takes samples
// of shape dims. dims may have -1. The values lie in the same order, so dims may leave out
// and add dimensions of 1 and join neighbours: [1, 28, 28] fits [28, 28], [784] and [1,
// 784].
func fit(dims []int64, sample []int) ([]int64, bool) {
	out, free := slices.Clone(dims), 0
	for _, d := range dims {
		if d < 0 {
			free++
		}
	}
	if exact(out, sample, func(int64) bool { return false }) || exact(out, sample, func(d int64) bool { return d == 1 }) {
		return out, true
	}
	if free > 1 {
		return nil, false
	}
	rest := int64(1)
	for _, d := range sample {
		rest *= int64(d)
	}
	for _, d := range dims {
		if d == 0 || d > 0 && rest%d != 0 {
			return nil, false
		}
		if d > 0 {
			rest /= d
		}
	}
	for i, d := range dims {
		if d < 0 {
			out[i], rest = rest, 1
		}
	}
	// Neighbours are joined if every boundary of out is one of sample, too.
	bounds := map[int64]bool{1: true}
	n := int64(1)
	for _, d := range sample {
		n *= int64(d)
		bounds[n] = true
	}
	n = 1
	for _, d := range out {
		n *= d
		if !bounds[n] {
			return nil, false
		}
	}
	return out, rest == 1
}

// exact fills the free dimensions of dims from sample if they agree one by one, but for
// those on either side that skip says.
func exact(dims []int64, sample []int, skip func(d int64) bool) bool {
	var at []int
	for i, d := range dims {
		if !skip(d) {
			at = append(at, i)
		}
	}
	i := 0
	for _, d := range sample {
		if skip(int64(d)) {
			continue
		}
		if i == len(at) || dims[at[i]] >= 0 && dims[at[i]] != int64(d) {
			return false
		}
		i++
	}
	if i != len(at) {
		return false
	}
	i = 0
	for _, d := range sample {
		if !skip(int64(d)) {
			dims[at[i]] = int64(d)
			i++
		}
	}
	return true
}

// A place is how samples lie in a request.
type place struct {
	batched bool    // there is an axis of samples in front
	fixed   int     // samples that a request must have; 0 means any number
	wire    []int64 // of one sample
}

// placed puts samples of shape wire into an input of a shape, which has a batch axis if
// it needs one to hold them.
func placed(shape []int64, wire []int) (place, bool) {
	if len(shape) == 0 {
		return place{}, false
	}
	first := shape[0]
	if first > 1 {
		if w, ok := fit(shape, wire); ok {
			return place{wire: w}, true
		}
	}
	if w, ok := fit(shape[1:], wire); ok {
		if _, err := elements(append([]int64{max(first, 1)}, w...), maxValues); err == nil && first != 0 {
			return place{batched: true, fixed: int(max(first, 0)), wire: w}, true
		}
	}
	if first == 1 {
		if w, ok := fit(shape, wire); ok {
			return place{wire: w}, true
		}
	}
	return place{}, false
}

// few is the most channels that tell which axis has them.
const few = 4

// channelsLast reports whether the last three dimensions can only be [H, W, C].
func channelsLast(d []int64) bool {
	d = d[len(d)-3:]
	return d[2] <= few && d[0] > few && d[1] > few
}

// errNoShape is why a sample's shape cannot be told from an input's.
var errNoShape = errors.New("say in Options.Shape which samples to send, as [C, H, W]")

// guess tells from an input's shape which samples it takes and what is missing of
// preprocessing.
func guess(shape []int64, pre data.Preprocess) (sample []int, _ data.Preprocess, err error) {
	dims := shape
	if n := len(shape); n > 1 && (shape[0] < 0 || n == 2 && shape[0] == 1 || n >= 4) {
		dims = shape[1:]
	}
	if slices.ContainsFunc(dims, func(d int64) bool { return d <= 0 }) {
		return nil, pre, errNoShape
	}
	if _, err := elements(dims, maxValues); err != nil {
		return nil, pre, err
	}
	for _, d := range dims {
		sample = append(sample, int(d))
	}
	switch len(dims) {
	case 1: // a vector
	case 2:
		if len(shape) == 2 || dims[0] == 1 || dims[1] == 1 {
			return nil, pre, errNoShape
		}
		sample = append([]int{1}, sample...) // a gray image
		if pre.NHWC {
			sample = append(sample[1:], 1)
		}
	case 3, 4:
		last := channelsLast(dims)
		switch {
		case last:
			pre.NHWC = true
		case pre.NHWC && dims[len(dims)-3] <= few && dims[len(dims)-1] > few:
			return nil, pre, errors.New("the channels seem to come first; leave Preprocess.NHWC out, or say in Options.Shape which samples to send, as [C, H, W]")
		case len(dims) == 4 && dims[0] <= few && dims[1] > few && dims[2] > few && dims[3] > few:
			pre.CTHW = true
		}
	default:
		return nil, pre, errNoShape
	}
	if sample, err = pre.InputShape(sample); err != nil {
		return nil, pre, fmt.Errorf("%w (in Options.Shape)", err)
	}
	return sample, pre, nil
}

// changes are what may be missing of preprocessing, or too much. Those of the layout are
// made by the client itself.
var changes = []struct {
	layout bool
	say    string
	make   func(p *data.Preprocess, dims []int64)
}{
	{true, "the channels last (NHWC)", func(p *data.Preprocess, _ []int64) { p.NHWC = true }},
	{true, "the channels before the frames (CTHW)", func(p *data.Preprocess, _ []int64) { p.CTHW = true }},
	{false, "without Preprocess.NHWC", func(p *data.Preprocess, _ []int64) { p.NHWC = false }},
	{false, "without Preprocess.CTHW", func(p *data.Preprocess, _ []int64) { p.CTHW = false }},
	{false, "with Preprocess.Repeat 3", func(p *data.Preprocess, _ []int64) { p.Repeat = 3 }},
	{false, "with Preprocess.Resize to the input's size", resizeTo},
	{false, "with Preprocess.Repeat 3 and Preprocess.Resize to the input's size", func(p *data.Preprocess, dims []int64) {
		p.Repeat = 3
		resizeTo(p, dims)
	}},
}

// resizeTo resizes images to the size that dims end in.
func resizeTo(p *data.Preprocess, dims []int64) {
	n := len(dims)
	if n < 3 {
		return
	}
	h, w := dims[n-2], dims[n-1]
	if channelsLast(dims) {
		h, w, p.NHWC = dims[n-3], dims[n-2], true
	}
	p.Resize = [2]int{int(h), int(w)}
}

// arrange places samples of a shape into an input. Where they fit only with the channels
// in another place, it puts them there, and says so in note.
func arrange(shape []int64, sample []int, pre data.Preprocess) (_ place, _ data.Preprocess, note string, err error) {
	wire, err := pre.OutputShape(sample)
	if err != nil {
		return place{}, pre, "", err
	}
	if len(shape) == 0 { // the server does not say
		p := place{batched: true}
		for _, d := range wire {
			p.wire = append(p.wire, int64(d))
		}
		return p, pre, "", nil
	}
	if p, ok := placed(shape, wire); ok {
		return p, pre, "", nil
	}
	hint := ""
	for _, c := range changes {
		other := pre
		c.make(&other, shape)
		w, err := other.OutputShape(sample)
		if err != nil {
			continue
		}
		p, ok := placed(shape, w)
		switch {
		case ok && c.layout:
			return p, other, fmt.Sprintf("samples of shape %v go to it with %s", sample, c.say), nil
		case ok:
			hint = fmt.Sprintf("; %s they would fit", c.say)
		}
		if hint != "" {
			break
		}
	}
	return place{}, pre, "", fmt.Errorf("samples of shape %v reach it as %v, which does not fit%s", sample, wire, hint)
}

// classes is how many scores of a sample an output of a shape holds, 0 if it does not
// say. in is the input's shape.
func classes(out, in []int64) (int, error) {
	dims := out
	if n := len(out); n > 1 && (out[0] < 0 || len(in) > 0 && out[0] == in[0]) {
		dims = out[1:]
	}
	var k int64
	for _, d := range dims {
		switch {
		case d < 0 || d == 1:
		case k > 0:
			return 0, fmt.Errorf("shape %v, which is not one row of scores per sample; name another output (Options.Output), or say in Options.Classes how many values are read", out)
		default:
			k = d
		}
	}
	if k > maxClasses {
		return 0, fmt.Errorf("shape %v, which is more than %d classes; say in Options.Classes how many there are if that is meant", out, maxClasses)
	}
	if k == 0 && !slices.ContainsFunc(dims, func(d int64) bool { return d < 0 }) {
		k = int64(min(len(dims), 1)) // one score, which is no victim
	}
	return int(k), nil
}

// maxValues bounds the values of a request. maxClasses bounds what a server may say of
// its classes: buffers are made for so many scores.
const maxValues, maxClasses = 1 << 28, 1 << 20
