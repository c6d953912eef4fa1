package longtail

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/tensor"
)

func split(t testing.TB, counts []int, k int) *Split {
	t.Helper()
	s, err := SplitByRank(counts, k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSplit(t *testing.T) {
	counts := []int{4, 30, 9, 30, 2} // not sorted, two alike
	s := split(t, counts, 2)
	if !slices.Equal(s.Class, []int{1, 3, 2, 0, 4}) || !slices.Equal(s.Rank, []int{3, 0, 2, 1, 4}) {
		t.Errorf("%+v", s)
	}
	if !slices.Equal(s.HeadClasses(), []int{1, 3}) || !slices.Equal(s.TailClasses(), []int{2, 0, 4}) || !s.IsHead(1) || s.IsHead(2) {
		t.Errorf("%+v", s)
	}
	d := labelled(t, mixed(counts...), 5)
	ranked, head := s.Ranked(d), s.Head(d)
	if got := data.ClassCounts(ranked); !slices.Equal(got, []int{30, 30, 9, 4, 2}) || ranked.Len() != d.Len() {
		t.Errorf("ranked %v", got)
	}
	if got := data.ClassCounts(head); !slices.Equal(got, []int{30, 30}) {
		t.Errorf("head %v", got)
	}
	x := tensor.New(2)
	for i := range head.Len() {
		if err := head.Read(i, x); err != nil || s.Rank[int(x.Data()[1])] != head.Label(i) {
			t.Fatalf("sample %d of class %v has label %d, %v", i, x.Data()[1], head.Label(i), err)
		}
	}
	digests := map[string]bool{}
	for _, e := range []data.Dataset{d, ranked, head, s.Ranked(ranked)} {
		digest, err := data.Digest(e)
		if err != nil || len(digest) != 32 {
			t.Errorf("digest %q, %v", digest, err)
		}
		digests[digest] = true
	}
	if len(digests) != 4 {
		t.Error("two data sets share a digest")
	}

	pool := s.Pool(d, &Bank{Classes: [][]int{{6, 1}, {3}}}) // samples 1, 3 and 6 are of classes 1 and 3
	if got := data.ClassCounts(pool); got[2] != 9 || got[3] != 4 || got[4] != 2 || pool.Len() != 15+3 {
		t.Errorf("pool %v", got)
	}
	if tail := s.Pool(d, &Bank{}); tail.Len() != 15 {
		t.Errorf("no bank: %d samples", tail.Len())
	}
	panics(t, "no sample", func() { s.Pool(d, &Bank{Classes: [][]int{{1000}}}) })
	panics(t, "4 classes for a split of 5", func() { s.Head(labelled(t, []int{0, 1, 2, 3}, 4)) })

	// Logits by rank and by class are right for the same samples.
	z := tensor.New(5, 5)
	labels := make([]int, 5)
	for r := range 5 {
		z.Set(1, r, r)
		labels[r] = s.Class[r]
	}
	out := (&eval.Outputs{Y: z, Labels: labels}).Through(s.ByClass())
	if out.Accuracy() != 1 {
		t.Errorf("by class %v for %v", out.Y.Data(), labels)
	}
	panics(t, "want logits [N, 5]", func() { (&eval.Outputs{Y: tensor.New(1, 4), Labels: []int{0}}).Through(s.ByClass()) })
}

// TestPublishedPoints: the many-shot classes of CIFAR100-LT.
func TestPublishedPoints(t *testing.T) {
	for imbalance, k := range map[float64]int{50: 41, 100: 35, 200: 30} {
		counts, err := Exponential{imbalance}.Counts(100, 500)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := SplitByCount(counts, 100); err != nil || s.Point != k || !slices.IsSorted(s.Class) {
			t.Errorf("imbalance %v: %+v, %v", imbalance, s, err)
		}
	}
	for _, c := range []struct {
		f    func() (*Split, error)
		want string
	}{
		{func() (*Split, error) { return SplitByRank([]int{3, 2, 1}, 0) }, "0 head classes is outside 1 to 2"},
		{func() (*Split, error) { return SplitByRank([]int{3, 2, 1}, 3) }, "3 head classes is outside 1 to 2"},
		{func() (*Split, error) { return SplitByCount([]int{3, 2, 1}, 3) }, "more than 3 samples"},
		{func() (*Split, error) { return SplitByCount([]int{3, 2, 1}, 0) }, "3 head classes"},
	} {
		if s, err := c.f(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v, %v, want %q", s, err, c.want)
		}
	}
	panics(t, "0 samples", func() { SplitByRank([]int{1, 0}, 1) })
}

// clips draws what it reads.
type clips struct{ data.Dataset }

func (clips) ReadRandom(int, *tensor.Tensor, *rand.Rand) error { return errors.New("drawn") }

func TestRelabelledClipsAreDrawn(t *testing.T) {
	s := split(t, []int{1, 2}, 1)
	for _, d := range []data.Dataset{s.Ranked(clips{labelled(t, []int{0, 1, 1}, 2)}), s.Head(clips{labelled(t, []int{0, 1, 1}, 2)})} {
		r, ok := d.(data.RandomReader)
		if !ok {
			t.Fatalf("%T cannot draw", d)
		}
		if err := r.ReadRandom(0, tensor.New(2), nil); err == nil || err.Error() != "drawn" {
			t.Errorf("%v", err)
		}
	}
}
