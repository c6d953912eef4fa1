package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func TestExit(t *testing.T) {
	for _, c := range []struct {
		err     error
		stopped string
		code    int
		says    string
	}{
		{nil, "stopped", 0, ""},
		{errors.New("no file"), "stopped", 1, "probe: no file\n"},
		{fmt.Errorf("in a batch: %w", context.Canceled), "it goes on", 130, "\nprobe: it goes on\n"},
		{context.Canceled, "", 130, ""},
		{context.DeadlineExceeded, "stopped", 1, "probe: context deadline exceeded\n"},
	} {
		var b bytes.Buffer
		if code := exit(&b, "probe", c.stopped, c.err); code != c.code || b.String() != c.says {
			t.Errorf("%v: code %d and %q, want %d and %q", c.err, code, b.String(), c.code, c.says)
		}
	}
}

func TestFlags(t *testing.T) {
	var f Flags
	var n int
	var out string
	f.Group("The data").IntVar(&n, "n", 3, "images")
	f.Group("What is written").StringVar(&out, "out", "", "`file`")
	all := flag.NewFlagSet("program", flag.ContinueOnError)
	var b bytes.Buffer
	all.SetOutput(&b)
	f.add(all)
	if err := all.Parse([]string{"-n", "5", "-out", "x"}); err != nil || n != 5 || out != "x" {
		t.Errorf("n %d, out %q, error %v", n, out, err)
	}
	if err := all.Parse([]string{"-help"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error %v", err)
	}
	help := b.String()
	first, second := strings.Index(help, "The data:\n  -n"), strings.Index(help, "What is written:\n  -out file")
	if first < 0 || second < first {
		t.Errorf("help is %q", help)
	}
}

func TestNumbers(t *testing.T) {
	for say, err := range map[string]error{
		"":                                       errors.Join(AtLeast("n", 0, 0), AtLeast("lr", 0.5, 0), Within("m", 1, 0, 1), Within("m", 0.0, 0, 1)),
		"-n -1: a number of at least 0":          AtLeast("n", -1, 0),
		"-lr NaN: a number of at least 0":        AtLeast("lr", math.NaN(), 0),
		"-lr +Inf: a number of at least 0":       AtLeast("lr", math.Inf(1), 0),
		"-momentum 1.5: a number from 0 to 0.99": Within("momentum", 1.5, 0, 0.99),
		"-momentum NaN: a number from 0 to 1":    Within("momentum", math.NaN(), 0, 1),
	} {
		if (err == nil) != (say == "") || err != nil && err.Error() != say {
			t.Errorf("%v, want %q", err, say)
		}
	}
}

func TestLine(t *testing.T) {
	var b bytes.Buffer
	l := &Line{w: &b, every: time.Hour, last: time.Now()}
	if l.Due() {
		t.Error("due at once")
	}
	l.last = l.last.Add(-2 * time.Hour)
	if !l.Due() {
		t.Error("not due after two hours")
	}
	l.Print("a")
	l.End()
	l.live = true
	l.Print("b")
	l.Print("c")
	l.End()
	if want := "a\n\r\033[Kb\r\033[Kc\n"; b.String() != want || l.Due() {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
