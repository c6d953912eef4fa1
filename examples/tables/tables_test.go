package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/examples/internal/cast"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/tensor"
)

// write saves networks with random weights, as examples/train would trained ones.
func write(t *testing.T, dir string, classes int, files map[string]string) {
	t.Helper()
	for seed, file := range slices.Sorted(maps.Keys(files)) {
		model := files[file]
		spec, ok := models.Find(model)
		if !ok {
			t.Fatalf("no model %q", model)
		}
		classes := min(classes, spec.Classes) // 0 for an auto-encoder
		info := models.Info{Model: model, Classes: classes, Data: "test"}
		if err := models.Save(cast.File(dir, file), spec.New(uint64(seed), classes), info, nn.SaveOptions{DType: tensor.F16}); err != nil {
			t.Fatal(err)
		}
	}
}

// answers asks a saved network for the classes of images.
func answers(t *testing.T, path string, x *tensor.Tensor) []int {
	t.Helper()
	net, _, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	tape := autograd.NewTape(autograd.Inference, 0)
	z := net.Forward(tape.Input(x)).Value()
	out := make([]int, x.Dim(0))
	for i := range out {
		row := z.Index(i).Data()
		for k, v := range row {
			if v > row[out[i]] {
				out[i] = k
			}
		}
	}
	return out
}

// noise is n pictures of noise.
func noise(seed uint64, n int, shape ...int) *tensor.Tensor {
	r := rand.New(rand.NewPCG(seed, 0))
	x := tensor.New(append([]int{n}, shape...)...)
	for i := range x.Data() {
		x.Data()[i] = float32(r.IntN(256)) / 255
	}
	return x
}

