package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video"
	"github.com/mettleml/mettle/video/motion"
)

// Figures 3.6 to 3.9 are pictures of clips, written beside the page and nowhere else:
// 3.6 and 3.7 are successes on the first and the second victim, 3.8 and 3.9 clips on which
// the sampler fails, because little moves or because vectors tell little of what moves.

// shownClips is how many clips a figure has.
const shownClips = 3

// A traits says what the sampler finds in a clip.
type traits struct {
	// Motion is the mean length of a pixel's vector from one frame to the next, in pixels.
	Motion float64
	// Unexplained is the mean difference between a frame and what its vectors make of the
	// one before, as a share of the difference between the two frames: 1 if the vectors
	// explain nothing, and 0 if nothing changes.
	Unexplained float64
}

// traitsOf measures a clip by the vectors that the sampler has by default.
func traitsOf(clip *tensor.Tensor) (traits, error) {
	f, err := motion.NewFrames(clip)
	if err != nil || f.T < 2 {
		return traits{}, err
	}
	seq := motion.NewSequence(f, motion.BlockMatch{})
	var t traits
	var change, rest float64
	for k := 1; k < f.T; k++ {
		field := seq.Field(k)
		for i, dx := range field.DX {
			t.Motion += math.Hypot(float64(dx), float64(field.DY[i])) / float64(len(field.DX)*(f.T-1))
		}
		before, now := clip.Index(k-1), clip.Index(k)
		predicted := motion.Compensate(before, field).Data()
		for i, v := range now.Data() {
			change += math.Abs(float64(v - before.Data()[i]))
			rest += math.Abs(float64(v - predicted[i]))
		}
	}
	if change > 0 {
		t.Unexplained = rest / change
	}
	return t, nil
}

// A clipCase is a clip of a victim and how the sampler did on it.
type clipCase struct {
	v       *victim
	i       int // among the victim's samples
	queries int // to the first success, or all
	success bool
	traits
}

