package attackpage

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/zoo"
)

// found is what two attacks found on ten images: one on scores, whose success on image i
// has distance i/10 after i queries, and one on labels, which is at 5 after 10 queries, at 1
// after 1,200 and fails on the last image.
func found() *Findings {
	f := &Findings{Goal: "untargeted", Budget: 3000, Victim: zoo.Info{Name: "v", Classes: 10, Shape: []int{1, 4, 4}}, Labels: map[string]bool{"far": true},
		Samples: make([]attack.Sample, 10)}
	near := &attack.Result{Attack: "near", Options: json.RawMessage(`{"B": [1,2], "A": 0.5}`)}
	far := &attack.Result{Attack: "far", Options: json.RawMessage(`{}`)}
	for i := range 10 {
		at := attack.Point{Queries: i + 1, L2: float64(i+1) / 10, Linf: 0.5, L0: 3}
		near.Records = append(near.Records, attack.Record{Index: i, Target: -1, Stop: attack.StopSuccess, Success: true, First: at, Best: at, Trace: []attack.Point{at}, Queries: i + 1, Adversarial: &attack.Pixels{}})
		trace := []attack.Point{{Queries: 10, L2: 5}, {Queries: 1200, L2: 1}}
		r := attack.Record{Index: i, Target: -1, Stop: attack.StopSuccess, Success: true, First: trace[0], Best: trace[1], Trace: trace, Queries: 3000}
		if i == 9 {
			r = attack.Record{Index: i, Target: -1, Stop: attack.StopBudget, Queries: 3000}
		}
		far.Records = append(far.Records, r)
	}
	f.Results = []*attack.Result{near, far}
	return f
}

// Attacks on labels have a table of their own, with distances after so many queries that
// the budget allows.
func TestTables(t *testing.T) {
	f := found()
	tables := f.Tables()
	if len(tables) != 2 || len(tables[0].Table.Rows) != 1 || len(tables[1].Table.Rows) != 1 {
		t.Fatalf("%d tables", len(tables))
	}
	if row := tables[0].Table.Rows[0]; row[0] != "near" || row[2] != "100 %" || row[4] != "6" {
		t.Errorf("%q", row)
	}
	head, row := tables[1].Table.Head, tables[1].Table.Rows[0]
	cell := func(name string) string {
		i := slices.Index(head, name)
		if i < 0 {
			return "no column"
		}
		return row[i]
	}
	for name, want := range map[string]string{" attack": "far", "success": "90 %", "1k": "5", "2.5k": "1", "at the end": "1", "10k": "no column", "queries": "no column"} {
		if got := cell(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	f.Results = f.Results[1:]
	if tables = f.Tables(); len(tables) != 1 || tables[0].Title != "Result" {
		t.Errorf("labels alone: %v", tables)
	}
	if got := distance(medianAt(f.Results[0], f.Results[0].Norm, 9)); got != "–" {
		t.Errorf("before the first success the median is %s", got)
	}
}

// The limit of the curves is what was asked for, or a round one over 95 % of the successes.
func TestWithin(t *testing.T) {
	f := found()
	if got := f.within(); got != 1 { // of 19 distances the last is left out
		t.Errorf("within %v", got)
	}
	for _, r := range f.Results {
		for i := range r.Records {
			r.Records[i].Best.L2 *= 12.34
		}
	}
	if got := f.within(); math.Abs(got-13) > 1e-9 {
		t.Errorf("farther: within %v", got)
	}
	if f.Within = 0.2; f.within() != 0.2 {
		t.Error("what was asked for is not kept to")
	}
	if got := (&Findings{}).within(); got != 1 {
		t.Errorf("without a success: %v", got)
	}
}

// Each image and each option has a row, and the records go along without pixels.
func TestRecordsOfThePage(t *testing.T) {
	f := found()
	each := f.each()
	if len(each.Rows) != 20 || each.Rows[2][7] != "3" || each.Rows[19][6] != "no" || each.Rows[19][7] != "" {
		t.Errorf("%q", each.Rows)
	}
	if lines := strings.Split(strings.TrimSpace(string(each.CSV())), "\n"); len(lines) != 21 || !strings.HasPrefix(lines[0], "attack,image,") {
		t.Errorf("CSV: %q", lines)
	}
	if got := fmt.Sprint(f.settings().Rows); got != "[[near norm L2] [near A 0.5] [near B [1,2]] [far norm L2]]" {
		t.Errorf("settings: %s", got)
	}
	b, err := f.recordsJSON()
	if err != nil || strings.Contains(string(b), "adversarial") {
		t.Errorf("%v: pixels are among the records", err)
	}
	var results []attack.Result
	if err := json.Unmarshal(b, &results); err != nil || len(results) != 2 || len(results[0].Records) != 10 {
		t.Errorf("%d results (%v)", len(results), err)
	}
	if f.Results[0].Records[0].Adversarial == nil {
		t.Error("the pixels are gone from the run")
	}
}

// The words name the cheapest attack on scores and the one with the nearest successes.
func TestInWords(t *testing.T) {
	f := found()
	if text := strings.Join(f.inWords(), " "); !strings.Contains(text, "cheapest attack on its scores, near, succeeded on 100 %") || !strings.Contains(text, "those of near (100 %") || !strings.Contains(text, "Practically every image falls") {
		t.Error(text)
	}
	f.Results = f.Results[1:]
	if text := strings.Join(f.inWords(), " "); strings.Contains(text, "on its scores") || !strings.Contains(text, "those of far (90 %") || !strings.Contains(text, "Most images fall") {
		t.Error(text)
	}
	f.Results[0].Records = f.Results[0].Records[9:]
	if text := strings.Join(f.inWords(), " "); !strings.Contains(text, "No attack succeeded on any image within 3000 queries") {
		t.Error(text)
	}
}

// TestUnsure: queries without an answer are told of in a first run too.
func TestUnsure(t *testing.T) {
	for _, c := range []struct {
		res  attack.Result
		want string
	}{
		{attack.Result{Intents: 5, Answers: 5}, ""},
		{attack.Result{Intents: 7, Answers: 5}, "of 7 queries sent 2 were not answered, and may have been charged all the same"},
		{attack.Result{Intents: 5, Answers: 5, Resumed: 2}, "resumed 2 times"},
	} {
		if got := Unsure(&c.res); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
