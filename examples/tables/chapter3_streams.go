package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/meter"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video/motion"
	"github.com/mettleml/mettle/zoo"
)

// Table 3.6 asks whether clips that fool a network for frames also fool one that sees
// nothing but optical flow. That one, the temporal stream of a two-stream network, is
// trained here, on the clips of the groups that -test leaves.

// The training of the stream.
const (
	streamEpochs = 30
	streamBatch  = 16
	streamLR     = 0.004
)

// streamArms are the attacks of table 3.6.
var streamArms = []string{sampler, "one-noise"}

// flowShape is the shape of the flow of clips: of each frame but the first against the one
// before.
func flowShape(clip []int) []int { return []int{2, clip[0] - 1, clip[2], clip[3]} }

// writeFlow writes to dst, [2, T-1, H, W], the dense flow of a clip in pixels.
func writeFlow(dst, clip *tensor.Tensor) error {
	f, err := motion.NewFrames(clip)
	if err != nil {
		return err
	}
	seq := motion.NewSequence(f, motion.Farneback{})
	n := f.H * f.W
	for t := 1; t < f.T; t++ {
		field := seq.Field(t)
		copy(dst.Index(0).Data()[(t-1)*n:][:n], field.DX)
		copy(dst.Index(1).Data()[(t-1)*n:][:n], field.DY)
	}
	return nil
}

// flows are the clips of a data set as flow.
type flows struct{ data.Dataset }

// Shape implements data.Dataset.
func (f flows) Shape() []int { return flowShape(f.Dataset.Shape()) }

// Read implements data.Dataset.
func (f flows) Read(i int, dst *tensor.Tensor) error {
	clip := tensor.New(f.Dataset.Shape()...)
	if err := f.Dataset.Read(i, clip); err != nil {
		return err
	}
	return writeFlow(dst, clip)
}

// stream returns the network for flow as a victim, which it trains if no cell holds it.
func (b *book) stream(ctx context.Context) (*zoo.Model, error) {
	digest, err := data.Digest(b.train)
	if err != nil {
		return nil, err
	}
	key := struct {
		What, Data    string
		Epochs, Batch int
		LR            float64
		Seed          uint64
	}{"stream", digest, streamEpochs, streamBatch, streamLR, b.c.seed}
	name, err := cells.Name("stream", key)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(b.cells.Dir, name+".safetensors")
	_, err = cells.Get(b.cells, "stream", key, func() (struct{ Loss float64 }, error) {
		net, loss, err := b.trainStream(ctx)
		if err != nil {
			return struct{ Loss float64 }{}, err
		}
		info := models.Info{Model: "tinyflow", Classes: b.train.Classes()}
		return struct{ Loss float64 }{loss}, models.Save(path, net, info, nn.SaveOptions{})
	})
	if err != nil {
		return nil, err
	}
	net, info, err := models.Open(path)
	if err != nil {
		return nil, err
	}
	return zoo.NewModel(net, zoo.Info{Name: "flow", Shape: flowShape(b.test.Shape()), Classes: info.Classes, Scores: zoo.Probabilities}, data.Preprocess{})
}

// trainStream trains the network for flow and returns the mean loss of the last epoch.
func (b *book) trainStream(ctx context.Context) (nn.Module, float64, error) {
	l, err := data.NewLoader(flows{b.train}, data.LoaderOptions{BatchSize: streamBatch, Shuffle: true, Seed: b.c.seed})
	if err != nil {
		return nil, 0, err
	}
	net := models.TinyFlow(b.c.seed, b.train.Classes())
	opt := optim.NewAdam(nn.Params(net), optim.AdamOptions{LR: streamLR})
	steps := (b.train.Len() + streamBatch - 1) / streamBatch
	rate := optim.Cosine(streamLR, 0, streamEpochs*steps)
	tape := autograd.NewTape(autograd.Training, b.c.seed)
	var loss float64
	for epoch := range streamEpochs {
		loss = 0
		for batch, err := range l.Batches(ctx) {
			if err != nil {
				return nil, 0, err
			}
			opt.SetLR(rate(int(tape.Step())))
			v := nn.CrossEntropy(net.Forward(tape.Input(batch.X)), batch.Y)
			loss += v.Scalar() * float64(len(batch.Y)) / float64(b.train.Len())
			err := opt.Step(tape.Gradients(v))
			tape.Reset()
			if err != nil {
				return nil, 0, err
			}
		}
		fmt.Printf("network for flow: epoch %d of %d, loss %.3f\n", epoch+1, streamEpochs, loss)
	}
	return net, loss, nil
}

