package video

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

var slow = flag.Bool("slow", false, "ask 60,000 queries about a large clip: minutes of two cores")

// killedEnv tells a child process to attack the large clip: the directory of its files and
// the budget.
const killedEnv = "METTLE_TEST_KILLED_CLIP"

// largeClip is the shape of a clip of which a few fill a gigabyte in float64.
var largeClip = []int{32, 3, 224, 224}

// A paid victim keeps its own account: a byte of a file for each query, written before it
// answers.
type paid struct {
	glance
	account *os.File
}

func (p paid) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	if _, err := p.account.Write(make([]byte, x.Dim(0))); err != nil {
		return err
	}
	return p.glance.Scores(ctx, x, out)
}

// killedAttack is what the child does. It writes how many queries of the attack were
// answered, over all runs, and the largest memory that the process held.
func killedAttack(dir, budget string) error {
	queries, err := strconv.Atoi(budget)
	if err != nil {
		return err
	}
	account, err := os.OpenFile(filepath.Join(dir, "account"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer account.Close()
	v := paid{glance{zoo.Info{Name: "glance", Shape: largeClip, Classes: 2, Digest: "glance"}}, account}
	c := attack.Campaign{Job: attack.WithScores(MotionExcited{}, v), Budget: queries, Workers: 1, Journal: filepath.Join(dir, "journal")}
	res, err := c.Run(context.Background(), []attack.Sample{{X: movingSquare(largeClip, 1)}})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "result"), fmt.Appendf(nil, "%d %d %d %d", res.Records[0].Queries, res.Intents, res.Answers, peakMemory()), 0o644)
}

// peakMemory is the most that the process held, in bytes; 0 where the system does not tell.
func peakMemory() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb := 0
	fmt.Sscan(rest, &kb)
	return kb << 10
}

// TestKilledLargeClip kills a process that attacks a large clip and has another finish the
// work: the victim's own account holds no query twice but those under way, and neither
// memory nor journal grow large. With -slow it is the whole budget of the released code.
func TestKilledLargeClip(t *testing.T) {
	if testing.Short() {
		t.Skip("a large clip")
	}
	queries := 120
	if *slow {
		queries = 60000
	}
	dir := t.TempDir()
	size := func(name string) int {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return 0
		}
		return int(info.Size())
	}
	begin := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d", killedEnv, dir, queries))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	start := time.Now()
	first := begin()
	for end := time.Now().Add(time.Hour); size("account") < queries*2/5; time.Sleep(time.Millisecond) {
		if time.Now().After(end) || size("result") > 0 {
			first.Process.Kill()
			t.Fatalf("%d queries when it should be killed", size("account"))
		}
	}
	first.Process.Kill()
	first.Wait()
	at, took := size("account"), time.Since(start)
	if err := begin().Wait(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "result"))
	if err != nil {
		t.Fatal(err)
	}
	var spent, intents, answers, memory int
	if _, err := fmt.Sscan(string(b), &spent, &intents, &answers, &memory); err != nil {
		t.Fatal(err)
	}
	count, journal := size("account"), size("journal")
	t.Logf("killed at %d queries after %v; %v in all; the victim counted %d, the journal has %d intents and %d answers in %.2f MB; %d MB held",
		at, took.Round(time.Millisecond), time.Since(start).Round(time.Millisecond), count, intents, answers, float64(journal)/1e6, memory>>20)
	// Two more are no attack's: the checks of the clean clip, of which each run makes one
	// unless its answer is in the journal.
	const underWay, clean = 2, 1
	if spent != queries || count > intents || count < queries+clean || intents > queries+clean+underWay {
		t.Errorf("%d queries of %d, %d intents, and the victim counted %d", spent, queries, intents, count)
	}
	if *slow && journal > 5e6 || memory > 600<<20 {
		t.Errorf("%d bytes of journal, %d MB held", journal, memory>>20)
	}
}
