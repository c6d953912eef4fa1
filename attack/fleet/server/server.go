// Package server runs NATS in the process of a program of package fleet, or on its own: the
// servers that campaigns are kept on, which flush every write to their disks.
package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mettleml/mettle/attack/fleet"
	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// A Server is a NATS server in this process, which flushes every write to its disk.
type Server struct {
	ns      *natsd.Server
	admin   *nats.Conn             // answers who asks how this server keeps its data
	trouble atomic.Pointer[string] // why it cannot write
	fatal   atomic.Pointer[string] // why it did not start
}

// Options say where a server keeps its data and whom it talks to.
type Options struct {
	Dir  string // of its data
	Name string // in its cluster; "": the host's

	// Listen is the address for clients, such as ":4222". "" means that nothing listens:
	// only this process can connect.
	Listen string
	// Cluster is the address for other servers and Routes are theirs, nats://HOST:PORT.
	Cluster string
	Routes  []string
	// Monitor is the address of NATS's monitoring over HTTP; "": none.
	Monitor string

	MaxStore           int64  // bytes of data; 0: three quarters of what is free
	Token              string // that clients must know; "": any client may connect
	CertFile, KeyFile  string // of TLS for clients; "": none
	CAFile             string // of the authority of clients' certificates, which are then required
	ClusterUser        string // that the servers of a cluster must know
	ClusterPassword    string
	Config             string                           // a configuration file of NATS instead of all that but Dir, which it may name
	Log                func(format string, args ...any) `json:"-"`
	UnsafeSyncInterval time.Duration                    // for tests of what happens without SyncAlways; 0: sync always
}

// Start starts a server.
func Start(o Options) (*Server, error) {
	opts, err := o.nats()
	if err != nil {
		return nil, err
	}
	ns, err := natsd.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("fleet: the server: %w", err)
	}
	s := &Server{ns: ns}
	ns.SetLoggerV2(serverLog{s, o.Log}, false, false, false)
	ns.Start()
	wait := 20 * time.Second
	for end := time.Now().Add(wait); !ns.ReadyForConnections(100 * time.Millisecond); {
		if s.fatal.Load() == nil && time.Now().Before(end) {
			continue
		}
		ns.Shutdown()
		if why := s.fatal.Load(); why != nil {
			return nil, fmt.Errorf("fleet: the server: %s", *why)
		}
		return nil, fmt.Errorf("fleet: the server is not ready after %v: are %s and %s free, and is there room at %s?", wait, o.Listen, o.Cluster, o.Dir)
	}
	if err := s.answer(opts); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// nats are the options as NATS knows them.
func (o *Options) nats() (*natsd.Options, error) {
	if o.Config != "" {
		opts, err := natsd.ProcessConfigFile(o.Config)
		if err != nil {
			return nil, fmt.Errorf("fleet: %w", err)
		}
		if !opts.JetStream {
			return nil, fmt.Errorf("fleet: %s does not switch jetstream on", o.Config)
		}
		if !opts.SyncAlways {
			return nil, fmt.Errorf("fleet: %s: a server that loses power forgets what it has not flushed, by default for two minutes: write jetstream { sync_interval: always }", o.Config)
		}
		opts.NoSigs = true
		if opts.StoreDir == "" { // NATS's own choice is a temporary directory
			opts.StoreDir = o.Dir
		}
		return opts, nil
	}
	opts := &natsd.Options{
		ServerName: o.Name, DontListen: o.Listen == "", JetStream: true, StoreDir: o.Dir, SyncAlways: true, JetStreamMaxStore: o.MaxStore,
		NoSigs: true, MaxPayload: 1 << 20, Authorization: o.Token, DisableJetStreamBanner: true,
	}
	if o.UnsafeSyncInterval != 0 {
		opts.SyncAlways, opts.SyncInterval = false, o.UnsafeSyncInterval
	}
	if o.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, err
		}
		opts.ServerName = host
	}
	if o.Log == nil {
		opts.NoLog = true
	}
	var err error
	if o.Listen != "" {
		if opts.Host, opts.Port, err = hostPort(o.Listen); err != nil {
			return nil, err
		}
	}
	if o.Monitor != "" {
		if opts.HTTPHost, opts.HTTPPort, err = hostPort(o.Monitor); err != nil {
			return nil, err
		}
	}
	if o.Cluster != "" {
		c := &opts.Cluster
		if c.Host, c.Port, err = hostPort(o.Cluster); err != nil {
			return nil, err
		}
		c.Name = "mettle"
		c.Username, c.Password = o.ClusterUser, o.ClusterPassword
		c.PoolSize = 3
		for _, r := range o.Routes {
			if !strings.Contains(r, "://") {
				r = "nats://" + r
			}
			u, err := url.Parse(r)
			if err != nil {
				return nil, fmt.Errorf("fleet: route %s: %w", r, err)
			}
			if o.ClusterUser != "" && u.User == nil {
				u.User = url.UserPassword(o.ClusterUser, o.ClusterPassword)
			}
			opts.Routes = append(opts.Routes, u)
		}
	}
	if o.CertFile != "" {
		tc := natsd.TLSConfigOpts{CertFile: o.CertFile, KeyFile: o.KeyFile, CaFile: o.CAFile, Verify: o.CAFile != ""}
		if opts.TLSConfig, err = natsd.GenTLSConfig(&tc); err != nil {
			return nil, fmt.Errorf("fleet: %w", err)
		}
		opts.TLS, opts.TLSTimeout = true, 5
	}
	return opts, nil
}

