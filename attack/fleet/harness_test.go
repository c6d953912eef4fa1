package fleet_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/attack/fleet"
	"github.com/mettleml/mettle/attack/fleet/postgres"
	"github.com/mettleml/mettle/attack/fleet/server"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

// long runs the tests that take minutes in full; the flag is defined beside the tests of
// the package's insides.
func long() bool { return flag.Lookup("long").Value.String() == "true" }

// The test binary is also the processes that tests start: victims, servers and workers.
const roleEnv = "METTLE_FLEET_TEST_ROLE"

func TestMain(m *testing.M) {
	if args := os.Getenv(roleEnv); args != "" {
		role, rest, _ := strings.Cut(args, " ")
		var err error
		switch role {
		case "victim":
			err = victimRole(rest)
		case "server":
			err = serverRole(rest)
		case "worker":
			err = workerRole(rest)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A process is one that a test started.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *os.File
	gone chan struct{}
}

// start runs this binary in a role, before which words may stand that run it, such as
// those of ip netns exec.
func start(t *testing.T, name string, role string, args any, before ...string) *process {
	t.Helper()
	b, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	words := append(before, os.Args[0])
	p := &process{t: t, cmd: exec.Command(words[0], words[1:]...), gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), roleEnv+"="+role+" "+string(b), "GOMAXPROCS=2")
	if p.log, err = os.OpenFile(filepath.Join(logs(t), name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		p.log.Close()
		close(p.gone)
	}()
	t.Cleanup(p.kill)
	return p
}

var logDirs sync.Map

// logs is the directory of the logs of a test's processes, which are printed if it fails.
func logs(t *testing.T) string {
	if dir, ok := logDirs.Load(t.Name()); ok {
		return dir.(string)
	}
	dir := t.TempDir()
	logDirs.Store(t.Name(), dir)
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*.log"))
		for _, f := range files {
			b, _ := os.ReadFile(f)
			t.Logf("%s:\n%s", filepath.Base(f), b[max(0, len(b)-3000):])
		}
	})
	return dir
}

func (p *process) signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

// dial reports whether somebody listens.
func dial(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		c.Close()
	}
	return err
}

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.gone
}

// ended reports whether the process has ended, and waits so long for it.
func (p *process) ended(wait time.Duration) bool {
	select {
	case <-p.gone:
		return true
	case <-time.After(wait):
		return false
	}
}

// freePorts are ports of this machine that nobody listens on.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// victimArgs describe a victim: a random network, slow on request.
type victimArgs struct {
	Addr     string
	Delay    time.Duration // of a call
	Remember int
	Net4     bool
	Classes  int // 0: 4
}

var victimInfo = zoo.Info{Name: "victim", Shape: []int{1, 8, 8}, Classes: 4}

func victimModel(classes int) (*zoo.Model, error) {
	r := rand.New(rand.NewPCG(3, 3))
	info := victimInfo
	info.Classes = classes
	return zoo.NewModel(nn.NewSequential(nn.Flatten{}, nn.NewLinear(r, 64, classes)), info, data.Preprocess{})
}

// An arrival is a call that came to the victim.
type arrival struct {
	At int64 // ns
	N  int
}

// victimRole serves a victim. It counts for itself what it is asked, and when.
func victimRole(args string) error {
	var a victimArgs
	if err := json.Unmarshal([]byte(args), &a); err != nil {
		return err
	}
	m, err := victimModel(cmp.Or(a.Classes, victimInfo.Classes))
	if a.Net4 {
		info := victimInfo
		info.Shape, info.Classes = []int{1, 28, 28}, 10
		m, err = zoo.NewModel(pretrained.Net4(), info, data.Preprocess{})
	}
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var arrivals []arrival
	paid := 0
	counting := zoo.ScorerFunc(m.Info(), func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		mu.Lock()
		arrivals = append(arrivals, arrival{time.Now().UnixNano(), x.Dim(0)})
		paid += x.Dim(0)
		mu.Unlock()
		time.Sleep(a.Delay)
		return m.Scores(context.WithoutCancel(ctx), x, out)
	})
	mux := http.NewServeMux()
	mux.Handle("/v2/", oip.NewHandler(counting, oip.HandlerOptions{Remember: a.Remember}))
	mux.Handle("/v2", oip.NewHandler(counting, oip.HandlerOptions{}))
	mux.HandleFunc("/paid", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprint(w, paid)
	})
	mux.HandleFunc("/arrivals", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		json.NewEncoder(w).Encode(arrivals)
	})
	return http.ListenAndServe(a.Addr, mux)
}

