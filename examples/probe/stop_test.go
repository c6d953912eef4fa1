package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/cast"
	"github.com/mettleml/mettle/examples/internal/meter"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

// serve serves a victim at an address for -victim.
func serve(t *testing.T, v zoo.Scorer) (*oip.Handler, string) {
	t.Helper()
	h := oip.NewHandler(v, oip.HandlerOptions{})
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return h, s.URL + "/v2/models/" + v.Info().Name
}

// reddish is a victim of 8x8 colour pictures with the classes blue and red.
func reddish() zoo.Scorer {
	return zoo.ScorerFunc(zoo.Info{Name: "reddish", Shape: []int{3, 8, 8}, Classes: 2}, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		for i := range x.Dim(0) {
			px := x.Index(i).Data()
			out[2*i], out[2*i+1] = 0, 0
			for p := range 64 {
				out[2*i] += float64(px[128+p]) - float64(px[p])
			}
		}
		return nil
	})
}

// pictures writes a folder that suits it.
func pictures(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for class := range 2 {
		sub := filepath.Join(dir, fmt.Sprint(class))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			x := tensor.New(3, 8, 8)
			x.Fill(0.4)
			for p := range 64 {
				x.Data()[128*(1-class)+p] += 0.02 * float32(i+1)
			}
			if err := savePNG(filepath.Join(sub, fmt.Sprint(i, ".png")), x); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func page(t *testing.T, c *config) string {
	t.Helper()
	b, err := os.ReadFile(c.report)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestNothingIsPaidForWhatCannotRun: attacks that do not fit, or are set wrongly, are
// an error before the first query if they were asked for by name; else they are left
// out.
func TestNothingIsPaidForWhatCannotRun(t *testing.T) {
	h, address := serve(t, reddish())
	for say, change := range map[string]func(c *config){
		"meta: the meta attacker that comes with the library is trained for 28x28": func(c *config) { c.attacks = "square,meta" },
		"autozoom-ae: the auto-encoder that comes":                                 func(c *config) { c.attacks = "all,autozoom-ae" },
		"rays: it has no image":                                                    func(c *config) { c.attacks, c.goal = "square,rays", "targeted" },
	} {
		c := small(t)
		c.victim, c.data = address, pictures(t)
		change(c)
		if err := run(context.Background(), c); err == nil || !strings.Contains(err.Error(), say) || h.Served() > 0 {
			t.Errorf("%v after %d queries; want an error that says %q", err, h.Served(), say)
		}
	}
	c := small(t)
	c.victim, c.data, c.attacks, c.n, c.budget = address, pictures(t), "", 2, 40
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if p := page(t, c); !strings.Contains(p, "meta is left out") || !strings.Contains(p, "hopskipjump") {
		t.Errorf("the page does not say that meta is left out, or lacks the others")
	}
	net4, err := zoo.NewModel(pretrained.Net4(), zoo.Info{Name: "net4", Shape: []int{1, 28, 28}, Classes: 10}, data.Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	h, address = serve(t, net4)
	for _, attacks := range []string{"square,meta", ""} {
		c = small(t)
		c.victim, c.attacks, c.preset = address, attacks, "quick"
		if err := run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "no preset") || h.Served() > 0 {
			t.Errorf("-attack %q: %v after %d queries; want an error that says there is no such preset", attacks, err, h.Served())
		}
	}
}

// TestWhatIsFinishedIsReported: a run that is stopped by hand or fails in a later
// attack writes the report of what it has, and says so.
func TestWhatIsFinishedIsReported(t *testing.T) {
	broken := errors.New("the victim broke")
	for _, byHand := range []bool{true, false} {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var queries, limit atomic.Int64
		limit.Store(1 << 40)
		p := &probe{c: small(t), victim: reddish().Info(), look: look{Tried: 3}}
		v := zoo.ScorerFunc(p.victim, func(_ context.Context, x *tensor.Tensor, out []float64) error {
			if queries.Add(1) > limit.Load() {
				if !byHand {
					return broken
				}
				cancel()
			}
			return reddish().Scores(ctx, x, out)
		})
		p.counter = meter.Count(v)
		for i := range 3 {
			x := tensor.New(3, 8, 8)
			x.Fill(0.5)
			x.Data()[128] += 0.01 // blue
			p.samples = append(p.samples, attack.Sample{Name: fmt.Sprint(i), X: x})
		}
		tasks, _, err := bind([]choice{{"square", true}, {"simba", true}, {"nes", true}}, setup{victim: p.counter, ball: cast.BallFor(p.victim.Shape)})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.attack(ctx, tasks[0]); err != nil {
			t.Fatal(err)
		}
		limit.Store(queries.Load() + 2)
		p.c.workers = 1
		err = p.attack(ctx, tasks[1])
		if err == nil {
			t.Fatal("the attack was not stopped")
		}
		if got := p.stopped(err, tasks[1:]); got != err || byHand != errors.Is(err, context.Canceled) || byHand == errors.Is(err, broken) {
			t.Errorf("by hand %v: %v", byHand, got)
		}
		text := page(t, p.c)
		for _, want := range []string{"square", "was stopped", "not finished are simba, nes"} {
			if !strings.Contains(text, want) {
				t.Errorf("by hand %v: the page lacks %q", byHand, want)
			}
		}
		if _, err := os.Stat(p.c.json); err != nil {
			t.Error(err)
		}
		// All that the victim was asked is told, on images that were not finished too.
		if want := fmt.Sprintf("%d in all:", int(queries.Load())+p.look.spent()); p.sent != int(queries.Load()) || !strings.Contains(p.spent(), want) {
			t.Errorf("by hand %v: the victim was asked %d times: %s", byHand, queries.Load(), p.spent())
		}
		if !strings.Contains(p.spent(), "on images that were not finished") {
			t.Errorf("by hand %v: %s", byHand, p.spent())
		}
	}
}

// TestOptions: options given as JSON go before what the program would set, and what is
// wrong with them is said before the first query.
func TestOptions(t *testing.T) {
	h, address := serve(t, reddish())
	for options, say := range map[string]string{
		`{"square": {"P": 2}}`: "Square.P is 2", `{"square": {"p": 0.2, "Loss": "cross-entropy"}}`: "", `{"simba": {}}`: `names "simba"`,
		`{"square": {"Q": 2}}`: `no option "Q"`, `{"square": 3}`: "an object of options is due", `[]`: "-options",
	} {
		c := small(t)
		c.victim, c.data, c.attacks, c.n, c.budget, c.options = address, pictures(t), "square", 2, 20, options
		before := h.Served()
		err := run(context.Background(), c)
		if say == "" {
			if p := page(t, c); err != nil || !strings.Contains(p, "cross-entropy") {
				t.Errorf("%s: %v, or the page does not say the loss", options, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), say) || h.Served() > before {
			t.Errorf("%s: %v after %d queries; want an error that says %q", options, err, h.Served()-before, say)
		}
	}
	c := small(t)
	c.victim, c.data, c.attacks, c.eps = address, pictures(t), "square", 300
	if err := run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "Eps is 300") {
		t.Error(err)
	}
}

// TestEachAttackOnce: an attack asked for twice runs once, where it stood first.
func TestEachAttackOnce(t *testing.T) {
	names := func(list string) (names []string) {
		picks, err := chosen(list)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range picks {
			names = append(names, p.name)
		}
		return names
	}
	if got := names("square,meta,square, meta"); !slices.Equal(got, []string{"square", "meta"}) {
		t.Errorf("%v", got)
	}
	if got := names("nes,all,meta"); len(got) != len(catalogue)-sighted() || got[0] != "nes" || got[1] != catalogue[0].name {
		t.Errorf("%v", got)
	}
}

// sighted is how many attacks need gradients, which "all" leaves out.
func sighted() (n int) {
	for _, e := range catalogue {
		if e.white {
			n++
		}
	}
	return n
}

// TestAutoAttack: the robust accuracy is told as a table and as JSON, the look at the victim
// is counted, a norm is kept to, and a victim without gradients is refused.
func TestAutoAttack(t *testing.T) {
	dir := t.TempDir()
	c := &config{data: "embedded", n: 4, goal: "untargeted", attacks: "autoattack,pgd,square", budget: 300, budgetGiven: true, norm: "L2", eps: 0.5, within: 3, seed: 1,
		report: filepath.Join(dir, "r.html"), robust: filepath.Join(dir, "robust.json")}
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(c.robust)
	if err != nil {
		t.Fatal(err)
	}
	var r attack.Robustness
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if r.Model != "net4" || r.Dataset != "embedded" || r.Norm != attack.L2 || r.Eps != 0.5 || r.Samples < 4 || len(r.Attacks) != 4 || r.Robust > r.Clean || r.Queries == 0 {
		t.Errorf("%s", b)
	}
	page, err := os.ReadFile(c.report)
	if err != nil || !strings.Contains(string(page), "Robust accuracy, L2 of 0.5") {
		t.Errorf("the page does not tell the robust accuracy (%v)", err)
	}
	for say, c := range map[string]config{
		"needs gradients":        {data: "embedded", n: 1, goal: "untargeted", attacks: "autoattack", budget: 10},
		"-norm L3":               {data: "embedded", n: 1, goal: "untargeted", attacks: "square", budget: 10, norm: "L3"},
		"autoattack is not amon": {data: "embedded", n: 1, goal: "untargeted", attacks: "square", budget: 10, robust: filepath.Join(dir, "x"), report: filepath.Join(dir, "y")},
		"-norm is L1":            {data: "embedded", n: 1, goal: "untargeted", attacks: "pgd", budget: 10, norm: "L1"},
	} {
		err := run(context.Background(), &c)
		if say == "needs gradients" {
			blind, e := newSetup(&c, zoo.ScorerFunc(zoo.Info{Name: "v", Shape: []int{1, 28, 28}, Classes: 10}, nil))
			if e != nil {
				t.Fatal(e)
			}
			_, _, err = bind([]choice{{"autoattack", true}}, blind)
		}
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v; want an error that says %q", err, say)
		}
	}
}

// TestFickleVictim: a victim in training mode is refused, unless that is allowed.
func TestFickleVictim(t *testing.T) {
	var calls atomic.Int64
	red := reddish()
	_, address := serve(t, zoo.ScorerFunc(red.Info(), func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		err := red.Scores(ctx, x, out)
		out[0] += 0.1 * float64(calls.Add(1)%2)
		return err
	}))
	c := small(t)
	c.victim, c.data, c.attacks, c.n, c.budget = address, pictures(t), "square", 2, 10
	if err := run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "model.eval()") || !strings.Contains(err.Error(), "-noise") {
		t.Errorf("%v; want an error that says what to do", err)
	}
	c.noise = 0.2
	if err := run(context.Background(), c); err != nil {
		t.Error(err)
	}
}

// TestWrongVictims: a victim that is wrong on most images is told of, on the page too.
func TestWrongVictims(t *testing.T) {
	c := small(t)
	c.victim = filepath.Join(t.TempDir(), "wrong.safetensors")
	c.attacks, c.budget = "square", 20
	info := models.Info{Model: "net4", Classes: 10, Preprocess: data.Preprocess{Mean: []float32{0.5}, Std: []float32{0.1}}}
	if err := models.Save(c.victim, pretrained.Net4(), info, nn.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	text := page(t, c)
	if !strings.Contains(text, "the victim is wrong on most images") {
		t.Error("the page does not say that the victim is wrong on most images")
	}
	c = small(t)
	c.attacks, c.budget = "square", 20
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if text := page(t, c); strings.Contains(text, "wrong on most") || !strings.Contains(text, "right on 3 of the 3") {
		t.Error("the page of a good victim warns, or does not say how often it was right")
	}
}
