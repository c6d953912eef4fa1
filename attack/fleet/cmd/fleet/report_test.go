package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/attack/fleet"
	"github.com/mettleml/mettle/attack/fleet/server"
	"github.com/mettleml/mettle/zoo"
)

const reported = `{"name": "digits", "victim": {"network": "net4"}, "budget": 150, "seed": 1,
	"samples": {"images": "t10k-first-images.idx3.gz", "labels": "t10k-first-labels.idx1.gz", "n": 5},
	"attacks": [{"attack": "square", "options": {"Norm": "L2", "Eps": 2}}, {"attack": "hopskipjump"}]}`

var (
	section = regexp.MustCompile(`(?s)<(?:section|details class="section")>.*?<h2>(.*?)</h2>(.*?)</(?:section|details)>\n`)
	seconds = regexp.MustCompile(`<td>[0-9.]+</td></tr>`)
)

// sections are those of a page by their titles, without the seconds at the end of a row.
func sections(t *testing.T, path string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range section.FindAllStringSubmatch(string(b), -1) {
		all[m[1]] = seconds.ReplaceAllString(m[2], "</tr>")
	}
	return all
}

// printed is what a command prints.
func printed(t *testing.T, run func() error) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdout
	os.Stdout = f
	err = run()
	os.Stdout = old
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return string(b)
}

// TestReport: the page of a campaign is the one that examples/probe writes on the same
// attacks, from fleet run and from fleet fetch.
func TestReport(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs examples/probe; not in -short")
	}
	dir := t.TempDir()
	probed := filepath.Join(dir, "probe.html")
	cmd := exec.Command("go", "run", "github.com/mettleml/mettle/examples/probe", "-n", "5", "-budget", "150", "-attack", "square,hopskipjump", "-report", probed)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("probe: %v\n%s", err, out)
	}
	data, err := filepath.Abs("../../../../examples/internal/datasets/digits")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "digits.json")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(reported, "t10k", data+"/t10k")), 0o644); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(dir, "fleet.html")
	if err := run(context.Background(), []string{"-quiet", "-report", page, file}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s, err := server.Start(server.Options{Dir: filepath.Join(dir, "digits.fleet", "server"), Name: "here", Listen: l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fetched := filepath.Join(dir, "fetched.html")
	if err := fetch(context.Background(), []string{"-out", filepath.Join(dir, "out.json"), "-report", fetched, s.URL(), "digits"}); err != nil {
		t.Fatal(err)
	}
	for command, wants := range map[string][]string{
		"status":       {"campaign  digits: square", "10 of 10 done, 0 running, 0 waiting", "queries   1520 paid, no limit", "state     done"},
		"status -json": {`"units":10,"done":10,`, `"paid":1520,`},
		"audit":        {"10 of 10 units done; 1520 queries announced, 1520 answered; 1520 settled or reserved\n"},
	} {
		words := strings.Fields(command)
		out := printed(t, func() error {
			return map[string]func(context.Context, []string) error{"status": status, "audit": audit}[words[0]](context.Background(), append(words[1:], s.URL(), "digits"))
		})
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%s lacks %q:\n%s", command, want, out)
			}
		}
	}
	want, got := sections(t, probed), sections(t, page)
	for title, text := range sections(t, fetched) {
		if text != got[title] {
			t.Errorf("fetched, %s is\n%.600s\nnot\n%.600s", title, text, got[title])
		}
	}
	for _, title := range []string{"Result", "Attacks on labels", "Success against queries", "Distance against queries", "Images", "Each image", "Settings of the attacks"} {
		if want[title] == "" || got[title] != want[title] {
			t.Errorf("%s is\n%.600s\nthat of probe is\n%.600s", title, got[title], want[title])
		}
	}
	if p := got["Protocol"]; !strings.Contains(p, "net4, 10 classes") || !strings.Contains(p, "5 of "+data) {
		t.Errorf("protocol: %s", p)
	}
	if err := run(context.Background(), []string{"-quiet", "-report", filepath.Join(dir, "nowhere", "x.html"), file}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a page that cannot be written: %v", err)
	}
}

// TestFindings: attacks of the same kind have names of their own, what is not finished or
// was not attacked is told, and so is what autoattack left standing.
func TestFindings(t *testing.T) {
	c := &fleet.Contents{Victim: zoo.Info{Name: "v", Shape: []int{1, 2, 2}, Classes: 10}}
	c.File.Attacks = []attack.Spec{{Attack: "square"}, {Attack: "square"}, {Attack: "meta", Preset: "frugal"}, {Attack: "boundary"}, {Attack: "autoattack"}}
	c.File.Samples.Folder = "pictures"
	var all []*attack.Result
	for range c.File.Attacks {
		all = append(all, &attack.Result{Options: json.RawMessage(`{}`), Intents: 12, Answers: 10, Records: []attack.Record{
			{Index: 0, Target: -1, Stop: attack.StopBudget, Queries: 9}, {Index: 1, Target: -1}, {Index: 2, Target: -1, Stop: attack.StopSkipped, Clean: 1}}})
	}
	f, err := findings(c, all)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range f.Results {
		names = append(names, r.Attack)
	}
	if got := strings.Join(names, " "); got != "square square-2 meta-frugal boundary autoattack" {
		t.Errorf("names: %s", got)
	}
	if !f.Labels["boundary"] || f.Labels["square"] {
		t.Errorf("attacks on labels: %v", f.Labels)
	}
	notes := strings.Join(f.Notes, "\n")
	for _, want := range []string{"square-2: 1 of 3 images are not finished", "boundary: of 12 queries sent 2 were not answered"} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q:\n%s", want, notes)
		}
	}
	if want := "3 of pictures, the same for every attack; the victim was wrong on 1 of them"; !strings.Contains(f.Images, want) {
		t.Errorf("images: %s", f.Images)
	}
	if want := "60 in all: 45 by the attacks, 5 to check clean images before them"; !strings.HasPrefix(f.Spent, want) {
		t.Errorf("spent: %s", f.Spent)
	}
	if r := f.Robust; r == nil || r.Samples != 2 || r.Clean != 0.5 {
		t.Errorf("robustness: %+v", r)
	}
	if all[0].Attack != "" || len(all[0].Records) != 3 {
		t.Error("the results themselves were changed")
	}
	f.Samples = make([]attack.Sample, 3)
	if _, err := f.Page(); err != nil {
		t.Error(err)
	}
}
