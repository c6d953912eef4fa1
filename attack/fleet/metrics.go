package fleet

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Name is the worker's name.
func (w *Worker) Name() string { return w.o.Name }

// WriteMetrics writes the worker's counters as Prometheus reads them.
func (w *Worker) WriteMetrics(out io.Writer) error {
	s := w.Status()
	for _, m := range []struct {
		name, kind, help string
		value            int64
	}{
		{"queries_total", "counter", "Queries that this worker announced, those sent again among them.", s.Queries},
		{"answers_total", "counter", "Queries that were answered.", s.Answers},
		{"appends_total", "counter", "Entries that were appended to logs.", w.count.appends.Load()},
		{"units_total", "counter", "Units that this worker finished.", s.Finished},
		{"fenced_total", "counter", "Units that another worker took over.", w.count.fenced.Load()},
		{"failures_total", "counter", "Units that failed.", w.count.failures.Load()},
		{"units_running", "gauge", "Units under way.", int64(len(s.Running))},
		{"refused_campaigns", "gauge", "Campaigns that this worker cannot take part in.", int64(len(s.Refused))},
	} {
		_, err := fmt.Fprintf(out, "# HELP mettle_fleet_%[1]s %[3]s\n# TYPE mettle_fleet_%[1]s %[2]s\nmettle_fleet_%[1]s %[4]d\n", m.name, m.kind, m.help, m.value)
		if err != nil {
			return err
		}
	}
	return nil
}

// ServeMetrics serves the worker's counters at /metrics, and at / what it is at as JSON,
// until stop is called.
func (w *Worker) ServeMetrics(address string) (stop func(), err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("fleet: metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "text/plain; version=0.0.4")
		w.WriteMetrics(out)
	})
	mux.HandleFunc("GET /{$}", func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "application/json")
		json.NewEncoder(out).Encode(w.Status())
	})
	s := &http.Server{Handler: mux}
	go s.Serve(l)
	return func() { s.Close() }, nil
}
