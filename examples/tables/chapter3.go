package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video"
	"github.com/mettleml/mettle/zoo"
)

// The budgets of chapter 3, in queries per clip.
const (
	clipBudget     = 60000
	clipBudgetGoal = 200000 // with a wanted class
)

// A clipTable is a table or figure of chapter 3: arms on all victims, compared with the
// sampler's own row.
type clipTable struct {
	name, title, text string
	targeted          bool
	arms              []string
}

// sampler is the arm that others are compared with.
const sampler = "motion-excited"

// clipTables are the comparisons in the order of the page. Arms are kinds of the registry,
// with a preset or a loss behind a colon.
var clipTables = []clipTable{
	{"3.2", "Table 3.2: untargeted attacks", "The sampler with motion of blocks (as released) and with dense flow, and the attacks on images taken to all frames.", false,
		[]string{"e-nes", "e-bandits", "v-bad", sampler + ":flow", sampler, sampler + ":released"}},
	{"3.3", "Table 3.3: the noise", "Figure 3.1 is of the same attacks. Those after the sampler are not in the thesis.", false,
		[]string{"multi-noise", "one-noise", sampler, sampler + ":per-frame", sampler + ":mixed", "geo-trap", "e-square", "one-noise:coarse"}},
	{"3.4", "Table 3.4: handcrafted motion maps", "", false, []string{"u-sample", "s-value", sampler}},
	{"f3.5", "Figure 3.5: motion maps whose intervals suit the clip", "", false, []string{sampler, sampler + ":adapted"}},
	{"3.5", "Table 3.5: losses", "The first row is the released code's: one less the second largest probability.", false,
		[]string{sampler, sampler + ":cross-entropy", sampler + ":probability", sampler + ":logits"}},
	{"f3.4", "Figure 3.4: targeted attacks", "From the clean clip in the ball, and by V-BAD's way, from a clip of the wanted class in a ball that shrinks.", true,
		[]string{sampler, sampler + ":shrink", "v-bad"}},
}

// clipLosses are the losses of table 3.5 by the names of arms.
var clipLosses = map[string]zoo.Loss{"cross-entropy": zoo.CrossEntropy{}, "probability": video.ProbabilityMargin{}, "logits": zoo.Margin{}}

// chapter3 runs what is missing of chapter 3 and writes its page after every part.
func chapter3(ctx context.Context, c *config) error {
	b, err := openClips(ctx, c)
	if err != nil {
		return err
	}
	b.clipHead()
	if b.wants("3.1") {
		if err := b.table31(ctx); err != nil {
			return err
		}
	}
	var rows []clipRow
	for _, t := range clipTables {
		if !b.wants(t.name) {
			continue
		}
		fmt.Println("==", t.name)
		part, err := b.clipTable(ctx, t)
		if err != nil {
			return err
		}
		rows = append(rows, part...)
		if err := errors.Join(b.save(), b.saveRows(rows)); err != nil {
			return err
		}
	}
	if b.wants("3.6") {
		fmt.Println("== 3.6")
		part, err := b.table36(ctx)
		if err != nil {
			return err
		}
		rows = append(rows, part...)
		if err := b.saveRows(rows); err != nil {
			return err
		}
	}
	if b.wants(clipPictures...) {
		fmt.Println("== figures 3.6 to 3.9")
		if err := b.clipFigures(ctx); err != nil {
			return err
		}
	}
	fmt.Printf("wrote %s after %v\n", b.path(), time.Since(b.began).Round(time.Second))
	return b.save()
}

// clipPictures are the figures that show clips.
var clipPictures = []string{"f3.6", "f3.7", "f3.8", "f3.9"}

// saveRows writes the rows as JSON beside the page.
func (b *book) saveRows(rows []clipRow) error {
	return atomicfile.WriteJSON(strings.TrimSuffix(b.path(), ".md")+".json", rows)
}