// gray is a run on the images that examples/probe ships, against the networks that
// the library does; a second victim is the first, with a leaning to a class.
func gray(t *testing.T) *config {
	t.Helper()
	root, dir := t.TempDir(), t.TempDir()
	t.Setenv("METTLE_DATA", root)
	if err := os.Mkdir(filepath.Join(root, "mnist"), 0o755); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"images.idx3": "images-idx3-ubyte", "labels.idx1": "labels-idx1-ubyte"} {
		b, err := os.ReadFile(filepath.Join("../internal/datasets/digits/t10k-first-" + from + ".gz"))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"train-", "t10k-"} {
			if err := os.WriteFile(filepath.Join(root, "mnist", part+to+".gz"), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	save := func(file, model string, net nn.Module) {
		if err := models.Save(cast.File(dir, file), net, models.Info{Model: model, Data: "test"}, nn.SaveOptions{DType: tensor.F16}); err != nil {
			t.Fatal(err)
		}
	}
	victim := pretrained.Net4()
	save("net4", "net4", victim)
	save("net1", "net4", victim) // any network will stand in
	last := victim.Head.(*nn.Linear)
	last.Bias.Update(func(v []float32) { v[3] += 1 })
	save("net4-s2", "net4", victim)
	save("meta-mnist", "meta-mnist", pretrained.MetaAttackerMNIST())
	save("autozoom-mnist", "autozoom-mnist", pretrained.AutoZOOMMNIST())
	write(t, dir, 10, map[string]string{"lenet5": "lenet5", "meta-mnist-vanilla": "meta-mnist", "meta-mnist-images5": "meta-mnist", "meta-mnist-estimated5": "meta-mnist"})
	return &config{chapter: 2, data: "mnist", weights: dir, out: t.TempDir(), only: "all", rows: "all", sources: "lenet5",
		n: 2, slow: 1, sweep: 1, victims: 1, budget: 170, estimated: 5, workers: 4, seed: 1}
}

// page runs the program and returns what it wrote.
func page(t *testing.T, c *config) string {
	t.Helper()
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(c.out, "chapter2-"+filepath.Base(c.data)+".md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestAllTables: a run makes every table and figure, and a second one, which may
// not compute anything, shows the same.
func TestAllTables(t *testing.T) {
	if testing.Short() {
		t.Skip("some thousands of queries and fine-tunings")
	}
	c := gray(t)
	first := page(t, c)
	for _, want := range []string{"Table 2.1", "Table 2.2", "Table 2.3", "Table 2.4", "Table 2.5", "Table 2.6", "Table 2.7", "Table 2.8",
		"Figure 2.1", "Figure 2.2", "Figure 2.3", "ConvT 64→32, 3×3, stride 2", "| lenet5 | source |", "| net4 | victim |",
		"| AutoZOOM, auto-encoder | 170 |", "| HopSkipJump | 170 |", "estimated gradients of the same 5 images", "convolutions not made steady", "kernels ", "logical processors",
		"The presets frugal and lean", "| frugal | 112 | 9 | 0.0095 |", "| lean | 112 | 6 | 0.014 |"} {
		if !strings.Contains(first, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, m := range regexp.MustCompile(`\]\((.*\.svg)\)`).FindAllStringSubmatch(first, -1) {
		b, err := os.ReadFile(filepath.Join(c.out, m[1]))
		if err != nil || !strings.HasPrefix(string(b), "<svg xmlns=") {
			t.Errorf("%s: %v", m[1], err)
		}
	}
	c.cached = true
	if again := page(t, c); again != first {
		t.Error("the cells of the first run give another page")
	}
	c.seed++
	if other := page(t, c); strings.Count(other, "Not run yet") < 9 || strings.Count(other, "Not run yet: ZOO; Boundary; Opt; ") < 2 {
		t.Errorf("cells of one seed serve another:\n%s", other)
	}
}

// TestUnsteady: the row's attacker is the trained one with its convolutions, but for the
// last, as they were learned.
func TestUnsteady(t *testing.T) {
	b, err := open(context.Background(), gray(t))
	if err != nil {
		t.Fatal(err)
	}
	net, err := b.unsteady()
	if err != nil {
		t.Fatal(err)
	}
	trained := nn.Params(pretrained.MetaAttackerMNIST())
	params := nn.Params(net.net)
	for _, p := range []struct {
		index  int
		factor float32
	}{{0, cast.Steadiness}, {len(params) - 2, 1}} {
		for i, v := range params[p.index].Value().Data() {
			if want := trained[p.index].Value().Data()[i] / p.factor; v != want {
				t.Fatalf("parameter %d: entry %d is %g, want %g", p.index, i, v, want)
			}
		}
	}
	if a, err := b.attacker(b.cast.Attacker); err != nil || a.hash == net.hash {
		t.Errorf("its cells are those of the trained attacker, %s (%v)", net.hash, err)
	}
}

// TestPartOfARun: a run that is cut off keeps the cells it finished, and another
// that goes on ends with the page of an undisturbed one.
func TestPartOfARun(t *testing.T) {
	c := gray(t)
	c.only, c.rows, c.n = "2.4", "square-l2,meta,meta-random", 4
	want := page(t, c)
	c.out = t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if err := run(ctx, c); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if got := page(t, c); got != want {
		t.Errorf("resumed:\n%s\nundisturbed:\n%s", got, want)
	}
}

func TestSeveralVictims(t *testing.T) {
	c := gray(t)
	c.only, c.rows, c.victims = "2.4", "square-linf:1,meta,meta-random", 2
	text := page(t, c)
	if !strings.Contains(text, "| 2 × 1 |") || !strings.Contains(text, "| 2 × 2 |") || !strings.Contains(text, "worst queries") {
		t.Errorf("no word of two victims:\n%s", text)
	}
}

// TestColour runs on a directory of colour pictures.
func TestColour(t *testing.T) {
	if testing.Short() {
		t.Skip("a residual network")
	}
	dir, root := t.TempDir(), t.TempDir()
	write(t, dir, 3, map[string]string{"vgg11-32": "vgg11-32", "resnet18-small": "resnet18-small", "meta-cifar": "meta-cifar", "autozoom-cifar": "autozoom-cifar"})
	x := noise(4, 6, 3, 32, 32)
	for i, label := range answers(t, cast.File(dir, "resnet18-small"), x) {
		for class := range 3 {
			if class != label && i > 0 { // every class has a picture
				continue
			}
			for _, part := range []string{"train", "test"} {
				savePicture(t, filepath.Join(root, part, fmt.Sprint(class), fmt.Sprint(i)+".png"), x.Index(i))
			}
		}
	}
	c := &config{chapter: 2, data: root, weights: dir, out: t.TempDir(), only: "2.1,2.3,2.4,2.6,2.7", rows: "square-linf,autozoom-ae,meta,meta-transfer", sources: "vgg11-32",
		transfer: cast.File(dir, "meta-cifar"), n: 1, slow: 1, sweep: 1, victims: 1, budget: 20, estimated: 5, workers: 2, seed: 1}
	text := page(t, c)
	for _, want := range []string{"meta-cifar: 1380099 parameters", "| resnet18-small | victim |", "| Meta Attack | 20 |", "trained on test", "finite differences"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
}

func savePicture(t *testing.T, path string, x *tensor.Tensor) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 32, 32))
	at := func(c, p int) uint8 { return uint8(x.Data()[c*1024+p]*255 + 0.5) }
	for p := range 1024 {
		img.SetRGBA(p%32, p/32, color.RGBA{at(0, p), at(1, p), at(2, p), 255})
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

func TestRefuses(t *testing.T) {
	c := gray(t)
	for say, change := range map[string]func(c *config){
		"there are 2, 3 and 4":          func(c *config) { c.chapter = 6 },
		"-only 2.9: there are 2.1":      func(c *config) { c.only = "2.9" },
		"-rows fgsm: there are zoo":     func(c *config) { c.rows = "fgsm" },
		"a number of images":            func(c *config) { c.rows = "all,zoo:none" },
		"-stage meta -estimated 7 -out": func(c *config) { c.estimated = 7 },
		"-model net4 -seed 3 -out":      func(c *config) { c.victims = 3 },
		"net2.safetensors: go run ./examples/train -data mnist -stage sources": func(c *config) { c.sources = "net2" },
		"nor a directory": func(c *config) { c.data = "/nowhere" },
		"at least 1":      func(c *config) { c.n = 0 },
	} {
		one := *c
		change(&one)
		if err := run(context.Background(), &one); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v; want an error that says %q", err, say)
		}
	}
}

// TestEligible: the samples are the first images that the victim gets right.
func TestEligible(t *testing.T) {
	c := gray(t)
	c.only, c.n = "2.3", 3
	b, err := open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	k, err := b.classifier(context.Background(), "lenet5") // untrained: it gets few right
	if err != nil {
		t.Fatal(err)
	}
	v, err := b.attacked(k)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i, a := range answers(t, cast.File(c.weights, "lenet5"), images(t, b.test)) {
		if a == b.test.Label(i) && len(want) < c.n {
			want = append(want, fmt.Sprint(i))
		}
	}
	var got []string
	for _, s := range v.samples {
		got = append(got, s.Name)
	}
	if len(want) != c.n || want[0] == "0" || !slices.Equal(got, want) {
		t.Errorf("images %v, want %v", got, want)
	}
	starts := b.victims[0].starts
	for class, x := range starts {
		if a := answers(t, cast.File(c.weights, "net4"), x.Reshape(1, 1, 28, 28)); a[0] != class {
			t.Errorf("the victim takes the start of class %d for %d", class, a[0])
		}
	}
	if len(starts) != 10 {
		t.Errorf("starts of %d classes", len(starts))
	}
}

func TestCosine(t *testing.T) {
	a, b := []float32{3, 0, 4, 0}, []float32{3, 4, 0, 0}
	for _, c := range []struct {
		where []int
		want  float64
	}{{nil, 9.0 / 25}, {[]int{0}, 1}, {[]int{0, 1}, 3.0 / 5}, {[]int{3}, 0}} {
		if got := cosine(a, b, c.where); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("at %v: %g, want %g", c.where, got, c.want)
		}
	}
}

func images(t *testing.T, d data.Dataset) *tensor.Tensor {
	t.Helper()
	all := make([]int, d.Len())
	for i := range all {
		all[i] = i
	}
	x, _, err := data.Load(d, all)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestThin: a thinned trace answers as the whole one at counts of two digits and
// zeros.
func TestThin(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 0))
	full := attack.Record{}
	d := 10.0
	for q := 1; q < 60000; q += 1 + r.IntN(2) {
		d *= 0.99999
		full.Trace = append(full.Trace, attack.Point{Queries: q, L2: d})
	}
	short := attack.Record{Trace: thin(full.Trace)}
	if n := len(short.Trace); n > 400 {
		t.Errorf("%d points are left of %d", n, len(full.Trace))
	}
	for _, q := range []int{1, 2, 50, 99, 100, 110, 1000, 2500, 3700, 10000, 50000, 99000} {
		a, _ := full.At(q, attack.L2)
		b, _ := short.At(q, attack.L2)
		if a != b {
			t.Errorf("after %d queries %v, whole trace %v", q, b, a)
		}
	}
}

// TestCompare: the bootstrap's interval is that of the normal approximation when
// that holds.
func TestCompare(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 0))
	var list []pair
	for range 400 {
		base := 500 + 100*r.NormFloat64()
		list = append(list, pair{base + 50 + 20*r.NormFloat64(), base})
	}
	c := compare(list, 1)
	const half = 1.96 * 20 / 20
	if c.diff < 46 || c.diff > 54 || c.diffCI.Lo < c.diff-1.3*half || c.diffCI.Lo > c.diff-0.7*half || c.diffCI.Hi < c.diff+0.7*half || c.diffCI.Hi > c.diff+1.3*half {
		t.Errorf("difference %.2f, %v; want about 50 ± %.2f", c.diff, c.diffCI, half)
	}
	if c.ratio < 1.09 || c.ratio > 1.11 || !(c.ratiCI.Lo < c.ratio && c.ratio < c.ratiCI.Hi) {
		t.Errorf("ratio %.3f, %v", c.ratio, c.ratiCI)
	}
}

