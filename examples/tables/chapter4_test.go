package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/internal/filelock"
	"github.com/mettleml/mettle/longtail"
)

// lists writes pictures and their lists: 20, 8 and 5 of three classes, and 2 each to test.
func lists(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(part string, counts ...int) {
		var list strings.Builder
		for class, n := range counts {
			for i := range n {
				img := image.NewGray(image.Rect(0, 0, 8, 8))
				img.SetGray(i%8, class, color.Gray{255})
				img.SetGray(i/8, 7, color.Gray{uint8(100 + len(part))})
				name := fmt.Sprintf("%s-%d-%d.png", part, class, i)
				f, err := os.Create(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(png.Encode(f, img), f.Close()); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&list, "%s %d\n", name, class)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, part+".txt"), []byte(list.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("train", 20, 8, 5)
	write("test", 2, 2, 2)
	return dir
}

// pretend keeps a result with an accuracy, as if the job had been done.
func pretend(t *testing.T, s *study, j *recipes.Job, acc float64) {
	t.Helper()
	if j.From != nil && !s.lab.Done(j.From) {
		pretend(t, s, j.From, 0.5)
	}
	_, err := cells.Get(s.lab.Store(), j.Label(), *j, func() (recipes.Result, error) {
		return recipes.Result{
			Cost:   longtail.Cost{Steps: 1, Images: 8},
			Report: longtail.Report{Acc: acc, Balanced: acc, PerClass: []float64{acc, acc, acc}, Rule: longtail.Shots.Name},
			Curve:  []recipes.Point{{Epoch: max(j.Recipe.Epochs, 1), Test: &recipes.Shots{Acc: acc}, Distortion: &longtail.Distortion{CosHead: 0.9, CosTail: 0.4}}},
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// eachJob visits the jobs of a plan, which must fit their data.
func eachJob(t *testing.T, s *study, plan []part, visit func(p part, j *recipes.Job)) {
	t.Helper()
	for _, p := range plan {
		jobs, err := p.jobs(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		for _, j := range jobs {
			d := s.main
			if strings.HasPrefix(j.Test, recipes.HeldOut) {
				d = s.held
			}
			if err := j.Check(d); err != nil {
				t.Errorf("%s: %s: %v", p.name, j.Label(), err)
			}
			visit(p, j)
		}
	}
}

// Every arm of the search changes what its title says in the literal reading, and nothing
// else.
func TestSearches(t *testing.T) {
	words := func(c recipes.Dual) []string { return strings.Split(inWords(c), ", ") }
	before := words(recipes.Literal)
	var changes []string
	for _, arms := range searches {
		for _, a := range arms(recipes.Literal, 30) {
			after := words(a.setting)
			gone := slices.DeleteFunc(slices.Clone(before), func(s string) bool { return slices.Contains(after, s) })
			come := slices.DeleteFunc(after, func(s string) bool { return slices.Contains(before, s) })
			changes = append(changes, fmt.Sprintf("%s: %s -> %s", a.title, strings.Join(gone, ", "), strings.Join(come, ", ")))
		}
	}
	want := []string{
		"bank of 20 per class, balanced sampling, ce:  -> ",
		"bank of 20 per class, instance sampling, balanced-softmax: balanced sampling, ce -> instance sampling, balanced-softmax",
		"bank of 100 per class, balanced sampling, ce: 20 exemplars per class -> 100 exemplars per class",
		"bank of 100 per class, instance sampling, balanced-softmax: 20 exemplars per class, balanced sampling, ce -> 100 exemplars per class, instance sampling, balanced-softmax",
		"bank of all per class, balanced sampling, ce: 20 exemplars per class -> all of the head in the bank",
		"bank of all per class, instance sampling, balanced-softmax: 20 exemplars per class, balanced sampling, ce -> all of the head in the bank, instance sampling, balanced-softmax",
		"no retention: variant graph with λ 1 -> no retention",
		"variant features: variant graph with λ 1 -> variant features with λ 1",
		"variant relation: variant graph with λ 1 -> variant relation with λ 1",
		"logits (LwF): variant graph with λ 1 -> logits held (LwF) by a factor of 1",
		"graph and logits:  -> logits held (LwF) by a factor of 1",
		"0.3 times as strongly: variant graph with λ 1 -> variant graph with λ 0.3",
		"3 times as strongly: variant graph with λ 1 -> variant graph with λ 3",
		"6 head classes: the many-shot classes as head -> 6 head classes",
		"15 head classes: the many-shot classes as head -> 15 head classes",
		"20 head classes: the many-shot classes as head -> 20 head classes",
		"25 head classes: the many-shot classes as head -> 25 head classes",
		"0.3 of the steps in phase I: 0.5 of the image-steps in phase I -> 0.3 of the image-steps in phase I",
		"0.7 of the steps in phase I: 0.5 of the image-steps in phase I -> 0.7 of the image-steps in phase I",
		"0.5 of the steps in phase I, rate 0.03 in phase II:  -> rate 0.03",
		"0.7 of the steps in phase I, rate 0.03 in phase II: 0.5 of the image-steps in phase I -> 0.7 of the image-steps in phase I, rate 0.03",
		"0.8 of the steps in phase I, rate 0.01 in phase II: 0.5 of the image-steps in phase I -> 0.8 of the image-steps in phase I, rate 0.01",
		"frozen statistics, rate 0.01:  -> rate 0.01, frozen batch statistics",
		"imprinted rows:  -> imprint rows",
		"graph, λ 0.3: variant graph with λ 1 -> variant graph with λ 0.3",
		"logits (LwF), λ 0.3: variant graph with λ 1 -> logits held (LwF) by a factor of 0.3",
		"graph, λ 1:  -> ",
		"logits (LwF), λ 1: variant graph with λ 1 -> logits held (LwF) by a factor of 1",
	}
	if !slices.Equal(changes, want) {
		t.Errorf("the arms are\n%s", strings.Join(changes, "\n"))
	}
}

// What the plan chooses follows from the results of its cells, and the page and the records
// show what was done.
func TestChapter4(t *testing.T) {
	ctx := t.Context()
	s, err := openStudy(&config{chapter: 4, data: lists(t), size: 8, out: t.TempDir(), epochs: 40, victim: "resnet20"})
	if err != nil {
		t.Fatal(err)
	}
	if s.held.Test.Len() != 6 || s.held.Train.Data.Len() != 27 {
		t.Fatalf("%d held out, %d left", s.held.Test.Len(), s.held.Train.Data.Len())
	}
	shelf := *s
	shelf.lab = s.lab.Shelf()
	if _, err := shelf.decay(ctx); !errors.Is(err, cells.ErrNotRun) {
		t.Fatalf("nothing is done: %v", err)
	}
	pilots, err := s.pilot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i, j := range pilots { // the second decay is the better one only once it is adjusted
		pretend(t, s, j, []float64{0.4, 0.42, 0.43, 0.42, 0.41, 0.39, 0.44, 0.5, 0.42, 0.4}[i])
	}
	if v, err := s.decay(ctx); err != nil || v != decays[1] {
		t.Fatalf("weight decay %v, %v", v, err)
	}
	want := []string{"bank of 100 per class, instance sampling, balanced-softmax", "logits (LwF)", "3 times as strongly", "2 head classes", "0.7 of the steps in phase I, rate 0.03 in phase II", "imprinted rows", "graph, λ 1"}
	for round, title := range want {
		arms, err := s.search(ctx, round)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, a := range arms {
			acc := 0.3
			if a.title == title {
				acc, found = 0.5+float64(round)/100, true
			}
			pretend(t, s, a.job, acc)
		}
		if !found {
			t.Fatalf("round %d has no arm %q", round, title)
		}
	}
	best, decay, err := s.chosen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c := best.setting
	if decay != decays[1] || c.Two.PerClass != 100 || c.Two.Loss != recipes.BalancedSoftmax || c.Two.Lambda != 1 || c.Two.Distill != 0 || c.Point != 2 || c.Share != 0.7 || c.LR != 0.03 || c.Two.Rows != "imprint" {
		t.Errorf("chosen: %+v", c)
	}
	eachJob(t, s, s.plan(), func(_ part, j *recipes.Job) {
		if !s.lab.Done(j) && j.Method != recipes.PhaseOne {
			pretend(t, s, j, 0.6)
		}
	})
	for seed := range uint64(2) {
		key := modelPair{s.phaseOne(s.main, seed+1, decay), s.rivals(s.main, seed+1, decay)[0]}
		if _, err := cells.Get(s.lab.Store(), s.main.Name+"-heads", key, func() (longtail.HeadAccuracies, error) {
			return longtail.HeadAccuracies{ModelHead: 0.7, ModelAll: 0.6, ModelAllMasked: 0.65}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.write(ctx); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(s.c.out, s.name()+".json"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := longtail.DecodeResults(b)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(list, func(r longtail.Result) bool { return r.Method == recipes.PhaseTwo && r.Seed == 2 && r.Acc == 0.6 }) {
		t.Errorf("no record of phase II with seed 2 among %d", len(list))
	}
	page, err := os.ReadFile(filepath.Join(s.c.out, s.name()+".md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"| Divide and Retain | 2 | 60.0 (60.0 to 60.0) |", "| LDAM-DRW | 2 |", "Round 5", "| 2 | 1 | 70.0 | 65.0 | 60.0 |", "| k-center | 2 |", "figure4.6.svg", "| cosine of head and overall | 0.900 |"} {
		if !strings.Contains(string(page), says) {
			t.Errorf("the page does not say %q", says)
		}
	}
	if t.Failed() {
		t.Logf("%s", page)
	}
}

// A part whose jobs another run is at does the others, and says that something is missing.
func TestSharedPlan(t *testing.T) {
	s, err := openStudy(&config{chapter: 4, data: lists(t), size: 8, out: t.TempDir(), epochs: 4, victim: "resnet20"})
	if err != nil {
		t.Fatal(err)
	}
	pilots, err := s.pilot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := part{"weight decay", s.pilot}
	s.lab.Tell = func(j *recipes.Job, _ recipes.Progress) {
		s.lab.Tell = nil
		other := *s
		other.told = map[string]bool{}
		if busy, err := other.work(t.Context(), p, other.write); !busy || err != nil {
			t.Errorf("beside another run: busy %v, %v", busy, err)
		}
		for i, j := range pilots {
			if done := s.lab.Done(j); done != (i >= len(pilots)/2) {
				t.Errorf("job %d of %d is done: %v", i, len(pilots), done)
			}
		}
	}
	follows := part{"search", func(context.Context) ([]*recipes.Job, error) { return nil, fmt.Errorf("a cell: %w", filelock.ErrHeld) }}
	if busy, err := s.work(t.Context(), follows, s.write); !busy || err != nil {
		t.Errorf("a part that follows from what another run is at: busy %v, %v", busy, err)
	}
	if busy, err := s.work(t.Context(), p, s.write); busy || err != nil {
		t.Errorf("alone: busy %v, %v", busy, err)
	}
	for _, j := range pilots {
		if !s.lab.Done(j) {
			t.Errorf("%s was not done", title(j))
		}
	}
}
