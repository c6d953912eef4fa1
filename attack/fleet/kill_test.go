package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack/fleet"
	"github.com/nats-io/nats.go/jetstream"
)

// A chaos is a campaign whose workers and servers are killed while it is under way.
type chaos struct {
	t       *testing.T
	r       *rand.Rand
	v       *victim
	s       *servers
	f       *fleet.Fleet
	workers []*process
	args    []workerArgs
	kills   map[string]int
}

const (
	chaosUnits   = 2               // of a worker at a time
	chaosCall    = 16              // queries of a call at most
	chaosBudget  = 160             // queries of a unit, and so of a call, at most
	chaosAckWait = 2 * time.Second // of the queue
)

func newChaos(t *testing.T, seed uint64, v *victim, nServers, nWorkers int) *chaos {
	c := &chaos{t: t, r: rand.New(rand.NewPCG(seed, 1)), v: v, s: startServers(t, nServers), kills: map[string]int{}}
	f, err := fleet.Open(context.Background(), fleet.OpenOptions{Connection: fleet.Connection{URL: c.s.url}, Create: true, Log: func(string, ...any) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	c.f = f
	dir := t.TempDir()
	for i := range nWorkers {
		c.args = append(c.args, workerArgs{URL: c.s.url, Name: fmt.Sprint("w", i), Journal: filepath.Join(dir, fmt.Sprint(i)), Units: chaosUnits, AckWait: chaosAckWait})
		c.workers = append(c.workers, nil)
	}
	return c
}

func (c *chaos) startWorker(i int) {
	c.workers[i] = start(c.t, fmt.Sprint("worker", i), "worker", c.args[i])
}

// leader is the number of the server that leads the logs, or a random one if there is none.
func (c *chaos) leader() int {
	nc, err := (fleet.Connection{URL: c.s.url}).Connect(context.Background())
	if err == nil {
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if s, err := js.Stream(ctx, "METTLE_LOG"); err == nil && s.CachedInfo().Cluster != nil {
				for i, o := range c.s.options {
					if o.Name == s.CachedInfo().Cluster.Leader {
						return i
					}
				}
			}
		}
	}
	return c.r.IntN(len(c.s.procs))
}

// killOne kills something by lot and starts it again.
func (c *chaos) killOne() {
	switch p := c.r.IntN(10); {
	case p < 6:
		i := c.r.IntN(len(c.workers))
		c.workers[i].kill()
		c.kills["worker"]++
		c.startWorker(i)
	case p < 9:
		i := c.leader()
		c.s.procs[i].kill()
		c.kills["leader"]++
		time.Sleep(time.Duration(c.r.IntN(300)) * time.Millisecond)
		c.s.start(i)
	default:
		for i := range c.s.procs {
			c.s.procs[i].kill()
		}
		c.kills["all servers"]++
		for i := range c.s.procs {
			c.s.start(i)
		}
	}
}

func (c *chaos) total() (n int) {
	for _, k := range c.kills {
		n += k
	}
	return n
}

// watch compares the counts while the campaign is under way.
func (c *chaos) watch(limit int64) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	before, err := c.f.Audit(ctx, "test")
	if err != nil {
		if ctx.Err() == nil {
			c.t.Errorf("audit: %v", err)
		}
		return
	}
	paid := c.v.paid()
	var after *fleet.Audit
	for { // a server that has fallen behind may not show all that is there
		if after, err = c.f.Audit(ctx, "test"); err != nil {
			if ctx.Err() == nil {
				c.t.Errorf("audit: %v", err)
			}
			return
		}
		if paid <= after.Intents || fleet.Pause(ctx, 8) != nil {
			break
		}
	}
	if !(before.Answers <= paid && paid <= after.Intents && (limit == 0 || after.Intents <= limit)) {
		c.t.Errorf("%d answers, %d paid, %d intents, limit %d", before.Answers, paid, after.Intents, limit)
	}
}

// slowly makes a campaign last: its attacks hardly find anything.
func slowly(f *fleet.File) {
	f.Budget = chaosBudget
	f.Attacks[0].Options = []byte(`{"Eps": 0.02}`)
	f.Attacks[1].Options = []byte(`{"Iterations": 9, "Coordinates": 8}`)
}

