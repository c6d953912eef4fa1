package oip

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mettleml/mettle/zoo"
)

// An exchange is a request and what is to be made of its answer.
type exchange struct {
	method, address string
	body            []byte
	header          string // HeaderLength
	lo, hi          int    // the samples of the call that it carries; equal if it is no inference
	again           bool   // they were sent before
	// read takes the answer. Its error is a failure that may pass, as of an answer that
	// was garbled on the way, unless it is unfit.
	read func(*reply) error
}

// A reply is an HTTP answer with status 200.
type reply struct {
	body   []byte
	header string
	from   *url.URL // what answered, after redirects
}

// head is the JSON part of the body.
func (r *reply) head() []byte {
	if n, err := strconv.Atoi(r.header); err == nil && n >= 0 && n < len(r.body) {
		return r.body[:n]
	}
	return r.body
}

// The bounds of what is read of one answer, in bytes: of scores, and of a failure.
const (
	maxReply = 1 << 28
	maxError = 1 << 16
)

// retrying sends a request until it is answered, retries are used up, or the failure is
// one that trying again will not mend.
func (c *Client) retrying(ctx context.Context, e exchange) error {
	samples := c.filled(e.hi - e.lo)
	wait := c.opt.Backoff
	for try := 0; ; try++ {
		if err := c.pace(ctx, samples); err != nil {
			return err
		}
		again := e.again || try > 0
		if samples > 0 && again {
			if err := zoo.Resend(ctx, e.lo, e.hi); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if samples > 0 {
			c.tally.sending(samples, samples-(e.hi-e.lo), again)
		}
		r, err := c.once(ctx, &e)
		if err == nil {
			err = e.read(r)
		}
		if samples > 0 {
			c.tally.ended(samples, err)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		pass, after := passing(err)
		if !pass {
			return err
		}
		if try >= c.opt.Retries {
			if try > 0 {
				err = fmt.Errorf("%w (after %d tries)", err, try+1)
			}
			return err
		}
		if err := sleep(ctx, pause(wait, after)); err != nil {
			return err
		}
		wait = min(2*wait, 30*time.Second)
	}
}

// pause is how long to wait before the next try: by the back-off, or longer if the server
// asks for it, but then at most a minute.
func pause(backoff, asked time.Duration) time.Duration {
	return max(backoff, min(asked, time.Minute))
}

// pace waits until the rate limit lets a request of that many samples go.
func (c *Client) pace(ctx context.Context, samples int) error {
	if c.opt.Rate <= 0 || samples == 0 {
		return nil
	}
	c.mu.Lock()
	now := time.Now()
	at := c.nextRun
	if at.Before(now) {
		at = now
	}
	c.nextRun = at.Add(time.Duration(float64(samples) / c.opt.Rate * float64(time.Second)))
	c.mu.Unlock()
	return sleep(ctx, at.Sub(now))
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// once sends a request once.
func (c *Client) once(parent context.Context, e *exchange) (*reply, error) {
	ctx, cancel := context.WithTimeout(parent, c.opt.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, e.method, e.address, bytes.NewReader(e.body))
	if err != nil {
		return nil, err
	}
	if e.body != nil {
		req.Header.Set("Content-Type", "application/json")
		if e.header != "" {
			req.Header.Set("Content-Type", "application/octet-stream")
			req.Header.Set(HeaderLength, e.header)
		}
	}
	if c.opt.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.opt.Token)
	}
	r, err := c.exchange(req)
	var to *redirectError
	switch {
	case errors.As(err, &to):
		return nil, to // without the address that it was not sent to
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && parent.Err() == nil:
		return nil, fmt.Errorf("no whole answer within %v (Options.Timeout)", c.opt.Timeout)
	}
	return r, err
}

func (c *Client) exchange(req *http.Request) (*reply, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := unpacked(res.Header, res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(body, maxError)) // what came of it tells more than why it ended
		e := &statusError{code: res.StatusCode, text: errorText(b), after: retryAfter(res.Header)}
		if c.opt.Token != "" && res.Request.Header.Get("Authorization") == "" {
			e.to = res.Request.URL.Host
		}
		return nil, e
	}
	b, err := io.ReadAll(io.LimitReader(body, c.most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > c.most {
		return nil, unfit{fmt.Errorf("an answer of more than %d bytes", c.most)}
	}
	return &reply{b, res.Header.Get(HeaderLength), res.Request.URL}, nil
}

// unpacked is a body, decompressed if the other side compressed it unasked. (What the
// transport asked for, it has decompressed already.)
func unpacked(h http.Header, body io.Reader) (io.Reader, error) {
	switch coding := strings.ToLower(strings.TrimSpace(h.Get("Content-Encoding"))); coding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		return gzip.NewReader(body)
	case "deflate": // a zlib stream by the standard, a bare one by some servers
		b := bufio.NewReader(body)
		if head, err := b.Peek(2); err == nil && head[0]&15 == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
			return zlib.NewReader(b)
		}
		return flate.NewReader(b), nil
	default:
		return nil, unfit{fmt.Errorf("Content-Encoding %q is not understood", coding)}
	}
}

// retryAfter reads how long a server asks to wait, in seconds or as a date by the
// server's own clock.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.Atoi(v); err == nil {
		return time.Duration(min(max(s, 0), 1<<30)) * time.Second
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(t.Sub(now), 0)
}

// redirects follows redirects that keep the request and its secrets what they are, and
// then asks also, if that is not nil. It is for http.Client.CheckRedirect.
func redirects(also func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		first, last := via[0], via[len(via)-1]
		to := *req.URL
		to.RawQuery, to.Fragment = "", ""
		switch {
		case len(via) >= 10:
			return &redirectError{fmt.Sprintf("more than 10 redirects, the last to %s", to.Redacted())}
		case last.URL.Scheme == "https" && req.URL.Scheme != "https":
			return &redirectError{fmt.Sprintf("the server redirects from https to %s, where what is sent can be read on the way; dial that address if it may be", to.Redacted())}
		case req.Method != first.Method:
			to.Path, to.RawPath = strings.TrimSuffix(to.Path, "/infer"), ""
			return &redirectError{fmt.Sprintf("the server redirects inference by status %d, which turns the POST into a GET without samples; dial %s, where it redirects to", req.Response.StatusCode, to.Redacted())}
		}
		if req.URL.Hostname() != first.URL.Hostname() {
			req.Header.Del("Authorization")
		}
		if also != nil {
			return also(req, via)
		}
		return nil
	}
}
