//go:build linux

package fleet_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack/fleet"
	"github.com/mettleml/mettle/attack/fleet/server"
)

// A network joins namespaces, one for each machine, by a bridge.
type network struct {
	t    *testing.T
	name string
	net  string // of the addresses
}

// networks are those that this process has made.
var networks atomic.Int64

// newNetwork makes namespaces for n machines, or skips the test where it may not. The
// test's own processes are at address 0.
func newNetwork(t *testing.T, n int) *network {
	t.Helper()
	k := int(networks.Add(1))
	w := &network{t, fmt.Sprintf("mt%d-%d", syscall.Getpid()%10000, k), fmt.Sprintf("10.213.%d", (syscall.Getpid()+k)%256)}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("there is no ip command")
	}
	t.Cleanup(func() {
		for i := range n {
			exec.Command("ip", "netns", "del", w.ns(i+1)).Run()
		}
		exec.Command("ip", "link", "del", w.name).Run()
	})
	try := func(args ...string) error {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	if err := try("link", "add", w.name, "type", "bridge"); err != nil {
		t.Skipf("no network can be made here: %v", err)
	}
	must := func(args ...string) {
		t.Helper()
		if err := try(args...); err != nil {
			t.Skipf("no network can be made here: %v", err)
		}
	}
	must("addr", "add", w.addr(0)+"/24", "dev", w.name)
	must("link", "set", w.name, "up")
	for i := 1; i <= n; i++ {
		must("netns", "add", w.ns(i))
		must("link", "add", w.link(i), "type", "veth", "peer", "name", "eth0", "netns", w.ns(i))
		must("link", "set", w.link(i), "master", w.name, "up")
		must("-n", w.ns(i), "addr", "add", w.addr(i)+"/24", "dev", "eth0")
		must("-n", w.ns(i), "link", "set", "eth0", "up")
		must("-n", w.ns(i), "link", "set", "lo", "up")
	}
	return w
}

func (w *network) ns(i int) string   { return fmt.Sprintf("%sn%d", w.name, i) }
func (w *network) link(i int) string { return fmt.Sprintf("%sv%d", w.name, i) }
func (w *network) addr(i int) string { return fmt.Sprintf("%s.%d", w.net, i+1) }
func (w *network) in(i int) []string { return []string{"ip", "netns", "exec", w.ns(i)} }

// cut makes machine i deaf to machine j and the other way round, by routes to nowhere.
func (w *network) cut(i int, from ...int) {
	for _, j := range from {
		w.route(i, "add", j)
		w.route(j, "add", i)
	}
}

func (w *network) mend(i int, from ...int) {
	for _, j := range from {
		w.route(i, "del", j)
		w.route(j, "del", i)
	}
}

func (w *network) route(i int, what string, j int) {
	args := []string{"-n", w.ns(i), "route", what, "blackhole", w.addr(j) + "/32"}
	if i == 0 {
		args = args[2:]
	}
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		w.t.Errorf("ip %v: %v: %s", args, err, out)
	}
}

// lose makes packets of machine i to machine j vanish, and only those: they are sent to an
// address of the link that nobody has.
func (w *network) lose(i int, to ...int) {
	for _, j := range to {
		w.neighbour(i, j, "replace", "lladdr", "02:00:5e:00:00:01", "nud", "permanent")
	}
}

func (w *network) find(i int, to ...int) {
	for _, j := range to {
		w.neighbour(i, j, "del")
	}
}

func (w *network) neighbour(i, j int, what string, more ...string) {
	args := append([]string{"-n", w.ns(i), "neigh", what, w.addr(j), "dev", "eth0"}, more...)
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		w.t.Errorf("ip %v: %v: %s", args, err, out)
	}
}

// A divided campaign runs on machines 1 to 3, which are servers, 4 and 5, which are
// workers, and 6, the victim, whose network a test cuts.
type divided struct {
	*chaos
	w    *network
	want []string // records
	need int64    // queries
}

const dividedLimit = 100000

