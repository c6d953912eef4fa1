package command

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestParse: flags may stand before, between and behind arguments, whatever those look
// like, and the number of arguments is checked.
func TestParse(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"nats://h:1", "[nats://h:1] -"},
		{"nats://h:1 name", "[nats://h:1 name] -"},
		{"-token a nats://h:1 name", "[nats://h:1 name] a"},
		{"nats://h:1 -token secret", "[nats://h:1] secret"},
		{"nats://h:1 name -token a:b -json", "[nats://h:1 name] a:b"},
		{"nats://h:1 -json name", "[nats://h:1 name] -"},
		{"", "1 to 2 arguments are wanted, and 0 are there"},
		{"a b c -json", "1 to 2 arguments are wanted, and 3 are there"},
	} {
		fs := flag.NewFlagSet("x", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		token := fs.String("token", "-", "")
		fs.Bool("json", false, "")
		got := ""
		if err := Parse(fs, strings.Fields(c.args), 1, 2); err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprint(fs.Args(), " ", *token)
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.args, got, c.want)
		}
	}
}
