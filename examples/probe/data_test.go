package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// digits writes the first embedded images as pictures in directories: of class k in
// names[k], or nowhere if that is "".
func digits(t *testing.T, names []string) string {
	t.Helper()
	d, err := datasets.Digits()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	x := tensor.New(d.Shape()...)
	for i := range d.Len() {
		dir := filepath.Join(root, names[d.Label(i)])
		if names[d.Label(i)] == "" {
			continue
		}
		if err := d.Read(i, x); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := savePNG(filepath.Join(dir, fmt.Sprintf("%03d.png", i)), x); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// without is the digits but for one.
func without(k int) []string {
	names := data.ClassNumbers(10)
	names[k] = ""
	return names
}

var words = strings.Fields("zero one two three four five six seven eight nine")

// TestClasses: a directory's pictures get the victim's number of the class that the
// directory is called by, so that the victim is right on them.
func TestClasses(t *testing.T) {
	ctx := context.Background()
	file := func(names []string) string {
		path := filepath.Join(t.TempDir(), "net4.safetensors")
		if err := models.Save(path, pretrained.Net4(), models.Info{Model: "net4", Classes: 10, ClassNames: names}, nn.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := func(s string) string {
		path := filepath.Join(t.TempDir(), "classes.txt")
		if err := os.WriteFile(path, []byte(s), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	synsets := slices.Clone(words)
	lines, order := "", ""
	for k, name := range words {
		synsets[k] = fmt.Sprintf("n%02d", 50-k)
		lines += synsets[k] + " " + name + "\n"
		order += name + "\n"
	}
	seven := slices.Clone(words)
	seven[7] = ""
	for _, c := range []struct {
		name    string
		victim  string
		dirs    []string
		classes string
		absent  string
	}{
		{"the embedded victim", "", without(7), "", "[7]"},
		{"a victim that does not tell its classes", file(nil), without(7), "", "[7]"},
		{"a victim that tells them", file(words), seven, "", "[seven]"},
		{"numbers for a victim with names", file(words), without(7), "", "[seven]"},
		{"a map to names", file(words), synsets, text(lines), "[]"},
		{"a map to names in the order of the classes", file(nil), synsets, text(lines), "[]"},
		{"a list of the classes", file(nil), seven, text(order), "[seven]"},
	} {
		conf := &config{victim: c.victim, data: digits(t, c.dirs), classMap: c.classes}
		v, names, err := victim(ctx, conf)
		if err != nil {
			t.Fatal(err)
		}
		d, err := images(conf, v.Info(), names)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		x, y, err := data.Load(d, nil)
		if err != nil {
			t.Fatal(err)
		}
		answers := make([]int, len(y))
		if err := zoo.LabelsOf(v).Labels(ctx, x, answers); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(answers, y) || d.Classes() != 10 || fmt.Sprint(data.Absent(d)) != c.absent {
			t.Errorf("%s: labels %v of %d, absent %v; the victim says %v", c.name, y, d.Classes(), data.Absent(d), answers)
		}
	}
	for _, c := range []struct {
		want         string
		victim, data string
		change       func(c *config)
	}{
		{`there is no class "1"; the 10 classes are a, b`, file([]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}), digits(t, append([]string{"a"}, data.ClassNumbers(10)[1:]...)), nil},
		{"9 directories (eight, five, four, nine, one, six, three, two, zero) for 10 classes whose names are not known", file(nil), digits(t, seven), nil},
		{"-class-map FILE says which", file(nil), digits(t, seven), nil},
		{"-class-map: open /nowhere", "", digits(t, seven), func(c *config) { c.classMap = "/nowhere" }},
		{"-resize 20: the victim takes [1 28 28], so it is at least 28", "", digits(t, without(7)), func(c *config) { c.resize = 20 }},
		{"for a directory of pictures only", "", "embedded", func(c *config) { c.orient = true }},
	} {
		conf := &config{victim: c.victim, data: c.data}
		if c.change != nil {
			c.change(conf)
		}
		v, names, err := victim(ctx, conf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := images(conf, v.Info(), names); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

// TestColourVictim: a victim of colour pictures with the gray ones that come with probe
// says which flag is missing.
func TestColourVictim(t *testing.T) {
	c := small(t)
	c.victim, c.attacks = saved(t, "resnet20", 10), "square"
	if err := run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "-data DIR") {
		t.Errorf("error %v", err)
	}
}

// TestMissingClass: what the data lack stands among the notes of the page.
func TestMissingClass(t *testing.T) {
	c := small(t)
	c.data, c.attacks = digits(t, without(7)), "square"
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if text := page(t, c); !strings.Contains(text, "has no samples of 1 of the victim&#39;s 10 classes: 7") {
		t.Error("the page does not say that a class is missing")
	}
}

// TestResized: -resize cuts more off than the default does.
func TestResized(t *testing.T) {
	conf := &config{data: digits(t, data.ClassNumbers(10))}
	read := func() *tensor.Tensor {
		d, err := images(conf, zoo.Info{Shape: []int{1, 14, 14}, Classes: 10}, nil)
		if err != nil {
			t.Fatal(err)
		}
		x := tensor.New(1, 14, 14)
		if err := d.Read(0, x); err != nil {
			t.Fatal(err)
		}
		return x
	}
	whole := read()
	conf.resize = 28 // the middle of the picture, pixel by pixel
	middle := read()
	if middle.Mean() < 1.5*whole.Mean() {
		t.Errorf("the means are %v and %v; the border of a digit is black", middle.Mean(), whole.Mean())
	}
}

// TestFlags: no flag is defined twice, which panics.
func TestFlags(t *testing.T) {
	var c config
	parse(&c)
	if c.data != "embedded" || c.n != 25 {
		t.Errorf("-data %s -n %d", c.data, c.n)
	}
}
