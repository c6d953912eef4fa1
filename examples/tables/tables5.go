package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/ssl"
)

// filters are tables 5.1 to 5.3: the filter of each family of backbones.
func (h *sheet5) filters(context.Context) error {
	h.heading("Tables 5.1 to 5.3: the Filter")
	h.say("The thesis's layers are not known; these are ours, as package ssl makes them. Batch normalisation and ReLU follow each convolution. After the filter come the mean over positions and the method's projector.")
	t := &report.Table{Head: []string{" table", " backbone", "pixels", " map it reads", " convolutions", "parameters", " thesis"}}
	for _, f := range []struct {
		table, backbone   string
		size, width, side int
	}{{"5.1", "ResNet-32", 32, 64, 8}, {"5.2", "ResNet-10", 224, 512, 7}, {"5.3", "ResNet-50, ResNet-152", 224, 2048, 7}} {
		last := nn.Stage{Name: "last", Width: f.width, Module: nn.Identity{}}
		net := &nn.Classifier{Backbone: &nn.Backbone{Stages: []nn.Stage{last}, Pool: last}, Head: nn.Identity{}, HeadName: "fc"}
		net.Backbone.Pool.Name = "pool"
		j, err := ssl.NewHeterotopic(net, func(e ssl.Encoder) (ssl.Method, error) {
			return ssl.New("rotation", e, ssl.Settings{})
		}, nil, ssl.HeterotopicOptions{Arrangement: ssl.Generic})
		if err != nil {
			return err
		}
		layers := ""
		for _, l := range j.Branch.Filter.(*nn.Sequential).Layers {
			if c, ok := l.(*nn.Conv); ok {
				s := c.Weight.Value().Shape()
				layers += fmt.Sprintf(", %dx%d %d to %d", s[2], s[3], s[1], s[0])
			}
		}
		t.Rows = append(t.Rows, []string{f.table, f.backbone, fmt.Sprint(f.size), fmt.Sprintf("%d channels of %dx%d", f.width, f.side, f.side), layers[2:], fmt.Sprint(nn.Count(j.Branch.Filter)), ""})
	}
	h.table(t)
	return nil
}

// base is the job that gains are over.
func (h *sheet5) base(d *recipes.Data, epochs int) func(seed uint64) *recipes.Job {
	return func(seed uint64) *recipes.Job { return h.s.job(d, bare, h.s.method, seed, epochs) }
}

// chosenLines are the row that the search chose, and its dagger.
func (h *sheet5) chosenLines(ctx context.Context) []line5 {
	jobs, err := h.s.chosenRows(1)(ctx)
	if err != nil {
		return nil
	}
	t, err := h.s.chosen(ctx)
	if err != nil || t.title == h.s.tried()[0].title { // that is a row already
		return nil
	}
	var list []line5
	for i, mark := range []string{"", " †"}[:len(jobs)] {
		list = append(list, line5{"generic and specific, as chosen on held-out data: " + t.title + mark, func(seed uint64) *recipes.Job {
			jobs, err := h.s.chosenRows(seed)(ctx)
			if err != nil {
				panic(err) // it was known for another seed
			}
			return jobs[i]
		}})
	}
	return list
}

// table55 has the arrangements.
func (h *sheet5) table55(ctx context.Context) error {
	table := "Table 5.5"
	if !slices.Contains(datasets.Names, h.c.data) {
		table = "As tables 5.4, 5.6 and 5.7"
	}
	h.heading(table + ": the arrangements of figure 5.3")
	epochs := h.s.epochs()
	rows := h.lines(h.main, epochs, slices.Concat(first, further)...)
	rows = append(rows, h.chosenLines(ctx)...)
	rows = append(rows, h.lines(h.main, epochs, onTop...)...)
	if err := h.compare(ctx, rows, h.base(h.main, epochs)); err != nil || h.s.second == nil {
		return err
	}
	h.say(fmt.Sprintf("%s, imbalance 100:", h.s.second.Name))
	return h.compare(ctx, h.lines(h.s.second, epochs, first...), h.base(h.s.second, epochs))
}

// table58 has the full arrangement with mutual information raised, lowered and left out.
func (h *sheet5) table58(ctx context.Context) error {
	h.heading("Table 5.8: without and with mutual information")
	h.say("Raised is a lower bound (InfoNCE) that is maximised, lowered an upper one (vCLUB) that is minimised; the sign in the thesis is not known. Both pair the classifier's feature with the specific feature of another view.")
	rows := h.lines(h.main, h.s.epochs(), generic, full, lowered)
	for i, title := range []string{"without", "raised", "lowered"} {
		rows[2*i].title, rows[2*i+1].title = title, title+" †"
	}
	return h.compare(ctx, rows, h.base(h.main, h.s.epochs()))
}

