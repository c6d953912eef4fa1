package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video"
)

// small is a short run.
func small(t *testing.T) *config {
	dir := t.TempDir()
	return &config{data: "moving", scores: "logits", n: 2, stride: 1, attacks: "motion-excited,e-square", goal: "untargeted", budget: 40, seed: 1,
		report: filepath.Join(dir, "video.html"), json: filepath.Join(dir, "rows.json"), out: filepath.Join(dir, "out"), journal: filepath.Join(dir, "a.journal")}
}

// TestRun: table, page, rows and clips are written, and a second run takes all from the
// journal.
func TestRun(t *testing.T) {
	c := small(t)
	c.eps = 0.3 // so that some succeed
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	var rows []attack.Summary
	b, err := os.ReadFile(c.json)
	if err == nil {
		err = json.Unmarshal(b, &rows)
	}
	if err != nil || len(rows) != 2 || rows[0].Samples != 2 || rows[1].SuccessRate == 0 {
		t.Fatalf("rows %s: %v", b, err)
	}
	page, err := os.ReadFile(c.report)
	if err != nil || strings.Count(string(page), "data:image/gif") < 6 || !strings.Contains(string(page), "<svg") || strings.Contains(string(page), "http") {
		t.Errorf("the page has %d animations (%v), curves: %v, addresses: %v", strings.Count(string(page), "data:image/gif"), err, strings.Contains(string(page), "<svg"), strings.Contains(string(page), "http"))
	}
	saved, err := filepath.Glob(filepath.Join(c.out, "*", "*.npy"))
	if err != nil || len(saved) == 0 {
		t.Errorf("no adversarial clips are saved: %v", err)
	}
	for _, path := range saved {
		clip, err := video.Read(context.Background(), strings.TrimSuffix(path, ".npy"), video.Options{})
		if err != nil {
			t.Errorf("the pictures of %s: %v", path, err)
			continue
		}
		exact, err := video.Read(context.Background(), path, video.Options{})
		if err != nil {
			t.Error(err)
		} else if d := attack.Linf.Distance(clip.X.Data(), exact.X.Data()); d > 0.501/255 {
			t.Errorf("%s: the pictures are %v away", path, d)
		}
	}
	first := string(b)
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if b, _ = os.ReadFile(c.json); stripTime(string(b)) != stripTime(first) {
		t.Errorf("from the journal: %s, before: %s", b, first)
	}
}

// stripTime takes out lines with seconds.
func stripTime(s string) string {
	var keep []string
	for line := range strings.SplitSeq(s, "\n") {
		if !strings.Contains(line, `"seconds"`) {
			keep = append(keep, line)
		}
	}
	return strings.Join(keep, "\n")
}

// TestFolder: clips of a directory, with classes by name, for a targeted attack.
func TestFolder(t *testing.T) {
	digits, err := datasets.Digits()
	if err != nil {
		t.Fatal(err)
	}
	d := datasets.NewMoving(digits, 24, 3)
	root := t.TempDir()
	for i := range d.Len() {
		dir := filepath.Join(root, datasets.Motions[d.Label(i)])
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		x := tensor.New(d.Shape()...)
		if err := d.Read(i, x); err != nil {
			t.Fatal(err)
		}
		if err := video.Save(filepath.Join(dir, fmt.Sprintf("v_g%02d_c01.npy", i/8+1)), &video.Clip{X: x}); err != nil {
			t.Fatal(err)
		}
	}
	c := small(t)
	c.data, c.test, c.goal, c.json, c.out, c.journal = root, "2", "targeted", "", "", ""
	v, classes, err := victim(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if group, err := clips(context.Background(), c, v.Info(), classes); err != nil || group.Len() != 8 {
		t.Errorf("of 24 clips in 3 groups %v are of group 2, want 8 (%v)", group.Len(), err)
	}
	c.attacks, c.options = "motion-excited,e-pgd,flickering", `{"flickering": {"Iterations": 20}, "motion-excited": {"Shrink": true}}`
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
}

// TestWrongFlags: what cannot be is an error before any query that says what to do.
func TestWrongFlags(t *testing.T) {
	empty := t.TempDir()
	for _, c := range []struct {
		set  func(c *config)
		says string
	}{
		{func(c *config) { c.goal = "some" }, "-goal"},
		{func(c *config) { c.n = 0 }, "-n"},
		{func(c *config) { c.eps = 2 }, "-eps"},
		{func(c *config) { c.block = 2 }, "-block"},
		{func(c *config) { c.shape = "16,3,32,32" }, "-shape"},
		{func(c *config) { c.attacks = "nothing" }, "no attack"},
		{func(c *config) { c.attacks = "motion-excited:odd" }, "no preset"},
		{func(c *config) { c.attacks = "v-bad" }, "-network"},
		{func(c *config) { c.options = `{"nes": {}}` }, "nes"},
		{func(c *config) { c.options = `{"motion-excited": {"Warp": 1}}` }, "Warp"},
		{func(c *config) { c.data = filepath.Join(empty, "none") }, "neither"},
		{func(c *config) { c.data = empty }, "no directory"},
		{func(c *config) { c.victim = filepath.Join(empty, "x.safetensors") }, "x.safetensors"},
		{func(c *config) { c.report = filepath.Join(empty, "none", "page.html") }, "page.html"},
	} {
		cfg := small(t)
		c.set(cfg)
		if err := run(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("error %v does not say %q", err, c.says)
		}
	}
}
