package report

import (
	"os"
	"path/filepath"
	"testing"
)

// Pages and charts replace files whole: a full disk leaves the old one.
func TestWritesReplaceFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for name, write := range map[string]func(path string) error{
		"page":  (&Page{Title: "t"}).Write,
		"chart": (&Chart{Title: "t", Series: []Series{{Name: "s", X: []float64{0, 1}, Y: []float64{0, 1}}}}).Write,
	} {
		var files [2]os.FileInfo
		for i := range files {
			if err := write(path); err != nil {
				t.Fatal(err)
			}
			var err error
			if files[i], err = os.Stat(path); err != nil || files[i].Size() == 0 {
				t.Fatalf("%v (%v)", files[i], err)
			}
		}
		if os.SameFile(files[0], files[1]) {
			t.Errorf("a %s is written over the old one", name)
		}
	}
}
