package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mettleml/mettle/attack/fleet"
	"github.com/mettleml/mettle/attack/fleet/internal/command"
	"github.com/mettleml/mettle/attack/fleet/server"
	"github.com/mettleml/mettle/internal/atomicfile"
)

func flags(name, arguments string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: fleet %s [flags] %s\n\n", name, arguments)
		fs.PrintDefaults()
	}
	return fs
}

// run runs a campaign in this process, with a server that nothing listens for.
func run(ctx context.Context, args []string) error {
	fs := flags("run", "CAMPAIGN.json")
	dir := fs.String("dir", "", "directory to keep the campaign in; default: the campaign file's, with .fleet in place of .json")
	out := fs.String("out", "", "file for the results as JSON; default: the campaign file's, with -results.json in place of .json")
	report := fs.String("report", "", reportHelp)
	units := fs.Int("units", 0, "units at a time; 0: as many as there are processors")
	metrics := fs.String("metrics", "", "address to serve metrics for Prometheus on; default: none")
	quiet := fs.Bool("quiet", false, "do not tell how far it is")
	if err := command.Parse(fs, args, 1, 1); err != nil {
		return err
	}
	file, err := fleet.ReadFile(fs.Arg(0))
	if err != nil {
		return err
	}
	stem := strings.TrimSuffix(fs.Arg(0), filepath.Ext(fs.Arg(0)))
	if *dir == "" {
		*dir = stem + ".fleet"
	}
	if *out == "" {
		*out = stem + "-results.json"
	}
	if err := writable(*out, *report); err != nil {
		return err
	}
	s, err := server.Start(server.Options{Dir: filepath.Join(*dir, "server"), Name: "here", Log: command.Logf})
	if err != nil {
		return err
	}
	defer s.Close()
	f, err := fleet.Open(ctx, fleet.OpenOptions{Connection: fleet.Connection{InProcess: s}, Create: true, Log: command.Logf})
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := f.Submit(ctx, file)
	if err != nil {
		return err
	}
	w, err := f.NewWorker(fleet.WorkOptions{
		Name: "here", Units: *units, Journal: filepath.Join(*dir, "journal"), Strict: true, Log: command.Logf,
		AckWait: 5 * time.Second, Until: f.Over(c.Name),
	})
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
	if !*quiet {
		end := progress(ctx, f, c.Name)
		defer end()
	}
	if err := w.Run(ctx); err != nil {
		return err
	}
	done, stopped, err := f.Finished(ctx, c.Name)
	if err != nil {
		return err
	}
	if err := results(ctx, f, c.Name, *out, *report, !done); err != nil {
		return err
	}
	if !done {
		return fmt.Errorf("campaign %s is stopped: %s; what is finished stands in %s", c.Name, stopped, *out)
	}
	return nil
}

// progress keeps a line up to date that tells how far a campaign is.
func progress(ctx context.Context, f *fleet.Fleet, campaign string) (end func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	tick, finish := time.Second, "\n"
	if info, err := os.Stderr.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		tick, finish = 30*time.Second, "" // lines in a file
	}
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(tick):
			}
			s, err := f.Status(ctx, campaign)
			if err != nil {
				continue
			}
			line := fmt.Sprintf("%d of %d units, %d successes, %d queries, %.0f per second", s.Done, s.Units, s.Success, s.Paid, s.Rate)
			if s.Limit > 0 {
				line += fmt.Sprintf(", %d left", s.Left)
			}
			if s.ETA > 0 {
				line += fmt.Sprintf(", about %v to go", time.Duration(s.ETA))
			}
			if finish != "" {
				fmt.Fprintf(os.Stderr, "\r%-100s", line)
			} else {
				fmt.Fprintln(os.Stderr, line)
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
		fmt.Fprint(os.Stderr, finish)
	}
}

const reportHelp = "page to write, as examples/probe does: tables, curves and pictures; default: none"

// writable reports what cannot be written, before it has cost anything.
func writable(paths ...string) error {
	var errs []error
	for _, p := range paths {
		if p != "" {
			errs = append(errs, atomicfile.Check(p))
		}
	}
	return errors.Join(errs...)
}

