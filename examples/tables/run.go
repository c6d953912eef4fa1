package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mettleml/mettle/examples/internal/cast"
	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/cli"
	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/nn/data"
)

// A book is a run: the data, the networks, and the page that is being written.
type book struct {
	c       *config
	chapter int
	piece   int // samples of a cell
	workers int // samples attacked at a time
	gather  int // most queries of a joined call
	cast    cast.Cast
	weights string
	name    string // of the data, in file names
	train   data.Dataset
	test    data.Dataset
	data    string // digest of the test set
	cells   cells.Store
	wanted  []string
	victims []*victim
	rows    []arm
	cell    int // the one at hand, of those planned for its table
	planned int
	began   time.Time
	page    strings.Builder
}

// sections are the tables and figures in the order of the page, and the neighbourhood
// of the presets frugal and lean.
var sections = []struct {
	name  string
	write func(b *book, ctx context.Context) error
}{
	{"2.1", (*book).table21}, {"2.2", (*book).table22}, {"2.3", (*book).table23},
	{"2.4", func(b *book, ctx context.Context) error { return b.comparison(ctx, false) }},
	{"2.5", func(b *book, ctx context.Context) error { return b.comparison(ctx, true) }},
	{"f2.1", (*book).figure21}, {"f2.2", (*book).figure22}, {"f2.3", (*book).figure23},
	{"2.6", (*book).table26},
	{"2.7", func(b *book, ctx context.Context) error { return b.ablation(ctx, false) }},
	{"2.8", func(b *book, ctx context.Context) error { return b.ablation(ctx, true) }},
	{"frugal", (*book).frugal},
}

func run(ctx context.Context, c *config) error {
	b, err := open(ctx, c)
	if b == nil || err != nil {
		return err
	}
	b.head()
	for _, s := range sections {
		if !b.wants(s.name) {
			continue
		}
		fmt.Println("==", s.name)
		err := s.write(b, ctx)
		switch {
		case errors.Is(err, cells.ErrNotRun):
			b.text("Not run yet.")
		case err != nil:
			return err
		}
		if err := b.save(); err != nil { // what is done so far can be read
			return err
		}
	}
	fmt.Printf("wrote %s after %v\n", b.path(), time.Since(b.began).Round(time.Second))
	return nil
}

// open finds everything that the run needs.
func open(ctx context.Context, c *config) (*book, error) {
	if c.chapter != 2 {
		return nil, fmt.Errorf("-chapter %d: there are 2, 3 and 4", c.chapter)
	}
	if err := cmp.Or(cli.AtLeast("n", c.n, 1), cli.AtLeast("slow", c.slow, 1), cli.AtLeast("sweep", c.sweep, 1), cli.AtLeast("victims", c.victims, 1),
		cli.AtLeast("budget", c.budget, 0), cli.AtLeast("estimated", c.estimated, 1), cli.AtLeast("workers", c.workers, 1)); err != nil {
		return nil, err
	}
	b := &book{c: c, chapter: 2, piece: 100, workers: c.workers, gather: 256, weights: cmp.Or(c.weights, cast.Directory(c.data)), name: filepath.Base(c.data), began: time.Now(),
		cells: cells.Store{Dir: filepath.Join(c.out, "cells"), Cached: c.cached}}
	var all []string
	for _, s := range sections {
		all = append(all, s.name)
	}
	var err error
	if b.wanted, err = list("-only", c.only, all); err != nil {
		return nil, err
	}
	if b.train, b.test, err = datasets.Find(c.data, []int{3, 32, 32}); err != nil {
		return nil, err
	}
	if b.cast, err = cast.For(b.test.Shape()); err != nil {
		return nil, err
	}
	b.cast.Victim = cmp.Or(c.victim, b.cast.Victim)
	if c.sources != "" {
		b.cast.Sources = strings.Split(c.sources, ",")
	}
	if err := b.complete(); err != nil {
		return nil, err
	}
	if b.data, err = data.Digest(b.test); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.out, 0o755); err != nil {
		return nil, err
	}
	if !b.wants("2.3", "2.4", "2.5", "2.6", "2.7", "2.8", "f2.1", "f2.2", "f2.3") {
		return b, nil
	}
	for seed := range c.victims {
		k, err := b.classifier(ctx, cast.Victim(b.cast.Victim, seed+1))
		if err != nil {
			return nil, err
		}
		v, err := b.attacked(k)
		if err != nil {
			return nil, err
		}
		if len(v.samples) < c.n {
			fmt.Printf("note: %s gets only %d of the %d test images right\n", v.name, len(v.samples), b.test.Len())
		}
		b.victims = append(b.victims, v)
	}
	return b, b.chooseRows()
}

