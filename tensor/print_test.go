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
	for _, x := range []*Tensor{count(1000), count(300, 300), count(50, 50, 50)} {
		for _, line := range strings.Split(x.String(), "\n") {
			if len(line) > lineLen {
				t.Errorf("%v: a line of %d characters", x.Shape(), len(line))
			}
		}
	}
	if got := strings.Count(count(1000).String(), " "); got < 999 {
		t.Errorf("a tensor of 1000 elements is not printed whole: %d gaps", got)
	}
}