// results writes and prints what a campaign found.
func results(ctx context.Context, f *fleet.Fleet, campaign, out, report string, partial bool) error {
	all, err := f.Fetch(ctx, campaign, partial)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(out, append(b, '\n')); err != nil {
		return err
	}
	c, err := f.Contents(ctx, campaign)
	if err != nil {
		return err
	}
	found, err := findings(c, all)
	if err != nil {
		return err
	}
	for _, t := range found.Tables() {
		fmt.Printf("%s\n", t.Table)
	}
	for _, n := range append(found.Notes, found.Remarks()...) {
		fmt.Println("note:", n)
	}
	fmt.Printf("queries: %s\nwrote %s\n", found.Spent, out)
	if report == "" {
		return nil
	}
	if found.Samples, err = f.Samples(ctx, campaign); err != nil {
		return err
	}
	page, err := found.Page()
	if err != nil {
		return err
	}
	if err := page.Write(report); err != nil {
		return err
	}
	fmt.Println("wrote", report)
	return nil
}

// serve keeps campaigns.
func serve(ctx context.Context, args []string) error {
	fs := flags("serve", "")
	var o server.Options
	fs.StringVar(&o.Dir, "dir", "fleet-server", "directory of the data")
	fs.StringVar(&o.Name, "name", "", "of this server among those of a cluster; default: the host's")
	fs.StringVar(&o.Listen, "listen", "localhost:4222", "address for clients; :4222 lets other machines connect")
	fs.StringVar(&o.Token, "token", os.Getenv("METTLE_FLEET_TOKEN"), "that clients must know; default: $METTLE_FLEET_TOKEN, and if that is empty any may connect")
	fs.StringVar(&o.CertFile, "cert", "", "PEM file of the server's certificate: clients must use TLS")
	fs.StringVar(&o.KeyFile, "key", "", "PEM file of its key")
	fs.StringVar(&o.CAFile, "client-ca", "", "PEM file of the authority of clients' certificates, which they must have then")
	fs.StringVar(&o.Cluster, "cluster", "", "address for the other servers of a cluster, such as :6222; default: a single server")
	routes := fs.String("routes", "", "cluster addresses of the other servers, HOST:6222,...")
	fs.StringVar(&o.ClusterUser, "cluster-user", "", "that the servers of a cluster must know, with -cluster-password")
	fs.StringVar(&o.ClusterPassword, "cluster-password", os.Getenv("METTLE_FLEET_CLUSTER_PASSWORD"), "default: $METTLE_FLEET_CLUSTER_PASSWORD")
	fs.StringVar(&o.Monitor, "monitor", "", "address of NATS's monitoring over HTTP, such as :8222, which its Prometheus exporter reads")
	fs.StringVar(&o.Config, "config", "", "configuration file of NATS instead of all that, for accounts and credentials files; it must have sync_interval: always")
	if err := command.Parse(fs, args, 0, 0); err != nil {
		return err
	}
	if *routes != "" {
		o.Routes = strings.Split(*routes, ",")
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return errors.New("-cert and -key go together")
	}
	o.Log = command.Logf
	s, err := server.Start(o)
	if err != nil {
		return err
	}
	defer s.Close()
	command.Logf("serving at %s, data in %s", s.URL(), o.Dir)
	if o.Token == "" && o.Config == "" && !strings.HasPrefix(o.Listen, "localhost:") && !strings.HasPrefix(o.Listen, "127.") && o.CAFile == "" {
		command.Logf("anybody who reaches %s can connect: -token, or -cert, -key and -client-ca, would ask who they are", o.Listen)
	}
	<-ctx.Done()
	return nil
}

// submit gives the servers a campaign.
func submit(ctx context.Context, args []string) error {
	fs := flags("submit", "CAMPAIGN.json ADDRESS")
	var r command.Remote
	r.Flags(fs)
	if err := command.Parse(fs, args, 2, 2); err != nil {
		return err
	}
	file, err := fleet.ReadFile(fs.Arg(0))
	if err != nil {
		return err
	}
	f, closing, err := r.Open(ctx, fs.Arg(1), true)
	if err != nil {
		return err
	}
	defer closing()
	c, err := f.Submit(ctx, file)
	if err != nil {
		return err
	}
	n := 0
	for _, k := range c.Units {
		n += k
	}
	fmt.Printf("campaign %s: %d units for workers on %s with %s and kernel set %s\n", c.Name, n, c.Platform.Arch, c.Platform.Go, c.Platform.Kernel)
	return nil
}

