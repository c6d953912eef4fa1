package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

// A remote is how to talk to a victim at an address. The zero value is the default.
type remote struct {
	scores, input, output, preprocess string
	classes                           int
	encoding                          string
	batch, retries                    int
	rate                              float64
	timeout                           time.Duration
	token, ca                         string
}

func (r *remote) flags(f *flag.FlagSet) {
	f.StringVar(&r.scores, "scores", "", "what the model answers: logits (the default), probabilities or log-probabilities")
	f.StringVar(&r.input, "input", "", "name of the input for the image; default: the only one")
	f.StringVar(&r.output, "output", "", "name of the output with the scores; default: the only one")
	f.IntVar(&r.classes, "classes", 0, "classes of the model, if it does not say")
	f.StringVar(&r.preprocess, "preprocess", "", `from RGB in [0,1], channels first, to what the model takes, as JSON: {"Scale": 255, "BGR": true, "Mean": [124, 117, 104], "Std": [58, 57, 57], "NHWC": true}, applied in this order; also Resize and Repeat`)
	f.StringVar(&r.encoding, "encoding", "", "of tensors: "+encodings)
	f.IntVar(&r.batch, "batch", 0, "most images a request; 0: 64, 1 if the model has no batch axis, and just what it takes if that is fixed")
	f.Float64Var(&r.rate, "rate", 0, "most images a second; 0: no limit")
	f.DurationVar(&r.timeout, "timeout", 0, "of a request, such as 10s; 0: 30s")
	f.IntVar(&r.retries, "retries", 0, "tries after the first, for a request that fails in a way that may pass; 0: 4, negative: none")
	f.StringVar(&r.token, "token", "", "bearer token; better in METTLE_TOKEN, which a list of processes does not show")
	f.StringVar(&r.ca, "ca", "", "PEM file with certificates of authorities to trust beside the system's")
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
	o = oip.Options{Input: r.input, Output: r.output, Shape: shape, Classes: r.classes, Batch: r.batch, Concurrency: cmp.Or(workers, 4),
		Timeout: r.timeout, Retries: r.retries, Rate: r.rate, Token: cmp.Or(r.token, os.Getenv("METTLE_TOKEN"))}
	if o.Scores, err = zoo.ParseScoreKind(cmp.Or(r.scores, "logits")); err != nil {
		return o, fmt.Errorf("-scores: %w", err)
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

// parseShape reads [C, H, W]; "" is nil.
func parseShape(s string) ([]int, error) {
	if s == "" {
		return nil, nil
	}
	var shape []int
	for part := range strings.SplitSeq(s, ",") {
		d, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || d < 1 {
			return nil, fmt.Errorf("-shape %s: channels, height and width, such as 3,224,224", s)
		}
		shape = append(shape, d)
	}
	if len(shape) != 3 || shape[0] != 1 && shape[0] != 3 {
		return nil, fmt.Errorf("-shape %s: channels (1 or 3), height and width, such as 3,224,224", s)
	}
	return shape, nil
}