// cases are the clips that the sampler attacked.
func (b *book) clipCases(ctx context.Context) ([]clipCase, error) {
	a, _, err := b.clipArm(sampler, false)
	if err != nil {
		return nil, err
	}
	b.plan([]arm{a}, b.victims, b.c.n)
	r, err := b.attack(ctx, a, false, b.victims, b.c.n)
	if err != nil {
		return nil, err
	}
	var all []clipCase
	for k, v := range b.victims {
		for i, rec := range r.records[k] {
			if rec.Skipped() {
				continue
			}
			c := clipCase{v: v, i: i, queries: rec.Queries, success: rec.Success}
			if rec.Success {
				c.queries = rec.First.Queries
			}
			if c.traits, err = traitsOf(v.samples[i].X); err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// clipFigures writes the figures that are wanted.
func (b *book) clipFigures(ctx context.Context) error {
	if ch := b.test.Shape()[1]; ch != 1 && ch != 3 {
		b.text(fmt.Sprintf("Figures 3.6 to 3.9 are of gray and coloured clips, not of %d channels.", ch))
		return b.save()
	}
	all, err := b.clipCases(ctx)
	if errors.Is(err, cells.ErrNotRun) {
		b.heading("Figures 3.6 to 3.9")
		b.text("Not run yet.")
		return b.save()
	}
	if err != nil {
		return err
	}
	for k, name := range []string{"3.6", "3.7"} {
		if !b.wants("f" + name) {
			continue
		}
		if k >= len(b.victims) {
			b.heading("Figure " + name + ": adversarial clips of a second victim")
			b.text("-victim names one network only.")
			continue
		}
		v := b.victims[k]
		some := slices.DeleteFunc(slices.Clone(all), func(c clipCase) bool { return c.v != v || !c.success })
		if err := b.clipFigure(ctx, name, "adversarial clips of "+v.name, "The first clips on which "+sampler+" succeeds. From left to right: the clip, its motion maps, what is added (gray is nothing, the extremes are the largest change), the adversarial clip.", some); err != nil {
			return err
		}
	}
	failed := slices.DeleteFunc(slices.Clone(all), func(c clipCase) bool { return c.success })
	note := "Clips on which " + sampler + " fails within the budget"
	if len(failed) < shownClips {
		note = fmt.Sprintf("The sampler fails on %d of %d clips within the budget: here are those and the successes that took most queries", len(failed), len(all))
		failed = slices.SortedStableFunc(slices.Values(all), func(x, y clipCase) int {
			if x.success != y.success {
				return cmp.Compare(bit(x.success), bit(y.success))
			}
			return y.queries - x.queries
		})[:min(2*shownClips, len(all))]
	}
	little := slices.SortedStableFunc(slices.Values(failed), func(x, y clipCase) int { return cmp.Compare(x.Motion, y.Motion) })
	little = little[:min(shownClips, len(little))]
	rest := slices.DeleteFunc(slices.Clone(failed), func(c clipCase) bool { return slices.Contains(little, c) })
	slices.SortStableFunc(rest, func(x, y clipCase) int { return cmp.Compare(y.Unexplained, x.Unexplained) })
	if b.wants("f3.8") {
		if err := b.clipFigure(ctx, "3.8", "little motion", note+", with the least motion. From left to right: the clip, its motion maps. "+means(all), little); err != nil {
			return err
		}
	}
	if b.wants("f3.9") {
		if err := b.clipFigure(ctx, "3.9", "obscure vectors", note+", where vectors explain least of what changes.", rest); err != nil {
			return err
		}
	}
	return b.save()
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// means compares the clips of successes and of failures.
func means(all []clipCase) string {
	var sum [2]traits
	var n [2]float64
	for _, c := range all {
		k := bit(c.success)
		sum[k].Motion += c.Motion
		sum[k].Unexplained += c.Unexplained
		n[k]++
	}
	text := ""
	for k, what := range []string{"clips where it fails", "where it succeeds"} {
		if n[k] > 0 {
			text += fmt.Sprintf("Mean of %.0f %s: %.2f pixels per frame, %.2f unexplained. ", n[k], what, sum[k].Motion/n[k], sum[k].Unexplained/n[k])
		}
	}
	return text
}

// clipFigure writes the first clips of a list as animations, and a table of them.
func (b *book) clipFigure(ctx context.Context, name, title, text string, list []clipCase) error {
	b.heading("Figure " + name + ": " + title)
	if len(list) == 0 {
		b.text("There are no such clips.")
		return nil
	}
	b.text(text)
	t := &report.Table{Head: []string{" clip", " victim", " class", " answer", "queries", "pixels per frame", "unexplained"}}
	for _, c := range list[:min(shownClips, len(list))] {
		s := c.v.samples[c.i]
		strip := []*tensor.Tensor{s.X}
		maps, err := mapsOf(s.X)
		if err != nil {
			return err
		}
		strip = append(strip, maps)
		answer := "no success"
		if c.success {
			adv, class, err := b.adversarial(ctx, c)
			if err != nil {
				return err
			}
			answer = className(c.v.info.ClassNames, class)
			strip = append(strip, report.Difference(adv, s.X), adv)
		}
		t.Rows = append(t.Rows, []string{s.Name, c.v.name, className(c.v.info.ClassNames, s.Label), answer, strconv.Itoa(c.queries),
			fmt.Sprintf("%.2f", c.Motion), fmt.Sprintf("%.2f", c.Unexplained)})
		file := fmt.Sprintf("chapter%d-%s-f%s-%s-%s.gif", b.chapter, b.name, name, c.v.name, s.Name)
		var gif bytes.Buffer
		if err := video.WriteGIF(&gif, &video.Clip{X: beside(strip), FPS: 8}, video.GIFOptions{}); err != nil {
			return err
		}
		if err := atomicfile.WriteFile(filepath.Join(b.c.out, file), gif.Bytes()); err != nil {
			return err
		}
		fmt.Fprintf(&b.page, "![clip %s](%s)\n\n", s.Name, file)
	}
	b.table(t)
	return nil
}

// className is the name of a class, or its number.
func className(names []string, class int) string {
	if class < len(names) {
		return names[class]
	}
	return strconv.Itoa(class)
}

// adversarial attacks one clip by itself and returns what was found and the victim's
// answer; the clip itself if nothing was.
func (b *book) adversarial(ctx context.Context, c clipCase) (*tensor.Tensor, int, error) {
	a, _, err := b.clipArm(sampler, false)
	if err != nil {
		return nil, 0, err
	}
	options, err := attack.EncodeOptions(a.attack)
	if err != nil {
		return nil, 0, err
	}
	budget := a.budget
	if b.c.budget > 0 {
		budget = min(budget, b.c.budget)
	}
	key := struct {
		What         string
		Options      json.RawMessage
		Budget       int
		Seed         uint64
		Victim, Data string
		Clip         int
	}{"clip", options, budget, b.c.seed, c.v.hash, b.data, c.i}
	rec, err := cells.Get(b.cells, c.v.name+"-clip", key, func() (attack.Record, error) {
		job, err := attack.Bind(a.attack, c.v.model)
		if err != nil {
			return attack.Record{}, err
		}
		// In its place, so that its seed is that of the table.
		piece := c.i % b.piece
		samples := slices.Clone(c.v.samples[c.i-piece : c.i+1])
		res, err := (&attack.Campaign{Job: job, Budget: budget, Seed: b.c.seed, Workers: b.workers, Start: c.v.start}).Run(ctx, samples)
		if err != nil {
			return attack.Record{}, err
		}
		return res.Records[piece], nil
	})
	if err != nil {
		return nil, 0, err
	}
	if rec.Adversarial == nil {
		return c.v.samples[c.i].X, rec.Answer, nil
	}
	return rec.Adversarial.Tensor(), rec.Answer, nil
}

// mapsOf draws the motion maps that the sampler follows by default, one for each frame.
func mapsOf(clip *tensor.Tensor) (*tensor.Tensor, error) {
	maps, err := video.Motion{}.Maps(clip, nil)
	if err != nil {
		return nil, err
	}
	t, h, w := clip.Dim(0), clip.Dim(2), clip.Dim(3)
	out := tensor.New(t, 3, h, w)
	for k := range t {
		out.Index(k).CopyFrom(tensor.FromImage(motion.MapAt(maps, k).Field.Color(16)))
	}
	return out, nil
}

// beside puts clips of one size next to each other, in colour.
func beside(clips []*tensor.Tensor) *tensor.Tensor {
	t, h, w := clips[0].Dim(0), clips[0].Dim(2), clips[0].Dim(3)
	out := tensor.New(t, 3, h, w*len(clips))
	for k, x := range clips {
		for f := range t {
			for c := range 3 {
				from := x.Index(f).Index(c % x.Dim(1)).Data()
				to := out.Index(f).Index(c).Data()
				for y := range h {
					copy(to[(y*len(clips)+k)*w:][:w], from[y*w:][:w])
				}
			}
		}
	}
	return out
}