// openClips finds the clips and the victims.
func openClips(ctx context.Context, c *config) (*book, error) {
	b := &book{c: c, chapter: 3, name: filepath.Base(c.data), began: time.Now(), cells: cells.Store{Dir: filepath.Join(c.out, "cells"), Cached: c.cached},
		piece: 4, workers: min(c.workers, 2)} // a network for clips keeps the processors busy by itself
	all := []string{"3.1"}
	for _, t := range clipTables {
		all = append(all, t.name)
	}
	all = append(append(all, "3.6"), clipPictures...)
	var err error
	if b.wanted, err = list("-only", c.only, all); err != nil {
		return nil, err
	}
	if c.victim == "" {
		return nil, errors.New("-victim: chapter 3 attacks networks for clips: files of examples/train, separated by commas")
	}
	if st, err := os.Stat(c.data); err != nil || !st.IsDir() {
		return nil, fmt.Errorf("-data %s: chapter 3 takes clips of a directory of CLASS/*.avi (or other videos)", c.data)
	}
	files := strings.Split(c.victim, ",")
	_, info, err := models.Open(files[0])
	if err != nil {
		return nil, err
	}
	shape, err := info.Preprocess.InputShape(info.Spec().Input)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", files[0], err)
	}
	folder, err := video.OpenFolder(ctx, c.data, shape, video.FolderOptions{
		Window: video.Window{Frames: shape[0], Stride: c.stride, Short: video.Hold}})
	if err != nil {
		return nil, err
	}
	if c.test != "" {
		var train *video.Folder
		if train, folder, err = folder.Split(strings.Split(c.test, ",")...); err != nil {
			return nil, fmt.Errorf("-test: %w", err)
		}
		b.train = train
	}
	// Videos lie in a folder by class: the first n are of all classes in a random order.
	b.test = data.Subset(folder, rand.New(rand.NewPCG(c.seed, 3)).Perm(folder.Len()))
	if info.ClassNames != nil {
		if b.test, err = data.MatchClasses(b.test, info.ClassNames); err != nil {
			return nil, fmt.Errorf("-data %s and %s: %w", c.data, files[0], err)
		}
		if b.train != nil {
			if b.train, err = data.MatchClasses(b.train, info.ClassNames); err != nil {
				return nil, fmt.Errorf("-data %s and %s: %w", c.data, files[0], err)
			}
		}
	}
	if b.data, err = data.Digest(b.test); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.out, 0o755); err != nil {
		return nil, err
	}
	for _, file := range files {
		k, err := b.open(ctx, file, strings.TrimSuffix(filepath.Base(file), ".safetensors"))
		if err != nil {
			return nil, err
		}
		v, err := b.attacked(k)
		if err != nil {
			return nil, err
		}
		b.victims = append(b.victims, v)
	}
	return b, nil
}

// clipArm builds an arm by its name. It is not ok if a network is missing for it.
func (b *book) clipArm(name string, targeted bool) (a arm, ok bool, err error) {
	kind, preset, _ := strings.Cut(name, ":")
	loss, shrink := clipLosses[preset], preset == "shrink"
	if loss != nil || shrink {
		preset = ""
	}
	x, err := attack.Spec{Attack: kind, Preset: preset}.Build(nil)
	if err != nil {
		return arm{}, false, err
	}
	if x, err = attack.WithOptions(x, []byte(fmt.Sprintf(`{"Eps": %g}`, b.c.eps)), nil); err != nil {
		return arm{}, false, err
	}
	a = arm{name: strings.ReplaceAll(name, ":", "-"), title: name, budget: clipBudget, attack: x}
	if targeted {
		a.budget = clipBudgetGoal
	}
	switch x := x.(type) {
	case video.MotionExcited:
		if loss != nil {
			x.Loss = loss
		}
		x.Shrink = shrink
		a.attack = x
	case video.VBAD:
		if b.c.network == "" {
			return a, false, nil
		}
		net, info, err := models.Open(b.c.network)
		if err != nil {
			return a, false, fmt.Errorf("-network: %w", err)
		}
		x.Network, x.Preprocess = net, info.Preprocess
		if a.net, err = fileDigest(b.c.network); err != nil {
			return a, false, err
		}
		a.attack = x
	}
	return a, true, nil
}

// A clipRow is a row as JSON.
type clipRow struct {
	Table, Victim, Arm string
	Summary            *attack.Summary `json:",omitempty"`
	Streams            *streamRow      `json:",omitempty"` // table 3.6, which has no summary
	// Ratio is that of the mean queries over all clips, a failure counting as the budget,
	// to those of the sampler on the same clips.
	Ratio   float64          `json:",omitempty"`
	RatioCI *attack.Interval `json:",omitempty"`
}

