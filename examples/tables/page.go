package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/internal/report"
)

func (b *book) path() string {
	return filepath.Join(b.c.out, fmt.Sprintf("chapter%d-%s.md", b.chapter, b.name))
}

func (b *book) save() error { return atomicfile.WriteFile(b.path(), []byte(b.page.String())) }

func (b *book) heading(title string) { fmt.Fprintf(&b.page, "\n## %s\n\n", title) }

func (b *book) text(s string) { fmt.Fprintf(&b.page, "%s\n\n", s) }

// table prints a table and puts it on the page.
func (b *book) table(t *report.Table) {
	fmt.Println(t)
	fmt.Fprintf(&b.page, "%s\n", t.Markdown())
}

// chart writes a figure beside the page and shows it there.
func (b *book) chart(name string, c *report.Chart) error {
	file := fmt.Sprintf("chapter%d-%s-%s.svg", b.chapter, b.name, name)
	fmt.Fprintf(&b.page, "![%s](%s)\n\n", c.Title, file)
	return c.Write(filepath.Join(b.c.out, file))
}

// head says how the numbers came about.
func (b *book) head() {
	fmt.Fprintf(&b.page, "# Chapter 2 on %s\n\n", b.name)
	b.text(fmt.Sprintf("Made by `go run ./examples/tables%s` on %s.", settings(), time.Now().Format("2 January 2006")))
	var names []string
	for _, v := range b.victims {
		names = append(names, v.name)
	}
	facts := [][2]string{
		{"machine", machine()},
		{"program", fmt.Sprintf("%s %s/%s, kernels %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel.Active().Name)},
		{"victims", strings.Join(names, ", ")},
		{"images", fmt.Sprintf("the first %d test images that a victim gets right, the first %d for attacks with a budget of %d, and where n says fewer. The first are easier than those that follow: compare rows of equal n, or pairs on the same images", b.c.n, min(b.c.slow, b.c.n), large)},
		{"goals", "untargeted: any class but the true one; targeted: the class after it, the first after the last"},
		{"query", "one image through the victim, whatever is read from the answer, success checks included; counted before it is sent. The check of the clean image and the verification are not the attack's"},
		{"verified", "a separate pass over the best success, as float32 and rounded to 8 bits"},
		{"intervals", "95 %: Wilson's for rates, 1.96 standard errors for means"},
		{"seed", fmt.Sprint(b.c.seed)},
	}
	if len(b.victims) > 1 {
		facts = append(facts, [2]string{"several victims", "numbers are means over victims, and so are the ends of intervals, since the victims see nearly the same images; the worst victim stands beside them"})
	}
	if b.c.budget > 0 {
		facts = append(facts, [2]string{"budget", fmt.Sprintf("no attack has more than %d queries", b.c.budget)})
	}
	for _, f := range facts {
		fmt.Fprintf(&b.page, "- **%s**: %s\n", f[0], f[1])
	}
	fmt.Fprintln(&b.page, "- **thesis**: the column is left blank where the thesis's number is not known")
}

// settings are the flags that were given, but for those that only say where files
// are.
func settings() string {
	var s strings.Builder
	flag.Visit(func(f *flag.Flag) {
		if f.Name != "weights" && f.Name != "out" && f.Name != "cached" {
			fmt.Fprintf(&s, " -%s %s", f.Name, f.Value)
		}
	})
	return s.String()
}

// machine is the processor and how many of it there are.
func machine() string {
	name := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				name = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d logical processors in use", name, runtime.GOMAXPROCS(0))
}

func percent(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }
func hundred(v float64) string { return fmt.Sprintf("%.1f", 100*v) }
func whole(v float64) string   { return digits("%.0f", v) }
func three(v float64) string   { return digits("%.3f", v) }

// digits shows a number that there may not be.
func digits(format string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

func between(i attack.Interval, f func(float64) string) string {
	if math.IsNaN(i.Lo) {
		return "–"
	}
	return f(i.Lo) + " to " + f(i.Hi)
}
