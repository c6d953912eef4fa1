package weights

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
)

// TestReadme runs the lines by which the README has a model of PyTorch written, and
// opens what they wrote.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(readme)
	if lines == nil {
		t.Fatal("the README has no lines of Python")
	}
	model, err := os.ReadFile("testdata/resnet32.py")
	if err != nil {
		t.Fatal(err)
	}
	stub, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/python3", "-c", string(model)+string(lines[1]))
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PYTHONPATH="+stub, "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if errors.Is(err, fs.ErrNotExist) || strings.Contains(string(out), "No module named 'torch'") {
		t.Skip("no /usr/bin/python3 with torch here (Debian: python3-torch)")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	net, info, err := models.Open(filepath.Join(cmd.Dir, "my.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Model != "resnet32" || info.Classes != 10 || len(info.Preprocess.Mean) != 3 || len(info.Preprocess.Std) != 3 {
		t.Errorf("%+v", info)
	}
	var names []string
	for e := range nn.State(net) {
		names = append(names, e.Name)
	}
	slices.Sort(names)
	for e := range nn.State(net) {
		want := float32(slices.Index(names, e.Name) + 1)
		if e.Counter != nil {
			if *e.Counter != int64(want) {
				t.Errorf("%s is %d, want %v", e.Name, *e.Counter, want)
			}
			continue
		}
		if v := e.Value().Data(); v[0] != want || v[len(v)-1] != want {
			t.Errorf("%s is %v to %v, want %v", e.Name, v[0], v[len(v)-1], want)
		}
	}
	if _, err := Victim(net, info, info.Spec().Input); err != nil {
		t.Error(err)
	}
}

// TestAttackers: what is no meta attacker, or no auto-encoder, or not for the pictures,
// is refused.
func TestAttackers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"net4", "meta-mnist", "meta-cifar", "autozoom-mnist"} {
		spec, _ := models.Find(name)
		if err := models.Save(filepath.Join(dir, name), spec.New(1, 0), models.Info{Model: name}, nn.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name            string
		shape           []int
		attacker, coder string // what the error says; "" for none
	}{
		{"meta-mnist", []int{1, 28, 28}, "", "no auto-encoder"},
		{"meta-mnist", []int{3, 32, 32}, "does not fit samples of [3 32 32]", "no auto-encoder"},
		{"meta-cifar", []int{3, 32, 32}, "", "no auto-encoder"},
		{"meta-cifar", []int{3, 8, 8}, "at least 16 pixels", "no auto-encoder"},
		{"meta-cifar", []int{3, 64, 64}, "", "no auto-encoder"},
		{"autozoom-mnist", []int{1, 28, 28}, "no meta attacker", ""},
		{"autozoom-mnist", []int{3, 32, 32}, "no meta attacker", "does not fit samples of [3 32 32]"},
		{"net4", []int{1, 28, 28}, "no meta attacker", "no auto-encoder"},
	} {
		path := filepath.Join(dir, c.name)
		_, err := Attacker(path, c.shape)
		if (err == nil) != (c.attacker == "") || err != nil && !strings.Contains(err.Error(), c.attacker) {
			t.Errorf("%s for %v as attacker: %v; want %q", c.name, c.shape, err, c.attacker)
		}
		d, err := Decoder(path, c.shape)
		if (err == nil) != (c.coder == "") || err != nil && !strings.Contains(err.Error(), c.coder) {
			t.Errorf("%s for %v as auto-encoder: %v; want %q", c.name, c.shape, err, c.coder)
		}
		if err == nil && !slices.Equal(d.Code, []int{1, 14, 14}) {
			t.Errorf("%s: a code of %v", c.name, d.Code)
		}
	}
}

// TestFits: a network of other classes, or of the same in another order, is not for the
// data.
func TestFits(t *testing.T) {
	d, err := data.NewImages([]byte{1}, []int{0}, []int{1, 1, 1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		info  models.Info
		names []string
		want  string
	}{
		{models.Info{Classes: 1}, nil, "w has 1 classes, the data have 2"},
		{models.Info{Classes: 2}, []string{"a", "b"}, ""},
		{models.Info{Classes: 2, ClassNames: []string{"a", "b"}}, nil, ""},
		{models.Info{Classes: 2, ClassNames: []string{"a", "b"}}, []string{"a", "b"}, ""},
		{models.Info{Classes: 3, ClassNames: []string{"a", "b", "c"}}, []string{"a", "b"}, ""},
		{models.Info{Classes: 2, ClassNames: []string{"b", "a"}}, []string{"a", "b"}, `class 0 is "b" in w and "a" in the data`},
	} {
		d.Names = c.names
		if err := Fits("w", c.info, d); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v for %v: %v, want %q", c.info, c.names, err, c.want)
		}
	}
}

// TestOpen: the shape and the classes are those of the file, and errors name flags.
func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net.safetensors")
	names := []string{"a", "b", "c"}
	spec, _ := models.Find("tiny3d")
	info := models.Info{Model: "tiny3d", Classes: 3, ClassNames: names, Preprocess: data.Preprocess{CTHW: true}}
	if err := models.Save(path, spec.New(1, 3), info, nn.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, shape := range [][]int{nil, {8, 3, 16, 16}} {
		want := shape
		if shape == nil {
			want = []int{16, 3, 32, 32}
		}
		v, classes, err := Open(path, shape)
		if err != nil || !slices.Equal(v.Info().Shape, want) || !slices.Equal(classes, names) {
			t.Errorf("shape %v: %v, classes %q: %v", shape, v, classes, err)
		}
	}
	for path, says := range map[string]string{"localhost:8000": "http://", filepath.Join(t.TempDir(), "none"): "no such file"} {
		if v, _, err := Open(path, nil); v != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v does not say %q", path, err, says)
		}
	}
}

func TestParseShape(t *testing.T) {
	if s, err := ParseShape(" 16, 3,112,112", 4, ""); err != nil || !slices.Equal(s, []int{16, 3, 112, 112}) {
		t.Errorf("%v: %v", s, err)
	}
	if s, err := ParseShape("", 4, ""); s != nil || err != nil {
		t.Errorf("of nothing: %v: %v", s, err)
	}
	for _, bad := range []string{"3,112,112", "16,3,112,112,1", "16,3,0,112", "16,3,x,112", ","} {
		if s, err := ParseShape(bad, 4, "four numbers"); s != nil || err == nil || !strings.Contains(err.Error(), "four numbers") {
			t.Errorf("%q: %v, %v", bad, s, err)
		}
	}
}
