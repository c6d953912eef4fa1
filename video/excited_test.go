package video

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video/motion"
	"github.com/mettleml/mettle/zoo"
)

// clipVictim is a white box with logits bias + w·(x - 1/2), which counts the clips it sees.
type clipVictim struct {
	info  zoo.Info
	w     [][]float64
	bias  []float64
	count atomic.Int64
	bad   atomic.Int64                // values that are not in [0,1]
	seen  func(call int, x []float32) // is shown every clip; may be nil
	limit int64                       // cancel after so many clips; 0: never
	stop  context.CancelFunc
}

func (v *clipVictim) Info() zoo.Info { return v.info }

func (v *clipVictim) Scores(_ context.Context, x *tensor.Tensor, out []float64) error {
	n, k := v.info.Size(), v.info.Classes
	for i := range x.Dim(0) {
		clip := x.Data()[i*n : (i+1)*n]
		call := v.count.Add(1)
		if v.seen != nil {
			v.seen(int(call-1), clip)
		}
		if v.limit > 0 && call >= v.limit {
			v.stop()
		}
		for c, w := range v.w {
			s := v.bias[c]
			for j, p := range clip {
				s += w[j] * (float64(p) - 0.5)
			}
			out[i*k+c] = s
		}
		for _, p := range clip {
			if !(p >= 0 && p <= 1) {
				v.bad.Add(1)
			}
		}
	}
	return nil
}

func (v *clipVictim) Gradients(ctx context.Context, x *tensor.Tensor, loss zoo.DifferentiableLoss, goals []zoo.Goal, out []float64, grad *tensor.Tensor) error {
	if err := v.Scores(ctx, x, out); err != nil {
		return err
	}
	n, k := v.info.Size(), v.info.Classes
	dz, scratch := make([]float32, k), make([]float64, k)
	for i := range x.Dim(0) {
		zoo.Cotangent(dz, scratch, loss, out[i*k:(i+1)*k], goals[i])
		for j := range n {
			var s float64
			for c, d := range dz {
				s += float64(d) * v.w[c][j]
			}
			grad.Data()[i*n+j] = float32(s)
		}
	}
	return nil
}

// newClipVictim makes a victim with the weights that f gives for each class, frame,
// channel, row and column.
func newClipVictim(classes int, shape []int, f func(c, t, ch, y, x int) float64) *clipVictim {
	v := &clipVictim{info: zoo.Info{Name: "clips", Shape: shape, Classes: classes}, bias: make([]float64, classes)}
	for c := range classes {
		w := make([]float64, v.info.Size())
		for i := range w {
			w[i] = f(c, i/(shape[1]*shape[2]*shape[3]), i/(shape[2]*shape[3])%shape[1], i/shape[3]%shape[2], i%shape[3])
		}
		v.w = append(v.w, w)
	}
	return v
}

// margin gives the victim's class of a clip so much more than each of the others.
func (v *clipVictim) margin(t *testing.T, s attack.Sample, by float64) {
	t.Helper()
	clear(v.bias)
	z := make([]float64, v.info.Classes)
	if err := v.Scores(context.Background(), s.X.Reshape(append([]int{1}, v.info.Shape...)...), z); err != nil {
		t.Fatal(err)
	}
	for c := range v.bias {
		v.bias[c] = -z[c]
	}
	v.bias[s.Label] += by
}

// small is block matching for small frames.
var small = Motion{Estimator: motion.BlockMatch{Block: 4, Range: 4}}

// gaussian gives weights that differ everywhere.
func gaussian(seed uint64, scale float64) func(c, t, ch, y, x int) float64 {
	r := rand.New(rand.NewPCG(seed, 3))
	return func(int, int, int, int, int) float64 { return scale * r.NormFloat64() }
}

