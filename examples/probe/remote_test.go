package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/cast"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRemoteFlags: what the flags say reaches the client's options.
func TestRemoteFlags(t *testing.T) {
	var r remote
	f := flag.NewFlagSet("", flag.ContinueOnError)
	r.flags(f)
	if given := r.given(); given != nil {
		t.Errorf("%v are given", given)
	}
	if err := f.Parse(strings.Fields(`-scores probabilities -input x -output y -classes 7 -preprocess {"Scale":255,"NHWC":true}
		-encoding json -batch 3 -rate 2.5 -timeout 4s -retries -1 -token t -datatype UINT8 -input-shape -1,784`)); err != nil {
		t.Fatal(err)
	}
	got, err := r.options([]int{3, 8, 8}, 2)
	want := oip.Options{Scores: zoo.Probabilities, Input: "x", Output: "y", Classes: 7, Preprocess: data.Preprocess{Scale: 255, NHWC: true},
		Encoding: oip.JSON, Batch: 3, Rate: 2.5, Timeout: 4 * time.Second, Retries: -1, Token: "t", Shape: []int{3, 8, 8}, Concurrency: 2,
		Datatype: "UINT8", InputShape: []int64{-1, 784}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v (%v), want %+v", got, err, want)
	}
	if given := r.given(); len(given) != 13 || !slices.Contains(given, "-rate") {
		t.Errorf("%v are given", given)
	}
	for name, want := range map[string]oip.Encoding{"": oip.Auto, "auto": oip.Auto, "binary": oip.Binary} {
		r := remote{encoding: name}
		if o, err := r.options(nil, 0); err != nil || o.Encoding != want || o.Concurrency != 4 {
			t.Errorf("-encoding %q: %+v (%v)", name, o, err)
		}
	}
	for say, r := range map[string]remote{
		"-scores":         {scores: "odds"},
		"-preprocess":     {preprocess: `{"Sacle": 255}`},
		"-encoding":       {encoding: "xml"},
		"-input-shape a":  {inputShape: "a"},
		"-input-shape 0,": {inputShape: "0,784"},
		"-batch -1":       {batch: -1},
		"-rate -1":        {rate: -1},
		"-timeout -1s":    {timeout: -time.Second},
		"-classes -1":     {classes: -1},
		"-ca: open":       {ca: "/nowhere"},
		"no certificate ": {ca: "remote.go"},
	} {
		if _, err := r.options(nil, 0); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v; want an error that says %q", err, say)
		}
	}
}

// TestVictimOfAnotherKind: a victim behind TLS and a token, of pixels from 0 to 255 with
// the channels last, that has a limit on its batches.
func TestVictimOfAnotherKind(t *testing.T) {
	red := reddish()
	v := zoo.ScorerFunc(zoo.Info{Name: "bytes", Shape: []int{8, 8, 3}, Classes: 2, Batch: 2}, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		chw := tensor.New(x.Dim(0), 3, 8, 8)
		for i := range x.Dim(0) {
			for p := range 64 {
				for c := range 3 {
					chw.Index(i).Data()[64*c+p] = x.Index(i).Data()[3*p+c] / 255
				}
			}
		}
		return red.Scores(ctx, chw, out)
	})
	s := httptest.NewTLSServer(oip.NewHandler(v, oip.HandlerOptions{Token: "secret"}))
	defer s.Close()
	c := small(t)
	c.victim, c.data, c.attacks, c.n, c.budget = s.URL+"/v2/models/bytes", pictures(t), "square", 2, 400
	c.shape = "3,8,8"
	c.remote = remote{preprocess: `{"Scale": 255, "NHWC": true}`, ca: filepath.Join(t.TempDir(), "ca.pem"), batch: 1, retries: -1}
	if err := os.WriteFile(c.remote.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without a token: %v", err)
	}
	t.Setenv("METTLE_TOKEN", "secret")
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	var rows []attack.Summary
	readJSON(t, c.json, &rows)
	if rows[0].SuccessRate != 1 {
		t.Errorf("%+v; a red victim is easy", rows[0])
	}
}

