package attack

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestScratchModule builds a module outside of this one that adds an attack with a hidden
// network, a loss, a noise and a layer, and cuts its campaign into units that four
// processes run: the merged records are those of one process to the byte, and the journals
// of an attack with another hidden network are refused.
func TestScratchModule(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	mod := string(read(filepath.Join(root, "go.mod")))
	mod = strings.Replace(mod, "module github.com/mettleml/mettle\n", "module scratch\n", 1) +
		"\nrequire github.com/mettleml/mettle v0.0.0\n\nreplace github.com/mettleml/mettle => " + root + "\n"
	for name, b := range map[string][]byte{"main.go": read("testdata/scratch/main.go"), "go.sum": read(filepath.Join(root, "go.sum")), "go.mod": []byte(mod)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-mod=mod", "-o", "scratch", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := func(in []byte, env string, args ...string) ([]byte, error) {
		cmd := exec.Command(filepath.Join(dir, "scratch"), args...)
		cmd.Stdin = bytes.NewReader(in)
		cmd.Env = append(os.Environ(), env)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, errs.Bytes())
		}
		return out, err
	}
	must := func(in []byte, args ...string) []byte {
		out, err := run(in, "GUIDE=7", args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want, plan := must(nil, "run"), must(nil, "plan")
	if !bytes.Contains(want, []byte(`"success":true`)) || !bytes.Contains(plan, []byte(`"second":{"Power":2}`)) || !bytes.Contains(plan, []byte(`"blocks":{"Side":2}`)) {
		t.Fatalf("records %s\nplan %s", want, plan)
	}
	journals := t.TempDir()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var units []byte
	for i := range 4 {
		wg.Go(func() {
			out, err := run(plan, "GUIDE=7", "units", journals, fmt.Sprint(i), "4")
			mu.Lock()
			defer mu.Unlock()
			units = append(units, out...)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := must(units, "merge"); !bytes.Equal(got, want) {
		t.Errorf("merged\n%s\nin one process\n%s", got, want)
	}
	// The same units again cost nothing and say the same; another guide is refused, by the
	// plan and, were the plan its own, by the journals.
	if again := must(plan, "units", journals, "0", "1"); !bytes.Equal(must(again, "merge"), want) {
		t.Error("units taken from the journals differ")
	}
	if out, err := run(plan, "GUIDE=8", "units", journals, "0", "4"); err == nil || !strings.Contains(err.Error(), "options") {
		t.Errorf("another hidden network takes up the plan: %v\n%s", err, out)
	}
	other, err := run(nil, "GUIDE=8", "plan")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(other, "GUIDE=8", "units", journals, "0", "4"); err == nil || !strings.Contains(err.Error(), "another campaign") {
		t.Errorf("another hidden network is given the old records: %v\n%s", err, out)
	}
}
