package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// TestNothingIsPaidTwice: a run that is taken up again asks the victim nothing, neither
// for the attacks nor for the look before them; one for another goal asks only what it
// does not know, and one of other settings is refused before it asks anything.
func TestNothingIsPaidTwice(t *testing.T) {
	h, address := serve(t, reddish())
	c := small(t)
	c.victim, c.data, c.n, c.budget = address, pictures(t), 2, 40
	c.journal = filepath.Join(t.TempDir(), "run.journal")
	step := func(what string, asked int, change func(c *config)) {
		t.Helper()
		before := h.Served()
		one := *c
		change(&one)
		err := run(context.Background(), &one)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := int(h.Served() - before); got != asked && asked >= 0 {
			t.Errorf("%s asked %d queries, want %d", what, got, asked)
		}
	}
	step("a look", 2+2+2+2*2+32, func(c *config) { c.dry = true })
	step("another look", 0, func(c *config) { c.dry = true })
	step("the run", -1, func(c *config) {})
	step("the run again", 0, func(c *config) {})
	if text := page(t, c); !strings.Contains(text, "2 to find the images, 40 for the pre-flight") {
		t.Error("the page does not say what the look cost")
	}
	before := h.Served()
	for say, change := range map[string]func(c *config){
		"-n: there 2, here 3":    func(c *config) { c.n = 3 },
		"-seed: there 1, here 2": func(c *config) { c.seed = 2 },
		"the victim: there":      func(c *config) { c.remote.scores = "log-probabilities" },
		"the images: there 6":    func(c *config) { c.data = pictures(t); os.Remove(filepath.Join(c.data, "0", "0.png")) },
		"other pixels": func(c *config) {
			c.data = pictures(t)
			files, _ := filepath.Glob(filepath.Join(c.data, "*", "*.png"))
			for _, f := range files {
				if err := savePNG(f, tensor.New(3, 8, 8)); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		one := *c
		change(&one)
		if err := run(context.Background(), &one); err == nil || !strings.Contains(err.Error(), say) || !strings.Contains(err.Error(), "run-look.json") {
			t.Errorf("%v; want an error that says %q and names the file", err, say)
		}
	}
	if h.Served() != before {
		t.Error("queries were paid for a run that is refused")
	}
}

// colours is a victim whose class is what the first pixel says, but for one colour that
// it never names.
func colours(classes, never int) zoo.Scorer {
	return zoo.ScorerFunc(zoo.Info{Name: "colours", Shape: []int{1, 2, 2}, Classes: classes}, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		clear(out)
		for i := range x.Dim(0) {
			if class := int(x.Index(i).Data()[0]*10 + 0.5); class != never {
				out[i*classes+class] = 1
			}
		}
		return nil
	})
}

// TestStarts: of each wanted class an image that the victim gets right is sought in all
// the data, one query an image, and none is asked about again.
func TestStarts(t *testing.T) {
	const classes, each, never = 5, 4, 3
	x, y := tensor.New(classes*each, 1, 2, 2), make([]int, classes*each)
	for i := range y {
		y[i] = i / each
		x.Index(i).Fill(float32(y[i]) / 10)
	}
	x.Index(1 * each).Fill(0) // the first of class 1 is taken for 0
	d, err := data.NewTensors(x, y, classes)
	if err != nil {
		t.Fatal(err)
	}
	c := &config{data: "embedded", n: 3, journal: filepath.Join(t.TempDir(), "j")}
	for _, k := range []struct {
		right []int
		tried int
		asked int
		want  string
	}{
		{[]int{0, 1, 2}, 3, 2, "map[1:5]"},        // 4 is wrong, 5 is right
		{[]int{0, 4}, 5, 1, "map[1:4 2:8]"},       // the one of class 1 is among the samples
		{[]int{8}, 9, each, "map[]"},              // the victim never says 3
		{[]int{0, 8, 16}, 17, 0, "map[0:0]"},      // all but class 4 were asked about
		{[]int{0, 4, 8}, 9, each, "map[1:4 2:8]"}, // 3 has none
		{[]int{0, 16}, 0, 2, "map[0:0 1:5]"},      // nothing was asked about
	} {
		os.Remove(lookPath(c.journal))
		s, err := newScout(c, colours(classes, never), d)
		if err != nil {
			t.Fatal(err)
		}
		s.look.Right, s.look.Tried = k.right, k.tried
		starts, err := s.starts(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(s.look.Starts) != k.want || s.look.Search != k.asked {
			t.Errorf("right %v: starts %v for %d queries, want %s for %d", k.right, s.look.Starts, s.look.Search, k.want, k.asked)
		}
		for class, i := range s.look.Starts {
			if !slices.Equal(starts[class].Data(), x.Index(i).Data()) {
				t.Errorf("the image of class %d is %v", class, starts[class].Data())
			}
		}
		silent := zoo.ScorerFunc(s.v.Info(), func(context.Context, *tensor.Tensor, []float64) error { return errors.New("asked again") })
		again, err := newScout(c, silent, d)
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := again.starts(context.Background()); err != nil || len(kept) != len(starts) || again.look.Search != k.asked {
			t.Errorf("taken up again: %v, %+v", err, again.look)
		}
	}
}

// TestStartsOfARun: a targeted attack on labels begins from an image beyond those that
// are attacked, and the page says so where there is none.
func TestStartsOfARun(t *testing.T) {
	c := small(t)
	c.goal, c.attacks, c.n, c.budget = "targeted", "boundary", 1, 20 // a 7 that shall be an 8
	c.journal = filepath.Join(t.TempDir(), "run.journal")
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	var rows []attack.Summary
	readJSON(t, c.json, &rows)
	if rows[0].SuccessRate != 1 {
		t.Errorf("%+v; the attack had an image of the class to begin from", rows[0])
	}
	var l look
	readJSON(t, lookPath(c.journal), &l)
	if len(l.Starts) != 1 || l.Search < 1 {
		t.Errorf("%+v", l)
	}
}
