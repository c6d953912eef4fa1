package main

import (
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/attackpage"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// writable reports what of that which the run will write cannot be written, before it
// has cost anything.
func (c *config) writable(tasks []task) error {
	var errs []error
	failed := func(flag string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", flag, err))
		}
	}
	check := func(flag, path string) { failed(flag, atomicfile.Check(path)) }
	if c.journal != "" {
		check("-journal", lookPath(c.journal))
		for _, t := range tasks {
			failed("-journal", touch(besides(c.journal, t.name)))
		}
	}
	if !c.dry {
		check("-report", c.report)
		if c.json != "" {
			check("-json", c.json)
		}
		if c.robust != "" {
			check("-robust", c.robust)
			if !slices.ContainsFunc(tasks, func(t task) bool { return t.name == ensemble }) {
				errs = append(errs, fmt.Errorf("-robust %s: %s is not among the attacks; add it to -attack", c.robust, ensemble))
			}
		}
		if c.out != "" {
			if err := os.MkdirAll(c.out, 0o755); err != nil {
				failed("-out", err)
			} else {
				check("-out", filepath.Join(c.out, "records.json"))
			}
		}
	}
	return errors.Join(errs...)
}

// touch opens a file for writing, as a journal is, and leaves things as they were.
func touch(path string) error {
	_, err := os.Stat(path)
	f, e := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if e != nil {
		return e
	}
	e = f.Close()
	if errors.Is(err, fs.ErrNotExist) {
		e = errors.Join(e, os.Remove(path))
	}
	return e
}

// besides puts a name before a path's extension.
func besides(path, name string) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-" + name + ext
}

// report prints the table and writes what was asked for. What fails does not keep the
// rest from being written.
func (p *probe) report() error {
	found := p.findings()
	for _, t := range found.Tables() {
		fmt.Printf("\n%s", t.Table)
	}
	fmt.Println()
	if p.robust != nil {
		fmt.Println(p.robust)
	}
	for _, r := range found.Remarks() {
		fmt.Println(r)
	}
	fmt.Printf("queries: %s\n", found.Spent)
	var errs []error
	wrote := func(path string, err error) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		fmt.Println("wrote", path)
	}
	wrote(p.c.report, writePage(found, p.c.report))
	if p.c.json != "" {
		wrote(p.c.json, p.writeRows())
	}
	if p.c.robust != "" && p.robust != nil {
		wrote(p.c.robust, atomicfile.WriteJSON(p.c.robust, p.robust))
	}
	if p.c.out != "" {
		wrote(p.c.out, p.save(p.c.out))
	}
	fmt.Printf("after %v (kernels %s)\n", time.Since(p.began).Round(100*time.Millisecond), kernel.Active().Name)
	return errors.Join(errs...)
}

// findings are what the page is made of.
func (p *probe) findings() *attackpage.Findings {
	return &attackpage.Findings{Victim: p.victim, Samples: p.samples, Results: p.results, Labels: p.labels, Robust: p.robust,
		Goal: p.c.goal, Budget: p.c.budget, Seed: p.c.seed, Platform: attack.ThisPlatform(), Within: p.c.within, Spent: p.spent(), Notes: p.notes,
		Images: fmt.Sprintf("%d of %s, the same for every attack, all classified rightly when clean; the victim was right on %d of the %d it was asked about to find them",
			len(p.samples), p.c.data, len(p.samples), p.look.Tried)}
}

// spent says what all queries were for, those of earlier runs of the journals and those on
// images that were not finished among them.
func (p *probe) spent() string {
	text := attackpage.Spent(p.results, p.sent, p.got, p.look.spent()+p.looked) +
		fmt.Sprintf("; %d to find the images, %d for the pre-flight, %d for images to begin from", p.look.Tried, p.look.Checks, p.look.Search)
	if p.looked > 0 {
		text += fmt.Sprintf("; %d by %s to look at the victim", p.looked, ensemble)
	}
	if r, ok := p.remote(); ok && r.charged() != "" {
		text += "; " + r.charged()
	}
	return text
}

func writePage(found *attackpage.Findings, path string) error {
	page, err := found.Page()
	if err != nil {
		return err
	}
	return page.Write(path)
}

func (p *probe) writeRows() error {
	rows := make([]attack.Summary, len(p.results))
	for i, r := range p.results {
		rows[i] = r.Summary()
	}
	return atomicfile.WriteJSON(p.c.json, rows)
}

// save writes the adversarial images and all records.
func (p *probe) save(dir string) error {
	for _, res := range p.results {
		sub := filepath.Join(dir, res.Attack)
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
		if err := atomicfile.WriteJSON(filepath.Join(sub, "records.json"), res); err != nil {
			return err
		}
		for _, r := range res.Records {
			if r.Adversarial == nil {
				continue
			}
			base := filepath.Join(sub, fmt.Sprintf("%s-%d-as-%d", r.Name, r.Label, r.Answer))
			x := r.Adversarial.Tensor()
			if err := tensor.SaveNPY(base+".npy", x, tensor.F32); err != nil {
				return err
			}
			if err := savePNG(base+".png", x); err != nil {
				return err
			}
		}
	}
	return nil
}

func savePNG(path string, x *tensor.Tensor) error {
	return atomicfile.Write(path, func(w io.Writer) error { return png.Encode(w, x.ToImage()) })
}
