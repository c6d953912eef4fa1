package oip

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// HandlerOptions are the options of NewHandler.
type HandlerOptions struct {
	// Remember is the number of answered requests that the handler keeps by id; 0 keeps
	// none. It answers a repeated request from memory and does not count it. It refuses a
	// known id with other pixels (status 409).
	Remember int
	// MaxSamples is the largest number of samples per request; 0 means 1024.
	MaxSamples int
	// Token, if set, is the bearer token that every request must carry.
	Token string
	// Input and Output name the model's tensors; empty means "image" and "scores".
	Input, Output string
}

// A Handler serves one victim under the Open Inference Protocol: readiness,
// metadata and inference below /v2, as FP32 in JSON or raw bytes. It is an http.Handler.
type Handler struct {
	victim zoo.Scorer
	info   zoo.Info
	opt    HandlerOptions
	mux    *http.ServeMux
	served atomic.Int64

	mu     sync.Mutex
	calls  map[string]*call
	recent []string // ids in calls, oldest first
}

// A call is a request being served or remembered.
type call struct {
	pixels [sha256.Size]byte
	done   chan struct{}
	scores []float64
	err    error
}

// NewHandler returns a handler for the victim under the name in its Info.
func NewHandler(victim zoo.Scorer, opt HandlerOptions) *Handler {
	if opt.MaxSamples <= 0 {
		opt.MaxSamples = 1024
	}
	if opt.Input == "" {
		opt.Input = "image"
	}
	if opt.Output == "" {
		opt.Output = "scores"
	}
	h := &Handler{victim: victim, info: victim.Info(), opt: opt, mux: http.NewServeMux(), calls: map[string]*call{}}
	ok := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }
	h.mux.HandleFunc("GET /v2/health/live", ok)
	h.mux.HandleFunc("GET /v2/health/ready", ok)
	h.mux.HandleFunc("GET /v2", h.server)
	h.mux.HandleFunc("GET /v2/{$}", h.server)
	h.mux.HandleFunc("/", h.elsewhere)
	for _, prefix := range []string{"/v2/models/{model}", "/v2/models/{model}/versions/{version}"} {
		h.mux.HandleFunc("GET "+prefix, h.model(h.metadata))
		h.mux.HandleFunc("GET "+prefix+"/ready", h.model(ok))
		h.mux.HandleFunc("POST "+prefix+"/infer", h.model(h.infer))
	}
	return h
}

// Served returns the number of samples that the handler gave to the victim.
func (h *Handler) Served() int { return int(h.served.Load()) }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.opt.Token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+h.opt.Token)) != 1 {
		fail(w, http.StatusUnauthorized, "a bearer token is needed")
		return
	}
	h.mux.ServeHTTP(w, r)
}

func fail(w http.ResponseWriter, code int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(ErrorBody{fmt.Sprintf(format, args...)})
}

func reply200(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func (h *Handler) server(w http.ResponseWriter, _ *http.Request) {
	reply200(w, ServerMetadata{"mettle", "2", []string{extensionBinary}})
}

// elsewhere answers what no path of the protocol stands for.
func (h *Handler) elsewhere(w http.ResponseWriter, r *http.Request) {
	model := "/v2/models/" + url.PathEscape(h.info.Name)
	fail(w, http.StatusNotFound, "there is no %s %s here; there are GET %s and POST %s/infer", r.Method, r.URL.EscapedPath(), model, model)
}

// model lets only requests for the served model and version through.
func (h *Handler) model(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if m := r.PathValue("model"); m != h.info.Name {
			fail(w, http.StatusNotFound, "no model %q here (there is %q)", m, h.info.Name)
			return
		}
		if v := r.PathValue("version"); v != "" && v != "1" {
			fail(w, http.StatusNotFound, "no version %q of model %q (there is 1)", v, h.info.Name)
			return
		}
		next(w, r)
	}
}

func (h *Handler) shape(first int64) []int64 {
	s := []int64{first}
	for _, d := range h.info.Shape {
		s = append(s, int64(d))
	}
	return s
}

func (h *Handler) metadata(w http.ResponseWriter, _ *http.Request) {
	reply200(w, ModelMetadata{
		Name: Text(h.info.Name), Versions: []Text{"1"}, Platform: "mettle",
		Inputs:  []TensorMetadata{{h.opt.Input, "FP32", h.shape(-1)}},
		Outputs: []TensorMetadata{{h.opt.Output, "FP32", []int64{-1, int64(h.info.Classes)}}},
	})
}

// infer serves one inference request.
func (h *Handler) infer(w http.ResponseWriter, r *http.Request) {
	limit := int64(h.opt.MaxSamples) * int64(h.info.Size())
	most := 32*limit + 1<<16 // bytes, compressed or not
	plain, err := unpacked(r.Header, http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		fail(w, http.StatusUnsupportedMediaType, "%v", err)
		return
	}
	body, err := io.ReadAll(io.LimitReader(plain, most+1))
	switch {
	case int64(len(body)) > most || errors.As(err, new(*http.MaxBytesError)):
		fail(w, http.StatusRequestEntityTooLarge, "a request of more than %d bytes; one may have %d samples", most, h.opt.MaxSamples)
		return
	case err != nil:
		fail(w, http.StatusBadRequest, "the request was cut off: %v", err)
		return
	}
	var req Request
	if err := decode(body, r.Header.Get(HeaderLength), &req, func() []Tensor { return req.Inputs }); err != nil {
		fail(w, http.StatusBadRequest, "%v", err)
		return
	}
	x, err := h.input(&req, limit)
	if err != nil {
		fail(w, http.StatusBadRequest, "%v", err)
		return
	}
	scores, err := h.scores(r.Context(), string(req.ID), x)
	if errors.Is(err, errOtherPixels) {
		fail(w, http.StatusConflict, "%v", err)
		return
	}
	if err != nil {
		fail(w, http.StatusInternalServerError, "%v", err)
		return
	}
	h.answer(w, &req, x.Dim(0), scores)
}

