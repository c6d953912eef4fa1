package server

import (
	"os"
	"path/filepath"
	"testing"

	natsd "github.com/nats-io/nats-server/v2/server"
)

func TestHostPort(t *testing.T) {
	for _, c := range []struct {
		address, host string
		port          int
	}{
		{":4222", "", 4222}, {"localhost:1", "localhost", 1}, {"[::1]:65535", "::1", 65535}, {"h:0", "h", natsd.RANDOM_PORT},
	} {
		host, port, err := hostPort(c.address)
		if err != nil || host != c.host || port != c.port {
			t.Errorf("%s: %q, %d, %v", c.address, host, port, err)
		}
	}
	for _, address := range []string{"", "4222", "h", "h:", "h:-1", "h:65536", "h:4222x", "::1:4222"} {
		if host, port, err := hostPort(address); err == nil {
			t.Errorf("%q is taken for %q, %d", address, host, port)
		}
	}
}

// TestConfigDirectory: a configuration that names no directory for the data keeps them in
// that of the options, not in a temporary one.
func TestConfigDirectory(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "nats.conf")
	for _, c := range []struct{ text, want string }{
		{"jetstream { sync_interval: always }", "given"},
		{"jetstream { sync_interval: always, store_dir: named }", "named"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		opts, err := (&Options{Config: path, Dir: "given"}).nats()
		if err != nil || opts.StoreDir != c.want {
			t.Errorf("%s: the data are in %q, %v; want %q", c.text, opts.StoreDir, err, c.want)
		}
	}
}