// TestPairs: an image counts once, however many victims it was shown to, and a
// failure as the budget.
func TestPairs(t *testing.T) {
	record := func(name string, q int) attack.Record {
		return attack.Record{Name: name, Success: q > 0, First: attack.Point{Queries: q}}
	}
	x := &result{budget: 100, records: [][]attack.Record{{record("1", 10), record("2", 0)}, {record("1", 30)}}}
	y := &result{budget: 100, records: [][]attack.Record{{record("1", 1), record("2", 2)}, {record("1", 3)}}}
	got := pairs(x, y, queriesOf)
	if want := []pair{{20, 2}, {100, 2}}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestDistances: attacks on labels are compared on the images they share; the median is
// the mean over victims of theirs, the worst victim's stands beside it, and a mean says
// on how many images there was a success.
func TestDistances(t *testing.T) {
	record := func(points ...attack.Point) attack.Record { return attack.Record{Trace: points} }
	at := func(q int, l2 float64) attack.Point { return attack.Point{Queries: q, L2: l2} }
	long := &result{records: [][]attack.Record{
		{record(at(1, 5), at(90, 2)), record(at(1, 7)), record(at(1, 6), at(50, 3)), record(at(1, 1))},
		{record(at(1, 8)), record(at(200, 1)), record(at(1, 4)), record(at(1, 1))},
	}}
	short := &result{records: [][]attack.Record{long.records[0][:3], long.records[1][:3]}}
	n := common([]*result{long, short})
	if n != 3 {
		t.Fatalf("%d images in common, want 3", n)
	}
	for _, c := range []struct {
		q             int
		middle, worst string
	}{
		{10, "7.000 (6.000 on 5 of 6)", "8.000"},
		{100, "5.500 (4.800 on 5 of 6)", "8.000"},
		{200, "3.500 (4.167)", "4.000"},
	} {
		for _, r := range []*result{long, short} {
			if middle, worst := r.distanceAt(c.q, n); middle != c.middle || worst != c.worst {
				t.Errorf("after %d queries %q, worst %q; want %q, %q", c.q, middle, worst, c.middle, c.worst)
			}
		}
	}
}

// TestLayersAddUp: the layers of every network in a table have all its parameters.
func TestLayersAddUp(t *testing.T) {
	for _, name := range []string{"lenet5", "net2", "net3", "net4", "meta-mnist", "meta-cifar", "vgg13-32", "resnet18-small"} {
		spec, _ := models.Find(name)
		net := spec.New(1, 0)
		sum := 0
		for _, l := range flat(net) {
			sum += nn.Count(l)
		}
		if sum != spec.Params {
			t.Errorf("%s: layers with %d parameters in all, the network has %d", name, sum, spec.Params)
		}
	}
}

// TestPageIsReplaced: the page appears whole beside the old one.
func TestPageIsReplaced(t *testing.T) {
	b := &book{c: &config{out: t.TempDir()}, name: "x"}
	b.heading("a heading")
	var files [2]os.FileInfo
	for i := range files {
		if err := b.save(); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], err = os.Stat(b.path()); err != nil || files[i].Size() == 0 {
			t.Fatalf("%v (%v)", files[i], err)
		}
	}
	if os.SameFile(files[0], files[1]) {
		t.Error("the page is written over the old one")
	}
}