// chooseRows makes the rows that -rows asks for.
func (b *book) chooseRows() error {
	if !b.wants("2.4", "2.5", "f2.1", "f2.2") {
		return nil
	}
	rows, err := b.arms()
	if err != nil {
		return err
	}
	var names []string
	for _, a := range rows {
		names = append(names, a.name)
	}
	var says []string
	for part := range strings.SplitSeq(b.c.rows, ",") {
		name, count, ok := strings.Cut(strings.TrimSpace(part), ":")
		says = append(says, name)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 || n > b.c.n {
			return fmt.Errorf("-rows %s: after the colon stands a number of images, at most -n", part)
		}
		if i := slices.Index(names, name); i >= 0 {
			rows[i].n = n
		}
	}
	chosen, err := list("-rows", strings.Join(says, ","), names)
	b.rows = slices.DeleteFunc(rows, func(a arm) bool { return !slices.Contains(chosen, a.name) })
	return err
}

// list splits what a flag says into some of the names; all stands for every one.
func list(flag, says string, names []string) ([]string, error) {
	var chosen []string
	for name := range strings.SplitSeq(says, ",") {
		switch name = strings.TrimSpace(name); {
		case name == "all":
			chosen = append(chosen, names...)
		case !slices.Contains(names, name):
			return nil, fmt.Errorf("%s %s: there are %s", flag, name, strings.Join(names, ", "))
		default:
			chosen = append(chosen, name)
		}
	}
	return chosen, nil
}

// wants reports whether any of the tables and figures is to be made.
func (b *book) wants(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(b.wanted, n) })
}

// complete reports the weights that are not there, and what makes them.
func (b *book) complete() error {
	var need []string
	ask := func(file, command string, args ...any) {
		if _, err := os.Stat(cast.File(b.weights, file)); err != nil {
			command = fmt.Sprintf("%s: go run ./examples/train -data %s ", cast.File(b.weights, file), b.c.data) + fmt.Sprintf(command, args...)
			if !slices.Contains(need, command) {
				need = append(need, command)
			}
		}
	}
	if b.wants("2.3") {
		for _, s := range b.cast.Sources {
			ask(s, "-stage sources -resume -out %s", b.weights)
		}
	}
	if b.wants("2.3", "2.4", "2.5", "2.6", "2.7", "2.8", "f2.1", "f2.2", "f2.3") {
		for seed := range b.c.victims {
			name := cast.Victim(b.cast.Victim, seed+1)
			ask(name, "-model %s -seed %d -out %s", b.cast.Victim, seed+1, cast.File(b.weights, name))
		}
	}
	if b.wants("2.4", "2.5", "2.6", "2.7", "2.8", "f2.1", "f2.2", "f2.3", "frugal") {
		ask(b.cast.Attacker, "-stage meta -out %s", b.weights)
	}
	if b.wants("2.4", "2.5", "f2.1", "f2.2") && b.cast.Decoder != "" {
		ask(b.cast.Decoder, "-stage autoencoder -out %s", b.weights)
	}
	if b.wants("frugal") && b.cast.StandIn != "" {
		ask(b.cast.StandIn, "-model %s -epochs 5 -out %s", b.cast.StandIn, cast.File(b.weights, b.cast.StandIn))
	}
	if b.ablates() {
		ask(cast.Vanilla(b.cast.Attacker), "-stage meta -vanilla -out %s", b.weights)
		ask(cast.Fewer(b.cast.Attacker, b.c.estimated), "-stage meta -images %d -out %s", b.c.estimated, b.weights)
		ask(cast.Estimated(b.cast.Attacker, b.c.estimated), "-stage meta -estimated %d -out %s", b.c.estimated, b.weights)
	}
	if need != nil {
		return fmt.Errorf("weights are missing; these commands make them:\n  %s", strings.Join(need, "\n  "))
	}
	return nil
}

// ablates reports whether tables 2.7 and 2.8 are made: they are about gray pictures
// only.
func (b *book) ablates() bool { return b.wants("2.7", "2.8") && b.test.Shape()[0] == 1 }
