package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"image/png"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
)

// small is a run of a second or two.
func small(t *testing.T) *config {
	dir := t.TempDir()
	return &config{attacks: "square,hopskipjump", goal: "untargeted", data: "embedded",
		n: 3, budget: 150, within: 3, seed: 1,
		report: filepath.Join(dir, "report.html"), json: filepath.Join(dir, "rows.json"), out: filepath.Join(dir, "images")}
}

func TestProbe(t *testing.T) {
	for _, goal := range []string{"untargeted", "targeted"} {
		c := small(t)
		c.goal = goal
		c.attacks = "meta,zoo,autozoom,autozoom-ae,bandits,square,hopskipjump"
		c.budget = 300
		if err := run(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(c.json)
		if err != nil {
			t.Fatal(err)
		}
		var rows []map[string]any
		if err := json.Unmarshal(b, &rows); err != nil {
			t.Fatal(err)
		}
		if len(rows) != 7 {
			t.Fatalf("%d rows, want one an attack", len(rows))
		}
		for _, r := range rows {
			for _, key := range []string{"attack", "goal", "budget", "samples", "success_rate", "queries_mean", "queries_median",
				"queries_mean_all", "queries_median_all", "l0_mean", "l2_mean", "linf_mean", "verified_rate", "verified8_rate", "seconds"} {
				if _, ok := r[key]; !ok {
					t.Errorf("row %v lacks %s", r["attack"], key)
				}
			}
			if r["samples"] != 3.0 || r["goal"] != goal {
				t.Errorf("row %v: %v samples, goal %v", r["attack"], r["samples"], r["goal"])
			}
		}
	}
}

// TestFilesAreReplaced: what a run writes appears whole beside what an earlier one left, so
// that a full disk leaves that.
func TestFilesAreReplaced(t *testing.T) {
	c := small(t)
	c.attacks = "hopskipjump"
	files := map[string][]os.FileInfo{}
	for range 2 {
		if err := run(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		images, _ := filepath.Glob(filepath.Join(c.out, "*", "*"))
		for _, path := range append(images, c.report, c.json) {
			info, err := os.Stat(path)
			if err != nil || info.Size() == 0 {
				t.Fatalf("%s: %v (%v)", path, info, err)
			}
			files[path] = append(files[path], info)
		}
	}
	if len(files) < 6 {
		t.Errorf("%d files", len(files))
	}
	for path, f := range files {
		if len(f) != 2 || os.SameFile(f[0], f[1]) {
			t.Errorf("%s is written over the old one", path)
		}
	}
}

// TestSavedImages: what -out writes is what the records say, as PNG and npy.
func TestSavedImages(t *testing.T) {
	c := small(t)
	c.attacks = "hopskipjump"
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(c.out, "hopskipjump", "records.json"))
	if err != nil {
		t.Fatal(err)
	}
	var res attack.Result
	if err := json.Unmarshal(b, &res); err != nil {
		t.Fatal(err)
	}
	won := 0
	for _, r := range res.Records {
		if r.Success {
			won++
		}
	}
	for _, ext := range []string{"png", "npy"} {
		files, _ := filepath.Glob(filepath.Join(c.out, "hopskipjump", "*."+ext))
		if len(files) != won || won == 0 {
			t.Errorf("%d files *.%s for %d successes", len(files), ext, won)
		}
	}
}

func TestJournalOfTheProgram(t *testing.T) {
	c := small(t)
	c.attacks = "square"
	c.journal = filepath.Join(t.TempDir(), "run.journal")
	for range 2 {
		if err := run(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(besides(c.journal, "square")); err != nil {
		t.Error(err)
	}
	c.budget++
	if err := run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "another campaign") {
		t.Errorf("a journal of other settings: %v", err)
	}
}

func TestBadFlags(t *testing.T) {
	for say, change := range map[string]func(c *config){
		"-attack foo":                    func(c *config) { c.attacks = "foo" },
		"-goal sideways":                 func(c *config) { c.goal = "sideways" },
		"both are at least":              func(c *config) { c.n = 0 },
		"neither embedded":               func(c *config) { c.data = "/nowhere" },
		"no such file":                   func(c *config) { c.victim = "/nowhere.safetensors" },
		"is the server running":          func(c *config) { c.victim = "http://127.0.0.1:1/v2/models/x" },
		"which model":                    func(c *config) { c.victim = "http://127.0.0.1:1" },
		"no preset":                      func(c *config) { c.preset = "quick" },
		"-step 1":                        func(c *config) { c.step = 1 },
		"-within -1":                     func(c *config) { c.within = -1 },
		"-eps -1":                        func(c *config) { c.eps = -1 },
		"-workers -1":                    func(c *config) { c.workers = -1 },
		"-gather -1":                     func(c *config) { c.gather = -1 },
		"-rate, -scores: for":            func(c *config) { c.remote.scores, c.remote.rate = "logits", 2 },
		"http:// or https:// is missing": func(c *config) { c.victim = "localhost:8080/v2/models/net4" },
		"-shape 3x4":                     func(c *config) { c.shape = "3x4" },
		"the embedded Net4 has":          func(c *config) { c.shape = "1,28,28" },
		"is for meta, which":             func(c *config) { c.attacker = saved(t, "meta-mnist", 0) },
		"is for autozoom-ae":             func(c *config) { c.decoder = saved(t, "autozoom-mnist", 0) },
		"does not fit samples":           func(c *config) { c.attacks, c.attacker = "meta", saved(t, "meta-cifar", 0) },
		"no auto-encoder":                func(c *config) { c.attacks, c.decoder = "autozoom-ae", saved(t, "meta-mnist", 0) },
		"-report: ":                      func(c *config) { c.report = "/nowhere/report.html" },
		"-json: ":                        func(c *config) { c.json = "/nowhere/rows.json" },
		"-out: ":                         func(c *config) { c.out = filepath.Join(c.report, "images"); touchFile(t, c.report) },
		"-journal: ":                     func(c *config) { c.journal = "/nowhere/run.journal" },
	} {
		c := small(t)
		change(c)
		ctx, cancel := context.WithCancel(context.Background())
		err := run(ctx, c)
		cancel()
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v; want an error that says %q", err, say)
		}
	}
}

// TestPage opens the report in a browser: it must load without a message on the
// console, with its curves and its pictures.
func TestPage(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	c := small(t)
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
		"--user-data-dir="+t.TempDir(), "--dump-dom", "file://"+c.report)
	var log strings.Builder
	cmd.Stderr = &log
	dom, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if m := regexp.MustCompile(`(?m)^.*CONSOLE.*$`).FindString(log.String()); m != "" {
		t.Errorf("the console says: %s", m)
	}
	page := string(dom)
	if n := strings.Count(page, `class="series"`); n < 3 {
		t.Errorf("%d curves", n)
	}
	file, err := os.ReadFile(c.report)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?i)(?:\b(?:src|href)=|url\(|@import)["' ]*([^"' )>]*)`).FindAllStringSubmatch(string(file), -1) {
		if !strings.HasPrefix(m[1], "data:") && !strings.HasPrefix(m[1], "#") {
			t.Errorf("the page needs another file: %s", m[0])
		}
	}
	pictures := regexp.MustCompile(`<img src="data:image/png;base64,([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(pictures) < 9 {
		t.Errorf("%d pictures", len(pictures))
	}
	for _, p := range pictures {
		if img, err := png.Decode(base64.NewDecoder(base64.StdEncoding, strings.NewReader(p[1]))); err != nil || img.Bounds().Dx() != 28 {
			t.Fatalf("a picture: %v", err)
		}
	}
	for _, want := range []string{"Protocol", "square", "hopskipjump", "what is a query"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestEmbeddedFilesAreSmall: what the library ships stays small.
func TestEmbeddedFilesAreSmall(t *testing.T) {
	var size int64
	for _, dir := range []string{"../internal/datasets/digits", "../../nn/models/pretrained"} {
		err := fs.WalkDir(os.DirFS(dir), ".", func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				info, e := d.Info()
				if e != nil {
					return e
				}
				size += info.Size()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if size > 2_000_000 {
		t.Errorf("%d bytes are embedded", size)
	}
}

// saved writes a network of package models to a file.
func saved(t *testing.T, model string, classes int) string {
	t.Helper()
	spec, ok := models.Find(model)
	if !ok {
		t.Fatal("no model " + model)
	}
	path := filepath.Join(t.TempDir(), model+".safetensors")
	if err := models.Save(path, spec.New(1, classes), models.Info{Model: model, Classes: classes}, nn.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return path
}

func touchFile(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestReportSavesTheRest: a file that cannot be written does not lose the others.
func TestReportSavesTheRest(t *testing.T) {
	c := small(t)
	p := &probe{c: c, victim: reddish().Info(), results: []*attack.Result{{Attack: "square", Records: []attack.Record{{Stop: attack.StopBudget}}}}}
	json := c.json
	c.report, c.json = "/nowhere/report.html", "/nowhere/rows.json"
	err := p.report()
	if err == nil || !strings.Contains(err.Error(), "report.html") || !strings.Contains(err.Error(), "rows.json") {
		t.Errorf("%v; want an error that names both files", err)
	}
	if _, err := os.Stat(filepath.Join(c.out, "square", "records.json")); err != nil {
		t.Error(err)
	}
	c.json = json
	if err := p.report(); err == nil {
		t.Error("no error")
	}
	var rows []map[string]any
	readJSON(t, c.json, &rows)
	if l2, ok := rows[0]["l2_mean"]; !ok || l2 != nil {
		t.Errorf("%v; the mean of no success is null", rows[0])
	}
}
