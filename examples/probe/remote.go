package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mettleml/mettle/examples/internal/weights"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

// A remote is how to talk to a victim at an address. The zero value is the default.
type remote struct {
	scores, input, output, preprocess string
	datatype, inputShape              string
	classes                           int
	encoding                          string
	batch, retries                    int
	rate                              float64
	timeout                           time.Duration
	token, ca                         string
}

func (r *remote) flags(f *flag.FlagSet) {
	f.StringVar(&r.scores, "scores", "", "kind of scores in the model's output: logits (the default), probabilities or log-probabilities")
	f.StringVar(&r.input, "input", "", "name of the input for the image; default: the only one")
	f.StringVar(&r.output, "output", "", "name of the output with the scores; default: the only one")
	f.IntVar(&r.classes, "classes", 0, "number of classes, if the server does not state it")
	f.StringVar(&r.datatype, "datatype", "", "datatype of the input (FP32, FP64, FP16 or UINT8), if the server does not state it; default: the server's, or FP32")
	f.StringVar(&r.inputShape, "input-shape", "", "shape of the input with its batch axis, such as -1,784, if the server does not state it; default: the server's, or a batch of preprocessed images")
	f.StringVar(&r.preprocess, "preprocess", "", `mapping from RGB in [0,1], channels first, to the model's input, as JSON: {"Scale": 255, "BGR": true, "Mean": [124, 117, 104], "Std": [58, 57, 57], "NHWC": true}, applied in this order; also Resize and Repeat; NHWC is detected if the server's shape determines it`)
	f.StringVar(&r.encoding, "encoding", "", "encoding of tensors: "+encodings)
	f.IntVar(&r.batch, "batch", 0, "largest number of images per request; 0 means 64, or 1 if the model is not known to have a batch axis, or the size of a fixed batch")
	f.Float64Var(&r.rate, "rate", 0, "largest number of images per second; 0 means no limit")
	f.DurationVar(&r.timeout, "timeout", 0, "timeout per request, such as 10s; 0 means 30s")
	f.IntVar(&r.retries, "retries", 0, "retries of a request after a failure that may pass; 0 means 4, negative means none")
	f.StringVar(&r.token, "token", "", "bearer token; the environment variable METTLE_TOKEN is safer, because a list of processes does not show it")
	f.StringVar(&r.ca, "ca", "", "PEM file with certificates of additional authorities to trust")
}

// given are the flags that differ from their defaults.
func (r *remote) given() (names []string) {
	var set remote
	f := flag.NewFlagSet("", flag.ContinueOnError)
	set.flags(f)
	set = *r
	f.VisitAll(func(f *flag.Flag) {
		if f.Value.String() != f.DefValue {
			names = append(names, "-"+f.Name)
		}
	})
	return names
}

// encodings are the values of -encoding.
const encodings = "auto (the default: binary if the server has it), binary, or json"

// options are r's for samples of a shape (nil: the server says), attacked by so many
// workers.
func (r *remote) options(shape []int, workers int) (o oip.Options, err error) {
	if r.classes < 0 || r.batch < 0 || !(r.rate >= 0) || r.timeout < 0 {
		return o, fmt.Errorf("-classes %d, -batch %d, -rate %g, -timeout %v: none may be negative", r.classes, r.batch, r.rate, r.timeout)
	}
	o = oip.Options{Input: r.input, Output: r.output, Shape: shape, Classes: r.classes, Datatype: r.datatype, Batch: r.batch, Concurrency: cmp.Or(workers, 4),
		Timeout: r.timeout, Retries: r.retries, Rate: r.rate, Token: cmp.Or(r.token, os.Getenv("METTLE_TOKEN"))}
	if o.Scores, err = zoo.ParseScoreKind(cmp.Or(r.scores, "logits")); err != nil {
		return o, fmt.Errorf("-scores: %w", err)
	}
	if r.inputShape != "" {
		for part := range strings.SplitSeq(r.inputShape, ",") {
			d, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64)
			if err != nil || d < -1 || d == 0 {
				return o, fmt.Errorf("-input-shape %s: dimensions, -1 for one of any size, such as -1,784", r.inputShape)
			}
			o.InputShape = append(o.InputShape, d)
		}
	}
	if r.preprocess != "" {
		if o.Preprocess, err = data.ParsePreprocess(r.preprocess); err != nil {
			return o, fmt.Errorf("-preprocess: %w", err)
		}
	}
	switch r.encoding {
	case "", "auto":
	case "binary":
		o.Encoding = oip.Binary
	case "json":
		o.Encoding = oip.JSON
	default:
		return o, fmt.Errorf("-encoding %s: %s", r.encoding, encodings)
	}
	if r.ca != "" {
		pem, err := os.ReadFile(r.ca)
		if err != nil {
			return o, fmt.Errorf("-ca: %w", err)
		}
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(pem) {
			return o, fmt.Errorf("-ca %s: no certificate in PEM", r.ca)
		}
		o.TLS = &tls.Config{RootCAs: roots}
	}
	return o, nil
}

