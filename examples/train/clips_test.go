package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
)

// movies makes a folder of videos of two classes in ten groups: a bar that moves to the
// right, and one that moves to the left, from anywhere.
func movies(t *testing.T) string {
	t.Helper()
	const frames, size = 18, 16
	root := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 0))
	for class, step := range []int{1, size - 1} {
		dir := filepath.Join(root, []string{"right", "left"}[class])
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for group := range 10 {
			for clip := range 3 {
				x := tensor.New(frames, 3, size, size)
				at := rng.IntN(size)
				for k := range frames {
					for c := range 3 {
						for y := range size {
							x.Set(255, k, c, y, (at+k*step)%size)
							x.Set(255, k, c, y, (at+k*step+1)%size)
						}
					}
				}
				if err := tensor.SaveNPY(filepath.Join(dir, fmt.Sprintf("v_g%02d_c%02d.npy", group+1, clip+1)), x, tensor.U8); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return root
}

func movieConfig(root, model string, dir string) *config {
	return &config{stage: "classifier", data: root, model: model, epochs: 6, batch: 6, lr: 0.05, momentum: 0.9, seed: 1,
		out: filepath.Join(dir, model+".safetensors"), clipFlags: clipFlags{groups: "1-3", size: 16, stride: 1}}
}

// TestClips: a 3-D network learns which way a bar moves, and what is written says that a
// frozen frame tells nothing and a reversed clip the opposite.
func TestClips(t *testing.T) {
	c := movieConfig(movies(t), "tiny3d", t.TempDir())
	c.pack = filepath.Join(t.TempDir(), "packed")
	acc, err := classifier(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Clips    int `json:"test_clips"`
		Accuracy controls
	}
	b, err := os.ReadFile(strings.TrimSuffix(c.out, "safetensors") + "json")
	if err != nil || json.Unmarshal(b, &result) != nil {
		t.Fatalf("%v in %s", err, b)
	}
	if a := result.Accuracy; result.Clips != 18 || a.Clean != acc || acc < 0.95 || a.Frozen > 0.7 || a.Reversed > 0.2 {
		t.Errorf("%+v", result)
	}
	net, info, err := models.Open(c.out)
	if err != nil {
		t.Fatal(err)
	}
	if !info.Preprocess.CTHW || !slices.Equal(info.ClassNames, []string{"left", "right"}) || !slices.Equal(info.Spec().Input, []int{3, 16, 16, 16}) {
		t.Errorf("%+v", info)
	}
	_, test, err := clips(context.Background(), c, info.Spec())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := measure(context.Background(), net, info.Preprocess, test); err != nil || !reflect.DeepEqual(again, result.Accuracy) {
		t.Errorf("%+v when read back, %+v before (%v)", again, result.Accuracy, err)
	}
}

// TestStill: a network that is shown still pictures of no class answers them alike, and
// a run that was stopped goes on with the same ones.
func TestStill(t *testing.T) {
	root := movies(t)
	train := func(stop int) []byte {
		c := movieConfig(root, "tiny3d", t.TempDir())
		c.epochs, c.still, c.augment = 2, 0.5, true
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if stop > 0 {
			c.onStep = func(step int) {
				if step == stop {
					cancel()
				}
			}
			if _, err := classifier(ctx, c); !errors.Is(err, context.Canceled) {
				t.Fatalf("stopped with %v", err)
			}
			c.resume, c.onStep = true, nil
		}
		if _, err := classifier(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(c.out)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !slices.Equal(train(0), train(9)) {
		t.Error("other weights after a stop")
	}
	s := &session{still: 0.5, seed: 1}
	x := tensor.New(40, 1, 3, 1, 1)
	for i := range x.Data() {
		x.Data()[i] = float32(i)
	}
	labels := make([]int, 40)
	target := s.freeze(x, labels, 2, 3)
	frozen := 0
	for i := range labels {
		v := x.Index(i).Data()
		still := v[0] == v[1] && v[1] == v[2]
		if still {
			frozen++
		}
		if row := target.Index(i).Data(); still != (row[1] == 0.5) || still != (row[0] == 0.5) {
			t.Errorf("clip %v has the target %v", v, row)
		}
	}
	if frozen < 10 || frozen > 30 {
		t.Errorf("%d of 40 clips are still", frozen)
	}
}

// TestSegments: a temporal segment network trains on frames from all over, and is tested
// on windows.
func TestSegments(t *testing.T) {
	c := movieConfig(movies(t), "tinytsn", t.TempDir())
	c.epochs, c.segments = 1, 3
	train, test, err := clips(context.Background(), c, mustFind(t, c.model))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(train.Shape(), []int{3, 3, 16, 16}) || !slices.Equal(test.Shape(), []int{16, 3, 16, 16}) || train.Len() != 42 || test.Len() != 18 {
		t.Errorf("trains on %d of %v, tests on %d of %v", train.Len(), train.Shape(), test.Len(), test.Shape())
	}
	if _, err := classifier(context.Background(), c); err != nil {
		t.Fatal(err)
	}
}

func mustFind(t *testing.T, name string) models.Spec {
	t.Helper()
	s, ok := models.Find(name)
	if !ok {
		t.Fatalf("no model %s", name)
	}
	return s
}

func TestClipsRefuse(t *testing.T) {
	root := movies(t)
	for say, change := range map[string]func(c *config){
		"takes a folder of CLASS/VIDEO": func(c *config) { c.data = "mnist" },
		"a list such as 1-7,9":          func(c *config) { c.groups = "7-1" },
		"has the group 11":              func(c *config) { c.groups = "1,11" },
		"takes 2 channels":              func(c *config) { c.model = "tinyflow" },
		"is for images":                 func(c *config) { c.adversarial, c.eps = "pgd", 0.1 },
		"are for networks of clips":     func(c *config) { c.model = "net4" },
		"that use motion":               func(c *config) { c.model, c.still, c.segments = "tinytsn", 0.5, 3 },
		"-still 1":                      func(c *config) { c.still = 1 },
		"-size -1":                      func(c *config) { c.size = -1 },
	} {
		c := movieConfig(root, "tiny3d", t.TempDir())
		change(c)
		if err := run(context.Background(), c); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v; want an error that says %q", err, say)
		}
	}
}
