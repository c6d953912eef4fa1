package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

// killedEnv holds the campaign that a child process runs: the victim's address, the
// journal, where to write the table, and the attack.
const killedEnv = "METTLE_TEST_KILLED_CAMPAIGN"

// killedCall is how many queries the campaign's calls carry at most.
const killedCall, killedWorkers = 32, 3

func killedCampaign(v *oip.Client, attack, journal string) *Campaign {
	c := &Campaign{Seed: 4, Budget: 300, Workers: killedWorkers, Journal: journal}
	switch attack {
	case "zoo":
		c.Job = WithScores(ZOO{Iterations: 12, C: 10, Coordinates: killedCall / 2}, v)
	case "hopskipjump":
		c.Budget = 90 // many of its calls carry one query
		c.Job = WithLabels(HopSkipJump{Probes: killedCall / 2, MaxProbes: killedCall}, v)
	case "gathered meta":
		c.Job = WithScores(Meta{Network: models.MetaAttackerMNIST(1), Coordinates: killedCall, Interval: 1, LR: 0.002, Tune: 1}, v)
		c.Gather = 2 * killedCall
	}
	return c
}

func TestMain(m *testing.M) {
	if args := os.Getenv(killedEnv); args != "" {
		part := strings.Split(args, "|")
		if err := killedRun(part[0], part[1], part[2], part[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func killedRun(address, journal, out, attack string) error {
	v, err := oip.Dial(context.Background(), address, oip.Options{Concurrency: killedWorkers, Retries: 30, Backoff: time.Millisecond})
	if err != nil {
		return err
	}
	res, err := killedCampaign(v, attack, journal).Run(context.Background(), killedSamples())
	if err != nil {
		return err
	}
	return os.WriteFile(out, []byte(fmt.Sprintf("%d %d %d\n%s", res.Intents, res.Answers, res.Resumed, table(res))), 0o644)
}

func killedVictim() *linear { return newLinear(1, 4, 1, 28, 28) }

func killedSamples() []Sample { return killedVictim().samples(5, 10) }

// lossy serves what h serves, and loses the answers to a share of the requests for
// inference on their way.
type lossy struct {
	h     http.Handler
	share float64
	begun chan struct{} // is told of requests for inference, if it has room

	mu   sync.Mutex
	r    *rand.Rand
	lost int // samples in requests whose answer was lost
}

func (l *lossy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/infer") {
		l.h.ServeHTTP(w, r)
		return
	}
	select {
	case l.begun <- struct{}{}:
	default:
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	l.mu.Lock()
	lose := l.r.Float64() < l.share
	if lose {
		var req oip.Request
		n, _ := strconv.Atoi(r.Header.Get(oip.HeaderLength))
		if err := json.Unmarshal(body[:n], &req); err != nil {
			panic(err)
		}
		l.lost += int(req.Inputs[0].Shape[0])
	}
	l.mu.Unlock()
	if lose {
		l.h.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	l.h.ServeHTTP(w, r)
}

// TestKilledProcess runs campaigns in processes of their own against victims in this
// one, on a good line and on one that loses answers, kills them without warning again
// and again, and compares what they end with to an undisturbed run.
func TestKilledProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not in -short")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for i, c := range []struct {
		attack   string
		kills    int
		share    float64 // of answers lost
		remember int
	}{
		{"zoo", 20, 0, 0},
		{"zoo", 20, 0, 1 << 20},
		{"zoo", 6, 0.25, 0},
		{"zoo", 6, 0.25, 1 << 20},
		{"hopskipjump", 6, 0.1, 0},
		{"gathered meta", 6, 0.1, 0},
	} {
		t.Run(fmt.Sprintf("%s/lost %g/remember %d", c.attack, c.share, c.remember), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			want, queries := undisturbed(t, c.attack)
			v := killedVictim()
			// A victim slow enough that kills hit it in the middle of calls.
			slow := zoo.ScorerFunc(v.info, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
				time.Sleep(8 * time.Millisecond)
				return v.Scores(ctx, x, out)
			})
			h := oip.NewHandler(slow, oip.HandlerOptions{Remember: c.remember})
			line := &lossy{h: h, share: c.share, r: rand.New(rand.NewPCG(seed, uint64(100+i))), begun: make(chan struct{}, 1)}
			s := httptest.NewServer(line)
			dir := t.TempDir()
			out := filepath.Join(dir, "table")
			args := fmt.Sprintf("%s/v2/models/linear|%s|%s|%s", s.URL, filepath.Join(dir, "journal"), out, c.attack)
			kills := killUntilDone(t, r, args, c.kills, line.begun)
			s.Close()
			b, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			head, got, _ := strings.Cut(string(b), "\n")
			var intents, answers, resumed int
			if _, err := fmt.Sscan(head, &intents, &answers, &resumed); err != nil {
				t.Fatal(err)
			}
			served := h.Served()
			t.Logf("%d kills, %d intents, %d answers, %d served, %d queries needed, %d answers lost", kills, intents, answers, served, queries, line.lost)
			if kills < c.kills {
				t.Errorf("only %d kills: the victim is too fast for this test", kills)
			}
			if got != want {
				t.Errorf("after %d kills the table is\n%.2000s\nwant\n%.2000s", kills, got, want)
			}
			if !(answers <= served && served <= intents) {
				t.Errorf("%d answers, %d served, %d intents", answers, served, intents)
			}
			if most := kills*killedWorkers*killedCall + line.lost; intents-answers > most {
				t.Errorf("%d intents without an answer after %d kills and %d answers lost; at most %d", intents-answers, kills, line.lost, most)
			}
			if intents == answers || c.share == 0 && c.remember == 0 && served == answers {
				t.Errorf("%d intents, %d served, %d answers: no kill hit a call", intents, served, answers)
			}
			if c.share > 0 && line.lost == 0 {
				t.Error("no answer was lost")
			}
			if answers != queries || c.remember > 0 && served != queries {
				t.Errorf("%d answers, %d served; %d queries are needed", answers, served, queries)
			}
		})
	}
}

// undisturbed is the table of a campaign that nothing happens to, and the queries it
// needs. It goes through a server too, which answers in float32.
func undisturbed(t *testing.T, attack string) (string, int) {
	t.Helper()
	s := httptest.NewServer(oip.NewHandler(killedVictim(), oip.HandlerOptions{}))
	defer s.Close()
	v, err := oip.Dial(context.Background(), s.URL, oip.Options{Model: "linear"})
	if err != nil {
		t.Fatal(err)
	}
	res, err := killedCampaign(v, attack, "").Run(context.Background(), killedSamples())
	if err != nil {
		t.Fatal(err)
	}
	queries := 0
	for _, rec := range res.Records {
		queries += rec.Queries + rec.Clean + rec.Verify
	}
	return table(res), queries
}

// killUntilDone starts the campaign, kills it after a random time, mostly counted
// from its first request, and starts it again, until it has been killed often enough;
// then it is let to end. It returns how often it was killed.
func killUntilDone(t *testing.T, r *rand.Rand, args string, most int, begun <-chan struct{}) int {
	t.Helper()
	kills := 0
	for {
		select {
		case <-begun: // of the process before
		default:
		}
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), killedEnv+"="+args)
		var log strings.Builder
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var killed atomic.Bool
		ended, watched := make(chan struct{}), make(chan struct{})
		wait, early := time.Duration(r.IntN(16))*time.Millisecond, r.IntN(4) == 0
		go func() {
			defer close(watched)
			if kills == most {
				return
			}
			if !early {
				select {
				case <-begun:
				case <-ended:
					return
				}
			}
			select {
			case <-time.After(wait):
				killed.Store(true)
				cmd.Process.Kill()
			case <-ended:
			}
		}()
		err := cmd.Wait()
		close(ended)
		<-watched
		switch {
		case err == nil:
			return kills
		case !killed.Load():
			t.Fatalf("the campaign failed by itself: %v\n%s", err, log.String())
		}
		kills++
	}
}