// movingSquare is a clip of a bright square that moves two pixels to the right in each
// frame, on a textured ground.
func movingSquare(shape []int, seed uint64) *tensor.Tensor {
	r := rand.New(rand.NewPCG(seed, 8))
	texture := make([]float32, shape[2]*shape[3])
	for i := range texture {
		texture[i] = 0.3 + 0.2*r.Float32()
	}
	square := make([]float32, 36)
	for i := range square {
		square[i] = 0.6 + 0.3*r.Float32()
	}
	clip := tensor.New(shape...)
	for i := range clip.Data() {
		t, y, x := i/(shape[1]*shape[2]*shape[3]), i/shape[3]%shape[2], i%shape[3]
		clip.Data()[i] = texture[y*shape[3]+x]
		if u, v := x-2-2*t, y-4; u >= 0 && u < 6 && v >= 0 && v < 6 {
			clip.Data()[i] = square[v*6+u]
		}
	}
	return clip
}

// sampleFor makes a sample of a clip with the label that the victim gives it.
func sampleFor(t *testing.T, v zoo.Scorer, clip *tensor.Tensor) attack.Sample {
	t.Helper()
	var label [1]int
	if err := zoo.LabelsOf(v).Labels(context.Background(), clip.Reshape(append([]int{1}, clip.Shape()...)...), label[:]); err != nil {
		t.Fatal(err)
	}
	return attack.Sample{X: clip, Label: label[0]}
}