// TestColour: with a meta attacker and an auto-encoder for colour all attacks run on
// colour, under the settings for it.
func TestColour(t *testing.T) {
	v := zoo.ScorerFunc(zoo.Info{Name: "bright", Shape: []int{3, 32, 32}, Classes: 2}, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		for i := range x.Dim(0) {
			out[2*i], out[2*i+1] = 0.501, x.Index(i).Mean()
		}
		return nil
	})
	c := &config{goal: "untargeted", budget: 10, attacker: saved(t, "meta-cifar", 0), decoder: saved(t, "autozoom-cifar", 0)}
	s, err := newSetup(c, v)
	if err != nil {
		t.Fatal(err)
	}
	if s.preset != "paper-cifar10" || s.ball.L2 != 1 || s.ball.Tile != 16 {
		t.Errorf("preset %s, ball %+v", s.preset, s.ball)
	}
	picks, err := chosen("all")
	if err != nil {
		t.Fatal(err)
	}
	tasks, left, err := bind(picks, s)
	if err != nil || left != nil || len(tasks) != len(catalogue)-sighted() {
		t.Errorf("%d of %d attacks; left out are %v (%v)", len(tasks), len(catalogue)-sighted(), left, err)
	}
	for _, task := range tasks {
		x := tensor.New(3, 32, 32)
		x.Fill(0.5)
		if _, err := task.job.Attack(context.Background(), attack.Sample{X: x}, zoo.Untargeted(0), 10, 1); err != nil {
			t.Errorf("%s: %v", task.name, err)
		}
	}
	c.eps, c.preset = 0.5, "paper"
	if s, err = newSetup(c, v); err != nil || s.eps != 0.5 || s.preset != "paper" {
		t.Errorf("-eps 0.5 -preset paper: %+v, %s (%v)", s.ball, s.preset, err)
	}
	for shape, want := range map[[3]int]string{{1, 28, 28}: "paper", {1, 64, 64}: "paper", {3, 32, 32}: "paper-cifar10", {3, 64, 64}: "paper-tiny", {3, 224, 224}: "paper-tiny"} {
		if got := cast.Preset(shape[:]); got != want {
			t.Errorf("preset %s for %v, want %s", got, shape, want)
		}
	}
}

// TestSettings: colour moves in the tanh box, targeted attacks have the steps they need,
// and -step reaches the attacks that take differences and the pre-flight.
func TestSettings(t *testing.T) {
	v := zoo.ScorerFunc(zoo.Info{Name: "v", Shape: []int{3, 32, 32}, Classes: 2}, nil)
	c := &config{goal: "targeted", budget: 10, step: 0.01, attacker: saved(t, "meta-cifar", 0), decoder: saved(t, "autozoom-cifar", 0)}
	s, err := newSetup(c, v)
	if err != nil {
		t.Fatal(err)
	}
	tasks, _, err := bind([]choice{{"meta", true}, {"zoo", true}, {"autozoom", true}, {"autozoom-ae", true}, {"square", true}}, s)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`"Steps":300,"H":0.01,`, `"H":0.01`, `"Box":"tanh"`, `"Box":"tanh"`} {
		got := tasks[i].job.Options()
		if !strings.Contains(string(got), want) || !strings.Contains(string(got), `"Box":"tanh"`) {
			t.Errorf("%s: %s lacks %s or the tanh box", tasks[i].name, got, want)
		}
	}
	for _, c := range []struct {
		tasks []task
		step  float64
		want  float64
	}{{tasks, 0.01, 0.01}, {tasks, 0, 1e-4}, {tasks[4:], 0.01, 1. / 255}} {
		if got := smallestStep(c.tasks, c.step); got != c.want {
			t.Errorf("-step %g, %d attacks: %g, want %g", c.step, len(c.tasks), got, c.want)
		}
	}
}

// TestFixedBatchIsTold: a server that takes so many images at once, no fewer, is sent
// that many, and the page says what they may cost.
func TestFixedBatchIsTold(t *testing.T) {
	h, _ := serve(t, reddish())
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/models/reddish" {
			h.ServeHTTP(w, r)
			return
		}
		json.NewEncoder(w).Encode(oip.ModelMetadata{Name: "reddish", Inputs: []oip.TensorMetadata{{Name: "image", Datatype: "FP32", Shape: []int64{4, 3, 8, 8}}},
			Outputs: []oip.TensorMetadata{{Name: "scores", Datatype: "FP32", Shape: []int64{4, 2}}}})
	}))
	defer front.Close()
	c := small(t)
	c.victim, c.data, c.n, c.budget, c.attacks = front.URL+"/v2/models/reddish", pictures(t), 2, 20, "square"
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if text := page(t, c); !strings.Contains(text, "the model takes 4 images per request, no fewer") || !strings.Contains(text, "-gather 4 joins") || !strings.Contains(text, "as copies that fill up a batch") || h.Served()%4 != 0 {
		t.Errorf("the page does not tell of the fixed batch, or %d images were not sent in fours", h.Served())
	}
}