func hostPort(address string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(address)
	n, perr := strconv.ParseUint(p, 10, 16)
	if err != nil || perr != nil {
		return "", 0, fmt.Errorf("fleet: %q is no address; write HOST:PORT or :PORT", address)
	}
	if n == 0 {
		return host, natsd.RANDOM_PORT, nil
	}
	return host, int(n), nil
}

// serverLog passes on what a server has to say, and sees there whether it can write: NATS
// tells nobody else.
type serverLog struct {
	s   *Server
	log func(format string, args ...any) // nil: nothing is said
}

// unwritten begins what NATS says when a write has failed, after which it writes no more.
const unwritten = "critical write error: "

func (l serverLog) Noticef(string, ...any)   {}
func (l serverLog) Debugf(string, ...any)    {}
func (l serverLog) Tracef(string, ...any)    {}
func (l serverLog) Warnf(f string, a ...any) { l.say(f, a...) }

func (l serverLog) Fatalf(f string, a ...any) {
	text := fmt.Sprintf(f, a...)
	l.s.fatal.CompareAndSwap(nil, &text)
	l.say("%s", text)
}

func (l serverLog) Errorf(f string, a ...any) {
	text := fmt.Sprintf(f, a...)
	if i := strings.Index(strings.ToLower(text), unwritten); i >= 0 {
		why := text[i+len(unwritten):]
		l.s.trouble.CompareAndSwap(nil, &why)
	}
	l.say("%s", text)
}

func (l serverLog) say(f string, a ...any) {
	if l.log != nil {
		l.log("server: "+f, a...)
	}
}

// answer makes the server answer who asks how it keeps its data. A client cannot learn
// that from NATS without an account of the system.
func (s *Server) answer(opts *natsd.Options) error {
	if len(opts.TrustedOperators)+len(opts.Users)+len(opts.Nkeys) > 0 || opts.Username != "" {
		return nil // with accounts of its own: who connects gives a monitoring address instead
	}
	nc, err := (fleet.Connection{InProcess: s, Token: opts.Authorization}).Connect(context.Background())
	if err != nil {
		return err
	}
	s.admin = nc
	_, err = nc.Subscribe(fleet.DurabilitySubject, func(m *nats.Msg) {
		d := fleet.Durability{Server: s.ns.Name(), SyncAlways: opts.SyncAlways, Clustered: opts.Cluster.Port != 0}
		if why := s.trouble.Load(); why != nil {
			d.Trouble = *why
		}
		if b, err := json.Marshal(d); err == nil {
			m.Respond(b)
		}
	})
	if err == nil {
		err = nc.Flush()
	}
	return err
}

// InProcessConn connects to the server from this process.
func (s *Server) InProcessConn() (net.Conn, error) { return s.ns.InProcessConn() }

// URL is the address for clients, "" if nothing listens.
func (s *Server) URL() string {
	if s.ns.Addr() == nil {
		return ""
	}
	return s.ns.ClientURL()
}

// Close stops the server.
func (s *Server) Close() {
	if s.admin != nil {
		s.admin.Close()
	}
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}