// table59 compares each method beside the classifier with the same method as its start.
func (h *sheet5) table59(ctx context.Context) error {
	h.heading("Table 5.9: methods of self-supervision")
	h.say(fmt.Sprintf("The baseline of a method is figure 5.3 (i), a classifier that begins with what the method has learned; gains are over the base. All with %d epochs of the classifier, less than above.", h.s.proxy()))
	rows := []line5{{"base", h.base(h.main, h.s.proxy())}}
	for _, name := range compared {
		for i, a := range []arm5{initial, full} {
			rows = append(rows, line5{name + []string{", as initialisation", ", generic and specific"}[i], func(seed uint64) *recipes.Job { return h.s.job(h.main, a, name, seed, h.s.proxy()) }})
		}
	}
	return h.compare(ctx, rows, h.base(h.main, h.s.proxy()))
}

// searched has the settings that were tried on held-out data.
func (h *sheet5) searched(ctx context.Context) error {
	h.heading("The search")
	h.say(fmt.Sprintf("On samples held out of the training set, %d epochs each. The first setting is that of the rows above; each of the others differs from it in one thing. The best by the mean over classes is the row that is called chosen.", h.s.proxy()))
	jobs := h.s.tries()
	rows := []line5{{"base", func(uint64) *recipes.Job { return jobs[0] }}}
	for i, t := range h.s.tried() {
		rows = append(rows, line5{t.title, func(uint64) *recipes.Job { return jobs[i+1] }})
	}
	return h.compare(ctx, rows, rows[0].job)
}

// elsewhere are accuracies of ResNet-18 on CIFAR-10 by other programs: lightly's of kNN after 200
// epochs in batches of 128, the best epoch, and solo-learn's of a linear classifier learned
// beside 1,000 epochs.
var elsewhere = map[string][2]string{
	"simclr": {"84.7", "90.7"}, "moco2": {"83.8", "92.9 (v2+)"}, "byol": {"86.9", "92.6"}, "simsiam": {"81.9", "90.5"}, "barlow": {"84.2", "92.1"},
}

// methods has every method alone, by the quality of its features.
func (h *sheet5) methods(ctx context.Context) error {
	h.heading("Every method alone")
	d := h.s.whole
	random, err := h.s.lab.RandomQuality(ctx, d, h.s.alone(), 1)
	if err != nil {
		return err
	}
	h.say(fmt.Sprintf("%s, %d samples, %s, each with %.2f M image-steps. Spread (by that of evenly spread features) and effective rank are those of the specific features, where a collapse would show.",
		d.Name, d.Train.Data.Len(), h.s.alone(), float64(h.s.steps())/1e6))
	t := &report.Table{Head: []string{" method", "kNN", "linear", "epochs", "M image-steps", "spread", "rank", " collapsed", "lightly, kNN", "solo-learn, linear"}}
	t.Rows = append(t.Rows, []string{"random network", hundred(random.KNN), hundred(random.Linear), "0", "0", "", "", "", "", ""})
	protocol := random.Protocol
	for _, j := range h.s.methods() {
		r, err := h.lab.Kept(j)
		if skipped(err) {
			continue
		}
		if err != nil {
			return err
		}
		q, err := h.s.lab.Quality(ctx, j)
		if skipped(err) {
			continue
		}
		if err != nil {
			return err
		}
		row := []string{j.SSL.Method, hundred(q.KNN), hundred(q.Linear), fmt.Sprint(j.Recipe.Epochs), fmt.Sprintf("%.2f", float64(r.Images)/1e6), "", "", "", "", ""}
		if b := r.Curve[len(r.Curve)-1].Branch; b != nil && b.Collapse != nil {
			row[5], row[6], row[7] = fmt.Sprintf("%.2f", b.Collapse.Std/b.Collapse.Healthy), fmt.Sprintf("%.1f", b.Collapse.Rank), "no"
			if b.Warning != "" {
				row[7] = b.Warning
			}
		}
		if other := elsewhere[j.SSL.Method]; d.Name == "cifar10" {
			row[8], row[9] = other[0], other[1]
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) == 1 {
		return cells.ErrNotRun
	}
	h.table(t)
	h.say(protocol)
	h.say("The last two columns are other experiments: a ResNet-18, which has forty times the weights, for 200 epochs (lightly, the best epoch by the test set) or 1,000 (solo-learn, a classifier learned beside); here a small network for a few epochs. supcon has seen the labels.")
	return nil
}
