package oip

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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

// An Encoding says how requests carry tensors.
type Encoding uint8

// The encodings of a tensor in a request.
const (
	Auto   Encoding = iota // Binary if the server lists the extension and accepts it, else JSON
	Binary                 // the binary tensor extension: raw little-endian values
	JSON                   // numbers in the JSON body; every server understands it
)

// Options describe a remote victim and the connection to it. The zero value relies on the
// server's metadata.
//
// The client sends samples as FP32, FP64, FP16 or UINT8. An input of UINT8 gets the pixels
// times 255, rounded as by tensor.Round8, so the victim sees no step smaller than 1/255,
// and a success holds in 8 bits too. Finite differences then need a step of more than
// 1/255; for FP16, 1e-3 is enough.
type Options struct {
	Model   string // name of the model; empty if the URL ends in /v2/models/NAME
	Version string // empty means the URL's, or the server's choice
	Input   string // name of the image input; empty means the model's only one
	Output  string // name of the score output; empty means the model's only one

	// These replace the server's metadata where they are missing (as MLServer's and
	// KServe's custom models may leave them) or wrong.
	Datatype   string  // of the input; empty means the server's, or FP32
	InputShape []int64 // of the input with its batch axis, such as [-1, 784]; nil means the server's, or [-1] and the preprocessed sample's shape
	Classes    int     // scores per sample; 0 means the server's

	Scores zoo.ScoreKind // what the output holds; the metadata never say it
	// Shape is the shape of one sample in [0,1], [C, H, W]. It is needed where the input's
	// shape has -1, one flat dimension or is not known, and where Preprocess resizes.
	Shape []int
	// Preprocess maps a sample in [0,1] to what the model takes. The client sets NHWC or
	// CTHW by itself where the input's shape allows nothing else, and Notes says so.
	Preprocess data.Preprocess

	Encoding Encoding
	// Batch is the largest number of samples per request. 0 means 64, or 1 if the model is
	// not known to have a batch axis. A model with a fixed batch gets exactly that many:
	// the client fills up with copies of the last sample, which the server may charge. With
	// a smaller Batch it sends fewer and does not fill up.
	Batch int

	Concurrency int           // concurrent requests; 0 means 4
	Timeout     time.Duration // per request; 0 means 30 s
	Retries     int           // retries after a failure that may pass; 0 means 4, negative means none
	Backoff     time.Duration // delay delay before the first retry, doubled for each further one; 0 means 100 ms
	Rate        float64       // samples per second; 0 means no limit

	// Identity replaces the address in the victim's digest, for a victim that several
	// machines reach by different addresses.
	Identity string

	Token  string       // sent as a bearer token, to the address's own host only
	TLS    *tls.Config  // nil means the system's roots
	Client *http.Client // nil: one that Dial makes; with another, TLS is ignored
}

// A Client is a victim behind the Open Inference Protocol. It implements
// zoo.Scorer, and zoo.Labeler by the largest score. It is safe for concurrent
// use.
//
// The client retries a request, with the same id, after a failure that may pass: a broken
// connection, a status such as 503, or a garbled answer (cut off, empty, a proxy's page,
// another number of scores). The server may have charged for the first request. The client
// therefore calls zoo.Resend before each retry, and a campaign's journal counts it. Stats
// has the sums.
type Client struct {
	opt   Options
	base  string // .../v2/models/NAME[/versions/V]
	http  *http.Client
	most  int64 // bytes of an answer
	info  zoo.Info
	notes []string
	place
	datatype string       // of the input
	answers  string       // datatype of the output, if known
	mode     atomic.Int32 // the Encoding; Auto is Binary that has not been seen to work

	slots   chan struct{}
	mu      sync.Mutex
	nextRun time.Time // when the rate limit lets the next request go

	tally tally
}

// Dial asks the server at address for the model's readiness and metadata, and returns a
// client for it. The address is the server's root, or the model's URL, which ends in
// /v2/models/NAME or /v2/models/NAME/versions/VERSION. Errors say what to do.
//
// A server need not describe its tensors or its readiness. Then set the options Input,
// Output, Shape and Classes.
//
// The digest in the client's Info covers the model's address (or Options.Identity), the
// names and types of its tensors, and the preprocessing. A client cannot detect that the
// server has changed the weights under the same name.
func Dial(ctx context.Context, address string, opt Options) (*Client, error) {
	u, err := parseAddress(address, &opt)
	if err != nil {
		return nil, err
	}
	setDefaults(&opt)
	root := strings.TrimSuffix(u.String(), "/")
	base := root + "/v2/models/" + url.PathEscape(opt.Model)
	if opt.Version != "" {
		base += "/versions/" + url.PathEscape(opt.Version)
	}
	c := &Client{opt: opt, base: base, http: httpClient(&opt), most: maxReply, slots: make(chan struct{}, opt.Concurrency)}
	name := u.Redacted()
	notReady := c.ready(ctx)
	if notReady != nil && !answered(notReady, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented) {
		return nil, unreachable(notReady, opt.Model, name)
	}
	meta, err := c.metadata(ctx)
	switch {
	case err != nil && notReady != nil:
		return nil, unreachable(notReady, opt.Model, name)
	case answered(err, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented):
		meta = &ModelMetadata{} // a server may have none
	case err != nil:
		return nil, fmt.Errorf("oip: metadata of model %q: %w", opt.Model, err)
	}
	if err := c.describe(meta); err != nil {
		return nil, fmt.Errorf("oip: model %q: %w", opt.Model, err)
	}
	if opt.Encoding == Auto && !c.listsBinary(ctx, root+"/v2") {
		opt.Encoding = JSON
	}
	c.mode.Store(int32(opt.Encoding))
	return c, nil
}