func newDivided(t *testing.T) *divided {
	if testing.Short() {
		t.Skip("starts processes; not in -short")
	}
	t.Parallel()
	w := newNetwork(t, 6)
	va := victimArgs{Addr: w.addr(6) + ":80", Delay: 8 * time.Millisecond}
	v := &victim{t, "http://" + va.Addr, start(t, "victim", "victim", va, w.in(6)...)}
	waitFor(t, 20*time.Second, "the victim", func() error { return dial(va.Addr) })
	samples := 8
	if long() {
		samples = 40
	}
	file := campaign(t, samples, v.url(), slowly, func(f *fleet.File) { f.Limit = dividedLimit })
	local := *file
	local.Victim.URL, local.Victim.Identity = startVictim(t, victimArgs{}).url(), v.url()
	want, need := undisturbed(t, &local)

	x := &chaos{t: t, v: v, kills: map[string]int{}, r: rand.New(rand.NewPCG(1, 1))}
	x.s = &servers{t: t, procs: make([]*process, 3), before: [][]string{w.in(1), w.in(2), w.in(3)}}
	dir := t.TempDir()
	var urls, routes []string
	for i := range 3 {
		urls = append(urls, "nats://"+w.addr(i+1)+":4222")
		routes = append(routes, w.addr(i+1)+":6222")
	}
	x.s.url = strings.Join(urls, ",")
	for i := range 3 {
		x.s.options = append(x.s.options, server.Options{Dir: filepath.Join(dir, fmt.Sprint("s", i)), Name: fmt.Sprint("s", i),
			Listen: w.addr(i+1) + ":4222", Cluster: routes[i], Routes: routes})
		x.s.start(i)
	}
	ctx := context.Background()
	f, err := fleet.Open(ctx, fleet.OpenOptions{Connection: fleet.Connection{URL: x.s.url}, Create: true, Log: func(string, ...any) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	x.f = f
	if _, err := f.Submit(ctx, file); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		x.workers = append(x.workers, start(t, fmt.Sprint("worker", i), "worker", workerArgs{URL: x.s.url, Name: fmt.Sprint("w", i),
			Journal: filepath.Join(dir, fmt.Sprint("j", i)), Units: chaosUnits, AckWait: chaosAckWait}, w.in(4+i)...))
	}
	return &divided{x, w, want, need}
}

// leading is the server that leads the logs, and the others, by their machines.
func (d *divided) leading() (leader int, others []int) {
	l := d.leader() + 1
	return l, []int{1 + l%3, 1 + (l+1)%3}
}

// finish waits until the campaign is done and compares it with one of one process. There
// were so many events, at each of which all units under way may ask a call again, and so
// many at which a worker cannot reach the victim and sends each call up to five times.
func (d *divided) finish(events, unanswered int) {
	d.t.Helper()
	finish(d.t, d.f, 3*time.Minute)
	intents, answers := same(d.t, d.f, d.want)
	paid := d.v.paid()
	d.t.Logf("%d intents, %d answers, %d paid; one process needs %d", intents, answers, paid, d.need)
	if answers != d.need || paid < answers || intents < paid {
		d.t.Errorf("%d intents, %d answers, %d paid; one process needs %d", intents, answers, paid, d.need)
	}
	if most := int64((events*2 + unanswered*5) * chaosUnits * chaosBudget); paid-d.need > most {
		d.t.Errorf("%d paid beyond the need, at most %d were under way", paid-d.need, most)
	}
}

// TestPartitions: a worker is cut from the servers, a worker from the victim, the leader
// from the other servers; and a worker is stopped for longer than the queue waits for it.
func TestPartitions(t *testing.T) {
	d := newDivided(t)
	rounds := 1
	if long() {
		rounds = 6
	}
	for range rounds {
		time.Sleep(700 * time.Millisecond)
		d.w.cut(4, 1, 2, 3)
		time.Sleep(4 * time.Second)
		d.w.mend(4, 1, 2, 3)
		d.w.cut(5, 6)
		time.Sleep(3 * time.Second)
		d.w.mend(5, 6)
		l, others := d.leading()
		d.w.cut(l, others...)
		time.Sleep(4 * time.Second)
		d.w.mend(l, others...)
		d.workers[0].signal(syscall.SIGSTOP)
		time.Sleep(2*chaosAckWait + time.Second)
		d.workers[0].signal(syscall.SIGCONT)
		d.watch(dividedLimit)
	}
	d.finish(4*rounds, rounds)
}

// TestOneWayPartitions: packets are lost in one direction only. A worker hears the servers,
// and they do not hear it, and the other way round; the victim hears a worker, which does
// not hear its answers, and so pays for nothing; the leader hears the other servers, and
// they do not hear it, and the other way round.
func TestOneWayPartitions(t *testing.T) {
	d := newDivided(t)
	rounds := 1
	if long() {
		rounds = 4
	}
	hold := func() { time.Sleep(chaosAckWait + 2*time.Second) }
	for range rounds {
		time.Sleep(500 * time.Millisecond)
		d.w.lose(4, 1, 2, 3)
		d.w.lose(6, 5)
		hold()
		d.w.find(4, 1, 2, 3)
		d.w.find(6, 5)
		for _, s := range []int{1, 2, 3} {
			d.w.lose(s, 4)
		}
		hold()
		for _, s := range []int{1, 2, 3} {
			d.w.find(s, 4)
		}
		l, others := d.leading()
		d.w.lose(l, others...)
		hold()
		d.w.find(l, others...)
		l, others = d.leading()
		for _, s := range others {
			d.w.lose(s, l)
		}
		hold()
		for _, s := range others {
			d.w.find(s, l)
		}
		d.watch(dividedLimit)
	}
	d.finish(5*rounds, rounds)
}