// A streamOutcome is what both streams make of a clip and of what an attack on the victim
// found: probabilities of the classes.
type streamOutcome struct {
	Label             int
	Success           bool
	Frames, FramesAdv []float64 // the victim's
	Flow, FlowAdv     []float64
}

// right says whether a class is the likeliest in the sum of some probabilities.
func right(label int, p ...[]float64) int {
	sum := make([]float64, len(p[0]))
	for _, p := range p {
		for i, v := range p {
			sum[i] += v
		}
	}
	if zoo.Top(sum) == label {
		return 1
	}
	return 0
}

// outcomes attacks samples lo to hi of a victim, again, since other tables keep no clips,
// and asks both streams.
func (b *book) outcomes(ctx context.Context, a arm, v *victim, flow *zoo.Model, lo, hi int) ([]streamOutcome, error) {
	options, err := attack.EncodeOptions(a.attack)
	if err != nil {
		return nil, err
	}
	budget := a.budget
	if b.c.budget > 0 {
		budget = min(budget, b.c.budget)
	}
	key := struct {
		What, Attack, Net string
		Options           json.RawMessage
		Budget            int
		Seed              uint64
		Victim, Data      string
		Flow              string
		From, To          int
	}{"streams", a.attack.About().Name, a.net, options, budget, b.c.seed, v.hash, b.data, flow.Info().Digest, lo, hi}
	return cells.Get(b.cells, v.name+"-"+a.name+"-streams", key, func() ([]streamOutcome, error) {
		info := v.model.Info()
		info.Scores = zoo.Probabilities
		sure, err := zoo.NewModel(v.net, info, v.info.Preprocess)
		if err != nil {
			return nil, err
		}
		counted := meter.Count(v.model)
		m := meter.New(fmt.Sprintf("table 3.6: %s, %s, clips %d to %d", v.name, a.name, lo, hi), counted, hi-lo, budget)
		defer m.Stop()
		job, err := attack.Bind(a.attack, counted)
		if err != nil {
			return nil, err
		}
		c := attack.Campaign{Job: job, Budget: budget, Seed: b.c.seed, Workers: b.workers, Progress: m.Progress, Start: v.start}
		res, err := c.Run(ctx, v.samples[lo:hi])
		if err != nil {
			return nil, err
		}
		var list []streamOutcome
		for i, s := range v.samples[lo:hi] {
			r := &res.Records[i]
			o := streamOutcome{Label: s.Label, Success: r.Success}
			adv := s.X
			if r.Success {
				adv = r.Adversarial.Tensor()
			}
			for _, side := range []struct {
				x            *tensor.Tensor
				frames, flow *[]float64
			}{{s.X, &o.Frames, &o.Flow}, {adv, &o.FramesAdv, &o.FlowAdv}} {
				*side.frames, *side.flow = make([]float64, info.Classes), make([]float64, info.Classes)
				field := tensor.New(flowShape(b.test.Shape())...)
				if err := errors.Join(writeFlow(field, side.x),
					sure.Scores(ctx, side.x.Reshape(append([]int{1}, side.x.Shape()...)...), *side.frames),
					flow.Scores(ctx, field.Reshape(append([]int{1}, field.Shape()...)...), *side.flow)); err != nil {
					return nil, err
				}
			}
			list = append(list, o)
		}
		return list, nil
	})
}