// parseAddress takes an address apart: the model and its version go to opt, the
// server's root is returned.
func parseAddress(address string, opt *Options) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("oip: %q is no address of a server; write http://HOST:PORT or http://HOST:PORT/v2/models/NAME", address)
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("oip: the address at %s has something behind ? or #, which the protocol has no place for; a token goes into Options.Token", u.Host)
	}
	path := strings.TrimRight(u.Path, "/")
	root, name, model := strings.Cut(path, "/v2/models/")
	if model {
		for _, suffix := range []string{"/infer", "/ready"} {
			name = strings.TrimSuffix(name, suffix)
		}
		name, version, _ := strings.Cut(name, "/versions/")
		if opt.Model != "" && opt.Model != name || opt.Version != "" && version != "" && opt.Version != version {
			return nil, fmt.Errorf("oip: %s names another model or version than Options.Model %q, Options.Version %q; leave one out", u.Redacted(), opt.Model, opt.Version)
		}
		opt.Model, opt.Version = name, cmp.Or(version, opt.Version)
	} else {
		root = strings.TrimSuffix(strings.TrimSuffix(path, "/models"), "/v2")
	}
	if opt.Model == "" {
		return nil, fmt.Errorf("oip: %s: which model? Name it, or end the address in /v2/models/NAME", u.Redacted())
	}
	u.Path, u.RawPath = root, ""
	return u, nil
}

// httpClient is what requests are sent by.
func httpClient(opt *Options) *http.Client {
	var h http.Client
	if opt.Client != nil {
		h = *opt.Client
	} else {
		t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
		if d, ok := http.DefaultTransport.(*http.Transport); ok { // a program may have put another there
			t = d.Clone()
		}
		t.TLSClientConfig = opt.TLS.Clone()
		t.MaxIdleConnsPerHost = opt.Concurrency
		h.Transport = t
	}
	h.CheckRedirect = redirects(h.CheckRedirect)
	return &h
}

// ready asks whether the model is ready.
func (c *Client) ready(ctx context.Context) error {
	return c.retrying(ctx, exchange{method: "GET", address: c.base + "/ready", read: func(r *reply) error {
		var state struct {
			Ready *bool `json:"ready"`
		}
		if text := errorIn(r.body, true); text != "" {
			return &statusError{code: http.StatusOK, text: text}
		}
		if json.Unmarshal(r.body, &state) == nil && state.Ready != nil && !*state.Ready {
			return &statusError{code: http.StatusOK, text: `"ready" is false`}
		}
		return nil
	}})
}

// unreachable says why there is no talking to a model.
func unreachable(err error, model, address string) error {
	s := (*statusError)(nil)
	to := (*redirectError)(nil)
	switch {
	case noTLS(err):
		return fmt.Errorf("oip: no TLS from %s: %w; write http:// if the server has none", address, err)
	case untrusted(err):
		return fmt.Errorf("oip: %s is not trusted: %w; put the authority that signed its certificate into Options.TLS", address, err)
	case answered(err, http.StatusUnauthorized, http.StatusForbidden):
		return fmt.Errorf("oip: %s refuses us: %w", address, err)
	case errors.As(err, &s):
		return fmt.Errorf("oip: model %q at %s is not ready: %w; check the model's name, version and state on the server", model, address, err)
	case errors.As(err, &to):
		return fmt.Errorf("oip: %s: %w", address, err)
	}
	return fmt.Errorf("oip: no answer from %s: %w; is the server running, and is this its address?", address, err)
}

// metadata asks what the model takes and answers.
func (c *Client) metadata(ctx context.Context) (*ModelMetadata, error) {
	var meta ModelMetadata
	err := c.retrying(ctx, exchange{method: "GET", address: c.base, read: func(r *reply) error {
		meta = ModelMetadata{}
		if err := json.Unmarshal(r.body, &meta); err != nil {
			return fmt.Errorf("what came from %s is no metadata: %w; %s", r.from.Redacted(), err, beginning(r.body))
		}
		if text := errorIn(r.body, meta.Name != "" || len(meta.Inputs) > 0); text != "" {
			return &statusError{code: http.StatusOK, text: text}
		}
		return nil
	}})
	return &meta, err
}

