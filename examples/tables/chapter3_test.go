package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video"
)

// TestChapter3: the page of a group of a folder of clips and a file of a network, again from its cells
// alone, and what is wrong with the flags.
func TestChapter3(t *testing.T) {
	digits, err := datasets.Digits()
	if err != nil {
		t.Fatal(err)
	}
	root, out := t.TempDir(), t.TempDir()
	d := datasets.NewMoving(digits, 24, 3)
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
	file := filepath.Join(out, "tiny3d.safetensors")
	info := models.Info{Model: "tiny3d", Classes: 8, ClassNames: datasets.Motions, Preprocess: data.Preprocess{CTHW: true}}
	if err := models.Save(file, pretrained.Tiny3D(), info, nn.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	c := config{chapter: 3, data: root, victim: file, out: out, test: "3", only: "all", n: 2, budget: 100, stride: 1, eps: 0.5, workers: 2, seed: 1}
	if err := chapter3(context.Background(), &c); err != nil {
		t.Fatal(err)
	}
	name := "chapter3-" + filepath.Base(root)
	page, err := os.ReadFile(filepath.Join(out, name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Table 3.1", "Table 3.2", "Table 3.5", "Figure 3.4", "motion-excited:per-frame", "Table 3.6", "Figure 3.6", "-victim names one network only", "Figure 3.9", ".gif)", "clips**: 8 of", "| tiny3d | 8 | 100.0 % |"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	var rows []clipRow
	b, err := os.ReadFile(filepath.Join(out, name+".json"))
	if err == nil {
		err = json.Unmarshal(b, &rows)
	}
	if err != nil || len(rows) < 20 {
		t.Errorf("%d rows: %v", len(rows), err)
	}
	c.cached = true
	if err := chapter3(context.Background(), &c); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(filepath.Join(out, name+".md")); string(again) != string(page) {
		t.Error("another page from the same cells")
	}
	for _, bad := range []func(c *config){
		func(c *config) { c.victim = "" }, func(c *config) { c.data = filepath.Join(root, "none") }, func(c *config) { c.only = "2.4" }, func(c *config) { c.test = "9" },
	} {
		c := c
		bad(&c)
		if err := chapter3(context.Background(), &c); err == nil {
			t.Errorf("%+v is accepted", c)
		} else {
			t.Log(err)
		}
	}
}
