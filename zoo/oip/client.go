package oip

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// Encoding says how tensors travel.
type Encoding uint8

// The encodings of a tensor in a request.
const (
	Auto   Encoding = iota // Binary if the server lists the extension and does not refuse it after all, else JSON
	Binary                 // the binary tensor extension: raw little-endian values
	JSON                   // numbers in the JSON body; every server understands it
)

// Options describe a remote victim and how to talk to it. The zero value asks
// the server for everything it can tell.
//
// Inputs of datatype FP32, FP64, FP16 and UINT8 are sent. To UINT8 go pixels times 255,
// rounded, so that the victim sees no less than a step of 1/255: what an attack finds
// there it has found in 8 bits, and a second look in 8 bits says nothing more. Finite
// differences need a larger step there than their default, and for FP16 one of 1e-3.
type Options struct {
	Model   string // name of the model; empty if the URL ends in /v2/models/NAME
	Version string // empty: the server's choice
	Input   string // name of the image input; empty: the model's only one
	Output  string // name of the score output; empty: the model's only one

	Scores  zoo.ScoreKind // what the output holds; not part of the protocol's metadata
	Shape   []int         // of one sample in [0,1], [C, H, W]; needed where the metadata has -1 or one flat dimension, or Preprocess reshapes
	Classes int           // needed where the metadata has -1

	Preprocess data.Preprocess // from [0,1] CHW to what the model takes

	Encoding Encoding
	// Batch is how many samples a request has at most; 0: 64, or 1 if the model has no
	// batch axis. A model whose batch is fixed gets exactly that many, with copies of the
	// last sample for those that are missing (a server may charge them), unless Batch is
	// smaller: then it is sent fewer.
	Batch int

	Concurrency int           // requests in flight; 0: 4
	Timeout     time.Duration // of one request; 0: 30 s
	Retries     int           // further tries after a failure that may pass; 0: 4, negative: none
	Backoff     time.Duration // before the first retry, doubled for each further one; 0: 100 ms
	Rate        float64       // samples a second; 0: no limit

	Token  string       // sent as a bearer token
	TLS    *tls.Config  // nil: the system's roots
	Client *http.Client // nil: one of its own; else TLS is this one's business
}

// A Client is a victim behind the Open Inference Protocol. It implements
// zoo.Scorer, and zoo.Labeler by the largest score. It is safe for concurrent
// use.
//
// A request that fails in transit is sent again with the same id; a server may
// have counted it already. Stats tells how many were, and the context of the call
// learns of each before it is sent (zoo.WithResend): a campaign's journal counts it as
// possibly charged twice.
type Client struct {
	opt     Options
	base    string // .../v2/models/NAME[/versions/V]
	http    *http.Client
	info    zoo.Info
	batched bool // the model's input has a batch axis
	fixed   int  // samples that every request must have, 0 if it may have fewer
	wire    []int64
	data    string       // the input's datatype
	mode    atomic.Int32 // the Encoding; Auto is Binary that has not been seen to work

	slots   chan struct{}
	mu      sync.Mutex
	nextRun time.Time // when the rate limit lets the next request go

	sent, retried, samples atomic.Int64
}

// Stats counts what a client sent.
type Stats struct {
	Requests int // HTTP requests for inference, retries included
	Retries  int
	Samples  int // in all requests, retries included
}

// Stats returns the counts so far.
func (c *Client) Stats() Stats {
	return Stats{int(c.sent.Load()), int(c.retried.Load()), int(c.samples.Load())}
}

