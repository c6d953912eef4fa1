package attack

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

// killed is the campaign that a child process runs. Its first argument is the
// victim's address, its second the journal, its third where to write the table.
const killedEnv = "METTLE_TEST_KILLED_CAMPAIGN"

func killedCampaign(v zoo.Scorer, journal string) *Campaign {
	return &Campaign{Job: WithScores(ZOO{Iterations: 12, C: 10, Coordinates: 16}, v), Seed: 4, Budget: 380, Workers: 3, Journal: journal}
}

func TestMain(m *testing.M) {
	if args := os.Getenv(killedEnv); args != "" {
		part := strings.Split(args, "|")
		if err := killedRun(part[0], part[1], part[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func killedRun(address, journal, out string) error {
	v, err := oip.Dial(context.Background(), address, oip.Options{Concurrency: 3})
	if err != nil {
		return err
	}
	res, err := killedCampaign(v, journal).Run(context.Background(), killedSamples())
	if err != nil {
		return err
	}
	return os.WriteFile(out, []byte(fmt.Sprintf("%d %d %d\n%s", res.Intents, res.Answers, res.Resumed, table(res))), 0o644)
}

func killedVictim() *linear { return newLinear(1, 4, 2, 6, 6) }

func killedSamples() []Sample { return killedVictim().samples(5, 10) }

// TestKilledProcess runs a campaign in a process of its own against a victim in
// this one, kills it without warning 20 times, and compares what it ends with to
// an undisturbed run.
func TestKilledProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not in -short")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	// The undisturbed run goes through a server too, which answers in float32.
	calm := httptest.NewServer(oip.NewHandler(killedVictim(), oip.HandlerOptions{}))
	defer calm.Close()
	remote, err := oip.Dial(context.Background(), calm.URL, oip.Options{Model: "linear"})
	if err != nil {
		t.Fatal(err)
	}
	quiet, err := killedCampaign(remote, "").Run(context.Background(), killedSamples())
	if err != nil {
		t.Fatal(err)
	}
	want := table(quiet)
	queries := 0
	for _, rec := range quiet.Records {
		queries += rec.Queries + rec.Clean + rec.Verify
	}
	for _, remember := range []int{0, 1 << 20} {
		v := killedVictim()
		// A victim slow enough that kills hit it in the middle of calls.
		slow := zoo.ScorerFunc(v.info, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
			time.Sleep(12 * time.Millisecond)
			return v.Scores(ctx, x, out)
		})
		h := oip.NewHandler(slow, oip.HandlerOptions{Remember: remember})
		s := httptest.NewServer(h)
		dir := t.TempDir()
		out := filepath.Join(dir, "table")
		args := fmt.Sprintf("%s/v2/models/linear|%s|%s", s.URL, filepath.Join(dir, "journal"), out)
		kills := killUntilDone(t, r, args, 20)
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
		t.Logf("remember %d: %d kills, %d intents, %d answers, %d served, %d queries needed", remember, kills, intents, answers, h.Served(), queries)
		if kills < 20 {
			t.Errorf("only %d kills: the victim is too fast for this test", kills)
		}
		if got != want {
			t.Errorf("after %d kills the table is\n%.2000s\nwant\n%.2000s", kills, got, want)
		}
		if !(answers <= h.Served() && h.Served() <= intents) {
			t.Errorf("%d answers, %d served, %d intents", answers, h.Served(), intents)
		}
		if most := kills * 3 * 32; intents-answers > most {
			t.Errorf("%d intents without an answer after %d kills; at most %d queries are in flight", intents-answers, kills, most)
		}
		if remember > 0 && h.Served() != queries {
			t.Errorf("a server that remembers served %d samples, %d are needed", h.Served(), queries)
		}
	}
}

// killUntilDone starts the campaign, kills it after a random time, and starts it
// again, until it has been killed often enough; then it is let to end. It returns
// how often it was killed.
func killUntilDone(t *testing.T, r *rand.Rand, args string, most int) int {
	t.Helper()
	kills := 0
	for {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), killedEnv+"="+args)
		var log strings.Builder
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var killed atomic.Bool
		var timer *time.Timer
		if kills < most {
			timer = time.AfterFunc(time.Duration(10+r.IntN(40))*time.Millisecond, func() {
				killed.Store(true)
				cmd.Process.Kill()
			})
		}
		err := cmd.Wait()
		if timer != nil {
			timer.Stop()
		}
		switch {
		case err == nil:
			return kills
		case !killed.Load():
			t.Fatalf("the campaign failed by itself: %v\n%s", err, log.String())
		}
		kills++
	}
}
