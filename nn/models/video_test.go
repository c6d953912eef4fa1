package models

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// noise is a tensor of numbers from N(0,1).
func noise(seed uint64, shape ...int) *tensor.Tensor {
	x := tensor.New(shape...)
	r := newRand(seed)
	for i := range x.Data() {
		x.Data()[i] = float32(r.NormFloat64())
	}
	return x
}

// still is the clips [N, C, frames, H, W] that show the images x all the time.
func still(x *tensor.Tensor, frames int) *tensor.Tensor {
	s := x.Shape()
	y := tensor.New(s[0], s[1], frames, s[2], s[3])
	plane := s[2] * s[3]
	for i := range s[0] * s[1] {
		for t := range frames {
			copy(y.Data()[(i*frames+t)*plane:][:plane], x.Data()[i*plane:])
		}
	}
	return y
}

func forward(m nn.Module, x *tensor.Tensor) []float32 {
	tape := autograd.NewTape(autograd.Inference, 0)
	return slices.Clone(m.Forward(tape.Input(x)).Data())
}

// near fails unless the two agree to 1e-4 of the largest.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	var most, largest float64
	for i, w := range want {
		most = max(most, math.Abs(float64(got[i])-float64(w)))
		largest = max(largest, math.Abs(float64(w)))
	}
	if len(got) != len(want) || !(most <= 1e-4*max(largest, 1e-3)) {
		t.Errorf("%s: %d values differ by %g where the largest of %d is %g", what, len(got), most, len(want), largest)
	}
}

// TestTSNIsAMeanOverFrames: the logits are the means of the frames' logits, in training
// and in inference, for any number of frames, and the weights are the image network's.
func TestTSNIsAMeanOverFrames(t *testing.T) {
	net := ResNet20(3, 4)
	tsn := TSN(net)
	const clips, frames, size = 5, 3, 12
	x := noise(1, clips, 3, frames, size, size)
	want := make([]float32, clips*4)
	for f := range frames {
		image := tensor.New(clips, 3, size, size)
		for i := range clips * 3 {
			copy(image.Data()[i*size*size:][:size*size], x.Data()[(i*frames+f)*size*size:])
		}
		for i, v := range forward(net, image) {
			want[i] += v / frames
		}
	}
	near(t, "TSN", forward(tsn, x), want)
	var names []string
	for e := range nn.State(tsn) {
		names = append(names, e.Name)
	}
	i := 0
	for e := range nn.State(net) {
		if names[i] != e.Name {
			t.Errorf("%s is called %s", e.Name, names[i])
		}
		i++
	}
	tape := autograd.NewTape(autograd.Training, 1)
	g := tape.Gradients(nn.CrossEntropy(tsn.Forward(tape.Input(x)), []int{0, 1, 2, 3, 0}))
	conv1 := net.Backbone.Stages[0].Module.(*nn.Sequential).Layers[0].(*nn.Conv)
	if d := g.Of(conv1.Weight); d == nil || slices.Max(d.Data()) == 0 {
		t.Error("no gradient reaches the first convolution")
	}
}

// TestInflatedNetworksSeeStillClips: an inflated network answers a clip that stands still
// as the network for images answers the image. Padding of time with zeros changes the
// first and last frames, so the networks compared are long enough for one in the middle,
// or keep the weight in the centre.
func TestInflatedNetworksSeeStillClips(t *testing.T) {
	x := noise(2, 2, 3, 64, 64)
	images := ResNet18(5, 6)
	randomise(images)
	for _, c := range []struct {
		name   string
		net    *nn.Classifier
		rename func(string) string
	}{{"r3d18", R3D18(1, 6), ImageName}, {"mc318", MC318(1, 6), ImageName}} {
		// torchvision's video networks have no pooling in the stem.
		plain := &nn.Classifier{Backbone: &nn.Backbone{Stages: slices.Clone(images.Backbone.Stages), Pool: images.Backbone.Pool}, Head: images.Head, HeadName: "fc"}
		stem := *plain.Backbone.Stages[0].Module.(*nn.Sequential)
		stem.Layers, stem.Names = stem.Layers[:3], stem.Names[:3]
		plain.Backbone.Stages[0].Module = &stem
		if err := Inflate(c.net, images, InflateOptions{Rename: c.rename, Centre: true}); err != nil {
			t.Fatal(err)
		}
		near(t, c.name, forward(c.net, still(x, 4)), forward(plain, x))
	}
	resnet50, i3d := ResNet50(5, 6), I3DResNet50(1, 6)
	randomise(resnet50)
	if err := Inflate(i3d, resnet50, InflateOptions{Centre: true}); err != nil {
		t.Fatal(err)
	}
	near(t, "i3d-resnet50", forward(i3d, still(x, 8)), forward(resnet50, x))
	small, twin := R3D18Small(1, 5), TSN18Small(5, 5)
	randomise(twin)
	if err := Inflate(small, twin, InflateOptions{Rename: ImageName, Centre: true}); err != nil {
		t.Fatal(err)
	}
	near(t, "r3d18-small", forward(small, still(x, 16)), forward(twin, still(x, 2)))

	// Shares of 1/T: the middle of a long clip, through one convolution.
	if err := Inflate(small, twin, InflateOptions{Rename: ImageName}); err != nil {
		t.Fatal(err)
	}
	first := func(m nn.Module) nn.Module { return m.(*nn.Sequential).Layers[0] }
	one := forward(first(small.Backbone.Stages[0].Module), still(x, 3))
	two := forward(first(twin.Backbone.Stages[0].Module.(*frames).Net), x)
	plane := 32 * 32
	for i := range 2 * 16 {
		near(t, "the middle frame", one[(3*i+1)*plane:][:plane], two[i*plane:][:plane])
	}
}

// randomise draws the batch statistics, which are 0 and 1 otherwise.
func randomise(m nn.Tree) {
	r := newRand(9)
	for e := range nn.State(m) {
		if e.Buffer != nil {
			for i := range e.Buffer.Data() {
				e.Buffer.Data()[i] = 0.5 + r.Float32()
			}
		}
	}
}

func TestInflateForFlow(t *testing.T) {
	rgb, flow := ResNet18(5, 101), FlowResNet18(1, 10, 101)
	if err := Inflate(flow, rgb, InflateOptions{}); err == nil || !strings.Contains(err.Error(), "conv1.weight") {
		t.Errorf("20 channels of 3 without CrossModal: %v", err)
	}
	if err := Inflate(flow, rgb, InflateOptions{CrossModal: true}); err != nil {
		t.Fatal(err)
	}
	gray := noise(3, 1, 1, 40, 40)
	same := func(channels int) *tensor.Tensor { // the channel again and again, with the same sum
		x := tensor.New(1, channels, 40, 40)
		for c := range channels {
			for i, v := range gray.Data() {
				x.Data()[c*1600+i] = v * 60 / float32(channels)
			}
		}
		return x
	}
	near(t, "flow", forward(flow, same(20).Reshape(1, 2, 10, 40, 40)), forward(rgb, same(3)))
}

func TestInflateRefuses(t *testing.T) {
	net := R3D18Small(1, 5)
	before := nn.Digest(net)
	for want, src := range map[string]nn.Tree{
		`has no "conv1.weight"`: LeNet5(1, 5),
		"does not become":       ResNet18(1, 5), // wider
	} {
		if err := Inflate(net, src, InflateOptions{Rename: ImageName}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want an error that says %q", err, want)
		}
	}
	if nn.Digest(net) != before {
		t.Error("a refusal changed weights")
	}
}
