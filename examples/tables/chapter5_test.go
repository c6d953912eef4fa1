package main

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/recipes"
)

func study5On(t *testing.T, data, out string) *study5 {
	t.Helper()
	s, err := openStudy5(&config{chapter: 5, data: data, size: 8, out: out, epochs: 10, victim: "resnet20"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Every job of the plan can be done, the chosen row follows from the search, and rows that are
// compared have as many steps of the classifier.
func TestPlan5(t *testing.T) {
	ctx := t.Context()
	s := study5On(t, lists(t), t.TempDir())
	if _, err := s.chosenRows(1)(ctx); !errors.Is(err, cells.ErrNotRun) {
		t.Fatalf("the search is not done: %v", err)
	}
	tried := s.tried()
	best := slices.IndexFunc(tried, func(t try) bool { return t.title == "filter at the penultimate stage" })
	for i, j := range s.tries() {
		acc := 0.3
		if i == best+1 {
			acc = 0.5
		}
		if j.Test != s.held.Which {
			t.Fatalf("a setting is chosen on %s", j.Test)
		}
		pretend(t, s.study, j, acc)
	}
	jobs, err := s.chosenRows(2)(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(jobs) != 2 || jobs[0].SSL.Attach != "penultimate" || jobs[0].Seed != 2 || jobs[0].Test != s.main.Which || jobs[1].Method != recipes.CRT || jobs[1].From != jobs[0] {
		t.Errorf("chosen: %s", jobs[0].ID())
	}
	for i, t2 := range tried { // a method has what suits it
		if set := s.tries()[i+1].SSL; t2.title == "moco2" && (set.Lambda != 0.5 || set.Random || set.Queue == 0) || t2.title == "as it is" && (set.Lambda != 1 || !set.Random) {
			t.Errorf("%s: %+v", t2.title, set)
		}
	}
	arrangements := map[string]bool{}
	eachJob(t, s.study, s.plan(), func(p part, j *recipes.Job) {
		arrangements[j.Arrangement()] = true
		if seeds := strings.HasSuffix(p.name, "seed 1"); seeds && j.Method != recipes.CRT && j.Recipe.Epochs != s.epochs() {
			t.Errorf("%s: %s has %d epochs, others %d", p.name, j.Label(), j.Recipe.Epochs, s.epochs())
		}
	})
	if got, want := slices.Sorted(maps.Keys(arrangements)), []string{"base", "generic", "generic-specific", "initial", "shared"}; !slices.Equal(got, want) {
		t.Errorf("arrangements %v, want %v", got, want)
	}
	for _, j := range s.methods() { // all with the steps of a row, to the epoch
		n := int64(s.whole.Train.Data.Len() * j.Passes())
		if steps := int64(j.Recipe.Epochs) * n; steps > s.steps() || s.steps()-steps >= n {
			t.Errorf("%s has %d image-steps of %d", j.SSL.Method, steps, s.steps())
		}
	}
}

// A run makes the page, the figures and the records, and a second one trains nothing.
func TestChapter5(t *testing.T) {
	if testing.Short() {
		t.Skip("trains networks")
	}
	s := study5On(t, lists(t), t.TempDir())
	s.c.epochs, s.c.only = 1, "first rows seed 1,first rows seed 2,arrangements seed 1,methods"
	if err := s.run(t.Context(), s.plan(), s.write); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.c.out, s.name())
	b, err := os.ReadFile(path + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var arms []map[string]any
	if err := json.Unmarshal(b, &arms); err != nil {
		t.Fatal(err)
	}
	if len(arms) != 27 { // 2·4 rows, 4·2 and 11 methods
		t.Errorf("%d records", len(arms))
	}
	for _, a := range arms {
		for _, field := range []string{"arrangement", "knn", "acc", "per_class", "ece", "digest", "seed", "images", "stamp", "options"} {
			if a[field] == nil {
				t.Errorf("a record of %v has no %q", a["arrangement"], field)
			}
		}
	}
	page, err := os.ReadFile(path + ".md")
	if err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"| base | 2 |", "| generic and specific † | 2 |", "| exactly shared space | 1 |", "| without † | 1 |", "| random network |", "| simsiam |",
		"| (d) self-supervision, after its projector | 128 |", "figure5.5.svg", "figure5.6-base.png", "figure5.7.svg", "3x3 64 to 64, 3x3 64 to 64 | 73984 |",
		"# Table 5.9: methods of self-supervision"} {
		if !strings.Contains(string(page), says) {
			t.Errorf("the page does not say %q", says)
		}
	}
	for _, file := range []string{"-figure5.1.png", "-figure5.5.svg", "-figure5.6-generic-and-specific.png", "-figure5.7.svg"} {
		if _, err := os.Stat(path + file); err != nil {
			t.Error(err)
		}
	}
	s.lab.Tell = func(j *recipes.Job, _ recipes.Progress) { t.Errorf("%s is trained again", j.Label()) }
	if err := s.run(t.Context(), s.plan(), s.write); err != nil {
		t.Fatal(err)
	}
	if t.Failed() {
		t.Logf("%s", page)
	}
}

func TestBadMethod(t *testing.T) {
	_, err := openStudy5(&config{chapter: 5, data: lists(t), size: 8, out: t.TempDir(), method: "simclear"})
	if err == nil || !strings.Contains(err.Error(), "-method simclear") {
		t.Errorf("error %v", err)
	}
}