// A streamRow is a row of table 3.6 as JSON: shares of the clips on which the attack
// succeeded that are classified right before and after it.
type streamRow struct {
	Clips                int
	FlowAccuracy         float64 // on all clips of the table, none attacked
	Flow, FlowAdv        float64
	Both, BothAdv        float64
	FlowLost, FlowGained int
}

// table36 is the accuracy of a network for flow, and of both streams together, on clips
// that fool a network for frames.
func (b *book) table36(ctx context.Context) (rows []clipRow, err error) {
	b.heading("Table 3.6: two streams")
	b.text(fmt.Sprintf("The victims see frames. Their adversarial clips are shown to a network that sees only dense flow (Farnebäck's), computed anew from each clip: TinyFlow, trained %d epochs on the clips of the groups that are not in -test. Only clips on which the attack succeeded count. Lost are clips that the network for flow had right before and not after, gained the reverse. Both streams: the sum of their probabilities.", streamEpochs))
	switch {
	case b.train == nil:
		b.text("Not made: -test GROUPS leaves other groups to train the network for flow on.")
		return nil, b.save()
	case b.test.Shape()[0] < 3:
		b.text("Not made: clips of three frames or more have a flow to classify.")
		return nil, b.save()
	}
	flow, err := b.stream(ctx)
	if errors.Is(err, cells.ErrNotRun) {
		b.text("Not run yet.")
		return nil, b.save()
	}
	if err != nil {
		return nil, err
	}
	t := &report.Table{Head: []string{" victim", " attack", "attacked", "succeeded", "flow, all clips", "flow, clean", "flow, adversarial", "lost", "gained", "both, clean", "both, adversarial", "thesis"}}
	var missing []string
	for _, v := range b.victims {
		for _, name := range streamArms {
			a, _, err := b.clipArm(name, false)
			if err != nil {
				return nil, err
			}
			row, n, err := b.streamRow(ctx, a, v, flow)
			if errors.Is(err, cells.ErrNotRun) {
				missing = append(missing, v.name+" "+a.title)
				continue
			}
			if err != nil {
				return nil, err
			}
			rows = append(rows, clipRow{Table: "3.6", Victim: v.name, Arm: a.title, Streams: row})
			cell := []string{v.name, a.title, strconv.Itoa(n), strconv.Itoa(row.Clips), percent(row.FlowAccuracy)}
			if row.Clips == 0 {
				cell = append(cell, "–", "–", "–", "–", "–", "–")
			} else {
				cell = append(cell, percent(row.Flow), percent(row.FlowAdv), strconv.Itoa(row.FlowLost), strconv.Itoa(row.FlowGained), percent(row.Both), percent(row.BothAdv))
			}
			t.Rows = append(t.Rows, append(cell, ""))
		}
	}
	b.table(t)
	b.notRun(missing)
	return rows, b.save()
}

// streamRow adds up the outcomes of an attack on the clips of a victim, and says how many
// those are.
func (b *book) streamRow(ctx context.Context, a arm, v *victim, flow *zoo.Model) (*streamRow, int, error) {
	row := &streamRow{}
	n := min(b.c.n, len(v.samples))
	for lo := 0; lo < n; lo += b.piece {
		part, err := b.outcomes(ctx, a, v, flow, lo, min(lo+b.piece, n))
		if err != nil {
			return nil, 0, err
		}
		for _, o := range part {
			before := right(o.Label, o.Flow)
			row.FlowAccuracy += float64(before) / float64(n)
			if !o.Success {
				continue
			}
			after := right(o.Label, o.FlowAdv)
			row.Clips++
			row.Flow += float64(before)
			row.FlowAdv += float64(after)
			row.FlowLost += before * (1 - after)
			row.FlowGained += after * (1 - before)
			row.Both += float64(right(o.Label, o.Frames, o.Flow))
			row.BothAdv += float64(right(o.Label, o.FramesAdv, o.FlowAdv))
		}
	}
	per := 1 / math.Max(float64(row.Clips), 1)
	row.Flow, row.FlowAdv, row.Both, row.BothAdv = row.Flow*per, row.FlowAdv*per, row.Both*per, row.BothAdv*per
	return row, n, nil
}
