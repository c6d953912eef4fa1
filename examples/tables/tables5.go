package main

import (
	"context"
	"slices"

	"github.com/mettleml/mettle/examples/internal/recipes"
)

// table55 has the arrangements.
func (h *sheet5) table55(ctx context.Context) error {
	h.heading("Table 5.5: the arrangements of figure 5.3")
	rows := h.lines(h.main, h.s.epochs(), slices.Concat(first, further, onTop)...)
	return h.compare(ctx, rows, func(seed uint64) *recipes.Job { return h.s.job(h.main, first[0], h.s.method, seed, h.s.epochs()) })
}