// Dial asks the server at address for the model's readiness and metadata, and
// returns a client for it. address is the server's root, or the model's URL
// ending in /v2/models/NAME. Every failure says what to do about it.
//
// The client's Info has as its digest the model's address, tensors and
// preprocessing. Whether the server has other weights under the same name than
// before is not to be seen from outside.
func Dial(ctx context.Context, address string, opt Options) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("oip: %q is no address of a server; write http://HOST:PORT or http://HOST:PORT/v2/models/NAME", address)
	}
	if root, name, ok := strings.Cut(strings.TrimSuffix(u.Path, "/"), "/v2/models/"); ok && opt.Model == "" {
		u.Path = root
		opt.Model, opt.Version, _ = strings.Cut(name, "/versions/")
	}
	if opt.Model == "" {
		return nil, fmt.Errorf("oip: %s: which model? Name it, or end the address in /v2/models/NAME", address)
	}
	setDefaults(&opt)
	root := strings.TrimSuffix(u.String(), "/")
	base := root + "/v2/models/" + url.PathEscape(opt.Model)
	if opt.Version != "" {
		base += "/versions/" + url.PathEscape(opt.Version)
	}
	c := &Client{opt: opt, base: base, http: opt.Client, slots: make(chan struct{}, opt.Concurrency)}
	if c.http == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = opt.TLS
		t.MaxIdleConnsPerHost = opt.Concurrency
		c.http = &http.Client{Transport: t}
	}
	if _, err := c.retrying(ctx, "GET", base+"/ready", nil, "", 0, 0); err != nil {
		s := (*statusError)(nil)
		switch {
		case noTLS(err):
			return nil, fmt.Errorf("oip: no TLS from %s: %w; write http:// if the server has none", address, err)
		case untrusted(err):
			return nil, fmt.Errorf("oip: %s is not trusted: %w; put the authority that signed its certificate into Options.TLS", address, err)
		case answered(err, http.StatusUnauthorized, http.StatusForbidden):
			return nil, fmt.Errorf("oip: %s refuses us: %w", address, err)
		case errors.As(err, &s):
			return nil, fmt.Errorf("oip: model %q at %s is not ready: %w; check the model's name, version and state on the server", opt.Model, address, err)
		}
		return nil, fmt.Errorf("oip: no answer from %s: %w; is the server running, and is this its address?", address, err)
	}
	reply, err := c.retrying(ctx, "GET", base, nil, "", 0, 0)
	if err != nil {
		return nil, fmt.Errorf("oip: metadata of model %q: %w", opt.Model, err)
	}
	var meta ModelMetadata
	if err := json.Unmarshal(reply.body, &meta); err != nil {
		return nil, fmt.Errorf("oip: metadata of model %q: %w", opt.Model, err)
	}
	if err := c.describe(&meta); err != nil {
		return nil, fmt.Errorf("oip: model %q: %w", opt.Model, err)
	}
	if opt.Encoding == Auto && !c.listsBinary(ctx, root+"/v2") {
		opt.Encoding = JSON
	}
	c.mode.Store(int32(opt.Encoding))
	return c, nil
}

// listsBinary reports whether the server lists the binary tensor extension.
func (c *Client) listsBinary(ctx context.Context, address string) bool {
	r, err := c.retrying(ctx, "GET", address, nil, "", 0, 0)
	if err != nil {
		return false
	}
	var server ServerMetadata
	return json.Unmarshal(r.body, &server) == nil && slices.Contains(server.Extensions, extensionBinary)
}