// attacked runs one attack with a fresh counter.
func attacked(t *testing.T, a attack.Attack, v *clipVictim, s attack.Sample, goal zoo.Goal, budget int, seed uint64) *attack.Record {
	t.Helper()
	j, err := attack.Bind(a, v)
	if err == nil {
		err = j.Check()
	}
	if err != nil {
		t.Fatal(err)
	}
	v.count.Store(0)
	r, err := j.Attack(context.Background(), s, goal, budget, seed)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// identityMap is the map whose vector at a pixel is the pixel's place.
func identityMap(h, w int) GivenMaps {
	m := tensor.New(1, 2, h, w)
	f := motion.FieldOf(m.Index(0))
	for i := range f.DX {
		f.DX[i], f.DY[i] = float32(i%w), float32(i/w)
	}
	return GivenMaps{m}
}

// TestSamplersDifferInNoiseOnly: with the identity map sparked noise is one-noise, and in a
// clip of one frame multi-noise too: every clip that the victim sees is the same, bit for
// bit.
func TestSamplersDifferInNoiseOnly(t *testing.T) {
	for _, frames := range []int{1, 4} {
		shape := []int{frames, 3, 12, 14}
		v := newClipVictim(3, shape, gaussian(1, 0.05))
		s := sampleFor(t, v, movingSquare(shape, 2))
		v.margin(t, s, 20)
		trajectory := func(a MotionExcited) []float32 {
			var all []float32
			v.seen = func(_ int, x []float32) { all = append(all, x...) }
			defer func() { v.seen = nil }()
			attacked(t, a, v, s, zoo.Untargeted(s.Label), 60, 5)
			return all
		}
		one := trajectory(MotionExcited{Noise: OneNoise{}})
		if !slices.Equal(one, trajectory(MotionExcited{Noise: Sparked{Map: identityMap(12, 14)}})) {
			t.Errorf("%d frames: sparked by the identity map is not one-noise", frames)
		}
		if got := slices.Equal(one, trajectory(MotionExcited{Noise: MultiNoise{}})); got != (frames == 1) {
			t.Errorf("%d frames: multi-noise is one-noise: %v", frames, got)
		}
		if slices.Equal(one, trajectory(MotionExcited{Noise: Sparked{Map: small}})) && frames > 1 {
			t.Error("sparked by motion is one-noise")
		}
		// A guess for each frame that starts as one for all stays so.
		if !slices.Equal(trajectory(MotionExcited{Noise: Sparked{Map: small}}), trajectory(MotionExcited{Noise: perFrame{Sparked{Map: small}}})) {
			t.Errorf("%d frames: the guess that all frames share goes another way than one per frame", frames)
		}
	}
}

// perFrame spreads noise that is for one frame over all, so that the prior has a frame for
// each.
type perFrame struct{ Noise }

func (p perFrame) For(clip *tensor.Tensor, r *rand.Rand) (zoo.Noise, int, error) {
	n, _, err := p.Noise.For(clip, r)
	return spread{n}, clip.Dim(0), err
}

type spread struct{ zoo.Noise }

func (s spread) Draw(dst []float64, shape []int, r *rand.Rand) error {
	n := len(dst) / shape[0]
	err := s.Noise.Draw(dst[:n], append([]int{1}, shape[1:]...), r)
	for lo := n; lo < len(dst); lo += n {
		copy(dst[lo:lo+n], dst[:n])
	}
	return err
}

// gap is a loss that is linear in the logits and knows no bounds.
type gap struct{}

func (gap) Name() string { return "gap" }
func (gap) Value(z []float64, _ zoo.ScoreKind, _ zoo.Goal) float64 {
	return z[0] - z[1]
}

// TestFirstStep: after one iteration on a linear loss the guess is 10·(ℓ1-ℓ2)·r, probes are
// ε away in every frame, and the loss has fallen.
func TestFirstStep(t *testing.T) {
	shape := []int{4, 3, 16, 16}
	v := newClipVictim(2, shape, gaussian(4, 0.05))
	clip := movingSquare(shape, 1)
	v.bias[0] = 100
	goal := zoo.Untargeted(0)
	o := zoo.NewObjective(v, goal, gap{})
	noise, frames, err := Sparked{Map: small}.For(clip, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	again, _, _ := Sparked{Map: small}.For(clip, rand.New(rand.NewPCG(1, 1)))
	p := MotionExcited{}.defaults().prior(noise, frames, rand.New(rand.NewPCG(7, 0)))
	var losses [2]float64
	batch := o.Batch(2)
	if err := p.Probes(o, clip.Data(), batch); err != nil {
		t.Fatal(err)
	}
	n := clip.Len() / 4
	for s := range 2 {
		for f := range 4 {
			d := attack.L2.Distance(batch[s*clip.Len()+f*n:][:n], clip.Data()[f*n:][:n])
			if math.Abs(d-0.1) > 1e-5 {
				t.Errorf("probe %d is %v away in frame %d, want 0.1", s, d, f)
			}
		}
	}
	if _, err := o.Losses(context.Background(), 2, losses[:]); err != nil {
		t.Fatal(err)
	}
	p.Learn(losses[0], losses[1])
	r := make([]float64, n)
	if err := again.Draw(r, []int{1, 3, 16, 16}, rand.New(rand.NewPCG(7, 0))); err != nil {
		t.Fatal(err)
	}
	for f := range 4 {
		for i, g := range p.Guess(f) {
			if want := 10 * (losses[0] - losses[1]) * r[i]; math.Abs(g-want) > 1e-9*math.Abs(want)+1e-15 {
				t.Fatalf("frame %d: guess %d is %v, want %v", f, i, g, want)
			}
		}
	}
	if losses[0] == losses[1] {
		t.Fatal("the probes tell nothing")
	}
	l := &excitedLoop{o: o, prior: p, t: &attack.Try{Clean: clip}, x: slices.Clone(clip.Data())}
	l.signs(0.025, 0.03)()
	before, _, _ := o.At(context.Background(), clip.Data())
	after, _, _ := o.At(context.Background(), l.x)
	if !(after < before) {
		t.Errorf("a step along the guess takes the loss from %v to %v", before, after)
	}
}

// TestExcitedInvariants: iterates stay in the ball and in [0,1], probes in [0,1]; both
// accountings see the same clips, and the success costs two queries more or less.
func TestExcitedInvariants(t *testing.T) {
	shape := []int{4, 3, 16, 16}
	v := newClipVictim(3, shape, func(c, t, ch, y, x int) float64 { return 0.02 * math.Sin(float64(7*c+ch+(y/4)*3+(x/4)*5)) })
	s := sampleFor(t, v, movingSquare(shape, 3))
	v.margin(t, s, 0.4)
	for _, noise := range []Noise{nil, OneNoise{}, MultiNoise{}, GeoNoise{}, Sparked{Map: small, Mix: 1}, Mixture{A: Sparked{Map: small}, B: GeoNoise{}}, Sparked{Map: small, PerInterval: true, Mix: 1}, Sparked{Warp: DisplaceChained}} {
		early := MotionExcited{Noise: noise}
		v.seen = func(call int, x []float32) {
			if call%3 != 1 { // after the clean check come the iterate and its two probes
				return
			}
			if d := attack.Linf.Distance(x, s.X.Data()); d > 0.03 {
				t.Errorf("%T: the iterate of call %d is %v away", noise, call, d)
			}
		}
		r := attacked(t, early, v, s, zoo.Untargeted(s.Label), 3000, 1)
		v.seen = nil
		if !r.Success || !r.Verified {
			t.Errorf("%T: %+v", noise, r)
			continue
		}
		early.Accounting = Charged3
		c := attacked(t, early, v, s, zoo.Untargeted(s.Label), 3000, 1)
		if c.First.Queries != r.First.Queries+2 || c.First.Linf != r.First.Linf || c.First.L2 != r.First.L2 || r.First.Queries%3 != 1 {
			t.Errorf("%T: a success after %d queries (%v) and, charged 3, after %d (%v)", noise, r.First.Queries, r.First.L2, c.First.Queries, c.First.L2)
		}
		again := attacked(t, MotionExcited{Noise: noise}, v, s, zoo.Untargeted(s.Label), 3000, 1)
		if !slices.Equal(again.Adversarial.Data, r.Adversarial.Data) || again.First != r.First {
			t.Errorf("%T: another run with the same seed differs", noise)
		}
	}
	if n := v.bad.Load(); n > 0 {
		t.Errorf("%d values outside of [0,1]", n)
	}
}

// TestStarts: the first clips are striped, at the edge of the ball, and the attack goes on
// from the best of them.
func TestStarts(t *testing.T) {
	shape := []int{3, 3, 16, 16}
	v := newClipVictim(3, shape, gaussian(5, 0.02))
	s := sampleFor(t, v, movingSquare(shape, 4))
	v.margin(t, s, 30)
	var starts [][]float32
	var iterate []float32
	v.seen = func(call int, x []float32) {
		switch {
		case call >= 1 && call <= 5:
			starts = append(starts, slices.Clone(x))
		case call == 6:
			iterate = slices.Clone(x)
		}
	}
	attacked(t, MotionExcited{Starts: 5}, v, s, zoo.Untargeted(s.Label), 20, 2)
	v.seen = nil
	least, best := math.Inf(1), -1
	for k, x := range starts {
		for i, p := range x {
			d := math.Abs(float64(p) - float64(s.X.Data()[i]))
			up, above := p > s.X.Data()[i], i%256 >= 16 && x[i-16] > s.X.Data()[i-16]
			if math.Abs(d-0.03) > 1e-6 || i%256 >= 16 && up != above {
				t.Fatalf("start %d, value %d: %v away, up %v, above it %v", k, i, d, up, above)
			}
		}
		z := make([]float64, 3)
		if err := v.Scores(context.Background(), tensor.FromSlice(x, append([]int{1}, shape...)...), z); err != nil {
			t.Fatal(err)
		}
		if l := (SecondProbability{}).Value(z, zoo.Logits, zoo.Goal{}); l < least {
			least, best = l, k
		}
	}
	if len(starts) != 5 || !slices.Equal(iterate, starts[best]) {
		t.Errorf("%d starts, and the attack does not go on from the best, %d", len(starts), best)
	}
}

// averages is a small network for images of 16x16.
func averages(channels int) nn.Module {
	r := rand.New(rand.NewPCG(2, 2))
	return nn.NewSequential(nn.NewConv2D(r, channels, 6, 3, nn.ConvOptions{Stride: 2, Padding: 1}), nn.ReLU{}, nn.Flatten{}, nn.NewLinear(r, 6*8*8, 10))
}

// clipAttacks are the registered attacks on clips, with a network where one is needed.
func clipAttacks(channels int) map[string]attack.Attack {
	list := map[string]attack.Attack{}
	for _, k := range attack.Kinds() {
		list[k.Name] = k.New()
		for _, p := range k.Presets {
			if _, ok := p.Attack.(MotionExcited); ok {
				list[k.Name+" "+p.Name] = p.Attack
			}
		}
	}
	for name, a := range list {
		switch a := a.(type) {
		case VBAD:
			a.Network = averages(channels)
			list[name] = a
		case attack.Meta:
			delete(list, name)
		}
	}
	return list
}

// TestCountsAreTheVictims: whatever the attack, the budget and the goal, the queries of the
// record are those that the victim has seen, and no more than the budget.
func TestCountsAreTheVictims(t *testing.T) {
	shape := []int{3, 3, 16, 16}
	v := newClipVictim(4, shape, gaussian(5, 0.02))
	s := sampleFor(t, v, movingSquare(shape, 4))
	target := (s.Label + 1) % 4
	start := movingSquare(shape, 5)
	for i := range start.Data() { // what the target's weights like
		start.Data()[i] = float32(0.5 + 0.4*math.Tanh(100*(v.w[target][i]-v.w[s.Label][i])))
	}
	s.Start = start
	if got := sampleFor(t, v, start); got.Label != target {
		t.Fatalf("the clip to begin from is a %d, not a %d", got.Label, target)
	}
	for name, a := range clipAttacks(3) {
		for _, goal := range []zoo.Goal{zoo.Untargeted(s.Label), zoo.Targeted(s.Label, target)} {
			list := []attack.Attack{a}
			if m, ok := a.(MotionExcited); ok && goal.Targeted && m.Accounting != Charged3 && m.Starts == 0 {
				m.Shrink = true
				list = append(list, m)
			}
			for _, a := range list {
				for _, budget := range []int{1, 2, 3, 4, 5, 50, 131} {
					r := attacked(t, a, v, s, goal, budget, 9)
					if got := int(v.count.Load()); got != r.Queries+r.Clean+r.Verify || r.Queries > budget {
						t.Errorf("%s, %v, budget %d: the victim saw %d clips, the record says %d+%d+%d", name, goal, budget, got, r.Queries, r.Clean, r.Verify)
					}
					if r.Success && !r.Verified {
						t.Errorf("%s, %v: a success that is none", name, goal)
					}
				}
			}
		}
	}
	if n := v.bad.Load(); n > 0 {
		t.Errorf("%d values outside of [0,1]", n)
	}
}

// TestTargetedProtocols: both ways reach the wanted class within the ball.
func TestTargetedProtocols(t *testing.T) {
	shape := []int{3, 3, 16, 16}
	v := newClipVictim(3, shape, func(c, t, ch, y, x int) float64 { return 0.02 * math.Sin(float64(5*c+ch+(y/8)*3+(x/8)*7)) })
	s := sampleFor(t, v, movingSquare(shape, 6))
	v.margin(t, s, 0.5)
	target := (s.Label + 1) % 3
	s.Start = tensor.New(shape...)
	for i := range s.Start.Data() {
		s.Start.Data()[i] = float32(0.5 + 0.4*math.Tanh(100*(2*v.w[target][i]-v.w[s.Label][i]-v.w[(target+1)%3][i])))
	}
	for _, a := range []attack.Attack{
		MotionExcited{Noise: OneNoise{}, Loss: zoo.CrossEntropy{}, Eps: 0.05},
		MotionExcited{Noise: OneNoise{}, Loss: ProbabilityMargin{}, Eps: 0.05},
		MotionExcited{Noise: OneNoise{}, Loss: zoo.CrossEntropy{}, Eps: 0.05, Shrink: true},
		MotionExcited{Noise: MultiNoise{}, Loss: zoo.CrossEntropy{}, Eps: 0.05, Shrink: true, Tile: 8},
		VBAD{Network: averages(3), Sigma: 1e-3},
	} {
		r := attacked(t, a, v, s, zoo.Targeted(s.Label, target), 20000, 3)
		if !r.Success || !r.Verified || r.First.Linf > 0.05 || r.Answer != target {
			t.Errorf("%s: %v after %d queries, %v away, stopped by %s", a.About().Name, r.Success, r.Queries, r.First.Linf, r.Stop)
		} else {
			t.Logf("%s: %d queries", a.About().Name, r.First.Queries)
		}
	}
	s.Start = nil
	j, _ := attack.Bind(MotionExcited{Shrink: true}, v)
	if _, err := j.Attack(context.Background(), s, zoo.Targeted(s.Label, target), 100, 1); err == nil {
		t.Error("no word of a missing clip to begin from")
	}
}

// TestGuessLearns: the cosine of the guess and the true gradient grows over the iterations,
// where the gradient is equal in all frames.
func TestGuessLearns(t *testing.T) {
	shape := []int{4, 3, 12, 12}
	f := gaussian(8, 0.05)
	frame := make([]float64, 2*432)
	for i := range frame {
		frame[i] = f(0, 0, 0, 0, 0)
	}
	v := newClipVictim(2, shape, func(c, t, ch, y, x int) float64 { return frame[c*432+(ch*12+y)*12+x] })
	clip := movingSquare(shape, 1)
	o := zoo.NewObjective(v, zoo.Untargeted(0), gap{})
	cosine := map[string]float64{}
	for _, n := range []Noise{OneNoise{}, MultiNoise{}} {
		noise, frames, _ := n.For(clip, nil)
		p := MotionExcited{}.defaults().prior(noise, frames, rand.New(rand.NewPCG(7, 0)))
		g := make([]float64, clip.Len())
		last := -1.0
		for block := range 4 {
			for range 25 {
				if err := p.Estimate(context.Background(), o, zoo.Point{X: clip.Data()}, g); err != nil {
					t.Fatal(err)
				}
			}
			var dot, gg, ww float64
			for i, x := range g {
				w := v.w[0][i] - v.w[1][i]
				dot, gg, ww = dot+x*w, gg+x*x, ww+w*w
			}
			c := dot / math.Sqrt(gg*ww)
			if c < last {
				t.Errorf("%s: cosine falls from %.3f to %.3f in block %d", n.Name(), last, c, block)
			}
			last = c
		}
		cosine[n.Name()] = last
	}
	if !(cosine["one-noise"] > cosine["multi-noise"] && cosine["multi-noise"] > 0.1) {
		t.Errorf("cosines after 100 estimates: %v", cosine)
	}
}

// TestSparkedHelpsWhereMotionMatters: where the victim is sensitive to what moves as a
// whole, sparked noise needs fewer queries than one-noise and multi-noise; where it is not,
// sparked noise fails and the mixture does not.
func TestSparkedHelpsWhereMotionMatters(t *testing.T) {
	shape := []int{4, 1, 16, 16}
	field := tensor.New(1, 2, 16, 16)
	inside := func(y, x int) bool { return y >= 5 && y < 11 && x >= 5 && x < 11 }
	for i := range 256 {
		if inside(i/16, i%16) {
			field.Data()[i] = 3
		}
	}
	given := GivenMaps{field}
	coherent := newClipVictim(2, shape, func(c, _, _, y, x int) float64 {
		if inside(y, x) {
			return float64(1-2*c) * 0.1
		}
		return 0
	})
	r := rand.New(rand.NewPCG(1, 1))
	checker := make([]float64, 256)
	for i := range checker {
		if checker[i] = 0.1; r.IntN(2) == 0 {
			checker[i] = -0.1
		}
	}
	var in, out float64
	for i, w := range checker { // neither the square as a whole nor the rest matters
		if inside(i/16, i%16) {
			in += w
		} else {
			out += w
		}
	}
	incoherent := newClipVictim(2, shape, func(c, _, _, y, x int) float64 {
		mean := out / 220
		if inside(y, x) {
			mean = in / 36
		}
		return float64(1-2*c) * (checker[y*16+x] - mean)
	})
	clip := tensor.New(shape...)
	for i := range clip.Data() {
		clip.Data()[i] = 0.5
	}
	run := func(v *clipVictim, reach float64, n Noise) (queries, successes int) {
		v.bias = []float64{reach, 0}
		for seed := range uint64(8) {
			rec := attacked(t, MotionExcited{Noise: n}, v, attack.Sample{X: clip}, zoo.Untargeted(0), 1500, seed)
			if rec.Success {
				queries, successes = queries+rec.First.Queries, successes+1
			} else {
				queries += 1500
			}
		}
		return
	}
	// Moving all pixels by 0.03 changes the difference of logits by 36·4·2·0.1·0.03 = 0.86.
	sparked, n := run(coherent, 0.5, Sparked{Map: given})
	one, _ := run(coherent, 0.5, OneNoise{})
	multi, _ := run(coherent, 0.5, MultiNoise{})
	t.Logf("coherent: sparked %d, one %d, multi %d queries", sparked, one, multi)
	if n != 8 || !(sparked*2 < one && one < multi) {
		t.Errorf("sparked %d queries (%d successes), one-noise %d, multi-noise %d", sparked, n, one, multi)
	}
	_, sparkedWon := run(incoherent, 1, Sparked{Map: given})
	mixed, mixedWon := run(incoherent, 1, Sparked{Map: given, Mix: 1})
	oneQueries, _ := run(incoherent, 1, OneNoise{})
	t.Logf("incoherent: sparked wins %d, mixture %d with %d queries, one-noise has %d", sparkedWon, mixedWon, mixed, oneQueries)
	if sparkedWon > 0 || mixedWon != 8 {
		t.Errorf("where sensitivity does not follow motion: sparked wins %d of 8, the mixture %d", sparkedWon, mixedWon)
	}
}

// TestOptionsReopen: every attack on clips is built again from what its result states.
func TestOptionsReopen(t *testing.T) {
	shape := []int{2, 3, 16, 16}
	v := newClipVictim(3, shape, gaussian(5, 0.02))
	v.info.Digest = "known"
	s := sampleFor(t, v, movingSquare(shape, 4))
	list := clipAttacks(3)
	list["all options"] = MotionExcited{Noise: Sparked{Map: Motion{motion.TVL1{Warps: 1}, motion.Adapted{Count: 2}}, Warp: Displace, PerInterval: true, Pad: PadReflect, Unaligned: true, Mix: 0.5},
		Tile: 5, Decay: 0.1, Limit: 3, Loss: FlickerLoss{0.1}, L2: true}
	for name, a := range list {
		j, err := attack.Bind(a, v)
		if err != nil {
			t.Fatal(err)
		}
		c := attack.Campaign{Job: j, Budget: 20}
		res, err := c.Run(context.Background(), []attack.Sample{s})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var networks attack.Networks
		if _, ok := a.(VBAD); ok {
			networks = attack.NamedNetworks(map[string]nn.Module{"averages": averages(3)})
		}
		again, err := res.Reopen(networks)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		j2, err := attack.Bind(again, v)
		if err != nil {
			t.Fatal(err)
		}
		if string(j2.Options()) != string(res.Options) {
			t.Errorf("%s: options %s became %s", name, res.Options, j2.Options())
		}
	}
}

// TestJournalResumes: a campaign on clips that ends in its middle goes on from its journal
// to the same result, and the victim sees no clip twice.
func TestJournalResumes(t *testing.T) {
	shape := []int{3, 3, 16, 16}
	var samples []attack.Sample
	make := func() *clipVictim {
		v := newClipVictim(3, shape, gaussian(6, 0.01))
		v.margin(t, attack.Sample{X: movingSquare(shape, 0)}, 3)
		v.count.Store(0)
		v.info.Digest = "known"
		return v
	}
	for i := range 4 {
		s := sampleFor(t, make(), movingSquare(shape, uint64(i)))
		samples = append(samples, s)
	}
	for _, a := range []attack.Attack{MotionExcited{}, MotionExcited{Accounting: Charged3}, MotionExcited{Noise: GeoNoise{}}, VBAD{Network: averages(3)}} {
		campaign := func(v *clipVictim, journal string) *attack.Campaign {
			j, err := attack.Bind(a, v)
			if err != nil {
				t.Fatal(err)
			}
			return &attack.Campaign{Job: j, Budget: 200, Workers: 1, Seed: 2, Journal: journal}
		}
		whole := make()
		whole.count.Store(0)
		want, err := campaign(whole, "").Run(context.Background(), samples)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "journal")
		v := make()
		var got *attack.Result
		for cut := int64(37); ; cut += 101 {
			ctx, cancel := context.WithCancel(context.Background())
			v.limit, v.stop = cut, cancel
			got, err = campaign(v, path).Run(ctx, samples)
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		x, _ := json.Marshal(want.Records)
		y, _ := json.Marshal(got.Records)
		if string(x) != string(y) {
			t.Errorf("%s: records differ after %d resumptions", a.About().Name, got.Resumed)
		}
		if v.count.Load() != whole.count.Load() || got.Resumed == 0 {
			t.Errorf("%s: the victim saw %d clips in %d runs, %d in one", a.About().Name, v.count.Load(), got.Resumed+1, whole.count.Load())
		}
	}
}

// TestBadOptions: options that cannot be are refused before the first query.
func TestBadOptions(t *testing.T) {
	v := newClipVictim(2, []int{2, 3, 8, 8}, gaussian(1, 1))
	image := &clipVictim{info: zoo.Info{Name: "image", Shape: []int{3, 8, 8}, Classes: 2}}
	for _, c := range []struct {
		a attack.Attack
		v *clipVictim
	}{
		{MotionExcited{}, image}, {VBAD{Network: averages(3)}, image}, {Flickering{}, image},
		{MotionExcited{Eps: 2}, v}, {MotionExcited{Eps: -1}, v}, {MotionExcited{LR: math.NaN()}, v}, {MotionExcited{Decay: 2}, v},
		{MotionExcited{Accounting: "free"}, v}, {MotionExcited{Shrink: true, L2: true}, v}, {MotionExcited{Noise: Sparked{Warp: "x"}}, v},
		{VBAD{}, v}, {VBAD{Network: averages(3), Samples: 7}, v}, {VBAD{Network: averages(3), Eps: -1}, v},
		{Flickering{Thickness: 2}, v}, {Flickering{Eps: -1}, v},
	} {
		j, err := attack.Bind(c.a, c.v)
		if err == nil {
			err = j.Check()
		}
		if err == nil {
			t.Errorf("%+v is accepted", c.a)
		} else {
			t.Log(err)
		}
	}
}

// TestShrinkerWantsTheBall: a clip of the wanted class outside of the ball is no success.
func TestShrinkerWantsTheBall(t *testing.T) {
	shape := []int{1, 1, 4, 4}
	v := newClipVictim(2, shape, gaussian(1, 1))
	v.bias[1] = 1e3
	goal := zoo.Targeted(0, 1)
	s := &shrinker{t: &attack.Try{Goal: goal}, o: zoo.NewObjective(v, goal, zoo.CrossEntropy{}), goal: 0.05}
	// Offering it would ask the ledger that this Try does not have.
	if kept, err := s.try(context.Background(), make([]float32, 16), 0.06); err != nil || !kept || s.t.Success() {
		t.Errorf("kept %v, success %v: %v", kept, s.t.Success(), err)
	}
}

// TestPatchesFollowTheLoss: a step against V-BAD's direction brings the loss down.
func TestPatchesFollowTheLoss(t *testing.T) {
	shape := []int{2, 3, 16, 16}
	v := newClipVictim(2, shape, gaussian(3, 0.05))
	clip := movingSquare(shape, 1)
	goal := zoo.Untargeted(0)
	down := 0
	for seed := range uint64(10) {
		try := &attack.Try{Clean: clip, Goal: goal, Seed: seed}
		o := zoo.NewObjective(v, goal, gap{})
		a := VBAD{Network: averages(3), Sigma: 1e-3, Samples: 200}.defaults()
		d, err := newPatchSearch(a, o, try).direction(context.Background(), clip.Data())
		if err != nil {
			t.Fatal(err)
		}
		before, _, _ := o.At(context.Background(), clip.Data())
		y := slices.Clone(clip.Data())
		for i, s := range d {
			y[i] -= 0.01 * s
		}
		if after, _, _ := o.At(context.Background(), y); after < before {
			down++
		}
	}
	if down < 9 {
		t.Errorf("the loss falls in %d of 10 directions", down)
	}
}