// status tells how far campaigns are.
func status(ctx context.Context, args []string) error {
	fs := flags("status", "ADDRESS [CAMPAIGN]")
	var r command.Remote
	r.Flags(fs)
	asJSON := fs.Bool("json", false, "print JSON, a line for each campaign")
	watch := fs.Duration("watch", 0, "print it again and again, so far apart, until the campaign is done")
	if err := command.Parse(fs, args, 1, 2); err != nil {
		return err
	}
	f, closing, err := r.Open(ctx, fs.Arg(0), false)
	if err != nil {
		return err
	}
	defer closing()
	for {
		names := []string{fs.Arg(1)}
		if fs.NArg() == 1 {
			if names, err = f.Campaigns(ctx); err != nil {
				return err
			}
		}
		var text bytes.Buffer
		going := false
		for _, name := range names {
			s, err := f.Status(ctx, name)
			if err != nil {
				return err
			}
			going = going || s.Done < s.Units && s.Stopped == ""
			if *asJSON {
				err = json.NewEncoder(&text).Encode(s)
			} else {
				err = s.Write(&text)
				text.WriteByte('\n')
			}
			if err != nil {
				return err
			}
		}
		if *watch > 0 && !*asJSON {
			fmt.Print("\x1b[H\x1b[2J") // clears the terminal
		}
		os.Stdout.Write(text.Bytes())
		if *watch <= 0 || !going {
			return nil
		}
		select {
		case <-time.After(*watch):
		case <-ctx.Done():
			return nil
		}
	}
}

// fetch gets the results of a campaign.
func fetch(ctx context.Context, args []string) error {
	fs := flags("fetch", "ADDRESS CAMPAIGN")
	var r command.Remote
	r.Flags(fs)
	out := fs.String("out", "", "file for the results as JSON; default: CAMPAIGN-results.json")
	report := fs.String("report", "", reportHelp)
	partial := fs.Bool("partial", false, "also if units are not done; their records have an empty stop")
	if err := command.Parse(fs, args, 2, 2); err != nil {
		return err
	}
	if *out == "" {
		*out = fs.Arg(1) + "-results.json"
	}
	if err := writable(*out, *report); err != nil {
		return err
	}
	f, closing, err := r.Open(ctx, fs.Arg(0), false)
	if err != nil {
		return err
	}
	defer closing()
	return results(ctx, f, fs.Arg(1), *out, *report, *partial)
}

// stopCampaign stops a campaign.
func stopCampaign(ctx context.Context, args []string) error {
	fs := flags("stop", "ADDRESS CAMPAIGN")
	var r command.Remote
	r.Flags(fs)
	if err := command.Parse(fs, args, 2, 2); err != nil {
		return err
	}
	f, closing, err := r.Open(ctx, fs.Arg(0), false)
	if err != nil {
		return err
	}
	defer closing()
	return f.Stop(ctx, fs.Arg(1), "by fleet stop")
}

// audit adds up the logs of a campaign.
func audit(ctx context.Context, args []string) error {
	fs := flags("audit", "ADDRESS CAMPAIGN")
	var r command.Remote
	r.Flags(fs)
	if err := command.Parse(fs, args, 2, 2); err != nil {
		return err
	}
	f, closing, err := r.Open(ctx, fs.Arg(0), false)
	if err != nil {
		return err
	}
	defer closing()
	a, err := f.Audit(ctx, fs.Arg(1))
	if a == nil {
		return err
	}
	fmt.Printf("%d of %d units done; %d queries announced, %d answered; %d settled or reserved", a.Done, a.Units, a.Intents, a.Answers, a.Committed)
	if a.Limit > 0 {
		fmt.Printf(" of %d", a.Limit)
	}
	fmt.Println()
	return err
}
