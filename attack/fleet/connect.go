package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Durability is what a server says of how it keeps its data, to who asks on
// [DurabilitySubject].
type Durability struct {
	Server     string `json:"server"`
	SyncAlways bool   `json:"sync_always"`
	Clustered  bool   `json:"clustered"`
	// Trouble is why the server cannot write, until it is started again; "": it can.
	Trouble string `json:"trouble,omitempty"`
}

// DurabilitySubject is the subject on which servers answer how they keep their data, by a
// [Durability].
const DurabilitySubject = "mettle.durability"

// Connection says how to reach the servers.
type Connection struct {
	URL         string // of one or several servers, with commas between them
	Token       string
	Credentials string // a credentials file
	CAFile      string // of the authority of the servers' certificates
	CertFile    string // of this client
	KeyFile     string
	// Monitor are the monitoring addresses of servers that are not mettle's own, from
	// which it is seen whether they sync always.
	Monitor []string
	// Unsafe allows servers that do not sync always, or too few replicas.
	Unsafe bool
	Name   string // of this client, for the servers' logs

	// InProcess is a server in this process, to be connected to instead of URL.
	InProcess nats.InProcessConnProvider
}

// Connect connects to the servers. It gives up after some seconds; a connection that was
// made once is made again for ever.
func (c Connection) Connect(ctx context.Context) (*nats.Conn, error) {
	opts := []nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, time.Second),
		nats.Name(c.Name), nats.Timeout(3 * time.Second), nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2)}
	if c.InProcess != nil {
		opts = append(opts, nats.InProcessServer(c.InProcess))
	}
	if c.Token != "" {
		opts = append(opts, nats.Token(c.Token))
	}
	if c.Credentials != "" {
		if _, err := os.Stat(c.Credentials); err != nil {
			return nil, fmt.Errorf("fleet: credentials: %w", err)
		}
		opts = append(opts, nats.UserCredentials(c.Credentials))
	}
	if c.CAFile != "" {
		opts = append(opts, nats.RootCAs(c.CAFile))
	}
	if c.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
			return nil, fmt.Errorf("fleet: %w", err)
		}
		opts = append(opts, nats.ClientCert(c.CertFile, c.KeyFile))
	}
	var err error
	for try := 0; try < 8; try++ {
		var nc *nats.Conn
		if nc, err = nats.Connect(c.URL, opts...); err == nil {
			return nc, nil
		}
		if errors.Is(err, nats.ErrAuthorization) || strings.Contains(err.Error(), "Authorization") {
			return nil, fmt.Errorf("fleet: the server at %s does not accept these credentials (-token or -credentials): %w", c.URL, err)
		}
		if perr := Pause(ctx, try+6); perr != nil {
			break
		}
	}
	return nil, fmt.Errorf("fleet: no server at %s: %w; is the address right, does fleet serve run there, and does it use TLS (-ca)?", c.URL, err)
}
