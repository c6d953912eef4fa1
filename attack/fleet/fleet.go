package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/zoo"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Fleet is a connection to the servers that campaigns are kept on.
type Fleet struct {
	Store   Store
	Objects Objects

	nc     *nats.Conn
	stream *JetStream // with the queue
}

// OpenOptions say how a fleet is opened.
type OpenOptions struct {
	Connection
	// Create makes the streams if they are missing, three replicas of each where the
	// servers are a cluster.
	Create bool
	// Store keeps logs and documents instead of JetStream, which then keeps the queue and
	// the objects only.
	Store Store
	Log   func(format string, args ...any) // nil: nothing is said
}

// Open connects to the servers, and refuses those that may forget what they have
// acknowledged.
func Open(ctx context.Context, o OpenOptions) (*Fleet, error) {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	nc, err := o.Connect(ctx)
	if err != nil {
		return nil, err
	}
	f, err := open(ctx, nc, o)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return f, nil
}

func open(ctx context.Context, nc *nats.Conn, o OpenOptions) (*Fleet, error) {
	clustered := nc.ConnectedClusterName() != ""
	if o.Create {
		if err := create(ctx, nc, o, clustered); err != nil {
			return nil, err
		}
	}
	said := newSaying(o.Log)
	f := &Fleet{nc: nc}
	var err error
	for try := 0; ; try++ {
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		f.stream, err = NewJetStream(short, nc, func(err error) { said.say("the servers: %v; trying again", err) })
		cancel()
		if err == nil {
			break
		}
		if !transient(err) || errors.Is(err, ErrNoFleet) || try == 20 {
			return nil, err
		}
		if perr := Pause(ctx, try+6); perr != nil {
			return nil, errors.Join(perr, err)
		}
	}
	f.Store, f.Objects = f.stream, f.stream
	if o.Store != nil {
		f.Store = o.Store
	}
	if !o.Unsafe {
		if err := f.checkDurability(ctx, o.Monitor, clustered); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// create makes the streams. A cluster that has just begun takes some seconds to agree.
func create(ctx context.Context, nc *nats.Conn, o OpenOptions, clustered bool) error {
	replicas := 1
	switch {
	case o.Unsafe:
		replicas = 0
	case clustered:
		replicas = 3
	}
	var err error
	for try := range 20 {
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		err = CreateStreams(short, nc, replicas)
		cancel()
		if err == nil {
			return nil
		}
		if !transient(err) && !noPeers(err) {
			break
		}
		if perr := Pause(ctx, try+8); perr != nil {
			return errors.Join(perr, err)
		}
	}
	if noPeers(err) {
		return fmt.Errorf("fleet: a cluster needs three servers that reach each other, so that one may fail: start the others, or allow fewer replicas by -unsafe: %w", err)
	}
	return fmt.Errorf("fleet: making the streams: %w", err)
}

// noPeers reports whether a cluster has too few servers for three replicas, or to agree on
// anything.
func noPeers(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == 10005 || api.ErrorCode == 10008)
}

// checkDurability refuses servers that keep the logs and may forget what they
// acknowledged. Most of them must say how they keep their data; one may be down.
func (f *Fleet) checkDurability(ctx context.Context, monitor []string, clustered bool) error {
	info, err := f.stream.logs.Info(ctx)
	if err != nil {
		return explain(err)
	}
	if clustered && info.Config.Replicas < 3 {
		return fmt.Errorf("fleet: the servers are a cluster, and their streams have %d replicas: three are needed, so that one may fail; -unsafe allows it", info.Config.Replicas)
	}
	holders := []string{f.nc.ConnectedServerName()}
	if c := info.Cluster; c != nil && c.Leader != "" {
		holders = []string{c.Leader}
		for _, r := range c.Replicas {
			holders = append(holders, r.Name)
		}
	}
	servers := map[string]Durability{}
	for _, address := range monitor {
		d, err := monitored(ctx, address)
		if err != nil {
			return fmt.Errorf("fleet: monitoring at %s: %w", address, err)
		}
		servers[d.Server] = d
	}
	silent := ""
	for try := range 30 { // servers may have started a moment ago
		if err := askDurability(f.nc, servers); err != nil {
			return err
		}
		known := 0
		for _, name := range holders {
			d, ok := servers[name]
			switch {
			case !ok:
				silent = name
			case !d.SyncAlways:
				return fmt.Errorf("fleet: server %s does not flush every write: if it loses power, it forgets what it has acknowledged, by default of two minutes, and queries are paid for twice; set sync_interval: always in its jetstream block, or allow it by -unsafe", name)
			default:
				known++
			}
		}
		if known > len(holders)/2 {
			return nil
		}
		if (len(monitor) > 0 || !clustered) && try > 3 {
			break
		}
		if err := Pause(ctx, 8); err != nil {
			return err
		}
	}
	return fmt.Errorf("fleet: server %s does not tell whether it flushes every write: start it by fleet serve, give the address of its monitoring by -monitor, or allow it by -unsafe", silent)
}

// askDurability asks the servers that are ours how they keep their data.
func askDurability(nc *nats.Conn, servers map[string]Durability) error {
	inbox := nats.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	defer sub.Unsubscribe()
	if err := nc.PublishRequest(DurabilitySubject, inbox, nil); err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	for end := time.Now().Add(200 * time.Millisecond); ; {
		m, err := sub.NextMsg(time.Until(end))
		if err != nil {
			return nil
		}
		var d Durability
		if len(m.Data) > 0 && json.Unmarshal(m.Data, &d) == nil {
			servers[d.Server] = d
			if !d.Clustered {
				return nil
			}
		}
	}
}

// monitored asks the monitoring of a server.
func monitored(ctx context.Context, address string) (d Durability, err error) {
	get := func(path string, into any) error {
		req, err := http.NewRequestWithContext(ctx, "GET", strings.TrimRight(address, "/")+path, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", path, resp.Status)
		}
		return json.NewDecoder(io.LimitReader(resp.Body, 1<<22)).Decode(into)
	}
	var v struct {
		Name string `json:"server_name"`
	}
	var j struct {
		Config struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
	}
	if err := errors.Join(get("/varz", &v), get("/jsz?config=1", &j)); err != nil {
		return d, err
	}
	return Durability{Server: v.Name, SyncAlways: j.Config.SyncAlways}, nil
}

// Close ends the connection.
func (f *Fleet) Close() { f.nc.Close() }

// Campaigns are the names of all campaigns.
func (f *Fleet) Campaigns(ctx context.Context) ([]string, error) {
	keys, err := f.Store.Documents(ctx, campaignKey(""))
	if err != nil {
		return nil, err
	}
	for i, k := range keys {
		keys[i] = strings.TrimPrefix(k, campaignKey(""))
	}
	slices.Sort(keys)
	return keys, nil
}

// Stop stops a campaign: no worker announces anything more. [Fleet.Submit] lets it go on.
func (f *Fleet) Stop(ctx context.Context, campaign, why string) error {
	_, err := updateMoney(ctx, f.Store, campaign, func(m *Money) (bool, error) {
		if m.Stopped != "" {
			return false, nil
		}
		m.Stopped = why
		return true, nil
	})
	return err
}

// Fetch returns the results of a campaign, one for each attack. Unless partial is set it
// is an error if a unit is not done; with it, the records of those have Stop "".
func (f *Fleet) Fetch(ctx context.Context, campaign string, partial bool) ([]*attack.Result, error) {
	c, d, err := f.describe(ctx, campaign)
	if err != nil {
		return nil, err
	}
	m, err := readMoney(ctx, f.Store, campaign)
	if err != nil {
		return nil, err
	}
	if n := m.Done.count(); n < m.Units && !partial {
		why := ""
		if m.Stopped != "" {
			why = "; it is stopped: " + m.Stopped
		}
		return nil, fmt.Errorf("fleet: campaign %s: %d of %d units are done%s; -partial fetches those", campaign, n, m.Units, why)
	}
	var results []*attack.Result
	for p, b := range d.Plans {
		var plan attack.Plan
		if err := json.Unmarshal(b, &plan); err != nil {
			return nil, fmt.Errorf("fleet: campaign %s: %w", campaign, err)
		}
		units := make([]*attack.UnitResult, len(plan.Units))
		for i, u := range plan.Units {
			units[i] = &attack.UnitResult{Plan: plan.Digest(), Record: &attack.Record{Index: u.Index, Name: u.Name}}
			id := c.unit(p, i)
			if !m.Done.has(id.ordinal) {
				continue
			}
			done, err := f.record(ctx, id)
			if err != nil {
				return nil, err
			}
			units[i].Record, units[i].Seconds, units[i].Sent, units[i].Answered = done.record, done.seconds, done.sent, done.answered
		}
		r, err := plan.Merge(units...)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// behind is how long a server that has fallen behind may show an old state.
const behind = 10 * time.Second

// record reads the end of a unit's log.
func (f *Fleet) record(ctx context.Context, id unitID) (*doneUnit, error) {
	for end := time.Now().Add(behind); ; {
		done, err := f.readRecord(ctx, id)
		if !errors.Is(err, ErrLost) || time.Now().After(end) {
			return done, err
		}
		if perr := Pause(ctx, 8); perr != nil {
			return nil, perr
		}
	}
}

func (f *Fleet) readRecord(ctx context.Context, id unitID) (*doneUnit, error) {
	frames, err := readAll(ctx, f.Store, id.log(), 0)
	if err != nil {
		return nil, err
	}
	l := &unitLog{objects: f.Objects, id: id}
	if done, err := l.replay(ctx, frames); done != nil || err != nil {
		return done, err
	}
	return nil, fmt.Errorf("fleet: log %s has no record, and the campaign says that the unit is done: %w", id.log(), ErrLost)
}

// Contents are what a campaign consists of.
type Contents struct {
	File     File // without what may change: limit, rate
	Victim   zoo.Info
	Platform attack.Platform // of the workers
}

// Contents reads what a campaign consists of. The victim is not asked.
func (f *Fleet) Contents(ctx context.Context, campaign string) (*Contents, error) {
	c, d, err := f.describe(ctx, campaign)
	if err != nil {
		return nil, err
	}
	return &Contents{File: d.File, Victim: d.Victim, Platform: c.Platform}, nil
}

// Samples reads what a campaign attacks.
func (f *Fleet) Samples(ctx context.Context, campaign string) ([]attack.Sample, error) {
	_, d, err := f.describe(ctx, campaign)
	if err != nil {
		return nil, err
	}
	samples := make([]attack.Sample, len(d.Samples))
	for i := range samples {
		if samples[i], err = readSample(ctx, f.Objects, d.Samples[i]); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

// describe reads what a campaign consists of.
func (f *Fleet) describe(ctx context.Context, campaign string) (*Campaign, *description, error) {
	c, err := readCampaign(ctx, f.Store, campaign)
	if err != nil {
		return nil, nil, err
	}
	b, err := f.Objects.Get(ctx, c.Object)
	if err != nil {
		return nil, nil, err
	}
	var d description
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, nil, fmt.Errorf("fleet: campaign %s: %w", campaign, err)
	}
	return c, &d, nil
}
