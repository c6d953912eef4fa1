package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/mettleml/mettle/examples/internal/cast"
	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/nn/data"
)

// epochsOf are the passes that the larger models for digits make do with.
var epochsOf = map[string]int{"lenet5": 12, "net2": 4, "net3": 2}

// players returns the networks for the data, with the sources that -sources names,
// and the directory for their files.
func players(c *config) (cast.Cast, data.Dataset, string, error) {
	train, _, err := datasets.Find(c.data, []int{3, 32, 32})
	if err != nil {
		return cast.Cast{}, nil, "", err
	}
	p, err := cast.For(train.Shape())
	if err != nil {
		return p, nil, "", err
	}
	if c.sources != "" {
		p.Sources = strings.Split(c.sources, ",")
	}
	dir := cmp.Or(c.out, cast.Directory(c.data))
	return p, train, dir, os.MkdirAll(dir, 0o755)
}

// sources trains the source models and the held-out victim.
func sources(ctx context.Context, c *config) error {
	p, _, dir, err := players(c)
	if err != nil {
		return err
	}
	for _, name := range append(p.Sources, p.Victim) {
		one := *c
		one.model = name
		one.epochs = cmp.Or(c.epochs, epochsOf[name])
		one.out = cast.File(dir, name)
		if _, err := os.Stat(one.out); err == nil && c.resume {
			fmt.Println(one.out, "is there")
			continue
		}
		_, err := os.Stat(one.out + ".checkpoint")
		one.resume = c.resume && err == nil
		acc, err := classifier(ctx, &one)
		if err != nil {
			return err
		}
		if c.data == "mnist" && acc < 0.985 && c.limit == 0 {
			fmt.Printf("note: %s is below the 98.5 %% that a source should have\n", name)
		}
	}
	return nil
}
