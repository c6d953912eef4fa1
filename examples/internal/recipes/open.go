package recipes

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn/data"
)

// A Source says which long-tailed data are meant, as the flags of a program do.
type Source struct {
	Data      string  // see [datasets.Find], or a directory with list files
	Root      string  // of the pictures of list files; "" means the directory
	Size      int     // pixels of a side of pictures in files; 0 means 32
	Imbalance float64 // 0 means 100 for the data sets with a name, and a directory as it is
	Largest   int     // samples of the largest class; 0 means all, and 1,000 for MNIST and its like
	Draw      string  // first or cao: which samples of a class
	HeldOut   bool    // test on a part of the training set: see [Held]
}

// Open finds the data.
func Open(s Source) (*Data, error) {
	draws := map[string]longtail.Draw{"": nil, "first": nil, "cao": longtail.Cao{}}
	draw, ok := draws[s.Draw]
	if !ok {
		return nil, fmt.Errorf("-draw %s: there are first and cao", s.Draw)
	}
	size := cmp.Or(s.Size, 32)
	train, test, err := find(s, []int{3, size, size})
	if err != nil {
		return nil, err
	}
	named := slices.Contains(datasets.Names, s.Data)
	if !named && s.Imbalance == 0 {
		if s.Largest != 0 {
			return nil, fmt.Errorf("a directory is taken as it is unless there is an -imbalance")
		}
		return s.make(train, test, nil)
	}
	o := longtail.SubsetOptions{Draw: draw, Largest: s.Largest}
	if s.Largest == 0 && test.Shape()[0] == 1 {
		o.Largest = 1000
	}
	return s.make(train, test, &cut{longtail.Exponential{Imbalance: cmp.Or(s.Imbalance, 100)}, o})
}

func (s Source) make(train, test data.Dataset, c *cut) (*Data, error) {
	name := filepath.Base(s.Data)
	if s.HeldOut {
		return held(name, train, c)
	}
	return whole(name, train, test, c)
}

// find opens the whole training and test sets.
func find(s Source, shape []int) (train, test data.Dataset, err error) {
	trains, tests := lists(s.Data, "train"), lists(s.Data, "test")
	if len(trains) == 0 {
		return datasets.Find(s.Data, shape)
	}
	if len(tests) == 0 {
		tests = lists(s.Data, "val") // the lists of some sets have no test part
	}
	if len(trains) != 1 || len(tests) != 1 {
		return nil, nil, fmt.Errorf("%s: lists for training %v and for testing %v; one of each is wanted, such as train.txt and test.txt", s.Data, trains, tests)
	}
	root := cmp.Or(s.Root, s.Data)
	a, err := longtail.OpenList(trains[0], root, shape, longtail.ListOptions{})
	if err != nil {
		return nil, nil, err
	}
	b, err := longtail.OpenList(tests[0], root, shape, longtail.ListOptions{Classes: a.Classes()})
	return a, b, err
}

// lists are the list files of a directory whose names hold a word.
func lists(dir, word string) []string {
	entries, _ := os.ReadDir(dir)
	var found []string
	for _, e := range entries {
		name := strings.TrimSuffix(strings.ToLower(e.Name()), ".gz")
		if e.Type().IsRegular() && strings.HasSuffix(name, ".txt") && strings.Contains(name, word) {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	return found
}
