package video

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func TestMain(m *testing.M) {
	if how := os.Getenv(fakeVariable); how != "" {
		os.Exit(fakeFFmpeg(how))
	}
	if says := os.Getenv(killedEnv); says != "" {
		dir, budget, _ := strings.Cut(says, "|")
		if err := killedAttack(dir, budget); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// moving is a clip of 8-bit values: a coloured gradient with noise on which a square moves.
func moving(t, c, h, w int) *Clip {
	x := tensor.New(t, c, h, w)
	for k := range t {
		for ch := range c {
			for y := range h {
				for i := range w {
					v := 20 + (ch+1)*60*y/h + 50*i/w + (7*i+13*y+29*ch)%11
					if y >= h/4 && y < h/2 && i >= k && i < k+max(w/4, 1) {
						v = 230 - 70*ch
					}
					x.Set(unit[v], k, ch, y, i)
				}
			}
		}
	}
	return &Clip{X: x, FPS: 25}
}

// wants checks that err is a *tensor.FormatError with the given text.
func wants(t *testing.T, err error, text string) {
	t.Helper()
	var fe *tensor.FormatError
	if !errors.As(err, &fe) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want a *FormatError with %q", err, text)
	}
}

// collect reads the frames of s to [T, C, H, W], as far as they come.
func collect(s Source) (*tensor.Tensor, error) {
	i := s.Info()
	var values []float32
	n := 0
	for x, err := range All(s) {
		if err != nil {
			return tensor.FromSlice(values, n, i.C, i.H, i.W), err
		}
		values = append(values, x.Data()...)
		n++
	}
	return tensor.FromSlice(values, n, i.C, i.H, i.W), nil
}

// decoded is collect for a whole file, which must be right.
func decoded(t *testing.T, read func(io.Reader) (Source, error), file []byte) *tensor.Tensor {
	t.Helper()
	s, err := read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	x, err := collect(s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// same checks that two tensors are equal.
func same(t *testing.T, what string, got, want *tensor.Tensor) {
	t.Helper()
	if fmt.Sprint(got.Shape()) != fmt.Sprint(want.Shape()) {
		t.Fatalf("%s: shape %v, want %v", what, got.Shape(), want.Shape())
	}
	for i, v := range got.Data() {
		if v != want.Data()[i] {
			t.Fatalf("%s: element %d of %v is %v, want %v", what, i, got.Shape(), v, want.Data()[i])
		}
	}
}

// difference returns the mean and the largest absolute difference, in units of 1/255.
func difference(t *testing.T, a, b *tensor.Tensor) (mean, most float64) {
	t.Helper()
	if fmt.Sprint(a.Shape()) != fmt.Sprint(b.Shape()) {
		t.Fatalf("shapes %v and %v", a.Shape(), b.Shape())
	}
	for i, v := range a.Data() {
		d := 255 * math.Abs(float64(v)-float64(b.Data()[i]))
		mean += d
		most = max(most, d)
	}
	return mean / float64(a.Len()), most
}

// truncated checks that every beginning of a file gives an error, or all frames if it
// has whole bytes or more, and that the frames before the error are right. It reads the
// beginnings once from a file that can seek and once from a stream that cannot.
func truncated(t *testing.T, read func(io.Reader) (Source, error), file []byte, whole int) {
	t.Helper()
	want := decoded(t, read, file)
	for n := range file {
		for _, stream := range []bool{false, true} {
			var r io.Reader = bytes.NewReader(file[:n])
			if stream {
				r = io.MultiReader(r)
			}
			s, err := read(r)
			var x *tensor.Tensor
			if err == nil {
				x, err = collect(s)
			}
			if x != nil {
				same(t, fmt.Sprintf("the first %d bytes", n), x, want.Slice(0, x.Dim(0)))
			}
			var fe *tensor.FormatError
			switch {
			case n < whole && !errors.As(err, &fe):
				t.Fatalf("the first %d of %d bytes (stream %v): %v, want a *FormatError", n, len(file), stream, err)
			case n >= whole && (err != nil || x.Dim(0) != want.Dim(0)):
				t.Fatalf("the first %d of %d bytes (stream %v): %v", n, len(file), stream, err)
			}
		}
	}
}

// skips checks that skipped frames do not change the others, in files and streams.
func skips(t *testing.T, read func(io.Reader) (Source, error), file []byte) {
	t.Helper()
	want := decoded(t, read, file)
	for pattern := range 1 << min(want.Dim(0), 5) {
		for _, stream := range []bool{false, true} {
			var r io.Reader = bytes.NewReader(file)
			if stream {
				r = io.MultiReader(r)
			}
			s, err := read(r)
			if err != nil {
				t.Fatal(err)
			}
			for k := range want.Dim(0) {
				var dst *tensor.Tensor
				if pattern>>k&1 == 0 {
					dst = tensor.New(want.Shape()[1:]...)
				}
				if err := s.Next(dst); err != nil {
					t.Fatalf("frame %d: %v", k, err)
				}
				if dst != nil {
					same(t, fmt.Sprintf("frame %d with skips %b", k, pattern), dst, want.Index(k))
				}
			}
			for range 2 {
				if err := s.Next(nil); err != io.EOF {
					t.Fatalf("%v after the last frame, want io.EOF", err)
				}
			}
			if err := errors.Join(s.Close(), s.Close()); err != nil {
				t.Fatal(err)
			}
			if err := s.Next(nil); err == nil || err == io.EOF {
				t.Fatalf("%v after Close", err)
			}
		}
	}
}

// fuzz reads what may be a video: there must be no panic, and only values in [0,1]. Frames
// are bounded to keep it fast.
func fuzz(t *testing.T, read func(io.Reader) (Source, error), file []byte) {
	defer func(old int) { maxPixels = old }(maxPixels)
	maxPixels = 1 << 14
	s, err := read(bytes.NewReader(file))
	if err != nil {
		return
	}
	defer s.Close()
	n := 0
	for x, err := range All(s) {
		if err != nil {
			break
		}
		for i, v := range x.Data() {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("element %d of frame %d is %v", i, n, v)
			}
		}
		if n++; n == 20 {
			break
		}
	}
}

// needFFmpeg skips a test where there is no ffmpeg.
func needFFmpeg(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
}

// ffmpeg runs ffmpeg and returns what it writes to pipe:1.
func ffmpeg(t testing.TB, input []byte, args ...string) []byte {
	t.Helper()
	needFFmpeg(t)
	cmd := exec.Command("ffmpeg", append([]string{"-v", "error", "-nostdin"}, args...)...)
	if input != nil {
		cmd = exec.Command("ffmpeg", append([]string{"-v", "error"}, args...)...)
		cmd.Stdin = bytes.NewReader(input)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, stderr.String())
	}
	return out
}

// rgb24 reads the frames that ffmpeg wrote with -pix_fmt rgb24.
func rgb24(t *testing.T, raw []byte, h, w int) *tensor.Tensor {
	t.Helper()
	return decoded(t, func(r io.Reader) (Source, error) { return NewRaw(r, Raw{W: w, H: h}) }, raw)
}

func write(t *testing.T, path string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

var background = context.Background()