// testSeed is a new seed, or the one that a test is to be repeated with.
func testSeed(t *testing.T) uint64 {
	seed := rand.Uint64() >> 32
	if s := os.Getenv("METTLE_FLEET_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("METTLE_FLEET_SEED=%d", seed)
	return seed
}

// TestKills kills workers, leaders and all servers again and again. The campaign ends with
// the records of one process; at any time answers <= paid <= intents, where paid is the
// victim's own count; and no more is paid for than the calls that were under way at each
// kill, nothing if the victim remembers what it was asked.
func TestKills(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not in -short")
	}
	seed := testSeed(t)
	for _, c := range []struct {
		servers, remember int
		short, long       int // kills
		samples           int // that last for the long ones
	}{
		{1, 0, 6, 60, 80}, {3, 0, 6, 80, 150}, {3, 1 << 20, 0, 60, 150},
	} {
		kills := c.short
		samples := 6
		if long() {
			kills, samples = c.long, c.samples
		}
		if kills == 0 {
			continue
		}
		t.Run(fmt.Sprintf("%d servers, %d remembered", c.servers, c.remember), func(t *testing.T) {
			if !long() {
				t.Parallel()
			}
			v := startVictim(t, victimArgs{Delay: 8 * time.Millisecond, Remember: c.remember})
			file := campaign(t, samples, v.url(), slowly)
			quick := startVictim(t, victimArgs{})
			local := *file
			local.Victim.URL, local.Victim.Identity = quick.url(), v.url()
			want, need := undisturbed(t, &local)
			x := newChaos(t, seed, v, c.servers, 3)
			if _, err := x.f.Submit(context.Background(), file); err != nil {
				t.Fatal(err)
			}
			for i := range x.workers {
				x.startWorker(i)
			}
			time.Sleep(time.Second)
			for x.total() < kills && !t.Failed() {
				done, stopped, err := x.f.Finished(context.Background(), "test")
				if err != nil || stopped != "" {
					t.Fatal(err, stopped)
				}
				if done {
					if long() {
						t.Errorf("the campaign was done after %d kills, and %d are wanted", x.total(), kills)
					}
					break
				}
				time.Sleep(time.Duration(x.r.IntN(700)) * time.Millisecond)
				x.killOne()
				if x.total()%10 == 3 {
					x.watch(0)
				}
			}
			finish(t, x.f, 3*time.Minute)
			x.watch(0)
			intents, answers := same(t, x.f, want)
			paid := v.paid()
			t.Logf("kills %v: %d intents, %d answers, %d paid; one process needs %d", x.kills, intents, answers, paid, need)
			if answers != need || paid < answers || intents < paid {
				t.Errorf("%d answers, %d paid, %d intents; one process needs %d", answers, paid, intents, need)
			}
			underWay := int64(x.kills["worker"]*chaosUnits+(x.kills["leader"]+x.kills["all servers"])*chaosUnits*len(x.workers)) * chaosBudget
			if paid-need > underWay {
				t.Errorf("%d queries were paid beyond the %d that are needed, with at most %d under way at the kills", paid-need, need, underWay)
			}
			if c.remember > 0 && paid != need {
				t.Errorf("the victim remembers what it was asked, and counts %d queries where %d are needed", paid, need)
			}
		})
	}
}

// TestLimitUnderKills: a campaign's limit is what is needed, one more or one less, and
// workers and servers are killed. It never spends more. When it is stopped nothing is
// stranded: all that was reserved was announced. With as much more as is missing it
// finishes exactly there, and with one less it does not.
func TestLimitUnderKills(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not in -short")
	}
	seed := testSeed(t)
	samples, kills, sweep := 3, 4, []int64{-1}
	if long() {
		samples, kills, sweep = 12, 14, []int64{-1, 0, 1}
	}
	quick := startVictim(t, victimArgs{})
	for i, d := range sweep {
		t.Run(fmt.Sprintf("need%+d", d), func(t *testing.T) {
			v := startVictim(t, victimArgs{Delay: 8 * time.Millisecond})
			file := campaign(t, samples, v.url(), slowly)
			local := *file
			local.Victim.URL, local.Victim.Identity = quick.url(), v.url()
			want, need := undisturbed(t, &local)
			x := newChaos(t, seed+uint64(i), v, 1+2*(i%2), 3)
			ctx := context.Background()
			submit := func(limit int64) {
				t.Helper()
				file.Limit = limit
				if _, err := x.f.Submit(ctx, file); err != nil {
					t.Fatal(err)
				}
			}
			// ended waits until the campaign is done or stopped for want of money, and
			// compares the counts.
			ended := func() (done bool, a *fleet.Audit) {
				t.Helper()
				waitFor(t, 2*time.Minute, "the campaign", func() error {
					short, cancel := context.WithTimeout(ctx, 10*time.Second)
					defer cancel()
					var stopped string
					var err error
					if done, stopped, err = x.f.Finished(short, "test"); err != nil || done {
						return err
					}
					if stopped == "" {
						return errors.New("it is neither done nor stopped")
					}
					if !strings.HasPrefix(stopped, "the limit is reached") {
						t.Fatal(stopped)
					}
					return nil
				})
				a, err := x.f.Audit(ctx, "test")
				if err != nil {
					t.Fatal(err)
				}
				paid := v.paid()
				t.Logf("limit %d: done %v, %d intents, %d answers, %d paid; one process needs %d; kills %v", a.Limit, done, a.Intents, a.Answers, paid, need, x.kills)
				if a.Answers > paid || paid > a.Intents || a.Intents > a.Limit {
					t.Errorf("%d answers, %d paid, %d intents, limit %d", a.Answers, paid, a.Intents, a.Limit)
				}
				if a.Committed != a.Intents {
					t.Errorf("%d queries are stranded in reservations", a.Committed-a.Intents)
				}
				// What was announced and not answered is wasted, and finishing takes that more.
				if wasted := a.Intents - a.Answers; done && a.Answers != need || done && a.Limit < need+wasted {
					t.Errorf("it is done with a limit of %d after %d answers; one process needs %d", a.Limit, a.Answers, need)
				}
				return done, a
			}
			submit(need + d)
			for i := range x.workers {
				x.startWorker(i)
			}
			time.Sleep(500 * time.Millisecond)
			for x.total() < kills && !t.Failed() {
				time.Sleep(time.Duration(x.r.IntN(500)) * time.Millisecond)
				x.killOne()
				if x.total()%4 == 1 {
					x.watch(need + d)
				}
			}
			done, a := ended()
			if done && d < 0 {
				t.Errorf("it is done with a limit of %d, and one process needs %d", need+d, need)
			}
			for try := 0; !done; try++ {
				missing := need - a.Answers
				if try == 0 && missing > 0 { // one less than is missing
					submit(a.Intents + missing - 1)
					if done, a = ended(); done {
						t.Error("it is done with less than was missing")
					}
					missing = need - a.Answers
				}
				submit(a.Intents + missing)
				if done, a = ended(); done && a.Intents != a.Limit {
					t.Errorf("it is done after %d intents, and the limit is %d", a.Intents, a.Limit)
				}
				if try == 5 { // a busy machine may make the queue hand units out twice
					t.Fatal("whatever the limit, some of it is wasted")
				}
			}
			same(t, x.f, want)
		})
	}
}
