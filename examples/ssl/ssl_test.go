package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// tiny is a configuration that runs in seconds, with files below a directory.
func tiny(dir string) *config {
	return &config{
		source: recipes.Source{Data: "mnist", Imbalance: 5, Largest: 40, Size: 32, HeldOut: true}, stage: "compare", method: "simclr", arrangements: "base,generic-specific",
		mi: "infonce", filter: "auto", lambda: 0.5, beta: 0.1, temperature: own, decay: suits, epochs: 2, batch: 32, seeds: 1,
		out: dir, report: filepath.Join(dir, "page.html"), json: filepath.Join(dir, "results.json"),
	}
}

func start(t *testing.T, c *config) error {
	t.Helper()
	return tensor.Try(func() error { return run(context.Background(), c) })
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCompare looks at what is written of two arrangements, the page included.
func TestCompare(t *testing.T) {
	c := tiny(t.TempDir())
	c.dagger, c.epochs = true, 1
	compared(t, c, "dagger")
	page := string(read(t, c.report))
	for _, want := range []string{"Reliability", "Effective rank", "Features in the plane", "Pictures from features", "data:image/png", "generic-specific †"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestArrangements runs the others.
func TestArrangements(t *testing.T) {
	c := tiny(t.TempDir())
	c.arrangements, c.method, c.epochs, c.report = "initial,shared,generic", "moco2", 1, ""
	compared(t, c)
}

// compared runs a comparison and looks at its results.
func compared(t *testing.T, c *config, more ...string) {
	t.Helper()
	if err := start(t, c); err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal(read(t, c.json), &list); err != nil {
		t.Fatal(err)
	}
	names := strings.Split(c.arrangements, ",")
	if len(list) != len(names) {
		t.Fatalf("%d results of %d arrangements", len(list), len(names))
	}
	for i, r := range list {
		for _, field := range append(more, "acc", "many", "per_class", "ece", "digest", "seed", "steps", "images", "knn", "collapse", "curve", "stamp") {
			if _, ok := r[field]; !ok {
				t.Errorf("%s: the result has no %q", names[i], field)
			}
		}
		if r["arrangement"] != names[i] {
			t.Errorf("result %d is of %v, want %v", i, r["arrangement"], names[i])
		}
	}
}

// TestStages: what is pre-trained can be probed and fine-tuned, and what has a method beside
// it stripped.
func TestStages(t *testing.T) {
	dir := t.TempDir()
	c := tiny(dir)
	c.stage, c.file, c.epochs = "pretrain", filepath.Join(dir, "pre.safetensors"), 1
	if err := start(t, c); err != nil {
		t.Fatal(err)
	}
	c.stage = "probe"
	if err := start(t, c); err != nil {
		t.Fatal(err)
	}
	c.stage, c.from, c.file = "finetune", c.file, filepath.Join(dir, "tuned.safetensors")
	if err := start(t, c); err != nil {
		t.Fatal(err)
	}
	c = tiny(dir)
	c.arrangements, c.epochs, c.report, c.json = "generic-specific", 1, "", ""
	if err := start(t, c); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "nets", "val-mnist-generic-specific-simclr-1-*.safetensors"))
	if err != nil || len(files) != 1 {
		t.Fatalf("networks %v, %v", files, err)
	}
	c.stage, c.from, c.file = "strip", files[0], filepath.Join(dir, "net.safetensors")
	if err := start(t, c); err != nil {
		t.Fatal(err)
	}
	f, err := tensor.OpenSafetensors(c.file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, e := range f.Entries() {
		if strings.Contains(e.Name, "ssl") {
			t.Errorf("%s is left", e.Name)
		}
	}
	net, err := recipes.Network(recipes.Small, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := nn.LoadFrom(f, net, nn.LoadOptions{}); err != nil {
		t.Error(err)
	}
}

func TestBadInput(t *testing.T) {
	for what, change := range map[string]func(c *config){
		"-temperature":       func(c *config) { c.temperature = 0 },
		"-method":            func(c *config) { c.method = "simclear" },
		"no arrangement":     func(c *config) { c.arrangements = "mixed" },
		"no multiple":        func(c *config) { c.method, c.queue, c.arrangements = "moco2", 40, "generic-specific" },
		"say nothing":        func(c *config) { c.minimize, c.arrangements = true, "generic-specific" },
		"no stage":           func(c *config) { c.attach, c.arrangements = "layer9", "generic-specific" },
		"at least 2 samples": func(c *config) { c.batch, c.arrangements = 1, "generic" },
		"model resnet9000":   func(c *config) { c.model = "resnet9000" },
		"-stage":             func(c *config) { c.stage = "train" },
		"-from":              func(c *config) { c.stage = "finetune" },
		"-file":              func(c *config) { c.stage = "probe" },
		"was not written by": func(c *config) { c.stage, c.from, c.file = "strip", "../../ssl/testdata/steps_simclr.safetensors", "x" },
		"no filter":          func(c *config) { c.filter, c.arrangements = "wool", "generic" },
		"-lambda":            func(c *config) { c.lambda = -1 },
		"no bound":           func(c *config) { c.mi, c.arrangements = "guess", "generic-specific" },
	} {
		c := tiny(t.TempDir())
		change(c)
		if err := start(t, c); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
