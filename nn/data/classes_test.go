package data

import (
	"fmt"
	"image"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// tree makes a directory with one picture in each of the given ones and returns it.
func tree(t *testing.T, dirs ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range dirs {
		write(t, filepath.Join(root, dir, "x.png"), encoded(t, "x.png", image.NewGray(image.Rect(0, 0, 2, 2))))
	}
	return root
}

// labels returns the label of each directory's picture.
func labels(d *Folder) map[string]int {
	m := map[string]int{}
	for i, path := range d.Paths {
		m[filepath.Base(filepath.Dir(path))] = d.Label(i)
	}
	return m
}

// Directories are classes by their names, whatever else is there or missing.
func TestClassesOfFolders(t *testing.T) {
	fruit := []string{"apple", "banana", "cherry"}
	for _, c := range []struct {
		name   string
		dirs   string
		opt    FolderOptions
		labels string
		absent string
	}{
		{"a class that is missing", "apple cherry", FolderOptions{Classes: fruit}, "map[apple:0 cherry:2]", "[banana]"},
		{"another order", "a b c", FolderOptions{Classes: []string{"c", "b", "a"}}, "map[a:2 b:1 c:0]", "[]"},
		{"case and blanks", "Ankle_Boot t-shirt-top", FolderOptions{Classes: []string{"T-shirt/top", "Ankle boot"}}, "map[Ankle_Boot:1 t-shirt-top:0]", "[]"},
		{"the exact name before a similar one", "cat Cat", FolderOptions{Classes: []string{"Cat", "cat"}}, "map[Cat:0 cat:1]", "[]"},
		{"digits by names", "0 2 10", FolderOptions{Classes: ClassNumbers(11)}, "map[0:0 10:10 2:2]", "[1 3 4 5 6 7 8 9]"},
		{"numbers of classes with names", "0 2", FolderOptions{Classes: fruit}, "map[0:0 2:2]", "[banana]"},
		{"numbers that are names", "2 0", FolderOptions{Classes: []string{"2", "1", "0"}}, "map[0:2 2:0]", "[1]"},
		{"numbers without names", "0 1 2 3 4 5 6 8 9", FolderOptions{Count: 10}, "map[0:0 1:1 2:2 3:3 4:4 5:5 6:6 8:8 9:9]", "[7]"},
		{"numbers from 1, all of them", "1 2 3", FolderOptions{Count: 3}, "map[1:0 2:1 3:2]", "[]"},
		{"words without names", "b a c", FolderOptions{Count: 3}, "map[a:0 b:1 c:2]", "[]"},
		{"a map to numbers", "n02 n01", FolderOptions{Classes: fruit, Map: ClassMap{{"n01", "2"}, {"n02", "0"}}}, "map[n01:2 n02:0]", "[banana]"},
		{"a map to names", "n02 n01 Cherry", FolderOptions{Classes: fruit, Map: ClassMap{{"n01", "apple"}, {"n02", "Banana"}}}, "map[Cherry:2 n01:0 n02:1]", "[]"},
		{"a map of two directories to a class", "n02 n01", FolderOptions{Classes: fruit, Map: ClassMap{{"n01", "apple"}, {"n02", "apple"}}}, "map[n01:0 n02:0]", "[banana cherry]"},
		{"a map alone, of numbers", "n02 n01", FolderOptions{Map: ClassMap{{"n01", "3"}, {"n02", "0"}}}, "map[n01:3 n02:0]", "[1 2]"},
		{"a map alone, of names", "n02 n01", FolderOptions{Map: ClassMap{{"n02", "pear"}, {"n01", "fig"}, {"n03", "fig"}}}, "map[n01:1 n02:0]", "[]"},
		{"a map and a count", "n02 n01", FolderOptions{Count: 3, Map: ClassMap{{"n01", "1"}, {"n02", "0"}}}, "map[n01:1 n02:0]", "[2]"},
		{"nothing known", "10 9", FolderOptions{}, "map[10:1 9:0]", "[]"},
	} {
		d, err := OpenFolder(tree(t, strings.Fields(c.dirs)...), []int{1, 2, 2}, c.opt)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := fmt.Sprint(labels(d)); got != c.labels || fmt.Sprint(Absent(d)) != c.absent || d.Classes() != len(d.ClassNames()) {
			t.Errorf("%s: labels %s, absent %v, classes %v; want %s and %s", c.name, got, Absent(d), d.ClassNames(), c.labels, c.absent)
		}
	}
	for _, c := range []struct {
		want string
		dirs string
		opt  FolderOptions
	}{
		{`there is no class "durian"; the 3 classes are apple, banana, cherry`, "apple durian", FolderOptions{Classes: fruit}},
		{`there is no class "3"`, "0 3", FolderOptions{Classes: fruit}},
		{`there is no class "0"`, "0 apple", FolderOptions{Classes: fruit}},
		{`"Apple" and "apple" are both class 0, "apple"`, "Apple apple", FolderOptions{Classes: fruit}},
		{`"03" and "3" are both class 3`, "03 3", FolderOptions{Count: 10}},
		{"9 directories (b, c, d, e, f, g, h, i, j) for 10 classes whose names are not known", "b c d e f g h i j", FolderOptions{Count: 10}},
		{"2 directories (0, 2) for 1 classes", "0 2", FolderOptions{Count: 1}},
		{`"n01" is mapped to "fig", which is no class`, "n01", FolderOptions{Classes: fruit, Map: ClassMap{{"n01", "fig"}}}},
		{`"n01" is mapped to "3", which is no class`, "n01", FolderOptions{Classes: fruit, Map: ClassMap{{"n01", "3"}}}},
		{`there is no class "n02"`, "n01 n02", FolderOptions{Map: ClassMap{{"n01", "0"}}}},
		{`2 classes are called "crane" (0 and 1); map "crane" to a number`, "crane", FolderOptions{Classes: []string{"crane", "crane"}}},
		{`"apple" and "n01" are both class 0, "apple"`, "apple n01", FolderOptions{Classes: fruit, Map: ClassMap{{"n01", "apple"}}}},
		{"the map has 2 classes where there are 3", "n01", FolderOptions{Count: 3, Map: ClassMap{{"n01", "a"}, {"n02", "b"}}}},
		{"the limit is 65535", "n01", FolderOptions{Map: ClassMap{{"n01", "900000000"}}}},
		{"a, b, c, d, e, f, g, h, i, j and 5 more", "z", FolderOptions{Classes: strings.Fields("a b c d e f g h i j k l m n o")}},
	} {
		root := tree(t, strings.Fields(c.dirs)...)
		_, err := OpenFolder(root, []int{1, 2, 2}, c.opt)
		wants(t, err, c.want)
		wants(t, err, root)
	}
}

// cats is a data set that draws, of one class.
type cats struct{ drawing }

func (cats) ClassNames() []string { return []string{"cat"} }

// Two data sets agree by names, also where neither is a folder.
func TestMatchClasses(t *testing.T) {
	images := func(names []string, labels ...int) *Images {
		d, err := NewImages(make([]byte, len(labels)), labels, []int{1, 1, 1}, len(names))
		if err != nil {
			t.Fatal(err)
		}
		for i, y := range labels {
			d.Pixels[i] = byte(10 * y)
		}
		d.Names = names
		return d
	}
	d := images([]string{"cat", "dog", "owl"}, 0, 2, 2, 0)
	m, err := MatchClasses(Subset(d, []int{3, 1}), []string{"Owl", "fox", "cat"})
	if err != nil {
		t.Fatal(err)
	}
	x, y, err := Load(m, nil)
	if err != nil || !slices.Equal(y, []int{2, 0}) || m.Classes() != 3 || x.Data()[1] != 20.0/255 {
		t.Errorf("labels %v of %d, values %v (%v)", y, m.Classes(), x.Data(), err)
	}
	if got := fmt.Sprint(ClassNames(m), Absent(m)); got != "[Owl fox cat] [fox]" {
		t.Errorf("names and absent classes %s", got)
	}
	if _, err := MatchClasses(images([]string{"cat", "dog"}, 1), []string{"cat", "fox"}); err == nil || !strings.Contains(err.Error(), `there is no class "dog"; the 2 classes are cat, fox`) {
		t.Errorf("error %v", err)
	}
	for _, same := range []*Images{images([]string{"cat", "fox"}, 1), images(nil)} {
		if same.Names == nil {
			same, _ = NewImages([]byte{1}, []int{1}, []int{1, 1, 1}, 2)
		}
		if m, err := MatchClasses(same, []string{"cat", "fox"}); m != Dataset(same) || err != nil {
			t.Errorf("%v (%v) is not the data set that it was", m, err)
		}
	}
	single, err := NewTensors(tensor.New(1, 3), []int{0}, 1)
	if err != nil {
		t.Fatal(err)
	}
	m, err = MatchClasses(cats{drawing{single}}, []string{"dog", "cat"})
	if r, ok := m.(RandomReader); err != nil || !ok || m.Label(0) != 1 || r.ReadRandom(0, tensor.New(3), rand.New(rand.NewPCG(1, 1))) != nil {
		t.Errorf("a data set that draws became %T (%v)", m, err)
	}
	unnamed, err := NewTensors(tensor.New(1, 1), []int{1}, 3)
	if err != nil || ClassNames(unnamed) != nil || ClassNames(Subset(unnamed, nil)) != nil || fmt.Sprint(Absent(unnamed)) != "[0 2]" {
		t.Errorf("names %v, absent %v (%v)", ClassNames(unnamed), Absent(unnamed), err)
	}
}

// The data sets with fixed classes tell their names.
func TestClassNames(t *testing.T) {
	ten, err := ReadCIFAR10(strings.NewReader(string(cifarRecord(0, 9))))
	if err != nil || len(ten.Names) != 10 || ten.Names[9] != "truck" {
		t.Errorf("names %v (%v)", ten.Names, err)
	}
	for coarse, want := range map[bool]string{false: "100 worm", true: "20 vehicles_2"} {
		d, err := ReadCIFAR100(strings.NewReader(string(cifarRecord(0, 19, 99))), coarse)
		if err != nil || fmt.Sprint(len(d.Names), " ", d.Names[d.Label(0)]) != want {
			t.Errorf("names %v (%v)", d.Names, err)
		}
	}
	dir := t.TempDir()
	for _, part := range []string{"train", "t10k"} {
		write(t, filepath.Join(dir, part+"-images-idx3-ubyte"), idxFile([]byte{1}, 1, 1, 1))
		write(t, filepath.Join(dir, part+"-labels-idx1-ubyte"), idxFile([]byte{9}, 1))
	}
	for want, load := range map[string]func(string) (*Images, *Images, error){"9": LoadMNIST, "Ankle boot": LoadFashionMNIST} {
		train, test, err := load(dir)
		if err != nil || train.Names[9] != want || test.Names[9] != want || len(test.Names) != 10 {
			t.Errorf("names %v (%v)", train.Names, err)
		}
	}
}

func TestClassMap(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"ImageNet's synsets", "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n", "[{n01440764 tench, Tinca tinca} {n01443537 goldfish, Carassius auratus}]"},
		{"numbers", "\ufeffn01 0\r\n\r\n  n02   1  \r\n", "[{n01 0} {n02 1}]"},
		{"commas", "n01,tench\nn02, great white shark\n", "[{n01 tench} {n02 great white shark}]"},
		{"tabs", "ankle boot\t9\nbag\t8", "[{ankle boot 9} {bag 8}]"},
		{"names in order", "tench\ngreat white shark\n\nhen\n", "[{tench 0} {great white shark 1} {hen 2}]"},
		{"JSON of names in order", `["tench", "hen"]`, "[{tench 0} {hen 1}]"},
		{"JSON by directory", ` {"n02": "hen", "n01": "tench"}`, "[{n01 tench} {n02 hen}]"},
		{"JSON of numbers", `{"n01": 3, "n02": 0}`, "[{n01 3} {n02 0}]"},
		{"id2label", `{"0": "tench", "1": "hen"}`, "[{tench 0} {hen 1}]"},
		{"imagenet_class_index", `{"0": ["n01", "tench"], "1": ["n02", "hen"]}`, "[{n01 0} {n02 1}]"},
		{"JSON from number to number", `{"7": "3"}`, "[{7 3}]"},
		{"the same twice", "n01 0\nn01 0", "[{n01 0} {n01 0}]"},
	} {
		path := filepath.Join(t.TempDir(), "classes")
		write(t, path, []byte(c.text))
		if m, err := LoadClassMap(path); err != nil || fmt.Sprint(m) != c.want {
			t.Errorf("%s: %v (%v), want %s", c.name, m, err, c.want)
		}
	}
	for _, c := range []struct{ want, text string }{
		{"no classes", "\n \n"},
		{"an empty file", ""},
		{"no classes", "{}"},
		{"neither an object nor an array of names", `[1, 2]`},
		{"neither an object nor an array of names", `{"a": `},
		{`"a" is neither a number, a name nor an array`, `{"a": null}`},
		{`"a": an array must begin`, `{"a": ["x", "y"]}`},
		{`"0": an array must begin`, `{"0": [1]}`},
		{`"n01" is "0" and "1"`, "n01 0\nn01 1\n"},
		{"an HTML page", "<!DOCTYPE html>"},
		{"a PNG image", string(encoded(t, "x.png", image.NewGray(image.Rect(0, 0, 2, 2))))},
	} {
		path := filepath.Join(t.TempDir(), "classes")
		write(t, path, []byte(c.text))
		_, err := LoadClassMap(path)
		wants(t, err, c.want)
		wants(t, err, path)
	}
	if _, err := LoadClassMap("/nowhere"); !os.IsNotExist(err) {
		t.Errorf("error %v", err)
	}
}

func FuzzClassMap(f *testing.F) {
	f.Add("n01 tench\nn02,hen\nx\ty\n", "n01 x")
	f.Add(`{"0": ["n01", "tench"], "1": "hen"}`, "hen 3")
	f.Add(`["a", "b"]`, "0 1")
	f.Fuzz(func(t *testing.T, text, dirs string) {
		m, err := ReadClassMap(strings.NewReader(text))
		if !known(t, err) {
			return
		}
		classes, err := m.Classes()
		if err != nil {
			return
		}
		numbers, err := matchNames(strings.Fields(dirs), classes, m)
		for dir, n := range numbers {
			if err != nil || n < 0 || n >= len(classes) {
				t.Fatalf("%q is class %d of %d (%v)", dir, n, len(classes), err)
			}
		}
	})
}
