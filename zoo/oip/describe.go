package oip

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/mettleml/mettle/zoo"
)

// describe fills the client's Info from the metadata and the options.
func (c *Client) describe(meta *ModelMetadata) error {
	if err := c.undescribed(meta); err != nil {
		return err
	}
	in, err := pick("input", c.opt.Input, meta.Inputs)
	if err != nil {
		return fmt.Errorf("%w in Options.Input", err)
	}
	out, err := pick("output", c.opt.Output, meta.Outputs)
	if err != nil {
		return fmt.Errorf("%w in Options.Output", err)
	}
	c.opt.Input, c.opt.Output, c.answers = in.Name, out.Name, out.Datatype
	c.datatype = cmp.Or(c.opt.Datatype, in.Datatype, "FP32")
	if err := c.convertible(in.Name); err != nil {
		return err
	}
	if _, ok := readers[out.Datatype]; !ok && out.Datatype != "" {
		return fmt.Errorf("output %q holds %s, not numbers; name another in Options.Output", out.Name, out.Datatype)
	}
	shape := []int64(in.Shape)
	if c.opt.InputShape != nil {
		shape = c.opt.InputShape
	}
	sample, pre := c.opt.Shape, c.opt.Preprocess
	if slices.ContainsFunc(sample, func(d int) bool { return d < 1 }) {
		return fmt.Errorf("Options.Shape %v: every dimension is at least 1", sample)
	}
	if sample == nil {
		if sample, pre, err = guess(shape, pre); err != nil {
			return fmt.Errorf("input %q has shape %v; %w", in.Name, shape, err)
		}
		switch {
		case pre.NHWC && !c.opt.Preprocess.NHWC && sample[len(sample)-3] == 1: // which is the same
		case pre.NHWC && !c.opt.Preprocess.NHWC:
			c.note("input %q has shape %v, so samples of shape %v go to it with the channels last (NHWC)", in.Name, shape, sample)
		case pre.CTHW && !c.opt.Preprocess.CTHW:
			c.note("input %q has shape %v, so samples of shape %v go to it with the channels before the frames (CTHW)", in.Name, shape, sample)
		case len(sample) == len(shape) && shape[0] < 0:
			c.note("input %q has shape %v, so samples are taken for gray images of shape %v; Options.Shape says otherwise", in.Name, shape, sample)
		}
	}
	at, pre, note, err := arrange(shape, sample, pre)
	if err != nil {
		return fmt.Errorf("input %q has shape %v; %w", in.Name, shape, err)
	}
	if note != "" {
		c.note("input %q has shape %v, so %s", in.Name, shape, note)
	}
	c.place, c.opt.Preprocess = at, pre
	c.batch(len(shape) > 0)
	k := c.opt.Classes
	if k == 0 {
		if k, err = classes(out.Shape, shape); err != nil {
			return fmt.Errorf("output %q has %w", out.Name, err)
		}
	}
	if k == 0 {
		return fmt.Errorf("output %q has shape %v; say in Options.Classes how many classes it has", out.Name, out.Shape)
	}
	c.info = zoo.Info{Name: c.opt.Model, Shape: sample, Classes: k, Scores: c.opt.Scores}
	if c.info.Digest, err = c.digest(); err != nil {
		return err
	}
	return c.info.Check()
}

// note adds a sentence to Notes.
func (c *Client) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// undescribed puts the options in the place of tensors that the server does not
// describe.
func (c *Client) undescribed(meta *ModelMetadata) error {
	var missing []string
	need := func(given bool, what string) {
		if !given {
			missing = append(missing, what)
		}
	}
	if len(meta.Inputs) == 0 {
		need(c.opt.Input != "", "the input's name in Options.Input")
		need(c.opt.Shape != nil || c.opt.InputShape != nil, "a sample's shape [C, H, W] in Options.Shape")
		meta.Inputs = []TensorMetadata{{Name: c.opt.Input}}
		c.note("the server does not describe its input, which is taken to be %s of shape %s; Options.Datatype and Options.InputShape say otherwise",
			cmp.Or(c.opt.Datatype, "FP32"), described(c.opt.InputShape))
	}
	if len(meta.Outputs) == 0 {
		need(c.opt.Output != "", "the output's name in Options.Output")
		need(c.opt.Classes != 0, "the number of classes in Options.Classes")
		meta.Outputs = []TensorMetadata{{Name: c.opt.Output}}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the server does not describe the model's tensors; say %s (Options.Datatype, unless it is FP32, and Options.InputShape, if it is not a batch of samples, besides)", strings.Join(missing, ", "))
	}
	return nil
}

// described is an input's shape in words.
func described(shape []int64) string {
	if shape == nil {
		return "[-1] and a sample's"
	}
	return fmt.Sprint(shape)
}

// convertible checks that pixels can be sent to the input as its datatype.
func (c *Client) convertible(input string) error {
	if _, ok := writers[c.datatype]; !ok {
		return fmt.Errorf("input %q takes %s; only %q are sent", input, c.datatype, slices.Sorted(maps.Keys(writers)))
	}
	if c.datatype != "UINT8" {
		return nil
	}
	pre := &c.opt.Preprocess
	if len(pre.Mean)+len(pre.Std) > 0 || pre.Scale != 0 && pre.Scale != 255 {
		return fmt.Errorf("input %q takes UINT8: it gets pixels times 255, which leaves no room for another scale (%g), a mean or a deviation; does the model subtract them itself?", input, pre.Scale)
	}
	pre.Scale = 0 // request does it, rounding as tensor.Round8 does
	c.note("input %q takes UINT8, so pixels go to it times 255 and rounded; a change of less than 1/255 may not reach it, and finite differences need a larger step", input)
	return nil
}

// batch settles how many samples a request has. known says that the input's shape is.
func (c *Client) batch(known bool) {
	switch k := c.fixed; {
	case !c.batched:
		c.opt.Batch = 1
	case k > 0 && (c.opt.Batch == 0 || c.opt.Batch >= k):
		c.opt.Batch = k
	case k > 0:
		c.fixed = 0
	case c.opt.Batch == 0 && known:
		c.opt.Batch = 64
	case c.opt.Batch == 0:
		c.opt.Batch = 1
		c.note("each request carries one sample; if the model takes more, Options.Batch says how many")
	}
}

// digest tells the victim from others: by its address without a password, or what
// Options.Identity has in its place, and by what is sent and read there.
func (c *Client) digest() (string, error) {
	name := c.opt.Identity
	if name == "" {
		u, err := url.Parse(c.base)
		if err != nil {
			return "", err
		}
		u.User = nil
		name = u.String()
	}
	return fmt.Sprintf("%s %s %s %s %+v", name, c.opt.Input, c.datatype, c.opt.Output, c.opt.Preprocess), nil
}

func pick(what, name string, all []TensorMetadata) (TensorMetadata, error) {
	var names []string
	for _, t := range all {
		if t.Name == name || name == "" && len(all) == 1 {
			return t, nil
		}
		names = append(names, t.Name)
	}
	if name == "" {
		return TensorMetadata{}, fmt.Errorf("it has %d %ss %q; name the one to use", len(all), what, names)
	}
	return TensorMetadata{}, fmt.Errorf("it has no %s %q (it has %q); name the one to use", what, name, names)
}