// input finds and checks the one input.
func (h *Handler) input(req *Request, limit int64) (*tensor.Tensor, error) {
	if len(req.Inputs) != 1 || req.Inputs[0].Name != h.opt.Input {
		return nil, fmt.Errorf("one input named %q is needed", h.opt.Input)
	}
	for _, o := range req.Outputs {
		if o.Name != h.opt.Output {
			return nil, fmt.Errorf("there is no output %q (there is %q)", o.Name, h.opt.Output)
		}
	}
	t := &req.Inputs[0]
	if t.Datatype != "FP32" {
		return nil, fmt.Errorf("input %q: datatype %s; FP32 is needed", t.Name, t.Datatype)
	}
	if len(t.Shape) == 0 || t.Shape[0] < 1 || !slices.Equal(t.Shape[1:], h.shape(0)[1:]) {
		return nil, fmt.Errorf("input %q: shape %v; %v is needed", t.Name, t.Shape, h.shape(-1))
	}
	v, err := t.Values(limit)
	if err != nil {
		return nil, err
	}
	x := tensor.New(append([]int{int(t.Shape[0])}, h.info.Shape...)...)
	for i, f := range v {
		x.Data()[i] = float32(f)
	}
	return x, nil
}

var errOtherPixels = errors.New("a request of that id came before with other pixels")

// scores asks the victim, or the memory of what it answered. A request that
// comes again while it is being served waits for the first.
func (h *Handler) scores(ctx context.Context, id string, x *tensor.Tensor) ([]float64, error) {
	if id == "" || h.opt.Remember <= 0 {
		return h.ask(ctx, x)
	}
	pixels := digest(x)
	h.mu.Lock()
	if c, ok := h.calls[id]; ok {
		h.mu.Unlock()
		if c.pixels != pixels {
			return nil, errOtherPixels
		}
		select {
		case <-c.done:
			return c.scores, c.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c := &call{pixels: pixels, done: make(chan struct{}), err: errors.New("the victim panicked")}
	h.calls[id] = c
	h.recent = append(h.recent, id)
	h.forget()
	h.mu.Unlock()
	defer func() {
		if c.err != nil {
			h.mu.Lock()
			if h.calls[id] == c {
				delete(h.calls, id)
				h.recent = slices.DeleteFunc(h.recent, func(s string) bool { return s == id })
			}
			h.mu.Unlock()
		}
		close(c.done)
	}()
	// The sender may hang up and ask again: what was begun is finished.
	c.scores, c.err = h.ask(context.WithoutCancel(ctx), x)
	return c.scores, c.err
}

// forget drops the oldest answered requests that are too many. Those being served may
// come again, and are kept.
func (h *Handler) forget() {
	many := len(h.recent) - h.opt.Remember
	h.recent = slices.DeleteFunc(h.recent, func(id string) bool {
		if many <= 0 {
			return false
		}
		select {
		case <-h.calls[id].done:
			delete(h.calls, id)
			many--
			return true
		default:
			return false
		}
	})
}

func digest(x *tensor.Tensor) [sha256.Size]byte {
	b := make([]byte, 0, 4*x.Len())
	for _, v := range x.Data() {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return sha256.Sum256(b)
}

func (h *Handler) ask(ctx context.Context, x *tensor.Tensor) ([]float64, error) {
	h.served.Add(int64(x.Dim(0)))
	out := make([]float64, x.Dim(0)*h.info.Classes)
	return out, h.victim.Scores(ctx, x, out)
}

// answer writes the scores in the encoding asked for.
func (h *Handler) answer(w http.ResponseWriter, req *Request, n int, scores []float64) {
	asRaw := req.Parameters != nil && req.Parameters.BinaryOutput
	if len(req.Outputs) > 0 && req.Outputs[0].Parameters != nil && req.Outputs[0].Parameters.Binary != nil {
		asRaw = *req.Outputs[0].Parameters.Binary
	}
	values := make([]float32, len(scores))
	for i, s := range scores {
		values[i] = float32(s)
	}
	out := newTensor(h.opt.Output, "FP32", []int64{int64(n), int64(h.info.Classes)}, values, asRaw)
	res := Response{ModelName: Text(h.info.Name), ModelVersion: "1", ID: req.ID, Outputs: []Tensor{out}}
	body, jsonLen, err := encode(res, res.Outputs)
	if err != nil {
		fail(w, http.StatusInternalServerError, "%v", err)
		return
	}
	if jsonLen > 0 {
		w.Header().Set(HeaderLength, header(jsonLen))
		w.Header().Set("Content-Type", "application/octet-stream")
	} else {
		w.Header().Set("Content-Type", "application/json")
	}
	w.Write(body)
}
