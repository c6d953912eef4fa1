package video

import (
	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/video/motion"
	"github.com/mettleml/mettle/zoo"
)

// The attacks on clips in the registry (attack.Kinds). Those on images that a ball serves
// are there a second time with the radius of the thesis, under names of their own.
func init() {
	with := func(n Noise) func() attack.Attack {
		return func() attack.Attack { return MotionExcited{Noise: n} }
	}
	geo := MotionExcited{Noise: GeoNoise{}, Eps: 10. / 255, Loss: FlickerLoss{}}
	for _, k := range []attack.Kind{
		{Name: "motion-excited", What: "Motion-Excited Sampler", Aim: attack.InBall, New: func() attack.Attack { return MotionExcited{} }, Presets: []attack.Preset{
			{Name: "released", What: "the released code: three queries per step, and clips at rest get one colour", Attack: MotionExcited{Noise: Sparked{Least: 1}, Accounting: Charged3}},
			{Name: "adapted", What: "motion maps whose intervals suit the clip (figure 3.5)", Attack: MotionExcited{Noise: Sparked{Map: Motion{Selector: motion.Adapted{}}}}},
			{Name: "per-frame", What: "every frame by its own motion; the others' noise is the same in all frames, which a victim that looks at motion may not even see", Attack: MotionExcited{Noise: Sparked{PerInterval: true, Map: Motion{Selector: EachFrame{}}}}},
			{Name: "frugal", What: "ours, for victims that look at motion: from the best of 20 striped clips, every frame by its own motion and half as much of GEO-TRAP's noise; found on moving digits, where it takes a third of the queries", Attack: MotionExcited{
				Noise: Mixture{A: Sparked{PerInterval: true, Map: Motion{Selector: EachFrame{}}}, B: GeoNoise{}, Weight: 0.5}, Loss: zoo.Margin{}, Starts: 20}},
			{Name: "flow", What: "dense flow instead of blocks (ME-Sampler with OF)", Attack: MotionExcited{Noise: Sparked{Map: Motion{Estimator: motion.Farneback{}}}}},
			{Name: "mixed", What: "with as much one-noise added, for victims whose sensitivity does not follow motion", Attack: MotionExcited{Noise: Sparked{Mix: 1}}},
		}},
		{Name: "multi-noise", What: "the same with independent noise", Aim: attack.InBall, New: with(MultiNoise{})},
		{Name: "one-noise", What: "the same with one frame of noise for all", Aim: attack.InBall, New: with(OneNoise{}), Presets: []attack.Preset{
			{Name: "coarse", What: "ours: a guess of 16x16 for all frames, and the margin of the logits; found on training clips of sports and two small networks", Attack: MotionExcited{
				Noise: OneNoise{}, Tile: 16, PriorLR: 0.01, Loss: zoo.Margin{}}},
		}},
		{Name: "u-sample", What: "the same with a random map", Aim: attack.InBall, New: with(Sparked{Map: UniformMap{}})},
		{Name: "s-value", What: "the same with a map of rising values", Aim: attack.InBall, New: with(Sparked{Map: SequenceMap{}})},
		{Name: "geo-trap", What: "GEO-TRAP, radius 10/255", Aim: attack.InBall, New: func() attack.Attack { return geo }},
		{Name: "e-nes", What: "NES on all frames", Aim: attack.InBall, New: func() attack.Attack { return attack.NES{Norm: attack.Linf, Eps: 0.03} }},
		{Name: "e-bandits", What: "Bandits on all frames", Aim: attack.InBall, New: func() attack.Attack { return attack.Bandits{Norm: attack.Linf, Eps: 0.03, Tile: 50} }},
		{Name: "e-square", What: "Square on all frames", Aim: attack.InBall, New: func() attack.Attack { return attack.Square{Norm: attack.Linf, Eps: 0.03} }},
		{Name: "e-pgd", What: "PGD on all frames", Aim: attack.InBall, New: func() attack.Attack { return attack.PGD{Norm: attack.Linf, Eps: 0.03} }},
		{Name: "v-bad", What: "V-BAD", Aim: attack.InBall, New: func() attack.Attack { return VBAD{} }},
		{Name: "flickering", What: "flickering attack", Aim: attack.SmallDistance, New: func() attack.Attack { return Flickering{} }},
	} {
		attack.Register(k)
	}
}