// A victim is a victim's process.
type victim struct {
	t    *testing.T
	base string
	proc *process
}

func startVictim(t *testing.T, a victimArgs) *victim {
	t.Helper()
	if a.Addr == "" {
		a.Addr = fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	}
	v := &victim{t, "http://" + a.Addr, start(t, "victim", "victim", a)}
	waitFor(t, 20*time.Second, "the victim", func() error {
		r, err := http.Get(v.base + "/paid")
		if err == nil {
			r.Body.Close()
		}
		return err
	})
	return v
}

func (v *victim) get(path string) []byte {
	v.t.Helper()
	r, err := http.Get(v.base + path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return b
}

// paid is what the victim's process counted.
func (v *victim) paid() int64 {
	n, err := strconv.ParseInt(string(v.get("/paid")), 10, 64)
	if err != nil {
		v.t.Fatal(err)
	}
	return n
}

func (v *victim) arrivals() (a []arrival) {
	if err := json.Unmarshal(v.get("/arrivals"), &a); err != nil {
		v.t.Fatal(err)
	}
	return a
}

// url is the address of the model.
func (v *victim) url() string { return v.base + "/v2/models/victim" }

func waitFor(t *testing.T, most time.Duration, what string, ready func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(30 * time.Millisecond) {
		if err = ready(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// serverRole runs a server until it is killed.
func serverRole(args string) error {
	var o server.Options
	if err := json.Unmarshal([]byte(args), &o); err != nil {
		return err
	}
	o.Log = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	if _, err := server.Start(o); err != nil {
		return err
	}
	select {}
}

// servers are the processes of one server or of a cluster of three.
type servers struct {
	t       *testing.T
	options []server.Options
	before  [][]string // of each
	procs   []*process
	url     string
}

func startServers(t *testing.T, n int, change ...func(i int, o *server.Options)) *servers {
	t.Helper()
	s := &servers{t: t, procs: make([]*process, n), before: make([][]string, n)}
	dir := t.TempDir()
	ports := freePorts(t, 2*n)
	var urls, routes []string
	for i := range n {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
		routes = append(routes, fmt.Sprintf("127.0.0.1:%d", ports[n+i]))
	}
	for i := range n {
		o := server.Options{Dir: filepath.Join(dir, fmt.Sprint(i)), Name: fmt.Sprintf("s%d", i), Listen: fmt.Sprintf("127.0.0.1:%d", ports[i])}
		if n > 1 {
			o.Cluster, o.Routes = routes[i], routes
		}
		for _, c := range change {
			c(i, &o)
		}
		s.options = append(s.options, o)
	}
	s.url = strings.Join(urls, ",")
	for i := range n {
		s.start(i)
	}
	return s
}

func (s *servers) start(i int) {
	s.procs[i] = start(s.t, fmt.Sprintf("server%d", i), "server", s.options[i], s.before[i]...)
}

// workerArgs describe a worker.
type workerArgs struct {
	URL, Name, Journal, Victim, Postgres string
	Units                                int
	AckWait                              time.Duration
	Unsafe                               bool
	Skew                                 time.Duration // of the wall clock
}

// submitted opens a fleet on servers and submits a campaign.
func submitted(t *testing.T, s *servers, file *fleet.File) *fleet.Fleet {
	t.Helper()
	ctx := context.Background()
	f, err := fleet.Open(ctx, fleet.OpenOptions{Connection: fleet.Connection{URL: s.url}, Create: true, Log: say(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Submit(ctx, file); err != nil {
		t.Fatal(err)
	}
	return f
}

func workerRole(args string) error {
	var a workerArgs
	if err := json.Unmarshal([]byte(args), &a); err != nil {
		return err
	}
	if a.Skew != 0 {
		fleet.SetSkew(a.Skew)
	}
	ctx := context.Background()
	log := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, time.Now().Format("05.000 ")+format+"\n", args...)
	}
	f, err := a.open(ctx, log)
	if err != nil {
		return err
	}
	return f.Work(ctx, fleet.WorkOptions{Name: a.Name, Journal: a.Journal, Units: a.Units, AckWait: a.AckWait, Victim: a.Victim, Log: log})
}

func (a *workerArgs) open(ctx context.Context, log func(string, ...any)) (*fleet.Fleet, error) {
	o := fleet.OpenOptions{Connection: fleet.Connection{URL: a.URL, Name: a.Name, Unsafe: a.Unsafe}, Create: true, Log: log}
	if a.Postgres != "" {
		s, err := postgres.Open(ctx, a.Postgres)
		if err != nil {
			return nil, err
		}
		o.Store = s
	}
	return fleet.Open(ctx, o)
}

// campaign writes a campaign file of samples that the victim gets right.
func campaign(t *testing.T, n int, url string, change ...func(f *fleet.File)) *fleet.File {
	t.Helper()
	m, err := victimModel(victimInfo.Classes)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 5))
	x, y := tensor.New(n, 1, 8, 8), tensor.New(n)
	for i := range x.Data() {
		x.Data()[i] = r.Float32()
	}
	labels := make([]int, n)
	if err := zoo.LabelsOf(m).Labels(context.Background(), x, labels); err != nil {
		t.Fatal(err)
	}
	for i, l := range labels {
		y.Data()[i] = float32(l)
	}
	y.Data()[n-1] = float32((labels[n-1] + 1) % 4) // is skipped
	dir := t.TempDir()
	if err := errors.Join(tensor.SaveNPY(filepath.Join(dir, "x.npy"), x, tensor.F32), tensor.SaveNPY(filepath.Join(dir, "y.npy"), y, tensor.F32)); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"name": "test", "victim": {"url": %q, "shape": [1, 8, 8], "timeout": "2s"},
		"samples": {"array": "x.npy", "labels": "y.npy"},
		"attacks": [{"attack": "square", "options": {"Eps": 0.4}}, {"attack": "zoo", "options": {"Iterations": 6, "Coordinates": 8}}, {"attack": "hopskipjump"}],
		"budget": 90, "seed": 7}`, url)
	f, err := fleet.ParseFile([]byte(text), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(f)
	}
	return f
}

// undisturbed runs a campaign in one process, with a victim in it that answers as the
// one behind the address, and returns the records of each attack and the queries.
func undisturbed(t *testing.T, f *fleet.File) (records []string, queries int64) {
	t.Helper()
	all, samples, err := f.Local(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		r, err := c.Run(context.Background(), samples)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, recordsJSON(t, r))
		queries += int64(r.Intents)
	}
	return records, queries
}

func recordsJSON(t *testing.T, r *attack.Result) string {
	t.Helper()
	b, err := json.Marshal(r.Records)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// same compares the records of a fleet with those of one process.
func same(t *testing.T, f *fleet.Fleet, want []string) (intents, answers int64) {
	t.Helper()
	got, err := f.Fetch(context.Background(), "test", false)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range got {
		if g := recordsJSON(t, r); g != want[i] {
			t.Errorf("%s: the fleet's records are\n%.1500s\nthose of one process\n%.1500s", r.Attack, g, want[i])
		}
		intents += int64(r.Intents)
		answers += int64(r.Answers)
	}
	return intents, answers
}

// finish waits until a campaign is done, and fails the test if that is stopped.
func finish(t *testing.T, f *fleet.Fleet, most time.Duration) {
	t.Helper()
	waitFor(t, most, "the campaign", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		done, stopped, err := f.Finished(ctx, "test")
		switch {
		case err != nil:
			return err
		case stopped != "":
			t.Fatalf("the campaign is stopped: %s", stopped)
		case !done:
			s, err := f.Status(ctx, "test")
			if err != nil {
				return err
			}
			var text bytes.Buffer
			s.Write(&text)
			return fmt.Errorf("it is not done:\n%s", text.String())
		}
		return nil
	})
}

func say(t *testing.T) func(string, ...any) {
	return func(format string, args ...any) { t.Logf(format, args...) }
}