// clipTable runs the arms of a table and writes it, for each victim.
func (b *book) clipTable(ctx context.Context, t clipTable) (rows []clipRow, err error) {
	b.heading(t.title)
	if t.text != "" {
		b.text(t.text)
	}
	var arms []arm
	for _, name := range t.arms {
		a, ok, err := b.clipArm(name, t.targeted)
		if err != nil {
			return nil, err
		}
		if !ok {
			b.text(name + " needs a network for images: -network FILE.")
			continue
		}
		arms = append(arms, a)
	}
	results, missing, err := b.results(ctx, arms, t.targeted, b.c.n)
	if err != nil {
		return nil, err
	}
	for v := range b.victims {
		table := &report.Table{Head: []string{" attack", "n", "success", "[95 %]", "queries", "[95 %]", "median", "mean, all", "of " + sampler, "[95 %]", "thesis"}}
		chart := &report.Chart{Title: t.title + ", " + b.victims[v].name, X: "queries", Y: "share of clips", LogX: true, YMax: 1}
		for _, r := range results {
			r := r.of(v)
			s := r.summaries()[0]
			row := clipRow{Table: t.name, Victim: b.victims[v].name, Arm: r.arm.title, Summary: &s}
			ratio, between95 := "", ""
			for _, ref := range results {
				if ref.arm.title != sampler || r.arm.title == sampler {
					continue
				}
				k := compare(pairs(r, ref.of(v), queriesOf), b.c.seed)
				row.Ratio, row.RatioCI = k.ratio, &k.ratiCI
				ratio, between95 = fmt.Sprintf("%.2f", k.ratio), between(k.ratiCI, func(v float64) string { return fmt.Sprintf("%.2f", v) })
			}
			rows = append(rows, row)
			queries, interval, middle := "–", "–", "–"
			if s.SuccessRate > 0 {
				queries, interval, middle = whole(s.QueriesMean), between(s.QueriesCI, whole), whole(s.QueriesMedian)
			}
			table.Rows = append(table.Rows, []string{r.arm.title, strconv.Itoa(s.Samples), percent(s.SuccessRate), between(s.SuccessCI, hundred),
				queries, interval, middle, whole(s.QueriesMeanAll), ratio, between95, ""})
			chart.Series = append(chart.Series, r.curve(r.arm.title))
		}
		if len(results) == 0 {
			continue
		}
		b.text(fmt.Sprintf("%s, %s:", b.victims[v].name, goalName(t.targeted)))
		b.table(table)
		if err := b.chart(t.name+"-"+b.victims[v].name, chart); err != nil {
			return nil, err
		}
	}
	b.notRun(missing)
	return rows, nil
}

// table31 is the accuracy of the victims, and that on clips which are shown otherwise: a
// victim that does not fall with them makes no use of motion.
func (b *book) table31(ctx context.Context) error {
	b.heading("Table 3.1: clean accuracy")
	t := &report.Table{Head: []string{" victim", "clips", "accuracy", "one frame frozen", "frames shuffled", "time reversed", "thesis"}}
	for _, v := range b.victims {
		row := []string{v.name, strconv.Itoa(len(v.answers)), percent(v.accuracy())}
		for _, control := range []struct {
			name string
			t    data.Transform
		}{{"frozen", video.Freeze{}}, {"shuffled", video.Shuffle{}}, {"reversed", video.Reverse{}}} {
			key := struct{ What, How, Net, Data string }{"control", control.name, v.hash, b.data}
			right, err := cells.Get(b.cells, v.name+"-"+control.name, key, func() (int, error) { return b.rightOn(ctx, v, control.t) })
			switch {
			case errors.Is(err, cells.ErrNotRun):
				row = append(row, "–")
			case err != nil:
				return err
			default:
				row = append(row, percent(float64(right)/float64(len(v.answers))))
			}
		}
		t.Rows = append(t.Rows, append(row, ""))
	}
	b.table(t)
	return b.save()
}

// rightOn is how many clips a victim gets right when a transform has been on them.
func (b *book) rightOn(ctx context.Context, v *victim, t data.Transform) (right int, err error) {
	r := rand.New(rand.NewPCG(b.c.seed, 4))
	err = batches(ctx, b.test, func(_ int, x *tensor.Tensor, y []int) error {
		shown, answers := tensor.New(x.Shape()...), make([]int, len(y))
		for i := range y {
			t.Apply(shown.Index(i), x.Index(i), r)
		}
		if err := zoo.LabelsOf(v.model).Labels(ctx, shown, answers); err != nil {
			return err
		}
		for i, a := range answers {
			if a == y[i] {
				right++
			}
		}
		return nil
	})
	return right, err
}

// clipHead says how the numbers came about.
func (b *book) clipHead() {
	fmt.Fprintf(&b.page, "# Chapter 3 on %s\n\n", b.name)
	b.text(fmt.Sprintf("Made by `go run ./examples/tables%s` on %s.", settings(), time.Now().Format("2 January 2006")))
	for _, f := range [][2]string{
		{"machine", machine()},
		{"clips", fmt.Sprintf("%d of %v; the first %d, in a random order, that a victim gets right", b.test.Len(), b.test.Shape(), b.c.n)},
		{"ball", fmt.Sprintf("Linf, radius %g", b.c.eps)},
		{"budget", fmt.Sprintf("%d queries per clip, %d where a class is wanted, and no more than -budget", clipBudget, clipBudgetGoal)},
		{"query", "one clip through the victim, success checks included; counted before it is sent. The check of the clean clip and the verification are not the attack's"},
		{"of " + sampler, "the ratio of the mean queries over all clips, a failure counting as the budget, to those of the sampler on the same clips, with a bootstrap over clips"},
		{"seed", fmt.Sprint(b.c.seed)},
		{"thesis", "the column is left blank where the thesis's number is not known"},
	} {
		fmt.Fprintf(&b.page, "- **%s**: %s\n", f[0], f[1])
	}
}