// listsBinary reports whether the server lists the binary tensor extension.
func (c *Client) listsBinary(ctx context.Context, address string) bool {
	var server ServerMetadata
	err := c.retrying(ctx, exchange{method: "GET", address: address, read: func(r *reply) error {
		json.Unmarshal(r.body, &server) // what is no metadata lists nothing
		return nil
	}})
	return err == nil && slices.Contains(server.Extensions, extensionBinary)
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

// Info describes the model as a victim.
func (c *Client) Info() zoo.Info { return c.info }

// Notes returns sentences to print about how the client interpreted the server's
// description: a channel axis elsewhere than expected, pixels that are rounded, tensors
// that the server does not describe.
func (c *Client) Notes() []string { return slices.Clone(c.notes) }

// FixedBatch returns the number of samples that every request must have, because the model
// has a fixed batch (Options.Batch); the client fills it up with copies. 0 means that any
// number is allowed.
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

// Scores sends the samples of x in requests of at most Options.Batch samples, several
// at once. If ctx carries a request id (zoo.WithRequestID), the client derives the
// requests' ids from it, so that a server which remembers ids serves each once.
//
// The error wraps zoo.ErrBadVictim if the server's answer is unusable.
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
	if c.datatype == "UINT8" {
		values = tensor.FromSlice(values, len(values)).Round8().Data()
		for i, v := range values {
			values[i] = float32(math.Round(float64(v) * 255))
		}
	}
	e := exchange{method: "POST", address: c.base + "/infer", lo: lo, hi: hi,
		read: func(r *reply) error { return c.read(r, id, sent, out) }}
	mode := Encoding(c.mode.Load())
	err := c.send(ctx, e, id, values, mode != JSON)
	switch {
	case mode != Auto:
	case err == nil:
		c.mode.CompareAndSwap(int32(Auto), int32(Binary))
	case answered(err, http.StatusBadRequest, http.StatusNotAcceptable, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusNotImplemented):
		// Perhaps it does not understand what it lists, or a proxy before it does not.
		e.again = true
		if err = c.send(ctx, e, id, values, false); err == nil {
			c.mode.Store(int32(JSON))
		}
	}
	if err != nil {
		return fmt.Errorf("oip: model %q: %w", c.info.Name, err)
	}
	return nil
}

// send sends values as the request of e.
func (c *Client) send(ctx context.Context, e exchange, id string, values []float32, isBinary bool) error {
	shape := c.wire
	if c.batched {
		shape = append([]int64{int64(len(values)) / product(c.wire)}, c.wire...)
	}
	req := Request{
		ID:      Text(id),
		Inputs:  []Tensor{newTensor(c.opt.Input, c.datatype, shape, values, isBinary)},
		Outputs: []OutputRequest{{Name: c.opt.Output}},
	}
	if isBinary {
		req.Outputs[0].Parameters = &TensorParams{Binary: &isBinary}
	}
	body, jsonLen, err := encode(req, req.Inputs)
	if err != nil {
		return err
	}
	e.body, e.header = body, header(jsonLen)
	return c.retrying(ctx, e)
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
// for those of the call. An answer that is complete but of no use is unfit: the victim
// would give it again. Any other fault is taken for garbled.
func (c *Client) read(r *reply, id string, n int, out []float64) error {
	garbled := func(err error) error {
		if errors.As(err, new(unfit)) {
			return fmt.Errorf("answer: %w: %w", err, zoo.ErrBadVictim)
		}
		return fmt.Errorf("answer: %w (%s): %w", err, beginning(r.body), zoo.ErrBadVictim)
	}
	var res struct {
		Response
		Error, Errors, Fault json.RawMessage
	}
	if err := decode(r.body, r.header, &res, func() []Tensor { return res.Outputs }); err != nil {
		return garbled(err)
	}
	if len(res.Outputs) == 0 || len(res.Error)+len(res.Errors)+len(res.Fault) > 0 {
		if text := errorIn(r.head(), len(res.Outputs) > 0); text != "" {
			return &statusError{code: http.StatusOK, text: text}
		}
	}
	// A number is the server's own count of its answers.
	if _, err := strconv.ParseFloat(string(res.ID), 64); err != nil && res.ID != "" && string(res.ID) != id {
		return garbled(fmt.Errorf("it is for request %q, not %q", res.ID, id))
	}
	for i := range res.Outputs {
		t := &res.Outputs[i]
		if t.Name != c.opt.Output {
			continue
		}
		t.Datatype = cmp.Or(t.Datatype, c.answers)
		v, err := t.Values(int64(n*c.info.Classes) + 1)
		if err != nil {
			return garbled(err)
		}
		want := c.info.Classes
		if len(v) != n*want || n > 1 && (len(t.Shape) == 0 || t.Shape[0] != int64(n)) {
			return garbled(fmt.Errorf("output %q has shape %v, need [%d, %d]: is it the right output, and is the number of classes?", t.Name, t.Shape, n, want))
		}
		copy(out, v)
		if err := zoo.CheckScores(c.info, out); err != nil {
			return unfit{err}
		}
		return nil
	}
	return garbled(fmt.Errorf("it lacks output %q", c.opt.Output))
}
