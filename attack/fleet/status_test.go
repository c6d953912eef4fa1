package fleet

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack"
)

// TestStatus: the table and the JSON of a campaign under way tell all that there is to tell.
func TestStatus(t *testing.T) {
	c := &Campaign{Name: "c", Units: []int{6, 4}, Attacks: []string{"square", "zoo"}, Rate: 50, Submitted: time.Unix(1000, 0)}
	m := &Money{Limit: 1000, Units: 10, Settled: 300, Success: 2, Skipped: 1,
		Reserved: map[string]Budget{"0.4": {N: 100}, "0.5": {N: 60}, "1.0": {N: 40}}, Waiting: map[string]int64{"1.0": 700},
		Failures: map[string]Failure{"1.3": {2, "no answer"}}}
	for i := range 4 {
		m.Done = m.Done.with(i)
	}
	workers := []WorkerStatus{
		{Name: "a", Running: []Running{{Campaign: "c", Unit: "0.4", Attack: "square", Seconds: 2, Sent: 70, Fresh: 20}, {Campaign: "other", Unit: "0.0", Seconds: 1, Fresh: 5}}},
		{Name: "b", Running: []Running{{Campaign: "c", Unit: "0.5", Attack: "square", Seconds: 4, Sent: 60, Fresh: 60}}},
		{Name: "idle"},
		{Name: "elsewhere", Running: []Running{{Campaign: "other", Unit: "0.1", Seconds: 1}}},
		{Name: "old", Refused: map[string]string{"c": "it has Go version go1.1"}},
	}
	s := makeStatus(c, m, workers, time.Unix(1080, 0))
	if s.Units != 10 || s.Done != 4 || s.Running != 2 || s.Waiting != 4 || s.NoMoney != 1 || s.Success != 2 || s.Skipped != 1 {
		t.Errorf("units: %+v", s)
	}
	// Paid: what is settled and what running units have sent. Reserved: the rest of 200.
	if s.Paid != 430 || s.Reserved != 70 || s.Left != 500 || s.Limit != 1000 {
		t.Errorf("queries: %+v", s)
	}
	if s.Rate != 25 || s.MaxRate != 50 || time.Duration(s.ETA) != 2*time.Minute {
		t.Errorf("rate %v of %v, %v to go", s.Rate, s.MaxRate, time.Duration(s.ETA))
	}
	var text strings.Builder
	if err := s.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"c: square, zoo", "running", "4 of 10 done, 2 running, 4 waiting (1 of them for queries to be left)", "2 of 3 (67 %), 1 skipped",
		"430 paid, 70 reserved, 500 left of 1000", "25.0 queries per second, at most 50", "about 2m0s", "unit 1.3, 2 times: no answer",
		"a: 0.4 square (70 queries, 2 s)\n", "b: 0.5 square (60 queries, 4 s)", "idle: idle", "old: cannot take part: it has Go version go1.1"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "elsewhere") {
		t.Errorf("a worker of another campaign:\n%s", text.String())
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Status
	if err := json.Unmarshal(b, &back); err != nil || back.Paid != 430 || len(back.Workers) != 4 || back.Workers[0].Running[0].Unit != "0.4" || back.ETA != s.ETA {
		t.Errorf("JSON: %s (%v)", b, err)
	}
	m.Stopped = "by hand"
	text.Reset()
	makeStatus(c, m, nil, time.Unix(1080, 0)).Write(&text)
	if !strings.Contains(text.String(), "stopped: by hand") {
		t.Errorf("stopped:\n%s", text.String())
	}
}

// TestMetrics: a worker serves its counters as Prometheus reads them, and what it is at.
func TestMetrics(t *testing.T) {
	f := &Fleet{Store: &Memory{}, Objects: &MemoryObjects{}}
	w, err := f.NewWorker(WorkOptions{Name: "w"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	newSim(t, f.Store, 0, [][]int{{3, 4}})
	l, _, err := takeOver(ctx, f.Store, f.Objects, nil, nil, simUnit(0), "w")
	if err != nil {
		t.Fatal(err)
	}
	w.running["x"] = &Running{Campaign: simName, Unit: "0.0", Attack: "square", Since: time.Now(), log: l}
	c := counted{l, &w.count}
	for _, e := range []attack.Entry{intent(0, 3), answer(0, 3), intent(1, 4)} {
		if err := c.Append(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	stop, err := w.ServeMetrics(address)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	get := func(path string) string {
		t.Helper()
		r, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != 200 {
			t.Fatalf("%s: %s, %v", path, r.Status, err)
		}
		return string(b)
	}
	metrics := get("/metrics")
	for _, want := range []string{"# TYPE mettle_fleet_queries_total counter\nmettle_fleet_queries_total 7\n", "\nmettle_fleet_answers_total 3\n",
		"\nmettle_fleet_appends_total 3\n", "# TYPE mettle_fleet_units_running gauge\nmettle_fleet_units_running 1\n"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %q:\n%s", want, metrics)
		}
	}
	var s WorkerStatus
	if err := json.Unmarshal([]byte(get("/")), &s); err != nil || s.Queries != 7 || s.Running[0].Sent != 7 {
		t.Errorf("status %+v, %v", s, err)
	}
}
