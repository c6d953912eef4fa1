package tensor

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// allocated returns the bytes that f allocates in all, kept or not: an upper
// bound of the memory it needs.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// TestDecoderMemory holds both decoders to 4 times the data, 32 times the header
// and 1 MiB.
func TestDecoderMemory(t *testing.T) {
	const n = 1 << 22
	zeros := make([]byte, n)
	npy := func(descr string, fortran bool, shape string) []byte {
		order := "False"
		if fortran {
			order = "True"
		}
		return npyFile("{'descr': '"+descr+"', 'fortran_order': "+order+", 'shape': ("+shape+")}", zeros...)
	}
	many := func(n int, f func(i int) string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(f(i))
		}
		return b.String()
	}
	open := func(header string, data ...byte) (int, int, []byte) {
		return len(header), len(data), safetensorsFile(header, data...)
	}
	type file struct {
		name         string
		header, data int
		read         func() error
	}
	var files []file
	for name, b := range map[string][]byte{
		"npy u1": npy("|u1", false, "4194304,"), "npy u1 fortran": npy("|u1", true, "2048, 2048"),
		"npy f2": npy("<f2", false, "2097152,"), "npy f8": npy(">f8", true, "1024, 512"),
		"npy that ends early": npy("<f4", false, "4194304,"), "npy of 2^60 bytes": npy("<f4", false, "288230376151711744,"),
	} {
		files = append(files, file{name, 80, n, func() error { _, err := ReadNPY(bytes.NewReader(b)); return err }})
		if !strings.Contains(name, "u1") {
			files = append(files, file{name + ", streamed", 80, n, func() error { _, err := ReadNPY(io.MultiReader(bytes.NewReader(b))); return err }})
		}
	}
	claim := npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}", 1, 2, 3)
	files = append(files, file{"npy claim, streamed", 80, 3, func() error { _, err := ReadNPY(io.MultiReader(bytes.NewReader(claim))); return err }})
	for name, header := range map[string]string{
		"entries": "{" + many(20000, func(i int) string {
			return fmt.Sprintf(`"%x":{"dtype":"F8","shape":[0],"data_offsets":[0,0]}`, i)
		}) + "}",
		"metadata":         `{"__metadata__":{` + many(60000, func(i int) string { return fmt.Sprintf(`"%x":""`, i) }) + "}}",
		"escaped metadata": `{"__metadata__":{` + many(60000, func(i int) string { return fmt.Sprintf(`"\n%x":""`, i) }) + "}}",
		"dimensions": "{" + many(3000, func(i int) string {
			return fmt.Sprintf(`"%x":{"dtype":"F8","shape":[%s],"data_offsets":[0,0]}`, i, many(64, func(int) string { return "0" }))
		}) + "}",
		"long name":  `{"` + strings.Repeat("n", n) + `":{}}`,
		"escapes":    `{"` + strings.Repeat(`\n`, n/2) + `":{}}`,
		"nested":     strings.Repeat("{", n),
		"long shape": `{"x":{"shape":[` + many(n/2, func(int) string { return "1" }) + "]}}",
		"unended":    `{"` + strings.Repeat(" ", n),
	} {
		h, d, b := open(header)
		files = append(files, file{name, h, d, func() error { _, err := openBytes(b); return err }})
	}
	h, d, b := open(`{"x":{"dtype":"U8","shape":[4194304],"data_offsets":[0,4194304]}}`, zeros...)
	files = append(files, file{"bytes", h, d, func() error {
		s, err := openBytes(b)
		if err == nil {
			_, err = s.Load("x")
		}
		return err
	}})
	for _, f := range files {
		var err error
		got := allocated(func() { err = f.read() })
		limit := 4*f.data + 32*f.header + 1<<20
		t.Logf("%-28s %9d of %9d bytes (%.60v)", f.name, got, limit, err)
		if got > limit {
			t.Errorf("%s: %d bytes for %d of data and %d of header, the limit is %d", f.name, got, f.data, f.header, limit)
		}
	}
}
