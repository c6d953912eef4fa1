package report

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// looks is what a browser finds on the page.
const looks = `<script>
const $ = s => [...document.querySelectorAll(s)], box = e => e.getBoundingClientRect();
const shown = [...$(".plot")[0].querySelectorAll(".x")].filter(e => box(e).width > 0).map(box).sort((a, b) => a.left - b.left);
const heads = $("table.sortable th button"), column = k => $("table.sortable tbody tr").map(r => r.cells[k].textContent);
heads[1].click();
const down = column(1).join();
heads[1].click();
const up = column(1).join();
heads[0].click();
const names = column(0).join();
$(".zoom")[0].click();
document.title = JSON.stringify({
  over: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  font: Math.min(...$(".plot span, .legend li").map(e => parseFloat(getComputedStyle(e).fontSize))),
  ticks: shown.length, near: Math.min(...shown.slice(1).map((b, i) => b.left - shown[i].right)),
  plot: box($(".plot")[0]).width, text: $(".plot .yname").every(e => box(e).left >= 0),
  light: parseInt(getComputedStyle(document.body).backgroundColor.match(/\d+/)[0]),
  down, up, names, dialog: $("dialog")[0].open, big: box($("dialog img")[0]).width,
  help: $("th[title]").length + 10 * $(".help dt").length, files: $("a[download]").map(a => a.download + " " + atob(a.href.split(",")[1])).join(),
});
</script>`

type look struct {
	Over, Font, Near, Plot, Light, Big float64
	Ticks, Help                        int
	Text, Dialog                       bool
	Down, Up, Names, Files             string
}

func samplePage(t *testing.T) *Page {
	c := &Chart{Title: "success within 0.3", X: "queries", Y: "share of images", LogX: true, YMax: 1}
	for i := range 9 {
		s := Series{Name: fmt.Sprintf("attack-%d with a long name", i), Step: true}
		for q := 1.0; q <= 20000; q *= 1.3 {
			s.X, s.Y = append(s.X, q), append(s.Y, min(1, q/float64(900*(i+1))))
		}
		c.Series = append(c.Series, s)
	}
	x := tensor.New(3, 8, 8)
	pic, err := NewPicture("original: 3", x)
	if err != nil {
		t.Fatal(err)
	}
	return &Page{
		Title: "Probing a-victim-with-a-rather-long-name", Lead: "3 images, untargeted.",
		Summary: []string{"The victim falls to every attack."},
		Files:   []File{NewFile("records.json", "application/json", []byte(`[]`)), NewFile("records.csv", "text/csv", []byte("a,b\n"))},
		Sections: []Section{
			{Title: "Result", Table: &Table{Head: []string{" attack", "queries", "L2", "[95 %]", "[95 %]", "c", "d", "e", "f", "g", "h"}, Help: map[string]string{"queries": "up to the first success", "[95 %]": "an interval"},
				Rows: [][]string{{"b2", "9", "–"}, {"b10", "1200", "0.1"}, {"a", "–", "2"}, {"c", "−3", "1"}}}},
			{Title: "Curves", Chart: c},
			{Title: "Negative", Chart: &Chart{Title: "cosines", X: "epoch", Y: "cosine", Series: []Series{{Name: "tail", X: []float64{0, 10}, Y: []float64{-0.4, 0.3}}}}},
			{Title: "Pictures", Folded: true, Tiles: []Tile{{Title: "one", Pictures: []Picture{pic, pic, pic, pic, pic}}}},
			{Title: "Protocol", Facts: []Fact{{"victim", strings.Repeat("long", 40)}}},
		},
	}
}

// The page in Chromium, on a telephone, a tablet and a wide screen, light and dark:
// nothing sticks out, words keep their size and do not touch, tables sort, pictures grow,
// files are there.
func TestBrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	path := filepath.Join(t.TempDir(), "page.html")
	if err := samplePage(t).Write(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?:src|href)="(?:https?:)?//`).Find(b); m != nil {
		t.Errorf("the page asks the network: %s", m)
	}
	if err := os.WriteFile(path, append(b, looks...), 0o600); err != nil {
		t.Fatal(err)
	}
	var narrow, wide float64
	for _, c := range []struct {
		width int
		dark  bool
	}{{500, false}, {900, false}, {1600, false}, {900, true}} {
		args := []string{"--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + t.TempDir(), fmt.Sprintf("--window-size=%d,900", c.width), "--dump-dom", "file://" + path}
		if c.dark {
			args = append([]string{"--blink-settings=preferredColorScheme=0"}, args...)
		}
		out, err := exec.Command(browser, args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`<title>(\{.*?\})</title>`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("width %d: the script of the page failed", c.width)
		}
		var l look
		if err := json.Unmarshal(m[1], &l); err != nil {
			t.Fatal(err)
		}
		if c.width == 500 {
			narrow = l.Plot
		}
		if c.width == 1600 {
			wide = l.Plot
		}
		if l.Over > 0 || l.Font < 11 || l.Ticks < 5 || l.Near < 2 || !l.Text {
			t.Errorf("width %d: %+v", c.width, l)
		}
		if l.Down != "1200,9,−3,–" || l.Up != "−3,9,1200,–" || l.Names != "a,b2,b10,c" {
			t.Errorf("sorted: %q, %q, %q", l.Down, l.Up, l.Names)
		}
		if !l.Dialog || l.Big < 300 || l.Help != 23 || l.Files != "records.json [],records.csv a,b\n" {
			t.Errorf("width %d: %+v", c.width, l)
		}
		if (l.Light < 100) != c.dark {
			t.Errorf("dark %v: the background has brightness %v", c.dark, l.Light)
		}
	}
	if wide < 2*narrow {
		t.Errorf("the chart is %v wide on a wide screen and %v on a narrow one", wide, narrow)
	}
}