// A served victim is one at an address. Its errors and notes name the flags of probe.
type served struct{ *oip.Client }

// dial reaches the victim at an address with samples of a shape (nil: the server says),
// attacked by so many workers.
func (r *remote) dial(ctx context.Context, address string, shape []int, workers int) (zoo.Scorer, error) {
	o, err := r.options(shape, workers)
	if err != nil {
		return nil, err
	}
	c, err := oip.Dial(ctx, address, o)
	if err != nil {
		return nil, byFlags{err}
	}
	return &served{c}, nil
}

// Scores implements zoo.Scorer.
func (s *served) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	if err := s.Client.Scores(ctx, x, out); err != nil {
		return byFlags{err}
	}
	return nil
}

// Labels implements zoo.Labeler.
func (s *served) Labels(ctx context.Context, x *tensor.Tensor, out []int) error {
	return zoo.LabelsOf(s).Labels(ctx, x, out)
}

// remote is the victim if it is at an address.
func (p *probe) remote() (*served, bool) {
	if p.counter == nil {
		return nil, false
	}
	s, ok := p.counter.Scorer.(*served)
	return s, ok
}

// notes are what a user should know of the victim.
func (s *served) notes() (all []string) {
	for _, n := range s.Notes() {
		all = append(all, flagged.Replace(n))
	}
	if k := s.FixedBatch(); k > 1 {
		all = append(all, fmt.Sprintf("the model takes %d images per request, no fewer: requests are filled up with copies, which are not counted here but may be charged; -gather %[1]d joins the queries of images, and -batch 1 sends fewer all the same", k))
	}
	return all
}

// charged says what the server was sent in this run and may have charged, "" if that is
// what was answered. A campaign does not know of copies, nor which requests the server
// refused.
func (s *served) charged() string {
	n := s.Stats()
	if n.Sent == n.Answered && n.Copies == 0 {
		return ""
	}
	return fmt.Sprintf("in this run the server was sent %d images in %d requests (%d images again, %d as copies that fill up a batch) and answered for %d; it may have charged %d more",
		n.Sent, n.Requests, n.Resent, n.Copies, n.Answered, n.Lost)
}

// byFlags words an error by flags.
type byFlags struct{ error }

func (e byFlags) Error() string { return flagged.Replace(e.error.Error()) }

func (e byFlags) Unwrap() error { return e.error }

// flagged puts flags for what the library's errors and warnings name.
var flagged = strings.NewReplacer("Info.Scores", "-scores", "a larger step", "a larger -step",
	"Options.InputShape", "-input-shape", "Options.Input", "-input", "Options.Output", "-output", "Options.Shape, as [C, H, W]", "-shape, as C,H,W", "[C, H, W] in Options.Shape", "C,H,W in -shape",
	"Options.Shape", "-shape", "Options.Classes", "-classes", "Options.Datatype", "-datatype", "Options.Batch", "-batch", "Options.Timeout", "-timeout",
	"Options.Token", "-token or METTLE_TOKEN", "Options.TLS", "a file for -ca", "Preprocess.", "-preprocess ")

// parseShape reads [C, H, W]; "" is nil.
func parseShape(s string) ([]int, error) {
	const due = "channels (1 or 3), height and width, such as 3,224,224"
	shape, err := weights.ParseShape(s, 3, due)
	if shape != nil && shape[0] != 1 && shape[0] != 3 {
		return nil, fmt.Errorf("-shape %s: %s", s, due)
	}
	return shape, err
}