// TestProbabilitiesTakenForLogits: the page tells what the pre-flight suspects, by the
// flag that mends it.
func TestProbabilitiesTakenForLogits(t *testing.T) {
	v, err := zoo.NewModel(pretrained.Net4(), zoo.Info{Name: "net4", Shape: []int{1, 28, 28}, Classes: 10, Scores: zoo.Probabilities}, data.Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	for scores, suspect := range map[string]bool{"": true, "probabilities": false} {
		_, address := serve(t, v)
		c := small(t)
		c.victim, c.remote.scores, c.attacks, c.budget = address, scores, "square", 20
		if err := run(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(page(t, c), "say so in -scores"); got != suspect {
			t.Errorf("-scores %q: the page says so: %v", scores, got)
		}
	}
}

// bare serves a victim behind a server that keeps quiet about its tensors, and loses the
// answer to every fifth request.
func bare(t *testing.T, v zoo.Scorer, metadata string) (*oip.Handler, string) {
	t.Helper()
	h, _ := serve(t, v)
	var asked atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/models/"+v.Info().Name:
			io.WriteString(w, metadata)
		case strings.HasSuffix(r.URL.Path, "/infer") && asked.Add(1)%5 == 0:
			h.ServeHTTP(httptest.NewRecorder(), r)
			io.WriteString(w, "<html>the proxy restarts</html>")
		default:
			h.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	return h, front.URL + "/v2/models/" + v.Info().Name
}

// TestServerWithoutMetadata: flags say what a server does not, an error names those that
// are missing, and the page what was taken for granted and may be charged.
func TestServerWithoutMetadata(t *testing.T) {
	h, address := bare(t, reddish(), `{"name":"reddish"}`)
	c := small(t)
	c.victim, c.data, c.n, c.budget, c.attacks = address, pictures(t), 2, 60, "square"
	err := run(context.Background(), c)
	if err == nil {
		t.Fatal("no error")
	}
	for _, flag := range []string{"-input", "-shape", "-output", "-classes", "-datatype", "-input-shape"} {
		if !strings.Contains(err.Error(), flag) || strings.Contains(err.Error(), "Options.") {
			t.Errorf("%v: lacks %s, or does not speak of flags", err, flag)
		}
	}
	c.shape, c.remote = "3,8,8", remote{input: "image", output: "scores", classes: 2}
	if err := run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	text := page(t, c)
	for _, say := range []string{"the server does not describe its input", "-batch says how many", "it may have charged"} {
		if !strings.Contains(text, say) {
			t.Errorf("the page lacks %q", say)
		}
	}
	var sent, requests, again, copies, answered, lost int
	at := strings.Index(text, "the server was sent")
	if _, err := fmt.Sscanf(text[at:], "the server was sent %d images in %d requests (%d images again, %d as copies that fill up a batch) and answered for %d; it may have charged %d more",
		&sent, &requests, &again, &copies, &answered, &lost); err != nil {
		t.Fatal(err)
	}
	if sent != h.Served() || answered+lost != sent || lost == 0 || copies != 0 {
		t.Errorf("%d sent, %d answered, %d lost, %d copies; the server served %d", sent, answered, lost, copies, h.Served())
	}
}

// TestErrorsNameFlags: also those that come in the middle of a run.
func TestErrorsNameFlags(t *testing.T) {
	h, _ := serve(t, reddish())
	var asked atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/infer") && asked.Add(1) > 20 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	}))
	defer front.Close()
	c := small(t)
	c.victim, c.data, c.n, c.budget, c.attacks = front.URL+"/v2/models/reddish", pictures(t), 2, 200, "square"
	if err := run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "-token or METTLE_TOKEN") {
		t.Errorf("%v", err)
	}
	c.victim = strings.TrimPrefix(c.victim, "http://")
	c.remote.token = "t"
	if err := run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "http:// or https:// is missing") {
		t.Errorf("%v", err)
	}
}