func setDefaults(o *Options) {
	if o.Concurrency <= 0 {
		o.Concurrency = 4
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Retries == 0 {
		o.Retries = 4
	}
	if o.Backoff <= 0 {
		o.Backoff = 100 * time.Millisecond
	}
}

// describe fills the client's Info from the metadata and the options.
func (c *Client) describe(meta *ModelMetadata) error {
	in, err := pick("input", c.opt.Input, meta.Inputs)
	if err != nil {
		return err
	}
	out, err := pick("output", c.opt.Output, meta.Outputs)
	if err != nil {
		return err
	}
	if _, ok := writers[in.Datatype]; !ok {
		return fmt.Errorf("input %q takes %s; only %q are sent", in.Name, in.Datatype, slices.Sorted(maps.Keys(writers)))
	}
	c.data = in.Datatype
	if pre := &c.opt.Preprocess; c.data == "UINT8" {
		if len(pre.Mean)+len(pre.Std) > 0 || pre.Scale != 0 && pre.Scale != 255 {
			return fmt.Errorf("input %q takes UINT8: it gets pixels times 255, which leaves no room for another scale (%g), a mean or a deviation; does the model subtract them itself?", in.Name, pre.Scale)
		}
		pre.Scale = 0 // request does it, rounding as tensor.Round8 does
	}
	c.opt.Input, c.opt.Output = in.Name, out.Name
	// Three dimensions are one image; a fourth in front is the batch, unless samples
	// are said to have four.
	shape := in.Shape
	c.batched = len(shape) > 0 && shape[0] < 0 || len(shape) == 4 && len(c.opt.Shape) != 4 || len(shape) == 5
	if c.batched {
		if k := int(shape[0]); k > 0 && (c.opt.Batch == 0 || c.opt.Batch >= k) {
			c.fixed, c.opt.Batch = k, k
		}
		shape = shape[1:]
	} else {
		c.opt.Batch = 1
	}
	if c.opt.Batch == 0 {
		c.opt.Batch = 64
	}
	sample := c.opt.Shape
	if sample == nil {
		for _, d := range shape {
			if d <= 0 {
				return fmt.Errorf("input %q has shape %v; say which sample shape to send", in.Name, in.Shape)
			}
			sample = append(sample, int(d))
		}
		if sample, err = c.opt.Preprocess.InputShape(sample); err != nil {
			return fmt.Errorf("input %q of shape %v: %w", in.Name, in.Shape, err)
		}
	}
	wire, err := c.opt.Preprocess.OutputShape(sample)
	if err != nil {
		return err
	}
	if n := (zoo.Info{Shape: wire}).Size(); c.opt.Shape != nil && len(shape) == 1 && shape[0] == int64(n) {
		wire = []int{n}
	}
	if len(wire) != len(shape) {
		return fmt.Errorf("input %q has shape %v; samples of shape %v reach it as %v", in.Name, in.Shape, sample, wire)
	}
	for i, d := range shape {
		if d >= 0 && int(d) != wire[i] {
			return fmt.Errorf("input %q has shape %v; samples of shape %v reach it as %v", in.Name, in.Shape, sample, wire)
		}
		c.wire = append(c.wire, int64(wire[i]))
	}
	classes := c.opt.Classes
	if n := len(out.Shape); classes == 0 && n > 0 {
		classes = int(max(out.Shape[n-1], 0))
	}
	if classes == 0 {
		return fmt.Errorf("output %q has shape %v; say how many classes it has", out.Name, out.Shape)
	}
	c.info = zoo.Info{Name: c.opt.Model, Shape: sample, Classes: classes, Scores: c.opt.Scores}
	if c.info.Digest, err = c.digest(); err != nil {
		return err
	}
	return c.info.Check()
}

// digest tells the victim from others: by its address without a password, and by
// what is sent and read there.
func (c *Client) digest() (string, error) {
	u, err := url.Parse(c.base)
	if err != nil {
		return "", err
	}
	u.User = nil
	return fmt.Sprintf("%s %s %s %s %+v", u, c.opt.Input, c.data, c.opt.Output, c.opt.Preprocess), nil
}

func pick(what, name string, all []TensorMetadata) (TensorMetadata, error) {
	var names []string
	for _, t := range all {
		if t.Name == name || name == "" && len(all) == 1 {
			return t, nil
		}
		names = append(names, t.Name)
	}
	if name == "" {
		return TensorMetadata{}, fmt.Errorf("it has %d %ss %q; name the one to use", len(all), what, names)
	}
	return TensorMetadata{}, fmt.Errorf("it has no %s %q (it has %q)", what, name, names)
}

// Info describes the model as a victim.
func (c *Client) Info() zoo.Info { return c.info }

// FixedBatch is how many samples every request has, filled up with copies, because the
// model takes no fewer; 0 if requests have what the calls ask for (Options.Batch).
func (c *Client) FixedBatch() int { return c.fixed }

// filled is how many samples go to the server for n of a call.
func (c *Client) filled(n int) int {
	if n == 0 {
		return 0
	}
	return max(n, c.fixed)
}

// Labels answers with the class of the largest score.
func (c *Client) Labels(ctx context.Context, x *tensor.Tensor, out []int) error {
	return zoo.LabelsOf(c).Labels(ctx, x, out)
}

// Scores sends the samples of x in requests of at most Options.Batch, several
// at once. If ctx carries a request id (zoo.WithRequestID), the requests are
// named after it, so that a server which remembers ids serves each once.
func (c *Client) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	n, k, size := x.Dim(0), c.info.Classes, c.info.Size()
	if x.Len() != n*size || len(out) != n*k {
		return fmt.Errorf("oip: model %q takes samples of shape %v and answers %d scores each; got a batch of shape %v and room for %d",
			c.info.Name, c.info.Shape, k, x.Shape(), len(out))
	}
	id := zoo.RequestID(ctx)
	if id == "" {
		var b [12]byte
		rand.Read(b[:])
		id = hex.EncodeToString(b[:])
	}
	if n <= c.opt.Batch {
		return c.request(ctx, id, x.Data(), 0, n, out)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for lo := 0; lo < n; lo += c.opt.Batch {
		hi := min(lo+c.opt.Batch, n)
		wg.Go(func() {
			part := id + "/" + strconv.Itoa(lo)
			if err := c.request(ctx, part, x.Data()[lo*size:hi*size], lo, hi, out[lo*k:hi*k]); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// request evaluates samples lo to hi of a call, x, by one request.
func (c *Client) request(ctx context.Context, id string, x []float32, lo, hi int, out []float64) error {
	n := hi - lo // samples of the call; those sent may be more
	sent := c.filled(n)
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	size := int(product(c.wire))
	values := make([]float32, sent*size)
	for i := range sent {
		from := min(i, n-1) // a fixed batch is filled up with the last
		c.opt.Preprocess.Apply(values[i*size:(i+1)*size], x[from*c.info.Size():(from+1)*c.info.Size()], c.info.Shape)
	}
	if c.data == "UINT8" {
		values = tensor.FromSlice(values, len(values)).Round8().Data()
		for i, v := range values {
			values[i] = float32(math.Round(float64(v) * 255))
		}
	}
	mode := Encoding(c.mode.Load())
	reply, err := c.send(ctx, id, values, mode != JSON, lo, hi)
	switch {
	case mode != Auto:
	case err == nil:
		c.mode.CompareAndSwap(int32(Auto), int32(Binary))
	case answered(err, http.StatusBadRequest, http.StatusUnsupportedMediaType):
		// Perhaps it does not understand what it lists, or a proxy before it does not.
		c.retried.Add(1)
		if err := zoo.Resend(ctx, lo, hi); err != nil {
			return err
		}
		if reply, err = c.send(ctx, id, values, false, lo, hi); err == nil {
			c.mode.Store(int32(JSON))
		}
	}
	if err != nil {
		return fmt.Errorf("oip: model %q: %w", c.info.Name, err)
	}
	return c.read(reply, id, sent, out)
}

// send sends the values of samples lo to hi of a call.
func (c *Client) send(ctx context.Context, id string, values []float32, isBinary bool, lo, hi int) (*reply, error) {
	shape := c.wire
	if c.batched {
		shape = append([]int64{int64(len(values)) / product(c.wire)}, c.wire...)
	}
	req := Request{
		ID:      id,
		Inputs:  []Tensor{newTensor(c.opt.Input, c.data, shape, values, isBinary)},
		Outputs: []OutputRequest{{Name: c.opt.Output}},
	}
	if isBinary {
		req.Outputs[0].Parameters = &TensorParams{Binary: &isBinary}
	}
	body, jsonLen, err := encode(req, req.Inputs)
	if err != nil {
		return nil, err
	}
	return c.retrying(ctx, "POST", c.base+"/infer", body, header(jsonLen), lo, hi)
}

func header(jsonLen int) string {
	if jsonLen == 0 {
		return ""
	}
	return strconv.Itoa(jsonLen)
}

func product(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}

// read takes the scores out of an answer to n samples and checks them; out has room
// for those of the call.
func (c *Client) read(r *reply, id string, n int, out []float64) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("oip: model %q: answer: %w: %w", c.info.Name, fmt.Errorf(format, args...), zoo.ErrBadVictim)
	}
	var res Response
	if err := decode(r.body, r.header, &res, func() []Tensor { return res.Outputs }); err != nil {
		return bad("%w", err)
	}
	if res.ID != "" && res.ID != id {
		return bad("it is for request %q, not %q", res.ID, id)
	}
	for i := range res.Outputs {
		t := &res.Outputs[i]
		if t.Name != c.opt.Output {
			continue
		}
		v, err := t.Values(int64(n*c.info.Classes) + 1)
		if err != nil {
			return bad("%w", err)
		}
		want := c.info.Classes
		if len(v) != n*want || n > 1 && (len(t.Shape) == 0 || t.Shape[0] != int64(n)) {
			return bad("output %q has shape %v, need [%d, %d]: is it the right output, and is the number of classes?", t.Name, t.Shape, n, want)
		}
		copy(out, v)
		return zoo.CheckScores(c.info, out)
	}
	return bad("it lacks output %q", c.opt.Output)
}
