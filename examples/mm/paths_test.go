package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goRun calls "go run -C SOURCE . ARGS" in dir, as a shell would.
func goRun(t *testing.T, dir string, env []string, args ...string) (string, error) {
	t.Helper()
	source, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", append([]string{"run", "-C", source, "."}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Relative paths mean the directory of the caller, although "go run -C" leaves it.
func TestPathsOfTheCaller(t *testing.T) {
	if testing.Short() {
		t.Skip("links the program")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for i := range 40 {
		text.WriteString([]string{"1 0:1 2:0.5\n", "0 1:1\n", "1 0:0.5 1:1\n", "0 2:1\n", "0 0:1\n"}[i%5])
	}
	if err := os.WriteFile(filepath.Join(dir, "small.svm"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	pwd := "PWD=" + dir
	out, err := goRun(t, dir, []string{pwd}, "-data", "small.svm", "-zero-based", "-passes", "2", "-out", "figures")
	if err != nil || !strings.Contains(out, filepath.Join(dir, "figures")) {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, name := range []string{"figure61.png", "figure62.svg", "figure63.png"} {
		if info, err := os.Stat(filepath.Join(dir, "figures", name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for what, c := range map[string]struct {
		env   []string
		args  []string
		parts []string
	}{
		"a missing file":       {[]string{pwd}, []string{"-data", "none.svm"}, []string{"-data", "no none.svm in " + dir, "absolute path"}},
		"no PWD":               {[]string{"PWD="}, []string{"-data", "small.svm"}, []string{"-data", "no small.svm in ", "PWD does not say", "absolute path"}},
		"a wrong PWD":          {[]string{"PWD=" + filepath.Join(dir, "gone")}, []string{"-data", "small.svm"}, []string{"PWD does not say"}},
		"a missing directory":  {[]string{pwd}, []string{"-data", filepath.Join(dir, "none", "x.svm")}, []string{"-data", filepath.Join(dir, "none", "x.svm")}},
		"indices from 0":       {[]string{pwd}, []string{"-data", "small.svm"}, []string{"small.svm", "line 1, column 3", "ZeroBased"}},
		"an argument too many": {[]string{pwd}, []string{"small.svm"}, []string{`unexpected argument "small.svm"`, "-data"}},
		"-zero-based alone":    {[]string{pwd}, []string{"-zero-based"}, []string{"-data"}},
		"negative passes":      {[]string{pwd}, []string{"-passes", "-1"}, []string{"-passes -1"}},
	} {
		out, err := goRun(t, dir, c.env, c.args...)
		if err == nil {
			t.Errorf("%s: no error:\n%s", what, out)
		}
		for _, part := range c.parts {
			if !strings.Contains(out, part) {
				t.Errorf("%s: %q is not in:\n%s", what, part, out)
			}
		}
	}
}

// Elsewhere than in the source, the current directory is the caller's and PWD, which
// may be stale, does not matter.
func TestCurrentDirectory(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	t.Setenv("PWD", os.TempDir())
	if got, err := fromCaller("x"); err != nil || got != filepath.Join(dir, "x") {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := existing("-data", "x"); err == nil || !strings.Contains(err.Error(), "no x in "+dir) {
		t.Errorf("error %v", err)
	}
}
