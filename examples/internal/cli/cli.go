// Package cli is what the programs' main functions have in common: flags in groups,
// Ctrl-C, exit codes, and a line that tells how far a long run is.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"time"

	"github.com/mettleml/mettle/tensor"
)

// Main runs a program and ends the process: with 0, with 1 after an error, which it
// prints, or with 130 after Ctrl-C, which cancels the context. stopped is what it prints
// then, and may be empty. A second Ctrl-C ends the program at once. A panic of the
// library's about shapes and arguments is an error: what is wrong with a model for the
// data at hand shows as one.
func Main(name, stopped string, run func(ctx context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	go func() {
		<-ctx.Done()
		stop()
	}()
	os.Exit(exit(os.Stderr, name, stopped, tensor.Try(func() error { return run(ctx) })))
}

func exit(w io.Writer, name, stopped string, err error) int {
	switch {
	case errors.Is(err, context.Canceled):
		if stopped != "" {
			fmt.Fprintf(w, "\n%s: %s\n", name, stopped)
		}
		return 130
	case err != nil:
		fmt.Fprintf(w, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// Flags are a program's flags, which -help shows in groups.
type Flags struct{ groups []*flag.FlagSet }

// Group begins a group with a title.
func (f *Flags) Group(title string) *flag.FlagSet {
	g := flag.NewFlagSet(title, flag.ExitOnError)
	f.groups = append(f.groups, g)
	return g
}

// Parse reads the command line. It ends the process with 2 if that is wrong.
func (f *Flags) Parse() {
	f.add(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "unexpected argument %q; every setting is a flag (-help lists them)\n", flag.Arg(0))
		os.Exit(2)
	}
}

// add gives the flags to a set, with a usage message in groups.
func (f *Flags) add(all *flag.FlagSet) {
	for _, g := range f.groups {
		g.VisitAll(func(f *flag.Flag) { all.Var(f.Value, f.Name, f.Usage) })
	}
	usage := func() {
		for _, g := range f.groups {
			fmt.Fprintf(all.Output(), "%s:\n", g.Name())
			g.SetOutput(all.Output())
			g.PrintDefaults()
		}
	}
	all.Usage = usage
	if all == flag.CommandLine {
		flag.Usage = usage
	}
}

// AtLeast returns an error that names the flag unless its value is a finite number that
// is not below least.
func AtLeast[N int | float64](name string, v, least N) error {
	if float64(v) >= float64(least) && !math.IsInf(float64(v), 0) {
		return nil
	}
	return fmt.Errorf("-%s %v: a number of at least %v", name, v, least)
}

// Within returns an error that names the flag unless its value is in [lo, hi].
func Within[N int | float64](name string, v, lo, hi N) error {
	if v >= lo && v <= hi {
		return nil
	}
	return fmt.Errorf("-%s %v: a number from %v to %v", name, v, lo, hi)
}

// A Line tells on standard output how far a run is: on a terminal it is written over
// again and again, elsewhere it is a new one now and then.
type Line struct {
	w     io.Writer
	live  bool
	every time.Duration
	last  time.Time
}

// NewLine returns a line that is due every so often where there is no terminal, and five
// times a second on one.
func NewLine(every time.Duration) *Line {
	st, err := os.Stdout.Stat()
	l := &Line{w: os.Stdout, every: every, last: time.Now()}
	if err == nil && st.Mode()&os.ModeCharDevice != 0 {
		l.live, l.every = true, 200*time.Millisecond
	}
	return l
}

// Due reports whether it is time for a new text.
func (l *Line) Due() bool { return time.Since(l.last) >= l.every }

// Print shows a text in place of the last one, or as a line of its own.
func (l *Line) Print(text string) {
	l.last = time.Now()
	if l.live {
		fmt.Fprintf(l.w, "\r\033[K%s", text)
	} else {
		fmt.Fprintln(l.w, text)
	}
}

// End leaves what was printed last to stand.
func (l *Line) End() {
	if l.live {
		fmt.Fprintln(l.w)
	}
}
