// Package command holds what the programs of package fleet share: their flags for a
// connection, and the worker.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/mettleml/mettle/attack/fleet"
	"github.com/mettleml/mettle/attack/fleet/postgres"
)

// Context ends at Ctrl-C or SIGTERM. A second one ends the program at once.
func Context() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Exit ends the program with the error's message, if there is one.
func Exit(program string, err error) {
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(os.Stderr, "%s: interrupted; the same command goes on from here\n", program)
		os.Exit(130)
	default:
		fmt.Fprintf(os.Stderr, "%s: %s\n", program, strings.TrimPrefix(err.Error(), "fleet: "))
		os.Exit(1)
	}
}

// Logf writes to the standard error.
func Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// Remote are the flags of a connection to servers.
type Remote struct {
	fleet.Connection
	monitor string
	store   string
}

// Flags adds the flags of a connection.
func (r *Remote) Flags(fs *flag.FlagSet) {
	fs.StringVar(&r.Token, "token", os.Getenv("METTLE_FLEET_TOKEN"), "token for the servers; default: $METTLE_FLEET_TOKEN")
	fs.StringVar(&r.Credentials, "credentials", "", "credentials file (.creds) instead of a token")
	fs.StringVar(&r.CAFile, "ca", "", "PEM file of the authority that signed the servers' certificates; with it the connection is TLS")
	fs.StringVar(&r.CertFile, "cert", "", "PEM file of this client's certificate, for servers that require one")
	fs.StringVar(&r.KeyFile, "key", "", "PEM file of its key")
	fs.StringVar(&r.monitor, "monitor", "", "addresses of NATS's monitoring (http://HOST:8222,...), for servers that fleet serve did not start")
	fs.BoolVar(&r.Unsafe, "unsafe", false, "accept servers that may lose acknowledged data: queries may then be paid for twice")
	fs.StringVar(&r.store, "store", "", "keep logs and documents in PostgreSQL (postgres://...) instead of JetStream, which keeps the queue and the objects")
}

// Open connects to the servers at an address.
func (r *Remote) Open(ctx context.Context, address string, create bool) (*fleet.Fleet, func(), error) {
	if r.monitor != "" {
		r.Monitor = strings.Split(r.monitor, ",")
	}
	r.URL = address
	o := fleet.OpenOptions{Connection: r.Connection, Create: create, Log: Logf}
	closing := func() {}
	if r.store != "" {
		s, err := postgres.Open(ctx, r.store)
		if err != nil {
			return nil, nil, err
		}
		o.Store, closing = s, s.Close
	}
	f, err := fleet.Open(ctx, o)
	if err != nil {
		closing()
		return nil, nil, err
	}
	return f, func() { f.Close(); closing() }, nil
}

// Work is the worker's command: flags and an address.
func Work(ctx context.Context, program string, args []string) error {
	fs := flag.NewFlagSet(program, flag.ContinueOnError)
	var r Remote
	r.Flags(fs)
	o := fleet.WorkOptions{Log: Logf}
	fs.StringVar(&o.Name, "name", "", "name of this worker; default: the host's name and the process number")
	fs.IntVar(&o.Units, "units", 0, "units at the same time; 0 means one per processor")
	fs.StringVar(&o.Journal, "journal", "fleet-journal", "directory of the journal on this machine's disk, which prevents paying twice if the servers lose data")
	fs.StringVar(&o.Victim, "victim", "", "address by which this machine reaches the victim, if it differs from the campaign's")
	fs.DurationVar(&o.AckWait, "ack-wait", 0, "time that a worker may be silent before others take over its units, the same for all workers; 0 means 30 s")
	fs.DurationVar(&o.ExitIdle, "exit-idle", 0, "end after this time without work; 0 means never")
	metrics := fs.String("metrics", "", "address to serve metrics for Prometheus on, such as :9464; default: none")
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: %s [flags] ADDRESS\n\nADDRESS is nats://HOST:PORT of a server, or of several with commas between them.\n\n", program)
		fs.PrintDefaults()
	}
	if err := Parse(fs, args, 1, 1); err != nil {
		return err
	}
	f, closing, err := r.Open(ctx, fs.Arg(0), true)
	if err != nil {
		return err
	}
	defer closing()
	w, err := f.NewWorker(o)
	if err != nil {
		return err
	}
	defer w.Close()
	if *metrics != "" {
		stop, err := w.ServeMetrics(*metrics)
		if err != nil {
			return err
		}
		defer stop()
	}
	Logf("worker %s at %s", w.Name(), fs.Arg(0))
	return w.Run(ctx)
}

// Parse parses flags, which may stand behind arguments, and checks that there are as many
// of those as wanted.
func Parse(fs *flag.FlagSet, args []string, least, most int) error {
	var rest []string
	for {
		if err := fs.Parse(args); err != nil {
			return err
		}
		if fs.NArg() == 0 {
			break
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
	if err := fs.Parse(append([]string{"--"}, rest...)); err != nil {
		return err
	}
	if n := fs.NArg(); n < least || n > most {
		fs.Usage()
		want := fmt.Sprint(least)
		if most > least {
			want = fmt.Sprintf("%d to %d", least, most)
		}
		return fmt.Errorf("%s arguments are wanted, and %d are there", want, n)
	}
	return nil
}
