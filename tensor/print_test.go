package tensor

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestString(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		t    *Tensor
		want string
	}{
		{Scalar(2.5), "tensor [] 2.5000"},
		{New(0), "tensor [0]\n[]"},
		{New(2, 0), "tensor [2 0]\n[[]\n []]"},
		{FromSlice([]float32{1, -20, 300}, 3), "tensor [3]\n[  1 -20 300]"},
		{FromSlice([]float32{1, 0.25, nan, inf}, 2, 2), "tensor [2 2]\n[[1.0000 0.2500]\n [   NaN   -Inf]]"},
		{FromSlice([]float32{1e-9, -1}, 1, 2), "tensor [1 2]\n[[ 1.0000e-09 -1.0000e+00]]"},
		{count(2, 2, 2), "tensor [2 2 2]\n[[[0 1]\n  [2 3]]\n\n [[4 5]\n  [6 7]]]"},
		{count(2, 2000), "tensor [2 2000]\n[[   0    1    2 ... 1997 1998 1999]\n [2000 2001 2002 ... 3997 3998 3999]]"},
		{count(1001, 1), "tensor [1001 1]\n[[   0]\n [   1]\n [   2]\n ...\n [ 998]\n [ 999]\n [1000]]"},
		{New(1<<28, 0), "tensor [268435456 0]\n[[]\n []\n []\n ...\n []\n []\n []]"},
		{(*Tensor)(nil), "<nil>"},
	} {
		if got := fmt.Sprintf("%v", c.t); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}

// Lines hold as many columns as fit in 100 characters with the brackets that may stand
// at their ends, and the columns are as wide as the widest element that is printed.
func TestLinesAreFilled(t *testing.T) {
	wide := count(1000, 2)
	wide.Set(123456, 500, 1) // is left out
	if got := wide.Index(0).String(); got != "tensor [2]\n[0 1]" {
		t.Errorf("got %q", got)
	}
	if got := wide.String(); strings.Contains(got, "     1") || !strings.Contains(got, "\n [1998 1999]]") {
		t.Errorf("columns are wider than what is printed needs:\n%s", got)
	}
	for _, shape := range [][]int{{7}, {33}, {34}, {49}, {50}, {51}, {1000}, {10, 100}, {1, 96}, {2, 5, 100}, {2, 2, 2, 60}, {1, 1, 24}, {1, 1, 1, 1, 1, 400}} {
		for _, fill := range []float32{0, 10, 1000, -1.5, 1e-9} {
			x := New(shape...)
			x.Fill(fill)
			element := strings.Fields(strings.Trim(x.Reshape(x.Len()).Slice(0, 1).String()[len("tensor [1]\n"):], "[]"))[0]
			rank, row := len(shape), shape[len(shape)-1]
			columns := (100 - 2*rank + 1) / (len(element) + 1)
			for _, line := range strings.Split(x.String(), "\n")[1:] {
				if len(line) > 100 {
					t.Errorf("%v of %s: a line of %d characters", shape, element, len(line))
				}
				n := strings.Count(line, element)
				if full := n == columns; n > 0 && !full && !(strings.HasSuffix(line, "]") && n == (row-1)%columns+1) {
					t.Errorf("%v of %s: a line of %d columns, %d have room and a row has %d", shape, element, n, columns, row)
				}
			}
			if got := strings.Count(x.String()[strings.Index(x.String(), "\n"):], element); got != x.Len() {
				t.Errorf("%v of %s: %d elements are printed", shape, element, got)
			}
		}
	}
}
